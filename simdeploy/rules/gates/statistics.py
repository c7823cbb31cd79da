"""The tests of a gate: on totals of requests and failures, and by ranks on two series.

References
----------
.. [1] A. Wald, "Sequential Analysis", Wiley, 1947, section 3.1; first in "Sequential tests of statistical hypotheses", Annals of
   Mathematical Statistics 16 (1945) 117-186.
.. [2] H. Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of Mathematical Statistics 41
   (1970) 1397-1409 (likelihood ratios averaged over a prior, bounded at all times by Ville's inequality).
.. [3] M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022 (the Bayes factor of a Dirichlet
   prior to fixed proportions; here two, with the prior truncated at the null, because only more failures matter).
.. [4] W. Hoeffding, "Probability inequalities for sums of bounded random variables", Journal of the American Statistical
   Association 58 (1963) 13-30, theorem 4 (sampling without replacement).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from simdeploy.world.special import special


def log_likelihood_ratio(failed: int, requests: int, if_failed: float, if_served: float) -> float:
    """Return the log of the likelihood of bad over that of good; the sum of the z of [1]_.

    Examples
    --------
    >>> import math
    >>> round(log_likelihood_ratio(2, 10, math.log(5), math.log(0.95 / 0.99)), 3)
    2.889
    """
    return failed * if_failed + (requests - failed) * if_served


def log_mixture_evidence(
    failed: int,
    requests: int,
    null: float,  # in (0, 1)
    a: float,  # of the prior, above 0; its probability above `null` must not underflow
    b: float,  # likewise
) -> float:
    """Return the log of the evidence that more than a fraction `null` of all requests fail.

    The likelihood ratio of a probability p to `null`, averaged over a Beta(a, b) prior truncated to p > null [2]_. For
    any true probability up to `null`, the probability that it exceeds 1 / alpha at any look is at most alpha.

    With `null` 1/2, `failed` the failures on the new version and `requests` the failures on both, it is the evidence that the
    new version fails more often than the old one under as many requests [3]_. The failures of a look are then not
    independent, but drawn without replacement from all its requests. This makes the mean of a convex function of them
    smaller [4]_, so the bound holds at looks of any size.

    Examples
    --------
    >>> log_mixture_evidence(0, 100, 0.1, 0.5, 0.5) < 0 < log_mixture_evidence(30, 100, 0.1, 0.5, 0.5)
    True
    """
    tail = float(special.betaincc(a + failed, b + (requests - failed), null))
    if tail <= 0.0:
        return -math.inf
    weight = float(special.betaln(a + failed, b + (requests - failed))) + math.log(tail)
    prior = float(special.betaln(a, b)) + math.log(float(special.betaincc(a, b, null)))
    return weight - prior - failed * math.log(null) - (requests - failed) * math.log1p(-null)


def posterior_above(failed: int, requests: int, limit: float, a: float, b: float) -> float:
    """Return the posterior probability that more than a fraction `limit` of all requests fail, with a Beta(a, b) prior.

    Examples
    --------
    >>> round(posterior_above(5, 100, 0.1, 5.0, 95.0), 3)
    0.004
    """
    return float(special.betaincc(a + failed, b + (requests - failed), limit))


def next_sum(before: float, failed: int, requests: int, if_failed: float, if_served: float) -> float:
    """Return the sum of a CUSUM after one more look: E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954)
    100-115.

    For a good release an alarm at log(n) comes after at least n looks on average: G. Lorden, "Procedures for reacting
    to a change in distribution", Annals of Mathematical Statistics 42 (1971) 1897-1908, theorem 2.

    Examples
    --------
    >>> next_sum(0.5, 0, 100, 1.0, -0.01)
    0.0
    """
    return max(0.0, before + log_likelihood_ratio(failed, requests, if_failed, if_served))


def judge_ranks(
    new: Sequence[float],  # error rates, one per look
    old: Sequence[float],  # likewise
    *,
    tolerance: float,  # fraction of the estimated shift below which the lower end of its interval is tolerated
    # Normal quantile of the two-sided interval. Only its lower end counts, so a good release is judged higher at most
    # about half as often as the interval misses.
    z: float,
) -> Literal["higher", "alike"] | None:
    """Return whether the new series is higher than the old one by more than a tolerance; None with too little data.

    Notes
    -----
    Follows Kayenta's judge (`MannWhitneyClassifier` in spinnaker/kayenta), which judges a metric high if the lower end of the
    interval of the shift is above a fraction, the tolerance, of the absolute estimate; it is called with a confidence of 0.98
    and a tolerance of 0.25. The estimate is Hodges and Lehmann's, and its interval Moses', from the ordered differences
    [1]_, with its end by the normal approximation [2]_. Kayenta instead inverts the test's statistic, corrected for ties and
    continuity, which gives about the same end.

    References
    ----------
    .. [1] M. Hollander, D. A. Wolfe, "Nonparametric Statistical Methods", 2nd edition, Wiley, 1999, sections 4.2 and 4.3.
    .. [2] E. L. Lehmann, "Nonparametric confidence intervals for a shift parameter", Annals of Mathematical Statistics 34
       (1963) 1507-1512.

    Examples
    --------
    >>> judge_ranks([0.2, 0.3, 0.25, 0.28, 0.22], [0.01, 0.02, 0.0, 0.01, 0.03], tolerance=0.25, z=1.96)
    'higher'
    >>> judge_ranks([0.2], [0.1], tolerance=0.25, z=1.96) is None
    True
    """
    m, n = len(new), len(old)
    place = math.floor(m * n / 2 - z * math.sqrt(m * n * (m + n + 1) / 12))
    if place < 1:
        return None
    differences = sorted(x - y for x in new for y in old)
    middle = len(differences) // 2
    estimate = differences[middle] if len(differences) % 2 else (differences[middle - 1] + differences[middle]) / 2
    return "higher" if differences[place - 1] > tolerance * abs(estimate) else "alike"
