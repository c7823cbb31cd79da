"""Costs of rollouts by cause: by hand, against the responses, and in the picture."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn import draw_on
from matplotlib.figure import Figure
from refusals import refused
from small import maybe_bad, rolling, small

from simdeploy.analysis.costs.causes import estimate_costs
from simdeploy.documents import read_result
from simdeploy.experiments import replicate, sweep
from simdeploy.plotting.costs import plot_costs
from simdeploy.scenario.parts import Costs
from simdeploy.vocabulary import CAUSES, COSTS

COSTS_OF_ALL = Costs(failed_request=0.5, unavailable_node_hour=2, hour_of_delay=10, false_alarm=150, escape=1000)
EXCESSES = ("failed_requests_excess", "unavailable_excess_node_s", "lost_requests_excess", "shed_requests_excess")

CAREFUL = rolling(2, max_failed_nodes=0, health_check={"deadline": "1m", "min_healthy_time": "10s"})
NO_ROLLBACK = {"no rollback": CAREFUL | {"no_auto_rollback": True}}


@pytest.fixture
def scenario():
    """A scenario in which every cause has its costs."""
    fleet = {"nodes": 20, "update_duration": {"exponential": {"mean": "40s"}}, "start_failure": 0.06}
    costs = {"failed_request": 0.01, "hour_of_delay": 20, "unavailable_node_hour": 1, "false_alarm": 50, "escape": 90}
    return small(fleet, release=maybe_bad(0.4, 0.09), costs=costs)


def rollouts(**columns):
    """Make a table of one policy's replications."""
    n = len(next(iter(columns.values())))
    plain = {"makespan_s": 3600.0, **dict.fromkeys(EXCESSES, 0.0)}
    return pd.DataFrame({"policy": "a", "replication": range(n), "verdict": "completed_good", **plain, **columns})


def test_every_cause_by_hand():
    """Each verdict costs what the model says: delay unless a defect was stopped, and a price per mistake. [oracle]"""
    table = rollouts(
        verdict=["completed_good", "stopped_defective", "false_alarm", "escaped"],
        makespan_s=[3600.0, 7200.0, 1800.0, 3600.0],
        failed_requests_excess=[0.0, 40.0, 0.0, 100.0],
        unavailable_excess_node_s=[1800.0, 0.0, -3600.0, 0.0],
        lost_requests_excess=[8.0, 0.0, 0.0, 0.0],  # no price of its own, as unavailability already pays for it
        shed_requests_excess=[0.0, 0.0, 4.0, 8.0],
        unrestored_nodes=[2.0, 0.0, 1.0, 0.0],
    )
    parts = estimate_costs(table, costs=replace(COSTS_OF_ALL, unrestored_node=3)).parts.set_index("cause")["estimate"]
    assert parts.to_dict() == pytest.approx(
        {
            "cost_delay": (10 + 0 + 5 + 10) / 4,
            "cost_failed_requests": (20 + 50) / 4,
            "cost_unavailability": (1 - 2) / 4,
            "cost_unrestored_nodes": (6 + 3) / 4,
            "cost_lost_requests": 0,
            "cost_shed_requests": (2 + 4) / 4,
            "cost_false_alarm": 150 / 4,
            "cost_escape": 1000 / 4,
            "cost": (25 + 70 - 1 + 9 + 6 + 150 + 1000) / 4,
        }
    )


@pytest.mark.parametrize(
    ("prices", "lost", "shed"),
    [
        ({}, 0.5, 0.5),
        ({"unavailable_node_hour": 2}, 0, 0.5),
        ({"unavailable_node_hour": 2, "lost_request": 3}, 3, 0.5),
        ({"lost_request": 0, "shed_request": 7}, 0, 7),
    ],
)
def test_prices_of_lost_and_shed_requests(prices, lost, shed):
    """By default lost and shed requests cost as much as failed ones, or lost ones nothing if nodes out of service cost. [contract]"""
    table = rollouts(lost_requests_excess=[10.0], shed_requests_excess=[100.0])
    costs = small({"nodes": 1, "update_duration": 1}, costs={"failed_request": 0.5, **prices}).costs
    parts = estimate_costs(table, costs=costs).parts.set_index("cause")["estimate"]
    assert (parts["cost_lost_requests"], parts["cost_shed_requests"]) == (10 * lost, 100 * shed)


def test_causes_without_a_price_need_no_column():
    """A table without lost and shed requests and unrestored nodes suffices if they are free. [contract]"""
    table = rollouts(makespan_s=[3600.0]).drop(columns=["lost_requests_excess", "shed_requests_excess"])
    free = replace(COSTS_OF_ALL, lost_request=0, shed_request=0)
    assert estimate_costs(table, costs=free).totals["estimate"].item() == 10
    assert "shed_requests_excess" in str(refused(estimate_costs, table, costs=COSTS_OF_ALL))
    priced = replace(free, unrestored_node=3)
    assert "unrestored_nodes" in str(refused(estimate_costs, table, costs=priced))


