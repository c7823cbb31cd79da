"""Scalars of a scenario file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Annotated, Any

from simdeploy.api import parse_time
from simdeploy.api.values import (
    MAX_VERSION,
    MIN_INTERVAL_NS,
    PROSE_FORM,
    Kind,
    Refused,
    duration_in_range,
    read_name,
    read_prose,
)
from simdeploy.errors import NAME_FORM, InputError, Path, Problem, collect, raise_if_any, shorten
from simdeploy.units import (
    MAX_HINTED,
    NS_PER_S,
    TYPOGRAPHIC_QUOTES,
    exact,
    parse_duration,
    round_half_up,
    suggest_duration,
    write_duration,
)

MAX_NODES = 10_000_000
MAX_NUMBER = 10**15
# Squares and ratios of smaller parameters vanish.
MIN_NUMBER = 1e-100

_GROUPED = re.compile(r"[-+]?\d+(?:[_, ]\d+)+(?:\.\d+)?")
_NUMERIC = re.compile(r"[-+]?\d+(?:\.\d+)?")

# The unit follows every amount, also in short answers.
_LONGEST_UNIT = 12

# The end of a long rollout must be a valid time, too.
_YEARS = (1970, 2999)


def read_value(kind: Kind, value: object) -> Any:
    """Read one value, or raise an `InputError` without a path."""
    try:
        return kind.read(value)
    except Refused as refused:
        found, hint, meant = shorten(value), refused.hint, refused.meant
        raise InputError(Problem(str(refused), found=found, allowed=kind.allowed, hint=hint, meant=meant)) from None


def read_list(kind: Kind, raw: object) -> tuple[Any, ...]:
    """Read a list with at least one value, or raise an `InputError` with relative paths."""
    if not isinstance(raw, list) or not raw:
        raise InputError(Problem("not a list", found=shorten(raw), allowed="a non-empty list", hint=write_list(raw)))
    values: list[Any] = []
    problems: list[Problem] = []
    for position, item in enumerate(raw):
        with collect(problems, prefix=(position,)):
            values.append(read_value(kind, item))
    raise_if_any(problems)
    return tuple(values)


def write_list(raw: object) -> str | None:
    """Suggest a list instead of a single whole number."""
    return f"write [{shorten(raw)}]" if isinstance(raw, int) and not isinstance(raw, bool) else None


def _numeric_hint(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > MAX_HINTED:
        return None
    if _GROUPED.fullmatch(value):
        return f"write {re.sub('[_, ]', '', value)}"
    if _NUMERIC.fullmatch(value.strip(TYPOGRAPHIC_QUOTES)):
        return "remove the quotes"
    if value.endswith("%") and _NUMERIC.fullmatch(value[:-1].strip()):
        return f"write {float(value[:-1]) / 100:g}"
    return None


def whole(low: int, high: int) -> Kind:
    """Return the kind of whole numbers from `low` to `high`."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            is_whole = isinstance(value, float) and value.is_integer() and low <= value <= high
            hint = f"write {value:.0f}" if is_whole else _numeric_hint(value)
            raise Refused("not a whole number", hint)
        _check_range(value, low, high)
        return value

    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Kind(f"a whole number from {low} to {high}", read, schema)


def number(
    become: Callable[[int | float], float | Fraction], low: int = 0, high: int = MAX_NUMBER, *, above_low: bool = False
) -> Kind:
    """Return the kind of numbers from `low` (or above it) to `high`; `become` converts the value."""

    def read(value: object) -> float | Fraction:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Refused("not a number", _numeric_hint(value))
        if not -math.inf < value < math.inf:
            raise Refused("not a finite number")
        if 0 < abs(value) < MIN_NUMBER:
            raise Refused("too close to 0")
        if above_low and value == low:
            raise Refused("too small")
        _check_range(value, low, high)
        return become(value)

    top = f"{high:g}" if high >= MAX_NUMBER else str(high)
    words = f"a number above {low}, up to {top}" if above_low else f"a number from {low} to {top}"
    bound = "exclusiveMinimum" if above_low else "minimum"
    return Kind(words, read, {"type": "number", bound: low, "maximum": high})


def _check_range(value: float, low: int, high: int) -> None:
    if value < low:
        raise Refused("negative" if value < 0 and low >= 0 else "too small")
    if value > high:
        hint = f"write {value / 100:g} for {value:g} %" if high == 1 and value <= 100 else None
        raise Refused("too large", hint)


