"""A clock that a test sets."""

from __future__ import annotations

from simdeploy.units import NS_PER_S


class Clock:
    """Simulated time, nanoseconds after the start."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns

    def pass_s(self, seconds: float) -> None:
        """Let time pass, or go back."""
        self.now_ns += round(seconds * NS_PER_S)
