"""Known probabilities of a stop: against the exact evaluator, the engine, and in estimates."""

import math
import random
from collections import Counter

import numpy as np
import pytest
from generators import Decisions, scenario_of
from scipy.stats import binom
from small import rolling, small
from test_decisions import RISKY, SWITCHES

import simdeploy
from simdeploy import Scenario
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.costs.causes import estimate_costs
from simdeploy.errors import InputError
from simdeploy.experiments import replicate, sweep
from simdeploy.experiments.chances import StopChances
from simdeploy.scenario.measures import Measure, parse_measure
from simdeploy.statistics.estimators import estimate_rows
from simdeploy.statistics.pairs import pair_policies
from simdeploy.validation.decisions.exact import evaluate
from simdeploy.validation.decisions.problems import make_problems
from simdeploy.vocabulary import CAUSES

# Settings that make nodes depend on each other, on the clock or on a value drawn once.
_DEPENDENT = ("classes", "crash", "zone_outage", "flapping", "connection", "traffic", "service")
# Two-sided: four standard errors of a normal law.
_IMPROBABLE = math.erfc(4 / math.sqrt(2))


def independent(raw, choices):
    """Return a generated scenario whose nodes fail independently, by a random choice of constants."""
    fleet = {key: value for key, value in raw["fleet"].items() if key not in _DEPENDENT}
    for key, values in {"error_rate": (0.02, 0.1), "start_failure": (0.01, 0.2), "slowdown": (1, 1.5)}.items():
        if key in fleet:
            fleet[key] = choices.choice(values)
    if choices.random() < 0.5:
        fleet["start_attempts"] = 1
    for kind in raw["release"].values():
        if "after" in kind:
            kind["after"] = choices.choice([0, 7.5, 30])
        if kind.get("affects") not in ({"share": 0.4}, {"share": 0}, {"share": 1}):
            kind.pop("affects", None)
    for policy in raw["policies"].values():
        policy.get("health_check", {}).pop("gate", None)
        policy["auto_promote"] = True
    drop = {"failed_node_holds_slot", "on_failure", *choices.choice([(), ("failed_percent_of",)])}
    switches = {key: value for key, value in raw["orchestrator"].items() if key not in drop}
    operator = {key: value for key, value in raw["operator"].items() if key != "script"}
    return {**raw, "fleet": fleet, "orchestrator": switches, "operator": operator}


def test_generated_scenarios_against_the_engine():
    """The engine stops rollouts with the known probabilities, for any pacing, limits and thresholds. [oracle]"""
    choices, seen, n = random.Random(16), Counter(), 300
    while seen["uncertain"] < 40:
        raw = independent(scenario_of(Decisions(choices.randbytes(288))), choices)
        try:
            scenario = Scenario.from_dict(raw)
        except InputError:  # without the removed settings, some others are invalid
            continue
        for kind in scenario.release:
            chance = StopChances(scenario, kind).of(scenario.policy("p"))
            if math.isnan(chance):
                continue
            table = replicate(scenario.given(kind.name), ["p"], replications=n, engine="compiled")
            assert table["verdict"].notna().all()
            n_stopped = int(table["verdict"].isin(["false_alarm", "stopped_defective"]).sum())
            tails = binom.cdf(n_stopped, n, chance), binom.sf(n_stopped - 1, n, chance)
            assert 2 * min(tails) >= _IMPROBABLE, (raw, kind.name, chance, n_stopped)
            policy, switches = raw["policies"]["p"], scenario.orchestrator
            seen["uncertain"] += 0.01 < chance < 0.99
            seen.update([switches.pacing, policy["dialect"], policy["strategy"], switches.deadline_starts])
            seen["late reports"] += switches.reporting_delay_ns > 0
            seen["change windows"] += bool(scenario.operator.change_windows)
            seen["after"] += kind.after.mean > 0
    expected = [
        "barrier",
        "sliding",
        "rate",
        "rollout",
        "deployment",
        "canary",
        "rolling",
        "immediate",
        "dispatch",
        "started",
    ]
    assert min(seen[word] for word in [*expected, "late reports", "change windows", "after"]) >= 5, seen


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_against_the_recursion_over_waves(switches):
    """If waves have exact costs, a recursion over them gives the same probabilities of a stop. [oracle]"""
    scenario = Scenario.from_dict({**RISKY, "orchestrator": {**RISKY.get("orchestrator", {}), **switches}})
    n_known = 0
    for policy in scenario.policies.values():
        for kind, exact in zip(scenario.release, evaluate(scenario, policy).kinds, strict=True):
            chance = StopChances(scenario, kind).of(policy)
            n_known += not math.isnan(chance)
            assert math.isnan(chance) or math.isclose(chance, exact.stopped, rel_tol=1e-9, abs_tol=1e-13)
    assert n_known or "failed_percent_of" in switches


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("fleet", {"crash": {"up": "120h", "repair": "1h"}}),
        ("fleet", {"flapping": {"good": "1h", "degraded": "1m", "error_rate": 0.2}}),
        ("fleet", {"start_failure": {"uniform": {"low": 0, "high": 0.1}}}),
        ("fleet", {"slowdown": {"lognormal": {"mean": 1, "sd": 0.3}}}),
        ("fleet", {"classes": [{"name": "old", "share": 0.5, "error_rate": 0.02}]}),
        ("fleet", {"service": {"shared": {"capacity": 2}}}),
        ("orchestrator", {"on_failure": "pause"}),
        ("orchestrator", {"failed_percent_of": "resolved"}),
        ("operator", {"script": [{"at": "1m", "do": "pause"}]}),
    ],
)
def test_unknown(section, values):
    """If nodes depend on each other, on the clock or on a value drawn once, no probability is known. [contract]"""
    scenario = Scenario.from_dict({**RISKY, section: {**RISKY.get(section, {}), **values}})
    chances = [StopChances(scenario, scenario.release[0]).of(scenario.policy(name)) for name in ("waves", "windows")]
    assert np.isnan(chances).all()


