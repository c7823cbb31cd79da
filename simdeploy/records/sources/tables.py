"""What the tables of all kinds have in common: names of rollouts, and times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from simdeploy.records.cells import Rows
from simdeploy.records.content import Content
from simdeploy.records.naming import name_files

if TYPE_CHECKING:
    import pandas as pd


def read_rows(contents: Sequence[Content]) -> Iterator[tuple[Rows, str]]:
    """Yield the rows of tables of one kind, and the name of the rollout of those that name none."""
    tables = [Rows.of(content) for content in contents]
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
