"""Reads a table of nodes as they were seen, and checks each row for contradictions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.advice.node_table import FAILED, PENDING, RUNNING, SKIPPED, STARTING, VALIDATING, NodeTable
from simdeploy.analysis.advice.observed import NO, UNKNOWN, YES
from simdeploy.analysis.advice.rows import RowProblems, read_seconds
from simdeploy.errors import InputError, Problem, shorten
from simdeploy.units import NS_PER_S

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.scenario import Scenario

_TIMES = ("dispatched_at", "started_at", "resolved_at")
_STATUSES = ("pending", "starting", "validating", "running", "failed", "skipped")
_CODES = dict(zip(_STATUSES, (PENDING, STARTING, VALIDATING, RUNNING, FAILED, SKIPPED), strict=True))
_IN_FLIGHT = -1
# Statuses of nodes in a rollback.
_BACK = {"rolling_back", "rolled_back", "rollback_failed", "removed"}


def is_table_of_nodes(columns: Any) -> bool:
    """Return whether a table with these columns has a row for each node."""
    names = set(map(str, columns))
    return "node" in names and bool(names & {"status", *_TIMES, *(f"{name}_s" for name in _TIMES)})


def read_nodes(scenario: Scenario, frame: pd.DataFrame) -> tuple[NodeTable, int | None]:
    """Read a table of nodes.

    Also return the start of the rollout (its first dispatch), nanoseconds since 1970, if the table has timestamps.

    Raises
    ------
    InputError
        If rows are invalid; the row and the reason are given.
    """
    n = scenario.fleet.nodes
    frame = frame.reset_index(drop=True)
    frame.columns = frame.columns.map(str)
    if not len(frame):
        raise InputError(Problem("nothing was seen", ("seen",), allowed="a row for each node"))
    if "rollout" in frame and frame["rollout"].nunique() > 1:
        raise InputError(Problem("nodes of several rollouts", ("seen", "rollout"), allowed="those of one"))
    if len(frame) > n:
        raise InputError(Problem("more rows than nodes", ("seen",), found=f"{len(frame)} rows", allowed=f"at most {n}"))
    problems = RowProblems("seen")
    twice = frame["node"].duplicated()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        problems.add(row + 1, "node", "the node has a row already", frame["node"][row])
        problems.raise_if_any()
    times, created_ns = _read_times(frame, problems)
    problems.raise_if_any()
    status, started = _read_statuses(frame, times, problems)
    problems.raise_if_any()
    _check_times(times, status, started, problems)
    dispatched = _find_dispatched(scenario, times, status)
    turns_ns = np.where(dispatched == NO, times["resolved_at"], times["dispatched_at"])
    order = _find_order(frame, turns_ns, status, problems)
    zones, classes = _read_zones(scenario, frame, problems), _read_classes(scenario, frame, problems)
    problems.raise_if_any()

    def place(values: np.ndarray, missing: Any) -> np.ndarray:
        placed = np.full(n, missing, dtype=values.dtype)
        placed[: len(order)] = values[order]
        return placed

    placed_status = place(np.where(status == _IN_FLIGHT, STARTING, status), PENDING)
    table = NodeTable(
        placed_status,
        place(dispatched, NO),
        place(started, NO),
        place(times["dispatched_at"], np.nan),
        place(times["started_at"], np.nan),
        place(times["resolved_at"], np.nan),
        zones=None if zones is None else place(zones, -1),
        classes=None if classes is None else place(classes, -1),
        rows=place(np.arange(1, len(frame) + 1), 0),
        names=place(frame["node"].to_numpy(dtype=object), None),
        is_ordered=bool((status != PENDING).all() or ("position" in frame and frame["position"].notna().all())),
        n_turns=int(np.flatnonzero(placed_status != PENDING).max(initial=-1)) + 1,
    )
    return table, created_ns


# -- columns -----------------------------------------------------------------------------------------


def _read_times(frame: pd.DataFrame, problems: RowProblems) -> tuple[dict[str, np.ndarray], int | None]:
    """Return times in nanoseconds after the start, NaN where empty; and the start itself, if times are timestamps."""
    times, stamps = {}, {}
    for name in _TIMES:
        times[name] = np.full(len(frame), np.nan)
        if f"{name}_s" in frame:
            for row, value in enumerate(frame[f"{name}_s"].tolist()):
                times[name][row] = _read_seconds(row, f"{name}_s", value, problems)
        elif name in frame:
            stamps[name] = _read_stamps(frame, name, problems)
    if not stamps:
        return times, None
    first = stamps.get("dispatched_at")
    if first is None or np.isnan(first).all():
        problems.problems.append(Problem("no node was dispatched", ("seen", "dispatched_at"), allowed="timestamps"))
        return times, None
    created_ns = int(np.nanmin(first))
    return times | {name: values - created_ns for name, values in stamps.items()}, created_ns


def _read_seconds(row: int, name: str, value: Any, problems: RowProblems) -> float:
    if value is None or value != value or value == "":
        return math.nan
    seconds = read_seconds(value)
    if seconds is None:
        problems.add(row + 1, name, "not an instant", value, "seconds after the start of the rollout; empty: not yet")
        return math.nan
    return float(seconds)


def _read_stamps(frame: pd.DataFrame, name: str, problems: RowProblems) -> np.ndarray:
    import pandas as pd

    given = frame[name]
    if pd.api.types.is_numeric_dtype(given):
        return given.to_numpy(dtype=float) * NS_PER_S  # seconds since 1970
    instants = pd.to_datetime(given, utc=True, format="ISO8601", errors="coerce")
    for row in np.flatnonzero(instants.isna() & given.notna() & given.ne("")).tolist():
        problems.add(row + 1, name, "not an instant", given[row], "an RFC 3339 time; empty: not yet")
    values = instants.to_numpy(dtype="datetime64[ns]").astype(np.int64).astype(float)
    stamps: np.ndarray = np.where(instants.isna(), np.nan, values)
    return stamps


def _read_statuses(
    frame: pd.DataFrame, times: dict[str, np.ndarray], problems: RowProblems
) -> tuple[np.ndarray, np.ndarray]:
    """Return each node's status, and whether it started."""
    import pandas as pd

    has = {name: ~np.isnan(times[name]) for name in _TIMES}
    status = np.full(len(frame), _IN_FLIGHT)
    words = frame["status"] if "status" in frame else pd.Series([None] * len(frame))
    for row, word in enumerate(words.tolist()):
        if word is None or word != word or word == "":
            if has["resolved_at"][row]:
                problems.add(row + 1, "status", "missing, although the node was resolved", None, "running or failed")
            elif has["started_at"][row]:
                status[row] = VALIDATING
            elif not has["dispatched_at"][row]:
                status[row] = PENDING
        elif word in _BACK:
            message = "a table of a rollback is not supported; give the deployment object instead"
            problems.add(row + 1, "status", message, word)
        elif word not in _CODES:
            problems.add_unknown(row + 1, "status", "no such status", shorten(word), _STATUSES)
        else:
            status[row] = _CODES[word]
    started = np.select(
        [
            np.isin(status, (STARTING, PENDING, SKIPPED)),
            np.isin(status, (VALIDATING, RUNNING)),
            has["started_at"],
        ],
        [NO, YES, YES],
        UNKNOWN,
    )
    # If every node that must have started has a start time, an empty cell means that a node did not start.
    has_starts = any(name in frame for name in ("started_at", "started_at_s"))
    if has_starts and has["started_at"][started == YES].all():
        started = np.where(started == UNKNOWN, NO, started)
    return status, started


