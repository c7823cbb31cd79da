"""How well a family fits censored durations: the Kolmogorov-Smirnov distance, and its parametric bootstrap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simdeploy.statistics.censored import Durations
from simdeploy.statistics.lifetimes import LIFETIMES
from simdeploy.statistics.maximizing import Maximum, find_curvature, step_by_score
from simdeploy.statistics.shared_scale import HANG, LEAST_LOG, LOCATION, SHAPE, SPREAD, SharedScale

# The test uses whole rollouts with about this many nodes; with more, even negligible distances would be significant.
_MOST_NODES = 20_000


@dataclass(frozen=True)
class Goodness:
    """The distance of the data from a fitted law."""

    # The largest difference between the distribution functions: Kaplan and Meier's estimate, and the fitted one.
    distance: float
    p: float  # the probability of a larger distance if the family is right; NaN without a bootstrap
    # values, levels: Kaplan and Meier's function: times divided by slowdowns, ascending, and the fraction up to each
    values: np.ndarray
    levels: np.ndarray


def measure_goodness(
    model: SharedScale,  # the likelihood
    best: Maximum,  # its maximum
    data: Durations,
    *,
    limit_s: np.ndarray,  # how long each row would have been watched; infinite without a limit
    fixed: tuple[int, ...],  # parameters that were not fitted
    samples: int,  # of the bootstrap: each is drawn from the fit, and compared with its own fit; 0 for no p-value
    seed: int,
) -> Goodness:
    """Compare first attempts with the fitted law.

    Notes
    -----
    Each sample is fitted by one scoring step from the fit that it was drawn from, which is asymptotically equivalent to the maximum.
    """
    is_first = data.attempts == 1
    first, limits = data.of(is_first), np.maximum(limit_s[is_first], data.time[is_first])
    distance, values, levels = _measure(model, best.x, first)
    if not samples or not len(values):
        return Goodness(distance, math.nan, values, levels)
    groups = np.unique(first.group)
    step = max(1, math.ceil(len(first) / _MOST_NODES))
    is_used = np.isin(first.group, groups[::step])
    used, limits = first.of(is_used), limits[is_used]
    observed = distance if step == 1 else _measure(model, best.x, used)[0]
    at_bound = {place for place in (SPREAD, HANG) if best.x[place] <= LEAST_LOG + 2}
    free = tuple(place for place in range(4) if place not in {*fixed, *at_bound})
    curvature = find_curvature(model if step == 1 else SharedScale(model.family, used), best.x, free)
    rng = np.random.default_rng(seed)
    larger = 0
    for _ in range(samples):
        drawn = _draw(model, best.x, used, limits, rng)
        if not drawn.ended.any():
            continue
        again = SharedScale(model.family, drawn)
        x = step_by_score(again, best.x, free, curvature)
        larger += _measure(again, x, drawn)[0] >= observed
    return Goodness(distance, (1 + larger) / (1 + samples), values, levels)


def _draw(
    model: SharedScale, x: np.ndarray, durations: Durations, limits: np.ndarray, rng: np.random.Generator
) -> Durations:
    """Draw durations from a fitted law, watched as the data were."""
    _, at = np.unique(durations.group, return_inverse=True)
    scales = math.exp(max(x[SPREAD], LEAST_LOG)) * rng.standard_normal(at.max() + 1)
    quantile = LIFETIMES[model.family].quantile(rng.random(len(durations)), math.exp(x[SHAPE]))
    time = np.exp(x[LOCATION] + scales[at]) * np.maximum(quantile, 1e-300)
    # Without a limit, an attempt can't be recognised as hanging.
    hangs = (rng.random(len(durations)) < math.exp(x[HANG])) & np.isfinite(limits)
    ended = (time <= limits) & ~hangs
    return Durations(at, np.where(ended, time, limits), np.ones(len(durations), int), ended)


def _measure(model: SharedScale, x: np.ndarray, data: Durations) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the distance, and Kaplan and Meier's function."""
    scales = model.find_scales(x)
    at = np.searchsorted(model.grouped.names, data.group)
    time = data.time * np.exp(-scales[np.minimum(at, len(scales) - 1)])
    order = np.lexsort((~data.ended, time))
    time, ended = time[order], data.ended[order]
    at_risk = len(time) - np.arange(len(time))
    level = 1 - np.exp(np.cumsum(np.log1p(-np.where(ended, 1 / np.maximum(at_risk, 1 + 1e-12), 0.0))))
    values, levels = time[ended], level[ended]
    if not len(values):
        return math.nan, values, levels
    fitted = 1 - LIFETIMES[model.family].survival(values * math.exp(-x[LOCATION]), math.exp(x[SHAPE]))
    fitted = fitted * (1 - math.exp(x[HANG]))
    before = np.concatenate([[0.0], levels[:-1]])
    return float(max(np.abs(levels - fitted).max(), np.abs(fitted - before).max())), values, levels
