"""A Pareto front in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure, name_cases
from simdeploy.report.formatting import find_cost_unit, percent
from simdeploy.report.tables import Column, make_table, spread
from simdeploy.report.wording import is_or_are, join_answer, join_words, list_forms, name_briefly, say_unknown

if TYPE_CHECKING:
    from simdeploy.analysis.tradeoffs.pareto import ParetoFront
    from simdeploy.result import Table

_MOST_NAMED = 6
_ESTIMATED = "on the estimated front"
_SHOWN = ("on the front", _ESTIMATED, "may be on the front", "unknown")


def tell(front: ParetoFront) -> str:
    """Say which cases are on the front by the estimates, and of how many this is certain."""
    cases, names = front.cases, name_cases(front.cases, front.case_columns)
    n = {word: int(cases["standing"].eq(word).sum()) for word in ("on the front", "dominated", "undecided", "no value")}
    is_on = cases["is_on_front"].fillna(value=False).to_numpy(dtype=bool)
    is_certain = cases["standing"].eq("on the front").to_numpy()
    listed = [names[place] for places in (is_certain, is_on & ~is_certain) for place in np.flatnonzero(places)]
    count = f"{len(listed):,} of {len(cases):,} cases {is_or_are(len(listed))} on the estimated Pareto front"
    starts = [
        f"{count} of {join_words([f'{name} ({direction})' for name, direction in zip(of, front.directions.values(), strict=True)])}"
        for of in (list(map(describe_measure, front.directions)), list(map(name_briefly, front.directions)))
        if len(set(of)) == len(of)
    ]
    forms = [f"{start}: {some}" for start in starts for some in list_forms(listed, _MOST_NAMED, separator=";")]
    rest = f"With {percent(front.confidence_level)} confidence: {n['on the front']:,} on the front, {n['dominated']:,} dominated"
    rest += "".join(
        f"; {n[word]:,} {label}"
        for word, label in (("undecided", "undecided"), ("no value", "without a value"))
        if n[word]
    )
    fractions = cases["unknown_fraction"].tolist()
    unknown = say_unknown(dict(zip(names, fractions, strict=True)), "standing")
    n_unknown = sum(fraction > 0 for fraction in fractions)
    short = f"{n_unknown:,} {is_or_are(n_unknown)} unknown: rollouts never end"
    return join_answer([[*forms, *starts, count], rest, [unknown, short] if unknown else ""])


def tabulate(front: ParetoFront) -> tuple[Table, ...]:
    """Return a row for each case on the front, then for each on it by the estimates, for each that may be, and for each that is unknown."""
    names = np.repeat(name_cases(front.cases, front.case_columns), len(front.directions))
    is_estimated = front.cases["standing"].eq("undecided") & front.cases["is_on_front"].fillna(value=False)
    standing = front.cases["standing"].mask(is_estimated, _ESTIMATED).replace("undecided", "may be on the front")
    frame = spread(front.estimates.assign(named=names), "named", "measure").assign(standing=standing)
    columns = [
        Column(str(of), f"{describe_measure(of)} ({direction})", "estimate", of)
        for of, direction in front.directions.items()
    ]
    shown = frame[frame["standing"].isin(_SHOWN)].sort_values(
        "standing", key=lambda of: of.map(_SHOWN.index), kind="stable"
    )
    title = f"Cases that are not dominated ({percent(front.confidence_level)} CI)"
    columns = [Column("named", "case"), *columns, Column("standing", "standing")]
    return (make_table(title, shown, columns, find_cost_unit(front.computed_under)),)
