"""Which direction is better, and the verdict that the interval of a difference supports."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, cast, overload

import numpy as np

from simdeploy.errors import InputError, not_among
from simdeploy.responses import ALL_RESPONSES
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import NO_ESTIMATE, Estimate
from simdeploy.vocabulary import COSTS

DifferenceVerdict = Literal["better", "worse", "equal", "unclear", "unknown"]
# A verdict on several differences: "trades" if some are better and others worse.
JointVerdict = Literal[DifferenceVerdict, "trades"]

# Why a verdict on a difference is ``unclear``.
CONTAINS_0 = "the interval of the difference contains 0"
UNTRUSTED = "the interval of the difference can't be trusted"

Direction = Literal["min", "max"]

_NUMBERS: dict[str, Direction] = {
    **{response.name: response.better for response in ALL_RESPONSES if response.better},
    **dict.fromkeys(COSTS, "min"),
}
_VERDICTS: dict[str, Direction] = {
    "completed_good": "max",
    "stopped_defective": "max",
    "false_alarm": "min",
    "escaped": "min",
}


@overload
def judge_difference(low: float, high: float, direction: Direction, *, unknown: bool = False) -> DifferenceVerdict: ...
@overload
def judge_difference(
    low: np.ndarray, high: np.ndarray, direction: Direction, *, unknown: np.ndarray | bool = False
) -> np.ndarray: ...
def judge_difference(
    low: float | np.ndarray,
    high: float | np.ndarray,
    direction: Direction,
    *,
    unknown: np.ndarray | bool = False,
) -> DifferenceVerdict | np.ndarray:
    """Return the verdict on the first of two means, given an interval of the first minus the second; an unknown limit is NaN.

    ``better`` or ``worse`` if the whole interval is beyond 0, ``equal`` if it is exactly 0, otherwise ``unclear``;
    ``unknown``, whatever the interval, if `unknown`.

    Examples
    --------
    >>> [judge_difference(low, high, "min") for low, high in ((1.0, 2.0), (-2.0, -1.0), (0.0, 0.0), (-1.0, 1.0))]
    ['worse', 'better', 'equal', 'unclear']
    >>> judge_difference(np.array([1.0, 1.0, np.nan]), np.array([2.0, 2.0, 3.0]), "max", unknown=np.array([False, True, False]))
    array(['better', 'unknown', 'unclear'], dtype='<U7')
    """
    low, high = np.asarray(low), np.asarray(high)
    more, less = ("worse", "better") if direction == "min" else ("better", "worse")
    verdicts = np.select(
        [unknown, low > 0, high < 0, (low == 0) & (high == 0)], ["unknown", more, less, "equal"], "unclear"
    )
    return verdicts if verdicts.ndim else cast("DifferenceVerdict", verdicts.item())


def why_unclear(verdict: str | None, *, is_trusted: bool) -> str:
    """Return the reason for a verdict on a difference if it is ``unclear``, otherwise an empty text.

    Examples
    --------
    >>> why_unclear("unclear", is_trusted=False), why_unclear("better", is_trusted=False)
    ("the interval of the difference can't be trusted", '')
    """
    if verdict != "unclear":
        return ""
    return CONTAINS_0 if is_trusted else UNTRUSTED


def judge_change(
    low: float, high: float, direction: Direction | None, *, unknown: bool = False, least: float = 0.0
) -> DifferenceVerdict | None:
    """Return the same for a measure that may have no better side; None if such a measure differs significantly.

    If the whole interval is within `least` of 0, the means count as equal.

    Examples
    --------
    >>> judge_change(1.0, 2.0, "min"), judge_change(1.0, 2.0, None), judge_change(-1.0, 2.0, None)
    ('worse', None, 'unclear')
    >>> judge_change(1e-9, 1e-9, "min", least=1e-4)
    'equal'
    """
    if not unknown and -least <= low and high <= least:
        return "equal"
    verdict = judge_difference(low, high, direction or "min", unknown=unknown)
    return None if direction is None and verdict in ("better", "worse") else verdict


def judge_if_known(
    difference: Estimate, direction: Direction | None, *, is_unknown: bool, least: float = 0.0
) -> tuple[Estimate, DifferenceVerdict | None]:
    """Return a difference with its verdict, as by `judge_change`; an unknown value has no difference.

    Examples
    --------
    >>> difference, verdict = judge_if_known(Estimate(2.0, 1.0, 3.0, 9, 0.5), "min", is_unknown=True)
    >>> difference.estimate, difference.n, verdict
    (nan, 9, 'unknown')
    """
    verdict = judge_change(*difference.limits, direction, unknown=is_unknown, least=least)
    return NO_ESTIMATE._replace(n=difference.n) if is_unknown else difference, verdict


def join_verdicts(verdicts: Collection[Any]) -> JointVerdict:
    """Return one verdict for several differences; a value that is not a verdict has no better side.

    Examples
    --------
    >>> join_verdicts(["better", "unclear"]), join_verdicts(["better", "worse"]), join_verdicts(["equal", "equal"])
    ('better', 'trades', 'equal')
    >>> join_verdicts(["better", "unknown"]), join_verdicts(["unclear", None])
    ('unknown', 'unclear')
    """
    if "unknown" in verdicts:
        return "unknown"
    if "better" in verdicts:
        return "trades" if "worse" in verdicts else "better"
    if "worse" in verdicts:
        return "worse"
    return "equal" if set(verdicts) == {"equal"} else "unclear"


def find_direction(measure: Measure) -> Direction | None:
    """Return whether lower or higher is better for a measure; None if neither.

    Examples
    --------
    >>> [find_direction(Measure(name)) for name in ("makespan_s", "completed_good", "waves")]
    ['min', 'max', None]
    """
    return (_VERDICTS if measure.kind == "rate" else _NUMBERS).get(measure.of)


def read_direction(direction: Any, measure: Measure) -> Direction:
    """Return whether lower or higher is better: as given ("min" or "max"), otherwise by `find_direction`, otherwise
    lower.

    Examples
    --------
    >>> read_direction(None, Measure("waves")), read_direction("max", Measure("waves"))
    ('min', 'max')
    """
    if direction is None:
        return find_direction(measure) or "min"
    if direction not in ("min", "max"):
        raise InputError(not_among("invalid direction", ("direction",), direction, ("min", "max")))
    return "min" if direction == "min" else "max"
