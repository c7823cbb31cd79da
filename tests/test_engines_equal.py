"""Both engines give equal responses over generated scenarios that use the whole file format."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import hypothesis
import pytest
import yaml
from by_hand import ENGINES
from encounters import Feature, count, watching
from generators import (
    ACTIONS,
    GATES,
    STRATEGIES,
    Decisions,
    Raw,
    general_policy,
    one_policy,
    scenario_of,
    scenarios,
    spells,
    without_lines,
)
from hypothesis import Phase, given, settings, strategies as st
from mistakes import MISTAKES, NEEDS, TOLD_BY
from reducing import reduced
from rows_equal import REPLICATIONS, Row, are_equal, differences, run
from small import rolling

from simdeploy import Scenario, simulate
from simdeploy.engines.running import prepare_block
from simdeploy.engines.schema import STATUSES
from simdeploy.rules.deployment_types import TYPES
from simdeploy.rules.gates.gate import METHODS
from simdeploy.rules.orchestrator import switch_values
from simdeploy.vocabulary import RESPONSES, STATES, VERDICTS
from simdeploy.world.streams import Stream

pytestmark = pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning")

# All chunks together examine this many scenarios; under the profile `fuzz` each examines this many, new ones.
# Fewer, with fewer policies and replications, find every mistake that is planted below.
CHUNKS, SCENARIOS = 2, 1600


def assert_no_differences(
    raws: st.SearchStrategy[Raw], examples: int, chunk: int, differ: Callable[[Raw, int], list[str]]
) -> None:
    """Assert that engines don't differ over scenarios and seeds, the same each time; under the profile `fuzz` over more, and new ones.

    A difference is reported with a minimal scenario file that reproduces it.
    """

    def test(raw: Raw, seed: int) -> None:
        if differ(raw, seed):
            smaller = reduced(raw, lambda raw: bool(differ(raw, seed)))
            lines = [f"with seed {seed}:", *differ(smaller, seed), "in the scenario", yaml.safe_dump(smaller)]
            pytest.fail("\n".join(lines), pytrace=False)

    profile = settings.default or settings()
    fixed = settings(profile, max_examples=examples, derandomize=False, database=None)
    chosen = settings(fixed if profile.derandomize else profile, phases=[Phase.generate])
    run = chosen(given(raws, st.integers(0, 2**64 - 1))(test))
    (hypothesis.seed(chunk)(run) if profile.derandomize else run)()


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("verdict", "escaped", math.nan),
        ("status", "ok", "failed"),
        ("failed_nodes", 3, 4),
        ("makespan_s", 30.0, 30.0000001),
        ("restored_at_s", math.nan, 30.0),
        ("exposed_node_s", 1e9, 1e9 + 2),
        ("unavailable_excess_node_s", 0.0, 2e-6),
    ],
)
def test_differences_are_detected(name: str, one: Any, other: Any) -> None:
    """Words, whole numbers, unknown values, and times that differ by more than 1e-9 of their size are distinguished. [contract]"""
    rest = {"unavailable_node_s": 1000.0}
    assert are_equal(name, {**rest, name: one}, {**rest, name: one}, 1e-9)
    assert not are_equal(name, {**rest, name: one}, {**rest, name: other}, 1e-9)
    assert differences(["p"], [[{**rest, name: one}]], [[{**rest, name: other}]])


def rows_and_differences(
    scenario: Scenario, seed: int, replications: int = REPLICATIONS
) -> tuple[list[list[Row]], list[str]]:
    """Return the reference engine's rows of all policies, and how the compiled engine's differ."""
    policies = list(scenario.policies.values())
    expected, found = (run(scenario, policies, engine, seed, replications=replications) for engine in ENGINES)
    return expected, differences(list(scenario.policies), expected, found)


@pytest.mark.parametrize("pacing", ["sliding", "barrier"])
@pytest.mark.parametrize("unreachable", ["fail", "skip", "wait"])
@pytest.mark.parametrize("duration", [45, {"lognormal": {"median": 45, "p95": 120}}], ids=["alike", "spread"])
def test_engines_are_equal_over_larger_fleets(pacing: str, unreachable: str, duration: Any) -> None:
    """Engines agree where many plain nodes get their verdicts, sequentially or at once, until a limit is crossed. [property]"""
    fleet = {
        "nodes": 60,
        "update_duration": duration,
        "start_failure": 0.05,
        "error_rate": 0.004,
        "requests_per_second": 20,
        "flapping": {"good": "30m", "degraded": "45s", "error_rate": 0.3},
        "crash": spells("3h", {"exponential": {"mean": "5m"}}),
    }
    health_check = {"deadline": "10m", "max_error_rate": 0.02, "min_healthy_time": "60s"}
    policy = rolling(10, max_failed_nodes_percent=100, health_check=health_check)
    raw = {
        "name": "larger",
        "fleet": fleet,
        "orchestrator": {"pacing": pacing, "unreachable_nodes": unreachable},
        "policies": {f"up to {n}": {**policy, "max_failed_nodes": n} for n in (1, 60)},
    }
    expected, differing = rows_and_differences(Scenario.from_dict(raw), 3)
    assert {row["state"] for rows in expected for row in rows} == {"completed", "failed"}
    assert differing == []


@pytest.mark.parametrize("across", ["class", "zone"])
def test_only_some_waves_are_compared(across: str) -> None:
    """Nodes of a wave without its gate have no partners, and no pool is looked up for them. [contract]"""
    fleet = {
        "nodes": 12,
        "update_duration": 30,
        "requests_per_second": 20,
        "zones": 2,
        "classes": [{"name": "large", "share": 0.5}, {"name": "small", "share": 0.5}],
        "service": {"shared": {"across": across, "capacity": 2}},
    }
    waves = [{"size": 4, "gate": False}, 4, {"size": 4, "gate": False}]
    policies = general_policy("10m", "60s", waves=waves, check={"gate": {"kind": "baseline", "test": "mann_whitney"}})
    _, differing = rows_and_differences(Scenario.from_dict({"name": "some", "fleet": fleet, "policies": policies}), 3)
    assert differing == []


@pytest.mark.parametrize(
    "own", [{"max_failed_nodes_per_zone": "25%"}, {"waves": [{"size": 4, "max_failed_nodes_percent": 25}, 4]}]
)
def test_own_limits_are_reached(own: Raw) -> None:
    """Limits of zones and waves are reached by themselves, whether or not the fleet's percent can be. [contract]"""
    health_check = {"deadline": "60s"}
    policies = {
        f"{percent} %": {"dialect": "general", "strategy": "rolling", "health_check": health_check, **own}
        | {"max_failed_nodes_percent": percent}
        for percent in (33.3, 37.5)  # of 8 nodes
    }
    fleet = {"nodes": 8, "zones": 2, "update_duration": "30s", "start_failure": 0.1}
    raw = {"name": "own", "fleet": fleet, "orchestrator": {"limit_comparison": "reaches"}, "policies": policies}
    expected, differing = rows_and_differences(Scenario.from_dict(raw), 1, replications=20)
    assert {row["state"] for rows in expected for row in rows} == {"completed", "failed"}
    assert differing == []


