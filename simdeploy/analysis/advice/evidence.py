"""Reads the request counts that were seen during a rollout: health windows of nodes, and totals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.advice.node_table import FAILED, RUNNING, VALIDATING, NodeTable
from simdeploy.analysis.advice.observed import UNKNOWN, YES, Total
from simdeploy.analysis.advice.rows import RowProblems
from simdeploy.errors import InputError, Problem, shorten
from simdeploy.records import Records
from simdeploy.rules.health import read_health_rule
from simdeploy.units import NS_PER_S

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.advice.seen import Seen
    from simdeploy.rules.waves import Plan
    from simdeploy.scenario import Scenario

_VERSIONS = ("new", "old")
_FORMS = "rows with requests and failed, and node or wave, version, from_s and to_s where known"
# Names of these columns in other tables.
_NAMES = {"failed_requests": "failed", "ended_s": "to_s", "at_s": "to_s", "at": "to_s"}
_MOST_REQUESTS = 10**12


def read_evidence(scenario: Scenario, plan: Plan, seen: Seen, given: Any) -> Seen:
    """Return what was seen, with the request counts of nodes' health windows and the totals added."""
    if given is None:
        return seen
    frame = _read_frame(given)
    problems = RowProblems("evidence")
    rows = [_read_row(number, row, problems) for number, row in enumerate(frame.to_dict("records"), start=1)]
    problems.raise_if_any()
    of_nodes = [row for row in rows if row["node"] is not None]
    totals = tuple(_read_total(plan, seen, row, problems) for row in rows if row["node"] is None)
    problems.raise_if_any()
    if of_nodes:
        if seen.nodes is None:
            message = "windows of nodes need a table of nodes as `seen`"
            raise InputError(Problem(message, ("evidence", "node"), allowed="totals, without node"))
        seen = replace(seen, nodes=_add_windows(scenario, seen, seen.nodes, of_nodes))
        ends = [row["to_s"] for row in of_nodes if row["to_s"] is not None]
        seen = seen.know_instant(round(max(ends) * NS_PER_S)) if ends else seen
    return replace(seen, totals=totals)


def _read_frame(given: Any) -> pd.DataFrame:
    import pandas as pd

    if isinstance(given, Records):
        given = given.windows.dropna(axis=1, how="all")
    if (
        isinstance(given, Sequence)
        and not isinstance(given, str | bytes)
        and all(isinstance(x, Mapping) for x in given)
    ):
        given = pd.DataFrame(list(given))
    if not isinstance(given, pd.DataFrame):
        raise InputError(Problem("not counts of requests", ("evidence",), found=shorten(given), allowed=_FORMS))
    frame = given.rename(columns={column: name for column, name in _NAMES.items() if name not in given})
    if not {"requests", "failed"} <= set(frame.columns):
        raise InputError(Problem("not counts of requests", ("evidence",), allowed=_FORMS))
    return frame


def _read_row(number: int, row: Mapping[Any, Any], problems: RowProblems) -> dict[str, Any]:
    """Return a row with all columns; None where empty."""
    fields: dict[str, Any] = {"row": number}
    for name in ("version", "node", "wave", "from_s", "to_s", "requests", "failed"):
        value = row.get(name)
        fields[name] = None if value is None or value != value or value == "" else value
    for name in ("requests", "failed"):
        value = fields[name]
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 <= value <= _MOST_REQUESTS
            or value != int(value)
        ):
            problems.add(number, name, "not a number of requests", value, "a whole number from 0")
            fields[name] = 0
        fields[name] = int(fields[name])
    if fields["failed"] > fields["requests"]:
        problems.add(
            number, "failed", "more failed requests than requests", fields["failed"], f"at most {fields['requests']}"
        )
    fields["version"] = "new" if fields["version"] is None else fields["version"]
    if fields["version"] not in _VERSIONS:
        problems.add_unknown(number, "version", "no such version", fields["version"], _VERSIONS)
    for name in ("from_s", "to_s"):
        value = fields[name]
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e10
        ):
            allowed = "seconds after the start of the rollout"
            problems.add(number, name, "not an instant", value, allowed)
            fields[name] = None
    return fields


