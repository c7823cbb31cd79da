"""How the rows of a table are cut into parts that read in the table's order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple, Self


class Rectangle(NamedTuple):
    """Some replications of consecutive cases."""

    cases: range
    replications: range


@dataclass(frozen=True)
class Layout:
    """How the rows of a table are cut into parts that read in the table's order, by case, then by replication.

    A part has all replications of a few cases, or some replications of one case.

    Examples
    --------
    >>> layout = Layout(5, range(100), cases_per_part=2, replications_per_part=100)
    >>> layout.n_parts, layout.part(2)
    (3, Rectangle(cases=range(4, 5), replications=range(0, 100)))
    >>> layout = Layout(5, range(100), cases_per_part=1, replications_per_part=60)
    >>> layout.n_parts, layout.part(3)
    (10, Rectangle(cases=range(1, 2), replications=range(60, 100)))
    """

    n_cases: int
    replications: range
    cases_per_part: int
    replications_per_part: int

    @classmethod
    def of_size(cls, n_cases: int, replications: range, *, n_rows: int, most_cases: int | None = None) -> Self:
        """Return a layout of parts that are alike, with at most so many rows and cases.

        Examples
        --------
        >>> Layout.of_size(400, range(1000), n_rows=150_000)
        Layout(n_cases=400, replications=range(0, 1000), cases_per_part=134, replications_per_part=1000)
        """
        cases_per_part = max(1, min(n_rows // len(replications), most_cases or n_cases))
        return cls(n_cases, replications, _evened(n_cases, cases_per_part), _evened(len(replications), n_rows))

    @property
    def n_chunks(self) -> int:
        """Into how many parts the replications of a case are cut."""
        return ceil(len(self.replications) / self.replications_per_part)

    @property
    def n_parts(self) -> int:
        """How many parts there are."""
        return ceil(self.n_cases / self.cases_per_part) * self.n_chunks

    def part(self, number: int) -> Rectangle:
        """Return what is in a part."""
        block, chunk = divmod(number, self.n_chunks)
        first = block * self.cases_per_part
        cases = range(first, min(first + self.cases_per_part, self.n_cases))
        return Rectangle(cases, self.replications[chunk * self.replications_per_part :][: self.replications_per_part])

    def parts_of(self, cases: range) -> range:
        """Return the numbers of the parts of some cases: all that have one of them."""
        first, stop = cases.start // self.cases_per_part, ceil(cases.stop / self.cases_per_part)
        return range(first * self.n_chunks, stop * self.n_chunks)

    def count_rows(self, parts: Iterable[int]) -> int:
        """Return how many rows some parts have."""
        return sum(len(cases) * len(replications) for cases, replications in map(self.part, parts))


def _evened(total: int, most: int) -> int:
    """Cut `total` into equal parts of at most `most` and return the largest one."""
    return ceil(total / ceil(total / most))
