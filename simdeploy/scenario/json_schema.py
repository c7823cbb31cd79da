"""JSON Schema of the scenario file, and queries on it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, wraps
from typing import Any, TypeVar

from simdeploy.api import Dialect
from simdeploy.api.spec import SPEC_TYPES
from simdeploy.api.values import AMOUNT_PATTERN
from simdeploy.scenario.file_model import ScenarioFile
from simdeploy.scenario.laws import QUANTITIES, law_schema
from simdeploy.scenario.values import DURATION_SCHEMA, SHARED

V = TypeVar("V")


def _cached_by_identity(ask: Callable[..., V]) -> Callable[..., V]:
    """Cache answers by the identity of the part of the schema; parts are never changed."""
    known: dict[Any, tuple[Mapping[str, Any], V]] = {}

    @wraps(ask)
    def answer(schema: Mapping[str, Any], *arguments: str | int) -> V:
        place = (id(schema), *arguments)
        if place not in known:
            known[place] = schema, ask(schema, *arguments)  # keeps the schema alive, so that its id stays unique
        return known[place][1]

    return answer


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a scenario file.

    Examples
    --------
    >>> scenario_schema()["required"]
    ['name', 'fleet', 'policies']
    """
    return copy.deepcopy(shared_schema())


@lru_cache(maxsize=1)
def shared_schema() -> dict[str, Any]:
    """Return `scenario_schema` without copying; do not change it."""
    schema = ScenarioFile.model_json_schema(mode="validation")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    definitions = schema["$defs"]
    choices = [_inline_spec(dialect, definitions) for dialect in SPEC_TYPES]
    choices.append(
        {
            "type": "object",
            "description": "A file with an API deployment, a bare spec, or another orchestrator's policy.",
            "properties": {
                "file": {"type": "string", "description": "File, relative to the scenario."},
                "dialect": {"enum": list(SPEC_TYPES), "description": "Dialect, if the file's fields don't show it."},
            },
            "required": ["file"],
            "additionalProperties": False,
        }
    )
    orchestrator = schema["properties"]["orchestrator"]
    preset = definitions["OrchestratorSection"]["properties"]["preset"]
    orchestrator["anyOf"] = [{"enum": preset["enum"]}, {"$ref": orchestrator.pop("$ref")}]
    for choice in choices:
        choice["properties"]["orchestrator"] = {
            "anyOf": orchestrator["anyOf"],
            "description": "The policy's own orchestrator, which replaces the scenario's.",
        }
    definitions["Policy"] = {"anyOf": choices}
    description = schema["properties"]["policies"]["description"]
    schema["properties"]["policies"] = {
        "type": "object",
        "description": description,
        "additionalProperties": {"$ref": "#/$defs/Policy"},
        "minProperties": 1,
    }
    definitions["Duration"] = DURATION_SCHEMA
    definitions |= {quantity.definition: law_schema(quantity) for quantity in QUANTITIES}
    return {**_insert_references(schema), "title": "simdeploy scenario"}


def _insert_references(schema: Any) -> Any:
    """Turn the keys of shared definitions into references."""
    if isinstance(schema, list):
        return [_insert_references(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    linked = {key: _insert_references(part) for key, part in schema.items() if key not in (SHARED, "title")}
    return {"$ref": f"#/$defs/{schema[SHARED]}", **linked} if SHARED in schema else linked


def _inline_spec(dialect: Dialect, definitions: dict[str, Any]) -> dict[str, Any]:
    spec = SPEC_TYPES[dialect].model_json_schema(mode="validation", ref_template="#/$defs/{model}")
    for name, part in spec.pop("$defs", {}).items():
        definitions[name] = _closed(part)
    spec["properties"]["dialect"] = {
        "const": dialect,
        "description": "Dialect of this policy; default: deployment.",
    }
    if dialect != "deployment":
        spec["required"] = [*spec["required"], "dialect"]
    return _closed(spec)


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    # The API keeps unknown keys; in a scenario file they are errors.
    return {**schema, "additionalProperties": False}


def spec_schema(dialect: Dialect) -> Mapping[str, Any]:
    """Return the schema of an inline spec in a dialect; do not change it."""
    choices: list[dict[str, Any]] = shared_schema()["$defs"]["Policy"]["anyOf"]
    return next(choice for choice in choices if choice["properties"]["dialect"].get("const") == dialect)


@_cached_by_identity
def key_types(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the JSON types that a value of this schema may have.

    Examples
    --------
    >>> sorted(key_types({"anyOf": [{"type": "integer"}, {"type": "null"}]}))
    ['integer', 'null']
    """
    types: set[str] = set()
    for part in _alternatives(schema):
        stated = part.get("type", ())
        types |= {stated} if isinstance(stated, str) else set(stated)
    return frozenset(types)


def accepts_amounts(schema: Mapping[str, Any]) -> bool:
    """Whether a value of this schema may be a number of nodes or text with a percentage of them.

    Examples
    --------
    >>> accepts_amounts(spec_schema("general")["properties"]["surge"])
    True
    """
    return any(part.get("pattern") == AMOUNT_PATTERN for part in _alternatives(schema))


@_cached_by_identity
def _alternatives(schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    return tuple(_walk_alternatives(schema))


def _walk_alternatives(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    reference = schema.get("$ref")
    if reference is not None:
        schema = shared_schema()["$defs"][reference.rsplit("/", 1)[1]]
    yield schema
    for keyword in ("anyOf", "allOf", "oneOf"):
        for part in schema.get(keyword, ()):
            yield from _walk_alternatives(part)


@_cached_by_identity
def known_keys(schema: Mapping[str, Any]) -> list[str]:
    """Return the named keys of a value of this schema."""
    return list(dict.fromkeys(key for part in _alternatives(schema) for key in part.get("properties", ())))


@_cached_by_identity
def key_default(schema: Mapping[str, Any], key: str | int) -> Any:
    """Return a key's default as written in a file, or None; do not change it."""
    for part in _alternatives(schema):
        default = part.get("properties", {}).get(key, {}).get("default")
        if default is not None:
            return default
    return None


@_cached_by_identity
def may_add_keys(schema: Mapping[str, Any]) -> bool:
    """Whether a value of this schema may have keys of any name."""
    return any(isinstance(part.get("additionalProperties"), Mapping) for part in _alternatives(schema))


@_cached_by_identity
def key_schema(schema: Mapping[str, Any], key: str | int) -> Mapping[str, Any]:
    """Return the schema of a key's value or a list's item; empty if there is none."""
    schemas = []
    for part in _alternatives(schema):
        if isinstance(key, int):
            pair = part.get("prefixItems", ())
            below = pair[key] if key < len(pair) else part.get("items")
        else:
            below = part.get("properties", {}).get(key, part.get("additionalProperties"))
        if isinstance(below, Mapping):
            schemas.append(below)
    return {"anyOf": schemas}


def path_schema(path: str) -> Mapping[str, Any]:
    """Return the schema of a scenario's value by its dotted path, with any names of kinds of release and items of lists.

    It is empty if there is no such value, or if a name has dots.

    Examples
    --------
    >>> [sorted(key_types(path_schema(path))) for path in ("release.bad.affects.share", "fleet.classes.web.down")]
    [['number'], ['boolean']]
    """
    schema: Mapping[str, Any] = shared_schema()
    for part in path.split("."):
        below = key_schema(schema, part)
        schema = below if below["anyOf"] else key_schema(schema, int(part) if part.isdecimal() else 0)
    return schema
