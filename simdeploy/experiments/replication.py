"""Many replications of one scenario under several policies: one row each."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simdeploy import errors
from simdeploy.engines import ENGINES
from simdeploy.errors import InputError, Problem, SimdeployWarning
from simdeploy.experiments.table import rows_to_frame
from simdeploy.experiments.tasks import Experiment, Progress, Row, Task
from simdeploy.experiments.workers import run_on_workers

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.scenario import Scenario, ScenarioPolicy

_MOST_REPLICATIONS = 1 << 32  # a replication's number is one 32-bit word of the generator's counter


def replicate(
    scenario: Scenario,
    *,
    policies: str | Sequence[str] | Mapping[str, Any] | None = None,
    replications: int,
    seed: int = 0,
    engine: str = "reference",
    workers: int = 1,
    progress: bool | Progress = False,
) -> pd.DataFrame:
    """Replicate a scenario under several policies that all meet the same worlds (common random numbers).

    Parameters
    ----------
    scenario : Scenario
    policies : str, sequence of str, or mapping, optional
        Names of the scenario's policies, or specs by the name that they are to have; all of the scenario's by default.
    replications : int
        How many of each policy, numbered from 0.
    seed : int
        With the replication's number it fixes every random number.
    engine : str
    workers : int
        Processes. Their number changes neither a value nor the order of the rows.
    progress : bool or callable
        True writes a counter to standard error; a callable is given the number of finished replications and of all.

    Returns
    -------
    DataFrame
        One row per policy and replication: policies in the order asked for, replications ascending. Columns
        `scenario`, `policy`, `replication`, every response, and `status` ("ok" or "failed"), `stage` and `error`. A
        replication that failed is a row without responses that says at which stage ("simulate", or "worker" for a
        process that died) and why. `attrs` says what it was computed under: `scenario`, `seed`, `engine`, `switches`.

    Raises
    ------
    InputError
        If an argument makes no sense.
    SimulationError
        If no worker process can be started.

    Warns
    -----
    SimdeployWarning
        If a replication failed.

    Notes
    -----
    The cost is that of the single runs, divided by the workers once they have started (about a second).

    Examples
    --------
    >>> from simdeploy.experiments import replicate
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "policies": {"all-at-once": {"strategy": "immediate"}},
    ... })
    >>> table = replicate(scenario, replications=2)
    >>> table[["policy", "replication", "verdict", "makespan_s"]]
            policy  replication         verdict  makespan_s
    0  all-at-once            0  completed_good        60.0
    1  all-at-once            1  completed_good        60.0
    """
    _check(replications=replications, seed=seed, engine=engine, workers=workers)
    chosen = _choose(scenario, policies)
    experiment = Experiment(scenario=scenario, policies=chosen, seed=seed, engine=engine)
    tasks = [Task(policy, number) for policy in chosen for number in range(replications)]
    report = _write_counter if progress is True else progress or None
    if workers > 1:
        rows = run_on_workers(experiment, tasks, workers=workers, progress=report)
    else:
        rows = _run_here(experiment, tasks, report)
    table = rows_to_frame(rows)
    table.attrs = {
        "scenario": scenario.name,
        "seed": seed,
        "engine": engine,
        "switches": scenario.orchestrator.switches(),
    }
    n_failed = int(table["status"].eq("failed").sum())
    if n_failed:
        first = table.loc[table["status"].eq("failed")].iloc[0]
        warnings.warn(
            f"{n_failed} of {len(table)} replications failed; the first: policy {first['policy']}, "
            f"replication {first['replication']}, {first['stage']}: {first['error']}",
            SimdeployWarning,
            stacklevel=2,
        )
    return table


def _run_here(experiment: Experiment, tasks: Sequence[Task], progress: Progress | None) -> list[Row]:
    rows = []
    for task in tasks:
        rows.append(experiment.run_task(task))
        if progress is not None:
            progress(len(rows), len(tasks))
    return rows


def _choose(scenario: Scenario, policies: str | Sequence[str] | Mapping[str, Any] | None) -> dict[str, ScenarioPolicy]:
    """Return the policies that are asked for, under the names that are asked for."""
    if policies is None:
        return dict(scenario.policies)
    if isinstance(policies, str):
        policies = [policies]
    asked = dict(policies) if isinstance(policies, Mapping) else {name: name for name in policies}
    problems = [] if asked else [Problem("no policy to replicate", path=("policies",))]
    if len(asked) < len(policies):
        problems.append(Problem("a policy is named twice", path=("policies",), found=errors.shorten(list(policies))))
    chosen = {}
    for name, wanted in asked.items():
        try:
            chosen[name] = replace(scenario.policy(wanted), name=name)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return chosen


def _check(*, replications: object, seed: object, engine: object, workers: object) -> None:
    problems = [
        Problem(
            "not a whole number in its range", path=(name,), found=errors.shorten(value), allowed=f"{low} to {high}"
        )
        for name, value, low, high in (
            ("replications", replications, 1, _MOST_REPLICATIONS),
            ("seed", seed, 0, (1 << 64) - 1),
            ("workers", workers, 1, 1024),
        )
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high
    ]
    if engine not in ENGINES:
        hint = errors.nearest(engine, ENGINES)
        problems.append(
            Problem(
                "unknown engine", path=("engine",), found=errors.shorten(engine), allowed=", ".join(ENGINES), hint=hint
            )
        )
    if problems:
        raise InputError(problems)


def _write_counter(done: int, total: int) -> None:
    sys.stderr.write(f"\r{done} of {total} replications" + ("\n" if done == total else ""))
    sys.stderr.flush()
