"""How two policies differ in any measure, replication by replication in the same worlds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.statistics.estimators import Estimate, estimate_difference, estimate_values

if TYPE_CHECKING:
    import numpy as np

    from simdeploy.scenario.measures import Measure


def compare_values(values: np.ndarray, others: np.ndarray, measure: Measure, confidence_level: float) -> Estimate:
    r"""Estimate a measure of one policy less that of another.

    Parameters
    ----------
    values, others : ndarray of float
        As `Values.of` gives them for two cases.
    measure : Measure
    confidence_level : float

    Returns
    -------
    Estimate
        Of a mean and a rate as `estimate_difference` gives it. Of a quantile each policy has an interval of level
        :math:`1 - \alpha/2`, and the difference lies between their farthest ends: by Bonferroni's inequality it does so
        with probability :math:`1 - \alpha` at least. `n` is the smaller number of observations then.

    Examples
    --------
    >>> import numpy as np
    >>> from simdeploy.scenario.measures import Measure
    >>> compare_values(np.array([3.0, 5.0]), np.array([1.0, 3.0]), Measure("makespan_s"), 0.95)[:3]
    (2.0, 2.0, 2.0)
    """
    if measure.kind != "quantile":
        is_rate = measure.kind == "rate"
        return estimate_difference(values, others, is_rate=is_rate, confidence_level=confidence_level)
    mine, its = (estimate_values(v, measure, (1 + confidence_level) / 2) for v in (values, others))
    difference = mine.estimate - its.estimate
    return Estimate(difference, mine.low - its.high, mine.high - its.low, min(mine.n, its.n), float("nan"))
