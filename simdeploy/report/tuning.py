"""The answer of a search in sentences that can be read aloud."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure, format_value, shorten_names
from simdeploy.analysis.tuning.result import CHOICE, RUNNER_UP
from simdeploy.report.tables import Column, make_table, measure_columns, spread
from simdeploy.report.wording import (
    difference_scale,
    find_cost_unit,
    format_amount,
    format_number,
    interval_names,
    join_answer,
    list_some,
    measure_scale,
    percent,
    plural,
    scale_of,
    write_estimate,
)
from simdeploy.scenario.measures import parse_measure, parse_requirement

if TYPE_CHECKING:
    from simdeploy.analysis.tuning.result import Tuning
    from simdeploy.report.wording import Scale
    from simdeploy.result import Table

_VERDICTS = (
    Column("policy", "policy"),
    Column("requirement", "requirement"),
    Column("estimate", "estimate", "estimate", scale="scale"),
    Column("verdict", "verdict"),
)
_STAGES = (
    Column("stage", "stage"),
    Column("candidates", "candidates", "count"),
    Column("worlds", "worlds", "count"),
    Column("rollouts", "rollouts", "count"),
    Column("node_updates", "node updates", "count"),
)


def tell(found: Tuning) -> str:
    """Say which policy to use, what it saves, how sure that is and what holds it back; or why there is none."""
    if found.choice is None:
        return _tell_nothing(found)
    return join_answer([_tell_choice(found), _tell_sureness(found), *_tell_binding(found)])


def _tell_nothing(found: Tuning) -> str:
    n = len(found.candidates)
    if not found.requirements:
        return (
            f"The {describe_measure(found.of)} is known of none of {n:,} policies: their rollouts never end, or failed."
        )
    none = f"None of {n:,} policies is known to meet the requirements."
    if found.n_undecided:
        return f"{none} {found.n_undecided:,} may, which the budget was too small to tell."
    return f"{none} Those that seem to meet all but one come to {', or '.join(_tell_nearest(found))}."


def _tell_nearest(found: Tuning) -> list[str]:
    told = []
    for row in found.out_of_reach.to_dict("records"):
        measure = parse_requirement(row["requirement"]).measure
        scale = measure_scale(measure, abs(row["estimate"]), find_cost_unit(found.computed_under))
        reached = format_amount(row["estimate"], scale)
        told.append(f"{reached} where {row['requirement']} is required")
    return told


def _tell_choice(found: Tuning) -> str:
    what, scale = describe_measure(found.of), objective_scale(found)
    row = found.objective_row(CHOICE)
    assert row is not None  # noqa: S101 - there is a choice
    told = write_estimate(row, scale)
    if found.keeps_current:
        start = f"Stay with {found.current_policy}: its {what} is {told}"
    else:
        changes = found.changes()
        names = shorten_names(list(changes))
        listed = list_some(
            [f"{name} {format_value(value)}" for name, value in zip(names, changes.values(), strict=True)], 2
        )
        start = f"Use {found.current_policy} with {listed}: {what} {told}"
    today = {"current": "as it is", "defaults": "with the API's defaults"}
    rows = {words: found.objective_row(role) for role, words in today.items()}
    compared = []
    for words, other in rows.items():
        if other is not None and other["unknown_fraction"] > 0:
            unknown = 100 * other["unknown_fraction"]
            compared.append(f"an unknown {what} {words}, which never ends in {unknown:.2g} % of the worlds")
        elif other is not None:
            compared.append(f"{_tell_amount(found, other['estimate'])} {words}")
    return start + (f", against {compared[0]}." if compared else ".")


def _tell_sureness(found: Tuning) -> str:
    margin, better = _tell_amount(found, found.indifference, is_difference=True), _better(found)
    n, meets = f"{len(found.candidates):,}", bool(found.requirements)
    if not math.isnan(found.expected_correct):
        among = f"the {n} tried that meet the requirements" if meets else f"the {n} tried"
        n_left = int(found.stages.loc[found.stages["stage"].eq("select"), "candidates"].iloc[-1])
        sure = f"Of {n_left:,} left of {among} it is the best with a probability of about "
        sure += f"{100 * found.probability_correct:.0f} %"
    elif found.is_decided:
        which = " that meet the requirements" if meets else ""
        level = percent(found.confidence_level)
        sure = f"The best of {n}{which}, if {better} by {margin} or more, is chosen with probability {level}"
    else:
        which = "that meets the requirements " if meets else ""
        sure = f"The budget was too small to tell whether another one of {n} {which}is {better} by {margin}"
    n_same = found.policies.loc[found.policies["policy"].str.startswith(RUNNER_UP), "policy"].nunique()
    same = f"{plural(n_same, 'other')} can't be told from it" if n_same else "no other comes close"
    return f"{sure}; {same}."


def _tell_binding(found: Tuning) -> list[str]:
    if found.binding is None:
        return []
    gain = _tell_amount(found, found.gain_without_binding, is_difference=True)
    return [f"What holds it back is {found.binding}: without it another policy is {gain} {_better(found)}."]


def _better(found: Tuning) -> str:
    return "lower" if found.direction == "min" else "higher"


def objective_scale(found: Tuning) -> Scale:
    """Return how the objective is shown: one scale for all that is told."""
    values = found.policies.loc[found.policies["measure"].eq(str(found.of)), "estimate"]
    return scale_of(found.of, values, find_cost_unit(found.computed_under))


def _tell_amount(found: Tuning, value: float, *, is_difference: bool = False) -> str:
    scale = objective_scale(found)
    unit = (difference_scale(scale) if is_difference else scale).unit
    return f"{format_number(value * scale.factor, abs(value * scale.factor) / 10)} {unit}".rstrip()


def describe_specs(found: Tuning) -> list[str]:
    """Return the chosen policy in both dialects as lines of text: JSON, and notes on what can't be said."""
    lines = []
    for dialect, told in found.specs.items():
        lines += [f"The choice in the {dialect} dialect:", *json.dumps(told["spec"], indent=2).splitlines()]
        lines += [f"note: {note}" for note in told["notes"]]
        lines.append("")
    return lines


