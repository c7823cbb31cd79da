"""The part of Jinja needed for numbers and flags: variables, constants, and a few filters such as ``default``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from simdeploy.dialects.source import Unknown

_TEMPLATE = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'[^'\\]*'|"[^"\\]*")|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w.]*)|(?P<sign>[|(),]))\s*"""
)
_CONSTANTS = {"true": True, "True": True, "false": False, "False": False, "none": None, "None": None}
_TRUE = ("true", "yes", "on", "1")
_LONGEST = 1000


class _Undefined:
    def __init__(self, name: str) -> None:
        self.name = name


def is_template(value: object) -> bool:
    """Tell whether a value is text with an expression or a statement of Jinja."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def render(
    text: str,
    look_up: Callable[[str], Any],  # returns the value of a variable; raises KeyError if it has none
) -> Any:
    """Return the value of a template.

    It is the value itself if the text is one expression, otherwise text.

    Raises
    ------
    Unknown
        If a variable has neither value nor default, or the template contains anything else.

    Examples
    --------
    >>> render("{{ serial | default('20%') }}", {}.__getitem__), render("{{ n }}%", {"n": 5}.__getitem__)
    ('20%', '5%')
    """
    if len(text) > _LONGEST or "{%" in text or "{#" in text:
        raise Unknown("only variables and their defaults are evaluated")
    whole = _TEMPLATE.fullmatch(text.strip())
    if whole is not None and "}}" not in whole[1]:
        return _expression(whole[1], look_up)
    return _TEMPLATE.sub(lambda match: str(_expression(match[1], look_up)), text)


def _expression(text: str, look_up: Callable[[str], Any]) -> Any:
    tokens = list(_tokens(text))
    value = _operand(tokens, look_up)
    while tokens:
        if tokens.pop(0) != ("sign", "|") or not tokens:
            raise Unknown("only filters may follow a value")
        value = _filtered(value, tokens.pop(0), _arguments(tokens, look_up))
    if isinstance(value, _Undefined):
        raise Unknown(f"the variable {value.name} has no value; pass --var {value.name}=VALUE")
    return value


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise Unknown("only variables, constants and filters are evaluated")
        position = match.end()
        yield str(match.lastgroup), str(match[str(match.lastgroup)])


def _operand(tokens: list[tuple[str, str]], look_up: Callable[[str], Any]) -> Any:
    kind, word = tokens.pop(0) if tokens else ("", "")
    if kind == "text":
        return word[1:-1]
    if kind == "number":
        return float(word) if "." in word else int(word[:18])
    if kind != "name":
        raise Unknown("only variables, constants and filters are evaluated")
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    try:
        return look_up(word)
    except KeyError:
        return _Undefined(word)


def _arguments(tokens: list[tuple[str, str]], look_up: Callable[[str], Any]) -> list[Any]:
    arguments: list[Any] = []
    if tokens[:1] == [("sign", "(")]:
        tokens.pop(0)
        while tokens and tokens[0] != ("sign", ")"):
            arguments.append(_operand(tokens, look_up))
            if tokens[:1] == [("sign", ",")]:
                tokens.pop(0)
        if not tokens:
            raise Unknown("a bracket is missing")
        tokens.pop(0)
    return arguments


def _filtered(value: Any, named: tuple[str, str], arguments: list[Any]) -> Any:
    name = named[1]
    if name in ("default", "d") and arguments:
        if isinstance(arguments[0], _Undefined) and arguments[0].name == "omit":
            return value
        missing = isinstance(value, _Undefined) or (len(arguments) > 1 and bool(arguments[1]) and not value)
        return arguments[0] if missing else value
    if isinstance(value, _Undefined):
        return value
    if name == "bool":
        return value if isinstance(value, bool) else str(value).lower() in _TRUE
    if name in ("string", "trim"):
        return str(value).strip() if name == "trim" else str(value)
    if name in ("int", "float"):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = 0.0
        return int(number) if name == "int" and abs(number) < 1e15 else number
    raise Unknown(f"the filter {name} is not evaluated")
