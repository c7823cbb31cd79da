"""Quantities as text: scales, units, and the digits that an interval supports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from simdeploy.analysis.asking.naming import LABELS
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.scenario.measures import Measure

    Row = Mapping[Any, Any] | pd.Series[Any]


class Scale(NamedTuple):
    """How to show a quantity: multiplied by `factor`, followed by `unit`."""

    factor: float
    unit: str
    is_rate: bool = False  # of an event: an interval without width means that the rate is known without simulation


PERCENT = Scale(100, "%")
RATE = Scale(100, "%", is_rate=True)
POINTS = Scale(100, "pp")
NO_SCALE = Scale(1, "")
_LEAST_PERCENT = 1e-3  # smaller fractions are written without the unit
# Exact numbers with a smaller decimal exponent are written as 0.
LEAST_EXACT = -4
_MOST_DIGITS = 5  # of an estimate with an interval
_MOST_DECIMALS = 6
# Precedes an interval that can't be trusted.
UNTRUSTED = "~"


def difference_scale(scale: Scale) -> Scale:
    """Return the scale of a difference: percentages differ in points."""
    return POINTS if scale.unit == PERCENT.unit else scale


def time_scale(longest_s: float) -> Scale:
    """Return the unit of time that suits durations up to `longest_s`.

    Examples
    --------
    >>> [time_scale(longest_s).unit for longest_s in (90, 5400, float("nan"))]
    ['s', 'min', 's']
    """
    for limit_s, size_s, unit in ((3 * 86400, 86400, "d"), (3 * 3600, 3600, "h"), (180, 60, "min")):
        if longest_s >= limit_s:
            return Scale(1 / size_s, unit)
    return Scale(1, "s")


def response_scale(response: str, largest: float) -> Scale:
    """Return the scale of a response with values up to `largest`."""
    unit = LABELS[response][1]
    if unit == "s":
        return time_scale(largest)
    return PERCENT if unit == "fraction" else NO_SCALE


def find_cost_unit(computed_under: Mapping[str, Any]) -> str:
    """Return the unit of a result's costs, or the empty string. Costs of several scenarios share one unit.

    Examples
    --------
    >>> find_cost_unit({"seed": 0, "costs": {"escape": 1000.0, "unit": "EUR"}}), find_cost_unit({"seed": 0})
    ('EUR', '')
    """
    costs = computed_under.get("costs", {})
    first = next(iter(costs.values()), None)
    return str((first if isinstance(first, Mapping) else costs).get("unit", ""))


def cost_scale(cost_unit: str) -> Scale:
    """Return the scale of the cost per rollout; the unit of costs may be empty."""
    return Scale(1, f"{cost_unit} per rollout".lstrip())


def with_unit(label: str, unit: str) -> str:
    """Return the label of an axis, or a title, of numbers that are written without their unit.

    Examples
    --------
    >>> with_unit("makespan", "min"), with_unit("waves", "")
    ('makespan (min)', 'waves')
    """
    return f"{label} ({unit})" if unit else label


def measure_scale(measure: Measure, largest: float, cost_unit: str) -> Scale:
    """Return the scale of a measure with values up to `largest`; costs are in `cost_unit`."""
    if measure.of in COSTS:
        return Scale(1, cost_unit)
    return RATE if measure.kind == "rate" else response_scale(measure.of, largest)


def scale_of(measure: Measure, values: pd.Series[Any], cost_unit: str) -> Scale:
    """Return one scale for all values of a measure, so that they compare."""
    return measure_scale(measure, float(values.abs().max()), cost_unit)


def format_estimate(
    estimate: float, low: float, high: float, scale: Scale, *, sign: bool = False, level: float | None = None
) -> str:
    """Write an estimate with its unit and interval, with at most five significant digits, or three for an exact number below 1.

    With `level`, the interval states its confidence level. A rate whose interval has no width is exact.

    Examples
    --------
    >>> format_estimate(0.0512, 0.04, 0.07, PERCENT)
    '5.1 % (4.0 to 7.0)'
    >>> format_estimate(0.0512, 0.0512, 0.0512, RATE, level=0.95)
    '5.1 % (exact)'
    >>> format_estimate(7.000001, 7.0, 7.000002, NO_SCALE)
    '7.0000 (7.0000 to 7.0000)'
    >>> format_estimate(0.0000178, 0.0000178, 0.0000178, PERCENT)
    '0.00178 % (0.00178 to 0.00178)'
    >>> format_estimate(0.0512, 0.04, 0.07, PERCENT, level=0.95)
    '5.1 % (95 % CI 4.0 to 7.0)'
    >>> format_estimate(61.0, float("nan"), float("nan"), Scale(1, "s"))
    '61.0 s (no interval)'
    >>> format_estimate(61.0, 55.0, float("nan"), Scale(1, "s"))
    '61.0 s (55.0 or more)'
    """
    if math.isnan(estimate):
        return "no value"
    half_widths = [(high - low) / 2, estimate - low, high - estimate]
    half_width = next((width for width in half_widths if not math.isnan(width)), 0.0) * scale.factor
    if estimate and math.isfinite(estimate):
        first = math.floor(math.log10(abs(estimate * scale.factor)))
        if half_width:
            half_width = max(half_width, 10.0 ** (first + 2 - _MOST_DIGITS))
        elif LEAST_EXACT <= first < 0:
            half_width = 10.0 ** (first - 1)
    number, *ends = (format_number(value * scale.factor, half_width, sign=sign) for value in (estimate, low, high))
    if math.isnan(high):
        interval = "no interval" if math.isnan(low) else f"{ends[0]} or more"
    else:
        interval = f"at most {ends[1]}" if math.isnan(low) else f"{ends[0]} to {ends[1]}"
    if scale.is_rate and low == high:
        level, interval = None, "exact"
    confidence = "" if level is None or (math.isnan(low) and math.isnan(high)) else f"{percent(level)} CI "
    return f"{number} {scale.unit}".rstrip() + f" ({confidence}{interval})"


def interval_names(name: str) -> tuple[str, str, str]:
    """Return the columns of an estimate and of the bounds of its interval.

    Examples
    --------
    >>> interval_names("estimate"), interval_names("margin")
    (('estimate', 'low', 'high'), ('margin', 'margin_low', 'margin_high'))
    """
    stem = name.removesuffix("estimate") if name.endswith("estimate") else f"{name}_"
    return name, f"{stem}low", f"{stem}high"


def trust_name(name: str) -> str:
    """Return the column that says whether the interval of an estimate can be trusted.

    Examples
    --------
    >>> trust_name("estimate"), trust_name("margin")
    ('is_trusted', 'margin_is_trusted')
    """
    return interval_names(name)[1].removesuffix("low") + "is_trusted"


def write_estimate(
    row: Row,
    scale: Scale,
    name: str = "estimate",
    *,
    interval: str = "",  # the name from which the columns of its interval have theirs, if it is another
    sign: bool = False,
    level: float | None = None,
) -> str:
    """Write the estimate of a row with its interval, as `format_estimate` does; `UNTRUSTED` marks one that can't be trusted."""
    _, *bounds = interval_names(interval or name)
    low, high = (float(row[column]) for column in bounds)
    text = format_estimate(float(row[name]), low, high, scale, sign=sign, level=level)
    is_marked = not row.get(trust_name(interval or name), True) and not math.isnan(low)
    return text.replace(" (", f" ({UNTRUSTED}") if is_marked else text


