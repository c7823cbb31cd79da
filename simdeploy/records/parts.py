"""What one file says, before files are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.records.cells import Rows

# The number of a row in its file, by which its line is found.
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
    # By the name of the table of `Records`, with some of its columns. A time `x_s` may be in a column `x` instead, as
    # an instant (datetime64[ns], without a zone: in UTC). A column `row` has the numbers of the rows.
    frames: Mapping[str, pd.DataFrame]
    find_line: Callable[[int], int | None] = lambda _: None  # from the number of a row to its line
    dropped: list[Dropped] = field(default_factory=list)
    is_own: bool = False  # whether simdeploy wrote it, so that nothing in it needs to be checked or completed
    # By rollout, an instant from which its times are counted if no start of it is known.
    first_seen: pd.Series | None = None
    alone: str = ""  # name of the rollout that windows without one are of, if no other is on record

    def drop(self, rows: pd.Series, reason: str) -> None:
        """Remember rows that were left out."""
        self.dropped.append(Dropped(self.file, self.find_line(int(rows.min())), len(rows), reason))


def part_of(rows: Rows, name: str, columns: Mapping[str, object], *, known: Sequence[str] | None = None) -> Part:
    """Return a table's part: the rows that can be used, and why others can't; with the columns that are `known`, which weren't read."""
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
