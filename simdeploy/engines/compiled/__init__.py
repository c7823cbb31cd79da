"""The compiled engine: the same model as the reference engine, in numba, for thousands of rollouts a second.

May be used from outside: `engine.run_compiled`, `availability.is_ready`. May import: `simdeploy.scenario` and what lies
below it, `simdeploy.engines.block`, numba (nowhere else).

Files, from the inside out: `philox` (random words), `special` (scipy's functions and two of our own), `laws`
(distributions), `spells` (up and down, good and degraded), `lowering` (a scenario as plain records), `sampling` (what all
policies share of one replication), `fates` (one node), `events` and `control` (the rollout), `integrals` (the responses),
`kernel` (the one function that is compiled and cached).
"""
