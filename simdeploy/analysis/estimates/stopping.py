"""When there are replications enough: at which numbers one looks, and what one look says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.statistics.skewness import fewest_of_a_mean, standardised_moment

if TYPE_CHECKING:
    import numpy as np

    from simdeploy.analysis.estimates.targets import Target
    from simdeploy.statistics.estimators import Estimate

FIRST_LOOK = 100
# What one rollout in a hundred does is missed by 100 of them one time in three, and by 500 one time in 150.
FEWEST_OF_A_MEAN = 500


def plan_looks(most: int) -> tuple[int, ...]:
    """Say after how many replications one looks: 100, 200, 500, 1,000, 2,000, ..., as far as `most` goes.

    They depend on nothing that was seen, nor on `most`: who goes on with a larger one looks at the same numbers.

    Examples
    --------
    >>> plan_looks(2500), plan_looks(99)
    ((100, 200, 500, 1000, 2000), ())
    """
    looks: list[int] = []
    decade = FIRST_LOOK
    while decade <= most:
        looks += [step * decade for step in (1, 2, 5) if step * decade <= most]
        decade *= 10
    return tuple(looks)


def why_not_yet(values: np.ndarray, found: Estimate, target: Target) -> str:
    r"""Say why an estimate isn't precise enough; nothing if it is.

    Parameters
    ----------
    values : ndarray of float
        What it was made of; those that are NaN are left out.

    Returns
    -------
    str
        Empty if the target is reached.

    Notes
    -----
    Stopping at the first look at which the interval is narrow favours looks at which the variance is underestimated;
    what is skewed is then underestimated with it. That such intervals cover as often as they say holds only in the limit
    of narrow ones (Chow and Robbins 1965 [1]_). Intervals of rates and quantiles have enough in hand. A mean has not, so of
    a mean it takes more:

    - at least 500 values, lest what is rare was not seen at all;
    - at least 25 times the square of their skewness (Cochran 1977 [2]_, section 2.15);
    - a half-width that would be narrow enough even if the variance were larger by its own standard error, whose ratio to
      it is :math:`\sqrt{(b_2 - 1)/n}`, :math:`b_2` being the kurtosis (Cramér 1946 [3]_, section 27.4).

    References
    ----------
    .. [1] Chow, Y. S. and Robbins, H. (1965). On the asymptotic theory of fixed-width sequential confidence intervals for
       the mean. Annals of Mathematical Statistics 36(2), 457-462.
    .. [2] Cochran, W. G. (1977). Sampling Techniques, 3rd edition. Wiley.
    .. [3] Cramér, H. (1946). Mathematical Methods of Statistics. Princeton University Press.

    Examples
    --------
    >>> import numpy as np
    >>> from simdeploy.statistics.estimators import estimate_values
    >>> from simdeploy.analysis.estimates.targets import parse_target
    >>> from simdeploy.scenario.measures import Measure
    >>> values, measure = np.tile([60.0, 80.0], 250), Measure("makespan_s")
    >>> found = estimate_values(values, measure, 0.95)
    >>> [why_not_yet(values, found, parse_target(text, measure)) for text in ("1s", "0.5s")]
    ['', 'the half-width is too large']
    """
    if not found.n:
        return "no replication says anything of it"
    limit = target.limit(found.estimate)
    if target.is_relative and limit == 0:
        return "it is 0 so far, to which nothing is relative"
    if math.isnan(found.half_width):
        return f"{found.n:,} values are too few for an interval"
    widening = 1.0
    if target.measure.kind == "mean":
        if found.n < FEWEST_OF_A_MEAN:
            return f"{found.n:,} values are too few for a mean: it takes {FEWEST_OF_A_MEAN:,}"
        fewest = float(fewest_of_a_mean(values))
        if found.n < fewest:
            return f"so skewed, a mean takes {math.ceil(fewest):,} values"
        widening = math.sqrt(1 + math.sqrt((float(standardised_moment(values, 4)) - 1) / found.n))
    return "" if found.half_width * widening <= limit else "the half-width is too large"


def count_needed(n: int, found: Estimate, target: Target) -> float:
    """Say about how many replications would do, if so many gave this half-width; NaN if that can't be said.

    The half-width falls with the root of the number (Law 2015, *Simulation Modeling and Analysis*, eq. 9.2 and 9.3).
    """
    limit = target.limit(found.estimate)
    return n * (found.half_width / limit) ** 2 if limit > 0 else math.nan
