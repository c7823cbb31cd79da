"""The stages of a search, each in new worlds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from simdeploy.analysis.asking.judging import MET, MISSED, UNDECIDED
from simdeploy.analysis.tuning.findings import (
    FAILED,
    MISSES,
    NEVER_ENDS,
    NOT_KNOWN,
    RULED_OUT,
    Findings,
    judge_candidates,
    settle,
)
from simdeploy.analysis.tuning.question import Question
from simdeploy.analysis.tuning.space import Candidates
from simdeploy.analysis.tuning.worlds import Measured, Worlds
from simdeploy.statistics.selection import Selection, screen, select_kim_nelson, select_ocba

# Costs are rare and large. This many worlds are averaged into one observation, so that it is nearly normal, as the
# procedure of Kim and Nelson assumes; and it starts with this many observations.
_BATCH, _FIRST_BATCHES = 50, 20
# Steps of a budget: every step is a sweep with its own overhead.
_STEPS = 20

# Candidates are compared after the first stage, and twice more in 5 and 25 times as many worlds, unless few are left.
_GROWTH, _FEW = (1, 5, 25), 20
# Candidates with equal rollouts in this many worlds are merged.
_ENOUGH_WORLDS = 1000

# In search of a candidate that meets the requirements: candidates settled at once, and number of tries.
_AT_ONCE, _TRIES = 16, 12
# Only this many of the most promising candidates enter the long stages.
_MOST_CARRIED = 500
_FEWEST_NEW_WORLDS = 2000


class NoValueError(Exception):
    """A candidate lost its value in a late world; it is ruled out now."""


class Stages:
    """The operations on candidates, stage by stage."""

    def __init__(self, question: Question, candidates: Candidates, worlds: Worlds) -> None:
        self.worlds, self.found = worlds, Findings(candidates)
        self._question = question
        self._next_world = 0
        self._tried: Measured
        self._met: set[int] = set()
        alpha, n_requirements = 1 - question.confidence_level, len(question.requirements)
        self._alpha_of_choice = alpha / 8 if n_requirements else alpha / 2
        self._alpha_of_requirement = alpha / 4 / max(n_requirements, 1)

    @cached_property
    def indifference(self) -> float:
        """The smallest difference that matters."""
        return self._question.indifference or self.found.default_indifference(self._question)

    def try_all(self) -> None:
        """Try every candidate, and rule out the unpromising."""
        question, found = self._question, self.found
        numbers = np.arange(len(found.candidates))
        self._tried = measured = self._measure("try all", numbers, question.worlds)
        found.note_estimates(measured.observations.mean(axis=1) * question.sign, question.worlds)
        self.rule_out_valueless(numbers[np.isnan(measured.observations).any(axis=1)])
        judged, overall = judge_candidates(measured.of, question.requirements, self._alpha_of_requirement)
        found.note_requirements([of_requirement.estimate for of_requirement in judged], question.requirements)
        found.rule_out(numbers[overall == MISSED], MISSES)

    def find_feasible(self) -> np.ndarray:
        """Look for promising candidates that are confirmed to meet the requirements; without requirements, all are."""
        found = self.found
        numbers = found.open_numbers()
        if not self._question.requirements:
            return numbers
        known = numbers[np.isin(numbers, list(self._met))]
        if len(known):
            return known
        order = numbers[np.lexsort([self._tried.observations[numbers].mean(axis=1), ~found.looks_feasible[numbers]])]
        for start in range(0, min(len(order), _AT_ONCE * _TRIES), _AT_ONCE):
            some = order[start : start + _AT_ONCE]
            met: np.ndarray = some[self._settle(some, enough=1) == MET]
            if len(met):
                return met
        none: np.ndarray = order[:0]
        return none

    def settle(self, survivors: np.ndarray, certified: np.ndarray) -> np.ndarray:
        """Settle the requirements of the survivors; return those confirmed to meet them all."""
        if not self._question.requirements:
            return survivors
        is_known = np.isin(survivors, [*certified.tolist(), *self._met])
        unknown = survivors[~is_known]
        if not len(unknown):
            return survivors
        verdicts = self._settle(unknown)
        self.found.rule_out(unknown[verdicts == UNDECIDED], NOT_KNOWN)
        return np.concatenate([survivors[is_known], unknown[verdicts == MET]])

    def _settle(self, numbers: np.ndarray, *, enough: int | None = None) -> np.ndarray:
        question, before = self._question, self.worlds.done
        verdicts, end = settle(
            lambda some, first, count: self.worlds.measure(some, first, count).of, numbers, question.requirements,
            enough=enough, error=self._alpha_of_requirement, first=self._next_world, fewest=question.worlds,
            most=max(question.worlds, self._most_worlds(numbers)),
        )  # fmt: skip
        self._note("settle", len(numbers), end - self._next_world, before)
        self._next_world = end
        self._met.update(numbers[verdicts == MET].tolist())
        self.found.rule_out(numbers[verdicts == MISSED], MISSES)
        return verdicts

    def screen(self, certified: np.ndarray) -> np.ndarray:
        """Eliminate candidates significantly worse than one confirmed to meet the requirements, in ever more worlds."""
        numbers = self.found.open_numbers()
        measured = self._tried.take(numbers)
        family = len(numbers)
        for look, times in enumerate(_GROWTH):
            if len(numbers) <= _FEW or not np.isin(numbers, certified).any():
                break
            if look:
                count = self._question.worlds * times - measured.n_worlds
                if look > 1:
                    count = min(count, max(self._most_worlds(numbers), _ENOUGH_WORLDS - measured.n_worlds))
                if count <= 0:
                    break
                measured = measured.join(self._measure("screen", numbers, count))
                has_value = ~np.isnan(measured.observations).any(axis=1)
                self.rule_out_valueless(numbers[~has_value])
                numbers, measured = numbers[has_value], measured.take(has_value)
                if not np.isin(numbers, certified).any():
                    break
            kept = self._keep(numbers, measured, certified, family)
            self.found.rule_out(numbers[~kept], RULED_OUT)
            numbers, measured = numbers[kept], measured.take(kept)
        if measured.n_worlds >= _ENOUGH_WORLDS:
            stands = self.found.merge_equal(numbers, list(measured.of.values()), certified)
            numbers, measured = numbers[stands], measured.take(stands)
        order = np.argsort(measured.observations.mean(axis=1), kind="stable")
        self.found.rule_out(numbers[order[_MOST_CARRIED:]], RULED_OUT)
        self.found.is_cut = len(numbers) > _MOST_CARRIED
        carried: np.ndarray = np.sort(numbers[order[:_MOST_CARRIED]])
        return carried

    def _keep(self, numbers: np.ndarray, measured: Measured, certified: np.ndarray, family: int) -> np.ndarray:
        values, n = measured.observations, measured.n_worlds
        rivals = np.flatnonzero(np.isin(numbers, certified))
        kept = screen(values, alpha=self._alpha_of_choice / len(_GROWTH), rivals=rivals, family=family)
        # A rare, expensive event may not have happened yet: assume that a rival met the worst in one more world.
        means = values.mean(axis=1)
        with_the_worst = (n * means[rivals] + np.nanmax(self._tried.observations)) / (n + 1)
        is_kept: np.ndarray = kept | (means <= with_the_worst.min() + self.indifference)
        return is_kept

    def select(self, numbers: np.ndarray) -> tuple[Selection, int]:
        """Select and return the best; of ties, the one closest to the current policy."""
        question, n0 = self._question, _FIRST_BATCHES
        before, first = self.worlds.done, self._next_world
        try:
            if question.final is None:
                selection = select_kim_nelson(
                    self._sample, numbers, start=first, n0=n0, batch=_BATCH, budget=question.most,
                    indifference=self.indifference, alpha=self._alpha_of_choice,
                )  # fmt: skip
            else:
                budget = max(question.final, n0 * _BATCH * len(numbers))
                step = max(budget // _STEPS, _BATCH)
                selection = select_ocba(self._sample, numbers, start=first, n0=n0 * _BATCH, step=step, budget=budget)
        finally:
            self._note("select", len(numbers), self._next_world - first, before)
        is_equal = (selection.means == selection.means[selection.candidates == selection.best]) | (
            numbers == selection.best
        )
        equal = selection.candidates[is_equal & np.isin(selection.candidates, selection.survivors)]
        choice = min(equal.tolist(), key=lambda number: (self.found.candidates.n_changes(number), number))
        self.found.note_equal(equal[equal != choice], choice)
        return selection, choice

    def _sample(self, candidates: np.ndarray, first: int, count: int) -> np.ndarray:
        self._next_world = max(self._next_world, first + count)
        values = self.worlds.measure(candidates, first, count).observations
        has_value = ~np.isnan(values).any(axis=1)
        if not has_value.all():
            self.rule_out_valueless(candidates[~has_value])
            raise NoValueError
        return values

    def find_held_back(self, choice: int) -> dict[str, int]:
        """Find, by requirement, the best of a few candidates without it, in more worlds."""
        held_back = {}
        for name, numbers in self.found.find_held_back(self._question, choice, _AT_ONCE).items():
            means = self._measure("without one", numbers, _ENOUGH_WORLDS).observations.mean(axis=1)
            if not np.isnan(means).all():
                held_back[name] = int(numbers[np.nanargmin(means)])
        return held_back

    def confirm(self, shown: Sequence[int], attempt: int) -> tuple[Measured, np.ndarray, float]:
        """Simulate in new worlds until it is clear whether the first candidate meets the requirements.

        Also returns the verdicts on each candidate's requirements, and the probability of a false one at each look.
        """
        count = max(_FEWEST_NEW_WORLDS, self._question.worlds)
        most = max(count, self._question.most // len(shown))
        # Halved from attempt to attempt, so that all of them together err no more often than the first one may.
        alpha = self._alpha_of_requirement / 2 ** (attempt - 1) / (1 + int(math.log2(most / count)))
        measured = self._measure("confirm", shown, count)
        while True:
            _, verdicts = judge_candidates(measured.of, self._question.requirements, alpha)
            if verdicts[0] != UNDECIDED or 2 * measured.n_worlds > most:
                return measured, verdicts, alpha
            measured = measured.join(self._measure("confirm", shown, measured.n_worlds))

    def rule_out_valueless(self, numbers: np.ndarray) -> None:
        """Rule out candidates with a rollout without a value: it failed, or never ends."""
        has_failed = np.isin(numbers, list(self.worlds.failed))
        self.found.rule_out(numbers[has_failed], FAILED)
        self.found.rule_out(numbers[~has_failed], NEVER_ENDS)

    def _measure(self, stage: str, numbers: Sequence[int] | np.ndarray, count: int) -> Measured:
        before = self.worlds.done
        measured = self.worlds.measure(numbers, self._next_world, count)
        self._next_world += count
        self._note(stage, len(numbers), count, before)
        return measured

    def _note(self, stage: str, candidates: int, worlds: int, before: tuple[int, int]) -> None:
        rollouts, node_updates = (now - then for now, then in zip(self.worlds.done, before, strict=True))
        self.found.note_stage(stage, candidates, worlds, rollouts, node_updates)

    def _most_worlds(self, numbers: np.ndarray) -> int:
        return self._question.most // len(numbers)
