"""Status and error rate over time in many rollouts: bands by policy and kind of release.

Other packages use `timelines` and its result `Timelines`. Modules: `tracing` (the call), `job` (what executors run), `counting`
(values and their quantiles), `checkpoint` (the store), `result`.
"""

from simdeploy.analysis.bands.result import Timelines
from simdeploy.analysis.bands.tracing import timelines

__all__ = ["Timelines", "timelines"]
