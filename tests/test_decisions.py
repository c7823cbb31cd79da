"""Exact costs of policies against the engine, and problems with known optima."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from elsewhere import Elsewhere
from refusals import refused
from small import rolling

import simdeploy
from simdeploy import Scenario, replicate
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.simulating import replicate_kinds
from simdeploy.analysis.comparison.compare import compare
from simdeploy.analysis.tuning import tune
from simdeploy.scenario.measures import Measure, parse_measure
from simdeploy.validation import oracles
from simdeploy.validation.decisions import deciding, optimum
from simdeploy.validation.decisions.exact import evaluate
from simdeploy.validation.decisions.optimum import find_optimum
from simdeploy.validation.decisions.problems import make_problems
from simdeploy.validation.decisions.result import CLAIMS

# Some limits can never stop a rollout, intentionally.
CHECK = {"deadline": "80s", "min_healthy_time": "30s", "max_error_rate": 0.06}
RISKY = {
    "name": "risky",
    "fleet": {
        "nodes": 30, "update_duration": "30s", "rollback_duration": "20s", "start_failure": 0.02, "requests_per_second": 5, "error_rate": 0.01,
    },
    "release": {
        "good": {"probability": 0.5},
        "bad": {"probability": 0.3, "defective": True, "error_rate": 0.04, "start_failure": 0.03},
        "slight": {"probability": 0.2, "defective": True, "error_rate": 0.02},
    },
    "operator": {"escape_detection": "20m", "undo_after": "8m"},
    "costs": {
        "failed_request": 0.02, "unavailable_node_hour": 3, "unrestored_node": 8, "lost_request": 0.001, "hour_of_delay": 20,
        "false_alarm": 15, "escape": 40,
    },
    "policies": {
        "at-once": {"strategy": "immediate", "max_failed_nodes": 1},
        "waves": {"strategy": "rolling", "max_parallel": 4, "max_failed_nodes": 2, "health_check": CHECK},
        "by-hand": {
            "strategy": "rolling", "max_parallel": 7, "max_failed_nodes": 1, "no_auto_rollback": True, "health_check": {**CHECK, "deadline": "60s"},
        },
        "canary": {
            "strategy": "canary", "canary_count": 3, "auto_promote": True, "max_parallel": 10, "max_failed_nodes": 4,
            "max_failed_nodes_percent": 100, "health_check": {**CHECK, "deadline": "100s"},
        },
        "windows": {
            "dialect": "rollout", "strategy": "rolling", "max_parallel": 20, "max_failed_nodes": 3,
            "health_check": {"deadline": "2m", "interval": "10s", "success_threshold": 3, "failure_threshold": 2, "max_error_rate": 0.06},
        },
    },
}  # fmt: skip
SWITCHES = (
    {},
    {"limit_comparison": "reaches", "bake_time": "25s", "canary_gate": "limits"},
    {"failed_percent_of": "resolved", "limit_combination": "both", "deadline_starts": "started", "window_reset": False},
    {"failed_percent_of": "resolved", "minimum_sample": 6, "on_failure": "stop"},
)
COST = Measure("cost")


@pytest.mark.parametrize("switches", SWITCHES)
def test_exact_costs_are_those_of_the_engine(switches):
    """By kind of release, mean and variance of cost, makespan and rate of stops match the simulation. [oracle]"""
    scenario = Scenario.from_dict({**RISKY, "orchestrator": switches})
    table = replicate(scenario, replications=8000, seed=4, engine="compiled")
    costs = Values(table, [COST], costs=scenario.costs).of(COST)
    for place, policy in enumerate(scenario.policies.values()):
        rows = table[table["policy"].eq(policy.name)]
        for kind in evaluate(scenario, policy).kinds:
            of_kind = rows["release"].eq(kind.kind).to_numpy()
            n, cost = of_kind.sum(), costs[place][of_kind]
            makespan_s = rows["makespan_s"].to_numpy()[of_kind]
            stopped = rows["state"].eq("failed").to_numpy()[of_kind]
            assert kind.stopped + kind.completed == pytest.approx(1, abs=1e-12)
            squares = (cost - kind.cost) ** 2
            # Standard errors are from the closed form; that of a variance is the sample's.
            assert abs(cost.mean() - kind.cost) <= 4 * math.sqrt(kind.cost_variance / n) + 1e-9
            assert abs(stopped.mean() - kind.stopped) <= 4 * math.sqrt(kind.stopped * kind.completed / n) + 1e-9
            assert abs(squares.mean() - kind.cost_variance) <= 4 * squares.std() / math.sqrt(n) + 1e-9
            assert abs(makespan_s.mean() - kind.makespan_s) <= 4 * makespan_s.std() / math.sqrt(n) + 1e-9


def test_costs_of_a_mix():
    """Mean and variance over all releases are those of the mixture. [oracle]"""
    scenario = Scenario.from_dict(RISKY)
    table = replicate(scenario, "canary", replications=8000, seed=5, engine="compiled")
    cost = Values(table, [COST], costs=scenario.costs).of(COST)[0]
    exact = evaluate(scenario, scenario.policy("canary"))
    assert abs(cost.mean() - exact.cost) <= 4 * math.sqrt(exact.cost_variance / len(cost))
    squares = (cost - exact.cost) ** 2
    assert abs(squares.mean() - exact.cost_variance) <= 4 * squares.std() / math.sqrt(len(cost))
    assert math.fsum(exact.verdicts.values()) == pytest.approx(1)


@pytest.mark.parametrize("name", list(RISKY["policies"]))
def test_costs_without_chance_are_exact(name):
    """If good nodes never fail and bad ones always do, every rollout has the exact cost. [oracle]"""
    never = ("fleet.start_failure", "fleet.error_rate", "release.bad.start_failure", "release.slight.error_rate")
    scenario = Scenario.from_dict(RISKY).with_values({**dict.fromkeys(never, 0), "release.bad.error_rate": 1})
    table = replicate(scenario, name, replications=30, engine="compiled")
    costs = Values(table, [COST], costs=scenario.costs).of(COST)[0]
    exact = {kind.kind: kind for kind in evaluate(scenario, scenario.policy(name)).kinds}
    assert set(table["release"]) == set(exact)
    assert costs == pytest.approx([exact[release].cost for release in table["release"]], rel=1e-9)
    assert table["makespan_s"].to_numpy() == pytest.approx([exact[release].makespan_s for release in table["release"]])
    assert [kind.cost_variance for kind in exact.values()] == pytest.approx([0, 0, 0], abs=1e-6)


@pytest.mark.parametrize("base", ["canary", "windows"])
def test_a_defect_of_some_nodes(base):
    """A defect of each node with probability 0.3 passes three canaries with probability 0.7**3. [oracle]"""
    some = {"probability": 1, "defective": True, "error_rate": 1, "affects": {"share": 0.3}}
    fleet = {**RISKY["fleet"], "start_failure": 0, "error_rate": 0}
    scenario = Scenario.from_dict({**RISKY, "fleet": fleet, "release": {"some": some}, "costs": {"escape": 1}})
    canaries = {"strategy": "canary", "canary_count": 3, "auto_promote": True}
    lax = {**RISKY["policies"][base], **canaries, "max_failed_nodes": 30, "max_failed_nodes_percent": 100}
    expected = oracles.no_affected_canary_of_share(0.3, 3)
    assert evaluate(scenario, scenario.policy(lax)).cost == pytest.approx(expected, rel=1e-12)


def test_the_variance_of_nodes_out_of_service():
    """Nodes that fail to start are out of service until the end: one a minute, 4, 3, 2, 1, 0 more minutes. [oracle]"""
    check = {"deadline": "2m", "min_healthy_time": "0s"}
    policy = rolling(1, max_failed_nodes=5, max_failed_nodes_percent=100, health_check=check)
    fleet = {"nodes": 5, "update_duration": "1m", "start_failure": 0.5}
    costs = {"unavailable_node_hour": 60}
    scenario = Scenario.from_dict({"name": "s", "fleet": fleet, "costs": costs, "policies": {"p": policy}})
    exact = evaluate(scenario, scenario.policy())
    minutes = np.arange(5)
    assert exact.cost == pytest.approx(5 + minutes.sum() / 2)
    assert exact.cost_variance == pytest.approx((minutes**2).sum() / 4)


def test_stops_follow_the_binomial_law():
    """Without windows a limit on the count stops with the known probability, however small. [oracle]"""
    fleet = {"nodes": 30, "update_duration": "30s", "start_failure": 1e-3}
    policy = rolling(7, max_failed_nodes=3, health_check={"deadline": "60s", "min_healthy_time": "0s"})
    scenario = Scenario.from_dict({"name": "s", "fleet": fleet, "policies": {"p": policy}})
    found = evaluate(scenario, scenario.policy()).verdicts["false_alarm"]
    assert found == pytest.approx(oracles.stop_probability(30, 1e-3, 3), rel=1e-10)
    assert found < 1e-7


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fleet.update_duration": {"exponential": {"mean": "1m"}}}, "fleet.update_duration: no exact cost; allowed: a constant"),
        ({"fleet.start_attempts": 2}, "fleet.start_attempts"),
        ({"orchestrator.pacing": "sliding"}, "orchestrator.pacing"),
        ({"orchestrator.failed_percent_of": "wave"}, "orchestrator.failed_percent_of"),
        ({"release.bad.after": "30s"}, "release.bad.after"),
        ({"release.bad.affects": {"share": 0.5}}, "release.bad.affects"),
        ({"fleet.update_duration": "90s"}, "policies.waves.health_check.deadline"),
        ({"policies.waves.health_check.gate": {"kind": "pooled"}}, "policies.waves.health_check.gate"),
    ],
)  # fmt: skip
def test_settings_without_exact_costs_are_refused_by_name(values, message):
    """Settings that make nodes dependent, or times vary, are errors with their key. [contract]"""
    scenario = Scenario.from_dict(RISKY).with_values(values)
    assert message in str(refused(evaluate, scenario, scenario.policy("waves")))


def test_a_random_undoing_is_refused_only_where_it_is_used_and_stated():
    """A policy that rolls back by itself never waits for `undo_after`, and its default is not a second problem. [contract]"""
    law = {"exponential": {"mean": "1h"}}
    scenario = Scenario.from_dict(RISKY).with_values({"operator.undo_after": law})
    assert evaluate(scenario, scenario.policy("waves")).cost > 0
    assert "operator.undo_after" in str(refused(evaluate, scenario, scenario.policy("by-hand")))
    scenario = Scenario.from_dict(RISKY | {"operator": {"escape_detection": law}})
    for name in ("waves", "by-hand"):
        message = str(refused(evaluate, scenario, scenario.policy(name)))
        assert "operator.escape_detection" in message
        assert "operator.undo_after" not in message


def test_values_of_measures():
    """Rates of verdicts and means are known, also given a kind; anything else is an error. [contract]"""
    exact = evaluate(scenario := Scenario.from_dict(RISKY), scenario.policy("waves"))
    good, bad, slight = exact.kinds
    assert exact.value(parse_measure("false_alarm given good")) == pytest.approx(good.stopped)
    assert exact.value(parse_measure("escaped given bad")) == pytest.approx(bad.completed)
    mixed = (0.3 * bad.completed + 0.2 * slight.completed) / 0.5
    assert exact.value(parse_measure("escaped given defective")) == pytest.approx(mixed)
    assert exact.value(COST) == exact.cost
    assert "p95 makespan_s" in str(refused(exact.value, parse_measure("p95 makespan_s")))


# -- problems ------------------------------------------------------------------------------------------------------------

PROBLEMS = {problem.name: problem for problem in make_problems()}


def test_ten_problems():
    """Each problem has its own name, and a grid of at most 10,000 policies that includes all named ones. [contract]"""
    assert len(PROBLEMS) == len(make_problems()) == 10
    for problem in PROBLEMS.values():
        assert math.prod(map(len, problem.vary.values())) <= 10_000
        for policy in problem.scenario.policies.values():
            spec = policy.spec.to_dict()
            keys = spec | spec["health_check"]
            assert all(keys[key] in values for key, values in problem.vary.items())


def test_an_optimum_is_the_lowest_cost_of_the_grid():
    """No policy of the grid is better, and the settings reproduce the cost. [property]"""
    problem = PROBLEMS["edge"]
    optimum = problem.optimum
    costs = np.array([problem.evaluate(settings).cost for settings in problem.grid()])
    assert optimum.n_policies == optimum.n_feasible == len(costs)
    assert optimum.cost == costs.min() == problem.evaluate(optimum.best).cost
    assert optimum.n_near == (costs <= 1.02 * costs.min()).sum()


def test_requirements_bind_an_optimum():
    """A policy that misses a requirement is never the best; if none meets it there is no best. [property]"""
    few = {"canary_count": (1,), "max_parallel": (60,), "max_failed_nodes": (1, 10), "max_error_rate": (0.02, 0.05)}
    binding = find_optimum(replace(PROBLEMS["binding"], vary=few))
    assert (binding.n_feasible, binding.n_policies) == (2, 4)
    assert binding.unconstrained_cost < 0.5 * binding.cost
    infeasible = find_optimum(replace(PROBLEMS["infeasible"], vary=few))
    assert (infeasible.best, infeasible.cost, infeasible.n_feasible) == (None, math.inf, 0)


@pytest.mark.slow
def test_problems_are_as_hard_as_they_say():
    """Each problem's optimum has the property in its name. [contract]"""
    found = {name: PROBLEMS[name].optimum for name in ("infeasible", "binding", "flat", "edge", "latent")}
    assert [name for name, optimum in found.items() if optimum.best is None] == ["infeasible"]
    for problem in (problem for name, problem in PROBLEMS.items() if name not in found):
        assert any(problem.is_feasible(problem.evaluate(settings)) for settings in problem.grid())
    assert found["infeasible"].unconstrained_cost < math.inf
    assert found["binding"].cost > 1.5 * found["binding"].unconstrained_cost
    assert found["flat"].n_near >= 20
    assert found["edge"].best["canary_count"] == max(PROBLEMS["edge"].vary["canary_count"])
    latent = next(kind for kind in found["latent"].exact.kinds if kind.defective)
    assert 0.5e-4 < latent.completed < 2e-4


