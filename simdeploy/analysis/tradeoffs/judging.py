"""What moving the thresholds of a policy is worth: only what the intervals of the differences support."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from simdeploy.analysis.asking.verdicts import join_verdicts
from simdeploy.analysis.frames import make_frame

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.scenario.measures import Measure

POINT = {"lever": "str", "value": "float64", "is_default": "bool", "steps": "int64", "verdict": "str"}


class Conclusion(NamedTuple):
    """What is concluded from the differences of all values.

    Attributes
    ----------
    points : DataFrame
        As `Tradeoff` has it.
    improvement : dict or None
        The nearest sure improvement: the fewest values away, of equally near ones the clearest. One that errs less often
        comes before one that is only quicker.
    lever_of_interest : str
        That of the improvement; without one, whose default differs most clearly from what the policy has, else the first.
    """

    points: pd.DataFrame
    improvement: dict[str, Any] | None
    lever_of_interest: str


def conclude(curves: pd.DataFrame, differences: pd.DataFrame, axes: Sequence[Measure]) -> Conclusion:
    """Judge each value of each lever by x and y, the first two axes.

    Parameters
    ----------
    curves, differences : DataFrame
        As `Tradeoff` has them.
    """
    kinds = {str(measure): measure.kind for measure in axes[:2]}
    of_levers = curves.drop_duplicates(["lever", "value"])
    places = {point: place for place, point in enumerate(zip(of_levers["lever"], of_levers["value"], strict=True))}
    is_own = of_levers["is_current"].tolist()
    current = {lever: value for (lever, value), place in places.items() if is_own[place]}
    points = []
    for (lever, value), of_point in differences[differences["measure"].isin(list(kinds))].groupby(
        ["lever", "value"], sort=False
    ):
        changes = of_point.to_dict("records")
        better = [change for change in changes if change["verdict"] == "better"]
        sure = [change for change in changes if change["low"] > 0 or change["high"] < 0]
        point = {
            "lever": lever,
            "value": value,
            "current": current[lever],
            "is_default": changes[0]["is_default"],
            "steps": abs(places[lever, value] - places[lever, current[lever]]),
            "verdict": join_verdicts([change["verdict"] for change in changes]),
            "errs_less": any(kinds[change["measure"]] == "rate" for change in better),
            "clarity": max(map(_clarity, better), default=0.0),
            "largest": max(map(_clarity, sure), default=None),
        }
        points.append(point)
    improvements = [point for point in points if point["verdict"] == "better"]
    nearest = min(improvements, key=lambda one: (not one["errs_less"], one["steps"], -one["clarity"]), default=None)
    defaults = [point for point in points if point["is_default"] and point["largest"] is not None]
    told = nearest or max(defaults, key=lambda one: one["largest"], default=None)
    return Conclusion(
        points=make_frame(points, POINT),
        improvement=None if nearest is None else {name: nearest[name] for name in ("lever", "value", "current")},
        lever_of_interest=str(curves["lever"].iloc[0] if told is None else told["lever"]),
    )


def _clarity(change: Mapping[Any, Any]) -> float:
    """Return how large a change is, in half-widths of its interval."""
    half_width = (change["high"] - change["low"]) / 2
    return abs(change["estimate"]) / half_width if half_width > 0 else math.inf if change["estimate"] else 0.0
