"""Indices of factors from responses at the points of a design."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.left_out import count_reasons, is_unrepresentative
from simdeploy.analysis.asking.measuring import Values, read_measures
from simdeploy.analysis.sensitivity.designs import SensitivityDesign, describe_spread
from simdeploy.analysis.sensitivity.responding import Responses, respond, respond_table
from simdeploy.analysis.sensitivity.result import (
    FACTOR,
    INDEX,
    LEAST_MONOTONE_FRACTION,
    RANKED_BY,
    Sensitivity,
    make_interval,
)
from simdeploy.errors import InputError, Problem, raise_if_any
from simdeploy.experiments.ranges import Choices, Spread
from simdeploy.result import make_frame, read_computed_under
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.indices import (
    MORRIS,
    SOBOL,
    Estimated,
    effect_indices,
    effect_moments,
    estimate_with_errors,
    slope_moments,
    slopes,
    variance_indices,
    variance_moments,
)
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.scenario.parts import Costs

_NEVER_NEGATIVE = ("mu_star", "sigma")
_LEAST_BLOCKS = 4


def analyze_sensitivity(
    design: SensitivityDesign,
    responses: Any,
    *,
    of: Measure | str | None = None,
    costs: Costs | None = None,
    confidence_level: float = 0.95,
) -> Sensitivity:
    """Estimate indices from responses at the points of a design.

    Parameters
    ----------
    design : SensitivityDesign
        From `design_sensitivity`.
    responses : array_like, DataFrame, SweepResult or StoredTable
        One number per point in the order of `design.points`; or one row of replications per point; or the table of a
        sweep over these points as a list design, in which `case` is the number of the point.
    of : Measure or str, optional
        The response; required for a table.
    costs : Costs, optional
        For measures of costs. By default the scenario's, from `sweep`.
    confidence_level : float, default 0.95
        Of each interval separately.

    Returns
    -------
    Sensitivity

    Raises
    ------
    InputError
        If the responses don't match the design.

    Notes
    -----
    See `effect_indices` and `variance_indices` for formulas, `estimate_with_errors` for intervals: they include the
    error from the choice of points and, with replications, from the choice of worlds. Replications are divided into at
    most 20 parts; with worlds by kind of release, each part has its share of every kind. One number per point is treated
    as exact, as for a deterministic function; a single replication, or a single world of a kind, gives no interval.

    A point has no response if a replication failed, if its measure is unknown because rollouts never end, or if it has
    no observation. Then its whole trajectory or row is left out. If more than a tenth of the blocks is left out for
    reasons other than failures, or fewer than four blocks remain, no indices are given.

    Examples
    --------
    >>> from simdeploy.analysis import analyze_sensitivity, design_sensitivity
    >>> design = design_sensitivity({"x": (0.0, 1.0), "y": (0.0, 1.0)})
    >>> points = design.points
    >>> analyze_sensitivity(design, 3 * points["x"] - points["y"]).indices.drop(columns="is_trusted").round(6)
      factor    index  estimate  low  high  standard_error
    0      x  mu_star       3.0  3.0   3.0             0.0
    1      x       mu       3.0  3.0   3.0             0.0
    2      x    sigma       0.0  0.0   0.0             0.0
    3      y  mu_star       1.0  1.0   1.0             0.0
    4      y       mu      -1.0 -1.0  -1.0             0.0
    5      y    sigma       0.0  0.0   0.0             0.0
    """
    raise_if_any(level_problems(confidence_level))
    if hasattr(responses, "columns"):
        if of is None:
            raise InputError(Problem("a table of replications needs a measure", ("of",), allowed="such as makespan_s"))
        (measure,) = read_measures([of])
        values = Values(responses, [measure], costs=costs)
        return analyze_table(design, values, measure, confidence_level, read_computed_under(responses))
    numbers = np.asarray(responses, dtype=np.float64)
    if numbers.ndim not in (1, 2) or len(numbers) != len(design) or 0 in numbers.shape:
        allowed = f"{len(design):,} numbers or replication rows, one per point"
        raise InputError(
            Problem(
                "the responses don't match the design", ("responses",), found=f"shape {numbers.shape}", allowed=allowed
            )
        )
    responded = respond(numbers, None, confidence_level=confidence_level)
    n_failed = int((~np.isfinite(numbers)).sum())
    n_replications = 0 if numbers.ndim == 1 else numbers.shape[1]
    return _analyze(design, responded, None, None, n_replications, n_failed, confidence_level, {})


def analyze_table(
    design: SensitivityDesign, values: Values, measure: Measure, confidence_level: float, under: Mapping[str, Any]
) -> Sensitivity:
    """Estimate indices from a table whose cases are the points."""
    responses, n = respond_table(design, values, measure, confidence_level), values.n_replications
    policy, n_failed = str(values.cases["policy"].iloc[0]), len(design) * n - int(values.is_ok.sum())
    under = {**under, **values.counted_under}
    return _analyze(design, responses, measure, policy, n, n_failed, confidence_level, under)


def _analyze(
    design: SensitivityDesign,
    responses: Responses,
    measure: Measure | None,
    policy: str | None,
    n_replications: int,
    n_failed: int,
    confidence_level: float,
    under: Mapping[str, Any],
) -> Sensitivity:
    import pandas as pd

    n_blocks, per_block, _ = design.places.shape
    reasons = responses.reason.reshape(n_blocks, per_block)
    is_used = (reasons == "").all(axis=1)
    left_out = count_reasons(next(filter(None, row)) for row in reasons[~is_used].tolist())
    points = pd.DataFrame(
        {
            "block": np.repeat(np.arange(n_blocks), per_block),
            **dict(zip(design.names, design.values, strict=True)),
            "response": responses.all,
            "reason": responses.reason.astype(str),
        }
    )
    n_used = int(is_used.sum())
    is_too_little = n_used < _LEAST_BLOCKS or is_unrepresentative(left_out, n_blocks)
    indices = _estimate(design, responses, is_used, confidence_level, is_refused=is_too_little)
    known = responses.all[~np.isnan(responses.all)]
    is_constant = bool(n_used > 0 and len(known) and (known == known[0]).all())
    is_refused = bool(indices["estimate"].isna().all()) and not is_constant
    kinds = _kinds_of_index(design)
    ranked = indices.iloc[kinds.index(RANKED_BY[design.method]) :: len(kinds)]
    is_inert = ranked["estimate"].eq(0) & ranked["standard_error"].eq(0)
    directions = (
        [{} for _ in design.names]
        if is_refused or is_too_little
        else _directions(design, responses, is_used, confidence_level)
    )
    return Sensitivity(
        method=design.method,
        of=measure,
        policy=policy,
        indices=indices,
        factors=_factors(design, set(ranked["factor"][is_inert]), directions),
        points=points,
        n_blocks=n_blocks,
        n_used=n_used,
        left_out=left_out,
        is_refused=is_refused,
        is_constant=is_constant,
        is_first_sure=None if is_refused or is_constant else _is_first_sure(ranked[~is_inert]),
        n_replications=n_replications,
        n_failed=n_failed,
        confidence_level=confidence_level,
        computed_under=under,
    )


def _estimate(
    design: SensitivityDesign, responses: Responses, is_used: np.ndarray, confidence_level: float, *, is_refused: bool
) -> pd.DataFrame:
    kinds = _kinds_of_index(design)
    shape = len(kinds), len(design.levers)
    if is_refused:
        estimate = error = half_width = np.full(shape, np.nan)
    else:
        indices = effect_indices if design.method == "morris" else lambda means, _: variance_indices(means)
        moments = partial(_moments, design)
        estimate, error, half_width = _with_errors(indices, moments, responses, is_used, confidence_level)
    ranked = kinds.index(RANKED_BY[design.method])
    order = np.argsort(-np.nan_to_num(estimate[ranked], nan=-math.inf), kind="stable")
    rows = []
    for lever in order.tolist():
        for place, kind in enumerate(kinds):
            least = 0.0 if kind in _NEVER_NEGATIVE else -math.inf
            interval = make_interval(float(estimate[place, lever]), float(half_width[place, lever]), least)
            values = (design.names[lever], kind, *interval, float(error[place, lever]), responses.is_trusted)
            rows.append(dict(zip(INDEX, values, strict=True)))
    return make_frame(rows, INDEX)


def _kinds_of_index(design: SensitivityDesign) -> tuple[str, ...]:
    """Return the indices of each factor, in their order in the table."""
    return MORRIS if design.method == "morris" else SOBOL


def _with_errors(
    statistic: Callable[[np.ndarray, int], np.ndarray],
    moments: Callable[[np.ndarray], np.ndarray],
    responses: Responses,
    is_used: np.ndarray,
    confidence_level: float,
) -> Estimated:
    """Estimate a statistic of the mean moments of the used blocks."""
    without = [moments(of_part)[is_used] for of_part in responses.without]
    return estimate_with_errors(
        moments(responses.all)[is_used],
        np.stack(without) if without else np.empty((0,)),
        statistic,
        has_error=responses.has_error,
        confidence_level=confidence_level,
    )


def _moments(design: SensitivityDesign, responses: np.ndarray) -> np.ndarray:
    by_block = responses.reshape(design.places.shape[:2])
    if design.moved is not None:  # by Morris
        return effect_moments(design.places, design.moved, by_block)
    return variance_moments(by_block)


def _is_first_sure(moving: pd.DataFrame) -> bool | None:
    """Return whether the first factor's index is significantly the largest; None if no factor is active."""
    if moving.empty:
        return None
    return bool((moving["high"].iloc[1:] < moving["low"].iloc[0]).all() and moving["is_trusted"].all())


