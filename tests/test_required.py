"""Requirements as arguments: their forms, and impossible ones."""

import math

import numpy as np
import pandas as pd
import pytest
from refusals import refused

from simdeploy import Scenario
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.requirements import read_requirements, why_impossible
from simdeploy.errors import InputError
from simdeploy.experiments import replicate
from simdeploy.rules.deployment_types import TYPES
from simdeploy.scenario.measures import EVENTS, Measure, Requirement, parse_measure, parse_requirement

RAW = {
    "name": "x",
    "fleet": {"nodes": 4, "update_duration": "45s", "start_failure": 0.2, "requests_per_second": 1},
    "release": {
        "fine": {"probability": 1},
        "poor": {"probability": 0},
        "bad": {"probability": 0, "defective": True, "error_rate": 0.5},
    },
    "requirements": [{"of": "failed", "at_most": 0.5}, {"policy": "q", "of": "makespan_s", "at_most": "1h"}],
    "policies": {
        "p": {"strategy": "immediate", "max_failed_nodes": 0},
        "q": {"strategy": "rolling", "max_parallel": 1, "health_check": {"deadline": "5m"}},
    },
}
SCENARIO = Scenario.from_dict(RAW)
OURS, THEIRS = SCENARIO.requirements


def test_forms_of_requirements():
    """A text, a value, several of them, and none are read alike, without duplicates. [contract]"""
    text = "false_alarm given good <= 1%"
    one = parse_requirement(text)
    for asked in (text, one, [text], [text, one, text], (each for each in (one, text)), {text}):
        assert read_requirements(asked) == read_requirements(asked if isinstance(asked, set) else [one]) == (one,)
    assert read_requirements(None) == read_requirements([]) == ()
    assert read_requirements(None, scenario=SCENARIO) == (OURS, THEIRS)
    assert read_requirements(read_requirements(text)) == (one,)


def test_requirements_of_other_policies():
    """Requirements of the scenario's other policies are ignored; one of an unknown policy is refused. [contract]"""
    assert read_requirements(None, scenario=SCENARIO, policies=["p"]) == (OURS,)
    own = Requirement(Measure("failed"), at_most=0.1, policy="own")
    assert read_requirements([THEIRS, own], scenario=SCENARIO, policies=["own"]) == (own,)
    assert read_requirements([THEIRS, own]) == (THEIRS, own)
    message = "requirements[1].policy: no such policy (found 'own'); allowed: p, q"
    assert message in str(refused(read_requirements, [THEIRS, own], scenario=SCENARIO))
    with pytest.raises(InputError, match=r"requirements\[0\].policy: no such policy .*; allowed: p"):
        read_requirements([THEIRS], policies=["p"])


def test_all_problems_are_reported_at_once():
    """Each requirement's problems are reported with its number, for texts and values. [contract]"""
    asked = [
        "false_alarm",
        "false_alarm given god <= 1%",
        "makespan_s <= 1h",
        Requirement(Measure("false_alarm"), at_most=5.0),
        Requirement(Measure("makespan_s", quantile=2), at_least=math.nan),
        Requirement(Measure("cost"), at_most=5.0, at_least=1.0),
        17,
    ]
    error = refused(read_requirements, asked, scenario=SCENARIO)
    found = [(problem.path[1], problem.path[2:], problem.message) for problem in error.problems]
    assert {problem.path[0] for problem in error.problems} == {"requirements"}
    assert found == [
        (0, (), "invalid requirement"),
        (1, ("given",), "unknown condition"),
        (3, ("at_most",), "false_alarm is between 0 and 1"),
        (4, ("quantile",), "invalid quantile"),
        (4, ("at_least",), "invalid amount"),
        (5, ("of",), "the scenario has no costs, so cost can't be measured"),
        (5, (), "exactly one limit is required"),
        (6, (), "invalid requirement"),
    ]


@pytest.mark.parametrize("asked", [17, 0.5, {"of": "failed", "at_most": 1}])
def test_invalid_requirements(asked):
    """Arguments that hold no requirements are refused as a whole. [contract]"""
    with pytest.raises(InputError, match=r"requirements: no requirements .*allowed: such as \"false_alarm given good"):
        read_requirements(asked)


@pytest.mark.parametrize("type_", list(TYPES))
def test_impossible_measures_have_no_value(type_):
    """A measure called impossible has no value in any rollout of any policy. [property]"""
    scenario = Scenario.from_dict({**RAW, "deployment": {"type": type_}})
    table = replicate(scenario, replications=40, engine="reference")
    conditions = (None, *EVENTS, "fine", "poor", "bad")
    measures = [
        Measure(of, given=given)
        for of in ("makespan_s", "touched_nodes", "min_capacity_ratio", *EVENTS)
        for given in conditions
    ]
    values = Values(table, measures, release=scenario.release)
    reasons = {measure: why_impossible(measure, scenario, type_) for measure in measures}
    for measure, reason in reasons.items():
        assert reason is None or np.isnan(values.of(measure)).all(), measure
    impossible = {str(measure) for measure, reason in reasons.items() if reason is not None}
    assert {"touched_nodes given poor", "escaped given defective", "makespan_s given escaped"} <= impossible
    assert "min_capacity_ratio" in impossible
    assert "touched_nodes" not in impossible
    # A verdict, and a kind of release: impossible only without releases; else a rate of 0 or more.
    assert ({"escaped", "false_alarm given good", "failed given fine"} <= impossible) is not TYPES[type_].releases
    assert ("escaped" in impossible) is not TYPES[type_].releases


def test_rare_events_are_possible():
    """A defect of any positive probability is possible, and so is what depends on the policy. [contract]"""
    raw = {**RAW, "release": {"fine": {"probability": 0.999}, "bad": {"probability": 0.001, "defective": True}}}
    scenario = Scenario.from_dict(raw)
    of_makespan = [f"makespan_s given {condition}" for condition in ("paused", "passed_canary")]
    for text in ("escaped given defective", *of_makespan, "waves given bad"):
        assert why_impossible(parse_measure(text), scenario, "update") is None


def test_a_table_knows_no_kinds():
    """Without a scenario a condition may be any name, and costs may be known. [contract]"""
    asked = ["waves given whatever <= 3", "cost <= 5"]
    assert len(read_requirements(asked)) == 2
    assert isinstance(pd.Series(read_requirements(asked))[0], Requirement)
