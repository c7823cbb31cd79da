"""Nodes that are dispatched before a failure is reported."""

from __future__ import annotations

import math


def barrier_dispatched_until_report(nodes: int, wave: int, p: float, *, update_s: float, delay_s: float) -> float:
    """Mean number of nodes dispatched in waves until the first failure is reported and stops the rollout.

    Parameters
    ----------
    nodes, wave : int
        Of the fleet, and of a wave.
    p : float
        Probability that a node fails, at the end of its update.
    update_s : float
        That every update takes, seconds.
    delay_s : float
        From the failure to its report, seconds.

    Notes
    -----
    The first wave with a failure is wave k with probability ``q**(k - 1) (1 - q)``, ``q = (1 - p)**wave``. The next waves go
    every `update_s` from its end on, so ``ceil(delay_s / update_s)`` of them are out when it is reported.

    Examples
    --------
    >>> barrier_dispatched_until_report(100, 10, 1.0, update_s=60.0, delay_s=0.0)
    10.0
    >>> barrier_dispatched_until_report(100, 10, 1.0, update_s=60.0, delay_s=90.0)
    30.0
    """
    none_fails = (1 - p) ** wave
    extra_waves = math.ceil(delay_s / update_s)
    n_waves = -(-nodes // wave)
    dispatched = (
        none_fails ** (k - 1) * (1 - none_fails) * min(wave * (k + extra_waves), nodes) for k in range(1, n_waves)
    )
    return math.fsum(dispatched) + none_fails ** (n_waves - 1) * nodes


def sliding_dispatched_until_report(slots: int, p: float, *, mean_s: float, delay_s: float) -> float:
    """Mean number of nodes dispatched under sliding pacing until the first failure is reported and stops the rollout.

    Parameters
    ----------
    slots : int
        Nodes in flight; the fleet has many more than will be dispatched.
    p : float
        Probability that a node fails, at the end of its update.
    mean_s : float
        Of the exponential time that an update takes, seconds.
    delay_s : float
        From the failure to its report, seconds.

    Notes
    -----
    Before the first failure ``(1 - p) / p`` nodes are updated on average, each followed by another. With a delay the failed
    node is, too, and so are those that end until the report: a Poisson process of rate ``slots / mean_s`` (memorylessness).

    References
    ----------
    W. Feller, "An Introduction to Probability Theory and Its Applications", vol. II, 2nd ed., Wiley, 1971, section I.6.

    Examples
    --------
    >>> sliding_dispatched_until_report(4, 0.5, mean_s=60.0, delay_s=0.0)
    5.0
    >>> sliding_dispatched_until_report(4, 0.5, mean_s=60.0, delay_s=15.0)
    7.0
    """
    after_failure = 1 + slots * delay_s / mean_s if delay_s > 0 else 0.0
    return slots + (1 - p) / p + after_failure