# -- required encounters ---------------------------------------------------------------------------


FAMILIES = ("Constant", "Uniform", "Triangular", "Exponential", "Weibull", "Lognormal", "Gamma", "Beta", "Empirical")
# Those that lie between 0 and 1.
BOUNDED = ("Constant", "Uniform", "Triangular", "Beta", "Empirical")
PROBABILITIES = ("fleet.start_failure", "fleet.error_rate")
TIMES = (
    *("fleet.update_duration", "fleet.rollback_duration", "fleet.slowdown"),
    *("fleet.crash.up", "fleet.crash.repair", "fleet.zone_outage.up", "fleet.zone_outage.repair"),
    *("fleet.connection.online", "fleet.connection.offline"),
    *("release.after", "operator.promote_after", "operator.escape_detection", "operator.undo_after"),
)
PLACES = dict.fromkeys(PROBABILITIES, BOUNDED) | dict.fromkeys(TIMES, FAMILIES)
FATES = (
    "did not start",
    "deadline passed while starting",
    "silent until the deadline",
    "counted as running, but silent",
    "down when its turn came",
    "offline when its turn came",
    "not heard of by the deadline",
    "unhealthy",
    "not healthy by the deadline",
    "healthy",
    "passed by the gate",
    "its wave failed the gate",
    "not passed by the gate before the deadline",
    "rolls back by itself",
    "rollback failed",
)
ON_THE_LINE = (
    "an order comes at once",
    "an order comes late",
    "a node is given up",
    "a success is heard late",
    "a failure is heard late",
    "a failure is not heard of by the deadline",
    "the end comes before a verdict is heard",
    "a node goes back before its failure is heard",
    "an operator misses a canary",
)

