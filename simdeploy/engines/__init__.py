"""Engines that run the model: `simulate` and its result.

Other packages use the names in `__init__.pyi`. They are imported on first use, so a process that compiles one part of
an engine doesn't wait for others. Experiments also use `block`, `choice` and `running`; analyses `branching`,
`continuing`, `worlds`, `looks`, `intervals`, `recording`, `rollout`, `traces` and `tracing`; packages that show rollouts
`fleet_map`, `live` and `one_rollout`.
May import: `simdeploy.scenario` and what lies below it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
