"""Estimates of backtests: conditional laws against closed forms, and modelled rollouts against simulated ones."""

import math
from dataclasses import replace

import numpy as np
import pytest
from elsewhere import Elsewhere
from invoking import invoke
from refusals import refused
from test_backtest import CHECK, bounds, rolling
from test_backtest_worlds import case_of

from simdeploy import Records, Scenario, backtest, simulate
from simdeploy.analysis.backtest.bounding import measure
from simdeploy.engines.replay import Modeller, replay
from simdeploy.errors import SimulationError

UNIFORM = {"beta": {"mean": 0.5, "sd": math.sqrt(1 / 12)}}


def draw_models(rollout, scenario, n=400):
    """Return models of a rollout by the laws of a scenario."""
    modeller = Modeller(case_of(rollout).known, scenario.fleet, scenario.release, scenario.operator)
    return [modeller.draw(0, replication) for replication in range(n)]


def assert_mean(values, mean, sd):
    """Compare a mean with its expectation, within four standard errors."""
    assert abs(np.mean(values) - mean) < 4 * sd / math.sqrt(len(values)), (np.mean(values), mean)


class TestLaws:
    """What nodes share, and their error rates, given a record."""

    def test_start_failures(self, make_scenario):
        """After four failures of four attempts a uniform level is beta(5, 1), and six other nodes fail as often. [oracle]"""
        rollout = simulate(make_scenario(fleet={"start_failure": 1}), rolling(max_failed_nodes=3))
        scenario = make_scenario(fleet={"start_failure": UNIFORM})
        models = draw_models(rollout, scenario)
        assert_mean([model.fleet.behaviour.start_failure.value for model in models], 5 / 6, math.sqrt(5 / 252))
        policy = scenario.policy(rolling(max_failed_nodes=10, max_failed_nodes_percent=100)).policy
        known = case_of(rollout).known
        runs = [replay(known, policy, scenario.orchestrator, model).recording.failed_nodes for model in models[:150]]
        assert_mean(runs, 4 + 6 * 5 / 6, math.sqrt(6 * (5 / 36) + 30 * 5 / 252))

    def test_slowdown(self, make_scenario):
        """Nodes with constant updates of 30 s took 60 s, so the rollout is slower by a factor of 2 for all nodes. [oracle]"""
        rollout = simulate(make_scenario(fleet={"update_duration": 60}), rolling())
        slow = {"lognormal": {"median": 1, "sigma": 0.5}}
        models = draw_models(rollout, make_scenario(fleet={"slowdown": slow}), 50)
        factors = np.array([model.fleet.behaviour.slowdown.value for model in models])
        assert np.abs(factors / 2 - 1).max() < 0.02

    def test_error_rates(self, make_scenario):
        """A uniform rate becomes beta(1 + failed, 1 + served) of the node's own windows. [oracle]"""
        scenario = make_scenario(fleet={"requests_per_second": 1, "error_rate": UNIFORM})
        check = {**CHECK, "max_error_rate": 1}
        rollout = simulate(scenario, rolling(health_check=check))
        models = draw_models(rollout, scenario)
        windows = rollout.windows.groupby("node")[["requests", "failed_requests"]].sum()
        for node, row in windows.head(3).iterrows():
            n, k = row["requests"], row["failed_requests"]
            mean = (1 + k) / (2 + n)
            assert_mean([model.baseline[node] for model in models], mean, math.sqrt(mean * (1 - mean) / (n + 3)))

    def test_the_kind_of_release(self, make_scenario):
        """Ten starts without a failure reduce even odds for a release with failures of a fifth to 0.8^10. [oracle]"""
        kinds = {"good": {"probability": 0.5}, "bad": {"probability": 0.5, "defective": True, "start_failure": 0.2}}
        scenario = make_scenario(release=kinds)
        known = replace(case_of(simulate(make_scenario(), rolling())).known, release=None, is_defective=None)
        modeller = Modeller(known, scenario.fleet, scenario.release, scenario.operator)
        models = [modeller.draw(0, replication) for replication in range(400)]
        p = 0.8**10 / (1 + 0.8**10)
        assert_mean([model.release[0].name == "bad" for model in models], p, math.sqrt(p * (1 - p)))

    def test_the_kind_on_record(self, make_scenario):
        """A release recorded as defective gets a defective kind, whatever its nodes did. [contract]"""
        kinds = {"good": {"probability": 0.9}, "bad": {"probability": 0.1, "defective": True, "start_failure": 0.9}}
        scenario = make_scenario(release=kinds)
        known = replace(case_of(simulate(make_scenario(), rolling())).known, is_defective=True)
        modeller = Modeller(known, scenario.fleet, scenario.release, scenario.operator)
        assert modeller.draw(0, 0).release[0].name == "bad"

    def test_silent_nodes_go_on(self, make_scenario):
        """Exponential starts are memoryless: nodes rolled back after 20 s of silence take 60 s more on average. [oracle]"""
        scenario = make_scenario(fleet={"update_duration": {"exponential": {"mean": 60}}})
        strict = rolling(10, max_failed_nodes=0, health_check={"deadline": "20s", "min_healthy_time": 0})
        rollout = simulate(scenario, strict, replication=1)
        known = case_of(rollout).known
        silent = [place for place, node in enumerate(known.nodes) if node.start == "silent"]
        policy = scenario.policy(rolling(10, health_check={"deadline": "20m", "min_healthy_time": 0})).policy
        assert silent
        took = []
        for model in draw_models(rollout, scenario, 100):
            fates = replay(known, policy, scenario.orchestrator, model).recording.fates
            took += [fates[place].started_ns / 1e9 - 20 for place in silent]
            assert all(fates[place].attempts == 1 for place in silent)
        assert min(took) > 0
        assert_mean(took, 60, 60)


