"""Searches with a rare decisive defect, with a grid that is too large, and without a probability."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from simdeploy.analysis import tune
from simdeploy.analysis.tuning.confirmed import Confirmed
from simdeploy.analysis.tuning.neighbours import make_neighbourhood
from simdeploy.analysis.tuning.space import make_candidates
from simdeploy.analysis.tuning.worlds import Measured
from simdeploy.experiments.levers import change_quietly
from simdeploy.report.formatting import round_up
from simdeploy.scenario import Scenario
from simdeploy.statistics.sample import as_sample
from simdeploy.validation.decisions.exact import evaluate

NODES, GOOD, BAD = 20, 0.01, 0.3
COSTS = {"hour_of_delay": 5, "false_alarm": 20, "escape": 200_000}


def make(probability, *, bad=BAD, **costs):
    """Make a scenario with a defect of this probability, and a limit of 2."""
    waves = {"strategy": "rolling", "max_parallel": 5, "max_failed_nodes": 2, "max_failed_nodes_percent": 100}
    return Scenario.from_dict({
        "name": "rare",
        "fleet": {"nodes": NODES, "update_duration": "1m", "start_failure": GOOD},
        "release": {
            "good": {"probability": 1 - probability},
            "bad": {"probability": probability, "defective": True, "start_failure": bad},
        },
        "costs": COSTS | costs,
        "policies": {"today": {**waves, "health_check": {"deadline": "5m"}}},
    })  # fmt: skip


def search(scenario, **options):
    vary = {"max_parallel": [1, 2, 4, 5, 10, 20], "max_failed_nodes": [0, 1, 2, 3, 4, 6, 8, 10]}
    return tune(scenario, **{"vary": vary, "engine": "compiled"} | options)


def exact_cost(scenario, settings):
    spec = scenario.policy().spec.to_dict() | settings
    return evaluate(scenario, scenario.policy(spec)).cost


def rows_of_cost(result):
    return result.policies[result.policies["measure"].eq("cost")].set_index("policy")


@pytest.mark.parametrize("probability", [2e-4, 1e-5])
def test_a_rare_expensive_defect_decides(probability):
    """The choice is nearly the cheapest, which drawing the kind of release would miss. [oracle]"""
    scenario = make(probability, escape=40 / probability)
    vary = {"max_parallel": [5, 10, 20], "max_failed_nodes": [0, 1, 2, 4, 8]}
    result = search(scenario, vary=vary)
    costs = [
        exact_cost(scenario, {"max_parallel": parallel, "max_failed_nodes": limit})
        for parallel in vary["max_parallel"]
        for limit in vary["max_failed_nodes"]
    ]
    chosen = exact_cost(scenario, result.choice)
    assert chosen <= min(costs) + result.indifference
    assert chosen <= 1.05 * min(costs) or not result.is_decided
    assert max(costs) > 10 * min(costs)
    row = rows_of_cost(result).loc["choice"]
    error = (row["high"] - row["low"]) / 2 / 1.96
    assert abs(row["estimate"] - chosen) <= 4 * error
    assert row["is_trusted"]


def test_the_indifference_is_that_of_the_best():
    """The default indifference is 5 % of the lowest cost, within a factor of 2, not of a lucky candidate's first worlds. [oracle]"""
    scenario = make(2e-4)
    lowest = exact_cost(scenario, {"max_parallel": 20, "max_failed_nodes": 1})
    for seed in range(3):
        assert 0.5 * 0.05 * lowest <= search(scenario, seed=seed).indifference <= 2 * 0.05 * lowest


