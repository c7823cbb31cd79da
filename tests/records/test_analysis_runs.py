"""AnalysisRuns of Argo Rollouts."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from simdeploy import InputError, read_records


def run(metrics, results, *, name="web-7d4b9-2-1", annotations=True, created="2026-03-02T08:00:00Z"):
    """Return a run as kubectl prints it."""
    metadata = {
        "name": name,
        "namespace": "shop",
        "creationTimestamp": created,
        "labels": {"rollout-type": "Step", "rollouts-pod-template-hash": "7d4b9"},
        "ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": "u"}],
    }
    if annotations:
        metadata["annotations"] = {"rollout.argoproj.io/revision": "2"}
    status = {"phase": "Failed", "startedAt": created, "metricResults": results}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": metadata,
        "spec": {"metrics": metrics},
        "status": status,
    }


def metric(name, query, **conditions):
    """Return a metric of Prometheus."""
    return {
        "name": name,
        "interval": "1m",
        "provider": {"prometheus": {"address": "http://p", "query": query}},
        **conditions,
    }


def measurement(minute, value, phase="Successful"):
    """Return a measurement that took a second."""
    times = {"startedAt": f"2026-03-02T08:{minute:02}:00Z", "finishedAt": f"2026-03-02T08:{minute:02}:01Z"}
    return {**times, "phase": phase, "value": value}


def results(name, *measurements):
    """Return what a metric gave."""
    return {"name": name, "phase": "Failed", "count": len(measurements), "measurements": list(measurements)}


SUCCESSES = metric("success-rate", "sum(rate(ok[1m])) / sum(rate(all[1m]))", successCondition="result[0] >= 0.95")
ERRORS = metric("error-percent", "100 * errors_percent", failureCondition="result > 5")
LATENCY = metric("latency", "histogram_quantile(0.9, x)", successCondition="result[0] < 0.5")


def test_measurements_are_windows(tmp_path):
    """Rates are error rates whichever way they count; of other metrics the phase is known; errors measured nothing. [contract]"""
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
    """Without a revision the pods' hash names the rollout, without both the run. [contract]"""
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
