"""RFC 3339 times as Go's ``time.Time`` writes them, to the nanosecond."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from simdeploy.errors import SimulationError
from simdeploy.units import NS_PER_S

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WALL = _EPOCH.replace(tzinfo=None)  # naive, because isoformat would write the offset of an aware time
_WEEK_NS = 7 * 24 * 3600 * NS_PER_S
_FIRST_MONDAY_NS = 4 * 24 * 3600 * NS_PER_S  # 1970 began on a Thursday
_FORM = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?"
    r"(?:Z|(?P<sign>[+-])(?P<hours>[0-9]{2}):(?P<minutes>[0-9]{2}))"
)


def parse_time(
    text: str,  # Go's form: capital ``T`` and ``Z``, an offset with a colon, up to nine decimals
) -> int:
    """Read an RFC 3339 time as whole nanoseconds since 1970-01-01T00:00:00Z.

    Raises
    ------
    ValueError
        If the form is invalid, or the day or hour does not exist.

    Examples
    --------
    >>> parse_time("1970-01-01T01:00:00.5+01:00")
    500000000
    """
    wall_ns, offset_ns = _read(text)
    return wall_ns - offset_ns


@lru_cache(maxsize=256)  # thousands of policies start at the same time
def time_in_week(text: str) -> int:
    """Return the nanoseconds since Monday 00:00, local time, of an RFC 3339 time with its offset.

    Raises
    ------
    ValueError
        As for `parse_time`.

    Examples
    --------
    >>> time_in_week("2026-01-06T01:00:00+05:00") == 25 * 3600 * NS_PER_S  # a Tuesday
    True
    """
    return (_read(text)[0] - _FIRST_MONDAY_NS) % _WEEK_NS


def _read(text: str) -> tuple[int, int]:
    """Return the local time, nanoseconds since 1970-01-01T00:00:00, and how far it is ahead of UTC."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 time")
    try:
        wall = datetime.fromisoformat(match["date"] + "Z")
    except ValueError as error:
        raise ValueError(f"no such time: {error}") from None
    offset_s = 0
    if match["sign"]:
        hours, minutes = int(match["hours"]), int(match["minutes"])
        if hours > 23 or minutes > 59:
            raise ValueError("no such time: the offset must be at most 23:59")
        offset_s = (hours * 3600 + minutes * 60) * (1 if match["sign"] == "+" else -1)
    seconds = (wall - _EPOCH) // timedelta(seconds=1)
    return seconds * NS_PER_S + int((match["fraction"] or "0").ljust(9, "0")), offset_s * NS_PER_S


def format_time(epoch_ns: int) -> str:
    """Write nanoseconds since 1970-01-01T00:00:00Z as an RFC 3339 time in UTC.

    Trailing zeros of decimals are dropped, as in Go's ``RFC3339Nano``.

    Raises
    ------
    SimulationError
        If the year doesn't have four digits.

    Examples
    --------
    >>> format_time(1_500_000_000)
    '1970-01-01T00:00:01.5Z'
    """
    seconds, ns = divmod(epoch_ns, NS_PER_S)
    try:
        wall = _EPOCH_WALL + timedelta(seconds=seconds)
    except OverflowError:
        raise SimulationError("outside the years 1 to 9999 of RFC 3339") from None
    fraction = f".{ns:09d}".rstrip("0") if ns else ""
    # isoformat, not strftime: the latter drops leading zeros of early years on some systems.
    return wall.isoformat() + fraction + "Z"


def shift_time(text: str, by_ns: int) -> str:
    """Return an RFC 3339 time some nanoseconds later, with the same offset.

    Raises
    ------
    ValueError
        As for `parse_time`.
    SimulationError
        As for `format_time`.

    Examples
    --------
    >>> shift_time("2026-01-06T23:59:59+05:00", 2 * NS_PER_S)
    '2026-01-07T00:00:01+05:00'
    """
    wall_ns, _ = _read(text)
    offset = "Z" if text.endswith("Z") else text[-len("+00:00") :]
    return format_time(wall_ns + by_ns).removesuffix("Z") + offset
