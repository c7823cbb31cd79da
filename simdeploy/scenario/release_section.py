"""The ``release`` section: kinds of release."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from simdeploy.api.values import Flag, Kind, Refused
from simdeploy.errors import InputError, Problem, listed, name_problems, shorten
from simdeploy.scenario.laws import DurationLaw
from simdeploy.scenario.node_lists import NODES_SCHEMA, read_nodes
from simdeploy.scenario.section import ReadBy, Section, optional, problems_of, validation_error
from simdeploy.scenario.values import (
    MAX_NODES,
    ExactProbability,
    Factor,
    Probability,
    number,
    read_list,
    read_value,
    whole,
)
from simdeploy.units import exact
from simdeploy.world.release import Affects, ReleaseKind

_SUM_TOLERANCE = Fraction(1, 10**9)
_SHARE = number(exact, 0, 1)
_COUNT = whole(1, MAX_NODES)
_ZONE = whole(0, MAX_NODES - 1)
_AFFECTS_FORMS = "all, {share: 0.3}, {count: 5}, {classes: [a]}, {zones: [0]} or {nodes: [2, 9]}"


def _class_name(value: object) -> str:
    if not isinstance(value, str):
        raise Refused("not a class name")
    return value


_CLASS = Kind("a class of the fleet", _class_name, {"type": "string"})


def read_affects(raw: object) -> Affects:
    """Read which nodes a release can affect, or raise an `InputError` with relative paths."""
    if raw == "all":
        return Affects()
    keys = ("share", "count", "classes", "zones", "nodes")
    if not isinstance(raw, Mapping):
        raise InputError(Problem("invalid choice of nodes", found=shorten(raw), allowed=_AFFECTS_FORMS))
    given = {key: value for key, value in raw.items() if value is not None}
    unknown = [Problem("unknown key", (key,), meant=(key, keys)) for key in given if key not in keys]
    if unknown:
        raise InputError(unknown)
    if len(given) != 1:
        found = "{" + listed(given) + "}"
        raise InputError(Problem("exactly one choice of nodes is required", found=found, allowed=_AFFECTS_FORMS))
    key, value = next(iter(given.items()))
    try:
        if key == "share":
            return Affects("share", share=read_value(_SHARE, value))
        if key == "count":
            return Affects("count", count=read_value(_COUNT, value))
        if key == "classes":
            return Affects("classes", members=read_list(_CLASS, value))
        if key == "zones":
            return Affects("zones", members=read_list(_ZONE, value))
        return Affects("nodes", members=read_nodes(value, "nodes"))
    except InputError as error:
        raise InputError([problem.at(prefix=(key,)) for problem in error.problems]) from None


_AFFECTS_PROPERTIES = {
    "share": dict(_SHARE.schema),
    "count": dict(_COUNT.schema),
    "classes": {"type": "array", "items": dict(_CLASS.schema), "minItems": 1},
    "zones": {"type": "array", "items": dict(_ZONE.schema), "minItems": 1},
    "nodes": NODES_SCHEMA,
}
_AFFECTS_GROUP = {
    "type": "object",
    "properties": _AFFECTS_PROPERTIES,
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}
_AFFECTS = ReadBy(read_affects, {"anyOf": [{"const": "all"}, _AFFECTS_GROUP]})


class KindSection(Section):
    """A kind of release."""

    probability: ExactProbability = Field(description="Probability of this kind; all kinds sum to 1.")
    defective: Flag = optional(False, "A rollout of this kind should be stopped.")
    error_rate: Probability = optional(
        0, "Fraction of requests that the release makes fail; independent causes combine as 1-(1-a)(1-b)."
    )
    start_failure: Probability = optional(0, "Added probability of a failed start.")
    start_hang: Probability = optional(0, "Added probability of a hang.")
    after: DurationLaw = optional(0, "Exposure per node before its error rate shows.")
    affects: Annotated[Affects, _AFFECTS] = optional("all", "Nodes that it can affect.")
    crash_rate: Factor = optional(1, "Factor on the crash rate of exposed, affected nodes.")


def _read_kinds(raw: object, handler: ValidatorFunctionWrapHandler) -> dict[str, KindSection]:
    if not isinstance(raw, dict) or not raw:
        found = shorten(raw)
        raise validation_error([Problem("not kinds of release", found=found, allowed="names, each with a probability")])
    given = {name: kind for name, kind in raw.items() if kind is not None}
    problems = [problem for name in given for problem in name_problems(name, (name,))]
    problems += _sum_problems(given)
    kinds: dict[str, KindSection] = {}
    try:
        kinds = handler(given)
    except ValidationError as error:
        problems += problems_of(error)
    if problems:
        raise validation_error(problems)
    return kinds


def _sum_problems(raw: Mapping[str, Any]) -> list[Problem]:
    # From the raw values, so that another mistake in a kind doesn't hide this one.
    total = Fraction(0)
    for kind in raw.values():
        try:
            total += read_value(_SHARE, kind["probability"])
        except (InputError, LookupError, TypeError):
            return []
    if abs(total - 1) <= _SUM_TOLERANCE:
        return []
    return [Problem("the probabilities of the kinds must sum to 1", found=f"{float(total):.12g}")]


Kinds = Annotated[dict[str, KindSection], WrapValidator(_read_kinds)]


def build_release(kinds: Mapping[str, KindSection]) -> tuple[ReleaseKind, ...]:
    """Build kinds of release from checked sections."""
    return tuple(
        ReleaseKind(name=name, **{key: getattr(kind, key) for key in KindSection.model_fields})
        for name, kind in kinds.items()
    )
