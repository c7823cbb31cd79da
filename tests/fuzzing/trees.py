"""Mutations of plain data, as a YAML or JSON file holds it, at one place, whatever it means."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

Tree = Any
Place = tuple[str | int, ...]

WRONG_TYPES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    7,
    1.5,
    "",
    "x",
    "yes",
    "2026-01-01",
    [],
    {},
    [[]],
    [None],
    {"": {}},
)
EXTREME_NUMBERS: tuple[Any, ...] = (
    *(0, -0.0, -1, 1, 100, 101, 2**31, 2**63, 2**64, 10**30, -(10**30), 10**400),
    *(1e308, -1e308, 5e-324, 1e-9, 0.1 + 0.2, float("nan"), float("inf"), float("-inf")),
    *("NaN", ".nan", "1e999", "0x10", "1_000", "١٢", "½"),
)
ODD_DURATIONS = (
    *("1:30", "2d", "5 min", "-5s", "1e3s", "0.0000001ns", "9" * 30 + "h", "5м", "١٠s", " 5s", "5S", "1h-5m", "1.5.2s"),
    *("0s", "1ns", "876000h", "292y", "5m5m", "s", "+5s", "1h0.5m", "10000000000000000000ns"),
)
HOSTILE_TEXTS = (
    *("\x1b]0;T\x07", "\x1b[2J", "a\nerror: fake", "a\r\x08b", "\x00", "\x7f", "\x9b31m", "\x85"),
    *("\u202etxt.exe", "\u200b", "\u2028", "\ufeff", "\ud800", "\udfff\ud800", "\U000e0001", "\uffff", "e\u0301" * 50),
    *("=cmd|'/c calc'!A1", "<script>", "]]>", "%s%n{0}", "../../x", "a'; drop table"),
)
WORDS = (
    *(
        "immediate",
        "rolling",
        "canary",
        "expanso",
        "expanso-rollout",
        "update",
        "create",
        "restart",
        "rollback",
        "stop",
    ),
    *("deployment", "rollout", "index", "random", "zones", "barrier", "sliding", "rate", "continue", "pause", "resume"),
    *("promote", "cancel", "wave", "fleet", "resolved", "all", "healthy", "failed", "wait", "skip", "pooled", "sprt"),
)
_DURATION = re.compile(r"(\d+)(ms|s|m|h)")
KEYS = ("file", "nodes", "strategy", "probability", "deadline", "__class__", "<<", "", "policies", "spec", "gate")


def find_places(tree: Tree, place: Place = ()) -> Iterator[Place]:
    """Yield the place of every value, the root's first."""
    yield place
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in children:
        yield from find_places(value, (*place, key))


def get(tree: Tree, place: Place) -> Any:
    for key in place:
        tree = tree[key]
    return tree


def put(tree: Tree, place: Place, value: Any) -> Tree:
    """Return the tree with a value at a place; it is changed in place unless that is its root."""
    if not place:
        return value
    get(tree, place[:-1])[place[-1]] = value
    return tree


def choose(random: Random, tree: Tree, fits: Callable[[Any], bool] = lambda _: True) -> Place:
    """Choose a place with a suitable value, or the root."""
    return random.choice([place for place in find_places(tree) if fits(get(tree, place))] or [()])


def is_scalar(value: Any) -> bool:
    return not isinstance(value, dict | list)


