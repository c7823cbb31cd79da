"""Worlds in which a policy breaks a requirement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.analysis.asking.judging import UNDECIDED, judge_requirements
from simdeploy.analysis.asking.left_out import FAILED, NEVER_ENDS, NO_VALUE
from simdeploy.errors import InputError, Problem
from simdeploy.statistics.intervals import proportion_interval

if TYPE_CHECKING:
    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.scenario.measures import Requirement


class Breaking(NamedTuple):
    """Whether each world breaks.

    The fields are: whether it breaks (an estimate is beyond its limit), whether the verdict is undecided, whether it would be
    undecided with half the error on each side, and the reason if it is unknown (otherwise empty).
    """

    is_broken: np.ndarray
    is_undecided: np.ndarray
    is_open: np.ndarray
    reason: np.ndarray

    @property
    def is_known(self) -> np.ndarray:
        """Which worlds are known to break or not."""
        known: np.ndarray = self.reason == ""
        return known

    def take(self, rows: np.ndarray) -> Breaking:
        """Return the same for some worlds."""
        return Breaking(*(column[rows] for column in self))

    @property
    def n_least(self) -> int:
        """How many worlds break if no open one does."""
        return int((self.is_broken & ~self.is_open).sum())

    @property
    def n_most(self) -> int:
        """How many worlds break if all open ones do."""
        return int((self.is_broken | self.is_open).sum())

    def bound_share(self, confidence_level: float) -> tuple[float, float]:
        """Return an interval of the share of these worlds that breaks, all of them known; NaN without worlds.

        Notes
        -----
        Limits of Clopper and Pearson: the lower one if no open world breaks, the upper one if all do. Worlds with the same
        replications have the same errors, so more worlds don't reduce these.
        """
        n = len(self.is_broken)
        low, _ = proportion_interval(self.n_least, n, confidence_level)
        _, high = proportion_interval(self.n_most, n, confidence_level)
        return low, high

    def bound_coverage(self, part: Breaking, confidence_level: float) -> tuple[float, float]:
        """Return an interval, in the same way, of the fraction of breaking worlds that is in a part of these worlds; NaN if none may break."""
        if not self.n_most:
            return math.nan, math.nan
        least_of = part.n_least + self.n_most - part.n_most
        most_of = part.n_most + self.n_least - part.n_least
        low, _ = proportion_interval(part.n_least, max(least_of, 1), confidence_level)
        _, high = proportion_interval(part.n_most, max(most_of, 1), confidence_level)
        return low, high


def judge_worlds(values: Values, requirements: Sequence[Requirement], *, confidence_level: float) -> Breaking:
    """Return for each world (case) whether the policy breaks there; each requirement is judged separately.

    Notes
    -----
    A world breaks if the estimate of any requirement's measure is beyond the limit. It is undecided if
    `simdeploy.analysis.asking.judging.judge` says so. It is unknown if a replication failed, if some rollouts covered
    by a measure never end, or if there is no observation.
    """
    judged = judge_requirements(values, requirements, confidence_level=confidence_level)
    # A verdict may be wrong with the whole error, but each limit of an interval with half of it.
    for_limits = judge_requirements(values, requirements, confidence_level=(1 + confidence_level) / 2)
    reason = np.full(len(judged), "", dtype=object)
    for requirement in requirements:
        reason[np.isnan(values.of(requirement.measure)).all(axis=1)] = NO_VALUE
    reason[[not world.is_known for world in judged]] = NEVER_ENDS
    reason[~values.is_ok.all(axis=1)] = FAILED
    is_undecided, is_open = (
        np.array([world.verdict == UNDECIDED for world in of]) & (reason == "") for of in (judged, for_limits)
    )
    return Breaking(np.array([not world.is_met for world in judged]), is_undecided, is_open, reason)


def read_labels(labels: object, n: int) -> Breaking:
    """Return a caller's labels of the worlds: True and False, missing where unknown.

    Raises `InputError` for anything else, and for a wrong number of labels.
    """
    import pandas as pd

    given = pd.Series(np.asarray(labels, dtype=object))
    is_missing = given.isna().to_numpy(dtype=bool)
    is_truth = given.map(lambda value: isinstance(value, bool | np.bool_) or value in (0, 1)).to_numpy(dtype=bool)
    if len(given) != n or not (is_truth | is_missing).all():
        allowed = f"{n:,} values True, False or missing, one for each world"
        raise InputError(Problem("invalid is_broken", ("is_broken",), found=f"{len(given):,} values", allowed=allowed))
    is_broken = np.array([bool(value) if known else False for value, known in zip(given, ~is_missing, strict=True)])
    never = np.zeros(n, dtype=bool)
    return Breaking(is_broken, never, never, np.where(is_missing, NO_VALUE, "").astype(object))
