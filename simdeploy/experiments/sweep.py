"""Sweeps: many values of many keys in the same worlds, one row per case and replication."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from simdeploy.errors import InputError, Problem
from simdeploy.experiments.allocation import read_worlds
from simdeploy.experiments.arguments import Progress, check_numbers, find_bases, name_scenarios, name_swept
from simdeploy.experiments.by_kind import OF_ONE_SWEEP, kinds_of_sweep, sweep_kinds
from simdeploy.experiments.campaign import Campaign
from simdeploy.experiments.design import Design, keep_values
from simdeploy.experiments.result import SweepResult
from simdeploy.scenario import PoliciesLike, ScenarioOrPath

if TYPE_CHECKING:
    from simdeploy.experiments.jobs import Executor


def sweep(
    scenario: ScenarioOrPath | Sequence[ScenarioOrPath] | Mapping[str, ScenarioOrPath],
    policies: PoliciesLike | None = None,
    *,
    vary: Mapping[str, Iterable[Any]] | None = None,
    design: Design = "grid",
    strata: Literal["kinds"] | Mapping[str, int | range] | None = None,
    replications: int | range = 400,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> SweepResult:
    """Replicate every scenario under every policy with every combination of values, in the same worlds.

    Parameters
    ----------
    scenario : Scenario or path, or several
        A sequence, or a mapping from names in the table.
    policies : str, path, mapping, spec or document, or several, optional
        Names of the scenario's policies, paths of policy files, or specs; a sequence, or a mapping from names in the table. By
        default the first policy of the scenario, or of the first scenario.
    vary : mapping of str to iterable, optional
        Values by key. A policy's key is its path in the spec (``health_check.max_error_rate``), a scenario's starts with
        ``scenario.`` (``scenario.fleet.start_failure``); an unambiguous end of a path suffices. Values are as in a file; a
        number for a duration is seconds. Optional with several scenarios or policies.
    design : {'grid', 'list'} or LatinHypercube, default 'grid'
        Every combination of values; lists of equal length side by side; or points spread over ranges, given as a tuple (lowest,
        highest), and lists of choices.
    strata : 'kinds' or mapping of str to int, optional
        Simulate each kind of release of the scenario in its own worlds, as for `replicate`.
    replications : int or range, default 400
        Number of replications per case, or a range of their numbers, to continue earlier ones.
    seed : int, default 0
        Determines every random number, together with the replication's number, and the points of a Latin hypercube.
    engine : {'auto', 'compiled', 'reference'}
        Both engines give the same numbers; ``auto`` chooses the faster.
    executor : Executor, optional
        One of `simdeploy.experiments.executors`, instead of `workers` or `cluster`.
    workers : int, default 1
        Local cores to use.
    cluster : str, optional
        Address of a Dask scheduler, such as ``tcp://10.0.0.5:8786``.
    store : path-like, optional
        Folder for the rows, which then are not kept in memory. Repeat the same call to resume.
    progress : bool or callable, default False
        True writes a counter to standard error; a callable takes the numbers of finished replications (initially those in the
        store) and of all.

    Returns
    -------
    SweepResult

    Raises
    ------
    InputError
        Raised before simulating: lists all invalid values, unknown keys and invalid arguments; or if the folder belongs to
        another question.
    SimulationError
        If no worker process can start, or the cluster can't be reached or is lost.
    StoreError
        If another call is writing to the folder, or it is not writable.

    Warns
    -----
    SimdeployWarning
        For valid values that are probably mistakes, for damage in the folder, and for failed replications.

    Notes
    -----
    Case, seed and replication determine every number; design, engine, executor, store and other cases do not matter. Equal
    cases are simulated once. Policies of one scenario are simulated together, and share what doesn't depend on the policy.

    Checks take about 0.1 ms per case, and 0.5 ms per combination of scenario values. With a store and more than 20,000
    cases, about 10,000 are checked first and the rest during simulation; invalid ones become failed rows with stage "check".

    Examples
    --------
    >>> from simdeploy.experiments import sweep
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "policies": {"waves": {"strategy": "rolling", "health_check": {"deadline": "5m"}}},
    ... })
    >>> vary = {"max_parallel": [1, 2], "min_healthy_time": ["10s", "20s"]}
    >>> result = sweep(scenario, "waves", vary=vary, replications=1, engine="reference")
    >>> result.to_frame(["max_parallel", "health_check.min_healthy_time", "makespan_s"])
       max_parallel  health_check.min_healthy_time  makespan_s
    0             1                           10.0       140.0
    1             1                           20.0       160.0
    2             2                           10.0        70.0
    3             2                           20.0        80.0
    """
    numbers, seed = check_numbers(replications=replications, seed=seed, engine=engine)
    scenarios = name_scenarios(scenario)
    named = name_swept(scenarios, policies)
    if not vary and len(scenarios) * len(named) == 1:
        find_bases(scenarios, named)  # raises for unknown policies
        allowed = "a key with values, or several scenarios or policies"
        raise InputError(Problem("nothing to vary", ("vary",), allowed=allowed))
    if strata is not None and len(scenarios) > 1:
        allowed = "a single scenario, whose kinds of release all cases share"
        raise InputError(Problem("can't divide several scenarios", ("strata",), allowed=allowed))
    values = keep_values(vary)
    worlds = None
    if strata is not None:
        first = next(iter(scenarios.values()))
        kinds = kinds_of_sweep(first, named, vary=values, design=design, seed=seed)
        if kinds is None:
            hint = "simulate without `strata`"
            raise InputError(Problem("the cases have different kinds of release", ("strata",), hint=hint))
        worlds = read_worlds(strata, kinds, replications)
    parts = None if worlds is None else OF_ONE_SWEEP
    campaign = Campaign(
        seed, engine, executor, workers, cluster, store, progress, parts=parts, warns_of_suspicions=True
    )
    if worlds is None:
        result = campaign.sweep(scenarios, named, vary=values, design=design, replications=numbers)
    else:
        result = sweep_kinds(campaign, next(iter(scenarios.values())), named, worlds, vary=values, design=design)
    campaign.warn_of_failures()
    return result