def test_policies_of_problems_are_on_their_grids():
    """The named policies of a problem are points of its grid, so none can beat the optimum. [contract]"""
    for problem in PROBLEMS.values():
        for named in problem.scenario.policies.values():
            spec = named.spec.to_dict()
            settings = {key: {**spec, **spec["health_check"]}[key] for key in problem.vary}
            assert settings in list(problem.grid())
            assert problem.policy(settings).policy == named.policy


# -- decisions -----------------------------------------------------------------------------------------------------------

# One policy detects the defect, the other lets it escape.
FEW = {"canary_count": (5,), "max_parallel": (60,), "max_failed_nodes": (10,), "max_error_rate": (0.05, 0.1)}

# Answers and replications so far, by problem and seed; comparisons of these tables, by their identity.
TUNED, REPLICATED, COMPARED = {}, {}, {}


@pytest.fixture
def decide(monkeypatch):
    """Return a function that decides a small problem, optionally with a falsified optimum, by a quick and always confident `tune`.

    Each search and comparison is done once for all tests, because they don't depend on the exact costs.
    """

    def quick_tune(scenario, *, seed, **more):
        if (scenario.name, seed) not in TUNED:
            answer = tune(scenario, seed=seed, most=5000, **more)
            TUNED[scenario.name, seed] = replace(answer, probability_correct=0.95)
        return TUNED[scenario.name, seed]

    def replicate_once(scenario, *, seed, **more):
        if (scenario.name, seed) not in REPLICATED:
            REPLICATED[scenario.name, seed] = replicate_kinds(scenario, seed=seed, **more)
        return REPLICATED[scenario.name, seed]

    def compare_once(table, **more):
        if id(table) not in COMPARED:
            COMPARED[id(table)] = compare(table, **more)
        return COMPARED[id(table)]

    monkeypatch.setattr(deciding, "tune", quick_tune)
    monkeypatch.setattr(deciding, "replicate_kinds", replicate_once)
    monkeypatch.setattr(deciding, "compare", compare_once)

    def run(name, seeds=2, executor=None, progress=False, **optimum):
        problem = replace(PROBLEMS[name], vary=FEW)
        problem.__dict__["optimum"] = replace(problem.optimum, **optimum)
        monkeypatch.setattr(deciding, "make_problems", lambda: (problem,))
        return simdeploy.verify_decisions(seeds=seeds, engine="compiled", executor=executor, progress=progress)

    return run


