"""Reads the factors of a table of worlds into columns that boxes can cut, and describes boxes in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.naming import format_factor
from simdeploy.statistics.boxes import Box, Column, Limits

if TYPE_CHECKING:
    import pandas as pd

_MOST_DIGITS = 17  # of a float


def read_columns(worlds: pd.DataFrame) -> list[Column]:
    """Return the factors of a table as columns that boxes can cut.

    Numbers are ordered; everything else, including numbers with missing values, is words.

    Examples
    --------
    >>> import pandas as pd
    >>> [(one.name, one.words) for one in read_columns(pd.DataFrame({"x": [0.5, 1.0], "auto": [True, False]}))]
    [('x', None), ('auto', ('false', 'true'))]
    """
    import pandas as pd

    columns = []
    for name in worlds.columns:
        values = worlds[name]
        kind = pd.api.types
        is_number = kind.is_numeric_dtype(values.dtype) and not kind.is_bool_dtype(values.dtype)
        if is_number and not values.isna().any():
            numbers = values.to_numpy(dtype=np.float64)
            columns.append(Column(str(name), numbers, is_whole=kind.is_integer_dtype(values.dtype)))
            continue
        words = [format_factor(str(name), value) for value in values]
        place_of = {word: place for place, word in enumerate(sorted(set(words)))}
        places = np.array([place_of[word] for word in words], dtype=np.float64)
        columns.append(Column(str(name), places, words=tuple(place_of)))
    return columns


def describe_boxes(boxes: Iterable[Box], columns: Sequence[Column], names: Mapping[str, str]) -> list[str]:
    """Describe boxes in words; `names` maps columns to names of factors."""
    # Boxes of a path differ from the one before in a single factor.
    known: dict[int, tuple[Limits, str]] = {}
    texts = []
    for box in boxes:
        for number, limits in box.limits.items():
            if number not in known or known[number][0] != limits:
                known[number] = limits, describe_limits(limits, columns[number], names)
        texts.append(" and ".join(known[number][1] for number in box.restricted) or "all worlds")
    return texts


def describe_limits(limits: Limits, column: Column, names: Mapping[str, str]) -> str:
    """Describe the limits of one factor in words, with enough digits to separate the values on either side.

    Examples
    --------
    >>> column = Column("scenario.fleet.nodes", np.arange(9.0), is_whole=True)
    >>> describe_limits(Limits(low=3.5), column, {"scenario.fleet.nodes": "nodes"})
    'nodes is at least 4'
    >>> describe_limits(Limits(low=0.2134, high=0.5), Column("x", np.linspace(0, 1, 15)), {"x": "x"})
    'x is from 0.2 to 0.5'
    """
    name = names[column.name]
    if limits.places is not None:
        words = column.words or ()
        return f"{name} is {' or '.join(words[place] for place in sorted(limits.places))}"
    low, high = write_ends(limits, column)
    if column.is_whole:
        least, most = (format_factor(column.name, int(value)) for value in (column.values.min(), column.values.max()))
        ends = {low or least, high or most}
        if len(ends) == 1:
            return f"{name} is {ends.pop()}"
        if low and high:
            return f"{name} is from {low} to {high}"
        return f"{name} is at least {low}" if low else f"{name} is at most {high}"
    if low and high:
        return f"{name} is from {low} to {high}"
    return f"{name} is above {low}" if low else f"{name} is below {high}"


def write_ends(limits: Limits, column: Column) -> tuple[str, str]:
    """Return both ends as text, with enough digits to separate the values on either side; empty without a limit.

    Ends of whole numbers are inside the box.
    """
    low, high = limits.low, limits.high
    if column.is_whole:
        low, high = (
            end if math.isinf(end) else math.ceil(end) if is_low else math.floor(end)
            for end, is_low in ((low, True), (high, False))
        )
    return _write_end(low, column), _write_end(high, column)


def _write_end(end: float, column: Column) -> str:
    """Write an end; fractions have the fewest digits that keep all values on their side of it."""
    if math.isinf(end):
        return ""
    if isinstance(end, int):
        return format_factor(column.name, end)
    values = column.values
    below, above = values[values < end].max(initial=-math.inf), values[values > end].min(initial=math.inf)
    rounded = (float(f"{end:.{digits}g}") for digits in range(1, _MOST_DIGITS))
    return format_factor(column.name, next((number for number in rounded if below < number < above), end))
