"""Names of cases: short and unique."""

import every_result
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from simdeploy import estimate, estimate_costs, estimate_regret, pareto_front
from simdeploy.analysis.asking.naming import name_cases
from simdeploy.scenario.parts import Costs

COSTS = Costs(failed_request=0, unavailable_node_hour=0, hour_of_delay=60, false_alarm=0, escape=0)


def cases(**columns):
    size = max(len(column) for column in columns.values())
    return pd.DataFrame({"case": range(size), "policy": "waves", **columns})


def test_two_keys_with_one_end():
    """Keys with the same end are distinguished by as much of their paths as needed. [contract]"""
    made = cases(**{"error_rate": [0.2, 0.3], "scenario.fleet.error_rate": [0.1, 0.2], "health_check.deadline": [5, 6]})
    assert name_cases(made) == [
        "error_rate 0.2, fleet.error_rate 0.1, deadline 5s",
        "error_rate 0.3, fleet.error_rate 0.2, deadline 6s",
    ]


def test_durations_have_a_unit():
    """Keys of durations, which tables have in seconds, are recognised by their path. [contract]"""
    paths = {"scenario.release.bad.after": [0, 600], "health_check.deadline": [90.0, 3600.0], "max_parallel": [60, 600]}
    assert name_cases(cases(**paths)) == [
        "after 0s, deadline 1m30s, max_parallel 60",
        "after 10m, deadline 1h, max_parallel 600",
    ]


def test_equal_values_are_not_named():
    """Values that are the same everywhere are left out; if all are, the policy is the name. [contract]"""
    made = cases(scenario=["a", "b"], max_parallel=[1, 1])
    assert name_cases(made) == ["a", "b"]
    assert name_cases(made, ["case", "policy", "max_parallel"]) == ["waves, case 0", "waves, case 1"]
    assert name_cases(made[:1]) == ["waves"]
    assert name_cases(made[["scenario", "policy"]][:1]) == ["waves"]
    assert name_cases(made[["max_parallel"]][:1]) == ["max_parallel 1"]


def test_rows_of_one_case_have_one_name():
    """A table with several rows for each case, such as one of estimates, names them alike. [contract]"""
    made = cases(max_parallel=[1, 2]).loc[[0, 0, 1, 1]].assign(measure=["x", "y"] * 2)
    names = name_cases(made, ["case", "policy", "max_parallel"])
    assert names == ["max_parallel 1"] * 2 + ["max_parallel 2"] * 2


values = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(0, 1), st.sampled_from(["a", "b"]))


@given(st.lists(st.tuples(values, values), min_size=1, max_size=6))
def test_no_two_cases_have_one_name(rows):
    """For any varied keys, every case has its own name. [property]"""
    first, second = zip(*rows, strict=True)
    made = cases(**{"key": pd.Series(first, dtype=object), "scenario.other.key": pd.Series(second, dtype=object)})
    assert len(set(name_cases(made))) == len(rows)


def test_every_analysis_names_cases_alike():
    """Estimates, costs, fronts and regrets use the same name for a case. [contract]"""
    keys = cases(max_failed_nodes=[1.0, float("nan"), 3.0], auto_promote=[True, False, True]).assign(scenario="s")
    table = keys.loc[[0, 0, 1, 1, 2, 2]].assign(
        replication=[0, 1] * 3,
        makespan_s=[60.0, 70.0, 80.0, 90.0, 100.0, 110.0],
        verdict="completed_good",
        failed_requests_excess=0.0,
        unavailable_excess_node_s=0.0,
        touched_nodes=1,
    )
    names = [
        "max_failed_nodes 1, auto_promote true",
        "max_failed_nodes unset, auto_promote false",
        "max_failed_nodes 3, auto_promote true",
    ]
    tables = (
        estimate(table, "makespan_s").summarize()[0],
        estimate_costs(table, costs=COSTS).summarize()[0],
        estimate_regret(table, of="makespan_s").summarize()[0],
    )
    for each in tables:
        assert sorted(row[0] for row in each.rows) == sorted(names), each.title
    assert names[0] in pareto_front(table, {"makespan_s": "min"}).answer


@pytest.mark.parametrize("name", ["Backtest", "Comparison", "GridSummary", "Tradeoff", "Tuning"])
def test_a_measure_has_one_heading(name):
    """Tables of all commands have the same headings for the same measures. [contract]"""
    headings = {heading for table in every_result.make(name).summarize() for heading in table.header}
    assert {"false alarms of good releases", "escapes of defective releases"} <= headings
    assert not any(heading.endswith((" %", " s", " min")) for heading in headings)