_AMOUNT = number(float, -MAX_NUMBER)


def duration_ns(value: object, low_ns: int = 0) -> int:
    """Read a duration in Go's form or in seconds; return whole nanoseconds."""
    if isinstance(value, str):
        try:
            ns = parse_duration(value)
        except ValueError as error:
            raise Refused(str(error), _duration_hint(value)) from None
    else:
        try:
            _AMOUNT.read(value)
        except Refused as refused:
            raise Refused(str(refused).replace("not a number", "not a duration")) from None
        ns = round_half_up(exact(value) * NS_PER_S)
    return duration_in_range(ns, low_ns)


def hour_suspicions(value: object, path: Path) -> Iterator[Problem]:
    """Warn about a bare number that was probably meant as an hour of the day."""
    if isinstance(value, int | float) and 0 < value <= 24:
        message = f"a number is seconds; for the hour write {value:g}h"
        yield Problem(message, path, found=write_duration(duration_ns(value)))


def _duration_hint(text: str) -> str | None:
    if _NUMERIC.fullmatch(text) and len(text) <= MAX_HINTED:
        return f'write "{text}s" or remove the quotes'
    return suggest_duration(text)


def _name(value: object) -> str:
    text = read_name(value)
    if not text.strip():
        raise Refused("empty")
    return text


def _unit(value: object) -> str:
    text = _name(value) if value != "" else ""
    if len(text) > _LONGEST_UNIT:
        raise Refused("too long")
    return text


def _time(value: object) -> str:
    text = _name(value)
    try:
        parse_time(text)
    except ValueError as error:
        raise Refused(str(error)) from None
    if not _YEARS[0] <= int(text[:4]) <= _YEARS[1]:
        raise Refused("year out of range")
    return text


def _format(value: object) -> int:
    if value != 1 or isinstance(value, bool) or not isinstance(value, int):
        raise Refused("unsupported format version")
    return 1


_DURATION_WORDS = 'a duration such as "1h30m" or "45s", or seconds, up to 100 years'

# Marks a shared definition until the JSON Schema is assembled; pydantic knows only its own.
SHARED = "x-shared"
DURATION_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^\+?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$"},
        {"type": "number", "minimum": 0},
    ]
}

SECONDS = Kind(_DURATION_WORDS, lambda value: duration_ns(value) / NS_PER_S, {SHARED: "Duration"})
PROBABILITY = number(float, 0, 1)
POSITIVE = number(float, above_low=True)
NOT_NEGATIVE = number(float)

Nodes = Annotated[int, whole(1, MAX_NODES)]
Zones = Annotated[int, whole(1, MAX_NODES)]
Sample = Annotated[int, whole(0, MAX_NODES)]
Attempts = Annotated[int, whole(1, 1000)]
Version = Annotated[int, whole(0, MAX_VERSION)]
Format = Annotated[int, Kind("1", _format, {"const": 1})]
Probability = Annotated[float, PROBABILITY]
ExactProbability = Annotated[Fraction, number(exact, 0, 1)]
ExactNumber = Annotated[Fraction, number(exact)]
ExactPositive = Annotated[Fraction, number(exact, 0, 10**9, above_low=True)]
Factor = Annotated[float, number(float, 0, 10**9)]
Amount = Annotated[float, NOT_NEGATIVE]
DurationNs = Annotated[int, Kind(_DURATION_WORDS, duration_ns, {SHARED: "Duration"})]
IntervalNs = Annotated[
    int,
    Kind(f"{_DURATION_WORDS}, at least 1ms", lambda value: duration_ns(value, MIN_INTERVAL_NS), {SHARED: "Duration"}),
]
Name = Annotated[str, Kind(NAME_FORM, _name, {"type": "string", "minLength": 1})]
Unit = Annotated[
    str,
    Kind(
        f"{NAME_FORM}, at most {_LONGEST_UNIT} characters",
        _unit,
        {"type": "string", "maxLength": _LONGEST_UNIT, "examples": ["EUR", "points"]},
    ),
]
Prose = Annotated[str, Kind(PROSE_FORM, read_prose, {"type": "string"})]
Instant = Annotated[
    str,
    Kind(
        f'a time in RFC 3339 such as "2026-01-01T00:00:00Z", years {_YEARS[0]} to {_YEARS[1]}',
        _time,
        {"type": "string", "examples": ["2026-01-01T00:00:00Z"]},
    ),
]
