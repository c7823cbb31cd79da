"""Makespans of rollouts in which nothing fails: order statistics of the starting times."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from simdeploy.world.distributions import Distribution


def exponential_barrier_makespan_s(mean_s: float, wave_sizes: Sequence[int]) -> float:
    """Mean makespan of waves, each sent when the one before it has started, with exponential starting times.

    Parameters
    ----------
    mean_s : float
        Mean starting time, seconds.
    wave_sizes : sequence of int

    Notes
    -----
    The longest of k exponential times has mean ``mean_s * H_k`` with the harmonic number
    ``H_k = 1 + 1/2 + ... + 1/k``: from one end to the next, j nodes being left, takes ``mean_s / j``.

    References
    ----------
    W. Feller, "An Introduction to Probability Theory and Its Applications", vol. II, 2nd ed., Wiley, 1971, section I.6
    (waiting times and order statistics).

    Examples
    --------
    >>> exponential_barrier_makespan_s(60.0, [2, 2])
    180.0
    """
    return mean_s * math.fsum(_harmonic(size) for size in wave_sizes)


def exponential_sliding_makespan_s(mean_s: float, nodes: int, slots: int) -> float:
    """Mean makespan of sliding pacing with exponential starting times.

    Parameters
    ----------
    mean_s : float
        Mean starting time, seconds.
    nodes, slots : int
        At most `slots` nodes are in flight.

    Notes
    -----
    While all slots are busy, a node ends every ``mean_s / slots`` on average; after ``nodes - slots`` ends no node waits any
    more. The nodes then in flight end after another ``mean_s * H_slots`` (memorylessness):
    ``mean_s * ((nodes - slots) / slots + H_slots)``.

    References
    ----------
    W. Feller, vol. II, section I.6 (as above).

    Examples
    --------
    >>> exponential_sliding_makespan_s(60.0, nodes=4, slots=2)
    150.0
    """
    slots = min(slots, nodes)
    return mean_s * ((nodes - slots) / slots + _harmonic(slots))


def barrier_makespan_s(
    law: Distribution, wave_sizes: Sequence[int], *, validation_s: float = 0, bake_s: float = 0
) -> float:
    """Mean makespan of barrier waves with any law of starting times.

    Parameters
    ----------
    law : Distribution
        Continuous, of starting times in seconds.
    wave_sizes : sequence of int
    validation_s : float
        Windows that follow every start, seconds.
    bake_s : float
        Pause after every wave but the last, seconds.

    Notes
    -----
    The sum over the waves of :func:`last_end_s`, and of the windows and pauses after them.

    Examples
    --------
    >>> from simdeploy.world.distributions import Uniform
    >>> round(barrier_makespan_s(Uniform(0.0, 60.0), [1, 2], validation_s=30, bake_s=5), 6)
    135.0
    """
    longest = {size: last_end_s(law, [(0.0, size)]) for size in sorted({*wave_sizes})}
    starting_s = math.fsum(longest[size] for size in wave_sizes)
    return starting_s + validation_s * len(wave_sizes) + bake_s * (len(wave_sizes) - 1)


def last_end_s(law: Distribution, batches: Sequence[tuple[float, int]]) -> float:
    """Mean time at which the last of several batches, sent by the clock, has started.

    Parameters
    ----------
    law : Distribution
        Continuous, of starting times in seconds.
    batches : sequence of (float, int)
        When each is sent, seconds, and its nodes. One batch at 0 gives the expected maximum.

    Notes
    -----
    With distribution function F, batches of n_k nodes at t_k and a non-negative time M of the last end,
    ``E[M] = integral from 0 of 1 - P(M <= t)``, where ``P(M <= t)`` is the product over k of ``F(t - t_k)**n_k``.
    Integrated between quantiles by Gauss-Kronrod rules.

    References
    ----------
    H. A. David, H. N. Nagaraja, "Order Statistics", 3rd ed., Wiley, 2003, chapter 2 (distribution of the maximum) and
    chapter 3 (its moments as integrals).

    Examples
    --------
    >>> from simdeploy.world.distributions import Exponential
    >>> round(last_end_s(Exponential(60.0), [(0.0, 3)]), 6)
    110.0
    """

    def still_going(t: float) -> float:
        log_all_over = 0.0
        for sent_s, nodes in batches:
            survival = law.survival(t - sent_s) if t >= sent_s else 1.0
            if survival >= 1.0:
                return 1.0
            log_all_over += nodes * math.log1p(-survival)
        return -math.expm1(log_all_over)

    begins = max(sent_s for sent_s, _ in batches) + law.support[0]
    marks = {sent_s + mark for sent_s, _ in batches for mark in find_marks(law)}
    return begins + integrate(still_going, [begins, *(mark for mark in marks if mark > begins)])


def find_marks(law: Distribution) -> list[float]:
    """Return quantiles of a law, up to where none of a million nodes is left."""
    survivals = np.concatenate([[0.999, 0.99, 0.9, 0.7, 0.5, 0.3], 10.0 ** -np.arange(1, 25)])
    marks: list[float] = law.inverse_survival(survivals).tolist()
    return marks


def integrate(function: Callable[[float], float], edges: Iterable[float]) -> float:
    """Return the integral of a function from the lowest of some edges to the highest, piece by piece."""
    from scipy.integrate import quad

    return math.fsum(quad(function, low, high, limit=200)[0] for low, high in pairwise(sorted({*edges})))


def _harmonic(k: int) -> float:
    return math.fsum(1 / j for j in range(1, k + 1))
