"""The value of knowing the world, or the kind of release: estimates and intervals from costs by policy and world."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from simdeploy.statistics.combining import Combined, combine, never_differ
from simdeploy.statistics.estimators import Estimate
from simdeploy.statistics.sample import Lump, Sample, as_sample

WORLD, KIND = "world", "kind of release"

_MOST_RULES = 1 << 20
# The most values that are compared at once.
_MOST_AT_ONCE = 1_000_000
_SCALES = 2.0 ** -np.arange(0, 12, 0.5)
_ROUNDS = 8


def estimate_values_of_knowing(
    cost: np.ndarray | Sample, kind_of: np.ndarray, confidence_level: float
) -> dict[str, dict[str, Any]]:
    """Estimate both values of `value_of_perfect_information`, which has the formulas; return the cells of their rows.

    `cost` is by policy and world. `kind_of` numbers the kind of each world from 0, and every kind occurs. Strata, if any, are
    the kinds.
    """
    cost = as_sample(cost)
    single, tail = find_single(cost), (1 - confidence_level) / 2
    by_kind = mean_by_kind(cost, kind_of)
    n_kinds, n_policies = by_kind.shape
    best_by_kind = cost.pick(by_kind.argmin(axis=1)[kind_of])
    by_rule = cost - best_by_kind
    saved = _add_as_drawn(by_rule, cost, best_by_kind)
    upper = _limits(saved, tail / n_policies)
    of_rules = largest_limits(cost, kind_of, tail / n_policies)
    # Without strata, lumps of events have no exact limits.
    is_exact = cost.strata.n > 1 or not cost.lumps
    trusts_rules = is_exact and _limits(by_rule, tail / n_policies).trusts_high.all()
    return {
        WORLD: _value(saved, single, tail, upper.high, trusts_high=upper.trusts_high.all()),
        KIND: _value(by_rule, single, tail / float(n_policies) ** n_kinds, of_rules, trusts_high=trusts_rules),
    }


def find_single(cost: Sample) -> int:
    """Return the index of the policy with the lowest mean."""
    return int(np.argmin(cost.means()))


def mean_by_kind(cost: Sample, kind_of: np.ndarray) -> np.ndarray:
    """Return the mean cost by kind and policy."""
    return np.array([cost.values[:, kind_of == kind].mean(axis=1) for kind in range(int(kind_of.max()) + 1)])


def _add_as_drawn(by_rule: Sample, cost: Sample, best_by_kind: Sample) -> Sample:
    """Return, by policy, what knowing the world saves: what knowing the kind saves, plus the further savings with verdicts as drawn.

    So it is at least what knowing the kind saves, and both are savings against the same policy.
    """
    drawn, of = cost.as_drawn(), cost.strata.of
    cheapest = drawn.pick(drawn.values.argmin(axis=0))
    more, lumps = best_by_kind.as_drawn() - cheapest, []
    for of_kind, of_world in zip(by_rule.lumps, more.lumps, strict=True):
        is_known = ~np.isnan(of_kind.rates)
        rarer, chances = of_kind.find_rarer(cost.strata)
        known = Lump(
            of_kind.sizes,
            np.where(is_known[..., of], of_kind.happened, 0.0),
            np.where(is_known, of_kind.rates, 0.0),
            is_known[..., of] & rarer,
            np.where(is_known, chances, 0.0),
        )
        unknown = np.where(is_known[..., of], 0.0, of_kind.happened) + of_world.happened
        lumps += [known, Lump(of_kind.sizes, unknown, np.full_like(of_kind.rates, np.nan))]
    return replace(drawn - cheapest, values=by_rule.values + more.values, lumps=tuple(lumps))


def _limits(saved: Sample, error: float) -> Combined:
    """Return limits of each row's mean with an error probability; they are also trusted if enough worlds showed no difference."""
    combined = combine(saved, is_rate=False, confidence_level=1 - 2 * error)
    are_equal = never_differ(combined.low, combined.high, combined.n)
    return combined._replace(trusts_low=combined.trusts_low | are_equal, trusts_high=combined.trusts_high | are_equal)


def _value(
    saved: Sample, single: int, error: float, upper: np.ndarray, *, trusts_high: bool | np.bool_
) -> dict[str, Any]:
    """Estimate the least mean of the rows, between the least lower limit and the least upper limit."""
    lower = _limits(saved, error)
    low, high = max(float(lower.low.min()), 0.0), max(float(upper.min()), 0.0)
    estimate = Estimate(
        lower.estimate[single].item(),
        low,
        high,
        saved.values.shape[1],
        lower.standard_error[single].item(),
        bool(lower.trusts_low.all()),
        bool(trusts_high),
    )
    return estimate.to_row()


