"""Kinds of values in the API, with their checks and messages."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from simdeploy.api.times import parse_time
from simdeploy.errors import NAME_FORM, UNPRINTABLE, is_printable
from simdeploy.units import (
    MAX_DURATION_NS,
    NS_PER_S,
    exact,
    format_duration,
    parse_duration,
    round_half_up,
    suggest_duration,
)

MAX_COUNT = 10_000_000
MAX_VERSION = (1 << 63) - 1

# With shorter windows, a deadline of minutes would have billions of them.
MIN_INTERVAL_NS = 1_000_000

PROSE_FORM = "text without control characters"

PLACEHOLDER = "string"
PLACEHOLDER_MESSAGE = "the API documentation's placeholder, not a value"


class Refused(ValueError):  # noqa: N818 (what happened to the value)
    """An invalid value; `hint` or `meant` suggest another, as in a `Problem`."""

    def __init__(self, message: str, hint: str | None = None, meant: tuple[str, tuple[str, ...]] | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.meant = meant


@dataclass(frozen=True, eq=False)  # compared and hashed by identity: a schema is a dict
class Kind:
    """A kind of value, as pydantic metadata: a check and its JSON Schema."""

    allowed: str  # what is accepted, in words
    read: Callable[[Any], Any]  # returns the value, or raises `Refused`
    schema: Mapping[str, Any]  # JSON Schema

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(self.schema)

    def _validate(self, value: object) -> object:
        try:
            return self.read(value)
        except Refused as refused:
            context = {"message": str(refused), "allowed": self.allowed, "hint": refused.hint, "meant": refused.meant}
            raise PydanticCustomError("refused", "{message}; allowed: {allowed}", context) from None


def _whole(value: object) -> int:
    if isinstance(value, bool):
        raise Refused("not a whole number")
    try:
        return operator.index(value)  # type: ignore[arg-type]  # raises unless it is an integer
    except TypeError:
        hint = f"write {value:.0f}" if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else None
        raise Refused("not a whole number", hint) from None


def _number(value: object) -> int | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Refused("not a finite number")
        return float(value)
    try:
        return _whole(value)
    except Refused:
        raise Refused("not a number") from None


def _in_range(number: float, low: int, high: int) -> None:
    if number < low:
        raise Refused("negative" if low == 0 else "too small")
    if number > high:
        raise Refused("too large")


def _percent_hint(value: object, high: int) -> str | None:
    """Say how to write a percentage such as "5%" if 100 % are `high`, the largest valid number."""
    if isinstance(value, str) and len(value) < 9 and re.fullmatch(r"[0-9]+(\.[0-9]+)? ?%", value):
        number = float(value.rstrip("% ")) * high / 100
        return f"write {number:g}" if number <= high else None
    return None


def _whole_kind(low: int, high: int, allowed: str, *, is_percent: bool = False) -> Kind:
    def read(value: object) -> int:
        if is_percent and (hint := _percent_hint(value, high)) and "." not in str(value):
            raise Refused("not a whole number", hint)
        if isinstance(value, float):
            _in_range(value, low, high)  # so that no hint writes a number out of range
        number = _whole(value)
        _in_range(number, low, high)
        return number

    return Kind(allowed, read, {"type": "integer", "minimum": low, "maximum": high})


def _number_kind(high: int, allowed: str, *, is_share: bool) -> Kind:
    def read(value: object) -> int | float:
        if is_share and (hint := _percent_hint(value, high)):
            raise Refused("not a number", hint)
        number = _number(value)
        if number > high:
            percent = number if number <= 100 else 10
            raise Refused("too large", f"write {high * percent / 100:g} for {percent:g} %" if is_share else None)
        _in_range(number, 0, high)
        return number

    return Kind(allowed, read, {"type": "number", "minimum": 0, "maximum": high})


def choice(*values: str) -> Kind:
    """Return the kind of values in a closed list."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in values:
            return str(value)
        raise Refused("unknown value", meant=(value, values) if isinstance(value, str) else None)

    return Kind(", ".join(values), read, {"type": "string", "enum": list(values)})


AMOUNT_PATTERN = r"^(100(\.0+)?|[0-9]{1,2}(\.[0-9]{1,9})?)%$"
_AMOUNT = re.compile(AMOUNT_PATTERN)
_NO_PERCENT = r"0{1,2}(\.0+)?%"


def _amount_kind(low: int) -> Kind:
    """Return the kind of values that are a number of nodes, or text with a percentage of them; 0% only if `low` is 0."""
    pattern = f"^(?!{_NO_PERCENT}$){AMOUNT_PATTERN[1:]}" if low else AMOUNT_PATTERN

    def read(value: object) -> int | str:
        if isinstance(value, str):
            if _AMOUNT.match(value) is None:
                hint = f"write {value} without quotes" if value.isdecimal() and len(value) < 9 else None
                raise Refused("neither a number of nodes nor a percentage from 0% to 100%", hint)
            if low and re.fullmatch(_NO_PERCENT, value):
                raise Refused("too small")
            return str(value)
        number = _whole(value)
        _in_range(number, low, MAX_COUNT)
        return number

    schema = {
        "anyOf": [
            {"type": "integer", "minimum": low, "maximum": MAX_COUNT},
            {"type": "string", "pattern": pattern, "examples": ["10%"]},
        ]
    }
    return Kind(f'a number of nodes from {low} to 10,000,000, or a percentage such as "10%"', read, schema)


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise Refused("not a boolean")