def write_without_interval(
    row: Row, scale: Scale, name: str = "estimate", *, interval: str = "", sign: bool = False
) -> str:
    """Write the estimate of a row with the digits that tables show, for a sentence without room for its interval.

    Examples
    --------
    >>> write_without_interval({"estimate": 0.0741, "low": 0.0, "high": 0.36}, PERCENT)
    '7 %'
    """
    return write_estimate(row, scale, name, interval=interval, sign=sign).partition(" (")[0]


def format_interval(low: float, high: float, scale: Scale) -> str:
    """Write the interval of a difference; a bound near 0 keeps the digits that distinguish it from 0.

    Examples
    --------
    >>> format_interval(-0.21, 0.0042, POINTS)
    '-21 to +0.42 pp'
    """
    half_width = (high - low) / 2
    if math.isnan(half_width):
        return "no interval"
    ends = (
        format_number(end * scale.factor, min(half_width, abs(end)) * scale.factor, sign=True) for end in (low, high)
    )
    return f"{' to '.join(ends)} {scale.unit}".rstrip()


def format_number(value: float, uncertainty: float, *, sign: bool = False) -> str:
    """Write a number to two digits of its uncertainty, the half-width of its interval; 0 or NaN if it has none.

    Examples
    --------
    >>> format_number(1234.5678, 0.21), format_number(1234.5678, 130.0), format_number(0.0, 0.0)
    ('1,234.57', '1,235', '0.0')
    >>> format_number(1.8e-18, 2.7e-18), format_number(0.0000123, 1e-8)
    ('0.0', '0.000012')
    """
    decimals = 1 - math.floor(math.log10(uncertainty)) if 0 < uncertainty < math.inf else 1
    if decimals > _MOST_DECIMALS:
        # A number that rounds to 0 is a rounding error, and needs no digits.
        decimals = _MOST_DECIMALS if round(value, _MOST_DECIMALS) else 1
    text = format(value, f"{'+' if sign else ''},.{max(decimals, 0)}f")
    # An estimate just below 0 must not read "-0.0".
    return text.replace("-", "+" if sign else "") if not text.strip("-0.,") else text


