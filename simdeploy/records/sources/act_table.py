"""Tables with a row per act of people."""

from __future__ import annotations

from collections.abc import Sequence

from simdeploy.records.cells import Rows
from simdeploy.records.content import Content
from simdeploy.records.parts import Part, part_of
from simdeploy.records.sources.tables import name_rollouts, read_rows, read_times
from simdeploy.records.table import ACTS

KIND = "table of acts"


def recognises(content: Content) -> bool:
    """Return whether rows have an act and its time."""
    rows = Rows.of(content)
    return rows.has("act") and rows.has("time")


def read(contents: Sequence[Content]) -> list[Part]:
    """Read tables of acts."""
    return [_read(rows, alone) for rows, alone in read_rows(contents)]


def _read(rows: Rows, alone: str) -> Part:
    acts, times = rows.word("act", ACTS), read_times(rows, ("time",))
    columns = {"rollout": name_rollouts(rows, alone), "act": acts, **times}
    rows.require("act", acts)
    rows.require("time", times.get("time_s", times.get("time")))
    rows.raise_if_refused()
    return part_of(rows, "acts", columns)