def test_costs_saved_before_a_cause_are_read(tmp_path):
    """A saved result that lacks the latest cause is read and shown. [contract]"""
    document = estimate_costs(rollouts(makespan_s=[3600.0]), costs=COSTS_OF_ALL).to_dict()
    document["parts"] = [row for row in document["parts"] if row["cause"] != "cost_unrestored_nodes"]
    (tmp_path / "costs.json").write_text(json.dumps(document), encoding="utf-8")
    assert read_result(tmp_path / "costs.json").answer.endswith(" Largest cause: delay, 10.0.")


def test_the_parts_sum_to_the_total(scenario):
    """Each policy's parts add up to the total, over rollouts of known cost. [property]"""
    table = replicate(scenario, replications=60, engine="reference")
    table["makespan_s"] = table["makespan_s"].mask(table["replication"].eq(3))
    parts = estimate_costs(table, costs=scenario.costs).parts
    assert set(parts["n"]) == {59}
    for _, of_policy in parts.groupby("policy"):
        by_cause = of_policy.set_index("cause")["estimate"]
        assert by_cause[list(CAUSES)].sum() == pytest.approx(by_cause["cost"])
        assert by_cause["cost"] > 0


def test_the_total_is_that_of_a_comparison(scenario):
    """`compare` with costs estimates the same totals and parts. [property]"""
    from simdeploy.analysis import compare

    table = replicate(scenario, replications=20, engine="reference")
    compared = compare(table, costs=scenario.costs)
    estimates = compared.estimates[compared.estimates["response"].isin(COSTS)]
    parts = estimate_costs(table, costs=scenario.costs).parts
    for name in ("policy", "estimate", "low", "high", "n"):
        assert estimates[name].tolist() == parts[name].tolist()


def test_cases_of_a_sweep(scenario):
    """Cases of a sweep keep their varied values beside their costs, and are named by them. [contract]"""
    result = sweep(scenario, "waves", vary={"max_parallel": [5, 10]}, replications=10, engine="reference")
    costs = estimate_costs(result, costs=scenario.costs)
    assert costs.totals["max_parallel"].tolist() == [5, 10]
    assert [row[0] for row in costs.summarize()[0].rows] == ["max_parallel 5", "max_parallel 10"]
    assert costs.answer.startswith("max_parallel ")


def test_endless_rollouts_have_no_cost():
    """The cost of rollouts that never end is unknown: NaN, never 0, in tables, words and picture. [contract]"""
    result = estimate_costs(rollouts(makespan_s=[np.nan] * 3), costs=COSTS_OF_ALL)
    assert result.parts[["estimate", "low", "high"]].isna().all(axis=None)
    assert set(result.parts["n"]) == {0}
    assert result.answer == "Cost unknown for a: 100 % of its rollouts never end."
    ax = plot_costs(Figure().subplots(), result)
    assert [text.get_text() for text in ax.texts] == ["no value"]


@pytest.mark.parametrize(
    ("hours", "cheapest", "cause"),
    [
        ((1.0, 2.0), "a", "cost_escape"),
        ((3.0, 2.0), "b", "cost_escape"),
        ((0.0, 0.0), "a", None),
        ((math.nan, math.nan), None, None),
    ],
)
def test_every_verdict_of_the_answer_is_in_the_plain_form(hours, cheapest, cause):
    """`to_dict` has every verdict of the answer: the cheapest case, and its largest cause. [contract]"""
    verdict = "escaped" if cause else "completed_good"
    a, b = (rollouts(makespan_s=[3600 * of] * 2, verdict=verdict) for of in hours)
    plain = estimate_costs(pd.concat([a, b.assign(policy="b")]), costs=COSTS_OF_ALL).to_dict()
    assert {row["policy"] for row in plain["parts"] if row["is_cheapest"]} == ({cheapest} if cheapest else set())
    assert {row["cause"] for row in plain["parts"] if row["is_largest_cause"]} == ({cause} if cause else set())
    lowest = "has the lowest mean cost: "
    assert (lowest in plain["answer"]) == plain["answer"].startswith(f"{cheapest} {lowest}") == bool(cheapest)
    assert ("Largest cause: escapes, " in plain["answer"]) == bool(cause)


def test_all_parts_are_over_the_same_rollouts():
    """A rollout with one unknown part is in no part, so that parts and total belong together. [contract]"""
    table = rollouts(makespan_s=[3600.0, 7200.0], failed_requests_excess=[10.0, np.nan])
    parts = estimate_costs(table, costs=COSTS_OF_ALL).parts.set_index("cause")
    known = {"cost": 15, "cost_delay": 10, "cost_failed_requests": 5}
    assert parts["estimate"].to_dict() == dict.fromkeys(COSTS, 0.0) | known
    assert set(parts["n"]) == {1}


def test_one_replication_has_no_interval():
    """One replication has a cost and no interval. [contract]"""
    parts = estimate_costs(rollouts(makespan_s=[3600.0]), costs=COSTS_OF_ALL).parts
    assert parts["estimate"].notna().all()
    assert parts[["low", "high"]].isna().all(axis=None)


