"""Combines the estimates of kinds of release into one probability, with its interval and doubts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simdeploy.analysis.rare.kinds import IMMATERIAL, Kind
from simdeploy.analysis.rare.result import KIND_COLUMNS, Doubt, plain_rollouts
from simdeploy.errors import plural
from simdeploy.result import make_frame
from simdeploy.statistics.intervals import proportion_interval
from simdeploy.statistics.levels import normal_quantile
from simdeploy.statistics.weights import find_beyond, log_interval, plain_mean

# Errors below this fraction of the estimate are rounding errors.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Part:
    """The estimate of one kind of release, from independent units: rollouts, or repetitions of splitting."""

    kind: Kind
    happened: np.ndarray  # for each unit, an unbiased estimate of the probability of the event given the kind
    concerned: np.ndarray  # the same for its condition
    n: int  # rollouts
    n_pilot: int
    n_hits: int
    effective_hits: float
    n_plain: int  # rollouts without weights or levels, if their shares are the estimates; otherwise 0
    n_touched: float  # nodes dispatched in all rollouts
    plain_touched: float  # nodes dispatched in a rollout of the scenario, on average
    doubts: tuple[Doubt, ...]
    limit: float = 1.0  # upper limit of the probability given the kind, whatever the doubts
    mean_weight: float = math.nan
    mean_weight_error: float = math.nan
    tilt: str = ""
    levels: str = ""


def combine(parts: Sequence[Part], condition: float | None, confidence_level: float, n_failed: int) -> dict[str, Any]:
    r"""Return the fields of a `Rare` that follow from the estimates of all kinds; NaN where there are doubts.

    Notes
    -----
    With known probabilities :math:`p_k` of the kinds, the estimate is :math:`\sum p_k \hat q_k / c` and its error
    :math:`(\sum p_k^2 s_k^2)^{1/2} / c` (Cochran 1977 [1]_, sections 5.3 and 5.4), where c is the probability of the condition. If c is
    estimated, too, the error is that of a ratio. Kinds of plain rollouts have exact limits, the others together a log interval with
    Satterthwaite's degrees of freedom [1]_ (section 5.4, eq. 5.16), whose upper limit allows for large values that are missing from
    the sample. Both are combined by the method of Zou and Donner (2008 [2]_). Doubts about a kind are ignored if its part is below
    a tenth of the rest even at its upper limit, which is then added to the upper end of the interval.

    References
    ----------
    .. [1] Cochran, W. G. (1977). Sampling Techniques, 3rd edition. Wiley.
    .. [2] Zou, G. Y. and Donner, A. (2008). Construction of confidence limits about effect measures: a general approach.
       Statistics in Medicine 27(10), 1693-1702.
    """
    p = np.array([part.kind.probability for part in parts])
    # The mean of nothing is NaN, for example if all rollouts of a kind failed.
    q = np.array([plain_mean(part.happened)[0] for part in parts])
    c = float(p @ [plain_mean(part.concerned)[0] for part in parts]) if condition is None else condition
    probability = float(p @ q) / c if c else math.nan
    slope = probability if condition is None else 0.0
    scales = p / c if c else np.full(len(parts), math.nan)
    spreads = scales * [_find_error(part, slope, confidence_level) for part in parts]
    error = math.sqrt((spreads**2).sum())

    is_doubted = np.array([bool(part.doubts) for part in parts])
    certain = float(p[~is_doubted] @ q[~is_doubted])
    possible = float(sum(part.kind.probability * part.limit for part in parts if part.doubts))
    is_immaterial = possible <= IMMATERIAL * certain and not math.isnan(probability)
    doubts = [] if is_immaterial else _tell_doubts(parts)
    if n_failed:
        doubts.insert(0, Doubt(f"{plural(n_failed, 'rollout')} failed", None))
    n_rollouts, n_pilot = sum(part.n for part in parts), sum(part.n_pilot for part in parts)
    numbers = dict.fromkeys(("probability", "low", "high", "standard_error", "plain_rollouts", "gain"), math.nan)
    if not doubts:
        low, high = _join_limits(parts, scales, spreads, probability, slope, confidence_level)
        plain = plain_rollouts(probability, error, c)
        numbers = {
            "probability": probability,
            "low": low,
            "high": min(high + possible / c, 1.0),
            "standard_error": error,
            "plain_rollouts": plain,
            "gain": plain / (n_rollouts + n_pilot),
        }
    # Cost of a rollout in the scenario, divided by its cost here.
    touched = sum(part.n_touched for part in parts) / n_rollouts
    plain_touched = float(p @ [part.plain_touched for part in parts]) / p.sum()
    return {
        **numbers,
        "n_rollouts": n_rollouts,
        "n_pilot": n_pilot,
        "gain_in_updates": numbers["gain"] * plain_touched / max(touched, 1.0),
        "doubts": tuple(doubt.text for doubt in doubts),
        "remedy": doubts[0].remedy if doubts else None,
        "kinds": make_frame(_tabulate(parts, p * q, q, confidence_level), KIND_COLUMNS),
    }


def exact_limit(n_hits: int, n: int, confidence_level: float) -> float:
    """Return the exact upper limit of a probability from unweighted rollouts."""
    return proportion_interval(n_hits, n, confidence_level)[1]


def main_part(parts: Sequence[Part]) -> int:
    """Return the number of the part with the largest share of the estimate; parts without a known unit have none."""
    return int(np.argmax(np.nan_to_num([part.kind.probability * plain_mean(part.happened)[0] for part in parts])))


def _join_limits(
    parts: Sequence[Part], scales: np.ndarray, spreads: np.ndarray, probability: float, slope: float, level: float
) -> tuple[float, float]:
    """Return the limits of a probability from those of all weighted kinds together, and of each plain one."""
    is_weighted = np.array([not part.n_plain for part in parts])
    squares = spreads[is_weighted] ** 2
    amounts = scales * [plain_mean(part.happened)[0] for part in parts]
    low = high = centre = probability if slope or is_weighted.all() else float(amounts[is_weighted].sum())
    if squares.any():
        degrees = np.array([len(part.happened) - 1 for part in parts if not part.n_plain])
        freedom = float(squares.sum() ** 2 / (squares**2 / np.maximum(degrees, 1)).sum())
        beyond = [
            0.0 if part.n_plain else scale * find_beyond(part.happened - slope * part.concerned, level)
            for part, scale in zip(parts, scales, strict=True)
        ]
        low, high = log_interval(centre, math.sqrt(squares.sum()), freedom, level, math.hypot(*beyond))
    if is_weighted.all():
        return low, high
    reaches = [(scale, *_exact_reach(part, slope, level)) for part, scale in zip(parts, scales, strict=True)]
    # The upper limit of a kind in doubt is added to the upper end afterwards.
    below = [scale * down for scale, down, _ in reaches]
    above = [0.0 if part.doubts else scale * up for part, (scale, _, up) in zip(parts, reaches, strict=True)]
    return max(probability - math.hypot(centre - low, *below), 0.0), probability + math.hypot(high - centre, *above)


def _exact_reach(part: Part, slope: float, level: float) -> tuple[float, float]:
    """Return the distances of the limits of the mean of `happened - slope * concerned` from exact ones in plain rollouts; 0 in others.

    That is (1 - slope) times the rate of the event, minus slope times the rate of the condition without the event.
    """
    if not part.n_plain:
        return 0.0, 0.0
    happened, concerned = plain_mean(part.happened)[0], plain_mean(part.concerned)[0]
    reaches = []
    for rate, factor in ((happened, 1 - slope), (concerned - happened, slope)):
        low, high = proportion_interval(round(rate * part.n_plain), part.n_plain, level)
        reaches.append((factor * (rate - low), factor * (high - rate)))
    (fewer, more), (fewer_without, more_without) = reaches
    return fewer + more_without, more + fewer_without


def _find_error(part: Part, slope: float, level: float) -> float:
    """Return the standard error of the mean of `happened - slope * concerned`.

    If the event occurred in all plain rollouts, an error of 0 would be luck. It is then that of an interval as wide as the exact one.
    """
    happened, error = plain_mean(part.happened)[0], plain_mean(part.happened - slope * part.concerned)[1]
    is_lucky = part.n_plain and happened > 0 and error <= ROUNDING * happened
    return sum(_exact_reach(part, slope, level)) / (2 * normal_quantile(level)) if is_lucky else error


def _tell_doubts(parts: Sequence[Part]) -> list[Doubt]:
    if len(parts) == 1:
        return list(parts[0].doubts)
    doubted = sorted((part for part in parts if part.doubts), key=lambda part: -part.kind.probability * part.limit)
    return [
        Doubt(f"for releases of kind {part.kind.name}, {text}", remedy)
        for part in doubted
        for text, remedy in part.doubts
    ]


def _tabulate(
    parts: Sequence[Part], amounts: np.ndarray, q: np.ndarray, confidence_level: float
) -> list[dict[str, Any]]:
    total = float(amounts.sum())
    rows = []
    for part, amount, estimate in zip(parts, amounts.tolist(), q.tolist(), strict=True):
        is_open = bool(part.doubts)
        error = _find_error(part, 0.0, confidence_level)
        beyond = find_beyond(part.happened, confidence_level)
        low, high = log_interval(estimate, error, len(part.happened) - 1, confidence_level, beyond)
        if part.n_plain:
            low, high = proportion_interval(round(estimate * part.n_plain), part.n_plain, confidence_level)
        rows.append(
            {
                "kind": part.kind.name,
                "probability": part.kind.probability,
                "estimate": estimate,
                "low": 0.0 if is_open else low,
                "high": part.limit if is_open else min(high, 1.0),
                "standard_error": error,
                "share": amount / total if total else math.nan,
                "n": part.n,
                "n_pilot": part.n_pilot,
                "n_hits": part.n_hits,
                "effective_hits": part.effective_hits,
                "mean_weight": part.mean_weight,
                "mean_weight_error": part.mean_weight_error,
                "tilt": part.tilt,
                "levels": part.levels,
                "doubt": "; ".join(doubt.text for doubt in part.doubts),
            }
        )
    return rows
