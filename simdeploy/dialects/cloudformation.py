"""CloudFormation templates: their resources with references replaced by values, and the two spellings of every field."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simdeploy.api.json_text import MAX_DEPTH
from simdeploy.dialects.reading import Group, Reading
from simdeploy.dialects.source import Document, Tagged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from simdeploy.errors import Path

_PLACE = re.compile(r"\$\{(!?)([^{}]*)\}")
_NO_VALUE = "AWS::NoValue"
_MOST_LETTERS = 100_000


def open_part(reading: Reading, document: Document, path: Path) -> Group:
    """Return a part of the API's JSON, or of a template, as a group whose fields have the API's names."""
    return Group(reading, document, path, spell=_spell)


def _spell(group: Group, name: str) -> str:
    """Return a field's name as the file spells it: the API says ``desiredCount``, CloudFormation ``DesiredCount``."""
    names = (name, name[:1].upper() + name[1:])
    return group.spelling(*(reversed(names) if "Resources" in group.document.data else names))


def resource_names(document: Document, *types: str) -> list[str]:
    """Return the names of a template's resources of some types."""
    resources = _mapping(document.data, "Resources")
    return [
        name for name, resource in resources.items() if isinstance(resource, dict) and resource.get("Type") in types
    ]


def created(reading: Reading, document: Document, names: Iterable[str]) -> list[str]:
    """Return the names of resources that are created, as far as their conditions are known; all names if none is.

    A resource that the caller names is not left out.
    """
    all_names, chosen = list(names), reading.variables.values()
    evaluator = _Evaluator(reading, document)
    return [name for name in all_names if name in chosen or evaluator.creates(name)] or all_names


def resource_properties(reading: Reading, document: Document, name: str) -> Group:
    """Return the properties of a resource, with functions evaluated as far as parameters are known.

    A parameter has the value of the caller's variable of its name, or its default. Anything that can't be evaluated remains a
    `Tagged` value, which `Group` treats as not given, with a note.
    """
    properties = _Evaluator(reading, document).value(document.data["Resources"][name].get("Properties"))
    evaluated = replace(document, data={"Resources": {name: {"Properties": properties}}})
    return Group(reading, evaluated, ("Resources", name, "Properties"), name=name, spell=_spell)


