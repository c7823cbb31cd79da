"""Tilts: changed probabilities, the weights that compensate for them, and refusals by analyses that ignore weights."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from by_hand import ENGINES
from generators import Decisions, scenario_of
from test_engines_equal import are_equal

from simdeploy import InputError, Scenario, estimate, simulate
from simdeploy.analysis import compare, pareto_front, summarize_grid
from simdeploy.engines.running import run_block
from simdeploy.experiments import read_store, replicate, sweep
from simdeploy.world.tilt import Tilt, tiltable

FLEET = {
    "nodes": 40,
    "update_duration": {"lognormal": {"median": "30s", "p95": "60s"}},
    "rollback_duration": {"exponential": {"mean": "20s"}},
    "start_failure": {"uniform": {"low": 0.005, "high": 0.03}},
    "start_hang": 0.01,
    "start_attempts": 2,
    "rollback_failure": 0.02,
    "slowdown": {"lognormal": {"median": 1, "p95": 2}},
}
RELEASE = {
    "good": {"probability": 0.9},
    "bad": {"probability": 0.1, "defective": True, "start_failure": 0.05, "affects": {"share": 0.5}},
}
OPERATOR = {"escape_detection": {"exponential": {"mean": "1h"}}, "promote_after": {"exponential": {"mean": "5m"}}}
ROLLING = {"strategy": "rolling", "max_parallel": 8, "max_failed_nodes": 2, "health_check": {"deadline": "2m"}}


def world(**changes: Any) -> Scenario:
    raw = {"name": "tilted", "fleet": FLEET, "release": RELEASE, "operator": OPERATOR, "policies": {"rolling": ROLLING}}
    return Scenario.from_dict({**raw, **changes})


FACTORS = {
    "start_failure": 3.0,
    "start_hang": 2.0,
    "rollback_failure": 4.0,
    "affects": 2.5,
    "update_duration": 1.1,
    "rollback_duration": 1.1,
    "slowdown": 2.0,
    "start_failure_level": 1.5,
    "escape_detection": 0.8,
    "release.bad": 4.0,
}


# -- both engines ------------------------------------------------------------------------------------


def test_engines_are_equal_under_tilts() -> None:
    """For any tilt of any scenario, responses and weights of both engines are equal. [property]"""
    weighted = 0
    for number in range(250):
        chance = random.Random(number)
        scenario = Scenario.from_dict(scenario_of(Decisions(chance.randbytes(256))))
        able = tiltable(scenario.fleet, scenario.release, scenario.operator)
        tilted = scenario.tilted({name: chance.choice([0.5, 1.5, 4.0]) for name in able if chance.random() < 0.7})
        policies = list(tilted.policies.values())
        how = {"seed": number, "first": 0, "count": 2}
        one, other = (run_block(tilted, policies, engine=engine, **how) for engine in ENGINES)
        for policy in range(len(policies)):
            for place in range(2):
                a, b = one.row(policy, place), other.row(policy, place)
                at = (number, policy, place)
                assert all(are_equal(name, a, b, 1e-9) for name in a if name != "weight"), at
                assert math.isclose(a["weight"], b["weight"], rel_tol=1e-9), (*at, a["weight"], b["weight"])
                weighted += a["weight"] != 1
    assert weighted > 300


def test_a_single_rollout_has_the_weight_of_the_table(engine: str) -> None:
    """`simulate` gives the replication's weight in a table, and none without a tilt. [property]"""
    tilted = world().tilted(FACTORS)
    table = replicate(tilted, replications=3, engine="compiled")
    alone = simulate(tilted, replication=2, engine=engine).response_values
    assert math.isclose(alone["weight"], table["weight"].iloc[2], rel_tol=1e-9)
    assert "weight" not in simulate(world(), engine=engine).response_values
    assert "weight" not in replicate(world(), replications=1)


# -- the weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FACTORS)
def test_the_mean_weight_is_1(name: str) -> None:
    """For any single tilt, the weights of 20,000 replications are 1 on average, within 4 standard errors. [oracle]"""
    weights = replicate(world().tilted({name: FACTORS[name]}), replications=20_000, engine="compiled")["weight"]
    assert weights.std() > 0.01
    assert abs(weights.mean() - 1) <= 4 * weights.std() / math.sqrt(len(weights))


def test_weights_give_back_the_scenario() -> None:
    """Under a tilt of everything at once, rates and weighted sums match plain replications. [oracle]"""
    tilted = replicate(world().tilted(FACTORS), replications=40_000, seed=1, engine="compiled")
    plain = replicate(world(), replications=40_000, seed=2, engine="compiled")
    for values in (
        lambda table: table["state"].eq("failed"),
        lambda table: table["verdict"].eq("escaped"),
        lambda table: table["failed_nodes"],
        lambda table: table["makespan_s"],
        lambda table: table["unavailable_node_s"],
        lambda table: table["restored_at_s"].isna(),
    ):
        one = values(tilted).to_numpy(np.float64) * tilted["weight"].to_numpy()
        other = values(plain).to_numpy(np.float64)
        error = math.hypot(one.std(), other.std()) / math.sqrt(40_000)
        assert abs(one.mean() - other.mean()) <= 4 * error


