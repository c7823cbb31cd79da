"""Status and error rate over time, of many rollouts: bands by policy and kind of release.

From outside: `timelines` and its result `Timelines`. Files: `tracing` (the call), `job` (what executors run), `bands` (counts and
their quantiles), `checkpoint` (its store), `result`.
"""

from simdeploy.analysis.timelines.result import Timelines
from simdeploy.analysis.timelines.tracing import timelines

__all__ = ["Timelines", "timelines"]