def _read_total(plan: Plan, seen: Seen, row: Mapping[str, Any], problems: RowProblems) -> Total:
    number, wave = row["row"], row["wave"]
    from_ns = 0.0 if row["from_s"] is None else row["from_s"] * NS_PER_S
    to_ns = float(seen.at_ns) if row["to_s"] is None else row["to_s"] * NS_PER_S
    if to_ns > seen.at_ns:
        problems.add(number, "to_s", "after the time of observation", row["to_s"], f"at most {seen.at_ns / NS_PER_S:g}")
    elif to_ns <= from_ns:
        problems.add(number, "to_s", "not after from_s", row["to_s"])
    if wave is not None:
        is_one = not isinstance(wave, bool) and isinstance(wave, int | float) and wave in range(1, len(plan.sizes) + 1)
        if not is_one or row["version"] == "old":
            message = "no such wave" if not is_one else "nodes on the old version have no wave"
            problems.add(number, "wave", message, wave, f"1 to {len(plan.sizes)}")
            wave = None
    return Total(
        row["version"], row["requests"], row["failed"], None if wave is None else int(wave) - 1, from_ns, to_ns, number
    )


def _add_windows(scenario: Scenario, seen: Seen, table: NodeTable, rows: Sequence[Mapping[str, Any]]) -> NodeTable:
    """Return a table of nodes with the counts of their windows, and the start times that these imply."""
    rule = read_health_rule(seen.policy.policy, scenario.orchestrator_of(seen.policy))
    if not rule.is_checked or not rule.windows_needed:
        raise InputError(Problem("nodes have no health windows under this policy", ("evidence", "node")))
    places = {str(name): place for place, name in enumerate(table.names.tolist()) if name is not None}
    by_place: dict[int, list[Mapping[str, Any]]] = {}
    problems = RowProblems("evidence")
    for row in rows:
        place = places.get(str(row["node"]))
        if place is None:
            problems.add_unknown(row["row"], "node", "no such node", str(row["node"]), list(places))
        elif row["version"] == "old":
            message = "windows of a node on the old version are not supported"
            problems.add(row["row"], "version", message, "old", "totals, without node")
        elif table.status[place] not in (VALIDATING, RUNNING, FAILED) and table.started[place] != UNKNOWN:
            problems.add(row["row"], "node", "has windows, although it has not started", str(row["node"]))
        else:
            by_place.setdefault(place, []).append(row)
    problems.raise_if_any()
    started_ns, started = table.started_ns.copy(), table.started.copy()
    windows: list[tuple[tuple[int, int], ...]] = [()] * len(table.status)
    for place, of_node in by_place.items():
        if all(row["to_s"] is not None for row in of_node):
            of_node.sort(key=lambda row: row["to_s"])
            _place_windows(of_node, rule.interval_ns, place, started_ns, problems)
        windows[place] = tuple((row["requests"], row["failed"]) for row in of_node)
        started[place] = YES
    problems.raise_if_any()
    return replace(table, started=started, started_ns=started_ns, windows=tuple(windows))


def _place_windows(
    rows: Sequence[Mapping[str, Any]], interval_ns: int, place: int, started_ns: np.ndarray, problems: RowProblems
) -> None:
    """Infer a node's start from the times at which its consecutive windows ended, and check that these fit."""
    starts = [row["to_s"] * NS_PER_S - number * interval_ns for number, row in enumerate(rows, start=1)]
    start = started_ns[place]
    start = (min(starts) + max(starts)) / 2 if math.isnan(start) else start
    for row, each in zip(rows, starts, strict=True):
        if abs(each - start) > NS_PER_S:
            allowed = (
                f"windows of {interval_ns / NS_PER_S:g} s each, from the start of the node at {start / NS_PER_S:g} s"
            )
            problems.add(row["row"], "to_s", "no window of the node ends then", row["to_s"], allowed)
    started_ns[place] = start
