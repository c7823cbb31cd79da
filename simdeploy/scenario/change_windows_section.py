"""The key ``operator.change_windows``: hours of the week in which nodes may be dispatched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, create_model

from simdeploy.api.values import Kind, Refused
from simdeploy.errors import InputError, Problem, raise_if_any, shorten
from simdeploy.scenario.section import ReadBy, Section, optional, validation_error
from simdeploy.scenario.values import SHARED, duration_ns, hour_suspicions, read_list
from simdeploy.world.change_windows import DAY_NS, DAYS, ChangeWindow, is_always_open

_WHERE = ("operator", "change_windows")
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)")
_FULL_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _read_day(value: object) -> int:
    if isinstance(value, str) and value in DAYS:
        return DAYS.index(value)
    if not isinstance(value, str):
        raise Refused("not a day of the week")
    short = value.lower()[:3]
    hint = f"write {short}" if short in DAYS and _FULL_NAMES[DAYS.index(short)].startswith(value.lower()) else None
    raise Refused("unknown day", hint, None if hint else (value, DAYS))


_DAY = Kind(", ".join(DAYS), _read_day, {"type": "string", "enum": list(DAYS)})


def _read_days(raw: object) -> tuple[int, ...]:
    if isinstance(raw, list) and not raw:
        raise InputError(Problem("no day: the window never opens", found="[]", allowed="at least one day"))
    if isinstance(raw, str):
        hint = f"write [{raw}]" if raw in DAYS else None
        raise InputError(Problem("not a list", found=shorten(raw), allowed="a list of days", hint=hint))
    days: tuple[int, ...] = read_list(_DAY, raw)
    repeated = [place for place, day in enumerate(days) if day in days[:place]]
    raise_if_any([Problem("duplicate day", (place,), found=DAYS[days[place]]) for place in repeated])
    return tuple(sorted(days))


_DAY_LIST = ReadBy(_read_days, {"type": "array", "items": dict(_DAY.schema), "minItems": 1, "uniqueItems": True})


def _time_of_day(*, is_end: bool) -> Kind:
    """Return the kind of a window's start or end, a time since midnight."""
    allowed = 'above 0h, up to "24h"' if is_end else 'from "0h" to below "24h"'

    def read(value: object) -> int:
        try:
            ns = duration_ns(value)
        except Refused as refused:
            clock = _CLOCK.fullmatch(value) if isinstance(value, str) else None
            hint = f"write {int(clock[1])}h{int(clock[2])}m" if clock else refused.hint
            raise Refused(str(refused), hint) from None
        if ns > DAY_NS or (ns == DAY_NS and not is_end):
            raise Refused("beyond the day")
        if ns == 0 and is_end:
            raise Refused("not a time at which a window can end", "write 24h for midnight")
        return ns

    return Kind(f'a time since midnight such as "9h30m", {allowed}', read, {SHARED: "Duration"})


_From = Annotated[int, _time_of_day(is_end=False)]
_To = Annotated[int, _time_of_day(is_end=True)]

if TYPE_CHECKING:

    class ChangeWindowSection(Section):
        """Hours in which nodes may be dispatched."""

        days: tuple[int, ...] | None
        to: int

else:
    # A field named `from` can't be written as Python.
    ChangeWindowSection = create_model(
        "ChangeWindowSection",
        __base__=Section,
        __doc__="Hours in which nodes may be dispatched.",
        days=(Annotated[tuple, _DAY_LIST] | None, optional(None, "Days on which it opens; default: all.")),
        **{"from": (_From, Field(description="When it opens, since midnight."))},
        to=(_To, Field(description="When it closes, since midnight; the next day if that is not after `from`.")),
    )


def _not_empty(raw: object) -> object:
    if isinstance(raw, list) and not raw:
        message, hint = (
            "no window ever opens, so nothing can be dispatched",
            "leave out the key to dispatch at any time",
        )
        raise validation_error([Problem(message, found="[]", allowed="at least one window", hint=hint)])
    return raw


ChangeWindows = Annotated[list[ChangeWindowSection], BeforeValidator(_not_empty), Field(min_length=1)]


def build_change_windows(sections: Sequence[ChangeWindowSection] | None) -> tuple[ChangeWindow, ...]:
    """Build the windows from checked sections."""
    every_day = tuple(range(len(DAYS)))
    return tuple(
        ChangeWindow(section.days or every_day, getattr(section, "from"), section.to) for section in sections or ()
    )


def change_window_suspicions(raw: Mapping[str, Any], windows: Sequence[ChangeWindow]) -> Iterator[Problem]:
    """Warn about windows without effect, and about bare numbers, which are seconds but probably meant as hours."""
    if not windows:
        return
    if is_always_open(windows):
        yield Problem("no effect: some window is open at any time", _WHERE)
    for number, stated in enumerate(raw["operator"]["change_windows"]):
        for key in ("from", "to"):
            yield from hour_suspicions(stated[key], (*_WHERE, number, key))
