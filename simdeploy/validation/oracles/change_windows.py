"""Makespans of rollouts whose nodes are dispatched only in change windows.

Windows are pairs of seconds (opens, closes) since the beginning of a period, a day or a week, disjoint and in order; `starts_s`
is the start of the rollout within the period. Makespans are seconds after it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

DAY_S = 86400.0

# A remaining probability below this doesn't matter.
_LEFT = 1e-15


def waves_in_change_windows_s(
    durations_s: Sequence[float], windows: Sequence[tuple[float, float]], *, starts_s: float = 0, every_s: float = DAY_S
) -> float:
    """Makespan of barrier waves that take known times, under change windows.

    Parameters
    ----------
    durations_s : sequence of float
        From a wave's dispatch to its last verdict, seconds.
    windows : sequence of (float, float)
        Open in [opens, closes), seconds since the beginning of each period.
    starts_s, every_s : float
        The start within the first period, and the length of a period, seconds.

    Notes
    -----
    A wave is sent at the end of the previous one, or if that is outside all windows, when the next window opens:
    ``T[k+1] = next(T[k] + durations_s[k])``. The makespan is ``T[n] + durations_s[n] - starts_s``.

    Examples
    --------
    Five waves of 50 min from 10:00 on, in a window from 9:00 to 11:00: two, and three on the next day.

    >>> waves_in_change_windows_s([3000] * 5, [(9 * 3600, 11 * 3600)], starts_s=10 * 3600) / 3600
    25.5
    """
    at = float(starts_s)
    for duration_s in durations_s:
        period, phase = divmod(at, every_s)
        reached = [max(opens, phase) for opens, closes in windows if phase < closes]
        at = period * every_s + (reached[0] if reached else every_s + windows[0][0]) + duration_s
    return at - starts_s


def exponential_waves_in_change_windows_s(
    mean_s: float, waves: int, windows: Sequence[tuple[float, float]], *, starts_s: float = 0, every_s: float = DAY_S
) -> float:
    r"""Mean makespan of nodes one after the other, with exponential starting times, under change windows.

    Parameters
    ----------
    mean_s : float
        Mean starting time, seconds.
    waves : int
    windows, starts_s, every_s
        As of :func:`waves_in_change_windows_s`.

    Notes
    -----
    While a window is open, waves end at rate ``1 / mean_s``, because each is followed by the next one at once. While none is
    open, at most one wave ends, in a time of length c with probability ``1 - exp(-c / mean_s)``, and nothing follows until the
    next window opens; if it doesn't end, it is as good as new (memorylessness). So by time t the number of waves that have ended
    is a Poisson variable with mean (open time until t) / ``mean_s``, plus an independent Bernoulli variable for each closed
    time since the first opening. The mean makespan is the integral of the probability that this number is below `waves`. With
    r waves to go, an open time of length c contributes ``mean_s * sum over j < r of P(Gamma(j + 1) <= c / mean_s)``. A closed
    time contributes c if r > 1, ``mean_s * (1 - exp(-c / mean_s))`` if r = 1.

    References
    ----------
    W. Feller, "An Introduction to Probability Theory and Its Applications", vol. II, 2nd ed., Wiley, 1971, sections I.3
    (memorylessness) and I.4 (Poisson process).

    Examples
    --------
    Always open, it is the sum of the means. With a window of an hour a day the second wave goes today with probability
    1 - exp(-1), at the end of the first one.

    >>> exponential_waves_in_change_windows_s(60.0, 3, [(0, 86400)])
    180.0
    >>> round(exponential_waves_in_change_windows_s(3600.0, 2, [(0, 3600)]) / 3600, 3)
    10.093
    """
    from scipy.special import gammainc

    mean = 0.0
    to_go = [0.0] * waves + [1.0]  # probabilities, by number of waves to go; those with none are dropped
    has_begun = False
    for length, is_open in _pieces(windows, starts_s, every_s):
        x = length / mean_s
        if is_open:
            has_begun = True
            ended = [math.exp(k * math.log(x) - x - math.lgamma(k + 1)) for k in range(waves)]
            until_end = itertools.accumulate(float(part) for part in gammainc(range(1, waves + 1), x))
            contributions = [0.0, *(mean_s * part for part in until_end)]
            mean += math.fsum(p * contribution for p, contribution in zip(to_go, contributions, strict=True))
            to_go = [0.0] + [
                math.fsum(to_go[r + k] * ended[k] for k in range(waves - r + 1)) for r in range(1, waves + 1)
            ]
        elif not has_begun:
            mean += length
        else:
            ends = -math.expm1(-x)
            mean += to_go[1] * mean_s * ends + length * math.fsum(to_go[2:])
            to_go = [0.0] + [
                to_go[r] * (1 - ends) + (to_go[r + 1] * ends if r < waves else 0.0) for r in range(1, waves + 1)
            ]
        if math.fsum(to_go) < _LEFT:
            break
    return mean


def batches_in_change_windows_s(
    batches: int, windows: Sequence[tuple[float, float]], *, starts_s: float = 0, every_s: float = DAY_S
) -> list[float]:
    """Times at which the batches of rate pacing are sent under change windows, seconds after the start of the rollout.

    Parameters
    ----------
    batches : int
    windows, starts_s, every_s
        As of :func:`waves_in_change_windows_s`.

    Notes
    -----
    The clock of rate pacing stops while no window is open. So batch k, counted from 0, is due when windows have been open for
    k minutes, and is sent then or, if the window closes at that instant, when the next one opens.
    With :func:`last_end_s` this gives the mean makespan.

    Examples
    --------
    >>> batches_in_change_windows_s(4, [(0, 90), (200, 230)], starts_s=30)
    [0.0, 170.0, 86400.0, 86570.0]
    """
    sent: list[float] = []
    since_start = open_s = 0.0
    for length, is_open in _pieces(windows, starts_s, every_s):
        while is_open and len(sent) < batches and 60.0 * len(sent) < open_s + length:
            sent.append(since_start + 60.0 * len(sent) - open_s)
        if len(sent) == batches:
            break
        since_start += length
        open_s += length if is_open else 0.0
    return sent


def _pieces(windows: Sequence[tuple[float, float]], starts_s: float, every_s: float) -> Iterator[tuple[float, bool]]:
    """Yield the lengths of successive open and closed times from the start on, and whether they are open, endlessly."""
    marks = [mark for window in windows for mark in window]
    edges = [0.0, *marks, every_s]
    while True:
        for place, (begin, end) in enumerate(itertools.pairwise(edges)):
            if end > max(begin, starts_s):
                yield end - max(begin, starts_s), place % 2 == 1
        starts_s = 0.0
