"""Rare events: estimates against closed forms, their gain, and when no probability is stated."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from drawn import draw, find_unreadable
from matplotlib.figure import Figure
from small import IMMEDIATE, maybe_bad, rolling

from simdeploy import InputError, Rare, Scenario, Tilt, estimate_rare
from simdeploy.analysis.rare import by_importance
from simdeploy.analysis.rare.events import Met
from simdeploy.plotting import plot_rare
from simdeploy.report.rare import format_count, format_probability
from simdeploy.scenario.measures import parse_event
from simdeploy.statistics.weights import diagnose, effective_size, tail_shape
from simdeploy.validation.oracles import binomial_tail, slowest_exceeds
from simdeploy.world.laws.lognormal import Lognormal
from simdeploy.world.tilt import odds_times

NODES, P = 300, 0.004
AT_ONCE = {"at-once": IMMEDIATE}


def world(policies: dict[str, Any] | None = None, **fleet: Any) -> Scenario:
    raw = {"nodes": NODES, "update_duration": "30s", "start_failure": P, **fleet}
    return Scenario.from_dict({"name": "rare", "fleet": raw, "policies": policies or AT_ONCE})


def waves(**keys: Any) -> dict[str, Any]:
    return {"waves": rolling(5, **keys)}


def estimate(scenario: Scenario, event: str, replications: int = 10_000, **how: Any) -> Rare:
    return estimate_rare(scenario, event=event, replications=replications, engine="compiled", **how)


def is_right(rare: Rare, truth: float) -> bool:
    return abs(rare.probability - truth) <= 4 * rare.standard_error


# -- importance sampling -----------------------------------------------------------------------------


@pytest.mark.parametrize(("at_least", "factor"), [(8, 6.0), (10, 8.0), (14, 12.0)])
def test_many_failures_are_a_binomial_tail(at_least: int, factor: float) -> None:
    """Estimates of 4e-5, 8e-7 and 1e-10 are within 4 standard errors of the exact tail, with errors below 3 %. [oracle]"""
    rare = estimate(world(), f"failed_nodes >= {at_least}", 20_000, tilt={"start_failure": factor})
    assert is_right(rare, binomial_tail(NODES, P, at_least))
    assert rare.standard_error < 0.03 * rare.probability
    assert not rare.doubts


def test_the_ladder_finds_a_tilt() -> None:
    """By default it tilts what causes the event, in other worlds than the estimate's, and is right. [oracle]"""
    rare = estimate(world(update_duration={"exponential": {"mean": "30s"}}), "failed_nodes >= 10", 8000)
    assert list(rare.tilt) == ["start_failure"]
    assert 4 <= rare.tilt["start_failure"] <= 16
    assert is_right(rare, binomial_tail(NODES, P, 10))
    assert rare.n_pilot == 400 * len(rare.steps)
    assert rare.steps["used"].sum() == 1


def test_an_event_that_is_not_rare_needs_no_tilt() -> None:
    """If plain rollouts have enough events, there is no tilt, and the limits are exact. [oracle]"""
    rare = estimate(world(), "failed_nodes >= 3", 5000)
    assert not rare.tilt
    assert rare.n_pilot == 400
    assert is_right(rare, binomial_tail(NODES, P, 3))
    assert set(estimate(world(), "failed_nodes >= 5", 5000).tilt) == {"start_failure"}
    # In a thousand plain rollouts too few events can be expected.
    few = estimate(world(), "failed_nodes >= 4", 1000)
    assert set(few.tilt) == {"start_failure"}
    assert few.is_trusted
    assert is_right(few, binomial_tail(NODES, P, 4))


def test_a_slow_update_is_the_tail_of_a_law() -> None:
    """The probability that the slowest of three lognormal updates takes ten times the median is a closed form. [oracle]"""
    scenario = world(nodes=3, start_failure=0, update_duration={"lognormal": {"median": "30s", "p95": "60s"}})
    law = scenario.fleet.behaviour.update_duration
    assert isinstance(law, Lognormal)
    truth = slowest_exceeds(3, law.survival(300.0))
    assert 1e-8 < truth < 1e-6
    rare = estimate(scenario, "makespan_s > 5m", 60_000, tilt={"update_duration": 6})
    assert is_right(rare, truth)
    assert rare.gain > 20


