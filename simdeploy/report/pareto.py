"""A Pareto front in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure, name_cases
from simdeploy.report.tables import Column, make_table, spread
from simdeploy.report.wording import find_cost_unit, is_or_are, list_some, percent, say_unknown

if TYPE_CHECKING:
    from simdeploy.analysis.tradeoffs.pareto import ParetoFront
    from simdeploy.result import Table

_MOST_NAMED = 6
_SHOWN = ("on the front", "could be", "unknown")


def tell(front: ParetoFront) -> str:
    """Say how many cases are on the front, and how many others could be."""
    cases, names = front.cases, name_cases(front.cases, front.case_columns)
    n = {word: int(cases["standing"].eq(word).sum()) for word in (*_SHOWN, "surely dominated", "no value")}
    n_on = n["on the front"]
    measures = ", ".join(f"{describe_measure(of)} ({direction})" for of, direction in front.directions.items())
    listed = [names[place] for place in np.flatnonzero(cases["standing"].eq("on the front"))]
    told = f"{n_on:,} of {len(cases):,} cases {is_or_are(n_on)} on the front of {measures}"
    told += f": {list_some(listed, _MOST_NAMED, separator=';')}." if listed else "."
    rest = f"{n['could be']:,} more could be, {n['surely dominated']:,} are surely dominated"
    rest += f", {n['no value']:,} have no value" if n["no value"] else ""
    told = f"{told} {rest}."
    said = say_unknown(dict(zip(names, cases["unknown_fraction"].tolist(), strict=True)), "place")
    return f"{told} {said}." if said else told


def tabulate(front: ParetoFront) -> tuple[Table, ...]:
    """Return a line for each case that is on the front, then for each that could be, and for each that isn't known."""
    names = np.repeat(name_cases(front.cases, front.case_columns), len(front.directions))
    frame = spread(front.estimates.assign(named=names), "named", "measure").assign(standing=front.cases["standing"])
    columns = [
        Column(str(of), f"{describe_measure(of)} ({direction})", "estimate", of)
        for of, direction in front.directions.items()
    ]
    shown = frame[frame["standing"].isin(_SHOWN)].sort_values(
        "standing", key=lambda of: of.map(_SHOWN.index), kind="stable"
    )
    title = f"Cases that aren't surely dominated, with {percent(front.confidence_level)} intervals"
    columns = [Column("named", "case"), *columns, Column("standing", "is", "verdict")]
    return (make_table(title, shown, columns, find_cost_unit(front.computed_under)),)
