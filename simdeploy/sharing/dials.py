"""A grid of simulated cases behind sliders."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure, format_factor, shorten_names
from simdeploy.analysis.estimates.grid import GridSummary
from simdeploy.report.formatting import Scale, find_cost_unit, interval_names, scale_of, trust_name, write_estimate
from simdeploy.report.grid import SHOWN, find_measure, quantity_scale, unknown_fractions

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.estimates.estimating import Estimates
    from simdeploy.scenario.written_specs import Specs

_N_SLIDERS = 2  # further keys are chosen from lists
_MOST_CELLS = 10_000
_MOST_QUANTITIES = 6
_NAMED = ("scenario", "policy")
_OF_CELL = ["estimate", "low", "high", "is_trusted"]


@dataclass(frozen=True)
class Dial:
    """A key that is varied."""

    key: str
    name: str  # the shortest end of the key that no other dial has
    raw: tuple[Any, ...]
    values: tuple[str, ...]  # `raw` as text
    start: int  # place of the value that the page shows first
    is_slider: bool


@dataclass(frozen=True)
class Cell:
    """An estimate as text, and as numbers in the unit of its quantity."""

    text: str
    estimate: float
    low: float
    high: float
    is_trusted: bool


@dataclass(frozen=True)
class Quantity:
    """A quantity with its estimates for all cases."""

    title: str
    unit: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Dials:
    """A grid of cases, with the last dial changing fastest, and the specs of the `policy` in all cases, if known."""

    dials: tuple[Dial, ...]
    quantities: tuple[Quantity, ...]
    policy: str = ""
    specs: tuple[Specs, ...] = ()

    def positions(self) -> Iterator[tuple[int, ...]]:
        """Yield the position of every case: an index into the values of each dial."""
        return product(*(range(len(dial.values)) for dial in self.dials))


def make_dials(result: GridSummary | Estimates, *, current: Mapping[str, Any] | None = None) -> Dials | None:
    """Return the cases of a sweep as a grid; None if nothing was varied, or not every combination was tried.

    The page shows the values `current` first, by key, None for an unset one. Keys with numbers come first; two get sliders.

    Examples
    --------
    >>> import pandas as pd
    >>> from simdeploy.analysis import summarize_grid
    >>> table = pd.DataFrame({
    ...     "case": [0, 0, 1, 1], "scenario": "small", "policy": "waves", "max_failed_nodes": [0, 0, 5, 5],
    ...     "replication": [0, 1, 0, 1], "verdict": ["false_alarm", "completed_good", "completed_good", "completed_good"],
    ... })
    >>> dials = make_dials(summarize_grid(table), current={"max_failed_nodes": 5})
    >>> dials.dials
    (Dial(key='max_failed_nodes', name='max_failed_nodes', raw=(0, 5), values=('0', '5'), start=1, is_slider=True),)
    >>> [cell.text for cell in dials.quantities[0].cells]
    ['50 % (1 to 99)', '0 % (0 to 84)']
    """
    cases = result.cells if isinstance(result, GridSummary) else _select(result, str(result.measures[0]))
    names: Sequence[str] = [*_NAMED, *result.factors] if isinstance(result, GridSummary) else result.case_columns
    keys = [name for name in names if name != "case" and cases[name].nunique(dropna=False) > 1]
    keys.sort(key=lambda key: (not _is_number(cases.loc[:, key]), key.startswith("scenario.")))
    values = [_list_values(cases[key]) for key in keys]
    n_cells = math.prod(map(len, values))
    if not keys or n_cells != len(cases) or n_cells > _MOST_CELLS:
        return None
    if cases.duplicated(keys).any():
        return None
    n_sliders = min(_N_SLIDERS, sum(_is_number(cases[key]) for key in keys))
    dials = tuple(
        Dial(
            key,
            name,
            tuple(of_key),
            tuple(format_factor(key, value) for value in of_key),
            _find_start(of_key, current[key]) if current and key in current else 0,
            number < n_sliders,
        )
        for number, (key, name, of_key) in enumerate(zip(keys, shorten_names(keys), values, strict=True))
    )
    quantities = tuple(
        Quantity(title, scale.unit, tuple(_make_cell(row, scale) for row in _sort(frame, keys, values)))
        for title, scale, frame in _list_quantities(result)
    )
    return Dials(dials, quantities[:_MOST_QUANTITIES]) if quantities else None


def _find_start(values: Sequence[Any], current: Any) -> int:
    """Return the place of a value, where None means the missing one; 0 if it isn't there."""
    return next((at for at, each in enumerate(values) if each == current or (current is None and each != each)), 0)


def _is_number(values: pd.Series[Any]) -> bool:
    from pandas.api import types

    return types.is_numeric_dtype(values) and not types.is_bool_dtype(values)


def _list_values(values: pd.Series[Any]) -> list[Any]:
    """Return the distinct values, numbers ascending, with the missing one last."""
    known = values.dropna().drop_duplicates()
    known = known.sort_values() if _is_number(values) else known
    return [*known.tolist(), *([math.nan] if values.isna().any() else [])]


def _sort(frame: pd.DataFrame, keys: Sequence[str], values: Sequence[Sequence[Any]]) -> list[dict[Any, Any]]:
    """Return the rows in the order of `Dials.positions`."""
    import pandas as pd

    places = []
    for key, of_key in zip(keys, values, strict=True):
        codes = pd.Categorical(frame[key], categories=[value for value in of_key if value == value]).codes
        places.append(np.where(codes < 0, len(of_key) - 1, codes))
    return frame.iloc[np.lexsort(places[::-1])].to_dict("records")


def _select(result: Estimates, measure: str) -> pd.DataFrame:
    return result.estimates[result.estimates["measure"].eq(measure)]


def _list_quantities(result: GridSummary | Estimates) -> Iterator[tuple[str, Scale, pd.DataFrame]]:
    """Yield the title, scale and estimates of each quantity with a value, in the order of the cases."""
    if isinstance(result, GridSummary):
        for name in SHOWN:
            estimate = f"{name}_estimate"
            if estimate in result.cells and result.cells[estimate].notna().any():
                columns = [*interval_names(estimate), trust_name(estimate)]
                frame = result.cells.rename(columns=dict(zip(columns, _OF_CELL, strict=True)))
                frame = frame.assign(unknown_fraction=unknown_fractions(name, result.cells))
                yield describe_measure(find_measure(name, result.cells)), quantity_scale(name, result.cells), frame
        return
    for measure in result.measures:
        frame = _select(result, str(measure))
        if frame["estimate"].notna().any():
            scale = scale_of(measure, frame["estimate"], find_cost_unit(result.computed_under))
            yield describe_measure(measure), scale, frame


def _make_cell(row: Mapping[Any, Any], scale: Scale) -> Cell:
    estimate, low, high = (float(row[name]) * scale.factor for name in _OF_CELL[:3])
    text, unknown = write_estimate(row, scale), row.get("unknown_fraction", 0)
    text += f", {100 * unknown:.3g} % never end" if unknown > 0 else ""
    return Cell(text, estimate, low, high, bool(row["is_trusted"]))
