"""Requirements and measures, read and checked against a scenario, and whether they can ever be met or known."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.measuring import read_measures
from simdeploy.errors import InputError, Problem, collect, raise_if_any, shorten
from simdeploy.rules.deployment_types import TYPES
from simdeploy.scenario.measures import (
    SORTS,
    Measure,
    Requirement,
    find_subject,
    measure_problems,
    of_text,
    parse_requirement,
)
from simdeploy.scenario.requirements_section import cross_check_requirement

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario
    from simdeploy.world.release import ReleaseKind

# One requirement or several, as values or text.
Asked = str | Requirement | Iterable[str | Requirement]

_FORM = 'such as "false_alarm given good <= 1%"'


def read_requirements(
    asked: Asked | None,
    *,
    scenario: Scenario | None = None,
    policies: Collection[str] | None = None,
    type_: str | None = None,
) -> tuple[Requirement, ...]:
    """Return requirements without duplicates, parsed if they are text; the scenario's own for None.

    With a `scenario`, kinds of release and costs are checked; with a type of deployment (`type_`), requirements are refused if no
    rollout has a value. Requirements of other policies than `policies` (default: the scenario's) are left out. An `InputError` lists
    all problems, with paths such as ``requirements[0]``.

    Examples
    --------
    >>> [str(one) for one in read_requirements("makespan_s <= 30m")]
    ['makespan_s <= 1800']
    >>> read_requirements([Requirement(Measure("false_alarm"), at_most=5.0)])
    Traceback (most recent call last):
    simdeploy.errors.InputError: requirements[0].at_most: false_alarm is between 0 and 1 (found 5); allowed: a fraction such as 0.01; write 0.05 for 5 %
    """
    if asked is None:
        asked = () if scenario is None else scenario.requirements
    known = (
        None if scenario is None and policies is None else (*(scenario.policies if scenario else ()), *(policies or ()))
    )
    kinds = None if scenario is None else tuple(kind.name for kind in scenario.release)
    has_costs = None if scenario is None else scenario.costs is not None
    requirements: dict[Requirement, None] = {}
    problems: list[Problem] = []
    for number, item in enumerate(_list(asked)):
        with collect(problems, prefix=("requirements", number)):
            requirement = _read(item)
            raise_if_any(cross_check_requirement(requirement, policies=known, kinds=kinds, has_costs=has_costs))
            if policies is None or requirement.policy is None or requirement.policy in policies:
                if scenario and type_ and (reason := why_impossible(requirement.measure, scenario, type_)):
                    raise InputError(Problem(f"can't be decided: {reason}", found=str(requirement)))
                requirements[requirement] = None
    raise_if_any(problems)
    return tuple(requirements)


def find_requirements(responses: object) -> tuple[Requirement, ...]:
    """Return the requirements recorded with a table of one scenario's replications; empty without any."""
    attrs = getattr(responses, "attrs", {})
    recorded = attrs.get("requirements", ()) if isinstance(attrs.get("scenario"), str) else ()
    return tuple(Requirement(**{**each, "measure": Measure(**each["measure"])}) for each in recorded)


def _list(asked: Any) -> list[Any]:
    if isinstance(asked, str | Requirement):
        return [asked]
    if isinstance(asked, Mapping) or not isinstance(asked, Iterable):
        raise InputError(Problem("no requirements", ("requirements",), found=shorten(asked), allowed=_FORM))
    return list(asked)


def _read(requirement: Any) -> Requirement:
    if isinstance(requirement, str):
        return parse_requirement(requirement)
    if not isinstance(requirement, Requirement):
        raise InputError(Problem("invalid requirement", found=shorten(requirement), allowed=_FORM))
    return requirement


def read_measure(asked: Measure | str, scenario: Scenario, types: Collection[str]) -> Measure:
    """Return a measure; an `InputError` says why no rollout of the scenario, of any of these types, has a value."""
    (measure,) = read_measures([asked])
    kinds = tuple(kind.name for kind in scenario.release)
    problems = measure_problems(measure, kinds, has_costs=scenario.costs is not None)
    reasons = [why_impossible(measure, scenario, type_) for type_ in types]
    if not problems and reasons and None not in reasons:
        problems = [Problem(str(reasons[0]))]
    raise_if_any(of_text(str(measure), problems))
    return measure


def why_impossible(measure: Measure, scenario: Scenario, type_: str) -> str | None:
    """Return why no rollout of this type of deployment, under any policy, has a value of a measure; None if some may.

    Examples
    --------
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "one-node", "fleet": {"nodes": 1, "update_duration": "1m"},
    ...     "release": {"fine": {"probability": 1}, "bad": {"probability": 0, "defective": True}},
    ...     "policies": {"p": {"strategy": "immediate"}},
    ... })
    >>> print(why_impossible(Measure("blast_radius", given="defective"), scenario, "update"))
    the scenario has no defective release, so the condition defective never holds
    >>> print(why_impossible(Measure("false_alarm"), scenario, "restart"))
    a restart has no release, so its rollouts have no verdict and are neither good nor defective
    >>> print(why_impossible(Measure("min_capacity_ratio"), scenario, "restart"))
    fleet.service is local, and only a shared service has a capacity
    >>> why_impossible(Measure("makespan_s"), scenario, "restart")
    """
    if measure.of == "min_capacity_ratio" and scenario.fleet.service is None:
        return "fleet.service is local, and only a shared service has a capacity"
    release = scenario.release
    for event in (measure.of, measure.given):
        concerned = find_subject(event, {kind.name for kind in release})
        if concerned is None:
            continue
        if not TYPES[type_].releases:
            return f"a {type_} has no release, so its rollouts have no verdict and are neither good nor defective"
        possible = (kind for kind in release if kind.probability > 0)
        # An event that never happens has rate 0; a condition that never holds leaves nothing to measure.
        if event == measure.given and not any(concerned in (kind.name, kind.defective) for kind in possible):
            sort = concerned if isinstance(concerned, str) else SORTS[concerned]
            return f"the scenario has no {sort} release, so the condition {event} never holds"
    return None


def probability_of(given: str, release: Sequence[ReleaseKind]) -> float:
    """Return the probability of the releases that a condition covers: good or defective ones, or a kind by name."""
    is_covered = (
        kind.defective == (given == "defective") if given in SORTS else kind.name == given for kind in release
    )
    return float(sum(kind.probability for kind in compress(release, is_covered)))
