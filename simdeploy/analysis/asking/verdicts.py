"""What the interval of a difference says: better, worse, equal, or what keeps that from being known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    from simdeploy.analysis.asking.directions import Direction

Verdict = Literal["better", "worse", "equal", "unclear", "unknown"]
# Of several differences together: one may be better, and another one worse.
JointVerdict = Literal[Verdict, "trades"]


@overload
def judge_difference(
    low: float, high: float, direction: Direction, *, unknown: bool = False, margin: float = 0.0
) -> Verdict: ...
@overload
def judge_difference(
    low: np.ndarray, high: np.ndarray, direction: Direction, *, unknown: np.ndarray | bool = False, margin: float = 0.0
) -> np.ndarray: ...
def judge_difference(
    low: float | np.ndarray,
    high: float | np.ndarray,
    direction: Direction,
    *,
    unknown: np.ndarray | bool = False,
    margin: float = 0.0,
) -> Verdict | np.ndarray:
    """Say whether one thing is better than another, from the interval of the first less the second.

    Parameters
    ----------
    low, high : float or ndarray
        NaN where there is no limit.
    direction : {'min', 'max'}
        Whether less or more is better.
    unknown : bool or ndarray of bool
        Whether nobody knows the difference, whatever the interval.
    margin : float, default 0
        Up to where a difference counts as none.

    Returns
    -------
    str or ndarray of str
        ``better`` or ``worse`` if all of the interval is beyond the margin, ``equal`` if all of it is within, else
        ``unclear``; or ``unknown``.

    Examples
    --------
    >>> [judge_difference(low, high, "min") for low, high in ((1.0, 2.0), (-2.0, -1.0), (0.0, 0.0), (-1.0, 1.0))]
    ['worse', 'better', 'equal', 'unclear']
    >>> judge_difference(np.array([1.0, 1.0, np.nan]), np.array([2.0, 2.0, 3.0]), "max", unknown=np.array([False, True, False]))
    array(['better', 'unknown', 'unclear'], dtype='<U7')
    """
    low, high = np.asarray(low), np.asarray(high)
    more, less = ("worse", "better") if direction == "min" else ("better", "worse")
    is_none = (low >= -margin) & (high <= margin)
    verdicts = np.select([unknown, low > margin, high < -margin, is_none], ["unknown", more, less, "equal"], "unclear")
    return verdicts if verdicts.ndim else cast("Verdict", verdicts.item())


def judge_change(low: float, high: float, direction: Direction | None, *, unknown: bool = False) -> Verdict | None:
    """Say the same of what may have no better side; None where such a thing surely differs.

    Examples
    --------
    >>> judge_change(1.0, 2.0, "min"), judge_change(1.0, 2.0, None), judge_change(-1.0, 2.0, None)
    ('worse', None, 'unclear')
    """
    verdict = judge_difference(low, high, direction or "min", unknown=unknown)
    return None if direction is None and verdict in ("better", "worse") else verdict


def join_verdicts(verdicts: Collection[Any]) -> JointVerdict:
    """Return one verdict for several differences; what is none of the words has no better side.

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
