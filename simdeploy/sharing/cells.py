"""Cells of tables as numbers, for sorting and for drawing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"
_UNIT = r"(?: (?P<unit>[^\s(\d][^\n(]*?))?"
_STARTS = re.compile(rf"~?(?P<number>{_NUMBER}){_UNIT}(?=$|\n| \(|\()")
_ESTIMATE = re.compile(
    rf"(?P<number>{_NUMBER}){_UNIT}(?: \(|\n)(?P<mark>~?)(?P<low>{_NUMBER}) to (?P<high>{_NUMBER})\)?(?=$|\n)"
)
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class Interval(NamedTuple):
    """An estimate between its bounds."""

    estimate: float
    low: float
    high: float
    is_trusted: bool


def list_numbers(cells: Sequence[str]) -> list[float | None] | None:
    """Return the numbers to sort a column by, None for cells without one; None if it is a column of words.

    Examples
    --------
    >>> list_numbers(["90 s (60 to 120)", "2.0 min (1.0 to 3.0)", "no value"])
    [90.0, 120.0, None]
    >>> list_numbers(["5 nodes of zone 2", "rolling"]), list_numbers(["1,200", "7"])
    (None, [1200.0, 7.0])
    """
    numbers = [_read_number(cell) for cell in cells]
    wordy = [cell for cell, number in zip(cells, numbers, strict=True) if number is None and cell not in _BLANK]
    return None if wordy or all(number is None for number in numbers) else numbers


_BLANK = ("", "-", "no value", "unknown", "unset", "none")


def list_intervals(cells: Sequence[str]) -> list[Interval | None] | None:
    """Return the intervals of a column, to draw on one scale; None if there are fewer than two, or their units differ.

    Examples
    --------
    >>> list_intervals(["5.1 % (4.0 to 7.0)", "9 % (~2 to 20)", "no value"])
    [Interval(estimate=5.1, low=4.0, high=7.0, is_trusted=True), Interval(estimate=9.0, low=2.0, high=20.0, is_trusted=False), None]
    >>> list_intervals(["5.1 % (4.0 to 7.0)", "90 s (60 to 120)"])
    """
    matches = [_ESTIMATE.match(cell) for cell in cells]
    units = {match["unit"] for match in matches if match}
    if len(units) != 1 or sum(match is not None for match in matches) < 2:
        return None
    return [
        match
        and Interval(_to_float(match["number"]), _to_float(match["low"]), _to_float(match["high"]), not match["mark"])
        for match in matches
    ]


def _read_number(cell: str) -> float | None:
    match = _STARTS.match(cell)
    if match is None:
        return None
    return _to_float(match["number"]) * _SECONDS.get(match["unit"] or "", 1.0)


def _to_float(text: str) -> float:
    return float(text.replace(",", ""))
