"""Files of other orchestrators, a little broken, for tests of what importers refuse."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from typing import Any

_NASTY = (
    "", "0", "-1", "1e999", "99999999999999999999", "true", "null", "[]", "{}", '"x"', "'", '"', "{{ x }}", "{{ x",
    "${x}", "%", "5%", "-3%", "NaN", "\u0661", "\x85", "!tag x", "&a", "*a", "<<", ":", "- ", "\t", "[[[[", "x: y: z",
    "5m", "-5m",
)  # fmt: skip
_WORD = re.compile(r"[^\s:={}\[\],]+")


def mutate(text: str, n: int, seed: int = 0) -> Iterator[str]:
    """Yield `n` texts that differ from a text in one to three places."""
    for number in range(n):
        chance = random.Random(f"{seed}-{number}")
        changed = text
        for _ in range(chance.randint(1, 3)):
            changed = chance.choice(_WAYS)(changed, chance)
        yield changed


def mutate_values(data: Any, n: int, seed: int = 0) -> Iterator[str]:
    """Yield `n` JSON texts of data in which one to three values are of another type, of another size, or missing."""
    for number in range(n):
        chance = random.Random(f"{seed}-{number}")
        changed = copy.deepcopy(data)
        for _ in range(chance.randint(1, 3)):
            places = list(_places(changed))
            if not places:
                break
            place, key = chance.choice(places)
            if chance.random() < 0.2:
                del place[key]
            else:
                place[key] = chance.choice([*_VALUES, [place[key]], {"x": place[key]}])
        yield json.dumps(changed, indent=1)


_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    3,
    10**9,
    10**30,
    0.5,
    1e308,
    "",
    "x",
    "7",
    "50%",
    "1e9%",
    "30s",
    "-5m",
    [],
    {},
    "{{ y }}",
    "\u0000",
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


def _replace_word(text, chance):
    words = list(_WORD.finditer(text))
    if not words:
        return text
    word = chance.choice(words)
    return text[: word.start()] + chance.choice(_NASTY) + text[word.end() :]


def _repeat_line(text, chance):
    lines = text.splitlines(keepends=True)
    at = chance.randrange(len(lines) or 1)
    return "".join(lines[:at] + lines[at : at + 1] * chance.choice((0, 2)) + lines[at + 1 :])


def _drop_letter(text, chance):
    at = chance.randrange(len(text) or 1)
    return text[:at] + text[at + 1 :]


def _insert(text, chance):
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(_NASTY) + text[at:]


def _cut(text, chance):
    return text[: chance.randrange(len(text) + 1)]


_WAYS = (_replace_word, _replace_word, _replace_word, _repeat_line, _drop_letter, _insert, _cut)
