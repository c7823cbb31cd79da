"""Lists of exact nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simdeploy.errors import InputError, Path, Problem, nearest, raise_if_any, shorten
from simdeploy.scenario.section import ReadBy
from simdeploy.scenario.values import MAX_NODES, read_list, whole, write_list

_NODE = whole(0, MAX_NODES - 1)
NODES_SCHEMA = {"type": "array", "items": dict(_NODE.schema), "minItems": 1, "uniqueItems": True}


def read_nodes(raw: object, name: str) -> tuple[int, ...]:
    """Read distinct numbers of nodes, or raise an `InputError` with relative paths; `name` is the name of the list.

    Examples
    --------
    >>> read_nodes([9, 2], "order")
    (9, 2)
    """
    nodes: tuple[int, ...] = read_list(_NODE, raw)
    first: dict[int, int] = {}
    problems = []
    for position, node in enumerate(nodes):
        if node in first:
            message = f"duplicate node; first named by {name}[{first[node]}]"
            problems.append(Problem(message, (position,), found=str(node)))
        first.setdefault(node, position)
    raise_if_any(problems)
    return nodes


def unknown_nodes(nodes: Sequence[int], n_nodes: int, path: Path) -> Iterator[Problem]:
    """List nodes that a fleet of `n_nodes` doesn't have; `path` is the path of the list."""
    for position, node in enumerate(nodes):
        if node >= n_nodes:
            hint = "nodes are numbered from 0" if node == n_nodes else None
            allowed = f"0 to {n_nodes - 1}"
            yield Problem("no such node", (*path, position), found=str(node), allowed=allowed, hint=hint)


def node_list(name: str, words: tuple[str, ...] = ()) -> ReadBy:
    """Return the reader of a list of nodes under the key `name`, where any of `words` is allowed instead of a list."""

    def read(raw: object) -> str | tuple[int, ...]:
        if not words or isinstance(raw, list):
            return read_nodes(raw, name)
        if isinstance(raw, str) and raw in words:
            return str(raw)
        allowed = f"{', '.join(words)}, or a list of nodes such as [9, 2]"
        hint = nearest(raw, words) if isinstance(raw, str) else write_list(raw)
        raise InputError(Problem("unknown value", found=shorten(raw), allowed=allowed, hint=hint))

    return ReadBy(read, {"anyOf": [{"type": "string", "enum": list(words)}, NODES_SCHEMA]} if words else NODES_SCHEMA)
