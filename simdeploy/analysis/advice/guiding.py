r"""Guides the proposals: which roots, and which starts of waves, make what was seen probable.

Most worlds drawn without guidance have a wave too early or too late, and hardly any weight. Time is divided into cells. Let
:math:`b_w(s)` be the approximate chance of what was seen of wave w and later ones if w starts in cell s: the chance of its counts,
times :math:`\sum_t P_w(t - s) b_{w+1}(t)`, where :math:`P_w` is the law of the largest of its nodes' times. One pass from the last
wave to the first gives the chance of everything seen, by slowdown. Then each wave's end is proposed in proportion to
:math:`P_w(t - s) b_{w+1}(t)` (twisted proposals; Guarniero, Johansen and Lee 2017 [1]_).

These chances are rough: they treat the nodes of a wave as identical, and failures as spread evenly. But worlds are weighted by the
exact chance of their choices over the probability with which these were proposed, and every cell may be proposed. So a poor guide
spreads the weights but doesn't bias them.

References
----------
.. [1] Guarniero, P., Johansen, A. M. and Lee, A. (2017). The iterated auxiliary particle filter. Journal of the American
   Statistical Association 112(520), 1636-1647.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.laws import FOREVER, TINY, log_chances
from simdeploy.analysis.advice.sieving import Sieve, place_of
from simdeploy.analysis.advice.waves import Course, Span
from simdeploy.world.distributions import Constant, Distribution
from simdeploy.world.streams import Stream, uniforms

if TYPE_CHECKING:
    from simdeploy.analysis.advice.rollouts import Rollouts

# The least number of time cells, those per wave, and the most; intervals of the uniform numbers that all nodes share.
_CELLS, _CELLS_OF_WAVE, _MOST_CELLS = 128, 8, 2048
_BINS = 64
# Fractions of the proposals that are drawn from the law itself, and uniformly.
_NATURAL, _UNIFORM = 0.1, 0.02


class Guide:
    """Rough chances of what was seen, given a kind of release and estimated from some rollouts."""

    def __init__(self, rollouts: Rollouts, course: Course) -> None:
        self._rollouts, self._course = rollouts, course
        n_waves = course.n_waves
        n = min(max(_CELLS, _CELLS_OF_WAVE * n_waves), _MOST_CELLS)
        self._edges = np.linspace(0.0, float(max(course.end_ns, 1)), n + 1)
        self._width = self._edges[1]
        behaviours = rollouts.scenario.fleet.behaviours
        self._shares = np.array([(rollouts.law_places == place).mean() for place in range(len(rollouts.laws(0)))])
        self._slowdown = middles([behaviour.slowdown for behaviour in behaviours])
        self._level = middles([behaviour.start_failure for behaviour in behaviours])
        # Whether durations of updates vary. If not, a wave can start only at a few instants, which cells may miss.
        self.is_spread = any(not isinstance(behaviour.update_duration, Constant) for behaviour in behaviours)
        self._failed = sum(each.failed for each in course.stretches)
        self._resolved = sum(cell.count for each in course.stretches for cell in each.cells)
        # By wave: the law of the largest time of its nodes, and the chance of what was seen of this wave and later ones.
        self._lengths: list[np.ndarray] = []
        self._ahead: list[np.ndarray] = [np.zeros(0)] * n_waves
        self._log_scale: list[np.ndarray] = [np.zeros(0)] * n_waves  # of what lies ahead, by slowdown
        laws = [self._tabulate(wave) for wave in range(n_waves)]
        for wave, (_, mixed) in enumerate(laws):
            self._lengths.append(mixed ** rollouts.plan.sizes[wave])
        scale = np.zeros(len(self._slowdown[0]))
        counts = [self._of_counts(wave, *law) for wave, law in enumerate(laws)]
        for wave in reversed(range(n_waves)):
            chances = counts[wave]
            if wave + 1 < n_waves:
                chances = chances * self._follow(wave, self._ahead[wave + 1])
            best = np.maximum(chances.max(axis=1, keepdims=True), TINY)
            scale = scale + np.log(best[:, 0])
            self._ahead[wave], self._log_scale[wave] = chances / best, scale
        self._starts = self._expect_starts(counts)
        by_slowdown = scale + log_chances(self._ahead[0][:, 0])
        by_level = self._of_failures()
        keeps = {Stream.SLOWDOWN: relate(by_slowdown), Stream.START_FAILURE_LEVEL: relate(by_level)}
        if not self.is_spread:
            del keeps[Stream.SLOWDOWN]
        has_promotion = n_waves > 1 and rollouts.awaits_promotion(0)
        if has_promotion and self.is_spread:
            keeps[Stream.PROMOTE_AFTER] = relate(self._of_promotion(counts[0][:, 0]))
        self.sieve = Sieve(rollouts, keeps, _bound_promotion(rollouts, course) if has_promotion else None)
        # Approximate, for all that was seen; 0 if the guide can't tell.
        self.log_likelihood = log_mean(by_slowdown) + log_mean(by_level) if self.is_spread else 0.0

    def choose_end(
        self, wave: int, roots: np.ndarray, starts: np.ndarray, pause_ns: np.ndarray | float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
        """Choose an interval for the end of the wave and its pause in each world; None if it is known, or follows.

        Return the interval's bounds, the log probability of the choice, and given that the approximate log probability of
        what was seen of later waves.
        """
        course = self._course
        if not self.is_spread or wave + 1 >= course.n_waves:
            return None
        following = course.starts[wave + 1]
        if following.high - following.low <= 4 * self._width:
            return None
        seed, number = self._rollouts.seed, len(self._rollouts.plan.sizes) + 1 + wave
        bins = self._bins(roots)
        left = self._edges - starts[:, np.newaxis] - np.broadcast_to(pause_ns, len(starts))[:, np.newaxis]
        natural = np.diff(self._interpolate(self._lengths[wave], left, bins), axis=1)
        is_later = (self._edges[1:] > starts[:, np.newaxis]).astype(float)
        parts = [natural * self._ahead[wave + 1][bins], natural, is_later]
        uniform = _normalise(is_later, is_later)
        twisted, natural = (_normalise(each, uniform) for each in parts[:2])
        chances = (1 - _NATURAL - _UNIFORM) * twisted + _NATURAL * natural + _UNIFORM * uniform
        cumulated = np.cumsum(chances, axis=1)
        u = uniforms(seed, roots, Stream.SEEN_WAVE, number)
        chosen = (cumulated < (u * cumulated[:, -1])[:, np.newaxis]).sum(axis=1)
        chosen = np.minimum(chosen, len(self._edges) - 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_chosen = np.log(chances[np.arange(len(roots)), chosen] / cumulated[:, -1])
            log_ahead = np.log(self._ahead[wave + 1][bins, chosen]) + self._log_scale[wave + 1][bins]
        low = np.where(chosen == 0, -np.inf, self._edges[chosen])
        return low, self._edges[chosen + 1], log_chosen, log_ahead

    def starts(self, wave: int, roots: np.ndarray) -> np.ndarray:
        """Return the mean start of a wave, given what was seen."""
        chances: np.ndarray = self._starts[wave][self._bins(roots)]
        return chances

    def _bins(self, roots: np.ndarray) -> np.ndarray:
        return place_of(uniforms(self._rollouts.seed, roots, Stream.SLOWDOWN, 0), len(self._starts[0]))

    # -- rough laws --------------------------------------------------------------------------------

    def _tabulate(self, wave: int) -> tuple[np.ndarray, np.ndarray]:
        """Return by slowdown the chance of a verdict by multiples of half a cell: of any node, and given that it gets one."""
        steps = np.arange(2 * len(self._edges) - 1) * self._width / 2
        level = [each.mean(keepdims=True) for each in self._level]
        runs, fails = self._chances(wave, steps, [each[:, np.newaxis] for each in self._slowdown], level)
        all_run, all_fail = self._chances(wave, FOREVER, self._slowdown, level)
        part = self._failed / max(self._resolved, 1)
        mixed = (1 - part) * runs / np.maximum(all_run, TINY)[:, np.newaxis]
        mixed = mixed + part * fails / np.maximum(all_fail, TINY)[:, np.newaxis]
        return np.clip(runs + fails, 0.0, 1.0), np.clip(mixed, 0.0, 1.0)

    def _chances(
        self, wave: int, x_ns: np.ndarray | float, slowdown: list[np.ndarray], level: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the chances that a node runs, or has failed, by some times."""
        rollouts = self._rollouts
        laws = [
            (place, rollouts.class_of(place), law)
            for place, law in enumerate(rollouts.laws(wave))
            if self._shares[place]
        ]
        runs, fails = (
            sum(
                self._shares[place] * getattr(law, name)(x_ns, slowdown[number], level[number])
                for place, number, law in laws
            )
            for name in ("running", "failed")
        )
        shape = np.broadcast_shapes(np.shape(x_ns), slowdown[0].shape, np.shape(level[0]))
        return np.broadcast_to(runs, shape), np.broadcast_to(fails, shape)

    def _interpolate(self, table: np.ndarray, x_ns: np.ndarray, bins: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Interpolate a table, by slowdown."""
        x = np.clip(x_ns / (self._width / 2), 0.0, table.shape[1] - 1)
        below = np.minimum(x.astype(np.int64), table.shape[1] - 2)
        if isinstance(bins, slice):
            lower, upper = table[:, below], table[:, below + 1]
        else:
            lower, upper = table[bins[:, np.newaxis], below], table[bins[:, np.newaxis], below + 1]
        values: np.ndarray = np.where(x_ns < 0, 0.0, lower + (x - below) * (upper - lower))
        return values

    def _of_counts(self, wave: int, law: np.ndarray, mixed: np.ndarray) -> np.ndarray:
        """Return the chance of the counts of a wave, by slowdown and the cell of its start."""
        course = self._course
        start = course.starts[wave]
        is_possible = (self._edges[1:] >= start.low) & (self._edges[:-1] <= start.high)
        if wave == 0:
            is_possible = np.arange(len(self._edges) - 1) == 0
        starts = np.zeros(len(self._edges) - 1) if wave == 0 else (self._edges[1:] + self._edges[:-1]) / 2
        cells = [cell for each in course.stretches for cell in each.cells if cell.wave == wave]
        in_flight = self._rollouts.plan.sizes[wave] - sum(cell.count for cell in cells)
        logs = np.zeros((len(law), len(starts)))
        if in_flight or len(cells) > 1:
            for cell in cells:
                high = self._interpolate(mixed, min(cell.span.high, cell.last.high) - starts)
                low = self._interpolate(mixed, np.maximum(cell.span.low - starts, -1.0))
                logs += cell.count * np.log(np.maximum(high - low, TINY))
            logs += in_flight * np.log(np.maximum(1 - self._interpolate(law, course.waits_ns - starts), TINY))
        logs[:, ~is_possible] = -np.inf
        # Log probabilities are cut off here to avoid underflow.
        best = logs.max(axis=1, keepdims=True, initial=-1e300)
        chances: np.ndarray = np.exp(np.maximum(best, -600.0) + np.where(np.isfinite(logs), logs - best, -np.inf))
        return chances

    def _follow(self, wave: int, ahead: np.ndarray) -> np.ndarray:
        """Return the mean of what lies ahead of a wave, by slowdown and the cell of its start."""
        n = ahead.shape[1]
        return _convolve(self._steps(wave)[:, ::-1], ahead)[:, n - 1 : 2 * n - 1]

    def _expect_starts(self, counts: list[np.ndarray]) -> list[np.ndarray]:
        """Return the mean start of each wave by slowdown, given what was seen."""
        middles = (self._edges[1:] + self._edges[:-1]) / 2
        before = np.zeros_like(counts[0])
        before[:, 0] = 1.0
        starts = [np.zeros(len(before))]
        for wave in range(1, len(counts)):
            n = before.shape[1]
            steps = self._steps(wave - 1)
            before = _convolve(steps, before * counts[wave - 1])[:, n : 2 * n]
            before /= np.maximum(before.max(axis=1, keepdims=True), TINY)
            chances = before * self._ahead[wave]
            starts.append((chances * middles).sum(axis=1) / np.maximum(chances.sum(axis=1), TINY))
        return starts

    def _steps(self, wave: int) -> np.ndarray:
        """Return the chance that the next wave starts -n, ..., n - 1 cells later, by slowdown."""
        n, pauses = len(self._edges) - 1, self._pauses(wave)
        offset = 0.0 if wave == 0 else self._width / 2
        edges = np.arange(-n, n + 1) * self._width - offset
        steps = np.zeros((len(self._slowdown[0]), 2 * n))
        for pause_ns in pauses:
            steps += np.diff(self._interpolate(self._lengths[wave], edges - pause_ns), axis=1) / len(pauses)
        return steps

    def _pauses(self, wave: int) -> np.ndarray:
        """Return equally likely lengths of the pause after a wave."""
        pauses = np.array([float(self._rollouts.plan.bakes_ns[wave])])
        if self._rollouts.awaits_promotion(wave):
            law = self._rollouts.scenario.operator.promote_after
            pauses = pauses + 1e9 * np.asarray(law.quantile((np.arange(_BINS) + 0.5) / _BINS))
        return pauses

    def _of_promotion(self, of_canaries: np.ndarray) -> np.ndarray:
        """Return the log chance of what was seen, by how long people take to promote the canaries."""
        scale = self._log_scale[1] - self._log_scale[1].max()
        by_slowdown = of_canaries * np.exp(scale)
        chances = [
            float(
                by_slowdown
                @ (np.diff(self._interpolate(self._lengths[0], self._edges - pause_ns), axis=1) * self._ahead[1]).sum(
                    axis=1
                )
            )
            for pause_ns in self._pauses(0)
        ]
        return log_chances(np.array(chances))

    def _of_failures(self) -> np.ndarray:
        """Return the log chance of the failures among verdicts, by the level of start failures."""
        slowdown = [np.full(1, np.median(each)) for each in self._slowdown]
        runs, fails = self._chances(0, FOREVER, slowdown, self._level)
        total = np.maximum(runs + fails, TINY)
        ways = math.lgamma(self._resolved + 1) - math.lgamma(self._failed + 1)
        ways -= math.lgamma(self._resolved - self._failed + 1)
        log_weights = ways + self._failed * np.log(np.maximum(fails / total, TINY))
        log_weights = log_weights + (self._resolved - self._failed) * np.log(np.maximum(runs / total, TINY))
        return np.atleast_1d(log_weights)


def _bound_promotion(rollouts: Rollouts, course: Course) -> Span:
    """Return bounds on how long people took to promote the canaries, from their last verdict and the next wave."""
    cell = next(cell for each in reversed(course.stretches) for cell in each.cells if cell.wave == 0)
    over, following, bake_ns = Span(cell.span.low, cell.span.high), course.starts[1], rollouts.plan.bakes_ns[0]
    over.meet(cell.last.low, cell.last.high)
    return Span(following.low - over.high - bake_ns - 2, following.high - over.low - bake_ns)


def _convolve(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    size = first.shape[1] + second.shape[1]
    product = np.fft.rfft(first, size, axis=1) * np.fft.rfft(second, size, axis=1)
    convolved: np.ndarray = np.maximum(np.fft.irfft(product, size, axis=1), 0.0)
    return convolved


def middles(laws: list[Distribution], n_bins: int = _BINS) -> list[np.ndarray]:
    """Return quantiles of each law, one if all are constant."""
    n = 1 if all(isinstance(law, Constant) for law in laws) else n_bins
    return [np.asarray(law.quantile((np.arange(n) + 0.5) / n), dtype=float) for law in laws]


def _normalise(chances: np.ndarray, default: np.ndarray) -> np.ndarray:
    total = chances.sum(axis=1, keepdims=True)
    normalised: np.ndarray = np.where(total > 0, chances / np.where(total > 0, total, 1.0), default)
    return normalised


def relate(logs: np.ndarray) -> np.ndarray:
    """Return relative probabilities, each replaced by the largest among itself and its neighbours."""
    best = logs.max()
    if not np.isfinite(best):
        return np.ones(1)
    padded = np.pad(np.exp(logs - best), 1, mode="edge")
    widened: np.ndarray = np.maximum(np.maximum(padded[:-2], padded[2:]), padded[1:-1])
    return widened


def log_mean(logs: np.ndarray) -> float:
    best = float(logs.max())
    return best + math.log(float(np.exp(logs - best).mean())) if math.isfinite(best) else -math.inf
