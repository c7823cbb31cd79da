"""Whether candidates meet requirements: settled in ever more worlds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.judging import MET, UNDECIDED, Judged, join, judge
from simdeploy.analysis.checking.sequential import plan_looks

if TYPE_CHECKING:
    from simdeploy.scenario.measures import Measure, Requirement

    OfMeasure = Mapping[Measure, np.ndarray]


def judge_candidates(
    measured: OfMeasure, requirements: Sequence[Requirement], error: float
) -> tuple[tuple[Judged, ...], np.ndarray]:
    """Judge each requirement of each candidate, and all of a candidate's together.

    Parameters
    ----------
    measured : mapping of Measure to ndarray, shape (candidates, worlds)
        NaN where there is no value, or what is given isn't so.
    error : float
        Of each verdict by itself.

    Returns
    -------
    judged : tuple of Judged
        One per requirement.
    overall : ndarray of str, shape (candidates,)
    """
    judged = tuple(judge(measured[requirement.measure], requirement, error) for requirement in requirements)
    n = len(next(iter(measured.values())))
    return judged, join(np.array([one.verdict for one in judged], dtype="<U9").reshape(-1, n).T)


def settle(
    measure: Callable[[np.ndarray, int, int], OfMeasure],
    numbers: np.ndarray,
    requirements: Sequence[Requirement],
    *,
    error: float,
    first: int,
    fewest: int,
    most: int,
    enough: int | None = None,
) -> tuple[np.ndarray, int]:
    r"""Simulate candidates until each is known to meet or to miss the requirements, or the budget is spent.

    Parameters
    ----------
    measure : callable
        Given candidates, the first world and how many.
    error : float
        Probability of a false verdict on one requirement of one candidate, over all looks.
    first : int
        The first world.
    fewest, most : int
        Worlds at the first and at the last look.
    enough : int, optional
        Stop when so many candidates are known to meet the requirements.

    Returns
    -------
    verdicts : ndarray of str
        One for each candidate; `UNDECIDED` where the budget or `enough` came first.
    end : int
        The first world that was not used.

    Notes
    -----
    Worlds double from look to look. The chance of error is divided by the number of looks, which the budget fixes
    beforehand (Bonferroni), so that looking often is no way to a verdict that isn't true.
    """
    looks = plan_looks(most, fewest)
    verdicts = np.full(len(numbers), UNDECIDED, dtype="<U9")
    kept: dict[Measure, np.ndarray] = {}
    done, open_ = 0, np.arange(len(numbers))
    for wanted in looks:
        more = measure(numbers[open_], first + done, wanted - done)
        kept = {m: np.concatenate([kept[m], values], axis=1) if kept else values for m, values in more.items()}
        done = wanted
        _, found = judge_candidates(kept, requirements, error / len(looks))
        verdicts[open_] = found
        still = found == UNDECIDED
        if not still.any() or (enough is not None and (verdicts == MET).sum() >= enough):
            break
        open_ = open_[still]
        kept = {m: values[still] for m, values in kept.items()}
    return verdicts, first + done
