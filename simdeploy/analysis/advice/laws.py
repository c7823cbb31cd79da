r"""The law of a node's verdict, and of its time, given what all nodes of a rollout share.

A node attempts to start up to A times. Attempt k is the first to succeed with probability :math:`c_k = r^{k-1} (1 - h)(1 - p)`, where
h is the chance of a hang, p that of a failure and :math:`r = (1 - h) p`. It ends at :math:`T_k`, the sum of k durations, whose
distribution function :math:`G_k` is the k-fold convolution of that of one duration (Feller 1971 [1]_, section V.4). Then the node has
windows of length i. It runs after exactly m of them with probability :math:`R_m`, and has failed with :math:`U_m`, by a Markov chain on
the numbers of healthy and unhealthy windows so far. So, by a time x after its dispatch, and with a deadline d,

.. math::

    P(\text{runs by } x) &= \sum_k c_k \sum_m R_m G_k(\min(x, d) - m i) \\
    P(\text{failed by } x) &= \sum_k c_k \sum_m U_m G_k(x - m i) + r^A G_A(x), \quad x < d

and at d a node that doesn't run has failed. If the deadline counts from the start, a verdict comes at :math:`T_k + m i` with
:math:`m i \le d`, and the failure of a node that is still undecided, or that hangs, at :math:`T_k + d`.

If a node's level of errors, or the time after which the release shows, is random, the probabilities are averaged over equally likely
steps of its distribution.

References
----------
.. [1] Feller, W. (1971). An Introduction to Probability Theory and Its Applications, vol. II, 2nd edition. Wiley.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.units import NS_PER_S
from simdeploy.world.distributions import Constant, Distribution, sample_ns
from simdeploy.world.levels import either

if TYPE_CHECKING:
    from simdeploy.rules.health import HealthRule
    from simdeploy.world.fleet import Behaviour
    from simdeploy.world.release import ReleaseKind

FOREVER = np.float64(1 << 62)
# The least divisor of a chance.
TINY = 1e-300
# Steps of a distribution that is averaged over, and points of a convolution.
_STEPS = 64
_POINTS = 1001
_NOTHING = 1e-15


def log_chances(chances: np.ndarray) -> np.ndarray:
    """Return the logarithms of chances, minus infinity for what can't happen."""
    with np.errstate(divide="ignore"):
        logs: np.ndarray = np.log(chances)
    return logs