def test_on_average_as_simulated():
    """Over many worlds, modelled rollouts end as simulated ones, with canaries, silent nodes and people. [oracle]"""
    check = {"deadline": "5m", "min_healthy_time": "60s", "max_error_rate": 0.06}
    lax = {"max_failed_nodes": 2, "max_failed_nodes_percent": 100, "health_check": check}
    scenario = Scenario.from_dict(
        {
            "name": "varied",
            "fleet": {
                "nodes": 12,
                "update_duration": {"lognormal": {"median": "1m", "sigma": 0.5}},
                "slowdown": {"lognormal": {"median": 1, "sigma": 0.5}},
                "start_failure": {"beta": {"mean": 0.15, "sd": 0.1}},
                "start_attempts": 2,
                "start_hang": 0.03,
                "requests_per_second": 5,
                "error_rate": {"beta": {"mean": 0.02, "sd": 0.02}},
            },
            "release": {
                "good": {"probability": 0.7},
                "bad": {"probability": 0.3, "defective": True, "error_rate": 0.05, "affects": {"share": 0.5}},
            },
            "operator": {"promote_after": {"exponential": {"mean": "5m"}}, "notices_defect": 0.5},
            "policies": {
                "strict": rolling(4, max_failed_nodes=0, health_check={**CHECK, "deadline": "3m"}),
                "canary": rolling(strategy="canary", canary_count=3, **lax),
            },
        }
    )
    policy = scenario.policies["canary"].policy
    differences = []
    for replication in range(30):
        known = case_of(simulate(scenario, "strict", replication=replication)).known
        model = Modeller(known, scenario.fleet, scenario.release, scenario.operator).draw(1, replication)
        found = measure(replay(known, policy, scenario.orchestrator, model).recording)
        true = measure(simulate(scenario, "canary", replication=replication)._recording)
        differences.append([found[name] - true[name] for name in true])
    errors = np.std(differences, axis=0) / math.sqrt(len(differences))
    assert (errors > 0).all()
    assert (np.abs(np.mean(differences, axis=0)) < 4 * errors).all()


@pytest.fixture(scope="module")
def stopped(make_scenario):
    """Return six rollouts of a fleet in which a fifth of the starts fail; the policy stops at the first failure."""
    scenario = make_scenario(fleet={"start_failure": 0.2})
    rollouts = [simulate(scenario, rolling(max_failed_nodes=0), replication=k) for k in range(6)]
    return Records.join([rollout.to_records(f"{k}") for k, rollout in enumerate(rollouts)])


LAX = {"other": rolling(max_failed_nodes=4, max_failed_nodes_percent=100)}


