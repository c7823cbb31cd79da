"""What a search is asked: read and checked before anything is simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.levels import level_problems
from simdeploy.errors import InputError, Problem, nearest, shorten
from simdeploy.scenario.measures import (
    SORTS,
    Measure,
    Requirement,
    measure_problems,
    parse_measure,
    parse_requirement,
    requirement_problems,
)
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

# What is shown of every policy in the end, beside what was asked.
_SHOWN = ("makespan_s", "blast_radius", "false_alarm given good", "escaped given defective")
_MOST = 10_000_000


@dataclass(frozen=True)
class Question:
    """What a search is asked.

    Attributes
    ----------
    base : ScenarioPolicy
        The current policy.
    objective : Measure
    sign : int
        1 to minimise it, -1 to maximise it.
    requirements : tuple of Requirement
    shown : tuple of Measure
        Further measures that are told of the policies in the end.
    worlds, most_rollouts : int
    indifference : float or None
        None for the default, which depends on the first stage.
    budget : int or None
    confidence_level : float
    """

    base: ScenarioPolicy
    objective: Measure
    sign: int
    requirements: tuple[Requirement, ...]
    shown: tuple[Measure, ...]
    worlds: int
    most_rollouts: int
    indifference: float | None
    budget: int | None
    confidence_level: float

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Everything that is measured of a rollout."""
        required = (requirement.measure for requirement in self.requirements)
        return tuple(dict.fromkeys([self.objective, *required, *self.shown]))


def read_question(
    scenario: Scenario,
    policy: Any,
    minimize: Measure | str | None,
    maximize: Measure | str | None,
    requirements: Sequence[Requirement | str] | None,
    *,
    candidates: int,
    worlds: int,
    indifference: float | None,
    budget: int | None,
    most_rollouts: int,
    confidence_level: float,
) -> Question:
    """Read the arguments of `tune`.

    Raises
    ------
    InputError
        With everything that makes no sense.
    """
    base = scenario.policy(policy)
    problems = _number_problems(
        candidates=(candidates, 1), worlds=(worlds, 2), most_rollouts=(most_rollouts, 1), budget=(budget, 1)
    )
    if indifference is not None and not 0 < indifference < float("inf"):
        problems.append(
            Problem("no difference that matters", ("indifference",), found=shorten(indifference), allowed="above 0")
        )
    problems += level_problems(confidence_level, above=0.5)
    objective, sign = _read_objective(scenario, minimize, maximize, problems)
    required = _read_requirements(scenario, base.name, requirements, problems)
    if problems or objective is None:
        raise InputError(problems)
    return Question(
        base=base,
        objective=objective,
        sign=sign,
        requirements=required,
        shown=tuple(
            measure
            for measure in map(parse_measure, _SHOWN)
            if measure != objective and _is_possible(measure, scenario) and _has_release(base, measure)
        ),
        worlds=worlds,
        most_rollouts=most_rollouts,
        indifference=indifference,
        budget=budget,
        confidence_level=confidence_level,
    )


def _number_problems(**numbers: tuple[Any, int]) -> list[Problem]:
    return [
        Problem("not a whole number in its range", (name,), found=shorten(value), allowed=f"{least} to {_MOST}")
        for name, (value, least) in numbers.items()
        if not (name == "budget" and value is None)
        and (not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST * 1000)
    ]


def _read_objective(
    scenario: Scenario, minimize: Measure | str | None, maximize: Measure | str | None, problems: list[Problem]
) -> tuple[Measure | None, int]:
    if minimize is not None and maximize is not None:
        problems.append(Problem("both minimize and maximize", ("maximize",), allowed="one of them"))
        return None, 1
    name, sign = ("minimize", 1) if maximize is None else ("maximize", -1)
    asked = minimize if maximize is None else maximize
    if asked is None and scenario.costs is None:
        hint = (
            'add a section `costs`, or say what is to be minimised, such as "makespan_s" or "escaped given defective"'
        )
        problems.append(Problem("the scenario has no costs to be minimised", ("minimize",), hint=hint))
        return None, sign
    try:
        measure = parse_measure(asked or "cost") if not isinstance(asked, Measure) else asked
    except InputError as error:
        problems += [problem.at(prefix=(name,)) for problem in error.problems]
        return None, sign
    found = _measure_problems(measure, scenario)
    if measure.kind == "quantile":
        message = "a quantile can't be searched for with a stated probability"
        found.append(Problem(message, (str(measure),), hint="search for a mean or a rate, and require the quantile"))
    elif measure.given is not None and measure.given not in (*SORTS, *(kind.name for kind in scenario.release)):
        message = "what is given depends on the policy, so that means of different rollouts would be compared"
        found.append(Problem(message, (str(measure),), allowed="good, defective, or a kind of the release"))
    problems += [problem.at(prefix=(name,)) for problem in found]
    return measure, sign


def _read_requirements(
    scenario: Scenario, policy: str, asked: Sequence[Requirement | str] | None, problems: list[Problem]
) -> tuple[Requirement, ...]:
    if asked is None:
        return tuple(r for r in scenario.requirements if r.policy in (None, policy))
    if isinstance(asked, str | Requirement):
        asked = [asked]
    read = []
    for number, one in enumerate(asked):
        try:
            requirement = one if isinstance(one, Requirement) else parse_requirement(one)
        except InputError as error:
            problems += [problem.at(prefix=("requirements", number)) for problem in error.problems]
            continue
        found = _measure_problems(requirement.measure, scenario) or requirement_problems(requirement)
        problems += [problem.at(prefix=("requirements", number)) for problem in found]
        read.append(requirement)
    return tuple(read)


def _measure_problems(measure: Measure, scenario: Scenario) -> list[Problem]:
    problems = measure_problems(measure, tuple(kind.name for kind in scenario.release))
    if measure.of in COSTS and scenario.costs is None:
        problems.append(Problem("the scenario has no costs", ("of",), found=measure.of, hint="add a section `costs`"))
    if not problems and not _is_possible(measure, scenario):
        kinds = ", ".join(kind.name for kind in scenario.release)
        found = f"the scenario's releases are {kinds}"
        hint = nearest(str(measure.given), [kind.name for kind in scenario.release])
        problems.append(Problem("this never happens", (str(measure),), found=found, hint=hint))
    return problems


def _is_possible(measure: Measure, scenario: Scenario) -> bool:
    """Tell whether what is given ever is so, as far as that depends on the release alone."""
    if measure.given not in (*SORTS, *(kind.name for kind in scenario.release)):
        return True
    return any(
        kind.probability > 0 and (kind.name == measure.given or SORTS[kind.defective] == measure.given)
        for kind in scenario.release
    )


def _has_release(base: ScenarioPolicy, measure: Measure) -> bool:
    """Tell whether rollouts of this type have what is measured: restart and stop draw no release."""
    return base.identity.type not in ("restart", "stop") or (measure.given is None and measure.of != "blast_radius")
