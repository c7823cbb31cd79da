"""The summary of a sweep against hand-made tables and `estimate`, and read in parts."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from scipy import stats
from small import rolling, small

from simdeploy.analysis import estimate, summarize_grid
from simdeploy.analysis.estimates.grid import MEANS, QUANTITIES
from simdeploy.errors import InputError
from simdeploy.experiments import read_store, sweep
from simdeploy.vocabulary import VERDICTS


def table(case, **columns):
    """Make a table of a sweep over max_failed_nodes, with values of ten times the case number."""
    n = len(case)
    columns.setdefault("verdict", ["completed_good"] * n)
    keys = {"case": case, "scenario": "s", "policy": "p", "max_failed_nodes": [10 * number for number in case]}
    return pd.DataFrame({**keys, "replication": range(n), **columns})


class InParts:
    """A table that is read in parts of some rows."""

    def __init__(self, frame, size):
        self.frame, self.size = frame, size
        self.columns = tuple(frame)

    def batches(self, columns):
        for first in range(0, len(self.frame), self.size):
            yield self.frame.iloc[first : first + self.size][columns]


def test_proportions_by_hand():
    """False alarms are among good releases with a verdict, escapes among defective ones, with exact intervals. [oracle]"""
    verdicts = ["false_alarm"] * 3 + ["completed_good"] * 7 + ["escaped"] * 2 + ["stopped_defective"] * 2 + [None]
    cell = summarize_grid(table([4] * 15, verdict=verdicts)).cells.iloc[0]
    for name, successes, n in (("false_alarm", 3, 10), ("escape", 2, 4)):
        interval = stats.binomtest(successes, n).proportion_ci(0.95, method="exact")
        assert cell[f"{name}_n"] == n
        assert cell[f"{name}_estimate"] == successes / n
        assert cell[f"{name}_low"] == pytest.approx(interval.low)
        assert cell[f"{name}_high"] == pytest.approx(interval.high)
        assert cell[f"{name}_half_width"] == pytest.approx((interval.high - interval.low) / 2)
    assert (cell["case"], cell["max_failed_nodes"], cell["replications"], cell["failed"]) == (4, 40, 15, 0)


@pytest.mark.usefixtures("students_limits")
def test_means_by_hand():
    """A mean has Student's t interval over the rollouts with a value. [oracle]"""
    cells = summarize_grid(table([0, 0, 0, 0, 1], makespan_s=[2.0, 4.0, np.nan, 9.0, 5.0]), confidence_level=0.9).cells
    half_width = stats.t.ppf(0.95, 2) * math.sqrt(13 / 3)
    assert cells["makespan_s_n"].tolist() == [3, 1]
    assert cells["makespan_s_estimate"].tolist() == [5.0, 5.0]
    assert cells["makespan_s_half_width"][0] == pytest.approx(half_width)
    assert (cells["makespan_s_low"][0], cells["makespan_s_high"][0]) == (0, pytest.approx(5 + half_width))
    assert math.isnan(cells["makespan_s_half_width"][1])


def test_missing_observations_are_not_zero():
    """Without observations an estimate and its interval are NaN; failed rows are counted separately. [contract]"""
    frame = table(
        [0, 1, 1],
        verdict=["completed_good", None, None],
        status=["ok", "failed", "ok"],
        makespan_s=[60.0, np.nan, np.nan],
    )
    cells = summarize_grid(frame).cells
    assert cells["failed"].tolist() == [0, 1]
    assert cells["replications"].tolist() == [1, 2]
    assert cells.filter(regex="escape_(?!n|is|unknown)").isna().all(axis=None)
    assert cells.loc[1].filter(regex="makespan_s_(?!n|is|unknown)").isna().all()
    assert not cells.filter(regex="(escape|makespan_s)_is_trusted").any(axis=None)
    assert cells["escape_n"].tolist() == [0, 0]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5), st.sampled_from([*VERDICTS, None]), st.one_of(st.floats(0, 1e6), st.just(math.nan))
        ),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 20),
    st.randoms(use_true_random=False),
)
def test_parts_and_order_do_not_matter(rows, size, random):
    """Read in parts, in any order, a table has the same summary. [property]"""
    whole = summarize_grid(frame_of(rows)).cells
    random.shuffle(rows)
    parts = summarize_grid(InParts(frame_of(rows), size)).cells
    pd.testing.assert_frame_equal(parts, whole, check_exact=False, rtol=1e-9, atol=1e-6)


def frame_of(rows):
    """Make a table of triples of case, verdict and makespan."""
    case, verdict, makespan = zip(*rows, strict=True)
    return table(list(case), verdict=pd.Series(verdict, dtype="str"), makespan_s=makespan)


def test_equal_values_have_no_variance():
    """The interval of equal values is that value, in whatever order they are added. [property]"""
    frame = table([0] * 9, makespan_s=[0.1] * 9)
    cells = summarize_grid(InParts(frame, 3)).cells
    assert cells[["makespan_s_low", "makespan_s_estimate", "makespan_s_high"]].iloc[0].tolist() == [0.1] * 3


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    release = {"good": {"probability": 0.5}, "bad": {"probability": 0.5, "defective": True, "start_failure": 0.2}}
    scenario = small({"nodes": 10, "requests_per_second": 0}, release=release, policies={"p": rolling(4)})
    vary = {"max_failed_nodes": [0, 1, 3], "canary_percent": [None, 0]}
    folder = tmp_path_factory.mktemp("store") / "s"
    return sweep(scenario, "p", vary=vary, replications=40, engine="compiled", store=folder)


