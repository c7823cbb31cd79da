"""The rows of a sweep, in memory or in a store, cut into parts in the table's order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

import numpy as np

from simdeploy.engines.block import Block
from simdeploy.experiments.cutting import even_size
from simdeploy.experiments.store.part import fit_table
from simdeploy.experiments.table import Outcomes

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from simdeploy.experiments.cases import Cases
    from simdeploy.experiments.jobs import Span

_MOST_ROWS = 200_000  # of a batch

_FAILURE_COLUMNS = ("case", "replication", "status", "stage", "error")


class Rectangle(NamedTuple):
    """Some replications of consecutive cases."""

    cases: range
    replications: range


@dataclass(frozen=True)
class Layout:
    """Division of a table's rows into parts, by case, then by replication.

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
        """Return a layout of equal parts with a limited number of rows and cases.

        Examples
        --------
        >>> Layout.of_size(400, range(1000), n_rows=150_000)
        Layout(n_cases=400, replications=range(0, 1000), cases_per_part=134, replications_per_part=1000)
        """
        cases_per_part = max(1, min(n_rows // len(replications), most_cases or n_cases))
        return cls(n_cases, replications, even_size(n_cases, cases_per_part), even_size(len(replications), n_rows))

    @property
    def n_chunks(self) -> int:
        """Number of parts of a case's replications."""
        return ceil(len(self.replications) / self.replications_per_part)

    @property
    def n_parts(self) -> int:
        """Number of parts."""
        return ceil(self.n_cases / self.cases_per_part) * self.n_chunks

    def part(self, number: int) -> Rectangle:
        """Return the cases and replications of a part."""
        block, chunk = divmod(number, self.n_chunks)
        first = block * self.cases_per_part
        cases = range(first, min(first + self.cases_per_part, self.n_cases))
        return Rectangle(cases, self.replications[chunk * self.replications_per_part :][: self.replications_per_part])

    def parts_of(self, cases: range) -> range:
        """Return the numbers of all parts that contain some of the cases."""
        first, stop = cases.start // self.cases_per_part, ceil(cases.stop / self.cases_per_part)
        return range(first * self.n_chunks, stop * self.n_chunks)

    def count_rows(self, parts: Iterable[int]) -> int:
        """Return the number of rows of some parts."""
        return sum(len(cases) * len(replications) for cases, replications in map(self.part, parts))


class Rows(Protocol):
    """Rows of a sweep; a stored table qualifies."""

    def to_frame(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return some columns of all rows, by case, then by replication."""

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield some columns of all rows in parts, in order."""


@dataclass(frozen=True)
class RowsInMemory:
    """Blocks, converted to rows on demand."""

    cases: Cases
    blocks: list[tuple[Span, Block]]

    def to_frame(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return some columns of all rows."""
        import pyarrow as pa

        frame: pd.DataFrame = pa.concat_tables(self._tables(columns)).to_pandas(use_threads=False)
        return frame

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield some columns, some hundred thousand rows at a time."""
        first = 0
        for table in self._tables(columns):
            frame: pd.DataFrame = table.to_pandas(use_threads=False)
            frame.index += first
            first += len(frame)
            yield frame

    def to_outcomes(self, columns: Sequence[str]) -> Outcomes:
        """Return some columns by case and replication."""
        replications = self._replications
        outcomes = Outcomes(len(self.cases), len(replications), first=replications.start, columns=columns)
        for span, block in self.blocks:
            numbers = self.cases.within(span, self.cases.numbers)
            outcomes.put(numbers, self.cases.rows_of(span, block, numbers))
        return outcomes

    def failing(self) -> Iterator[pd.DataFrame]:
        """Yield the failures of each block that has some."""
        for span, block in self.blocks:
            if not block.is_ok.all():
                here = self.cases.within(span, self.cases.numbers)
                numbers = range(int(here[0]), int(here[-1]) + 1)
                replications = range(span.first, span.first + span.n_replications)
                yield make_rows(self.cases, numbers, replications, [(span, block)], _FAILURE_COLUMNS).to_pandas()

    @property
    def _replications(self) -> range:
        stop = max(span.first + span.n_replications for span, _ in self.blocks)
        return range(min(span.first for span, _ in self.blocks), stop)

    def _tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        layout = Layout.of_size(len(self.cases), self._replications, n_rows=_MOST_ROWS)
        for number in range(layout.n_parts):
            yield fit_table(make_rows(self.cases, *layout.part(number), self.blocks, columns), None)


def sort_rows(rows: Rows, columns: Sequence[str]) -> pd.DataFrame:
    """Return some columns of rows whose batches are unordered, sorted by case, then by replication."""
    import pandas as pd

    needed = list(dict.fromkeys([*columns, "case", "replication"]))
    joined = pd.concat(list(rows.batches(needed)), ignore_index=True)
    return joined.sort_values(["case", "replication"], ignore_index=True)[list(columns)]


class Failures(NamedTuple):
    """Number of failed replications, with the first one's case and description."""

    number: int
    case: int
    first: str


def count_failures(rows: Rows) -> Failures:
    """Count failed replications."""
    number, case, first = 0, -1, ""
    for batch in rows.failing() if isinstance(rows, RowsInMemory) else rows.batches(_FAILURE_COLUMNS):
        failed = batch[batch["status"].eq("failed")]
        if len(failed) and not number:
            row = failed.iloc[0]
            case = int(row["case"])
            first = f"replication {row['replication']}, {row['stage']}: {row['error']}"
        number += len(failed)
    return Failures(number, case, first)


def make_rows(
    cases: Cases,
    numbers: range,
    replications: range,
    blocks: Iterable[tuple[Span, Block]],
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Return the rows of some replications of consecutive cases: by case, then by replication.

    The blocks cover all rows, and possibly more. Columns and types don't depend on the selection or the blocks.
    """
    import pyarrow as pa

    table = cases.table
    chosen = table.row_columns if columns is None else columns
    outcomes = Outcomes(len(numbers), len(replications), first=replications.start, columns=chosen)
    for span, block in blocks:
        here = cases.within(span, numbers)
        first = max(span.first, replications.start)
        stop = min(span.first + span.n_replications, replications.stop)
        if len(here) and first < stop:
            of_cases = cases.rows_of(span, block, here)
            index = of_cases.index[:, first - span.first : stop - span.first]
            outcomes.put(here - numbers.start, replace(of_cases, first=first, index=index))
    for case in range(numbers.start, numbers.stop):
        if case in cases.broken:
            outcomes.put(case - numbers.start, _failed_block(cases.broken[case], replications))
    keys = {name: column[numbers.start : numbers.stop] for name, column in table.columns.items() if name in chosen}
    rows = outcomes.to_table(keys).select(chosen)
    # Whole numbers that can't be missing are int64 in pandas, the others Int64.
    complete = {"replication", *(name for name, column in table.columns.items() if not column.null_count)}
    return rows.cast(pa.schema([field.with_nullable(field.name not in complete) for field in rows.schema]))


def _failed_block(error: str, replications: range) -> Block:
    """Return the failed outcomes of an invalid case."""
    row = {"status": "failed", "stage": "check", "error": error}
    block = Block.of_rows(replications.start, [[row]])
    return replace(block, index=np.zeros((1, len(replications)), dtype=np.int32))
