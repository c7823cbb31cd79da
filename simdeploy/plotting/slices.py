"""Slices of a sweep to draw: one or two keys as axes, the others at one of their values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.naming import format_factor
from simdeploy.errors import InputError, Problem, nearest, raise_if_any, shorten
from simdeploy.report.grid import name_rows

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis import GridSummary

_NAMED = ("scenario", "policy")


@dataclass(frozen=True)
class Slice:
    """The part of a sweep to draw: cells of the summary over one or two keys.

    Scales come from the `whole` summary, so that slices can be compared. `is_grid`: whether every combination was tried.
    The `note` names the other keys: fixed, or differing between cells. The `names` of the cells are below the `heading`
    in the table of the summary.
    """

    cells: pd.DataFrame
    whole: pd.DataFrame
    x: str
    y: str | None
    is_grid: bool
    note: str
    heading: str
    names: tuple[str, ...]


def choose_slice(summary: GridSummary, at: Mapping[str, Any]) -> Slice:
    """Choose the cases to draw and the keys to draw them against; refuse unknown keys and values in `at`.

    Keys that are neither axes nor in `at` have their first value if every combination was tried.
    """
    cells, keys = summary.cells, _varied(summary)
    _check_keys(at, keys)
    axes = _axes(summary, at)
    if not axes:
        allowed = "a sweep over at least one key with several values"
        raise InputError(Problem("nothing to draw a result against", ("result",), allowed=allowed))
    is_grid = _is_grid(summary)
    fixed, loose = [], []
    for key in keys:
        if key in axes:
            continue
        if not is_grid and key not in at and key not in _NAMED:
            loose.append(key)
            continue
        cells = _only(cells, key, at[key] if key in at else cells[key].iloc[0], given=key in at)
        fixed.append(f"{key} {format_factor(key, cells[key].iloc[0])}")
    notes = [f"at {', '.join(fixed)}"] * bool(fixed) + [f"points differ in {', '.join(loose)}"] * bool(loose)
    heading, words = name_rows(summary)
    names = tuple(np.array(words, dtype=object)[summary.cells.index.get_indexer(cells.index)])
    y = axes[1] if len(axes) > 1 else None
    return Slice(cells, summary.cells, axes[0], y, is_grid, "; ".join(notes), heading, names)


def list_slices(summary: GridSummary) -> list[dict[str, Any]]:
    """Return every combination of values of the keys that are not axes, each as `at` of `choose_slice`, in order."""
    axes, is_grid = _axes(summary, ()), _is_grid(summary)
    others = [key for key in _varied(summary) if key not in axes and (is_grid or key in _NAMED)]
    if not others:
        return [{}]
    combinations = summary.cells[others].drop_duplicates().to_dict("records")
    return [{str(key): value for key, value in combination.items()} for combination in combinations]


def _varied(summary: GridSummary) -> list[str]:
    """Return the keys with several values."""
    return [key for key in (*_NAMED, *summary.factors) if summary.cells[key].nunique(dropna=False) > 1]


def _axes(summary: GridSummary, at: Collection[str]) -> list[str]:
    """Return the first two remaining keys: those of the policy first, then those of the scenario."""
    free = [key for key in _varied(summary) if key not in _NAMED and key not in at]
    return sorted(free, key=lambda name: name.startswith("scenario."))[:2]


def _is_grid(summary: GridSummary) -> bool:
    keys = _varied(summary)
    return len(summary.cells.drop_duplicates(keys)) == prod(summary.cells[key].nunique(dropna=False) for key in keys)


def _check_keys(at: Mapping[str, Any], keys: list[str]) -> None:
    problems = [
        Problem("not a key that was varied", ("at", key), allowed=", ".join(keys), hint=nearest(key, keys))
        for key in at
        if key not in keys
    ]
    raise_if_any(problems)


def _only(cells: pd.DataFrame, key: str, value: Any, *, given: bool) -> pd.DataFrame:
    import pandas as pd

    is_it = cells[key].isna() if pd.isna(value) else cells[key].eq(value).fillna(value=False)
    if given and not is_it.any():
        allowed = ", ".join(format_factor(key, known) for known in cells[key].unique()[:20])
        raise InputError(Problem("not a value that was tried", ("at", key), found=shorten(value), allowed=allowed))
    return cells[is_it]