class _Evaluator:
    def __init__(self, reading: Reading, document: Document) -> None:
        self._reading = reading
        self._resources = _mapping(document.data, "Resources")
        self._parameters = _mapping(document.data, "Parameters")
        self._mappings = _mapping(document.data, "Mappings")
        self._conditions = _mapping(document.data, "Conditions")
        self._truths: dict[str, tuple[bool | None, list[str]]] = {}  # by condition, with the parameters that it lacks
        self._depth = 0  # of conditions within conditions: a template may be circular
        self._missing: list[str] = []  # parameters that were needed but have no value

    def creates(self, name: str) -> bool:
        """Tell whether a resource is created; also if that depends on something unknown."""
        return self._condition(self._resources[name].get("Condition")) is not False

    def value(self, value: Any) -> Any:
        call = _call(value)
        if call is not None:
            n_before = len(self._missing)
            applied = self._call_function(*call)
            missing = tuple(dict.fromkeys(self._missing[n_before:]))
            return replace(applied, missing=missing) if isinstance(applied, Tagged) else applied
        if isinstance(value, dict):
            return {key: self.value(inner) for key, inner in value.items()}
        return [self.value(inner) for inner in value] if isinstance(value, list) else value

    def _call_function(self, function: str, argument: Any) -> Any:
        unknown = Tagged(f"!{function}", argument)
        if function == "Ref" and isinstance(argument, str):
            return None if argument == _NO_VALUE else self._parameter(argument, unknown)
        if function == "If" and isinstance(argument, list) and len(argument) == 3:
            truth = self._condition(argument[0])
            return Tagged("!If", argument[0]) if truth is None else self.value(argument[1 if truth else 2])
        if function == "Sub":
            text, names = argument if isinstance(argument, list) and len(argument) == 2 else (argument, {})
            if isinstance(text, str) and isinstance(names, dict):
                return self._substitute(text, {name: self.value(inner) for name, inner in names.items()}, unknown)
        if function == "Join" and isinstance(argument, list) and len(argument) == 2:
            separator, parts = map(self.value, argument)
            if isinstance(parts, list):
                return _join([separator, *parts], lambda words: words[0].join(words[1:]), unknown)
        if function == "FindInMap" and isinstance(argument, list) and len(argument) == 3:
            mapped: Any = self._mappings
            for key in map(self.value, argument):
                mapped = mapped.get(key) if isinstance(mapped, dict) and isinstance(key, str) else None
            return unknown if mapped is None else mapped
        return unknown

    def _parameter(self, name: str, unknown: Tagged) -> Any:
        given = self._reading.variable(name) if name in self._parameters else None
        default = _mapping(self._parameters, name).get("Default")
        if given is None and default is None and name in self._parameters:
            self._missing.append(name)
        return next((value for value in (given, default) if value is not None), unknown)

    def _substitute(self, text: str, names: Mapping[str, Any], unknown: Tagged) -> Any:
        # Text, mark and name of one place after the other.
        words = _PLACE.split(text)
        for place in range(1, len(words), 3):
            is_literal, name = words[place : place + 2]
            value = names[name] if name in names else self._parameter(name, unknown)
            value = f"${{{name}}}" if is_literal else value
            words[place : place + 2] = ["", value]
        return _join(words, "".join, unknown)

    def _condition(self, name: Any) -> bool | None:
        """Return whether a condition holds; None if that depends on something unknown."""
        if not isinstance(name, str) or name not in self._conditions:
            return None
        if name not in self._truths:
            self._truths[name] = None, []  # while it is evaluated
            n_before = len(self._missing)
            truth = self._truth(self._conditions[name])
            self._truths[name] = truth, list(dict.fromkeys(self._missing[n_before:]))
            del self._missing[n_before:]
        truth, missing = self._truths[name]
        self._missing += missing
        return truth

    def _truth(self, value: Any) -> bool | None:
        self._depth += 1
        truth = None if self._depth > MAX_DEPTH else self._decide(value)
        self._depth -= 1
        return truth

    def _decide(self, value: Any) -> bool | None:
        function, argument = _call(value) or ("", None)
        if function == "Condition":
            return self._condition(argument)
        if not isinstance(argument, list):
            return None
        if function == "Equals" and len(argument) == 2:
            left, right = map(self.value, argument)
            return None if isinstance(left, Tagged) or isinstance(right, Tagged) else _text(left) == _text(right)
        truths = [self._truth(condition) for condition in argument]
        if function == "Not" and len(truths) == 1 and truths[0] is not None:
            return not truths[0]
        if function in ("And", "Or"):
            decides = function == "Or"
            return decides if decides in truths else None if None in truths else not decides
        return None


def _call(value: Any) -> tuple[str, Any] | None:
    """Return name (without prefix) and argument of a function in either of its forms; None for plain data."""
    if isinstance(value, Tagged):
        return value.tag.removeprefix("!"), value.value
    if isinstance(value, dict) and len(value) == 1:
        ((name, argument),) = value.items()
        if name in ("Ref", "Condition") or name.startswith("Fn::"):
            return name.removeprefix("Fn::"), argument
    return None


def _join(words: list[Any], join: Callable[[list[str]], str], unknown: Tagged) -> Any:
    """Return a text of several values; `unknown` if one of them is no text or number, or if it gets long.

    Texts within texts could grow exponentially.
    """
    if not all(isinstance(word, str | int | float) for word in words):
        return unknown
    texts = [_text(word) for word in words]
    if len(texts) * max(map(len, texts)) > _MOST_LETTERS:
        return unknown
    return join(texts)


def _text(value: Any) -> str:
    """Return a value as text, as CloudFormation compares it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _mapping(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    inner = value.get(key)
    return inner if isinstance(inner, dict) else {}
