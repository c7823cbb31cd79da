"""Rare events with several kinds of release: each kind is estimated separately, and the sum covers the exact value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from simdeploy import InputError, Rare, Scenario, estimate_rare
from simdeploy.analysis.rare.combining import Part, combine, exact_limit
from simdeploy.analysis.rare.kinds import Kind, Pilot, allocate
from simdeploy.analysis.rare.result import Doubt
from simdeploy.experiments.jobs import Job
from simdeploy.validation.oracles import binomial_tail
from simdeploy.world.tilt import find_untiltable

NODES, P = 40, 0.02
# By name the probability of a kind, and its added probability of a failed start.
EARLY, LATE = {"bad": (1e-5, 0.3)}, {"bad": (1e-7, 0.3)}
SKEWED = {"bad": (1e-5, 0.3), "worse": (1e-3, 0.05), "unlucky": (0.1, 0.01)}


def world(kinds: Mapping[str, tuple[float, float]], **more: Any) -> Scenario:
    release = {
        name: {"probability": probability, "defective": True, "start_failure": added}
        for name, (probability, added) in kinds.items()
    }
    good = {"probability": round(1 - sum(probability for probability, _ in kinds.values()), 12)}
    waves = {"strategy": "rolling", "max_parallel": 4, "max_failed_nodes": 39, "max_failed_nodes_percent": 99}
    return Scenario.from_dict(
        {
            "name": "routes",
            "fleet": {"nodes": NODES, "update_duration": "30s", "start_failure": P, "requests_per_second": 10},
            "release": {"good": good, **release},
            "policies": {"waves": {**waves, "health_check": {"deadline": "5m"}}},
            **more,
        }
    )


def tails(kinds: Mapping[str, tuple[float, float]], at_least: int) -> dict[str, tuple[float, float]]:
    """Return by kind its probability, and that of enough failures given the kind."""
    scenario = world(kinds)
    added = {"good": 0.0} | {name: more for name, (_, more) in kinds.items()}
    return {
        kind.name: (
            float(kind.probability),
            binomial_tail(NODES, P + (1 - P) * added[kind.name], at_least),
        )
        for kind in scenario.release
    }


def assert_right_on_average(found: Sequence[Rare], truth: float) -> None:
    """Assert that the mean of estimates is within 4 standard errors of the truth."""
    mean, error = np.mean([each.probability for each in found]), np.mean([each.standard_error**2 for each in found])
    assert abs(mean - truth) <= 4 * np.sqrt(error / len(found))


def find_least_covered(n: int) -> float:
    """Return how many of n intervals of 95 % must cover, less 4 standard errors."""
    return float(n * (0.95 - 4 * np.sqrt(0.95 * 0.05 / n)))


@pytest.mark.slow
def test_several_routes_are_covered() -> None:
    """With defaults at least 90 % of runs state an interval, and these cover as often as stated, less 4 errors. [oracle]"""
    n_stated = n_covered = 0
    methods = ("importance", 8, 8), ("splitting", 5, 6)
    for (method, at_least, n), kinds in product(methods, (EARLY, LATE, SKEWED)):
        scenario = world(kinds)
        truth = sum(p * q for p, q in tails(kinds, at_least).values())
        runs = [
            estimate_rare(scenario, event=f"failed_nodes >= {at_least}", method=method, seed=seed, engine="compiled")
            for seed in range(n)
        ]
        stated = [found for found in runs if found.is_trusted]
        assert len(stated) >= 0.9 * n
        n_stated += len(stated)
        n_covered += sum(found.low <= truth <= found.high for found in stated)
        assert_right_on_average(stated, truth)
    assert n_covered >= find_least_covered(n_stated)


def test_several_ways_are_tilted() -> None:
    """If nodes fail in two ways, both are tilted, though one alone seems precise in a small pilot; the mean is exact within 4 errors. [oracle]"""
    ways = {
        "fleet.nodes": 50,
        "fleet.start_hang": 0.002,
        "fleet.start_failure": 0.003,
        "policies.waves.max_failed_nodes": 49,
    }
    scenario = world({}).with_values(ways)
    runs = [estimate_rare(scenario, event="failed_nodes >= 4", seed=seed, engine="compiled") for seed in range(8)]
    stated = [found for found in runs if found.is_trusted]
    assert len(stated) >= 7
    assert all(set(found.tilt) == {"start_hang", "start_failure"} for found in stated)
    assert_right_on_average(stated, binomial_tail(50, 1 - 0.998 * 0.997, 4))


def test_affected_nodes_are_tilted() -> None:
    """If a defect affects few nodes at random, these are tilted as well as other failures; intervals cover as often as stated. [oracle]"""
    bad = {"probability": 1, "defective": True, "start_failure": 1, "affects": {"share": 0.05}}
    fleet = {"nodes": 50, "update_duration": "30s", "start_failure": 0.005}
    scenario = Scenario.from_dict(
        {"name": "share", "fleet": fleet, "release": {"bad": bad}, "policies": {"at-once": {"strategy": "immediate"}}}
    )
    runs = [estimate_rare(scenario, event="failed_nodes >= 12", seed=seed, engine="compiled") for seed in range(16)]
    stated = [found for found in runs if found.is_trusted]
    assert len(stated) >= 14
    assert all(set(found.tilt) == {"affects", "start_failure"} for found in stated)
    truth = binomial_tail(50, 1 - 0.95 * 0.995, 12)
    assert_right_on_average(stated, truth)
    assert sum(found.low <= truth <= found.high for found in stated) >= find_least_covered(len(stated))


OUTAGES = {"fleet.zone_outage.up.exponential.mean": "200000h", "fleet.zone_outage.repair": "30m"}


def zoned(**more: Any) -> Scenario:
    """Return rollouts of which an outage fails fifteen nodes at once, a thousand times as often as nine fail to start."""
    fleet = {"nodes": 60, "zones": 4, "update_duration": "30s", "start_failure": 0.01}
    check = {"deadline": "2m", "min_healthy_time": "10s"}
    waves = {
        "health_check": check,
        "strategy": "rolling",
        "max_parallel": 10,
        "max_failed_nodes": 59,
        "max_failed_nodes_percent": 99,
    }
    return Scenario.from_dict({"name": "outages", "fleet": fleet, "policies": {"waves": waves}, **more})


@pytest.mark.parametrize(("method", "at_least"), [("importance", 9), ("splitting", 7)])
def test_events_that_cannot_be_tilted_need_plain_rollouts(method: str, at_least: int) -> None:
    """A way to an event that no tilt or level opens is never met, so rollouts are plain and the limit is exact. [oracle]"""
    how = {"method": method, "replications": 20_000, "engine": "compiled"}
    outages = zoned().with_values(OUTAGES)
    found = estimate_rare(outages, event=f"failed_nodes >= {at_least}", **how)
    assert not found.is_trusted
    assert (found.tilt, found.levels, found.n_rollouts) == ({}, (), 20_000)
    assert found.kinds["high"].tolist() == [pytest.approx(1 - 0.025 ** (1 / 20_000))]
    assert found.answer.endswith("Use more --replications, or a less rare event.")
    often = estimate_rare(outages, event="failed_nodes >= 1", **how)
    assert often.low < 1 - 0.99**60 < often.high


@pytest.mark.parametrize(
    ("how", "remedy"),
    [
        ({"tilt": {"start_failure": 6}}, "Use no --tilt."),
        ({"method": "splitting", "levels": {"failed_nodes": [2, 4]}}, "Use --levels without numbers."),
    ],
)
def test_a_given_tilt_or_level_can_hide_the_event(how: dict[str, Any], remedy: str) -> None:
    """It states a probability only if the fleet has no events that it leaves as rare as they are. [contract]"""
    asked = {"event": "failed_nodes >= 6", "replications": 40_000, "engine": "compiled", **how}
    found = estimate_rare(zoned().with_values(OUTAGES), **asked)
    assert found.remedy == "plain rollouts"
    assert found.answer.endswith(
        f"because zone outages may lead to the event, too, but no tilt or level makes them more frequent. {remedy}"
    )
    reworded = replace(found, doubts=("zones may fail",))
    assert reworded.answer.endswith(f"because zones may fail. {remedy}")
    without = estimate_rare(zoned(), **asked)
    assert without.low < binomial_tail(60, 0.01, 6) < without.high


@pytest.mark.parametrize("method", ["importance", "splitting"])
def test_a_kind_with_outages_does_not_block_an_answer_that_it_cannot_change(method: str) -> None:
    """If good releases meet no outage, their exact limit is small compared to what bad ones contribute. [oracle]"""
    bad = {"probability": 0.05, "defective": True, "start_failure": 0.07}
    scenario = zoned(release={"good": {"probability": 0.95}, "bad": bad}).with_values(OUTAGES)
    found = estimate_rare(scenario, event="failed_nodes >= 9", method=method, replications=80_000, engine="compiled")
    good = found.kinds.set_index("kind").loc["good"]
    assert (good["n_hits"], good["high"]) == (0, pytest.approx(1 - 0.025 ** (1 / good["n"])))
    assert found.is_trusted
    assert found.low < 0.05 * binomial_tail(60, 1 - 0.99 * 0.93, 9) < found.high


@pytest.mark.parametrize(
    "harmless",
    [
        {"crash": {"up": "1000h", "repair": "0s"}},
        {"zone_outage": {"up": "1000h", "repair": "0s"}},
        {"connection": {"online": "1000h", "offline": "0s"}},
        {"flapping": {"good": "1h", "degraded": "1m", "error_rate": 0}, "requests_per_second": 10},
        {"flapping": {"good": "1h", "degraded": "1m", "error_rate": 0.2}},
        {"classes": [{"name": "nobody", "share": 0.001, "crash": {"up": "100h", "repair": "1h"}}]},
    ],
)
def test_events_without_effect_leave_the_tilt(harmless: dict[str, Any]) -> None:
    """Spells of length 0, errors that no request shows, and classes without nodes don't prevent a tilt. [contract]"""
    changed = zoned().with_values({f"fleet.{key}": value for key, value in harmless.items()})
    assert not find_untiltable(changed.fleet)
    real = {"fleet.crash": {"up": "1000h", "repair": "1h"}, "fleet.connection": {"online": "1h", "offline": "1m"}}
    assert find_untiltable(changed.with_values(real).fleet) == "crashes and offline nodes"


