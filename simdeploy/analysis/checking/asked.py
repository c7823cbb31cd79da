"""The questions of a check: requirements of each policy, and which can be decided."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.judging import FEWEST_OF_A_MEAN, UNDECIDED, Judged, why_undecided
from simdeploy.analysis.asking.requirements import Asked, read_requirements, why_impossible
from simdeploy.analysis.asking.simulating import count_on_record
from simdeploy.errors import Problem, collect, plural, raise_if_any
from simdeploy.experiments.arguments import whole_problems
from simdeploy.scenario.measures import Requirement
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.statistics.sample import Sample

_MOST = 1 << 32
_EXAMPLE = 'requirements: [{of: false_alarm, given: good, at_most: 0.01}], or "false_alarm given good <= 1%"'


@dataclass
class Question:
    """One requirement of one policy, and the observations so far."""

    policy: str
    requirement: Requirement
    hopeless: str  # why no number of rollouts within the budget can decide it; otherwise empty
    is_impossible: bool  # whether a larger budget could not decide it either
    most: int  # budget
    n_on_record: int | None = None  # rollouts on record that the requirement covers; None if worlds are drawn
    seen: Sample | None = None  # values of its measure
    n_meant: float = 0.0  # rollouts the requirement covers or may cover
    n_unknown: float = 0.0  # rollouts among them that never end, so their value is unknown
    judged: Judged | None = None  # at the last look
    replications: int = 0  # at that look
    has_run: bool = False  # whether any replication did not fail

    @property
    def unknown_fraction(self) -> float:
        """Fraction of the rollouts whose value is unknown."""
        return self.n_unknown / self.n_meant if self.n_meant else 0.0

    @property
    def is_open(self) -> bool:
        """Whether further replications may decide it; rollouts that never end stay unknown."""
        return not self.hopeless and not self.n_unknown and self.verdict == UNDECIDED

    @property
    def may_be_decided(self) -> bool:
        """Whether it is undecided, and a larger budget may decide it."""
        return self._is_unsettled and not self._has_too_few_records

    @property
    def lacks_records(self) -> bool:
        """Whether it is undecided because there are too few rollouts on record."""
        return self._is_unsettled and self._has_too_few_records

    @property
    def _is_unsettled(self) -> bool:
        """Whether it is undecided, and further worlds may decide it."""
        if self.verdict != UNDECIDED or self.is_impossible or self.n_unknown or self.all_failed:
            return False
        return self.judged is None or math.isfinite(self.judged.fewest.item())

    @property
    def _has_too_few_records(self) -> bool:
        """Whether a larger budget would only repeat rollouts on record, or would before it can decide."""
        if self.n_on_record is None:
            return False
        needed = FEWEST_OF_A_MEAN if self.requirement.measure.kind == "mean" else 0
        return self.n_on_record < max(self.most + 1, needed)

    @property
    def all_failed(self) -> bool:
        """Whether every replication failed."""
        return self.replications > 0 and not self.has_run

    @property
    def verdict(self) -> str:
        """The verdict at the last look."""
        return UNDECIDED if self.judged is None else self.judged.verdict.item()

    @property
    def reason(self) -> str:
        """Why it is undecided; otherwise empty."""
        if self.judged is None or self.verdict != UNDECIDED:
            reason = self.hopeless
        elif self.all_failed:
            return "every replication failed"
        else:
            n, fewest = self.judged.n.item(), self.judged.fewest.item()
            reason = why_undecided(self.requirement, n, fewest, self.unknown_fraction)
        return f"{reason}; only {plural(self.n_on_record or 0, 'rollout')} on record" if self.lacks_records else reason


def ask(
    scenario: Scenario,
    requirements: Asked | None,
    policies: Mapping[str, ScenarioPolicy],
    most: int,
    problems: list[Problem],
) -> list[Question]:
    """Return the questions of each policy; an `InputError` lists everything wrong, including the policies' `problems`."""
    wanted: tuple[Requirement, ...] = ()
    with collect(problems):
        wanted = read_requirements(requirements, scenario=scenario, policies=[*scenario.policies, *policies])
    pairs = [
        (policy, requirement) for policy in policies for requirement in wanted if requirement.policy in (None, policy)
    ]
    if not pairs and not problems:
        message = "no requirements" + (" for these policies" if wanted else "")
        problems.append(Problem(message, ("requirements",), hint=f"for example {_EXAMPLE}"))
    raise_if_any(problems)
    types = {policy: chosen.identity.type for policy, chosen in policies.items()}
    questions = []
    for policy, requirement in pairs:
        impossible = why_impossible(requirement.measure, scenario, types[policy])
        hopeless = _why_too_few(requirement, most) if impossible is None else impossible
        n_on_record = count_on_record(scenario, requirement.measure)
        questions.append(Question(policy, requirement, hopeless, impossible is not None, most, n_on_record))
    return questions


def check_numbers(confidence_level: object, most: Any) -> int:
    """Return `most`, or raise an `InputError` for invalid numbers."""
    raise_if_any([*level_problems(confidence_level, above=0.5), *whole_problems(1, _MOST, most=most)])
    return int(most)


def _why_too_few(requirement: Requirement, most: int) -> str:
    """Return why the budget is too small to decide a requirement; empty if it isn't."""
    if requirement.measure.kind == "mean" and most < FEWEST_OF_A_MEAN:
        return f"a mean needs at least {FEWEST_OF_A_MEAN:,} observations; the budget is {most:,}"
    return ""
