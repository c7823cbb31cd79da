"""What a sweep tries: keys found by name, combined values, and all problems reported at once."""

import json
from collections import Counter
from itertools import count, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from refusals import refusals
from small import IMMEDIATE, maybe_bad, rolling

from simdeploy.api import read_deployment
from simdeploy.experiments.arguments import find_bases, name_policies, name_scenarios
from simdeploy.experiments.case_table import CaseTable
from simdeploy.experiments.cases import CaseMaker
from simdeploy.experiments.design import LatinHypercube, make_points
from simdeploy.experiments.jobs import Span
from simdeploy.experiments.levers import Lever, find_levers
from simdeploy.experiments.ranges import Range
from simdeploy.scenario import Scenario

SCENARIO = {
    "name": "small",
    "fleet": {
        "nodes": 20,
        "requests_per_second": 10,
        "update_duration": {"lognormal": {"median": "30s", "p95": "60s"}},
        "classes": [{"name": "arm", "share": 0.5, "update_duration": 40}],
        "start_failure": 0.05,
    },
    "release": maybe_bad(),
    "policies": {
        "waves": {"strategy": "rolling", "max_parallel": 5, "health_check": {"deadline": "5m"}},
        "newer": rolling(25, dialect="rollout", health_check={"deadline": "5m", "interval": "10s"}),
        "at-once": IMMEDIATE,
    },
}


@pytest.fixture(scope="module")
def scenario():
    return Scenario.from_dict(SCENARIO)


def find(scenario, *names, policies=("waves",)):
    """Find levers and return them by name."""
    return find_levers(names, [scenario], [scenario.policy(policy).spec for policy in policies])


def cases(scenario, policy="waves", design="grid", seed=0, **vary):
    """Make the cases of a sweep; two underscores stand for a dot."""
    asked = {name.replace("__", "."): values for name, values in vary.items()}
    scenarios, policies = name_scenarios(scenario), name_policies(policy)
    bases = find_bases(scenarios, policies)
    levers = find_levers(asked, list(scenarios.values()), [base.spec for base in bases.values()])
    points = make_points(levers, list(asked.values()), design, seed=seed)
    table = CaseTable(tuple(scenarios), tuple(policies), points, is_weighted=False)
    return CaseMaker(table, scenarios, bases, 0, "reference").make(range(len(table)))


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "full", "kind"),
    [
        ("max_failed_nodes", "max_failed_nodes", "whole"),
        ("max_error_rate", "health_check.max_error_rate", "number"),
        ("health_check.min_healthy_time", "health_check.min_healthy_time", "duration"),
        ("auto_promote", "auto_promote", "truth"),
        ("strategy", "strategy", "other"),
        ("scenario.fleet.nodes", "scenario.fleet.nodes", "whole"),
        ("start_failure", "scenario.fleet.start_failure", "number"),
        ("bad.error_rate", "scenario.release.bad.error_rate", "number"),
        ("scenario.fleet.update_duration.lognormal.median", None, "duration"),
        ("scenario.fleet.classes.arm.update_duration", None, "duration"),
        ("scenario.fleet.classes.0.update_duration", None, "duration"),
        ("scenario.orchestrator.minimum_sample", None, "whole"),
        ("pacing", "scenario.orchestrator.pacing", "other"),
        ("window_reset", "scenario.orchestrator.window_reset", "truth"),
        ("scenario.release.good.crash_rate", None, "number"),
    ],
)
def test_keys_are_found(scenario, name, full, kind):
    """A full path, or a unique end of one, is the key with its kind from the schema. [contract]"""
    assert find(scenario, name) == (Lever(full or name, kind),)


def test_keys_of_each_dialect(scenario):
    """Each dialect has its own keys, and several policies have the keys of all. [contract]"""
    (lever,) = find(scenario, "success_threshold", policies=["newer"])
    assert lever == Lever("health_check.success_threshold", "whole")
    assert "no such key to vary" in refusals(find, scenario, "success_threshold")[0]
    assert len(find(scenario, "success_threshold", "min_healthy_time", policies=["waves", "newer"])) == 2


