"""Lists of exact nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from simdeploy.errors import InputError, Path, Problem, nearest, shorten
from simdeploy.scenario.section import validation_error
from simdeploy.scenario.values import MAX_NODES, read_list, whole, write_list

_NODE = whole(0, MAX_NODES - 1)
NODES_SCHEMA = {"type": "array", "items": dict(_NODE.schema), "minItems": 1, "uniqueItems": True}


def read_nodes(raw: object, name: str) -> tuple[int, ...]:
    """Read numbers of nodes, each once, or raise an `InputError` with relative paths; `name` is that of the list.

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
    if problems:
        raise InputError(problems)
    return nodes


def unknown_nodes(nodes: Sequence[int], n_nodes: int, path: Path) -> Iterator[Problem]:
    """Look for nodes that a fleet of `n_nodes` doesn't have; `path` is that of the list."""
    for position, node in enumerate(nodes):
        if node >= n_nodes:
            hint = "nodes are numbered from 0" if node == n_nodes else None
            allowed = f"0 to {n_nodes - 1}"
            yield Problem("no such node", (*path, position), found=str(node), allowed=allowed, hint=hint)


@dataclass(frozen=True)
class NodeList:
    """`read_nodes` as pydantic metadata.

    Attributes
    ----------
    name : str
        The list's key.
    words : tuple of str
        Words that may stand in place of a list.
    """

    name: str
    words: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        if not self.words:
            return dict(NODES_SCHEMA)
        return {"anyOf": [{"type": "string", "enum": list(self.words)}, dict(NODES_SCHEMA)]}

    def _validate(self, raw: object) -> str | tuple[int, ...]:
        try:
            if not self.words or isinstance(raw, list):
                return read_nodes(raw, self.name)
            return self._read_word(raw)
        except InputError as error:
            raise validation_error(error.problems) from None

    def _read_word(self, raw: object) -> str:
        if isinstance(raw, str) and raw in self.words:
            return str(raw)
        allowed = f"{', '.join(self.words)}, or a list of nodes such as [9, 2]"
        raise InputError(Problem("unknown value", found=shorten(raw), allowed=allowed, hint=self._hint(raw)))

    def _hint(self, raw: object) -> str | None:
        return nearest(raw, self.words) if isinstance(raw, str) else write_list(raw)
