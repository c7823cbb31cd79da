"""Regrets over worlds, in words and as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.errors import plural
from simdeploy.report import formatting, wording
from simdeploy.report.tables import Column, make_table, spread

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from simdeploy.analysis.regret.robustness import Robustness
    from simdeploy.result import Table

_MOST_COLUMNS = 12


def tell(result: Robustness) -> str:
    """Say which candidate has the smallest maximum regret, whether that is certain, where it meets requirements, and what failed."""
    n_worlds = result.regrets["world"].nunique()
    worlds = plural(n_worlds, "world")
    sentences: list[str | list[str]] = [_tell_lowest(result, worlds)]
    if n_left_out := n_worlds - int(result.candidates["n_worlds"].iloc[0]):
        excluded = f"{n_left_out:,} of {worlds} {wording.is_or_are(n_left_out)} excluded"
        sentences.append([f"{excluded}: {describe_measure(result.of)} is unknown there", excluded])
    if result.requirements:
        first = result.candidates["candidate"].iloc[0]
        counts = result.regrets.loc[result.regrets["candidate"].eq(first), "verdict"].value_counts()
        undecided = f" ({counts['undecided']} undecided)" if "undecided" in counts else ""
        sentences.append(f"It meets its requirements in {counts.get('met', 0)} of {worlds}{undecided}")
    sentences.append(wording.say_failed(result.n_failed))
    return wording.join_answer(sentences)


def _tell_lowest(result: Robustness, worlds: str) -> list[str]:
    first, others = result.candidates.iloc[0], result.candidates.iloc[1:]
    name = describe_measure(result.of)
    if result.candidates["max_regret"].isna().all():
        return [f"Regret in {name} is unknown"]
    if others.empty:
        return [f"{first['candidate']} is the only candidate in {worlds}"]
    scale = _scale(result, result.candidates["max_regret"])
    regret = formatting.write_estimate(first, scale, "max_regret", level=result.confidence_level)
    where = f" in {first['worst_world']}" if first["max_regret"] > 0 else ""
    start = f"{first['candidate']} is the safest choice over {worlds}"
    gap = f"in {name} at most {regret} behind the best"
    rivals = others.loc[others["regret_verdict"].ne("worse"), "candidate"].tolist()
    names = others["candidate"].tolist()
    separator = ";" if any("," in name for name in names) else ","
    ends = wording.compare_with_others(names, rivals, "less than", noun="candidate", separator=separator)
    if 0 < len(rivals) < max(len(others), 2):
        ends.append(f", but {plural(len(rivals), 'other')} may be as good")
    needed = result.replications_needed
    if not math.isnan(needed):
        ends = [*(f"{end}; {wording.say_needed(needed, result.computed_under)}" for end in ends), ends[-1]]
    return [
        f"{start}: {gap}{where}{ends[0]}",
        *(f"{start}: {gap}{end}" for end in ends),
        f"{start}{ends[-1]}" if rivals else f"{start}: {gap}",
    ]


def tabulate(result: Robustness) -> tuple[Table, ...]:
    """Return the regrets of the candidates over all worlds, and in each world."""
    rows = [
        {
            **row,
            "where": row["worst_world"] if row["max_regret"] > 0 else "",
            "met": _say_met(row) if result.requirements else "",
        }
        for row in result.candidates.to_dict("records")
    ]
    columns = [
        Column("candidate", "candidate"),
        Column("max_regret", "largest gap", "estimate", _scale(result, result.candidates["max_regret"])),
        Column("where", "where"),
        Column("mean_regret", "mean gap", "estimate", _scale(result, result.candidates["mean_regret"])),
        Column("met", "requirements met in worlds"),
    ]
    level = formatting.percent(result.confidence_level)
    title = f"Gap to the best candidate (regret) in {describe_measure(result.of)} ({level} CI for all together)"
    tables = [make_table(title, rows, columns)]
    worlds = list(result.regrets["world"].unique())
    if len(worlds) <= _MOST_COLUMNS:
        frame = spread(result.regrets, "candidate", "world", of="regret")
        frame = frame.set_index("candidate").loc[result.candidates["candidate"]].reset_index()
        scale = _scale(result, result.regrets["regret"])
        columns = [Column("candidate", "candidate"), *(Column(world, world, "estimate", scale) for world in worlds)]
        tables.append(make_table(f"Gap in each world ({level} CI)", frame, columns))
    return tuple(tables)


def _scale(result: Robustness, regrets: pd.Series[Any]) -> formatting.Scale:
    unit = formatting.find_cost_unit(result.computed_under)
    return formatting.difference_scale(formatting.scale_of(result.of, regrets, unit))


def _say_met(row: Mapping[Any, Any]) -> str:
    undecided = row["undecided_fraction"]
    return f"{100 * row['met_fraction']:.0f} %" + (f" ({100 * undecided:.0f} % undecided)" if undecided else "")
