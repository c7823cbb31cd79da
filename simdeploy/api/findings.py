"""What is wrong with one object on the wire, as problems for people: bad values, missing and unknown keys."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from simdeploy.api.spec import SPEC_TYPES, HealthCheck, RolloutHealthCheck
from simdeploy.api.wire import WireObject
from simdeploy.errors import MOST_PROBLEMS, Path, Problem, nearest, shorten

MISSING = "required, but missing"

W = TypeVar("W", bound=WireObject)

# The dialects differ in the keys of their health checks.
_TWINS: dict[type[WireObject], type[WireObject]] = {HealthCheck: RolloutHealthCheck, RolloutHealthCheck: HealthCheck}


def build(model: type[W], raw: Mapping[str, Any]) -> tuple[W | None, list[Problem]]:
    """Make an object of a mapping; unknown keys pass. One problem per bad value or missing key."""
    try:
        return model.model_validate(_plain(raw)), []
    except ValidationError as error:
        return None, [_problem(details) for details in error.errors(include_url=False)]


def _plain(value: Any) -> Any:
    # pydantic takes a dict where an object is due; a frozen scenario holds read-only mappings.
    return {str(key): _plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _problem(details: Mapping[str, Any]) -> Problem:
    path, value = tuple(details["loc"]), details["input"]
    match details["type"]:
        case "missing":
            return Problem(MISSING, path=path, hint=_misspelt(path[-1], value))
        case "refused":
            return Problem(path=path, found=shorten(value), **details["ctx"])
        case "tuple_type":
            return Problem("not a list", path=path, found=shorten(value), allowed="a list of text")
        case _:
            return not_a_group(value, path)


def not_a_group(value: object, path: Path) -> Problem:
    """Say that an object was due."""
    return Problem("not a group of keys", path=path, found=shorten(value), allowed="a group of keys (an object)")


def _misspelt(name: str, raw: Mapping[str, Any]) -> str | None:
    meant = (key for key in islice(raw, MOST_PROBLEMS) if nearest(key, [name]))
    return next((f"'{key}' is there: did you mean '{name}'?" for key in meant), None)


def unknown_keys_in(raw: Mapping[str, Any], model: type[WireObject]) -> list[Problem]:
    """List the keys of a mapping that the API doesn't know, at any depth, with the nearest that it does."""
    problems: list[Problem] = []
    for key, value in raw.items():
        field = model.model_fields.get(key)
        if field is None:
            hint = _key_hint(key, model)
            meant = None if hint else (str(key), tuple(model.model_fields))
            problems.append(Problem("unknown key", (str(key),), hint=hint, meant=meant))
        elif isinstance(value, Mapping):
            for part in _object_types(field.annotation):
                problems += (problem.at(prefix=(key,)) for problem in unknown_keys_in(value, part))
    return problems


def _object_types(annotation: object) -> list[type[WireObject]]:
    return [part for part in get_args(annotation) if isinstance(part, type) and issubclass(part, WireObject)]


def _key_hint(key: str, model: type[WireObject]) -> str | None:
    twin = _TWINS.get(model)
    if twin is not None and key in twin.model_fields:
        return f"it belongs to the {twin.dialect} dialect: add 'dialect: {twin.dialect}'"
    if twin is not None and key in SPEC_TYPES[model.dialect].model_fields:
        return "it belongs beside health_check, not below it"
    for name, field in model.model_fields.items():
        if any(key in part.model_fields for part in _object_types(field.annotation)):
            return f"it belongs below {name}"
    return None