@dataclass(frozen=True)
class NodeLaw:
    """The law of the verdicts of a group of identical nodes."""

    behaviour: Behaviour
    kind: ReleaseKind | None  # of the release, if it affects these nodes
    rule: HealthRule
    share: float = 1.0  # the probability that the release affects a node

    def running(
        self,
        x_ns: Any,
        slowdown: Any,  # of the rollout, without what the release adds
        start_failure: Any,  # likewise
    ) -> np.ndarray:
        """Return the probability that a node runs by some times after its dispatch."""
        if self.parts:
            return np.asarray(sum(share * law.running(x_ns, slowdown, start_failure) for share, law in self.parts))
        rule, chances, start_failure = self.rule, self.windows, self.failure(start_failure)
        x = np.asarray(x_ns, dtype=float)
        if rule.is_checked and rule.deadline_from_dispatch:
            x = np.minimum(x, rule.deadline_ns)
        total: Any = 0.0
        for attempt, reached in self._attempts(start_failure):
            starts = reached * (1 - self.hang) * (1 - start_failure)
            if not rule.is_checked:
                starts = reached * ((1 - self.hang) * (1 - start_failure) + self.hang)
            for windows, chance in enumerate(chances.running):
                if chance > _NOTHING:
                    total = total + starts * chance * self.within(attempt, x - windows * rule.interval_ns, slowdown)
        return np.asarray(total)

    def failed(self, x_ns: Any, slowdown: Any, start_failure: Any) -> np.ndarray:
        """Return the probability that a node has failed by some times after its dispatch."""
        if self.parts:
            return np.asarray(sum(share * law.failed(x_ns, slowdown, start_failure) for share, law in self.parts))
        level, start_failure = start_failure, self.failure(start_failure)
        rule, chances = self.rule, self.windows
        x = np.asarray(x_ns, dtype=float)
        last = self.behaviour.start_attempts
        total: Any = 0.0
        for attempt, reached in self._attempts(start_failure):
            starts = reached * (1 - self.hang) * (1 - start_failure)
            for windows, chance in enumerate(chances.failed):
                if chance > _NOTHING:
                    total = total + starts * chance * self.within(attempt, x - windows * rule.interval_ns, slowdown)
            if rule.is_checked and not rule.deadline_from_dispatch:
                undecided = starts * chances.left[-1] + reached * self.hang
                total = total + undecided * self.within(attempt, x - rule.deadline_ns, slowdown)
            if attempt == last:
                lost = reached * (1 - self.hang) * start_failure
                total = total + lost * self.within(attempt, x, slowdown)
        if rule.is_checked and rule.deadline_from_dispatch and (x >= rule.deadline_ns).any():
            at_deadline = 1 - self.running(rule.deadline_ns, slowdown, level)
            total = np.where(x >= rule.deadline_ns, at_deadline, total)
        return np.asarray(total)

    @property
    def parts(self) -> tuple[tuple[float, NodeLaw], ...]:
        """The laws of affected and unaffected nodes, with their shares; empty if all are alike."""
        if self.kind is None or self.share == 1:
            return ()
        return (self.share, replace(self, share=1.0)), (1 - self.share, replace(self, kind=None))

    @property
    def hang(self) -> float:
        """The probability that an attempt hangs."""
        return either(self.behaviour.start_hang, 0.0 if self.kind is None else self.kind.start_hang)

    def failure(self, start_failure: Any) -> Any:
        """Return the probability that an attempt fails, with what the release adds."""
        added = 0.0 if self.kind is None else self.kind.start_failure
        return 1 - (1 - np.asarray(start_failure, dtype=float)) * (1 - added) if added else start_failure

    @property
    def constants(self) -> tuple[float | None, float | None]:
        """The level of errors and the time after which the release shows, nanoseconds; None for one that differs between nodes."""
        law, kind = self.behaviour.error_rate, self.kind
        level = law.mean if isinstance(law, Constant) else None
        if kind is None or not kind.error_rate:
            return level, 0.0
        return level, float(sample_ns(kind.after, 0.5)) if isinstance(kind.after, Constant) else None

    @property
    def windows(self) -> Windows:
        """The chance of each verdict after each number of windows."""
        return _windows_of(self.behaviour, self.kind, self.rule)

    def _attempts(self, start_failure: Any) -> list[tuple[int, Any]]:
        """Return the number of each attempt, and the probability that it is made."""
        again = (1 - self.hang) * np.asarray(start_failure, dtype=float)
        return [(number + 1, again**number) for number in range(self.behaviour.start_attempts)]

    def within(self, attempt: int, left_ns: np.ndarray, slowdown: Any) -> np.ndarray:
        """Return the probability that the attempts up to this one end within some times."""
        return starts_within(self.behaviour.update_duration, attempt, left_ns, slowdown)


def starts_within(law: Distribution, attempts: int, left_ns: np.ndarray, slowdown: Any) -> np.ndarray:
    """Return the probability that `attempts` attempts end within some times, one after the other.

    Examples
    --------
    >>> from simdeploy.world.distributions import Uniform
    >>> starts_within(Uniform(0.0, 2.0), 2, np.array([2e9]), 1.0).round(4).tolist()
    [0.5]
    """
    slowdown = np.asarray(slowdown, dtype=float)
    if isinstance(law, Constant):
        one_ns = np.where(slowdown == 1.0, sample_ns(law, 0.5), np.floor(law.value * NS_PER_S * slowdown + 0.5))
        return np.asarray(attempts * one_ns <= left_ns, dtype=float)
    # Durations are rounded to whole nanoseconds, halves up.
    with np.errstate(divide="ignore", invalid="ignore"):
        seconds = np.where(slowdown > 0, (left_ns + 0.5) / NS_PER_S / slowdown, np.inf)
    seconds = np.where(left_ns < 0, -1.0, seconds)
    if attempts == 1:
        return np.where(left_ns >= 0, law.cdf(np.maximum(seconds, 0.0)), 0.0)
    points, chances = _convolved(law, attempts)
    return np.where(left_ns >= 0, np.interp(seconds, points, chances, left=0.0, right=1.0), 0.0)