def format_amount(value: float, scale: Scale, *, digits: int = 3) -> str:
    """Write a number without an interval, with its unit.

    Examples
    --------
    >>> format_amount(0.0123, PERCENT), format_amount(float("nan"), PERCENT), format_amount(12345.6, NO_SCALE)
    ('1.23 %', 'no value', '12,346')
    >>> format_amount(1500, NO_SCALE, digits=6), format_amount(999.7, NO_SCALE)
    ('1,500', '1,000')
    >>> format_amount(0.0000123, PERCENT), format_amount(4.48e-07, PERCENT), format_amount(-0.0, NO_SCALE)
    ('0.00123 %', '4.48e-07', '0')
    """
    if math.isnan(value):
        return "no value"
    number = value * scale.factor + 0.0  # 0.0 instead of -0.0
    if scale == PERCENT and 0 < abs(number) < _LEAST_PERCENT:
        return f"{value:.{digits}g}"
    form = ",.0f" if abs(number) >= 10**digits - 0.5 else f",.{digits}g"
    return f"{number:{form}} {scale.unit}".rstrip()


def format_briefly(value: float, scale: Scale) -> str:
    """Write a number without an interval, with its unit, where there is no room for more than seven digits.

    Examples
    --------
    >>> format_briefly(12345.6, NO_SCALE), format_briefly(11_571_131_943.2, Scale(1, "EUR")), format_briefly(999_600_000, NO_SCALE)
    ('12,346', '11.6 billion EUR', '1 billion')
    """
    for least, size, word in ((999.5e9, 1e12, "trillion"), (999.5e6, 1e9, "billion"), (1e7 - 0.5, 1e6, "million")):
        if abs(value * scale.factor) >= least:
            return format_amount(value, Scale(scale.factor / size, f"{word} {scale.unit}".rstrip()))
    return format_amount(value, scale)


def round_up(n: float) -> int:
    """Round a number of replications up to two digits.

    Examples
    --------
    >>> round_up(7.2), round_up(1234.5)
    (8, 1300)
    """
    unit = int(10 ** max(math.floor(math.log10(max(n, 1))) - 1, 0))
    return math.ceil(n / unit) * unit


def percent(fraction: float) -> str:
    """Write a fraction as a percentage, with all its digits."""
    return f"{100 * fraction:g} %"
