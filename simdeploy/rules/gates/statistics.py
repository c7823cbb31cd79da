"""The tests of a gate on totals: how many requests were looked at, and how many of them failed.

References
----------
.. [1] A. Wald, "Sequential Analysis", Wiley, 1947, section 3.1; first in "Sequential tests of statistical hypotheses", Annals of
   Mathematical Statistics 16 (1945) 117-186.
.. [2] H. Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of Mathematical Statistics 41
   (1970) 1397-1409 (likelihood ratios averaged over a prior, and the inequality of Ville that bounds them for good).
.. [3] M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022 (the Bayes factor of a Dirichlet
   prior to fixed proportions; here of two, with the prior cut at the null, since only more failures matter).
.. [4] W. Hoeffding, "Probability inequalities for sums of bounded random variables", Journal of the American Statistical
   Association 58 (1963) 13-30, theorem 4 (sampling without replacement).
"""

from __future__ import annotations

import math

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


def log_mixture_evidence(failed: int, requests: int, null: float, a: float, b: float) -> float:
    """Return the log of the evidence that more than a part `null` of all requests fail.

    The likelihood ratio of a probability p to `null`, averaged over a Beta(a, b) prior that is cut to p > null [2]_. Whatever
    the true probability up to `null` is, it exceeds 1 / alpha at any look, ever, with a probability of at most alpha.

    With `null` 1/2, `failed` the failures on the new version and `requests` those on both, it is the evidence that the new
    version fails more often than the old one does under as many requests [3]_. The failures of a look are then no independent
    draws, but drawn without replacement among all its requests; the average of what is convex in them is less for it [4]_, so
    that the bound holds at looks of any size.

    Parameters
    ----------
    null : float
        In (0, 1).
    a, b : float
        Of the prior, above 0; its probability beyond `null` must not vanish in floating point.

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
    """Return the probability that more than a part `limit` of all requests fail, after a Beta(a, b) prior.

    Examples
    --------
    >>> round(posterior_above(5, 100, 0.1, 5.0, 95.0), 3)
    0.004
    """
    return float(special.betaincc(a + failed, b + (requests - failed), limit))


def next_sum(before: float, failed: int, requests: int, if_failed: float, if_served: float) -> float:
    """Return the sum of a CUSUM after one more look: E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954) 100-115.

    An alarm at log(n) comes, while all is in order, after n looks or more on average: G. Lorden, "Procedures for reacting to a
    change in distribution", Annals of Mathematical Statistics 42 (1971) 1897-1908, theorem 2.

    Examples
    --------
    >>> next_sum(0.5, 0, 100, 1.0, -0.01)
    0.0
    """
    return max(0.0, before + log_likelihood_ratio(failed, requests, if_failed, if_served))
