"""Splitting: against a chain with a known law, and for rollouts, with branches that both engines agree on."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest
from generators import Decisions, scenario_of
from test_engines_equal import are_equal

from simdeploy import Scenario
from simdeploy.analysis.rare.rollouts import HAPPENED, TOUCHED, Rollouts, choose_levels
from simdeploy.engines.branching import Branches, run_branches
from simdeploy.scenario.measures import parse_event
from simdeploy.statistics.splitting import Split, Stage, split
from simdeploy.statistics.weights import log_interval, plain_mean
from simdeploy.validation.oracles import binomial_tail, top_probability

# -- a chain -----------------------------------------------------------------------------------------


@dataclass
class Chain:
    """A birth-death chain from 1 on, until it is at the top or at 0; values: top reached, steps, and 1."""

    up: tuple[float, ...]

    def start(self, numbers: np.ndarray, level: int | None) -> Stage:
        return self._run(np.ones(len(numbers), dtype=int), np.zeros(len(numbers)), numbers, level)

    def resume(self, stage: Stage, parents: np.ndarray, numbers: np.ndarray, level: int | None) -> Stage:
        states, steps = stage.entrances
        return self._run(states[parents], steps[parents], numbers, level)

    def _run(self, states: np.ndarray, steps: np.ndarray, numbers: np.ndarray, level: int | None) -> Stage:
        top = len(self.up) + 1
        wanted = top + 1 if level is None else level
        up, inside = np.array([0.0, *self.up, 0.0]), np.array([0, *np.ones(len(self.up), dtype=int), 0])
        chance = np.random.default_rng(numbers)
        path = [states]
        while (moves := inside[path[-1]]).any():
            goes_up = chance.random(len(states)) < up[path[-1]]
            path.append(path[-1] + np.where(goes_up, moves, -moves))
        visited = np.array(path)  # by step and chain
        is_there = visited >= wanted
        has_entered, first = is_there.any(axis=0), is_there.argmax(axis=0)
        entrances = visited[first, np.arange(len(states))]
        all_steps = steps + inside[visited].sum(axis=0)
        values = np.column_stack([visited[-1] == top, all_steps, np.ones(len(states))])
        return Stage(has_entered, values, (entrances, steps + first))


CHAIN = Chain((0.2, 0.15, 0.25, 0.2, 0.2, 0.25, 0.2))
TRUTH = top_probability(CHAIN.up, 1)


def runs(levels: list[int], n: int, effort: int) -> list[Split]:
    size = effort * (len(levels) + 1)
    return [split(CHAIN, levels, effort=effort, first=size * number, seed=5) for number in range(n)]


def test_a_chain_is_split_without_bias() -> None:
    """The mean of independent runs is within 4 standard errors of the chain's closed form, about 4e-5. [oracle]"""
    assert 1e-5 < TRUTH < 1e-4
    found = np.array([one.estimates for one in runs([2, 3, 4, 5, 6, 7], 300, 50)])
    mean, error = plain_mean(found[:, 0])
    assert abs(mean - TRUTH) <= 4 * error
    assert error < 0.1 * TRUTH


def test_levels_unrelated_to_the_measure_cause_no_bias() -> None:
    """The mean number of steps until the end is unbiased, too, and the mean of 1 is 1. [oracle]"""
    found = np.array([one.estimates for one in runs([2, 4], 300, 60)])
    # Steps from state i: 1 + up * steps from i + 1 + down * steps from i - 1.
    n = len(CHAIN.up)
    equations = np.eye(n) - np.diag(CHAIN.up[:-1], 1) - np.diag([1 - p for p in CHAIN.up[1:]], -1)
    mean, error = plain_mean(found[:, 1])
    assert abs(mean - np.linalg.solve(equations, np.ones(n))[0]) <= 4 * error
    one, error = plain_mean(found[:, 2])
    assert abs(one - 1) <= 4 * error + 1e-12


def test_the_gain_of_splitting_is_the_stated_one() -> None:
    """With as many steps of the chain, splitting has less than a tenth of the variance of plain simulation. [oracle]"""
    split_runs = runs([2, 3, 4, 5, 6, 7], 200, 100)
    estimates = np.array([one.estimates[0] for one in split_runs])
    # More than were taken: those before a branch are counted with each of its children.
    steps = np.mean([sum(values[:, 1].sum() for values in one.values) for one in split_runs])
    plain_steps = np.mean([values[:, 1].mean() for one in split_runs for values in one.values[:1]])
    plain = TRUTH * (1 - TRUTH) / (steps / plain_steps)
    assert estimates.var(ddof=1) < plain / 10


def test_intervals_of_repetitions_cover() -> None:
    """The interval from ten repetitions covers the truth in at least 86 % of 100 experiments, nominally 95 %. [oracle]"""
    found = np.array([one.estimates[0] for one in runs([2, 3, 4, 5, 6, 7], 1000, 100)]).reshape(100, 10)
    covered = 0
    for repetitions in found:
        low, high = log_interval(*plain_mean(repetitions), 9, 0.95)
        covered += low <= TRUTH <= high
    assert covered >= 86  # 4 standard errors below 95


def test_an_unreached_level_ends_the_run() -> None:
    """From a level that no run reaches on, fractions are 0, and the estimate is the one so far. [contract]"""
    found = split(Chain((1e-12, 0.5)), [2, 3], effort=10, first=0, seed=0)
    assert found.fractions.tolist() == [0.0, 0.0]
    assert found.estimates.tolist() == [0.0, 1.0, 1.0]


