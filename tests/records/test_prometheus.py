"""Answers of Prometheus to range queries."""

import json

import pandas as pd
import pytest
from samples.prometheus import T0, answer, series

from simdeploy import InputError, read_records

NODES = """rollout,node,dispatched_at,started_at,resolved_at,watched_until
mon,a,2026-03-02T08:00:00Z,2026-03-02T08:01:30Z,2026-03-02T08:03:00Z,2026-03-02T08:03:30Z
mon,b,2026-03-02T08:03:30Z,,,2026-03-02T08:04:30Z
tue,a,2026-03-03T08:00:00Z,2026-03-03T08:00:30Z,2026-03-03T08:05:00Z,2026-03-03T08:05:00Z
"""


def test_ratios_belong_to_the_rollouts_of_their_time(tmp_path):
    """An unnamed series is an error rate; its windows belong to the rollout recorded at that time. [contract]"""
    (tmp_path / "nodes.csv").write_text(NODES)
    found = answer(
        series(["0.01", "0.02", "NaN", "0.04", "0.5"], instance="a:9100", job="web"),
        series(["0"] * 3, start=T0 + 120, instance="b"),
    )
    (tmp_path / "ratio.json").write_text(json.dumps(found))
    (tmp_path / "tue.json").write_text(
        json.dumps(
            answer(
                series(["0.1", "0.2"], start=T0 + 86400 + 60, instance="a:9100"),
                series(["0.3"], start=T0 + 86400 + 60, instance="c"),
            )
        )
    )
    records = read_records(tmp_path)
    windows = records.windows.set_index(["rollout", "node", "ended_s"]).sort_index()
    assert windows["error_rate"].to_dict() == {
        ("mon", "a", 60.0): 0.02,
        ("mon", "a", 180.0): 0.04,
        ("mon", "a", 240.0): 0.5,
        ("mon", "b", 120.0): 0,
        ("mon", "b", 180.0): 0,
        ("mon", "b", 240.0): 0,
        ("tue", "a", 60.0): 0.1,
        ("tue", "a", 120.0): 0.2,
    }
    assert windows["on_new_version"].tolist() == [pd.NA, True, pd.NA, False, False, pd.NA, True, True]
    assert windows["requests"].isna().all()
    dropped = records.dropped[records.dropped["rows"] > 0][["rows", "reason"]].to_numpy().tolist()
    assert dropped == [
        [1, "error_rate: NaN, such as a ratio without requests"],
        [1, "no rollout on record at its time, or not of this node"],
        [1, "no rollout on record at its time, or not of this node"],
    ]


def test_counts_of_requests(tmp_path):
    """Requests and failures of an instance at an instant are one window, under their own or mapped names. [contract]"""
    found = answer(
        series(["59.98", "60.02"], __name__="job:requests:increase1m", pod="web-1"),
        series(["3.01", "61"], __name__="job:failures:increase1m", pod="web-1"),
    )
    (tmp_path / "friday.json").write_text(json.dumps(found, indent=1))
    names = {"requests": "job:requests:increase1m", "failed_requests": "job:failures:increase1m", "node": "pod"}
    records = read_records(tmp_path, mapping=names)
    [row] = records.windows.itertuples()
    assert (row.rollout, row.node, row.ended_s) == ("friday", "web-1", 0)
    assert (row.requests, row.failed_requests, row.error_rate) == (60, 3, 0.05)
    assert records.rollouts["started_at"].tolist() == [pd.Timestamp("2026-03-02T08:00:00Z")]
    assert records.dropped["reason"].tolist() == ["more failed requests than requests"]
    with pytest.raises(InputError, match=r"__name__: unknown quantity \(found 'job:requests.*map it"):
        read_records(tmp_path)
    with pytest.raises(InputError, match=r"mapping: no file has this column \(found 'podd'\).*did you mean 'pod'"):
        read_records(tmp_path, mapping={"node": "podd"})


def test_one_file_for_each_query(tmp_path):
    """Requests and failures from two queries make the same windows as from one, with and without nodes on record. [contract]"""
    for name, values in (("requests", ["600"] * 3), ("failed_requests", ["3"] * 4)):
        (tmp_path / f"{name}.json").write_text(json.dumps(answer(series(values, __name__=name, instance="a"))))
    alone = read_records(tmp_path).windows.sort_values("ended_s")
    assert alone["rollout"].unique().tolist() == ["failed_requests"]
    assert alone["error_rate"].fillna(-1).tolist() == [0.005, 0.005, 0.005, -1]
    (tmp_path / "nodes.csv").write_text(NODES)
    placed = read_records(tmp_path).windows.sort_values("ended_s")
    assert placed["rollout"].unique().tolist() == ["mon"]
    assert placed["ended_s"].tolist() == [60, 120, 180]
    assert placed["error_rate"].fillna(-1).tolist() == [0.005, 0.005, -1]


def test_queries_of_the_whole_service(tmp_path):
    """Requests and failures without a label of the node are combined, too. [contract]"""
    for name, value in (("requests", "600"), ("failed_requests", "3")):
        (tmp_path / f"{name}.json").write_text(json.dumps(answer(series([value], __name__=name))))
    windows = read_records(tmp_path).windows
    assert windows[["requests", "failed_requests", "error_rate"]].to_numpy().tolist() == [[600, 3, 0.005]]


def test_answers_of_the_same_name(tmp_path):
    """Files of the same name in different folders are different rollouts. [contract]"""
    for number, day in enumerate(("mon", "tue")):
        (tmp_path / day).mkdir()
        ratio = answer(series(["0.1"], start=T0 + 86400 * number, instance="a"))
        (tmp_path / day / "ratio.json").write_text(json.dumps(ratio))
    assert read_records(tmp_path).rollouts["rollout"].tolist() == ["mon/ratio", "tue/ratio"]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            {"status": "error", "errorType": "bad_data", "error": "x", "data": {"resultType": "", "result": []}},
            "status: the query failed",
        ),
        (
            {"status": "success", "data": {"resultType": "vector", "result": []}},
            "resultType: not a range query \\(found 'vector'\\); allowed: matrix",
        ),
        (answer(series([0.5], instance="a")), "data.result\\[0\\].values\\[0\\]: not a sample"),
        (answer(series(["x"], instance="a")), "data.result\\[0\\].values\\[0\\]: not a sample"),
        (
            answer(series(["0.1"], instance="a"), series(["0.2"], instance="a")),
            "another value for the same instance and time",
        ),
        (
            answer(series(["7", "-1"], instance="a")),
            "no usable records\n.*error_rate: out of range; allowed: 0 to 1 .*2 rows",
        ),
        (answer(), "no usable records"),
    ],
)
def test_answers_that_are_refused(found, message, tmp_path):
    """Errors, other results and impossible values are reported with their place. [contract]"""
    (tmp_path / "p.json").write_text(json.dumps(found))
    with pytest.raises(InputError, match=message):
        read_records(tmp_path / "p.json")
