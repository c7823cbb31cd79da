"""The value of perfect information, and of longer observation: closed forms, coverage, and scenarios with known savings."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from by_hand import script
from drawn import draw_on, find_unreadable
from matplotlib.figure import Figure
from scipy import stats
from small import rolling

from simdeploy.analysis.comparison.compare import compare
from simdeploy.analysis.costs import knowing
from simdeploy.analysis.costs.causes import estimate_costs
from simdeploy.analysis.costs.information import value_of_perfect_information
from simdeploy.analysis.costs.knowing import KIND, WORLD, estimate_values_of_knowing
from simdeploy.analysis.costs.observation import value_of_observation
from simdeploy.analysis.costs.observation_steps import make_steps
from simdeploy.errors import InputError
from simdeploy.experiments import replicate
from simdeploy.experiments.kinds import Kinds
from simdeploy.plotting.costs import plot_value_of_observation
from simdeploy.scenario import Scenario
from simdeploy.scenario.parts import Costs
from simdeploy.statistics.sample import Lump, Sample, Strata

pytestmark = pytest.mark.usefixtures("few_values_suffice")

# A second of makespan costs 1, so that a table's makespans are its costs.
TIME_IS_MONEY = Costs(0, 0, hour_of_delay=3600, false_alarm=0, escape=0)
N_REPETITIONS = 400
LEAST = 0.95 - 4 * math.sqrt(0.95 * 0.05 / N_REPETITIONS)


def rollouts(costs, releases):
    """Make a table of replications from costs by policy and replication, and each replication's kind of release."""
    costs = np.asarray(costs, dtype=float)
    size, n = costs.shape
    return pd.DataFrame(
        {
            "policy": np.repeat([chr(ord("a") + place) for place in range(size)], n),
            "replication": np.tile(np.arange(n), size),
            "release": list(releases) * size,
            "verdict": "escaped",
            "makespan_s": costs.ravel(),
            "failed_requests_excess": 0.0,
            "unavailable_excess_node_s": 0.0,
        }
    )


def worth(table, **how):
    """Return the value of information if time is money."""
    return value_of_perfect_information(table, costs=TIME_IS_MONEY, **how)


def value(result, name):
    """Return the row of one value."""
    return result.values.set_index("information").loc[name]


# -- perfect information -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.375, 0.7])
def test_two_policies_in_worlds_of_two_kinds(p):
    """With a bold policy (1, or 9 if bad) and a careful one (4) both values are the closed form. [oracle]"""
    n = 20_000
    is_bad = np.random.default_rng(1).random(n) < p
    costs, releases = [np.where(is_bad, 9.0, 1.0), np.full(n, 4.0)], np.where(is_bad, "bad", "good")
    result = worth(rollouts(costs, releases))
    bold, careful = 1 + 8 * p, 4
    exact = min(bold, careful) - ((1 - p) * 1 + p * 4)
    # The regret of the better policy is 5 (bold) or 3 (careful) in one kind of world, else 0.
    error = (5 if bold < careful else 3) * math.sqrt(p * (1 - p) / n)
    for name in ("world", "kind of release"):
        assert abs(value(result, name)["estimate"] - exact) <= 4 * error
    if p != 0.375:  # if both cost the same
        assert result.policy == ("a" if bold < careful else "b")
    assert result.kinds.set_index("release")["policy"].to_dict() == {"good": "a", "bad": "b"}


def test_the_kinds_add_up():
    """Savings for each kind, weighted by probability, sum to the value of knowing the kind. [property]"""
    rng = np.random.default_rng(2)
    costs, releases = rng.lognormal(0, 1, (4, 300)), rng.choice(["x", "y", "z"], 300)
    result = worth(rollouts(costs, releases))
    kinds = result.kinds
    assert (kinds["share"] * kinds["saved"]).sum() == pytest.approx(value(result, "kind of release")["estimate"])
    assert (kinds["cost_of_single"] - kinds["cost"]).tolist() == pytest.approx(kinds["saved"].tolist())
    world = costs.mean(axis=1).min() - costs.min(axis=0).mean()
    assert value(result, "world")["estimate"] == pytest.approx(world)
    assert 0 <= value(result, "kind of release")["estimate"] <= world


