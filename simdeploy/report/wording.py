"""Responses and numbers in words: labels, units, and the digits that an interval supports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from simdeploy.analysis.asking.naming import LABELS, describe_measure
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.scenario.measures import Measure

    Row = Mapping[Any, Any] | pd.Series[Any]


class Scale(NamedTuple):
    """How to show a quantity: multiplied by `factor`, followed by `unit`."""

    factor: float
    unit: str


PERCENT = Scale(100, "%")
POINTS = Scale(100, "pp")
NO_SCALE = Scale(1, "")
LONGEST_ANSWER = 240
_LEAST_PERCENT = 1e-3  # smaller fractions are written without the unit
# Smaller exact numbers, by their decimal exponent, are as good as 0.
LEAST_EXACT = -4
_MOST_DIGITS = 5  # of an estimate with an interval
_MOST_DECIMALS = 6
# Before an interval that may not cover as often as it says.
UNTRUSTED = "~"
# Verdicts that people read as another word.
VERDICTS = {"trades": "trade-off"}

# Short names of the most common measures.
_BRIEF = {
    "false_alarm given good": "false alarms",
    "escaped given defective": "escapes",
    "makespan_s given completed_good": "makespan",
    "makespan_s given completed": "makespan",
    "blast_radius given defective": "blast radius",
}


def difference_scale(scale: Scale) -> Scale:
    """Return the scale of a difference: percentages differ in points."""
    return POINTS if scale == PERCENT else scale


def time_scale(longest_s: float) -> Scale:
    """Return the unit of time that suits durations up to `longest_s`.

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


def measure_scale(measure: Measure, largest: float, cost_unit: str) -> Scale:
    """Return the scale of a measure with values up to `largest`; costs are in `cost_unit`."""
    if measure.of in COSTS:
        return Scale(1, cost_unit)
    return PERCENT if measure.kind == "rate" else response_scale(measure.of, largest)


def scale_of(measure: Measure, values: pd.Series[Any], cost_unit: str) -> Scale:
    """Return one scale for all values of a measure, so that they compare."""
    return measure_scale(measure, float(values.abs().max()), cost_unit)


def format_estimate(
    estimate: float, low: float, high: float, scale: Scale, *, sign: bool = False, level: float | None = None
) -> str:
    """Write an estimate with its unit and interval, to five significant digits of the estimate at most, three of an exact one below 1;
    with `level`, the interval names its confidence.

    Examples
    --------
    >>> format_estimate(0.0512, 0.04, 0.07, PERCENT)
    '5.1 % (4.0 to 7.0)'
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
    row: Row, scale: Scale, name: str = "estimate", *, sign: bool = False, level: float | None = None
) -> str:
    """Write the estimate of a row with its interval, as `format_estimate` does; `UNTRUSTED` marks one that may not cover
    as often as it says.
    """
    estimate, low, high = (float(row[column]) for column in interval_names(name))
    text = format_estimate(estimate, low, high, scale, sign=sign, level=level)
    is_marked = not row.get(trust_name(name), True) and not math.isnan(low)
    return text.replace(" (", f" ({UNTRUSTED}") if is_marked else text


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
        # What rounds to 0 is a rounding error, and needs no digits.
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
    >>> format_amount(0.0000123, PERCENT), format_amount(4.48e-07, PERCENT), format_amount(-0.0, NO_SCALE)
    ('0.00123 %', '4.48e-07', '0')
    """
    if math.isnan(value):
        return "no value"
    number = value * scale.factor + 0.0  # 0.0 instead of -0.0
    if scale == PERCENT and 0 < abs(number) < _LEAST_PERCENT:
        return f"{value:.{digits}g}"
    form = ",.0f" if abs(number) >= 10**digits else f".{digits}g"
    return f"{number:{form}} {scale.unit}".rstrip()


def round_up(n: float) -> int:
    """Round a number of replications up to two digits.

    Examples
    --------
    >>> round_up(7.2), round_up(1234.5)
    (8, 1300)
    """
    unit = int(10 ** max(math.floor(math.log10(max(n, 1))) - 1, 0))
    return math.ceil(n / unit) * unit