def _directions(
    design: SensitivityDesign, responses: Responses, is_used: np.ndarray, confidence_level: float
) -> list[dict[str, Any]]:
    """Return the slope and direction of each factor; empty for a list without order."""
    pairs = zip(design.spreads, design.values, strict=True)
    places = np.stack([spread.place(values) for spread, values in pairs], axis=1).reshape(design.places.shape)

    def moments(of: np.ndarray) -> np.ndarray:
        return slope_moments(places, design.moved, of.reshape(places.shape[:2]))

    estimated = _with_errors(lambda means, _: slopes(means), moments, responses, is_used, confidence_level)
    _, _, up, down = moments(responses.all)[is_used].sum(axis=0)
    return [
        _direction(*numbers) if _has_order(spread) else {}
        for spread, *numbers in zip(design.spreads, estimated.estimate, estimated.half_width, up, down, strict=True)
    ]


def _direction(slope: float, half_width: float, up: float, down: float) -> dict[str, Any]:
    _, low, high = make_interval(float(slope), float(half_width), -math.inf)
    part = (up if slope > 0 else down) / (up + down) if up + down > 0 and slope else math.nan
    is_clear = part >= LEAST_MONOTONE_FRACTION and (low > 0 or high < 0)
    direction = ("rises" if slope > 0 else "falls") if is_clear else None
    return {
        "slope": float(slope), "slope_low": low, "slope_high": high, "monotone_fraction": float(part), "direction": direction,
    }  # fmt: skip


def _has_order(spread: Spread) -> bool:
    if not isinstance(spread, Choices):
        return True
    values = spread.values
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return is_number and list(values) == sorted(values)


def _factors(design: SensitivityDesign, inert: set[str], directions: list[dict[str, Any]]) -> pd.DataFrame:
    unknown = dict.fromkeys(FACTOR)
    rows = [
        {**unknown, "factor": name, "over": describe_spread(name, spread), "is_inert": name in inert, **direction}
        for name, spread, direction in zip(design.names, design.spreads, directions, strict=True)
    ]
    return make_frame(rows, FACTOR)
