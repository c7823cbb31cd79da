"""What everybody in one run shares: the clock, the world, the rules, and the end of every instant."""

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
    """The shared place of one run."""

    # What is done at the end of an instant at which somebody rang; put in by the engine.
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
        self.terms = terms  # what the rollout goes by now
        self.type_name = type_name
        self.type = TYPES[type_name]
        self.by_hand = by_hand  # whether people outside act at any time, instead of the scenario's operator
        self.goes_back_by_itself = orchestrator.node_local_rollback and self.type.releases
        # Whether a node gives up its slot when it has started, otherwise with its verdict.
        self.slot_is_free_at_start = orchestrator.slot_until == "started"
        self.transitions = Transitions()
        # Somebody may take any time to act, and meanwhile gates look on.
        self.windows, self.compared = (NoWindows(), NoWindows()) if by_hand else (Windows(), Windows())
        # The requests of nodes that share them.
        self.load = None if world.service is None else PooledRequests(world, self.type)
        self._nodes_count = not waves_are_judged
        self.prober = self._make_prober()
        self.is_over = False  # whether the rollout has ended
        self._round = 0

    @property
    def rule(self) -> HealthRule:
        """How nodes are judged that are dispatched now, unless their wave has its own rule."""
        return self.terms.rule

    def change_terms(self, terms: Terms) -> None:
        """Go by other terms from now on; nodes that were dispatched keep their rule, and their prober."""
        self.terms = terms
        self.prober = self._make_prober()

    def _make_prober(self) -> Prober:
        return Prober(self.world, self.rule, self.load, self.windows, self.compared, nodes_count=self._nodes_count)

    def note(self, node: int, from_status: int, to_status: int, wave: int, reason: str) -> None:
        """Record a change of status, or of node `CONTROL_PLANE` an act; statuses as places in `EVENT_WORDS`."""
        self.transitions.add(self.env.now, self._round, node, from_status, to_status, wave, reason)

    def begin_round(self) -> None:
        """Tell what happens from now on at this instant from what has happened already."""
        self._round += 1

    def ring(self) -> None:
        """Ask the control plane to look, once everything else of this instant has happened."""
        self.env.is_rung = True

    def _settle(self) -> None:
        if self.env.now > MAX_RUN_NS:
            raise SimulationError("the rollout exceeds 146 years, the limit of 64-bit times")
        self._round += 1
        self.when_settled()
        # What was done may happen at this very instant; if so, there is another look before it ends.
        self._round += 1
