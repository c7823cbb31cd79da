"""Result of a sensitivity analysis: indices by factor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from simdeploy.analysis.sensitivity.designs import Method
from simdeploy.result import INTERVAL, Columns, Result, floats
from simdeploy.scenario.measures import Measure

if TYPE_CHECKING:
    import pandas as pd

# The index by which each method ranks factors.
RANKED_BY = {"morris": "mu_star", "sobol": "total"}

# If a smaller fraction of all changes has the sign of the slope, the response has no direction.
LEAST_MONOTONE_FRACTION = 0.75

INDEX = {
    "factor": "str",
    "index": "str",
    **INTERVAL,
    "standard_error": "float64",
    "is_trusted": "bool",
}
FACTOR = {
    "factor": "str",
    "over": "str",
    "is_inert": "bool",
    **floats("slope", "slope_low", "slope_high"),
    "monotone_fraction": "float64",
    "direction": "str",
}
Direction = Literal["rises", "falls"]
POINT = {"block": "int64", "response": "float64", "reason": "str"}


@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity(Result):
    """Result of `estimate_sensitivity`.

    Attributes
    ----------
    method : {'morris', 'sobol'}
    of : Measure or None
        The response; None for numbers from the caller.
    policy : str or None
    indices : DataFrame
        One row per factor and index, the most influential factors first: `factor`, `index` (Morris: "mu_star", "mu",
        "sigma", in the unit of the response per range of the factor; Sobol: "first", "total", fractions of the
        variance), `estimate`, `low`, `high`, each interval separately, `standard_error`; NaN if `is_refused`. `is_trusted`,
        the same for all, is whether there are enough replications: whether the interval of the mean of the response itself
        can be trusted at nine tenths of the points (see `Estimates`), or of the quantile. For a fraction it is enough that its
        interval is at most a tenth of the largest difference between points.
    factors : DataFrame
        One row per factor: `factor`; its range `over`; `is_inert`, whether it never changed the response; and its direction.
        `slope` is the least-squares change of the response over the range of the factor, from pairs of points that differ
        in this factor only (Morris: mu), with `slope_low` and `slope_high`. `monotone_fraction` is the fraction of these
        changes, by absolute value, that has the sign of the slope; 1 if the response is monotone. `direction` is "rises"
        or "falls"; missing if the interval of the slope contains 0 or the fraction is below 0.75. All are missing for a
        list whose values are not ascending numbers, and if `is_refused`.
    points : DataFrame
        One row per point of the design: its `block`, the factors, the `response`, and the `reason` if there is none.
    n_blocks, n_used : int
        Trajectories or rows, and how many of them have all responses.
    left_out : dict
        Number of blocks left out, by reason.
    is_refused : bool
        Whether no indices are given, because too many points have no response.
    is_constant : bool
        Whether the response is the same at all points that have one.
    is_first_sure : bool or None
        Whether the most influential factor is significantly ahead of all others, and intervals can be trusted; None if no
        factor has an effect.
    n_replications : int
        Replications at each point; 0 for numbers from the caller.
    n_failed : int
        Failed replications.
    confidence_level : float
    computed_under : dict
        Scenario, seed, engine and switches, if the table has them, and the costs, if a measure uses them.
    """

    method: Method
    of: Measure | None
    policy: str | None
    indices: Annotated[pd.DataFrame, Columns(INDEX)]
    factors: Annotated[pd.DataFrame, Columns(FACTOR, words={"direction": Direction})]
    points: Annotated[pd.DataFrame, Columns(POINT, has_more=True)]
    n_blocks: int
    n_used: int
    left_out: Mapping[str, int]
    is_refused: bool
    is_constant: bool
    is_first_sure: bool | None
    n_replications: int
    n_failed: int
    confidence_level: float
    computed_under: Mapping[str, Any]


def make_interval(estimate: float, half_width: float, least: float) -> tuple[float, float, float]:
    """Return an estimate and its interval, clipped at a lower bound; unknown ends stay unknown.

    The half-width above an estimate is unchanged, even if the estimate was below the bound.

    Examples
    --------
    >>> make_interval(-0.5, 2.0, 0.0)
    (0.0, 0.0, 2.0)
    """
    if math.isnan(estimate):
        return math.nan, math.nan, math.nan
    low, estimate = estimate - half_width, max(estimate, least)
    return estimate, low if math.isnan(low) else max(low, least), estimate + half_width