def test_stated_keys_come_first(scenario):
    """An end of a path is looked up among stated keys before defaults; ambiguous ones list all matches. [contract]"""
    stated = scenario.with_values({"release.bad.start_failure": 0.1})
    assert refusals(find, stated, "start_failure") == [
        ("start_failure: ambiguous key; allowed: scenario.fleet.start_failure, scenario.release.bad.start_failure")
    ]
    assert find(stated, "fleet.start_failure")[0].name == "scenario.fleet.start_failure"


def test_unknown_keys_suggest_the_nearest(scenario):
    """All unknown keys are reported, each with the key that was probably meant. [contract]"""
    misspelt = ("max_eror_rate", "scenario.fleet.nods")
    misplaced = ("scenario.policies.waves.max_parallel", "max_parallel", "max_parallel", "scenario.name")
    assert refusals(find, scenario, *misspelt, *misplaced) == [
        "max_eror_rate: no such key to vary; did you mean 'max_error_rate'?",
        "scenario.fleet.nods: no such key to vary; did you mean 'scenario.fleet.nodes'?",
        (
            "scenario.policies.waves.max_parallel: this key can't be varied; "
            "policy keys have no prefix: max_failed_nodes"
        ),
        "max_parallel: duplicate key (found max_parallel)",
        "scenario.name: this key can't be varied",
    ]


# -- points ------------------------------------------------------------------------------------------------------------

WHOLE, NUMBER, DURATION, OTHER = (
    Lever("max_failed_nodes", "whole"),
    Lever("health_check.max_error_rate", "number"),
    Lever("health_check.deadline", "duration"),
    Lever("strategy", "other"),
)


def values(points):
    """Return the points as tuples."""
    return [tuple(points.point(number).values()) for number in range(len(points))]


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=3))
def test_a_grid_is_the_product(lists):
    """A grid has every combination, the last lever changing fastest. [property]"""
    levers = [Lever(f"key{number}", "whole") for number in range(len(lists))]
    assert values(make_points(levers, lists, "grid", seed=0)) == list(product(*lists))


def test_a_list_design_pairs_values():
    """The n-th values of all lists belong together; unequal lengths are reported. [contract]"""
    points = make_points([WHOLE, NUMBER], [[1, 2, 3], [0.1, 0.2, 0.3]], "list", seed=0)
    assert values(points) == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert refusals(make_points, [WHOLE, NUMBER], [[1, 2, 3], [0.1]], "list", seed=0) == [
        ("vary: design list needs lists of equal length (found max_failed_nodes: 3, health_check.max_error_rate: 1)")
    ]


def test_values_may_be_any_sequence_of_plain_values():
    """Ranges and arrays work like lists; numpy's 3.0 for a whole number is 3. [contract]"""
    asked = [np.linspace(0, 4, 3), pd.Series([0.5, 1.0])]
    points = make_points([WHOLE, NUMBER], asked, "grid", seed=0)
    assert points.values == ((0, 2, 4), (0.5, 1.0))
    assert all(type(value) is int for value in points.values[0])
    assert json.loads(json.dumps(points.asked)) == [[0, 2, 4], [0.5, 1.0]]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("0.1", "not a list of values (found '0.1'); allowed: a list, a range or an array"),
        (0.1, "not a list of values (found 0.1); allowed: a list, a range or an array"),
        ([], "no values; allowed: at least one"),
        ([float("nan")], "not a finite number (found nan)"),
    ],
)
def test_invalid_lists_of_values(asked, message):
    """Anything but a list of valid values is reported with its key. [contract]"""
    assert refusals(make_points, [NUMBER], [asked], "grid", seed=0) == [f"health_check.max_error_rate: {message}"]


