"""Confidence levels: validation, and division among intervals that hold together."""

from __future__ import annotations

import math
from functools import lru_cache

from simdeploy.errors import Problem, shorten


def level_problems(confidence_level: object, *, above: float = 0) -> list[Problem]:
    """Return the problems of a confidence level, which must be between `above` and 1 (above 0.5 if a verdict depends on it).

    Examples
    --------
    >>> [str(problem) for problem in level_problems(95)]
    ['confidence_level: invalid confidence level (found 95); allowed: a fraction between 0 and 1, such as 0.95']
    """
    is_number = isinstance(confidence_level, int | float) and not isinstance(confidence_level, bool)
    if is_number and above < confidence_level < 1:  # type: ignore[operator]
        return []
    bounds = "between 0 and 1" if above == 0 else f"above {above:g} and below 1"
    allowed = f"a fraction {bounds}, such as 0.95"
    return [
        Problem("invalid confidence level", ("confidence_level",), found=shorten(confidence_level), allowed=allowed)
    ]


@lru_cache(maxsize=128)
def normal_quantile(confidence_level: float) -> float:
    """Return the half-width of a two-sided normal interval, in standard errors.

    Examples
    --------
    >>> round(normal_quantile(0.95), 3)
    1.96
    """
    from scipy.special import ndtri

    return float(ndtri((1 + confidence_level) / 2))


def unseen_events(confidence_level: float) -> float:
    """Return the upper limit, of a two-sided interval, of the expected number of events if none was seen.

    Examples
    --------
    >>> round(unseen_events(0.95), 3)
    3.689
    """
    return -math.log((1 - confidence_level) / 2)


@lru_cache(maxsize=128)
def events_beyond_one(confidence_level: float) -> float:
    """Return by how much the upper limit, of a two-sided interval, of the expected number of events exceeds 1 if one was seen.

    Examples
    --------
    >>> round(events_beyond_one(0.95), 3)
    4.572
    """
    from scipy.special import gammaincinv

    return float(gammaincinv(2, (1 + confidence_level) / 2)) - 1


def share_out(confidence_level: float, number: int) -> float:
    """Return the level at which `number` intervals hold together with a confidence level, by Bonferroni's inequality.

    Examples
    --------
    >>> share_out(0.5, 5)
    0.9
    """
    return 1 - (1 - confidence_level) / max(number, 1)
