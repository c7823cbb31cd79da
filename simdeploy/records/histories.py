"""The records of each rollout separately, row by row."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError, Problem, raise_if_any
from simdeploy.records.table import COLUMNS, Records
from simdeploy.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd


Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class History:
    """The records of one rollout, row by row; missing values are None."""

    rollout: Row
    nodes: list[Row]  # in the order of dispatch
    windows: list[Row]
    acts: list[Row]
    outages: list[Row]


def to_rows(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a table of records; missing values are None."""
    if frame.empty:
        return []
    names = [str(name) for name in frame]
    columns = [_to_values(column) for _, column in frame.items()]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _to_values(column: pd.Series) -> list[Any]:
    """Return the values of a column; missing ones are None."""
    values, is_missing = column.tolist(), column.isna()
    if is_missing.any():
        return [None if missing else value for value, missing in zip(values, is_missing.tolist(), strict=True)]
    return values


def to_ns(seconds: float | None) -> int | None:
    """Return seconds as whole nanoseconds."""
    return None if seconds is None else round(seconds * NS_PER_S)


def order_nodes(rows: Sequence[Row]) -> list[Row]:
    """Return the nodes of a rollout in the order of dispatch: by position, otherwise by time."""

    def key(row: Row) -> tuple[float, float]:
        position, dispatched = row["position"], row["dispatched_at_s"]
        return (math.inf if position is None else position, math.inf if dispatched is None else dispatched)

    return sorted(rows, key=key)


def read_histories(
    records: Records,
    fleet_size: int | None = None,  # size of the fleet in rollouts whose records don't state it
) -> list[History]:
    """Return the records of each rollout separately, in the order of the table.

    Raises
    ------
    InputError
        If nodes or the size of the fleet are missing.
    """
    return _fill(_list_histories(records), fleet_size)


def _list_histories(records: Records) -> list[History]:
    """Return the records of each rollout, with the recorded nodes; raise `InputError` if there is no rollout."""
    of_rollouts = {str(row["rollout"]): row for row in to_rows(records.rollouts)}
    if not of_rollouts:
        raise InputError(Problem("no rollouts", ("records",), allowed="records of at least one"))
    nodes, windows, acts = (_group(frame) for frame in (records.nodes, records.windows, records.acts))
    outages = to_rows(records.outages)
    return [
        History(rollout, order_nodes(nodes.get(name, [])), windows.get(name, []), acts.get(name, []), outages)
        for name, rollout in of_rollouts.items()
    ]


def _fill(histories: Iterable[History], fleet_size: int | None) -> list[History]:
    """Add the nodes that the records lack, given the recorded size of the fleet, otherwise `fleet_size`."""
    problems, filled = [], []
    for history in histories:
        name, rows, n_nodes = str(history.rollout["rollout"]), history.nodes, history.rollout["nodes"]
        if n_nodes is None and history.rollout["state"] == "completed":
            n_nodes = len(rows)  # all of them were updated
        if n_nodes is None:
            n_nodes = fleet_size
        if n_nodes is None or not rows or n_nodes < len(rows):
            problems.append(_explain_fleet(name, len(rows), n_nodes))
            continue
        unnamed = [_make_empty_row(name, number) for number in range(int(n_nodes) - len(rows))]
        filled.append(replace(history, nodes=[*rows, *unnamed]) if unnamed else history)
    raise_if_any(tell_once(problems))
    return filled


def _group(frame: pd.DataFrame) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in to_rows(frame):
        grouped.setdefault(str(row["rollout"]), []).append(row)
    return grouped


def _make_empty_row(rollout: str, number: int) -> Row:
    """Return the row of a node that is not on record because it was never dispatched."""
    row: Row = dict.fromkeys(COLUMNS["nodes"])
    return row | {"rollout": rollout, "node": f"(unnamed {number + 1})"}


def _explain_fleet(name: str, rows: int, n_nodes: int | None) -> Problem:
    if rows and n_nodes is None:
        message = "the size of the fleet is not on record, and another policy might have updated more nodes"
        allowed = "nodes= (--nodes N); or `nodes`, or the state completed, in a table of rollouts"
        return Problem(message, ("rollout", name), found=f"{rows} nodes", allowed=allowed)
    if not rows:
        return Problem("the nodes of each rollout are needed", ("rollout", name), found="none")
    found = f"{rows} nodes on record of {n_nodes}"
    return Problem("more nodes on record than in the fleet", ("rollout", name), found=found)


def tell_once(problems: Iterable[Problem]) -> list[Problem]:
    """Merge equal problems of several rollouts."""
    merged: dict[tuple[Any, ...], Problem] = {}
    counts: dict[tuple[Any, ...], int] = {}
    for problem in problems:
        key = (problem.message, problem.path[2:], problem.file, problem.line)
        merged.setdefault(key, problem)
        counts[key] = counts.get(key, 0) + 1
    return [_count(problem, counts[key] - 1) for key, problem in merged.items()]


def _count(problem: Problem, n_more: int) -> Problem:
    if not n_more:
        return problem
    also = f"the same in {n_more:,} more rollout{'s' if n_more > 1 else ''}"
    return replace(problem, hint=also if problem.hint is None else f"{problem.hint}; {also}")


@dataclass(frozen=True)
class PastRollouts:
    """Recorded rollouts as worlds."""

    digest: str  # of the records
    histories: tuple[History, ...] = field(compare=False, repr=False)  # in order
    is_resampled: bool = False  # whether they are drawn at random, instead of taken in order

    @classmethod
    def of(cls, records: Records) -> PastRollouts:
        """Return the rollouts of some records, with the recorded nodes.

        Raises
        ------
        InputError
            If there is no rollout.
        """
        tables = (getattr(records, each.name) for each in fields(records) if each.name != "dropped")
        text = "\n".join(table.to_csv(index=False) for table in tables)
        return cls(hashlib.sha256(text.encode()).hexdigest(), tuple(_list_histories(records)))

    def in_fleet(self, size: int) -> PastRollouts:
        """Return the rollouts with all nodes of their fleets, which have this size if the records don't state it.

        Raises
        ------
        InputError
            If nodes are missing, or there are more nodes than in the fleet.
        """
        return replace(self, histories=tuple(_fill(self.histories, size)))
