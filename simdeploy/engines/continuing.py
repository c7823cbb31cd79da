"""Simulating worlds that agree with an observation, and their continuations.

A world is combined from replications: one supplies the numbers for the whole fleet, and one for each node those of the node. It is
run from the start, without copying any state. An act of the user takes effect in the nanosecond after an instant, so everything up
to the end of that instant is the same for all acts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from simdeploy.engines.block import Block
from simdeploy.engines.looks import LOOK, NODE_LOOK, NOT_THERE, look_at, look_at_nodes
from simdeploy.engines.worlds import Continuation, Worlds
from simdeploy.errors import Problem, SimulationError, raise_if_any
from simdeploy.rules.changing import what_cannot_change
from simdeploy.scenario import Scenario, ScenarioPolicy
from simdeploy.world.draws import Lineage
from simdeploy.world.operator import Action, ScriptedAct

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = [
    "LOOK",
    "NODE_LOOK",
    "NOT_THERE",
    "THE_END_NS",
    "Act",
    "Continuation",
    "Continued",
    "Pause",
    "Worlds",
    "change_problems",
    "run_continuations",
    "run_continued",
]


@dataclass(frozen=True)
class Pause:
    """Pausing a rollout for some time."""

    length_ns: int  # until it is resumed


# Later than any event.
THE_END_NS = (1 << 62) - 1

Act: TypeAlias = "Action | Pause | ScenarioPolicy"


@dataclass(frozen=True, eq=False)
class Continued:
    """Outcomes of worlds."""

    block: Block  # responses: one policy, one place per world
    # LOOK, shape (worlds, looks): the deployment object at the end of each instant; the state is `NOT_THERE` if the world failed.
    looks: np.ndarray
    # NODE_LOOK, shape (worlds, nodes): the nodes at the end of one instant; None unless requested.
    nodes: np.ndarray | None


def run_continued(
    scenario: Scenario,  # without a tilt
    policy: ScenarioPolicy,
    worlds: Worlds,
    *,
    looks_ns: Sequence[int],  # instants, not before the start of the rollout
    nodes_at_ns: int | None = None,  # instant at which the nodes are looked at
    # An act of the user after the end of an instant: an act as in a script, a pause, or another policy that replaces this one.
    # Acts that are impossible then have no effect, as in a script.
    change: tuple[int, Act] | None = None,
    seed: int,
    engine: str,  # compiled or reference
) -> Continued:
    """Run worlds to their end, and look at them at some instants.

    Raises
    ------
    InputError
        If the other policy differs in keys that can't change during a rollout; see `change_problems`.
    """
    order = np.argsort(np.array(looks_ns, np.int64), kind="stable")
    in_order = tuple(looks_ns[place] for place in order)
    script: tuple[ScriptedAct, ...] = ()
    changed = None
    if change is not None:
        after_ns, act = change
        if isinstance(act, ScenarioPolicy):
            changed = after_ns + 1, act
        elif isinstance(act, Pause):
            script = ScriptedAct(after_ns + 1, "pause"), ScriptedAct(after_ns + 1 + act.length_ns, "resume")
        else:
            script = (ScriptedAct(after_ns + 1, act),)
    way = Continuation(script, changed, in_order, nodes_at_ns)
    (continued,) = run_continuations(scenario, policy, worlds, [way], seed=seed, engine=engine)
    return replace(continued, looks=continued.looks[:, np.argsort(order)])


def run_continuations(
    scenario: Scenario,
    policy: ScenarioPolicy,
    worlds: Worlds,
    continuations: Sequence[Continuation],
    *,
    seed: int,
    engine: str,
) -> list[Continued]:
    """Run worlds to their end in several ways.

    Numbers are drawn only once, and a rollout that is over before the ways differ is run only once.

    Raises
    ------
    InputError
        If another policy differs in keys that can't change during a rollout; see `change_problems`.
    """
    chosen = []
    for continuation in continuations:
        change = continuation.change
        if change is not None:
            raise_if_any(change_problems(scenario, policy, change[1]))
            change = change[0], replace(change[1], identity=policy.identity)
        chosen.append(replace(continuation, change=change))
    run = _run_compiled if engine == "compiled" else _run_reference
    return run(scenario, policy, worlds, chosen, seed)


def change_problems(scenario: Scenario, before: ScenarioPolicy, after: ScenarioPolicy) -> list[Problem]:
    """List the keys of `after` that differ from `before` but can't change during a rollout."""
    keys = list(what_cannot_change(before.policy, after.policy))
    if scenario.orchestrator_of(before) != scenario.orchestrator_of(after):
        keys.append("orchestrator")
    problems = [Problem("can't change during a rollout", (key,)) for key in keys]
    if before.policy.gate is not None and before.policy.gate.kind != "threshold" and not problems:
        return [Problem("a policy with this gate can't change during a rollout", ("health_check", "gate", "kind"))]
    return problems