def test_weights_of_longer_draws_are_bounded() -> None:
    """If a hazard is divided by 3, no weight is above 3, and a long draw has a small one. [oracle]"""
    table = replicate(world().tilted({"slowdown": 3}), replications=2000, engine="compiled")
    assert table["weight"].max() <= 3
    completed = table[table["state"].eq("completed")]
    assert completed["makespan_s"].corr(completed["weight"], method="spearman") < -0.8


def replicate_failing(
    policy: dict[str, Any], factor: float, replications: int, engine: str = "compiled", **fleet: Any
) -> pd.DataFrame:
    """Replicate under a policy in which the odds of a failed start are multiplied."""
    raw = {"nodes": 5, "update_duration": "30s", "start_failure": 0.1, **fleet}
    scenario = Scenario.from_dict({"name": "failing", "fleet": raw, "policies": {"p": policy}})
    return replicate(scenario.tilted({"start_failure": factor}), replications=replications, engine=engine)


def test_a_weight_is_a_product_of_likelihood_ratios() -> None:
    """If the odds of a failed start are multiplied by 9, weights are powers of likelihood ratios. [oracle]"""
    table = replicate_failing({"strategy": "immediate"}, 9, 50)
    # 0.1 has odds 1/9, so that it becomes 1/2.
    expected = 0.2 ** table["failed_nodes"] * 1.8 ** (5 - table["failed_nodes"])
    assert table["weight"].tolist() == pytest.approx(expected.tolist(), rel=1e-12)
    assert set(table["failed_nodes"]) >= {1, 2, 3, 4}


def test_only_dispatched_nodes_count() -> None:
    """If the first failure stops the rollout, later waves are in no weight. [oracle]"""
    policy = {**ROLLING, "max_parallel": 1, "max_failed_nodes": 0, "health_check": {"deadline": "5m"}}
    table = replicate_failing(policy, 3, 40, nodes=60, start_failure=0.5)
    # 1/2 becomes 3/4: 2/3 for the failure, 2 for each node before it.
    expected = 2.0 ** (table["touched_nodes"] - 1) * 2 / 3
    assert table["weight"].tolist() == pytest.approx(expected.astype(float).tolist(), rel=1e-12)


@pytest.mark.parametrize(("deadline", "is_looked_at"), [("30s", True), ("29s", False)])
def test_a_failure_counts_if_the_attempt_ends_by_the_deadline(engine: str, deadline: str, is_looked_at: bool) -> None:
    """An attempt that ends on the deadline may fail, and counts; one that is cut off doesn't. [oracle]"""
    health = {"deadline": deadline, "min_healthy_time": "0s"}
    policy = {"strategy": "rolling", "max_failed_nodes": 9, "max_failed_nodes_percent": 100, "health_check": health}
    table = replicate_failing(policy, 9, 30, engine)
    looked_at = 0.2 ** table["failed_nodes"] * 1.8 ** (5 - table["failed_nodes"])
    expected = looked_at if is_looked_at else 1 + 0 * table["waves"]
    assert table["weight"].tolist() == pytest.approx(expected.astype(float).tolist(), rel=1e-12)


# -- tables, stores and analyses ---------------------------------------------------------------------


def test_weights_go_through_workers_sweeps_and_stores(tmp_path: Any) -> None:
    """Two processes, a sweep in memory and one in a folder give the same weights, and the folder has its tilt. [property]"""
    tilted = world().tilted({"start_failure": 3})
    table = replicate(tilted, replications=30, engine="compiled")
    spread = replicate(tilted, replications=30, engine="reference", workers=2)
    assert spread["weight"].tolist() == table["weight"].tolist()
    how = {"vary": {"max_failed_nodes": [2, 5]}, "replications": 30, "engine": "compiled"}
    in_memory = sweep(tilted, "rolling", **how)
    stored = sweep(tilted, "rolling", store=tmp_path / "store", **how)
    read = read_store(tmp_path / "store").to_frame()
    assert list(read.columns).index("weight") == list(read.columns).index("status") - 1
    for frame in (in_memory.to_frame(), stored.to_frame(), read):
        first = frame[frame["max_failed_nodes"].eq(2)].sort_values("replication")
        assert first["weight"].tolist() == table["weight"].tolist()
    with pytest.raises(InputError, match=r"scenario\.tilted\.tilt\.start_failure"):
        sweep(world().tilted({"start_failure": 4}), "rolling", store=tmp_path / "store", **how)
    assert tilted.with_values({"fleet.nodes": 20}).tilt == tilted.tilt


def test_a_table_of_scenarios_with_and_without_a_tilt() -> None:
    """Beside a tilted scenario an untilted one has weights of 1. [contract]"""
    scenarios = {"plain": world(), "tilted": world().tilted({"start_failure": 3})}
    found = sweep(scenarios, "rolling", replications=5, engine="compiled").to_frame()
    assert set(found.loc[found["scenario"].eq("plain"), "weight"]) == {1.0}
    assert len(set(found.loc[found["scenario"].eq("tilted"), "weight"])) > 1