class TestNeighbours:
    def test_a_large_grid_is_refined(self):
        """If the grid is too large, neighbours of the best in a sample are tried, all within the grid. [oracle]"""
        scenario = make(0.1, escape=500, false_alarm=200)
        vary = {"max_parallel": range(1, 21), "max_failed_nodes": range(20)}
        result = search(scenario, vary=vary, candidates=12)
        assert result.n_possible == 400
        assert 12 < len(result.candidates) < 400
        tried = result.candidates[result.candidates["outcome"].ne("for comparison")]
        assert not tried.duplicated(["max_parallel", "max_failed_nodes"]).any()
        assert set(tried["max_failed_nodes"]) <= set(range(20))
        costs = [exact_cost(scenario, {"max_parallel": 20, "max_failed_nodes": limit}) for limit in range(20)]
        assert exact_cost(scenario, result.choice) <= 1.1 * min(costs)
        certain = replace(result, is_decided=True, expected_correct=math.nan)
        share = f"{100 * result.n_candidates / 400:.2g} % of the grid (95 % confidence unless another"
        assert re.search(rf"est of {result.n_candidates} (policies )?tried, {re.escape(share)}", certain.answer)

    def test_values_at_the_end_are_named(self):
        """A recommended value at the end of its range is named. [contract]"""
        scenario = make(0.1, escape=500, false_alarm=200)
        assert search(scenario, vary={"max_failed_nodes": [2, 6, 8]}).at_end == ("max_failed_nodes",)
        assert search(scenario, vary={"max_failed_nodes": range(20)}).at_end == ()

    @pytest.mark.parametrize(
        ("vary", "options"),
        [
            # No limit from 20 on is ever exceeded.
            ({"max_failed_nodes": [30, 35]}, {"of": "escaped", "direction": "max"}),
            # No wave is smaller than a node.
            ({"max_parallel": [1, 5]}, {"of": "makespan_s", "direction": "max", "requirements": []}),
        ],
    )
    def test_nothing_better_lies_beyond(self, vary, options):
        """A value is not named if an equal policy has another value, or if nothing lies beyond. [contract]"""
        assert search(make(0.1), vary=vary, **options).at_end == ()

    @pytest.mark.parametrize("dialect", ["deployment", "rollout"])
    def test_neighbours_leave_time_for_slow_nodes(self, dialect):
        """No neighbour in the default ranges has a deadline below the current one or the need of a slow node. [contract]"""
        times = {"deployment": {"deadline": "2m"}, "rollout": {"deadline": 120 * 10**9, "interval": 10 * 10**9}}
        policy = {"dialect": dialect, "strategy": "rolling", "max_parallel": 5, "health_check": times[dialect]}
        scenario = make(0.1).with_values({"policies": {"today": policy}})
        candidates = make_candidates(scenario, scenario.policy(), None, most=200, seed=0)
        nearby = make_neighbourhood(scenario, scenario.policy(), candidates, may_extend=True)
        more = nearby.around(candidates, np.arange(len(candidates)))
        assert len(more) > 2 * len(candidates)
        for point in more.points[len(candidates) :]:
            made = change_quietly(scenario.policy(), dict(zip(nearby.levers, point, strict=True)), scenario).policy
            assert made.deadline_ns >= max(120e9, 60e9 + made.windows_needed * made.interval_ns)
        assert not [value for value in map(str, np.ravel(more.points)) if value.endswith("m0s")]

    def test_default_ranges_are_open(self):
        """Beyond the end of a default range the next value is twice the last; given values end there. [contract]"""
        scenario = make(0.1)
        candidates = make_candidates(scenario, scenario.policy(), {"max_failed_nodes": [1, 2, 4]}, most=100, seed=0)
        for may_extend, beyond in ((True, {8}), (False, set())):
            nearby = make_neighbourhood(scenario, scenario.policy(), candidates, may_extend=may_extend)
            number = candidates.points.index((4, *candidates.points[0][1:]))
            more = nearby.around(candidates, np.array([number]))
            assert {point[0] for point in more.points[len(candidates) :]} == beyond
            assert nearby.is_needed == may_extend


class TestDoubt:
    def test_too_small_a_budget(self):
        """A selection ended by the budget has no probability, and says so. [contract]"""
        # Spells make nodes depend on the clock, so escapes have to be seen.
        flapping = {"fleet.flapping.good": "1h", "fleet.flapping.degraded": "1s", "fleet.flapping.error_rate": 0.001}
        result = search(make(2e-4).with_values(flapping), most=2000)
        assert (result.is_decided, result.doubt) == (False, "budget")
        assert math.isnan(result.probability_correct)
        assert "Undecided whether another is lower by" in result.answer
        assert result.rollouts_to_decide > 2000
        assert f"set `most` (--most) to {round_up(result.rollouts_to_decide):,}" in result.answer

    def test_a_contradiction_is_noticed(self):
        """A policy that costs more in new worlds than another by more than the indifference is not kept. [contract]"""
        samples = as_sample(np.array([[3.0, 3.0], [2.0, 2.0], [1.0, 1.0], [0.0, 0.0]]))
        measured = Measured({}, samples, np.zeros(4, dtype=bool))
        confirmed = Confirmed(None, None, (10, 11, 12, 13), measured, {}, 0.01, reference=13)
        verdicts = np.array(["met", "met", "not met", "met"])
        assert confirmed.find_cheaper(verdicts, 0.5) == 11
        assert confirmed.find_cheaper(verdicts, 1.5) is None


def test_defaults_are_those_of_the_api():
    """The policy with the API's defaults has none of the current limits, even unvaried ones. [oracle]"""
    scenario = make(0.1, escape=500, false_alarm=200)
    result = search(scenario, vary={"max_parallel": [5, 20]})
    row = rows_of_cost(result).loc["defaults"]
    truth = exact_cost(scenario, {"max_failed_nodes": None, "max_failed_nodes_percent": None})
    assert abs(row["estimate"] - truth) <= 4 * (row["high"] - row["low"]) / 2 / 1.96
    number = int(row["candidate"])
    assert result.candidates.loc[number, "outcome"] == "for comparison"
    assert result.candidates.loc[number, "max_failed_nodes"] is None
