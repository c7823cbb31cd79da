"""Failed requests of a health window: the binomial quantile at one uniform.

An engine may compute the number, or compare the uniform with the cdf at the highest number that is still healthy. Both
must agree for every input, so the two functions share their arithmetic: ``failed_requests(n, p, u) <= k`` if and only
if ``u <= binomial_cdf(k, n, p)``.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache

from simdeploy.world.special import special

# Tables are sums from P(0), which must not underflow; their length grows with the mean.
_LONGEST_MEAN = 100.0
_SMALLEST_LOG = -600.0
# With so few expected failures, summing up to `u` takes less time than making a table for a few windows.
_FEW = 4.0
_BRACKET_SDS = 4.0


def failed_requests(
    requests: int,  # in the window, up to 10**12
    p: float,  # probability that one of them fails, in [0, 1]
    u: float,  # uniform in (0, 1)
    *,
    # Whether hardly any other window has the same `requests` and `p`, so a table isn't worth its time.
    once: bool = False,
) -> int:
    """Smallest k whose binomial cdf is at least `u`.

    Examples
    --------
    >>> failed_requests(200, 0.004, 0.5), failed_requests(200, 1.0, 0.5)
    (1, 200)
    """
    if p >= 1.0:
        return requests
    if once and requests * p <= _FEW:
        return len(_sums_below(u, requests, p))
    table = find_table(requests, p)
    if table is not None:
        return bisect_left(table, u)
    return _search(requests, p, lambda pivot: u <= _rough_cdf(pivot, requests, p))


def failed_requests_of(requests: int, p: float, uniforms: Sequence[float], *, once: bool = False) -> list[int]:
    """Compute :func:`failed_requests` of windows with the same `requests` and `p`; `once` as there.

    Examples
    --------
    >>> failed_requests_of(200, 0.004, [0.4, 0.5, 0.9999])
    [0, 1, 6]
    """
    is_short = once and p < 1.0 and requests * p <= _FEW
    table = _sums_below(max(uniforms), requests, p) if is_short else find_table(requests, p)
    if table is None:
        return [failed_requests(requests, p, u) for u in uniforms]
    return [bisect_left(table, u) for u in uniforms]


def binomial_cdf(
    k: int,
    requests: int,  # up to 10**12
    p: float,  # probability that one request fails, in [0, 1]
) -> float:
    """Probability of at most `k` failed requests: the uniform at which :func:`failed_requests` steps from `k` to `k` + 1.

    Examples
    --------
    >>> binomial_cdf(0, 1, 0.25)
    0.75
    """
    if k < 0 or k >= requests:
        return float(k >= requests)
    if p >= 1.0:
        return 0.0
    table = find_table(requests, p)
    if table is not None:
        return table[k] if k < len(table) else 1.0

    # scipy's cdf is not monotone in its last digits. But the search is a fixed binary tree over k, so the uniforms that lead
    # to k or less always form an interval from 0. The pivots on the way to k narrow down its end: those below k send some
    # uniforms to the left, which belong to the interval, those from k on send some to the right, which don't.
    lower, upper = 0.0, 1.0

    def towards_k(pivot: int) -> bool:
        nonlocal lower, upper
        here = min(max(_rough_cdf(pivot, requests, p), lower), upper)
        if pivot < k:
            lower = here
        else:
            upper = here
        return pivot >= k

    _search(requests, p, towards_k)
    return upper


@lru_cache(maxsize=1 << 16)
def find_table(requests: int, p: float) -> Sequence[float] | None:
    """Return the cumulative probabilities of 0, 1, ..., until they stop growing; 1 from there on. None if unsuitable."""
    if p >= 1.0 or requests * p > _LONGEST_MEAN or requests * math.log1p(-p) < _SMALLEST_LOG:
        return None
    return array("d", _sums_below(math.inf, requests, p))


def _sums_below(u: float, requests: int, p: float) -> list[float]:
    """Return the cumulative probabilities of 0, 1, ... that are below `u`, until they stop growing."""
    sums: list[float] = []
    term = total = math.exp(requests * math.log1p(-p))
    odds = p / (1.0 - p)
    k = 0
    while total < u and k < requests:
        sums.append(total)
        k += 1
        term *= (requests - k + 1) / k * odds
        if total + term == total and k > requests * p:
            return sums
        total = min(total + term, 1.0)
    # The last one is exactly 1, because no window has more than `requests` failures.
    return sums if u <= 1.0 else [*sums, 1.0]


def _search(requests: int, p: float, is_enough: Callable[[int], bool]) -> int:
    """Find the smallest sufficient number in 0, ..., `requests`, by pivots that depend on the outcomes only."""
    low, high = 0, requests
    mean, reach = requests * p, _BRACKET_SDS * math.sqrt(requests * p * (1.0 - p)) + 1.0
    for pivot in (math.floor(mean - reach), math.ceil(mean + reach)):
        if low <= pivot < high:
            low, high = (low, pivot) if is_enough(pivot) else (pivot + 1, high)
    while low < high:
        pivot = (low + high) // 2
        low, high = (low, pivot) if is_enough(pivot) else (pivot + 1, high)
    return low


def _rough_cdf(k: int, requests: int, p: float) -> float:
    return float(special.betaincc(k + 1.0, float(requests - k), p))
