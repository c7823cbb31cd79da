"""Policies that a record can't replay, because it lacks data that they judge by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.engines.replay.interpreting import describe_s
from simdeploy.errors import Problem, plural
from simdeploy.records.histories import to_ns
from simdeploy.rules.deployment_types import TYPES
from simdeploy.rules.gates.gate import read_gate
from simdeploy.rules.health import judges_waves, read_health_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simdeploy.engines.replay import KnownRollout
    from simdeploy.engines.replay.knowing import RunBy
    from simdeploy.records.histories import History


def find_refusals(history: History, known: KnownRollout, recorded: RunBy | None, run_by: RunBy) -> Iterator[Problem]:
    """List why a rollout can't be replayed under a policy."""
    late = [row for row in history.nodes if _is_heard_late(row)]
    if late:
        yield Problem(
            "verdicts were heard later than nodes had them, so whether a node can be reached at other times is unknown",
            ("heard_at_s",),
            found=f"{plural(len(late), 'node')}, such as {late[0]['node']}",
        )
    if TYPES[known.type_name].leaves:
        yield Problem("nodes only leave, so there is nothing to judge", ("type",), found=known.type_name)
    yield from _zone_problems(history, run_by)
    policies = [each.policy for each in (recorded, run_by) if each is not None]
    if any(policy.retry_unhealthy and policy.retries for policy in policies):
        yield Problem("records don't distinguish the tries of an unhealthy node", ("retry_unhealthy",))
    if any(terms.promotion for policy in policies for terms in policy.waves):
        yield Problem("records have people's decisions only for canaries", ("waves", "promotion"))
    rule = read_health_rule(run_by.policy, run_by.orchestrator)
    if not rule.is_checked:
        return
    looks = rule.windows_needed > 0 or run_by.policy.gate is not None
    if looks and (rule.interval_ns % known.interval_ns or rule.interval_ns < known.interval_ns):
        yield Problem(
            "not a multiple of the recorded windows",
            ("health_check", "interval"),
            found=describe_s(rule.interval_ns),
            allowed=f"multiples of {describe_s(known.interval_ns)}",
        )
    lacks_windows = any(node.start == "started" and node.windows is None for node in known.nodes)
    if looks and lacks_windows and not _judges_alike(recorded, run_by):
        message = "no windows with requests are on record, so only the recorded health check can be replayed"
        allowed = "the recorded interval, max_error_rate, thresholds and gate, with any deadline"
        hint = "state each rollout's `policy` in a table of rollouts" if recorded is None else None
        yield Problem(message, ("health_check",), allowed=allowed, hint=hint)
    yield from _gate_problems(history, known, run_by, lacks_windows=lacks_windows)


def _is_heard_late(row: dict[str, float | None]) -> bool:
    heard, resolved = row["heard_at_s"], row["resolved_at_s"]
    return heard is not None and resolved is not None and heard != resolved


def _zone_problems(history: History, run_by: RunBy) -> Iterator[Problem]:
    policy = run_by.policy
    stated = {
        "max_parallel_per_zone": policy.max_parallel_per_zone,
        "max_failed_nodes_per_zone": policy.max_failed_nodes_per_zone,
        "zone_by_zone": policy.zone_by_zone,
    }
    without = sum(row["zone"] is None for row in history.nodes)
    for key, value in stated.items():
        if value not in (None, 0, False) and without:
            yield Problem("needs the zones of all nodes", (key,), found=f"{without} nodes without one")


def _judges_alike(recorded: RunBy | None, run_by: RunBy) -> bool:
    """Return whether windows are judged as in the recorded rollout, whatever the deadlines are."""
    if recorded is None or recorded.policy.gate != run_by.policy.gate or judges_waves(run_by.policy):
        return False
    was, now = (read_health_rule(each.policy, each.orchestrator) for each in (recorded, run_by))
    return all(
        getattr(was, name) == getattr(now, name)
        for name in (
            "interval_ns",
            "is_checked",
            "windows_needed",
            "consecutive",
            "failure_threshold",
            "cumulative",
            "max_error_rate",
            "no_traffic_is_healthy",
        )
    )


def _gate_problems(history: History, known: KnownRollout, run_by: RunBy, *, lacks_windows: bool) -> Iterator[Problem]:
    gate, path = read_gate(run_by.policy, run_by.orchestrator), ("health_check", "gate")
    if gate is None:
        return
    if lacks_windows:
        yield Problem("judges windows with requests, and none are on record", path)
    if gate.method == "sprt_requests":
        yield Problem("judges requests one by one, and their order is not on record", path, allowed="on: windows")
    if gate.compares and not known.old_windows:
        yield Problem("compares with nodes on the old version, but no windows of them are on record", path)
    if gate.watches_running and _lacks_running_windows(history, known):
        yield Problem("watches running nodes, but no windows of them are on record", path)


def _lacks_running_windows(history: History, known: KnownRollout) -> bool:
    """Return whether some node ran for at least a window, and there are no windows of running nodes."""
    ran = [
        (node.dispatched_ns or 0) + node.verdict_ns
        for node in known.nodes
        if node.verdict_ns is not None and not node.has_failed
    ]
    ended = to_ns(history.rollout["ended_s"])
    return bool(ran) and not known.running_windows and (ended is None or min(ran) + known.interval_ns < ended)
