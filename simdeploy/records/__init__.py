"""Records of rollouts that happened, read from files in one form.

From outside: `read_records` reads files; `Records` holds the tables that calibration and backtests use. Each kind of file has a
module in `sources`.
"""

from simdeploy.records.reading import read_records
from simdeploy.records.table import Records, make_table

__all__ = ["Records", "make_table", "read_records"]
