"""Many replications of scenarios under policies, and the tables that come out.

From outside: the names below; for analyses also `gathering`, `levers`, `changes`, `cases` and `progress`.
"""

from simdeploy.experiments.design import LatinHypercube
from simdeploy.experiments.ranges import Range
from simdeploy.experiments.reading import read_store
from simdeploy.experiments.replication import replicate
from simdeploy.experiments.result import SweepResult
from simdeploy.experiments.store import StoreError
from simdeploy.experiments.sweep import sweep

__all__ = ["LatinHypercube", "Range", "StoreError", "SweepResult", "read_store", "replicate", "sweep"]
