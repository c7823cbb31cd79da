"""Unquoted YAML words: YAML 1.2's core schema, made stricter.

YAML 1.1, which PyYAML's loaders follow, reads ``1e-3`` as text, ``1:30`` as 90, ``on`` as true and ``010`` as 8. This
module does not, and refuses ambiguous words.
"""

from __future__ import annotations

import math
import re

# Possessive quantifiers keep the time linear for any word.
_WHOLE = re.compile(r"[-+]?[0-9]++")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]++|[0-9]++(\.[0-9]*+)?)([eE][-+]?[0-9]++)?")
_OTHER_BASE = re.compile(r"[-+]?0[xob][0-9a-fA-F]+")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

# More digits than any exact decimal needs; Python refuses to read more than 4300.
_MAX_DIGITS = 400

_CONSTANTS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}


def resolve(word: str) -> str | int | float | bool | None:
    """Return the value of an unquoted scalar; `ValueError` for numbers that are not finite, not decimal, or too long.

    Examples
    --------
    >>> resolve("1e-3"), resolve("1:30"), resolve("on"), resolve("~")
    (0.001, '1:30', 'on', None)
    """
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    if _WHOLE.fullmatch(word) or _DECIMAL.fullmatch(word):
        if len(word) > _MAX_DIGITS:
            raise ValueError("number longer than 400 characters")
        if _WHOLE.fullmatch(word):
            return int(word)
        number = float(word)
        if not math.isfinite(number):
            raise ValueError("number too large")
        return number
    if _OTHER_BASE.fullmatch(word):
        raise ValueError("not a decimal number")
    if _NOT_FINITE.fullmatch(word):
        raise ValueError("not a finite number")
    return word