@lru_cache(maxsize=256)
def _convolved(law: Distribution, attempts: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points, and the distribution function of the sum of the attempts' durations at them."""
    low, high = float(law.support[0]), float(law.inverse_survival(1e-12))
    points = np.linspace(attempts * low, attempts * high, _POINTS)
    steps = law.quantile((np.arange(_POINTS) + 0.5) / _POINTS)
    chances = np.empty(_POINTS)
    for place, point in enumerate(points.tolist()):
        rest = point - steps
        if attempts == 2:
            of_rest = np.where(rest >= 0, law.cdf(np.maximum(rest, 0.0)), 0.0)
        else:
            of_rest = np.interp(rest, *_convolved(law, attempts - 1), left=0.0, right=1.0)
        chances[place] = of_rest.mean()
    return points, chances


@dataclass(frozen=True, eq=False)
class Windows:
    """At index m: the probability that a node runs, or has failed, after exactly m windows, or is still undecided."""

    running: np.ndarray
    failed: np.ndarray
    left: np.ndarray


@lru_cache(maxsize=1024)
def _windows_of(behaviour: Behaviour, kind: ReleaseKind | None, rule: HealthRule) -> Windows:
    if not rule.is_checked or rule.windows_needed == 0:
        return Windows(np.ones(1), np.zeros(1), np.zeros(1))
    most = rule.deadline_ns // rule.interval_ns
    healthy = healthy_chances(behaviour, kind, rule, np.arange(most), *steps_of(behaviour, kind))
    return decide(rule, healthy, 1 - healthy)


def steps_of(behaviour: Behaviour, kind: ReleaseKind | None, *, finely: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return equally likely pairs of a level of errors and a time after which the release shows."""
    n = 4 * _STEPS if finely else _STEPS
    steps = (np.arange(n) + 0.5) / n
    middle = steps[n // 2 :][:1]
    levels = behaviour.error_rate.quantile(middle if isinstance(behaviour.error_rate, Constant) else steps)
    after_ns = np.zeros(1)
    if kind is not None and kind.error_rate:
        after_ns = sample_ns(kind.after, middle if isinstance(kind.after, Constant) else steps).astype(float)
    return np.repeat(levels, len(after_ns)), np.tile(after_ns, len(levels))


def healthy_chances(
    behaviour: Behaviour, kind: ReleaseKind | None, rule: HealthRule, windows: np.ndarray, levels: Any, after_ns: Any
) -> np.ndarray:
    """Return the probability that some windows, counted from 0, are healthy, by level and time after which the release shows."""
    from scipy.special import bdtr

    levels, after_ns = np.atleast_1d(levels)[:, np.newaxis], np.atleast_1d(after_ns)[:, np.newaxis]
    shape = (len(levels), len(windows))
    requests = rule.requests_per_window(behaviour.requests_per_second)
    allowed = rule.allowed_failures(requests)
    if allowed < 0 or not requests:
        return np.full(shape, float(allowed >= 0))
    chances: np.ndarray = np.broadcast_to(
        bdtr(allowed, requests, error_levels(kind, rule, windows, levels, after_ns)), shape
    )
    return chances


def error_levels(
    kind: ReleaseKind | None, rule: HealthRule, windows: np.ndarray, levels: Any, after_ns: Any
) -> np.ndarray:
    """Return the mean levels of errors in some windows, with what the release adds once it shows, by level and time."""
    levels, after_ns = np.atleast_1d(levels), np.atleast_1d(after_ns)
    levels, after_ns = levels.reshape(len(levels), -1), after_ns.reshape(len(after_ns), -1)
    if kind is not None and kind.error_rate:
        ends = rule.interval_ns * (windows + 1)
        present = np.clip((ends - after_ns) / rule.interval_ns, 0.0, 1.0)  # as a fraction of the window
        levels = levels + present * (1 - levels) * kind.error_rate
    repeated: np.ndarray = np.broadcast_to(levels, (len(levels), len(windows)))
    return repeated


def decide(
    rule: HealthRule,
    healthy: np.ndarray,  # chance that a window is healthy, jointly with what was seen of it; shape (steps, windows)
    unhealthy: np.ndarray,  # likewise
) -> Windows:
    """Run the Markov chain on the numbers of healthy and unhealthy windows."""
    n_steps, most = healthy.shape
    threshold = rule.failure_threshold
    running, failed, left = np.zeros(most + 1), np.zeros(most + 1), np.ones(most + 1)
    # Axes: step, healthy windows that count, unhealthy ones (consecutive or in total).
    state = np.zeros((n_steps, rule.windows_needed, threshold or 1))
    state[:, 0, 0] = 1.0 / n_steps
    for window in range(1, most + 1):
        better, worse = (chance[:, window - 1, np.newaxis, np.newaxis] * state for chance in (healthy, unhealthy))
        if not rule.cumulative:
            better = np.concatenate([better.sum(axis=2, keepdims=True), np.zeros_like(better[:, :, 1:])], axis=2)
        following = np.zeros_like(state)
        running[window] = better[:, -1].sum()
        following[:, 1:] = better[:, :-1]
        if threshold is not None:
            failed[window] = worse[:, :, -1].sum()
            worse = np.concatenate([np.zeros_like(worse[:, :, :1]), worse[:, :, :-1]], axis=2)
        if rule.consecutive:
            following[:, 0] += worse.sum(axis=1)
        else:
            following += worse
        state = following
        left[window] = state.sum()
    return Windows(running, failed, left)
