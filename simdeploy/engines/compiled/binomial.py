"""The uniforms at which the failed requests of a window step from k to k + 1, for compiled code, as in `simdeploy.world.binomial`.

Numbers are defined by a search over a cdf with many steps. Nearly always one or two values of the cdf determine its result, because
the uniform is far from them, compared with rounding; only otherwise is the search itself needed.
"""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.special import betaincc, normal_quantile
from simdeploy.world.binomial import _BRACKET_SDS, _LONGEST_MEAN, _SMALLEST_LOG

ALWAYS = 1 << 53  # above every word of 52 bits
NEVER = -1
_WORDS, _PER_WORD = 2.0**52, 2.0**-52
MARGIN = 1e-12  # absolute error that a bound or a cdf may have
# Up to this number of requests, a cdf is far more accurate.
_MOST_REQUESTS = 1_000_000
_MOST_STEPS = 8  # from the guess; the search looks at about as many values
# The expansion of the quantile is used from this variance on, and within this many standard deviations of the mean.
LEAST_VARIANCE, _FARTHEST = 4.0, 5.0


@compiled
def last_healthy_word(allowed, requests, p):
    """Return the highest 52-bit word of a window in which at most `allowed` of the requests fail, each with probability p.

    The word stands for the uniform (word + 0.5) / 2**52, and a window is healthy if that is at most the cdf.
    """
    if allowed < 0:
        return np.int64(NEVER)
    if allowed >= requests:
        return np.int64(ALWAYS)
    if p >= 1.0:
        return np.int64(NEVER)
    return np.int64(math.floor(_cdf(allowed, requests, p) * 2.0**52 - 0.5))


@compiled
def surely_healthy_word(allowed, requests, p):
    """Return a word up to which such a window is surely healthy, mostly little less than `last_healthy_word`, from one value of the
    cdf, or for very many requests from Chernoff's bound.
    """
    if allowed >= requests >= 0 or (p <= 0.0 and allowed >= 0):
        return np.int64(ALWAYS)
    if allowed < 0 or p >= 1.0 or requests - 1 == allowed >= _MOST_REQUESTS:
        return np.int64(NEVER)
    if requests > _MOST_REQUESTS:
        return words_of_rate(requests, (allowed + 1) / requests, p)[0]
    log_none = requests * math.log1p(-p)
    if requests * p <= _LONGEST_MEAN and log_none >= _SMALLEST_LOG:
        cdf = _table_cdf(allowed, requests, p, log_none)
    else:
        cdf = betaincc(allowed + 1.0, float(requests - allowed), p, 0)
    return np.int64(math.floor((cdf - MARGIN) * _WORDS)) - 1


@compiled
def is_healthy_word(word, allowed, requests, p):
    """Tell whether a window is healthy: `word <= last_healthy_word(allowed, requests, p)`, mostly without that word.

    By Chernoff's bounds, or by a single value of the cdf.
    """
    if p <= 0.0:
        return allowed >= 0
    if 0 <= allowed < requests and p < 1.0:
        u, share = (word + 0.5) * _PER_WORD, (allowed + 1) / requests
        if p < share:
            if 1.0 - u > math.exp(-requests * divergence(share, p)) + MARGIN:
                return True
        elif allowed / requests < p and u > math.exp(-requests * shortfall(allowed / requests, p)) + MARGIN:
            return False
        if requests <= _MOST_REQUESTS and requests * p > _LONGEST_MEAN:
            cdf = betaincc(allowed + 1.0, float(requests - allowed), p, 0)
            if abs(u - cdf) > MARGIN:
                return u < cdf
    return word <= last_healthy_word(allowed, requests, p)


