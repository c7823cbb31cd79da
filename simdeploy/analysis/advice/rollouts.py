"""What is drawn once for each of many worlds: the order and laws of its nodes, and what they all share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.advice.drawing import RUNS, Nodes
from simdeploy.analysis.advice.laws import FOREVER, NodeLaw
from simdeploy.rules.health import read_health_rule
from simdeploy.rules.waves import USUAL_WATCH, Plan
from simdeploy.world.dealing import deal_classes, deal_shuffled, find_affected, fixed_order
from simdeploy.world.distributions import sample_ns
from simdeploy.world.draws import Draws
from simdeploy.world.streams import Stream, uniforms

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.world.release import ReleaseKind


_MOST_AT_ONCE = 100_000  # random numbers, which take some hundred bytes each while they are made


@dataclass(frozen=True, eq=False)
class Rollouts:
    """Worlds with the same kind of release.

    The index of a law is twice the number of its class, plus one if the release affects the nodes (or a share of them).
    """

    scenario: Scenario
    policy: ScenarioPolicy
    plan: Plan
    kind: ReleaseKind
    seed: int
    roots: np.ndarray  # by world: the replication of what is drawn once

    def laws(self, wave: int) -> list[NodeLaw]:
        """Return the laws of nodes in a wave."""
        rule = read_health_rule(self.policy.policy, self.scenario.orchestrator_of(self.policy))
        rule = rule.of_wave(self.plan.watches[wave] if self.plan.watches else USUAL_WATCH)
        affects = self.kind.affects
        share = float(affects.share or 0) if affects.by == "share" else 1.0
        return [
            law
            for behaviour in self.scenario.fleet.behaviours
            for law in (NodeLaw(behaviour, None, rule), NodeLaw(behaviour, self.kind, rule, share))
        ]

    def class_of(self, places: Any) -> Any:
        """Return the class of nodes whose laws have some indices."""
        return places // 2 % len(self.scenario.fleet.behaviours)

    def pick(self, worlds: np.ndarray, numbers: np.ndarray) -> Nodes:
        """Return some nodes, given the indices of their worlds and their numbers."""
        laws = self.law_places[worlds, numbers]
        return Nodes(numbers, worlds, laws, self.slowdown[laws, worlds], self.start_failure[laws, worlds])

    def awaits_promotion(self, wave: int) -> bool:
        """Return whether somebody has to promote a wave."""
        return self.plan.promotions[wave] and not self.policy.policy.auto_promote

    def pause_ns(self, wave: int) -> np.ndarray | float:
        """Return the pause after a wave, for its bake time and its promotion."""
        return self.plan.bakes_ns[wave] + (self.promote_after_ns if self.awaits_promotion(wave) else 0.0)

    def chance_by(self, place: int, law: NodeLaw, x_ns: np.ndarray | None, verdict: int) -> np.ndarray:
        """Return the probability, by world, that a node gets a verdict by some times after its dispatch (None: ever).

        `place` is the index of its law.
        """
        if x_ns is None:
            key = place, law, verdict
            if key not in self._eventual_chances:
                self._eventual_chances[key] = self.chance_by(place, law, np.full(len(self.roots), FOREVER), verdict)
            return self._eventual_chances[key]
        if not (x_ns >= 0).any():
            return np.zeros(len(self.roots))
        x_ns = np.clip(x_ns, -1.0, FOREVER)
        function = law.running if verdict == RUNS else law.failed
        chances = function(x_ns, self.slowdown[place], self.start_failure[place])
        return np.where(x_ns < 0, 0.0, chances)

    @cached_property
    def _eventual_chances(self) -> dict[tuple[int, NodeLaw, int], np.ndarray]:
        return {}

    @property
    def are_alike(self) -> bool:
        """Whether each node has the same place in the order and the same law in all worlds."""
        fleet = self.scenario.fleet
        is_dealt = any(each.share is not None for each in fleet.classes) or self.kind.affects.by == "count"
        return fleet.order != "random" and not is_dealt

    @cached_property
    def order(self) -> np.ndarray:
        """Nodes in the update order; shape (worlds, nodes)."""
        nodes, fixed = np.arange(self.scenario.fleet.nodes), fixed_order(self.scenario.fleet)
        if fixed is not None:
            return np.broadcast_to(fixed, (len(self.roots), len(nodes)))
        return self._shuffle(Stream.ORDER)  # as `order_nodes` does, for all worlds at once

    @cached_property
    def law_places(self) -> np.ndarray:
        """The index of each node's law; shape (worlds, nodes)."""
        fleet, affects, draws = self.scenario.fleet, self.kind.affects, Draws(self.seed, 0)
        is_same = all(each.share is None for each in fleet.classes)
        class_of = deal_classes(fleet, draws) if is_same else deal_shuffled(fleet, self._shuffle(Stream.CLASS))
        if affects.by == "share":
            is_affected = np.ones(fleet.nodes, dtype=bool)
        elif affects.by == "count":
            is_affected = np.zeros((len(self.roots), fleet.nodes), dtype=bool)
            np.put_along_axis(is_affected, self._shuffle(Stream.AFFECTED)[:, : affects.count], values=True, axis=1)
        else:
            is_affected = find_affected(fleet, self.kind, class_of, draws)
        return np.broadcast_to(2 * class_of + is_affected, (len(self.roots), fleet.nodes))

    def _shuffle(self, stream: Stream) -> np.ndarray:
        """Return the nodes of each world in the order of their numbers of a stream."""
        nodes = np.arange(self.scenario.fleet.nodes)
        step = max(1, _MOST_AT_ONCE // len(nodes))
        shuffled = np.empty((len(self.roots), len(nodes)), dtype=np.int64)
        for first in range(0, len(self.roots), step):
            numbers = uniforms(self.seed, self.roots[first : first + step, None], stream, nodes)
            shuffled[first : first + step] = np.argsort(numbers, axis=1, kind="stable")
        return shuffled

    @cached_property
    def law_shares(self) -> np.ndarray:
        """The fraction of nodes that have each law; shape (laws, worlds)."""
        return np.stack([(self.law_places == place).mean(axis=1) for place in range(len(self.laws(0)))])

    def _draw_shared(self, stream: Stream) -> np.ndarray:
        return uniforms(self.seed, self.roots, stream, 0)

    @cached_property
    def slowdown(self) -> np.ndarray:
        """By law and world."""
        u = self._draw_shared(Stream.SLOWDOWN)
        return np.repeat(
            [np.asarray(behaviour.slowdown.quantile(u)) for behaviour in self.scenario.fleet.behaviours], 2, axis=0
        )

    @cached_property
    def start_failure(self) -> np.ndarray:
        """Probability that an attempt to start fails, without what the release adds, by law and world."""
        u = self._draw_shared(Stream.START_FAILURE_LEVEL)
        return np.repeat(
            [np.asarray(behaviour.start_failure.quantile(u)) for behaviour in self.scenario.fleet.behaviours], 2, axis=0
        )

    @cached_property
    def promote_after_ns(self) -> np.ndarray:
        """How long the operator takes to promote, by world."""
        law = self.scenario.operator.promote_after
        return sample_ns(law, self._draw_shared(Stream.PROMOTE_AFTER)).astype(float)
