"""The grammar of measures and requirements: written forms are read back, and mistakes are reported."""

import pytest
from hypothesis import given, strategies as st
from refusals import refused
from small import small

from simdeploy.analysis.asking.naming import LABELS
from simdeploy.analysis.asking.requirements import read_measure
from simdeploy.errors import InputError
from simdeploy.scenario.measures import (
    EVENTS,
    NUMBERS,
    Measure,
    Requirement,
    parse_amount,
    parse_measure,
    parse_requirement,
)

SUBTLE = small(release={"good": {"probability": 0.9}, "subtle": {"probability": 0.1, "defective": True}})
CONDITIONS = st.none() | st.sampled_from([*EVENTS, "subtle", "half broken"])
# A thousandth is fine enough.
QUANTILES = st.none() | st.integers(1, 999).map(lambda thousandths: thousandths / 1000)
MEASURES = st.builds(Measure, st.sampled_from(NUMBERS), QUANTILES, CONDITIONS) | st.builds(
    Measure, st.sampled_from(EVENTS), st.none(), CONDITIONS
)


@given(MEASURES)
def test_a_measure_is_read_as_it_is_written(measure):
    """Every measure is read back from its text, quantiles to the last bit. [property]"""
    assert parse_measure(str(measure)) == measure


@given(MEASURES, st.integers(0, 1000), st.booleans())
def test_a_requirement_is_read_as_it_is_written(measure, thousandths, is_most):
    """Every requirement is read back from its text. [property]"""
    limit = thousandths / 1000
    requirement = Requirement(measure, limit if is_most else None, None if is_most else limit)
    assert parse_requirement(str(requirement)) == requirement
    assert requirement.limit == limit


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        ("makespan_s", Measure("makespan_s")),
        ("mean makespan_s", Measure("makespan_s")),
        ("  p95   blast_radius given   defective ", Measure("blast_radius", 0.95, "defective")),
        ("p99.9 cost", Measure("cost", 0.999)),
        ("p5 min_in_service_fraction", Measure("min_in_service_fraction", 0.05)),
        ("defective given passed_canary", Measure("defective", None, "passed_canary")),
        ("false_alarm given a kind", Measure("false_alarm", None, "a kind")),
    ],
)
def test_measures_as_people_write_them(text, measure):
    """Blanks don't matter, ``mean`` is optional, and a kind's name may have blanks. [contract]"""
    assert parse_measure(text) == measure


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid measure"),
        ("the makespan_s", "invalid measure (found 'the makespan_s'); allowed: [mean | p95] NAME [given WHAT]"),
        ("makespan", "makespan: unknown measure (found 'makespan'); did you mean 'makespan_s'?"),
        ("zzz", "zzz: unknown measure (found 'zzz'); allowed: a response (makespan_s,"),
        ("p0 makespan_s", "p0 makespan_s: invalid quantile (found '0')"),
        ("p100 waves", "invalid measure"),
        ("p95 escaped", "p95 escaped: an event has no quantiles, only a rate"),
        ("mean escaped", "mean escaped: an event has no mean, only a rate"),
        ("escaped given", "invalid measure"),
        ("escaped given subtel", "escaped given subtel: unknown condition (found 'subtel'); allowed: completed"),
    ],
)
def test_invalid_measures(text, message):
    """An invalid measure is reported with the allowed ones, or the probable one. [contract]"""
    error = refused(read_measure, text, SUBTLE, ["update"])
    assert str(error).replace("(found 0)", "(found '0')").startswith(message)


def test_kinds_of_conditions():
    """With the scenario's kinds only these can be conditions, each listed once, without them any name. [contract]"""
    assert parse_measure("escaped given subtel").given == "subtel"
    assert read_measure("escaped given subtle", SUBTLE, ["update"]).given == "subtle"
    with pytest.raises(InputError, match="did you mean 'subtle'"):
        read_measure("escaped given subtel", SUBTLE, ["update"])
    problem = refused(read_measure, "escaped given goood", SUBTLE, ["update"]).problems[0]
    assert problem.allowed.split(", ").count("good") == 1


@pytest.mark.parametrize(
    ("measure", "text", "value"),
    [
        ("makespan_s", "600", 600.0),
        ("makespan_s", "10m", 600.0),
        ("p95 stopped_at_s", "1h30m", 5400.0),
        ("p90 restored_at_s", "1h30m", 5400.0),
        ("blast_radius", "2.5%", 0.025),
        ("unavailable_excess_node_s", "-3", -3.0),
        ("escaped", "1%", 0.01),
        ("escaped", " 0.7 % ", 0.007),
        ("blast_radius", "0.25", 0.25),
        ("cost", "-3e2", -300.0),
    ],
)
def test_amounts(measure, text, value):
    """Times may be durations, fractions percentages; anything may be a number. [contract]"""
    assert parse_amount(text, parse_measure(measure)) == value


@pytest.mark.parametrize(
    ("measure", "text"),
    [
        ("makespan_s", "10%"),
        ("makespan_s", "ten"),
        ("escaped", "1s"),
        ("cost", "10m"),
        ("escaped", "1/0%"),
        ("escaped", "1e999999999%"),
        ("escaped", "snan%"),
        ("cost", "inf"),
        ("cost", "nan"),
        ("waves", ""),
        ("waves", "10m"),
        ("makespan_s", "inf"),
        ("escaped", "1 %%"),
        ("escaped", "nan"),
    ],
)
def test_invalid_amounts(measure, text):
    """A unit that doesn't suit the measure, and infinities, are refused. [contract]"""
    with pytest.raises(InputError, match="invalid amount"):
        parse_amount(text, parse_measure(measure))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid requirement"),
        ("makespan_s", "invalid requirement"),
        ("makespan_s < 10m", "invalid requirement"),
        ("escaped <= ", "escaped: invalid amount"),
        ("escaped given <= 5%", "invalid measure"),
        ("escaped <= 150%", "escaped <= 150%: escaped is between 0 and 1"),
        ("escaped <= 5", "escaped <= 5: escaped is between 0 and 1 (found 5); allowed: a fraction such as"),
        ("escaped >= 200", "escaped >= 200: escaped is between 0 and 1"),
        ("escapd <= 1%", "escapd: unknown measure"),
        ("makespan_s <= soon", "makespan_s: invalid amount (found 'soon')"),
    ],
)
def test_invalid_requirements(text, message):
    """An invalid requirement is reported with its wrong part. [contract]"""
    assert str(refused(parse_requirement, text)).startswith(message)


def test_kind_and_unit_of_a_measure():
    """Kind and unit follow from the measured quantity. [contract]"""
    texts = ("makespan_s", "p50 blast_radius", "escaped", "cost", "p5 restored_at_s")
    found = [(m.kind, m.is_fraction, m.is_duration) for m in map(parse_measure, texts)]
    assert found == [
        ("mean", False, True),
        ("quantile", True, False),
        ("rate", True, False),
        ("mean", False, False),
        ("quantile", False, True),
    ]


def test_labels_have_the_unit_of_the_measure():
    """Exactly the measures read as fractions or durations are shown as such. [contract]"""
    measures = {name: Measure(name) for name in NUMBERS}
    units = {name: "s" if one.is_duration else "fraction" if one.is_fraction else "" for name, one in measures.items()}
    assert {name: unit for name, (_, unit) in LABELS.items()} == units
