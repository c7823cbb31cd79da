"""Records of rollouts that happened, read from files in one form.

`read_records` reads files; `Records` holds the tables that calibration and backtests use.
"""

from simdeploy.records.table import Records, make_table

__all__ = ["Records", "make_table"]
