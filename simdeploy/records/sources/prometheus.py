"""Responses of Prometheus to range queries: a window per instance and step.

A series without a name, such as the ratio of two others, is an error rate. Series named `requests`, `failed_requests` and
`error_rate`, or as the mapping says, are the numbers of requests and failures within each step (`increase`), and their ratio. The
label `instance`, or that of the mapping, is the node. Source: prometheus.io, HTTP API, range queries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from simdeploy.errors import InputError, nearest
from simdeploy.records.content import Content, Document
from simdeploy.records.fields import Fields, instants
from simdeploy.records.parts import ROW, Dropped, Part

KIND = "range query of Prometheus"

_QUANTITIES = ("error_rate", "requests", "failed_requests")
_LATEST_S = 9e9


def recognises(content: Content, names: Mapping[str, str]) -> bool:  # noqa: ARG001 - names of series are looked up later
    """Return whether every document is a response of Prometheus."""
    return bool(content.documents) and all(_is_answer(each.data) for each in content.documents)


def _is_answer(data: object) -> bool:
    return (
        isinstance(data, dict)
        and "status" in data
        and isinstance(data.get("data"), dict)
        and "resultType" in data["data"]
    )


def find_names(content: Content) -> Iterator[str]:
    """Yield the names that a mapping may contain: labels, and names of series."""
    for document in content.documents:
        if _is_answer(document.data):
            for series in Fields(content, document).items("data", "result"):
                labels = series[("metric",)].data
                if isinstance(labels, dict):
                    yield from (label for label in labels if isinstance(label, str))
                    yield str(labels.get("__name__", ""))


def read(contents: Sequence[Content], names: Mapping[str, str]) -> list[Part]:
    """Read the series of each file; values of the same instance and time make one window."""
    return [_read(content, names) for content in contents]


def _read(content: Content, names: Mapping[str, str]) -> Part:
    quantities = {names.get(name, name): name for name in _QUANTITIES}
    label = names.get("node", "instance")
    windows: dict[tuple[str | None, int], dict[str, Any]] = {}
    dropped: list[Dropped] = []
    for document in content.documents:
        for series in _series(content, document):
            quantity = _quantity(series, quantities)
            _read_series(series, quantity, series["metric",].text(label), windows, dropped)
    if not windows:
        return Part(content.file, {}, dropped=dropped)
    return _make_part(content.file, windows, dropped)


def _series(content: Content, document: Document) -> Iterator[Fields]:
    answer = Fields(content, document)
    if answer.text("status") != "success":
        answer["status",].refuse("the query failed", "success")
    kind = answer.text("data", "resultType")
    if kind != "matrix":
        answer["data", "resultType"].refuse("not a range query", "matrix, as /api/v1/query_range gives")
    return answer.items("data", "result")


def _quantity(series: Fields, quantities: Mapping[str, str]) -> str:
    name = series.text("metric", "__name__")
    if name is None:
        return "error_rate"
    if name not in quantities:
        place = series["metric", "__name__"]
        problem = place.content.problem(
            place.document, place.path, "unknown quantity", found=name, allowed=", ".join(quantities)
        )
        hint = nearest(name, quantities) or 'map it, such as {"requests": "NAME"}'
        raise InputError(replace(problem, hint=hint))
    return quantities[name]


def _read_series(
    series: Fields,
    quantity: str,
    node: str | None,
    windows: dict[tuple[str | None, int], dict[str, Any]],
    dropped: list[Dropped],
) -> None:
    without: list[int | None] = []
    wrong: list[int | None] = []
    for sample in series.items("values"):
        time_ns, value = _sample(sample)
        if math.isnan(value):
            without.append(None if without else sample.line)
        elif not _is_valid(quantity, value):
            wrong.append(None if wrong else sample.line)
        else:
            window = windows.setdefault((node, time_ns), {})
            if window.setdefault(quantity, value) != value:
                sample.refuse(
                    "another value for the same instance and time", "one series of each quantity per instance"
                )
            window.setdefault("line", series)
    file = series.content.file
    if without:
        dropped.append(Dropped(file, without[0], len(without), f"{quantity}: NaN, such as a ratio without requests"))
    if wrong:
        allowed = "0 to 1" if quantity == "error_rate" else "0 or more"
        dropped.append(Dropped(file, wrong[0], len(wrong), f"{quantity}: out of range; allowed: {allowed}"))


def _sample(sample: Fields) -> tuple[int, float]:
    data = sample.data
    if isinstance(data, list) and len(data) == 2 and isinstance(data[0], int | float) and isinstance(data[1], str):
        time_s = data[0]
        if not isinstance(time_s, bool) and 0 < time_s < _LATEST_S:
            try:
                return round(time_s * 1000) * 1_000_000, float(data[1])
            except ValueError:
                pass
    sample.refuse("not a sample", 'seconds since 1970 and a number in quotes, such as [1772438400, "0.01"]')
    raise AssertionError  # refuse raises


def _is_valid(quantity: str, value: float) -> bool:
    return 0 <= value <= 1 if quantity == "error_rate" else 0 <= value < 1 << 53


def _make_part(file: str, windows: Mapping[tuple[str | None, int], Mapping[str, Any]], dropped: list[Dropped]) -> Part:
    import pandas as pd

    keys = list(windows)
    values = list(windows.values())
    requests = [_whole(each.get("requests")) for each in values]
    failed = [_whole(each.get("failed_requests")) for each in values]
    rates = [_rate(each, total, count) for each, total, count in zip(values, requests, failed, strict=True)]
    frame = pd.DataFrame(
        {
            "node": pd.array([node for node, _ in keys], dtype="str"),
            "ended": instants(time_ns for _, time_ns in keys),
            "requests": pd.array(requests, dtype="Int64"),
            "failed_requests": pd.array(failed, dtype="Int64"),
            "error_rate": rates,
            ROW: range(len(keys)),
        }
    )
    part = Part(file, {"windows": frame}, lambda row: values[row]["line"].line, dropped, alone=Path(file).stem)
    more = (frame["failed_requests"] > frame["requests"]).fillna(value=False).to_numpy(dtype=bool)
    if more.any():
        part.drop(frame.loc[more, ROW], "more failed requests than requests")
    return Part(file, {"windows": frame[~more]}, part.find_line, part.dropped, alone=part.alone)


def _whole(value: float | None) -> int | None:
    """Round a number of requests, because `increase` estimates it, with decimals."""
    return None if value is None else round(value)


def _rate(window: Mapping[str, Any], requests: int | None, failed: int | None) -> float:
    if "error_rate" in window:
        return float(window["error_rate"])
    return failed / requests if requests and failed is not None else math.nan
