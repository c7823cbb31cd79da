"""Choice of a box on a path and of its limits in the search half, and its test against chance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from simdeploy.statistics.boxes import Box, Column, Limits

# A limit with a larger quasi-p-value than this is uninformative.
MOST_QUASI_P = 0.05


class Share(NamedTuple):
    """Numbers of worlds, and of breaking ones, in a box and in all."""

    n: int
    broken: int
    of_n: int
    of_broken: int

    @property
    def density(self) -> float:
        """Fraction of the box that breaks."""
        return self.broken / self.n if self.n else math.nan

    @property
    def coverage(self) -> float:
        """Fraction of all breaking worlds that is in the box."""
        return self.broken / self.of_broken if self.of_broken else math.nan

    @property
    def mass(self) -> float:
        """Fraction of all worlds that is in the box."""
        return self.n / self.of_n if self.of_n else math.nan

    @property
    def balance(self) -> float:
        """Harmonic mean of coverage and density."""
        return 2 * self.broken / (self.n + self.of_broken) if self.n + self.of_broken else 0.0


def share(box: Box, columns: Sequence[Column], is_broken: np.ndarray) -> Share:
    """Count the worlds of a box."""
    inside = box.contain(columns)
    return Share(int(inside.sum()), int(is_broken[inside].sum()), len(is_broken), int(is_broken.sum()))


def choose(path: Sequence[Box], columns: Sequence[Column], is_broken: np.ndarray) -> tuple[int, Box]:
    """Choose a box on a path; return its index, and the polished box.

    It is the box with the largest harmonic mean of coverage and density (the first, largest box of ties), polished,
    then without uninformative limits.

    Notes
    -----
    Polishing moves one end of one factor at a time, in or out, to where the harmonic mean is largest, as long as it
    grows; moves outwards are the bottom-up pasting of Friedman and Fisher (1999), which restores what was removed in
    excess. A limit is uninformative if the harmonic mean without it is no smaller, or if its quasi-p-value is above
    0.05; the one with the largest is removed first, and the rest is polished and tested again.
    """
    balances = [share(box, columns, is_broken).balance for box in path]
    place = int(np.argmax(balances))
    box: Box | None = path[place]
    while box is not None:
        polished = _polish(box, columns, is_broken)
        box = _without_needless(polished, columns, is_broken)
    return place, polished


def _without_needless(box: Box, columns: Sequence[Column], is_broken: np.ndarray) -> Box | None:
    """Return the box without its least informative limits, if they are uninformative."""
    now = share(box, columns, is_broken).balance
    needless = {
        number: (
            share(box.free(number), columns, is_broken).balance >= now,
            quasi_p(box, number, columns, is_broken),
        )
        for number in box.restricted
    }
    worst = max(needless, key=lambda number: needless[number], default=None)
    if worst is None or (not needless[worst][0] and needless[worst][1] <= MOST_QUASI_P):
        return None
    return box.free(worst)


def quasi_p(box: Box, number: int, columns: Sequence[Column], is_broken: np.ndarray) -> float:
    r"""Return how likely the box would be as dense if one factor's limits had no effect; NaN for an empty box.

    :math:`P(K \ge k)` with K binomial: trials are the worlds in the box, k of which break, and the probability is the
    density of the box without the factor's limits. This is the quasi-p-value of Bryant and Lempert (2010 [1]_).

    References
    ----------
    .. [1] Bryant, B. P. and Lempert, R. J. (2010). Thinking inside the box: a participatory, computer-assisted approach to
       scenario discovery. Technological Forecasting and Social Change 77(1), 34-49.
    """
    from scipy.special import bdtrc

    inside, without = share(box, columns, is_broken), share(box.free(number), columns, is_broken)
    if not inside.n:
        return math.nan
    return float(bdtrc(inside.broken - 1, inside.n, without.density)) if inside.broken else 1.0


def _polish(box: Box, columns: Sequence[Column], is_broken: np.ndarray) -> Box:
    of_broken = int(is_broken.sum())
    now = share(box, columns, is_broken)
    while True:
        options = [
            (share(other, columns, is_broken), other) for other in _neighbours(box, columns, is_broken, of_broken)
        ]
        better = max(options, key=lambda option: option[0].balance, default=None)
        if better is None or better[0].balance <= now.balance:
            return box
        now, box = better


def _neighbours(box: Box, columns: Sequence[Column], is_broken: np.ndarray, of_broken: int) -> Iterator[Box]:
    """Yield the box with another end at each side of each restricted factor (the best one), or with one word more or less."""
    for number in box.restricted:
        limits, column = box.limits[number], columns[number]
        if limits.places is not None:
            for word in range(len(column.words or ())):
                places = limits.places ^ {word}
                if places:
                    yield box.limit(number, Limits(places=places))
            continue
        around = box.free(number).contain(columns)
        below = around & (column.values <= limits.high)
        above = around & (column.values >= limits.low)
        low = _best_low(column.values[below], is_broken[below], of_broken)
        high = -_best_low(-column.values[above], is_broken[above], of_broken)
        yield box.limit(number, Limits(low, limits.high))
        yield box.limit(number, Limits(limits.low, high))


def _best_low(values: np.ndarray, is_broken: np.ndarray, of_broken: int) -> float:
    """Return the lower limit with the largest harmonic mean, half-way between two values; the lowest of ties."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    lost = np.concatenate([[0], np.cumsum(is_broken[order])])[:-1]
    n = len(values) - np.arange(len(values))
    balance = 2 * (is_broken.sum() - lost) / (n + of_broken)
    is_cut = np.concatenate([[True], np.diff(ordered) > 0])
    place = int(np.argmax(np.where(is_cut, balance, -1.0)))
    return float(ordered[place - 1] + (ordered[place] - ordered[place - 1]) / 2) if place else -math.inf


def hypergeometric_tail(broken: int, n: int, of_broken: int, of_n: int) -> float:
    r"""Return the probability that n random worlds, as many as in the box, contain at least this many that break.

    Notes
    -----
    The one-sided exact test of Fisher (1935 [1]_): given the numbers of worlds in the box and of worlds that break, the
    breaking ones in the box are a draw without replacement if the box has no effect. So the test errs at most at its
    nominal level, whatever the share that breaks.

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
        return gammaln(total + 1) - gammaln(part + 1) - gammaln(total - part + 1)

    logs = log_choose(of_broken, k) + log_choose(of_n - of_broken, n - k) - log_choose(of_n, np.array(n))
    return min(1.0, float(np.exp(logs).sum()))
