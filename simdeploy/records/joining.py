"""Joins the parts of all files: times relative to the start, distinct rows, and values that follow from others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.errors import InputError, Problem, plural, raise_if_any, shorten
from simdeploy.records.cleaning import IN_ORDER, PART, complete_ends, complete_nodes, complete_windows
from simdeploy.records.parts import ROW, Dropped, Part
from simdeploy.records.placing import place
from simdeploy.records.table import COLUMNS, Records, make_table
from simdeploy.units import NS_PER_S, short_duration

if TYPE_CHECKING:
    import pandas as pd

# Times of each table, without `_s`.
_TIMES = {
    "rollouts": ("ended", "watched_until"),
    "nodes": ("dispatched_at", "started_at", "resolved_at", "heard_at", "watched_until"),
    "windows": ("ended",),
    "counts": ("time",),
    "acts": ("time",),
}


def join(parts: Sequence[Part], dropped: Sequence[Dropped]) -> Records:
    """Join the parts of all files.

    Raises
    ------
    InputError
        If files contradict each other on a rollout, or nothing is left.
    """
    parts = _with_rollouts(parts)
    starts = _find_starts(parts)
    nodes = complete_nodes(_join_table("nodes", parts, starts), parts)
    windows = complete_windows(_join_table("windows", parts, starts), parts)
    frames = {name: _join_table(name, parts, starts) for name in ("rollouts", "counts", "acts", "outages")}
    raise_if_any([problem for name in ("rollouts", "acts") for problem in _find_early(name, frames[name], parts)])
    others = [nodes, windows, frames["counts"], frames["acts"]]
    rollouts = _join_rollouts(frames["rollouts"], parts, starts, others)
    frames |= {"rollouts": rollouts, "nodes": complete_ends(nodes, rollouts, windows), "windows": windows}
    left_out = [*dropped, *(each for part in parts for each in part.dropped)]
    if not any(len(frame) for name, frame in frames.items() if name != "acts"):
        raise InputError(_nothing_left(left_out))
    tables = {name: make_table(name, frame) for name, frame in frames.items()}
    return Records(**tables, dropped=make_table("dropped", _columns(left_out)))


def _columns(left_out: Sequence[Dropped]) -> dict[str, list[Any]]:
    return {name: [getattr(each, name) for each in left_out] for name in Dropped._fields}


def _nothing_left(left_out: Sequence[Dropped]) -> list[Problem]:
    reasons = [
        Problem(each.reason, file=each.file, line=each.line, found=plural(each.rows, "row"))
        for each in left_out
        if each.rows
    ]
    hint = None if reasons else "no file has a row"
    return [Problem("no usable records", hint=hint), *reasons]


def _with_rollouts(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with a rollout for each window, inferred from its time if missing."""
    is_without = ["windows" in part.frames and "rollout" not in part.frames["windows"] for part in parts]
    others = [part for part, without in zip(parts, is_without, strict=True) if not without]
    if len(others) == len(parts):
        return list(parts)
    starts = _find_starts(others)
    # Rows that are dropped from the others here will be dropped, and reported, when all parts are joined.
    spans, nodes = _find_spans([replace(part, dropped=[]) for part in others], starts)

    def with_rollouts(part: Part) -> Part:
        windows = part.frames["windows"]
        if starts.empty:
            return _alone(part, windows)
        return replace(part, frames={**part.frames, "windows": place(windows, part, spans, nodes)})

    return [with_rollouts(part) if without else part for part, without in zip(parts, is_without, strict=True)]


