"""From tables to values: the same wherever replications are stored, and as the measures are defined."""

import math

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from small import rolling, small

from simdeploy.analysis.asking.measuring import Values, read_measures
from simdeploy.errors import InputError
from simdeploy.experiments import read_store, replicate
from simdeploy.experiments.batches import batch_name, join_batches, read_batches
from simdeploy.experiments.gathering import gather
from simdeploy.experiments.sweep import sweep
from simdeploy.scenario.parts import Costs
from simdeploy.vocabulary import CAUSES

COSTS = Costs(failed_request=0.5, unavailable_node_hour=36, hour_of_delay=7200, false_alarm=150, escape=1000)
MEASURES = (
    "makespan_s",
    "p90 blast_radius given defective",
    "waves given good",
    "false_alarm given good",
    "escaped given bad",
    "defective given passed_canary",
    "failed",
    "stopped_at_s given failed",
    "cost",
    "cost_delay given escaped",
)
WATCHED = {"strategy": "canary", "canary_count": 2, "auto_promote": True, "health_check": {"deadline": "5m"}}
POLICIES = {"p": rolling(4, max_failed_nodes=1), "c": WATCHED}
# A key of the scenario, so that a store's parts aren't in the order of the cases.
VARY = {"max_failed_nodes": [1, 3], "canary_percent": [None, 0], "scenario.fleet.start_failure": [0.05, 0.2]}


@pytest.fixture(scope="module")
def scenario():
    release = {"fine": {"probability": 0.6}, "bad": {"probability": 0.4, "defective": True, "start_failure": 0.3}}
    return small({"nodes": 8, "requests_per_second": 5}, release=release, policies=POLICIES)


@pytest.fixture(scope="module")
def swept(scenario):
    return sweep(scenario, ["p", "c"], vary=VARY, replications=40, engine="compiled")


def assert_same(found, expected):
    """Assert that two sets of values are equal, by case."""
    pd.testing.assert_frame_equal(found.cases, expected.cases)
    assert found.replications.tolist() == expected.replications.tolist()
    assert (found.is_ok == expected.is_ok).all()
    for measure in expected.measures:
        np.testing.assert_array_equal(found.of(measure), expected.of(measure), err_msg=str(measure))


# -- wherever they are -------------------------------------------------------------------------------------------------


def test_the_same_from_memory_store_and_frame(scenario, swept, tmp_path):
    """A result in memory, its folder, and its table in any order or from Parquet have the same values. [property]"""
    expected = Values(swept, MEASURES, costs=COSTS)
    sweep(scenario, ["p", "c"], vary=VARY, replications=40, engine="compiled", store=tmp_path / "kept")
    frame = swept.to_frame()
    frame.to_parquet(tmp_path / "t.parquet")
    shuffled = frame.sample(frac=1, random_state=1)
    for table in (read_store(tmp_path / "kept"), frame, shuffled, pd.read_parquet(tmp_path / "t.parquet")):
        assert_same(Values(table, MEASURES, costs=COSTS), expected)


def test_the_same_in_batches(scenario, swept, tmp_path):
    """Sweeps over consecutive replications equal one sweep when joined, in memory and in folders. [property]"""
    spans, expected = (range(10), range(10, 40)), Values(swept, MEASURES, costs=COSTS)

    def take(k, store):
        return sweep(scenario, ["p", "c"], vary=VARY, replications=spans[k], engine="compiled", store=store)

    in_memory = join_batches([take(k, None) for k in (0, 1)], store=None)
    stored = join_batches([take(k, tmp_path / batch_name(k)) for k in (0, 1)], store=tmp_path)
    for joined in (in_memory, stored):
        pd.testing.assert_frame_equal(joined.to_frame(), swept.to_frame())
        assert joined.attrs == swept.attrs
    for table in (in_memory, stored, read_batches(tmp_path)):
        assert_same(Values(table, MEASURES, costs=COSTS), expected)
    assert len(read_batches(tmp_path)) == len(swept.to_frame())
    with pytest.raises(InputError, match="no batch"):
        read_batches(tmp_path / "batch-00")


def test_the_same_from_replicate(scenario):
    """The table of `replicate` has the values of the same policies in a sweep. [property]"""
    table = replicate(scenario, replications=range(5, 30), engine="compiled")
    found = Values(table, MEASURES, costs=COSTS)
    result = sweep(scenario, list(POLICIES), replications=range(5, 30), engine="compiled")
    expected = Values(result, MEASURES, costs=COSTS)
    assert found.replications.tolist() == list(range(5, 30))
    assert found.cases["policy"].tolist() == expected.cases["policy"].tolist()
    for measure in expected.measures:
        np.testing.assert_array_equal(found.of(measure), expected.of(measure))