@compiled
def words_of_rate(requests, rate, p):
    """Return a word up to which a window with at least `requests` requests, healthy up to a rate of failures, is surely healthy, and
    one beyond which it surely isn't; -1 and ALWAYS if there are no such words or p is unknown.
    """
    if requests > 0 and p < rate:
        if p <= 0 or rate >= 1:
            return np.int64(ALWAYS), np.int64(ALWAYS)
        return np.int64((1 - math.exp(-requests * divergence(rate, p)) - MARGIN) * _WORDS) - 1, np.int64(ALWAYS)
    if requests > 0 and p > rate:
        most = math.exp(-requests * shortfall(rate, p)) + MARGIN if p < 1 else MARGIN
        return np.int64(-1), np.int64(min(most, 1.0) * _WORDS) + 1
    return np.int64(-1), np.int64(ALWAYS)


@compiled
def shortfall(share, p):
    """Return the divergence D of a share from p, 0 <= share < p: the probability that at most this share of n requests fails is
    <= exp(-n D).
    """
    d = (1 - share) * math.log((1 - share) / (1 - p))
    return d + share * math.log(share / p) if share > 0 else d


@compiled
def divergence(share, p):
    """Return the divergence D of a share from p, 0 < p < share: the probability that at least this share of n requests fails is
    <= exp(-n D) (Chernoff's bound).
    """
    d = share * math.log(share / p)
    return d + (1 - share) * math.log((1 - share) / (1 - p)) if share < 1 else d


@compiled
def _cdf(k, requests, p):
    log_none = requests * math.log1p(-p)
    if requests * p <= _LONGEST_MEAN and log_none >= _SMALLEST_LOG:
        return _table_cdf(k, requests, p, log_none)
    return _search_cdf(k, requests, p)


@compiled
def _table_cdf(k, requests, p, log_none):
    term = math.exp(log_none)
    odds = p / (1.0 - p)
    total = term
    for j in range(1, k + 1):
        term *= (requests - j + 1) / j * odds
        if total + term == total and j > requests * p:
            return 1.0
        total = min(total + term, 1.0)
    return total


@inlined
def _pivot(step, mean, reach, low, high):
    """The next pivot of the search: both ends of the likely range, then the middle of the remaining one."""
    if step == 0:
        return np.int64(math.floor(mean - reach))
    if step == 1:
        return np.int64(math.ceil(mean + reach))
    return (low + high) // 2


@compiled
def _search_cdf(k, requests, p):
    """Follow the search for the quantile on its way to k; return the end of the interval that its pivots leave, the cdf."""
    surely_in, open_up_to = 0.0, 1.0
    low, high = np.int64(0), np.int64(requests)
    mean, reach = requests * p, _BRACKET_SDS * math.sqrt(requests * p * (1.0 - p)) + 1.0
    step = 0
    while step < 2 or low < high:
        pivot = _pivot(step, mean, reach, low, high)
        step += 1
        if step <= 2 and not low <= pivot < high:
            continue
        rough = betaincc(pivot + 1.0, float(requests - pivot), p, 0)
        here = min(max(rough, surely_in), open_up_to)
        if pivot < k:
            surely_in = here
            low = pivot + 1
        else:
            open_up_to = here
            high = pivot
    return open_up_to


@compiled
def failed_of(requests, p, u):
    """Return how many of the requests fail: the smallest number whose cdf is at least u."""
    if may_expand(requests, p):
        c0, c1, c2, c3, variance = expand(requests, p)
        k = number_at(normal_quantile(u), requests, c0, c1, c2, c3, variance, 0.0)
        if k >= 0:
            return k
    return failed_of_exactly(requests, p, u)


@inlined
def may_expand(requests, p):
    """Tell whether the expansion of the quantile can be used."""
    return p < 1.0 and requests <= _MOST_REQUESTS and requests * p * (1.0 - p) >= LEAST_VARIANCE


