"""Tables with a row per health window."""

from __future__ import annotations

from collections.abc import Sequence

from simdeploy.records.cells import Rows
from simdeploy.records.content import Content
from simdeploy.records.parts import Part, part_of
from simdeploy.records.sources.tables import name_rollouts, read_rows, read_times
from simdeploy.records.table import COLUMNS

KIND = "table of windows"


def recognises(content: Content) -> bool:
    """Return whether rows have the end of a window and what was measured in it."""
    rows = Rows.of(content)
    return rows.has("ended") and rows.has("requests", "failed_requests", "error_rate", "healthy")


def read(contents: Sequence[Content]) -> list[Part]:
    """Read tables of windows."""
    return [_read(rows, alone) for rows, alone in read_rows(contents)]


def _read(rows: Rows, alone: str) -> Part:
    columns = {
        "rollout": name_rollouts(rows, alone),
        "node": rows.name("node"),
        **read_times(rows, ("ended",)),
        "requests": rows.whole("requests"),
        "failed_requests": rows.whole("failed_requests"),
        "error_rate": rows.number("error_rate", most=1.0),
        **{column: rows.flag(column) for column in ("healthy", "up", "on_new_version")},
    }
    rows.require("ended", columns.get("ended_s", columns.get("ended")))
    return part_of(rows, "windows", columns, known=list(COLUMNS["windows"]))
