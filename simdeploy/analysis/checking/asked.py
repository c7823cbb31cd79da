"""What a check asks of each policy: read, held against the scenario, and told apart from what can't be decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simdeploy.analysis.checking.sequential import FEWEST_OF_A_MEAN, Decision
from simdeploy.analysis.levels import level_problems
from simdeploy.errors import InputError, Problem, nearest, shorten
from simdeploy.rules.deployment_types import TYPES
from simdeploy.scenario.measures import SORTS, Requirement, parse_requirement
from simdeploy.scenario.requirements_section import cross_check_requirements
from simdeploy.vocabulary import VERDICTS

if TYPE_CHECKING:
    import numpy as np

    from simdeploy.scenario import Scenario

_MOST = 1 << 32
_EXAMPLE = 'requirements: [{of: false_alarm, given: good, at_most: 0.01}], or "false_alarm given good <= 1%"'


@dataclass
class Question:
    """One requirement of one policy, and what was seen of it so far.

    Attributes
    ----------
    policy : str
    requirement : Requirement
    hopeless : str
        Why no number of rollouts can decide it; else empty.
    seen : list of ndarray
        Values, without those that are NaN.
    decision : Decision or None
        Of the last look.
    replications : int
        At that look.
    """

    policy: str
    requirement: Requirement
    hopeless: str
    seen: list[np.ndarray] = field(default_factory=list)
    decision: Decision | None = None
    replications: int = 0

    @property
    def is_open(self) -> bool:
        """Whether further replications may decide it."""
        return not self.hopeless and (self.decision is None or self.decision.verdict == "undecided")


def ask(
    scenario: Scenario,
    requirements: str | Sequence[Requirement | str] | None,
    policies: str | Sequence[str] | None,
    most: int,
) -> list[Question]:
    """Return what is asked of each policy, or raise an `InputError` with everything that is wrong with it."""
    if requirements is None:
        requirements = scenario.requirements
    chosen = [policies] if isinstance(policies, str) else list(scenario.policies if policies is None else policies)
    problems = [] if chosen else [Problem("no policy to check", ("policies",))]
    for policy in chosen:
        if policy not in scenario.policies:
            allowed, hint = ", ".join(scenario.policies), nearest(policy, scenario.policies)
            problems.append(Problem("no such policy", ("policies",), found=shorten(policy), allowed=allowed, hint=hint))
    kinds = tuple(kind.name for kind in scenario.release)
    read: list[Requirement] = []
    for requirement in [requirements] if isinstance(requirements, str) else requirements:
        try:
            read.append(parse_requirement(requirement, kinds) if isinstance(requirement, str) else requirement)
        except InputError as error:
            problems += error.problems
    has_costs = scenario.costs is not None
    problems += cross_check_requirements(read, policies=scenario.policies, kinds=kinds, has_costs=has_costs)
    pairs = [
        (policy, requirement)
        for policy in dict.fromkeys(chosen)
        for requirement in dict.fromkeys(read)
        if requirement.policy in (None, policy)
    ]
    if not pairs and not problems:
        message = "nothing is required" + (" of these policies" if read else "")
        problems.append(Problem(message, ("requirements",), hint=f"for example {_EXAMPLE}"))
    if problems:
        raise InputError(problems)
    return [Question(*pair, _why_never(scenario, *pair, most)) for pair in pairs]


def check_numbers(confidence_level: object, most: object) -> None:
    """Refuse numbers that make no sense, with an `InputError`."""
    problems = level_problems(confidence_level, above=0.5)
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= _MOST:
        allowed = f"a whole number from 1 to {_MOST}"
        problems.append(Problem("not a number of replications", ("most",), found=shorten(most), allowed=allowed))
    if problems:
        raise InputError(problems)


def _why_never(scenario: Scenario, policy: str, requirement: Requirement, most: int) -> str:
    """Say why no number of rollouts within the budget can decide a requirement; empty if it may."""
    measure = requirement.measure
    kinds = scenario.release if TYPES[scenario.policy(policy).identity.type].releases else ()
    possible = [kind for kind in kinds if kind.probability > 0]
    for event in (measure.of, measure.given):
        concerned = _concerned(event, {kind.name for kind in scenario.release})
        if concerned is None:
            continue
        if not possible:
            return "its deployment releases nothing, so that no rollout is good, defective or has a verdict"
        if event == measure.given and not any(concerned in (kind.name, kind.defective) for kind in possible):
            return f"no release of the scenario is ever {_sort(concerned)}, so that no rollout is {event}"
    if measure.kind == "mean" and most < FEWEST_OF_A_MEAN:
        return f"a mean is judged from {FEWEST_OF_A_MEAN:,} observations on, and the budget is {most:,}"
    return ""


def _concerned(event: str | None, kinds: set[str]) -> bool | str | None:
    """Return which releases an event is about: defective or good ones, or a kind; None if it is about none."""
    if event in VERDICTS:
        return event in ("stopped_defective", "escaped")
    if event in SORTS:
        return event == "defective"
    return event if event in kinds else None


def _sort(concerned: bool | str) -> str:
    return concerned if isinstance(concerned, str) else "defective" if concerned else "good"
