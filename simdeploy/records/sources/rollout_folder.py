"""Folders that `Rollout.write` and `simdeploy run --records` make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.api.files import decode, read_bytes
from simdeploy.api.json_text import locate, parse_json
from simdeploy.api.times import parse_time
from simdeploy.errors import InputError, Problem, shorten
from simdeploy.records.cells import Rows
from simdeploy.records.content import MAX_BYTES, Content, parse
from simdeploy.records.naming import name_paths
from simdeploy.records.parts import ROW, Part
from simdeploy.records.simulated import Tables, make_records
from simdeploy.records.walking import OUTSIDE
from simdeploy.vocabulary import RECORD_FORMS

if TYPE_CHECKING:
    import pandas as pd

KIND = "folder of a simulated rollout"

_FACTS: Mapping[str, tuple[type, ...]] = {
    "started_at": (str,),
    "nodes": (int,),
    "type": (str,),
    "policy": (dict,),
    "interval_s": (int, float),
    "deadline_s": (int, float),
    "release": (str,),
    "defective": (bool,),
    "state": (str,),
    "ended_s": (int, float),
    "watched_until_s": (int, float),
}
_REQUIRED = ("started_at", "nodes", "policy", "watched_until_s")
_KINDS = {str: "text", int: "a whole number", float: "a number", dict: "an object", bool: "true or false"}


def recognises(content: Content) -> bool:
    """Return whether this is the folder of a simulated rollout."""
    return content.folder is not None


def read(contents: Sequence[Content]) -> list[Part]:
    """Read folders, each with a rollout that is named after it."""
    folders = [content.folder for content in contents if content.folder is not None]
    names_of_folders = name_paths([Path(folder).resolve() for folder in folders])
    return [_read(folder, name) for folder, name in zip(folders, names_of_folders, strict=True)]


def _read(folder: str, name: str) -> Part:
    facts = _read_facts(folder)
    nodes = _read_table(folder, "nodes", _nodes)
    if nodes["name"].isna().any() or nodes["name"].duplicated().any():
        problem = Problem(
            "missing or repeated", ("name",), file=_find_table(folder, "nodes"), allowed="a name per node"
        )
        raise InputError(problem)
    for earlier, later in pairwise(("dispatched_at_s", "started_at_s", "resolved_at_s", "heard_at_s")):
        if (nodes[later] < nodes[earlier]).any():
            raise InputError(Problem(f"before {earlier}", (later,), file=_find_table(folder, "nodes")))
    windows = _read_table(folder, "windows", _windows)
    number = windows["node"].to_numpy(dtype=np.int64, na_value=-1)
    if len(number) and not (number.min() >= 0 and number.max() < len(nodes)):
        file = _find_table(folder, "windows")
        raise InputError(Problem("a window of a node that isn't in the table of nodes", ("node",), file=file))
    events = _read_table(folder, "events", _events)
    records = make_records(name, facts, Tables(nodes, windows, events))
    frames = {table: getattr(records, table).assign(**{ROW: 0}) for table in ("rollouts", "nodes", "windows", "acts")}
    return Part(folder, frames, is_own=True)


def _read_facts(folder: str) -> dict[str, Any]:
    file = str(Path(folder) / "rollout.json")
    text = decode(read_bytes(file, inside=(folder,), outside=OUTSIDE), file=file)
    raw = parse_json(text, file=file)
    record = raw.get("record") if isinstance(raw, dict) else None
    if not isinstance(record, dict):
        hint = "it was written by an older version: write it again"
        raise InputError(Problem("no record of a rollout", ("record",), file=file, hint=hint))
    problems = [
        Problem("missing", ("record", key), allowed=_KINDS[_FACTS[key][-1]])
        for key in _REQUIRED
        if record.get(key) is None
    ]
    for key, value in record.items():
        kinds = _FACTS.get(key)
        if kinds is None or value is None:
            continue
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            problems.append(Problem("wrong type", ("record", key), found=shorten(value), allowed=_KINDS[kinds[-1]]))
        elif isinstance(value, int | float) and not 0 <= value < 1e15:
            problems.append(Problem("out of range", ("record", key), found=shorten(value), allowed="0 or more"))
    if problems:
        raise InputError(locate(problems, text, file=file))
    try:
        parse_time(record["started_at"])
    except ValueError as error:
        problem = Problem(str(error), ("record", "started_at"), found=shorten(record["started_at"]))
        raise InputError(locate([problem], text, file=file)) from None
    return {key: record.get(key) for key in _FACTS}


def _find_table(folder: str, name: str) -> str:
    files = [Path(folder) / f"{name}.{form}" for form in RECORD_FORMS]
    there = [str(file) for file in files if file.exists() or file.is_symlink()]
    if len(there) == 2:
        # One of them may be left over from an earlier run.
        raise InputError(Problem(f"both {name}.parquet and {name}.csv", file=folder, hint="remove the older one"))
    return there[0] if there else str(files[0])


def _read_table(folder: str, name: str, read_columns: Callable[[Rows], Mapping[str, Any]]) -> pd.DataFrame:
    """Read one of the tables; raise `InputError` for a missing column or an invalid value."""
    import pandas as pd

    file = _find_table(folder, name)
    data = read_bytes(file, inside=(folder,), outside=OUTSIDE, most_bytes=MAX_BYTES)
    table = parse(data, file).table
    if table is None:
        raise InputError(Problem("not a table", file=file, allowed="Parquet or CSV"))
    rows = Rows(table, file)
    columns = read_columns(rows)
    missing = [column for column, values in columns.items() if values is None]
    if missing:
        raise InputError([Problem("no such column", (column,), file=file) for column in missing])
    rows.raise_if_refused()
    return pd.DataFrame(columns, index=pd.RangeIndex(len(rows)))


def _nodes(rows: Rows) -> dict[str, Any]:
    of_class, reason = rows.text("class"), rows.text("failed_reason")
    seconds = ("dispatched_at_s", "started_at_s", "resolved_at_s", "heard_at_s", "rollback_started_at_s")
    return {
        "name": rows.text("name"),
        "zone": rows.text("zone"),
        "class": None if of_class is None else of_class.fillna(""),
        "position": rows.whole("position"),
        "status": rows.text("status"),
        "failed_reason": None if reason is None else reason.fillna(""),
        "attempts": rows.whole("attempts"),
        **{column: rows.number(column) for column in seconds},
    }


def _windows(rows: Rows) -> dict[str, Any]:
    return {
        "node": rows.whole("node"),
        "ended_s": rows.number("ended_s"),
        "requests": rows.whole("requests"),
        "failed_requests": rows.whole("failed_requests"),
        "error_rate": rows.number("error_rate", most=1.0),
        **{column: rows.flag(column) for column in ("healthy", "up", "on_new_version")},
    }


def _events(rows: Rows) -> dict[str, Any]:
    return {"time_s": rows.number("time_s"), "node": rows.whole("node"), "reason": rows.text("reason")}