def test_invalid_designs():
    """Unknown designs, hypercubes without points and more than a million cases are refused. [contract]"""
    assert refusals(make_points, [NUMBER], [[0.1]], "gird", seed=0) == [
        "design: unknown design (found 'gird'); allowed: \"grid\", \"list\" or LatinHypercube(n); did you mean 'grid'?"
    ]
    empty = refusals(make_points, [NUMBER], [(0, 1)], LatinHypercube(0), seed=0)
    assert "design: invalid Latin hypercube (found 0)" in empty[0]
    many = [range(1001), np.linspace(0, 1, 1000)]
    assert refusals(make_points, [WHOLE, NUMBER], many, "grid", seed=0) == [
        "vary: too many cases (found 1,001,000); allowed: up to 1,000,000"
    ]


@given(st.integers(0, 2**64 - 1), st.integers(1, 40))
def test_a_latin_hypercube_meets_each_part_once(seed, n):
    """Each of n equal parts of a range has one point; whole numbers and choices are as even as possible. [property]"""
    levers, asked = [NUMBER, WHOLE, OTHER, DURATION], [(0.5, 1.0), (3, 6), ["a", "b"], ("10s", 20)]
    points = make_points(levers, asked, LatinHypercube(n), seed=seed)
    rates, nodes, words, seconds = zip(*values(points), strict=True)
    assert sorted(int((rate - 0.5) * 2 * n) for rate in rates) == list(range(n))
    assert sorted(int((second - 10) / 10 * n) for second in seconds) == list(range(n))
    for found, size in ((nodes, 4), (words, 2)):
        counts = Counter(found)
        assert set(counts) <= ({3, 4, 5, 6} if found is nodes else {"a", "b"})
        # A stratum may contain the border between two values.
        assert all(abs(counts[value] - n / size) <= 2 for value in counts)
    assert all(type(value) is int for value in nodes)


def test_a_latin_hypercube_is_fixed_by_its_seed():
    """The same seed gives the same points, another seed others. [contract]"""
    first, again, other = (make_points([NUMBER], [(0, 1)], LatinHypercube(9), seed=seed) for seed in (1, 1, 2))
    assert values(first) == values(again) != values(other)


def test_invalid_ranges():
    """Unordered or reversed ranges are reported; two values of a list are two choices. [contract]"""
    levers = [OTHER, NUMBER, WHOLE]
    problems = refusals(make_points, levers, [("a", "b"), (0.2, 0.1), (0.5, 3)], LatinHypercube(3), seed=0)
    assert problems == [
        (
            "strategy: invalid range (found ('a', 'b')); allowed: two numbers, lowest first; "
            "write a list for separate values"
        ),
        "health_check.max_error_rate: invalid range (found (0.2, 0.1)); allowed: the lowest value first",
        (
            "max_failed_nodes: invalid range (found (0.5, 3)); allowed: two whole numbers, lowest first; "
            "write a list for separate values"
        ),
    ]
    assert set(values(make_points([NUMBER], [[0.1, 0.2]], LatinHypercube(8), seed=0))) == {(0.1,), (0.2,)}


# -- cases -------------------------------------------------------------------------------------------------------------


def test_cases_are_numbered_by_scenario_policy_and_point(scenario):
    """Scenarios come first, then policies, then points; names and values stand in columns with their full paths. [contract]"""
    scenarios = {"a": scenario, "b": scenario.with_values({"fleet.nodes": 10})}
    made = cases(scenarios, ["waves", "newer"], max_failed_nodes=[1, 2])
    frame = made.table.to_frame()
    assert list(frame) == ["case", "scenario", "policy", "max_failed_nodes"]
    expected = [(number, *rest) for number, rest in enumerate(product("ab", ["waves", "newer"], [1, 2]))]
    assert list(frame.itertuples(index=False, name=None)) == expected
    assert len(made.job.groups) == 2


