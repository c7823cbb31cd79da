"""What a search knows of each candidate, and verdicts on requirements in increasing numbers of worlds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.judging import MET, UNDECIDED, Judged, join, judge, plan_looks
from simdeploy.analysis.tuning.result import REFERENCE, VALUELESS

if TYPE_CHECKING:
    from simdeploy.analysis.tuning.question import Question
    from simdeploy.analysis.tuning.space import Candidates
    from simdeploy.scenario.measures import Measure, Requirement
    from simdeploy.statistics.sample import Sample

# Defaults of the smallest difference that matters: a fraction of the best value; an absolute one for rates, whose best value may be 0.
_MATTERS, _MATTERS_OF_A_RATE = 0.05, 0.005
# Decimal digits to which rollouts are compared.
_DIGITS = 6

OPEN, EQUAL = "not better", "equal to another"
MISSES, NOT_KNOWN, RULED_OUT = "requirement not met", "requirements undecided", "eliminated"


class Findings:
    """What is known of each candidate: its estimate, and what ruled it out.

    `outcome` is `OPEN` while a candidate is not ruled out; `equal_to` is the candidate that represents it (usually
    itself). `estimates` are estimates of the objective in the first stage, `required` those of the requirements' measures
    (columns). `is_cut` is true if survivors were dropped because there were too many.
    """

    def __init__(self, candidates: Candidates) -> None:
        self.candidates = candidates
        self.outcome = np.full(len(candidates), OPEN, dtype=object)
        self.equal_to = np.arange(len(candidates))
        self.estimates = np.full(len(candidates), np.nan)
        self.required = np.zeros((len(candidates), 0))
        self.looks_feasible = np.ones(len(candidates), dtype=bool)
        if candidates.reference is not None:
            self.outcome[candidates.reference] = REFERENCE
        self.worlds = 0
        self.stages: list[dict[str, Any]] = []
        self.is_cut = False

    @property
    def is_open(self) -> np.ndarray:
        """Whether a candidate is not ruled out yet."""
        is_open: np.ndarray = self.outcome == OPEN
        return is_open

    def open_numbers(self) -> np.ndarray:
        """Return the candidates not ruled out."""
        return np.flatnonzero(self.is_open)

    def rule_out(self, numbers: np.ndarray, why: str) -> None:
        """Note why candidates are ruled out; earlier reasons stay."""
        numbers = np.asarray(numbers, dtype=np.int64)
        self.outcome[numbers[self.is_open[numbers]]] = why

    def extend(self, candidates: Candidates) -> None:
        """Add candidates, numbered after the others."""
        n = len(candidates) - len(self.candidates)
        self.outcome = np.concatenate([self.outcome, np.full(n, OPEN, dtype=object)])
        self.equal_to = np.arange(len(candidates))
        self.candidates = candidates

    def note_requirements(self, estimates: Sequence[np.ndarray], requirements: Sequence[Requirement]) -> None:
        """Note the first stage's estimates of requirements, and which candidates seem to meet them."""
        self.required = np.array(estimates).reshape(len(requirements), len(self.candidates)).T
        self.looks_feasible = self.meets(requirements, range(len(requirements)))

    def meets(self, requirements: Sequence[Requirement], which: Sequence[int]) -> np.ndarray:
        """Return which candidates meet some of the requirements, by the estimates of the first stage."""
        meets = np.ones(len(self.candidates), dtype=bool)
        for place in which:
            values = self.required[:, place]
            meets &= ~(requirements[place].is_broken_by(values) | np.isnan(values))
        return meets

    def find_held_back(self, question: Question, choice: int, most: int) -> dict[str, np.ndarray]:
        """Find, by requirement, candidates that look better than the recommended one and miss only that requirement."""
        held_back: dict[str, np.ndarray] = {}
        is_out = np.isin(self.outcome, [*VALUELESS, EQUAL, REFERENCE])
        estimates = np.where(is_out, np.inf, question.sign * self.estimates)
        for place, requirement in enumerate(question.requirements):
            others = [other for other in range(len(question.requirements)) if other != place]
            meets_others = self.meets(question.requirements, others) & ~self.meets(question.requirements, [place])
            better = np.flatnonzero(meets_others & (estimates < estimates[choice]))
            if len(better):
                held_back[str(requirement)] = better[np.argsort(estimates[better], kind="stable")[:most]]
        return held_back

    def merge_equal(self, numbers: np.ndarray, observed: Sequence[Sample], certified: np.ndarray) -> np.ndarray:
        """Merge candidates with equal rollouts in every world; return the representatives.

        The representative is a candidate known to meet the requirements if there is one, otherwise the one nearest to the
        current policy. What holds for it holds for all.
        """
        # Known rates of verdicts may differ by less than the last digit; adding 0.0 turns -0.0 into 0.0.
        rows = np.concatenate([np.round(sample.as_drawn().values, _DIGITS) + 0.0 for sample in observed], axis=1)
        representatives: dict[bytes, int] = {}
        is_certified = np.isin(numbers, certified)

        def rank(place: int) -> tuple[bool, int, int]:
            number = int(numbers[place])
            return (not is_certified[place], self.candidates.n_changes(number), number)

        for place in sorted(range(len(numbers)), key=rank):
            number = int(numbers[place])
            first = representatives.setdefault(rows[place].tobytes(), number)
            if first != number:
                self.note_equal(np.array([number]), first)
        return np.isin(numbers, list(representatives.values()))

    def note_equal(self, numbers: np.ndarray, representative: int) -> None:
        """Note that candidates are equal to their representative in every world."""
        self.equal_to[numbers] = representative
        self.outcome[numbers] = EQUAL

    def list_equal(self, number: int) -> list[int]:
        """Return a candidate, then those that it represents, directly or through another one."""
        first = np.where(self.outcome == EQUAL, self.equal_to, np.arange(len(self.candidates)))
        equal = np.flatnonzero(first[first] == number)
        return [number, *equal[equal != number].tolist()]

    def admit(self, numbers: np.ndarray) -> None:
        """Restore candidates that proved better than the recommended one."""
        self.outcome[numbers] = OPEN

    def reopen(self) -> None:
        """Restore everything ruled out by a candidate that doesn't meet the requirements."""
        back = np.isin(self.outcome, [RULED_OUT, EQUAL])
        self.outcome[back] = OPEN
        self.equal_to[back] = np.flatnonzero(back)

    def list_promising(self, question: Question, most: int) -> np.ndarray:
        """Return the open candidates with the best estimates in the first stage, those that seem to meet the requirements first."""
        numbers = self.open_numbers()
        order = np.lexsort([question.sign * self.estimates[numbers], ~self.looks_feasible[numbers]])
        return numbers[order[:most]]

    def default_indifference(self, question: Question, value: float | None) -> float:
        """Return the default of the smallest difference that matters, given the value of a good candidate in new worlds."""
        if question.objective.is_fraction:
            return _MATTERS_OF_A_RATE
        # If that value is 0, use 5 % of the worst; if all are 0, any number works.
        known = np.abs(self.estimates[~np.isnan(self.estimates)])
        return _MATTERS * (abs(value or 0.0) or float(known.max(initial=0.0))) or 1.0


