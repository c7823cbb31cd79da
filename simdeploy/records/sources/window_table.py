"""Tables with a row per health window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from simdeploy.records.cells import Rows
from simdeploy.records.content import Content
from simdeploy.records.parts import Part, part_of
from simdeploy.records.sources.node_table import name_rollouts, read_times
from simdeploy.records.table import COLUMNS

KIND = "table of windows"


def recognises(content: Content, names: Mapping[str, str]) -> bool:
    """Return whether rows have the end of a window and what was measured in it."""
    rows = Rows.of(content, names)
    return rows.has("ended") and rows.has("requests", "failed_requests", "error_rate", "healthy")


def read(contents: Sequence[Content], names: Mapping[str, str]) -> list[Part]:
    """Read tables of windows."""
    return [_read(content, names) for content in contents]


def _read(content: Content, names: Mapping[str, str]) -> Part:
    rows = Rows.of(content, names)
    requests, failed = rows.whole("requests"), rows.whole("failed_requests")
    rate = rows.number("error_rate", most=1.0)
    columns = {
        "rollout": name_rollouts(rows),
        "node": rows.name("node"),
        **read_times(rows, ("ended",)),
        "requests": requests,
        "failed_requests": failed,
        "error_rate": rate,
        **{column: rows.flag(column) for column in ("healthy", "up", "on_new_version")},
    }
    if requests is not None and failed is not None:
        more = (failed > requests).fillna(value=False).to_numpy(dtype=bool)
        rows.refuse(more, "failed_requests", "more than requests")
        if rate is None:
            total = requests.to_numpy(dtype=np.float64, na_value=np.nan)
            count = failed.to_numpy(dtype=np.float64, na_value=np.nan)
            columns["error_rate"] = np.divide(count, total, out=np.full(len(rows), np.nan), where=total > 0)
    rows.require("ended", columns.get("ended_s", columns.get("ended")))
    return part_of(rows, "windows", columns, known=list(COLUMNS["windows"]))