def test_the_same_numbers_give_the_same_run() -> None:
    """A run depends only on its numbers and the seed. [property]"""
    one, other = (runs([2, 3, 4], 1, 40)[0] for _ in range(2))
    assert one.estimates.tolist() == other.estimates.tolist()


# -- rollouts ----------------------------------------------------------------------------------------


def test_engines_agree_on_branches() -> None:
    """Both engines agree on the numbers of nodes, and on those dispatched when a level was reached. [property]"""
    n_reached = 0
    for number in range(120):
        chance = random.Random(1000 + number)
        scenario = Scenario.from_dict(scenario_of(Decisions(chance.randbytes(256))))
        policy = next(iter(scenario.policies.values()))
        n = scenario.fleet.nodes
        counts = chance.choice(["failed_nodes", "peak_exposed_nodes"])
        numbers = np.random.default_rng(number).integers(0, 2**32, size=(3, n + 1))
        branches = Branches(numbers[:, 0], numbers[:, 1:], counts, chance.randint(1, max(n // 4, 1)))
        block, kept, reached = run_branches(scenario, policy, branches, seed=number, engine="reference")
        other, other_kept, other_reached = run_branches(scenario, policy, branches, seed=number, engine="compiled")
        for place in range(3):
            one, two = block.row(0, place), other.row(0, place)
            assert all(are_equal(name, one, two, 1e-9) for name in one), (number, place)
        assert reached.tolist() == other_reached.tolist(), number
        assert kept.tolist() == other_kept.tolist(), number
        n_reached += int(reached.sum())
    assert n_reached > 60


def test_a_branch_repeats_its_past() -> None:
    """With any fresh numbers, a branch reaches the level with the same nodes dispatched. [property]"""
    n_branched = 0
    for number in range(100):
        chance = random.Random(5000 + number)
        scenario = Scenario.from_dict(scenario_of(Decisions(chance.randbytes(256))))
        policy = next(iter(scenario.policies.values()))
        counts = chance.choice(["failed_nodes", "peak_exposed_nodes"])
        level = chance.randint(1, max(scenario.fleet.nodes // 5, 1))
        start = Branches.start(np.arange(8), scenario.fleet.nodes, counts).towards(level)
        _, kept, reached = run_branches(scenario, policy, start, seed=number, engine="compiled")
        parents = np.flatnonzero(reached)
        if not len(parents):
            continue
        branches = start.branch(parents, kept, 100 + np.arange(len(parents)))
        _, again, reached_again = run_branches(scenario, policy, branches, seed=number, engine="compiled")
        assert reached_again.all()
        assert again.tolist() == kept[parents].tolist()
        n_branched += int((~kept[parents]).any(axis=1).sum())
    assert n_branched > 50


def test_branches_without_branching_are_replications() -> None:
    """Replications whose nodes have their own number equal those of `simulate`. [property]"""
    from simdeploy.engines.running import run_block

    scenario = Scenario.from_dict(scenario_of(Decisions(random.Random(7).randbytes(256))))
    policy = next(iter(scenario.policies.values()))
    start = Branches.start(np.arange(5), scenario.fleet.nodes, "failed_nodes")
    for engine in ("reference", "compiled"):
        block, _, _ = run_branches(scenario, policy, start, seed=1, engine=engine)
        plain = run_block(scenario, [policy], seed=1, first=0, count=5, engine=engine)
        assert all(
            are_equal(name, block.row(0, place), plain.row(0, place), 0)
            for place in range(5)
            for name in plain.row(0, place)
        )


WAVES = Scenario.from_dict(
    {
        "name": "waves",
        "fleet": {"nodes": 60, "update_duration": {"exponential": {"mean": "30s"}}, "start_failure": 0.02},
        "policies": {
            "threes": {
                "strategy": "rolling",
                "max_parallel": 3,
                "max_failed_nodes": 59,
                "max_failed_nodes_percent": 99,
                "health_check": {"deadline": "1h", "min_healthy_time": "0s"},
            }
        },
    }
)


def rollouts(event: str, counts: str = "failed_nodes") -> Rollouts:
    return Rollouts(WAVES, WAVES.policy("threes"), parse_event(event), counts, 3, "compiled")  # type: ignore[arg-type]


@pytest.mark.parametrize(("at_least", "levels"), [(5, [2, 3, 4]), (6, [2, 4, 5]), (6, [3])])
def test_rollouts_are_split_without_bias(at_least: int, levels: list[int]) -> None:
    """Runs are within 4 standard errors of the binomial tail of nodes that fail to start. [oracle]"""
    process, effort = rollouts(f"failed_nodes >= {at_least}"), 150
    size = effort * (len(levels) + 1)
    found = np.array(
        [split(process, levels, effort=effort, first=size * number, seed=1).estimates for number in range(60)]
    )
    mean, error = plain_mean(found[:, HAPPENED])
    truth = binomial_tail(60, 0.02, at_least)
    assert abs(mean - truth) <= 4 * error
    assert error < 0.25 * truth
    assert found[:, TOUCHED].mean() == pytest.approx(60, rel=0.02)


def test_levels_of_a_pilot_lead_to_the_event() -> None:
    """Levels ascend to at most the event's after a pilot at each; a frequent event needs none. [property]"""
    levels, n_rollouts = choose_levels(rollouts("failed_nodes >= 8"), effort=300, first=1 << 31)
    assert levels == sorted(set(levels))
    assert 3 <= len(levels) <= 7
    assert 6 <= levels[-1] <= 8
    assert n_rollouts == 300 * (1 + 2 * len(levels))
    exposed, _ = choose_levels(rollouts("peak_exposed_nodes >= 58", "peak_exposed_nodes"), effort=50, first=1 << 31)
    assert exposed == []  # often enough without further levels
