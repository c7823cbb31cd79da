"""The response at each point of a design, also with parts of the worlds left out, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.errors import InputError, Problem, raise_if_any
from simdeploy.experiments.gathering import missing_columns
from simdeploy.experiments.ranges import Interval
from simdeploy.statistics.estimators import quantile_place
from simdeploy.statistics.indices import MOST_PARTS

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.analysis.sensitivity.designs import SensitivityDesign
    from simdeploy.scenario.measures import Measure

FAILED, NEVER_ENDS, NO_VALUE = "a replication failed", "some rollouts never end", "no value"


@dataclass(frozen=True, eq=False)
class Responses:
    """The response at each point."""

    all: np.ndarray  # over all replications; NaN where there is a reason
    # Shape (parts, points): without each part of the replications; no parts with one number per point.
    without: np.ndarray
    reason: np.ndarray  # why a point has no response; otherwise empty
    has_error: bool  # whether the variation between replications is known


def respond(
    values: np.ndarray,
    measure: Measure | None,
    *,
    is_failed: np.ndarray | None = None,
    never_ends: np.ndarray | None = None,
) -> Responses:
    """Compute a measure (None for the mean of numbers) at each point.

    Values have shape (points, replications), NaN where the measure doesn't apply; or (points,), the responses
    themselves. Points may have a failed replication or an unknown value; if nothing is said of that, every value that
    is not finite is a failure.
    """
    if is_failed is None:
        finite = np.isfinite(values)
        is_failed = ~(finite if values.ndim == 1 else finite.all(axis=1))
    reason = np.where(is_failed, FAILED, "").astype(object)
    if never_ends is not None:
        reason[never_ends & ~is_failed] = NEVER_ENDS
    if values.ndim == 1:
        everything, without = values.astype(np.float64), np.empty((0, len(values)))
        has_error = True
    else:
        n = values.shape[1]
        everything = _take(values, measure)
        parts = np.array_split(np.arange(n), min(n, MOST_PARTS)) if n > 1 else []
        taken = [_take(np.delete(values, part, axis=1), measure) for part in parts]
        without = np.stack(taken) if taken else np.empty((0, len(values)))
        has_error = n > 1
    is_missing = np.isnan(everything) | np.isnan(without).any(axis=0)
    reason[is_missing & (reason == "")] = NO_VALUE
    is_out = reason != ""
    return Responses(np.where(is_out, np.nan, everything), np.where(is_out, np.nan, without), reason, has_error)


def _take(values: np.ndarray, measure: Measure | None) -> np.ndarray:
    """Return the mean, or the quantile, of each row, ignoring NaN."""
    n = (~np.isnan(values)).sum(axis=1)
    if measure is None or measure.quantile is None:
        # Relative to the first value, so that the mean of identical values is exact.
        first = np.take_along_axis(values, np.argmax(~np.isnan(values), axis=1)[:, None], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: np.ndarray = first[:, 0] + np.nansum(values - first, axis=1) / n
        return np.where(n > 0, mean, np.nan)
    ordered = np.sort(values, axis=1)  # NaN come last
    places = [quantile_place(int(count), measure.quantile) if count else 0 for count in n.tolist()]
    quantiles: np.ndarray = np.take_along_axis(ordered, np.array(places)[:, None], axis=1)[:, 0]
    return quantiles


def respond_table(design: SensitivityDesign, values: Values, measure: Measure) -> Responses:
    """Compute a measure at each point from the table of a sweep whose cases are the points.

    Raises `InputError` for a table with several policies or scenarios, or with other points.
    """
    cases = values.cases
    problems = [
        Problem(f"the design needs a single {name}", (name,), found=", ".join(map(str, cases[name].unique())))
        for name in ("scenario", "policy")
        if name in cases and cases[name].nunique() > 1
    ]
    problems += missing_columns(["case"], cases.columns, table="a sweep's table")
    raise_if_any(problems)
    rows = cases["case"].to_numpy(dtype=np.int64)
    _check_points(design, cases, rows)
    observed = np.full((len(design), values.n_replications), np.nan)
    observed[rows] = values.of(measure)
    is_ok = np.zeros(len(design), dtype=bool)
    is_ok[rows] = values.is_ok.all(axis=1)
    never_ends = np.zeros(len(design), dtype=bool)
    never_ends[rows] = values.is_unknown(measure).any(axis=1)
    return respond(observed, measure, is_failed=~is_ok, never_ends=never_ends)


def _check_points(design: SensitivityDesign, cases: pd.DataFrame, rows: np.ndarray) -> None:
    if not ((rows >= 0) & (rows < len(design))).all():
        found = f"case {rows.max()}"
        raise InputError(
            Problem("the table belongs to another design", ("case",), found=found, allowed=f"0 to {len(design) - 1}")
        )
    for name, spread, of_lever in zip(design.names, design.spreads, design.values, strict=True):
        if name not in cases:
            raise InputError(Problem("the table belongs to another design: missing column", (name,)))
        if isinstance(spread, Interval):
            expected = np.asarray(of_lever, dtype=np.float64)[rows]
            differs = cases[name].to_numpy(dtype=np.float64) != expected
            if differs.any():
                place = int(np.argmax(differs))
                found = f"{cases[name].iloc[place]} in case {rows[place]}"
                raise InputError(
                    Problem("the table belongs to another design", (name,), found=found, allowed=f"{expected[place]}")
                )
