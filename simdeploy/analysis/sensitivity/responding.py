"""The response at each point of a design, with all worlds and without each part of them, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.left_out import FAILED, NEVER_ENDS, NO_VALUE
from simdeploy.errors import InputError, Problem, raise_if_any
from simdeploy.experiments.gathering import missing_columns
from simdeploy.experiments.ranges import Interval
from simdeploy.statistics.combining import combine
from simdeploy.statistics.estimators import estimate_cases, estimate_rows, find_quantiles
from simdeploy.statistics.indices import MOST_PARTS
from simdeploy.statistics.sample import UNBOUNDED, Sample, Strata, as_sample

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.analysis.sensitivity.designs import SensitivityDesign
    from simdeploy.scenario.measures import Measure


# Indices can be trusted if the interval of the response itself can be at this fraction of the points.
_NEARLY_ALL = 0.9
# A fraction is known well enough if its interval is at most this part of the largest difference between points.
_NARROW = 0.1


@dataclass(frozen=True, eq=False)
class Responses:
    """The response at each point."""

    all: np.ndarray  # over all replications; NaN where there is a reason
    # Shape (parts, points): without each part of the replications; no parts with one number per point.
    without: np.ndarray
    reason: np.ndarray  # why a point has no response; otherwise empty
    has_error: bool  # whether the variation between replications is known
    is_trusted: bool  # whether there are enough replications for intervals


def respond(
    responses: np.ndarray | Sample,
    measure: Measure | None,
    *,
    confidence_level: float = 0.95,
    is_failed: np.ndarray | None = None,
    never_ends: np.ndarray | None = None,
) -> Responses:
    """Compute a measure (None for the mean of numbers) at each point.

    Values have shape (points, replications), NaN where the measure doesn't apply; or (points,), the responses
    themselves. Points may have a failed replication or an unknown value; if these are not given, values that are not
    finite count as failures.

    Each part that is left out has its share of the worlds of each stratum. The error is unknown if a stratum has only one
    world with a value.
    """
    sample = as_sample(responses)
    values = sample.values
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
        strata = sample.strata
        has_values = [not np.isnan(values[:, columns]).all() for columns in strata.columns]
        has_error = bool(strata.counts[has_values].min(initial=len(strata.of)) > 1)
        everything = _take(sample, measure)
        taken = [_take(sample.in_worlds(kept), measure) for kept in _without_parts(sample.strata)] if has_error else []
        without = np.stack(taken) if taken else np.empty((0, len(values)))
    is_missing = np.isnan(everything) | np.isnan(without).any(axis=0)
    reason[is_missing & (reason == "")] = NO_VALUE
    is_out = reason != ""
    is_trusted = values.ndim == 1 or _can_trust(sample[~is_out], measure, confidence_level)
    return Responses(
        np.where(is_out, np.nan, everything), np.where(is_out, np.nan, without), reason, has_error, is_trusted
    )


def _can_trust(sample: Sample, measure: Measure | None, confidence_level: float) -> bool:
    """Return whether the interval of the response can be trusted at nearly all points.

    Unlike the exact limits of a rate, a jackknife can't allow for events that no world shows, so rates count as means, unless such
    events matter little beside the differences between points.
    """
    if not len(sample):
        return False
    if measure is not None and measure.kind == "quantile":
        are_trusted = np.array([each.is_trusted for each in estimate_cases(sample, measure, confidence_level)])
    else:
        means = combine(replace(sample, bounds=UNBOUNDED), is_rate=False, confidence_level=confidence_level)
        are_trusted = means.trusts_low & means.trusts_high
        if measure is not None and measure.is_fraction:
            limits = estimate_rows(sample, measure, confidence_level)
            is_narrow = limits.high - limits.low <= _NARROW * np.ptp(means.estimate)
            are_trusted |= limits.trusts_low & limits.trusts_high & is_narrow
    return bool(are_trusted.mean() >= _NEARLY_ALL)


def _without_parts(strata: Strata) -> list[np.ndarray]:
    """Return masks that leave out one part of the worlds each."""
    n_parts = min(len(strata.of), MOST_PARTS)
    part = np.empty(len(strata.of), dtype=np.int64)
    for columns in strata.columns:
        of_stratum = np.arange(len(strata.of))[columns]
        for number, worlds in enumerate(np.array_split(of_stratum, n_parts)):
            part[worlds] = number
    return [part != number for number in range(n_parts)]


def _take(sample: Sample, measure: Measure | None) -> np.ndarray:
    """Return the mean, or the quantile, of each row, ignoring NaN."""
    return sample.means() if measure is None or measure.quantile is None else find_quantiles(sample, measure.quantile)


def respond_table(design: SensitivityDesign, values: Values, measure: Measure, confidence_level: float) -> Responses:
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
    of_cases = values.sample(measure)
    observed = np.full((len(design), values.n_replications), np.nan)
    observed[rows] = of_cases.values
    strata = of_cases.strata
    if strata.probabilities.ndim > 1:
        of_points = np.zeros((len(design), strata.n))
        of_points[rows] = strata.probabilities
        strata = replace(strata, probabilities=of_points)
    is_ok = np.zeros(len(design), dtype=bool)
    is_ok[rows] = values.is_ok.all(axis=1)
    never_ends = np.zeros(len(design), dtype=bool)
    never_ends[rows] = values.is_unknown(measure).any(axis=1)
    n_expected, is_certain = np.zeros(len(design)), np.zeros((len(design), strata.n), dtype=bool)
    n_expected[rows], is_certain[rows] = of_cases.n_expected, of_cases.is_certain
    of_worlds = (observed, strata, n_expected)
    sample = Sample(*of_worlds, is_certain=is_certain, covers=of_cases.covers, bounds=of_cases.bounds)
    return respond(sample, measure, confidence_level=confidence_level, is_failed=~is_ok, never_ends=never_ends)


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
