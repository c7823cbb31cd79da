"""Requirements in the file: their meaning, and mistakes in them."""

from pathlib import Path

import pytest
from refusals import refused

from simdeploy import Scenario, read_scenario
from simdeploy.scenario.measures import (
    EVENTS,
    FRACTIONS,
    NUMBERS,
    PASSED,
    SORTS,
    Measure,
    Requirement,
    parse_requirement,
)
from simdeploy.vocabulary import COSTS, RESPONSES, STATES, VERDICTS

RAW = {
    "name": "x",
    "fleet": {"nodes": 10, "update_duration": "45s"},
    "release": {"good": {"probability": 0.9}, "subtle": {"probability": 0.1, "defective": True}},
    "costs": {"escape": 5},
    "policies": {"p": {"strategy": "immediate"}, "q": {"strategy": "immediate"}},
}


def read(*requirements):
    return Scenario.from_dict({**RAW, "requirements": list(requirements)}).requirements


def test_every_outcome_can_be_measured():
    """Numbers are numeric responses and costs; events are verdicts, states, kinds of release and passed canaries. [contract]"""
    assert set(NUMBERS) == {name for name, dtype in RESPONSES.items() if dtype != "str"} | set(COSTS)
    assert set(EVENTS) == {*VERDICTS, *STATES, *SORTS, PASSED}
    assert not set(NUMBERS) & set(EVENTS)
    assert {name for name in NUMBERS if Measure(name).is_fraction} == set(FRACTIONS)


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("false_alarm given good <= 1%", {"of": "false_alarm", "given": "good", "at_most": 0.01}),
        ("p95 blast_radius given subtle<=10%", {"of": "blast_radius", "quantile": 0.95, "given": "subtle", "at_most": 0.1}),
        ("mean makespan_s <= 10m", {"of": "makespan_s", "at_most": "10m"}),
        ("makespan_s <= 600", {"of": "makespan_s", "at_most": 600}),
        ("p99.5 waves >= 3", {"of": "waves", "quantile": 0.995, "at_least": 3}),
        (" min_in_service_fraction  >=  0.9 ", {"of": "min_in_service_fraction", "at_least": 0.9}),
        ("unavailable_excess_node_s >= -5", {"of": "unavailable_excess_node_s", "at_least": -5}),
        ("cost_escape <= 2.5", {"of": "cost_escape", "at_most": 2.5}),
    ],
)  # fmt: skip
def test_text_and_file_mean_the_same(text, entry):
    """A requirement as text equals the one that the file states key by key. [contract]"""
    assert parse_requirement(text) == read(entry)[0]


def test_the_file_has_them_in_order():
    """A scenario's requirements are those of its file, in order, for one policy or for every one. [contract]"""
    found = read({"of": "escaped", "at_most": 0.1}, {"policy": "q", "of": "completed", "at_least": 0.5})
    of_q = Requirement(Measure("completed"), at_least=0.5, policy="q")
    assert found == (Requirement(Measure("escaped"), at_most=0.1), of_q)
    assert Scenario.from_dict(RAW).requirements == ()


def test_they_can_be_changed():
    """`with_values` changes requirements like the items of any list. [contract]"""
    scenario = Scenario.from_dict({**RAW, "requirements": [{"of": "escaped", "at_most": 0.1}]})
    assert scenario.with_values({"requirements.0.at_most": 0.2}).requirements[0].limit == 0.2


def test_shipped_scenarios_have_costs_or_say_so():
    """Every shipped scenario accepts a requirement on its cost or says that it has no costs. [contract]"""
    for path in sorted((Path(__file__).resolve().parents[1] / "scenarios").glob("*.yaml")):
        scenario = read_scenario(path)
        raw = {**scenario.to_dict(), "requirements": [{"of": "cost", "at_most": 1}]}
        if scenario.costs is not None:
            assert Scenario.from_dict(raw).requirements[0].measure.of == "cost"
        else:
            assert "no costs" in str(refused(Scenario.from_dict, raw))


def test_all_mistakes_are_reported_at_once():
    """Each requirement's problems are reported, with their places. [contract]"""
    first, last = {"of": "escaped", "at_most": 7, "policy": "r"}, {"of": "waves", "given": "bad", "at_most": 1}
    error = refused(read, first, {"of": "waves"}, last)
    assert {problem.path[0] for problem in error.problems} == {"requirements"}
    assert [problem.path[1:] for problem in error.problems] == [(0, "at_most"), (0, "policy"), (1,), (2, "given")]


@pytest.mark.parametrize("of", ["waves", "blast_radius", "failed_nodes", "exposed_node_s", "cost", "escaped"])
def test_only_durations_have_durations_as_limits(of):
    """A file and the command line both refuse a duration as the limit of a measure that is none. [contract]"""
    (problem,) = refused(read, {"of": of, "at_most": "5m"}).problems
    assert problem.path == ("requirements", 0, "at_most")
    assert str(problem).startswith(f"requirements[0].at_most: {of} is not a duration (found '5m'); allowed: a number;")
    assert "10m" in problem.allowed
    assert "makespan_s" in problem.allowed
    refused(parse_requirement, f"{of} <= 5m")
    assert [each.path[-1] for each in refused(read, {"of": "nothing", "at_most": "5m"}).problems] == ["of"]
