"""Worlds combined from several replications, which supply the random numbers of the fleet and of each node; and continuations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from simdeploy.world.draws import OF_NODES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.scenario import ScenarioPolicy
    from simdeploy.world.operator import ScriptedAct


@dataclass(frozen=True, eq=False)
class Worlds:
    """Worlds, by the replications that they are combined from."""

    # int, shape (worlds,): the replication that supplies decisions for the whole fleet: kind of release, slowdown, level of
    # start failures, the operator, order and classes of nodes, affected nodes if their number is given, and zones.
    roots: np.ndarray
    # int, shape (worlds, nodes): the replication that supplies decisions about each node: attempts, windows, rollback, whether
    # it is affected if that is a share, `after`, its error rate, crashes, degraded spells and lines.
    nodes: np.ndarray
    blocks: ClassVar[frozenset[int]] = OF_NODES


@dataclass(frozen=True)
class Continuation:
    """A continuation of worlds."""

    script: tuple[ScriptedAct, ...] = ()  # acts beside those of the scenario's script
    change: tuple[int, ScenarioPolicy] | None = None  # another policy, and when it replaces the first one
    looks_ns: tuple[int, ...] = ()  # instants at which the deployment is looked at, ascending
    nodes_at_ns: int | None = None  # instant at which the nodes are looked at

    @property
    def _events(self) -> list[tuple[int, object]]:
        acts: list[tuple[int, object]] = [(act.at_ns, act.do) for act in self.script]
        return sorted([*acts, *([] if self.change is None else [self.change])], key=lambda event: event[0])

    def parts_at(self, other: Continuation) -> int | None:
        """Return the first instant at which the acts differ from those of another continuation; None if they are the same.

        Examples
        --------
        >>> from simdeploy.world.operator import ScriptedAct
        >>> pause, resume = ScriptedAct(60, "pause"), ScriptedAct(90, "resume")
        >>> Continuation((pause, resume)).parts_at(Continuation((pause,)))
        90
        """
        for own, others in zip_longest(self._events, other._events):
            if own != others:
                return min(event[0] for event in (own, others) if event is not None)
        return None

    def find_stem(self, earlier: Sequence[Continuation]) -> tuple[int, int]:
        """Return the place of the earlier continuation that differs last from this one, and when; -1 if there is none.

        Rollouts that are over by then are the same in both. It has all looks of this one.
        """
        stem = -1, 0
        for place, other in enumerate(earlier):
            at_ns = self.parts_at(other)
            if (
                at_ns is not None
                and at_ns > stem[1]
                and self.nodes_at_ns is None
                and {*self.looks_ns} <= {*other.looks_ns}
            ):
                stem = place, at_ns
        return stem