def test_answers_are_judged_by_exact_costs(decide):
    """A row per seed has the exact cost of the choice, a row per claim how often it was stated and true. [contract]"""
    found = decide("common-defects")
    optimum = replace(PROBLEMS["common-defects"], vary=FEW).optimum
    assert found.answers["seed"].tolist() == [0, 1]
    assert found.answers["cost"].tolist() == [optimum.cost] * 2
    assert found.answers["choice"].str.endswith("max_error_rate 0.05").all()
    assert found.answers["is_near"].all()
    assert found.claims["claim"].tolist() == list(CLAIMS.values())
    for column, row in zip(CLAIMS, found.claims.to_dict("records"), strict=True):
        stated = found.answers[column].dropna()
        assert (row["stated"], row["true"]) == (len(stated), stated.sum())
    row = found.problems.iloc[0]
    assert (row["answers_near"], row["median_cost"], row["worst_cost"]) == (2, optimum.cost, optimum.cost)


def test_where_it_answers(decide):
    """Each answer is work of its own for the executor, in any order, and claims are judged the same. [property]"""
    expected, executor, heard = decide("common-defects"), Elsewhere(), []
    found = decide("common-defects", executor=executor, progress=lambda *of: heard.append(of))
    assert found.answers.equals(expected.answers)
    assert [span.first for span in executor.spans] == [0, 0, 1]  # the exact costs, and two answers
    assert heard == [(0, 2), (1, 2), (2, 2)]