def tabulate(found: Tuning) -> tuple[Table, ...]:
    """Return the policies with their estimates, what they are, the requirements, and the work that was done."""
    tables = []
    if found.choice is not None:
        tables += [_tabulate_policies(found), _tabulate_levers(found)]
    if len(found.verdicts):
        tables.append(_tabulate_verdicts(found))
    return (*tables, _tabulate_stages(found))


def _tabulate_policies(found: Tuning) -> Table:
    frame, of = spread(found.policies, "policy", "measure"), str(found.of)
    less = found.policies.loc[found.policies["measure"].eq(of), ["policy", *interval_names("difference")]]
    frame = frame.merge(less, on="policy", how="left").assign(named=list(_names(found).values()))
    others = [measure for name in found.policies["measure"].unique() if (measure := parse_measure(name)) != found.of]
    scale = objective_scale(found)
    columns = (
        Column("named", "policy"),
        Column(of, describe_measure(found.of), "estimate", scale),
        Column("difference", "less the choice", "difference", scale),
        *measure_columns(others),
    )
    worlds, level = int(found.policies["n"].max()), percent(found.confidence_level)
    title = f"On {worlds:,} new worlds, with {level} intervals; differences for all policies at once"
    return make_table(title, frame, columns, find_cost_unit(found.computed_under))


def _names(found: Tuning) -> dict[str, str]:
    names = {CHOICE: "the choice", "current": found.current_policy, "defaults": "API's defaults"}
    return {name: names.get(name, name) for name in found.policies["policy"].unique()}


def _tabulate_levers(found: Tuning) -> Table:
    numbers = found.policies.drop_duplicates("policy")["candidate"]
    rows = found.candidates.set_index("candidate").loc[numbers].assign(named=list(_names(found).values()))
    levers = [name for name in (found.choice or {}) if rows[name].nunique(dropna=False) > 1]
    columns = (Column(*each, "value") for each in zip(levers, shorten_names(levers), strict=True))
    return make_table("What they are, where they differ", rows, (Column("named", "policy"), *columns))


def _tabulate_verdicts(found: Tuning) -> Table:
    rows, unit = found.verdicts.to_dict("records"), find_cost_unit(found.computed_under)
    for row in rows:
        row["policy"] = _names(found)[row["policy"]]
        row["scale"] = measure_scale(parse_requirement(row["requirement"]).measure, abs(row["estimate"]), unit)
    return make_table("Requirements, in the same worlds", rows, _VERDICTS)


def _tabulate_stages(found: Tuning) -> Table:
    n = len(found.candidates)
    tried = f"{n:,} policies" + ("" if n == found.n_possible else f", a sample of {found.n_possible:,}")
    return make_table(f"The search: {tried}", found.stages, _STAGES)
