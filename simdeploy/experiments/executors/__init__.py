"""Executors: this process, threads, processes or a cluster, with the same numbers.

From outside: `choose_executor`.
"""

from simdeploy.experiments.executors.choice import choose_executor
from simdeploy.experiments.executors.cluster import DaskCluster
from simdeploy.experiments.executors.processes import Processes
from simdeploy.experiments.executors.threads import InProcess, Threads

__all__ = ["DaskCluster", "InProcess", "Processes", "Threads", "choose_executor"]
