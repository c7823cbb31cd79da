"""New values at dotted paths, checked against the schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

from simdeploy.errors import InputError, Path, Problem, collect, format_path, nearest_path, raise_if_any
from simdeploy.scenario.json_schema import key_default, key_schema, known_keys, may_add_keys, shared_schema

_INDEX = re.compile(r"\[(\d+)\]")


def set_values(raw: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scenario's plain data with changed values; unchanged parts are shared, not copied.

    An `InputError` lists every path that doesn't exist, with the nearest one.

    Examples
    --------
    >>> set_values({"fleet": {"nodes": 5}}, {"fleet.nodes": 6, "fleet.zones": 2})
    {'fleet': {'nodes': 6, 'zones': 2}}
    """
    changed = dict(raw)
    copies: dict[int, Any] = {}  # by id: containers that were copied already
    problems: list[Problem] = []
    for path, value in values.items():
        with collect(problems):
            _set(changed, _with_dots(path), value, copies)
    raise_if_any(problems)
    return changed


class Key(NamedTuple):
    """A place for a value."""

    path: str  # with dots
    schema: Mapping[str, Any]  # JSON Schema of its value
    is_stated: bool  # whether the value is stated rather than a default


def find_key(raw: Mapping[str, Any], path: str) -> Key:
    """Return the key at a path, in the form of `set_values`; raise `InputError` with the nearest one if there is none.

    Examples
    --------
    >>> find_key({"fleet": {"nodes": 5}}, "fleet.nodes").is_stated
    True
    """
    places = next(_resolve(raw, shared_schema(), _with_dots(path), ()), None)
    if places is None:
        raise _no_such_path(raw, path)
    node: Any = raw
    schema: Mapping[str, Any] = shared_schema()
    for part in places:
        is_there = part in node if isinstance(node, Mapping) else isinstance(node, list) and int(part) < len(node)
        node, schema = (node[part] if is_there else None), key_schema(schema, part)
    return Key(path, schema, is_stated=node is not None)


def all_keys(node: object, schema: Mapping[str, Any], prefix: str = "", *, is_stated: bool = True) -> Iterator[Key]:
    """Yield every existing or possible key of a value of this schema, including those of defaults."""
    if isinstance(node, list):
        children = [
            (str(item.get("name", number)) if isinstance(item, Mapping) else str(number), item, number)
            for number, item in enumerate(node)
        ]
    else:
        keys = node if isinstance(node, Mapping) else {}
        children = [(name, keys.get(name), name) for name in dict.fromkeys([*keys, *known_keys(schema)])]
    for name, child, key in children:
        is_there = is_stated and child is not None
        yield Key(prefix + name, key_schema(schema, key), is_there)
        below = key_default(schema, key) if child is None else child
        yield from all_keys(below, key_schema(schema, key), f"{prefix}{name}.", is_stated=is_there)


def _with_dots(path: str) -> str:
    return _INDEX.sub(r".\1", path) if "[" in path else path


def _set(raw: dict[str, Any], path: str, value: object, copies: dict[int, Any]) -> None:
    place = _stated_place(raw, path) or next(_resolve(raw, shared_schema(), path, ()), None)
    if place is None:
        raise _no_such_path(raw, path)
    *parents, last = place
    node: Any = raw
    for depth, part in enumerate(parents):
        child = node[int(part)] if isinstance(node, list) else node.get(part)
        if child is None:
            child = _child(node, reduce(key_schema, parents[:depth], shared_schema()), part)
        if isinstance(child, str) and part == "orchestrator":
            child = {"preset": child}
        if not isinstance(child, (dict, list)):
            message = f"{format_path(parents[: depth + 1])} is a single value, without keys"
            raise InputError(Problem(message, place))
        if id(child) not in copies:
            child = child.copy()
            copies[id(child)] = child
        node[part] = child
        node = child
    node[last] = value


def _child(node: Any, schema: Mapping[str, Any], part: str | int) -> Any:
    """Return the value of a key or item, or its default; an empty section unless the default has keys."""
    if isinstance(node, list):
        return node[int(part)]
    if node.get(part) is not None:
        return node[part]
    default = key_default(schema, part)
    return default if isinstance(default, dict) else {}


def _stated_place(raw: Mapping[str, Any], path: str) -> Path | None:
    """Return the first result of `_resolve`, but faster; None unless all keys are stated and no name on the way has dots."""
    place = tuple(path.split("."))
    node: Any = raw
    for part in place:
        if not isinstance(node, dict) or part not in node or "." in "".join(node):
            return None
        node = node[part]
    return place


def _resolve(node: object, schema: Mapping[str, Any], rest: str, path: Path) -> Iterator[Path]:
    """Yield the paths that a dotted text can mean, those with the longest names first."""
    if isinstance(node, list):
        head, _, tail = rest.partition(".")
        number = _find_item(node, head)
        if number is not None:
            yield from _resolve_rest(node[number], key_schema(schema, number), tail, (*path, number))
        return
    keys = node if isinstance(node, dict) else {}
    head, dot, tail = rest.partition(".")
    # Names in a file may have dots.
    fitting = [name for name in keys if "." in name and f"{rest}.".startswith(f"{name}.")]
    is_known = head in keys or head in known_keys(schema)
    for name in sorted(fitting, key=len, reverse=True) + [head] * is_known:
        below = tail if name == head else rest[len(name) + 1 :]
        if below or rest == name:
            yield from _resolve_rest(_child(keys, schema, name), key_schema(schema, name), below, (*path, name))
    if may_add_keys(schema) and not dot and not is_known:
        yield (*path, rest)


def _resolve_rest(node: object, schema: Mapping[str, Any], rest: str, path: Path) -> Iterator[Path]:
    if rest:
        yield from _resolve(node, schema, rest, path)
    else:
        yield path


def _find_item(items: list[Any], head: str) -> int | None:
    for number, item in enumerate(items):
        if isinstance(item, Mapping) and item.get("name") == head:
            return number
    is_number = head.isdecimal() and len(head) <= len(str(len(items)))
    return int(head) if is_number and int(head) < len(items) else None


def _no_such_path(raw: Mapping[str, Any], path: str) -> InputError:
    hint = nearest_path(path, (key.path for key in all_keys(raw, shared_schema())))
    return InputError(Problem("no such key in a scenario", (path,), hint=hint))
