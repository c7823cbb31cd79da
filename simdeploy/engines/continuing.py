"""Simulating worlds in which something was seen, and how they go on from there.

A world is put together from replications: what is drawn for the whole fleet comes from one, and what is drawn for each node from
one of its own. It is run from the start, and nothing is copied. An act from outside takes effect in the nanosecond after an
instant, so whatever the act is, all that happens up to the end of that instant is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.block import Block
from simdeploy.engines.looks import LOOK, NODE_LOOK, NOT_THERE, look_at, look_at_nodes
from simdeploy.errors import SimulationError
from simdeploy.world.draws import OF_NODES, Lineage
from simdeploy.world.operator import Action, ScriptedAct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.scenario import Scenario, ScenarioPolicy

__all__ = ["LOOK", "NODE_LOOK", "NOT_THERE", "Act", "Continued", "Pause", "Worlds", "run_continued"]


@dataclass(frozen=True, eq=False)
class Worlds:
    """Worlds, by the replications that they are put together from.

    Attributes
    ----------
    roots : ndarray of int, shape (worlds,)
        The replication of what is drawn once for the whole fleet: kind of release, slowdown, level of start failures, the operator,
        order and classes of nodes, nodes that are affected if their number is given, and zones.
    nodes : ndarray of int, shape (worlds, nodes)
        The replication of everything that is drawn for each node alone: attempts, windows, going back, whether it is affected if that is
        a share, `after`, its level of failed requests, crashes, degraded spells and lines.
    """

    roots: np.ndarray
    nodes: np.ndarray


@dataclass(frozen=True)
class Pause:
    """Pausing a rollout for some time.

    Attributes
    ----------
    length_ns : int
        After which somebody resumes.
    """

    length_ns: int


Act = Action | Pause


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
    engine: str,  # noqa: ARG001 - the reference engine runs them all
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
        What somebody does after the end of an instant. An act that isn't possible then has no effect, as in a script.
    engine : {'compiled', 'reference'}
    """
    if change is not None:
        scenario = _with_script(scenario, *change)
    return _run_reference(scenario, policy, worlds, looks_ns, nodes_at_ns, seed)


def _with_script(scenario: Scenario, at_ns: int, act: Act) -> Scenario:
    """Return a scenario in which somebody does something after the end of an instant."""
    operator = scenario.operator
    if isinstance(act, Pause):
        added = [ScriptedAct(at_ns + 1, "pause"), ScriptedAct(at_ns + 1 + act.length_ns, "resume")]
    else:
        added = [ScriptedAct(at_ns + 1, act)]
    return replace(scenario, operator=replace(operator, script=(*operator.script, *added)))


def _run_reference(
    scenario: Scenario,
    policy: ScenarioPolicy,
    worlds: Worlds,
    looks_ns: Sequence[int],
    nodes_at_ns: int | None,
    seed: int,
) -> Continued:
    from simdeploy.engines.reference.engine import run_reference
    from simdeploy.engines.responses import compute_responses

    rows = []
    looks = np.zeros((len(worlds.roots), len(looks_ns)), LOOK)
    nodes = None if nodes_at_ns is None else np.zeros(worlds.nodes.shape, NODE_LOOK)
    for place, (root, of_nodes) in enumerate(zip(worlds.roots.tolist(), worlds.nodes, strict=True)):
        try:
            recording = run_reference(
                scenario, policy, seed=seed, replication=root, lineage=Lineage(of_nodes, OF_NODES)
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
