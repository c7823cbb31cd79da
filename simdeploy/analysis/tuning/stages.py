"""The stages of a search, each in new worlds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from simdeploy.analysis.asking.allocating import Allocation
from simdeploy.analysis.asking.judging import MET, MISSED, UNDECIDED
from simdeploy.analysis.tuning import findings, result
from simdeploy.analysis.tuning.neighbours import Neighbourhood
from simdeploy.analysis.tuning.question import WORLDS_OF_A_BATCH, Question
from simdeploy.analysis.tuning.space import Candidates
from simdeploy.analysis.tuning.worlds import Measured, Worlds
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import estimate_values
from simdeploy.statistics.sample import Sample
from simdeploy.statistics.selection import Selection, screen, select_kim_nelson, select_ocba
from simdeploy.statistics.selection.ocba import estimate_probability

# The selection starts with this many observations.
_FIRST_BATCHES = 20
# Steps in which a budget is spent; each is a sweep with some overhead.
_STEPS = 20

# Candidates are compared in the worlds of the first stage, then in 5 and 25 times as many, until few are left.
_GROWTH, _FEW = (1, 5, 25), 20
# Candidates with equal rollouts in this many worlds are merged.
_ENOUGH_WORLDS = 1000

# To find the best candidate that meets the requirements, at most this many are settled at once (best first), and in all.
_AT_ONCE, _MOST_SETTLED = 16, 128
# Only this many of the most promising candidates enter the long stages.
_MOST_CARRIED = 500
_FEWEST_NEW_WORLDS, _FEWEST_OF_A_KIND = 2000, 400
# The default indifference is relative to a mean over at least this many new worlds, at most the second number, up to the given
# relative accuracy.
_WORLDS_OF_SCALE, _MOST_WORLDS_OF_SCALE, _ACCURACY_OF_SCALE = 1000, 50_000, 0.2

# If the grid is too large to try all of it: how many of the best candidates have their neighbours tried, and for how many steps.
_LEADERS, _MOST_STEPS = 20, 12


class NoValueError(Exception):
    """A candidate lost its value in a late world; it is ruled out now."""


class Stages:
    """The operations on candidates, stage by stage."""

    def __init__(self, question: Question, candidates: Candidates, worlds: Worlds, nearby: Neighbourhood) -> None:
        self.worlds, self.found = worlds, findings.Findings(candidates)
        self._question, self._nearby = question, nearby
        self._allocation = Allocation(worlds.release, worlds.kinds)
        self._tried: Measured
        self._screened_means: np.ndarray  # means of screened candidates
        self._n_batches = 0
        self._left_to_settle = question.most
        self._met: set[int] = set()
        alpha, n_requirements = 1 - question.confidence_level, len(question.requirements)
        self._alpha_of_choice = alpha / 8 if n_requirements else alpha / 2
        self._alpha_of_requirement = alpha / 4 / max(n_requirements, 1)

    @cached_property
    def indifference(self) -> float:
        """The smallest difference that matters: by default in proportion to the best candidate's value, in new worlds."""
        question, known = self._question, self.found
        if question.indifference is not None:
            return question.indifference
        promising = known.list_promising(question, _LEADERS)
        if not len(promising) or question.objective.is_fraction:
            return known.default_indifference(question, None)
        n_worlds = max(min(_WORLDS_OF_SCALE, question.most // len(promising)), question.worlds)
        counts = self._allocation.divide(n_worlds)
        # The apparent best of the first stage may be far from the best.
        means = self._measure("scale", promising, counts).means
        best = int(promising[np.argmin(np.where(np.isnan(means), np.inf, means))])
        measured = self._measure("scale", [best], counts)
        while measured.n_worlds < min(_MOST_WORLDS_OF_SCALE, question.most):
            estimate = estimate_values(
                measured.of[question.objective][0], question.objective, question.confidence_level
            )
            if estimate.half_width <= _ACCURACY_OF_SCALE * abs(estimate.estimate):
                break
            counts = self._allocation.divide_for(measured.observed, measured.n_worlds, fewest=WORLDS_OF_A_BATCH)
            measured = measured.join(self._measure("scale", [best], counts))
        return known.default_indifference(question, float(measured.means[0]))

    def try_all(self) -> None:
        """Try every candidate, and if these are a sample the neighbours of the best; rule out unpromising ones."""
        question, known = self._question, self.found
        self.worlds.check_room(len(known.candidates), question.worlds)
        self._allocation.learn(self._pilot().observed)
        counts = self._allocation.divide(question.worlds)
        worlds, before = self.worlds.take(counts), self.worlds.done
        measured = self.worlds.measure(np.arange(len(known.candidates)), worlds)
        for _ in range(_MOST_STEPS if self._nearby.is_needed else 0):
            order = np.lexsort([measured.means, measured.has_gap])
            leaders = order[order != known.candidates.reference][:_LEADERS]
            candidates = self._nearby.around(known.candidates, leaders)
            if len(candidates) == len(known.candidates):
                break
            new = np.arange(len(known.candidates), len(candidates))
            known.extend(candidates)
            self.worlds.candidates = candidates
            measured = measured.stack(self.worlds.measure(new, worlds))
        self._note("try all", len(known.candidates), sum(counts.values()), before)
        self._tried = measured
        numbers = np.arange(len(known.candidates))
        known.estimates, known.worlds = measured.means * question.sign, sum(counts.values())
        self.rule_out_valueless(numbers[measured.has_gap])
        judged, overall = findings.judge_candidates(measured.of, question.requirements, self._alpha_of_requirement)
        known.note_requirements([of_requirement.estimate for of_requirement in judged], question.requirements)
        known.rule_out(numbers[overall == MISSED], findings.MISSES)
        self._allocation.learn(measured.take(known.is_open).observed)

    def _pilot(self) -> Measured:
        """Simulate a few candidates from all over the grid, to see how values vary."""
        n = len(self.found.candidates)
        some = np.unique(np.linspace(0, n - 1, min(n, self._allocation.n_piloted)).astype(np.int64))
        return self._measure("pilot", some, self._allocation.of_pilot)

    def find_feasible(self) -> np.ndarray:
        """Return promising candidates that are confirmed to meet the requirements; without requirements all candidates."""
        numbers = self.found.open_numbers()
        if not self._question.requirements:
            return numbers
        known = numbers[np.isin(numbers, list(self._met))]
        if len(known):
            return known
        order = numbers[np.lexsort([self._tried.means[numbers], ~self.found.looks_feasible[numbers]])]
        for start in range(0, min(len(order), _MOST_SETTLED), _AT_ONCE):
            some = order[start : start + _AT_ONCE]
            met: np.ndarray = some[self._settle(some, enough=1) == MET]
            if len(met):
                return met
        # As far as the budget allows, confirm that the others miss the requirements.
        rest = order[_MOST_SETTLED:]
        return rest[self._settle(rest, enough=1) == MET] if len(rest) else rest

    def settle(self, survivors: np.ndarray, certified: np.ndarray) -> np.ndarray:
        """Settle the requirements of the survivors, the best first; return those confirmed to meet them all.

        Candidates that seem worse by more than the indifference than one that meets them need not be settled.
        """
        if not self._question.requirements:
            return survivors
        met = survivors[np.isin(survivors, [*certified.tolist(), *self._met])]
        unknown = survivors[~np.isin(survivors, met)]
        order = unknown[np.argsort(self._screened_means[unknown], kind="stable")]
        for start in range(0, len(order), _AT_ONCE):
            some = order[start : start + _AT_ONCE]
            best = self._screened_means[met].min() if len(met) else math.inf
            if start >= _MOST_SETTLED or self._screened_means[some[0]] > best + self.indifference:
                is_late = self._screened_means[order[start:]] > best + self.indifference
                self.found.rule_out(order[start:][is_late], findings.RULED_OUT)
                self.found.rule_out(order[start:][~is_late], findings.NOT_KNOWN)
                break
            verdicts = self._settle(some)
            self.found.rule_out(some[verdicts == UNDECIDED], findings.NOT_KNOWN)
            met = np.concatenate([met, some[verdicts == MET]])
        return met

    def _settle(self, numbers: np.ndarray, *, enough: int | None = None) -> np.ndarray:
        question, before = self._question, self.worlds.done

        def measure(some: np.ndarray, count: int) -> Mapping[Measure, Sample]:
            return self.worlds.measure(some, self.worlds.take(self.worlds.divide_for_requirements(count))).of

        fewest = question.worlds
        # Half of the remaining budget, so that something is left for later candidates.
        most = max(fewest, self._left_to_settle // 2 // len(numbers))
        verdicts, n_worlds = findings.settle(
            measure, numbers, question.requirements, enough=enough, error=self._alpha_of_requirement,
            fewest=fewest, most=most,
        )  # fmt: skip
        self._note("settle", len(numbers), n_worlds, before)
        self._left_to_settle -= self.found.stages[-1]["rollouts"]
        self._met.update(numbers[verdicts == MET].tolist())
        self.found.rule_out(numbers[verdicts == MISSED], findings.MISSES)
        return verdicts

    def screen(self, certified: np.ndarray) -> np.ndarray:
        """Eliminate candidates significantly worse than one confirmed to meet the requirements, in increasing numbers of worlds."""
        numbers = self.found.open_numbers()
        measured = self._tried.take(numbers)
        family = len(numbers)
        n_first = measured.n_worlds
        for look, times in enumerate(_GROWTH):
            if len(numbers) <= _FEW or not np.isin(numbers, certified).any():
                break
            if look:
                count = n_first * times - measured.n_worlds
                if look > 1:
                    count = min(count, max(self._question.most // len(numbers), _ENOUGH_WORLDS - measured.n_worlds))
                if count <= 0:
                    break
                self._allocation.learn(measured.observed)
                measured = measured.join(self._measure("screen", numbers, self._allocation.divide(count)))
                self.rule_out_valueless(numbers[measured.has_gap])
                numbers, measured = numbers[~measured.has_gap], measured.take(~measured.has_gap)
                if not np.isin(numbers, certified).any():
                    break
            kept = self._screen_rivals(numbers, measured, certified, family)
            self.found.rule_out(numbers[~kept], findings.RULED_OUT)
            numbers, measured = numbers[kept], measured.take(kept)
        self._allocation.learn(measured.observed)
        if measured.n_worlds >= _ENOUGH_WORLDS:
            is_representative = self.found.merge_equal(numbers, list(measured.of.values()), certified)
            numbers, measured = numbers[is_representative], measured.take(is_representative)
        means = measured.means
        self._screened_means = np.full(len(self.found.candidates), np.nan)
        self._screened_means[numbers] = means
        order = np.argsort(means, kind="stable")
        self.found.rule_out(numbers[order[_MOST_CARRIED:]], findings.RULED_OUT)
        self.found.is_cut = len(numbers) > _MOST_CARRIED
        return np.sort(numbers[order[:_MOST_CARRIED]])

    def _screen_rivals(self, numbers: np.ndarray, measured: Measured, certified: np.ndarray, family: int) -> np.ndarray:
        observations = measured.observations
        rivals = np.flatnonzero(np.isin(numbers, certified))
        kept = screen(observations, alpha=self._alpha_of_choice / len(_GROWTH), rivals=rivals, family=family)
        # A rare, expensive event may not have happened yet: assume that a rival has the worst outcome in one more world.
        means = measured.means
        with_the_worst = means[rivals].min() + self._allocation.unseen(observations.strata.counts).sum()
        is_kept: np.ndarray = kept | (means <= with_the_worst + self.indifference)
        return is_kept

    def select(self, numbers: np.ndarray) -> tuple[Selection, int]:
        """Select the best candidate; among ties, the one closest to the current policy."""
        question, before, mark = self._question, self.worlds.done, self.worlds.mark()
        batch = self._allocation.divide(WORLDS_OF_A_BATCH)
        self._n_batches = 0
        observed: dict[int, list[np.ndarray]] = {}

        def sample(candidates: np.ndarray, first: int, count: int) -> np.ndarray:
            self._n_batches = max(self._n_batches, first + count)
            measured = self.worlds.measure(candidates, self.worlds.batches(mark, batch, first, count))
            if measured.has_gap.any():
                self.rule_out_valueless(candidates[measured.has_gap])
                raise NoValueError
            averages = average_batches(measured.observations, list(batch.values()), count)
            for number, of_candidate in zip(candidates.tolist(), averages, strict=True):
                observed.setdefault(number, []).append(of_candidate)
            return averages

        unseen = self._allocation.unseen(np.array(list(batch.values())) - 1).max()
        try:
            if question.final is None:
                selection = select_kim_nelson(
                    sample, numbers, n0=_FIRST_BATCHES, budget=question.most // WORLDS_OF_A_BATCH,
                    indifference=self.indifference, alpha=self._alpha_of_choice, unseen=float(unseen),
                )  # fmt: skip
            else:
                budget = max(question.final // WORLDS_OF_A_BATCH, _FIRST_BATCHES * len(numbers))
                step = max(budget // _STEPS, 1)
                selection = select_ocba(sample, numbers, n0=_FIRST_BATCHES, step=step, budget=budget)
                if len(numbers) > 1:
                    values = {number: np.concatenate(batches) for number, batches in observed.items()}
                    selection = replace(selection, probability_correct=_count_equal_once(selection.best, values))
        finally:
            self._note("select", len(numbers), self._n_batches * WORLDS_OF_A_BATCH, before)
        is_equal = (selection.means == selection.means[selection.candidates == selection.best]) | (
            numbers == selection.best
        )
        equal = selection.candidates[is_equal & np.isin(selection.candidates, selection.survivors)]
        choice = min(equal.tolist(), key=lambda number: (self.found.candidates.n_changes(number), number))
        self.found.note_equal(equal[equal != choice], choice)
        return selection, choice

    def find_held_back(self, choice: int) -> dict[str, int]:
        """Return by requirement the best candidate without it, among a few that are compared in more worlds."""
        held_back = {}
        for name, numbers in self.found.find_held_back(self._question, choice, _AT_ONCE).items():
            means = self._measure("without one", numbers, self._allocation.divide(_ENOUGH_WORLDS)).means
            if not np.isnan(means).all():
                held_back[name] = int(numbers[np.nanargmin(means)])
        return held_back

    def confirm(self, shown: Sequence[int], attempt: int) -> tuple[Measured, np.ndarray, float]:
        """Simulate candidates in new worlds, the first of which is the choice, until it is clear whether they confirm it.

        That is, it is clear whether the first candidate meets the requirements, its mean is known to within the indifference, and no
        other candidate only seems to be better by the indifference. Also returns the verdict on each candidate's requirements, and
        the probability of a false one at each look.
        """
        count = max(min(_FEWEST_NEW_WORLDS, self._question.most // len(shown)), self._question.worlds)
        fewest = min(_FEWEST_OF_A_KIND, max(count // 5, 2))
        most = max(count, self._question.most // len(shown))
        # Halved in each attempt, so that the error of all attempts together is bounded.
        alpha = self._alpha_of_requirement / 2 ** (attempt - 1) / (1 + int(math.log2(most / count)))
        measured = self._measure("confirm", shown, self._allocation.divide(count, fewest=fewest))
        while True:
            _, verdicts = findings.judge_candidates(measured.of, self._question.requirements, alpha)
            is_settled = verdicts[0] == MISSED or measured.has_gap[0]
            is_settled |= verdicts[0] == MET and self._is_known(measured, verdicts, shown)
            if is_settled or 2 * measured.n_worlds > most:
                return measured, verdicts, alpha
            counts = self._allocation.divide_for(measured.observed, measured.n_worlds, fewest=fewest)
            if verdicts[0] == UNDECIDED:  # settle the choice before its rivals
                rest = dict.fromkeys(counts, fewest)
                counts = rest | self.worlds.divide_for_requirements(measured.n_worlds)
            measured = measured.join(self._measure("confirm", shown, counts))

    def _is_known(self, measured: Measured, verdicts: np.ndarray, shown: Sequence[int]) -> bool:
        """Return whether the first candidate's mean is known to within the indifference, and no other may contradict it."""
        objective, level = self._question.objective, self._question.confidence_level
        estimate = estimate_values(measured.of[objective][0], objective, level)
        if not estimate.is_trusted or estimate.half_width > self.indifference:
            return False
        better = measured.means[0] - measured.means > self.indifference
        better &= [number != self.found.candidates.reference for number in shown]  # the reference can't be recommended
        return not (better & (verdicts == MET) & ~measured.has_gap).any()

    def rule_out_valueless(self, numbers: np.ndarray) -> None:
        """Rule out candidates with a rollout that has no value, because it failed or never ends."""
        has_failed = np.isin(numbers, list(self.worlds.failed))
        self.found.rule_out(numbers[has_failed], result.FAILED)
        self.found.rule_out(numbers[~has_failed], result.NEVER_ENDS)

    def _measure(self, stage: str, numbers: Sequence[int] | np.ndarray, counts: Mapping[str, int]) -> Measured:
        before = self.worlds.done
        measured = self.worlds.measure(numbers, self.worlds.take(counts))
        self._note(stage, len(numbers), sum(counts.values()), before)
        return measured

    def _note(self, stage: str, candidates: int, worlds: int, before: tuple[int, int]) -> None:
        rollouts, node_updates = (now - then for now, then in zip(self.worlds.done, before, strict=True))
        cost = {"worlds": worlds, "rollouts": rollouts, "node_updates": node_updates}
        self.found.stages.append({"stage": stage, "candidates": candidates, **cost})


def average_batches(observations: Sample, sizes: Sequence[int], count: int) -> np.ndarray:
    """Return the mean of each batch, weighted by stratum; a batch has `sizes` worlds of each stratum."""
    _, weights = observations.means_by_stratum()
    total = np.zeros((len(observations), count))
    for place, (columns, size) in enumerate(zip(observations.strata.columns, sizes, strict=True)):
        values = observations.values[:, columns].reshape(len(observations), count, size)
        if not np.isnan(values).all():
            total += weights[:, place, None] * values.mean(axis=2)
    return total


def _count_equal_once(best: int, values: dict[int, np.ndarray]) -> float:
    """Return the probability that candidate `best` is the best; candidates equal to it in all worlds in common count as the same.

    There are enough such worlds, of each kind of release, to merge candidates; without this, ties would halve the probability.
    """
    of_best = values.pop(best)
    kept = [of_best]
    for of_other in values.values():
        n = min(len(of_best), len(of_other))
        if not np.array_equal(of_best[:n], of_other[:n]):
            kept.append(of_other)
    means, variances, sizes = zip(*((each.mean(), each.var(ddof=1), len(each)) for each in kept), strict=True)
    return estimate_probability(np.array(means), np.array(variances), np.array(sizes))
