"""The tradeoff curves of a policy's settings, in words and as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.report import formatting, wording
from simdeploy.report.tables import Column, make_table, spread
from simdeploy.units import NS_PER_S, exact, round_half_up, write_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from simdeploy.analysis.tradeoffs.moving import Tradeoff
    from simdeploy.experiments.levers import Lever
    from simdeploy.result import Table
    from simdeploy.scenario.measures import Measure


def tell(result: Tradeoff) -> str:
    """Say which value is better, and how the current and the default value compare."""
    lever = next(lever for lever in result.levers if lever.name == result.lever_of_interest)
    improvement = result.improvement
    of_axes = result.differences[result.differences["measure"].isin([str(measure) for measure in result.axes[:2]])]
    verdict: str | list[str] = ""
    if improvement is not None:
        better, current = (write_value(lever, improvement[name]) for name in ("value", "current"))
        changes = _tell_changes(result, lever, improvement["value"])
        n_better = int(result.points["verdict"][result.points["lever"].eq(lever.name)].eq("better").sum())
        use, loss = f"{lever.name} {better} instead of {current}", _tell_loss(result, lever, improvement["value"])
        use = f"{use} costs more ({loss})" if loss else f"Use {use}"
        nearest = [f", the nearest of {n_better} better values"] if n_better > 1 else []
        verdict = [f"{use}{which}: {changes}" for which in (*nearest, "")]
    elif of_axes["low"].notna().any():
        x, y = (wording.name_briefly(measure) for measure in result.axes[:2])
        level = formatting.percent(result.confidence_level)
        verdict = f"No other value clearly improves {x} or {y} without worsening the other ({level} confidence)"
    unknown, current_values = _tell_current(result, lever)
    return wording.join_answer([verdict, *unknown, _tell_default(result, lever), current_values])


def write_value(lever: Lever, number: float) -> str:
    """Write the value of a setting.

    Examples
    --------
    >>> from simdeploy.experiments.levers import Lever
    >>> write_value(Lever("health_check.deadline", "duration"), 90.0)
    '1m30s'
    >>> write_value(Lever("max_failed_nodes", "whole"), 1e6)
    '1000000'
    """
    if lever.kind == "duration":
        return write_duration(round_half_up(exact(number) * NS_PER_S))
    return f"{number:.10g}"


def _tell_current(result: Tradeoff, lever: Lever) -> tuple[list[str], str]:
    """Say what is unknown about the current policy, and what is known."""
    rows = result.curves[result.curves["lever"].eq(lever.name) & result.curves["is_current"]]
    if rows.empty:
        return [], f"{result.policy} has no {lever.name}"
    known, unknown = [], []
    for measure, (_, row) in zip(result.axes[:2], rows.iterrows(), strict=False):
        name = wording.name_briefly(measure)
        if row["unknown_fraction"] > 0:
            of_policy = {result.policy: row["unknown_fraction"]}
            unknown.append(wording.say_unknown(of_policy, name, is_conditional=measure.given is not None))
        elif math.isnan(row["estimate"]):
            unknown.append(f"{wording.capitalize(name)} unknown for {result.policy}")
        else:
            scale = _scale(result, measure)
            known.append(f"{name} {formatting.write_without_interval(row, scale)}")
    current = write_value(lever, float(rows["value"].iloc[0]))
    default = ", the API default" if rows["is_default"].iloc[0] else ""
    values = f"{lever.name} {current} (current{default})"
    if known:
        return unknown, f"{values}: {', '.join(known)}"
    return unknown, f"The current {lever.name} {current} is the API default" if default else ""


def _drop_tiny(value: float, scale: formatting.Scale) -> float:
    """Return 0 instead of a percentage that tables write as 0."""
    is_tiny = scale.factor == formatting.PERCENT.factor and abs(value) * scale.factor < 10.0**formatting.LEAST_EXACT
    return 0.0 if is_tiny else value


def _tell_default(result: Tradeoff, lever: Lever) -> str:
    value = _find_value(result, lever, "is_default")
    if value is None:
        return f"No API default of {lever.name} applies"
    word = write_value(lever, value)
    current = _find_value(result, lever, "is_current")
    if current is None or value == current:
        return ""
    if result.improvement is not None and result.improvement["value"] == value:
        return f"{word} is the API default"
    return f"API default {lever.name} {word}: {_tell_changes(result, lever, value)}"


def _find_value(result: Tradeoff, lever: Lever, which: str) -> float | None:
    """Return the current or the default value of a setting, if there is one."""
    values = result.curves.loc[result.curves["lever"].eq(lever.name) & result.curves[which], "value"]
    return None if values.empty else float(values.iloc[0])


def _tell_changes(result: Tradeoff, lever: Lever, value: float) -> str:
    """Say what a value changes on the axes, changes first."""
    rows = result.differences[result.differences["lever"].eq(lever.name) & result.differences["value"].eq(value)]
    changes: list[str] = []
    others: list[str] = []
    for measure, row in zip(result.axes[:2], rows.to_dict("records"), strict=False):
        if row["verdict"] == "unknown" or not math.isnan(row["low"]):
            is_changed = row["verdict"] not in ("unknown", "equal", "unclear")
            (changes if is_changed else others).append(_tell_change(result, measure, row))
    return ", ".join([*changes, *others]) or "no value to compare"


def _tell_loss(result: Tradeoff, lever: Lever, value: float) -> str:
    """Say how much more a value costs; empty if it may cost less, or if costs are on the axes."""
    rows = result.differences[result.differences["lever"].eq(lever.name) & result.differences["value"].eq(value)]
    for measure, row in zip(result.axes[2:], rows.iloc[2:].to_dict("records"), strict=False):
        if measure.of == "cost" and row["verdict"] == "worse":
            return _write_difference(row, formatting.difference_scale(_scale(result, measure)))
    return ""


def _tell_change(result: Tradeoff, measure: Measure, change: Mapping[Any, Any]) -> str:
    name, verdict, scale = wording.name_briefly(measure), change["verdict"], _scale(result, measure)
    if verdict == "unknown":
        return f"{name} unknown ({100 * change['unknown_fraction']:.3g} % of the rollouts never end)"
    if verdict == "equal":
        return f"{name} unchanged"
    if verdict == "unclear" and change["low"] == change["high"] == 0:
        return f"no change in {name} was seen"
    by = _write_difference(change, formatting.difference_scale(scale))
    if verdict == "unclear":
        return f"no clear change in {name} ({by})"
    rows = result.curves[result.curves["lever"].eq(change["lever"]) & result.curves["measure"].eq(str(measure))]
    changed, current = rows[rows["value"].eq(change["value"])].iloc[0], rows[rows["is_current"]].iloc[0]
    if changed["n"] != current["n"]:  # means over different rollouts don't match the estimated difference
        return f"{name} changed by {by}"
    before, after = (
        formatting.format_number(row["estimate"] * scale.factor, (row["high"] - row["low"]) / 2 * scale.factor)
        if row["low"] < row["high"]
        else f"{_drop_tiny(row['estimate'], scale) * scale.factor:.3g}"
        for row in (current, changed)
    )
    return f"{name} from {before} to {after} {scale.unit}".rstrip() + f" (by {by})"


def _write_difference(change: Mapping[Any, Any], scale: formatting.Scale) -> str:
    """Write the interval of a difference, or a difference that is known."""
    if change["low"] == change["high"]:
        return f"{_drop_tiny(change['low'], scale) * scale.factor:+.3g} {scale.unit}".rstrip()
    return formatting.format_interval(change["low"], change["high"], scale)


def _scale(result: Tradeoff, measure: Measure) -> formatting.Scale:
    """Return one scale for all values of a measure, so that they compare."""
    values = result.curves.loc[result.curves["measure"].eq(str(measure)), "estimate"]
    return formatting.scale_of(measure, values, formatting.find_cost_unit(result.computed_under))


def tabulate(result: Tradeoff) -> tuple[Table, ...]:
    """Return a table for each setting, first the one named in the answer."""
    levers = sorted(result.levers, key=lambda lever: lever.name != result.lever_of_interest)
    return tuple(_tabulate_lever(result, lever) for lever in levers)


def _tabulate_lever(result: Tradeoff, lever: Lever) -> Table:
    """Return the curve of a setting, a row for each value."""
    curve = result.curves[result.curves["lever"].eq(lever.name)]
    points = result.points[result.points["lever"].eq(lever.name)].set_index("value")
    frame = spread(curve, "value", "measure").sort_values("value")
    marks = curve.drop_duplicates("value").set_index("value")
    frame = frame.assign(
        named=name_values(lever, marks.loc[frame["value"]].reset_index()),
        verdict=frame["value"].map(points["verdict"]).replace(wording.VERDICTS),
    )
    columns = (
        Column("named", lever.name),
        *(Column(str(of), describe_measure(of), "estimate", _scale(result, of)) for of in result.axes),
        Column("verdict", "against current"),
    )
    level = formatting.percent(result.confidence_level)
    title = f"{lever.name} ({level} CI for all cells together)"
    return make_table(title, frame, columns)


def name_values(lever: Lever, rows: pd.DataFrame) -> list[str]:
    """Return the values of a setting, marked if they are current or default."""
    names = []
    for value, *flags in rows[["value", "is_current", "is_default"]].itertuples(index=False):
        marks = ", ".join(mark for mark, is_so in zip(("current", "default"), flags, strict=True) if is_so)
        names.append(write_value(lever, value) + (f" ({marks})" if marks else ""))
    return names
