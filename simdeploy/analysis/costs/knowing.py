"""What knowing the world, or the kind of release, is worth: estimates and intervals from costs by policy and world."""

from __future__ import annotations

from typing import Any

import numpy as np

from simdeploy.analysis.costs.kind_rules import largest_limits
from simdeploy.statistics.estimators import moments

WORLD, KIND = "world", "kind of release"


def estimate_values_of_knowing(
    cost: np.ndarray, kind_of: np.ndarray, confidence_level: float
) -> dict[str, dict[str, Any]]:
    """Estimate both values of `value_of_perfect_information`, whose notes have the formulas.

    Parameters
    ----------
    cost : ndarray of float, shape (policies, worlds)
    kind_of : ndarray of int, shape (worlds,)
        The kind of each world, from 0; each is there.

    Returns
    -------
    dict of str to dict
        For ``world`` and ``kind of release`` the estimate, its interval and what else a row has.
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
    """Return the place of the policy with the least mean."""
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
    """Estimate the least mean of the rows, between the least of its lower limits and of the upper ones."""
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
