"""The reference engine: the model as SimPy processes, to be read beside it; it leaves records of everything that happens.

May be used from outside: `engine.run_reference`. May import: `simdeploy.scenario` and what lies below it, and
`simdeploy.engines.recording` and `simdeploy.engines.schema`.

Files, from the inside out: `clock` (the end of an instant, countdowns), `load` (the requests that nodes meet),
`prober` (windows), `site` (what everybody in a run shares), `node`, `line` (what passes between nodes and the control plane), `people`, `dispatch` (whose turn it is), `slots`,
`pacing` (what comes next), `change_windows` (the wait for the next opening), `gates` and `running_watch` (what judges waves, and
running nodes), `terms` (a policy as its orchestrator reads it), `tally`, `deadlines` and `judging` (what stops a rollout), `ending`,
`rollback`, `controller`, `weighing` (rare events), `engine`. Nodes tell others what happens to them through the protocols in `node`, so that
imports point one way. The compiled engine has the same names for the same things.
"""