def test_values_drawn_once_are_tilted_given_a_kind() -> None:
    """A long escape is the product of two small probabilities, of a kind and of a lognormal tail. [oracle]"""
    scenario = Scenario.from_dict(
        {
            "name": "escape",
            "fleet": {"nodes": 1, "update_duration": "30s", "requests_per_second": 10},
            "release": maybe_bad(0.01, 0.5),
            "operator": {"escape_detection": {"lognormal": {"median": "10m", "sigma": 1}}},
            "policies": AT_ONCE,
        }
    )
    # 5 failed requests a second; a median of 600 s.
    truth = 0.01 * float(Lognormal(600.0, 1.0).survival(20_000.0))
    assert 1e-7 < truth < 1e-5
    rare = estimate(scenario, "failed_requests_excess > 100000 and escaped")
    assert set(rare.tilt) == {"escape_detection"}
    assert is_right(rare, truth)
    given = estimate(scenario, "failed_requests_excess > 100000 given bad")
    assert is_right(given, truth / 0.01)
    unknown = estimate(scenario, "failed_requests_excess > 100000 given escaped", tilt={"escape_detection": 8})
    assert is_right(unknown, truth / 0.01)


def test_the_time_to_undo_a_stop_is_tilted_with_escape_detection() -> None:
    """A tilt of escape_detection makes people undo stops late, too, because both times invert one uniform. [oracle]"""
    scenario = Scenario.from_dict(
        {
            "name": "stop",
            "fleet": {"nodes": 1, "update_duration": "30s"},
            "release": {"bad": {"probability": 1, "defective": True, "start_failure": 1}},
            "operator": {"escape_detection": "1h", "undo_after": {"lognormal": {"median": "10m", "sigma": 1}}},
            "policies": {"p": rolling(max_failed_nodes=0, no_auto_rollback=True)},
        }
    )
    rare = estimate(scenario, "unavailable_node_s > 20060", tilt={"escape_detection": 8})
    assert is_right(rare, float(Lognormal(600.0, 1.0).survival(20_000.0)))


@pytest.fixture(scope="module")
def experiments() -> list[Rare]:
    """150 estimates of the probability that seven or more of 100 nodes, each failing with 1 %, fail."""
    scenario, tilt = world(nodes=100, start_failure=0.01), {"start_failure": 4}
    return [estimate(scenario, "failed_nodes >= 7", 2000, tilt=tilt, seed=seed) for seed in range(150)]


def test_intervals_cover(experiments: list[Rare]) -> None:
    """The interval covers the exact tail in at least 132 of 150 experiments, nominally 142; 4 errors are 10.7. [oracle]"""
    truth = binomial_tail(100, 0.01, 7)
    assert sum(rare.low <= truth <= rare.high for rare in experiments) >= 132


def test_stated_estimates_are_not_selected_by_their_hits(monkeypatch: pytest.MonkeyPatch) -> None:
    """With too few events in most runs, stated estimates of 1e-6 are not too high, and their intervals cover. [oracle]"""
    nodes, p, at_least, experiments = 100, 0.01, 9, 150

    def draw_failures(question: Any, kind: Any, tilt: Tilt, worlds: range, part: str) -> Met:
        """Draw the outcome of rollouts all at once: binomial failures, and their weights."""
        n, factor = len(worlds), tilt.start_failure
        failures = np.random.default_rng([question.seed, worlds.start]).binomial(nodes, odds_times(p, factor), n)
        weights, ones = np.exp(nodes * math.log(1 - p + p * factor) - failures * math.log(factor)), np.ones(n)
        return Met(ones > 0, weights, (failures >= at_least).astype(float), ones, ones, 0, 0)

    monkeypatch.setattr(by_importance, "_run", draw_failures)
    truth, scenario = binomial_tail(nodes, p, at_least), world(nodes=nodes, start_failure=p)
    tilt = {"start_failure": 4.5}
    runs = [estimate(scenario, "failed_nodes >= 9", 2000, tilt=tilt, seed=seed) for seed in range(experiments)]
    stated = [rare for rare in runs if rare.is_trusted]
    assert 20 < len(stated) < experiments / 2
    mean = np.mean([rare.probability for rare in stated])
    assert abs(mean - truth) <= 4 * np.sqrt(np.mean([rare.standard_error**2 for rare in stated]) / len(stated))
    covered = sum(rare.low <= truth <= rare.high for rare in stated)
    assert covered >= len(stated) * (0.95 - 4 * math.sqrt(0.95 * 0.05 / len(stated)))


