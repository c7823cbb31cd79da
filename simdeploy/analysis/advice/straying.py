"""How often, and when, nodes deviate from their laws because they crash or degrade: estimated from a few simulated rollouts.

These estimates only guide proposals, and weights correct them. So everything possible must have a chance above 0: part of it is spread
evenly.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.advice.disturbed import find_outages, outage_chance
from simdeploy.analysis.advice.drawing import FAILS, RUNS, draw_lives
from simdeploy.analysis.advice.laws import NodeLaw
from simdeploy.analysis.advice.lives import Lives
from simdeploy.analysis.advice.node_table import RUNNING
from simdeploy.analysis.advice.rollouts import Rollouts
from simdeploy.engines.continuing import NOT_THERE, THE_END_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

# Verdicts whose times differ by more count as different.
_OFF_NS = 1e6


class Strays:
    """Verdict times of nodes that deviated from their law.

    Examples
    --------
    >>> strays = Strays([np.array([]), np.array([0.0, 0.0, 40.0])], 10, 100.0)
    >>> strays.share, (6 * strays.by(50.0, FAILS)).round(2).tolist()
    (0.3333333333333333, 4.88)
    """

    def __init__(
        self,
        times_ns: Sequence[np.ndarray],  # when they ran, and when they failed, after the start of their wave
        n_nodes: int,  # all nodes, with or without deviation
        end_ns: float,  # the latest time of a verdict
    ) -> None:
        self._n, self._end_ns = sum(len(times) for times in times_ns), max(end_ns, 1.0)
        self.share = (self._n + 1) / (n_nodes + 2)  # fraction of nodes that deviate
        self._steps, self._points = [], []
        for times in times_ns:
            values, counts = np.unique(times, return_counts=True)
            # Many nodes may have the same time, such as the deadline.
            is_step = counts > 1
            self._steps.append((values[is_step], np.cumsum([0, *counts[is_step]])))
            self._points.append(np.array([0.0, *values[~is_step]]))

    def by(self, x_ns: Any, verdict: int) -> np.ndarray:
        """Return the chance that a deviating node has a verdict by some times."""
        x = np.asarray(x_ns, dtype=float)
        at, counts = self._steps[verdict]
        points = self._points[verdict]
        total = counts[np.searchsorted(at, x, side="right")] + np.interp(x, points, np.arange(len(points)))
        evenly = (1 + np.clip(x / self._end_ns, 0.0, 1.0)) / 6
        return np.where(x >= 0, (total + evenly) / (self._n + 1), 0.0)


@dataclass(frozen=True)
class RoughLaw(NodeLaw):
    """Approximate law of nodes, including those that deviate."""

    strays: Strays = field(kw_only=True)

    def running(self, x_ns: Any, slowdown: Any, start_failure: Any) -> np.ndarray:
        """Return the approximate probability that a node runs by some times after its dispatch."""
        return self._mix(self._plain.running(x_ns, slowdown, start_failure), x_ns, RUNS)

    def failed(self, x_ns: Any, slowdown: Any, start_failure: Any) -> np.ndarray:
        """Return the approximate probability that a node has failed by some times after its dispatch."""
        return self._mix(self._plain.failed(x_ns, slowdown, start_failure), x_ns, FAILS)

    def _mix(self, chances: np.ndarray, x_ns: Any, verdict: int) -> np.ndarray:
        share = self.strays.share
        return np.asarray((1 - share) * chances + share * self.strays.by(x_ns, verdict))

    @property
    def _plain(self) -> NodeLaw:
        return NodeLaw(self.behaviour, self.kind, self.rule, self.share)


@dataclass(frozen=True, eq=False)
class RoughRollouts(Rollouts):
    """Worlds whose nodes have approximate laws."""

    engine: str  # tries the nodes
    end_ns: float  # the time of observation
    strays: tuple[Strays, ...] = ()  # by law; empty if they are still to be learned

    def laws(self, wave: int) -> list[NodeLaw]:
        """Return the approximate laws of nodes in a wave."""
        return [
            RoughLaw(law.behaviour, law.kind, law.rule, law.share, strays=strays)
            for law, strays in zip(self.exact_laws(wave), self.strays, strict=True)
        ]

    def exact_laws(self, wave: int) -> list[NodeLaw]:
        """Return the laws of nodes that don't deviate."""
        return super().laws(wave) * self._n_copies

    @property
    def _n_copies(self) -> int:
        """How often each law is listed: if zones fail, their nodes deviate so often that they have approximate laws of their own."""
        return 2 if outage_chance(self.scenario.fleet, self.scenario.fleet.zones, self.end_ns) else 1

    @cached_property
    def law_places(self) -> np.ndarray:
        """The index of each node's law; nodes in a zone that may have an outage come after the others."""
        places, fleet = super().law_places, self.scenario.fleet
        if self._n_copies == 1:
            return places
        have_outage = find_outages(fleet, np.arange(fleet.zones), self.seed, self.roots, self.end_ns)
        moved: np.ndarray = places + 2 * len(fleet.behaviours) * have_outage[:, np.arange(fleet.nodes) % fleet.zones]
        return moved

    @cached_property
    def slowdown(self) -> np.ndarray:
        """By law and world."""
        return np.tile(super().slowdown, (self._n_copies, 1))

    @cached_property
    def start_failure(self) -> np.ndarray:
        """Probability that an attempt to start fails, without what the release adds, by law and world."""
        return np.tile(super().start_failure, (self._n_copies, 1))


def find_strays(rollouts: RoughRollouts) -> tuple[Strays, ...]:
    """Simulate rollouts; return the nodes of each law that deviate from it."""
    plan, roots, order = rollouts.plan, rollouts.roots, rollouts.order
    # Undoing an escape would look like a failure of all nodes.
    release = tuple(replace(kind, defective=False) for kind in rollouts.scenario.release)
    kept = replace(rollouts, scenario=replace(rollouts.scenario, release=release))
    numbers = np.repeat(roots[:, np.newaxis], plan.total, axis=1)
    of_order = Lives(kept, THE_END_NS, rollouts.engine).follow(np.arange(len(roots)), numbers, order, numbers)
    parts: list[tuple[np.ndarray, ...]] = []
    first = 0
    for wave, size in enumerate(plan.sizes):
        nodes = order[:, first : first + size]
        first += size
        lives = of_order[:, first - size : first]
        over = lives["resolved_ns"]
        # A node that could not be reached failed at its turn.
        turns = np.where(lives["dispatched_ns"] == NOT_THERE, over, lives["dispatched_ns"])
        starts = np.where(turns == NOT_THERE, THE_END_NS, turns).min(axis=1)
        worlds, columns = np.nonzero(over != NOT_THERE)
        numbers = nodes[worlds, columns]
        picked = rollouts.pick(worlds, numbers)
        usual = draw_lives(rollouts.exact_laws(wave), picked, rollouts.seed, roots[worlds])
        verdicts = np.where(lives["status"][worlds, columns] == RUNNING, RUNS, FAILS)
        times = (over[worlds, columns] - starts[worlds]).astype(float)
        strays = (verdicts != usual[0]) | (np.abs(times - usual[1]) > _OFF_NS)
        parts.append((picked.laws, verdicts, times, strays))
    laws, verdicts, times, strays = (np.concatenate(each) for each in zip(*parts, strict=True))
    return tuple(
        Strays(
            [times[strays & (laws == place) & (verdicts == verdict)] for verdict in (RUNS, FAILS)],
            int((laws == place).sum()),
            rollouts.end_ns,
        )
        for place in range(len(rollouts.exact_laws(0)))
    )
