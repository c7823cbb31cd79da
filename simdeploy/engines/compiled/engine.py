"""Running a block on the compiled engine: make its records, run them, name the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.block import Block
from simdeploy.engines.compiled import kernel
from simdeploy.engines.compiled.lowering import Lowered, lower
from simdeploy.engines.compiled.lowering_continuations import lower_continuations
from simdeploy.engines.compiled.memory import Memory
from simdeploy.engines.compiled.outcomes import OUTCOME
from simdeploy.engines.compiled.parts import expect_seconds
from simdeploy.engines.traces import BROKEN, NO_RELEASE, QUANTITIES, Grid, Traces
from simdeploy.rules.deployment_types import TYPES, TypeTraits
from simdeploy.vocabulary import RESPONSES, STATES, VERDICTS, WEIGHT

if TYPE_CHECKING:
    from simdeploy.engines.branches import Branches
    from simdeploy.engines.worlds import Continuation, Worlds
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.scenario import Scenario, ScenarioPolicy


# Initial room for rows, unless one replication of all policies needs more.
_ROWS = 4096
_AT_ONCE = 256  # replications whose indices are transposed together, so that they stay in the processor's cache
_MANY = 50
_TOO_LONG = "the rollout exceeds 146 years, the limit of 64-bit times"


@dataclass(frozen=True)
class Prepared:
    """A scenario and policies, ready to run in any replications.

    Attributes
    ----------
    parts : tuple of (list of int, Lowered)
        Places of policies that meet the same worlds, and their tables.
    n_policies : int
    """

    parts: tuple[tuple[list[int], Lowered], ...]
    n_policies: int


def prepare_compiled(scenario: Scenario, policies: Sequence[ScenarioPolicy]) -> Prepared:
    """Make the tables that don't depend on replications; for many policies this takes longer than some replications."""
    # Deployment types with different traits need different worlds: some have no release.
    alike: dict[tuple[TypeTraits, Orchestrator], list[int]] = {}
    for number, policy in enumerate(policies):
        alike.setdefault((TYPES[policy.identity.type], scenario.orchestrator_of(policy)), []).append(number)
    parts = []
    for (traits, _), numbers in alike.items():
        chosen = [policies[number] for number in numbers]
        parts.append((numbers, lower(scenario.under(chosen[0]), chosen, traits)))
    return Prepared(tuple(parts), len(policies))


def expect_compiling(asked: Iterable[tuple[Scenario, Sequence[ScenarioPolicy]]], *, in_bundles: bool = True) -> float:
    """Return roughly how long compiling takes before policies in scenarios can be run: 0 if it is done, and all parts if none are given.

    Only some of very many scenarios are considered. Unless `in_bundles`, rollouts are run one by one, with more notes.
    """
    parts: set[str] = set()
    for scenario, policies in islice(asked, _MANY):
        for _, lowered in prepare_compiled(scenario, policies).parts:
            one_by_one = not (in_bundles and lowered.scalars["all_bundled"])
            with_notes = not in_bundles or bool(lowered.scalars["is_tilted"])
            parts |= kernel.find_parts(lowered.scalars, in_bundles=not one_by_one, with_notes=with_notes)
    return expect_seconds(parts or None)


def run_compiled(
    scenario: Scenario,
    policies: Sequence[ScenarioPolicy],
    *,
    seed: int,
    first: int,
    count: int,
    prepared: Prepared | None = None,
) -> Block:
    """Simulate replications `first`, ..., `first + count - 1` of each policy; `prepared` saves preparing them again."""
    prepared = prepared or prepare_compiled(scenario, policies)
    is_weighted = scenario.tilt is not None
    names = tuple(kind.name for kind in scenario.release)
    index = np.empty((prepared.n_policies, count), dtype=np.int32)
    parts: list[np.ndarray] = []
    n_rows = 0
    for numbers, lowered in prepared.parts:
        by_replication = np.empty((count, len(numbers)), dtype=np.int32)
        parts.append(_run(Memory(lowered, seed), first, by_replication))
        if n_rows:
            by_replication += n_rows
        n_rows += len(parts[-1])
        for done in range(0, count, _AT_ONCE):
            index[numbers, done : done + _AT_ONCE] = by_replication[done : done + _AT_ONCE].T
    outcomes = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return _to_block(first, index, outcomes, names, is_weighted=is_weighted)


