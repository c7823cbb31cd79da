"""The records in one file, before files are joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.records.cells import Rows

# Column with the number of a row in its file, from which its line is found.
ROW = "row"


class Dropped(NamedTuple):
    """Rows of a file that were left out."""

    file: str
    line: int | None
    rows: int
    reason: str


@dataclass(frozen=True, eq=False)
class Part:
    """What one file says."""

    file: str
    # By name of the table of `Records`, with some of its columns. Instead of `x_s`, a time may be in a column `x`
    # (datetime64[ns] in UTC, without a time zone). A column `row` has the numbers of the rows.
    frames: Mapping[str, pd.DataFrame]
    find_line: Callable[[int], int | None] = lambda _: None  # returns the line of a row
    dropped: list[Dropped] = field(default_factory=list)
    is_own: bool = False  # whether simdeploy wrote it, so that nothing in it needs to be checked or completed
    # By rollout, the time from which its times are counted if its start is unknown.
    first_seen: pd.Series | None = None
    alone: str = ""  # the rollout of windows that name none, if no other is on record

    def drop(self, rows: pd.Series, reason: str) -> None:
        """Record rows that were dropped."""
        self.dropped.append(Dropped(self.file, self.find_line(int(rows.min())), len(rows), reason))


def part_of(rows: Rows, name: str, columns: Mapping[str, object], *, known: Sequence[str] | None = None) -> Part:
    """Return a table's part: its usable rows, and why others were dropped; given the `known` columns, also those not read."""
    import numpy as np
    import pandas as pd

    frame = pd.DataFrame(
        {key: value for key, value in columns.items() if value is not None}, index=pd.RangeIndex(len(rows))
    )
    frame = frame.assign(**{ROW: np.arange(len(rows), dtype=np.int64)})
    frame = frame[rows.kept] if not rows.kept.all() else frame
    part = Part(rows.file, {name: frame}, rows.table.find_line)
    for note in (None if known is None else rows.note_unread(known), rows.note_offsets()):
        if note is not None:
            part.dropped.append(Dropped(rows.file, None, 0, note))
    for refusal in rows.refusals:
        first = int(refusal.rows[0])
        reason = str(refusal.problem(first))
        part.dropped.append(Dropped(rows.file, rows.table.find_line(first), len(refusal.rows), reason))
    return part
