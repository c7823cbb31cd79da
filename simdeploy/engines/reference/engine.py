"""The reference engine: combines world, rules and SimPy processes, and runs them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from simpy.core import EmptySchedule, StopSimulation

from simdeploy.api.times import time_in_week
from simdeploy.engines.recording import Recording
from simdeploy.engines.reference.controller import Controller
from simdeploy.engines.reference.gates import WaveGates
from simdeploy.engines.reference.line import Line
from simdeploy.engines.reference.node import Listeners, Node
from simdeploy.engines.reference.people import Act, follow_script
from simdeploy.engines.reference.rollback import Rollback
from simdeploy.engines.reference.running_watch import RunningWatch
from simdeploy.engines.reference.site import Site
from simdeploy.engines.reference.terms import Terms
from simdeploy.engines.reference.weighing import weigh
from simdeploy.rules.changing import change_plan
from simdeploy.rules.deployment_types import TYPES
from simdeploy.rules.gates.gate import read_gate
from simdeploy.rules.health import read_health_rule
from simdeploy.rules.limits import read_limits
from simdeploy.rules.waves import Plan, plan_waves
from simdeploy.world.change_windows import Calendar, calendar_of
from simdeploy.world.realized import World
from simdeploy.world.tilt import NO_TILT
from simdeploy.world.traffic import DAY_NS

if TYPE_CHECKING:
    from simdeploy.engines.reference.prober import Prober
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import Policy
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.world.draws import Lineage
    from simdeploy.world.operator import Operator


def begin_reference(
    scenario: Scenario,
    chosen: ScenarioPolicy,  # the policy, with the identity of its deployment
    *,
    seed: int,
    replication: int,
    lineage: Lineage | None = None,  # other replications that supply numbers of nodes
    change: tuple[int, Policy] | None = None,  # another policy, and when it replaces the first one
    by_hand: bool = False,  # whether a user acts instead of the scenario's operator
) -> Run:
    """Prepare one replication."""
    type_name = chosen.identity.type
    starts_in_week = time_in_week(chosen.identity.created_at)
    world = World(
        scenario.fleet,
        scenario.drawn_release if TYPES[type_name].releases else (),
        scenario.operator,
        seed,
        replication,
        tilt=scenario.tilt or NO_TILT,
        lineage=lineage,
        starts_at_ns=starts_in_week % DAY_NS,
    )
    return Run(
        world,
        chosen.policy,
        scenario.orchestrator_of(chosen),
        scenario.operator,
        type_name,
        zones=scenario.fleet.zones,
        calendar=calendar_of(scenario.operator.change_windows, starts_in_week),
        change=change,
        by_hand=by_hand,
    )


def run_reference(
    scenario: Scenario,
    chosen: ScenarioPolicy,
    *,
    seed: int,
    replication: int,
    lineage: Lineage | None = None,
    change: tuple[int, Policy] | None = None,
) -> Recording:
    """Simulate one replication with SimPy; for the parameters see `begin_reference`."""
    with collector_paused():
        try:
            recording = begin_reference(
                scenario, chosen, seed=seed, replication=replication, lineage=lineage, change=change
            ).finish()
        except MemoryError as error:
            # Free the simulation's memory here: without any left, CPython may try forever to record the traceback in a
            # function of more than 256 instructions.
            error.__traceback__ = error.__cause__ = error.__context__ = None
            gc.collect()
            raise
    if not scenario.tilt:
        return recording
    traits = TYPES[recording.type_name]
    release = scenario.drawn_release if traits.releases else ()
    rule = read_health_rule(chosen.policy, scenario.orchestrator_of(chosen))
    weight = weigh(recording.world, release, rule, traits, recording.fates)
    return replace(recording, weight=weight)


class NodeFactory:
    """Factory of the nodes of a run, and of the prober that looks at them."""

    def make_node(self, site: Site, listeners: Listeners, number: int) -> Node:
        """Return a node by its number."""
        return Node(site, listeners, number)

    def make_prober(self, site: Site) -> Prober:
        """Return the prober of a run."""
        return site.prober


class Run:
    """A policy at work in a world."""

    def __init__(
        self,
        world: World,
        policy: Policy,
        orchestrator: Orchestrator,
        operator: Operator,
        type_name: str,
        *,
        zones: int,  # of the fleet
        calendar: Calendar | None = None,  # when nodes may be dispatched; default: always
        factory: NodeFactory | None = None,  # nodes and prober that don't draw from the world
        change: tuple[int, Policy] | None = None,  # another policy, and when it replaces the first one
        # Whether a user acts at any time, by `act`. Then the scenario's operator doesn't act, and nobody undoes a stop or an
        # escape later.
        by_hand: bool = False,
    ) -> None:
        factory = factory or NodeFactory()

        def read_terms(policy: Policy, before: Plan | None = None, n_opened: int = 0) -> Terms:
            plan = plan_waves(policy, orchestrator, world.n_nodes, zones)
            if before is not None:
                plan = change_plan(before, plan, n_opened, orchestrator.bake_time_ns)
            rule = read_health_rule(policy, orchestrator)
            return Terms(policy, plan, rule, read_limits(policy, orchestrator, world.n_nodes))

        terms = read_terms(policy)
        gate = None if TYPES[type_name].leaves else read_gate(policy, orchestrator)
        waves_are_judged = gate is not None and not gate.watches_running
        site = Site(world, terms, orchestrator, type_name, waves_are_judged=waves_are_judged, by_hand=by_hand)
        site.prober = factory.make_prober(site)
        listeners = Listeners()
        nodes = [factory.make_node(site, listeners, number) for number in range(world.n_nodes)]
        line = Line(site)
        rollback = Rollback(site, line)
        wave_gates = WaveGates(site, gate, terms.plan.watches) if gate is not None and waves_are_judged else None
        controller = Controller(
            site,
            nodes,
            orchestrator=orchestrator,
            operator=operator,
            rollback=rollback,
            wave_gates=wave_gates,
            running_watch=RunningWatch(site, gate) if gate is not None and gate.watches_running else None,
            calendar=calendar,
            read_terms=read_terms,
        )
        listeners.controller, listeners.rollback, listeners.wave_gates = controller, rollback, wave_gates
        listeners.line, line.control_plane = line, controller
        site.when_settled = controller.settle
        self.site, self.controller, self.rollback = site, controller, rollback
        self._nodes, self._line, self._listeners, self._wave_gates = nodes, line, listeners, wave_gates
        site.env.process(follow_script(site, controller.people.schedule, operator.script))
        if change is not None:
            changes_at, other = change
            site.env.call_at(changes_at, partial(controller.change_policy, other))
        controller.start()

    def act(self, act: Act, at_ns: int) -> None:
        """Schedule an act by hand at an instant that `advance` has not reached."""
        self.site.env.call_at(at_ns, partial(self.controller.people.schedule, act, "operator"))

    def advance(self, until_ns: int, may_go_on: Callable[[], bool] = lambda: True) -> bool:
        """Run up to the end of an instant, while `may_go_on` returns true; return whether that end was reached."""
        env = self.site.env
        while env.peek() <= until_ns:
            if not may_go_on():
                return False
            env.step()
        return True

    def finish(self) -> Recording:
        """Run to the end, and return the recording; the run can't be used afterwards."""
        step = self.site.env.step  # not `env.run`, which may never end when memory runs out
        with suppress(EmptySchedule, StopSimulation):  # no event is left, or a replay ends the run
            while True:
                step()
        site, controller, rollback = self.site, self.controller, self.rollback
        recording = Recording(
            world=site.world,
            type_name=site.type_name,
            fates=[node.fate for node in self._nodes],
            transitions=site.transitions,
            windows=site.windows,
            compared=site.compared,
            update=controller.history,
            rollback=rollback.history,
            rolled_back=[node.number for node in rollback.nodes],
            canaries=[node.number for node in controller.canaries],
            state=controller.course.state,
            waves=len(controller.dispatcher.waves),
            updated_nodes=controller.judging.updated,
            failed_nodes=controller.judging.failed,
            makespan_ns=controller.course.makespan_ns,
            restored_ns=rollback.restored_ns,
            horizon_ns=controller.course.horizon_ns,
            gate_requests=None if self._wave_gates is None else self._wave_gates.requests,
        )
        # Break reference cycles, which only the garbage collector would free.
        del self._line.control_plane, site.when_settled, site.env.settle, site.env.timeout
        vars(self._listeners).clear()
        return recording


@contextmanager
def collector_paused() -> Iterator[None]:
    """Disable Python's garbage collector within a `with` statement.

    A run leaves hardly any reference cycles, and the collector's passes over the objects of a large fleet would cost more per
    node the larger the fleet is.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
