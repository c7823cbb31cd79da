"""The ``requirements`` section, for `simdeploy check` and as constraints of a search."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, ValidatorFunctionWrapHandler, field_validator

from simdeploy.api.values import Kind
from simdeploy.errors import InputError, Problem, listed, shorten
from simdeploy.scenario import measures
from simdeploy.scenario.measures import Measure, Requirement
from simdeploy.scenario.section import Section, optional, validation_error
from simdeploy.scenario.values import MAX_NUMBER, Name, duration_ns, number
from simdeploy.units import NS_PER_S

_QUANTILE = number(float, 0, 1)
_AMOUNT = number(float, -MAX_NUMBER)


_DURATION_FORM = 'a duration such as "10m"'


def _read_limit(value: object) -> float:
    # Text is a duration; `RequirementSection` verifies that the measure is one.
    if isinstance(value, str):
        if value.strip().endswith("%"):
            _AMOUNT.read(value)  # raises, with a hint how to write a fraction
        return duration_ns(value) / NS_PER_S
    return float(_AMOUNT.read(value))


Limit = Annotated[
    float,
    Kind(f"a number, or {_DURATION_FORM}", _read_limit, {"anyOf": [{"type": "number"}, {"type": "string"}]}),
]


class RequirementSection(Section):
    """A requirement for one policy or all."""

    policy: Name | None = optional(None, "The policy it applies to; default: all.")
    of: Name = Field(
        description="Measure: the mean of a response, or the rate of a verdict, state or sort of release.",
        json_schema_extra={"enum": [*measures.NUMBERS, *measures.EVENTS]},
    )
    quantile: Annotated[float, _QUANTILE] | None = optional(None, "Quantile of a response, instead of its mean.")
    given: Name | None = optional(
        None, f"Only these rollouts: {' or '.join(measures.SORTS)}, a kind of release, a verdict or a state."
    )
    at_most: Limit | None = optional(None, "Upper limit of the measure.")
    at_least: Limit | None = optional(None, "Lower limit of the measure.")

    @field_validator("at_most", "at_least", mode="wrap")
    @classmethod
    def _fits_measure(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> float | None:
        limit: float | None = handler(value)
        of = info.data.get("of")
        if isinstance(value, str) and of in (*measures.NUMBERS, *measures.EVENTS) and not Measure(of).is_duration:
            allowed = f"a number; {_DURATION_FORM} only for {listed(measures.DURATIONS)}"
            raise validation_error([Problem(f"{of} is not a duration", found=shorten(value), allowed=allowed)])
        return limit

    @classmethod
    def meant_by(cls, raw: Any) -> str | None:
        """Return the keys of a requirement in the form of `--require`."""
        if not isinstance(raw, str):
            return None
        try:
            meant = measures.parse_requirement(raw)
        except InputError:
            return None
        values = {**vars(meant.measure), "at_most": meant.at_most, "at_least": meant.at_least}
        keys = ", ".join(f"{key}: {value}" for key, value in values.items() if value is not None)
        return f"write {{{keys}}}"

    def build(self) -> Requirement:
        """Return the requirement."""
        return Requirement(Measure(self.of, self.quantile, self.given), self.at_most, self.at_least, self.policy)


def cross_check_requirements(
    requirements: Sequence[Requirement],
    *,
    policies: Collection[str],
    kinds: tuple[str, ...] | None,
    has_costs: bool | None,
) -> Iterator[Problem]:
    """Check requirements against the rest of the file; `kinds` is None if invalid."""
    for number_, requirement in enumerate(requirements):
        for problem in cross_check_requirement(requirement, policies=policies, kinds=kinds, has_costs=has_costs):
            yield problem.at(prefix=("requirements", number_))


def cross_check_requirement(
    requirement: Requirement,
    *,
    policies: Collection[str] | None,
    kinds: tuple[str, ...] | None,
    has_costs: bool | None,
) -> list[Problem]:
    """Check one requirement against the rest of the file; arguments are None if unknown, and paths its keys."""
    problems = measures.measure_problems(requirement.measure, kinds, has_costs=has_costs)
    problems += measures.requirement_problems(requirement)
    if requirement.policy is not None and policies is not None and requirement.policy not in policies:
        meant, found = (requirement.policy, tuple(policies)), shorten(requirement.policy)
        problems.append(Problem("no such policy", ("policy",), found=found, allowed=listed(policies), meant=meant))
    return problems
