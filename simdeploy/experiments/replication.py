"""Replications of a scenario under several policies, one row each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from simdeploy.errors import raise_if_any
from simdeploy.experiments.allocation import read_worlds
from simdeploy.experiments.arguments import Progress, check_numbers, choose_policies
from simdeploy.experiments.by_kind import OF_ONE_SWEEP, RowsByKind, are_in_memory, sweep_kinds
from simdeploy.experiments.campaign import Campaign
from simdeploy.experiments.jobs import Executor
from simdeploy.experiments.kinds import kinds_of
from simdeploy.experiments.table import ROW_BYTES
from simdeploy.memory import USE_A_STORE, check_rows_fit
from simdeploy.scenario import PoliciesLike, ScenarioOrPath, as_scenario

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.result import SweepResult


def replicate(
    scenario: ScenarioOrPath,
    policies: PoliciesLike | None = None,
    *,
    strata: Literal["kinds"] | Mapping[str, int | range] | None = None,
    replications: int | range = 400,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> pd.DataFrame:
    """Replicate a scenario under several policies in the same worlds (common random numbers).

    Parameters
    ----------
    scenario : Scenario or path
        With a tilt (`Scenario.tilted`) the table has a `weight`, which every estimate must use.
    policies : str, path, mapping, spec or document, or several, optional
        Names of the scenario's policies, paths of policy files, or specs, optionally by name; default: all.
    strata : 'kinds' or mapping of str to int, optional
        Simulate each kind of release in its own worlds, because the kinds' probabilities are known; the `weight` of a row
        corrects for it. Either ``"kinds"``, which divides `replications` in proportion to the square roots of the kinds'
        probabilities, or the number of replications of each kind.
    replications : int or range, default 400
        Number of replications per policy, or a range of their numbers, to continue earlier ones.
    seed : int
        Determines every random number, together with the replication's number.
    engine : {'auto', 'compiled', 'reference'}
        Default: compiled if it is faster (`simdeploy.engines.choice.choose_engine`).
    executor : Executor, optional
        One of `simdeploy.experiments.executors`, instead of `workers` or `cluster`. None of the three changes the rows.
    workers : int, default 1
        Local cores to use.
    cluster : str, optional
        Address of a Dask scheduler, such as ``tcp://10.0.0.5:8786``.
    store : path-like, optional
        Folder in which to save every replication. Repeat the same call to resume.
    progress : bool or callable
        True writes a counter to standard error; a callable takes the numbers of finished and of all replications.

    Returns
    -------
    DataFrame
        One row per policy and replication: policies in the given order, replications ascending. Columns `scenario`, `policy`,
        `replication`, every response, and `status` ("ok" or "failed"), `stage` and `error`. A failed replication has no
        responses, but a stage ("simulate", or "worker" for a process that died) and an error. `attrs` has `scenario`, `seed`,
        `engine`, `switches`, and the scenario's `costs` and `requirements`.

    Raises
    ------
    InputError
        Before simulating, if an argument is invalid or the table doesn't fit in memory.
    SimulationError
        If no worker process can start, or the cluster can't be reached or is lost.

    Warns
    -----
    SimdeployWarning
        If a replication failed.

    Notes
    -----
    Memory: about 280 bytes per row, plus some tens of megabytes; `sweep` with a store doesn't keep the table in memory.

    Time: the sum over the runs, divided by the number of workers, plus their start (about a second for processes). Work is
    distributed in pieces of about a second (`cut_job`).

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
    scenario = as_scenario(scenario)
    numbers, seed = check_numbers(replications=replications, seed=seed, engine=engine)
    worlds = read_worlds(strata, kinds_of(scenario), replications)
    chosen, problems = choose_policies(scenario, policies)
    raise_if_any(problems)
    n = len(numbers) if worlds is None else sum(map(len, worlds.values()))
    check_rows_fit(len(chosen) * n, ROW_BYTES, hint=USE_A_STORE)
    parts = None if worlds is None else OF_ONE_SWEEP
    campaign = Campaign(seed, engine, executor, workers, cluster, store, progress, parts=parts)
    if worlds is None:
        result = campaign.sweep({scenario.name: scenario}, chosen, replications=numbers)
    else:
        campaign.expect(n * len(chosen), nodes=scenario.fleet.nodes)
        result = sweep_kinds(campaign, scenario, chosen, worlds)
    campaign.warn_of_failures()
    return to_replications(result)


def to_replications(result: SweepResult) -> pd.DataFrame:
    """Return the rows of a sweep that varies only the policy, as the table of `replicate`."""
    rows = result._rows  # noqa: SLF001 - of this package
    names = [name for name in result.columns if name != "case"]
    if not are_in_memory(rows):
        return result.to_frame(names)
    # The usual case, which needs no second table in memory.
    keys = {name: result.cases[name].tolist() for name in ("scenario", "policy")}
    if isinstance(rows, RowsByKind):
        table = rows.to_replications(names, keys)
    else:
        table = rows.to_outcomes(names).to_frame(keys)
    table.attrs.update(result.attrs)
    return table
