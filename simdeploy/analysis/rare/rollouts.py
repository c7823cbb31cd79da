"""Rollouts as a process that can be split, and the choice of levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from simdeploy.analysis.rare.events import list_columns, look_for
from simdeploy.engines.branching import Branches, run_branches
from simdeploy.experiments.gathering import Gathered
from simdeploy.experiments.table import Outcomes
from simdeploy.statistics.splitting import Stage

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.scenario.measures import Event

# Columns of a stage's values: whether the event happened, and whether its condition held; both for known rollouts.
HAPPENED, CONCERNED, TOUCHED, UNKNOWN, HEIGHT = range(5)

# About this fraction of the trajectories from one level should reach the next.
_SHARE = 0.2
_MOST_LEVELS = 60
_OFTEN = 0.1


class _Entrances(NamedTuple):
    branches: Branches
    kept: np.ndarray


@dataclass(frozen=True)
class Rollouts:
    """The rollouts of a policy, by the number of failed or of exposed nodes."""

    scenario: Scenario
    policy: ScenarioPolicy
    event: Event
    counts: Literal["failed_nodes", "peak_exposed_nodes"]
    seed: int
    engine: str

    def start(self, numbers: np.ndarray, level: int | None) -> Stage:
        """Run replications from the start."""
        return self._run(Branches.start(numbers, self.scenario.fleet.nodes, self.counts), level)

    def resume(self, stage: Stage, parents: np.ndarray, numbers: np.ndarray, level: int | None) -> Stage:
        """Run replications that branch off some of a stage."""
        before: _Entrances = stage.entrances
        return self._run(before.branches.branch(parents, before.kept, numbers), level)

    def _run(self, branches: Branches, level: int | None) -> Stage:
        # No trajectory reaches a level beyond the fleet.
        branches = branches.towards(self.scenario.fleet.nodes + 1 if level is None else level)
        import pandas as pd

        block, kept, reached = run_branches(self.scenario, self.policy, branches, seed=self.seed, engine=self.engine)
        columns = [*list_columns(self.event), self.counts, "status"]
        outcomes = Outcomes(*block.index.shape, first=block.first, columns=columns)
        outcomes.put(0, block)
        cases = pd.DataFrame({"policy": [self.policy.name]})
        met = look_for(self.event, Gathered(cases, outcomes, outcomes.replications, None), self.scenario)
        height = np.nan_to_num(outcomes.numbers(self.counts)[0])
        values = np.column_stack([met.happened, met.concerned, met.touched, ~met.is_known, height])
        return Stage(reached, values, _Entrances(branches, kept))


def choose_levels(process: Rollouts, *, effort: int, first: int) -> tuple[list[int], int]:
    """Choose levels in a separate run, such that about a fifth of the trajectories from each reach the next.

    Each stage has `effort` trajectories, numbered from `first`. The last level is where the event happens in a tenth of
    them, or no trajectory gets further. Also returns the number of rollouts.
    """
    levels: list[int] = []
    numbers = np.arange(effort, dtype=np.int64) + first
    stage = process.start(numbers, None)
    used = effort
    while len(levels) < _MOST_LEVELS and stage.values[:, HAPPENED].mean() < _OFTEN:
        level = _next_level(stage.values[:, HEIGHT], levels)
        if level is None:
            break
        # Rerun the same trajectories to find where they reach it; they behave identically.
        branches = stage.entrances.branches
        stage = process._run(branches, level)  # noqa: SLF001 - of this module
        used += effort
        levels.append(level)
        entrances = np.flatnonzero(stage.reached)
        if not len(entrances):
            levels.pop()
            break
        parents = np.resize(entrances, effort)
        stage = process.resume(stage, parents, numbers + len(levels) * effort, None)
        used += effort
    return levels, used


def _next_level(heights: np.ndarray, levels: Sequence[int]) -> int | None:
    """Return the highest level that enough trajectories reach; otherwise the next one above the last, if any reach it."""
    last = levels[-1] if levels else 0
    high = int(np.sort(heights)[-max(int(len(heights) * _SHARE), 1)])
    if high > last:
        return high
    return last + 1 if heights.max() > last else None
