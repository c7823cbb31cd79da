"""Regrets over worlds in words and as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.report.wording import difference_scale, format_estimate, measure_scale
from simdeploy.result import Table

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.regret.robustness import Robustness

_MOST_COLUMNS = 12


def tell(found: Robustness) -> str:
    """Say which candidate has the least worst-case regret, how sure that is, and where it meets its requirements."""
    n_worlds = found.regrets["world"].nunique()
    worlds = f"{n_worlds} world{'s' * (n_worlds > 1)}"
    parts = [_tell_least(found, worlds)]
    n_left_out = n_worlds - int(found.candidates["n_worlds"].iloc[0])
    if n_left_out:
        parts.append(f"{n_left_out} of {worlds} left out: {describe_measure(found.of)} isn't known there")
    if found.requirements:
        rows = found.regrets[found.regrets["candidate"].eq(found.candidates["candidate"].iloc[0])]
        counts = rows["verdict"].value_counts()
        undecided = f" ({counts['undecided']} undecided)" if "undecided" in counts else ""
        parts.append(f"it meets its requirements in {counts.get('met', 0)} of {worlds}{undecided}")
    return f"{'; '.join(parts)}."


def _tell_least(found: Robustness, worlds: str) -> str:
    first, others = found.candidates.iloc[0], found.candidates.iloc[1:]
    name = describe_measure(found.of)
    if found.candidates["max_regret"].isna().all():
        return f"No regret in {name} is known"
    if others.empty:
        return f"{first['candidate']} is the only candidate in {worlds}"
    where = f", in {first['worst_world']}" if first["max_regret"] > 0 else ""
    text = f"{first['candidate']} is regretted least: over {worlds} its {name} is at most "
    text += f"{_write(found, first, 'max_regret')} from the best{where}"
    text += f"; next is {others['candidate'].iloc[0]} with {_write(found, others.iloc[0], 'max_regret')}"
    if not others["regret_verdict"].eq("worse").all():
        text += f"; which of them is least isn't sure at {100 * found.confidence_level:g} %"
    return text


def tabulate(found: Robustness) -> tuple[Table, ...]:
    """Return the candidates with their regrets over worlds, and the regrets world by world."""
    rows = [
        (
            row["candidate"],
            _write(found, row, "max_regret"),
            str(row["worst_world"]) if row["max_regret"] > 0 else "",
            _write(found, row, "mean_regret"),
            *((_share(row),) if found.requirements else ()),
        )
        for _, row in found.candidates.iterrows()
    ]
    asked = ("worlds where requirements are met",) if found.requirements else ()
    header = ("candidate", "largest regret", "where", "mean regret", *asked)
    title = f"Regret in {describe_measure(found.of)} over worlds, all intervals together"
    tables = [Table(title, header, tuple(rows))]
    worlds = list(found.regrets["world"].unique())
    if len(worlds) <= _MOST_COLUMNS:
        by_world = found.regrets.set_index(["candidate", "world"])
        cells = tuple(
            (candidate, *(_write(found, by_world.loc[candidate, world], "regret") for world in worlds))
            for candidate in found.candidates["candidate"]
        )
        tables.append(Table("Regret in each world, each interval by itself", ("candidate", *worlds), cells))
    return tuple(tables)


def _write(found: Robustness, row: pd.Series, name: str) -> str:
    estimate, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return format_estimate(estimate, low, high, difference_scale(measure_scale(found.of, estimate)))


def _share(row: pd.Series) -> str:
    undecided = row["undecided_fraction"]
    return f"{100 * row['met_fraction']:.0f} %" + (f" ({100 * undecided:.0f} % undecided)" if undecided else "")
