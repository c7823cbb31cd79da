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
    """One action at a given time.

    Attributes
    ----------
    at_ns : int
        Nanoseconds after the start of the rollout.
    do : {'pause', 'resume', 'promote', 'cancel'}
    """

    at_ns: int
    do: Action


@dataclass(frozen=True)
class Operator:
    """The people around a rollout.

    Attributes
    ----------
    promote_after : Distribution
        Seconds from the last canary resolved (and its bake time) to the operator's decision.
    notices_defect : float
        Probability that a defect which the canaries show is noticed and the rollout cancelled.
    rejects_good : float
        Probability that a rollout without a visible defect is cancelled.
    escape_detection : Distribution
        Seconds until people notice a defective release that completed, or undo a stop by hand.
    script : tuple of ScriptedAct
        Actions at given times, in the file's order.
    change_windows : tuple of ChangeWindow
        Hours in which nodes may be dispatched; at any time if there are none.
    """

    promote_after: Distribution
    notices_defect: float
    rejects_good: float
    escape_detection: Distribution
    script: tuple[ScriptedAct, ...]
    change_windows: tuple[ChangeWindow, ...] = ()
