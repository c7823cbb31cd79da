"""Nodes whose line to the control plane breaks: nodes reached, verdicts heard in time, and when all are rolled back."""

from __future__ import annotations

import math

from simdeploy.validation.oracles.availability import unavailability


def unreachable_at_turn(mean_online: float, mean_offline: float, *, down: float = 0.0) -> float:
    """Probability that a node can't be dispatched when its turn comes, whatever the laws of its spells.

    Parameters
    ----------
    mean_online, mean_offline : float
        In the same unit.
    down : float
        Probability that the node is down, independently.

    Notes
    -----
    ``1 - (1 - down)(1 - f)`` with the fraction f of time that is offline, :func:`unavailability`.

    Examples
    --------
    >>> unreachable_at_turn(3.0, 1.0)
    0.25
    """
    return 1 - (1 - down) * (1 - unavailability(mean_online, mean_offline))


def offline_after(mean_online_s: float, mean_offline_s: float, elapsed_s: float) -> float:
    """Probability that a node that was online is offline some time later, with exponential spells.

    Parameters
    ----------
    mean_online_s, mean_offline_s : float
        Seconds.
    elapsed_s : float
        Seconds since it was online.

    Notes
    -----
    ``a / (a + b) * (1 - exp(-(a + b) t))`` with the rates a and b at which online and offline spells end.

    References
    ----------
    D. R. Cox, "Renewal Theory", Methuen, 1962, chapter 7 (the exponential case).

    Examples
    --------
    >>> round(offline_after(3600.0, 3600.0, 3600.0), 4)
    0.4323
    """
    breaks, returns = 1 / mean_online_s, 1 / mean_offline_s
    return -math.expm1(-(breaks + returns) * elapsed_s) * breaks / (breaks + returns)


def unheard_by_deadline(mean_online_s: float, mean_offline_s: float, *, verdict_s: float, deadline_s: float) -> float:
    """Probability that the verdict of a dispatched node is not heard by its deadline, with exponential spells.

    Parameters
    ----------
    mean_online_s, mean_offline_s : float
        Seconds.
    verdict_s : float
        From the dispatch to the verdict, seconds.
    deadline_s : float
        From the dispatch to the deadline, seconds; not below `verdict_s`.

    Notes
    -----
    The node was online when it was dispatched. It must be offline at its verdict (:func:`offline_after`) and stay so:
    ``exp(-(deadline_s - verdict_s) / mean_offline_s)``, because what is left of a spell does not depend on its age.

    Examples
    --------
    >>> round(unheard_by_deadline(14400.0, 3600.0, verdict_s=60.0, deadline_s=660.0), 5)
    0.00349
    """
    return offline_after(mean_online_s, mean_offline_s, verdict_s) * math.exp(
        -(deadline_s - verdict_s) / mean_offline_s
    )


def mean_restoration_s(nodes: int, offline: float, mean_offline_s: float, *, rollback_s: float) -> float:
    """Mean time from an order to roll back until all nodes are back, with exponential offline spells.

    Parameters
    ----------
    nodes : int
    offline : float
        Probability that the order finds a node offline, independently.
    mean_offline_s : float
        Seconds.
    rollback_s : float
        Rollback time of every node, seconds.

    Notes
    -----
    Of K nodes that are offline the last one is online again after ``mean_offline_s * H_K`` on average, with the harmonic number
    ``H_K = 1 + 1/2 + ... + 1/K``. For binomial K with n trials and probability p its mean is the sum over j = 1, ..., n of
    ``(1 - (1 - p)**j) / j``.

    References
    ----------
    W. Feller, "An Introduction to Probability Theory and Its Applications", vol. II, 2nd ed., Wiley, 1971, section I.6
    (order statistics of exponential times).

    Examples
    --------
    >>> mean_restoration_s(2, 1.0, 60.0, rollback_s=30.0)
    120.0
    """
    mean_harmonic = math.fsum((1 - (1 - offline) ** j) / j for j in range(1, nodes + 1))
    return rollback_s + mean_offline_s * mean_harmonic
