"""What cannot be known of a policy, since some of its rollouts never end, and how much that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.scenario.measures import Measure


def unknown_fractions(values: Values, measure: Measure) -> np.ndarray:
    """Return by case for how many of the rollouts that a measure is about it is unknown, since they never end.

    Such a rollout may still become the dearest of all, so that a mean over the others says little. Replications that
    failed are neither among these rollouts nor unknown.
    """
    n_meant = values.may_concern(measure).sum(axis=1)
    fractions: np.ndarray = values.is_unknown(measure).sum(axis=1) / np.maximum(n_meant, 1)
    return fractions