def test_missing_replications_have_no_value():
    """Missing and failed replications of a policy are NaN and not ok. [contract]"""
    table = pd.DataFrame(
        {
            "policy": ["a", "a", "b"],
            "replication": [3, 5, 4],
            "waves": pd.array([1, None, 2], dtype="Int64"),
            "verdict": ["escaped", None, None],
            "status": ["ok", "failed", "ok"],
        }
    )
    values = Values(table, ["waves", "escaped"])
    assert values.replications.tolist() == [3, 4, 5]
    assert values.is_ok.tolist() == [[True, False, False], [False, True, False]]
    np.testing.assert_array_equal(values.of(values.measures[0]), [[1, np.nan, np.nan], [np.nan, 2, np.nan]])
    np.testing.assert_array_equal(values.of(values.measures[1]), [[1, np.nan, np.nan], [np.nan] * 3])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"policies": ["a"], "replication": [0]},
            r"policy: a table of replications needs this column; did you mean 'pol",
        ),
        ({"policy": ["a"], "replication": [0]}, "makespan_s: a table of replications needs this column"),
        ({"policy": [], "replication": [], "makespan_s": []}, "the table of replications is empty"),
        (
            {"policy": ["a"] * 2, "replication": [1, 1], "makespan_s": [1.0] * 2},
            "duplicate replication .*'a', replication 1",
        ),
        (
            {"policy": ["a", "b"], "scenario": ["s", "t"], "replication": [0, 0], "makespan_s": [1.0] * 2},
            "needs a single scenario",
        ),
        (
            {"case": [1, 1], "policy": ["a"] * 2, "replication": [0, 0], "makespan_s": [1.0] * 2},
            "case 1, replication 0",
        ),
    ],
)
def test_invalid_tables_of_replications(columns, message):
    """A missing column, no rows, a repeated replication and mixed scenarios are refused. [contract]"""
    with pytest.raises(InputError, match=message):
        gather(pd.DataFrame(columns), ["makespan_s"])


# -- what the values are -----------------------------------------------------------------------------------------------

TABLE = pd.DataFrame(
    {
        "policy": ["a"] * 6,
        "replication": range(6),
        "release": ["fine", "fine", "bad", "bad", "bad", "new"],
        "verdict": ["completed_good", "false_alarm", "escaped", "stopped_defective", None, None],
        "state": ["completed", "failed", "completed", "failed", "paused", "paused"],
        "waves": pd.array([1, 1, 3, 1, 2, 1], dtype="Int64"),
        "makespan_s": [60.0, 120.0, 180.0, 240.0, np.nan, np.nan],
        "failed_requests_excess": [0.0, 2.0, 400.0, 10.0, 7.0, 0.0],
        "unavailable_node_s": [9e9] * 6,
        "unavailable_excess_node_s": [100.0, 200.0, 300.0, 400.0, np.nan, np.nan],
        "shed_requests_excess": [0.0, 8.0, 0.0, 0.0, np.nan, np.nan],
    }
)


def values_of(text, **options):
    """Return the values of a measure in the table above."""
    values = Values(TABLE, [text], **options)
    return values.of(values.measures[0])[0].tolist()


def same(values, expected):
    return np.array_equal(values, expected, equal_nan=True)


def test_events_by_hand():
    """Verdicts are known if there is one, states always; a completed rollout of one wave has passed its canaries. [contract]"""
    nan = math.nan
    assert same(values_of("escaped"), [0, 0, 1, 0, nan, nan])
    assert same(values_of("failed"), [0, 1, 0, 1, 0, 0])
    assert same(values_of("passed_canary"), [1, 0, 1, 0, 1, 0])


def test_kinds_determine_whether_releases_are_defective():
    """A rollout without a verdict is defective if others of its kind were; unknown if its kind never had one. [contract]"""
    nan = math.nan
    assert same(values_of("defective"), [0, 0, 1, 1, 1, nan])
    assert same(values_of("good"), [1, 1, 0, 0, 0, nan])
    assert same(values_of("waves given bad"), [nan, nan, 3, 1, 2, nan])


def test_conditions_select():
    """Conditions select rollouts; if the condition or the value is unknown there is no value. [contract]"""
    nan = math.nan
    assert same(values_of("makespan_s given defective"), [nan, nan, 180, 240, nan, nan])
    assert same(values_of("waves given paused"), [nan, nan, nan, nan, 2, 1])
    assert same(values_of("defective given passed_canary"), [0, nan, 1, nan, 1, nan])
    assert same(values_of("false_alarm given good"), [0, 1, nan, nan, nan, nan])
    with pytest.raises(InputError, match=r"unknown condition .*'fnie'.*did you mean 'fine'"):
        values_of("waves given fnie")


def test_costs_by_hand():
    """Delay is the makespan unless a defect was stopped, unavailability the excess only; causes sum to the cost. [oracle]"""
    nan = math.nan
    causes = {cause: values_of(cause, costs=COSTS) for cause in CAUSES}
    assert same(causes["cost_delay"], [120, 240, 360, 0, nan, nan])
    assert same(causes["cost_failed_requests"], [0, 1, 200, 5, nan, nan])
    assert same(causes["cost_unavailability"], [1, 2, 3, 4, nan, nan])
    assert same(causes["cost_lost_requests"], [0, 0, 0, 0, nan, nan])
    assert same(causes["cost_shed_requests"], [0, 4, 0, 0, nan, nan])
    assert same(causes["cost_false_alarm"], [0, 150, 0, 0, nan, nan])
    assert same(causes["cost_escape"], [0, 0, 1000, 0, nan, nan])
    assert same(values_of("cost", costs=COSTS), [121, 397, 1563, 9, nan, nan])


def test_costs_and_measures_are_checked_first():
    """Without costs a cost is refused, and all invalid measures are reported at once. [contract]"""
    with pytest.raises(InputError, match="cost_escape: no costs; pass the scenario's costs"):
        Values(TABLE, ["cost_escape"])
    assert len(refused(read_measures, ["escapd", "p95 escaped", "waves"]).problems) == 2
