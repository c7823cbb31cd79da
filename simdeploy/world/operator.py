"""The people: they promote or cancel, notice an escape, or act at given times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from simdeploy.world.change_windows import ChangeWindow
    from simdeploy.world.distributions import Distribution

Action = Literal["pause", "resume", "promote", "cancel"]


@dataclass(frozen=True)
class ScriptedAct:
    """One action at a given time."""

    at_ns: int  # nanoseconds after the start of the rollout
    do: Action


@dataclass(frozen=True)
class Operator:
    """The people around a rollout."""

    promote_after: Distribution  # seconds from the last canary resolved (and its bake time) to the operator's decision
    notices_defect: float  # probability that a defect which the canaries show is noticed and the rollout cancelled
    rejects_good: float  # probability that a rollout without a visible defect is cancelled
    # Seconds until people notice a defective release that completed, and until they undo a stop without rollback. Both invert the
    # same uniform, because at most one of them happens in a rollout.
    escape_detection: Distribution
    undo_after: Distribution
    script: tuple[ScriptedAct, ...]  # actions at given times, in the file's order
    # Hours in which nodes may be dispatched; at any time if there are none.
    change_windows: tuple[ChangeWindow, ...] = ()
