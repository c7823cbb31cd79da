"""Extracts from the records of a rollout what is known of each of its nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from simdeploy.engines.replay.known import KnownNode, KnownRollout, Outage, SeenWindow
from simdeploy.errors import InputError, Problem, plural
from simdeploy.records.histories import History, Row, to_ns
from simdeploy.rules.health import HealthRule, judges_waves, read_health_rule
from simdeploy.rules.waves import plan_waves
from simdeploy.world.operator import ScriptedAct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import Policy


_TAKEN_BACK = ("rolling_back", "rolled_back", "rollback_failed", "removed")


class RunBy(NamedTuple):
    """The policy and the switches that a rollout was run by."""

    policy: Policy
    orchestrator: Orchestrator


def know(
    history: History,
    run_by: RunBy | None,  # None if that is not on record
    interval_ns: int,  # of its health windows
) -> KnownRollout:
    """Return a rollout as known from its record.

    Raises
    ------
    InputError
        If times are missing that a replay needs.
    """
    nodes = history.nodes
    zones = number([row["zone"] for row in nodes])
    rule = None if run_by is None else read_health_rule(run_by.policy, run_by.orchestrator)
    places = {row["node"]: place for place, row in enumerate(nodes)}
    windows = _sort_windows(history, places)
    has_windows = _have_windows(history, run_by, rule)
    outages = _place_outages(history)
    known = [
        _know_node(row, rule, windows.of_new.get(place, []) if has_windows else None, interval_ns, outages[place])
        for place, row in enumerate(nodes)
    ]
    missing = [str(row["node"]) for row, node in zip(nodes, known, strict=True) if node is None]
    if missing:
        message = "a backtest needs the times of each node's dispatch and start, and one is missing"
        raise InputError(
            Problem(
                message,
                ("rollout", str(history.rollout["rollout"])),
                found=f"{plural(len(missing), 'node')}, such as {missing[0]}",
                allowed="dispatched_at_s, and started_at_s of nodes that started",
            )
        )
    acts = tuple(
        ScriptedAct(to_ns(row["time_s"]) or 0, row["act"]) for row in history.acts if row["time_s"] is not None
    )
    counted = [
        replace(node, attempts=None if row["attempts"] is None else int(row["attempts"]))
        for row, node in zip(nodes, known, strict=True)
        if node is not None
    ]
    return KnownRollout(
        nodes=tuple(counted),
        zone_of=tuple(zones),
        class_of=tuple(number([row["class"] for row in nodes])),
        class_names=tuple(str(row["class"] or "") for row in nodes),
        zones=max(zones, default=0) + 1,
        policy=None if run_by is None else run_by.policy,
        orchestrator=None if run_by is None else run_by.orchestrator,
        interval_ns=interval_ns,
        type_name=history.rollout["type"] or "update",
        acts=acts,
        promote_after_ns=_promote_after(history, run_by, acts, max(zones, default=0) + 1),
        old_windows=windows.of_old,
        running_windows=windows.of_running,
        release=history.rollout["release"],
        is_defective=history.rollout["defective"],
        starts_at_ns=_find_time_of_day(history.rollout["started_at"]),
    )


def _find_time_of_day(started: pd.Timestamp | None) -> int:
    return 0 if started is None else int((started - started.normalize()).value)


def number(words: Sequence[Any]) -> list[int]:
    """Number words, such as zones: numbers 0, 1, ... without gaps stay as they are, others are numbered as they occur."""
    try:
        numbers = [int(word) for word in words]
    except (TypeError, ValueError):
        pass
    else:
        if set(numbers) == set(range(max(numbers, default=-1) + 1)):
            return numbers
    known: dict[Any, int] = {}
    return [known.setdefault(word, len(known)) for word in words]


def _know_node(
    row: Row, rule: HealthRule | None, windows: list[Row] | None, interval_ns: int, outages: tuple[Outage, ...]
) -> KnownNode | None:
    """Return a node as known from its record; None if necessary times are missing."""
    dispatched, started = to_ns(row["dispatched_at_s"]), to_ns(row["started_at_s"])
    resolved, watched = to_ns(row["resolved_at_s"]), to_ns(row["watched_until_s"])
    if dispatched is None:
        if started is not None or row["status"] in ("running", "stopped"):
            return None
        is_down = {"skipped": -1, "failed": resolved}.get(row["status"])
        return KnownNode(down_at_turn_ns=is_down, outages=outages)
    if resolved is None:
        resolved = to_ns(row["heard_at_s"])
    # Under a health check a verdict without a start is a failure, even if the node was rolled back later.
    has_no_start = started is None and rule is not None and rule.is_checked
    has_failed = (
        row["cause"] is not None or row["status"] == "failed" or (has_no_start and row["status"] in _TAKEN_BACK)
    )
    after = None if resolved is None else resolved - dispatched
    seen = max((watched if watched is not None else -1) - dispatched, -1)
    repeats_only = rule is not None and rule.retries > 0
    if started is not None:
        of_node = None if windows is None else _find_consecutive(windows, started, resolved, interval_ns)
        begins = started - dispatched
        if of_node is not None:
            seen = max(seen, begins + len(of_node) * interval_ns)
        return KnownNode(
            dispatched,
            "started",
            begins,
            of_node,
            after,
            has_failed,
            max(seen, begins),
            is_repeated_only=repeats_only and row["attempts"] != 1,
            outages=outages,
        )
    if after is None:
        return KnownNode(dispatched, "silent", seen, is_repeated_only=repeats_only, outages=outages)
    if repeats_only and has_failed:
        return KnownNode(dispatched, "silent", after, has_failed=True, is_repeated_only=True, outages=outages)
    if not has_failed:
        # Counted as running, although it hung.
        if rule is None or rule.is_checked:
            return None
        return KnownNode(dispatched, "hangs", after, outages=outages)
    deadline_ns = rule.deadline_ns if rule is not None and rule.is_checked else None
    cause = row["cause"]
    if cause is None and deadline_ns is not None and rule is not None and rule.deadline_from_dispatch:
        # A node without a start fails before its deadline only if its attempts failed.
        cause = "did_not_start" if after < deadline_ns else "silent"
    if cause == "did_not_start":
        return KnownNode(dispatched, "failed", after, has_failed=True, outages=outages)
    if cause == "silent" and deadline_ns is not None and rule is not None and not rule.deadline_from_dispatch:
        return KnownNode(dispatched, "hangs", after - deadline_ns, has_failed=True, outages=outages)
    seen = after if cause == "silent" else after - 1
    return KnownNode(dispatched, "silent", seen, has_failed=True, outages=outages)


def _find_consecutive(
    windows: list[Row], started: int, resolved: int | None, interval_ns: int
) -> tuple[SeenWindow, ...]:
    """Return the consecutive windows from the start to the verdict."""
    seen: list[SeenWindow] = []
    for row in windows:
        end = to_ns(row["ended_s"]) or 0
        if resolved is not None and end > resolved:
            break
        expected = started + (len(seen) + 1) * interval_ns
        if end < expected - interval_ns // 2:
            continue
        if end > expected + interval_ns // 2:
            break
        seen.append(_see(row))
    return tuple(seen)


def _see(row: Row) -> SeenWindow:
    up = row["up"]
    if up is None:  # only a node that is down has an unhealthy window without a failed request
        up = not (row["healthy"] is False and row["failed_requests"] == 0)
    return SeenWindow(int(row["requests"]), int(row["failed_requests"]), bool(up))


class _Windows(NamedTuple):
    of_new: dict[int, list[Row]]
    of_old: dict[tuple[int, int], SeenWindow]
    of_running: dict[tuple[int, int], SeenWindow]


def _sort_windows(history: History, places: Mapping[Any, int]) -> _Windows:
    """Sort windows into those of nodes on the new version, in order of time, on the old version, and of running nodes."""
    sorted_windows = _Windows({}, {}, {})
    for row in sorted(history.windows, key=lambda row: row["ended_s"] or 0.0):
        place = places.get(row["node"])
        if place is None or row["ended_s"] is None:
            continue
        is_counted = row["requests"] is not None and row["failed_requests"] is not None
        end = to_ns(row["ended_s"]) or 0
        node = history.nodes[place]
        resolved, dispatched = to_ns(node["resolved_at_s"]), to_ns(node["dispatched_at_s"])
        if row["on_new_version"] is False and (dispatched is None or end <= dispatched):
            if is_counted:
                sorted_windows.of_old[place, end] = _see(row)
            continue
        sorted_windows.of_new.setdefault(place, []).append(row)
        if is_counted and resolved is not None and dispatched is not None and end > resolved:
            sorted_windows.of_running[place, end - dispatched] = _see(row)
    return sorted_windows


def _have_windows(history: History, run_by: RunBy | None, rule: HealthRule | None) -> bool:
    """Return whether the windows that judged the nodes are on record, with their requests."""
    if any(row["requests"] is None or row["failed_requests"] is None for row in history.windows):
        return False
    if history.windows:
        return True
    if run_by is None or rule is None:
        return False
    had_some = rule.windows_needed > 0 or judges_waves(run_by.policy)
    return not (had_some and rule.is_checked and any(_was_validated(row) for row in history.nodes))


def _was_validated(row: Row) -> bool:
    started, resolved = row["started_at_s"], row["resolved_at_s"]
    return started is not None and resolved is not None and resolved > started


def _place_outages(history: History) -> list[tuple[Outage, ...]]:
    """Return the outages of each node, or of its zone, counted from the start of the rollout."""
    started = history.rollout["started_at"]
    if started is None or not history.outages:
        return [()] * len(history.nodes)

    def count(time: Any) -> int:
        return 1 << 62 if time is None else int((time - started).value)

    by_name: dict[tuple[str, str], list[Outage]] = {}
    for row in history.outages:
        if row["from"] is None:
            continue
        outage = Outage(count(row["from"]), count(row["to"]))
        for what in ("node", "zone"):
            if row[what] is not None and outage.end > 0:
                by_name.setdefault((what, str(row[what])), []).append(outage)
    return [
        tuple(sorted(by_name.get(("node", str(row["node"])), []) + by_name.get(("zone", str(row["zone"])), [])))
        for row in history.nodes
    ]


def _promote_after(history: History, run_by: RunBy | None, acts: Sequence[ScriptedAct], zones: int) -> int | None:
    """Return how long after their bake time people promoted the canaries; None if they didn't."""
    promoted = next((act.at_ns for act in acts if act.do == "promote"), None)
    if promoted is None or run_by is None:
        return None
    plan = plan_waves(run_by.policy, run_by.orchestrator, len(history.nodes), zones)
    heard = [to_ns(row["heard_at_s"] or row["resolved_at_s"]) or 0 for row in history.nodes[: plan.canaries]]
    if not heard:
        return None
    awaited = max(heard) + run_by.orchestrator.reporting_delay_ns + plan.bakes_ns[0]
    return max(promoted - awaited, 0)
