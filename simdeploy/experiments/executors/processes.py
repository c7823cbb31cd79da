"""Spans on processes of this machine, robust against crashes."""

from __future__ import annotations

import _thread
import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
import time
import traceback
from collections import defaultdict, deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait as wait_for_any
from typing import TYPE_CHECKING, Any, Generic, Self

from simdeploy.errors import SimulationError
from simdeploy.experiments.jobs import Outcome, Runnable, Span

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess
    from multiprocessing.process import BaseProcess

_AHEAD = 2  # spans of a worker: the current one and the next, so that it never waits
_DEATHS = 2  # deaths of workers that ran a single cell, after which it counts as the cause
_DEATHS_OF_A_SPAN = 40  # enough to find one cell among 100,000; a limit if every cell kills
_FALSE_STARTS = 3

_DIED = "the worker process died twice on this replication (killed or out of memory)"
_DIED_OFTEN = f"worker processes died {_DEATHS_OF_A_SPAN} times on this and neighbouring replications"
_CANNOT_START = "no worker process could start: {}"
_UNGUARDED = (
    "workers import your script, which starts workers again; "
    "move calls with workers > 1 under `if __name__ == '__main__':`"
)

_NAME = "simdeploy worker"
_STATUS_UNGUARDED = 87  # exit status of a worker that runs the unguarded script
_LOOK_AT_PARENT_S = 1.0
_IDLE_S = 60.0  # after which a worker without a job ends
_NO_JOB = pickle.dumps(None)


@dataclass(frozen=True)
class Processes:
    """Runs spans on processes, which start in about a second and are reused by calls within a minute.

    Notes
    -----
    A worker that dies (killed, out of memory) is replaced. Its span is retried alone, then in halves, until the cause is
    found: a replication that killed two workers becomes a failed row with stage "worker".

    Examples
    --------
    >>> Processes(workers=4)
    Processes(workers=4)
    """

    workers: int

    def run(self, job: Runnable[Outcome], spans: Iterator[Span]) -> Generator[tuple[Span, Outcome], None, None]:
        """Yield each span with its block as they finish, with at most two spans in flight per worker.

        Closing it, or Ctrl-C, ends the workers at once.

        Raises
        ------
        SimulationError
            If no worker process can start.
        """
        first = list(islice(spans, self.workers))
        waiting = chain(first, spans)
        with _WorkerPool[Outcome](job) as pool:
            while True:
                suspects = []
                for span, block in pool.run(waiting, len(first), _AHEAD):
                    if block is None:
                        suspects.append(span)
                    else:
                        yield span, block
                if not suspects:
                    return
                for span in suspects:
                    yield span, _run_alone(pool, job, span)


@dataclass(eq=False)
class _Worker:
    """A process, this end of its pipe, and its spans, the current one first."""

    process: SpawnProcess
    connection: Connection
    is_ready: bool = False
    spans: deque[Span] = field(default_factory=deque)


# Idle workers of finished runs (they may still be starting), by the process that started them, because a fork must not use their pipes.
_spare: defaultdict[int, list[_Worker]] = defaultdict(list)


