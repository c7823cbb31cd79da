"""A Pareto front in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.report.naming import name_cases
from simdeploy.report.wording import describe_measure, format_estimate, measure_scale, say_unknown
from simdeploy.result import Table

if TYPE_CHECKING:
    from simdeploy.analysis.tradeoffs.pareto import ParetoFront

_MOST_NAMED = 6


def tell(front: ParetoFront) -> str:
    """Say how many cases are on the front, and how many others could be."""
    cases, names = front.cases, name_cases(front.cases, front.case_columns)
    is_on = cases["is_on_front"].fillna(value=False).to_numpy(dtype=bool)
    unknown = _unknown_fractions(front)
    n_on, n_sure, n_unknown = int(is_on.sum()), int(cases["is_surely_dominated"].sum()), int((unknown > 0).sum())
    n_empty = int((cases["is_on_front"].isna() & (unknown == 0)).sum())
    measures = ", ".join(f"{describe_measure(of)} ({direction})" for of, direction in front.directions.items())
    listed = [name for name, is_it in zip(names, is_on, strict=True) if is_it]
    more = f" and {n_on - _MOST_NAMED:,} more" if n_on > _MOST_NAMED else ""
    told = f"{n_on:,} of {len(cases):,} cases {'is' if n_on == 1 else 'are'} on the front of {measures}"
    told += f": {'; '.join(listed[:_MOST_NAMED])}{more}." if listed else "."
    rest = f"{len(cases) - n_on - n_sure - n_unknown - n_empty:,} more could be, {n_sure:,} are surely dominated"
    told = f"{told} {rest}{f', {n_empty:,} have no value' if n_empty else ''}."
    said = say_unknown(dict(zip(names, unknown.tolist(), strict=True)), "place")
    return f"{told} {said}." if said else told


def _unknown_fractions(front: ParetoFront) -> np.ndarray:
    """Return for each case the largest share of rollouts that never end, of all measures."""
    fractions = front.estimates["unknown_fraction"].to_numpy()
    largest: np.ndarray = fractions.reshape(-1, len(front.directions)).max(axis=1)
    return largest


def tabulate(front: ParetoFront) -> tuple[Table, ...]:
    """Return a line for each case that is on the front, then for each that could be, and for each that isn't known."""
    names, cases = name_cases(front.cases, front.case_columns), front.cases
    of_case = len(front.directions)
    columns = (front.estimates[name].tolist() for name in ("estimate", "low", "high"))
    intervals = list(zip(*columns, strict=True))
    scales = [
        measure_scale(measure, float(cases[str(measure)].max()) if cases[str(measure)].notna().any() else 0.0)
        for measure in front.directions
    ]
    rows = []
    is_on, unknown = cases["is_on_front"], _unknown_fractions(front)
    could_be = is_on.eq(other=False).fillna(value=False) & ~cases["is_surely_dominated"]
    for chosen, word in (
        (is_on.fillna(value=False), "on the front"),
        (could_be, "could be"),
        (unknown > 0, "not known"),
    ):
        for place in np.flatnonzero(chosen).tolist():
            of_place = intervals[place * of_case : (place + 1) * of_case]
            cells = [
                format_estimate(estimate, low, high, scale)
                for (estimate, low, high), scale in zip(of_place, scales, strict=True)
            ]
            rows.append((names[place], *cells, word))
    level = f"{100 * front.confidence_level:g} %"
    header = ("case", *(f"{describe_measure(of)} ({word})" for of, word in front.directions.items()), "is")
    return (Table(f"Cases that aren't surely dominated, with {level} intervals", header, tuple(rows)),)