def test_policies_on_one_scenario_are_one_group(scenario):
    """Variants of policies are tried together; each combination of scenario factors is a group. [contract]"""
    made = cases(scenario, ["waves", "newer"], max_failed_nodes=range(5), start_failure=[0.0, 0.1])
    assert [len(group.policies) for group in made.job.groups] == [10, 10]
    assert [group.scenario.fleet.behaviour.start_failure.mean for group in made.job.groups] == [0.0, 0.1]
    assert [policy.policy.max_failed_nodes for policy in made.job.groups[0].policies] == [*range(5), *range(5)]


def test_equal_cases_are_simulated_once(scenario):
    """Equal worlds and equal policies are merged, however they are written, and every case keeps its result. [contract]"""
    other = scenario.with_values({"name": "other", "fleet.update_duration.lognormal.median": 30})
    made = cases([scenario, other], ["waves"], min_healthy_time=["30s", 30, 20], canary_count=[None, 0])
    assert [len(group.policies) for group in made.job.groups] == [2]
    assert made.place.tolist() == [0, 0, 0, 0, 1, 1] * 2
    assert made.within(Span(0, 1, 1, 0, 1), made.numbers).tolist() == [4, 5, 10, 11]


def test_values_reach_the_rules(scenario):
    """Each case's policy and scenario have the varied values. [contract]"""
    made = cases(
        scenario,
        "waves",
        "list",
        max_parallel=[3, 4],
        health_check__deadline=["2m", 240],
        scenario__fleet__classes__arm__share=[0.1, 0.2],
        scenario__orchestrator__pacing=["sliding", "rate"],
        scenario__release__bad__error_rate=[0.1, 0.2],
    )
    for number, group in enumerate(made.job.groups):
        (policy,), world = (policy.policy for policy in group.policies), group.scenario
        assert (policy.max_parallel, policy.deadline_ns) == (3 + number, (120 + 120 * number) * 10**9)
        assert (float(world.fleet.classes[0].share), world.release[1].error_rate) == ([0.1, 0.2][number],) * 2
        assert world.orchestrator.pacing == ["sliding", "rate"][number]
    assert made.table.to_frame()["health_check.deadline"].tolist() == [120.0, 240.0]


def test_a_number_for_a_duration_is_seconds_in_both_dialects(scenario):
    """60 is a minute in a policy of either dialect; nanoseconds occur only in JSON. [contract]"""
    made = cases(scenario, ["waves", "newer"], deadline=[60.5, "1m"])
    assert [policy.policy.deadline_ns for policy in made.job.groups[0].policies] == [60_500_000_000, 60 * 10**9] * 2


@pytest.mark.parametrize(
    ("key", "asked", "dtype", "shown"),
    [
        ("max_failed_nodes", [1, 2], "int64", [1, 2]),
        ("max_failed_nodes", [1, None], "Int64", [1, pd.NA]),
        ("max_error_rate", [0.5, 1], "float64", [0.5, 1.0]),
        ("min_healthy_time", ["1m", 2.5], "float64", [60.0, 2.5]),
        ("no_auto_rollback", [True, False], "bool", [True, False]),
        ("on_failure", ["stop", "pause"], "str", ["stop", "pause"]),
        ("scenario.fleet.update_duration", [30, {"constant": 40}], "str", ["30", '{"constant": 40}']),
    ],
)
def test_columns_have_the_types_of_their_keys(scenario, key, asked, dtype, shown):
    """Numbers are numbers, durations seconds, switches words, unset values missing, distributions JSON. [contract]"""
    column = cases(scenario, **{key.replace(".", "__"): asked}).table.to_frame().iloc[:, -1]
    assert column.dtype == dtype
    assert all(found is expected or found == expected for found, expected in zip(column, shown, strict=True))