def read_prose(value: object) -> str:
    """Read text, possibly of several lines, or raise `Refused`."""
    if not isinstance(value, str):
        raise Refused("not text", "put it in quotes" if isinstance(value, int | float) else None)
    if not is_unicode(value):
        raise Refused("unpaired Unicode surrogate")
    if not is_printable(value.replace("\n", "").replace("\t", "")):
        raise Refused(UNPRINTABLE)
    return str(value)


def read_name(value: object) -> str:
    """Read text of one line, or raise `Refused`."""
    text = read_prose(value)
    if not is_printable(text):
        raise Refused(UNPRINTABLE)
    return text


def is_unicode(text: str) -> bool:
    """Whether text can be encoded as UTF-8: Python strings may hold unpaired surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _time(value: object) -> str:
    text = read_name(value)
    if text == PLACEHOLDER:
        raise Refused(PLACEHOLDER_MESSAGE)
    if text:
        try:
            parse_time(text)
        except ValueError as error:
            raise Refused(str(error)) from None
    return text


def _go_ns(text: str) -> int:
    if text == PLACEHOLDER:
        raise Refused(PLACEHOLDER_MESSAGE)
    try:
        return duration_in_range(parse_duration(text))
    except Refused:
        raise
    except ValueError as error:
        # The examples in the message would repeat those in `allowed`.
        raise Refused(str(error).partition(" such as ")[0], suggest_duration(text)) from None


def duration_in_range(ns: int, low: int = 0) -> int:
    """Return nanoseconds if they are a valid duration of at least `low`, or raise `Refused`."""
    if ns < 0:
        raise Refused("negative duration")
    if ns < low:
        raise Refused("duration too short")
    if ns > MAX_DURATION_NS:
        raise Refused("longer than 100 years")
    return ns


def _go_duration(value: object) -> str:
    """Return a Go duration as it was read; a bare number is seconds, written as a Go duration."""
    if isinstance(value, str):
        if value:
            _go_ns(value)
        return str(value)
    try:
        seconds = exact(_number(value))
    except Refused:
        raise Refused("not a duration") from None
    return format_duration(duration_in_range(round_half_up(seconds * NS_PER_S)))


def _go_interval(value: object) -> str:
    text = _go_duration(value)
    if text:
        duration_in_range(parse_duration(text), MIN_INTERVAL_NS)
    return text


def _ns_duration_kind(low: int, allowed: str) -> Kind:
    def read(value: object) -> int | Literal[""]:
        if value == "":
            return ""
        try:
            ns = _go_ns(value) if isinstance(value, str) else _whole(value)
        except Refused as refused:
            if isinstance(value, str):
                raise
            raise Refused("not whole nanoseconds", refused.hint) from None
        return duration_in_range(ns, low)

    return Kind(allowed, read, {"type": ["integer", "string"], "minimum": low, "maximum": MAX_DURATION_NS})


Count = Annotated[int, _whole_kind(0, MAX_COUNT, "a whole number from 0 to 10,000,000")]
Percent = Annotated[int, _whole_kind(0, 100, "a whole number from 0 to 100", is_percent=True)]
Threshold = Annotated[int, _whole_kind(1, MAX_COUNT, "a whole number of windows from 1 to 10,000,000")]
Version = Annotated[int, _whole_kind(0, MAX_VERSION, "a whole number from 0 to 9223372036854775807")]
Amount = Annotated[int | str, _amount_kind(0)]
WaveAmount = Annotated[int | str, _amount_kind(1)]
PercentNumber = Annotated[int | float, _number_kind(100, "a percentage from 0 to 100", is_share=True)]
FractionNumber = Annotated[int | float, _number_kind(1, "a fraction from 0 to 1", is_share=True)]
PositiveNumber = Annotated[int | float, _number_kind(MAX_COUNT, "a number from 0 to 10,000,000", is_share=False)]
Flag = Annotated[bool, Kind("true or false", _truth, {"type": "boolean"})]
Name = Annotated[str, Kind(NAME_FORM, read_name, {"type": "string"})]
Prose = Annotated[str, Kind(PROSE_FORM, read_prose, {"type": "string"})]
Time = Annotated[
    str, Kind('a time such as "2026-01-01T00:00:00Z"', _time, {"type": "string", "examples": ["2026-01-01T00:00:00Z"]})
]
GoDuration = Annotated[
    str,
    Kind(
        'a duration such as "5m", "1h30m" or "500ms", from 0 to 100 years',
        _go_duration,
        {"type": ["string", "number"], "minimum": 0, "examples": ["5m", "30s"]},
    ),
]
GoInterval = Annotated[
    str,
    Kind(
        'a duration such as "10s", from 1ms to 100 years',
        _go_interval,
        {"type": ["string", "number"], "minimum": 0.001, "examples": ["10s", "1m"]},
    ),
]
NsDuration = Annotated[
    int | Literal[""], _ns_duration_kind(0, "whole nanoseconds (300000000000 is 5m), from 0 to 100 years")
]
NsInterval = Annotated[
    int | Literal[""],
    _ns_duration_kind(MIN_INTERVAL_NS, "whole nanoseconds (10000000000 is 10s), from 1000000 (1ms) to 100 years"),
]
