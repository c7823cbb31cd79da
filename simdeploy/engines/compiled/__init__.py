"""The compiled engine: the same model as the reference engine, in numba, for thousands of rollouts a second.

May be used from outside: `engine.run_compiled`, `kernel.is_ready`. May import: `simdeploy.scenario` and what lies
below it, `simdeploy.engines.block`, numba (nowhere else).

Files, from the inside out: `philox` (random words), `special` (scipy's functions and two of our own), `views` and
`run` (the one record, and the tables that it points to), `laws` (distributions), `spells` (up and down, good and degraded),
`binomial` and `brackets` (windows), `bundling`, `lowering` and `memory` (a scenario as plain records, in Python), `sampling`
(what all policies share of one replication), `fates` and `quick` (one node), `control` (the rollout), `integrals` (the
responses), `barrier` (many policies in one pass), `jit`, `availability` and `kernel` (what is compiled, and cached).
"""
