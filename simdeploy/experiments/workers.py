"""Tasks on several processes: the same rows as on one, whatever happens to a worker."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for_end
from time import perf_counter

from simdeploy.errors import SimulationError
from simdeploy.experiments.tasks import Experiment, Progress, Row, Task

Outcome = tuple[list[Row], float]  # the rows of a chunk, and the seconds that it took

# Work handed over at once: long enough that handing over costs nothing, short enough for a progress bar, and so
# few rows that a worker's answer fits into a pipe, where a worker that is killed can't leave half an answer.
_CHUNK_S = 1.0
_CHUNK_TASKS = 64

_DEATHS = 2
_DIED = "the worker process died twice on this replication (killed, or out of memory)"
_CANNOT_START = (
    "no worker process could start; in a script, calls with workers > 1 belong under `if __name__ == '__main__':`"
)

_experiment: Experiment  # of this worker process, set once when it begins


def run_on_workers(
    experiment: Experiment, tasks: Sequence[Task], *, workers: int, progress: Progress | None
) -> list[Row]:
    """Carry out the tasks on `workers` processes and return their rows in the order of the tasks.

    A worker that dies (out of memory, killed) takes the whole pool with it, and nobody knows which task was to
    blame; some had not even begun. So every task that was under way is tried alone, and once more if its worker dies
    again: only one that killed two workers for sure is lost.
    """
    rows: dict[Task, Row] = {}

    def note(finished: Sequence[Row]) -> None:
        rows.update((Task(row["policy"], row["replication"]), row) for row in finished)
        if progress is not None:
            progress(len(rows), len(tasks))

    waiting = deque(tasks)
    while waiting:
        suspects = _run_together(experiment, waiting, min(workers, len(waiting)), note)
        deaths: Counter[Task] = Counter()
        while suspects:
            _run_alone(experiment, suspects, deaths, note)
    return [rows[task] for task in tasks]


def _run_together(
    experiment: Experiment, waiting: deque[Task], workers: int, note: Callable[[Sequence[Row]], None]
) -> deque[Task]:
    """Work off `waiting` until it is done or a worker dies; return the tasks that were under way then."""
    under_way: dict[Future[Outcome], list[Task]] = {}
    size = 1
    with _pool(experiment, workers) as pool:
        try:
            while waiting or under_way:
                # Twice as many chunks as workers, so that no worker waits for this loop.
                while waiting and len(under_way) < 2 * workers:
                    chunk = [waiting[place] for place in range(min(size, len(waiting)))]
                    under_way[_submit(pool, chunk)] = chunk
                    for _ in chunk:
                        waiting.popleft()
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    rows, seconds = future.result()
                    del under_way[future]
                    note(rows)
                    fitting = int(_CHUNK_S * len(rows) / max(seconds, 1e-9))
                    size = max(1, min(2 * size, fitting, _CHUNK_TASKS))
        except BrokenProcessPool:
            pass
    return deque(task for chunk in under_way.values() for task in chunk)


def _run_alone(
    experiment: Experiment, suspects: deque[Task], deaths: Counter[Task], note: Callable[[Sequence[Row]], None]
) -> None:
    """Try the suspects one after the other until the worker dies; at its second death a task is a failed row."""
    with _pool(experiment, 1) as pool:
        while suspects:
            task = suspects[0]
            try:
                rows, _ = _submit(pool, [task]).result()
            except BrokenProcessPool:
                deaths[task] += 1
                if deaths[task] == _DEATHS:
                    note([experiment.failed_row(suspects.popleft(), "worker", _DIED)])
                return
            suspects.popleft()
            note(rows)


@contextlib.contextmanager
def _pool(experiment: Experiment, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Open a pool whose first worker is known to run; on an exception (Ctrl-C) its workers end at once."""
    # spawn: forking a process with threads (numpy, numba, a notebook) may hang; and it is the same on every system.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(experiment,))
    try:
        try:
            _submit(pool, []).result()
        except BrokenProcessPool:
            raise SimulationError(_CANNOT_START) from None
        yield pool
    except BaseException:
        # There is no public call for this before Python 3.14.
        for process in list((pool._processes or {}).values()):  # noqa: SLF001
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, chunk: list[Task]) -> Future[Outcome]:
    """Hand over a chunk. Workers are started here: with SIGINT blocked, so that Ctrl-C reaches only the parent."""
    if not hasattr(signal, "pthread_sigmask"):
        return pool.submit(_run_chunk, chunk)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(_run_chunk, chunk)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(experiment: Experiment) -> None:
    global _experiment
    _experiment = experiment
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave when the parent is gone: a killed parent can't tell its workers to stop."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_end([parent.sentinel])
        os._exit(1)


def _run_chunk(chunk: list[Task]) -> Outcome:
    # The clock only sizes the chunks that follow; no number depends on how tasks are cut into chunks.
    start = perf_counter()
    return [_experiment.run_task(task) for task in chunk], perf_counter() - start
