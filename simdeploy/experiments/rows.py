"""The rows of a sweep: blocks beside what identifies their cases, in memory or in a store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from simdeploy.experiments.store.columns import fit_table
from simdeploy.experiments.table import block_to_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from simdeploy.engines.block import Block
    from simdeploy.experiments.cases import Cases
    from simdeploy.experiments.jobs import Span

_TOLD_OF_FAILURES = ("case", "replication", "status", "stage", "error")


class Rows(Protocol):
    """Where the rows of a sweep are; a stored table is one, too."""

    def to_frame(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return some columns of all rows, in any order of the rows."""

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield some columns of the rows, a part at a time."""


@dataclass(frozen=True)
class RowsInMemory:
    """Blocks, which become rows when they are asked for.

    Attributes
    ----------
    cases : Cases
    blocks : list of (Span, Block)
    """

    cases: Cases
    blocks: list[tuple[Span, Block]]

    def to_frame(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return some columns of all rows."""
        import pyarrow as pa

        frame: pd.DataFrame = pa.concat_tables(self._tables(columns)).to_pandas()
        return frame

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield some columns of the rows, a span at a time."""
        for table in self._tables(columns):
            yield table.to_pandas()

    def _tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        for span, block in self.blocks:
            yield fit_table(make_rows(self.cases, span, block, columns), None)


class Failures(NamedTuple):
    """How many replications failed, and the first of them in words."""

    number: int
    first: str


def count_failures(rows: Rows) -> Failures:
    """Count the replications that failed."""
    if isinstance(rows, RowsInMemory):
        rows = replace(rows, blocks=[(span, block) for span, block in rows.blocks if not block.is_ok.all()])
    number, first = 0, ""
    for batch in rows.batches(_TOLD_OF_FAILURES):
        failed = batch[batch["status"].eq("failed")]
        if len(failed) and not number:
            row = failed.iloc[0]
            first = f"case {row['case']}, replication {row['replication']}, {row['stage']}: {row['error']}"
        number += len(failed)
    return Failures(number, first)


def make_rows(cases: Cases, span: Span, block: Block, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of a span: by case, then by replication.

    Parameters
    ----------
    cases : Cases
    span : Span
    block : Block
    columns : sequence of str, optional
        All of them by default.

    Returns
    -------
    pyarrow.Table
        Columns and types don't depend on the span.
    """
    import pyarrow as pa

    numbers = cases.numbers(span)
    of_cases = replace(block, index=block.index[cases.place[numbers] - span.policy])
    chosen = cases.row_columns if columns is None else columns
    keys = {name: column.take(pa.array(numbers)) for name, column in cases.columns.items() if name in chosen}
    table = block_to_table(of_cases, keys=keys, columns=chosen).select(chosen)
    # Numbers in which nothing is missing in any part are int64 in pandas, the others Int64.
    complete = {"replication", *(name for name, column in cases.columns.items() if not column.null_count)}
    return table.cast(pa.schema([field.with_nullable(field.name not in complete) for field in table.schema]))