def largest_limits(cost: np.ndarray | Sample, kind_of: np.ndarray, error: float) -> np.ndarray:
    r"""Return, per policy, the largest upper limit over all rules of what a rule saves against it.

    `cost` is by policy and world. `kind_of` numbers the kind of each world from 0, and every kind occurs. `error`, below 1/2,
    is the error probability of one rule's limit. The unknown best rule is one of them, so the largest limit is below what it
    saves with at most this probability.

    Notes
    -----
    A rule g chooses a policy for each of m kinds. Against policy p it saves :math:`D = C_p - C_{g(K)}` in a world, and
    its limit is Student's, :math:`U = \bar D + t\, s_D / \sqrt n`. Mean and variance of D are sums over kinds. All
    :math:`k^m` rules of k policies are tried if there are no more than about a million.

    For more rules the largest limit is bounded kind by kind. With :math:`v = \overline{D^2} - \bar D^2` and
    :math:`a = t / \sqrt{n - 1}`, so that :math:`U = \bar D + a \sqrt v`, any number c and any :math:`\lambda > 0` give

    .. math:: U \le \bar D + \frac{a}{2} \Big(\lambda + \frac{1}{\lambda}\, \overline{(D - c)^2}\Big),

    since :math:`v \le \overline{(D - c)^2}` and :math:`2 \sqrt v \le \lambda + v / \lambda`. The right side is a sum
    over kinds, so it is maximized for each kind separately. Its least value over some c and :math:`\lambda` is slightly
    too large, never too small.

    Where kinds have worlds of their own, :math:`U = \sum_k p_k \bar D_k + (\sum_k p_k^2 (u_k - \bar D_k)^2)^{1/2}` with the
    upper limit :math:`u_k` of each kind (see `combine`), a sum over kinds with c = 0.

    Examples
    --------
    >>> largest_limits(np.array([[1.0, 1.0, 5.0, 5.0], [4.0, 4.0, 4.0, 4.0]]), np.array([0, 0, 1, 1]), 0.3)
    array([0.66869878, 2.00609635])
    """
    from scipy.special import stdtrit

    sample = as_sample(cost)
    if sample.strata.n > 1:
        return _limits_by_stratum(sample, error)
    cost = sample.values
    size, n = cost.shape
    width = -float(stdtrit(n - 1, error)) / np.sqrt(n - 1)
    is_of_kind = np.eye(int(kind_of.max()) + 1)[kind_of]
    shares = is_of_kind.sum(axis=0) / n
    find = _limit_over_rules if float(size) ** len(shares) <= _MOST_RULES else _bound_by_kind
    limits = []
    for of_policy in cost:
        saved = of_policy - cost
        limits.append(find(saved @ is_of_kind / n, saved**2 @ is_of_kind / n, shares, width))
    return np.array(limits)


def _limits_by_stratum(cost: Sample, error: float) -> np.ndarray:
    probabilities = cost.strata.probabilities
    of_kinds = [cost.in_worlds(cost.strata.of == kind) for kind in range(cost.strata.n)]
    find = _limit_over_rules if float(len(cost)) ** cost.strata.n <= _MOST_RULES else _bound_by_kind
    limits, size = [], len(cost)
    at_once = max(_MOST_AT_ONCE // max(cost.values.size, 1), 1)
    for start in range(0, size, at_once):
        policies = range(start, min(start + at_once, size))
        against, others = np.repeat(policies, size), np.tile(range(size), len(policies))
        by_kind = [_limits(of_kind[against] - of_kind[others], error) for of_kind in of_kinds]
        means = np.stack([of_kind.estimate for of_kind in by_kind], axis=1) * probabilities
        above = np.stack([of_kind.high - of_kind.estimate for of_kind in by_kind], axis=1) * probabilities
        by_policy = np.split(means, len(policies)), np.split(above**2, len(policies))
        limits += [find(saved, squares, None, 1.0) for saved, squares in zip(*by_policy, strict=True)]
    return np.array(limits)


def _limit_over_rules(means: np.ndarray, squares: np.ndarray, shares: np.ndarray | None, width: float) -> float:
    """Return the largest limit of all rules, from means of D and its square by policy and kind."""
    mean, square = np.zeros(1), np.zeros(1)
    for of_kind, square_of_kind in zip(means.T, squares.T, strict=True):
        mean = (mean[:, None] + of_kind).ravel()
        square = (square[:, None] + square_of_kind).ravel()
    if shares is not None:
        square = square - mean**2
    return float((mean + width * np.sqrt(np.maximum(square, 0.0))).max())


def _bound_by_kind(means: np.ndarray, squares: np.ndarray, shares: np.ndarray | None, width: float) -> float:
    """Return an upper bound of the largest limit of all rules."""
    scale = np.sqrt(squares.max(axis=0).sum())
    if scale == 0:
        return 0.0
    half = width / (2 * scale * _SCALES[:, None, None])
    centre, least = np.zeros((len(_SCALES), 1, 1)), np.inf
    for _ in range(_ROUNDS):
        off = 0.0 if shares is None else centre**2 * shares - 2 * centre * means
        parts = means + half * (squares + off)
        chosen = parts.argmax(axis=1, keepdims=True)
        bounds = width / 2 * scale * _SCALES + np.take_along_axis(parts, chosen, 1).sum(axis=(1, 2))
        least = min(least, float(bounds.min()))
        if shares is None:
            break
        centre = np.take_along_axis(np.broadcast_to(means, parts.shape), chosen, 1).sum(axis=2, keepdims=True)
    return least