def test_a_false_claim_is_refuted(decide):
    """If choices are never near the best, four stated probabilities of 95 % are refuted, two are not. [contract]"""
    right = decide("common-defects")
    few, many = (decide("common-defects", seeds=seeds, cost=1.0) for seeds in (2, 4))
    assert right.is_ok
    assert few.is_ok
    assert not many.is_ok
    row = many.claims.iloc[0]
    assert (row["claim"], row["stated"], row["true"], row["ok"]) == ("the choice", 4, 0, False)
    assert row["p_value"] == pytest.approx(0.05**4)
    assert right.answer.startswith("No claim is refuted, of 4 in 1 problem. 2 of 2 ")
    assert few.answer.startswith("No claim is refuted, of 4 in 1 problem. 0 of 2 ")
    assert many.answer.startswith("1 of 4 claims are refuted, in 1 of 1 problem. 0 of 4 choices ")


def test_intervals_and_comparisons_are_judged_too(decide, monkeypatch):
    """With exact costs of the opposite sign, no interval covers, and no comparison is true. [contract]"""
    for module in (deciding, optimum):
        monkeypatch.setattr(module, "evaluate", lambda *args: SimpleNamespace(cost=-evaluate(*args).cost))
    found = decide("common-defects")
    others = [claim for claim in CLAIMS if claim != "is_choice_right"]
    assert found.answers[others].eq(other=False).all(axis=None)


def test_no_choice_is_right_if_no_policy_is_feasible(decide):
    """The claim that no policy meets the requirements is true if none does, otherwise false. [contract]"""
    row = decide("infeasible", seeds=1).answers.iloc[0]
    assert (row["choice"], row["is_near"], row["is_choice_right"]) == ("", True, True)
    row = decide("infeasible", seeds=1, best=FEW).answers.iloc[0]
    assert (row["is_near"], row["is_choice_right"]) == (False, False)
