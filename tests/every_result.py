"""A quick example of every kind of result, and the equality of results."""

from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from commands import write_log
from recorded_fleets import RecordedFleet

import simdeploy as sd
from simdeploy.analysis import summarize_grid
from simdeploy.statistics.selection import select_ocba
from simdeploy.validation.decisions import deciding
from simdeploy.validation.decisions.problems import make_problems
from simdeploy.validation.verification import verifying
from simdeploy.validation.verification.rules import limits

SCENARIO = sd.read_scenario(Path(__file__).resolve().parents[1] / "scenarios" / "small-fleet.yaml")
FLEET_POLICY = """
kind: Fleet
spec:
  rolloutPolicy:
    deviceSelection: {strategy: BatchSequence, sequence: [{limit: 10%}, {limit: 50%}]}
"""
COSTS, ROLLING = SCENARIO.costs, "rolling"
STARTS = "scenario.fleet.start_failure"
FEW = {"replications": 20, "engine": "compiled"}
ENOUGH = {"replications": 400, "engine": "compiled"}  # for a difference between gates in cost


@cache
def replications():
    """Return a table of replications under all policies."""
    return sd.replicate(SCENARIO, **FEW)


@cache
def grid():
    """Return a sweep of policies and of the world."""
    return sd.sweep(SCENARIO, [ROLLING, "canary"], vary={"max_failed_nodes": [0, 4], STARTS: [0.0, 0.1]}, **FEW)


def run():
    """Return one rollout."""
    rollout = sd.simulate(SCENARIO, ROLLING)
    story = ({"time_s": 1.5, "text": "something happened"},)
    return sd.OneRollout(rollout.response_values, rollout.deployment.to_dict(), story, {"seed": 0})


def discover():
    """Find the box in which worlds break."""
    rng = np.random.default_rng(1)
    worlds = pd.DataFrame({"x": rng.random(400), "kind": rng.choice(["a", "b"], 400)})
    return sd.find_boxes(worlds, worlds["x"].gt(0.6) & worlds["kind"].eq("a"))


def verify():
    """Verify two cases."""
    with patch.object(verifying, "make_cases", lambda: limits()[:2]):
        return sd.verify(replications=100, engines="compiled")


def decisions():
    """Decide a problem whose grid is reduced to two policies."""
    small = few_policies(
        "common-defects", canary_count=(5,), max_parallel=(60,), max_failed_nodes=(10,), max_error_rate=(0.05, 0.1)
    )
    with patch.object(deciding, "make_problems", lambda: [small]):
        return sd.verify_decisions(seeds=2, engine="compiled")


def few_policies(name, **vary):
    """Return a problem with a grid of few policies."""
    problem = next(problem for problem in make_problems() if problem.name == name)
    return replace(problem, vary={**problem.vary, **vary})


def timelines():
    """Trace few rollouts at few instants."""
    names = ["failed", "in_service", "error_rate_new"]
    return sd.timelines(SCENARIO, [ROLLING, "canary"], quantities=names, every="5m", until="30m", **FEW)


def sample(candidates, first, count):
    """Draw observations of candidates, the first having the lowest mean."""
    return np.asarray(candidates)[:, None] + np.random.default_rng(first).normal(size=(len(candidates), count))


def backtest():
    """Replay few rollouts under another policy, with some outcomes known."""
    records = sd.Records.join([sd.simulate(SCENARIO, "canary", replication=k).to_records(f"{k}") for k in range(6)])
    spec = {"strategy": ROLLING, "max_parallel": 8, "health_check": {"deadline": "5m", "min_healthy_time": "30s"}}
    return sd.backtest(records, {"eights": spec}, modelled=2)


def observe():
    """Return an observed state of a rollout of the small fleet."""
    rollout = sd.simulate(SCENARIO, ROLLING, replication=3)
    return rollout.revisions.iloc[[8]].drop(columns=["last_progress_time", "health_check_deadline", "healthy_deadline"])


