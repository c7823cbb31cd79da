"""Health windows: the probability that one is healthy, and the number that a node needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def healthy_window_probability(requests: int, error_level: float, max_error_rate: float | Fraction) -> float:
    """Probability that a window is healthy.

    Parameters
    ----------
    requests : int
        In the window.
    error_level : float
        Probability that one of them fails.
    max_error_rate : float or Fraction
        Highest fraction of failed requests; a float is read as its shortest decimal literal.

    Notes
    -----
    The binomial law's ``P(X <= floor(max_error_rate * requests))``.

    References
    ----------
    W. Feller, "An Introduction to Probability Theory and Its Applications", vol. I, 3rd ed., Wiley, 1968, section VI.2,
    equation (2.1).

    Examples
    --------
    >>> healthy_window_probability(2, 0.5, 0.5)
    0.75
    """
    from scipy.stats import binom

    allowed = math.floor(Fraction(str(max_error_rate)) * requests)
    return float(binom.cdf(allowed, requests, error_level))


@dataclass(frozen=True)
class Validation:
    """Outcome of a node whose windows are independently healthy.

    Attributes
    ----------
    running : ndarray of float
        At place k the probability that the node is running after exactly k windows.
    failed : ndarray of float
        At place k the probability that it has failed by `failure_threshold` after exactly k windows.

    Examples
    --------
    >>> from simdeploy.validation.oracles import validation
    >>> validation(0.5, windows_needed=1, most_windows=2).running.tolist()
    [0.0, 0.5, 0.25]
    """

    running: npt.NDArray[np.float64]
    failed: npt.NDArray[np.float64]

    @property
    def pass_probability(self) -> float:
        """Probability that the node is running by its deadline."""
        return float(self.running.sum())

    @property
    def mean_windows(self) -> float:
        """Mean number of windows until the node is running, has failed, or meets its deadline."""
        most = len(self.running) - 1
        undecided = 1.0 - self.running.sum() - self.failed.sum()
        return float(np.arange(most + 1) @ (self.running + self.failed) + most * undecided)


def validation(
    healthy: float,
    windows_needed: int,
    most_windows: int,
    *,
    consecutive: bool = True,
    failure_threshold: int | None = None,
) -> Validation:
    """Follow a node through its windows until it is running, fails, or reaches its deadline.

    Parameters
    ----------
    healthy : float
        Probability that a window is healthy.
    windows_needed : int
        Healthy windows until it is running.
    most_windows : int
        Whole windows that fit between the end of starting and the deadline.
    consecutive : bool
        Whether one unhealthy window restarts the count.
    failure_threshold : int, optional
        Consecutive unhealthy windows that make it fail.

    Notes
    -----
    A Markov chain whose states are the healthy windows that count and the unhealthy ones in a row, carried forward window by
    window. Without deadline and threshold the mean is Feller's ``(1 - q**r) / ((1 - q) q**r)`` for runs of r.

    References
    ----------
    W. Feller, vol. I, section XIII.7, equation (7.7) (runs); J. C. Fu, M. V. Koutras, "Distribution theory of runs: a Markov
    chain approach", J. Am. Stat. Assoc. 89 (1994) 1050-1058.

    Examples
    --------
    >>> fate = validation(0.5, windows_needed=2, most_windows=3)
    >>> fate.running.tolist(), fate.pass_probability, fate.mean_windows
    ([0.0, 0.0, 0.25, 0.125], 0.375, 2.75)
    """
    running = np.zeros(most_windows + 1)
    failed = np.zeros(most_windows + 1)
    if windows_needed == 0:
        running[0] = 1.0
        return Validation(running, failed)
    most_unhealthy = failure_threshold if failure_threshold is not None else most_windows + 1
    undecided = {(0, 0): 1.0}
    for window in range(1, most_windows + 1):
        following: dict[tuple[int, int], float] = {}
        for (good, bad), probability in undecided.items():
            if good + 1 == windows_needed:
                running[window] += probability * healthy
            else:
                state = (good + 1, 0)
                following[state] = following.get(state, 0.0) + probability * healthy
            if bad + 1 == most_unhealthy:
                failed[window] += probability * (1 - healthy)
            else:
                state = (0 if consecutive else good, bad + 1)
                following[state] = following.get(state, 0.0) + probability * (1 - healthy)
        undecided = following
    return Validation(running, failed)
