"""Rare events with a closed form: many failures among many nodes, and a random walk that reaches the top."""

from __future__ import annotations

import math
from collections.abc import Sequence


def binomial_tail(nodes: int, failure: float, at_least: int) -> float:
    """Probability that at least this many nodes fail, independently and with the same probability.

    Parameters
    ----------
    nodes : int
    failure : float
    at_least : int

    Notes
    -----
    The regularised incomplete beta function :math:`I_p(k, n - k + 1)`, exact far into the tail.

    Examples
    --------
    >>> binomial_tail(2, 0.5, 2), binomial_tail(10, 0.3, 0)
    (0.25, 1.0)
    """
    from scipy.special import betainc

    if at_least <= 0:
        return 1.0
    return 0.0 if at_least > nodes else float(betainc(at_least, nodes - at_least + 1, failure))


def top_probability(up: Sequence[float], start: int) -> float:
    r"""Probability that a birth-death chain reaches the top before 0.

    Parameters
    ----------
    up : sequence of float
        For the states 1, 2, ..., top - 1: the probability of a step up; otherwise the step is down.
    start : int
        From 0 to the top.

    Notes
    -----
    With :math:`\gamma_j = \prod_{i \le j} (1 - p_i) / p_i` it is :math:`\sum_{j < start} \gamma_j / \sum_{j < top} \gamma_j`, which for equal
    probabilities is the gambler's ruin (Norris 1997 [1]_, example 1.3.4).

    References
    ----------
    .. [1] Norris, J. R. (1997). Markov Chains. Cambridge University Press.

    Examples
    --------
    >>> top_probability([0.5, 0.5, 0.5], 1), top_probability([0.25], 1)
    (0.25, 0.25)
    """
    ratios = [1.0]
    for p in up:
        ratios.append(ratios[-1] * (1 - p) / p)
    return math.fsum(ratios[:start]) / math.fsum(ratios)


def slowest_exceeds(nodes: int, survival: float) -> float:
    """Probability that the slowest of several independent updates exceeds a time that each exceeds with probability `survival`.

    Parameters
    ----------
    nodes : int
    survival : float

    Notes
    -----
    ``1 - (1 - survival)**nodes``, without subtracting from 1.

    Examples
    --------
    >>> slowest_exceeds(2, 0.5)
    0.75
    """
    return -math.expm1(nodes * math.log1p(-survival))