SLOTS = (
    "a list",
    "a list zone by zone",
    "canaries of a list",
    "bake times",
    "a healthy time of a wave",
    "a wave without its gate",
    "a later wave is promoted",
    "an operator at a later wave",
    "a window within a wave",
    "a window before a gate",
    "a window paused",
    "a window meets nodes that are down: fail",
    "a window meets nodes that are down: skip",
    "a window meets nodes that are down: wait",
    "a lost wave",
    "a lost wave, some of it passed over",
    "a zone is full",
    "a delay",
    "given up at the start",
    "given up before a gate",
    "a start is heard late",
    "stuck",
    "stuck by a zone",
    "stuck by a freeze",
    "stuck: failed",
    "stuck: paused",
)
LATE_REPORTS = (
    "a success counts late",
    "a failure counts late",
    "a failed dispatch counts at once",
    "nodes are dispatched before a failure counts",
    "the end comes before a verdict counts",
)

BESIDE = (
    "a node finds no place",
    *(
        f"{service}: {what}"
        for service in ("local", "shared")
        for what in (
            "no failure",
            "it failed",
            "it goes back starting, beside its old instance",
            "it goes back exposed, beside its old instance",
            "it goes back exposed, without its old instance",
            "a canary finds a place of its own",
        )
    ),
    "its rollback fails beside its old instance",
    "it is given up",
    "it is given up, and its old instance is gone",
    "both instances go down",
    "it holds its place",
    "it goes back by itself",
)
HELD_BACK = (
    *("first wave", "wave", "slot", "slot within a wave", "batch", "rate clock", "returned node"),
    *("nothing: completed", "with a script", "and rolled back", "rollout with a gate"),
)
RETRIES = (
    "did not start; is tried again",
    "deadline passed while starting; is tried again",
    "silent until the deadline; is tried again",
    "unhealthy; is tried again",
    "not healthy by the deadline; is tried again",
    "it was unhealthy and does not start again",
    "it starts",
    "it fails in the end",
    "it is sent back",
    "it is surged",
    "it goes on after the end",
    "failed tries are too many",
    "in a row",
    "in all",
)