def test_the_same_from_result_store_and_frame(result):
    """A result, its folder and its table have the same summary. [property]"""
    summary = summarize_grid(result)
    assert summary.factors == ("max_failed_nodes", "canary_percent")
    for other in (read_store(result.store), result.to_frame()):
        pd.testing.assert_frame_equal(summarize_grid(other).cells, summary.cells, rtol=1e-12)
    keys = ["case", "scenario", "policy", *summary.factors]
    pd.testing.assert_frame_equal(summary.cells[keys], result.cases)


def test_estimates_are_those_of_estimate(result):
    """The means of a case are those that `estimate` gives for its rows. [property]"""
    cells = summarize_grid(result).cells.set_index("case")
    measures = [f"{name} given completed_good" if key != name else name for key, name in MEANS.items()]
    for case, rows in result.to_frame().groupby("case"):
        estimates = estimate(rows, measures).estimates
        for name, (_, row) in zip(MEANS, estimates.iterrows(), strict=True):
            for what in ("estimate", "low", "high", "half_width", "n"):
                assert cells.loc[case, f"{name}_{what}"] == pytest.approx(row[what])


def test_a_stopped_rollout_is_not_quick():
    """Makespans are of completed rollouts of good releases, or without verdicts of completed ones. [contract]"""
    rows = [(0, "false_alarm", 10.0), (0, "completed_good", 60.0), (0, "escaped", 70.0), (1, "completed_good", 50.0)]
    cells = summarize_grid(frame_of(rows)).cells
    assert cells["makespan_s_estimate"].tolist() == [140 / 3, 50]
    assert cells["completed_makespan_s_estimate"].tolist() == [60, 50]
    assert cells["completed_makespan_s_n"].tolist() == [1, 1]
    restarts = table([0, 0], verdict=pd.Series([None, None], dtype="str"), makespan_s=[5.0, 9.0])
    cells = summarize_grid(restarts.assign(state=["failed", "completed"])).cells
    assert cells["completed_makespan_s_estimate"].tolist() == [9]


def test_a_table_of_words(result):
    """A table has a line per case, with the shortest names of varied keys and intervals in brackets. [contract]"""
    summary = summarize_grid(result)
    (words,) = summary.summarize()
    assert words.title.startswith("Estimates (95 % CI)")
    assert words.header[:3] == (
        "max_failed_nodes, canary_percent",
        "false alarms of good releases",
        "escapes of defective releases",
    )
    assert [row[0] for row in words.rows[:2]] == ["0, unset", "0, 0"]
    estimate = float(words.rows[0][1].split(" ")[0])
    assert estimate == pytest.approx(100 * summary.cells["false_alarm_estimate"][0], abs=0.5)
    assert "<td>0, unset</td>" in summary._repr_html_()
    assert repr(summary) == f"<GridSummary: {summary.answer}>"


def test_the_answer_names_the_extremes(result):
    """The answer names the lowest and the highest rate of false alarms with their cases, from the rates in the JSON. [contract]"""
    summary = summarize_grid(result)
    assert len(summary.answer) <= 240
    document = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    rates = [row["false_alarm_estimate"] for row in document["cells"]]
    assert re.fullmatch(
        rf"False alarms in 6 cases: lowest {100 * min(rates):.0f} % \(95 % CI \d+ to \d+\) for max_failed_nodes 1, "
        rf"canary_percent unset \(and {rates.count(min(rates)) - 1} more\), highest {100 * max(rates):.0f} % \(\d+ to \d+\) for "
        rf"max_failed_nodes 0, canary_percent unset \(and {rates.count(max(rates)) - 1} more\)\.",
        summary.answer,
    )
    assert document["factors"] == ["max_failed_nodes", "canary_percent"]
    unknown = result.to_frame().assign(verdict=None, makespan_s=math.nan, failed_requests_excess=math.nan)
    assert summarize_grid(unknown.assign(status="failed")).answer == "Every replication of 6 cases failed."
    assert "makespan unknown for 6 cases: 100 % " in summarize_grid(unknown).answer


@pytest.mark.parametrize("verdict", ["escaped", "stopped_defective"])
def test_the_answer_names_all_that_is_unknown(verdict):
    """Every quantity that rollouts without an end make unknown is named, however long the rest of the answer is. [contract]"""
    kinds = ["good"] * 9 + ["bad"] * 3
    verdicts = [*["completed_good"] * 8, None, verdict, None, None]
    case, ends = np.repeat([0, 1, 2], 12), np.tile([value is not None for value in verdicts], 3)
    values = {"release": kinds * 3, "verdict": [*verdicts, *verdicts, *[value or verdicts[0] for value in verdicts]]}
    ends[24:] = True
    of_ended = {name: np.where(ends, 60.0 + case, np.nan) for name in ("makespan_s", "failed_requests_excess")}
    cells = table(case.tolist(), **values, **of_ended)
    answer = summarize_grid(cells).answer
    assert "alse alarms, escapes, makespan and excess failed requests unknown for 2 cases" in answer
    assert len(answer) <= 240


