"""A Pareto front in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.tables import Table
from simdeploy.analysis.wording import describe_measure, format_estimate, measure_scale

if TYPE_CHECKING:
    from simdeploy.analysis.tradeoffs.pareto import ParetoFront

_MOST_NAMED = 6
_KEYS = ("case", "scenario", "policy")


def tell(front: ParetoFront) -> str:
    """Say how many cases are on the front, and how many others could be."""
    cases, names = front.cases, name_cases(front)
    is_on = cases["is_on_front"].fillna(value=False).to_numpy(dtype=bool)
    n_on, n_sure, n_unknown = (
        int(is_on.sum()),
        int(cases["is_surely_dominated"].sum()),
        int(cases["is_on_front"].isna().sum()),
    )
    measures = ", ".join(f"{describe_measure(of)} ({direction})" for of, direction in front.directions.items())
    listed = [name for name, is_it in zip(names, is_on, strict=True) if is_it]
    more = f" and {n_on - _MOST_NAMED:,} more" if n_on > _MOST_NAMED else ""
    told = f"{n_on:,} of {len(cases):,} cases {'is' if n_on == 1 else 'are'} on the front of {measures}"
    told += f": {'; '.join(listed[:_MOST_NAMED])}{more}." if listed else "."
    rest = f"{len(cases) - n_on - n_sure - n_unknown:,} more could be, {n_sure:,} are surely dominated"
    return f"{told} {rest}{f', {n_unknown:,} have no value' if n_unknown else ''}."


def name_cases(front: ParetoFront) -> list[str]:
    """Return a name for each case: what differs among them."""
    cases = front.cases
    measures = [str(measure) for measure in front.directions]
    judged = {*measures, "is_on_front", "dominated_by", "is_surely_dominated"}
    keys = [name for name in cases if name not in judged and name != "case" and cases[name].nunique(dropna=False) > 1]
    keys = keys or ["policy"]
    columns = [
        [_write(value) if key in _KEYS else f"{str(key).rpartition('.')[2]} {_write(value)}" for value in cases[key]]
        for key in keys
    ]
    names = [", ".join(words) for words in zip(*columns, strict=True)]
    return names if len(set(names)) == len(names) else [f"case {number}" for number in cases["case"]]


def _write(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def tabulate(front: ParetoFront) -> Table:
    """Return a line for each case that is on the front, and then for each that could be."""
    import pandas as pd

    names, cases = name_cases(front), front.cases
    of_case = len(front.directions)
    columns = (front.estimates[name].tolist() for name in ("estimate", "low", "high"))
    intervals = list(zip(*columns, strict=True))
    scales = [
        measure_scale(measure, float(cases[str(measure)].max()) if cases[str(measure)].notna().any() else 0.0)
        for measure in front.directions
    ]
    rows = []
    for wanted, word in ((True, "on the front"), (False, "could be")):
        for place, (is_on, is_sure) in enumerate(zip(cases["is_on_front"], cases["is_surely_dominated"], strict=True)):
            if is_on is not pd.NA and bool(is_on) is wanted and not is_sure:
                of_place = intervals[place * of_case : (place + 1) * of_case]
                cells = [
                    format_estimate(estimate, low, high, scale)
                    for (estimate, low, high), scale in zip(of_place, scales, strict=True)
                ]
                rows.append((names[place], *cells, word))
    level = f"{100 * front.confidence_level:g} %"
    header = ("case", *(f"{describe_measure(of)} ({word})" for of, word in front.directions.items()), "is")
    return Table(f"Cases that aren't surely dominated, with {level} intervals", header, tuple(rows))
