"""Replays a recorded rollout under a policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from simpy.core import StopSimulation

from simdeploy.engines.reference.engine import NodeFactory, Run, collector_paused
from simdeploy.engines.replay.ledger import Filler, Ledger
from simdeploy.engines.replay.model import Model
from simdeploy.engines.replay.modelled import ModelledNode, ModelledProber
from simdeploy.engines.replay.node import ReplayedNode
from simdeploy.engines.replay.prober import ReplayedProber
from simdeploy.engines.replay.silences import Silences
from simdeploy.rules.health import judges_waves, read_health_rule
from simdeploy.world.distributions import Constant
from simdeploy.world.fleet import Behaviour, Fleet, NodeClass
from simdeploy.world.operator import Operator
from simdeploy.world.realized import World

if TYPE_CHECKING:
    from simdeploy.engines.recording import Recording
    from simdeploy.engines.reference.node import Listeners, Node
    from simdeploy.engines.reference.prober import Prober
    from simdeploy.engines.reference.site import Site
    from simdeploy.engines.replay.known import KnownRollout
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import Policy
    from simdeploy.world.change_windows import Calendar

_NEVER_NS = 1 << 60
_NOTHING = Constant(0.0)
_LATER = Constant(1.0)  # people take nodes back after the end, which ends what is replayed


@dataclass(frozen=True)
class Replay:
    """A recorded rollout, replayed."""

    recording: Recording
    unknown_ns: int | None  # when it first depends on something that is not on record; None if it never does
    asks_people: bool  # whether that includes acts of people


def replay(
    known: KnownRollout,
    policy: Policy,
    orchestrator: Orchestrator,
    filler: Filler | Model,
    *,
    calendar: Calendar | None = None,
) -> Replay:
    """Replay a rollout under a policy; after their record ends, nodes follow the filler or a model.

    A `calendar` states when nodes may be dispatched.
    """
    is_same = policy == known.policy and orchestrator == known.orchestrator
    model = filler if isinstance(filler, Model) else None
    ledger = Ledger("modelled" if isinstance(filler, Model) else filler)
    acts = known.acts if is_same else tuple(act for act in known.acts if act.do != "promote")
    operator = Operator(_NOTHING, 0.0, 0.0, _LATER, _LATER, acts)
    if model is None:
        world = _RecordedWorld(known, ledger, _make_constant_model(known, operator), is_same=is_same)
    else:
        world = _ModelledWorld(known, ledger, model, is_same=is_same)
        if known.promote_after_ns is None:
            operator = replace(model.operator, script=acts, change_windows=())
    factory = _RecordedFactory(known, policy, orchestrator, ledger)
    world.nodes = factory.nodes
    with collector_paused():
        recording = Run(
            world,
            policy,
            orchestrator,
            operator,
            known.type_name,
            zones=known.zones,
            calendar=calendar,
            factory=factory,
        ).finish()

    first_moved = _find_first_move(known, recording)
    over = recording.makespan_ns
    for t in (*(act.at_ns for act in acts), *world.doubts_ns):
        if first_moved is not None and first_moved < t and (over is None or t <= over):
            ledger.record_unknown_at(t, people=True)
    turns = {t for node in known.nodes for t in (node.dispatched_ns, node.down_at_turn_ns)}
    for act in acts:
        # The record doesn't state whether the act or the turn came first at that instant.
        if act.do in ("pause", "cancel") and act.at_ns in turns:
            ledger.record_unknown_at(act.at_ns, people=True)
    return Replay(recording, ledger.unknown_ns, ledger.asks_people)


def _find_first_move(known: KnownRollout, recording: Recording) -> int | None:
    """Return the first time at which a node was dispatched either on record or now, but not both."""
    first: int | None = None
    for node, fate in zip(known.nodes, recording.fates, strict=True):
        if node.dispatched_ns != fate.dispatched_ns:
            times = [t for t in (node.dispatched_ns, fate.dispatched_ns) if t is not None]
            first = min(times) if first is None else min(first, *times)
    return first


def find_longest_move(known: KnownRollout, recording: Recording, until_ns: int | None = None) -> int:
    """Return the largest change in the time of a dispatch before `until_ns`, nanoseconds."""
    return max(
        (
            abs(fate.dispatched_ns - node.dispatched_ns)
            for node, fate in zip(known.nodes, recording.fates, strict=True)
            if node.dispatched_ns is not None
            and fate.dispatched_ns is not None
            and (until_ns is None or fate.dispatched_ns < until_ns)
        ),
        default=0,
    )


class _RecordedFactory(NodeFactory):
    """Makes nodes and a prober that repeat the record."""

    def __init__(self, known: KnownRollout, policy: Policy, orchestrator: Orchestrator, ledger: Ledger) -> None:
        self._known = known
        self._ledger = ledger
        self._silences = Silences(known.nodes)
        self.nodes: list[ReplayedNode] = []
        rule = read_health_rule(policy, orchestrator)
        was = None if known.policy is None or known.orchestrator is None else known.policy
        self._repeats = (
            was is not None
            and known.orchestrator is not None
            and read_health_rule(was, known.orchestrator) == rule
            and was.gate == policy.gate
            and not orchestrator.failed_tries_count
            and not orchestrator.failed_node_freezes
        )
        self._per_window = rule.interval_ns // known.interval_ns if known.interval_ns else 1
        self._same_gate = was is not None and was.gate == policy.gate and rule.interval_ns == known.interval_ns
        self._nodes_count = not judges_waves(policy) or policy.strategy == "immediate"
        self._waits = orchestrator.unreachable_nodes == "wait"
        self._may_have_hung = was is None or was.strategy != "immediate"

    def make_node(self, site: Site, listeners: Listeners, number: int) -> Node:
        """Return a node that repeats its record."""
        node = (ModelledNode if self._ledger.filler == "modelled" else ReplayedNode)(
            site,
            listeners,
            number,
            known=self._known.nodes[number],
            ledger=self._ledger,
            repeats=self._repeats,
            waits_unseen=self._waits,
            may_have_hung=self._may_have_hung,
        )
        if isinstance(node, ModelledNode):
            node.silences = self._silences
        self.nodes.append(node)
        return node

    def make_prober(self, site: Site) -> Prober:
        """Return a prober that repeats recorded windows."""
        self._ledger.site = site
        prober = (ModelledProber if self._ledger.filler == "modelled" else ReplayedProber)(
            site,
            self._known,
            self._ledger,
            per_window=self._per_window,
            same_gate=self._same_gate,
            nodes_count=self._nodes_count,
        )
        prober.nodes = self.nodes
        return prober


def _make_constant_model(known: KnownRollout, operator: Operator) -> Model:
    """Return a model without any random behaviour."""
    behaviour = Behaviour(
        requests_per_second=Fraction(0),
        update_duration=_NOTHING,
        rollback_duration=_NOTHING,
        rollback_failure=0.0,
        slowdown=Constant(1.0),
        start_failure=_NOTHING,
        start_attempts=1,
        start_hang=0.0,
        error_rate=_NOTHING,
        flapping=None,
        crash=None,
        zone_outage=None,
    )
    classes = tuple(
        NodeClass(str(number), None, behaviour, tuple(np.flatnonzero(np.array(known.class_of) == number).tolist()))
        for number in range(max(known.class_of, default=0) + 1)
    )
    n = len(known.nodes)
    fleet = Fleet(n, known.zones, "index", behaviour, classes)
    return Model(fleet, (), operator, seed=0, replication=0, affected=[False] * n, baseline=[0.0] * n)


class _RecordedWorld(World):
    """A world in which nodes repeat their records."""

    nodes: list[ReplayedNode]  # those of the run

    def __init__(self, known: KnownRollout, ledger: Ledger, model: Model, *, is_same: bool) -> None:
        super().__init__(
            model.fleet, model.release, model.operator, model.seed, model.replication, starts_at_ns=known.starts_at_ns
        )
        self.zone_of = np.array(known.zone_of, dtype=np.int64)
        self.anything_goes_down = True  # outages come from the records, not from the model
        self.affected, self.baseline = model.affected, model.baseline
        self._known = known
        self._ledger = ledger
        self._is_same = is_same
        # Turns, in this replay, of nodes that were found down at an unknown time.
        self.doubts_ns: list[int] = []

    @property
    def promote_after_ns(self) -> int:
        """How long people take to promote the canaries; read when their decision begins."""
        known = self._known.promote_after_ns
        if self._is_same:
            now = self._ledger.site.env.now
            ahead = [act.at_ns for act in self._known.acts if act.do in ("promote", "cancel") and act.at_ns >= now]
            if not ahead or self._ledger.unknown_ns is not None:
                return self._ask_people()
            # An act of this instant may have preceded the resolution of the canaries.
            return 0 if min(ahead) == now else _NEVER_NS
        # It is unknown what people would do about a failed canary that they saw healthy.
        seen = zip(self.nodes, self._known.nodes, strict=True)
        if known is None or any(node.fate.ever_failed and not was.has_failed for node, was in seen):
            return self._ask_people()
        return known

    @promote_after_ns.setter
    def promote_after_ns(self, drawn: int) -> None:
        """Keep the time that the world has drawn."""
        self._drawn_promote_after_ns = drawn

    def _ask_people(self) -> int:
        """End the run: without people's decision, nothing is known from now on."""
        self._ledger.record_unknown(people=True)
        raise StopSimulation(None)

    def is_down(self, node: int, t: int) -> bool:
        """Return whether a node is known to be down at its turn."""
        known = self._known.nodes[node]
        if known.down_at_turn_ns == -1:
            self.doubts_ns.append(t)
            return True
        return known.down_at_turn_ns == t or any(outage.start <= t < outage.end for outage in known.outages)

    def up_again(self, node: int, t: int) -> int:
        """Return the first instant from t on at which no outage of a node is known."""
        for outage in self._known.nodes[node].outages:
            t = outage.end if outage.start <= t < outage.end else t
        return t


class _ModelledWorld(_RecordedWorld):
    """A world in which nodes and people follow a model after the record ends."""

    def _ask_people(self) -> int:
        """Return how long people take: as recorded, otherwise as the model has drawn."""
        self._ledger.record_unknown(people=True)
        known = self._known.promote_after_ns
        return self._drawn_promote_after_ns if known is None else known
