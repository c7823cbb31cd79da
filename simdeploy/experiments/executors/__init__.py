"""Executors: this process, threads, processes or a cluster, all with the same results.

Other packages use `choose_executor`.
"""

from simdeploy.experiments.executors.choice import choose_executor
from simdeploy.experiments.executors.cluster import DaskCluster
from simdeploy.experiments.executors.processes import Processes
from simdeploy.experiments.executors.threads import InProcess, Threads

__all__ = ["DaskCluster", "InProcess", "Processes", "Threads", "choose_executor"]
