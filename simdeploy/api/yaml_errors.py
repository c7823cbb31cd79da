"""Syntax errors of YAML in words that need no knowledge of its grammar."""

from __future__ import annotations

import re

import yaml

from simdeploy.api.json_text import MAX_DEPTH
from simdeploy.errors import Problem

_KEY_END = re.compile(r":(?=\s|$)")

# By libyaml's message.
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


def explain_syntax_error(error: yaml.YAMLError, file: str | None, text: str) -> Problem:
    """Return the problem of a text that the YAML parser refuses."""
    message = (getattr(error, "problem", None) or str(error).partition("\n")[0]).strip()
    mark = _find_mark(error)
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
    began = getattr(error, "context_mark", None)
    if began is not None and mark is not None and began.line != mark.line:
        hint = f"it began in line {began.line + 1}"
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


def _find_mark(error: yaml.YAMLError) -> yaml.Mark | None:
    """Return the place of a syntax error: if a key has no ':', of the key, not of the text below it where the parser stopped."""
    marks = [getattr(error, name, None) for name in ("problem_mark", "context_mark")]
    if getattr(error, "problem", None) == "could not find expected ':'":
        marks.reverse()
    return marks[0] or marks[1]