def say_left_out(reasons: Mapping[str, int], n_out: int, n: int, nouns: str) -> str:
    """Say how many things are excluded, and why.

    Examples
    --------
    >>> say_left_out({"no value": 2, "never ends": 1}, 3, 64, "worlds")
    '3 of 64 worlds are excluded (no value in 2; never ends in 1)'
    """
    listed = "; ".join(f"{reason} in {number:,}" for reason, number in reasons.items())
    return f"{n_out:,} of {n:,} {nouns} are excluded ({listed})"


def say_unknown(fractions: Mapping[str, float], noun: str, *, is_conditional: bool = False) -> str:
    """Say what is unknown of which policies because rollouts never end; empty if nothing is.

    `is_conditional` is whether only some of the rollouts count.

    Examples
    --------
    >>> say_unknown({"lax": 0.0, "strict": 0.6}, "cost")
    'Cost unknown for strict: 60 % of its rollouts never end'
    >>> say_unknown({"lax": 0.593, "strict": 0.6}, "makespan", is_conditional=True)
    'Makespan unknown for lax and strict: 59.3 to 60 % of their relevant rollouts never end'
    """
    unknown = {policy: fraction for policy, fraction in fractions.items() if fraction > 0}
    if not unknown:
        return ""
    ends = dict.fromkeys(f"{100 * fraction:.3g}" for fraction in (min(unknown.values()), max(unknown.values())))
    rollouts = f"{'its' if len(unknown) == 1 else 'their'}{' relevant' if is_conditional else ''} rollouts"
    return f"{capitalize(noun)} unknown for {list_some(list(unknown))}: {' to '.join(ends)} % of {rollouts} never end"


def capitalize(text: str) -> str:
    """Return a text with a capital first letter, the rest unchanged."""
    return text[:1].upper() + text[1:]


def percent(fraction: float) -> str:
    """Write a fraction as a percentage, with all its digits."""
    return f"{100 * fraction:g} %"


def plural(n: int, noun: str, nouns: str = "") -> str:
    """Write a number of things.

    Examples
    --------
    >>> plural(1, "rollout"), plural(1000, "rollout"), plural(2, "policy", "policies")
    ('1 rollout', '1,000 rollouts', '2 policies')
    """
    return f"{n:,} {noun if n == 1 else nouns or f'{noun}s'}"


def case_noun(case_columns: Sequence[str]) -> str:
    """Return what the rows of estimates are called."""
    return "case" if "case" in case_columns else "policy"


def is_or_are(n: int) -> str:
    """Return the verb for a number of things."""
    return "is" if n == 1 else "are"


def join_words(words: Sequence[str], *, word: str = "and") -> str:
    """Join words as in a sentence.

    Examples
    --------
    >>> join_words(["a"]), join_words(["a", "b"]), join_words(["a", "b", "c"], word="or")
    ('a', 'a and b', 'a, b or c')
    """
    return f" {word} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def name_briefly(measure: Measure) -> str:
    """Name a measure briefly.

    Examples
    --------
    >>> from simdeploy.scenario.measures import Measure
    >>> name_briefly(Measure("false_alarm", given="good")), name_briefly(Measure("waves", given="good"))
    ('false alarms', 'waves of good releases')
    """
    return _BRIEF.get(str(measure)) or describe_measure(measure)


def name_objective(measure: Measure) -> str:
    """Name a measure that policies are ranked by: a mean is called one."""
    return f"{'mean ' if measure.kind == 'mean' else ''}{describe_measure(measure)}"


def name_cause(cause: str) -> str:
    """Name a cause of costs, where it is clear that they are costs."""
    return LABELS[cause][0].removeprefix("cost of ")


def end_sentence(text: str) -> str:
    """Return a sentence with one full stop, also after a name or a unit that ends in one.

    Examples
    --------
    >>> end_sentence("It costs 5 EUR"), end_sentence("It costs 5 Rp.")
    ('It costs 5 EUR.', 'It costs 5 Rp.')
    """
    return text if text.endswith((".", "!", "?")) else f"{text}."


