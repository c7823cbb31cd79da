"""Exact input: durations in whole nanoseconds, decimals as rationals, one way of rounding."""

from __future__ import annotations

import math
import operator
import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from numbers import Integral
from typing import TypeGuard

NS_PER_S = 1_000_000_000

# The longest duration that a file may state or a law may yield (100 years). Go's own limit is 292
# years; a lower one leaves room to add some of them up in 64 bits.
MAX_DURATION_NS = 100 * 365 * 24 * 3600 * NS_PER_S

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, micro sign
    "μs": 1_000,  # U+03BC, Greek letter mu
    "ms": 1_000_000,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
}
_TERM = re.compile(r"(?=\.?[0-9])([0-9]*)\.?([0-9]*)(ns|us|µs|μs|ms|s|m|h)")
_MAX_TEXT = 100
# Misspelt durations.
_CLOCK = re.compile(r"(?:\d+:)?\d+:\d\d")
_DAYS = re.compile(r"(\d+)d(?:ays?)?")
_UNIT_WORDS = (("milliseconds?", "ms"), ("sec(?:ond)?s?", "s"), ("min(?:ute)?s?", "m"), ("(?:hrs?|hours?)", "h"))
MAX_HINTED = 30  # longer text is no misspelt value


def is_whole(value: object, least: float = 0, most: float = math.inf) -> TypeGuard[int]:
    """Return whether a value is a whole number within these bounds. It may be numpy's, which `int` converts."""
    return isinstance(value, Integral) and not isinstance(value, bool) and least <= int(value) <= most


@lru_cache(maxsize=4096, typed=True)  # typed: a fraction may equal a float whose decimal literal is another number
def exact(number: float | Fraction) -> Fraction:
    """Read a number as the rational of its shortest decimal literal; a ValueError if it is not finite.

    Examples
    --------
    >>> exact(0.1)
    Fraction(1, 10)
    """
    if isinstance(number, Fraction):
        return number
    if isinstance(number, float):
        if not math.isfinite(number):
            raise ValueError("not a finite number")
        return Fraction(Decimal(repr(float(number))))  # float() first: a numpy float has a repr of its own
    return Fraction(operator.index(number))  # index() first: a numpy integer would overflow later


def round_half_up(value: Fraction) -> int:
    """Round to the nearest whole number, halves up.

    Examples
    --------
    >>> round_half_up(Fraction(5, 2)), round_half_up(Fraction(-5, 2))
    (3, -2)
    """
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


@lru_cache(maxsize=4096)
def parse_duration(text: str) -> int:
    """Read a duration in the form of Go's ``time.ParseDuration``, such as ``"1.5s"`` or ``"-1h30m"``, as whole nanoseconds.

    The result is Go's to the nanosecond: fractions of one are cut off, and digits beyond what a float
    can hold are read the way ``leadingFraction`` in Go's ``time/format.go`` does. A ValueError says which form is allowed.

    Examples
    --------
    >>> parse_duration("1m30s")
    90000000000
    """
    body = text[1:] if text[:1] in ("+", "-") else text
    if len(text) > _MAX_TEXT:
        raise ValueError("duration too long")
    if body == "0":
        return 0
    ns, position = 0, 0
    while position < len(body):
        term = _TERM.match(body, position)
        if term is None:
            break
        ns += int(term[1] or 0) * _UNITS_NS[term[3]] + _fraction_ns(term[2], _UNITS_NS[term[3]])
        position = term.end()
    if not body or position < len(body):
        raise ValueError('not a duration such as "1h30m", "45s" or "500ms"')
    ns = -ns if text[0] == "-" else ns
    if not -(1 << 63) <= ns < 1 << 63:
        raise ValueError("duration too long: at most 292 years")
    return ns


# Word processors write these for YAML's quotes.
TYPOGRAPHIC_QUOTES = "“”„‟‘’‚«»"


