"""Responses of Prometheus to range queries: a window per instance and step.

A series without a name, such as the ratio of two others, is an error rate. Series named `requests`, `failed_requests` and
`error_rate`, or as the mapping says, are the numbers of requests and failures within each step (`increase`), and their ratio. The
label `instance`, or that of the mapping, is the node. Source: prometheus.io, HTTP API, range queries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from simdeploy.errors import InputError, nearest
from simdeploy.records.content import Content, Document
from simdeploy.records.fields import Fields, instants
from simdeploy.records.naming import name_files
from simdeploy.records.parts import ROW, Dropped, Part

KIND = "range query of Prometheus"

_QUANTITIES = ("error_rate", "requests", "failed_requests")
_LATEST_S = 9e9

_Key = tuple[str | None, int]  # node and time of a window


def recognises(content: Content) -> bool:
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


def read(contents: Sequence[Content]) -> list[Part]:
    """Read the series of all files; values of the same instance and time make one window.

    A query has one quantity, so requests and failures may be in different files.
    """
    files: list[_File] = []
    with_window: dict[_Key, list[_File]] = {}
    for content, alone in zip(contents, name_files([content.file for content in contents]), strict=True):
        file = _read(content, alone)
        for key in list(file.windows):
            earlier = with_window.setdefault(key, [])
            if not any(_move(key, file, each) for each in earlier):
                earlier.append(file)
        files.append(file)
    return [_make_part(file) for file in files]


@dataclass
class _File:
    """The windows of a file."""

    file: str
    alone: str  # the rollout of its windows, if no other is on record
    # The value of each quantity, and the series (`line`) that began the window.
    windows: dict[_Key, dict[str, Any]] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)


def _read(content: Content, alone: str) -> _File:
    quantities = {content.names.get(name, name): name for name in _QUANTITIES}
    label = content.names.get("node", "instance")
    file = _File(content.file, alone)
    for document in content.documents:
        for series in _series(content, document):
            quantity = _quantity(series, quantities)
            _read_series(series, quantity, series["metric",].text(label), file.windows, file.dropped)
    return file


def _move(key: _Key, file: _File, earlier: _File) -> bool:
    """Move a window's values to that of an earlier file, if they are other quantities; return whether that was done."""
    window, others = earlier.windows[key], file.windows[key]
    if window.keys() & others.keys() != {"line"}:
        return False
    earlier.windows[key] = others | window
    del file.windows[key]
    file.alone = earlier.alone
    return True


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
    windows: dict[_Key, dict[str, Any]],
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


def _make_part(file: _File) -> Part:
    import pandas as pd

    keys = list(file.windows)
    values = list(file.windows.values())
    if not values:
        return Part(file.file, {}, dropped=file.dropped)
    frame = pd.DataFrame(
        {
            "node": pd.array([node for node, _ in keys], dtype="str"),
            "ended": instants(time_ns for _, time_ns in keys),
            "requests": pd.array([_whole(each.get("requests")) for each in values], dtype="Int64"),
            "failed_requests": pd.array([_whole(each.get("failed_requests")) for each in values], dtype="Int64"),
            "error_rate": [each.get("error_rate", math.nan) for each in values],
            ROW: range(len(keys)),
        }
    )
    return Part(file.file, {"windows": frame}, lambda row: values[row]["line"].line, file.dropped, alone=file.alone)


def _whole(value: float | None) -> int | None:
    """Round a number of requests, because `increase` estimates it, with decimals."""
    return None if value is None else round(value)
