"""Many values of many keys, in the same worlds: one row per case and replication."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError, Problem, SimdeployWarning
from simdeploy.experiments.arguments import check_numbers
from simdeploy.experiments.case_table import CaseTable
from simdeploy.experiments.cases import CaseMaker
from simdeploy.experiments.design import Design, check_number_of_cases, make_points
from simdeploy.experiments.executors import choose_executor
from simdeploy.experiments.levers import find_levers
from simdeploy.experiments.progress import Progress, as_reporter
from simdeploy.experiments.question import describe_surroundings, make_question
from simdeploy.experiments.result import SweepResult
from simdeploy.experiments.rows import Rows, count_failures
from simdeploy.experiments.store import read_store
from simdeploy.experiments.subjects import find_bases, name_policies, name_scenarios
from simdeploy.experiments.table import ROW_BYTES
from simdeploy.experiments.working import Work
from simdeploy.memory import USE_A_STORE, check_rows_fit

if TYPE_CHECKING:
    from simdeploy.api import DeploymentDocument, Spec
    from simdeploy.experiments.jobs import Executor
    from simdeploy.scenario import Scenario, ScenarioPolicy

    Policy = str | Mapping[str, Any] | Spec | DeploymentDocument | ScenarioPolicy


def sweep(
    scenario: Scenario | Sequence[Scenario] | Mapping[str, Scenario],
    policy: Policy | Sequence[Policy] | Mapping[str, Policy],
    *,
    vary: Mapping[str, Iterable[Any]] | None = None,
    design: Design = "grid",
    replications: int | range,
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
    scenario : Scenario, or several
        A sequence, or a mapping from the names that they are to have in the table.
    policy : str, mapping, spec or document, or several
        Of the scenario: a policy's name; or a spec. A sequence, or a mapping from the names that they are to have.
    vary : mapping of str to iterable, optional
        Values by key. A policy's key is its path in the spec (``health_check.max_error_rate``), a scenario's follows
        ``scenario.`` (``scenario.fleet.start_failure``); the end of a path will do where only one key ends like that.
        Values are as a file would have them; a number for a duration is seconds. May be left out if there are several
        scenarios or policies.
    design : {'grid', 'list'} or LatinHypercube, default 'grid'
        Every combination of values; the lists side by side, which must be equally long; or a number of points that are
        spread over ranges, given as a tuple of the lowest and the highest value, and over lists of choices.
    replications : int or range
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
    scenarios, policies = name_scenarios(scenario), name_policies(policy)
    bases = find_bases(scenarios, policies)
    asked = dict(vary or {})
    levers = find_levers(asked, list(scenarios.values()), [base.spec for base in bases.values()])
    if not levers and len(bases) == 1:
        allowed = "at least one key with its values, or several scenarios or policies"
        raise InputError(Problem("nothing to vary", ("vary",), allowed=allowed))
    points = make_points(levers, list(asked.values()), design, seed=seed)
    check_number_of_cases(len(bases) * len(points))
    if store is None:
        check_rows_fit(len(bases) * len(points) * len(numbers), ROW_BYTES, hint=USE_A_STORE)
    where = partial(choose_executor, executor=executor, workers=workers, cluster=cluster)
    where(engine=engine)  # refuses what makes no sense
    is_weighted = any(scenario.tilt is not None for scenario in scenarios.values())
    table = CaseTable(tuple(scenarios), tuple(policies), points, is_weighted=is_weighted)
    maker = CaseMaker(table, scenarios, bases, seed, engine)
    work = Work(maker, numbers, where, as_reporter(progress), is_stored=store is not None)
    for text in work.warnings:
        warnings.warn(SimdeployWarning(text), stacklevel=2)
    rows: Rows
    if store is None:
        rows, engine = work.in_memory()
    else:
        question = make_question(scenarios, bases, points, design, replications=numbers, seed=seed, engine=engine)
        notes, engine = work.into_store(store, question)
        for text in notes:
            warnings.warn(SimdeployWarning(f"{os.fspath(store)}: {text}"), stacklevel=2)
        rows = read_store(store)
    failures = count_failures(rows)
    if failures.number:
        n_rows = len(table) * len(numbers)
        text = f"{failures.number:,} of {n_rows:,} replications failed; the first: {failures.first}"
        warnings.warn(SimdeployWarning(text), stacklevel=2)
    return SweepResult(
        cases=table.to_frame(),
        factors=table.factors,
        scenarios=table.scenarios,
        policies=table.policies,
        replications=len(numbers),
        columns=table.row_columns,
        store=None if store is None else Path(store),
        attrs=describe_surroundings(scenarios, seed=seed, engine=engine),
        _rows=rows,
    )