def test_every_invalid_value_is_reported_at_once(scenario):
    """Each invalid value is reported once with the allowed ones, in policy and scenario alike. [contract]"""
    of_policy = {"max_failed_nodes": [0, 1.5, -1], "max_error_rate": [0.1, 10]}
    problems = refusals(cases, scenario, **of_policy, start_failure=[0.1, 2, "often"], pacing=["barier", "sliding"])
    assert sorted(problems) == [
        ("health_check.max_error_rate: too large (found 10); allowed: a fraction from 0 to 1; write 0.1 for 10 %"),
        "max_failed_nodes: negative (found -1); allowed: a whole number from 0 to 10,000,000",
        "max_failed_nodes: not a whole number (found 1.5); allowed: a whole number from 0 to 10,000,000",
        "scenario.fleet.start_failure: not a number (found 'often'); allowed: a number from 0 to 1",
        "scenario.fleet.start_failure: too large (found 2); allowed: a number from 0 to 1; write 0.02 for 2 %",
        (
            "scenario.orchestrator.pacing: unknown value (found 'barier'); "
            "allowed: barrier, sliding, rate; did you mean 'barrier'?"
        ),
    ]


def test_contradictory_values_are_reported_with_their_case(scenario):
    """A contradiction states the number of cases, and the values of the first. [contract]"""
    problems = refusals(cases, scenario, deadline=["1m", "5m"], min_healthy_time=[30, 119.99999999999999, 600])
    assert problems[0] == (
        "health_check.deadline: no node can become healthy in time: min_healthy_time needs 12 windows of 10s = 2m "
        "(found 1m); allowed: a deadline of at least 2m; "
        "in 1 of 6 cases, first: health_check.deadline=1m, health_check.min_healthy_time=120"
    )
    assert "(found 1m, 5m); " in problems[1]
    assert problems[1].endswith("; in 2 of 6 cases, first: health_check.deadline=1m, health_check.min_healthy_time=600")
    assert len(problems) == 2
    assert cases(scenario, "waves", "list", deadline=["1m", "20m"], min_healthy_time=[30, 600])


def test_probabilities_above_1_are_one_problem():
    """Probabilities of kinds that are varied together say what they sum to, whatever the others of the file are. [contract]"""
    bad = {"probability": 0.15, "defective": True}
    release = {"good": {"probability": 0.7}, "bad": bad, "worse": bad}
    scenario = Scenario.from_dict({**SCENARIO, "release": release})
    vary = {f"scenario.release.{kind}.probability": [0.3, 0.6, 0.8] for kind in ("bad", "worse")}
    (problems,) = refusals(cases, scenario, **vary)
    assert problems == (
        "scenario.release: the probabilities of the kinds must sum to 1 (found 1.1, 1.2, 1.4 and 1 more); in 6 of 9 cases, "
        "first: scenario.release.bad.probability=0.3, scenario.release.worse.probability=0.8"
    )
    (problems,) = refusals(cases, scenario, "waves", "list", **vary)
    assert "(found 1.2, 1.6); in 2 of 3 cases, first: scenario.release.bad.probability=0.6" in problems


def test_a_long_list_of_problems_is_cut(scenario):
    """A hundred problems are listed, and the rest is counted. [contract]"""
    problems = refusals(cases, scenario, max_failed_nodes=range(-150, 0))
    assert len(problems) == 101
    assert problems[-1] == "and 50 more problems"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([range(10**12)], "vary: too many cases (found 1,000,000,000,000); allowed: up to 1,000,000"),
        ([range(10**30)], "vary: too many cases (found 9,223,372,036,854,775,807); allowed: up to 1,000,000"),
        ([range(10**6), range(10**6)], "vary: too many cases (found 1,000,000,000,000); allowed: up to 1,000,000"),
        ([count()], "max_failed_nodes: too many values (found 1,000,001 or more); allowed: up to 1,000,000"),
    ],
)
def test_too_many_values_are_refused_unread(values, message):
    """Too many values are refused with their number, of which at most a million and one are read. [contract]"""
    levers = [Lever("max_failed_nodes", "whole"), Lever("canary_count", "whole")][: len(values)]
    assert refusals(make_points, levers, values, "grid", seed=0) == [message]


