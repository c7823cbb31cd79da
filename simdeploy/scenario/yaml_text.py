"""Strict YAML: plain data with the line of every key, or problems.

Reads the parser's *events*, not PyYAML's objects: no tags, merge keys, duplicate keys, cycles or exploding anchors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from simdeploy.api.json_text import MAX_DEPTH
from simdeploy.api.yaml_errors import explain_syntax_error
from simdeploy.errors import InputError, Path, Problem, shorten
from simdeploy.scenario.scalars import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_NODES = 20_000
MAX_ALIASED_NODES = 10_000
_LONGEST_NAME = 60

# libyaml is about ten times as fast as the Python parser; wheels include it, builds from source may not.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Characters that YAML allows nowhere.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")

Positions = dict[Path, tuple[int, int]]


@dataclass
class _Node:
    """A value with its place; `items` of a mapping are (key, value), of a list (number, value)."""

    path: Path
    line: int
    column: int
    kind: str = "scalar"
    value: Any = None
    items: list[tuple[Any, _Node]] = field(default_factory=list)
    closed: bool = False


def parse_yaml(text: str, file: str | None = None, problems: list[Problem] | None = None) -> tuple[Any, Positions]:
    r"""Read one YAML document; return its data, and line and column, from 1, by path of the root and every key and list item.

    `problems` collects problems that don't prevent further checks (duplicate keys, unusual numbers); by default they are
    raised together with the others.

    Examples
    --------
    >>> data, positions = parse_yaml("fleet:\n  nodes: 5\n")
    >>> data, positions["fleet", "nodes"]
    ({'fleet': {'nodes': 5}}, (2, 3))
    """
    control = _CONTROL.search(text)
    if control is not None:
        line = text.count("\n", 0, control.start()) + 1
        code = f"U+{ord(control[0]):04X}"
        raise InputError(Problem("control character", file=file, line=line, found=code))
    found_here: list[Problem] = [] if problems is None else problems
    try:
        root = _Composer(file, found_here).compose(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        raise InputError([explain_syntax_error(error, file, text), *found_here]) from None
    except yaml.YAMLError as error:
        raise InputError([Problem(f"not YAML: {error}", file=file), *found_here]) from None
    positions: Positions = {(): (root.line, root.column)}
    data = _Expander(file, found_here, positions).expand(root, ())
    if problems is None and found_here:
        raise InputError(found_here)
    return data, positions


class _Composer:
    """Builds from events a tree of nodes in which an alias is its anchor's node."""

    def __init__(self, file: str | None, problems: list[Problem]) -> None:
        self.file = file
        self.problems = problems
        self.anchors: dict[str, _Node] = {}
        self.nodes = 0

    def compose(self, events: Iterator[Any]) -> _Node:
        self.events = events
        root: _Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise self._make_error(event, "only one document per file", hint="remove the line '---'")
                root = self._node(next(events), ())
        if root is None or (root.kind == "scalar" and root.value is None):
            raise InputError([*self.problems, Problem("empty", file=self.file)])
        return root

    def _node(self, event: Any, path: Path) -> _Node:
        self.nodes += 1
        if len(path) > MAX_DEPTH:
            raise self._make_error(event, f"nested deeper than {MAX_DEPTH} levels")
        if self.nodes > MAX_NODES:
            message = f"more than {MAX_NODES:,} values"
            raise self._make_error(event, message, hint="move measured values to a file: empirical: {file: x.csv}")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        node = _Node(path, event.start_mark.line + 1, event.start_mark.column + 1)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        if event.tag is not None:
            self._problem(node, "tags are not supported", shorten(event.tag.replace("tag:yaml.org,2002:", "!!")))
        if isinstance(event, yaml.ScalarEvent):
            node.value = self._scalar(event, node)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._sequence(node)
        else:
            self._mapping(node)
        node.closed = True
        return node

    def _alias(self, event: Any) -> _Node:
        target, name = self.anchors.get(event.anchor), event.anchor[:_LONGEST_NAME]
        if target is None:
            raise self._make_error(event, f"an alias (*{name}) without its anchor (&{name})")
        if not target.closed:
            raise self._make_error(event, f"a cycle: *{name} lies inside &{name}")
        return target

    def _scalar(self, event: Any, node: _Node) -> Any:
        if not event.implicit[0]:  # quoted, or a block
            return event.value
        try:
            return resolve(event.value)
        except ValueError as error:
            hint = "quote it if it is text" if "decimal" in str(error) else None
            self._problem(node, str(error), shorten(event.value), hint)
            return 0

    def _sequence(self, node: _Node) -> None:
        node.kind = "list"
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                return
            node.items.append((len(node.items), self._node(event, (*node.path, len(node.items)))))

    def _mapping(self, node: _Node) -> None:
        node.kind = "mapping"
        lines: dict[str, int] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                return
            plain = isinstance(event, yaml.ScalarEvent) and event.implicit[0]
            name = event.value if isinstance(event, yaml.ScalarEvent) else "?"
            key = self._node(event, (*node.path, name))
            value = self._node(next(self.events), (*node.path, name))
            if not isinstance(key.value, str):
                found = {"list": "a list", "mapping": "a map"}.get(key.kind) or shorten(key.value)
                hint = None if key.kind != "scalar" or key.value is None else "put it in quotes"
                self._problem(key, "a key must be text", found, hint)
            elif key.value == "<<" and plain:
                self._problem(key, "merge keys (<<) are not supported", hint="write the keys out")
            elif key.value in lines:
                self._problem(key, f"duplicate key, first in line {lines[key.value]}", shorten(key.value))
            else:
                lines[key.value] = key.line
                # A value's position is that of its key, where people look first.
                node.items.append(((key.value, key.line, key.column), value))

    def _problem(self, node: _Node, message: str, found: str | None = None, hint: str | None = None) -> None:
        self.problems.append(
            Problem(message, node.path, file=self.file, line=node.line, column=node.column, found=found, hint=hint)
        )

    def _make_error(self, event: Any, message: str, hint: str | None = None) -> InputError:
        mark = event.start_mark
        problem = Problem(message, file=self.file, line=mark.line + 1, column=mark.column + 1, hint=hint)
        return InputError([problem, *self.problems])


class _Expander:
    """Converts nodes to plain data; visits of a node after the first come from aliases, and are counted."""

    def __init__(self, file: str | None, problems: list[Problem], positions: Positions) -> None:
        self.file = file
        self.problems = problems
        self.positions = positions
        self.seen: set[int] = set()
        self.aliased = 0

    def expand(self, node: _Node, path: Path) -> Any:
        self._count(node, path)
        if node.kind == "scalar":
            return node.value
        if node.kind == "list":
            for number, item in node.items:
                self.positions[(*path, number)] = (item.line, item.column)
            return [self.expand(item, (*path, number)) for number, item in node.items]
        data: dict[str, Any] = {}
        for (key, line, column), value in node.items:
            self.positions[(*path, key)] = (line, column)
            data[key] = self.expand(value, (*path, key))
        return data

    def _count(self, node: _Node, path: Path) -> None:
        # A set is safe here: no result depends on its order.
        if id(node) in self.seen:
            self.aliased += 1
        self.seen.add(id(node))
        message = None
        if self.aliased > MAX_ALIASED_NODES:
            message = f"aliases that expand to more than {MAX_ALIASED_NODES:,} values"
        elif len(path) > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels"
        if message is not None:
            problem = Problem(message, path[:3], file=self.file, line=node.line, column=node.column)
            raise InputError([problem, *self.problems])