def test_the_gain_is_that_of_the_variances(experiments: list[Rare]) -> None:
    """Over 150 experiments the variance is p(1 - p)/n over the stated gain, within a factor of 1.5. [oracle]"""
    truth = binomial_tail(100, 0.01, 7)
    gain = truth * (1 - truth) / 2000 / np.var([one.probability for one in experiments], ddof=1)
    assert 1 / 1.5 < gain / np.mean([one.gain for one in experiments]) < 1.5
    assert gain > 500


# -- splitting ---------------------------------------------------------------------------------------


def test_splitting_agrees_with_the_tail() -> None:
    """With levels from a pilot the estimate is within 4 standard errors of 3e-5, at a tenth of the work. [oracle]"""
    scenario = world(waves(max_failed_nodes=299, max_failed_nodes_percent=99), nodes=100, start_failure=0.008)
    rare = estimate(scenario, "failed_nodes >= 7", 30_000, method="splitting", seed=2)
    truth = binomial_tail(100, 0.008, 7)
    assert 1e-5 < truth < 1e-4
    assert is_right(rare, truth)
    assert rare.gain > 10
    assert rare.levels == tuple(sorted(rare.levels))


def test_splitting_by_exposure() -> None:
    """The rare escape of a defect that nearly always stops the rollout is estimated by exposed nodes. [oracle]"""
    check = {"deadline": "1h", "min_healthy_time": "0s"}
    scenario = Scenario.from_dict(
        {
            "name": "lets-through",
            "fleet": {"nodes": 20, "update_duration": "10s", "requests_per_second": 10},
            "release": {"bad": {"probability": 1, "defective": True, "start_failure": 0.3}},
            "policies": {"waves": rolling(1, max_failed_nodes=0, health_check=check)},
        }
    )
    levels = {"peak_exposed_nodes": [4, 8, 12, 16]}
    rare = estimate(scenario, "escaped", method="splitting", levels=levels)
    assert is_right(rare, 0.7**20)
    assert rare.diagnosis["n_hits"] == 10


# -- untrusted estimates -------------------------------------------------------------------------------


def test_an_absurd_tilt_states_no_probability() -> None:
    """Weights with a heavy tail are detected: there is no probability, and the sentence says why. [contract]"""
    rare = estimate(world(), "failed_nodes >= 10", 3000, tilt={"start_failure": 60})
    assert math.isnan(rare.probability)
    assert math.isnan(rare.gain)
    assert "probability unknown, because too few rollouts with the event are expected: effectively " in rare.answer
    assert rare.answer.endswith("Use no --tilt, so that a pilot chooses it, or more --replications.")
    assert rare.to_dict()["probability"] is None


def test_an_unseen_event_states_no_probability() -> None:
    """If the tilt is too small for the event to happen, the answer is not 0. [contract]"""
    rare = estimate(world(), "failed_nodes >= 30", 500, tilt={"start_failure": 1.1})
    assert "the event occurred in none of the 500 replications" in rare.answer
    cells = [cell for table in rare.summarize() for row in table.rows for cell in row]
    assert "nan" not in " ".join(cells).split()
    levels = {"failed_nodes": [2]}
    nobody = estimate(world(waves()), "failed_nodes >= 200", 400, method="splitting", levels=levels)
    assert "the event occurred in 0 of 10 independent repetitions" in nobody.answer


def test_endless_rollouts_leave_it_open() -> None:
    """As a paused rollout may still become slow, no probability is stated. [contract]"""
    scenario = Scenario.from_dict(
        {
            "name": "pauses",
            "fleet": {"nodes": 50, "update_duration": "30s", "start_failure": 0.05},
            "orchestrator": {"on_failure": "pause"},
            "policies": waves(max_failed_nodes=4),
        }
    )
    rare = estimate(scenario, "makespan_s > 10h", 400, tilt={"start_failure": 1.5})
    assert math.isnan(rare.probability)
    assert "rollouts never end" in rare.answer


def test_the_shape_of_a_tail_is_found() -> None:
    """For exact quantiles of Pareto laws k-hat is within 0.1; for bounded values it is below 0. [oracle]"""
    levels = (np.arange(20_000) + 0.5) / 20_000
    for shape in (0.3, 0.6, 1.0, 1.5):
        assert abs(tail_shape((1 - levels) ** -shape) - shape) < 0.1
    assert tail_shape(levels) < 0
    assert math.isnan(tail_shape(np.ones(10)))
    assert tail_shape(np.repeat([1.0, 2.0], 500)) == -math.inf
    # Equal weights differ in their last digits, by the order of multiplication.
    noise = np.random.default_rng(0).normal(0, 1e-15, 1000)
    assert tail_shape(np.repeat([1.0, 2.0, 2.5], [500, 490, 10]) + noise) == -math.inf