def test_known_and_counted_verdicts_are_compared_alike():
    """A policy that is cheaper in every world is the best, though its verdicts are counted and another's are known. [oracle]"""
    rng, n = np.random.default_rng(4), 60
    strata, kind_of = Strata(np.repeat([0, 1], n // 2), np.array([0.9, 0.1])), np.repeat([0, 1], n // 2)
    for _ in range(20):
        stopped = (rng.random(n) < 0.2) * (kind_of == 0)
        drawn = np.stack([rng.random(n) + 50.0 * stopped] * 2) - [[0.0], [0.5]]
        lump = Lump(
            np.array([50.0, 0.0]), np.stack([stopped] * 2).astype(float), np.array([[0.2, 0.0], [np.nan, np.nan]])
        )
        cost = Sample(drawn - lump.surprises(strata), strata, np.full(2, np.inf), (lump,)).on_one_footing()
        assert knowing.find_single(cost) == 1
        of_kind = estimate_values_of_knowing(cost, kind_of, 0.95)[KIND]
        assert of_kind["estimate"] == pytest.approx(0, abs=1e-9)
        assert of_kind["low"] <= of_kind["high"]


BEST_BY_KIND = np.array([[1.0, 9, 3], [4, 4, 4], [2, 6, 3.5]])
TIED = np.full((3, 3), 4.0)
NEARLY_TIED = np.array([[4.0, 4, 4], [4, 4, 5], [4, 5, 4]])


@pytest.mark.parametrize("means", [BEST_BY_KIND, TIED, NEARLY_TIED], ids=["apart", "tied", "nearly tied"])
def test_coverage_of_the_value_of_information(means):
    """Both intervals cover as often as stated, for skewed costs, three kinds, and tied policies, n = 400. [oracle]"""
    rng = np.random.default_rng(3)
    shares, n = np.array([0.6, 0.3, 0.1]), 400

    def draw(number):
        kinds = rng.choice(3, number, p=shares)
        return kinds, means[:, kinds] + rng.lognormal(0, 1, number) + rng.exponential(1.0, (3, number))

    _, many = draw(400_000)
    world = many.mean(axis=1).min() - many.min(axis=0).mean()
    kind = (means @ shares).min() - means.min(axis=0) @ shares
    hits = np.zeros(2)
    for _ in range(N_REPETITIONS):
        kinds, costs = draw(n)
        found = estimate_values_of_knowing(costs, kinds, 0.95).values()
        hits += [row["low"] <= truth <= row["high"] for row, truth in zip(found, (world, kind), strict=True)]
    assert (hits / N_REPETITIONS >= LEAST).all()


@pytest.mark.parametrize(
    ("means", "scale", "n", "truth"),
    [([[0.0, 0, 0.1], [1, 1, 0], [1, 1, 1]], 1, 200, 0.03), ([[0.0, 0.3, 0], [1, 0, 1]], 3, 500, 0.09)],
)
def test_coverage_if_the_kind_is_worth_little(means, scale, n, truth):
    """If the best rule is nearly one policy for all, the interval of the kind still covers. [oracle]"""
    rng = np.random.default_rng(5)
    means, shares = np.array(means), np.array([0.4, 0.3, 0.3])
    assert (means @ shares).min() - means.min(axis=0) @ shares == pytest.approx(truth)
    hits = 0
    for _ in range(N_REPETITIONS):
        kinds = rng.choice(3, n, p=shares)
        found = estimate_values_of_knowing(means[:, kinds] + rng.exponential(scale, (len(means), n)), kinds, 0.95)[KIND]
        hits += found["low"] <= truth <= found["high"]
    assert hits / N_REPETITIONS >= LEAST


PRICE, ESCAPE_RATES, CHEAPEST = 1000.0, np.array([0.4, 0.05]), np.array([10.0, 14.0])


def draw_by_kind(rng, n, sigma=0.5):
    """Draw costs of a bold and a careful policy in n worlds of each kind, good and bad, with the worlds that escape."""
    kinds = np.repeat([0, 1], n)
    escaped = (rng.random(sum(n)) < ESCAPE_RATES[:, None]) & (kinds == 1)
    return kinds, CHEAPEST[:, None] * rng.lognormal(0, sigma, (2, sum(n))) + PRICE * escaped, escaped


UNKNOWN, KNOWN = np.full((2, 2), np.nan), np.stack([np.zeros(2), ESCAPE_RATES], axis=1)


@pytest.mark.parametrize(
    ("probability", "n", "rates"),
    [(0.01, (300, 100), UNKNOWN), (0.01, (60, 40), KNOWN), (1e-3, (200, 200), UNKNOWN)],
    ids=["common", "few, known", "rare"],
)
def test_coverage_of_the_value_of_information_by_kind(probability, n, rates):
    """With worlds by kind and rare, expensive escapes, trusted intervals cover, and those of the kind are trusted. [oracle]"""
    rng, shares, repetitions = np.random.default_rng(6), np.array([1 - probability, probability]), 200
    kinds, costs, _ = draw_by_kind(rng, (400_000, 400_000))
    means = np.stack([costs[:, kinds == kind].mean(axis=1) for kind in range(2)], axis=1)
    cheapest = np.array([costs[:, kinds == kind].min(axis=0).mean() for kind in range(2)])
    single = (means @ shares).min()
    truths = {WORLD: single - cheapest @ shares, KIND: single - means.min(axis=0) @ shares}
    strata, hits, trusted = Strata(np.repeat([0, 1], n), shares), dict.fromkeys(truths, 0), dict.fromkeys(truths, 0)
    for _ in range(repetitions):
        kinds, costs, escaped = draw_by_kind(rng, n)
        lump = Lump(np.array([0.0, PRICE]), escaped.astype(float), rates)
        costs = costs - lump.surprises(strata)
        sample = Sample(costs, strata, np.full(2, float(min(n))), (lump,), np.zeros(2, dtype=bool))
        for name, row in estimate_values_of_knowing(sample, kinds, 0.95).items():
            trusted[name] += row["is_trusted"]
            hits[name] += row["is_trusted"] and row["low"] <= truths[name] <= row["high"]
    for name, number in trusted.items():
        assert hits[name] >= 0.93 * number - 4 * math.sqrt(0.93 * 0.07 * number)
    assert trusted[KIND] > 0.9 * repetitions


@pytest.mark.parametrize("n_escaped", [0, 30], ids=["too few", "too many"])
@pytest.mark.parametrize(("missed", "single"), [(0.01, "b"), (0.002, "a")])
def test_the_value_of_information_with_known_chances(missed, single, n_escaped):
    """With known chances of escapes, the single policy is that of other analyses, and the world is worth at least the kind. [oracle]"""
    n, defective, price = 60, 1e-4, 1e6
    probabilities, of_policies = np.array([1 - defective, defective]), np.array([[0, 1 - missed], [0, 1]])
    kinds = Kinds(("good", "bad"), (False, True), probabilities, of_policies, ("a", "b"))
    table = rollouts([[1.0] * 2 * n, [1.5] * 2 * n], ["good"] * n + ["bad"] * n)
    of_kind = [*range(n), *kinds.worlds("bad", range(n))]
    escaped = ["escaped"] * n_escaped + ["stopped_defective"] * (n - n_escaped)
    verdicts = [*["completed_good"] * n, *escaped, *["completed_good"] * n, *["stopped_defective"] * n]
    table = table.assign(replication=of_kind * 2, verdict=verdicts)
    costs = replace(TIME_IS_MONEY, escape=price)
    table.attrs = {"strata": "kinds", "release": kinds.to_attrs(), "scenario": "s", "costs": costs.to_dict()}
    result, parts = value_of_perfect_information(table), estimate_costs(table).totals
    assert parts["estimate"].tolist() == pytest.approx([1 + defective * missed * price, 1.5], abs=0.001)
    assert result.policy == parts.loc[parts["is_cheapest"], "policy"].item() == single
    assert compare(table).answer.startswith(f"{single} has the lowest mean cost")
    assert result.kinds["policy"].tolist() == ["a", "b"]
    kind, world = value(result, KIND), value(result, WORLD)
    assert kind["estimate"] == pytest.approx(min(defective * missed * price, 0.5), abs=0.001)
    assert world["estimate"] == pytest.approx(kind["estimate"])
    for row in (kind, world):
        assert row["low"] <= row["estimate"] <= row["high"] + 1e-9


def limits_of_all_rules(cost, kinds, error):
    """Return the largest limit of all rules against each policy, rule by rule."""
    size, n = cost.shape
    worlds = np.arange(n)
    return [
        max(
            (own - cost[np.array(rule)[kinds], worlds]).mean()
            + stats.t.ppf(1 - error, n - 1) * stats.sem(own - cost[np.array(rule)[kinds], worlds])
            for rule in itertools.product(range(size), repeat=int(kinds.max()) + 1)
        )
        for own in cost
    ]


@pytest.mark.parametrize(("size", "n_kinds"), [(1, 2), (2, 1), (3, 3), (4, 2)])
def test_the_largest_limit_of_all_rules(monkeypatch, size, n_kinds):
    """The largest limit is that of every rule, one by one; for too many rules it is a close upper bound. [oracle]"""
    rng = np.random.default_rng(6)
    kinds = np.arange(60) % n_kinds
    cost = rng.normal(0, 1, (size, n_kinds))[:, kinds] + rng.exponential(1.0, (size, 60))
    exact = limits_of_all_rules(cost, kinds, 0.01)
    assert knowing.largest_limits(cost, kinds, 0.01) == pytest.approx(exact)
    monkeypatch.setattr(knowing, "_MOST_RULES", 0)
    bounds = knowing.largest_limits(cost, kinds, 0.01)
    assert (bounds >= np.array(exact) - 1e-12).all()
    assert bounds == pytest.approx(exact, abs=0.3)


def test_the_plug_in_is_biased_as_documented():
    """With few replications the value of the world is too low on average, and that of a rare kind too high. [oracle]"""
    rng = np.random.default_rng(4)
    worlds, kinds, repetitions = [], [], 300
    for _ in range(repetitions):
        costs = rng.exponential(1.0, (3, 20))
        found = estimate_values_of_knowing(costs, np.arange(20) % 5 // 4, 0.95)
        worlds.append(found["world"]["estimate"])
        kinds.append(found["kind of release"]["estimate"])
    # Three exponential costs of mean 1, whose least has mean 1/3; the kind says nothing.
    assert np.mean(worlds) < 2 / 3 - 4 * np.std(worlds) / math.sqrt(repetitions)
    assert np.mean(kinds) > 4 * np.std(kinds) / math.sqrt(repetitions)


def test_failed_replications_are_left_out():
    """Replications that failed under one policy are left out and counted. [contract]"""

    def with_failures(costs):
        table = rollouts(costs, "x" * len(costs[0]))
        return table.assign(status=np.where(table["makespan_s"].isna(), "failed", "ok"))

    result = worth(with_failures([[1, 2, np.nan, 4], [4, 3, 2, 1]]))
    assert result.n_left_out == 1
    assert set(result.values["n"]) == {3}
    with pytest.raises(InputError, match="fewer than two replications"):
        worth(with_failures([[1, np.nan], [np.nan, 1]]))


def test_one_policy_leaves_nothing_to_choose():
    """With one policy, or identical ones, information has no value. [contract]"""
    for costs in ([[1, 2, 4]], [[1, 2, 4]] * 3):
        result = worth(rollouts(costs, "xyx"))
        assert result.values[["estimate", "low", "high"]].eq(0).all(axis=None)


@pytest.mark.usefixtures("students_limits")
def test_words():
    """The answer, the tables and the plain form have both values. [contract]"""
    result = worth(rollouts([[1, 9, 1, 9], [4, 4, 4, 4]], ["good", "bad"] * 2), confidence_level=0.5)
    assert result.answer == (
        "Knowing the kind of release in advance saves 1.5 per rollout (50 % CI 0.0 to 2.7) over always using b; "
        "knowing everything saves 1.50 (0.84 to 2.73)."
    )
    assert result.summarize()[1].rows == (("good", "50.0 %", "a", "1.0", "3.0"), ("bad", "50.0 %", "b", "4.0", "0.0"))
    assert result.to_dict()["kinds"][0]["policy"] == "a"
    with pytest.raises(InputError, match="release: a table of replications needs this column"):
        worth(rollouts([[1, 2]], "xx").drop(columns="release"))


def test_every_choice_of_the_answer_is_in_the_plain_form():
    """`to_dict` has every choice of the answer: the policy for all, and unknown ones. [contract]"""
    table = rollouts([[1, 9, 1, 9], [4, 4, 4, 4], [5, 5, 5, 5]], ["good", "bad"] * 2)
    lost = table["policy"].eq("c") & table["replication"].eq(0)
    table.loc[lost, "makespan_s"] = np.nan
    plain = worth(table).to_dict()
    assert f"over always using {plain['policy']};" in plain["answer"]
    assert plain["unknown_fractions"] == {"a": 0, "b": 0, "c": 0.25}
    assert plain["answer"].endswith("Cost unknown for c: 25 % of its rollouts never end.")


# -- longer observation ------------------------------------------------------------------------------------------------


def scenario(policy, **sections):
    """Make a scenario of twelve nodes that start in a minute."""
    raw = {
        "name": "twelve",
        "fleet": {"nodes": 12, "update_duration": "1m", "requests_per_second": 10},
        "costs": {"hour_of_delay": 60},
        "orchestrator": "expanso-rollout" if "dialect" in policy else "expanso",
        "policies": {"p": policy},
        **sections,
    }
    return Scenario.from_dict(raw)


ESCAPES = {"costs": {"escape": 100}}
LATENT = {"bad": {"probability": 1.0, "defective": True, "error_rate": 1, "after": "90s"}}
ROLLING = {"strategy": "rolling", "max_parallel": 4, "health_check": {"deadline": "5m", "min_healthy_time": "1m"}}
CANARY = {**ROLLING, "strategy": "canary", "canary_count": 2, "auto_promote": True}
WINDOWS = rolling(34, dialect="rollout", health_check={"deadline": "5m", "interval": "25s", "success_threshold": 2})


def test_a_minute_costs_a_minute_per_wave():
    """If nothing can go wrong, each additional minute costs a minute per wave, and canaries one wave. [oracle]"""
    result = value_of_observation(scenario(ROLLING), replications=3, canaries=[0, 4, 5], minutes=[-1, 0, 1, 2.5])
    savings = result.savings[result.savings["cause"].eq("cost")].set_index(["lever", "value"])["estimate"]
    # Three waves of 2 minutes. One more canary is a fourth wave; four canaries are a wave themselves.
    assert savings["minutes"].to_dict() == pytest.approx({-1: 3, 0: 0, 1: -3, 2.5: -7.5})
    assert savings["canaries"].to_dict() == pytest.approx({0: 0, 1: -2, 4: 0, 5: 0})
    by_cause = result.savings.groupby("cause")["estimate"].sum()
    assert by_cause["cost_delay"] == pytest.approx(by_cause["cost"])


def test_arrays_of_settings():
    """Settings may be arrays, as they may be lists. [contract]"""
    found = scenario(CANARY)
    lists = make_steps(found, found.policy("p"), canaries=[1, 3], minutes=[0.5, 2])
    assert make_steps(found, found.policy("p"), canaries=np.array([1, 3]), minutes=np.array([0.5, 2])) == lists
    with pytest.raises(InputError, match="minutes: invalid number of minutes"):
        make_steps(found, found.policy("p"), canaries=np.array([]), minutes=np.array([np.nan, 1]))


def test_a_minute_that_finds_a_latent_defect():
    """A defect that shows after 90 s is found by two minutes of observation, which saves each escape. [oracle]"""
    release = {"good": {"probability": 0.5}, "latent": {**LATENT["bad"], "probability": 0.5}}
    found = scenario(ROLLING, release=release, **ESCAPES)
    result = value_of_observation(found, replications=400, minutes=[1, 2], canaries=[], engine="compiled")
    one, two = result.steps[result.steps["lever"].eq("minutes")].to_dict("records")
    assert abs(one["estimate"] - 50) <= 4 * one["standard_error"] + 1e-9
    assert one["low"] <= 50 + 1e-9 <= one["high"] + 2e-9  # both verdicts are known
    assert two["estimate"] == 0
    limit = result.limits.set_index("lever").loc["minutes"]
    assert (limit["current"], limit["pays_until"], limit["stops_at"]) == (0, 1, 2)
    assert "one more minute of observation saves 5" in result.answer
    assert "worthwhile up to 1 minute more" in result.answer


def test_flaky_canaries():
    """With starts that fail, canaries cost their false alarms: 1 - (1 - q)^n of good releases. [oracle]"""
    fleet = {"nodes": 12, "update_duration": "1m", "start_failure": 0.1}
    policy = {**CANARY, "max_failed_nodes": 11, "max_failed_nodes_percent": 99}
    fragile = scenario(policy, fleet=fleet, costs={"false_alarm": 100})
    result = value_of_observation(fragile, replications=1000, canaries=[0, 2, 4], minutes=[], engine="compiled")
    rows = result.savings[result.savings["cause"].eq("cost_false_alarm") & result.savings["lever"].eq("canaries")]
    for row in rows.to_dict("records"):
        exact = 100 * (1 - 0.9 ** row["value"])
        assert abs(row["cost"] - exact) <= 4 * 100 * 0.5 / math.sqrt(1000)
    assert "one more canary costs" in result.answer


def test_only_the_observation_differs():
    """Steps change only canaries, or windows and the deadline by as much, in both dialects. [contract]"""
    for spec, interval_s in ((CANARY, 10), (WINDOWS, 25)):
        small = scenario(spec)
        base = small.policy("p")
        for step in make_steps(small, base, canaries=[0, 5], minutes=[-0.4, 1, 2]):
            policy, now = step.policy.policy, base.policy
            assert step.policy.name == "p"
            if step.lever == "canaries":
                assert policy.canary_count == step.value
                assert policy.strategy == ("canary" if step.value else "rolling")
                assert policy.windows_needed == now.windows_needed
                assert policy.auto_promote or not step.value
            else:
                added_s = 60 * step.value
                windows = math.ceil((60 + added_s) / 10) if spec is CANARY else 2 + added_s / interval_s
                assert policy.windows_needed == pytest.approx(windows)
                assert policy.deadline_ns == now.deadline_ns + round(added_s * 1e9)
                assert (policy.strategy, policy.canary_count) == (now.strategy, now.canary_count)


def test_minutes_are_whole_windows_in_the_other_dialect():
    """In the rollout dialect minutes are rounded up to windows, at least one. [contract]"""
    steps = make_steps(scenario(WINDOWS), scenario(WINDOWS).policy("p"), minutes=[-60, 1], canaries=[])
    minutes = [step.value for step in steps if step.lever == "minutes"]
    assert minutes == pytest.approx([-25 / 60, 0, 75 / 60])


def test_a_percent_of_canaries_is_counted():
    """The current number of canaries is what the orchestrator makes of the percentage. [contract]"""
    spec = {**CANARY, "canary_count": None, "canary_percent": 20}
    steps = make_steps(scenario(spec), scenario(spec).policy("p"))
    of_canaries = [step for step in steps if step.lever == "canaries"]
    assert [step.value for step in of_canaries] == [0, 1, 3, 4, 5, 7, 11]
    assert [step.value for step in of_canaries if step.is_current] == [3]


def test_the_base_is_the_unchanged_policy():
    """The cost at the current value is that of `replicate` with the same random numbers. [property]"""
    small = scenario(CANARY, release={"good": {"probability": 1}}, costs={"hour_of_delay": 3600})
    result = value_of_observation(small, replications=range(5, 15), seed=3)
    expected = replicate(small, replications=range(5, 15), seed=3)["makespan_s"].mean()
    now = result.savings[result.savings["is_current"] & result.savings["cause"].eq("cost")]
    assert now["cost"].tolist() == pytest.approx([expected] * 2)
    of_itself = result.savings[result.savings["is_current"]]
    assert of_itself[["estimate", "standard_error"]].eq(0).all(axis=None)
    assert of_itself[["low", "high", "half_width"]].isna().all(axis=None)
    assert result.computed_under["replications"] == 10


def test_one_replication_has_no_interval():
    """With one replication nothing certainly pays. [contract]"""
    result = value_of_observation(scenario(CANARY), replications=1)
    assert (result.limits["pays_until"] == result.limits["current"]).all()
    assert "(no interval), but that is not certain" in result.answer


def test_a_saving_without_a_verdict_is_not_certain():
    """No answer says of an interval far from 0 that can't be trusted that the saving hardly differs from 0. [contract]"""
    result = value_of_observation(scenario(CANARY), replications=20)
    steps = result.steps.assign(verdict="unclear", is_trusted=False, estimate=9.0, low=8.0, high=10.0)
    answer = replace(result, steps=steps).answer
    assert answer.count("saves 9.0 per rollout (~95 % CI 8.0 to 10.0), but that is not certain") == 1
    assert answer.count("but that is not certain") == 2
    assert "from 0" not in answer


def test_no_saving_in_few_worlds():
    """If all of too few worlds cost the same, the answer says that no saving was seen, without a number. [contract]"""
    result = value_of_observation(scenario(CANARY), replications=20)
    steps = result.steps.assign(verdict="unclear", is_trusted=False, estimate=0.0, low=0.0, high=0.0)
    answer = replace(result, steps=steps).answer
    assert answer.startswith("Under p, no saving by one more canary was seen; no saving by one more minute ")


def test_endless_rollouts_say_nothing():
    """If no rollout ends, savings are NaN and the answer says that nothing is known. [contract]"""
    paused = scenario(ROLLING, operator=script((10, "pause")))
    result = value_of_observation(paused, replications=3)
    assert result.savings[["cost", "estimate"]].isna().all(axis=None)
    assert "the effect of one more canary is unknown" in result.answer
    assert plot_value_of_observation(Figure().subplots(), result).get_xlabel() == "canaries"


def stated_verdict(sentence):
    """Return the verdict that a sentence states on the next step of a lever."""
    words = {
        "saves nothing": "equal",
        "not certain": "unclear",
        "is unknown": "unknown",
        "worthwhile": "better",
    }
    return next((verdict for phrase, verdict in words.items() if phrase in sentence), "worse")


@pytest.mark.usefixtures("few_values_suffice")
@pytest.mark.parametrize(
    ("verdict", "n", "sections"),
    [
        ("better", 40, {"release": LATENT, **ESCAPES}),
        ("worse", 40, {}),
        ("equal", 40, ESCAPES),
        ("unclear", 1, {}),
        ("unknown", 3, {"operator": script((10, "pause"))}),
    ],
)
def test_every_verdict_on_observation_is_in_the_plain_form(verdict, n, sections):
    """`to_dict` has every verdict of the answer: whether one more step saves, and up to where. [contract]"""
    plain = value_of_observation(scenario(ROLLING, **sections), replications=n, canaries=[], minutes=[1]).to_dict()
    (step,) = (row for row in plain["steps"] if row["lever"] == "minutes" and row["previous"] == 0)
    assert step["verdict"] == verdict
    sentence = plain["answer"].split("; ")[1]
    assert stated_verdict(sentence) == verdict
    (limit,) = (row for row in plain["limits"] if row["lever"] == "minutes")
    assert (limit["pays_until"] == 1) == ("worthwhile up to 1 minute more" in sentence) == (verdict == "better")


def test_a_fleet_of_canaries():
    """If all nodes are canaries there is no further one, and the answer is about minutes alone. [contract]"""
    result = value_of_observation(scenario({**CANARY, "canary_count": 12}), replications=2)
    assert "canary" not in result.answer
    assert result.savings[result.savings["lever"].eq("canaries")]["value"].max() == 12


WAVES = {**ROLLING, "dialect": "general", "waves": [1, "100%"]}
LIKE_EXPANSO = {"orchestrator": "expanso"}


@pytest.mark.parametrize("policy", [WAVES, {**WAVES, "strategy": "canary", "auto_promote": True}])
def test_a_list_of_waves_has_no_other_canaries(policy):
    """Under a policy with a list of waves only minutes are tried. [contract]"""
    result = value_of_observation(scenario(policy, **LIKE_EXPANSO), replications=2)
    assert result.answer.startswith("Under p, one more minute")
    assert result.savings.loc[result.savings["lever"].eq("canaries"), "is_current"].all()


@pytest.mark.parametrize(
    ("policy", "sections", "arguments", "message"),
    [
        ({"strategy": "immediate"}, {}, {}, "the policy has no health check"),
        (ROLLING, {"costs": None}, {}, "or add a `costs` section"),
        (ROLLING, {}, {"canaries": [13]}, "0 to 12"),
        (ROLLING, {}, {"canaries": [1.5]}, "invalid number of canaries"),
        (WAVES, LIKE_EXPANSO, {"canaries": [2]}, "canaries: the policy has a list of waves"),
        (ROLLING, {}, {"minutes": [math.nan]}, "a finite number"),
    ],
)
def test_invalid_questions(policy, sections, arguments, message):
    """A policy without a health check, missing costs and invalid values are input errors. [contract]"""
    with pytest.raises(InputError, match=message):
        value_of_observation(scenario(policy, **sections), replications=2, **arguments)


def test_the_picture_of_observation():
    """Lines are labelled at their ends, the current policy is marked, and steps without significant gain are shaded. [contract]"""
    small = scenario(ROLLING, release=LATENT, costs={"escape": 100, "hour_of_delay": 1})
    result = value_of_observation(small, replications=4, minutes=[1, 2, 3])
    ax = draw_on(plot_value_of_observation, result, lever="minutes")
    lines = {line.get_label(): line for line in ax.lines}
    assert lines["total"].get_xdata().tolist() == [0, 1, 2, 3]
    assert lines["current"].get_xdata().tolist() == [0]
    assert {"delay", "escapes"} <= set(lines)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["current", "no significant gain"]
    assert {"total", "delay", "escapes"} <= {text.get_text() for text in ax.texts}
    assert find_unreadable(ax.figure) == []
    with pytest.raises(InputError, match="did you mean 'minutes'"):
        plot_value_of_observation(ax, result, lever="minute")