def test_restart_and_stop_cost_time_only():
    """A rollout without a verdict costs its delay and its unavailability. [contract]"""
    result = estimate_costs(rollouts(verdict=[None] * 2, unavailable_excess_node_s=[3600.0] * 2), costs=COSTS_OF_ALL)
    by_cause = result.parts.set_index("cause")["estimate"]
    assert by_cause.to_dict() == {**dict.fromkeys(COSTS, 0.0), "cost": 12, "cost_delay": 10, "cost_unavailability": 2}


def test_coverage_of_a_skewed_cost():
    """The interval of the total covers as often as stated for exponential delays and one escape in five, n = 400. [oracle]"""
    rng = np.random.default_rng(1)
    repetitions, n = 800, 400
    table = pd.DataFrame(
        {
            "policy": np.repeat([str(number) for number in range(repetitions)], n),
            "replication": np.tile(np.arange(n), repetitions),
            "makespan_s": rng.exponential(3600.0, repetitions * n),
            "verdict": np.where(rng.random(repetitions * n) < 0.2, "escaped", "completed_good"),
            **dict.fromkeys(EXCESSES, 0.0),
        }
    )
    totals = estimate_costs(table, costs=COSTS_OF_ALL).totals
    share = ((totals["low"] <= 210) & (totals["high"] >= 210)).mean()
    assert abs(share - 0.95) <= 4 * math.sqrt(0.95 * 0.05 / repetitions)


def total_costs(others, replications=400, seed=0):
    """Estimate the costs of two policies that stop at the first failed node, and of others, in worlds by kind of release."""
    prices = {"failed_request": 0.1, "lost_request": 0.1, "false_alarm": 1, "escape": 10}
    fleet = {"nodes": 10, "update_duration": "30s", "start_failure": 0.02, "requests_per_second": 5}
    policies = {"careful": CAREFUL, "larger": CAREFUL | {"max_parallel": 5}} | others
    scenario = small(fleet, release=maybe_bad(0.05, 0.5), costs=prices, policies=policies)
    table = replicate(scenario, replications=replications, seed=seed, strata="kinds", engine="compiled")
    return estimate_costs(table).totals.set_index("policy")


def test_an_expensive_policy_adds_no_noise_to_others():
    """An interval is about as wide beside a policy whose stopped rollouts cost much more, because nothing rolls back. [contract]"""
    alone, beside = (total_costs(others).eval("high - low") for others in ({}, NO_ROLLBACK))
    assert (beside[alone.index] < 1.1 * alone).all()


def test_coverage_beside_an_expensive_policy():
    """Intervals cover each policy's mean, of 40,000 other rollouts, if what a stop costs differs much between them. [oracle]"""
    truth = total_costs(NO_ROLLBACK, 40_000, seed=1000)["estimate"]
    repetitions = 40
    found = [total_costs(NO_ROLLBACK, seed=seed) for seed in range(repetitions)]
    covers = np.mean([(each["low"] <= truth) & (truth <= each["high"]) for each in found], axis=0)
    assert (covers >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / repetitions)).all()
    mean, spread = (getattr(np, of)([each["estimate"] for each in found], axis=0) for of in ("mean", "std"))
    assert (np.abs(mean - truth) <= 4 * spread * math.sqrt(1 / repetitions + 1 / 100)).all()


@pytest.mark.parametrize(
    ("costs", "level", "message"),
    [(None, 0.95, "or add a `costs` section"), ({}, 0.95, "no costs"), (COSTS_OF_ALL, 95, "such as 0.95")],
)
def test_missing_costs(costs, level, message):
    """Missing costs and invalid levels are input errors. [contract]"""
    assert message in str(refused(estimate_costs, rollouts(makespan_s=[1.0]), costs=costs, confidence_level=level))


def test_a_table_that_lacks_columns_of_costs():
    """A table without a column that costs need is an input error that names it. [contract]"""
    table = rollouts(makespan_s=[1.0]).drop(columns="unavailable_excess_node_s")
    assert "unavailable_excess_node_s" in str(refused(estimate_costs, table, costs=COSTS_OF_ALL))


def test_the_picture_stacks_the_causes():
    """Bars are stacked, those below 0 go to the left, and the total's interval is drawn. [contract]"""
    table = rollouts(makespan_s=[3600.0, 7200.0], verdict=["escaped"] * 2, unavailable_excess_node_s=[-3600.0, -1800.0])
    result = estimate_costs(table, costs=COSTS_OF_ALL)
    ax = draw_on(plot_costs, result)
    bars = {bar.get_label(): bar.patches[0] for bar in ax.containers}
    assert set(bars) == {"delay", "unavailability", "escapes"}
    assert (bars["delay"].get_x(), bars["delay"].get_width()) == (0, 15)
    assert (bars["escapes"].get_x(), bars["escapes"].get_width()) == (15, 1000)
    assert (bars["unavailability"].get_x(), bars["unavailability"].get_width()) == (0, -1.5)
    (interval,) = ax.collections[0].get_segments()
    assert interval[:, 0].tolist() == pytest.approx(result.totals.iloc[0][["low", "high"]].tolist())
