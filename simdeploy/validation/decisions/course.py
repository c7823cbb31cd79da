"""Scenarios with exact costs, and the course of a policy in them: its waves, when it stops, and a node's fate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.errors import Problem, raise_if_any
from simdeploy.rules.health import HealthRule, read_health_rule
from simdeploy.rules.limits import Limits, read_limits
from simdeploy.rules.waves import Plan, plan_waves
from simdeploy.units import NS_PER_S
from simdeploy.validation.oracles.health import Validation, healthy_window_probability, validation
from simdeploy.world.distributions import Constant

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.world.fleet import Behaviour
    from simdeploy.world.release import ReleaseKind


# Smaller probabilities are rounding errors of 0.
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Instant:
    """An instant of a wave at which nodes that have started get their verdict."""

    after_s: float  # since the previous instant of the wave
    failure: float  # probability that a node unresolved until then fails
    running: float  # probability that a node is running then that was unresolved and didn't fail


@dataclass(frozen=True)
class Fate:
    """The possible fates of each node, independent of the others given the kind of release."""

    start_failure: float  # probability that it fails to start
    instants: tuple[Instant, ...]  # after the end of starting, in order


@dataclass(frozen=True)
class Course:
    """The part of a policy's course that doesn't depend on the release."""

    plan: Plan
    limits: Limits | None
    stops_at_a_canary: bool  # whether the first failed canary stops the rollout
    # Whether a stop rolls all touched nodes back at once; otherwise it is undone by hand, later.
    rolls_back: bool
    # start_s, rollback_s, bake_s, detection_s, undo_s: seconds that starting, a rollback, the pause after a wave, noticing
    # an escape, and undoing a stop by hand take
    start_s: float
    rollback_s: float
    bake_s: float
    detection_s: float
    undo_s: float

    def stops(self, wave: int, n_failed: int, resolved: np.ndarray) -> np.ndarray:
        """Return whether the rollout stops, by failed nodes (rows, from 0) and by `resolved` nodes (columns)."""
        failed = np.arange(n_failed)[:, None]
        is_possible = np.repeat(failed > 0, len(resolved), axis=1)
        if self.stops_at_a_canary and self.plan.canaries and wave == 0:
            return is_possible
        limits = self.limits
        if limits is None:
            return np.zeros_like(is_possible)
        # failed / of > percent / 100, in whole numbers.
        of = self.plan.total if limits.percent_of == "fleet" else resolved
        percent = limits.max_failed_nodes_percent
        have, allowed = failed * 100 * percent.denominator, of * percent.numerator
        if limits.reaches:
            by_count, by_percent = failed >= limits.max_failed_nodes, have >= allowed
        else:
            by_count, by_percent = failed > limits.max_failed_nodes, have > allowed
        by_percent = by_percent & (resolved >= limits.minimum_sample)
        return is_possible & (by_count & by_percent if limits.both else by_count | by_percent)


def read_course(scenario: Scenario, policy: ScenarioPolicy) -> Course:
    """Read a policy's course; an `InputError` lists everything that has no exact costs here."""
    raise_if_any(_problems(scenario, policy))
    fleet, orchestrator = scenario.fleet, scenario.orchestrator_of(policy)
    return Course(
        plan=plan_waves(policy.policy, orchestrator, fleet.nodes),
        limits=read_limits(policy.policy, orchestrator, fleet.nodes),
        stops_at_a_canary=orchestrator.canary_gate == "all_healthy",
        rolls_back=orchestrator.on_failure == "rollback" and not policy.policy.no_auto_rollback,
        start_s=_start_s(scenario),
        rollback_s=fleet.behaviour.rollback_duration.mean,
        bake_s=orchestrator.bake_time_ns / NS_PER_S,
        detection_s=scenario.operator.escape_detection.mean,
        undo_s=scenario.operator.undo_after.mean,
    )


def read_fate(scenario: Scenario, policy: ScenarioPolicy, kind: ReleaseKind) -> Fate:
    """Read the possible fates of a node under a policy, for a kind of release."""
    rule = read_health_rule(policy.policy, scenario.orchestrator_of(policy))
    return _find_fate(scenario.fleet.behaviour, rule, kind, _start_s(scenario))


@lru_cache(maxsize=1024)  # the policies of a grid have only a few different ones
def _find_fate(behaviour: Behaviour, rule: HealthRule, kind: ReleaseKind, start_s: float) -> Fate:
    base = behaviour.start_failure.mean
    affected = 1.0 if kind.affects.share is None else float(kind.affects.share)
    affected_failure = 1 - (1 - base) * (1 - kind.start_failure)
    started_affected, started_unaffected = affected * (1 - affected_failure), (1 - affected) * (1 - base)
    start_failure = affected * affected_failure + (1 - affected) * base
    if not rule.is_checked:
        return Fate(start_failure, (Instant(0.0, 0.0, 1.0),))
    left_ns = rule.deadline_ns - (round(start_s * NS_PER_S) if rule.deadline_from_dispatch else 0)
    requests, level = rule.requests_per_window(behaviour.requests_per_second), behaviour.error_rate.mean

    def validate(level: float) -> Validation:
        if requests:
            healthy = healthy_window_probability(requests, level, rule.max_error_rate)
        else:
            healthy = float(rule.no_traffic_is_healthy)
        return validation(
            healthy, rule.windows_needed, left_ns // rule.interval_ns,
            consecutive=rule.consecutive, failure_threshold=rule.failure_threshold,
        )  # fmt: skip

    affected_fate, unaffected_fate = validate(1 - (1 - level) * (1 - kind.error_rate)), validate(level)
    total = started_affected + started_unaffected
    weights = (started_affected / total, started_unaffected / total) if total else (1.0, 0.0)
    running = weights[0] * affected_fate.running + weights[1] * unaffected_fate.running
    failed = weights[0] * affected_fate.failed + weights[1] * unaffected_fate.failed
    return Fate(start_failure, _make_instants(running, failed, rule.interval_ns, left_ns))


