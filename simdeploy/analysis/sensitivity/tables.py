"""From the table of a sweep to the points of a design, each by its number."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.errors import InputError, Problem
from simdeploy.experiments.ranges import Interval

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.analysis.sensitivity.designs import SensitivityDesign
    from simdeploy.scenario.measures import Measure


class PointValues(NamedTuple):
    """What a table has at each point of a design.

    Attributes
    ----------
    values : ndarray of float, shape (points, replications)
    is_failed, never_ends : ndarray of bool, shape (points,)
    n_failed : int
        Replications that failed.
    """

    values: np.ndarray
    is_failed: np.ndarray
    never_ends: np.ndarray
    n_failed: int
    policy: str


def table_values(design: SensitivityDesign, values: Values, measure: Measure) -> PointValues:
    """Put what a table has where it belongs.

    Raises
    ------
    InputError
        If the table is of several policies or scenarios, or of other points.
    """
    cases = values.cases
    problems = [
        Problem(f"a design has one {name}", (name,), found=", ".join(map(str, cases[name].unique())))
        for name in ("scenario", "policy")
        if name in cases and cases[name].nunique() > 1
    ]
    if "case" not in cases:
        problems.append(Problem("the table of a sweep has this column", ("case",)))
    if problems:
        raise InputError(problems)
    rows = cases["case"].to_numpy(dtype=np.int64)
    _check_points(design, cases, rows)
    found = np.full((len(design), values.n_replications), np.nan)
    found[rows] = values.of(measure)
    is_ok = np.zeros(found.shape, dtype=bool)
    is_ok[rows] = values.is_ok
    never_ends = np.zeros(len(design), dtype=bool)
    never_ends[rows] = values.is_unknown(measure).any(axis=1)
    is_failed = np.logical_not(is_ok.all(axis=1))
    return PointValues(found, is_failed, never_ends, int((~is_ok).sum()), str(cases["policy"].iloc[0]))


def _check_points(design: SensitivityDesign, cases: pd.DataFrame, rows: np.ndarray) -> None:
    if not ((rows >= 0) & (rows < len(design))).all():
        found = f"case {rows.max()}"
        raise InputError(
            Problem("the table is of another design", ("case",), found=found, allowed=f"0 to {len(design) - 1}")
        )
    for name, spread, of_lever in zip(design.names, design.spreads, design.values, strict=True):
        if name not in cases:
            raise InputError(Problem("the table is of another design: it has no such column", (name,)))
        if isinstance(spread, Interval):
            expected = np.asarray(of_lever, dtype=np.float64)[rows]
            differs = cases[name].to_numpy(dtype=np.float64) != expected
            if differs.any():
                place = int(np.argmax(differs))
                found = f"{cases[name].iloc[place]} in case {rows[place]}"
                raise InputError(
                    Problem("the table is of another design", (name,), found=found, allowed=f"{expected[place]}")
                )