def _run_compiled(
    scenario: Scenario, policy: ScenarioPolicy, worlds: Worlds, continuations: Sequence[Continuation], seed: int
) -> list[Continued]:
    from simdeploy.engines.compiled.engine import run_compiled_worlds

    block, all_looks, all_nodes = run_compiled_worlds(scenario, policy, worlds, continuations, seed=seed)
    all_done: list[Continued] = []
    first_look = first_node = 0
    for number, continuation in enumerate(continuations):
        index = block.index[number]
        looks = all_looks[:, first_look : first_look + len(continuation.looks_ns)]
        first_look += len(continuation.looks_ns)
        stem, _ = continuation.find_stem(continuations[:number])
        if stem >= 0:
            same = index == block.index[stem]
            looks[same] = _looks_of_stem(continuation, continuations[stem], all_done[stem].looks[same])
        failed = ~block.is_ok[index]
        looks[failed] = np.zeros((), LOOK)
        looks["state"][failed] = NOT_THERE
        nodes = None
        if continuation.nodes_at_ns is not None:
            nodes = all_nodes[:, first_node : first_node + scenario.fleet.nodes]
            first_node += scenario.fleet.nodes
            nodes[failed] = np.zeros((), NODE_LOOK)
        all_done.append(Continued(replace(block, index=block.index[number : number + 1]), looks, nodes))
    return all_done


def _run_reference(
    scenario: Scenario, policy: ScenarioPolicy, worlds: Worlds, continuations: Sequence[Continuation], seed: int
) -> list[Continued]:
    from simdeploy.engines.reference.engine import run_reference
    from simdeploy.engines.responses import compute_responses

    all_done: list[Continued] = []
    all_rows: list[list[dict[str, Any]]] = []
    ended = np.full((len(continuations), len(worlds.roots)), np.inf)
    for number, continuation in enumerate(continuations):
        stem, parts_at_ns = continuation.find_stem(continuations[:number])
        operator = replace(scenario.operator, script=(*scenario.operator.script, *continuation.script))
        way = replace(scenario, operator=operator)
        change = None if continuation.change is None else (continuation.change[0], continuation.change[1].policy)
        rows: list[dict[str, Any]] = []
        looks = np.zeros((len(worlds.roots), len(continuation.looks_ns)), LOOK)
        nodes = None if continuation.nodes_at_ns is None else np.zeros(worlds.nodes.shape, NODE_LOOK)
        for place, (root, of_nodes) in enumerate(zip(worlds.roots.tolist(), worlds.nodes, strict=True)):
            if stem >= 0 and ended[stem, place] < parts_at_ns:
                ended[number, place] = ended[stem, place]
                rows.append(all_rows[stem][place])
                looks[place] = _looks_of_stem(continuation, continuations[stem], all_done[stem].looks[place])
                continue
            lineage = Lineage(of_nodes, worlds.blocks)
            try:
                recording = run_reference(way, policy, seed=seed, replication=root, lineage=lineage, change=change)
            except SimulationError as error:
                rows.append({"status": "failed", "stage": "simulate", "error": f"SimulationError: {error}"})
                looks["state"][place] = NOT_THERE
                continue
            rows.append({**compute_responses(recording), "status": "ok"})
            if recording.makespan_ns is not None:
                ended[number, place] = recording.makespan_ns
            looks[place] = look_at(recording.update, continuation.looks_ns)
            if nodes is not None and continuation.nodes_at_ns is not None:
                nodes[place] = look_at_nodes(recording, continuation.nodes_at_ns)
        all_rows.append(rows)
        all_done.append(Continued(Block.of_rows(0, [rows]), looks, nodes))
    return all_done


def _looks_of_stem(continuation: Continuation, stem: Continuation, looks: np.ndarray) -> np.ndarray:
    """Return the looks at rollouts that were over before two ways differ."""
    return looks[..., [stem.looks_ns.index(at_ns) for at_ns in continuation.looks_ns]]
