"""The reference engine: the model as SimPy processes, readable beside it, with records of everything that happens.

Other packages use `people.Act`; the modules around this package use `engine`, and replays, which replace nodes and windows,
`node`, `prober`, `site` and `clock`. May import: `simdeploy.scenario` and what lies below it, and
`simdeploy.engines.recording` and `simdeploy.engines.schema`.

Files, from the inside out: `clock` (the end of an instant, countdowns), `load` (the requests that nodes receive), `prober`
(windows), `site` (state shared in a run), `node`, `line` (messages between nodes and the control plane), `people`, `dispatch`
(the nodes' turns), `slots`, `pacing` (the next step), `change_windows` (waiting for the next opening), `gates` and
`running_watch` (judging waves and running nodes), `terms` (a policy as its orchestrator interprets it), `tally`, `deadlines` and
`judging` (reasons to stop a rollout), `ending`, `rollback`, `controller`, `weighing` (rare events), `engine`. Nodes notify
others through the protocols in `node`, so imports point one way. The compiled engine uses the same names.
"""
