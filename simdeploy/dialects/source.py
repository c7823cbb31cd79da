"""The text of a file to import, parsed once: YAML of several documents, or JSON, with the line of every value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import yaml

from simdeploy.api.json_text import MAX_DEPTH, lines_of, parse_json
from simdeploy.api.yaml_errors import explain_syntax_error
from simdeploy.errors import InputError, Path, Problem, shorten

# Of all documents together, aliases expanded.
MAX_VALUES = 100_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"
_STANDARD = "tag:yaml.org,2002:"
# PyYAML would convert these, but tools that read such files take them as text.
_TEXTS = ("tag:yaml.org,2002:value", "tag:yaml.org,2002:timestamp")

_SEPARATOR = re.compile(r"^---(?:\s|$)", re.MULTILINE)


@dataclass(frozen=True, repr=False)
class Tagged:
    """A value with a tag of its format, such as ``!Ref DesiredCount``, that is not evaluated here."""

    tag: str  # with its exclamation mark
    value: Any  # plain data
    missing: tuple[str, ...] = ()  # variables that its value depends on but that have none

    def __str__(self) -> str:
        return f"{self.tag} {self.value}"

    __repr__ = __str__


class Unknown(Exception):  # noqa: N818 - not an error in the file
    """A value that the file alone doesn't state; the text says why."""


@dataclass(frozen=True)
class Document:
    """One document of a file."""

    data: Any  # plain data; in YAML also `Tagged`
    source: Source
    lines: Mapping[Path, int] | None = None

    def line(self, path: Path) -> int | None:
        """Return the line of a key, or of the nearest key around it."""
        lines = self.source.json_lines if self.lines is None else self.lines
        while path not in lines and path:
            path = path[:-1]
        return lines.get(path)

    def problem(
        self, message: str, path: Path, *, found: object = None, allowed: str | None = None, hint: str | None = None
    ) -> Problem:
        """Return a problem at a place of this document; `found` is shown shortened unless it is None."""
        shown = None if found is None else shorten(found)
        line = self.line(path)
        return Problem(message, path, file=self.source.file, line=line, found=shown, allowed=allowed, hint=hint)


@dataclass(frozen=True)
class Source:
    """The text of a file."""

    text: str
    file: str | None = None  # its name, for messages

    @cached_property
    def is_json(self) -> bool:
        """Whether the text begins like a JSON object or list, and has no line that separates documents of YAML.

        A template (``{{ ... }}``, ``[[ ... ]]``) does not begin like JSON.
        """
        text = self.text.lstrip("\ufeff \t\r\n")
        is_like_json = text.startswith(("{", "[")) and not text.startswith(("{{", "[["))
        return is_like_json and _SEPARATOR.search(text) is None

    @cached_property
    def json_lines(self) -> Mapping[Path, int]:
        """The line of every value of valid JSON."""
        return lines_of(self.text)

    @cached_property
    def documents(self) -> tuple[Document, ...]:
        """The documents; one for JSON.

        Raises
        ------
        InputError
            If the text is neither JSON nor YAML.
        """
        if self.is_json:
            return (Document(parse_json(self.text.removeprefix("\ufeff"), file=self.file), self),)
        return tuple(self._read_yaml())

    @cached_property
    def groups(self) -> tuple[Document, ...]:
        """The documents that are mappings; none if the text can't be parsed (`documents` says why)."""
        try:
            return tuple(document for document in self.documents if isinstance(document.data, dict))
        except InputError:
            return ()

    def _read_yaml(self) -> Iterator[Document]:
        try:
            loader = _LOADER(self.text)
        except yaml.YAMLError as error:
            raise InputError(self._syntax_problem(error)) from None
        builder = _Builder(self, loader)
        try:
            while loader.check_node():
                yield builder.build(loader.get_node())
        except yaml.YAMLError as error:
            raise InputError(self._syntax_problem(error)) from None
        except RecursionError:
            raise InputError(Problem(f"nested deeper than {MAX_DEPTH} levels", file=self.file)) from None
        finally:
            loader.dispose()

    def _syntax_problem(self, error: yaml.YAMLError) -> Problem:
        problem = explain_syntax_error(error, self.file, self.text)
        return problem if self.template_hint is None else replace(problem, hint=self.template_hint)

    @property
    def template_hint(self) -> str | None:
        """A hint for text with templates; None without any."""
        return 'render templates first, or put "{{ ... }}" into quotes' if "{{" in self.text else None


class _Builder:
    """Converts PyYAML's nodes to plain data: merge keys are merged, aliases expanded and counted."""

    def __init__(self, source: Source, loader: Any) -> None:
        self._source = source
        self._loader = loader
        self._n_values = 0

    def build(self, root: yaml.Node) -> Document:
        self._lines: dict[Path, int] = {(): root.start_mark.line + 1}
        return Document(self._value(root, ()), self._source, self._lines)

    def _value(self, node: yaml.Node, path: Path) -> Any:
        self._n_values += 1
        if self._n_values > MAX_VALUES or len(path) > MAX_DEPTH:
            is_long = self._n_values > MAX_VALUES
            many = f"more than {MAX_VALUES:,} values" if is_long else f"nested deeper than {MAX_DEPTH}"
            raise InputError(Problem(many, path[:3], file=self._source.file, line=node.start_mark.line + 1))
        is_standard = node.tag.startswith(_STANDARD)
        if isinstance(node, yaml.MappingNode):
            data: Any = self._mapping(node, path)
        elif isinstance(node, yaml.SequenceNode):
            data = []
            for number, item in enumerate(node.value):
                place = (*path, number)
                self._lines[place] = item.start_mark.line + 1
                data.append(self._value(item, place))
        elif is_standard and node.tag not in _TEXTS:
            try:
                data = self._loader.construct_object(node)
            except ValueError:  # such as a number of thousands of digits
                line, found = node.start_mark.line + 1, shorten(node.value)
                message = "not a value that can be read"
                raise InputError(Problem(message, path, file=self._source.file, line=line, found=found)) from None
        else:
            data = node.value
        return data if is_standard else Tagged(node.tag, data)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _MERGE:
                parts = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for part in parts:
                    extra = self._value(part, path)
                    if not isinstance(extra, dict):
                        problem = Problem("a merge key (<<) needs a mapping", path, file=self._source.file, line=line)
                        raise InputError(problem)
                    merged = {**extra, **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                hint = self._source.template_hint
                raise InputError(Problem("a key must be text", path, file=self._source.file, line=line, hint=hint))
            key = str(key_node.value)
            if key in data:
                raise InputError(Problem("duplicate key", (*path, key), file=self._source.file, line=line))
            self._lines[(*path, key)] = line
            data[key] = self._value(value_node, (*path, key))
        return {**{key: value for key, value in merged.items() if key not in data}, **data}
