"""Whether candidates meet requirements: judged for many candidates at once, and settled in ever more worlds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.checking.sequential import FEWEST_OF_A_MEAN, plan_looks
from simdeploy.statistics.estimators import quantile_place
from simdeploy.statistics.skewness import fewest_of_a_mean

if TYPE_CHECKING:
    from simdeploy.scenario.measures import Measure, Requirement

    OfMeasure = Mapping[Measure, np.ndarray]

MET, UNDECIDED, MISSED = 1, 0, -1


@dataclass(frozen=True)
class Judged:
    """Requirements of several candidates.

    Attributes
    ----------
    estimates : ndarray of float, shape (candidates, requirements)
    verdicts : ndarray of int8, shape (candidates, requirements)
        `MET`, `MISSED` or `UNDECIDED`.
    """

    estimates: np.ndarray
    verdicts: np.ndarray

    @property
    def overall(self) -> np.ndarray:
        """One verdict for each candidate: that of its worst requirement."""
        overall: np.ndarray = self.verdicts.min(axis=1, initial=MET)
        return overall


def judge(measured: OfMeasure, requirements: Sequence[Requirement], alpha: float) -> Judged:
    r"""Judge requirements by one-sided confidence bounds.

    Parameters
    ----------
    measured : mapping of Measure to ndarray, shape (candidates, worlds)
        NaN where there is no value, or what is given isn't so.
    requirements : sequence of Requirement
    alpha : float
        Probability that a requirement is said to be met though it isn't, or missed though it is met; of each
        candidate and requirement by itself.

    Notes
    -----
    A rate has the exact bounds of Clopper and Pearson (1934). A quantile is judged as the rate that it states:
    :math:`q_p \le L` iff :math:`P(X \le L) \ge p`, and :math:`q_p \ge L` iff :math:`P(X < L) \le p`. A mean has
    Student's t bounds, from 1,000 observations and 25 times the square of their skewness on (Cochran 1977, section 2.15).
    """
    estimates, verdicts = [], []
    for requirement in requirements:
        values = measured[requirement.measure]
        is_most, limit = requirement.at_most is not None, requirement.limit
        if requirement.measure.kind == "quantile":
            assert requirement.measure.quantile is not None  # noqa: S101 - so it is
            estimates.append(_quantiles(values, requirement.measure.quantile))
            is_below = values <= limit if is_most else values < limit
            values = np.where(np.isnan(values), np.nan, is_below)
            is_most, limit = not is_most, requirement.measure.quantile
        else:
            estimates.append(_means(values))
        is_rate = requirement.measure.kind != "mean"
        low, high = _rate_bounds(values, alpha) if is_rate else _mean_bounds(values, alpha)
        met, missed = (high <= limit, low > limit) if is_most else (low >= limit, high < limit)
        verdicts.append(np.where(met, MET, np.where(missed, MISSED, UNDECIDED)).astype(np.int8))
    shape = (len(next(iter(measured.values()))), len(requirements))
    return Judged(
        np.stack(estimates, axis=1) if estimates else np.zeros(shape),
        np.stack(verdicts, axis=1) if verdicts else np.zeros(shape, dtype=np.int8),
    )


def settle(
    measure: Callable[[np.ndarray, int, int], OfMeasure],
    numbers: np.ndarray,
    requirements: Sequence[Requirement],
    *,
    alpha: float,
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
    numbers : ndarray of int
    requirements : sequence of Requirement
    alpha : float
        Probability of a false verdict on one requirement of one candidate, over all looks.
    first : int
        The first world.
    fewest, most : int
        Worlds at the first and at the last look.
    enough : int, optional
        Stop when so many candidates are known to meet the requirements.

    Returns
    -------
    verdicts : ndarray of int8
        One for each candidate; `UNDECIDED` where the budget or `enough` came first.
    end : int
        The first world that was not used.

    Notes
    -----
    Worlds double from look to look. The chance of error is divided by the number of looks, which the budget fixes
    beforehand (Bonferroni), so that looking often is no way to a verdict that isn't true.
    """
    looks = plan_looks(most, fewest)
    verdicts = np.full(len(numbers), UNDECIDED, dtype=np.int8)
    kept: dict[Measure, np.ndarray] = {}
    done, open_ = 0, np.arange(len(numbers))
    for wanted in looks:
        more = measure(numbers[open_], first + done, wanted - done)
        kept = {m: np.concatenate([kept[m], values], axis=1) if kept else values for m, values in more.items()}
        done = wanted
        found = judge(kept, requirements, alpha / len(looks)).overall
        verdicts[open_] = found
        still = found == UNDECIDED
        if not still.any() or (enough is not None and (verdicts == MET).sum() >= enough):
            break
        open_ = open_[still]
        kept = {m: values[still] for m, values in kept.items()}
    return verdicts, first + done


def _means(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    n = known.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: np.ndarray = np.where(known, values, 0.0).sum(axis=1) / n
    return means


def _quantiles(values: np.ndarray, quantile: float) -> np.ndarray:
    """Return the smallest value that so large a part doesn't exceed, row by row."""
    ordered = np.sort(values, axis=1)  # NaN last
    n = (~np.isnan(values)).sum(axis=1).tolist()
    return np.array(
        [row[quantile_place(known, quantile)] if known else np.nan for row, known in zip(ordered, n, strict=True)]
    )


def _rate_bounds(values: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    from scipy.special import betaincinv

    known = ~np.isnan(values)
    n = known.sum(axis=1)
    successes = np.where(known, values, 0.0).sum(axis=1)
    with np.errstate(invalid="ignore"):
        low = np.where(successes > 0, betaincinv(np.maximum(successes, 1), n - successes + 1, alpha), 0.0)
        high = np.where(successes < n, betaincinv(successes + 1, np.maximum(n - successes, 1), 1 - alpha), 1.0)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def _mean_bounds(values: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    from scipy.special import stdtrit

    known = ~np.isnan(values)
    n = known.sum(axis=1)
    means = _means(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = np.where(known, (values - means[:, None]) ** 2, 0.0).sum(axis=1)
        half_width = stdtrit(n - 1, 1 - alpha) * np.sqrt(squares / (n - 1) / n)
    half_width = np.where(n >= np.fmax(FEWEST_OF_A_MEAN, fewest_of_a_mean(values)), half_width, np.nan)
    return means - half_width, means + half_width
