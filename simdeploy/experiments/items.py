"""Work that gives one item for each group and number, such as a fit or an answer, on the executors of sweeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

from simdeploy.errors import SimulationError
from simdeploy.experiments.jobs import Span

if TYPE_CHECKING:
    from simdeploy.experiments.arguments import Progress
    from simdeploy.experiments.jobs import Executor

Item = TypeVar("Item")


class Items(ABC, Generic[Item]):
    """Work whose spans are lists of items; a span's replications are the numbers of its items.

    An item that can't be made is an error, unlike a failed replication: a mean without it would be wrong.
    """

    @abstractmethod
    def make(self, group: int, number: int) -> Item:
        """Make an item."""

    @abstractmethod
    def name(self, group: int, number: int) -> str:
        """Return what an error calls an item."""

    def run(self, span: Span) -> list[Item]:
        """Make the items of a span."""
        return [self.make(span.group, number) for number in range(span.first, span.first + span.n_replications)]

    def failed(self, span: Span, stage: str, error: str) -> NoReturn:
        """Raise the error of a span that could not be run."""
        raise SimulationError(f"{self.name(span.group, span.first)} failed ({stage}): {error}")

    def join(self, span: Span, parts: Sequence[tuple[Span, list[Item]]]) -> list[Item]:  # noqa: ARG002
        """Join the items of a span's parts, in order."""
        return [item for _, items in sorted(parts, key=lambda part: part[0].first) for item in items]


def make_items(
    work: Items[Item],
    n_groups: int,
    numbers: range,  # of the items in each group
    executor: Executor,
    report: Progress | None = None,
    *,
    at_once: int = 1,  # items in a span
) -> list[list[Item]]:
    """Return the items of each group, in order."""
    starts = numbers[::at_once]
    spans = (
        Span(group, 0, 1, first, min(at_once, numbers.stop - first)) for group in range(n_groups) for first in starts
    )
    found: list[dict[int, Item]] = [{} for _ in range(n_groups)]
    done, total = 0, n_groups * len(numbers)
    if report is not None:
        report(done, total)
    with closing(executor.run(work, spans)) as finished:
        for span, items in finished:
            found[span.group].update(enumerate(items, start=span.first))
            done += len(items)
            if report is not None:
                report(done, total)
    return [[of_group[number] for number in numbers] for of_group in found]
