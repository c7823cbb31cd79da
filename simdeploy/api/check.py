"""Conversion of plain values to a spec, reporting all problems at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar, get_args, get_origin

from pydantic import ValidationError

from simdeploy.api.general import GeneralHealthCheck, GeneralSpec
from simdeploy.api.spec import SPEC_TYPES, DeploymentSpec, HealthCheck, RolloutHealthCheck, RolloutSpec, Spec
from simdeploy.api.wire import Dialect, WireObject
from simdeploy.errors import MOST_PROBLEMS, Path, Problem, cut, nearest, shorten

MISSING = "required key is missing"

W = TypeVar("W", bound=WireObject)

# The dialects differ in the keys of their health checks.
_TWINS: dict[type[WireObject], type[WireObject]] = {HealthCheck: RolloutHealthCheck, RolloutHealthCheck: HealthCheck}

_GENERAL: dict[type[WireObject], type[WireObject]] = {
    HealthCheck: GeneralHealthCheck,
    RolloutHealthCheck: GeneralHealthCheck,
    DeploymentSpec: GeneralSpec,
    RolloutSpec: GeneralSpec,
}


def spec_from_dict(
    raw: Mapping[str, Any],  # the spec's keys, without ``dialect``; not changed
    *,
    dialect: Dialect,
) -> tuple[Spec | None, list[Problem]]:
    """Check a spec from a scenario or from Python.

    Durations may be Go strings or numbers: whole nanoseconds in the rollout dialect, seconds in the others. The
    spec stores them in the dialect's JSON form.

    If there are problems, the spec is None. All problems are returned, including `spec_problems` and unknown keys, with
    paths relative to the spec.

    Examples
    --------
    >>> spec, problems = spec_from_dict({"strategy": "immediate", "max_paralel": 3}, dialect="deployment")
    >>> print(problems[0])
    max_paralel: unknown key; did you mean 'max_parallel'?
    """
    if not isinstance(raw, Mapping):
        return None, [not_a_group(raw, ())]
    spec, problems = build_spec(raw, dialect=dialect)
    problems = list(cut([*problems, *unknown_keys_in(raw, SPEC_TYPES[dialect])]))
    return (None if problems else spec), problems


def build_spec(raw: Mapping[str, Any], *, dialect: Dialect) -> tuple[Spec | None, list[Problem]]:
    """Like `spec_from_dict`, but allow unknown keys, as in JSON files."""
    spec, problems = build(SPEC_TYPES[dialect], raw)
    problems += contradictions(spec.to_dict() if spec else raw, dialect)
    return (None if problems else spec), problems


def spec_problems(spec: Spec) -> list[Problem]:
    """List contradictions between valid values.

    These are: rolling or canary without a health check or its deadline, and canary without count and percent. Specs from
    `spec_from_dict` or JSON have none.

    Examples
    --------
    >>> from simdeploy.api import DeploymentSpec
    >>> [problem.path for problem in spec_problems(DeploymentSpec(strategy="rolling"))]
    [('health_check',)]
    """
    return contradictions(spec.to_dict(), spec.dialect)


def contradictions(raw: Mapping[str, Any], dialect: Dialect | None = None) -> list[Problem]:
    """Like `spec_problems`, for unchecked plain values; `dialect` is None if unknown."""
    strategy = raw.get("strategy")
    if strategy not in ("rolling", "canary"):
        return []
    problems: list[Problem] = []
    health_check = raw.get("health_check")
    if health_check is None:
        message = f"{strategy} needs a health check"
        allowed, hint = 'a health check with at least a "deadline"', misspelt("health_check", raw)
        problems.append(Problem(message, path=("health_check",), allowed=allowed, hint=hint))
    elif isinstance(health_check, Mapping) and health_check.get("deadline") in (None, ""):
        found = shorten(health_check["deadline"]) if "deadline" in health_check else None
        path, hint = ("health_check", "deadline"), misspelt("deadline", health_check)
        problems.append(Problem(f"{strategy} needs a deadline", path=path, found=found, hint=hint))
    canaries = [key for key in ("canary_count", "canary_percent") if _is_set(raw.get(key))]
    is_general = dialect == "general"
    if strategy == "canary" and not canaries and not (is_general and raw.get("waves")):
        message = f"canary needs {'waves, ' if is_general else ''}canary_count or canary_percent (0 is unset)"
        problems.append(Problem(message, path=("strategy",), allowed="at least 1"))
    return problems + _contradictions_of_general(raw, strategy, canaries) if is_general else problems


def _contradictions_of_general(raw: Mapping[str, Any], strategy: str, canaries: Sequence[str]) -> list[Problem]:
    """List contradictions among the keys that only the general dialect has."""
    problems: list[Problem] = []
    waves, health_check = raw.get("waves"), raw.get("health_check")
    if waves in ([], ()):
        problems.append(Problem("an empty list", path=("waves",), allowed="at least one wave"))
    elif isinstance(waves, Sequence) and not isinstance(waves, str):
        for number, wave in enumerate(waves):
            if isinstance(wave, Mapping) and sum(wave.get(key) is not None for key in ("size", "until")) != 1:
                message = "a wave needs either size or until"
                problems.append(Problem(message, path=("waves", number), allowed="{size: 10%} or {until: 50%}"))
        problems += (
            Problem("not allowed beside waves, whose first entry is the canaries", path=(key,), found=shorten(raw[key]))
            for key in canaries
        )
    if raw.get("zone_by_zone") is True and strategy != "rolling":
        problems.append(Problem("needs strategy: rolling", path=("zone_by_zone",), found=f"strategy: {strategy}"))
    if raw.get("zone_by_zone") is not True:
        problems += (
            Problem("needs zone_by_zone: true", path=(key,))
            for key in ("zone_bake_time", "first_zone_bake_time")
            if raw.get(key) is not None
        )
    if isinstance(health_check, Mapping) and health_check.get("success_threshold") is not None:
        groups: list[tuple[Path, Mapping[str, Any]]] = [(("health_check",), health_check)]
        if isinstance(waves, Sequence) and not isinstance(waves, str):
            groups += [(("waves", number), wave) for number, wave in enumerate(waves) if isinstance(wave, Mapping)]
        message = "not allowed beside success_threshold: both define when a node is healthy"
        problems += (
            Problem(message, path=(*path, "min_healthy_time"))
            for path, group in groups
            if group.get("min_healthy_time") is not None
        )
    return problems


def _is_set(size: object) -> bool:
    # A size of a wrong type counts as set: it is reported where values are checked.
    return size is not None and (isinstance(size, bool) or size != 0)


def unknown_keys(value: WireObject) -> list[Problem]:
    """List keys that the API doesn't know, each with the most similar known key.

    Examples
    --------
    >>> from simdeploy.api import DeploymentSpec
    >>> [problem.path for problem in unknown_keys(DeploymentSpec(strategy="immediate", surge=3))]
    [('surge',)]
    """
    return [replace(problem, allowed=None) for problem in cut(unknown_keys_in(value.to_dict(), type(value)))]


def build(model: type[W], raw: Mapping[str, Any]) -> tuple[W | None, list[Problem]]:
    """Build an object from a mapping, keeping unknown keys; return one problem per bad value or missing key."""
    try:
        return model.model_validate(_plain(raw)), []
    except ValidationError as error:
        return None, [_problem(details) for details in error.errors(include_url=False)]


def _plain(value: Any) -> Any:
    # pydantic expects a dict for an object; a frozen scenario holds read-only mappings.
    return {str(key): _plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _problem(details: Mapping[str, Any]) -> Problem:
    path, value = tuple(details["loc"]), details["input"]
    match details["type"]:
        case "missing":
            return Problem(MISSING, path=path, hint=misspelt(path[-1], value))
        case "refused":
            return Problem(path=path, found=shorten(value), **details["ctx"])
        case "tuple_type":
            return Problem("not a list", path=path, found=shorten(value), allowed="a list")
        case _:
            return not_a_group(value, path)


def not_a_group(value: object, path: Path) -> Problem:
    """Return the problem that an object was expected."""
    return Problem("not a group of keys", path=path, found=shorten(value), allowed="an object")


def misspelt(name: str, raw: Mapping[str, Any], likeness: float = 0.6) -> str | None:
    """Say which key of a mapping is probably a misspelling of the missing key `name`; None if none is (see `nearest`)."""
    meant = (key for key in islice(raw, MOST_PROBLEMS) if key != name and nearest(key, [name], likeness))
    return next((f"found '{key}': did you mean '{name}'?" for key in meant), None)


def unknown_keys_in(raw: Mapping[str, Any], model: type[WireObject]) -> list[Problem]:
    """List unknown keys of a mapping at any depth, each with the most similar known key."""
    problems: list[Problem] = []
    for key, value in raw.items():
        field = model.model_fields.get(key)
        if field is None:
            hint = _key_hint(key, model)
            meant = None if hint else (str(key), tuple(model.model_fields))
            problems.append(Problem("unknown key", (str(key),), hint=hint, meant=meant))
            continue
        items = enumerate(value) if isinstance(value, list | tuple) else [(None, value)]
        for number, item in items:
            prefix = (key,) if number is None else (key, number)
            for part in _object_types(field.annotation) if isinstance(item, Mapping) else ():
                problems += (problem.at(prefix=prefix) for problem in unknown_keys_in(item, part))
    return problems


def _object_types(annotation: object) -> list[type[WireObject]]:
    parts = get_args(annotation)
    direct = [part for part in parts if isinstance(part, type) and issubclass(part, WireObject)]
    return direct + [inner for part in parts if get_origin(part) is tuple for inner in _object_types(part)]


def _key_hint(key: str, model: type[WireObject]) -> str | None:
    twin = _TWINS.get(model)
    if twin is not None and key in twin.model_fields:
        return f"a key of the {twin.dialect} dialect: add 'dialect: {twin.dialect}'"
    general = _GENERAL.get(model)
    if general is not None and key in general.model_fields:
        return "a key of the general dialect: add 'dialect: general'"
    if twin is not None and key in SPEC_TYPES[model.dialect].model_fields:
        return "move it out of health_check"
    for name, field in model.model_fields.items():
        if any(key in part.model_fields for part in _object_types(field.annotation)):
            return f"move it into {name}"
    return None
