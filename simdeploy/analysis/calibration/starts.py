"""How often attempts to start fail or hang, and how much that varies between rollouts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.calibration.parameters import FEWEST_FOR_SPREAD, NO_SPREAD, Parameter, find_drop, ratio_interval
from simdeploy.statistics.beta_binomial import BetaBinomial
from simdeploy.statistics.intervals import proportion_interval

if TYPE_CHECKING:
    import pandas as pd


def count_by_rollout(frame: pd.DataFrame, counted: str, total: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return two counts by rollout, for rollouts in which the second is not 0."""
    sums = frame.groupby("rollout")[list(dict.fromkeys([counted, *total]))].sum()
    totals = sums[total].sum(axis=1)
    return sums.loc[totals > 0, counted].to_numpy(), totals[totals > 0].to_numpy()


def fit_fraction(
    path: str, counted: np.ndarray, total: np.ndarray, *, n_nodes: int, confidence_level: float, note: str = ""
) -> list[Parameter]:
    """Fit a fraction that varies between rollouts: its mean and, if any, its spread.

    With a spread the parameters are those of a beta distribution, otherwise a constant and a spread of 0.
    """
    n = len(total)
    rest = (n, n_nodes)
    if n < FEWEST_FOR_SPREAD:
        estimate, low, high = ratio_interval(counted, total, confidence_level)
        if n > 1:
            alike = _limit_if_shared(counted, total, confidence_level)
            least = alike or proportion_interval(int(counted.sum()), int(total.sum()), confidence_level)
            low, high = min(low, least[0]), max(high, least[1])
        return [
            Parameter(path, estimate, low, min(high, 1.0), *rest, note=note),
            Parameter(f"{path}.beta.sd", 0.0, math.nan, math.nan, *rest, source="assumed", note=NO_SPREAD),
        ]
    alike = _limit_if_shared(counted, total, confidence_level)
    if alike is None:
        counts = BetaBinomial(counted, total)
        best = counts.fit()
        drop = find_drop(n, confidence_level)
        mean, sd = counts.read(best.x)
        low, high = counts.limit_mean(best, drop=drop)
        low_sd, high_sd = counts.limit_sd(best, drop=drop)
    else:
        mean, sd, (low, high), low_sd = float(counted.any()), 0.0, alike, 0.0
        high_sd = math.sqrt((high - low) * (1 - high + low))
    parameters = [Parameter(f"{path}.beta.mean" if sd else path, mean, low, high, *rest, note=note)]
    varies = "how much it varies from rollout to rollout"
    return [
        *parameters,
        Parameter(f"{path}.beta.sd", sd, low_sd if sd else 0.0, high_sd, *rest, note=varies),
    ]


def _limit_if_shared(counted: np.ndarray, total: np.ndarray, confidence_level: float) -> tuple[float, float] | None:
    """Return limits of a mean of 0 or 1, assuming the worst case that all attempts of a rollout share one fate; None for other means."""
    if counted.any() and (counted < total).any():
        return None
    n = len(total)
    return proportion_interval(n if counted.any() else 0, n, confidence_level)
