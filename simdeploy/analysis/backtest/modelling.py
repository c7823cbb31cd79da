"""Estimates between the bounds: what is not on record is drawn from a calibration of the records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.analysis.backtest.bounding import RESPONSES, measure
from simdeploy.engines.replay import KnownRollout, Modeller, replay
from simdeploy.experiments.items import Items, make_items
from simdeploy.rules.deployment_types import TYPES

if TYPE_CHECKING:
    from simdeploy.engines.replay.knowing import RunBy
    from simdeploy.experiments.arguments import Progress
    from simdeploy.experiments.jobs import Executor
    from simdeploy.scenario import Scenario

_DRAWS_AT_ONCE = 20  # which take less than about a second


class Open(NamedTuple):
    """A rollout under a policy, of which something is not on record."""

    rollout: str  # its name
    number: int  # of the rollout; the same draws of unknown nodes are used for all policies
    known: KnownRollout
    run_by: RunBy


@dataclass(frozen=True)
class _Draws(Items[list[float]]):
    """Draws of what is not on record: a group for each rollout under a policy."""

    cases: Sequence[Open]
    scenario: Scenario  # fitted to all records
    n: int  # draws in each group
    seed: int
    # The model of the last rollout, which the next draw usually needs, too.
    _modeller: dict[int, Modeller] = field(default_factory=dict, init=False, repr=False, compare=False)

    def make(self, group: int, number: int) -> list[float]:
        """Return the responses of a draw."""
        case = self.cases[group]
        modeller = self._modeller.get(case.number)
        if modeller is None:
            kinds = self.scenario.release if TYPES[case.known.type_name].releases else ()
            modeller = Modeller(case.known, self.scenario.fleet, kinds, self.scenario.operator)
            self._modeller.clear()
            self._modeller[case.number] = modeller
        model = modeller.draw(self.seed, case.number * self.n + number)
        values = measure(replay(case.known, case.run_by.policy, case.run_by.orchestrator, model).recording)
        return [values[name] for name in RESPONSES]

    def name(self, group: int, number: int) -> str:  # noqa: ARG002
        """Name the rollout."""
        return f"a draw for rollout {self.cases[group].rollout}"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the model, which another process makes for itself."""
        return {**self.__dict__, "_modeller": {}}


def estimate(
    cases: Sequence[Open], scenario: Scenario, n: int, *, seed: int, executor: Executor, report: Progress | None
) -> list[dict[str, float]]:
    """Return the mean of each response of each case, over `n` draws of what is not on record."""
    work = _Draws(cases, scenario, n, seed)
    drawn = make_items(work, len(cases), range(n), executor, report, at_once=_DRAWS_AT_ONCE)
    return [dict(zip(RESPONSES, np.mean(of_case, axis=0).tolist(), strict=True)) for of_case in drawn]
