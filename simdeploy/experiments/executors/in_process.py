"""One span after the other, in this process."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

from simdeploy.engines.block import Block
from simdeploy.experiments.jobs import Job, Span


@dataclass(frozen=True)
class InProcess:
    """Runs spans here and now.

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

    def run(self, job: Job, spans: Iterator[Span]) -> Generator[tuple[Span, Block], None, None]:
        """Yield each span with its block, in order."""
        for span in spans:
            yield span, job.run(span)
