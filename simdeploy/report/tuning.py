"""The answer of a search in sentences that can be read aloud."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure, format_value, shorten_names
from simdeploy.analysis.tuning.result import CHOICE, RUNNER_UP
from simdeploy.report.wording import difference_scale, format_estimate, format_number, measure_scale
from simdeploy.result import Table
from simdeploy.scenario.measures import parse_measure, parse_requirement

if TYPE_CHECKING:
    from simdeploy.analysis.tuning.result import Tuning
    from simdeploy.report.wording import Scale


def tell(found: Tuning) -> str:
    """Say which policy to use, what it saves, how sure that is and what holds it back; or why there is none."""
    if found.choice is None:
        return _tell_nothing(found)
    return " ".join([_tell_choice(found), _tell_sureness(found), *_tell_binding(found)])


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
        scale = measure_scale(measure, abs(row["estimate"]))
        value = row["estimate"] * scale.factor
        reached = "no value" if math.isnan(value) else f"{value:.3g} {scale.unit}".rstrip()
        told.append(f"{reached} where {row['requirement']} is required")
    return told


def _tell_choice(found: Tuning) -> str:
    what, scale = describe_measure(found.of), objective_scale(found)
    row = found.objective_row(CHOICE)
    assert row is not None  # noqa: S101 - there is a choice
    told = format_estimate(row["estimate"], row["low"], row["high"], scale)
    if found.keeps_current:
        start = f"Stay with {found.current_policy}: its {what} is {told}"
    else:
        changes = found.changes()
        names = shorten_names(list(changes))
        listed = ", ".join(f"{name} {format_value(value)}" for name, value in zip(names, changes.values(), strict=True))
        start = f"Use {found.current_policy} with {listed}: {what} {told}"
    today = {"current": f"for {found.current_policy} as it is", "defaults": "with the API's default thresholds"}
    rows = {words: found.objective_row(role) for role, words in today.items()}
    compared = []
    for words, other in rows.items():
        if other is not None and other["unknown_fraction"] > 0:
            unknown = 100 * other["unknown_fraction"]
            compared.append(f"an unknown one {words}, which never ends in {unknown:.2g} % of the worlds")
        elif other is not None:
            compared.append(f"{_tell_amount(found, other['estimate'])} {words}")
    return start + (f", against {' and '.join(compared)} in the same worlds." if compared else ".")


def _tell_sureness(found: Tuning) -> str:
    margin, better = _tell_amount(found, found.indifference, is_difference=True), _better(found)
    n, meets = f"{len(found.candidates):,}", bool(found.requirements)
    if not math.isnan(found.expected_correct):
        among = f"the {n} tried that meet the requirements" if meets else f"the {n} tried"
        n_left = int(found.stages.loc[found.stages["stage"].eq("select"), "candidates"].iloc[-1])
        sure = f"Of the {n_left:,} that were left of {among} it is the best with a probability of about "
        sure += f"{100 * found.probability_correct:.0f} %"
    elif found.is_decided:
        which = f"that meets the requirements and is {better}" if meets else f"that is {better}"
        level = f"{100 * found.confidence_level:g} %"
        sure = f"One of the {n} tried {which} than all others by {margin} would be chosen with probability {level}"
    else:
        which = "that meets the requirements " if meets else ""
        sure = f"The budget was too small to tell whether another one of the {n} tried {which}is {better} by {margin}"
    n_same = found.policies.loc[found.policies["policy"].str.startswith(RUNNER_UP), "policy"].nunique()
    same = f"{n_same} other{'s' if n_same > 1 else ''} can't be told from it" if n_same else "no other comes close"
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
    rows = found.policies[found.policies["measure"].eq(str(found.of))]
    return measure_scale(found.of, float(rows["estimate"].abs().max()))


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
