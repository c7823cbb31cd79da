"""The compiled engine: the same model as the reference engine, in numba, for thousands of rollouts a second.

Other packages use `engine.expect_compiling`, and `jit` and `philox` for compiled code of their own (advice); the modules around
this package use `engine`. May import: `simdeploy.scenario` and what lies below it, `simdeploy.engines.block`, numba; where that
can't be used, importing it is an `InputError`.

Files, from the inside out:

- `jit`, `linking`, `instructions`, `shortcuts`, `views`, `parts` (compilation), `access`, `scratch` (memory), `sorting`, `codes`
  (numbers for the words of rules and world), `tables` (contents of tables), `records` (contents of rows of parameters) and `run`
  (the record that points to them);
- `philox` (random words), `special` (scipy's functions and two of our own), `laws` (distributions), `residual` (residual lives),
  `lasting` (lengths of spells), `spells` (up and down, good and degraded), `binomial`, `at_once` and `brackets` (windows: single
  ones, many, and those decided by bounds), `tilting` (changed probabilities);
- `bundling`, `lowering`, `lowering_policies`, `lowering_rules`, `lowering_continuations` and `memory` (a scenario as plain
  records, in Python);
- `lanes` (draws of many nodes), `sampling` (numbers of a replication that all policies share), `drawing` (numbers of single nodes),
  `levels` (own levels, for sums), `outlook` (nodes that surely stay up), `line` (nodes online, and when verdicts are heard),
  `exposure` (effects of release and spells on a node), `health`, `fates` and `quick` (one node up to its verdict);
- the rollout, under the names of the reference engine: `clock`, `node` (from its verdict on), `people`, `dispatch`, `slots`, `sliding`,
  `pacing`, `change_windows`, `gates`, `gates_at_once`, `running_watch`, `judging`, `deadlines`, `ending`, `rollback`, `controller`,
  `weighing`; under those of the rules: `limits`, `judge`; `load`, `met_at_once`, `pools` and `prober` compute the requests and
  failures of windows, `validation` follows nodes whose windows have different numbers of requests, `evidence` counts requests for
  gates, `ahead` and `ahead_together` do so for several looks in advance;
- `outcomes`, `responses`, `service`, `out_at_once` and `requests` (results), under the names of `simdeploy.engines`, as are
  `branching`, `tracing` and `looks`;
- `barrier`, `barrier_fates`, `barrier_limits` and `barrier_outcomes` (many policies in one pass), `steps` (a node for many rules);
- `changing` (another policy) and `continuations` (a world with several continuations);
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
except Exception as error:  # numba raises various exceptions for incompatible versions of libraries
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    raise InputError(
        Problem(f"numba can't be used: {reason}", ("engine",), hint="pip install --upgrade numba")
    ) from error
