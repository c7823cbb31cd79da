"""The recommended policy of a search and its rivals in new worlds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.judging import MET
from simdeploy.analysis.tuning.worlds import Measured
from simdeploy.statistics.estimators import Estimate, estimate_difference
from simdeploy.statistics.levels import share_out

if TYPE_CHECKING:
    from simdeploy.analysis.tuning.question import Question
    from simdeploy.scenario.measures import Measure
    from simdeploy.statistics.selection import Selection


@dataclass(frozen=True)
class Confirmed:
    """The recommended policy and its rivals in new worlds.

    `shown` lists the simulated candidates, the recommended one first. `held_back` maps a requirement to the candidate that might
    be recommended without it. `alpha` is the probability of a false verdict on a requirement at each look.
    """

    question: Question
    selection: Selection
    shown: tuple[int, ...]
    measured: Measured
    held_back: Mapping[str, int]
    alpha: float
    reference: int | None = None  # a candidate that is shown only for comparison
    is_contradicted: bool = False  # whether the selection recommended another candidate

    @property
    def choice(self) -> int:
        """The recommended candidate."""
        return self.shown[0]

    def difference(self, place: int, measure: Measure, level: float) -> Estimate:
        """Return the difference of a measure between a shown candidate and the recommended one."""
        values = self.measured.of[measure]
        return estimate_difference(values[place], values[0], measure, level)

    def less_the_choice(self, place: int) -> Estimate:
        """Return the difference of the objective from the recommended candidate's; intervals hold for all shown together (Bonferroni)."""
        level = share_out(self.question.confidence_level, len(self.shown) - 1)
        return self.difference(place, self.question.objective, level)

    def is_near(self, place: int) -> bool:
        """Return whether a shown candidate is indistinguishable from the recommended one."""
        less = self.less_the_choice(place)
        low, high = less.trusted_limits
        return not (low > 0 or high < 0)

    def is_better(self, place: int) -> bool:
        """Return whether a shown candidate is significantly better than the recommended one."""
        less = self.less_the_choice(place)
        low, high = less.trusted_limits
        return high < 0 if self.question.sign > 0 else low > 0

    def is_as_good(self, number: int, indifference: float) -> bool:
        """Return whether a shown candidate's loss against the choice is significantly below the indifference."""
        less = self.less_the_choice(self.shown.index(number))
        low, high = less.trusted_limits
        return high < indifference if self.question.sign > 0 else low > -indifference

    def choose(self, number: int) -> Confirmed:
        """Return a copy with another recommended candidate."""
        order = [self.shown.index(number), *(p for p, shown in enumerate(self.shown) if shown != number)]
        measured = self.measured.take(np.array(order))
        return replace(self, shown=tuple(self.shown[place] for place in order), measured=measured)

    def find_cheaper(self, verdicts: np.ndarray, indifference: float) -> int | None:
        """Return the best shown candidate that meets the requirements, if its estimate beats the choice by more than the indifference."""
        is_eligible = (verdicts == MET) & ~self.measured.has_gap & (np.array(self.shown) != self.reference)
        means = np.where(is_eligible, self.measured.means, np.inf)
        best = int(means.argmin())
        return self.shown[best] if means[0] - means[best] > indifference else None

    def find_better(self, verdicts: np.ndarray) -> np.ndarray:
        """Return the shown candidates that meet the requirements and are significantly better than the recommended one."""
        places = [p for p in range(1, len(self.shown)) if verdicts[p] == MET and self.shown[p] != self.reference]
        return np.array([self.shown[place] for place in places if self.is_better(place)], dtype=np.int64)
