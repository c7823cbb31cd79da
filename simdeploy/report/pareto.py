"""A Pareto front in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure, name_cases
from simdeploy.report.wording import format_estimate, measure_scale, say_unknown
from simdeploy.result import Table

if TYPE_CHECKING:
    from simdeploy.analysis.tradeoffs.pareto import ParetoFront

_MOST_NAMED = 6
# What the table shows, and what it calls it.
_SHOWN = {"on the front": "on the front", "could be": "could be", "unknown": "not known"}


def tell(front: ParetoFront) -> str:
    """Say how many cases are on the front, and how many others could be."""
    cases, names = front.cases, name_cases(front.cases, front.case_columns)
    n = {word: int(cases["standing"].eq(word).sum()) for word in (*_SHOWN, "surely dominated", "no value")}
    n_on = n["on the front"]
    measures = ", ".join(f"{describe_measure(of)} ({direction})" for of, direction in front.directions.items())
    listed = [names[place] for place in np.flatnonzero(cases["standing"].eq("on the front"))]
    more = f" and {n_on - _MOST_NAMED:,} more" if n_on > _MOST_NAMED else ""
    told = f"{n_on:,} of {len(cases):,} cases {'is' if n_on == 1 else 'are'} on the front of {measures}"
    told += f": {'; '.join(listed[:_MOST_NAMED])}{more}." if listed else "."
    rest = f"{n['could be']:,} more could be, {n['surely dominated']:,} are surely dominated"
    rest += f", {n['no value']:,} have no value" if n["no value"] else ""
    told = f"{told} {rest}."
    said = say_unknown(dict(zip(names, cases["unknown_fraction"].tolist(), strict=True)), "place")
    return f"{told} {said}." if said else told


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
    for standing, word in _SHOWN.items():
        for place in np.flatnonzero(cases["standing"].eq(standing)).tolist():
            of_place = intervals[place * of_case : (place + 1) * of_case]
            cells = [
                format_estimate(estimate, low, high, scale)
                for (estimate, low, high), scale in zip(of_place, scales, strict=True)
            ]
            rows.append((names[place], *cells, word))
    level = f"{100 * front.confidence_level:g} %"
    header = ("case", *(f"{describe_measure(of)} ({word})" for of, word in front.directions.items()), "is")
    return (Table(f"Cases that aren't surely dominated, with {level} intervals", header, tuple(rows)),)
