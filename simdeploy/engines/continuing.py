"""Simulating worlds in which something was seen, and how they go on from there.

A world is put together from replications: what is drawn for the whole fleet comes from one, and what is drawn for each node from
one of its own. It is run from the start, and nothing is copied. An act from outside takes effect in the nanosecond after an
instant, so whatever the act is, all that happens up to the end of that instant is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from simdeploy.engines.block import Block
from simdeploy.engines.looks import LOOK, NODE_LOOK, NOT_THERE, look_at, look_at_nodes
from simdeploy.engines.worlds import Worlds
from simdeploy.errors import Problem, SimulationError, raise_if_any
from simdeploy.rules.changing import what_cannot_change
from simdeploy.scenario import ScenarioPolicy
from simdeploy.world.draws import Lineage
from simdeploy.world.operator import Action, ScriptedAct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.scenario import Scenario

__all__ = ["LOOK", "NODE_LOOK", "NOT_THERE", "Act", "Continued", "Pause", "Worlds", "change_problems", "run_continued"]


@dataclass(frozen=True)
class Pause:
    """Pausing a rollout for some time.

    Attributes
    ----------
    length_ns : int
        After which somebody resumes.
    """

    length_ns: int


Act: TypeAlias = "Action | Pause | ScenarioPolicy"


@dataclass(frozen=True, eq=False)
class Continued:
    """What became of worlds.

    Attributes
    ----------
    block : Block
        Responses: one policy, one place per world.
    looks : ndarray of LOOK, shape (worlds, looks)
        The deployment object at the end of each instant; the state of a world that failed is `NOT_THERE`.
    nodes : ndarray of NODE_LOOK, shape (worlds, nodes), or None
        The nodes at the end of one instant, if they were asked for.
    """

    block: Block
    looks: np.ndarray
    nodes: np.ndarray | None


def run_continued(
    scenario: Scenario,
    policy: ScenarioPolicy,
    worlds: Worlds,
    *,
    looks_ns: Sequence[int],
    nodes_at_ns: int | None = None,
    change: tuple[int, Act] | None = None,
    seed: int,
    engine: str,
) -> Continued:
    """Run worlds to their end, and look at them on the way.

    Parameters
    ----------
    scenario : Scenario
        Without a tilt.
    looks_ns : sequence of int
        Instants, not before the start of the rollout.
    nodes_at_ns : int, optional
        Instant at which the nodes are looked at.
    change : (int, Act), optional
        What somebody does after the end of an instant: an act of a script, a pause for some time, or another policy that takes the
        place of this one. An act that isn't possible then has no effect, as in a script.
    engine : {'compiled', 'reference'}

    Raises
    ------
    InputError
        If the other policy differs in what can't change during a rollout; see `change_problems`.
    """
    changed = None
    if change is not None:
        after_ns, act = change
        if isinstance(act, ScenarioPolicy):
            raise_if_any(change_problems(scenario, policy, act))
            changed = after_ns + 1, replace(act, identity=policy.identity)
        else:
            scenario = _with_script(scenario, after_ns, act)
    run = _run_compiled if engine == "compiled" else _run_reference
    return run(scenario, policy, worlds, looks_ns, nodes_at_ns, changed, seed)


def change_problems(scenario: Scenario, before: ScenarioPolicy, after: ScenarioPolicy) -> list[Problem]:
    """Say what of a policy can't become that of another one during a rollout."""
    keys = list(what_cannot_change(before.policy, after.policy))
    if scenario.orchestrator_of(before) != scenario.orchestrator_of(after):
        keys.append("orchestrator")
    problems = [Problem("can't change during a rollout", (key,)) for key in keys]
    if before.policy.gate is not None and before.policy.gate.kind != "threshold" and not problems:
        return [Problem("a policy with this gate can't change during a rollout", ("health_check", "gate", "kind"))]
    return problems


def _with_script(scenario: Scenario, at_ns: int, act: Action | Pause) -> Scenario:
    """Return a scenario in which somebody does something after the end of an instant."""
    operator = scenario.operator
    if isinstance(act, Pause):
        added = [ScriptedAct(at_ns + 1, "pause"), ScriptedAct(at_ns + 1 + act.length_ns, "resume")]
    else:
        added = [ScriptedAct(at_ns + 1, act)]
    return replace(scenario, operator=replace(operator, script=(*operator.script, *added)))


def _run_compiled(
    scenario: Scenario,
    policy: ScenarioPolicy,
    worlds: Worlds,
    looks_ns: Sequence[int],
    nodes_at_ns: int | None,
    changed: tuple[int, ScenarioPolicy] | None,
    seed: int,
) -> Continued:
    from simdeploy.engines.compiled.engine import run_compiled_worlds

    order = np.argsort(np.array(looks_ns, np.int64), kind="stable")
    in_order = [looks_ns[place] for place in order]
    block, looks, nodes = run_compiled_worlds(
        scenario, policy, worlds, looks_ns=in_order, nodes_at_ns=nodes_at_ns, change=changed, seed=seed
    )
    looks = looks[:, np.argsort(order)]
    failed = ~block.is_ok[block.index[0]]
    looks[failed] = np.zeros((), LOOK)
    looks["state"][failed] = NOT_THERE
    nodes[failed] = np.zeros((), NODE_LOOK)
    return Continued(block, looks, None if nodes_at_ns is None else nodes)


def _run_reference(
    scenario: Scenario,
    policy: ScenarioPolicy,
    worlds: Worlds,
    looks_ns: Sequence[int],
    nodes_at_ns: int | None,
    changed: tuple[int, ScenarioPolicy] | None,
    seed: int,
) -> Continued:
    from simdeploy.engines.reference.engine import run_reference
    from simdeploy.engines.responses import compute_responses

    change = None if changed is None else (changed[0], changed[1].policy)
    rows = []
    looks = np.zeros((len(worlds.roots), len(looks_ns)), LOOK)
    nodes = None if nodes_at_ns is None else np.zeros(worlds.nodes.shape, NODE_LOOK)
    for place, (root, of_nodes) in enumerate(zip(worlds.roots.tolist(), worlds.nodes, strict=True)):
        try:
            recording = run_reference(
                scenario, policy, seed=seed, replication=root, lineage=Lineage(of_nodes, worlds.blocks), change=change
            )
        except SimulationError as error:
            rows.append({"status": "failed", "stage": "simulate", "error": f"SimulationError: {error}"})
            looks["state"][place] = NOT_THERE
            continue
        rows.append({**compute_responses(recording), "status": "ok"})
        looks[place] = look_at(recording.update, looks_ns)
        if nodes is not None and nodes_at_ns is not None:
            nodes[place] = look_at_nodes(recording, nodes_at_ns)
    return Continued(Block.of_rows(0, [rows]), looks, nodes)
