"""Many replications of scenarios under policies, and the resulting tables.

`sweep` and `replication` are the calls, `campaign` runs them: `cases` and `design` determine what (`case_table` numbers the
cases, `case_problems` lists their problems), `cutting` in which spans, `executors` where; `store` saves the parts.

Other packages use the names below; analyses also use `allocation`, `arguments`, `batches`, `by_kind`, `campaign`, `cases`, `design`,
`gathering`, `items`, `jobs`, `kinds`, `levers`, `ranges`, `result` and `table`.
"""

from simdeploy.experiments.design import LatinHypercube
from simdeploy.experiments.ranges import Range
from simdeploy.experiments.reading import read_store
from simdeploy.experiments.replication import replicate
from simdeploy.experiments.result import SweepResult
from simdeploy.experiments.store import StoreError
from simdeploy.experiments.sweep import sweep

__all__ = ["LatinHypercube", "Range", "StoreError", "SweepResult", "read_store", "replicate", "sweep"]
