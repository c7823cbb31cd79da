"""A player: position in a rollout, speed, and what the keys do. The caller provides clock and keys."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_LENGTH_S = 30  # approximate time to watch a rollout
_MOST_S = 0.5  # maximum between two frames, so that a suspended process continues where it was
_TICK_S = 0.1


@dataclass
class Player:
    """A moving position in the time of a rollout.

    Examples
    --------
    >>> player = Player(64.0, np.array([0.0, 10.0, 20.0]))
    >>> player.advance(0.25)
    >>> player.speed, player.time_s
    (2.0, 0.5)
    >>> player.press("next")
    >>> player.time_s, player.is_paused
    (10.0, True)
    """

    end_s: float  # the last instant
    steps_s: np.ndarray  # the instants at which something happens, in order
    time_s: float = 0.0  # where it is
    speed: float = 0.0  # seconds of the rollout per second; a power of 2
    is_paused: bool = False

    def __post_init__(self) -> None:
        if not self.speed:
            self.speed = 2.0 ** round(math.log2(max(self.end_s, 1e-3) / _LENGTH_S))

    def advance(self, elapsed_s: float) -> None:
        """Let time pass, up to the end."""
        if not self.is_paused:
            self.time_s = min(self.time_s + self.speed * min(elapsed_s, _MOST_S), self.end_s)

    def press(self, key: str) -> None:
        """Handle a key; unknown ones do nothing."""
        match key:
            case "pause":
                self.is_paused = not self.is_paused
            case "faster":
                self.speed *= 2
            case "slower":
                self.speed /= 2
            case "next":
                self._go_to(self.steps_s[self.steps_s > self.time_s][:1], self.end_s)
            case "previous":
                self._go_to(self.steps_s[self.steps_s < self.time_s][-1:], 0.0)
            case "restart":
                self.time_s = 0.0

    def _go_to(self, times_s: np.ndarray, default: float) -> None:
        self.time_s = float(times_s[0]) if len(times_s) else default
        self.is_paused = True

    @property
    def pace(self) -> str:
        """The speed in words."""
        word = "at the end" if self.time_s >= self.end_s else "paused" if self.is_paused else "playing"
        return f"{word} x{self.speed:g}"


def play(
    player: Player,
    draw: Callable[[], None],
    *,
    clock: Callable[[], float],
    read_keys: Callable[[float], list[str]],
    tick_s: float = _TICK_S,
) -> None:
    """Draw, wait for keys and let time pass, until the key "quit".

    `clock` returns seconds; `read_keys` waits for keys for at most the given seconds, and returns those that were pressed.
    """
    before = clock()
    while True:
        draw()
        keys = read_keys(tick_s)
        now = clock()
        player.advance(now - before)
        before = now
        for key in keys:
            if key == "quit":
                return
            player.press(key)
