"""The compiled engine: the same model as the reference engine, in numba, for thousands of rollouts a second.

May be used from outside: `engine.run_compiled`, `engine.expect_compiling`. May import: `simdeploy.scenario` and what lies
below it, `simdeploy.engines.block`, numba (nowhere else); where that can't be used, importing it is an `InputError`.

Files, from the inside out:

- `jit`, `linking`, `instructions`, `shortcuts`, `views`, `parts` (how things are compiled), `access`, `scratch` (memory), `sorting`, `codes` (numbers for the words of rules and world), `tables` (what tables hold), `records` (what
  rows of parameters hold) and `run` (the one record that points to them);
- `philox` (random words), `special` (scipy's functions and two of our own), `laws` (distributions), `residual` (what is left of a time), `lasting` (how long spells do), `spells` (up and down, good
  and degraded), `binomial`, `at_once` and `brackets` (windows: one, many, and those that are surely healthy or not), `tilting` (other chances);
- `bundling`, `lowering`, `lowering_policies`, `lowering_rules`, `lowering_continuations` and `memory` (a scenario as plain
  records, in Python);
- `lanes` (draws of many nodes), `sampling` (what all policies share of one replication), `drawing` (numbers of single nodes),
  `levels` (own levels, for sums), `outlook` (who surely stays up), `line` (who is online, and what is heard when), `exposure` (what the
  release and spells do to a node), `health`, `fates` and `quick` (one node up to its verdict);
- the rollout, under the names of the reference engine: `clock`, `node` (from its verdict on), `people`, `dispatch`, `slots`, `sliding`,
  `pacing`, `change_windows`, `gates`, `gates_at_once`, `running_watch`, `judging`, `deadlines`, `ending`, `rollback`, `controller`,
  `weighing`; under those of the rules: `limits`, `judge`; `load`, `met_at_once`, `pools` and `prober` say
  what a window meets, `validation` follows nodes whose windows meet different numbers of requests, `evidence` is what the
  `prober` counts for gates, `ahead` and `ahead_together` the same for several looks in advance;
- `outcomes`, `responses`, `service`, `out_at_once` and `requests` (what is computed of it), under the names of `simdeploy.engines`, as are `branching`,
  `tracing` and `looks`;
- `barrier`, `barrier_fates`, `barrier_limits` and `barrier_outcomes` (many policies in one pass), `steps` (a node for many rules);
- `changing` (another policy) and `continuations` (a world that goes on in several ways);
- `kernel` (the one function that Python calls) and `engine` (blocks).
"""

from importlib import import_module
from importlib.util import find_spec

from simdeploy.errors import InputError, Problem

if find_spec("numba") is None:
    raise InputError(
        Problem("numba is not installed", ("engine",), found="compiled", hint="pip install 'simdeploy[fast]'")
    )
try:
    import_module("simdeploy.engines.compiled.jit")
except Exception as error:  # numba refuses libraries of versions that don't suit it in many ways
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    raise InputError(
        Problem(f"numba can't be used: {reason}", ("engine",), hint="pip install --upgrade numba")
    ) from error