def is_container(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def near_miss(random: Random, key: str) -> str:
    """Misspell a key."""
    at = random.randrange(len(key) + 1)
    return random.choice(
        [
            key[:at] + key[at + 1 :],
            key[:at] + key[at : at + 1] * 2 + key[at + 1 :],
            key[:at] + random.choice("abcxyz_-. ") + key[at:],
            key[: max(at - 2, 0)] + key[max(at - 2, 0) : at][::-1] + key[at:],
            key.replace("_", "-"),
            key.upper(),
        ]
    )


def _rename(random: Random, mapping: dict[str, Any], new: Callable[[str], str]) -> None:
    old = random.choice(list(mapping))
    items = [(new(key) if key == old else key, value) for key, value in mapping.items()]
    mapping.clear()
    mapping.update(items)


def drop(random: Random, tree: Tree) -> Tree:
    container = get(tree, choose(random, tree, is_container))
    if isinstance(container, dict):
        del container[random.choice(list(container))]
    elif isinstance(container, list):
        del container[random.randrange(len(container))]
    return tree


def misspell(random: Random, tree: Tree) -> Tree:
    mapping = get(tree, choose(random, tree, lambda value: isinstance(value, dict) and bool(value)))
    if isinstance(mapping, dict) and mapping:
        _rename(random, mapping, lambda key: near_miss(random, key))
    return tree


def add_key(random: Random, tree: Tree) -> Tree:
    mapping = get(tree, choose(random, tree, lambda value: isinstance(value, dict)))
    if isinstance(mapping, dict):
        mapping[random.choice(KEYS)] = random.choice([*WRONG_TYPES, "deployment.json", 3, "canary"])
    return tree


def swap(random: Random, tree: Tree) -> Tree:
    one, other = choose(random, tree), choose(random, tree)
    if one[: len(other)] == other or other[: len(one)] == one:  # one lies in the other
        return put(tree, max(one, other, key=len), copy.deepcopy(get(tree, min(one, other, key=len))))
    values = get(tree, one), get(tree, other)
    return put(put(tree, one, values[1]), other, values[0])


def repeat(random: Random, tree: Tree) -> Tree:
    """Copy a part of the tree to another place."""
    part = copy.deepcopy(get(tree, choose(random, tree)))
    container = get(tree, choose(random, tree, is_container))
    if isinstance(container, list):
        container.insert(random.randrange(len(container) + 1), part)
    elif isinstance(container, dict):
        container[random.choice([*container, *KEYS])] = part
    return tree


def wrong_type(random: Random, tree: Tree) -> Tree:
    return put(tree, choose(random, tree), copy.deepcopy(random.choice(WRONG_TYPES)))


def extreme_number(random: Random, tree: Tree) -> Tree:
    place = choose(random, tree, lambda value: isinstance(value, int | float))
    return put(tree, place or choose(random, tree, is_scalar), random.choice(EXTREME_NUMBERS))


def odd_duration(random: Random, tree: Tree) -> Tree:
    return put(tree, choose(random, tree, is_scalar), random.choice(ODD_DURATIONS))


def other_number(random: Random, tree: Tree) -> Tree:
    """Change a number or a duration a little; most results are legal, and are simulated."""
    place = choose(random, tree, lambda value: isinstance(value, int | float) and not isinstance(value, bool))
    value = get(tree, place)
    if not isinstance(value, int | float):
        return odd_duration(random, tree)
    changed = random.choice([value + 1, value - 1, value * 2, value / 2, value * 1.1, -value, 1 - value, value // 3])
    return put(tree, place, changed)


def other_duration(random: Random, tree: Tree) -> Tree:
    """Change a duration a little, as `other_number` does with numbers."""
    place = choose(random, tree, lambda value: isinstance(value, str) and bool(_DURATION.fullmatch(value)))
    match = _DURATION.fullmatch(str(get(tree, place)))
    if match is None:
        return other_number(random, tree)
    number = int(match[1])
    return put(tree, place, f"{random.choice([number + 1, number * 3, number // 2, number * 20])}{match[2]}")


def other_word(random: Random, tree: Tree) -> Tree:
    """Use another word of the format, or the opposite."""
    place = choose(random, tree, lambda value: isinstance(value, bool) or (isinstance(value, str) and value in WORDS))
    if not place:
        return add_key(random, tree)
    value = get(tree, place)
    return put(tree, place, not value if isinstance(value, bool) else random.choice(WORDS))


def hostile_text(random: Random, tree: Tree) -> Tree:
    """Put characters that are not allowed in names into a text or a key."""
    text = random.choice(HOSTILE_TEXTS)
    mapping = get(tree, choose(random, tree, lambda value: isinstance(value, dict) and bool(value)))
    if random.random() < 0.5 and isinstance(mapping, dict) and mapping:
        _rename(random, mapping, lambda key: random.choice([text, key + text]))
        return tree
    place = choose(random, tree, lambda value: isinstance(value, str))
    return put(tree, place or choose(random, tree, is_scalar), random.choice([text, f"x{text}y"]))


def long_text(random: Random, tree: Tree) -> Tree:
    text = random.choice(["x", "max_parallel ", "9", "a.b", "\x1b", "é"]) * random.choice([100, 5000, 100_000])
    mapping = get(tree, choose(random, tree, lambda value: isinstance(value, dict) and bool(value)))
    if random.random() < 0.3 and isinstance(mapping, dict) and mapping:
        _rename(random, mapping, lambda _: text)
        return tree
    return put(tree, choose(random, tree, is_scalar), text)


def nest(random: Random, tree: Tree) -> Tree:
    place = choose(random, tree)
    value = get(tree, place)
    key = random.choice([*KEYS, None])
    for _ in range(random.choice([1, 2, 10, 70])):
        value = [value] if key is None else {key: value}
    return put(tree, place, value)


def empty(random: Random, tree: Tree) -> Tree:
    return put(tree, choose(random, tree, is_container), random.choice([{}, [], None, ""]))


def crowd(random: Random, tree: Tree) -> Tree:
    """Make very many copies of one thing: misspelt keys, values of a wrong type, long lists."""
    n = random.choice([150, 1000, 5000])
    place = choose(random, tree, is_container)
    container = get(tree, place)
    if isinstance(container, dict) and container:
        key = random.choice(list(container))
        make = random.choice(
            [lambda number: f"{key}{number}", lambda number: f"{number}", lambda number: key + " " * number]
        )
        return put(tree, place, container | {make(number): container[key] for number in range(n)})
    if isinstance(container, list) and container:
        return put(tree, place, [copy.deepcopy(random.choice(container)) for _ in range(n)])
    return put(tree, place, ["x"] * n)


TREE_MUTATORS: dict[str, Callable[[Random, Tree], Tree]] = {
    "drop a key": drop,
    "misspell a key": misspell,
    "add a key": add_key,
    "swap two values": swap,
    "repeat a part": repeat,
    "wrong type": wrong_type,
    "extreme number": extreme_number,
    "other number": other_number,
    "other duration": other_duration,
    "other word": other_word,
    "odd duration": odd_duration,
    "hostile text": hostile_text,
    "long text": long_text,
    "nest a value": nest,
    "empty a container": empty,
    "crowd": crowd,
}