@compiled
def expand(requests, p):
    """Return the coefficients of a cubic in the normal quantile of u, whose value rounded down is the quantile, and the variance.

    It is Cornish and Fisher's expansion for the continuous law that gives this one when rounded, whose even cumulants are smaller by
    Sheppard's corrections; plus 1/2, to round down.

    References
    ----------
    E. A. Cornish, R. A. Fisher, "Moments and cumulants in the specification of distributions", Revue de l'Institut International de
    Statistique 5 (1938) 307-320.
    """
    skew, variance = 1.0 - 2.0 * p, requests * p * (1.0 - p)
    sd = math.sqrt(variance)
    fourth, squared = (1.0 - 6.0 * p * (1.0 - p)) / 24.0, skew * skew / 36.0
    c0 = requests * p - skew / 6.0 + 0.5
    c1 = sd + (5.0 * squared - 3.0 * fourth - 1.0 / 24.0) / sd
    return c0, c1, skew / 6.0, (fourth - 2.0 * squared) / sd, variance


@inlined
def number_at(z, requests, c0, c1, c2, c3, variance, off):
    """Return the quantile at a normal quantile; -1 if it is too near to a step for the expansion, whose error is up to `off`.

    The cubic is off by less than half of `near` (`tests/test_failed_at_once.py`).
    """
    y = c0 + z * (c1 + z * (c2 + z * c3))
    k = math.floor(y)
    near = (0.1 + 0.02 * (z * z) * (z * z)) / variance + off
    is_sure = abs(z) <= _FARTHEST and near < y - k < 1.0 - near and 0 <= k <= requests
    return np.int64(k) if is_sure else np.int64(-1)


@compiled
def failed_of_exactly(requests, p, u):
    """Return the number of failed requests from the cdf alone."""
    if p >= 1.0:
        return np.int64(requests)
    log_none = requests * math.log1p(-p)
    if requests * p <= _LONGEST_MEAN and log_none >= _SMALLEST_LOG:
        return _failed_by_table(requests, p, u, log_none)
    if requests <= _MOST_REQUESTS:
        k = failed_by_guess(requests, p, u, MARGIN)
        if k >= 0:
            return k
    return _failed_by_search(requests, p, u)


@compiled
def failed_by_guess(requests, p, u, margin):
    """Return the result of the search from a few values of the cdf around a guess; -1 if they don't determine it."""
    z = normal_quantile(u)
    guess = requests * p + z * math.sqrt(requests * p * (1.0 - p)) + (z * z - 1.0) * (1.0 - 2.0 * p) / 6.0
    k = np.int64(min(max(math.floor(guess + 0.5), 0.0), requests - 1.0))
    here = betaincc(k + 1.0, float(requests - k), p, 0)
    step = 1 if u > here else -1
    for _ in range(_MOST_STEPS):
        if abs(u - here) <= margin:
            return np.int64(-1)
        k += step
        if not 0 <= k < requests:
            return np.int64(-1)
        there = betaincc(k + 1.0, float(requests - k), p, 0)
        if abs(u - there) <= margin:
            return np.int64(-1)
        if step > 0 and u < there:
            return k
        if step < 0 and u > there:
            return k + 1
        here = there
    return np.int64(-1)


@compiled
def _failed_by_table(requests, p, u, log_none):
    term = math.exp(log_none)
    odds = p / (1.0 - p)
    total = term
    k = 0
    while total < u and k < requests:
        k += 1
        term *= (requests - k + 1) / k * odds
        if total + term == total and k > requests * p:
            break
        total = min(total + term, 1.0)
    return np.int64(k)


@compiled
def _failed_by_search(requests, p, u):
    low, high = np.int64(0), np.int64(requests)
    mean, reach = requests * p, _BRACKET_SDS * math.sqrt(requests * p * (1.0 - p)) + 1.0
    step = 0
    while step < 2 or low < high:
        pivot = _pivot(step, mean, reach, low, high)
        step += 1
        if step <= 2 and not low <= pivot < high:
            continue
        if u <= betaincc(pivot + 1.0, float(requests - pivot), p, 0):
            high = pivot
        else:
            low = pivot + 1
    return low
