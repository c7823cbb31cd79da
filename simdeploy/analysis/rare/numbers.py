"""What follows from an estimate of a small probability: its interval, and what plain simulation would take."""

from __future__ import annotations

import math
from collections.abc import Sequence

from simdeploy.statistics.weights import log_interval


def plain_rollouts(probability: float, standard_error: float, condition: float = 1.0) -> float:
    """Return how many rollouts plain simulation needs for the same standard error.

    Examples
    --------
    >>> round(plain_rollouts(0.5, 0.05))
    100
    """
    if not standard_error > 0:
        return math.nan
    return probability * (1 - probability) / (condition * standard_error**2)


def describe_numbers(
    probability: float,
    error: float,
    condition: float,
    *,
    degrees: int,
    confidence_level: float,
    doubts: Sequence[str],
    n_all: int,
) -> dict[str, float]:
    """Return the numbers of a `Rare` that follow from its estimate; NaN where there are doubts."""
    if doubts:
        unknown = ("probability", "low", "high", "standard_error", "plain_rollouts", "gain")
        return dict.fromkeys(unknown, math.nan)
    low, high = log_interval(probability, error, degrees, confidence_level)
    plain = plain_rollouts(probability, error, condition)
    return {
        "probability": probability,
        "low": low,
        "high": min(high, 1.0),
        "standard_error": error,
        "plain_rollouts": plain,
        "gain": plain / n_all,
    }


def doubt_unknown(n_unknown: int, n_failed: int) -> list[str]:
    """Say which rollouts leave it open whether the event happened."""
    doubts = []
    if n_unknown:
        doubts.append(f"{n_unknown:,} rollouts never end, so that nobody can tell of them")
    if n_failed:
        doubts.append(f"{n_failed:,} rollouts failed")
    return doubts