def judge_candidates(
    measured: Mapping[Measure, Sample], requirements: Sequence[Requirement], error: float
) -> tuple[tuple[Judged, ...], np.ndarray]:
    """Judge each requirement of each candidate separately, and all of a candidate's together.

    Returns one `Judged` per requirement, and one verdict per candidate.
    """
    judged = tuple(judge(measured[requirement.measure], requirement, error) for requirement in requirements)
    n = len(next(iter(measured.values())))
    return judged, join(np.array([of_requirement.verdict for of_requirement in judged], dtype="<U9").reshape(-1, n).T)


def settle(
    measure: Callable[[np.ndarray, int], Mapping[Measure, Sample]],
    numbers: np.ndarray,
    requirements: Sequence[Requirement],
    *,
    error: float,
    fewest: int,
    most: int,
    enough: int | None = None,
) -> tuple[np.ndarray, int]:
    r"""Simulate candidates until each is known to meet or miss the requirements, or the budget is spent.

    `measure` takes candidates and the number of new worlds. `error` is the probability of a false verdict
    on one requirement of one candidate, over all looks. `fewest` and `most` are the worlds at the first and at the last
    look. The search also stops once `enough` candidates are known to meet the requirements. Returns the verdict on each
    candidate, and the number of worlds.

    Notes
    -----
    Worlds double from look to look. The error is divided by the number of looks, fixed in advance by the budget
    (Bonferroni), so repeated looks don't increase it.
    """
    looks = plan_looks(most, fewest)
    verdicts = np.full(len(numbers), UNDECIDED, dtype="<U9")
    kept: dict[Measure, Sample] = {}
    done, open_ = 0, np.arange(len(numbers))
    for wanted in looks:
        more = measure(numbers[open_], wanted - done)
        kept = {m: kept[m].join(sample) if kept else sample for m, sample in more.items()}
        done = wanted
        _, of_open = judge_candidates(kept, requirements, error / len(looks))
        verdicts[open_] = of_open
        still = of_open == UNDECIDED
        if not still.any() or (enough is not None and (verdicts == MET).sum() >= enough):
            break
        open_ = open_[still]
        kept = {m: sample[still] for m, sample in kept.items()}
    return verdicts, done
