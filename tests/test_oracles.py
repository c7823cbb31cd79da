"""Closed forms that `verify` doesn't hold, and proof that every one can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simdeploy import Scenario, simulate
from simdeploy.engines.reference import (
    controller as controller_module,
    dispatch as dispatch_module,
    engine as engine_module,
    people as people_module,
    prober as prober_module,
)
from simdeploy.rules.health import HealthRule
from simdeploy.rules.limits import Limits
from simdeploy.units import NS_PER_S
from simdeploy.validation import oracles
from simdeploy.validation.verification.case import (
    NEVER_STOPS,
    Case,
    at_least,
    canary,
    make_case,
    number_of,
    rolling,
    share_of,
)
from simdeploy.validation.verification.verifying import compare_case, compare_engines, make_cases, simulate_case
from simdeploy.world import availability as availability_module
from simdeploy.world.realized import World
from simdeploy.world.streams import Stream

pytestmark = pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning")

SEED = 20260101
LEVEL = 0.1
HEALTHY = oracles.healthy_window_probability(40, LEVEL, LEVEL)
BREAKS = {"up": {"weibull": {"mean": 3600, "shape": 0.5}}, "repair": {"lognormal": {"mean": 3600, "sd": 7200}}}


def of_windows(name: str, truth: Callable[[], float], health_check: dict[str, Any], **more: Any) -> Case:
    """Make a case of the nodes that pass their validation although a tenth of all requests fails."""
    policy = rolling(more.pop("max_parallel", 0), health_check={**health_check, "max_error_rate": LEVEL}, **NEVER_STOPS)
    orchestrator = {"on_failure": "continue", **more.pop("switches", {})}
    fleet = {"nodes": 20, "requests_per_second": 4, "error_rate": LEVEL}
    passed = number_of("updated_nodes", 20)
    return make_case(
        name, "nodes that pass", "validation", truth, passed, fleet, {**policy, **more}, orchestrator=orchestrator
    )


def of_crashes(name: str, *script: dict[str, Any]) -> Case:
    """Make a case of the nodes that are up when all of them have their turn: a node that is down is skipped."""
    return make_case(
        name,
        "nodes touched",
        "unavailability",
        lambda: 1 - oracles.unavailability(3600, 3600),
        number_of("touched_nodes", 20),
        {"nodes": 20, "crash": BREAKS},
        {"strategy": "immediate", **NEVER_STOPS},
        orchestrator={"unreachable_nodes": "skip"},
        operator={"script": list(script)},
    )


OURS = (
    make_case(
        "one slowdown for all nodes",
        "makespan, s",
        "",
        lambda: 60 * 1.5,
        number_of("makespan_s"),
        {"nodes": 10, "update_duration": "1m", "slowdown": {"lognormal": {"mean": 1.5, "sd": 0.6}}},
        {"strategy": "immediate"},
    ),
    make_case(
        "an escape: makespan, detection, and the longest of five rollbacks",
        "restored at, s",
        "exponential_barrier_makespan_s",
        lambda: 300 + 3600 + oracles.exponential_barrier_makespan_s(600, [5]),
        number_of("restored_at_s"),
        {"nodes": 5, "update_duration": "5m", "rollback_duration": {"exponential": {"mean": "10m"}}},
        {"strategy": "immediate"},
        release={"bad": {"probability": 1, "defective": True}},
        operator={"escape_detection": {"lognormal": {"mean": "1h", "sd": "20m"}}},
    ),
    make_case(
        "5 % of 20 nodes is one",
        "rollouts stopped",
        "stop_probability",
        lambda: oracles.stop_probability(20, 0.15, 1),
        share_of("state", "failed"),
        {"nodes": 20, "start_failure": 0.15},
        rolling(6, max_failed_nodes=20, max_failed_nodes_percent=5.0),
    ),
    make_case(
        "two zones of five nodes",
        "rollouts that touch all nodes",
        "unavailability",
        lambda: (1 - oracles.unavailability(9, 1)) ** 2,
        at_least("touched_nodes", 10),
        {
            "nodes": 10,
            "zones": 2,
            "zone_outage": {"up": {"exponential": {"mean": "9h"}}, "repair": {"exponential": {"mean": "1h"}}},
        },
        {"strategy": "immediate", **NEVER_STOPS},
    ),
    of_windows(
        "three windows of four, not in a row",
        lambda: oracles.validation(HEALTHY, 3, 4, consecutive=False).pass_probability,
        {"deadline": "70s", "min_healthy_time": "30s"},
        switches={"window_reset": False},
    ),
    of_windows(
        "a deadline that starts when the node has started",
        lambda: oracles.validation(HEALTHY, 2, 4).pass_probability,
        {"deadline": "40s", "min_healthy_time": "20s"},
        switches={"deadline_starts": "started"},
    ),
    of_windows(
        "two good windows pass, three bad ones fail",
        lambda: oracles.validation(HEALTHY, 2, 9, failure_threshold=3).pass_probability,
        {
            "deadline": 120 * NS_PER_S,
            "interval": 10 * NS_PER_S,
            "success_threshold": 2,
            "failure_threshold": 3,
        },
        max_parallel=100,
        dialect="rollout",
    ),
    make_case(
        "canaries, two of four are hurt",
        "escapes",
        "no_affected_canary_of_count",
        lambda: oracles.no_affected_canary_of_count(4, 2, 2),
        share_of("verdict", "escaped"),
        {"nodes": 4, "requests_per_second": 1},
        canary(2, health_check={"deadline": "1m", "min_healthy_time": "10s"}, **NEVER_STOPS),
        release={"broken": {"probability": 1, "defective": True, "error_rate": 1, "affects": {"count": 2}}},
    ),
    make_case(
        "a person who notices every defect that shows",
        "stopped defective",
        "operator_verdicts",
        lambda: oracles.operator_verdicts(1, shown=0.75, notices_defect=1, rejects_good=0.2)["stopped_defective"],
        share_of("verdict", "stopped_defective"),
        {"nodes": 4},
        canary(2, auto_promote=False),
        release={"bad": {"probability": 1, "defective": True, "affects": {"share": 0.5}}},
        operator={"promote_after": "5m", "notices_defect": 1, "rejects_good": 0.2},
    ),
    of_crashes("who is up at first"),
    of_crashes("who is up after two hours", {"at": 0, "do": "pause"}, {"at": "2h", "do": "resume"}),
)


@pytest.mark.parametrize("case", OURS, ids=lambda case: case.name)
def test_both_engines_agree_with_the_closed_form(case: Case) -> None:
    """The compiled engine is within 4 standard errors of the closed form, with errors of at most 2 % of it; the reference
    engine gives the same rollouts. [oracle]
    """
    one, other = (simulate_case(case, engine, n, SEED) for engine, n in (("reference", 50), ("compiled", 20_000)))
    row = compare_case(case, "compiled", other)
    assert row["ok"], row
    assert 0 < row["standard_error"] <= 0.02 * abs(row["closed_form"])
    assert compare_engines(case, one, other)["ok"]


def flap() -> tuple[float, float]:
    """Return how far the failed fraction of requests is from the time-average of the error level, in standard errors."""
    raw = {
        "name": "flapping",
        "fleet": {
            "nodes": 100,
            "update_duration": "30s",
            "requests_per_second": 10,
            "error_rate": 0.05,
            "flapping": {"good": "5m", "degraded": "5m", "error_rate": 0.6},
        },
        "policies": {"p": rolling(health_check={"deadline": "10m", "min_healthy_time": "1m", "max_error_rate": 1.0})},
    }
    scenario = Scenario.from_dict(raw)
    timelines = (simulate(scenario, seed=SEED, replication=replication).timeline for replication in range(60))
    totals = [timeline[["failed_requests", "requests"]].sum() for timeline in timelines]
    values = np.array([total["failed_requests"] / total["requests"] for total in totals])
    truth = oracles.degraded_error_level(0.05, 0.6, good_s=300, degraded_s=300)
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert 0 < error <= 0.02 * truth
    return abs(values.mean() - truth) / error


def test_requests_of_flapping_nodes() -> None:
    """Requests of a flapping node fail at the time-average of its error level, within 4 standard errors. [oracle]"""
    assert flap() <= 4


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


CASES = {(case.name, case.quantity): case for case in (*make_cases(), *OURS)}
WAVES, LOGNORMAL = ("waves, exponential starts", "makespan, s"), ("waves, lognormal starts", "makespan, s")
SLIDING, BATCHES = ("sliding", "makespan, s"), ("batches by the clock", "makespan, s")
SLOWDOWN, ESCAPE = ((case.name, case.quantity) for case in OURS[:2])
ATTEMPTS = ("two attempts, some hang", "nodes that start")
ABOVE, AT = ("stop above a limit", "rollouts stopped"), ("stop at a limit", "rollouts stopped")
PERCENT, ZONES = ((case.name, case.quantity) for case in OURS[2:4])
TOGETHER = ("failures that come together", "rollouts stopped")
VARIANCE = ("failures that come together, never stopped", "variance of failed nodes")
ONE_BY_ONE = ("one at a time until a limit", "nodes touched")
SHARE, RADIUS = (("canaries, a share is hurt", quantity) for quantity in ("escapes", "blast radius"))
ACCEPTED = ("a person decides", "completed good")
PASSED, LASTED = (
    ("three windows in a row of seven", quantity) for quantity in ("nodes that pass", "windows of a node")
)
NO_ROW, FROM_START, THRESHOLDS, COUNT, CANCELLED, AT_FIRST, LATER = ((case.name, case.quantity) for case in OURS[4:])
DOWN = ("crashes, nothing is touched", "fraction of time down")
CRASH_RATE = ("a release that crashes nodes", "seconds down in excess, a node")
LATENT, FLAP = (
    ("a latent defect", "failed requests in excess"),
    ("nodes that flap anyway", "failed requests in excess"),
)

# Enough rollouts of the reference engine for each mistake to show.
MUTATIONS: list[tuple[tuple[str, str], Callable[[Patch], None], int]] = [
    (WAVES, one_more_in_a_wave, 300),
    (WAVES, wave_over_before_its_last_node, 300),
    (LOGNORMAL, one_window_too_few, 300),
    (LOGNORMAL, no_bake, 300),
    (SLIDING, one_more_in_a_wave, 300),
    (SLIDING, barrier_instead_of_slots, 300),
    (BATCHES, batches_every_30_s, 300),
    (SLOWDOWN, slowdown_per_node, 300),
    (ESCAPE, rollback_one_by_one, 300),
    (ESCAPE, detection_from_the_start, 700),
    (ATTEMPTS, attempts_share_their_fate, 300),
    (ATTEMPTS, failure_before_hang, 300),
    (ABOVE, other_comparison, 300),
    (AT, other_comparison, 300),
    (PERCENT, percent_of_resolved, 300),
    (PERCENT, percent_rounded_up, 300),
    (TOGETHER, every_node_has_its_own_level, 300),
    (VARIANCE, every_node_has_its_own_level, 300),
    (ONE_BY_ONE, judged_one_failure_late, 300),
    (ONE_BY_ONE, other_comparison, 300),
    (SHARE, one_canary_less, 500),
    (SHARE, gate_left_open, 300),
    (COUNT, affected_independently, 700),
    (RADIUS, gate_left_open, 300),
    (ACCEPTED, nobody_rejects, 300),
    (CANCELLED, every_canary_shows, 200),
    (PASSED, one_window_too_few, 200),
    (PASSED, deadline_one_window_early, 200),
    (PASSED, failed_requests_below_the_rate, 200),
    (PASSED, other_window_reset, 200),
    (LASTED, one_window_too_many, 200),
    (LASTED, deadline_one_window_late, 200),
    (NO_ROW, other_window_reset, 200),
    (FROM_START, other_deadline_clock, 200),
    (THRESHOLDS, no_failure_threshold, 200),
    (THRESHOLDS, one_window_too_many, 200),
    (AT_FIRST, all_up_at_first, 200),
    (LATER, fresh_at_first, 200),
    (DOWN, fresh_at_first, 200),
    (CRASH_RATE, crash_rate_ignored, 200),
    (CRASH_RATE, crash_rate_inverted, 200),
    (ZONES, every_node_its_own_zone, 300),
    (LATENT, shows_at_once, 100),
    (LATENT, baseline_not_subtracted, 100),
    (FLAP, degraded_time_not_subtracted, 100),
]


@pytest.mark.parametrize(
    ("name", "mutate", "replications"),
    MUTATIONS,
    ids=[f"{name[0]}-{mutate.__name__}" for name, mutate, _ in MUTATIONS],
)
def test_a_planted_mistake_is_found(
    name: tuple[str, str], mutate: Callable[[Patch], None], replications: int, monkeypatch: Patch
) -> None:
    """A mistake planted in the engine, the rules or the world moves the mean off the closed form. [oracle]"""
    mutate(monkeypatch)
    case = CASES[name]
    row = compare_case(case, "reference", simulate_case(case, "reference", replications, SEED))
    assert row["note"] == ""
    assert np.isfinite(row["estimate"])
    assert not row["ok"], row


@pytest.mark.parametrize("mutate", [all_up_at_first, baseline_forgotten])
def test_a_planted_mistake_is_found_in_the_timeline(mutate: Callable[[Patch], None], monkeypatch: Patch) -> None:
    """So does one that only the records of requests tell. [oracle]"""
    mutate(monkeypatch)
    assert flap() > 4


def test_every_case_of_ours_has_a_mutation() -> None:
    """No case of this file goes without a mistake that it has been shown to find. [contract]"""
    assert {(case.name, case.quantity) for case in OURS} <= {name for name, *_ in MUTATIONS}
