"""Status and error rate over time, of many rollouts: bands by policy and kind of release.

From outside: `timelines` and its result `Timelines`. Files: `tracing` (the call), `job` (what executors run), `counting` (values
and their quantiles), `checkpoint` (the store), `result`.
"""

from simdeploy.analysis.bands.result import Timelines
from simdeploy.analysis.bands.tracing import timelines

__all__ = ["Timelines", "timelines"]