@pytest.mark.parametrize("design", ["list", LatinHypercube(3)])
def test_long_lists_in_other_designs(design):
    """A trillion values are refused in other designs, too. [contract]"""
    problems = refusals(make_points, [Lever("max_failed_nodes", "whole")], [range(10**12)], design, seed=0)
    assert problems == ["max_failed_nodes: too many values (found 1,000,000,000,000 or more); allowed: up to 1,000,000"]


@pytest.mark.parametrize(
    ("spread", "message"),
    [
        (Range(0, 10**300), "end of range too large"),
        (Range(-(10**20), 0), "end of range too large"),
        (Range(-1e308, 1e308), "end of range too large"),
        (Range(1e-320, 1, log=True), "invalid logarithmic range"),
    ],
)
def test_ranges_that_no_table_holds(spread, message):
    """A range beyond a column's type or a float is refused before anything is drawn. [contract]"""
    lever = Lever("scenario.fleet.start_failure", "number")
    assert message in refusals(make_points, [lever], [spread], LatinHypercube(3), seed=0)[0]


def test_only_tried_values_are_checked(scenario):
    """A factor may contradict a policy's own values if it doesn't contradict the varied ones. [contract]"""
    tried = {"scenario__health__interval": ["6m"], "deadline": ["20m"], "min_healthy_time": ["7m"]}
    made = cases(scenario, "waves", "list", **tried)
    assert made.job.groups[0].policies[0].policy.windows_needed == 2
    assert "no node can become healthy" in refusals(cases, scenario, scenario__health__interval=["6m"])[0]


def test_warnings_are_given_once(scenario):
    """A suspicious value of several cases is reported once. [contract]"""
    made = cases(scenario, max_failed_nodes=[5, 30], max_error_rate=[0.1, 0.2])
    assert made.checked.warnings == ("max_failed_nodes: can never stop a rollout of 20 nodes (found 30)",)


def test_several_scenarios_and_policies_need_names():
    """Names come from the scenario, the policy, or the mapping; duplicates are refused. [contract]"""
    one = Scenario.from_dict(SCENARIO)
    assert list(name_scenarios([one])) == ["small"]
    assert list(name_scenarios({"x": one, "y": one})) == ["x", "y"]
    assert "duplicate name (found 'small')" in refusals(name_scenarios, [one, one])[0]
    assert refusals(name_scenarios, []) == ["scenario: no scenario"]
    assert "not a scenario or the path" in refusals(name_scenarios, [3])[0]
    assert list(name_policies("waves")) == ["waves"]
    assert list(name_policies(["waves", IMMEDIATE])) == ["waves", "immediate"]
    assert list(name_policies(IMMEDIATE)) == ["immediate"]
    assert list(name_policies({"a": IMMEDIATE, "b": "waves"})) == ["a", "b"]
    assert list(name_policies(["x/best.yaml", "last.yaml"], known=["last.yaml"])) == ["best", "last.yaml"]
    assert "duplicate name (found 'immediate')" in refusals(name_policies, [IMMEDIATE, IMMEDIATE])[0]
    assert refusals(name_policies, []) == ["policies: no policy"]
    assert "no such policy (found 'wave')" in refusals(find_bases, {"small": one}, {"wave": "wave"})[0]


def test_a_policy_from_json_keeps_its_identity(scenario, tmp_path):
    """Type and ids of a deployment in JSON are kept, whatever is varied. [contract]"""
    spec = {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}}
    (tmp_path / "ours.json").write_text(json.dumps({"deployment": {"id": "d-7", "type": "restart", "spec": spec}}))
    document = read_deployment(tmp_path / "ours.json")
    made = cases(scenario, {"ours": document}, max_parallel=[1, 2], scenario__deployment__namespace=["x"])
    policies = made.job.groups[0].policies
    assert [policy.identity.type for policy in policies] == ["restart", "restart"]
    assert {policy.identity.namespace for policy in policies} == {"x"}
    assert [policy.policy.max_parallel for policy in policies] == [1, 2]
