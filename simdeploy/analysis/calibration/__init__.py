"""From records of rollouts to a scenario that fits them, with what the records leave open.

From outside: `calibrate` and its result `Calibration`. Files: `calibrating` (the call), `attempts` (what nodes' records say), `starts`,
`updates` and `goodness` (failures and durations of starts), `requests`, `releases`, `outages`, `parameters` (intervals over rollouts),
`writing` (the file), `resampling` and `bootstrapping` (other histories), `result`.
"""

from simdeploy.analysis.calibration.calibrating import calibrate
from simdeploy.analysis.calibration.result import Calibration

__all__ = ["Calibration", "calibrate"]