@pytest.fixture(scope="module")
def rare():
    """Return the problem whose false alarms are rare."""
    return next(problem for problem in make_problems() if problem.name == "rare-false-alarm").scenario


def test_estimates_of_known_rates(rare):
    """Rates of verdicts are exact even if unobserved; costs are near the exact ones, with a smaller error. [oracle]"""
    table = replicate(rare, strata="kinds", replications=400, engine="compiled")
    policies = [rare.policy(name) for name in ("usual", "lax")]
    measures = ["false_alarm given good", "escaped", "cost"]
    found = simdeploy.estimate(table, measures).to_frame().set_index(["policy", "measure"])
    values = Values(table, ["cost"])
    for place, policy in enumerate(policies):
        exact = evaluate(rare, policy)
        for name in measures[:2]:
            row = found.loc[policy.name, name]
            assert row["low"] == row["estimate"] == row["high"]
            assert math.isclose(row["estimate"], exact.value(parse_measure(name)), rel_tol=1e-9)
        cost = values.sample(Measure("cost"))[place]
        error = found.loc[policy.name, "cost"]["standard_error"]
        assert abs(cost.means() - exact.cost) < 4 * error
        good = cost.strata.of == 0
        assert cost.values[good].std() <= cost.as_drawn().values[good].std() + 1e-9


def test_estimates_of_some_rows(rare):
    """Known rates belong to a policy's name, not its place in the table; unknown names use drawn verdicts. [contract]"""
    table = replicate(rare, strata="kinds", replications=40, engine="compiled")
    rates = simdeploy.estimate(table, ["false_alarm given good"]).to_frame().set_index("policy")
    some = table[table["policy"].isin(["strict", "careful"])].iloc[::-1]
    again = simdeploy.estimate(some, ["false_alarm given good"]).to_frame().set_index("policy")
    assert again["estimate"].to_dict() == rates.loc[["strict", "careful"], "estimate"].to_dict()
    renamed = some.assign(policy=some["policy"] + " of old")
    drawn = simdeploy.estimate(renamed, ["false_alarm given good"]).to_frame()
    assert (drawn["low"] < drawn["high"]).all()


def test_sweeps_of_settings(rare):
    """A sweep over a policy's settings knows the probabilities of each case. [oracle]"""
    result = sweep(
        rare, ["usual"], vary={"max_failed_nodes": [0, 2]}, strata="kinds", replications=20, engine="compiled"
    )
    rates = simdeploy.estimate(result, ["false_alarm given good"]).to_frame()["estimate"].tolist()
    spec = rare.policy("usual").spec.to_dict()
    exact = [evaluate(rare, rare.policy({**spec, "max_failed_nodes": n})).kinds[0].stopped for n in (0, 2)]
    assert np.allclose(rates, exact, rtol=1e-9)
    assert exact[0] > 1.1 * exact[1]


def test_sweeps_of_scenarios(rare):
    """A sweep over keys of the scenario knows the probabilities of each case in its own scenario. [oracle]"""
    vary = {
        "scenario.fleet.start_failure": [0.001, 0.02],
        "scenario.orchestrator.limit_comparison": ["exceeds", "reaches"],
    }
    result = sweep(rare, ["usual"], vary=vary, strata="kinds", replications=20, engine="compiled")
    rates = simdeploy.estimate(result, ["false_alarm given good"]).to_frame()["estimate"].tolist()
    exact = []
    for case in result.cases.to_dict("records"):
        scenario = rare.with_values({name.removeprefix("scenario."): case[name] for name in vary})
        exact.append(evaluate(scenario, scenario.policy("usual")).kinds[0].stopped)
    assert np.allclose(rates, exact, rtol=1e-9)
    assert len(set(exact)) >= 3


