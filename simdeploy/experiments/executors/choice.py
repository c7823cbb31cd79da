"""Choice of the executor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.errors import InputError, Problem, raise_if_any
from simdeploy.experiments.arguments import whole_problems
from simdeploy.experiments.executors.cluster import DaskCluster
from simdeploy.experiments.executors.processes import Processes
from simdeploy.experiments.executors.threads import InProcess, Threads

if TYPE_CHECKING:
    from simdeploy.experiments.jobs import Executor

_MOST_WORKERS = 1024
_HOLD_THE_LOCK = ("reference",)  # pure Python, so two threads are no faster than one


def choose_executor(
    *,
    executor: Executor | None = None,  # returned if given; excludes `workers` and `cluster`
    workers: int = 1,  # spans run at a time; 1 is this process alone
    # Address of a Dask scheduler, such as ``tcp://10.0.0.5:8786``; then `workers` must be 1.
    cluster: str | None = None,
    engine: str,  # the reference engine needs processes to use several cores; others use threads, which start instantly
) -> Executor:
    """Return the executor of a job.

    Raises
    ------
    InputError
        If the number of workers or the address is invalid, Dask is not installed, or arguments exclude each other.

    Examples
    --------
    >>> choose_executor(workers=4, engine="reference")
    Processes(workers=4)
    >>> choose_executor(workers=4, engine="compiled")
    Threads(workers=4)
    """
    raise_if_any(whole_problems(1, _MOST_WORKERS, workers=workers))
    workers = int(workers)
    stated = [name for name, is_stated in (("workers", workers > 1), ("cluster", cluster is not None)) if is_stated]
    if executor is not None and stated:
        raise InputError(Problem("can't be combined with an executor", path=(stated[0],)))
    if len(stated) > 1:
        raise InputError(Problem("can't be combined with a cluster", ("workers",), found=str(workers)))
    if executor is not None:
        return executor
    if cluster is not None:
        return DaskCluster(cluster)
    if workers == 1:
        return InProcess()
    return Processes(workers) if engine in _HOLD_THE_LOCK else Threads(workers)
