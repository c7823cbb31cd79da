"""Failed requests of sequences of looks: probabilities carried from look to look, for the closed forms of gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

# A count that is less probable than this is left out: what is left out in all is far below the rounding of a sum.
NEGLIGIBLE = 1e-20


def failed_law(requests: int, error_rate: float) -> Floats:
    """Return the probabilities of 0, 1, ... failed requests among some: the binomial law up to where it is negligible.

    Examples
    --------
    >>> failed_law(2, 0.5).round(6).tolist()
    [0.25, 0.5, 0.25]
    """
    from scipy.stats import binom

    law: Floats = np.asarray(binom.pmf(np.arange(requests + 1), requests, error_rate))
    return law[: np.flatnonzero(law > NEGLIGIBLE)[-1] + 1]


def add_failures(probabilities: Floats, law: Floats) -> Floats:
    """Return the probabilities of counts, along the first axis, after independent failures of a law were added to them.

    Examples
    --------
    >>> add_failures(np.array([0.5, 0.5]), np.array([0.75, 0.25])).tolist()
    [0.375, 0.5, 0.125]
    """
    counts = len(probabilities)
    added = np.zeros((counts + len(law) - 1, *probabilities.shape[1:]))
    if counts < len(law):
        for failed, probability in enumerate(probabilities):
            added[failed : failed + len(law)] += np.multiply.outer(law, probability)
        return added
    for failed, probability in enumerate(law):
        added[failed : failed + counts] += probability * probabilities
    return added


def cut(probabilities: Floats) -> Floats:
    """Leave out the highest counts, along every axis, that are negligible.

    Examples
    --------
    >>> cut(np.array([0.5, 0.5, 0.0])).tolist()
    [0.5, 0.5]
    """
    for axis in range(probabilities.ndim):
        others = tuple(other for other in range(probabilities.ndim) if other != axis)
        kept = np.flatnonzero(probabilities.max(axis=others, initial=0.0) > NEGLIGIBLE)
        probabilities = np.take(probabilities, np.arange(kept[-1] + 1 if len(kept) else 1), axis=axis)
    return probabilities