def _find_dispatched(scenario: Scenario, times: dict[str, np.ndarray], status: np.ndarray) -> np.ndarray:
    """Return which nodes were dispatched; one that can't be reached at its turn fails without being dispatched."""
    dispatched = np.where(np.isin(status, (PENDING, SKIPPED)), NO, YES)
    if not any(each.may_be_unreachable for each in scenario.fleet.behaviours):
        return dispatched
    dispatched[(status == FAILED) & np.isnan(times["started_at"])] = UNKNOWN
    has_instant = ~np.isnan(times["dispatched_at"])
    # If every node that must have been dispatched has a dispatch time, an empty cell means that a node was not dispatched.
    if has_instant.any() and has_instant[dispatched == YES].all():
        dispatched[dispatched == UNKNOWN] = np.where(has_instant[dispatched == UNKNOWN], YES, NO)
    return dispatched


def _check_times(times: dict[str, np.ndarray], status: np.ndarray, started: np.ndarray, problems: RowProblems) -> None:
    """Report times that contradict each other or the status."""
    dispatched, begun, resolved = (times[name] for name in _TIMES)
    words = {code: word for word, code in _CODES.items()} | {_IN_FLIGHT: "in flight"}
    for row, code in enumerate(status.tolist()):
        for name, allowed in (
            ("dispatched_at", code not in (PENDING, SKIPPED)),
            ("started_at", started[row] != NO),
            ("resolved_at", code in (RUNNING, FAILED)),
        ):
            if not math.isnan(times[name][row]) and not allowed:
                message = f"a node that is {words[code]} has no such instant"
                problems.add(row + 1, f"{name}_s", message, f"{times[name][row] / NS_PER_S:g} s")
        if begun[row] < dispatched[row] - NS_PER_S:
            problems.add(row + 1, "started_at_s", "before its dispatch", f"{begun[row] / NS_PER_S:g} s")
        if resolved[row] < np.fmax(dispatched[row], begun[row]) - NS_PER_S:
            message = "before its dispatch" if math.isnan(begun[row]) else "before its start"
            problems.add(row + 1, "resolved_at_s", message, f"{resolved[row] / NS_PER_S:g} s")


