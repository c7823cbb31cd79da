"""A Pareto front in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure, name_cases
from simdeploy.report.formatting import find_cost_unit, percent
from simdeploy.report.tables import Column, make_table, spread
from simdeploy.report.wording import is_or_are, join_answer, join_words, list_forms, say_unknown

if TYPE_CHECKING:
    from simdeploy.analysis.tradeoffs.pareto import ParetoFront
    from simdeploy.result import Table

_MOST_NAMED = 6
_SHOWN = ("on the front", "undecided", "unknown")


def tell(front: ParetoFront) -> str:
    """Say which cases are on the front, and how many others may be."""
    cases, names = front.cases, name_cases(front.cases, front.case_columns)
    n = {word: int(cases["standing"].eq(word).sum()) for word in (*_SHOWN, "dominated", "no value")}
    n_on = n["on the front"]
    measures = join_words([f"{describe_measure(of)} ({direction})" for of, direction in front.directions.items()])
    listed = [names[place] for place in np.flatnonzero(cases["standing"].eq("on the front"))]
    count = f"{n_on:,} of {len(cases):,} cases {is_or_are(n_on)} on the Pareto front"
    start = f"{count} of {measures}"
    forms = [f"{start}: {some}" for some in list_forms(listed, _MOST_NAMED, separator=";")]
    rest = f"{n['undecided']:,} more may be, {n['dominated']:,} are dominated"
    rest += f", {n['no value']:,} have no value" if n["no value"] else ""
    rest += f" ({percent(front.confidence_level)} confidence)"
    fractions = cases["unknown_fraction"].tolist()
    unknown = say_unknown(dict(zip(names, fractions, strict=True)), "standing")
    n_unknown = sum(fraction > 0 for fraction in fractions)
    short = f"{n_unknown:,} {is_or_are(n_unknown)} unknown: rollouts never end"
    return join_answer([[*forms, start, count], rest, [unknown, short] if unknown else ""])


def tabulate(front: ParetoFront) -> tuple[Table, ...]:
    """Return a row for each case on the front, then for each that may be, then for each that is unknown."""
    names = np.repeat(name_cases(front.cases, front.case_columns), len(front.directions))
    frame = spread(front.estimates.assign(named=names), "named", "measure").assign(standing=front.cases["standing"])
    columns = [
        Column(str(of), f"{describe_measure(of)} ({direction})", "estimate", of)
        for of, direction in front.directions.items()
    ]
    shown = frame[frame["standing"].isin(_SHOWN)].sort_values(
        "standing", key=lambda of: of.map(_SHOWN.index), kind="stable"
    )
    title = f"Cases that are not dominated ({percent(front.confidence_level)} CI)"
    columns = [Column("named", "case"), *columns, Column("standing", "standing")]
    shown = shown.assign(standing=shown["standing"].replace("undecided", "may be on the front"))
    return (make_table(title, shown, columns, find_cost_unit(front.computed_under)),)