class TestBacktest:
    """Estimates in the result of a backtest."""

    def test_estimates_are_between_the_bounds(self, stopped):
        """Unknown outcomes have an estimate between their bounds; rates combine it with known outcomes. [property]"""
        found = backtest(stopped, LAX, modelled=5)
        rows = found.rollouts[found.rollouts["policy"].eq("other")]
        unknown = rows[~rows["is_known"]]
        assert len(unknown) > 10
        assert unknown["modelled"].between(unknown["low"] * (1 - 1e-9), unknown["high"] * (1 + 1e-9)).all()
        stops = rows[rows["response"].eq("stopped")]
        (rate,) = found.summary.query("policy == 'other' and measure == 'stopped'")["modelled"]
        assert rate == pytest.approx(stops["modelled"].fillna(stops["low"]).mean())
        assert [row[0] for row in found.summarize()[0].rows] == ["recorded", "other", "other, modelled"]

    def test_only_if_asked_for(self, stopped):
        """There is no estimate by default; bounds depend neither on it nor on the seed of its draws. [contract]"""
        bare, other = backtest(stopped, LAX), backtest(stopped, LAX, modelled=2, seed=1)
        modelled, again = (backtest(stopped, LAX, modelled=2) for _ in range(2))
        assert bare.rollouts["modelled"].isna().all()
        assert bare.summary["modelled"].isna().all()
        assert bounds(bare, "makespan_s", rollout="1") == bounds(modelled, "makespan_s", rollout="1")
        assert again.rollouts.equals(modelled.rollouts)
        assert not other.rollouts["modelled"].equals(modelled.rollouts["modelled"])
        for bad, message in ((-1, "out of range"), (1.5, "not a whole number"), (True, "not a whole number")):
            assert f"modelled: {message}" in str(refused(backtest, stopped, LAX, modelled=bad))

    @pytest.mark.parametrize("halves", [False, True], ids=["whole spans", "in halves"])
    def test_where_draws_are_made(self, stopped, halves):
        """Draws made in other processes, in another order or in parts, give the same estimates; progress counts them. [property]"""
        heard, executor = [], Elsewhere(halves=halves)
        expected = backtest(stopped, LAX, modelled=23)
        found = backtest(stopped, LAX, modelled=23, executor=executor, progress=lambda *of: heard.append(of))
        assert found.rollouts.equals(expected.rollouts)
        assert len(executor.spans) == 2 * 6
        assert (heard[0], heard[-1]) == ((0, 23 * 6), (23 * 6, 23 * 6))
        assert heard == sorted(heard)

    def test_lost_draws_are_an_error(self, stopped):
        """If a worker dies again and again on the same draw, there is no estimate from the others, but an error. [contract]"""

        class Dying:
            def run(self, job, spans):
                yield (span := next(spans)), job.failed(span, "worker", "it died")

        with pytest.raises(SimulationError, match=r"^a draw for rollout 0 failed \(worker\): it died$"):
            backtest(stopped, LAX, modelled=2, executor=Dying())

    def test_the_command(self, make_scenario, tmp_path, monkeypatch):
        """--modelled prints the rates of the estimate, marked as such, on several cores, too. [contract]"""
        monkeypatch.chdir(tmp_path)
        scenario = make_scenario(fleet={"start_failure": 0.2})
        for k in range(3):
            simulate(scenario, rolling(max_failed_nodes=0), replication=k).write(tmp_path / "history" / f"{k}")
        lax = "{strategy: rolling, max_parallel: 4, max_failed_nodes: 4, health_check: {deadline: 5m}}"
        (tmp_path / "lax.yaml").write_text(lax)
        asked = ["backtest", "history", "--policy", "lax.yaml"]
        shown = invoke(*asked, "--modelled", "2")
        assert shown.exit_code == 0
        assert "lax, modelled" in shown.stdout
        assert "modelled" not in invoke(*asked).stdout
        assert invoke(*asked, "--modelled", "2", "--workers", "2").stdout == shown.stdout
        refused_there = invoke(*asked, "--workers", "2")
        assert refused_there.exit_code == 2
        assert "--workers needs --modelled N" in refused_there.stderr