def join_answer(sentences: Iterable[str | Sequence[str]]) -> str:
    """Join sentences, the most important first, into an answer of at most `LONGEST_ANSWER` characters.

    Empty ones are skipped. A sentence may come in several forms, the longest first: the first form that fits is taken.
    The last sentences are left out if even their shortest forms don't fit.

    Examples
    --------
    >>> join_answer(["It holds", "", "n" * 240, "Nothing flips it"])
    'It holds. Nothing flips it.'
    >>> join_answer([["a" * 240, "Use a, b or c", "Use a"], "No other is close"])
    'Use a, b or c. No other is close.'
    >>> len(join_answer(["word " * 100]))
    240
    """
    chosen = fit_forms([_end_sentences(forms) for forms in sentences], LONGEST_ANSWER)
    answer = " ".join(chosen)
    return answer if len(answer) <= LONGEST_ANSWER else f"{answer[: LONGEST_ANSWER - 1]}…"


def _end_sentences(forms: str | Sequence[str]) -> list[str]:
    return [end_sentence(text) for text in ([forms] if isinstance(forms, str) else forms) if text]


def fit_forms(parts: Iterable[Sequence[str]], longest: int, separator: str = " ") -> list[str]:
    """Choose a form of each part, the longest first, such that all together fit; see `join_answer`.

    Examples
    --------
    >>> fit_forms([["one", "1"], [], ["two", "2"], ["three"]], 5)
    ['one', '2']
    """
    chosen: list[str] = []
    kept = []
    for forms in filter(None, parts):
        if not chosen or len(separator.join([*chosen, forms[-1]])) <= longest:
            chosen.append(forms[-1])
            kept.append(forms)
    for place, forms in enumerate(kept):
        for form in forms:
            changed = [*chosen[:place], form, *chosen[place + 1 :]]
            if len(separator.join(changed)) <= longest:
                chosen = changed
                break
    return chosen


def compare_with_others(
    others: Sequence[str], rivals: Sequence[str], than: str, *, noun: str, separator: str = ","
) -> list[str]:
    """Return endings of a sentence on the best: what it is better than, or which rivals may be as good; the longest first.

    Examples
    --------
    >>> compare_with_others(["a", "b"], [], "lower than", noun="policy")
    [', lower than a and b']
    >>> compare_with_others(["a", "b"], ["b"], "lower than", noun="policy")
    [', but b may be as good']
    >>> compare_with_others(["a", "b"], ["a", "b"], "lower than", noun="policy")
    [', but every other policy may be as good']
    """
    if not rivals:
        return [f", {than} {names}" for names in list_forms(others, separator=separator)]
    if len(rivals) == len(others) > 1:
        return [f", but every other {noun} may be as good"]
    forms = list_forms(rivals, separator=separator)
    return [f", but {names} may be as good" for names in forms]


def list_forms(words: Sequence[str], most: int = 3, *, separator: str = ",") -> list[str]:
    """Return lists of some words for `join_answer`, from `most` words down to one.

    Examples
    --------
    >>> list_forms(["a", "b", "c", "d"], 2)
    ['a, b and 2 more', 'a and 3 more']
    """
    longest = range(min(most, len(words)), 0, -1)
    return list(dict.fromkeys(list_some(words, n, separator=separator) for n in longest))


def list_some(words: Sequence[str], most: int = 3, *, separator: str = ",", word: str = "and") -> str:
    """Join the first few words, and say how many more there are. Separate words that have commas by ";".

    Examples
    --------
    >>> list_some(["a", "b", "c", "d"]), list_some(["a", "b", "c", "d", "e"]), list_some(["a, b", "c"], separator=";")
    ('a, b, c and d', 'a, b, c and 2 more', 'a, b; c')
    """
    if len(words) > most + 1:
        words = [*words[:most], f"{'' if separator == ',' else 'and '}{len(words) - most:,} more"]
    return join_words(words, word=word) if separator == "," else f"{separator} ".join(words)
