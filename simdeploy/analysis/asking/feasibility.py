"""Whether a policy meets its requirements: by its estimates, and for sure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from simdeploy.analysis.asking.unknown import unknown_fractions
from simdeploy.statistics.estimators import Estimate, estimate_values

if TYPE_CHECKING:
    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.scenario.measures import Requirement

Verdict = Literal["met", "not met", "undecided"]


@dataclass(frozen=True)
class Feasibility:
    """How one policy stands to its requirements.

    Attributes
    ----------
    is_met : bool
        By the estimates: none of them is on the wrong side of its limit. One without an estimate (`escaped given
        defective` where no release was defective) was broken by nobody.
    verdict : {'met', 'not met', 'undecided'}
        By the intervals: all of them are on the right side of their limits; one is on the wrong side; neither.
    broken : tuple of str
        Requirements that the estimates break.
    is_known : bool
        Whether every rollout that the requirements are about has ended.
    """

    is_met: bool
    verdict: Verdict
    broken: tuple[str, ...]
    is_known: bool


def judge_requirements(
    values: Values, requirements: Sequence[Requirement], *, confidence_level: float
) -> tuple[Feasibility, ...]:
    """Hold every case against the requirements that are its policy's.

    Parameters
    ----------
    values : Values
        With the measures of the requirements.
    requirements : sequence of Requirement
    confidence_level : float
        Of the interval of each measure by itself.

    Returns
    -------
    tuple of Feasibility
        One per case. Without requirements every case meets them for sure.
    """
    policies = values.cases["policy"].tolist()
    unknown = {requirement.measure: unknown_fractions(values, requirement.measure) for requirement in requirements}
    observed = {requirement.measure: values.of(requirement.measure) for requirement in requirements}
    found = []
    for case, policy in enumerate(policies):
        own = [requirement for requirement in requirements if requirement.policy in (None, policy)]
        estimates = [
            estimate_values(observed[requirement.measure][case], requirement.measure, confidence_level)
            for requirement in own
        ]
        is_known = not any(unknown[requirement.measure][case] > 0 for requirement in own)
        broken = tuple(str(one) for one, of in zip(own, estimates, strict=True) if _is_beyond(one, of.estimate))
        verdicts = {judge(one, of) for one, of in zip(own, estimates, strict=True)}
        verdict: Verdict = "undecided"
        if is_known and verdicts <= {"met"}:
            verdict = "met"
        elif is_known and "not met" in verdicts:
            verdict = "not met"
        found.append(Feasibility(not broken, verdict, broken, is_known))
    return tuple(found)


def judge(requirement: Requirement, estimate: Estimate) -> Verdict:
    """Say on which side of the limit an interval is; a limit itself is met.

    Examples
    --------
    >>> from simdeploy.scenario.measures import parse_requirement
    >>> requirement = parse_requirement("false_alarm <= 1%")
    >>> [judge(requirement, Estimate(0.01, low, high, 100, 0.0)) for low, high in ((0, 0.01), (0, 0.02), (0.02, 0.03))]
    ['met', 'undecided', 'not met']
    """
    ends = (estimate.low, estimate.high) if requirement.at_least is None else (estimate.high, estimate.low)
    best, worst = ends
    if _is_beyond(requirement, best):
        return "not met"
    return "undecided" if math.isnan(worst) or _is_beyond(requirement, worst) else "met"


def _is_beyond(requirement: Requirement, value: float) -> bool:
    return value > requirement.limit if requirement.at_least is None else value < requirement.limit