def _make_instants(running: np.ndarray, failed: np.ndarray, interval_ns: int, deadline_ns: int) -> tuple[Instant, ...]:
    """Return the instants with possible verdicts; nodes without a verdict at the deadline fail then."""
    by_time = {
        k * interval_ns: [float(f), float(r)] for k, (f, r) in enumerate(zip(failed, running, strict=True)) if f + r
    }
    undecided = 1.0 - float(running.sum() + failed.sum())
    if undecided > _ROUNDING:
        by_time.setdefault(deadline_ns, [0.0, 0.0])[0] += undecided
    rows = sorted(by_time.items())
    # Sums from the end, because differences would lose the digits of small probabilities.
    later = [*np.cumsum([f + r for _, (f, r) in rows][::-1])[::-1].tolist(), 0.0]
    instants, previous_ns = [], 0
    for place, (at_ns, (f, r)) in enumerate(rows):
        running_now = r / (r + later[place + 1]) if r else 0.0
        instants.append(Instant((at_ns - previous_ns) / NS_PER_S, f / later[place], running_now))
        previous_ns = at_ns
    return tuple(instants)


def _start_s(scenario: Scenario) -> float:
    behaviour = scenario.fleet.behaviour
    return behaviour.update_duration.mean * behaviour.slowdown.mean


def _problems(scenario: Scenario, policy: ScenarioPolicy) -> list[Problem]:
    """List keys that make nodes dependent or times random."""
    fleet, operator, orchestrator, spec = (
        scenario.fleet,
        scenario.operator,
        scenario.orchestrator_of(policy),
        policy.policy,
    )
    node = fleet.behaviour
    laws = {
        ("fleet", "update_duration"): node.update_duration,
        ("fleet", "slowdown"): node.slowdown,
        ("fleet", "rollback_duration"): node.rollback_duration,
        ("fleet", "start_failure"): node.start_failure,
        ("fleet", "error_rate"): node.error_rate,
        ("operator", "escape_detection"): operator.escape_detection,
    }
    rolls_back = orchestrator.on_failure == "rollback" and not spec.no_auto_rollback
    if not rolls_back and operator.undo_after != operator.escape_detection:  # its default
        laws["operator", "undo_after"] = operator.undo_after
    problems = [
        Problem("no exact cost", path, allowed="a constant")
        for path, law in laws.items()
        if not isinstance(law, Constant)
    ]
    kinds = scenario.release
    costly = scenario.costs is not None and scenario.costs.failed_request > 0
    usual = {
        ("fleet", "classes"): not fleet.classes,
        ("fleet", "service"): fleet.service is None,
        ("fleet", "crash"): node.crash is None,
        ("fleet", "zone_outage"): node.zone_outage is None,
        ("fleet", "flapping"): node.flapping is None,
        ("fleet", "connection"): node.connection is None,
        ("fleet", "traffic"): node.traffic is None,
        ("fleet", "rollback_failure"): node.rollback_failure == 0,
        ("fleet", "start_attempts"): node.start_attempts == 1,
        ("fleet", "start_hang"): node.start_hang == 0,
        ("operator", "script"): not operator.script,
        ("operator", "change_windows"): not operator.change_windows,
        ("dialect",): spec.dialect != "general",
        ("orchestrator", "pacing"): orchestrator.pacing == "barrier",
        ("orchestrator", "failures_counted"): orchestrator.failures_counted == "cumulative",
        ("orchestrator", "failed_node_freezes"): not orchestrator.failed_node_freezes,
        ("orchestrator", "lost_waves"): orchestrator.lost_waves == "continue",
        ("orchestrator", "limits_judged"): orchestrator.limits_judged == "at_once",
        ("orchestrator", "failed_percent_of"): orchestrator.failed_percent_of != "wave",
        ("orchestrator", "reporting_delay"): orchestrator.reporting_delay_ns == 0,
        ("orchestrator", "node_local_rollback"): not orchestrator.node_local_rollback,
        ("orchestrator", "on_failure"): orchestrator.on_failure in ("rollback", "stop"),
        ("orchestrator", "rollback_pacing"): orchestrator.rollback_pacing == "all_at_once",
        ("deployment", "type"): policy.identity.type == "update",
        ("tilt",): scenario.tilt is None,
        ("policies", policy.name, "auto_promote"): spec.strategy != "canary" or spec.auto_promote,
        ("policies", policy.name, "health_check", "gate"): spec.gate is None or spec.gate.kind == "threshold",
        ("policies", policy.name, "health_check", "deadline"): spec.deadline_ns is None
        or spec.strategy == "immediate"
        or spec.deadline_ns / NS_PER_S >= _start_s(scenario),
    }
    for kind in kinds:
        usual[("release", kind.name, "start_hang")] = kind.start_hang == 0
        usual[("release", kind.name, "after")] = isinstance(kind.after, Constant) and kind.after.value == 0
        # Failed requests of nodes that pass would depend on which nodes are affected.
        by = ("all",) if costly and kind.error_rate else ("all", "share")
        usual[("release", kind.name, "affects")] = kind.affects.by in by
    return problems + [Problem("no exact cost", path) for path, is_usual in usual.items() if not is_usual]