def required_counts() -> dict[Feature, int]:
    """Return how often 3200 scenarios must have each feature."""
    often: dict[Feature, int] = {}
    for switch, values in switch_values().items():
        often |= {("switch", switch, value): 20 for value in values}
    often |= {("switch", "minimum_sample", is_set): 20 for is_set in (False, True)}
    often |= {("switch", "bake_time", is_set): 20 for is_set in (False, True)}
    often |= {("switch", "rate.growth", growth): 12 for growth in (0.5, 1, 1.5)}
    often |= {("switch", "rate.max_per_minute", is_set): 20 for is_set in (False, True)}
    often |= {("switch", "rate.growth_every", is_set): 20 for is_set in (False, True)}
    often |= {("type", name): 20 for name in TYPES}
    often |= {("law", family): 20 for family in FAMILIES}
    often |= {("law", place, family): 4 for place, families in PLACES.items() for family in families}
    often |= {("strategy", name): 20 for name in STRATEGIES}
    often |= {("dialect", name): 20 for name in ("deployment", "rollout", "general")}
    often |= {("order", name): 20 for name in ("index", "random", "zone", "nodes")}
    often |= {("affects", by): 20 for by in ("all", "share", "count", "classes", "zones", "nodes")}
    often |= {("class by", by): 20 for by in ("share", "nodes")} | {("class cut",): 4}
    often |= {("down for good", treatment): 20 for treatment in ("fail", "skip", "wait")}
    # Only a script with a promotion has an operator.
    often |= {("line", what): 20 for what in ON_THE_LINE} | {("line", "an operator misses a canary"): 1}
    often |= {("line", "the end comes before a verdict is heard"): 12}
    often |= {("late report", what): 20 for what in LATE_REPORTS}
    often |= {("slots", what): 4 for what in SLOTS}
    often |= {("surge", what): 4 for what in BESIDE} | {("retry", what): 12 for what in RETRIES}
    often |= {("script", did): 20 for did in (*ACTIONS, "no effect")}
    often |= {("operator", did): 20 for did in ("promote", "cancel")}
    # A window of a node to compare with is numbered by its time: never 0.
    of_worlds = [one for one in Stream if one is not Stream.PAST_ROLLOUT and not one.name.startswith("SEEN_")]
    often |= {("stream", stream.name): 20 for stream in of_worlds if stream != Stream.OLD_WINDOW}
    often |= {("stream at a later index", stream.name): 20 for stream in of_worlds if stream.index_is != "0"}
    often |= {("status", status): 20 for status in STATUSES if status != "pending"}
    often |= {("renewed by update", renewed): 20 for renewed in (False, True)}
    often |= {("crash rate", rate): 20 for rate in (0, 0.5, 1, 20)}
    often |= {("fate", fate): 20 for fate in FATES}
    often |= {("gate", method): 4 for method in METHODS}
    often |= {("gate says", what): 20 for what in ("pass", "fail", "undecided")}
    often |= {("held back", what): 20 for what in HELD_BACK}
    often |= {("latent defect",): 20, ("open defect",): 20}
    often |= {("traffic",): 50, ("traffic of a shared service",): 20, ("load changes",): 50, ("overload",): 50}
    often |= {("service", across): 20 for across in ("fleet", "zone", "class")}
    often |= {("gate of a shared service",): 20}
    # A deployment starts at once, so it never ends as pending.
    often |= {("state", state): 50 for state in STATES if state != "pending"}
    often |= {("verdict", verdict): 50 for verdict in VERDICTS}
    return often