def _find_order(frame: pd.DataFrame, turns_ns: np.ndarray, status: np.ndarray, problems: RowProblems) -> np.ndarray:
    """Return the rows in the update order: by `position`, otherwise by time of the turn, and then by row; waiting nodes come last."""
    is_pending = status == PENDING
    if "position" in frame and frame["position"].notna().all():
        positions = frame["position"].to_numpy()
        shown = positions.tolist()
        twice = frame["position"].duplicated()
        if twice.any():
            row = int(np.flatnonzero(twice)[0])
            problems.add(row + 1, "position", "another row has this place in the order", shown[row])
        order = np.argsort(positions, kind="stable")
    else:
        skipped = np.flatnonzero(status == SKIPPED).tolist()
        if skipped:
            message = "missing, although a node was skipped"
            problems.add(skipped[0] + 1, "position", message, None, "the place of each node in the order")
        order = np.lexsort((np.arange(len(frame)), np.nan_to_num(turns_ns, nan=np.inf), is_pending))
    return np.asarray(order)


def _read_zones(scenario: Scenario, frame: pd.DataFrame, problems: RowProblems) -> np.ndarray | None:
    zones = scenario.fleet.zones
    if "zone" not in frame or frame["zone"].isna().all():
        return None
    zone_numbers = np.zeros(len(frame), dtype=np.int64)
    for row, value in enumerate(frame["zone"].tolist()):
        number = float(value) if str(value).strip().replace(".0", "").isdigit() else math.nan
        if not 0 <= number < zones:
            allowed = (
                f"numbers from 0 to {zones - 1}, as in the scenario" if zones > 1 else "0: the scenario has one zone"
            )
            problems.add(row + 1, "zone", "no such zone", value, allowed)
            return None
        zone_numbers[row] = int(number)
    return zone_numbers if zones > 1 else None


def _read_classes(scenario: Scenario, frame: pd.DataFrame, problems: RowProblems) -> np.ndarray | None:
    names = ["", *(each.name for each in scenario.fleet.classes)]
    if "class" not in frame or frame["class"].isna().all():
        return None
    class_numbers = np.zeros(len(frame), dtype=np.int64)
    for row, value in enumerate(frame["class"].tolist()):
        name = "" if value is None or value != value else str(value)
        if name not in names:
            if len(names) > 1:
                problems.add_unknown(row + 1, "class", "no such class", name, names[1:])
            else:
                problems.add(row + 1, "class", "the scenario has no classes", name)
            return None
        class_numbers[row] = names.index(name)
    return class_numbers if len(names) > 1 else None
