"""Failed starts, and how soon a limit on failed nodes stops the rollout."""

from __future__ import annotations

import math


def start_success_probability(failure: float, *, hang: float = 0.0, attempts: int = 1) -> float:
    """Probability that a node starts.

    Parameters
    ----------
    failure, hang : float
        Probability that an attempt fails if it doesn't hang, and that it hangs; no attempt follows a hang.
    attempts : int

    Notes
    -----
    The geometric sum of ``(1 - hang)(1 - failure) * ((1 - hang) failure)**j`` over j = 0, ..., attempts - 1; without hangs
    ``1 - failure**attempts``.

    Examples
    --------
    >>> start_success_probability(0.5, attempts=2), start_success_probability(0.0, hang=0.25, attempts=3)
    (0.75, 0.75)
    """
    again = (1 - hang) * failure
    return math.fsum((1 - hang) * (1 - failure) * again**attempt for attempt in range(attempts))


def failures_to_stop(limit: int, *, reaches: bool = False) -> int:
    """Failed nodes at which a count limit stops the rollout.

    Parameters
    ----------
    limit : int
        `max_failed_nodes`.
    reaches : bool
        Whether reaching the limit is enough; otherwise it must be exceeded. A rollout without a failure is never stopped.

    Examples
    --------
    >>> failures_to_stop(10), failures_to_stop(10, reaches=True), failures_to_stop(0, reaches=True)
    (11, 10, 1)
    """
    return max(limit, 1) if reaches else limit + 1


def stop_probability(nodes: int, failure: float, limit: int, *, reaches: bool = False) -> float:
    """Probability that a limit on the number of failed nodes stops a rollout whose nodes fail independently.

    Parameters
    ----------
    nodes : int
        Of the fleet.
    failure : float
        Probability that a node fails.
    limit : int
        `max_failed_nodes`.
    reaches : bool
        As in :func:`failures_to_stop`.

    Notes
    -----
    The upper tail of the binomial law, ``P(X >= failures_to_stop)``: pacing changes when the rollout is stopped, not whether.

    References
    ----------
    W. Feller, "An Introduction to Probability Theory and Its Applications", vol. I, 3rd ed., Wiley, 1968, section VI.2,
    equation (2.1) (the binomial law).

    Examples
    --------
    The API's default limit stops a good release on 1,000 nodes of which 1 % fail to start anyway:

    >>> round(stop_probability(1000, 0.01, 10), 3), round(stop_probability(1000, 0.01, 10, reaches=True), 3)
    (0.417, 0.543)
    """
    from scipy.stats import binom

    return float(binom.sf(failures_to_stop(limit, reaches=reaches) - 1, nodes, failure))


def correlated_stop_probability(nodes: int, alpha: float, beta: float, limit: int, *, reaches: bool = False) -> float:
    """Probability of the same stop when the probability of a failure is drawn from a beta law, once per rollout.

    Parameters
    ----------
    nodes : int
    alpha, beta : float
        Parameters of the beta law.
    limit : int
    reaches : bool

    Notes
    -----
    The upper tail of the beta-binomial law.

    References
    ----------
    J. G. Skellam, "A probability distribution derived from the binomial distribution by regarding the probability of
    success as variable between the sets of trials", J. R. Stat. Soc. B 10 (1948) 257-261.

    Examples
    --------
    >>> round(correlated_stop_probability(2, 1.0, 1.0, 1), 6)
    0.333333
    """
    from scipy.stats import betabinom

    return float(betabinom.sf(failures_to_stop(limit, reaches=reaches) - 1, nodes, alpha, beta))


def correlated_failures_variance(nodes: int, mean: float, sd: float) -> float:
    """Variance of the number of failed nodes when the probability of a failure is drawn once per rollout.

    Parameters
    ----------
    nodes : int
    mean, sd : float
        Of the law of that probability.

    Notes
    -----
    By the law of total variance ``nodes * mean * (1 - mean) + nodes * (nodes - 1) * sd**2``: with sd = 0 the binomial's.

    Examples
    --------
    >>> correlated_failures_variance(10, 0.5, 0.0), correlated_failures_variance(10, 0.5, 0.5)
    (2.5, 25.0)
    """
    return nodes * mean * (1 - mean) + nodes * (nodes - 1) * sd**2


def mean_dispatched_until_stop(nodes: int, failure: float, limit: int, *, reaches: bool = False) -> float:
    """Mean number of nodes dispatched, one at a time, until the limit stops the rollout or no node is left.

    Parameters
    ----------
    nodes : int
    failure : float
        Probability that a node fails.
    limit : int
        `max_failed_nodes`.
    reaches : bool

    Notes
    -----
    The number of the node with the r-th failure has the negative binomial law; truncated by the fleet, its mean is the sum
    of ``P(fewer than r failures among the first m)`` over m = 0, ..., nodes - 1.

    References
    ----------
    W. Feller, vol. I, section VI.8, equation (8.1) (waiting times: the negative binomial law).

    Examples
    --------
    >>> mean_dispatched_until_stop(3, 0.5, 0)
    1.75
    """
    from scipy.stats import binom

    needed = failures_to_stop(limit, reaches=reaches)
    return math.fsum(float(binom.cdf(needed - 1, among, failure)) for among in range(nodes))
