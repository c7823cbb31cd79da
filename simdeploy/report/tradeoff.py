"""What the curves of a policy's thresholds say, in words: only what their intervals support."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from simdeploy.analysis.asking.directions import Direction, find_direction
from simdeploy.analysis.tradeoffs.lever_ranges import write_value
from simdeploy.report.wording import (
    PERCENT,
    Scale,
    describe_measure,
    difference_scale,
    format_estimate,
    format_number,
    join_words,
    measure_scale,
    say_unknown,
)
from simdeploy.result import Table

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.tradeoffs.moving import Tradeoff
    from simdeploy.experiments.levers import Lever
    from simdeploy.scenario.measures import Measure


class Change(NamedTuple):
    """How one measure differs at a point from what it is under the policy; `low` and `high` are NaN if unknown.

    `unknown_fraction` is the share of the rollouts, there or under the policy, that never end.
    """

    measure: Measure
    estimate: float
    low: float
    high: float
    unknown_fraction: float = 0.0

    @property
    def is_sure(self) -> bool:
        """Whether the interval says that it differs."""
        return self.low > 0 or self.high < 0

    @property
    def is_better(self) -> bool:
        """Whether it surely is better; of what has no better side nothing is."""
        return (self.low > 0 and self._better == "max") or (self.high < 0 and self._better == "min")

    @property
    def is_worse(self) -> bool:
        """Whether it surely is worse."""
        return self.is_sure and self._better is not None and not self.is_better

    @property
    def _better(self) -> Direction | None:
        return find_direction(self.measure)

    @property
    def clarity(self) -> float:
        """How large it is, in half-widths of its interval."""
        half_width = (self.high - self.low) / 2
        return abs(self.estimate) / half_width if half_width > 0 else math.inf if self.estimate else 0.0


class Point(NamedTuple):
    """A value of a lever, how many values it is away from the policy's own, and what changes there."""

    lever: Lever
    value: float
    steps: int
    is_default: bool
    changes: tuple[Change, ...]

    @property
    def is_improvement(self) -> bool:
        """Whether x or y is surely better and neither is surely worse, nor unknown."""
        on_axes = self.changes[:2]
        return any(change.is_better for change in on_axes) and not any(
            change.is_worse or change.unknown_fraction > 0 for change in on_axes
        )

    @property
    def errs_less(self) -> bool:
        """Whether what is better is a rate."""
        return any(change.is_better and change.measure.kind == "rate" for change in self.changes[:2])

    @property
    def clarity(self) -> float:
        """How clear the clearest improvement is."""
        return max((change.clarity for change in self.changes[:2] if change.is_better), default=0.0)


def list_points(result: Tradeoff) -> list[Point]:
    """Return every point that isn't the policy itself, with what changes there."""
    points, columns = [], ["estimate", "low", "high", "unknown_fraction"]
    for lever in result.levers:
        curve = result.curves[result.curves["lever"].eq(lever.name)]
        values = curve["value"].drop_duplicates().tolist()
        current = curve.loc[curve["is_current"], "value"].tolist()[:1]
        rows = result.differences[result.differences["lever"].eq(lever.name)]
        for value, of_point in rows.groupby("value"):
            changes = tuple(
                Change(measure, *row)
                for measure, row in zip(result.axes, of_point[columns].itertuples(index=False), strict=True)
            )
            steps = abs(values.index(value) - values.index(current[0]))
            points.append(Point(lever, float(value), steps, bool(of_point["is_default"].any()), changes))  # type: ignore[arg-type]
    return points


def find_improvement(result: Tradeoff) -> Point | None:
    """Return the nearest sure improvement: the fewest values away, of equally near ones the clearest.

    One that errs less often comes before one that is only quicker.
    """
    better = [point for point in list_points(result) if point.is_improvement]
    return min(better, key=lambda point: (not point.errs_less, point.steps, -point.clarity), default=None)


def tell(result: Tradeoff) -> str:
    """Say where the policy and the API's default stand, and what would be better."""
    improvement = find_improvement(result)
    points = list_points(result)
    lever = improvement.lever if improvement else _of_interest(result, points)
    sentences = [_tell_current(result, lever), _tell_default(result, lever, points, improvement)]
    if improvement is not None:
        sentences.append(f"{_instead(result, improvement)} {_tell_changes(result, improvement)}.")
    elif any(not math.isnan(change.low) for point in points for change in point.changes[:2]):
        x, y = (describe_measure(measure) for measure in result.axes[:2])
        others = "The only other value" if len(points) == 1 else f"None of the {len(points)} other values"
        sentences.append(
            f"{others} {'is not' if len(points) == 1 else 'is'} surely better in {x} or {y} "
            "without being surely worse in the other."
        )
    return " ".join(sentence for sentence in sentences if sentence)


def _of_interest(result: Tradeoff, points: list[Point]) -> Lever:
    """Return the lever whose default differs most clearly from what the policy has; the first one if none does."""
    defaults = [point for point in points if point.is_default and any(c.is_sure for c in point.changes[:2])]
    best = max(defaults, key=lambda point: max(c.clarity for c in point.changes[:2] if c.is_sure), default=None)
    return best.lever if best else result.levers[0]


def _tell_current(result: Tradeoff, lever: Lever) -> str:
    rows = result.curves[result.curves["lever"].eq(lever.name) & result.curves["is_current"]]
    if rows.empty:
        return f"{result.policy} has no {lever.name}."
    stands, unknown = [], []
    for measure, (_, row) in zip(result.axes[:2], rows.iterrows(), strict=False):
        name = describe_measure(measure)
        if row["unknown_fraction"] > 0:
            of_policy = {result.policy: row["unknown_fraction"]}
            unknown.append(say_unknown(of_policy, name, is_conditional=measure.given is not None))
        elif math.isnan(row["estimate"]):
            unknown.append(f"nothing is known of {name}")
        else:
            stands.append(f"{name} {_format(result, measure, row)}")
    told = [f"{result.policy} stands at {' and '.join(stands)}"] if stands else []
    return "; ".join([*told, *unknown]) + "."


