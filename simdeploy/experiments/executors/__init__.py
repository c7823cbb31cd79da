"""Where spans are run: this process, its threads, processes of this machine, a cluster; the same numbers everywhere.

From outside: `choose_executor`.
"""

from simdeploy.experiments.executors.choice import choose_executor
from simdeploy.experiments.executors.cluster import DaskCluster
from simdeploy.experiments.executors.processes import Processes
from simdeploy.experiments.executors.threads import InProcess, Threads

__all__ = ["DaskCluster", "InProcess", "Processes", "Threads", "choose_executor"]
