"""Deciding a requirement while replications come in: when to look, and what to say, without looking until it fits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from simdeploy.analysis.asking.feasibility import Verdict, judge
from simdeploy.statistics.estimators import Estimate, estimate_values
from simdeploy.statistics.skewness import fewest_of_a_mean

if TYPE_CHECKING:
    import numpy as np

    from simdeploy.scenario.measures import Requirement

FIRST_LOOK = 100
# Student's bounds know nothing of what they haven't seen: what happens once in 200 rollouts is missed by 1,000 of them
# once in 150 times.
FEWEST_OF_A_MEAN = 1000


class Decision(NamedTuple):
    """What one look says.

    Attributes
    ----------
    verdict : {'met', 'not met', 'undecided'}
    found : Estimate
        With the bounds of this look, each of which errs with the probability that was allowed.
    reason : str
        Why it is undecided; else empty.
    """

    verdict: Verdict
    found: Estimate
    reason: str


def plan_looks(most: int, first: int = FIRST_LOOK) -> tuple[int, ...]:
    """Say after how many replications a requirement is looked at: `first`, then twice as many each time, at last `most`.

    Examples
    --------
    >>> plan_looks(1000), plan_looks(50)
    ((100, 200, 400, 800, 1000), (50,))
    """
    looks = []
    look = first
    while look < most:
        looks.append(look)
        look *= 2
    return (*looks, most)


def decide(values: np.ndarray, requirement: Requirement, error: float) -> Decision:
    r"""Say whether what was seen so far decides a requirement.

    Parameters
    ----------
    values : ndarray of float
        What the measure is taken over; those that are NaN are left out.
    requirement : Requirement
    error : float
        Probability with which this look may be wrong, below 1/2.

    Returns
    -------
    Decision
        ``met`` if the bound on the far side of the limit keeps within it, ``not met`` if the bound on the near side is
        beyond it.

    Notes
    -----
    One lower and one upper bound, each wrong with probability `error`: exact of a rate (Clopper and Pearson); between
    order statistics of a quantile, which is the exact test of the rate :math:`P(X \le limit)` against the quantile's
    probability; Student's of a mean. See `simdeploy.statistics.intervals`. Only one of the two verdicts can be wrong,
    whatever the truth, so a look is wrong with probability `error` at most, and several looks, by Boole's inequality
    (Feller 1968 [1]_, section IV.5), with the sum of theirs.

    Student's bounds hold approximately. A mean is not judged before it has 1,000 observations, nor before it has 25
    times the square of their skewness (Cochran 1977 [2]_, section 2.15).

    References
    ----------
    .. [1] Feller, W. (1968). An Introduction to Probability Theory and Its Applications, vol. I, 3rd edition. Wiley.
    .. [2] Cochran, W. G. (1977). Sampling Techniques, 3rd edition. Wiley.

    Examples
    --------
    >>> import numpy as np
    >>> from simdeploy.scenario.measures import parse_requirement
    >>> requirement = parse_requirement("false_alarm given good <= 1%")
    >>> [decide(np.zeros(n), requirement, 0.05).verdict for n in (298, 299)]
    ['undecided', 'met']
    >>> decide(np.zeros(298), requirement, 0.05).reason
    'it takes at least 299 observations to show this; there are 298'
    """
    import numpy as np

    values = values[~np.isnan(values)]
    found = estimate_values(values, requirement.measure, 1 - 2 * error)
    fewest = fewest_observations(requirement, error)
    if requirement.measure.kind == "mean" and found.n >= FEWEST_OF_A_MEAN:
        fewest = max(fewest, math.ceil(fewest_of_a_mean(values)))
    if requirement.measure.kind != "mean" or found.n >= fewest:
        verdict = judge(requirement, found)
        if verdict != "undecided":
            return Decision(verdict, found, "")
    return Decision("undecided", found, _explain(requirement, found.n, fewest))


def fewest_observations(requirement: Requirement, error: float) -> float:
    """Say how many observations it takes at least to show that a requirement is met; infinite if none would do.

    Examples
    --------
    >>> from simdeploy.scenario.measures import parse_requirement
    >>> [fewest_observations(parse_requirement(text), 0.05) for text in ("escaped <= 0", "p95 makespan_s <= 10m")]
    [inf, 59]
    """
    measure, limit = requirement.measure, requirement.limit
    if measure.kind == "mean":
        return FEWEST_OF_A_MEAN
    # However they turn out, n observations of a probability p are all the same with p**n, which has to be below `error`.
    if measure.quantile is not None:
        probability = measure.quantile if requirement.at_least is None else 1 - measure.quantile
    else:
        probability = 1 - limit if requirement.at_least is None else limit
    if probability >= 1:
        return math.inf
    return math.ceil(math.log(error) / math.log(probability)) if probability > 0 else 1


def _explain(requirement: Requirement, n: int, fewest: float) -> str:
    if n == 0:
        given = requirement.measure.given
        return "no rollout has a value" if given is None else f"no rollout has a value given {given}"
    if math.isinf(fewest):
        return f"no number of rollouts shows that a rate is {requirement.limit:g}"
    if n < fewest:
        return f"it takes at least {fewest:,} observations to show this; there are {n:,}"
    return "the limit lies between the bounds"
