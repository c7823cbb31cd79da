"""Work that gives one item for each group and number, such as a fit or an answer, on the executors of sweeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, NoReturn, TypeVar

from simdeploy.errors import SimulationError
from simdeploy.experiments.jobs import Span

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
