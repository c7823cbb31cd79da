"""How often, and when, nodes do otherwise than their laws say, because they crash or degrade: roughly, from some simulated rollouts.

Worlds are proposed by it; their weights correct it. So nothing has chance 0 that may happen at all: some of it is spread evenly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.advice.drawing import FAILS, RUNS, draw_lives
from simdeploy.analysis.advice.laws import NodeLaw
from simdeploy.analysis.advice.node_table import RUNNING
from simdeploy.analysis.advice.rollouts import Rollouts
from simdeploy.engines.continuing import NOT_THERE, THE_END_NS, Worlds, run_continued

if TYPE_CHECKING:
    from collections.abc import Sequence

# Verdicts that differ by more are others.
_OFF_NS = 1e6


class Strays:
    """Nodes that did otherwise than their law says.

    Examples
    --------
    >>> strays = Strays([np.array([]), np.array([0.0, 0.0, 40.0])], 10, 100.0)
    >>> strays.share, (6 * strays.by(50.0, FAILS)).round(2).tolist()
    (0.3333333333333333, 4.88)
    """

    def __init__(
        self,
        times_ns: Sequence[np.ndarray],  # when they ran, and failed, after the start of their wave
        n_nodes: int,  # including those that did as their law says
        end_ns: float,  # verdicts are possible until then
    ) -> None:
        self._n, self._end_ns = sum(len(times) for times in times_ns), max(end_ns, 1.0)
        self.share = (self._n + 1) / (n_nodes + 2)  # their part of all nodes
        self._steps, self._points = [], []
        for times in times_ns:
            values, counts = np.unique(times, return_counts=True)
            # Some instants are those of many, such as the deadline.
            is_step = counts > 1
            self._steps.append((values[is_step], np.cumsum([0, *counts[is_step]])))
            self._points.append(np.array([0.0, *values[~is_step]]))

    def by(self, x_ns: Any, verdict: int) -> np.ndarray:
        """Return the chance that one of them has a verdict by some times."""
        x = np.asarray(x_ns, dtype=float)
        at, counts = self._steps[verdict]
        points = self._points[verdict]
        total = counts[np.searchsorted(at, x, side="right")] + np.interp(x, points, np.arange(len(points)))
        evenly = (1 + np.clip(x / self._end_ns, 0.0, 1.0)) / 6
        return np.where(x >= 0, (total + evenly) / (self._n + 1), 0.0)


@dataclass(frozen=True)
class RoughLaw(NodeLaw):
    """About the law of nodes some of which do otherwise."""

    strays: Strays = field(kw_only=True)

    def running(self, x_ns: Any, slowdown: Any, start_failure: Any) -> np.ndarray:
        """Return roughly the probability that a node runs by some times after its dispatch."""
        return self._mix(self._plain.running(x_ns, slowdown, start_failure), x_ns, RUNS)

    def failed(self, x_ns: Any, slowdown: Any, start_failure: Any) -> np.ndarray:
        """Return roughly the probability that a node has failed by some times after its dispatch."""
        return self._mix(self._plain.failed(x_ns, slowdown, start_failure), x_ns, FAILS)

    def _mix(self, chances: np.ndarray, x_ns: Any, verdict: int) -> np.ndarray:
        share = self.strays.share
        return np.asarray((1 - share) * chances + share * self.strays.by(x_ns, verdict))

    @property
    def _plain(self) -> NodeLaw:
        return NodeLaw(self.behaviour, self.kind, self.rule, self.share)


@dataclass(frozen=True, eq=False)
class RoughRollouts(Rollouts):
    """Worlds whose nodes have about these laws."""

    strays: tuple[Strays, ...] = ()  # those of each law
    engine: str = "reference"  # with which nodes are tried

    def laws(self, wave: int) -> list[NodeLaw]:
        """Return about the laws of nodes in a wave."""
        return [
            RoughLaw(law.behaviour, law.kind, law.rule, law.share, strays=strays)
            for law, strays in zip(self.exact_laws(wave), self.strays, strict=True)
        ]

    def exact_laws(self, wave: int) -> list[NodeLaw]:
        """Return the laws of nodes that do as they say."""
        return super().laws(wave)


def find_strays(rollouts: Rollouts, engine: str, end_ns: float) -> tuple[Strays, ...]:
    """Simulate rollouts; return the nodes of each law that do otherwise, and possible until when."""
    plan, roots, order = rollouts.plan, rollouts.roots, rollouts.order
    continued = run_continued(
        rollouts.scenario,
        rollouts.policy,
        Worlds(roots, np.repeat(roots[:, np.newaxis], plan.total, axis=1)),
        looks_ns=[],
        nodes_at_ns=THE_END_NS,
        seed=rollouts.seed,
        engine=engine,
    )
    assert continued.nodes is not None  # noqa: S101 - they were asked for
    parts: list[tuple[np.ndarray, ...]] = []
    first = 0
    for wave, size in enumerate(plan.sizes):
        nodes = order[:, first : first + size]
        first += size
        lives = np.take_along_axis(continued.nodes, nodes, axis=1)
        over = lives["resolved_ns"]
        # A node that could not be reached failed at its turn.
        turns = np.where(lives["dispatched_ns"] == NOT_THERE, over, lives["dispatched_ns"])
        starts = np.where(turns == NOT_THERE, THE_END_NS, turns).min(axis=1)
        worlds, columns = np.nonzero(over != NOT_THERE)
        numbers = nodes[worlds, columns]
        picked = rollouts.pick(worlds, numbers)
        usual = draw_lives(Rollouts.laws(rollouts, wave), picked, rollouts.seed, roots[worlds])
        verdicts = np.where(lives["status"][worlds, columns] == RUNNING, RUNS, FAILS)
        times = (over[worlds, columns] - starts[worlds]).astype(float)
        strays = (verdicts != usual[0]) | (np.abs(times - usual[1]) > _OFF_NS)
        parts.append((picked.laws, verdicts, times, strays))
    laws, verdicts, times, strays = (np.concatenate(each) for each in zip(*parts, strict=True))
    return tuple(
        Strays(
            [times[strays & (laws == place) & (verdicts == verdict)] for verdict in (RUNS, FAILS)],
            int((laws == place).sum()),
            end_ns,
        )
        for place in range(2 * len(rollouts.scenario.fleet.behaviours))
    )
