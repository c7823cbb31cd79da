"""Logs of outages: of a node or a zone, from when to when."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simdeploy.records.cells import Array, Rows, in_utc
from simdeploy.records.content import Content
from simdeploy.records.parts import Part, part_of
from simdeploy.records.table import COLUMNS

KIND = "log of outages"


def recognises(content: Content) -> bool:
    """Return whether rows have the start of an outage, and its node or zone."""
    rows = Rows.of(content)
    return rows.has("from") and rows.has("to") and rows.has("node", "zone")


def read(contents: Sequence[Content]) -> list[Part]:
    """Read logs of outages."""
    return [_read(content) for content in contents]


def _read(content: Content) -> Part:
    rows = Rows.of(content)
    node, zone = rows.name("node"), rows.name("zone")
    named = [column.notna().to_numpy() for column in (node, zone) if column is not None]
    rows.refuse(~np.logical_or.reduce(named), "", "neither a node nor a zone")
    instants = {name: _instants(rows, name) for name in ("from", "to", "watched_from", "watched_until")}
    start, end, watched_from, watched_until = instants.values()
    rows.refuse(np.isnat(start) & ~np.isnat(end), "", "an end without a beginning")
    rows.refuse(end < start, "", "ends before it begins")
    rows.refuse((start < watched_from) | (end > watched_until), "", "not within the span that was watched")
    rows.refuse(watched_until < watched_from, "", "watched until before it was watched")
    rows.refuse(
        np.isnat(start) & (np.isnat(watched_from) | np.isnat(watched_until)),
        "",
        "neither an outage nor a span that was watched",
    )
    columns = {"node": node, "zone": zone, **{name: in_utc(times) for name, times in instants.items()}}
    return _without_repetitions(part_of(rows, "outages", columns, known=list(COLUMNS["outages"])))


def _instants(rows: Rows, name: str) -> Array:
    times = rows.instants(name)
    return np.full(len(rows), np.datetime64("NaT", "ns")) if times is None else times


def _without_repetitions(part: Part) -> Part:
    frame = part.frames["outages"]
    repeated = frame.duplicated([column for column in COLUMNS["outages"] if column in frame])
    if not repeated.any():
        return part
    part.drop(frame.loc[repeated, "row"], "repeats an earlier row")
    return Part(part.file, {"outages": frame[~repeated]}, part.find_line, part.dropped)