@pytest.mark.parametrize(("method", "at_least"), [("importance", 8), ("splitting", 5)])
def test_each_route_is_reported(method: str, at_least: int) -> None:
    """The table has each kind's exact tail within 4 errors, shares that sum to 1, its effort and its means. [oracle]"""
    exact = tails(EARLY, at_least)
    found = estimate_rare(world(EARLY), event=f"failed_nodes >= {at_least}", method=method, engine="compiled")
    table = found.kinds.set_index("kind")
    assert list(table.index) == list(exact)
    for kind, (probability, tail) in exact.items():
        assert table.loc[kind, "probability"] == probability
        assert abs(table.loc[kind, "estimate"] - tail) <= 4 * table.loc[kind, "standard_error"]
    assert table["share"].sum() == pytest.approx(1)
    assert table["n"].sum() == found.n_rollouts
    assert table["n_pilot"].sum() == found.n_pilot
    assert found.standard_error == pytest.approx(np.sqrt(((table["probability"] * table["standard_error"]) ** 2).sum()))
    text = str(found.summarize())
    assert "Kinds of release" in text
    assert "start_failure" in text if method == "importance" else "levels" in text
    assert [row["kind"] for row in found.to_dict()["kinds"]] == list(exact)


def test_only_possible_kinds_are_simulated() -> None:
    """A condition or event excludes impossible kinds; if none is left it is an error. [contract]"""
    scenario = world(SKEWED)
    asked = {"replications": 500, "engine": "compiled"}

    def kinds(event: str) -> list[str]:
        return estimate_rare(scenario, event=event, **asked).kinds["kind"].tolist()

    assert kinds("failed_nodes >= 4 given good") == ["good"]
    assert kinds("failed_nodes >= 4 given worse") == ["worse"]
    assert kinds("failed_nodes >= 4 and escaped") == list(SKEWED)
    assert kinds("failed_nodes >= 4 given false_alarm") == ["good"]
    with pytest.raises(InputError, match="no kind of release"):
        kinds("escaped given good")


