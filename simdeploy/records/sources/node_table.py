"""Tables with a row per node of a rollout."""

from __future__ import annotations

from collections.abc import Sequence

from simdeploy.records.cells import Rows
from simdeploy.records.content import Content
from simdeploy.records.parts import Part, part_of
from simdeploy.records.sources.tables import name_rollouts, read_rows, read_times
from simdeploy.records.table import CAUSES, COLUMNS
from simdeploy.vocabulary import NODE_STATUSES

KIND = "table of nodes"

TIMES = ("dispatched_at", "started_at", "resolved_at", "heard_at", "watched_until")


def recognises(content: Content) -> bool:
    """Return whether rows have a node and its outcome."""
    rows = Rows.of(content)
    return rows.has("node") and rows.has(*TIMES[:4], "attempts", "status", "cause")


def read(contents: Sequence[Content]) -> list[Part]:
    """Read tables of nodes."""
    return [_read(rows, alone) for rows, alone in read_rows(contents)]


def _read(rows: Rows, alone: str) -> Part:
    columns = {
        "rollout": name_rollouts(rows, alone),
        "node": rows.name("node"),
        "class": rows.name("class"),
        "zone": rows.name("zone"),
        "position": rows.whole("position"),
        "status": rows.word("status", NODE_STATUSES),
        "cause": rows.word("cause", CAUSES),
        "attempts": rows.whole("attempts"),
        **read_times(rows, TIMES),
    }
    rows.require("node", columns["node"])
    return part_of(rows, "nodes", columns, known=[*COLUMNS["nodes"], *TIMES])
