"""AnalysisRuns of Argo Rollouts."""

import json

import pandas as pd
import pytest
from samples.argo import ERRORS, LATENCY, SUCCESSES, measurement, results, run

from simdeploy import InputError, read_records


def test_measurements_are_windows(tmp_path):
    """Rates become error rates whichever outcome they count; other metrics keep their phase; failed queries give no window. [contract]"""
    first = run(
        [SUCCESSES, LATENCY],
        [
            results(
                "success-rate",
                measurement(1, "[0.99]"),
                measurement(2, "[0.9]", "Failed"),
                measurement(3, "[NaN]", "Inconclusive"),
            ),
            results("latency", measurement(1, "[0.2]"), measurement(2, "", "Error")),
        ],
    )
    second = run(
        [ERRORS],
        [results("error-percent", measurement(5, "4"), measurement(6, "8.5", "Failed"))],
        name="web-2",
        created="2026-03-02T08:04:00Z",
    )
    listed = {"apiVersion": "v1", "kind": "List", "items": [first, second], "metadata": {"resourceVersion": ""}}
    (tmp_path / "runs.json").write_text(json.dumps(listed, indent=4))
    records = read_records(tmp_path)
    windows = records.windows
    assert windows["rollout"].unique().tolist() == ["web revision 2"]
    assert windows["ended_s"].tolist() == [61, 121, 181, 61, 301, 361]
    assert windows["error_rate"].fillna(-1).round(9).tolist() == [0.01, 0.1, -1, -1, 0.04, 0.085]
    assert windows["healthy"].tolist() == [True, False, pd.NA, True, True, False]
    assert windows["node"].isna().all()
    assert windows["requests"].isna().all()
    assert windows["on_new_version"].all()
    assert records.rollouts["started_at"].tolist() == [pd.Timestamp("2026-03-02T08:00:00Z")]
    assert records.dropped["reason"].tolist() == ["a measurement in phase Error: nothing was measured"]


def test_a_stated_start_counts(tmp_path):
    """Measurements count from the start of the rollout if a table states it. [contract]"""
    (tmp_path / "r.json").write_text(json.dumps(run([ERRORS], [results("error-percent", measurement(5, "4"))])))
    (tmp_path / "rollouts.csv").write_text("rollout,started_at\nweb revision 2,2026-03-02T07:55:00Z\n")
    records = read_records(tmp_path)
    assert records.windows["ended_s"].tolist() == [601]
    assert len(records.rollouts) == 1


def test_names(tmp_path):
    """The rollout is named by its revision, else by the pods' hash, else by the run. [contract]"""
    without = run([ERRORS], [results("error-percent", measurement(5, "4"))], annotations=False)
    (tmp_path / "r.json").write_text(json.dumps(without))
    assert read_records(tmp_path).rollouts["rollout"].tolist() == ["web 7d4b9"]
    del without["metadata"]["labels"], without["metadata"]["ownerReferences"]
    (tmp_path / "r.json").write_text(json.dumps(without))
    assert read_records(tmp_path).rollouts["rollout"].tolist() == ["web-7d4b9-2-1"]
    del without["metadata"]["name"]
    (tmp_path / "r.json").write_text(json.dumps(without))
    with pytest.raises(InputError, match=r"r.json:1: metadata.name: missing; allowed: the run's name"):
        read_records(tmp_path)
