"""New values at paths written with dots, checked against what the schema knows."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from simdeploy.errors import InputError, Path, Problem, format_path, nearest
from simdeploy.scenario.json_schema import key_default, key_schema, known_keys, may_add_keys, scenario_schema

_INDEX = re.compile(r"\[(\d+)\]")


def set_values(raw: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a scenario's plain data with values at new places.

    Raises
    ------
    InputError
        For every path that leads nowhere, with the nearest one that exists.

    Examples
    --------
    >>> set_values({"fleet": {"nodes": 5}}, {"fleet.nodes": 6, "fleet.zones": 2})
    {'fleet': {'nodes': 6, 'zones': 2}}
    """
    changed = copy.deepcopy(dict(raw))
    problems: list[Problem] = []
    for path, value in values.items():
        try:
            _set(changed, _INDEX.sub(r".\1", path), value)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return changed


def _set(raw: dict[str, Any], path: str, value: object) -> None:
    places = list(_resolve(raw, scenario_schema(), path, ()))
    if not places:
        raise InputError(Problem("no such path in a scenario", (path,), hint=_nearest(raw, path)))
    *parents, last = places[0]
    node: Any = raw
    schema: Mapping[str, Any] = scenario_schema()
    for depth, part in enumerate(parents, start=1):
        child = _child(node, schema, part)
        if isinstance(child, str) and parents[:depth] == ["orchestrator"]:
            child = {"preset": child}
        if not isinstance(child, dict | list):
            message = f"{format_path(parents[:depth])} is one value, without keys below it"
            raise InputError(Problem(message, places[0]))
        node[part] = child
        node, schema = child, key_schema(schema, part)
    node[last] = value


def _child(node: Any, schema: Mapping[str, Any], part: str | int) -> Any:
    """Return what is below a key or a number, or would be by default; an empty section unless that has keys."""
    if isinstance(node, list):
        return node[int(part)]
    if node.get(part) is not None:
        return node[part]
    default = key_default(schema, part)
    return default if isinstance(default, dict) else {}


def _resolve(node: object, schema: Mapping[str, Any], rest: str, path: Path) -> Iterator[Path]:
    """Find the keys and numbers that a text with dots can mean, the longest names first."""
    if isinstance(node, list):
        head, _, tail = rest.partition(".")
        number = _item(node, head)
        if number is not None:
            yield from _further(node[number], key_schema(schema, number), tail, (*path, number))
        return
    keys = node if isinstance(node, dict) else {}
    names = sorted({*keys, *known_keys(schema)}, key=lambda name: (-len(name), name))
    for name in names:
        if rest == name or (rest.startswith(name + ".") and len(rest) > len(name) + 1):
            yield from _further(
                _child(keys, schema, name), key_schema(schema, name), rest[len(name) + 1 :], (*path, name)
            )
    if may_add_keys(schema) and "." not in rest and rest not in names:
        yield (*path, rest)


def _further(node: object, schema: Mapping[str, Any], rest: str, path: Path) -> Iterator[Path]:
    if rest:
        yield from _resolve(node, schema, rest, path)
    else:
        yield path


def _item(items: list[Any], head: str) -> int | None:
    for number, item in enumerate(items):
        if isinstance(item, Mapping) and item.get("name") == head:
            return number
    return int(head) if head.isdecimal() and int(head) < len(items) else None


def _nearest(raw: Mapping[str, Any], path: str) -> str | None:
    return nearest(path, _known_paths(raw, scenario_schema(), ""))


def _known_paths(node: object, schema: Mapping[str, Any], prefix: str) -> Iterator[str]:
    if isinstance(node, list):
        children = [
            (str(item.get("name", number)) if isinstance(item, Mapping) else str(number), item, number)
            for number, item in enumerate(node)
        ]
    else:
        keys = node if isinstance(node, Mapping) else {}
        children = [(name, _child(keys, schema, name), name) for name in dict.fromkeys([*keys, *known_keys(schema)])]
    for name, child, key in children:
        yield prefix + name
        yield from _known_paths(child, key_schema(schema, key), f"{prefix}{name}.")