def test_a_condition_on_kinds_divides_by_their_probability() -> None:
    """Given a defect, the estimate is the mean over the defective kinds. [oracle]"""
    found = estimate_rare(world(SKEWED), event="failed_nodes >= 6 given defective", engine="compiled")
    exact = {kind: each for kind, each in tails(SKEWED, 6).items() if kind != "good"}
    truth = sum(p * q for p, q in exact.values()) / sum(p for p, _ in exact.values())
    assert found.kinds["kind"].tolist() == list(exact)
    assert abs(found.probability - truth) <= 4 * found.standard_error


@pytest.mark.parametrize("method", ["importance", "splitting"])
def test_a_kind_without_a_hit_counts_at_its_limit(method: str) -> None:
    """An unseen kind adds its probability times its exact limit to the upper end, or prevents an answer. [oracle]"""

    def estimate(good: float) -> tuple[Any, Any]:
        kinds = {
            "bad": {"probability": 1 - good, "defective": True, "error_rate": 0.001},
            "good": {"probability": good},
        }
        event = "failed_nodes >= 2 and failed_requests_excess > 1"  # no good release has excess failures
        scenario = world({}).with_values({"release": kinds})
        found = estimate_rare(scenario, event=event, method=method, replications=4000, engine="compiled")
        kinds_found = found.kinds.set_index("kind")
        row = kinds_found.loc["good"]
        assert row["n_hits"] == row["estimate"] == 0
        assert row["high"] == pytest.approx(1 - 0.025 ** (1 / row["n"]))
        return found, kinds_found["high"]

    rare, limits = estimate(1e-6)
    assert rare.is_trusted
    assert rare.high - (1 - 1e-6) * limits["bad"] == pytest.approx(1e-6 * limits["good"], rel=1e-3)
    likely, _ = estimate(0.9999)
    assert [doubt for doubt in likely.doubts if doubt.startswith("for releases of kind good, the event occurred in ")]
    assert np.isnan(likely.probability)


