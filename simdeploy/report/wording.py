"""Responses and numbers in the words of a person: labels, units, as many digits as an interval deserves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from simdeploy.analysis.asking.naming import LABELS, join_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simdeploy.scenario.measures import Measure

# Policies that are named; of more it is said how many.
_MOST_NAMES = 3


class Scale(NamedTuple):
    """How a quantity is shown: multiplied by `factor`, with the `unit` behind it."""

    factor: float
    unit: str


PERCENT = Scale(100, "%")
POINTS = Scale(100, "pp")
A_ROLLOUT = Scale(1, "a rollout")


def difference_scale(scale: Scale) -> Scale:
    """Return how a difference of what is shown so is shown: that of percentages in points.

    Examples
    --------
    >>> difference_scale(PERCENT).unit, difference_scale(Scale(1, "s")).unit
    ('pp', 's')
    """
    return POINTS if scale == PERCENT else scale


def time_scale(longest_s: float) -> Scale:
    """Return the unit of time in which durations up to `longest_s` are easy to read.

    Examples
    --------
    >>> time_scale(90), time_scale(5400).unit, time_scale(float("nan")).unit
    (Scale(factor=1, unit='s'), 'min', 's')
    """
    for limit_s, size_s, unit in ((3 * 86400, 86400, "d"), (3 * 3600, 3600, "h"), (180, 60, "min")):
        if longest_s >= limit_s:
            return Scale(1 / size_s, unit)
    return Scale(1, "s")


def response_scale(response: str, largest: float) -> Scale:
    """Return how values of a response up to `largest` are shown."""
    unit = LABELS[response][1]
    if unit == "s":
        return time_scale(largest)
    return PERCENT if unit == "fraction" else Scale(1, "")


def measure_scale(measure: Measure, largest: float) -> Scale:
    """Return how values of a measure up to `largest` are shown."""
    return PERCENT if measure.kind == "rate" else response_scale(measure.of, largest)


def format_estimate(estimate: float, low: float, high: float, scale: Scale, *, sign: bool = False) -> str:
    """Write an estimate with its interval and its unit, in one line.

    Examples
    --------
    >>> format_estimate(0.0512, 0.04, 0.07, PERCENT)
    '5.1 % (4.0 to 7.0)'
    >>> format_estimate(61.0, float("nan"), float("nan"), Scale(1, "s"))
    '61.0 s (no interval)'
    """
    if math.isnan(estimate):
        return "no value"
    half_width = (high - low) / 2 * scale.factor
    word, low_word, high_word = (
        format_number(value * scale.factor, half_width, sign=sign) for value in (estimate, low, high)
    )
    interval = "no interval" if math.isnan(half_width) else f"{low_word} to {high_word}"
    return f"{word} {scale.unit}".rstrip() + f" ({interval})"


def format_cell(estimate: float, low: float, high: float, scale: Scale, *, sign: bool = False) -> str:
    r"""Write the same as `format_estimate` for a cell of a table: the interval below.

    Examples
    --------
    >>> format_cell(0.0512, 0.04, 0.07, PERCENT)
    '5.1 %\n4.0 to 7.0'
    """
    return format_estimate(estimate, low, high, scale, sign=sign).replace(" (", "\n").rstrip(")")


def format_number(value: float, uncertainty: float, *, sign: bool = False) -> str:
    """Write a number with the digits that its uncertainty leaves: two of the half-width, no more.

    Parameters
    ----------
    value, uncertainty : float
        The half-width of its interval; 0 or NaN where there is none.
    sign : bool
        Write a plus, too.

    Examples
    --------
    >>> format_number(1234.5678, 0.21), format_number(1234.5678, 130.0), format_number(0.0, 0.0)
    ('1,234.57', '1,235', '0.0')
    """
    decimals = 1 - math.floor(math.log10(uncertainty)) if 0 < uncertainty < math.inf else 1
    text = format(value, f"{'+' if sign else ''},.{min(max(decimals, 0), 6)}f")
    # An estimate just below 0 must not read "-0.0".
    return text.replace("-", "+" if sign else "") if not text.strip("-0.,") else text


def say_unknown(fractions: Mapping[str, float], what: str, *, is_conditional: bool = False) -> str:
    """Say how many rollouts of which policies never end, and what isn't known for that; the empty text if none.

    Parameters
    ----------
    fractions : mapping of str to float
        Of each policy; those of which everything is known have 0.
    what : str
        That isn't known.
    is_conditional : bool
        Whether it is about some of the rollouts only.

    Examples
    --------
    >>> say_unknown({"lax": 0.0, "strict": 0.6}, "cost")
    '60 % of the rollouts of strict never end, which leaves its cost unknown'
    >>> say_unknown({"lax": 0.593, "strict": 0.6}, "makespan", is_conditional=True)
    '59.3 to 60 % of the rollouts of lax and strict that count never end, which leaves their makespan unknown'
    """
    unknown = {policy: fraction for policy, fraction in fractions.items() if fraction > 0}
    if not unknown:
        return ""
    names = list(unknown)
    if len(names) > _MOST_NAMES + 1:
        names = [*names[:_MOST_NAMES], f"{len(names) - _MOST_NAMES:,} more"]
    ends = dict.fromkeys(f"{100 * fraction:.3g}" for fraction in (min(unknown.values()), max(unknown.values())))
    whose = "its" if len(unknown) == 1 else "their"
    share = f"{' to '.join(ends)} % of the rollouts of {join_words(names)}"
    return f"{share}{' that count' if is_conditional else ''} never end, which leaves {whose} {what} unknown"
