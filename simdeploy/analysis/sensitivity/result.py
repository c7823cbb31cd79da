"""What a sensitivity analysis gives: indices by factor, and what they decide."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from simdeploy.analysis.sensitivity.designs import Method
from simdeploy.result import INTERVAL, Columns, Result
from simdeploy.scenario.measures import Measure

if TYPE_CHECKING:
    import pandas as pd

# By which of a method's indices factors are ranked.
RANKED_BY = {"morris": "mu_star", "sobol": "total"}

# If more blocks than these have no value for what happens in the simulation, the others are other worlds.
MOST_UNKNOWN_FRACTION = 0.1

# If less of all changes goes the way of the slope, the response has no one direction.
LEAST_MONOTONE_FRACTION = 0.75

INDEX = {
    "factor": "str",
    "index": "str",
    **INTERVAL,
    "standard_error": "float64",
}
FACTOR = {
    "factor": "str",
    "over": "str",
    "is_inert": "bool",
    "slope": "float64",
    "slope_low": "float64",
    "slope_high": "float64",
    "monotone_fraction": "float64",
    "direction": "str",
}
Direction = Literal["rises", "falls"]
POINT = {"block": "int64", "response": "float64", "reason": "str"}


@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity(Result):
    """What `estimate_sensitivity` found.

    Attributes
    ----------
    method : {'morris', 'sobol'}
    of : Measure or None
        The response; None for numbers that a caller computed.
    policy : str or None
    indices : DataFrame
        One row per factor and index, the factors that move the response most first: `factor`, `index` (Morris:
        "mu_star", "mu", "sigma", in the unit of the response per range of the factor; Sobol: "first", "total",
        fractions of the variance), `estimate`, `low`, `high`, each interval by itself, `standard_error`. NaN where the
        answer is refused.
    factors : DataFrame
        One row per factor: `factor`, what it is varied `over`, `is_inert`, whether it changes not one number, and the
        direction. `slope` is by how much the response rises over the range of the factor, by least squares over pairs of
        points that differ in this factor only (Morris: mu), with `slope_low` and `slope_high`. `monotone_fraction` is
        the part of all changes between these points, by absolute value, that have the sign of the slope; 1 if the response
        is monotone. `direction` is what the response does as the factor rises: "rises" or "falls"; missing if the interval
        of the slope contains 0 or the fraction is below 0.75. All are missing for a list whose values are not numbers in
        ascending order, and where the answer is refused.
    points : DataFrame
        One row per point of the design: its `block`, the factors, the `response`, and the `reason` why it has none.
    n_blocks, n_used : int
        Trajectories or rows, and those without a point that has no response.
    left_out : dict
        How many blocks are left out for which reason.
    is_refused : bool
        Whether too many points have no response for anything to be said.
    is_constant : bool
        Whether the response is the same at all points that have one.
    is_first_sure : bool or None
        Whether the intervals tell the factor that moves the response most from all others; None where none does.
    n_replications : int
        At each point; 0 for numbers that a caller computed.
    n_failed : int
        Replications that failed.
    confidence_level : float
    computed_under : dict
        Scenario, seed, engine and switches, as far as the table says; and the costs, if anything counts them.
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
    """Return an estimate and its interval, no less than a least value; unknown ends stay so.

    Examples
    --------
    >>> make_interval(-0.5, 2.0, 0.0)
    (0.0, 0.0, 1.5)
    """
    if math.isnan(estimate):
        return math.nan, math.nan, math.nan
    low, high = estimate - half_width, estimate + half_width
    return (
        max(estimate, least),
        low if math.isnan(low) else max(low, least),
        high if math.isnan(high) else max(high, least),
    )
