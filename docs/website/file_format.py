"""The page of all keys of a scenario file, from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from website.commands import escape

from simdeploy import scenario_schema

Schema = Mapping[str, Any]

_INTRODUCTION = """\
Every key with its type, limits and default, from the JSON Schema that ``simdeploy schema`` prints.
:doc:`scenario-file` introduces them with examples. A *law* is a constant or a distribution; a *duration* is a number of
seconds or text such as ``1h30m``; *percent* is text such as ``10%``.
"""
_LAWS = {
    "Duration": "duration",
    "DurationLaw": "law of durations",
    "ProbabilityLaw": "law of fractions",
    "FactorLaw": "law of factors",
}
_TYPES = {"number": "number", "integer": "whole number", "string": "text", "boolean": "true or false", "array": "list"}
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


class Section(NamedTuple):
    """A section of the file: its path, and its part of the schema."""

    path: str
    schema: Schema

    @property
    def title(self) -> str:
        """Return the path, with the dialect of a policy."""
        dialect = self.schema["properties"].get("dialect", {}).get("const")
        return f"{self.path} ({dialect} dialect)" if dialect else self.path or "Top level"


def find_sections() -> list[Section]:
    """Return all sections in the order of the file, each at its first occurrence."""
    schema = scenario_schema()
    sections: list[Section] = []
    _walk("", schema, schema["$defs"], sections)
    return sections


def _walk(path: str, schema: Schema, definitions: Mapping[str, Schema], sections: list[Section]) -> None:
    match schema:
        case {"$ref": reference}:
            name = reference.rpartition("/")[2]
            if name not in _LAWS:
                _walk(path, definitions[name], definitions, sections)
        case {"anyOf": choices}:
            for choice in choices:
                _walk(path, choice, definitions, sections)
        case {"type": "array", "items": {**items}}:
            _walk(f"{path}.NUMBER", items, definitions, sections)
        case {"properties": keys} if not any(section.schema is schema for section in sections):
            sections.append(Section(path, schema))
            for key, value in keys.items():
                _walk(f"{path}.{key}".lstrip("."), value, definitions, sections)
        case {"type": "object", "additionalProperties": {**values}}:
            _walk(f"{path}.NAME", values, definitions, sections)


def make_page() -> str:
    """Return the page."""
    known: set[str] = set()
    parts = [f"Keys of a scenario file\n{'=' * 30}\n\n{_INTRODUCTION}"]
    for section in find_sections():
        parts += [f"{section.title}\n{'-' * 60}", escape(section.schema.get("description", ""))]
        parts += _write_keys(section, known)
    return "\n\n".join(parts) + "\n"


def _write_keys(section: Section, known: set[str]) -> Iterator[str]:
    for key, value in section.schema["properties"].items():
        path = f"{section.path}.{key}".lstrip(".")
        lines = [f".. confval:: {path}"]
        if path in known:  # of another dialect
            lines.append("   :no-index:")
        known.add(path)
        lines.append(f"   :type: {_describe(value) or 'keys'}")
        if key in section.schema.get("required", ()):
            lines.append("   :default: required")
        elif value.get("default") not in (None, {}, [], ""):
            lines.append(f"   :default: ``{json.dumps(value['default'])}``")
        yield "\n".join([*lines, "", f"   {escape(value.get('description', ''))}"])


def _describe(schema: Schema) -> str:
    """Return the type of a value in words; nothing for a section."""
    match schema:
        case {"$ref": reference}:
            return _LAWS.get(reference.rpartition("/")[2], "")
        case {"enum": words}:
            return ", ".join(f"``{word}``" for word in words)
        case {"const": word}:
            return f"``{word}``"
        case {"anyOf": choices} | {"oneOf": choices}:
            words = dict.fromkeys(_describe(choice) for choice in choices if choice.get("type") != "null")
            return ", or ".join(word or "keys" for word in words)
        case {"type": "array", "items": {**items}}:
            return f"list of {_describe(items) or 'keys'}"
        case {"type": "object", "additionalProperties": {**values}}:
            return f"name -> {_describe(values) or 'keys'}"
        case {"type": "object"}:
            return ""
        case {"type": "string", "examples": ["10%", *_]}:
            return "percent"
        case {"type": ["string", "number"]}:
            return "duration"
        case {"type": [*types]}:
            return ", or ".join(_TYPES[name] for name in types)
    bounds = ", ".join(f"{sign} {schema[key]:,}" for key, sign in _BOUNDS.items() if key in schema)
    return f"{_TYPES.get(schema.get('type', ''), 'anything')} {bounds}".strip()
