"""Values in HCL: variables (the caller's value, else the default), locals, and texts and lists that contain them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeploy.api.json_text import MAX_DEPTH
from simdeploy.dialects.source import Unknown
from simdeploy.errors import shorten

if TYPE_CHECKING:
    from simdeploy.dialects.reading import Group, Reading

_MOST_DIGITS = 18
# Limits on lookups for one field and on letters of a text, because locals that contain each other can grow exponentially.
_MOST_STEPS = 1000
_MOST_LETTERS = 10_000

_REFERENCE = re.compile(r"\$\{\s*(var|local)\.([A-Za-z_][\w-]*)\s*\}")


@dataclass(frozen=True)
class Expression:
    """An expression that is not constant."""

    tree: Any  # of the parser
    text: str  # as it stands in the file

    def __repr__(self) -> str:
        return self.text


class Scope:
    """The variables and locals of a file."""

    def __init__(
        self,
        reading: Reading,  # with the caller's values of variables
        data: Mapping[str, Any],
    ) -> None:
        self._reading = reading
        self._defaults: dict[str, Any] = {}
        for blocks in _listed(data.get("variable")):  # HCL's JSON form may have lists
            for name, block in _mapping(blocks).items():
                self._defaults[name] = _mapping(_listed(block)[-1] if block else None).get("default")
        for block in _listed(data.get("variables")):
            self._defaults.update(_mapping(block))
        # The caller may also give variables that no field read here needs.
        reading.used_variables.update(self._defaults)
        self._locals = {name: value for block in _listed(data.get("locals")) for name, value in _mapping(block).items()}
        self._open: set[str] = set()
        self._n_steps = 0

    def __contains__(self, variable: str) -> bool:
        return variable in self._defaults

    def evaluate(self, value: Any, group: Group, key: str) -> Any:
        """Return the value of a field; None, with a note, if neither file nor caller state it."""
        self._n_steps = 0
        try:
            return self._resolve(value)
        except Unknown as unknown:
            shown = shorten(value.text if isinstance(value, Expression) else str(value))
            group.not_evaluated(key, f"{shown}: {unknown}; treated as not given")
            return None

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, Expression):
            return _evaluate(value.tree, self, 0)
        if isinstance(value, str) and "${" in value:  # HCL in JSON writes expressions as texts
            match = _REFERENCE.fullmatch(value.strip())
            if match is None:
                raise Unknown("only variables and locals are evaluated")
            return self.look_up(match[1], match[2])
        return value

    def look_up(self, kind: str, name: str) -> Any:
        """Return a variable's or a local's value."""
        known = {"var": self._defaults, "local": self._locals}.get(kind, {})
        place = f"{kind}.{name}"
        given = self._reading.variable(name) if kind == "var" else None
        if given is not None:
            return given
        if known.get(name) is None:
            missing = f"the variable {name} has no default; pass --var {name}=VALUE" if kind == "var" else f"no {place}"
            raise Unknown(missing)
        self._n_steps += 1
        if place in self._open or self._n_steps > _MOST_STEPS:
            raise Unknown(f"{place} refers to itself" if place in self._open else "too many references")
        self._open.add(place)
        try:
            return self._resolve(known[name])
        finally:
            self._open.discard(place)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def constant(tree: Any) -> Any:
    """Return the value of a constant expression; `Unknown` if it is not constant."""
    return _evaluate(tree, None, 0)


def _evaluate(tree: Any, scope: Scope | None, depth: int) -> Any:
    children = [child for child in tree.children if getattr(child, "data", "") != "new_line_or_comment"]
    parts = [child for child in children if hasattr(child, "data")]
    kind = "nested too deeply" if depth > MAX_DEPTH else tree.data
    if kind == "expr_term" and len(parts) == 1:
        return _evaluate(parts[0], scope, depth + 1)
    if kind == "int_lit" and len(children[0]) <= _MOST_DIGITS:
        return int(children[0])
    if kind == "float_lit":
        return float(children[0])
    if kind == "literal_value":
        return json.loads(children[0])
    if kind == "unary_op" and str(children[0]) == "-":
        number = _evaluate(children[1], scope, depth + 1)
        if isinstance(number, int | float) and not isinstance(number, bool):
            return -number
    if kind == "string":
        text = "".join(_text_parts(children[1:-1], scope, depth))
        if len(text) <= _MOST_LETTERS:
            return text
    if kind == "tuple":
        return [_evaluate(part, scope, depth + 1) for part in parts]
    if kind == "get_attr_expr_term" and scope is not None:
        names = [_name(part) for part in parts]
        if len(names) == 2 and all(names):
            return scope.look_up(names[0], names[1])
    raise Unknown("only variables, locals and constants are evaluated")


def _name(tree: Any) -> str:
    """Return the name that an expression, or the part after a dot, consists of; empty for anything else."""
    parts = [child for child in tree.children if hasattr(child, "data")]
    if len(parts) == 1 and parts[0].data == "identifier" and tree.data in ("expr_term", "get_attr"):
        return str(parts[0].children[0])
    return ""


def _text_parts(parts: list[Any], scope: Scope | None, depth: int) -> Iterator[str]:
    for part in parts:
        child = part.children[0]
        if not hasattr(child, "data"):
            yield _plain(str(child))
        elif child.data == "interpolation":
            value = _evaluate(child.children[1], scope, depth + 1)
            yield json.dumps(value) if isinstance(value, bool) else str(value)
        else:
            raise Unknown("directives in texts are not evaluated")


def _plain(text: str) -> str:
    if text.startswith(("$${", "%%{")):
        return text[1:]
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text
