"""Whether weights can be trusted: how many replications they are worth, and how heavy their tail is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Of the generalised Pareto law: beyond this an average of weights converges too slowly to be believed [1]_.
_HEAVIEST = 0.7
_FEWEST = 50
_LARGEST_SHARE = 0.1
_TAIL_NEEDS = 5
_LAST_DIGITS = 1e-9
_OFF_BY = 4.0


@dataclass(frozen=True)
class Diagnosis:
    r"""What is known of the weights of one estimate.

    Attributes
    ----------
    n : int
        Replications.
    mean_weight, mean_weight_error : float
        The mean of all weights, which is 1 in expectation, and its standard error.
    effective_n : float
        :math:`(\sum w)^2 / \sum w^2` over all replications: how many without weights would tell as much of a mean.
    n_hits : int
        Replications that contribute: those in which an event happened.
    effective_hits : float
        The same over what these contribute.
    largest_share : float
        Of one replication in the sum of all contributions.
    k_hat : float
        Shape of the generalised Pareto law of the largest contributions; NaN where there are too few to tell.
    doubts : tuple of str
        Why the estimate can't be trusted; empty if it can.
    """

    n: int
    mean_weight: float
    mean_weight_error: float
    effective_n: float
    n_hits: int
    effective_hits: float
    largest_share: float
    k_hat: float
    doubts: tuple[str, ...]

    @property
    def is_trusted(self) -> bool:
        """Whether nothing speaks against the estimate."""
        return not self.doubts


def diagnose(weights: np.ndarray, contributions: np.ndarray) -> Diagnosis:
    r"""Look at the weights of an estimate.

    Parameters
    ----------
    weights : ndarray of float
        Of all replications.
    contributions : ndarray of float
        What each of them adds to the estimate: its weight times how much it counts, 0 where the event didn't happen.

    Notes
    -----
    Doubts are: fewer than 50 effective hits; one replication with more than a tenth of the sum; :math:`\hat k > 0.7`, of
    the largest min(0.2 h, :math:`3\sqrt h`) of h contributions (Vehtari et al. 2024 [1]_, section 2.2 and eq. 8), fitted as
    Zhang and Stephens (2009 [2]_) do; and a mean weight that is more than 4 of its errors off 1, if at least 50 effective
    replications know it. Where the event was seldom or never met at all, nothing of this may show: a tilt that
    misses a way in which the event happens gives too low an estimate with the best of weights.

    References
    ----------
    .. [1] Vehtari, A., Simpson, D., Gelman, A., Yao, Y. and Gabry, J. (2024). Pareto smoothed importance sampling. Journal
       of Machine Learning Research 25(72), 1-58.
    .. [2] Zhang, J. and Stephens, M. A. (2009). A new and efficient estimation method for the generalized Pareto
       distribution. Technometrics 51(3), 316-325.

    Examples
    --------
    >>> diagnose(np.ones(1000), np.r_[np.ones(200), np.zeros(800)]).is_trusted
    True
    >>> diagnose(np.ones(10), np.zeros(10)).doubts
    ('the event happened in none of the 10 replications',)
    """
    n, hits = len(weights), contributions[contributions != 0]
    mean = float(weights.mean()) if n else math.nan
    error = float(weights.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    effective_n, effective_hits = effective_size(weights), effective_size(hits)
    share = float(np.abs(hits).max() / np.abs(hits).sum()) if len(hits) else math.nan
    k_hat = tail_shape(np.abs(hits))
    doubts = []
    if not len(hits):
        doubts.append(f"the event happened in none of the {n:,} replications")
    else:
        if effective_hits < _FEWEST:
            doubts.append(f"the {len(hits):,} that count are worth {effective_hits:.3g}, and {_FEWEST} are needed")
        if share > _LARGEST_SHARE:
            doubts.append(f"one replication has {100 * share:.3g} % of the sum")
        if k_hat > _HEAVIEST:
            doubts.append(f"their tail is too heavy (k-hat {k_hat:.2f}, and {_HEAVIEST} is the most)")
        if effective_n >= _FEWEST and abs(mean - 1) > _OFF_BY * error:
            doubts.append(f"their mean is {mean:.3g} and should be 1")
    return Diagnosis(n, mean, error, effective_n, len(hits), effective_hits, share, k_hat, tuple(doubts))


def effective_size(weights: np.ndarray) -> float:
    """Return how many equal weights are worth as much as these.

    Examples
    --------
    >>> effective_size(np.array([2.0, 2.0, 0.0])), effective_size(np.array([]))
    (2.0, 0.0)
    """
    largest = np.abs(weights).max(initial=0.0)
    if not largest:
        return 0.0
    scaled = weights / largest  # squares of very small ones would be 0
    return float(scaled.sum() ** 2 / (scaled**2).sum())


def tail_shape(values: np.ndarray) -> float:
    """Fit a generalised Pareto law to the largest values; return its shape, NaN if they are too few to tell.

    Values of which the largest come again and again have a bounded law, whose shape is minus infinity.

    Examples
    --------
    >>> tail = tail_shape((1 - (np.arange(4000) + 0.5) / 4000) ** -0.8)
    >>> round(tail, 1)
    0.8
    """
    n = len(values)
    n_tail = int(min(0.2 * n, 3 * math.sqrt(n)))
    if n_tail < _TAIL_NEEDS:
        return math.nan
    ordered = np.sort(values)
    beyond = ordered[-n_tail:] - ordered[-n_tail - 1]
    # Equal weights, multiplied up in another order, differ in their last digits: that is no tail.
    digits = _LAST_DIGITS * ordered[-1]
    beyond = beyond[beyond > digits]
    if len(beyond) < _TAIL_NEEDS or ordered[-1] - ordered[-_TAIL_NEEDS] <= digits:
        return -math.inf
    return _pareto_shape(beyond / beyond[-1])


def _pareto_shape(x: np.ndarray) -> float:
    """Return Zhang and Stephens' estimate of the shape for ascending x > 0: a mean over a grid of their parameter."""
    n = len(x)
    n_grid = 30 + int(math.sqrt(n))
    quartile = x[int(n / 4 + 0.5) - 1]
    places = np.arange(1, n_grid + 1)
    grid = 1 / x[-1] + (1 - np.sqrt(n_grid / (places - 0.5))) / (3 * quartile)
    shapes = np.log1p(-grid[:, np.newaxis] * x).mean(axis=1)
    log_profile = n * (np.log(-grid / shapes) - shapes - 1)
    posterior = np.exp(log_profile - log_profile.max())
    at = float((grid * posterior).sum() / posterior.sum())
    return float(np.log1p(-at * x).mean())
