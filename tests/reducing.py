"""Reduce a failing scenario key by key, which is quicker than hypothesis, which only knows bytes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from simdeploy import InputError, Scenario

Place = tuple[str | int, ...]


def reduced(raw: dict[str, Any], fails: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Remove keys and items one after the other as long as the rest is a scenario that still fails."""
    for place in _places(raw):
        smaller = _without(raw, place)
        if _is_scenario(smaller) and fails(smaller):
            return reduced(smaller, fails)
    return raw


def _places(value: Any, place: Place = ()) -> Iterator[Place]:
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*place, key)
        yield from _places(value[key], (*place, key))


def _without(raw: dict[str, Any], place: Place) -> dict[str, Any]:
    raw = copy.deepcopy(raw)
    value: Any = raw
    for key in place[:-1]:
        value = value[key]
    del value[place[-1]]
    return raw


def _is_scenario(raw: dict[str, Any]) -> bool:
    try:
        Scenario.from_dict(raw)
    except InputError:
        return False
    return True
