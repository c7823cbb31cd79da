"""AnalysisRuns of Argo Rollouts, as `kubectl get analysisruns -o json` writes them: measurements of a rollout as a whole.

A measurement is a window without a node. Its value is an error rate if the metric's condition compares a fraction of requests with a
number, as the importer of Argo Rollouts understands it; for other metrics only the phase is known. Source: argoproj/argo-rollouts,
pkg/apis/rollouts/v1alpha1/analysis_types.go.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from simdeploy.dialects.argo_analysis import Rate, read_rate
from simdeploy.records.content import Content
from simdeploy.records.fields import Fields, instant
from simdeploy.records.parts import ROW, Dropped, Part

KIND = "AnalysisRuns of Argo Rollouts"

_REVISION = "rollout.argoproj.io/revision"
_POD_HASH = "rollouts-pod-template-hash"
_HEALTHY = {"Successful": True, "Failed": False, "Inconclusive": None}
# Prometheus returns a list, and conditions are about its first item.
_NUMBER = re.compile(r"\s*\[?\s*(?P<number>[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*\]?\s*")


def recognises(content: Content) -> bool:
    """Return whether every document is an AnalysisRun, or a list of them."""
    return bool(content.documents) and all(_is_run(each.data) or _is_list(each.data) for each in content.documents)


def _is_run(data: object) -> bool:
    return isinstance(data, dict) and data.get("kind") == "AnalysisRun"


def _is_list(data: object) -> bool:
    items = data.get("items") if isinstance(data, dict) else None
    return isinstance(items, list) and bool(items) and all(map(_is_run, items))


def read(contents: Sequence[Content]) -> list[Part]:
    """Read the runs of each file."""
    parts = []
    for content in contents:
        rows: list[dict[str, Any]] = []
        lines: list[int | None] = []
        starts: dict[str, int] = {}
        dropped: list[Dropped] = []
        for document in content.documents:
            whole = Fields(content, document)
            for run in [whole] if _is_run(document.data) else whole.items("items"):
                _read_run(run, rows, lines, starts, dropped)
        parts.append(_make_part(content.file, rows, lines, starts, dropped))
    return parts


def _read_run(
    run: Fields, rows: list[dict[str, Any]], lines: list[int | None], starts: dict[str, int], dropped: list[Dropped]
) -> None:
    rollout = _name(run)
    rates = {metric.text("name"): _rate(metric) for metric in run.items("spec", "metrics")}
    times = [time for path in (("status", "startedAt"), ("metadata", "creationTimestamp")) if (time := run.time(*path))]
    for result in run.items("status", "metricResults"):
        rate = rates.get(result.text("name"))
        for measurement in result.items("measurements"):
            phase, finished = measurement.text("phase"), measurement.time("finishedAt")
            started = measurement.time("startedAt")
            times += [time for time in (started,) if time is not None]
            if phase not in _HEALTHY:
                reason = f"a measurement in phase {phase}: nothing was measured"
                dropped.append(Dropped(run.content.file, measurement.line, 1, reason))
                continue
            if finished is None:
                dropped.append(Dropped(run.content.file, measurement.line, 1, "a measurement that isn't finished"))
                continue
            rate_seen = _error_rate(measurement.text("value"), rate)
            ended, healthy = instant(finished), _HEALTHY[phase]
            rows.append({"rollout": rollout, "ended": ended, "error_rate": rate_seen, "healthy": healthy})
            lines.append(measurement.line)
            times.append(finished)
    if times:
        starts[rollout] = min([*times, starts[rollout]] if rollout in starts else times)


def _name(run: Fields) -> str:
    """Name the rollout by the run's Rollout and its revision, as far as the run states them."""
    owners = [
        owner.text("name") for owner in run.items("metadata", "ownerReferences") if owner.text("kind") == "Rollout"
    ]
    revision = run["metadata", "annotations"].text(_REVISION)
    pod_hash = run["metadata", "labels"].text(_POD_HASH)
    name = run.text("metadata", "name")
    if not owners or owners[0] is None or (revision is None and pod_hash is None):
        if name is None:
            run["metadata", "name"].refuse("missing", "the run's name")
        return name or ""
    return f"{owners[0]} revision {revision}" if revision is not None else f"{owners[0]} {pod_hash}"


def _rate(metric: Fields) -> Rate | None:
    words = f"{metric.text('name')} {metric[('provider',)].data}"
    rates = [
        rate
        for key in ("successCondition", "failureCondition")
        if (text := metric.text(key)) and (rate := read_rate(text, fails=key == "failureCondition", words=words))
    ]
    return rates[0] if rates and all(rate == rates[0] for rate in rates) else None


def _error_rate(value: str | None, rate: Rate | None) -> float:
    match = _NUMBER.fullmatch(value) if value else None
    if match is None or rate is None:
        return math.nan
    try:
        fraction = float(match["number"]) / rate.whole
    except ValueError:
        return math.nan
    error_rate = 1 - fraction if rate.is_of_successes else fraction
    return error_rate if 0 <= error_rate <= 1 else math.nan


def _make_part(
    file: str, rows: list[dict[str, Any]], lines: list[int | None], starts: Mapping[str, int], dropped: list[Dropped]
) -> Part:
    import pandas as pd

    if not rows:
        return Part(file, {}, dropped=dropped)
    frame = pd.DataFrame(rows)
    columns: dict[str, Any] = {
        "healthy": pd.array(frame["healthy"].tolist(), dtype="boolean"),
        "on_new_version": pd.array([True] * len(rows), dtype="boolean"),
        ROW: range(len(rows)),
    }
    frame = frame.assign(**columns)
    began = pd.Series({name: instant(time_ns) for name, time_ns in starts.items()}, dtype="datetime64[ns]")
    return Part(file, {"windows": frame}, lines.__getitem__, dropped, first_seen=began)
