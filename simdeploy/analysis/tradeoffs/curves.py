"""Curves of estimates with simultaneous intervals, and the conclusions they support."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from simdeploy.analysis.asking.verdicts import find_direction, join_verdicts, judge_if_known
from simdeploy.result import INTERVAL, make_frame
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import Estimate, estimate_cases, estimate_differences
from simdeploy.statistics.levels import share_out
from simdeploy.statistics.sample import Sample, as_sample

# Known rates have no sampling error, so any difference would be significant; ignore differences below this.
_LEAST_OF_A_RATE = 1e-4

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from simdeploy.analysis.tradeoffs.lever_ranges import LeverRange

CURVE = {
    "lever": "str",
    "value": "float64",
    "is_default": "bool",
    "is_current": "bool",
    "measure": "str",
    **INTERVAL,
    "n": "int64",
    "is_trusted": "bool",
    "unknown_fraction": "float64",
}
DIFFERENCE = {**CURVE, "verdict": "str"}

POINT = {"lever": "str", "value": "float64", "is_default": "bool", "steps": "int64", "verdict": "str"}


def estimate_band(
    points: Mapping[Measure, np.ndarray | Sample], confidence_level: float
) -> dict[Measure, list[Estimate]]:
    """Estimate measures at several points with intervals that hold together (Bonferroni over points and measures).

    Values of each measure have shape (points, replications).

    Examples
    --------
    >>> import numpy as np
    >>> rate = Measure("false_alarm")
    >>> estimate_band({rate: np.array([[0.0], [1.0]])}, 0.5)[rate][0][:3]
    (0.0, 0.0, 0.875)
    """
    level = share_out(confidence_level, sum(len(values) for values in points.values()))
    return {measure: estimate_cases(as_sample(values), measure, level) for measure, values in points.items()}


def estimate_curves(
    ranges: Sequence[LeverRange],
    values: Mapping[Measure, np.ndarray | Sample],
    unknown: Mapping[Measure, np.ndarray],
    confidence_level: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Estimate measures at every point of every setting, and differences from the current policy; return tables of `Tradeoff`.

    Values of each measure, shape (points, replications), and unknown fractions are ordered setting by setting. The
    level holds for all intervals of one setting together, and for all differences together.
    """
    n_moved = sum(len(varied.numbers) - 1 for varied in ranges if varied.current is not None)
    level = share_out(confidence_level, n_moved * len(values))
    curve_rows, difference_rows = [], []
    start = 0
    for varied in ranges:
        here = slice(start, start + len(varied.numbers))
        start = here.stop
        of_lever = {measure: of[here] for measure, of in values.items()}
        band = estimate_band(of_lever, confidence_level)
        current = None if varied.current is None else varied.numbers.index(varied.current)
        differences = {} if current is None else _compare(of_lever, current, level)
        for place, number in enumerate(varied.numbers):
            of_point = {
                "lever": varied.lever.name,
                "value": number,
                "is_default": number == varied.default,
                "is_current": place == current,
            }
            for measure in of_lever:
                fractions, point = unknown[measure][here], of_point | {"measure": str(measure)}
                curve_rows.append(point | band[measure][place].to_row() | {"unknown_fraction": fractions[place]})
                if current is not None and place != current:
                    fraction = fractions[[place, current]].max()
                    least = _LEAST_OF_A_RATE if measure.kind == "rate" else 0.0
                    difference, verdict = judge_if_known(
                        differences[measure][place], find_direction(measure), is_unknown=fraction > 0, least=least
                    )
                    judged = {"unknown_fraction": fraction, "verdict": verdict}
                    difference_rows.append(point | difference.to_row() | judged)
    return make_frame(curve_rows, CURVE), make_frame(difference_rows, DIFFERENCE)


def _compare(
    points: Mapping[Measure, np.ndarray | Sample], current: int, level: float
) -> dict[Measure, list[Estimate]]:
    """Return the differences of all points from the current one."""
    samples = {measure: as_sample(values) for measure, values in points.items()}
    return {
        measure: estimate_differences(of, of[[current] * len(of)], measure, level) for measure, of in samples.items()
    }


class Conclusion(NamedTuple):
    """What the differences of all values imply, as in `Tradeoff`."""

    points: pd.DataFrame
    improvement: dict[str, Any] | None
    lever_of_interest: str


def conclude(curves: pd.DataFrame, differences: pd.DataFrame, axes: Sequence[Measure]) -> Conclusion:
    """Judge each value of each setting by x and y, the first two axes."""
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
        sure = [change for change in changes if change["verdict"] not in ("equal", "unclear", "unknown")]
        point = {
            "lever": lever,
            "value": value,
            "current": current[lever],
            "is_default": changes[0]["is_default"],
            "steps": abs(places[lever, value] - places[lever, current[lever]]),
            "verdict": join_verdicts([change["verdict"] for change in changes]),
            "errs_less": any(kinds[change["measure"]] == "rate" for change in better),
            "clarity": max(map(_change_in_half_widths, better), default=0.0),
            "largest": max(map(_change_in_half_widths, sure), default=None),
        }
        points.append(point)
    improvements = [point for point in points if point["verdict"] == "better"]
    nearest = min(improvements, key=lambda of: (not of["errs_less"], of["steps"], -of["clarity"]), default=None)
    defaults = [point for point in points if point["is_default"] and point["largest"] is not None]
    of_interest = nearest or max(defaults, key=lambda of: of["largest"], default=None)
    return Conclusion(
        points=make_frame(points, POINT),
        improvement=None if nearest is None else {name: nearest[name] for name in ("lever", "value", "current")},
        lever_of_interest=str(curves["lever"].iloc[0] if of_interest is None else of_interest["lever"]),
    )


def _change_in_half_widths(change: Mapping[Any, Any]) -> float:
    """Return the size of a change in half-widths of its interval."""
    half_width = (change["high"] - change["low"]) / 2
    return abs(change["estimate"]) / half_width if half_width > 0 else math.inf if change["estimate"] else 0.0
