"""Fits a scenario to records of rollouts, and shows what the records leave open.

Other packages use `calibrate` and its result `Calibration`. Modules: `calibrating` (the call), `attempts` (reads nodes' records), `starts`,
`updates` and `goodness` (failures and durations of starts), `requests`, `releases`, `outages`, `parameters` (intervals over rollouts),
`writing` (the file), `resampling` and `bootstrapping` (alternative histories), `result`.
"""

from simdeploy.analysis.calibration.calibrating import calibrate
from simdeploy.analysis.calibration.result import Calibration

__all__ = ["Calibration", "calibrate"]
