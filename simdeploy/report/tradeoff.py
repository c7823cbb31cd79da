"""What the curves of a policy's thresholds say, in words: only what their intervals support."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.report.tables import Column, make_table, spread
from simdeploy.report.wording import (
    Scale,
    difference_scale,
    find_cost_unit,
    format_amount,
    format_interval,
    format_number,
    join_answer,
    join_words,
    name_briefly,
    percent,
    say_unknown,
    scale_of,
)
from simdeploy.units import NS_PER_S, exact, format_duration, round_half_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from simdeploy.analysis.tradeoffs.moving import Tradeoff
    from simdeploy.experiments.levers import Lever
    from simdeploy.result import Table
    from simdeploy.scenario.measures import Measure


def tell(result: Tradeoff) -> str:
    """Say what would be better, and where the policy and the API's default stand."""
    lever = next(lever for lever in result.levers if lever.name == result.lever_of_interest)
    improvement, n = result.improvement, len(result.points)
    of_axes = result.differences[result.differences["measure"].isin([str(measure) for measure in result.axes[:2]])]
    found = ""
    if improvement is not None:
        mine, its = (write_value(lever, improvement[name]) for name in ("value", "current"))
        found = f"{lever.name} {mine} instead of {its} {_tell_changes(result, lever, improvement['value'])}."
    elif of_axes["low"].notna().any():
        x, y = (name_briefly(measure) for measure in result.axes[:2])
        others = "The only other value isn't" if n == 1 else f"None of the {n} other values is"
        found = f"{others} surely better in {x} or {y} without being worse in the other."
    unknown, stands = _tell_current(result, lever)
    return join_answer([unknown, found, _tell_default(result, lever), stands])


def write_value(lever: Lever, number: float) -> str:
    """Write a lever's value as people do.

    Examples
    --------
    >>> from simdeploy.experiments.levers import Lever
    >>> write_value(Lever("health_check.deadline", "duration"), 90.0)
    '1m30s'
    >>> write_value(Lever("max_failed_nodes", "whole"), 1e6)
    '1000000'
    """
    if lever.kind == "duration":
        return format_duration(round_half_up(exact(number) * NS_PER_S))
    return f"{number:.10g}"


def _tell_current(result: Tradeoff, lever: Lever) -> tuple[str, str]:
    """Say what isn't known of the policy, and where it stands."""
    rows = result.curves[result.curves["lever"].eq(lever.name) & result.curves["is_current"]]
    if rows.empty:
        return "", f"{result.policy} has no {lever.name}."
    stands, unknown = [], []
    for measure, (_, row) in zip(result.axes[:2], rows.iterrows(), strict=False):
        name = name_briefly(measure)
        if row["unknown_fraction"] > 0:
            of_policy = {result.policy: row["unknown_fraction"]}
            unknown.append(say_unknown(of_policy, name, is_conditional=measure.given is not None))
        elif math.isnan(row["estimate"]):
            unknown.append(f"nothing is known of {name}")
        else:
            stands.append(f"{name} {format_amount(row['estimate'], _scale(result, measure))}")
    told = f"{result.policy} stands at {' and '.join(stands)}." if stands else ""
    return " ".join(f"{said[0].upper()}{said[1:]}." for said in unknown), told


def _tell_default(result: Tradeoff, lever: Lever) -> str:
    value = _find_value(result, lever, "is_default")
    if value is None:
        return f"The API has no default of {lever.name} that it could have."
    word = write_value(lever, value)
    current = _find_value(result, lever, "is_current")
    if value == current:
        return f"Its {lever.name} {word} is the API's default."
    if current is None:
        return ""
    if result.improvement is not None and result.improvement["value"] == value:
        return f"{word} is the API's default."
    return f"The API's default, {lever.name} {word}, {_tell_changes(result, lever, value)}."


def _find_value(result: Tradeoff, lever: Lever, which: str) -> float | None:
    """Return the value of a lever that is the policy's own or the API's default, if there is one."""
    values = result.curves.loc[result.curves["lever"].eq(lever.name) & result.curves[which], "value"]
    return None if values.empty else float(values.iloc[0])


def _tell_changes(result: Tradeoff, lever: Lever, value: float) -> str:
    """Say what changes at a value, on the axes."""
    rows = result.differences[result.differences["lever"].eq(lever.name) & result.differences["value"].eq(value)]
    told = []
    for measure, row in zip(result.axes[:2], rows.to_dict("records"), strict=False):
        if row["verdict"] == "unknown" or not math.isnan(row["low"]):
            told.append(_tell_change(result, measure, row))
    told.sort(key=lambda part: part.startswith("leaves"))
    return join_words(told) if told else "has no value to compare"


def _tell_change(result: Tradeoff, measure: Measure, change: Mapping[Any, Any]) -> str:
    name, verdict, scale = name_briefly(measure), change["verdict"], _scale(result, measure)
    if verdict == "unknown":
        return f"leaves {name} unknown ({100 * change['unknown_fraction']:.3g} % of the rollouts never end)"
    if verdict == "equal":
        return f"leaves {name} as it is"
    by = format_interval(change["low"], change["high"], difference_scale(scale))
    if verdict == "unclear":
        return f"leaves {name} within {by}"
    rows = result.curves[result.curves["lever"].eq(change["lever"]) & result.curves["measure"].eq(str(measure))]
    there, here = rows[rows["value"].eq(change["value"])].iloc[0], rows[rows["is_current"]].iloc[0]
    if there["n"] != here["n"]:  # means over different rollouts, whose difference isn't the one that was estimated
        return f"changes {name} by {by}"
    before, after = (
        format_number(row["estimate"] * scale.factor, (row["high"] - row["low"]) / 2 * scale.factor)
        for row in (here, there)
    )
    return f"takes {name} from {before} to {after} {scale.unit}".rstrip() + f" (by {by})"


def _scale(result: Tradeoff, measure: Measure) -> Scale:
    """Return one scale for all values of a measure, so that they can be compared."""
    values = result.curves.loc[result.curves["measure"].eq(str(measure)), "estimate"]
    return scale_of(measure, values, find_cost_unit(result.computed_under))


def tabulate(result: Tradeoff) -> tuple[Table, ...]:
    """Return a table for each lever, that of the answer first."""
    levers = sorted(result.levers, key=lambda lever: lever.name != result.lever_of_interest)
    return tuple(_tabulate_lever(result, lever) for lever in levers)


def _tabulate_lever(result: Tradeoff, lever: Lever) -> Table:
    """Return the curve of a lever: a line for each value."""
    curve = result.curves[result.curves["lever"].eq(lever.name)]
    points = result.points[result.points["lever"].eq(lever.name)].set_index("value")
    frame = spread(curve, "value", "measure").sort_values("value")
    marks = curve.drop_duplicates("value").set_index("value")
    frame = frame.assign(
        named=[_name_value(lever, value, marks.loc[value]) for value in frame["value"]],
        verdict=frame["value"].map(points["verdict"]),
    )
    columns = (
        Column("named", lever.name),
        *(Column(str(of), describe_measure(of), "estimate", _scale(result, of)) for of in result.axes),
        Column("verdict", "against the policy", "verdict"),
    )
    level = percent(result.confidence_level)
    title = f"{lever.name}, with a {level} band over {len(frame)} values and {len(result.axes)} measures"
    return make_table(title, frame, columns)


def _name_value(lever: Lever, value: float, row: pd.Series[Any]) -> str:
    marks = [mark for mark, column in (("policy", "is_current"), ("default", "is_default")) if row[column]]
    return write_value(lever, value) + (f" ({', '.join(marks)})" if marks else "")
