"""Closed forms of what the reference engine records, and proof that every closed form can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import closed_forms
import numpy as np
import pytest
from closed_forms import NEVER_STOPS, SEED, Sample, make, rolling

from simdeploy import Scenario, simulate
from simdeploy.engines import Rollout
from simdeploy.engines.reference import controller as controller_module
from simdeploy.engines.reference import dispatch as dispatch_module
from simdeploy.engines.reference import engine as engine_module
from simdeploy.engines.reference import people as people_module
from simdeploy.engines.reference import prober as prober_module
from simdeploy.rules.health import HealthRule
from simdeploy.rules.limits import Limits
from simdeploy.units import NS_PER_S
from simdeploy.validation import oracles
from simdeploy.world import availability as availability_module
from simdeploy.world.realized import World
from simdeploy.world.streams import Stream

pytestmark = pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning")


def rollouts(scenario: Scenario, replications: int) -> Iterator[Rollout]:
    return (simulate(scenario, seed=SEED, replication=replication) for replication in range(replications))


# -- starts that fail, and limits ------------------------------------------------------------------


def retries() -> Sample:
    """A node fails to start if both attempts fail or the last one hangs."""
    scenario = make(
        {"nodes": 5000, "start_failure": 0.6, "start_hang": 0.3, "start_attempts": 2},
        rolling(health_check={"deadline": "10m", "min_healthy_time": "0s"}, **NEVER_STOPS),
    )
    failed = next(rollouts(scenario, 1)).nodes["status"].isin(["failed"]).to_numpy(float)
    return Sample(failed, 1 - oracles.start_success_probability(0.6, hang=0.3, attempts=2))


# -- health windows --------------------------------------------------------------------------------


LEVEL, REQUESTS = 0.1, 40
HEALTHY = oracles.healthy_window_probability(REQUESTS, LEVEL, 0.1)


def _validated(
    health_check: dict[str, Any], orchestrator: dict[str, Any] | None = None, nodes: int = 5000, **policy: Any
) -> Rollout:
    scenario = make(
        {"nodes": nodes, "requests_per_second": 4, "error_rate": LEVEL},
        rolling(0, health_check=health_check, **NEVER_STOPS, **policy),
        {"on_failure": "continue", **(orchestrator or {})},
    )
    return next(rollouts(scenario, 1))


def _passed(rollout: Rollout) -> np.ndarray:
    return (rollout.nodes["status"] == "running").to_numpy(float)


def run_of_windows() -> Sample:
    """A node passes with three healthy windows in a row among the seven that end by its deadline, the last exactly on it."""
    rollout = _validated({"deadline": "100s", "min_healthy_time": "25s", "max_error_rate": 0.1})
    return Sample(_passed(rollout), oracles.validation(HEALTHY, 3, 7).pass_probability)


def length_of_validation() -> Sample:
    """The mean number of windows is that of the first run of three, cut off after seven."""
    rollout = _validated({"deadline": "100s", "min_healthy_time": "25s", "max_error_rate": 0.1})
    return Sample(rollout.nodes["windows"].to_numpy(float), oracles.validation(HEALTHY, 3, 7).mean_windows)


def added_up_windows() -> Sample:
    """Without `window_reset` three healthy windows among four suffice."""
    rollout = _validated({"deadline": "70s", "min_healthy_time": "30s", "max_error_rate": 0.1}, {"window_reset": False})
    return Sample(_passed(rollout), oracles.validation(HEALTHY, 3, 4, consecutive=False).pass_probability)


def deadline_from_start() -> Sample:
    """Under `deadline_starts: started` the same deadline leaves time for all of its windows."""
    rollout = _validated(
        {"deadline": "40s", "min_healthy_time": "20s", "max_error_rate": 0.1}, {"deadline_starts": "started"}
    )
    return Sample(_passed(rollout), oracles.validation(HEALTHY, 2, 4).pass_probability)


def both_thresholds() -> Sample:
    """In the rollout dialect two healthy windows in a row pass a node, three unhealthy ones fail it."""
    health_check = {
        "deadline": 120 * NS_PER_S,
        "interval": 10 * NS_PER_S,
        "success_threshold": 2,
        "failure_threshold": 3,
        "max_error_rate": 0.1,
    }
    rollout = _validated(health_check, dialect="rollout")
    # 10 % a wave: ten waves of 30 s + windows; every node has the same 9 windows of its own.
    return Sample(_passed(rollout), oracles.validation(HEALTHY, 2, 9, failure_threshold=3).pass_probability)


# -- down and degraded -----------------------------------------------------------------------------


UP_MEAN_S, REPAIR_MEAN_S = 3600.0, 3600.0


def _crashing(hours: int, nodes: int) -> Rollout:
    """Watch nodes that nobody touches: paused at once, cancelled after some hours."""
    scenario = make(
        {
            "nodes": nodes,
            "crash": {
                "up": {"weibull": {"mean": UP_MEAN_S, "shape": 0.5}},
                "repair": {"lognormal": {"mean": REPAIR_MEAN_S, "sd": 7200}},
            },
        },
        {"strategy": "immediate"},
        operator={"script": [{"at": 0, "do": "pause"}, {"at": f"{hours}h", "do": "cancel"}]},
    )
    return next(rollouts(scenario, 1))


def _in_service(rollout: Rollout, row: int) -> np.ndarray:
    n = rollout.scenario.fleet.nodes
    return (np.arange(n) >= rollout.timeline["in_service"].iloc[row]).astype(float)


def down_at_first() -> Sample:
    """At time 0 the fraction of nodes down is mean repair / (mean up + mean repair)."""
    return Sample(_in_service(_crashing(1, 6000), 0), oracles.unavailability(UP_MEAN_S, REPAIR_MEAN_S))


def down_later() -> Sample:
    """Two hours later it still is, for a Weibull law that fails early and lognormal repairs."""
    return Sample(_in_service(_crashing(2, 6000), -1), oracles.unavailability(UP_MEAN_S, REPAIR_MEAN_S))


def down_on_average() -> Sample:
    """Over two hours a node is down for that fraction of the time."""
    rollout = _crashing(2, 6000)
    truth = oracles.unavailability(UP_MEAN_S, REPAIR_MEAN_S) * 7200
    return Sample(rollout.nodes["unavailable_s"].to_numpy(float), truth)


def crash_rate() -> Sample:
    """A release that multiplies the crash rate adds the down time of the accelerated two-state process."""
    scenario = make(
        {
            "nodes": 7000,
            "update_duration": "0s",
            "crash": {"up": {"exponential": {"mean": "10h"}}, "repair": {"exponential": {"mean": "1h"}}},
        },
        {"strategy": "immediate", **NEVER_STOPS},
        {"unreachable_nodes": "skip"},
        release={"bad": {"probability": 1, "defective": True, "crash_rate": 10}},
        operator={"escape_detection": "3h"},
    )
    nodes = next(rollouts(scenario, 1)).nodes
    touched = nodes["dispatched_at_s"].notna()
    truth = oracles.exposed_down_s(36_000, 3600, 10, 3 * 3600)
    return Sample(nodes.loc[touched, "unavailable_s"].to_numpy(float), truth)


def flapping() -> Sample:
    """Requests of a flapping node fail at the time-average of its error level."""
    scenario = make(
        {
            "nodes": 100,
            "requests_per_second": 10,
            "error_rate": 0.05,
            "flapping": {"good": "5m", "degraded": "5m", "error_rate": 0.6},
        },
        rolling(health_check={"deadline": "10m", "min_healthy_time": "1m", "max_error_rate": 1.0}),
    )
    totals = [rollout.timeline[["failed_requests", "requests"]].sum() for rollout in rollouts(scenario, 60)]
    values = np.array([total["failed_requests"] / total["requests"] for total in totals])
    return Sample(values, oracles.degraded_error_level(0.05, 0.6, good_s=300, degraded_s=300))


CHECKS: list[Callable[[], Sample]] = [
    retries,
    run_of_windows,
    length_of_validation,
    added_up_windows,
    deadline_from_start,
    both_thresholds,
    down_at_first,
    down_later,
    down_on_average,
    crash_rate,
    flapping,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_records_agree_with_the_closed_form(check: Callable[[], Sample]) -> None:
    """The mean is within 4 standard errors of the closed form, at a standard error of at most 2 % of it. [oracle]"""
    sample = check()
    assert sample.is_precise, f"standard error {sample.standard_error:.3g} of {sample.truth:.6g}"
    assert sample.agrees, f"{sample.values.mean():.6g} +- {sample.standard_error:.2g} against {sample.truth:.6g}"


# -- each check can fail ---------------------------------------------------------------------------

Patch = pytest.MonkeyPatch


def _rule(patch: Patch, **changes: Callable[[Any], Any]) -> None:
    """Change fields of the health rule that the engine reads."""
    read = engine_module.read_health_rule

    def mutated(*args: Any) -> Any:
        rule = read(*args)
        return replace(rule, **{name: change(getattr(rule, name)) for name, change in changes.items()})

    patch.setattr(engine_module, "read_health_rule", mutated)


def _plan(patch: Patch, **changes: Callable[[Any], Any]) -> None:
    """Change fields of the orchestrator or the policy that the plan is made from."""
    plan = engine_module.plan_waves

    def mutated(policy: Any, orchestrator: Any, total: int) -> Any:
        given = {name: change(getattr(policy, name)) for name, change in changes.items()}
        return plan(replace(policy, **given), orchestrator, total)

    patch.setattr(engine_module, "plan_waves", mutated)


def _limits(patch: Patch, **changes: Callable[[Any], Any]) -> None:
    read = engine_module.read_limits

    def mutated(*args: Any) -> Any:
        limits = read(*args)
        return replace(limits, **{name: change(getattr(limits, name)) for name, change in changes.items()})

    patch.setattr(engine_module, "read_limits", mutated)


def one_more_in_a_wave(patch: Patch) -> None:
    _plan(patch, max_parallel=lambda nodes: nodes + 1)


def wave_over_before_its_last_node(patch: Patch) -> None:
    early = property(lambda wave: wave.turns == wave.size and wave.unresolved <= 1)
    patch.setattr(dispatch_module.Wave, "is_over", early)


def one_window_too_few(patch: Patch) -> None:
    _rule(patch, windows_needed=lambda n: n - 1)


def one_window_too_many(patch: Patch) -> None:
    _rule(patch, windows_needed=lambda n: n + 1)


def no_bake(patch: Patch) -> None:
    patch.setattr(controller_module.Controller, "_finish_wave", lambda controller: controller._look_beyond_wave())


def barrier_instead_of_slots(patch: Patch) -> None:
    plan = engine_module.plan_waves
    patch.setattr(engine_module, "plan_waves", lambda p, o, n: plan(p, replace(o, pacing="barrier"), n))


def batches_every_30_s(patch: Patch) -> None:
    patch.setattr(controller_module, "_BATCH_EVERY_NS", 30 * NS_PER_S)


def slowdown_per_node(patch: Patch) -> None:
    def mutated(world: World, node: int, attempt: int) -> int:
        factor = world.behaviours[0].slowdown.quantile(world.draws.draw(Stream.UPDATE_DURATION, node, attempt))
        return round(60 * NS_PER_S * factor)

    patch.setattr(World, "start_ns", mutated)


def rollback_one_by_one(patch: Patch) -> None:
    rollback = engine_module.Rollback
    patch.setattr(engine_module, "Rollback", lambda site, wave_size: rollback(site, 1))


def detection_from_the_start(patch: Patch) -> None:
    countdown = controller_module.Countdown

    def mutated(env: Any, duration_ns: int, callback: Any, *, frozen: bool) -> Any:
        return countdown(env, max(duration_ns - env.now, 0), callback, frozen=frozen)

    patch.setattr(controller_module, "Countdown", mutated)


def attempts_share_their_fate(patch: Patch) -> None:
    fails = World.start_fails
    patch.setattr(World, "start_fails", lambda world, node, attempt: fails(world, node, 0))


def failure_before_hang(patch: Patch) -> None:
    hangs, fails = World.start_hangs, World.start_fails
    patch.setattr(
        World,
        "start_hangs",
        lambda world, node, attempt: not fails(world, node, attempt) and hangs(world, node, attempt),
    )


def other_comparison(patch: Patch) -> None:
    _limits(patch, reaches=lambda reaches: not reaches)


def percent_of_resolved(patch: Patch) -> None:
    _limits(patch, percent_of=lambda _: "resolved")


def percent_rounded_up(patch: Patch) -> None:
    by_percent = Limits._by_percent

    def mutated(limits: Limits, counts: Any) -> str | None:
        return by_percent(limits, replace(counts, failed=counts.failed - 1)) if counts.failed > 1 else None

    patch.setattr(Limits, "_by_percent", mutated)


def every_node_has_its_own_level(patch: Patch) -> None:
    def mutated(world: World, node: int, attempt: int) -> bool:
        level = world.behaviours[0].start_failure.quantile(world.draws.draw(Stream.START_HANG, node, attempt))
        return world.draws.draw(Stream.START_FAILURE, node, attempt) < level

    patch.setattr(World, "start_fails", mutated)


def judged_one_failure_late(patch: Patch) -> None:
    _limits(patch, max_failed_nodes=lambda limit: limit + 1)


def one_canary_less(patch: Patch) -> None:
    _plan(patch, canary_count=lambda n: n - 1)


def gate_left_open(patch: Patch) -> None:
    patch.setattr(controller_module.Controller, "_what_is_crossed", lambda _: None)


def affected_independently(patch: Patch) -> None:
    patch.setattr(
        World,
        "_affected",
        lambda world, fleet: (
            world.draws.fleet(Stream.AFFECTED, fleet.nodes) < world.release.affects.count / fleet.nodes
        ),
    )


def nobody_rejects(patch: Patch) -> None:
    patch.setattr(controller_module, "rejects", lambda site, operator, canaries: False)


def every_canary_shows(patch: Patch) -> None:
    patch.setattr(people_module, "_shows", lambda site, canary: True)


def deadline_one_window_early(patch: Patch) -> None:
    _rule(patch, deadline_ns=lambda ns: ns - 1)


def deadline_one_window_late(patch: Patch) -> None:
    _rule(patch, deadline_ns=lambda ns: ns + 10 * NS_PER_S)


def other_deadline_clock(patch: Patch) -> None:
    _rule(patch, deadline_from_dispatch=lambda value: not value)


def other_window_reset(patch: Patch) -> None:
    _rule(patch, consecutive=lambda value: not value)


def no_failure_threshold(patch: Patch) -> None:
    _rule(patch, failure_threshold=lambda _: None)


def failed_requests_below_the_rate(patch: Patch) -> None:
    allowed = HealthRule.allowed_failures
    patch.setattr(HealthRule, "allowed_failures", lambda rule, requests: allowed(rule, requests) - 1)


def all_up_at_first(patch: Patch) -> None:
    made = availability_module.Processes.__init__

    def mutated(processes: Any, *args: Any) -> None:
        made(processes, *args)
        processes._bad_at_first = [False] * len(processes._bad_at_first)

    patch.setattr(availability_module.Processes, "__init__", mutated)


def fresh_at_first(patch: Patch) -> None:
    patch.setattr(availability_module, "Residual", lambda law: law)


def crash_rate_ignored(patch: Patch) -> None:
    patch.setattr(World, "crash_rate", lambda world, node: 1.0)


def crash_rate_inverted(patch: Patch) -> None:
    rate = World.crash_rate
    patch.setattr(World, "crash_rate", lambda world, node: 1 / rate(world, node))


def baseline_forgotten(patch: Patch) -> None:
    level = prober_module.mean_level
    patch.setattr(prober_module, "mean_level", lambda baseline, *rest: level(0.0, *rest))


def every_node_its_own_zone(patch: Patch) -> None:
    zones = World._zone_processes

    def mutated(world: World, fleet: Any) -> Any:
        world.zone_of = np.arange(fleet.nodes)
        return zones(world, replace(fleet, zones=fleet.nodes))

    patch.setattr(World, "_zone_processes", mutated)


def shows_at_once(patch: Patch) -> None:
    patch.setattr(World, "after_ns", lambda world, node: 0)


def baseline_not_subtracted(patch: Patch) -> None:
    level = World.added_level
    patch.setattr(World, "added_level", lambda world, node: level(world, node) / (1 - world.baseline[node]))


def degraded_time_not_subtracted(patch: Patch) -> None:
    patch.setattr(World, "degraded_spells", lambda world, node, start, end: iter(()))


MUTATIONS: list[tuple[Callable[[], Sample], Callable[[Patch], None]]] = [
    (closed_forms.barrier_exponential, one_more_in_a_wave),
    (closed_forms.barrier_exponential, wave_over_before_its_last_node),
    (closed_forms.barrier_lognormal, one_window_too_few),
    (closed_forms.barrier_lognormal, no_bake),
    (closed_forms.sliding_exponential, one_more_in_a_wave),
    (closed_forms.sliding_exponential, barrier_instead_of_slots),
    (closed_forms.rate_exponential, batches_every_30_s),
    (closed_forms.slowdown, slowdown_per_node),
    (closed_forms.escape_horizon, rollback_one_by_one),
    (closed_forms.escape_horizon, detection_from_the_start),
    (retries, attempts_share_their_fate),
    (retries, failure_before_hang),
    (closed_forms.stop_above, other_comparison),
    (closed_forms.stop_at, other_comparison),
    (closed_forms.stop_by_percent, percent_of_resolved),
    (closed_forms.stop_by_percent, percent_rounded_up),
    (closed_forms.correlated_stop, every_node_has_its_own_level),
    (closed_forms.overdispersion, every_node_has_its_own_level),
    (closed_forms.dispatched_until_stop, judged_one_failure_late),
    (closed_forms.dispatched_until_stop, other_comparison),
    (closed_forms.canaries_miss_share, one_canary_less),
    (closed_forms.canaries_miss_share, gate_left_open),
    (closed_forms.canaries_catch_count, affected_independently),
    (closed_forms.canary_blast_radius, gate_left_open),
    (closed_forms.operator_accepts, nobody_rejects),
    (closed_forms.operator_cancels, every_canary_shows),
    (run_of_windows, one_window_too_few),
    (run_of_windows, deadline_one_window_early),
    (run_of_windows, failed_requests_below_the_rate),
    (run_of_windows, other_window_reset),
    (length_of_validation, one_window_too_many),
    (length_of_validation, deadline_one_window_late),
    (added_up_windows, other_window_reset),
    (deadline_from_start, other_deadline_clock),
    (both_thresholds, no_failure_threshold),
    (both_thresholds, one_window_too_many),
    (down_at_first, all_up_at_first),
    (down_later, fresh_at_first),
    (down_on_average, fresh_at_first),
    (crash_rate, crash_rate_ignored),
    (crash_rate, crash_rate_inverted),
    (flapping, all_up_at_first),
    (flapping, baseline_forgotten),
    (closed_forms.zones_whole, every_node_its_own_zone),
    (closed_forms.excess, shows_at_once),
    (closed_forms.excess, baseline_not_subtracted),
    (closed_forms.excess, degraded_time_not_subtracted),
]


@pytest.mark.parametrize(
    ("check", "mutate"), MUTATIONS, ids=[f"{check.__name__}-{mutate.__name__}" for check, mutate in MUTATIONS]
)
def test_check_fails_on_a_planted_mistake(
    check: Callable[[], Sample], mutate: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    """A mistake planted in the engine, the rules or the world moves the mean off the closed form. [oracle]"""
    mutate(monkeypatch)
    sample = check()
    assert np.isfinite(sample.values).all()
    assert not sample.agrees


def test_every_check_has_a_mutation() -> None:
    """No check goes without a mistake that it has been shown to find. [contract]"""
    assert {check for check, _ in MUTATIONS} == {*CHECKS, *closed_forms.CLOSED_FORMS}