def _tell_default(result: Tradeoff, lever: Lever, points: list[Point], improvement: Point | None) -> str:
    rows = result.curves[result.curves["lever"].eq(lever.name) & result.curves["is_default"]]
    if rows.empty:
        return f"The API has no default of {lever.name} that it could have."
    value = write_value(lever, float(rows["value"].iloc[0]))
    if rows["is_current"].any():
        return f"Its {lever.name} {value} is the API's default."
    for point in points:
        if point.lever == lever and point.is_default:
            if improvement is not None and point.value == improvement.value:
                return f"{value} is the API's default."
            return f"The API's default, {lever.name} {value}, {_tell_changes(result, point)}."
    return ""


def _instead(result: Tradeoff, point: Point) -> str:
    current = result.curves.loc[result.curves["lever"].eq(point.lever.name) & result.curves["is_current"], "value"]
    mine, its = (write_value(point.lever, float(value)) for value in (point.value, current.iloc[0]))
    return f"{point.lever.name} {mine} instead of {its}"


def _tell_changes(result: Tradeoff, point: Point) -> str:
    """Say what changes at a point: on the axes all of it, of the other measures what is sure."""
    told = [
        _tell_change(result, point, change)
        for place, change in enumerate(point.changes)
        if (place < 2 and (not math.isnan(change.low) or change.unknown_fraction > 0)) or change.is_sure
    ]
    told.sort(key=lambda part: part.startswith("leaves"))
    if not told:
        return "has no value to compare"
    return join_words(told)


def _tell_change(result: Tradeoff, point: Point, change: Change) -> str:
    measure = change.measure
    scale = _scale(result, measure)
    unit = difference_scale(scale).unit
    half_width = (change.high - change.low) / 2 * scale.factor
    # An end near 0 keeps the digits that tell it from 0.
    ends = (end * scale.factor for end in (change.low, change.high))
    low, high = (format_number(end, min(half_width, abs(end)), sign=True) for end in ends)
    by = f"{low} to {high} {unit}".rstrip()
    name = describe_measure(measure)
    if change.unknown_fraction > 0:
        return f"leaves {name} unknown ({100 * change.unknown_fraction:.3g} % of the rollouts never end)"
    if change.low == change.high == 0:
        return f"leaves {name} as it is"
    if not change.is_sure:
        return f"leaves {name} within {by}"
    rows = result.curves[result.curves["lever"].eq(point.lever.name) & result.curves["measure"].eq(str(measure))]
    there, here = rows[rows["value"].eq(point.value)].iloc[0], rows[rows["is_current"]].iloc[0]
    if there["n"] != here["n"]:  # means over different rollouts, whose difference isn't the one that was estimated
        return f"changes {name} by {by}"
    before, after = (
        format_number(row["estimate"] * scale.factor, (row["high"] - row["low"]) / 2 * scale.factor)
        for row in (here, there)
    )
    return f"takes {name} from {before} to {after} {scale.unit}".rstrip() + f" (by {by})"


def _scale(result: Tradeoff, measure: Measure) -> Scale:
    """Return one scale for all values of a measure, so that they can be compared."""
    if measure.is_fraction:
        return PERCENT
    estimates = result.curves.loc[result.curves["measure"].eq(str(measure)), "estimate"]
    return measure_scale(measure, float(estimates.max()))


def _format(result: Tradeoff, measure: Measure, row: pd.Series[Any]) -> str:
    return format_estimate(row["estimate"], row["low"], row["high"], _scale(result, measure))


def tabulate(result: Tradeoff) -> tuple[Table, ...]:
    """Return a table for each lever."""
    return tuple(_tabulate_lever(result, lever) for lever in result.levers)


def _tabulate_lever(result: Tradeoff, lever: Lever) -> Table:
    """Return the curve of a lever: a line for each value."""
    curve = result.curves[result.curves["lever"].eq(lever.name)]
    points = {point.value: point for point in list_points(result) if point.lever == lever}
    rows = []
    for value, of_point in curve.groupby("value"):
        first = of_point.iloc[0]
        marks = [text for text, is_it in (("policy", first["is_current"]), ("default", first["is_default"])) if is_it]
        name = write_value(lever, float(value)) + (f" ({', '.join(marks)})" if marks else "")  # type: ignore[arg-type]
        cells = [
            _format(result, measure, row) for measure, (_, row) in zip(result.axes, of_point.iterrows(), strict=True)
        ]
        rows.append((name, *cells, _judge(points.get(float(value)))))  # type: ignore[arg-type]
    level = 100 * result.confidence_level
    title = f"{lever.name}, with a {level:g} % band over {len(rows)} values and {len(result.axes)} measures"
    header = (lever.name, *(describe_measure(measure) for measure in result.axes), "against the policy")
    return Table(title, header, tuple(rows))


def _judge(point: Point | None) -> str:
    """Say how a point compares on the axes x and y, as far as that is sure."""
    if point is None:
        return ""
    if any(change.unknown_fraction > 0 for change in point.changes[:2]):
        return "not known"
    if point.is_improvement:
        return "better"
    is_better, is_worse = (any(getattr(c, what) for c in point.changes[:2]) for what in ("is_better", "is_worse"))
    if is_better and is_worse:
        return "trades"
    return "worse" if is_worse else "not sure"