def plain_part(kind: Kind, happened: np.ndarray) -> Part:
    """Return the estimate of a kind from rollouts without a tilt."""
    n, n_hits = len(happened), int((happened > 0).sum())
    doubts = () if n_hits else (Doubt("the event occurred in none"),)
    limit = exact_limit(n_hits, n, 0.95)
    return Part(kind, happened, np.ones(n), n, 0, n_hits, n_hits, n, n, 1.0, doubts, limit)


@pytest.mark.parametrize("good", [0.0, 1e-15])
def test_a_kind_that_nearly_always_hits_is_covered(good: float) -> None:
    """If all rollouts of a kind hit, its limit is exact, and the gain follows from it. [oracle]"""
    q, n, experiments, n_covered = 0.99778, 400, 110, 0
    truth, generator = 0.02 * q + 0.98 * good, np.random.default_rng(3)
    kinds = [Kind(name, p, world(EARLY), 0, 0, 1) for name, p in (("bad", 0.02), ("good", 0.98))]
    for _ in range(experiments):
        bad = plain_part(kinds[0], (generator.random(n) < q).astype(float))
        other = plain_part(kinds[1], np.zeros(5000))
        if good:
            hits = np.where(generator.random(5000) < 0.2, generator.exponential(5 * good, 5000), 0.0)
            other = replace(other, happened=hits, n_plain=0, n_hits=1000, effective_hits=500, doubts=())
        found = combine([bad, other], 1.0, 0.95, 0)
        n_covered += found["low"] <= truth <= found["high"]
        if bad.n_hits == n:
            row = found["kinds"].set_index("kind").loc["bad"]
            assert row["low"] == pytest.approx(0.025 ** (1 / n))
            assert 0.02 * (1 - row["low"]) / 4 < found["standard_error"] < 0.02 * (1 - row["low"])
            assert 1e6 < found["plain_rollouts"] < 1e8
    assert n_covered >= experiments * (0.95 - 4 * np.sqrt(0.95 * 0.05 / experiments))