def test_known_rates_have_enough_digits():
    """A trade-off shows the change of a known rate with three digits, but 0 below 0.0001 %; a comparison calls it exact. [contract]"""
    fleet = {"nodes": 50, "update_duration": "1m", "start_failure": 0.004}
    scenario = small(fleet, policies={"waves": rolling(25, max_failed_nodes=2)})
    answer = simdeploy.tradeoff(scenario, engine="compiled").answer
    assert "false alarms from 0.109 to 0 % (by -0.109 pp)" in answer
    comparison = simdeploy.compare(replicate(scenario, strata="kinds", replications=40, engine="compiled"))
    assert "false alarms 0.109 % (exact)" in comparison.answer
    table = comparison.summarize()[0]
    assert (
        dict(zip(table.header, table.rows[0], strict=True))["false alarms of good releases"] == "0.109 %\nexact\nn = 20"
    )


def test_single_worlds_use_their_verdicts(rare):
    """The value of knowing a world uses its verdict, which an estimate of the cost averages. [property]"""
    table = replicate(rare, ["usual", "strict"], strata="kinds", replications=60, engine="compiled")
    values = Values(table, ["cost"])
    sample = values.sample(Measure("cost"))
    assert np.allclose(sample.as_drawn().values, values.of(Measure("cost")))
    assert not np.allclose(sample.values, values.of(Measure("cost")))
    first, second = (sample.in_worlds(np.arange(60) % 2 == half) for half in (0, 1))
    joined = first.join(second)
    assert np.allclose(np.sort(joined.as_drawn().values), np.sort(values.of(Measure("cost"))))


def test_causes_add_up_where_verdicts_are_known(rare):
    """Causes and total use the same expected price of verdicts, so causes add up to the total. [property]"""
    gated = {"strategy": "rolling", "max_parallel": 30, "health_check": {"deadline": "5m", "gate": {"kind": "pooled"}}}
    policies = {**{name: rare.policy(name).spec for name in ("usual", "strict")}, "gated": gated}
    table = replicate(rare, policies, strata="kinds", replications=60, engine="compiled")
    parts = estimate_costs(table, costs=rare.costs).parts.pivot(index="policy", columns="cause", values="estimate")
    assert parts[list(CAUSES)].sum(axis=1).to_dict() == pytest.approx(parts["cost"].to_dict(), rel=1e-12)
    requests = Values(table, ["cost_failed_requests"]).sample(Measure("cost_failed_requests"))
    is_expected = ~np.isclose(requests.means(), requests.as_drawn().means(), rtol=1e-6)
    assert is_expected[[0, 2]].tolist() == [True, False]  # nothing is known of the gated one


def test_a_known_rate_beside_an_unknown_one(rare):
    """A policy has its known rate beside policies without one; both are compared as drawn in the same worlds. [contract]"""
    risky = rare.with_values({"fleet.start_failure": 0.02})
    usual = risky.policy("usual").spec
    people = {**usual.to_dict(), "orchestrator": {"preset": "expanso", "failed_node_holds_slot": True}}  # unknown
    policies = {"usual": usual, "people": people, "strict": risky.policy("strict").spec}
    table = replicate(risky, policies, strata="kinds", replications=200, engine="compiled")
    measure = parse_measure("false_alarm given good")
    values = Values(table, [measure])
    sample, drawn = values.sample(measure), values.of(measure)
    low, high = (getattr(estimate_rows(sample, measure, 0.95), limit) for limit in ("low", "high"))
    assert (low == high).tolist() == [True, False, True]
    assert sample.means()[0] == pytest.approx(evaluate(risky, risky.policy("usual")).value(measure))
    assert np.nansum(drawn[0]) >= 2
    for way in (
        sample,
        sample[:1].stack(sample[1:]),
        sample.in_worlds(np.arange(200) < 90).join(sample.in_worlds(np.arange(200) >= 90)),
    ):
        order = np.argsort(way.strata.of, kind="stable")
        assert np.array_equal((way[0] - way[1]).values[order], drawn[0] - drawn[1], equal_nan=True)
        assert (way[0] - way[2]).means() == pytest.approx(sample.means()[0] - sample.means()[2])
    pairs = pair_policies(sample, is_rate=True, error=0.025)
    assert pairs.estimate[0, 1] == 0  # the same rollouts
    costs = Values(table, ["cost"])
    sample, drawn = costs.sample(Measure("cost")), costs.of(Measure("cost"))
    for one, other in ((0, 1), (1, 0), (2, 1)):
        assert (sample[one] - sample[other]).values == pytest.approx(drawn[one] - drawn[other])
    assert sample.means()[0] != pytest.approx(sample.as_drawn().means()[0])
    assert (sample[0] - sample[2]).means() == pytest.approx(sample.means()[0] - sample.means()[2])
    assert pairs.lower[0, 2] == -pairs.lower[2, 0] == pytest.approx(pairs.estimate[0, 2])
