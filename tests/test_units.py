"""Exact numbers of input: Go durations both ways, decimals as rationals, rounding."""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st

from simdeploy.units import (
    MAX_DURATION_NS,
    NS_PER_S,
    exact,
    format_duration,
    parse_duration,
    round_half_up,
    short_duration,
)

S, M, H = NS_PER_S, 60 * NS_PER_S, 3600 * NS_PER_S
INT64 = 1 << 63

# The cases of Go's own test of time.ParseDuration (src/time/time_test.go, parseDurationTests).
GO_PARSES = [
    ("0", 0),
    ("5s", 5 * S),
    ("30s", 30 * S),
    ("1478s", 1478 * S),
    ("-5s", -5 * S),
    ("+5s", 5 * S),
    ("-0", 0),
    ("+0", 0),
    ("5.0s", 5 * S),
    ("5.6s", 5_600_000_000),
    ("5.s", 5 * S),
    (".5s", 500_000_000),
    ("1.0s", S),
    ("1.00s", S),
    ("1.004s", 1_004_000_000),
    ("1.0040s", 1_004_000_000),
    ("100.00100s", 100_001_000_000),
    ("10ns", 10),
    ("11us", 11_000),
    ("12µs", 12_000),
    ("12\N{GREEK SMALL LETTER MU}s", 12_000),
    ("13ms", 13_000_000),
    ("14s", 14 * S),
    ("15m", 15 * M),
    ("16h", 16 * H),
    ("3h30m", 3 * H + 30 * M),
    ("10.5s4m", 4 * M + 10_500_000_000),
    ("-2m3.4s", -(2 * M + 3_400_000_000)),
    ("1h2m3s4ms5us6ns", H + 2 * M + 3 * S + 4_005_006),
    ("39h9m14.425s", 39 * H + 9 * M + 14_425_000_000),
    ("52763797000ns", 52_763_797_000),
    ("0.3333333333333333333h", 20 * M),
    ("9007199254740993ns", (1 << 53) + 1),
    ("9223372036854775807ns", INT64 - 1),
    ("9223372036854775.807us", INT64 - 1),
    ("9223372036s854ms775us807ns", INT64 - 1),
    ("-9223372036854775808ns", -INT64),
    ("-9223372036854775.808us", -INT64),
    ("-9223372036s854ms775us808ns", -INT64),
    ("-2562047h47m16.854775808s", -INT64),
    ("0.100000000000000000000h", 6 * M),
    ("0.830103483285477580700h", 49 * M + 48_372_539_827),
]

# Go's parseDurationErrorTests, and traps of Python: other digits, blanks, underscores, exponents.
NOT_DURATIONS = """
,3,-,s,.,-.,.s,+.s,1d,5x,-5x,string,9223372036854775808ns,9223372036854775.808us,9223372036854ms775us808ns,3000000h,
-9223372036854775809ns,1e3s,1_000s,0x10s,inf,nan,1h 30m, 5s,5s ,5S,1:30,--5s,+-5s,1.5,1..5s,1.5.5s,０s,1０s,１s,²s,5sec,5
""".replace("\n", "").split(",")


@pytest.mark.parametrize(("text", "ns"), GO_PARSES)
def test_duration_reads_as_go_reads_it(text: str, ns: int) -> None:
    """Every duration in Go's own tests has Go's value. [oracle]"""
    assert parse_duration(text) == ns


@pytest.mark.parametrize("text", [*NOT_DURATIONS, "5s\n", "5\0s", "9" * 101 + "s", "1h" * 60, "\x85\x85", "\ud800s"])
def test_invalid_durations_are_value_errors(text: str) -> None:
    """What Go refuses, or only Python accepts as a number, is refused. [contract]"""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


# The cases of Go's test of Duration.String (durationTests).
GO_WRITES = [
    ("0s", 0),
    ("1ns", 1),
    ("1.1µs", 1_100),
    ("2.2ms", 2_200_000),
    ("3.3s", 3_300_000_000),
    ("4m5s", 4 * M + 5 * S),
    ("4m5.001s", 4 * M + 5_001_000_000),
    ("5h6m7.001s", 5 * H + 6 * M + 7_001_000_000),
    ("8m0.000000001s", 8 * M + 1),
    ("2562047h47m16.854775807s", INT64 - 1),
    ("-2562047h47m16.854775808s", -INT64),
    ("1h30m0s", H + 30 * M),
    ("-1.5s", -1_500_000_000),
]