def run_compiled_branches(
    scenario: Scenario, policy: ScenarioPolicy, branches: Branches, *, seed: int
) -> tuple[Block, np.ndarray, np.ndarray]:
    """Simulate branches; return also which nodes were dispatched when the level was reached, and which branches reached it."""
    memory = Memory(
        lower(scenario.under(policy), [policy], TYPES[policy.identity.type], may_bundle=False), seed, branches
    )
    return _run_lineages(scenario, memory, len(branches.roots)), memory.kept, memory.reached


def run_compiled_worlds(
    scenario: Scenario, policy: ScenarioPolicy, worlds: Worlds, continuations: Sequence[Continuation], *, seed: int
) -> tuple[Block, np.ndarray, np.ndarray]:
    """Simulate worlds with several continuations, which are the policies of the block.

    Returns also the looks at their deployments and nodes, those of all continuations side by side. There are none if a continuation
    has the outcome of an earlier one.
    """
    memory = Memory(lower_continuations(scenario, policy, continuations), seed, worlds=worlds)
    block = _run_lineages(scenario, memory, len(worlds.roots), len(continuations))
    return block, memory.looks, memory.node_looks


def _run_lineages(scenario: Scenario, memory: Memory, count: int, n_ways: int = 1) -> Block:
    index = np.empty((count, n_ways), dtype=np.int32)
    outcomes = _run(memory, 0, index)
    names = tuple(kind.name for kind in scenario.release)
    index = np.ascontiguousarray(index.T)
    return _to_block(0, index, outcomes, names, is_weighted=False)


def run_compiled_traces(
    scenario: Scenario, policies: Sequence[ScenarioPolicy], grid: Grid, *, seed: int, first: int, count: int
) -> Traces:
    """Trace replications of each policy."""
    values = np.empty((len(policies), count, len(QUANTITIES), grid.n_times), np.int32)
    kinds = np.empty((len(policies), count), np.int32)
    error = ""
    # Separately, because the tables of a policy are as large as its traces.
    for number, policy in enumerate(policies):
        lowered = lower(scenario.under(policy), [policy], TYPES[policy.identity.type], may_bundle=False)
        memory = Memory(lowered, seed, grid=grid, n_traces=count)
        index = np.empty((count, 1), dtype=np.int32)
        outcomes = _run(memory, first, index)[index[:, 0]]
        too_long, kind = outcomes["too_long"] != 0, outcomes["release"]
        values[number] = memory.traces
        kinds[number] = np.where(too_long, BROKEN, np.where(kind < 0, NO_RELEASE, kind))
        error = error or (_TOO_LONG if too_long.any() else "")
    return Traces(values, kinds, error)


def _run(memory: Memory, first: int, index: np.ndarray) -> np.ndarray:
    """Run all replications; return their outcomes, and write into `index` the row of each replication and policy."""
    count, n_policies = index.shape
    progress = np.zeros(2, dtype=np.int64)
    outcomes = np.empty(min(count * n_policies, max(_ROWS, n_policies)), OUTCOME)
    while (ends := kernel.run_replications(memory.run, first, outcomes, index, progress)) != kernel.DONE:
        if ends == kernel.SPELLS_FULL:
            memory.make_room()
            continue
        # Extrapolate from the replications done so far, with a reserve.
        done, used = (int(number) for number in progress[:2])
        likely = int(1.1 * used / done * (count - done)) + n_policies
        before = outcomes
        outcomes = np.empty(used + min(likely, (count - done) * n_policies), OUTCOME)
        outcomes[:used] = before[:used]
    memory.give_back()
    return outcomes[: int(progress[1])]


def _to_block(
    first: int, index: np.ndarray, outcomes: np.ndarray, names: tuple[str, ...], *, is_weighted: bool
) -> Block:
    failed, kind = outcomes["too_long"], outcomes["release"]
    numbers = [name for name, dtype in RESPONSES.items() if dtype != "str"]
    return Block(
        first=first,
        index=index,
        codes={
            # Narrow types, because a block may be sent to another process.
            "state": np.where(failed, -1, outcomes["state"]).astype(np.int16),
            "release": np.where(failed, -1, np.where(kind < 0, len(names), kind)).astype(np.int32),
            "verdict": np.where(failed, -1, outcomes["verdict"]).astype(np.int16),
            "status": failed.astype(np.int16),
            "stage": (failed - 1).astype(np.int16),
            "error": (failed - 1).astype(np.int16),
        },
        words={
            "state": STATES,
            "release": (*names, ""),
            "verdict": VERDICTS,
            "status": ("ok", "failed"),
            "stage": ("simulate",),
            "error": (f"SimulationError: {_TOO_LONG}",),
        },
        numbers={name: outcomes[name] for name in (*numbers, *((WEIGHT,) if is_weighted else ()))},
    )
