"""Many replications of one scenario under several policies: one row each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simdeploy import errors
from simdeploy.engines.choice import choose_engine
from simdeploy.errors import InputError, Problem, SimdeployWarning
from simdeploy.experiments.arguments import check_numbers
from simdeploy.experiments.cutting import cut_job, spans
from simdeploy.experiments.executors import choose_executor
from simdeploy.experiments.jobs import Executor, Group, Job
from simdeploy.experiments.progress import Progress, as_reporter
from simdeploy.experiments.table import ROW_BYTES, Outcomes, columns_of
from simdeploy.memory import USE_A_STORE, check_rows_fit

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.scenario import Scenario, ScenarioPolicy


def replicate(
    scenario: Scenario,
    *,
    policies: str | Sequence[str] | Mapping[str, Any] | None = None,
    replications: int | range,
    seed: int = 0,
    engine: str = "auto",
    workers: int = 1,
    cluster: str | None = None,
    executor: Executor | None = None,
    progress: bool | Progress = False,
) -> pd.DataFrame:
    """Replicate a scenario under several policies that all meet the same worlds (common random numbers).

    Parameters
    ----------
    scenario : Scenario
        Under a tilt (`Scenario.tilted`) the table has a `weight`, which every estimate must use.
    policies : str, sequence of str, or mapping, optional
        Names of the scenario's policies, or specs by the name that they are to have; all of the scenario's by default.
    replications : int or range
        How many of each policy, numbered from 0; or their numbers, to go on where others ended.
    seed : int
        With the replication's number it fixes every random number.
    engine : {'auto', 'compiled', 'reference'}
        By default the compiled one where it pays (:func:`~simdeploy.engines.choice.choose_engine`).
    workers : int
        How many cores of this machine work at it.
    cluster : str, optional
        Address of a Dask scheduler whose workers work at it, such as ``tcp://10.0.0.5:8786``.
    executor : Executor, optional
        Where it runs, instead of `workers` or `cluster`: one of `simdeploy.experiments.executors`. Neither of the three
        changes a value or the order of the rows.
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
        Before anything is simulated: if an argument makes no sense, or the table doesn't fit into memory.
    SimulationError
        If no worker process can be started; if the cluster can't be reached, or its scheduler goes away.

    Warns
    -----
    SimdeployWarning
        If a replication failed.

    Notes
    -----
    Memory holds the table once, about 280 bytes a row, and beside it some tens of megabytes whatever the number of
    replications; `sweep` with a store doesn't hold it at all.

    The cost is that of the single runs, divided by the workers once they have started (processes: about a second). They
    are told in pieces of about a second (`cut_job`).

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
    numbers = check_numbers(replications=replications, seed=seed, engine=engine)
    chosen = _choose(scenario, policies)
    engine = choose_engine(engine, node_updates=len(chosen) * len(numbers) * scenario.fleet.nodes)
    where = choose_executor(executor=executor, workers=workers, cluster=cluster, engine=engine)
    check_rows_fit(len(chosen) * len(numbers), ROW_BYTES, hint=USE_A_STORE)
    job = Job((Group(scenario, tuple(chosen.values())),), seed=seed, engine=engine)
    report = as_reporter(progress)
    n = len(numbers)
    columns = columns_of(is_weighted=scenario.tilt is not None)
    outcomes = Outcomes(len(chosen), n, first=numbers.start, columns=columns)
    n_done, n_rows = 0, len(chosen) * n
    pieces = spans(cut_job(job, n), job, n, first=numbers.start)
    with closing(where.run(job, pieces)) as finished:
        for span, block in finished:
            outcomes.put(span.policy, block)
            n_done += span.n_policies * span.n_replications
            if report is not None:
                report(n_done, n_rows)
    keys = {"scenario": [scenario.name] * len(chosen), "policy": list(chosen)}
    table = outcomes.to_frame(keys)
    table.attrs = {
        "scenario": scenario.name,
        "seed": seed,
        "engine": engine,
        "switches": scenario.orchestrator.switches(),
        **({} if scenario.tilt is None else {"tilt": scenario.tilt.factors}),
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