MAKE = {
    "Advice": lambda: sd.advise(SCENARIO, ROLLING, seen=observe(), replications=300, engine="compiled"),
    "Backtest": backtest,
    "Calibration": lambda: sd.calibrate(RecordedFleet(nodes=10).draw(8, 1)),
    "Check": lambda: sd.check(SCENARIO, requirements=["makespan_s <= 30m", "p95 makespan_s <= 2h"], most=100, engine="compiled"),
    "Comparison": lambda: sd.compare(replications(), costs=COSTS, requirements=["escaped given defective <= 90%"]),
    "CostResult": lambda: sd.estimate_costs(grid(), costs=COSTS),
    "Decisions": decisions,
    "Discovery": discover,
    "Estimates": lambda: sd.estimate(grid(), ["p95 blast_radius given defective", "makespan_s"]),
    "Forecast": lambda: sd.forecast(SCENARIO, ROLLING, seen=observe(), replications=300, engine="compiled"),
    "GateComparison": lambda: sd.compare_gates(SCENARIO, ROLLING, gates=["pooled"], sizes=[0.1], **ENOUGH),
    "GridSummary": lambda: summarize_grid(grid()),
    "InformationResult": lambda: sd.value_of_perfect_information(replications(), costs=COSTS),
    "ObservationResult": lambda: sd.value_of_observation(SCENARIO, "canary", canaries=[1, 2], minutes=[0, 1], **FEW),
    "OneRollout": run,
    "ParetoFront": lambda: sd.pareto_front(grid(), {"makespan_s": "min", "p95 blast_radius": "min"}),
    "PolicyImport": lambda: sd.read_policy(FLEET_POLICY),
    "Precision": lambda: sd.replicate_to_precision(SCENARIO, targets={"makespan_s": "20%"}, most=100, engine="compiled"),
    "Rare": lambda: sd.estimate_rare(SCENARIO, ROLLING, event="failed_nodes >= 3", tilt={"start_failure": 2}, replications=4000, engine="compiled"),
    "Robustness": lambda: sd.estimate_regret(grid(), costs=COSTS, requirements=["makespan_s <= 30m"]),
    "Score": lambda: sd.score(write_log()),
    "Selection": lambda: select_ocba(sample, range(3), budget=60, n0=10, step=10),
    "Sensitivity": lambda: sd.estimate_sensitivity(
        SCENARIO, ROLLING, of="makespan_s", vary={STARTS: (0.0, 0.1), "max_parallel": [2, 5]}, size=6, replications=4, engine="compiled"
    ),
    "Switches": lambda: sd.vary_switches(SCENARIO, policies=[ROLLING, "canary"], replications=4, pairs=False, engine="compiled"),
    "Timelines": timelines,
    "Tradeoff": lambda: sd.tradeoff(SCENARIO, ROLLING, vary={"max_failed_nodes": [0, 8]}, **FEW),
    "Tuning": lambda: sd.tune(SCENARIO, ROLLING, vary={"max_failed_nodes": [0, 4]}, replications=20, final=500, most=20_000, engine="compiled"),
    "Verification": verify,
}  # fmt: skip


@cache
def make(name):
    """Return a result of a kind."""
    return MAKE[name]()


def assert_results_equal(found, expected):
    """Assert that two results are equal: type, every public field, tables with their types, and answer."""
    assert type(found) is type(expected)
    assert found.answer == expected.answer
    assert found.summarize() == expected.summarize()
    assert found._repr_html_() == expected._repr_html_()
    pd.testing.assert_frame_equal(found.to_frame(), expected.to_frame(), check_exact=True)
    public = [field.name for field in fields(expected) if not field.name.startswith("_")]
    for name in dict.fromkeys([*public, *type(expected).tables()]):
        one, other = getattr(found, name), getattr(expected, name)
        if isinstance(other, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other, check_exact=True)
        elif isinstance(other, np.ndarray):
            np.testing.assert_array_equal(one, other, strict=True)
        elif name not in ("computed_under", "responses"):
            assert one == other or (one != one and other != other), name
