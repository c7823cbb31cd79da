"""Many values of many keys, in the same worlds: one row per case and replication."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simdeploy.engines.choice import choose_engine
from simdeploy.errors import InputError, Problem, SimdeployWarning
from simdeploy.experiments.arguments import check_numbers
from simdeploy.experiments.cases import Cases, make_cases
from simdeploy.experiments.cutting import cut_job, spans
from simdeploy.experiments.design import Design, check_number_of_cases, make_points
from simdeploy.experiments.executors import choose_executor
from simdeploy.experiments.levers import find_levers
from simdeploy.experiments.parts import Parts, count_rows, cut_parts
from simdeploy.experiments.progress import Progress, as_reporter
from simdeploy.experiments.question import describe_surroundings, make_question
from simdeploy.experiments.result import SweepResult
from simdeploy.experiments.rows import Rows, RowsInMemory, count_failures
from simdeploy.experiments.store import Store, read_store
from simdeploy.experiments.subjects import find_bases, name_policies, name_scenarios
from simdeploy.experiments.table import ROW_BYTES
from simdeploy.memory import USE_A_STORE, check_rows_fit

if TYPE_CHECKING:
    from simdeploy.api import DeploymentDocument, Spec
    from simdeploy.engines.block import Block
    from simdeploy.experiments.jobs import Executor, Span
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

    Checking costs about a tenth of a millisecond per case, and half of one per combination of the scenario's values.

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
    cases = make_cases(scenarios, list(policies), bases, points, seed=seed, engine=engine)
    for text in cases.warnings:
        warnings.warn(SimdeployWarning(text), stacklevel=2)
    run = _Run(cases, numbers, where, as_reporter(progress))
    if store is None:
        run = run.with_engine(run.choose_engine())
        rows: Rows = RowsInMemory(cases, run.collect())
    else:
        question = make_question(scenarios, bases, points, design, replications=numbers, seed=seed, engine=engine)
        run, notes = run.write(store, question)
        for text in notes:
            warnings.warn(SimdeployWarning(f"{os.fspath(store)}: {text}"), stacklevel=2)
        rows = read_store(store)
    failures = count_failures(rows)
    if failures.number:
        n_rows = len(cases) * len(numbers)
        text = f"{failures.number:,} of {n_rows:,} replications failed; the first: {failures.first}"
        warnings.warn(SimdeployWarning(text), stacklevel=2)
    return SweepResult(
        cases=cases.to_frame(),
        factors=cases.factors,
        scenarios=cases.scenarios,
        policies=cases.policies,
        replications=len(numbers),
        columns=cases.row_columns,
        store=None if store is None else Path(store),
        attrs=describe_surroundings(scenarios, seed=seed, engine=run.cases.job.engine),
        _rows=rows,
    )


@dataclass(frozen=True)
class _Run:
    """The work of one call.

    Attributes
    ----------
    cases : Cases
    replications : range
    where : callable
        Returns the executor for an engine.
    report : callable or None
    """

    cases: Cases
    replications: range
    where: Callable[..., Executor]
    report: Progress | None

    def choose_engine(self) -> str:
        """Return the engine that suits the size of the work, if nobody chose one."""
        groups = self.cases.job.groups
        node_updates = len(self.replications) * sum(
            len(group.policies) * group.scenario.fleet.nodes for group in groups
        )
        return choose_engine(self.cases.job.engine, node_updates=node_updates)

    def with_engine(self, engine: str) -> _Run:
        """Return the same work, done by an engine."""
        return replace(self, cases=replace(self.cases, job=replace(self.cases.job, engine=engine)))

    def collect(self) -> list[tuple[Span, Block]]:
        """Simulate everything and return the blocks in the order of the spans."""
        job = self.cases.job
        n = len(self.replications)
        pieces = spans(cut_job(job, n), job, n, first=self.replications.start)
        with closing(self.simulate(pieces, n_done=0)) as blocks:
            return sorted(blocks, key=itemgetter(0))

    def write(self, path: str | os.PathLike[str], question: Mapping[str, Any]) -> tuple[_Run, tuple[str, ...]]:
        """Simulate what a folder doesn't have; return the work as it was done, and what the user should be told."""
        with Store.open(path, question=question, make_cut=self._cut) as store:
            run = self.with_engine(store.cut["engine"])  # that of the first call, which another one might not choose
            parts = Parts(run.cases, len(self.replications), store.cut, self.replications.start)
            n_done = parts.n_rows(store.finished)
            with closing(parts.gather(store.finished, partial(run.simulate, n_done=n_done))) as gathered:
                for number, rows in gathered:
                    store.write(number, rows)
            store.finish(parts.number)
            return run, tuple(store.notes)

    def _cut(self) -> dict[str, Any]:
        return cut_parts(self.with_engine(self.choose_engine()).cases, len(self.replications))

    def simulate(self, pieces: Iterator[Span], *, n_done: int) -> Generator[tuple[Span, Block], None, None]:
        """Yield each span with its block, in any order."""
        n_rows = len(self.cases) * len(self.replications)
        self._tell(n_done, n_rows)
        if n_done == n_rows:
            return
        executor = self.where(engine=self.cases.job.engine)
        with closing(executor.run(self.cases.job, pieces)) as finished:
            for span, block in finished:
                yield span, block
                n_done += count_rows(self.cases, span)
                self._tell(n_done, n_rows)

    def _tell(self, n_done: int, n_rows: int) -> None:
        if self.report is not None:
            self.report(n_done, n_rows)