def test_heavy_weights_are_doubted() -> None:
    """Weights with tails beyond 0.7, one dominant weight, and a mean off 1 are each doubted by name. [oracle]"""
    chance = np.random.default_rng(1)
    heavy = chance.pareto(1 / 0.9, 20_000)
    assert any("dominate" in doubt for doubt in diagnose(heavy, heavy).doubts)
    one = np.r_[np.ones(2000), 900.0]
    assert any("one replication has" in doubt for doubt in diagnose(one, one).doubts)
    off = chance.uniform(0.5, 1.0, 2000)
    assert diagnose(off, off).doubts == (f"the mean weight is {off.mean():.3g} instead of 1",)
    few = np.r_[np.ones(40), np.zeros(1000)]
    assert "too few rollouts have the event: 40" in str(diagnose(np.ones(1040), few).doubts)
    assert diagnose(np.ones(1040), few, expected_hits=60.0).is_trusted
    assert "effectively 40 instead of 201" in str(diagnose(np.ones(1040), few, expected_hits=201.0).doubts)
    assert diagnose(np.ones(1040), few, expected_hits=199.0).is_trusted
    assert "are expected: effectively 40" in str(diagnose(np.ones(1040), np.ones(1040), expected_hits=40.0).doubts)
    assert "and 20 are needed" in str(diagnose(np.ones(1040), few * (np.arange(1040) < 15), expected_hits=60.0).doubts)
    light = chance.exponential(size=20_000)
    assert diagnose(light, light).is_trusted
    assert effective_size(np.array([1e-300, 1e-300])) == pytest.approx(2)


# -- events ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("min_in_service_fraction < 90%", "min_in_service_fraction < 0.9"),
        ("makespan_s>=2h", "makespan_s >= 7200"),
        ("escaped", "escaped"),
        ("failed_requests_excess > 1e6  and escaped given bad", "failed_requests_excess > 1e+06 and escaped given bad"),
    ],
)
def test_events_are_read_as_they_are_written(text: str, written: str) -> None:
    """An event reads like a requirement, with `and`, and is read back from its text. [property]"""
    event = parse_event(text, ("good", "bad"))
    assert str(event) == written
    assert parse_event(written) == event


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("makespan < 3", "did you mean.*makespan_s"),
        ("makespan_s", "needs a limit"),
        ("escaped > 1", "an event takes no limit"),
        ("makespan_s < soon", "invalid amount"),
        ("cost > 1", "a cost can't be part of an event"),
        ("escaped given bat", "unknown condition"),
        ("< 3", "invalid event"),
    ],
)
def test_invalid_events_are_refused(text: str, message: str) -> None:
    """A mistake in an event is reported with what was probably meant. [contract]"""
    with pytest.raises(InputError, match=message):
        parse_event(text, ("good", "bad"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "splittin"}, "method: unknown method"),
        ({"levels": "updated_nodes"}, "levels: invalid levels"),
        ({"levels": [1, 2, 3]}, r"levels: invalid levels.*failed_nodes': \[3, 5\]"),
        ({"levels": {"failed_nodes": 3}}, "ascending"),
        ({"levels": {"failed_nodes": [3, 2]}}, "ascending"),
        ({"levels": {"failed_nodes": [0]}}, "whole numbers above 0"),
        ({"tilt": {"slowdown": 2}}, "the scenario draws nothing here"),
        ({"tilt": ["slowdow"]}, "the scenario draws nothing here"),
        ({"event": "never"}, "unknown measure"),
    ],
)
def test_bad_arguments_are_refused(changes: dict[str, Any], message: str) -> None:
    """Invalid arguments are refused by name before anything is simulated. [contract]"""
    arguments = {"event": "failed_nodes >= 3", "replications": 200} | changes
    with pytest.raises(InputError, match=message):
        estimate(world(), **arguments)


def test_a_tilted_scenario_is_refused() -> None:
    """The tilt is an argument; one on top of another would be ambiguous. [contract]"""
    with pytest.raises(InputError, match="already tilted"):
        estimate_rare(world().tilted(Tilt(start_failure=2)), event="failed_nodes >= 3")


