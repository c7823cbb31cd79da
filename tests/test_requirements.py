"""Requirements: as text and in the file, what they mean, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from simdeploy import Scenario, read_scenario
from simdeploy.errors import InputError
from simdeploy.scenario.measures import (
    EVENTS,
    FRACTIONS,
    NUMBERS,
    PASSED,
    SORTS,
    Measure,
    Requirement,
    parse_amount,
    parse_measure,
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


def test_everything_that_comes_out_of_a_rollout_can_be_measured():
    """Numbers are the responses that are numbers, and costs; events are verdicts, states, sorts, passed canaries. [contract]"""
    assert set(NUMBERS) == {name for name, dtype in RESPONSES.items() if dtype != "str"} | set(COSTS)
    assert set(EVENTS) == {*VERDICTS, *STATES, *SORTS, PASSED}
    assert not set(NUMBERS) & set(EVENTS)


measures = st.one_of(
    st.builds(Measure, st.sampled_from(EVENTS), st.none(), st.sampled_from([None, *EVENTS])),
    st.builds(
        Measure,
        st.sampled_from(NUMBERS),
        st.one_of(st.none(), st.integers(1, 999).map(lambda n: n / 1000)),
        st.sampled_from([None, *EVENTS]),
    ),
)


@given(measures)
def test_a_measure_is_read_as_it_is_written(measure):
    """Text made of a measure is read as that measure. [property]"""
    assert parse_measure(str(measure)) == measure


@given(measures, st.integers(0, 1000).map(lambda n: n / 1000), st.booleans())
def test_a_requirement_is_read_as_it_is_written(measure, limit, is_most):
    """Text made of a requirement is read as that requirement. [property]"""
    requirement = Requirement(measure, limit if is_most else None, None if is_most else limit)
    assert parse_requirement(str(requirement)) == requirement


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
    """A requirement as text is the one that the file states key by key. [contract]"""
    assert parse_requirement(text, ("good", "subtle")) == read(entry)[0]


def test_the_file_has_them_in_order():
    """A scenario's requirements are those of its file, in order, of one policy or of every one. [contract]"""
    found = read({"of": "escaped", "at_most": 0.1}, {"policy": "q", "of": "completed", "at_least": 0.5})
    assert found == (
        Requirement(Measure("escaped"), at_most=0.1),
        Requirement(Measure("completed"), at_least=0.5, policy="q"),
    )
    assert Scenario.from_dict(RAW).requirements == ()


def test_they_can_be_changed():
    """`with_values` reaches into requirements like into any list. [contract]"""
    scenario = Scenario.from_dict({**RAW, "requirements": [{"of": "escaped", "at_most": 0.1}]})
    assert scenario.with_values({"requirements.0.at_most": 0.2}).requirements[0].limit == 0.2


@pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning")  # one of them is suspicious on purpose
def test_shipped_scenarios_say_what_a_requirement_needs():
    """Every shipped scenario reads with a requirement on its cost or says that it has no costs. [contract]"""
    for path in sorted((Path(__file__).resolve().parents[1] / "scenarios").glob("*.yaml")):
        scenario = read_scenario(path)
        raw = {**scenario.to_dict(), "requirements": [{"of": "cost", "at_most": 1}]}
        if scenario.costs is not None:
            assert Scenario.from_dict(raw).requirements[0].measure.of == "cost"
        else:
            with pytest.raises(InputError, match="no costs"):
                Scenario.from_dict(raw)


def test_all_that_is_wrong_is_said_at_once():
    """Each requirement has its problems, with the place of each. [contract]"""
    with pytest.raises(InputError) as caught:
        read(
            {"of": "escaped", "at_most": 7, "policy": "r"},
            {"of": "waves"},
            {"of": "waves", "given": "bad", "at_most": 1},
        )
    paths = [problem.path for problem in caught.value.problems]
    assert paths == [
        ("requirements", 0, "at_most"),
        ("requirements", 0, "policy"),
        ("requirements", 1),
        ("requirements", 2, "given"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a requirement"),
        ("escaped", "<= NUMBER"),
        ("escaped < 1%", "not a requirement"),
        ("escaped <= ", "not an amount"),
        ("escaped <= 1 %%", "not an amount"),
        ("escaped <= nan", "not an amount"),
        ("makespan_s <= inf", "not an amount"),
        ("makespan_s <= 10%", "not an amount"),
        ("waves <= 10m", "not an amount"),
        ("escaped <= 150%", "between 0 and 1"),
        ("escaped <= 5", "0.05 is 5 percent"),
        ("p100 waves <= 5", "not a measure"),
        ("p0 waves <= 5", "above 0 and below 1"),
        ("p95 escaped <= 5%", "no quantiles"),
        ("mean escaped <= 5%", "no mean"),
        ("makespan <= 5m", "did you mean 'makespan_s'"),
        ("escaped given subtel <= 5%", "did you mean 'subtle'"),
        ("escaped given <= 5%", "not a measure"),
    ],
)
def test_bad_text(text, said):
    """What is no requirement is refused in words. [contract]"""
    with pytest.raises(InputError, match=said):
        parse_requirement(text, ("good", "subtle"))


def test_amounts_are_in_the_unit_of_the_measure():
    """A percentage is a fraction, a duration is seconds, and each only where it fits. [contract]"""
    assert parse_amount("2.5%", Measure("blast_radius")) == 0.025
    assert parse_amount("1h30m", Measure("restored_at_s", 0.9)) == 5400
    assert parse_amount("-3", Measure("unavailable_excess_node_s")) == -3
    assert {name for name in NUMBERS if Measure(name).is_fraction} == set(FRACTIONS)
