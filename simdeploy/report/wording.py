"""Responses and numbers in the words of a person: labels, units, as many digits as an interval deserves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from simdeploy.analysis.asking.naming import LABELS, describe_measure
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from simdeploy.scenario.measures import Measure

    Row = Mapping[Any, Any] | pd.Series[Any]


class Scale(NamedTuple):
    """How a quantity is shown: multiplied by `factor`, with the `unit` behind it."""

    factor: float
    unit: str


PERCENT = Scale(100, "%")
POINTS = Scale(100, "pp")
NO_SCALE = Scale(1, "")
LONGEST_ANSWER = 240

# What is asked for most, as it is called where there is no room for more.
_BRIEF = {
    "false_alarm given good": "false alarms",
    "escaped given defective": "escapes",
    "makespan_s given completed_good": "makespan",
    "makespan_s given completed": "makespan",
    "blast_radius given defective": "blast radius",
}


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
    return PERCENT if unit == "fraction" else NO_SCALE


def find_cost_unit(computed_under: Mapping[str, Any]) -> str:
    """Return the unit of the costs that a result was computed under; the empty text if there is none.

    Costs of several scenarios, by their names, have one unit.

    Examples
    --------
    >>> find_cost_unit({"seed": 0, "costs": {"escape": 1000.0, "unit": "EUR"}}), find_cost_unit({"seed": 0})
    ('EUR', '')
    """
    costs = computed_under.get("costs", {})
    first = next(iter(costs.values()), None)
    return str((first if isinstance(first, Mapping) else costs).get("unit", ""))


def cost_scale(cost_unit: str) -> Scale:
    """Return how the cost of a rollout is shown.

    Examples
    --------
    >>> cost_scale("EUR").unit, cost_scale("").unit
    ('EUR a rollout', 'a rollout')
    """
    return Scale(1, f"{cost_unit} a rollout".lstrip())


def measure_scale(measure: Measure, largest: float, cost_unit: str) -> Scale:
    """Return how values of a measure up to `largest` are shown; costs are in `cost_unit`, as from `find_cost_unit`."""
    if measure.of in COSTS:
        return Scale(1, cost_unit)
    return PERCENT if measure.kind == "rate" else response_scale(measure.of, largest)


def scale_of(measure: Measure, values: pd.Series[Any], cost_unit: str) -> Scale:
    """Return one scale for all values of a measure, so that they can be compared."""
    return measure_scale(measure, float(values.abs().max()), cost_unit)


def format_estimate(estimate: float, low: float, high: float, scale: Scale, *, sign: bool = False) -> str:
    """Write an estimate with its interval and its unit, in one line.

    Examples
    --------
    >>> format_estimate(0.0512, 0.04, 0.07, PERCENT)
    '5.1 % (4.0 to 7.0)'
    >>> format_estimate(61.0, float("nan"), float("nan"), Scale(1, "s"))
    '61.0 s (no interval)'
    >>> format_estimate(61.0, 55.0, float("nan"), Scale(1, "s"))
    '61.0 s (55.0 or more)'
    """
    if math.isnan(estimate):
        return "no value"
    half_widths = [(high - low) / 2, estimate - low, high - estimate]
    half_width = next((width for width in half_widths if not math.isnan(width)), 0.0) * scale.factor
    word, *ends = (format_number(value * scale.factor, half_width, sign=sign) for value in (estimate, low, high))
    if math.isnan(high):
        interval = "no interval" if math.isnan(low) else f"{ends[0]} or more"
    else:
        interval = f"at most {ends[1]}" if math.isnan(low) else f"{ends[0]} to {ends[1]}"
    return f"{word} {scale.unit}".rstrip() + f" ({interval})"


def interval_names(name: str) -> tuple[str, str, str]:
    """Return the columns of an estimate and of the ends of its interval.

    Examples
    --------
    >>> interval_names("estimate"), interval_names("margin")
    (('estimate', 'low', 'high'), ('margin', 'margin_low', 'margin_high'))
    """
    stem = name.removesuffix("estimate") if name.endswith("estimate") else f"{name}_"
    return name, f"{stem}low", f"{stem}high"


def write_estimate(row: Row, scale: Scale, name: str = "estimate", *, sign: bool = False) -> str:
    """Write an estimate of a row with its interval, as `format_estimate` does.

    Examples
    --------
    >>> write_estimate({"estimate": 0.0512, "low": 0.04, "high": 0.07}, PERCENT)
    '5.1 % (4.0 to 7.0)'
    """
    estimate, low, high = (float(row[each]) for each in interval_names(name))
    return format_estimate(estimate, low, high, scale, sign=sign)


def format_interval(low: float, high: float, scale: Scale) -> str:
    """Write the interval of a difference; an end near 0 keeps the digits that tell it from 0.

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
    """Write a number with the digits that its uncertainty leaves: two of the half-width, no more.

    The uncertainty is 0 or NaN where there is no interval; with `sign` a plus is written, too.

    Examples
    --------
    >>> format_number(1234.5678, 0.21), format_number(1234.5678, 130.0), format_number(0.0, 0.0)
    ('1,234.57', '1,235', '0.0')
    """
    decimals = 1 - math.floor(math.log10(uncertainty)) if 0 < uncertainty < math.inf else 1
    text = format(value, f"{'+' if sign else ''},.{min(max(decimals, 0), 6)}f")
    # An estimate just below 0 must not read "-0.0".
    return text.replace("-", "+" if sign else "") if not text.strip("-0.,") else text