@pytest.mark.parametrize(("text", "ns"), GO_WRITES)
def test_duration_is_written_as_go_writes_it(text: str, ns: int) -> None:
    """Every duration in Go's own tests has Go's text. [oracle]"""
    assert format_duration(ns) == text


@given(st.integers(-INT64, INT64 - 1))
def test_duration_survives_writing_and_reading(ns: int) -> None:
    """Any 64-bit number of nanoseconds reads back unchanged. [property]"""
    assert parse_duration(format_duration(ns)) == ns


UNITS = {"ns": 1, "us": 1000, "ms": 10**6, "s": S, "m": M, "h": H}


@given(st.integers(0, 10**6), st.integers(0, 10**9 - 1), st.integers(1, 9), st.sampled_from(sorted(UNITS)))
def test_decimal_durations_are_exact_and_truncated(whole: int, part: int, digits: int, unit: str) -> None:
    """With up to nine decimals of any unit the result is the exact product, truncated to a nanosecond. [oracle]"""
    text = f"{whole}.{part:09d}"[: len(str(whole)) + 1 + digits]
    truth = (Decimal(text) * UNITS[unit]).to_integral_value(ROUND_FLOOR)
    # One digit below the nanosecond Go's float may already be on the other side of a whole number.
    assert parse_duration(text + unit) - truth in ({0} if digits <= len(str(UNITS[unit])) - 1 else {0, -1})


@pytest.mark.parametrize("number", [0.1, 1e-9, 5e-324, 1.7976931348623157e308, 0.3, 100.0])
def test_exact_reads_the_shortest_literal(number: float) -> None:
    """A float is the rational of the literal that a person would write for it. [oracle]"""
    assert exact(number) == Fraction(Decimal(str(number)))


def test_exact_reads_numpy_numbers() -> None:
    """Numbers of numpy give the same rationals, despite other texts and sizes. [contract]"""
    assert exact(np.float64(0.1)) == Fraction(1, 10)
    assert exact(np.int64(1 << 62)) * 8 == 1 << 65  # type: ignore[arg-type]  # an index, which the types don't say


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_exact_refuses_what_is_not_finite(number: float) -> None:
    """NaN and infinities are no rationals. [contract]"""
    with pytest.raises(ValueError, match="finite"):
        exact(number)


@given(st.decimals(-(10**6), 10**6, places=3))
def test_rounding_is_half_up(number: Decimal) -> None:
    """Rounding goes to the nearest whole number, halves towards plus infinity. [oracle]"""
    # decimal's half "up" is away from zero; above zero that is the same.
    shifted = (number + 2 * 10**6).to_integral_value(ROUND_HALF_UP) - 2 * 10**6
    assert round_half_up(Fraction(number)) == shifted


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (450_000, "450µs"),
        (1_500_400, "2ms"),
        (9_999_600_000, "10s"),
        (59_700_000_000, "1m"),
        (3_599_600_000_000, "1h"),
        (86_400_000_000_000, "1d"),
        (7_169_900_000_000, "1h 59m"),
        (7_199_000_000_000, "2h"),
        (90_089_999_000_000, "1d 1h 1m"),
        (90_090_000_000_000, "1d 1h 2m"),
        (-62_400_000_000, "-1m 2s"),
        (62_400_000_000.0, "1m 2s"),
        (math.nan, "never"),
    ],
)
def test_durations_for_people(ns: float, text: str) -> None:
    """Durations are rounded to two parts, three for days, carried over, with the sign in front; NaN never happened. [contract]"""
    assert short_duration(ns) == text


def test_the_longest_duration_can_be_added_up() -> None:
    """Two of the longest durations still fit into 64 bits. [contract]"""
    assert 2 * MAX_DURATION_NS < INT64
