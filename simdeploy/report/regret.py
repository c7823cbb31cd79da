"""Regrets over worlds in words and as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.report.tables import Column, make_table, spread
from simdeploy.report.wording import difference_scale, find_cost_unit, percent, plural, scale_of, write_estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from simdeploy.analysis.regret.robustness import Robustness
    from simdeploy.report.wording import Scale
    from simdeploy.result import Table

_MOST_COLUMNS = 12


def tell(found: Robustness) -> str:
    """Say which candidate has the least worst-case regret, how sure that is, and where it meets its requirements."""
    n_worlds = found.regrets["world"].nunique()
    worlds = plural(n_worlds, "world")
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
    scale = _scale(found, found.candidates["max_regret"])
    text += f"{write_estimate(first, scale, 'max_regret')} from the best{where}"
    text += f"; next is {others['candidate'].iloc[0]} with {write_estimate(others.iloc[0], scale, 'max_regret')}"
    if not others["regret_verdict"].eq("worse").all():
        text += f"; which of them is least isn't sure at {percent(found.confidence_level)}"
    return text


def tabulate(found: Robustness) -> tuple[Table, ...]:
    """Return the candidates with their regrets over worlds, and the regrets world by world."""
    rows = [
        {
            **row,
            "where": row["worst_world"] if row["max_regret"] > 0 else "",
            "met": _say_met(row) if found.requirements else "",
        }
        for row in found.candidates.to_dict("records")
    ]
    columns = [
        Column("candidate", "candidate"),
        Column("max_regret", "largest regret", "estimate", _scale(found, found.candidates["max_regret"])),
        Column("where", "where"),
        Column("mean_regret", "mean regret", "estimate", _scale(found, found.candidates["mean_regret"])),
        Column("met", "worlds where requirements are met", is_optional=True),
    ]
    tables = [make_table(f"Regret in {describe_measure(found.of)} over worlds, all intervals together", rows, columns)]
    worlds = list(found.regrets["world"].unique())
    if len(worlds) <= _MOST_COLUMNS:
        frame = spread(found.regrets, "candidate", "world", of="regret")
        frame = frame.set_index("candidate").loc[found.candidates["candidate"]].reset_index()
        scale = _scale(found, found.regrets["regret"])
        columns = [Column("candidate", "candidate"), *(Column(world, world, "estimate", scale) for world in worlds)]
        tables.append(make_table("Regret in each world, each interval by itself", frame, columns))
    return tuple(tables)


def _scale(found: Robustness, regrets: pd.Series[Any]) -> Scale:
    return difference_scale(scale_of(found.of, regrets, find_cost_unit(found.computed_under)))


def _say_met(row: Mapping[Any, Any]) -> str:
    undecided = row["undecided_fraction"]
    return f"{100 * row['met_fraction']:.0f} %" + (f" ({100 * undecided:.0f} % undecided)" if undecided else "")
