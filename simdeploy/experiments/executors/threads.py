"""Spans in this process, one by one or on threads, for engines that release the interpreter's lock."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice

from simdeploy.experiments.jobs import Outcome, Runnable, Span


@dataclass(frozen=True)
class InProcess:
    """Runs spans in this process.

    Examples
    --------
    >>> from simdeploy.experiments import replicate
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "policies": {"all-at-once": {"strategy": "immediate"}},
    ... })
    >>> replicate(scenario, replications=2, executor=InProcess())["makespan_s"].to_list()
    [60.0, 60.0]
    """

    def run(self, job: Runnable[Outcome], spans: Iterator[Span]) -> Generator[tuple[Span, Outcome], None, None]:
        """Yield each span with its block, in order."""
        for span in spans:
            yield span, job.run(span)


@dataclass(frozen=True)
class Threads:
    """Runs spans on threads, which start instantly and share compiled code.

    Examples
    --------
    >>> from simdeploy.experiments import replicate
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "policies": {"all-at-once": {"strategy": "immediate"}},
    ... })
    >>> replicate(scenario, replications=2, executor=Threads(2))["makespan_s"].to_list()
    [60.0, 60.0]
    """

    workers: int

    def run(self, job: Runnable[Outcome], spans: Iterator[Span]) -> Generator[tuple[Span, Outcome], None, None]:
        """Yield each span with its block as they finish, with at most two spans in flight per thread.

        Closing it, or Ctrl-C, waits for running spans and starts no others.
        """
        under_way: dict[Future[Outcome], Span] = {}
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="simdeploy")
        try:
            while True:
                # One more span than each thread can run, so that no thread waits for the consumer.
                for span in islice(spans, 2 * self.workers - len(under_way)):
                    under_way[pool.submit(job.run, span)] = span
                if not under_way:
                    return
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    yield under_way.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)
