"""The shared state of one run: the clock, the world, the rules, and the end of every instant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.engines.recording import NoWindows, Transitions, Windows
from simdeploy.engines.reference.clock import Clock
from simdeploy.engines.reference.load import PooledRequests
from simdeploy.engines.reference.prober import Prober
from simdeploy.errors import SimulationError
from simdeploy.rules.deployment_types import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from simdeploy.engines.reference.terms import Terms
    from simdeploy.rules.health import HealthRule
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.world.realized import World

MAX_RUN_NS = 1 << 62  # times are added up in 64-bit integers afterwards


class Site:
    """The shared state of one run."""

    # Called at the end of an instant with a ring; set by the engine.
    when_settled: Callable[[], None]

    def __init__(
        self,
        world: World,
        terms: Terms,
        orchestrator: Orchestrator,
        type_name: str,
        *,
        waves_are_judged: bool,
        by_hand: bool = False,
    ) -> None:
        self.env = Clock(self._settle)
        self.world = world
        self.terms = terms  # those in effect now
        self.type_name = type_name
        self.type = TYPES[type_name]
        self.by_hand = by_hand  # whether a user acts at any time, instead of the scenario's operator
        self.goes_back_by_itself = orchestrator.node_local_rollback and self.type.releases
        # Whether a node gives up its slot once it has started, otherwise with its verdict.
        self.slot_is_free_at_start = orchestrator.slot_until == "started"
        self.transitions = Transitions()
        # Not kept for a user acting by hand, who may take any time while gates keep looking.
        self.windows, self.compared = (NoWindows(), NoWindows()) if by_hand else (Windows(), Windows())
        self.load = None if world.service is None else PooledRequests(world, self.type)
        self._nodes_count = not waves_are_judged
        self.prober = self._make_prober()
        self.is_over = False  # whether the rollout has ended
        self._round = 0

    @property
    def rule(self) -> HealthRule:
        """The rule for nodes that are dispatched now, unless their wave has its own."""
        return self.terms.rule

    def change_terms(self, terms: Terms) -> None:
        """Use other terms from now on; nodes already dispatched keep their rule and prober."""
        self.terms = terms
        self.prober = self._make_prober()

    def _make_prober(self) -> Prober:
        return Prober(self.world, self.rule, self.load, self.windows, self.compared, nodes_count=self._nodes_count)

    def note(self, node: int, from_status: int, to_status: int, wave: int, reason: str) -> None:
        """Record a change of status, or for node `CONTROL_PLANE` an act; statuses are places in `EVENT_WORDS`."""
        self.transitions.add(self.env.now, self._round, node, from_status, to_status, wave, reason)

    def begin_round(self) -> None:
        """Separate events from now on at this instant from those before."""
        self._round += 1

    def ring(self) -> None:
        """Have the control plane act at the end of this instant."""
        self.env.is_rung = True

    def _settle(self) -> None:
        if self.env.now > MAX_RUN_NS:
            raise SimulationError("the rollout exceeds 146 years, the limit of 64-bit times")
        self._round += 1
        self.when_settled()
        # Acts may have effects at the same instant; then there is another round before it ends.
        self._round += 1
