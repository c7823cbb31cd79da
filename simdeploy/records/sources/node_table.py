"""Tables with a row per node of a rollout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from simdeploy.records.cells import Rows
from simdeploy.records.content import Content
from simdeploy.records.naming import name_files
from simdeploy.records.parts import Part, part_of
from simdeploy.records.table import CAUSES, COLUMNS
from simdeploy.vocabulary import NODE_STATUSES

if TYPE_CHECKING:
    import pandas as pd

KIND = "table of nodes"

TIMES = ("dispatched_at", "started_at", "resolved_at", "heard_at", "watched_until")


def recognises(content: Content, names: Mapping[str, str]) -> bool:
    """Return whether rows have a node and its outcome."""
    rows = Rows.of(content, names)
    return rows.has("node") and rows.has(*TIMES[:4], "attempts", "status", "cause")


def read(contents: Sequence[Content], names: Mapping[str, str]) -> list[Part]:
    """Read tables of nodes."""
    return [_read(rows, alone) for rows, alone in read_rows(contents, names)]


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


def read_rows(contents: Sequence[Content], names: Mapping[str, str]) -> Iterator[tuple[Rows, str]]:
    """Yield the rows of tables of one kind, and the name of the rollout of those that name none."""
    tables = [Rows.of(content, names) for content in contents]
    unnamed = [rows.file for rows in tables if not rows.has("rollout")]
    names_of_files = dict(zip(unnamed, name_files(unnamed), strict=True))
    for rows in tables:
        yield rows, names_of_files.get(rows.file, "")


def name_rollouts(rows: Rows, alone: str) -> pd.Series | str:
    """Return the names of the rollouts; a table without them has one rollout."""
    rollouts = rows.name("rollout")
    if rollouts is None:
        return alone
    rows.require("rollout", rollouts)
    return rollouts


def read_times(rows: Rows, times: Sequence[str]) -> dict[str, object]:
    """Return columns of times by name, which ends with `_s` if they are in seconds."""
    columns: dict[str, object] = {}
    for name in times:
        column = rows.times(name)
        if column is not None:
            columns[f"{name}_s" if column.instants is None else name] = (
                column.seconds if column.instants is None else column.instants
            )
    return columns
