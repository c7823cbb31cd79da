"""The parts of a store: a span each, or a few where there are very many; numbered in the order of the spans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from simdeploy.experiments.cutting import cut_from_json, cut_job, cut_to_json, spans
from simdeploy.experiments.rows import make_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from simdeploy.engines.block import Block
    from simdeploy.experiments.cases import Cases
    from simdeploy.experiments.jobs import Span

    Simulate = Callable[[Iterator[Span]], Generator[tuple[Span, Block], None, None]]

# A folder of very many small files is slow to read, and a part of very many rows takes much memory.
_MOST_PARTS = 1000
_MOST_ROWS = 200_000


def cut_parts(cases: Cases, replications: int) -> dict[str, Any]:
    """Decide how the work is cut, in a value that JSON knows.

    Parameters
    ----------
    cases : Cases
    replications : int

    Returns
    -------
    dict
        `engine`, so that all parts are of the same; `pieces`, how large the spans of each group are; `spans_per_part`;
        `n_parts`.

    Notes
    -----
    A span takes about a second. There are at most some thousand parts as long as none has more than 200,000 rows.
    """
    cut = cut_job(cases.job, replications)
    sizes = [count_rows(cases, span) for span in spans(cut, cases.job, replications)]
    per_part = max(1, min(ceil(len(sizes) / _MOST_PARTS), _MOST_ROWS // max(sizes)))
    return {
        "engine": cases.job.engine,
        "pieces": cut_to_json(cut),
        "spans_per_part": per_part,
        "n_parts": ceil(len(sizes) / per_part),
    }


def count_rows(cases: Cases, span: Span) -> int:
    """Return how many rows a span has."""
    return len(cases.numbers(span)) * span.n_replications


@dataclass(frozen=True)
class Parts:
    """The parts that a cut makes.

    Attributes
    ----------
    cases : Cases
    replications : int
    cut : mapping
        As from `cut_parts`.
    first : int
        The first replication.
    """

    cases: Cases
    replications: int
    cut: Mapping[str, Any]
    first: int = 0

    @property
    def number(self) -> int:
        """How many there are."""
        n_parts: int = self.cut["n_parts"]
        return n_parts

    def spans(self) -> Iterator[tuple[int, Span]]:
        """Yield every span with the number of its part, in order."""
        cut = cut_from_json(self.cut["pieces"])
        for place, span in enumerate(spans(cut, self.cases.job, self.replications, first=self.first)):
            yield place // self.cut["spans_per_part"], span

    def n_rows(self, finished: AbstractSet[int]) -> int:
        """Return how many rows the finished ones have."""
        return sum(count_rows(self.cases, span) for part, span in self.spans() if part in finished)

    def gather(self, finished: AbstractSet[int], simulate: Simulate) -> Generator[tuple[int, pa.Table], None, None]:
        """Simulate what isn't finished, and yield the rows of each part when all of its spans are there.

        Parameters
        ----------
        finished : set of int
        simulate : callable
            Yields each of the spans that it is given with its block, in any order.

        Yields
        ------
        int, pyarrow.Table
            The parts in any order, the rows of a part always in the same.
        """
        import pyarrow as pa

        missing = Counter(part for part, _ in self.spans() if part not in finished)
        under_way: dict[Span, int] = {}
        tables: dict[int, dict[Span, pa.Table]] = {}

        def pieces() -> Iterator[Span]:
            for part, span in self.spans():
                if part in missing:
                    under_way[span] = part
                    yield span

        with closing(simulate(pieces())) as blocks:
            for span, block in blocks:
                part = under_way.pop(span)
                tables.setdefault(part, {})[span] = make_rows(self.cases, span, block)
                missing[part] -= 1
                if not missing[part]:
                    ordered = sorted(tables.pop(part).items())
                    yield part, pa.concat_tables(table for _, table in ordered)
