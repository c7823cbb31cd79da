"""A sequential test from request to request: the requests of a look in random order."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from simdeploy.rules.gates.statistics import log_likelihood_ratio


class Walk(NamedTuple):
    """How far a test came in a look.

    Attributes
    ----------
    requests, failed : int
        Totals up to where it stopped, or to the end of the look.
    is_over : bool
        Whether a bound was met, or the most requests.
    draws : int
        Random numbers that were taken, in all.
    """

    requests: int
    failed: int
    is_over: bool
    draws: int


def walk_requests(
    before: Walk,
    requests: int,
    failed: int,
    *,
    bounds: tuple[float, float],
    steps: tuple[float, float],
    least: int,
    most: int,
    uniform: Callable[[int], float],
) -> Walk:
    """Go through the requests of one look one by one, and stop where a bound is met.

    Which of them are the failed ones is a random choice, made from one failure to the next: J. S. Vitter, "Faster methods
    for random sampling", Communications of the ACM 27 (1984) 703-718, method A (the gap before the next one, by inversion).

    Parameters
    ----------
    before : Walk
        Where the test stands.
    requests, failed : int
        Of this look.
    bounds : (float, float)
        Lower and upper bound of the log-likelihood ratio.
    steps : (float, float)
        What a failed and a served request add to it.
    least, most : int
        Requests before which nothing is decided, and at which it ends; `least` comes first where it is larger.
    uniform : callable
        The random number of an index.

    Examples
    --------
    >>> walk = walk_requests(Walk(0, 0, False, 0), 1000, 900, bounds=(-3.0, 3.0), steps=(1.5, -0.1), least=0, most=5000,
    ...                      uniform=lambda index: 0.5)
    >>> walk.is_over, walk.requests < 10
    (True, True)
    """
    lower, upper = bounds
    seen, bad, draws = before.requests, before.failed, before.draws
    left, bad_left = requests, failed
    while left:
        if bad_left:
            u = uniform(draws)
            draws += 1
            good_left = left - bad_left
            quotient = good_left / left
            gap = 0
            while quotient > u:
                gap += 1
                left -= 1
                good_left -= 1
                quotient *= good_left / left
        else:
            gap = left
            left = 0
        for _ in range(gap):
            seen += 1
            ratio = log_likelihood_ratio(bad, seen, *steps)
            if seen >= least and (seen >= most or not lower < ratio < upper):
                return Walk(seen, bad, True, draws)
        if bad_left:
            seen += 1
            bad += 1
            left -= 1
            bad_left -= 1
            ratio = log_likelihood_ratio(bad, seen, *steps)
            if seen >= least and (seen >= most or not lower < ratio < upper):
                return Walk(seen, bad, True, draws)
    return Walk(seen, bad, False, draws)
