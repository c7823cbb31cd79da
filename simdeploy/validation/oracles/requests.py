"""Requests to nodes out of service: numbers of lost and shed requests, and their effect on health windows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.validation.oracles.health import healthy_window_probability
from simdeploy.validation.oracles.pacing import find_marks, integrate

if TYPE_CHECKING:
    from simdeploy.world.distributions import Distribution

_DAY_S = 86_400.0


def traffic_s(daily: Sequence[tuple[float, float]], start_s: float, length_s: float) -> float:
    """Integral of the traffic over a window, or over a rollout.

    Parameters
    ----------
    daily : sequence of (float, float)
        Ascending times of day, seconds since midnight, and factors, linear in between and across midnight.
    start_s, length_s : float
        Time of day at which the window begins, and its length, seconds.

    Returns
    -------
    float
        Seconds; multiplied by requests per second, the mean number of requests.

    Notes
    -----
    Sum of the trapezoids between the ends and the points between them.

    Examples
    --------
    >>> round(traffic_s([(0, 0.0), (43_200, 2.0)], start_s=23 * 3600, length_s=3600), 6)
    300.0
    """
    points = [start_s, *_points(daily, start_s, start_s + length_s), start_s + length_s]
    values = [_factor(daily, point) for point in points]
    return math.fsum((b - a) * (x + y) / 2 for (a, b), (x, y) in zip(pairwise(points), pairwise(values), strict=True))


def lost_requests(
    law: Distribution,
    nodes: int,
    requests_per_second: float,
    *,
    daily: Sequence[tuple[float, float]] = ((0, 1),),
    start_s: float = 0,
) -> float:
    """Mean number of requests that a wave loses while its nodes start, if no other nodes serve them.

    Parameters
    ----------
    law : Distribution
        Of starting times in seconds.
    nodes : int
        In the wave.
    requests_per_second : float
        Per node.
    daily : sequence of (float, float)
        Traffic, as in :func:`traffic_s`; by default 1 at any time.
    start_s : float
        Time of day at which the wave is sent, seconds.

    Notes
    -----
    A node sent at s is out of service at s + t with probability 1 - F(t), so the mean is ``nodes * requests_per_second`` times
    the integral of ``f(s + t) (1 - F(t))``; without traffic times the mean starting time, in any wave.

    Examples
    --------
    >>> from simdeploy.world.distributions import Exponential
    >>> round(lost_requests(Exponential(60.0), nodes=4, requests_per_second=5), 6)
    1200.0
    """
    first_s, edges = _edges(law)
    last_s = edges[-1]
    bends = [point - start_s for point in _points(daily, start_s + first_s, start_s + last_s)]
    tail_s = integrate(lambda t: _factor(daily, start_s + t) * float(law.survival(t)), [*edges, *bends])
    return nodes * requests_per_second * (traffic_s(daily, start_s, first_s) + tail_s)


def shed_fraction(nodes: int, out: int, capacity: float) -> float:
    """Fraction of requests that a pool can't serve while some of its nodes are out.

    Parameters
    ----------
    nodes, out : int
        Of the pool, and of these out of service. All have the same requests per second.
    capacity : float
        What a node can serve, as a multiple of its requests.

    Notes
    -----
    ``max(0, 1 - capacity * (nodes - out) / nodes)``.

    Examples
    --------
    >>> round(shed_fraction(100, 20, 1.15), 6)
    0.08
    """
    return max(0.0, 1 - capacity * (nodes - out) / nodes)


def largest_wave(nodes: int, capacity: float | Fraction, shed: float | Fraction = 0) -> int:
    """Largest number of nodes of a pool that may be out without shedding more than a fraction of its requests.

    Parameters
    ----------
    nodes : int
        Of the pool.
    capacity : float or Fraction
        What a node can serve, as a multiple of its requests; a float is read as its shortest decimal literal.
    shed : float or Fraction
        Highest fraction that may be shed.

    Notes
    -----
    ``floor(nodes * (1 - (1 - shed) / capacity))``, from :func:`shed_fraction`; at least 0.

    Examples
    --------
    >>> largest_wave(100, 1.15), largest_wave(100, 1.15, shed=0.05)
    (13, 17)
    """
    served = (1 - Fraction(str(shed))) / Fraction(str(capacity))
    return max(0, math.floor(nodes * (1 - served)))


def waves_shed_requests(
    law: Distribution, nodes: int, wave_sizes: Sequence[int], capacity: float, requests_per_second: float
) -> float:
    """Mean number of requests shed while waves start, each sent when the previous one has started.

    Parameters
    ----------
    law : Distribution
        Of starting times in seconds.
    nodes : int
        Of the pool; all have the same requests per second, and none is down.
    wave_sizes : sequence of int
    capacity : float
        What a node can serve, as a multiple of its requests.
    requests_per_second : float
        Per node.

    Notes
    -----
    Of a wave of n nodes k are out at t with binomial probability P(k; n, 1 - F(t)). The mean is the sum over the waves of the
    integral of ``sum over k of P(k; n, 1 - F(t)) * shed_fraction(k) * nodes * requests_per_second``. With exponential times
    exactly k nodes are out for mean / k.

    References
    ----------
    H. A. David, H. N. Nagaraja, "Order Statistics", 3rd ed., Wiley, 2003, chapter 2 (how many exceed a value).

    Examples
    --------
    >>> from simdeploy.world.distributions import Constant
    >>> round(waves_shed_requests(Constant(30.0), 100, [20] * 5, 1.15, requests_per_second=10), 6)
    12000.0
    """
    from scipy.stats import binom

    first_s, edges = _edges(law)
    shed = np.array([shed_fraction(nodes, out, capacity) for out in range(max(wave_sizes) + 1)])

    def shed_s(size: int) -> float:
        # Of a wave, in seconds of the pool's requests.
        if not shed[: size + 1].any():
            return 0.0
        out = np.arange(size + 1)

        def at(t: float) -> float:
            return float(shed[: size + 1] @ binom.pmf(out, size, float(law.survival(t))))

        return first_s * float(shed[size]) + integrate(at, edges)

    of_size = {size: shed_s(size) for size in sorted({*wave_sizes})}
    return nodes * requests_per_second * math.fsum(of_size[size] for size in wave_sizes)


def waves_min_capacity_ratio(nodes: int, wave_sizes: Iterable[int], capacity: float) -> float:
    """Lowest ratio of capacity to demand while waves start.

    Parameters
    ----------
    nodes : int
        Of the pool; all have the same requests per second, and none is down.
    wave_sizes : iterable of int
    capacity : float
        What a node can serve, as a multiple of its requests.

    Notes
    -----
    All nodes of a wave are out when it is sent: ``capacity * (nodes - largest wave) / nodes``.

    Examples
    --------
    >>> round(waves_min_capacity_ratio(100, [20] * 5, 1.15), 6)
    0.92
    """
    return capacity * (nodes - max(wave_sizes)) / nodes


def overload_probability(nodes: int, wave: int, down: float, capacity: float) -> float:
    """Probability that a wave overloads the serving nodes, because too many others are down.

    Parameters
    ----------
    nodes : int
        Of the pool; all have the same requests per second.
    wave : int
        Nodes of the wave, whether they are down or not.
    down : float
        Probability that a node is down, independently of others: :func:`unavailability`.
    capacity : float
        What a node can serve, as a multiple of its requests.

    Notes
    -----
    With ``b = largest_wave(nodes, capacity)`` it is ``P(X > b - wave)``, where X is binomial(nodes - wave, down).

    Examples
    --------
    >>> overload_probability(4, 1, down=0.5, capacity=2.0)
    0.5
    """
    from scipy.stats import binom

    return float(binom.sf(largest_wave(nodes, capacity) - wave, nodes - wave, down))


def loaded_window_probability(
    requests_per_window: float,
    nodes: int,
    out: int,
    capacity: float,
    max_error_rate: float | Fraction,
    *,
    error_level: float = 0.0,
) -> float:
    """Probability that a window is healthy while some nodes of the pool are out.

    Parameters
    ----------
    requests_per_window : float
        A node's own requests in a window.
    nodes, out : int
        Of the pool, and of these out of service throughout the window. All have the same requests per second.
    capacity : float
        What a node can serve, as a multiple of its requests.
    max_error_rate : float or Fraction
        Highest fraction of failed requests; a float is read as its shortest decimal literal.
    error_level : float
        Probability that a request fails that is served.

    Notes
    -----
    The window meets ``requests_per_window * nodes / (nodes - out)`` requests, rounded, halves up. Each fails with probability
    ``1 - (1 - error_level)(1 - q)``, where q is :func:`shed_fraction`: see :func:`healthy_window_probability`.

    Examples
    --------
    >>> round(loaded_window_probability(20, nodes=100, out=20, capacity=1.15, max_error_rate=0.05), 6)
    0.394721
    """
    requests = math.floor(Fraction(str(requests_per_window)) * nodes / (nodes - out) + Fraction(1, 2))
    level = 1 - (1 - error_level) * (1 - shed_fraction(nodes, out, capacity))
    return healthy_window_probability(requests, level, max_error_rate)


def _factor(daily: Sequence[tuple[float, float]], t: float) -> float:
    times, factors = zip(*daily, strict=True)
    return float(np.interp(t, times, factors, period=_DAY_S))


def _points(daily: Sequence[tuple[float, float]], start_s: float, end_s: float) -> list[float]:
    """Return the times of points of traffic in (start_s, end_s), rising."""
    days = range(math.floor(start_s / _DAY_S), math.ceil(end_s / _DAY_S))
    points = [day * _DAY_S + time_s for day in days for time_s, _ in daily]
    return [point for point in points if start_s < point < end_s]


def _edges(law: Distribution) -> tuple[float, list[float]]:
    """Return the least time of a law, and its quantiles from there on."""
    first_s = float(law.support[0])
    return first_s, [first_s, *(mark for mark in find_marks(law) if mark > first_s)]