def test_every_analysis_of_a_table_refuses_or_uses_weights() -> None:
    """Of all public analyses of tables, only `estimate` accepts a weighted one. [contract]"""
    from simdeploy import (
        analysis,
        check,
        estimate_costs,
        replicate_to_precision,
        value_of_observation,
        value_of_perfect_information,
        vary_switches,
    )

    canary = {**ROLLING, "strategy": "canary", "canary_count": 1}
    costly = world(costs={"escape": 1}, policies={"canary": canary, "rolling": ROLLING}).tilted({"start_failure": 3})
    costs = costly.costs
    assert costs is not None
    tilted = world().tilted({"start_failure": 3})
    table = replicate(tilted, replications=20, engine="compiled")
    found = sweep(tilted, "rolling", vary={"max_failed_nodes": [2, 5]}, replications=5, engine="compiled")
    both = {"makespan_s": "min", "blast_radius": "min"}
    for of_table in (
        lambda: compare(table),
        lambda: summarize_grid(found),
        lambda: summarize_grid(found.to_frame()),
        lambda: pareto_front(found, both),
        lambda: pareto_front(table, both),
        lambda: estimate_costs(table, costs=costs),
        lambda: value_of_perfect_information(table, costs=costs),
        lambda: value_of_observation(costly, replications=5, canaries=[1, 2], engine="compiled"),
        lambda: analysis.estimate_regret(table, of="makespan_s"),
        lambda: check(tilted, requirements=["escaped <= 50%"], most=100, engine="compiled"),
        lambda: replicate_to_precision(tilted, targets={"makespan_s": 10.0}, most=100, engine="compiled"),
        lambda: vary_switches(costly, of="makespan_s", replications=5, pairs=False, engine="compiled"),
    ):
        with pytest.raises(InputError, match="weight: these replications are weighted"):
            of_table()


# -- estimates ---------------------------------------------------------------------------------------

MEASURES = ("makespan_s", "p90 makespan_s", "failed", "failed_nodes given good", "false_alarm given good", "escaped")


def test_estimates_of_a_weighted_table() -> None:
    """Means, quantiles and rates, conditional or not, match plain replications, and have intervals. [oracle]"""
    tilt = {"start_failure": 1.5, "slowdown": 1.5, "release.bad": 2}
    weighted = estimate(replicate(world().tilted(tilt), replications=20_000, seed=3, engine="compiled"), MEASURES)
    plain = estimate(replicate(world(), replications=20_000, seed=4, engine="compiled"), MEASURES)
    for (_, one), (_, other) in zip(weighted.to_frame().iterrows(), plain.to_frame().iterrows(), strict=True):
        assert one["low"] < one["estimate"] < one["high"]
        # 4 standard errors, from two half-widths at 95 %.
        assert abs(one["estimate"] - other["estimate"]) <= 4 / 1.96 * math.hypot(one["half_width"], other["half_width"])


def test_untrusted_weights_leave_no_interval() -> None:
    """Under an absurd tilt `estimate` warns with the reason, at the caller's line, and gives no interval. [contract]"""
    table = replicate(world().tilted({"start_failure": 400}), replications=300, engine="compiled")
    with pytest.warns(UserWarning, match="unreliable weights .*so no interval") as caught:
        found = estimate(table, "failed_nodes").to_frame()
    assert caught[0].filename == __file__
    assert np.isnan(found["low"].iloc[0])


def test_weights_of_1_give_the_plain_estimates() -> None:
    """With weights of 1, estimates of means, quantiles and rates are those without weights. [property]"""
    table = replicate(world(), replications=400, engine="compiled")
    measures = ["makespan_s", "p90 makespan_s", "completed", "completed given good"]
    one, other = (estimate(some, measures).to_frame() for some in (table.assign(weight=1.0), table))
    assert one["estimate"].tolist() == pytest.approx(other["estimate"].tolist())


# -- arguments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"start_failur": 2}, "did you mean.*start_failure"),
        ({"start_failure": 0}, "invalid factor"),
        ({"start_failure": math.inf}, "invalid factor"),
        ({"start_failure": True}, "invalid factor"),
        ({"promote_after": 2}, "the scenario draws nothing here"),
        ({"release.god": 2}, "the scenario draws nothing here"),
    ],
)
def test_invalid_tilts_are_refused(factors: dict[str, Any], message: str) -> None:
    """An invalid factor, and one of something that isn't drawn, is refused by name. [contract]"""
    with pytest.raises(InputError, match=message):
        world(operator={"promote_after": "5m"}).tilted(factors)


def test_a_tilt_is_a_value() -> None:
    """Equal factors make equal tilts, in any form; None removes a tilt. [contract]"""
    tilt = Tilt(start_failure=2, release={"bad": 3})
    assert Tilt.of(tilt.factors) == tilt
    assert hash(Tilt.of(tilt.factors)) == hash(tilt)
    assert world().tilted(tilt).tilted(None) == world()
    assert world().tilted(tilt) != world()
    assert str(Tilt()) == "nothing"
