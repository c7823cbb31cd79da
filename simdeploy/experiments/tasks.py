"""One piece of work and its row: a replication of a policy, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

Row = dict[str, Any]
Progress = Callable[[int, int], None]


class Task(NamedTuple):
    """Which replication of which policy."""

    policy: str
    replication: int


@dataclass(frozen=True)
class Experiment:
    """What every task of one call has in common.

    Attributes
    ----------
    scenario : Scenario
    policies : mapping of str to ScenarioPolicy
        Those that are replicated, under the names of the table.
    seed : int
    engine : str
    """

    scenario: Scenario
    policies: Mapping[str, ScenarioPolicy]
    seed: int
    engine: str

    def run_task(self, task: Task) -> Row:
        """Carry out one replication; an exception becomes a row, so that it costs no other one."""
        from simdeploy.engines import simulate

        try:
            policy = self.policies[task.policy]
            rollout = simulate(self.scenario, policy, seed=self.seed, replication=task.replication, engine=self.engine)
            return {**self._keys(task), **rollout.response_values, "status": "ok"}
        except Exception as error:  # noqa: BLE001 - whatever it is, the other replications go on
            return self.failed_row(task, "simulate", f"{type(error).__name__}: {error}")

    def failed_row(self, task: Task, stage: str, error: str) -> Row:
        """Return the row of a task that came to nothing; its responses are missing."""
        return {**self._keys(task), "status": "failed", "stage": stage, "error": " ".join(error.split())}

    def _keys(self, task: Task) -> Row:
        return {"scenario": self.scenario.name, **task._asdict()}