class _WorkerPool(Generic[Outcome]):
    """Workers with one pipe each, so that a partial message of a killed worker can't block others."""

    def __init__(self, job: Runnable[Outcome]) -> None:
        self._job = pickle.dumps(job)
        self._workers: list[_Worker] = []
        self._was_ready = False
        self._false_starts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for worker in self._workers:
                if worker.is_ready:
                    _send(worker, _NO_JOB)
            _spare[os.getpid()].extend(self._workers)
            return
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()

    def run(self, spans: Iterator[Span], size: int, ahead: int) -> Iterator[tuple[Span, Outcome | None]]:
        """Run spans on `size` workers with up to `ahead` each; yield None for a block whose worker died.

        After a death no further span starts: one that ran out of memory may succeed alone.
        """
        ends = size == 0
        while True:
            while not ends and (worker := self._find_free(size, ahead)) is not None:
                span = next(spans, None)
                if span is None:
                    ends = True
                else:
                    worker.spans.append(span)
                    _send(worker, pickle.dumps(span))
            if ends and not any(worker.spans for worker in self._workers):
                return
            for worker, answer in self._answers():
                if answer is not None:
                    yield worker.spans.popleft(), answer
                for span in worker.spans if answer is None else ():
                    ends = True
                    yield span, None

    def _find_free(self, size: int, ahead: int) -> _Worker | None:
        """Find or start missing workers; return the one with the fewest spans, if it may have more."""
        while len(self._workers) < size:
            worker = _find_spare()
            if worker is None:
                worker = _start()
            elif worker.is_ready:
                _send(worker, self._job)
            self._workers.append(worker)
        ready = [worker for worker in self._workers if worker.is_ready and len(worker.spans) < ahead]
        return min(ready, key=lambda worker: len(worker.spans), default=None)

    def _answers(self) -> Iterator[tuple[_Worker, Outcome | None]]:
        """Wait for messages; yield each worker with its block, or with None if it is gone."""
        workers = {worker.connection: worker for worker in self._workers}
        for connection in wait_for_any(list(workers)):
            worker = workers[connection]  # type: ignore[index]  # only connections went in
            try:
                answer = worker.connection.recv()
            except (EOFError, OSError):
                self._discard_worker(worker)
                yield worker, None
                continue
            if isinstance(answer, BaseException):
                raise answer
            if worker.is_ready:
                yield worker, answer
            else:
                worker.is_ready = self._was_ready = True
                self._false_starts = 0
                _send(worker, self._job)

    def _discard_worker(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join(_LOOK_AT_PARENT_S)  # its pipe ends a little before it does; wait for its exit status
        worker.process.kill()  # either dead already, or useless without its pipe
        worker.process.join()
        if not worker.is_ready:
            self._false_starts += 1
            if not self._was_ready or self._false_starts == _FALSE_STARTS:
                raise SimulationError(_CANNOT_START.format(_describe_end(worker.process.exitcode))) from None


def _run_alone(pool: _WorkerPool[Outcome], job: Runnable[Outcome], span: Span) -> Outcome:
    """Run a span while the other workers are idle, halving it as long as it kills workers; return its block."""
    parts: list[tuple[Span, Outcome]] = []
    waiting = deque([span])
    deaths: list[Span] = []
    while waiting:
        part = waiting.popleft()
        if len(deaths) == _DEATHS_OF_A_SPAN:
            parts.append((part, job.failed(part, "worker", _DIED_OFTEN)))
            continue
        ((_, block),) = pool.run(iter([part]), 1, 1)
        if block is not None:
            parts.append((part, block))
            continue
        deaths.append(part)
        if part.n_policies * part.n_replications > 1:
            waiting.extend(halve(part))
        elif deaths.count(part) < _DEATHS:
            waiting.append(part)
        else:
            parts.append((part, job.failed(part, "worker", _DIED)))
    return parts[0][1] if len(parts) == 1 else job.join(span, parts)


def _find_spare() -> _Worker | None:
    """Return an idle worker that is alive."""
    while True:
        try:
            worker = _spare[os.getpid()].pop()
        except IndexError:
            return None
        if worker.process.is_alive():
            return worker
        worker.connection.close()


def _start() -> _Worker:
    """Start a worker with SIGINT blocked, so that Ctrl-C reaches only the parent."""
    # spawn, because forking a process with threads (numpy, numba, a notebook) may hang, and to behave the same on all systems.
    context = multiprocessing.get_context("spawn")
    our_end, worker_end = context.Pipe()
    process = context.Process(target=_serve, args=(worker_end,), daemon=True, name=_NAME)
    can_block = hasattr(signal, "pthread_sigmask")
    if can_block:
        resource_tracker.ensure_running()  # now, because its start unblocks SIGINT
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    except OSError as error:
        raise SimulationError(_CANNOT_START.format(error.strerror or error)) from error
    except RuntimeError:  # this process is itself a worker being started, and runs the user's script
        if multiprocessing.current_process().name == _NAME:
            raise SystemExit(_STATUS_UNGUARDED) from None
        raise
    finally:
        if can_block:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        worker_end.close()  # so that the pipe ends with the worker
    return _Worker(process, our_end)


def _describe_end(status: int | None) -> str:
    """Describe how a process ended, by its exit code in `multiprocessing`: minus the signal that killed it."""
    if status == _STATUS_UNGUARDED:
        return _UNGUARDED
    if status is None or status >= 0:
        return f"it ended with exit status {status}; see its standard error"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"it was killed by {name}" + (", perhaps out of memory" if name == "SIGKILL" else "")


def _send(worker: _Worker, message: bytes) -> None:
    with contextlib.suppress(OSError):  # a dead worker is detected on reading
        worker.connection.send_bytes(message)


def _serve(connection: Connection) -> None:
    """Run a worker: report readiness, then receive jobs and their spans until the pipe ends or it is idle for long."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Not threading.Thread: its start() waits until the thread runs, forever if memory ends in between.
    _thread.start_new_thread(_end_with_parent, ())
    with contextlib.suppress(EOFError, OSError):
        connection.send(None)
        job: Any = None
        patience_s: float | None = _IDLE_S
        while connection.poll(patience_s):
            message = connection.recv_bytes()
            try:
                received = pickle.loads(message)  # noqa: S301 - from our own parent
                if not isinstance(received, Span):
                    job = received
                    patience_s = _IDLE_S if job is None else None
                    continue
                answer: object = job.run(received)
            except Exception as error:  # noqa: BLE001 - the parent raises it
                answer = _portable(error)
            connection.send(answer)
    gc.freeze()  # memory is released with the process


def _portable(error: Exception) -> Exception:
    """Return an exception that can be sent to the parent, with the traceback as a note."""
    error.add_note("in a worker process:\n" + "".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:  # noqa: BLE001 - it can't be sent
        return SimulationError(f"{type(error).__name__}: {error}")
    return error


def _end_with_parent() -> None:
    """Exit when the parent is gone; a killed parent can't stop its workers."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    while _lives(parent):
        pass
    os._exit(1)


def _lives(parent: BaseProcess) -> bool:
    """Wait about a second; return whether a process still is this one's parent."""
    if os.name == "nt":
        return not wait_for_any([parent.sentinel], _LOOK_AT_PARENT_S)
    # Elsewhere an orphan gets another parent. The sentinel can't be used: it is a pipe that stays open if the parent was forked
    # and the copy lives on, and if no memory is left, CPython may wait for it forever.
    try:
        time.sleep(_LOOK_AT_PARENT_S)
        return os.getppid() == parent.pid
    except MemoryError:
        return True


def halve(span: Span) -> tuple[Span, Span]:
    """Halve a span of more than one cell: by replications, or by policies if it has a single replication.

    Examples
    --------
    >>> from simdeploy.experiments.jobs import Span
    >>> [(half.first, half.n_replications) for half in halve(Span(0, 0, 4, first=10, n_replications=5))]
    [(10, 2), (12, 3)]
    """
    if span.n_replications > 1:
        half = span.n_replications // 2
        later = span._replace(first=span.first + half, n_replications=span.n_replications - half)
        return span._replace(n_replications=half), later
    half = span.n_policies // 2
    return span._replace(n_policies=half), span._replace(policy=span.policy + half, n_policies=span.n_policies - half)
