"""AnalysisRuns of Argo Rollouts, as kubectl prints them."""


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
