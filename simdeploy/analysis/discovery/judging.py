"""Whether a box is more than chance: in worlds that had no part in finding it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from simdeploy.analysis.discovery.choosing import Share


def hypergeometric_tail(broken: int, n: int, of_broken: int, of_n: int) -> float:
    r"""Return the probability that of n worlds out of all at least so many break.

    Parameters
    ----------
    broken, n : int
        Worlds of the box that break, and all of the box.
    of_broken, of_n : int
        The same of all worlds.

    Notes
    -----
    The one-sided exact test of Fisher (1935 [1]_): given how many worlds are in the box and how many break, which ones
    do is a draw without replacement if the box means nothing. So it errs at most as often as it says, whatever the
    share that breaks.

    References
    ----------
    .. [1] Fisher, R. A. (1935). The Design of Experiments. Oliver and Boyd.

    Examples
    --------
    >>> round(hypergeometric_tail(3, 3, 3, 6), 9), hypergeometric_tail(0, 3, 3, 6)
    (0.05, 1.0)
    """
    from scipy.special import gammaln

    if broken <= max(0, n + of_broken - of_n):
        return 1.0
    k = np.arange(broken, min(n, of_broken) + 1)

    def log_choose(total: int, part: np.ndarray) -> np.ndarray:
        chosen: np.ndarray = gammaln(total + 1) - gammaln(part + 1) - gammaln(total - part + 1)
        return chosen

    logs = log_choose(of_broken, k) + log_choose(of_n - of_broken, n - k) - log_choose(of_n, np.array(n))
    return min(1.0, float(np.exp(logs).sum()))


def chance(found: Share) -> float:
    """Return how likely it is that a box that means nothing is as full."""
    return hypergeometric_tail(found.broken, found.n, found.of_broken, found.of_n)