@pytest.mark.parametrize("n_kinds", [1, 2])
def test_few_runs_that_differ_much_are_covered(n_kinds: int) -> None:
    """Ten runs that differ as much as those of splitting, of which those with one large run are refused, are covered. [oracle]"""
    generator, experiments, n_covered = np.random.default_rng(5), 400, 0
    kinds = [Kind(str(number), 1 / n_kinds, world(EARLY), 0, 0, 1) for number in range(n_kinds)]
    for _ in range(experiments):
        parts = []
        while len(parts) < n_kinds:
            happened = 1e-5 * generator.lognormal(-0.5, 1, 10)
            if happened.max() <= 0.4 * happened.sum():
                parts.append(replace(plain_part(kinds[len(parts)], happened), n_plain=0, doubts=()))
        found = combine(parts, 1.0, 0.95, 0)
        n_covered += found["low"] <= 1e-5 <= found["high"]
    assert n_covered >= find_least_covered(experiments)


def test_a_kind_of_which_all_rollouts_failed_prevents_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """However improbable it is, the kind may have any probability of the event. [contract]"""
    run = Job.run

    def fail_if_bad(job: Job, span: Any) -> Any:
        is_bad = job.groups[span.group].scenario.kind == "bad"
        return job.failed(span, "simulate", "broken") if is_bad else run(job, span)

    monkeypatch.setattr(Job, "run", fail_if_bad)
    found = estimate_rare(world(LATE), event="failed_nodes >= 5", replications=4000, engine="compiled")
    bad = found.kinds.set_index("kind").loc["bad"]
    assert not found.is_trusted
    assert found.doubts[0].endswith(" rollouts failed")
    assert found.doubts[1].startswith("for releases of kind bad, ")
    assert np.isnan([found.probability, bad["estimate"]]).all()
    assert (bad["low"], bad["high"]) == (0, 1)


@pytest.mark.parametrize("tilt", [{"release.bad": 2}, ["release.bad"]])
def test_a_kind_is_not_tilted(tilt: Any) -> None:
    """Kinds are simulated separately, so a factor on their probability is refused. [contract]"""
    with pytest.raises(InputError, match="a kind of release can't be tilted here"):
        estimate_rare(world(EARLY), event="escaped", tilt=tilt, engine="compiled")


def test_rollouts_go_where_the_error_is() -> None:
    """Beyond the minimum they are proportional to probability times deviation, and unseen kinds can't take most. [oracle]"""
    same = Pilot(1e-3, 0.5)
    assert allocate([0.75, 0.25], [same, same], 4000, fewest=100, confidence_level=0.95) == [3000, 1000]
    counts = allocate([0.9, 0.1], [Pilot(0.0, 0.0), Pilot(1e-6, 0.2)], 20_000, fewest=400, confidence_level=0.95)
    assert counts == [400, 19_600]
    assert sum(allocate([0.5, 0.3, 0.2], [same, Pilot(0.0, 0.0), same], 997, fewest=400, confidence_level=0.9)) == 997


def test_a_kind_that_always_hits_gets_rollouts() -> None:
    """400 of 400 hits in a pilot may be luck, so the kind gets more than its minimum of 400. [contract]"""
    scenario = world({"bad": (0.02, 0.9)})
    found = estimate_rare(
        scenario, event="failed_nodes >= 9", tilt={"start_failure": 1}, replications=4000, engine="compiled"
    )
    bad = found.kinds.set_index("kind").loc["bad"]
    assert bad["n"] == bad["n_hits"] > 2000
    assert bad["low"] == pytest.approx(0.025 ** (1 / bad["n"]))
