"""Worlds in which a policy breaks a requirement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.analysis.asking.judging import UNDECIDED, judge_requirements
from simdeploy.analysis.asking.left_out import FAILED, NEVER_ENDS, NO_VALUE
from simdeploy.errors import InputError, Problem

if TYPE_CHECKING:
    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.scenario.measures import Requirement


class Breaking(NamedTuple):
    """Whether each world breaks.

    The fields are: whether it breaks (an estimate is beyond its limit), whether the intervals leave that undecided, and the
    reason if it is unknown (otherwise empty).
    """

    is_broken: np.ndarray
    is_undecided: np.ndarray
    reason: np.ndarray

    @property
    def is_known(self) -> np.ndarray:
        """Which worlds are known to break or not."""
        known: np.ndarray = self.reason == ""
        return known

    def take(self, rows: np.ndarray) -> Breaking:
        """Return the same for some worlds."""
        return Breaking(*(column[rows] for column in self))


def judge_worlds(values: Values, requirements: Sequence[Requirement], *, confidence_level: float) -> Breaking:
    """Return for each world (case) whether the policy breaks there; each requirement is judged separately.

    Notes
    -----
    A world breaks if the estimate of any requirement's measure is beyond the limit. It is undecided if
    `simdeploy.analysis.asking.judging.judge` says so. It is unknown if a replication failed, if some rollouts covered
    by a measure never end, or if there is no observation.
    """
    judged = judge_requirements(values, requirements, confidence_level=confidence_level)
    reason = np.full(len(judged), "", dtype=object)
    for requirement in requirements:
        reason[np.isnan(values.of(requirement.measure)).all(axis=1)] = NO_VALUE
    reason[[not world.is_known for world in judged]] = NEVER_ENDS
    reason[~values.is_ok.all(axis=1)] = FAILED
    return Breaking(
        np.array([not world.is_met for world in judged]),
        np.array([world.verdict == UNDECIDED for world in judged]) & (reason == ""),
        reason,
    )


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
    return Breaking(is_broken, np.zeros(n, dtype=bool), np.where(is_missing, NO_VALUE, "").astype(object))
