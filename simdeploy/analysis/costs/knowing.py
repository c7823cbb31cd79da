"""The value of knowing the world, or the kind of release: estimates and intervals from costs by policy and world."""

from __future__ import annotations

from typing import Any

import numpy as np

from simdeploy.statistics.estimators import moments

WORLD, KIND = "world", "kind of release"

_MOST_RULES = 1 << 20
_SCALES = 2.0 ** -np.arange(0, 12, 0.5)
_ROUNDS = 8


def estimate_values_of_knowing(
    cost: np.ndarray, kind_of: np.ndarray, confidence_level: float
) -> dict[str, dict[str, Any]]:
    """Estimate both values of `value_of_perfect_information`, which has the formulas; columns of a row by name.

    Costs by policy and world; the kind of each world is a number from 0, and every kind occurs.
    """
    single, tail = find_single(cost), (1 - confidence_level) / 2
    by_kind = mean_by_kind(cost, kind_of)
    of_rule = cost[by_kind.argmin(axis=1)[kind_of], np.arange(len(kind_of))]
    n_kinds, n_policies = by_kind.shape
    saved = cost - cost.min(axis=0)
    return {
        WORLD: _value(saved, single, tail, _upper_limits(saved, tail / n_policies)),
        KIND: _value(
            cost - of_rule,
            single,
            tail / float(n_policies) ** n_kinds,
            largest_limits(cost, kind_of, tail / n_policies),
        ),
    }


def find_single(cost: np.ndarray) -> int:
    """Return the index of the policy with the lowest mean."""
    return int(np.argmin(cost.mean(axis=1)))


def mean_by_kind(cost: np.ndarray, kind_of: np.ndarray) -> np.ndarray:
    """Return the mean cost by kind and policy."""
    return np.array([cost[:, kind_of == kind].mean(axis=1) for kind in range(int(kind_of.max()) + 1)])


def _upper_limits(saved: np.ndarray, error: float) -> np.ndarray:
    """Return Student's upper limit of the mean of each row."""
    from scipy.special import stdtrit

    means, errors = np.array([moments(row) for row in saved]).T
    limits: np.ndarray = means - stdtrit(saved.shape[1] - 1, error) * errors
    return limits


def _value(saved: np.ndarray, single: int, error: float, upper: np.ndarray) -> dict[str, Any]:
    """Estimate the least mean of the rows, between the least lower limit and the least upper limit."""
    n = saved.shape[1]
    mean, standard_error = moments(saved[single])
    low, high = max(-float(_upper_limits(-saved, error).max()), 0.0), max(float(upper.min()), 0.0)
    return {
        "estimate": mean,
        "low": low,
        "high": high,
        "half_width": (high - low) / 2,
        "n": n,
        "standard_error": standard_error,
    }


def largest_limits(cost: np.ndarray, kind_of: np.ndarray, error: float) -> np.ndarray:
    r"""Return, per policy, the largest upper limit over all rules of what a rule saves against it.

    Costs by policy and world; the kind of each world is a number from 0, and every kind occurs. `error` is that of one
    rule's limit, below 1/2. The unknown best rule is one of them, so the largest limit is below what it saves with at
    most this probability.

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

    Examples
    --------
    >>> largest_limits(np.array([[1.0, 1.0, 5.0, 5.0], [4.0, 4.0, 4.0, 4.0]]), np.array([0, 0, 1, 1]), 0.3)
    array([0.66869878, 2.00609635])
    """
    from scipy.special import stdtrit

    size, n = cost.shape
    width = -float(stdtrit(n - 1, error)) / np.sqrt(n - 1)
    is_of_kind = np.eye(int(kind_of.max()) + 1)[kind_of]
    shares = is_of_kind.sum(axis=0) / n
    find = _over_all if float(size) ** len(shares) <= _MOST_RULES else _kind_by_kind
    limits = []
    for of_policy in cost:
        saved = of_policy - cost
        limits.append(find(saved @ is_of_kind / n, saved**2 @ is_of_kind / n, shares, width))
    return np.array(limits)


def _over_all(means: np.ndarray, squares: np.ndarray, _shares: np.ndarray, width: float) -> float:
    """Return the largest limit of all rules, from means of D and its square by policy and kind."""
    mean, square = np.zeros(1), np.zeros(1)
    for of_kind, square_of_kind in zip(means.T, squares.T, strict=True):
        mean = (mean[:, None] + of_kind).ravel()
        square = (square[:, None] + square_of_kind).ravel()
    return float((mean + width * np.sqrt(np.maximum(square - mean**2, 0.0))).max())


def _kind_by_kind(means: np.ndarray, squares: np.ndarray, shares: np.ndarray, width: float) -> float:
    """Return an upper bound of the largest limit of all rules."""
    scale = np.sqrt(squares.max(axis=0).sum())
    if scale == 0:
        return 0.0
    half = width / (2 * scale * _SCALES[:, None, None])
    centre, least = np.zeros((len(_SCALES), 1, 1)), np.inf
    for _ in range(_ROUNDS):
        parts = means + half * (squares - 2 * centre * means + centre**2 * shares)
        chosen = parts.argmax(axis=1, keepdims=True)
        bounds = width / 2 * scale * _SCALES + np.take_along_axis(parts, chosen, 1).sum(axis=(1, 2))
        least = min(least, float(bounds.min()))
        centre = np.take_along_axis(np.broadcast_to(means, parts.shape), chosen, 1).sum(axis=2, keepdims=True)
    return least