# -- result, picture -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rare() -> Rare:
    return estimate(world(), "failed_nodes >= 8", 2000, tilt={"start_failure": 6})


def test_a_result_is_complete(rare: Rare) -> None:
    """The sentence, the tables, one row and JSON have the event, the numbers and the diagnosis. [contract]"""
    assert rare.answer.startswith("failed_nodes >= 8: ")
    assert "2,400 rollouts replaced" in rare.answer
    assert rare.to_dict()["event"] == "failed_nodes >= 8"
    assert rare.to_dict()["tilt"] == {"start_failure": 6.0}
    assert rare.to_frame()["probability"].iloc[0] == rare.probability
    (table,) = rare.summarize()  # no search for a tilt
    assert "mean weight" in str(table.rows)


def test_obvious_facts_are_left_out(rare: Rare) -> None:
    """The expected frequency is stated for rare events only, and plain simulation's effort if it is known. [contract]"""
    assert ", once in " in replace(rare, probability=0.1).answer
    often = replace(rare, probability=0.9, low=0.8, high=1.0, plain_rollouts=math.nan, is_cheaper=False)
    assert often.answer == "failed_nodes >= 8: probability 90.0 % (95 % CI 80.0 to 100.0)."


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ({"is_trusted": True, "is_cheaper": True}, "2,400 rollouts replaced"),
        ({"is_trusted": True, "is_cheaper": False}, "Plain simulation needs only"),
        (
            {"is_trusted": False, "is_cheaper": False, "remedy": "more replications"},
            "unknown, because why. Use no --tilt",
        ),
    ],
)
def test_verdicts_are_data(rare: Rare, verdicts: dict[str, Any], words: str) -> None:
    """Every verdict of the answer is in to_dict(), and the words follow from it. [contract]"""
    document = rare.to_dict()
    assert (document["is_trusted"], document["is_cheaper"]) == (not document["doubts"], document["gain"] > 1)
    made = replace(rare, doubts=("why",), **verdicts)
    assert words in made.answer
    assert made.to_dict().items() >= verdicts.items()
    assert ("not stated" in str(made.summarize())) != verdicts["is_trusted"]
    for is_bounded, k_hat in ((True, -math.inf), (False, 0.25)):
        tail = replace(rare, diagnosis={**rare.diagnosis, "is_bounded": is_bounded, "k_hat": k_hat})
        assert ("bounded" in str(tail.summarize())) == is_bounded


def test_a_refusal_says_what_helps(rare: Rare) -> None:
    """More rollouts, no tilt of one's own, or plain ones if the event is not rare; nothing helps if rollouts never end. [contract]"""
    kinds = pd.concat([rare.kinds.assign(kind="good", low=0.0, doubt="why"), rare.kinds.assign(kind="bad", low=0.9)])
    open_ = replace(
        rare, is_trusted=False, doubts=("for releases of kind good, why",), remedy="more replications", tilt={}
    )
    assert open_.answer.endswith(
        "because for releases of kind good, why. Use more --replications, or a less rare event."
    )
    often = replace(open_, kinds=kinds)
    assert (open_.is_often, often.is_often) == (False, True)
    assert often.answer.endswith("The event is not rare: use plain replications, as in compare or check.")
    assert "rollouts with the event, kind good" in str(often.summarize())
    endless = replace(open_, doubts=("3 rollouts never end",), remedy=None)
    assert endless.answer.endswith("because 3 rollouts never end.")


def test_the_picture_shows_both_methods(rare: Rare) -> None:
    """Two lines, this method's below the other, are as far apart as the gain; without an estimate the reason is shown. [contract]"""
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = plot_rare(figure.subplots(), rare)
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in ax.get_lines()}
    heights = lines["plain simulation"] / lines["importance sampling"]
    assert heights == pytest.approx(math.sqrt(rare.gain))
    assert [text.get_text() for text in ax.texts] == [
        f"importance sampling:\n{format_count(rare.n_rollouts + rare.n_pilot)} rollouts",
        f"plain simulation:\n{format_count(rare.plain_rollouts)} rollouts",
    ]
    probability = format_probability(rare.probability, rare.low, rare.high, level=rare.confidence_level)
    assert probability in ax.get_title(loc="left").replace("\n", " ")
    assert not find_unreadable(draw(figure))
    absurd = estimate(world(), "failed_nodes >= 8", 300, tilt={"start_failure": 90})
    assert "no probability is stated" in plot_rare(Figure().subplots(), absurd).texts[0].get_text()
