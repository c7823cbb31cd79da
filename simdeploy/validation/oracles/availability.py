"""Nodes that are down or degraded for a part of the time, and the effect of a release on it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simdeploy.world.distributions import Distribution


def unavailability(mean_up: float, mean_repair: float) -> float:
    """Fraction of nodes down at any time, in a stationary alternating renewal process with any laws.

    Parameters
    ----------
    mean_up, mean_repair : float
        In the same unit.

    Notes
    -----
    ``mean_repair / (mean_up + mean_repair)``.

    References
    ----------
    D. R. Cox, "Renewal Theory", Methuen, 1962, chapter 7 (alternating renewal processes).

    Examples
    --------
    >>> unavailability(3.0, 1.0)
    0.25
    """
    return mean_repair / (mean_up + mean_repair)


def exposed_down_s(mean_up_s: float, mean_repair_s: float, crash_rate: float, exposure_s: float) -> float:
    """Mean time that a node is down while exposed, up at first, with exponential up and repair times.

    Parameters
    ----------
    mean_up_s, mean_repair_s : float
        Without the release, seconds.
    crash_rate : float
        Factor on the rate of crashes while exposed.
    exposure_s : float
        Seconds.

    Notes
    -----
    With rates a of crashes and b of repairs a node that was up at 0 is down at t with probability
    ``u(t) = a / (a + b) * (1 - exp(-(a + b) t))``; this is the integral of u up to `exposure_s`.

    References
    ----------
    D. R. Cox, 1962, chapter 7 (the exponential case).

    Examples
    --------
    >>> round(exposed_down_s(3600.0, 3600.0, 1.0, 3600.0), 3)
    1021.802
    """
    crashes, repairs = crash_rate / mean_up_s, 1 / mean_repair_s
    total = crashes + repairs
    return crashes / total * (exposure_s + math.expm1(-total * exposure_s) / total)


def degraded_error_level(baseline: float, degraded: float, *, good_s: float, degraded_s: float) -> float:
    """Mean level of failed requests of a node that flaps.

    Parameters
    ----------
    baseline, degraded : float
        Levels of the node itself and of a degraded spell, independent causes.
    good_s, degraded_s : float
        Mean lengths of the spells, seconds.

    Notes
    -----
    ``1 - (1 - baseline)(1 - degraded * f)`` with the fraction f of time that is degraded, :func:`unavailability`.

    Examples
    --------
    >>> degraded_error_level(0.0, 0.5, good_s=30.0, degraded_s=10.0)
    0.125
    """
    return 1 - (1 - baseline) * (1 - degraded * unavailability(good_s, degraded_s))


def failed_requests_excess(
    requests_per_second: float,
    error_rate: float,
    exposure_s: float,
    *,
    after: Distribution,
    baseline: float = 0.0,
    degraded: float = 0.0,
) -> float:
    """Mean number of failed requests that a release adds on one affected node that stays in service.

    Parameters
    ----------
    requests_per_second : float
    error_rate : float
        The release's own level.
    exposure_s : float
        Seconds.
    after : Distribution
        Of the exposure until the level shows, seconds.
    baseline : float
        The node's own level.
    degraded : float
        Time-average of the level of its degraded spells (level times the fraction of time).

    Notes
    -----
    Independent causes combine as ``1 - (1 - a)(1 - b)``, so the release adds ``error_rate (1 - baseline)(1 - degraded)`` to the
    level, for ``E[max(exposure_s - after, 0)] = exposure_s - E[min(after, exposure_s)]`` seconds.

    Examples
    --------
    >>> from simdeploy.world.distributions import Constant
    >>> failed_requests_excess(10.0, 0.5, 60.0, after=Constant(20.0), baseline=0.5)
    100.0
    """
    shows_s = exposure_s - float(after.limited_mean(exposure_s))
    return requests_per_second * error_rate * (1 - baseline) * (1 - degraded) * shows_s