def _find_spans(parts: Sequence[Part], starts: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the span in which each rollout is on record, and its nodes."""
    import pandas as pd

    nodes = complete_nodes(_join_table("nodes", parts, starts), parts)
    rollouts = _join_rollouts(_join_table("rollouts", parts, starts), parts, starts, [nodes])
    nodes = complete_ends(nodes, rollouts, pd.DataFrame())
    last = nodes.groupby("rollout", sort=False)[["watched_until_s", *IN_ORDER]].max().max(axis=1)
    stated = rollouts.set_index("rollout")[["watched_until_s", "ended_s"]].max(axis=1)
    ends_s = stated.combine(last, np.fmax).reindex(starts.index)
    ends = starts + pd.to_timedelta(ends_s, unit="s")
    spans = pd.DataFrame({"rollout": starts.index, "start": starts.to_numpy(), "end": ends.to_numpy()})
    return spans.dropna(), nodes


def _alone(part: Part, windows: pd.DataFrame) -> Part:
    """Assign windows to a single rollout, because no other is on record."""
    import pandas as pd

    first = pd.Series({part.alone: windows["ended"].min()}, dtype="datetime64[ns]")
    return replace(part, frames={**part.frames, "windows": windows.assign(rollout=part.alone)}, first_seen=first)


def _find_starts(parts: Sequence[Part]) -> pd.Series:
    """Return the start of each rollout: as stated, otherwise its first dispatch, otherwise its first time on record."""
    import pandas as pd

    sources = (
        [_instants_of(part, "rollouts", "started_at") for part in parts],
        [_instants_of(part, "nodes", "dispatched_at") for part in parts],
        [part.first_seen for part in parts if part.first_seen is not None],
    )
    starts = pd.Series(dtype="datetime64[ns]", index=pd.Index([], dtype="str"))
    for instants in sources:
        if instants:
            first = pd.concat(instants).dropna().groupby(level=0, sort=False).min()
            starts = pd.concat([starts, first[~first.index.isin(starts.index)]])
    return starts.astype("datetime64[ns]")


def _instants_of(part: Part, table: str, column: str) -> pd.Series:
    """Return a column of times by rollout; empty if there is none."""
    import pandas as pd

    frame = part.frames.get(table)
    if frame is None or column not in frame:
        return pd.Series(dtype="datetime64[ns]", index=pd.Index([], dtype="str"))
    values = frame[column]
    values = values.dt.tz_localize(None) if getattr(values.dt, "tz", None) is not None else values
    return pd.Series(values.to_numpy("datetime64[ns]"), index=pd.Index(frame["rollout"], dtype="str"))


def _join_table(name: str, parts: Sequence[Part], starts: pd.Series) -> pd.DataFrame:
    """Return the rows of all parts, with times in seconds."""
    import pandas as pd

    frames = []
    for number, part in enumerate(parts):
        frame = part.frames.get(name)
        if frame is not None and len(frame):
            frames.append((_in_seconds(frame, name, part, starts).assign(**{PART: number}), part.is_own))
    columns = [*COLUMNS[name], ROW, PART]
    if not frames:
        return pd.DataFrame(columns=columns)
    # A column of times that some parts lack is converted at the end.
    dtypes = {column: dtype for column, dtype in COLUMNS[name].items() if not dtype.startswith("datetime64")}
    typed = [frame[columns] if is_own else frame.reindex(columns=columns).astype(dtypes) for frame, is_own in frames]
    return typed[0].reset_index(drop=True) if len(typed) == 1 else pd.concat(typed, ignore_index=True)


def _in_seconds(frame: pd.DataFrame, name: str, part: Part, starts: pd.Series) -> pd.DataFrame:
    """Replace times by seconds after the start; drop rows of rollouts without a known start."""
    import pandas as pd

    instants = [time for time in _TIMES.get(name, ()) if time in frame]
    if not instants:
        return frame
    start = starts.reindex(pd.Index(frame["rollout"])).to_numpy("datetime64[ns]")
    seconds = {}
    is_without = np.zeros(len(frame), dtype=bool)
    for time in instants:
        values = frame[time].to_numpy("datetime64[ns]")
        is_without |= np.isnat(start) & ~np.isnat(values)
        passed = (values - start).astype(np.int64) / NS_PER_S
        seconds[f"{time}_s"] = np.where(np.isnat(values) | np.isnat(start), np.nan, passed)
    frame = frame.drop(columns=instants).assign(**seconds)
    if is_without.any():
        part.drop(frame.loc[is_without, ROW], "neither start nor dispatch of its rollout is known")
        frame = frame[~is_without]
    return frame


def _find_early(name: str, frame: pd.DataFrame, parts: Sequence[Part]) -> Iterator[Problem]:
    """Yield problems with times before the start of a rollout, in rows that concern the rollout as a whole."""
    for time in _TIMES[name]:
        seconds = f"{time}_s"
        early = frame.loc[frame[seconds] < 0, ["rollout", PART, ROW, seconds]]
        for rollout, number, row, value in early.itertuples(index=False):
            part = parts[int(number)]
            field = time if time in part.frames[name] else seconds
            found = f"{short_duration(-value * NS_PER_S)} before it"
            hint = "compare clocks and time zones"
            message = f"before the start of rollout {shorten(rollout)}"
            yield Problem(message, (field,), part.file, part.find_line(int(row)), found=found, hint=hint)


def _join_rollouts(
    frame: pd.DataFrame, parts: Sequence[Part], starts: pd.Series, others: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    """Return one row per rollout, which combines the statements of all files."""
    import pandas as pd

    facts = list(COLUMNS["rollouts"])[1:]
    merged = frame
    if frame["rollout"].duplicated().any():
        _check_contradictions(frame, facts, parts)
        merged = frame.groupby("rollout", sort=False, as_index=False).first()
    named = pd.concat([pd.Series(each["rollout"], dtype="str") for each in others]).drop_duplicates()
    named = named[~named.isin(merged["rollout"])]
    if len(named):
        more = make_table("rollouts", {"rollout": named})
        merged = pd.concat([merged, more], ignore_index=True) if len(merged) else more
    if not len(starts):
        return merged.drop(columns="started_at")
    return merged.assign(started_at=merged["rollout"].map(starts).dt.tz_localize("UTC"))


def _check_contradictions(frame: pd.DataFrame, facts: Sequence[str], parts: Sequence[Part]) -> None:
    different = frame.groupby("rollout", sort=False)[list(facts)].nunique()
    problems = []
    for rollout, counts in different[(different > 1).any(axis=1)].iterrows():
        fact = counts.index[counts > 1][0]
        rows = frame[(frame["rollout"] == rollout) & frame[fact].notna()]
        last = rows.iloc[-1]
        part = parts[int(last[PART])]
        values = ", ".join(shorten(str(value)) for value in rows[fact].unique())
        message = f"rollout {shorten(rollout)} is stated twice, with different values"
        problems.append(Problem(message, (fact,), part.file, part.find_line(int(last[ROW])), found=values))
    raise_if_any(problems)
