"""Records of past rollouts, read from files into one form.

Other packages use `read_records` and `as_records`, which read files, `Records`, the tables that calibration and backtests use,
`histories`, the same for each rollout, and `simulated`, which makes records. Each kind of file has a module in `sources`. Names are
imported on first use, because reading a scenario needs none of them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