# -- the engines -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_engines_are_equal(chunk: int) -> None:
    """For any scenario and policies both engines give the same responses, and all features occur. [property]"""
    met: Counter[Feature] = Counter()

    def differ(raw: Raw, seed: int) -> list[str]:
        scenario = Scenario.from_dict(raw)
        policies = list(scenario.policies.values())
        with watching() as seen:
            expected = run(scenario, policies, "reference", seed)
        met.update(count(seen))
        flat = [row for of_policy in expected for row in of_policy]
        met.update((name, row[name]) for row in flat for name in ("state", "verdict"))
        errors = [row["error"] for row in flat if row["status"] != "ok"]
        return errors + differences(list(scenario.policies), expected, run(scenario, policies, "compiled", seed))

    assert_no_differences(scenarios(neighbours=(0, 1, 2)), SCENARIOS // CHUNKS, chunk, differ)
    share = SCENARIOS / CHUNKS / 3200
    seldom = {feature: met[feature] for feature, often in required_counts().items() if met[feature] < often * share}
    assert not seldom or not (settings.default or settings()).derandomize  # of other cases there may be more or fewer


def test_failures_of_several_waves() -> None:
    """A gate that counts unhealthy looks over the whole rollout has the same outcome on both engines, over several waves, too. [property]"""
    gate = {"kind": "pooled", "over": "window", "failures_of": "rollout"}
    check = {"deadline": "10m", "min_healthy_time": "10s", "max_error_rate": 0.1, "failure_threshold": 3}
    raw = {
        "name": "several-waves",
        "fleet": {"nodes": 20, "update_duration": 10, "requests_per_second": 7, "error_rate": 0.1},
        "policies": {
            name: rolling(2, dialect="general", health_check={**check, "cumulative_failures": cumulative, "gate": gate})
            for name, cumulative in (("in-all", True), ("in-a-row", False))
        },
    }
    with watching() as seen:
        _, differing = rows_and_differences(Scenario.from_dict(raw), 1, 30)
    assert not differing
    assert sum("failures of several waves" in each.gates for each in seen) > 10


def test_a_batch_is_due_when_a_gate_looks() -> None:
    """While a gate looks repeatedly at a node without evidence, the last batch is still sent when it is due. [property]"""
    idle = {"name": "idle", "share": 0.3, "requests_per_second": 0, "update_duration": 40}
    raw = {
        "name": "batches",
        "fleet": {"nodes": 12, "update_duration": 12, "requests_per_second": 7, "classes": [idle]},
        "orchestrator": {"pacing": "rate", "rate": {"per_minute": 1}, "on_failure": "continue"},
        "policies": {"p": rolling(health_check={"deadline": "5m", "gate": {"kind": "bayes"}})},
    }
    expected, differing = rows_and_differences(Scenario.from_dict(raw), 2, 20)
    assert not differing
    assert {row["makespan_s"] for row in expected[0]} >= {11 * 60 + 300.0}


@pytest.mark.parametrize("chunk", range(2))
def test_policies_at_once_are_policies_one_by_one(chunk: int) -> None:
    """Many policies of several types together, and replications in parts, give exactly what each gives alone. [property]"""

    def differ(raw: Raw, seed: int) -> list[str]:
        scenario = Scenario.from_dict(raw)
        policies = list(scenario.policies.values())
        policies += [replace(policies[0], identity=replace(policies[0].identity, type=name)) for name in sorted(TYPES)]
        names = [f"{policy.name} ({policy.identity.type})" for policy in policies]
        first, prepared = min(seed % 2**32, 2**32 - 6), prepare_block(scenario, policies, engine="compiled")
        together = run(scenario, policies, "compiled", seed, first, 6, prepared)
        alone = [run(scenario, [policy], "compiled", seed, first, 6)[0] for policy in policies]
        parts = [run(scenario, policies, "compiled", seed, first + done, 3, prepared) for done in (0, 3)]
        in_parts = [one + other for one, other in zip(*parts, strict=True)]
        return differences(names, alone, together, rel_tol=0) + differences(names, in_parts, together, rel_tol=0)

    assert_no_differences(scenarios(neighbours=(12,)), 100, chunk, differ)


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: " ".join(map(str, gate.values())))
def test_gates_of_a_shared_service(gate: Raw) -> None:
    """On both engines a gate sees requests taken over from other nodes of a shared service, and shed ones. [property]"""
    n_judged = 0

    def differ(raw: Raw, seed: int) -> list[str]:
        nonlocal n_judged
        shared = {"capacity": 1.2, "across": "zone" if seed % 3 else "fleet"}
        ours = {"nodes": 30, "zones": 3, "requests_per_second": 7, "service": {"shared": shared}}
        sections = {
            "fleet": without_lines(raw["fleet"]) | ours,
            "orchestrator": {"on_failure": "continue"} if gate["kind"] == "cusum" else {},
            "operator": {},  # days of waiting for a change window would take longer than all else
            "deployment": {"type": "update"},
            "policies": one_policy("5m", "20s", max_parallel=4, check={"max_error_rate": 0.1, "gate": gate}),
        }
        expected, differing = rows_and_differences(Scenario.from_dict(raw | sections), seed)
        n_judged += sum(row["decision_requests"] > 0 for row in expected[0])
        return differing

    assert_no_differences(scenarios(), 25, 0, differ)
    assert n_judged > 20


@pytest.mark.parametrize("after", ["0s", "95s", {"exponential": {"mean": "3m"}}], ids=["at once", "later", "at random"])
@pytest.mark.parametrize(("needed_s", "added"), [(10, 0.055), (30, 0.02), (60, 0.015), (400, 0.0)])
def test_nodes_that_are_unhealthy_for_long(needed_s: int, added: float, after: Any) -> None:
    """Engines find the same first run of healthy windows among many unhealthy ones. [property]"""
    kind = {"probability": 1, "defective": True, "error_rate": added, "after": after}
    health = {"deadline": "30m", "max_error_rate": 0.02, "min_healthy_time": f"{needed_s}s"}
    policies = {f"{n} at once": rolling(n, max_failed_nodes=30, health_check=health) for n in (15, 7)}
    for error_rate in (0.01, {"beta": {"mean": 0.01, "sd": 0.005}}):
        fleet = {"nodes": 30, "update_duration": "45s", "requests_per_second": 20, "error_rate": error_rate}
        raw = {"name": "slow", "fleet": fleet, "release": {"bad": kind}, "policies": policies}
        expected, differing = rows_and_differences(Scenario.from_dict(raw), 0)
        assert differing == []
        windows = [row["decision_windows"] / row["touched_nodes"] for row in expected[0]]
        assert after != "0s" or min(windows) > 1.2 * needed_s / 10


