"""Evidence against the assumption that a node does the same whenever it is dispatched."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.backtest.bounding import only_limits_stop
from simdeploy.rules.waves import count_canaries

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from simdeploy.engines.replay.knowing import RunBy
    from simdeploy.records.histories import History, Row

_FEWEST_FAILURES = 5
_FEWEST_ROLLOUTS = 10
_LEVEL = 0.001
_HOURS = 24


def find_doubts(rollouts: Sequence[tuple[History, RunBy | None]]) -> Iterator[str]:
    """Yield warnings if failures to start depend on the place in the order, or on the hour of the day.

    Rollouts come with their policies, None if not on record. Only finished starts count.
    """
    p = _test_positions(rollouts)
    if p < _LEVEL:
        yield (
            f"failures to start depend on the place in the order (p = {p:.1g}), so nodes dispatched earlier or later may "
            "behave differently"
        )
    p = _test_hours([history for history, _ in rollouts])
    if p < _LEVEL:
        yield f"failures to start depend on the hour of the day (p = {p:.1g}), so nodes dispatched at another hour may behave differently"


def _has_ended(row: Row, deadline_s: float) -> bool:
    """Return whether a node's start succeeded or failed."""
    return row["started_at_s"] is not None or _gave_up(row, deadline_s)


def _gave_up(row: Row, deadline_s: float) -> bool:
    """Return whether a node's failure was a failed start: as recorded, or else because it failed before its deadline."""
    if row["cause"] is not None or row["status"] != "failed" or row["resolved_at_s"] is None:
        return bool(row["cause"] == "did_not_start")
    return bool(row["resolved_at_s"] - (row["dispatched_at_s"] or 0.0) < deadline_s)


def _starts(history: History) -> list[bool]:
    """Return for each finished start whether it failed."""
    deadline_s = history.rollout["deadline_s"] or math.inf
    return [row["started_at_s"] is None for row in history.nodes if _has_ended(row, deadline_s)]


def _test_positions(rollouts: Sequence[tuple[History, RunBy | None]]) -> float:
    """Return the p-value of a rank-sum test (Wilcoxon) of the places of failed nodes, summed over groups of nodes.

    Failures stop a rollout, so failed nodes are late in the order even if all nodes are alike. So nodes are only compared with others of
    their group, among which the same failures in any order would have led to the same decisions.
    """
    n_failed, excess, variance = 0, 0.0, 0.0
    for history, run_by in rollouts:
        for starts in _group_starts(history, run_by):
            failed = np.array(starts, dtype=bool)
            n, m = len(failed), int(failed.sum())
            if 0 < m < n:
                n_failed += m
                excess += float((np.flatnonzero(failed) + 1).sum()) - m * (n + 1) / 2
                variance += m * (n - m) * (n + 1) / 12
    if n_failed < _FEWEST_FAILURES or variance == 0:
        return 1.0
    return math.erfc(abs(excess) / math.sqrt(2 * variance))


def _group_starts(history: History, run_by: RunBy | None) -> list[list[bool]]:
    """Return for each finished start whether it failed, by group and in the order of dispatch.

    If only the number of failed nodes of the whole rollout stops it, the groups are the canaries, the last wave of a stopped rollout,
    and all nodes between them, which had too few failures for a stop. Otherwise a group are the nodes of a zone, which may have its own
    limit, that were dispatched at the same instant.
    """
    is_by_count = run_by is not None and _stops_by_count(history, run_by)
    n_canaries = 0
    if run_by is not None and run_by.policy.strategy == "canary":
        n_canaries = count_canaries(run_by.policy, run_by.orchestrator, len(history.nodes))
    is_stopped = history.rollout["state"] == "failed"
    last_s = max((row["dispatched_at_s"] or 0.0 for row in history.nodes), default=0.0)
    deadline_s = history.rollout["deadline_s"] or math.inf
    groups: dict[Hashable, list[bool]] = {}
    for place, row in enumerate(history.nodes):
        at_s = row["dispatched_at_s"]
        if at_s is not None and _has_ended(row, deadline_s):
            group = (place < n_canaries, is_stopped and at_s == last_s) if is_by_count else (at_s, row["zone"])
            groups.setdefault(group, []).append(row["started_at_s"] is None)
    return list(groups.values())


def _stops_by_count(history: History, run_by: RunBy) -> bool:
    """Return whether only the number of failed nodes could stop a rollout, wherever they are, apart from canaries."""
    policy, orchestrator = run_by
    has_waves = policy.strategy == "immediate" or (
        orchestrator.pacing == "barrier" and not policy.max_parallel_per_zone
    )
    state = history.rollout["state"]
    return (
        # Without waves a stop hides slow starts of late nodes, but not of early ones.
        (state == "completed" or (state == "failed" and has_waves))
        and all(act["act"] == "promote" for act in history.acts)
        and only_limits_stop(run_by)
        and not policy.waves
        and policy.max_failed_nodes_per_zone is None
        and orchestrator.failed_percent_of == "fleet"
        and not orchestrator.minimum_sample
        and not orchestrator.reporting_delay_ns
    )


def _test_hours(histories: Sequence[History]) -> float:
    """Return the p-value of an F test for a sine wave of 24 hours in the fraction of failed starts; rollouts are the observations."""
    points = []
    for history in histories:
        started, failed = history.rollout["started_at"], _starts(history)
        if started is not None and failed:
            points.append((started.hour + started.minute / 60, float(np.mean(failed))))
    if len(points) < _FEWEST_ROLLOUTS:
        return 1.0
    hours, fractions = np.array(points).T
    angle = 2 * math.pi * hours / _HOURS
    design = np.column_stack([np.ones_like(angle), np.cos(angle), np.sin(angle)])
    fitted, _, rank, _ = np.linalg.lstsq(design, fractions, rcond=None)
    rest = float(((fractions - design @ fitted) ** 2).sum())
    explained = float(((fractions - fractions.mean()) ** 2).sum()) - rest
    if rank < design.shape[1] or explained <= 0:
        return 1.0
    if rest <= 0:
        return 0.0
    from scipy.special import fdtrc

    free = len(points) - design.shape[1]
    return float(fdtrc(2, free, (explained / 2) / (rest / free)))