def suggest_duration(text: str) -> str | None:
    """Suggest what to write instead of a misspelt duration; None if that isn't clear, or not allowed.

    Examples
    --------
    >>> suggest_duration("5 minutes"), suggest_duration("2 days"), suggest_duration("0:05:30")
    ('write 5m', 'write 48h', 'write 0h5m30s')
    """
    if len(text) > MAX_HINTED:
        return None
    if _CLOCK.fullmatch(text):
        *hours, first, second = (int(part) for part in text.split(":"))
        if hours:
            return f"write {hours[0]}h{first}m{second}s"
        return f"write {first}h{second}m or {first}m{second}s"  # either may be meant
    bare = _DAYS.sub(lambda days: f"{int(days[1]) * 24}h", text.replace(" ", "").strip(TYPOGRAPHIC_QUOTES).lower())
    for words, unit in _UNIT_WORDS:
        bare = re.sub(rf"(?<=\d){words}\b", unit, bare)
    try:
        is_allowed = 0 < parse_duration(bare) <= MAX_DURATION_NS
    except ValueError:
        return None
    return f"write {bare}" if is_allowed else None


def _fraction_ns(digits: str, unit_ns: int) -> int:
    number, scale = 0, 1.0
    for digit in digits:
        if number * 10 + int(digit) > 1 << 63:
            break  # Go ignores what its 64 bits can't hold
        number, scale = number * 10 + int(digit), scale * 10
    return int(number * (unit_ns / scale))


def format_duration(ns: int) -> str:
    """Write nanoseconds the way Go's ``Duration.String`` does.

    Examples
    --------
    >>> format_duration(5_400_000_000_000), format_duration(1_500_000_000), format_duration(0)
    ('1h30m0s', '1.5s', '0s')
    """
    if ns == 0:
        return "0s"
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    if ns < NS_PER_S:
        unit, size = next((unit, size) for unit, size in (("ms", 10**6), ("µs", 1000), ("ns", 1)) if ns >= size)
        return f"{sign}{_decimal(ns, size)}{unit}"
    minutes, rest = divmod(ns, 60 * NS_PER_S)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{text}{_decimal(rest, NS_PER_S)}s"


def _decimal(value: int, size: int) -> str:
    whole, part = divmod(value, size)
    digits = str(part).rjust(len(str(size)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def write_duration(ns: int) -> str:
    """Write nanoseconds as people write a duration in a file: like `format_duration`, without trailing zero parts.

    Examples
    --------
    >>> write_duration(600_000_000_000), write_duration(3_600_000_000_000), write_duration(90_000_000_000), write_duration(0)
    ('10m', '1h', '1m30s', '0s')
    """
    text = format_duration(ns)
    for zero, unit in (("m0s", "m"), ("h0m", "h")):
        text = text.removesuffix(zero) + unit if text.endswith(zero) else text
    return text


def short_duration(ns: float) -> str:
    """Write a duration for people, rounded to two parts, or three with days: ``2d 1h 5m``, ``2m 30s``, ``450ms``.

    Examples
    --------
    >>> short_duration(3_899_000_000_000), short_duration(62_400_000_000), short_duration(0)
    ('1h 5m', '1m 2s', '0s')
    """
    if ns != ns:  # NaN: it did not happen
        return "never"
    ns = int(ns)
    if ns < 0:
        return f"-{short_duration(-ns)}"
    if ns < 10 * NS_PER_S:
        step = 10**6 if ns >= 10**6 else 1
        return format_duration((ns + step // 2) // step * step)
    step = NS_PER_S if ns < 3600 * NS_PER_S else 60 * NS_PER_S  # the last part that is written
    seconds = (ns + step // 2) // step * step // NS_PER_S
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    first = next((place for place, (amount, _) in enumerate(parts) if amount), 3)
    n_parts = 3 if days else 2
    return " ".join(f"{amount}{unit}" for amount, unit in parts[first : first + n_parts] if amount)
