"""Policies that differ in no world are called equal in enough worlds, without claiming an interval that covers."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from simdeploy.analysis import compare, estimate_regret
from simdeploy.analysis.asking.judging import Feasibility
from simdeploy.analysis.costs.knowing import WORLD, estimate_values_of_knowing
from simdeploy.analysis.switches.conclusions import Rule, Standings, conclude
from simdeploy.analysis.tuning.confirmed import Confirmed
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import estimate_difference, estimate_values
from simdeploy.statistics.sample import as_sample

MAKESPAN = Measure("makespan_s")


def draw(n, *, more=20.0):
    """Draw makespans of two policies that never differ, and of a slower one, in n worlds."""
    rng = np.random.default_rng(8)
    first = rng.normal(100, 1, n)
    return np.stack([first, first, first + rng.normal(more, 1, n)])


def table(values):
    """Make a table of replications."""
    policy, number = np.indices(values.shape).reshape(2, -1)
    return pd.DataFrame(
        {
            "case": policy,
            "scenario": "s",
            "policy": [f"p{each}" for each in policy],
            "replication": number,
            "makespan_s": values.ravel(),
            "verdict": "completed_good",
        }
    )


@pytest.mark.parametrize(("n", "verdict"), [(2, "unclear"), (59, "unclear"), (60, "equal"), (400, "equal")])
def test_comparisons_call_them_equal(n, verdict):
    """Differences to the baseline, pairs and ranks are equal from 60 worlds on; fewer leave room for unseen worlds. [contract]"""
    found = compare(table(draw(n)[:2]))
    for frame in (found.differences, found.pairs, found.ranking):
        of = frame[frame["response"].eq("makespan_s") & frame["given"].isna()]
        assert set(of["verdict"]) == {verdict}
        assert (of["low"] == 0).all()
        assert (of["high"] == 0).all()
        assert not of["is_trusted"].any()


def test_a_comparison_distinguishes_the_third():
    """In 400 worlds two equal policies share the first rank, and the third is worse than either. [oracle]"""
    found = compare(table(draw(400)))
    of = found.ranking[found.ranking["response"].eq("makespan_s") & found.ranking["given"].isna()]
    assert of["verdict"].tolist() == ["equal", "equal", "worse"]
    assert of["is_among_best"].tolist() == [True, True, False]
    assert of["is_trusted"].tolist() == [False, False, True]


def test_the_regret_of_the_third_is_worse():
    """A duplicate of the best candidate changes neither its regret of 0 nor the third's. [oracle]"""
    found = estimate_regret(table(draw(400)), of="makespan_s")
    assert found.candidates["regret_verdict"].iloc[1:].tolist() == ["equal", "worse"]
    assert found.regrets["regret_is_trusted"].tolist() == [False, False, True]
    assert found.candidates["max_regret_is_trusted"].tolist() == [False, False, True]
    few = estimate_regret(table(draw(30)), of="makespan_s")
    assert few.candidates["regret_verdict"].iloc[1:].tolist() == ["unclear", "unclear"]


def test_a_switch_has_a_margin_of_0():
    """Between a policy and its duplicate the margin is exactly 0, trusted in 1,000 worlds but not in 400. [oracle]"""
    for n in (400, 1000):
        values = as_sample(draw(n)[:2])
        met = Feasibility(is_met=True, verdict="met", broken=(), is_known=True)
        estimates = tuple(estimate_values(each, MAKESPAN, 0.95) for each in values)
        standings = Standings(("a", "b"), values, estimates, (met, met), np.zeros(2), np.zeros(2, dtype=bool))
        found = conclude(standings, Rule(MAKESPAN, "min", 0.95), subject=0, base=0)
        assert found.margin == (0, 0, 0, n == 1000)


def test_knowing_the_world_is_worth_nothing_if_one_policy_is_always_best():
    """If one policy is best in each of 400 worlds, the value of knowing the world is 0, and trusted. [oracle]"""
    row = estimate_values_of_knowing(draw(400)[1:], np.zeros(400, np.int64), 0.95)[WORLD]
    assert (row["low"], row["estimate"], row["high"], row["is_trusted"]) == (0, 0, 0, True)


@pytest.mark.parametrize(("n", "is_as_good"), [(2, False), (400, False), (1000, True)])
def test_being_as_good_needs_a_trusted_interval(n, is_as_good):
    """A rival that never differed is as good within the indifference only if its interval is trusted. [contract]"""
    values = draw(n)[:2]
    question = SimpleNamespace(confidence_level=0.95, objective=MAKESPAN, sign=1)
    measured = SimpleNamespace(of={MAKESPAN: values})
    found = Confirmed(question, None, (0, 1), measured, {}, 0.05)
    assert found.is_as_good(1, 0.1) is is_as_good
    assert found.is_near(1)
    assert not found.is_better(1)
    limits = estimate_difference(values[1], values[0], MAKESPAN, 0.95).limits
    assert limits == ((0, 0) if n >= 40 else (-math.inf, math.inf))