def format_amount(value: float, scale: Scale, *, digits: int = 3) -> str:
    """Write a number that has no interval, with its unit.

    Examples
    --------
    >>> format_amount(0.0123, PERCENT), format_amount(float("nan"), PERCENT), format_amount(12345.6, NO_SCALE)
    ('1.23 %', 'no value', '12,346')
    """
    if math.isnan(value):
        return "no value"
    number = value * scale.factor
    form = ",.0f" if abs(number) >= 10**digits else f".{digits}g"
    return f"{number:{form}} {scale.unit}".rstrip()


def say_left_out(reasons: Mapping[str, int], n_out: int, n: int, what: str) -> str:
    """Say how many of some things are left out, and why.

    Examples
    --------
    >>> say_left_out({"no value": 2, "never ends": 1}, 3, 64, "worlds")
    '3 of 64 worlds are left out (no value in 2; never ends in 1)'
    """
    told = "; ".join(f"{reason} in {number:,}" for reason, number in reasons.items())
    return f"{n_out:,} of {n:,} {what} are left out ({told})"


def say_unknown(fractions: Mapping[str, float], what: str, *, is_conditional: bool = False) -> str:
    """Say how many rollouts of which policies never end, and what isn't known for that; the empty text if none.

    A policy of which everything is known has the fraction 0; `is_conditional` is whether some of the rollouts count only.

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
    ends = dict.fromkeys(f"{100 * fraction:.3g}" for fraction in (min(unknown.values()), max(unknown.values())))
    whose = "its" if len(unknown) == 1 else "their"
    share = f"{' to '.join(ends)} % of the rollouts of {list_some(list(unknown))}"
    return f"{share}{' that count' if is_conditional else ''} never end, which leaves {whose} {what} unknown"


def percent(fraction: float) -> str:
    """Write a fraction as a percentage, with the digits that it has.

    Examples
    --------
    >>> percent(0.95), percent(0.999)
    ('95 %', '99.9 %')
    """
    return f"{100 * fraction:g} %"


def plural(n: int, noun: str, nouns: str = "") -> str:
    """Write how many there are of something.

    Examples
    --------
    >>> plural(1, "rollout"), plural(1000, "rollout"), plural(2, "policy", "policies")
    ('1 rollout', '1,000 rollouts', '2 policies')
    """
    return f"{n:,} {noun if n == 1 else nouns or f'{noun}s'}"


def is_or_are(n: int) -> str:
    """Return the verb that goes with a number of things."""
    return "is" if n == 1 else "are"


def join_words(words: Sequence[str]) -> str:
    """Write one or several words as in a sentence.

    Examples
    --------
    >>> join_words(["a"]), join_words(["a", "b"]), join_words(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def name_briefly(measure: Measure) -> str:
    """Name a measure in a few words.

    Examples
    --------
    >>> from simdeploy.scenario.measures import Measure
    >>> name_briefly(Measure("false_alarm", given="good")), name_briefly(Measure("waves", given="good"))
    ('false alarms', 'waves of good releases')
    """
    return _BRIEF.get(str(measure)) or describe_measure(measure)


def join_answer(parts: Iterable[str], *, separator: str = " ", end: str = "") -> str:
    """Join the parts of an answer, the most important first; a part that no longer fits is left out.

    Examples
    --------
    >>> join_answer(["It holds.", "", "n" * 240, "Nothing flips it."])
    'It holds. Nothing flips it.'
    """
    answer = ""
    for part in filter(None, parts):
        longer = f"{answer}{separator}{part}" if answer else part
        if not answer or len(longer) + len(end) <= LONGEST_ANSWER:
            answer = longer
    return answer + end


def list_some(words: Sequence[str], most: int = 3, *, separator: str = ",") -> str:
    """Write a few words as in a sentence, of many the first ones and how many more there are.

    What has commas itself is separated by ";".

    Examples
    --------
    >>> list_some(["a", "b", "c", "d"]), list_some(["a", "b", "c", "d", "e"]), list_some(["a, b", "c"], separator=";")
    ('a, b, c and d', 'a, b, c and 2 more', 'a, b; c')
    """
    if len(words) > most + 1:
        words = [*words[:most], f"{'' if separator == ',' else 'and '}{len(words) - most:,} more"]
    return join_words(words) if separator == "," else f"{separator} ".join(words)
