"""Many values of many keys, in the same worlds: one row per case and replication."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError, Problem
from simdeploy.experiments.arguments import Progress, check_numbers, find_bases, name_policies, name_scenarios
from simdeploy.experiments.campaign import Campaign
from simdeploy.experiments.design import Design
from simdeploy.experiments.result import SweepResult
from simdeploy.renaming import renamed
from simdeploy.scenario import ScenarioOrPath

if TYPE_CHECKING:
    from simdeploy.api import DeploymentDocument, Spec
    from simdeploy.experiments.jobs import Executor
    from simdeploy.scenario import ScenarioPolicy

    Policy = str | Mapping[str, Any] | Spec | DeploymentDocument | ScenarioPolicy


@renamed(policy="policies")
def sweep(
    scenario: ScenarioOrPath | Sequence[ScenarioOrPath] | Mapping[str, ScenarioOrPath],
    policies: Policy | Sequence[Policy] | Mapping[str, Policy],
    *,
    vary: Mapping[str, Iterable[Any]] | None = None,
    design: Design = "grid",
    replications: int | range = 100,
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
        A sequence, or a mapping from the names that they are to have in the table.
    policies : str, mapping, spec or document, or several
        Of the scenario: a policy's name; or a spec. A sequence, or a mapping from the names that they are to have.
    vary : mapping of str to iterable, optional
        Values by key. A policy's key is its path in the spec (``health_check.max_error_rate``), a scenario's follows
        ``scenario.`` (``scenario.fleet.start_failure``); the end of a path will do where only one key ends like that.
        Values are as a file would have them; a number for a duration is seconds. May be left out if there are several
        scenarios or policies.
    design : {'grid', 'list'} or LatinHypercube, default 'grid'
        Every combination of values; the lists side by side, which must be equally long; or a number of points that are
        spread over ranges, given as a tuple of the lowest and the highest value, and over lists of choices.
    replications : int or range, default 100
        How many of each case, numbered from 0; or their numbers, to go on where others ended.
    seed : int, default 0
        With the replication's number it fixes every random number; also the points of a Latin hypercube.
    engine : {'auto', 'compiled', 'reference'}
        Both engines give the same numbers; ``auto`` is the one that is done sooner.
    executor : Executor, optional
        Where it runs, instead of `workers` or `cluster`: one of `simdeploy.experiments.executors`.
    workers : int, default 1
        How many cores of this machine work at it.
    cluster : str, optional
        Address of a Dask scheduler whose workers work at it, such as ``tcp://10.0.0.5:8786``.
    store : path-like, optional
        A folder for the rows, which then aren't kept in memory. The same call again goes on where an earlier one
        ended, however it ended.
    progress : bool or callable, default False
        True writes a counter to standard error; a callable is given the number of finished replications and of all, at
        first those that the store had.

    Returns
    -------
    SweepResult

    Raises
    ------
    InputError
        Before anything is simulated: with every value that its key can't have, every key that isn't there, and every
        other argument that makes no sense; or if the folder belongs to another question.
    SimulationError
        If no worker process can be started; if the cluster can't be reached, or its scheduler goes away.
    StoreError
        If another call writes to the folder, or it can't be written to.

    Warns
    -----
    SimdeployWarning
        For values that are legal but probably not meant, for what was amiss in the folder, and if a replication failed.

    Notes
    -----
    Case and replication fix every number; design, engine, executor, store and what else is tried do not matter. Cases
    that mean the same are simulated once. Policies on one scenario are simulated together: an engine shares among them
    what doesn't depend on the policy.

    Checking costs about a tenth of a millisecond per case, and half of one per combination of the scenario's values. Of
    more than 20,000 cases that go into a store, some 10,000 are checked at first; the others when their turn comes, and
    those that can't be simulated become failed rows with stage "check".

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
    numbers = check_numbers(replications=replications, seed=seed, engine=engine)
    scenarios, named = name_scenarios(scenario), name_policies(policies)
    if not vary and len(scenarios) * len(named) == 1:
        find_bases(scenarios, named)  # refuses a policy that there isn't
        allowed = "a key with values, or several scenarios or policies"
        raise InputError(Problem("nothing to vary", ("vary",), allowed=allowed))
    campaign = Campaign(
        seed=seed,
        engine=engine,
        executor=executor,
        workers=workers,
        cluster=cluster,
        store=store,
        progress=progress,
        tells_suspicions=True,
    )
    result = campaign.sweep(scenarios, named, vary=vary, design=design, replications=numbers)
    campaign.tell_failures()
    return result
