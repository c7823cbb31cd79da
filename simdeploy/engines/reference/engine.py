"""The reference engine: puts world, rules and SimPy processes together and lets them run."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from simdeploy.api.times import time_in_week
from simdeploy.engines.recording import Recording
from simdeploy.engines.reference.controller import Controller
from simdeploy.engines.reference.gates import WaveGates
from simdeploy.engines.reference.line import Line
from simdeploy.engines.reference.node import Listeners, Node
from simdeploy.engines.reference.people import follow_script
from simdeploy.engines.reference.rollback import Rollback
from simdeploy.engines.reference.running_watch import RunningWatch
from simdeploy.engines.reference.site import Site
from simdeploy.engines.reference.weighing import weigh
from simdeploy.rules.deployment_types import TYPES
from simdeploy.rules.gates.gate import read_gate
from simdeploy.rules.health import read_health_rule
from simdeploy.rules.limits import read_limits
from simdeploy.rules.waves import plan_waves
from simdeploy.world.change_windows import calendar_of
from simdeploy.world.realized import World
from simdeploy.world.tilt import NO_TILT
from simdeploy.world.traffic import DAY_NS

if TYPE_CHECKING:
    import numpy as np

    from simdeploy.scenario import Scenario, ScenarioPolicy


def run_reference(
    scenario: Scenario, chosen: ScenarioPolicy, *, seed: int, replication: int, lineage: np.ndarray | None = None
) -> Recording:
    """Simulate one replication with SimPy.

    Parameters
    ----------
    chosen : ScenarioPolicy
        The policy, with the identity of its deployment.
    lineage : ndarray of int, optional
        The replication that each node has what happens to it in the update from; `replication` unless given.
    """
    type_name = chosen.identity.type
    policy, orchestrator, operator = chosen.policy, scenario.orchestrator_of(chosen), scenario.operator
    release = scenario.drawn_release if TYPES[type_name].releases else ()
    tilt = scenario.tilt or NO_TILT
    starts_at_ns = time_in_week(chosen.identity.created_at) % DAY_NS
    world = World(
        scenario.fleet, release, operator, seed, replication, tilt=tilt, lineage=lineage, starts_at_ns=starts_at_ns
    )
    plan = plan_waves(policy, orchestrator, world.n_nodes, scenario.fleet.zones)

    rule = read_health_rule(policy, orchestrator)
    traits = TYPES[type_name]
    gate = None if traits.leaves else read_gate(policy, orchestrator)
    waves_are_judged = gate is not None and not gate.watches_running
    site = Site(world, rule, orchestrator, plan, type_name, waves_are_judged=waves_are_judged)
    listeners = Listeners()
    nodes = [Node(site, listeners, number) for number in range(world.n_nodes)]
    line = Line(site)
    rollback = Rollback(site, line, plan.rollback, policy.rollback_delay_ns)
    wave_gates = WaveGates(site, gate, plan.watches) if gate is not None and waves_are_judged else None
    controller = Controller(
        site,
        nodes,
        policy=policy,
        orchestrator=orchestrator,
        operator=operator,
        plan=plan,
        limits=read_limits(policy, orchestrator, world.n_nodes),
        rollback=rollback,
        wave_gates=wave_gates,
        running_watch=RunningWatch(site, gate) if gate is not None and gate.watches_running else None,
        calendar=calendar_of(operator.change_windows, time_in_week(chosen.identity.created_at)),
    )
    listeners.controller, listeners.rollback, listeners.wave_gates = controller, rollback, wave_gates
    listeners.line, line.control_plane = line, controller
    site.when_settled = controller.settle
    site.env.process(follow_script(site, controller.people.tell, operator.script))
    controller.start()
    with _collector_paused():
        site.env.run()

    fates = [node.fate for node in nodes]
    return Recording(
        world=world,
        type_name=type_name,
        fates=fates,
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
        gate_requests=None if wave_gates is None else wave_gates.requests,
        weight=weigh(world, release, rule, TYPES[type_name], fates) if scenario.tilt else None,
    )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep Python from looking for reference cycles meanwhile.

    A run leaves hardly any behind, and the collector's passes over everything that a large fleet keeps
    alive would cost more per node the larger the fleet is.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