@pytest.mark.parametrize("needed_s", [20, 60])
@pytest.mark.parametrize(
    "disturbances",
    [
        {
            "crash": spells("20m", {"exponential": {"mean": "40s"}}),
            "flapping": {"good": "4m", "degraded": "45s", "error_rate": 0.05},
        },
        {"traffic": {"daily": [["0h", 1.0], ["10m", 0.4], ["20m", 1.3]]}},
    ],
    ids=["spells", "traffic"],
)
def test_disturbed_nodes_that_are_unhealthy_for_long(disturbances: Raw, needed_s: int) -> None:
    """Engines find the same healthy windows if nodes crash, are degraded, or meet more or fewer requests. [property]"""
    health = {"deadline": "20m", "max_error_rate": 0.02, "min_healthy_time": f"{needed_s}s"}
    fleet = {"nodes": 60, "update_duration": "45s", "requests_per_second": 20, "error_rate": 0.008, **disturbances}
    raw = {
        "name": "disturbed",
        "fleet": fleet,
        "release": {"bad": {"probability": 1, "defective": True, "error_rate": 0.008, "after": "95s"}},
        "policies": {"p": rolling(20, max_failed_nodes=60, health_check=health)},
    }
    expected, differing = rows_and_differences(Scenario.from_dict(raw), 0)
    assert differing == []
    assert all(row["decision_windows"] / row["touched_nodes"] > 1.05 * needed_s / 10 for row in expected[0])
    assert min(row["failed_nodes"] for row in expected[0]) < 60


def test_simulate_gives_the_row_of_the_block() -> None:
    """A rollout simulated alone has the responses that it has in a block. [property]"""

    def differ(raw: Raw, seed: int) -> list[str]:
        scenario = Scenario.from_dict(raw)
        alone = simulate(scenario, "p", seed=seed, replication=2, engine="compiled").response_values
        row = run(scenario, [scenario.policy("p")], "compiled", seed)[0][2]
        return differences(["p"], [[alone]], [[{name: row[name] for name in RESPONSES}]], rel_tol=0)

    assert_no_differences(scenarios(), 100, 0, differ)


# -- each rule matters -----------------------------------------------------------------------------

ENOUGH = 1500


@cache
def make_raw(number: int) -> Raw:
    """Make the scenario with this number."""
    return scenario_of(Decisions(random.Random(number).randbytes(320)))


@pytest.fixture(scope="module")
def example_rows() -> Callable[[int], list[list[Row]]]:
    """Return a function from a scenario's number to its rows."""

    @cache
    def examine(number: int) -> list[list[Row]]:
        return outcome(make_raw(number), number)

    return examine


def outcome(raw: Raw, seed: int) -> list[list[Row]]:
    scenario = Scenario.from_dict(raw)
    return run(scenario, [scenario.policy("p")], "reference", seed, replications=2)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_found(
    mistake: str, example_rows: Callable[[int], list[list[Row]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that breaks one rule of the model differs in some response of a few hundred scenarios. [property]"""
    for number in (TOLD_BY.get(mistake, 0), *range(ENOUGH)):
        if NEEDS.get(mistake, "") not in str(make_raw(number)):
            continue
        expected = example_rows(number)
        with monkeypatch.context() as patch:
            MISTAKES[mistake](patch)
            found = outcome(make_raw(number), number)
            # The test itself is right, for example in the names it patches.
            errors = [row.get("error", "") for rows in found for row in rows]
            assert not any(error.startswith(("AttributeError", "NameError", "TypeError")) for error in errors), errors
            if differences(["p"], expected, found):
                return
    pytest.fail(f"no scenario of {ENOUGH} tells")
