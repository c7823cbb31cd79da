"""How many worlds of each stratum to simulate next."""

from __future__ import annotations

import numpy as np

from simdeploy.statistics.moments import find_moments
from simdeploy.statistics.sample import Sample


def find_shares(sample: Sample, worst: np.ndarray) -> np.ndarray:
    r"""Return the share of worlds that each stratum should have, given a sample of some cases (rows).

    Notes
    -----
    Neyman's allocation for the mean of a case is :math:`n_k \propto p_k s_k` (Cochran 1977 [1]_, section 5.5); for several
    cases it uses the root mean square of their :math:`s_k`. A rare event may not have occurred yet, so :math:`s_k^2` is the
    variance of the stratum's worlds and one more, whose value is at the distance `worst` from the mean.

    References
    ----------
    .. [1] Cochran, W. G. (1977). Sampling Techniques, 3rd edition. Wiley.

    Examples
    --------
    >>> from simdeploy.statistics.sample import Strata
    >>> strata = Strata(np.array([0, 0, 1, 1]), np.array([0.75, 0.25]))
    >>> sample = Sample(np.array([[0.0, 2.0, 0.0, 6.0]]), strata, np.full(1, np.inf))
    >>> find_shares(sample, worst=np.zeros(2)).round(3).tolist()
    [0.5, 0.5]
    """
    spreads = np.zeros(sample.strata.n)
    for stratum, columns in enumerate(sample.strata.columns):
        n, _, variance, _ = find_moments(sample.values[:, columns])
        covered = (np.nan_to_num(variance) + worst[stratum] ** 2 / (n + 1))[n > 0]
        spreads[stratum] = np.sqrt(covered.mean()) if len(covered) else 0.0
    probabilities = sample.strata.probabilities
    weighted: np.ndarray = np.atleast_2d(probabilities).max(axis=0) * spreads
    total = weighted.sum()
    return weighted / total if total else np.full(len(weighted), 1 / len(weighted))
