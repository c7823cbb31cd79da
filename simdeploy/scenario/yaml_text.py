"""Strict YAML: plain data with the line of every key, or problems.

Reads the parser's *events*, not PyYAML's objects: no tags, merge keys, duplicate keys, cycles or exploding anchors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from simdeploy.dialects.source import find_mark
from simdeploy.errors import InputError, Path, Problem, shorten
from simdeploy.scenario.scalars import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 64
MAX_NODES = 20_000
MAX_ALIASED_NODES = 10_000
_LONGEST_NAME = 60

# libyaml is about ten times as fast as the Python parser; wheels include it, builds from source may not.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Characters that YAML allows nowhere.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")

_KEY_END = re.compile(r":(?=\s|$)")

Positions = dict[Path, tuple[int, int]]

# Messages of libyaml in words that need no knowledge of its grammar.
_PLAIN_WORDS = {
    "found character that cannot start any token": "a character not allowed here (a tab, '@', '`' or '%')",
    "mapping values are not allowed in this context": "a second ':' on this line: quote text with ': '",
    "did not find expected key": "the indentation doesn't match the lines above, or stray text precedes it",
    "did not find expected ',' or '}'": "a '{' is not closed, or a ',' is missing",
    "did not find expected ',' or ']'": "a '[' is not closed, or a ',' is missing",
    "did not find expected '-' indicator": "a list item doesn't start with '- ', or its indentation differs",
    "could not find expected ':'": "a key without ':'",
    "found unexpected end of stream": "the file ends inside quotes",
    "did not find expected node content": "a value is missing here",
    "did not find expected <document start>": "stray text after the data",
    "block sequence entries are not allowed in this context": "a list item ('- ') is not allowed here",
    "found a tab character that violates indentation": "a tab; indent with spaces",
    "found a tab character where an indentation space is expected": "a tab; indent with spaces",
    "exceeded maximum nesting depth": f"nested deeper than {MAX_DEPTH} levels",
    "found unknown escape character": "an unknown escape after a backslash: use single quotes or '\\\\'",
}


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
        raise InputError([_syntax_problem(error, file, text), *found_here]) from None
    except yaml.YAMLError as error:
        raise InputError([Problem(f"not YAML: {error}", file=file), *found_here]) from None
    positions: Positions = {(): (root.line, root.column)}
    data = _Expander(file, found_here, positions).expand(root, ())
    if problems is None and found_here:
        raise InputError(found_here)
    return data, positions


def _syntax_problem(error: yaml.MarkedYAMLError, file: str | None, text: str) -> Problem:
    message = (error.problem or "").strip()
    mark = find_mark(error)
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    words = _PLAIN_WORDS.get(message, message)
    if "undefined alias" in message:
        words = "an alias (*name) without its anchor (&name)"
    hint = None
    if message.startswith("mapping values") and mark is not None:
        lines = text.splitlines()[: mark.line + 1]
        first = _KEY_END.search(lines[-1])
        if first is not None and first.start() >= mark.column and any(map(_is_data, lines[:-1])):
            return _unexpected_key(lines, file)
    if error.context_mark is not None and mark is not None and error.context_mark.line != mark.line:
        hint = f"it began in line {error.context_mark.line + 1}"
    return Problem(f"not valid YAML: {words}", file=file, line=line, column=column, hint=hint)


def _is_data(line: str) -> bool:
    return line.strip()[:1] not in ("", "#")


def _unexpected_key(lines: list[str], file: str | None) -> Problem:
    """Say why the last of these lines can't begin with a key: it goes on with a value above, or the line above is no key."""
    data = [n for n, line in enumerate(lines) if _is_data(line)]
    above, key = data[-2], next((n for n in reversed(data[:-1]) if _KEY_END.search(lines[n])), None)
    if key is not None and "\xa0" in lines[key][: _indentation(lines[key])]:
        spaces = "write spaces instead of no-break spaces"
        return Problem("not valid YAML: wrong indentation", file=file, line=key + 1, hint=spaces)
    is_below = key is not None and all(_indentation(lines[n]) > _indentation(lines[key]) for n in data if n > key)
    if key is not None and (key == above or (is_below and _is_data(_KEY_END.split(lines[key], maxsplit=1)[1]))):
        message = "not valid YAML: wrong indentation, or text with ': ' that is not in quotes"
        return Problem(message, file=file, line=len(lines), hint=f"compare with line {key + 1}")
    hint = "write ':' instead of a full-width colon" if "\uff1a" in lines[above] else None
    return Problem("not valid YAML: a key without ': '", file=file, line=above + 1, hint=hint)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


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
