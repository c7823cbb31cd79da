"""A search as tables of words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.analysis.tuning.result import CHOICE
from simdeploy.report.naming import format_value, shorten_names
from simdeploy.report.tables import Table
from simdeploy.report.tuning import objective_scale
from simdeploy.report.wording import describe_measure, difference_scale, format_estimate, measure_scale
from simdeploy.scenario.measures import parse_measure, parse_requirement

if TYPE_CHECKING:
    from simdeploy.analysis.tuning.result import Tuning


def tabulate(found: Tuning) -> tuple[Table, ...]:
    """Return the policies with their estimates, what they are, the requirements, and the work that was done."""
    tables = []
    if found.choice is not None:
        tables += [_tabulate_policies(found), _tabulate_levers(found)]
    if len(found.verdicts):
        tables.append(_tabulate_verdicts(found))
    return (*tables, _tabulate_stages(found))


def _tabulate_policies(found: Tuning) -> Table:
    scale = objective_scale(found)
    of_difference = difference_scale(scale)
    header = ["policy", describe_measure(found.of), "less the choice"]
    columns: list[list[str]] = [list(_names(found).values()), [], []]
    for name, rows in found.policies.groupby("measure", sort=False):
        measure = parse_measure(str(name))
        of_measure = scale if measure == found.of else measure_scale(measure, float(rows["estimate"].abs().max()))
        records = rows.to_dict("records")
        told = [format_estimate(row["estimate"], row["low"], row["high"], of_measure) for row in records]
        if measure != found.of:
            header.append(describe_measure(measure))
            columns.append(told)
            continue
        columns[1] = told
        for row in records:
            less = (row["difference"], row["difference_low"], row["difference_high"])
            columns[2].append("" if math.isnan(less[0]) else format_estimate(*less, of_difference, sign=True))
    worlds, level = int(found.policies["n"].max()), f"{100 * found.confidence_level:g} %"
    title = f"On {worlds:,} new worlds, with {level} intervals; differences for all policies at once"
    return Table(title, tuple(header), tuple(zip(*columns, strict=True)))


def _names(found: Tuning) -> dict[str, str]:
    names = {CHOICE: "the choice", "current": found.current_policy, "defaults": "API's defaults"}
    return {name: names.get(name, name) for name in dict.fromkeys(found.policies["policy"])}


def _tabulate_levers(found: Tuning) -> Table:
    numbers = found.policies.drop_duplicates("policy")["candidate"]
    rows = found.candidates.set_index("candidate").loc[numbers]
    levers = [name for name in (found.choice or {}) if rows[name].nunique(dropna=False) > 1]
    cells = [[format_value(value) for value in rows[name]] for name in levers]
    lines = tuple(zip(_names(found).values(), *cells, strict=True))
    return Table("What they are, where they differ", ("policy", *shorten_names(levers)), lines)


def _tabulate_verdicts(found: Tuning) -> Table:
    names, lines = _names(found), []
    for row in found.verdicts.to_dict("records"):
        scale = measure_scale(parse_requirement(row["requirement"]).measure, abs(row["estimate"]))
        told = format_estimate(row["estimate"], row["low"], row["high"], scale)
        lines.append((names[row["policy"]], row["requirement"], told, row["verdict"]))
    return Table("Requirements, in the same worlds", ("policy", "requirement", "estimate", "verdict"), tuple(lines))


def _tabulate_stages(found: Tuning) -> Table:
    lines = tuple(
        tuple(value if isinstance(value, str) else f"{value:,}" for value in row.values())
        for row in found.stages.to_dict("records")
    )
    n = len(found.candidates)
    tried = f"{n:,} policies" + ("" if n == found.n_possible else f", a sample of {found.n_possible:,}")
    return Table(f"The search: {tried}", ("stage", "candidates", "worlds", "rollouts", "node updates"), lines)
