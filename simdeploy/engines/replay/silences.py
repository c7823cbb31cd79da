"""How nodes go on that were silent until their record ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simdeploy.engines.replay.known import KnownNode
    from simdeploy.world.realized import World

_MOST_SERIES = 200  # after so many series of attempts without a silence as long as the recorded one, a node hangs
_AT_ONCE = 75  # attempts of a node that are drawn at once, except in a longer series
_MOST_NUMBERS = 1_000_000  # attempts of all nodes that are drawn at once


class Silences:
    """Where the attempts of silent nodes begin, found when the first of them is asked for."""

    def __init__(self, known: Sequence[KnownNode]) -> None:
        self._known = known
        self._found: Mapping[int, int] | None = None

    def find_first(self, world: World, node: int) -> int | None:
        """Return the first attempt of a node; None if it hangs."""
        if self._found is None:
            self._found = _find_all(world, self._known)
        return self._found.get(node)


def _find_all(world: World, known: Sequence[KnownNode]) -> dict[int, int]:
    """Return by node the first attempt of a series that begins with as long a silence as recorded; nodes without one are left out.

    Many series of all nodes are drawn at once, because a call of the generator costs as much as some hundred numbers.
    """
    found: dict[int, int] = {}
    silent_ns = np.array([node.start_ns if _may_be_silent(node) else -1 for node in known], dtype=np.int64)
    for number, behaviour in enumerate(world.behaviours):
        members = np.flatnonzero((silent_ns >= 0) & (world.class_of == number))
        n_drawn = max(_AT_ONCE, behaviour.start_attempts)
        for nodes in np.array_split(members, len(members) * n_drawn // _MOST_NUMBERS + 1):
            found |= _find_in_class(world, number, nodes, silent_ns[nodes])
    return found


def _find_in_class(world: World, number: int, nodes: np.ndarray, silent_ns: np.ndarray) -> dict[int, int]:
    found: dict[int, int] = {}
    n_attempts = world.behaviours[number].start_attempts
    n_series = max(_AT_ONCE // n_attempts, 1)
    for first in range(0, _MOST_SERIES, n_series):
        if not len(nodes):
            break
        attempts = np.arange(first * n_attempts, min(first + n_series, _MOST_SERIES) * n_attempts)
        ends, hangs, fails = (
            of_attempts.reshape(len(nodes), -1, n_attempts)
            for of_attempts in world.attempts_of(number, nodes, attempts)
        )
        is_silent: np.ndarray = hangs | (np.cumsum(ends, axis=2) > silent_ns[:, np.newaxis, np.newaxis])
        # An attempt is made if all earlier ones failed.
        is_silent[..., 1:] &= np.logical_and.accumulate(fails & ~hangs, axis=2)[..., :-1]
        series = np.any(is_silent, axis=2)
        is_found = np.any(series, axis=1)
        firsts = (first + series.argmax(axis=1)) * n_attempts
        found |= zip(nodes[is_found].tolist(), firsts[is_found].tolist(), strict=True)
        nodes, silent_ns = nodes[~is_found], silent_ns[~is_found]
    return found


def _may_be_silent(node: KnownNode) -> bool:
    return node.start == "silent" or node.is_repeated_only
