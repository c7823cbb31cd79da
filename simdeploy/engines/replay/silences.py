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
    for number in range(len(world.behaviours)):
        members = np.flatnonzero((silent_ns >= 0) & (world.class_of == number))
        for nodes in np.array_split(members, len(members) * _AT_ONCE // _MOST_NUMBERS + 1):
            found |= _find_in_class(world, number, nodes, silent_ns[nodes])
    return found


def _find_in_class(world: World, number: int, nodes: np.ndarray, silent_ns: np.ndarray) -> dict[int, int]:
    found: dict[int, int] = {}
    n_attempts = world.behaviours[number].start_attempts
    n_series = max(_AT_ONCE // n_attempts, 1)
    for first in range(0, _MOST_SERIES, n_series):
        if not len(nodes):
            break
        is_silent = _find_silent(world, number, nodes, silent_ns, range(first, min(first + n_series, _MOST_SERIES)))
        is_found = np.any(is_silent, axis=1)
        firsts = (first + is_silent.argmax(axis=1)) * n_attempts
        found |= zip(nodes[is_found].tolist(), firsts[is_found].tolist(), strict=True)
        nodes, silent_ns = nodes[~is_found], silent_ns[~is_found]
    return found


def _find_silent(world: World, number: int, nodes: np.ndarray, silent_ns: np.ndarray, series: range) -> np.ndarray:
    """Return in which series of attempts nodes are silent as long as recorded, or longer; shape (nodes, series)."""
    n_attempts = world.behaviours[number].start_attempts
    is_silent = np.zeros((len(nodes), len(series)), dtype=bool)
    left, waited_ns = np.arange(len(nodes)), np.zeros((len(nodes), len(series), 1), dtype=np.int64)
    # Only a single series may be longer than what is drawn at once; most end at once.
    for start in range(0, n_attempts, _AT_ONCE):
        some = np.arange(start, min(start + _AT_ONCE, n_attempts))
        attempts = (np.array(series)[:, np.newaxis] * n_attempts + some).ravel()
        ends, hangs, fails = (
            of_attempts.reshape(len(left), len(series), -1)
            for of_attempts in world.attempts_of(number, nodes[left], attempts)
        )
        waited = waited_ns[left] + np.cumsum(ends, axis=2)
        is_long: np.ndarray = hangs | (waited > silent_ns[left][:, np.newaxis, np.newaxis])
        # An attempt is made if all earlier ones failed.
        goes_on = np.logical_and.accumulate(fails & ~hangs, axis=2)
        is_long[..., 1:] &= goes_on[..., :-1]
        is_silent[left] = np.any(is_long, axis=2)
        waited_ns[left] = waited[..., -1:]
        left = left[np.any(goes_on[..., -1] & ~is_silent[left], axis=1)]
        if not len(left):
            break
    return is_silent


def _may_be_silent(node: KnownNode) -> bool:
    return node.start == "silent" or node.is_repeated_only