def test_the_answer_marks_what_the_table_marks():
    """An interval that may be too narrow is marked in answer and table. [contract]"""
    found = summarize_grid(table([1, 1, 1], verdict=[None] * 3, state="completed", makespan_s=[60.0, 90.0, 75.0]))
    assert not found.cells["completed_makespan_s_is_trusted"].any()
    assert found.answer.startswith("Makespan of completed rollouts in 1 case: ")
    assert "(~95 % CI" in found.answer
    assert "(~" in str(found.summarize()[0].rows)


def test_the_answer_names_no_extremes_that_look_alike(result):
    """If the rates of all cases are equal, the answer says so once, with the widest interval if these differ. [contract]"""
    frame = result.to_frame().assign(verdict="completed_good")
    answer = summarize_grid(frame).answer
    assert re.fullmatch(r"False alarms in 6 cases: 0\.0 % \(95 % CI 0\.0 to [\d.]+\) in each case\.", answer)
    answer = summarize_grid(frame[frame["case"].ne(3) | frame["replication"].lt(10)]).answer
    assert answer == "False alarms in 6 cases: 0 % in each case (widest interval: 95 % CI 0 to 31)."
    escapes = frame.assign(verdict=frame["verdict"].where(frame["case"].ne(5) | frame["replication"].lt(10), "escaped"))
    escapes.loc[escapes["case"].eq(4) & escapes["replication"].ge(10), "verdict"] = "stopped_defective"
    assert summarize_grid(escapes).answer.startswith("Escapes in 6 cases: lowest 0.0 % (")


def test_invalid_tables_of_sweeps(result):
    """Missing columns are reported with the nearest ones, and so is an invalid level. [contract]"""
    frame = result.to_frame().rename(columns={"case": "cas"})
    with pytest.raises(InputError, match=r"case: a sweep's table needs this column; did you mean 'cas'"):
        summarize_grid(frame)
    with pytest.raises(InputError, match="invalid confidence level"):
        summarize_grid(result, confidence_level=95)
    assert set(QUANTITIES) == {"false_alarm", "escape", *MEANS}


def test_worlds_by_kind_are_weighted(tmp_path):
    """For worlds by kind, a case has the estimates and limits of `estimate`, from memory or a store. [property]"""
    release = {
        "good": {"probability": 0.8},
        "fragile": {"probability": 0.14, "start_failure": 0.1},
        "blatant": {"probability": 0.06, "defective": True, "start_failure": 0.5},
    }
    scenario = small(release=release, policies={"p": rolling(4)})
    vary = {"max_failed_nodes": [0, 1, 3]}
    result = sweep(scenario, "p", vary=vary, strata="kinds", replications=90, engine="compiled", store=tmp_path / "s")
    summary = summarize_grid(result)
    measures = {"false_alarm": "false_alarm given good", "escape": "escaped given defective"}
    measures |= {key: f"{name} given completed_good" if key != name else name for key, name in MEANS.items()}
    expected = estimate(result, list(measures.values())).estimates.set_index(["case", "measure"])
    for _, cell in summary.cells.iterrows():
        for name, measure in measures.items():
            row = expected.loc[cell["case"], measure]
            for what in ("estimate", "low", "high", "half_width", "n"):
                assert cell[f"{name}_{what}"] == pytest.approx(row[what], nan_ok=True), (name, what)
            assert cell[f"{name}_is_trusted"] == row["is_trusted"], name
    assert summary.cells["replications"].tolist() == [90] * 3
    frame = result.to_frame()
    assert read_store(result.store).to_frame().attrs["release"] == frame.attrs["release"]
    for other in (read_store(result.store), frame):
        pd.testing.assert_frame_equal(summarize_grid(other).cells, summary.cells, rtol=1e-9)
    assert summary.cells["makespan_s_estimate"][0] == pytest.approx(
        np.average(frame["makespan_s"][frame["case"].eq(0)], weights=frame["weight"][frame["case"].eq(0)])
    )
    drawn = summarize_grid(sweep(scenario, "p", vary=vary, replications=2000, engine="compiled")).cells
    error = np.hypot(summary.cells["makespan_s_half_width"], drawn["makespan_s_half_width"]) / 1.96
    assert ((summary.cells["makespan_s_estimate"] - drawn["makespan_s_estimate"]).abs() < 4 * error).all()


def test_skewed_means_are_not_trusted():
    """The interval of a mean with one extreme value isn't trusted, also when read in parts. [contract]"""
    rows = [(0, "completed_good", 1.0 + 100 * (place == 7)) for place in range(400)]
    rows += [(1, "completed_good", float(place)) for place in range(400)]
    for frame in (frame_of(rows), InParts(frame_of(rows), 3)):
        assert summarize_grid(frame).cells["makespan_s_is_trusted"].tolist() == [False, True]
