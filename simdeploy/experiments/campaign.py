"""All sweeps of one question, with a common folder, progress and failure warning."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError, Problem, plural, shorten, warn_user
from simdeploy.experiments.arguments import Bases, Progress, as_reporter, find_bases
from simdeploy.experiments.case_table import CaseTable
from simdeploy.experiments.cases import CaseMaker, Shared
from simdeploy.experiments.design import Design, LatinHypercube, Points, check_number_of_cases, make_points
from simdeploy.experiments.executors import choose_executor
from simdeploy.experiments.kinds import find_kinds
from simdeploy.experiments.levers import find_levers, own_identity
from simdeploy.experiments.result import SweepResult
from simdeploy.experiments.rows import Rows, count_failures
from simdeploy.experiments.store import place_within, read_store
from simdeploy.experiments.store.folder import Folder
from simdeploy.experiments.store.manifest import KNOWN
from simdeploy.experiments.table import ROW_BYTES
from simdeploy.experiments.working import Work
from simdeploy.memory import USE_A_STORE, check_rows_fit
from simdeploy.result import OF_ANALYSES
from simdeploy.scenario.past_rollouts import choose_histories

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.jobs import Executor
    from simdeploy.scenario import Scenario

# Sections of a scenario that don't affect rows; the policies to simulate are recorded separately.
_IRRELEVANT_SECTIONS = ("description", "policies", *OF_ANALYSES)


class Campaign:
    """The sweeps of one question.

    Every call that simulates many rollouts is a campaign of one or more sweeps, which may depend on earlier ones. Its
    arguments are the last ones of every such call, in their order; progress counts the rollouts of all sweeps. `parts` is
    a regular expression for the sweeps' folder names in the store; by default the store is that of the only sweep. With
    `warns_of_suspicions` it warns of valid values that are probably mistakes; damaged stores always cause a warning.
    `n_done` and `n_failed` count the rollouts of all sweeps so far. Raises `InputError` for invalid arguments, and for
    a folder with other contents.

    Examples
    --------
    >>> from simdeploy import load_example
    >>> scenario = load_example("small-fleet")
    >>> heard = []
    >>> campaign = Campaign(seed=0, engine="reference", progress=lambda *done: heard.append(done))
    >>> results = [campaign.sweep({"small": scenario}, scenario.policies, replications=range(n, n + 2)) for n in (0, 2)]
    >>> heard[0], heard[-1], campaign.n_failed, campaign.engine
    ((0, 6), (12, 12), 0, 'reference')
    """

    def __init__(
        self,
        seed: int,
        engine: str = "auto",
        executor: Executor | None = None,
        workers: int = 1,
        cluster: str | None = None,
        store: str | os.PathLike[str] | None = None,
        progress: bool | Progress = False,
        *,
        parts: str | None = None,
        warns_of_suspicions: bool = False,
    ) -> None:
        self.seed = seed
        if not isinstance(store, str | os.PathLike | None):
            raise InputError(Problem("not the path of a folder", ("store",), found=shorten(store)))
        self.store = None if store is None else Path(store)
        self.n_done = self.n_failed = 0
        self._engine = engine
        self._where = partial(choose_executor, executor=executor, workers=workers, cluster=cluster)
        self._where(engine=engine)  # refuses invalid combinations
        self._report = as_reporter(progress)
        self._warns_of_suspicions = warns_of_suspicions
        self._n_expected = self._node_updates = 0
        self._engines: dict[str, None] = {}
        self._warned: set[str] = set()
        self._first_failure = ""
        self._firsts: dict[str | None, int] = {}  # the first replication of each kind of release
        # Whether all rollouts on record, or all of a kind of release, were used, and whether any was used again.
        self.has_used_records = self.has_repeated_records = False
        if self.store is not None and parts is not None:
            _check_folder(self.store, parts)

    @property
    def engine(self) -> str:
        """The engine used: possibly both with a store, "none" if nothing was simulated."""
        return " and ".join(self._engines) or "none"

    def executor(self, engine: str) -> Executor:
        """Return the executor for an engine."""
        return self._where(engine=engine)

    def expect(self, n_rollouts: int, *, nodes: int) -> None:
        """Set the total amount of work, for progress and the choice of the engine."""
        self._n_expected = n_rollouts
        if self.store is None:  # a store fixes the engine for all calls
            self._node_updates = n_rollouts * nodes

    def sweep(
        self,
        scenarios: Mapping[str, Scenario],
        policies: Mapping[str, Any],
        *,
        part: str | None = None,
        vary: Mapping[str, Iterable[Any]] | None = None,
        design: Design = "grid",
        replications: range,
        shared: Shared | None = None,
        worlds: Mapping[str, range] | None = None,
        n_planned: int | None = None,
    ) -> SweepResult:
        """Simulate a sweep of scenarios and policies by their names in the table; `part` is its folder in the store.

        `shared` has what sweeps of the same cases in other worlds have in common. `worlds` are the worlds of all kinds of
        release that are simulated for the same part, and `n_planned` is the number of all worlds if that part is a pilot.
        """
        bases = find_bases(scenarios, policies)
        asked = dict(vary or {})
        shared = Shared() if shared is None else shared
        if shared.points is None:
            levers = find_levers(asked, list(scenarios.values()), [base.spec for base in bases.values()])
            shared.points = make_points(levers, list(asked.values()), design, seed=self.seed)
        points = shared.points
        check_number_of_cases(len(bases) * len(points))
        n_rows = len(bases) * len(points) * len(replications)
        if self.store is None:
            check_rows_fit(n_rows, ROW_BYTES, hint=USE_A_STORE)
        is_weighted = any(scenario.tilt is not None for scenario in scenarios.values())
        table = CaseTable(tuple(scenarios), tuple(policies), points, is_weighted=is_weighted)
        maker = CaseMaker(table, scenarios, bases, self.seed, self._engine, shared)
        work = Work(
            maker,
            replications,
            self._where,
            self.report,
            is_stored=self.store is not None,
            node_updates=self._node_updates,
        )
        if self._warns_of_suspicions:
            self._warn(*work.warnings)
        self._warn(*self._find_repetitions(scenarios.values(), replications))
        scenario = next(iter(scenarios.values()))
        is_of_kind = any(kind.name == scenario.kind for kind in scenario.release)
        stopped = maker.find_stop_chances() if is_of_kind else None
        if shared.cases is None or shared.release is None:
            shared.cases = table.to_frame()
            shared.release = _describe_release(scenarios, shared.cases)
        release = shared.release
        rows: Rows
        folder = self.store if part is None else place_within(self.store, part)
        if folder is None:
            rows, engine = work.in_memory()
        else:
            how: dict[str, Any] = {"replications": replications, "seed": self.seed, "engine": self._engine}
            question = make_question(scenarios, bases, points, design, **how)
            if stopped is not None:
                # Needed to read the folders of all kinds as one table, and to resume with the same division.
                question |= release
                question |= {KNOWN: [None if math.isnan(p) else p for p in stopped.tolist()]}
                question |= {"worlds": {kind: [of.start, of.stop] for kind, of in (worlds or {}).items()}}
                question |= {} if n_planned is None else {"planned": n_planned}
            notes, engine = work.into_store(folder, question)
            self._warn(*(f"{folder}: {text}" for text in notes))
            rows = read_store(folder)
        self._note_failures(rows, table)
        self.note(n_rows, engine)
        return SweepResult(
            cases=shared.cases,
            factors=table.factors,
            scenarios=table.scenarios,
            policies=table.policies,
            replications=len(replications),
            columns=table.row_columns,
            store=folder,
            attrs=describe_surroundings(scenarios, seed=self.seed, engine=engine) | release,
            _rows=rows,
            _stopped=stopped,
        )

    def note(self, n_rollouts: int, engine: str) -> None:
        """Record finished rollouts and their engine."""
        self.n_done += n_rollouts
        self._engines.setdefault(engine)
        if engine == "compiled":
            self._engine = engine  # already loaded, so from now on faster even for small jobs

    def report(self, done: int, total: int) -> None:
        """Report progress of the current part; the total grows if the total amount of work is unknown."""
        if self._report is not None:
            self._report(self.n_done + done, max(self._n_expected, self.n_done + total))

    def note_failures(self, n_failed: int, first: str) -> None:
        """Record failed replications."""
        if n_failed and not self.n_failed:
            self._first_failure = first
        self.n_failed += n_failed

    def expect_more(self, n_rollouts: int) -> None:
        """Set the size of the next part, if it has several sweeps, for progress."""
        self._n_expected = max(self._n_expected, self.n_done + n_rollouts)

    def warn_of_failures(self) -> None:
        """Warn at the end if replications failed."""
        if self.n_failed:
            self._warn(f"{self.n_failed:,} of {self.n_done:,} replications failed; the first: {self._first_failure}")

    def computed_under(self, scenario: Scenario) -> dict[str, Any]:
        """Return scenario, seed, engine and switches, and the number of rollouts on record that are the worlds."""
        under = describe_surroundings({scenario.name: scenario}, seed=self.seed, engine=self.engine)
        return {name: value for name, value in under.items() if name not in OF_ANALYSES}

    def _note_failures(self, rows: Rows, table: CaseTable) -> None:
        failures = count_failures(rows)
        first = ""
        if failures.number and not self.n_failed:
            scenario, policy, _ = table.find(failures.case)
            of_policy = f"policy {policy}" if len(table.scenarios) == 1 else f"{scenario}, policy {policy}"
            place = f"case {failures.case}" if table.factors else of_policy
            first = f"{place}, {failures.first}"
        self.note_failures(failures.number, first)

    def _find_repetitions(self, scenarios: Iterable[Scenario], replications: range) -> Iterator[str]:
        """List which rollouts on record are repeated, and note which are used up."""
        for scenario in scenarios:
            if scenario.past is None:
                continue
            kind = scenario.kind
            n = len(choose_histories(scenario.past, scenario.release, kind))
            n_used = replications.stop - self._firsts.setdefault(kind, replications.start)
            self.has_used_records |= n_used >= n
            if n_used > n:
                self.has_repeated_records = True
                of_kind = "" if kind is None else f" with release {kind}"
                message = "more replications than rollouts on record, so intervals are too narrow"
                yield str(Problem(message, ("fleet", "records"), found=f"{plural(n, 'rollout')}{of_kind}"))

    def _warn(self, *texts: str) -> None:
        """Emit each warning once."""
        for text in texts:
            if text not in self._warned:
                self._warned.add(text)
                warn_user(text)


def _check_folder(folder: Path, parts: str) -> None:
    """Raise `InputError` for a folder with other contents."""
    if not folder.is_dir():
        return
    strangers = sorted(place.name for place in folder.iterdir() if not re.fullmatch(parts, place.name))
    if strangers:
        is_sweep = Folder(folder).manifest.exists()
        message = "the folder contains a single sweep" if is_sweep else "the folder contains other files"
        allowed = "a new folder, or one of the same question"
        raise InputError(Problem(message, ("store",), file=str(folder), found=strangers[0], allowed=allowed))


def make_question(
    scenarios: Mapping[str, Scenario],
    bases: Bases,
    points: Points,
    design: Design,
    *,
    replications: range,
    seed: int,
    engine: str,
) -> dict[str, Any]:
    """Return everything that determines the rows and their order, in values for JSON."""
    worlds = {name: scenario.to_question() for name, scenario in scenarios.items()}
    policies: dict[str, dict[str, Any]] = {}
    for (scenario_name, name), base in bases.items():
        asked: dict[str, Any] = {"dialect": base.spec.dialect, "spec": base.spec.to_dict()}
        if base.orchestrator is not None:
            asked["orchestrator"] = base.orchestrator.switches()
        identity = own_identity(base, scenarios[scenario_name])
        policies.setdefault(name, {})[scenario_name] = asked | ({"identity": identity} if identity else {})
    return {
        "scenario": {
            name: {key: raw[key] for key in raw if key not in _IRRELEVANT_SECTIONS} for name, raw in worlds.items()
        },
        "policies": policies,
        "vary": dict(zip((lever.name for lever in points.levers), points.asked, strict=True)),
        "design": _describe_design(design, points),
        "replications": len(replications),
        "first_replication": replications.start,
        "seed": seed,
        "engine": engine,
        "switches": {name: scenario.orchestrator.switches() for name, scenario in scenarios.items()},
    }


def describe_surroundings(scenarios: Mapping[str, Scenario], *, seed: int, engine: str) -> dict[str, Any]:
    """Return the context of a table, including costs and requirements: of one scenario, or of several by name."""
    names = list(scenarios)
    switches = {name: scenario.orchestrator.switches() for name, scenario in scenarios.items()}
    tilts = {name: scenario.tilt.factors for name, scenario in scenarios.items() if scenario.tilt is not None}
    costs = {name: scenario.costs.to_dict() for name, scenario in scenarios.items() if scenario.costs is not None}
    requirements = {
        name: [asdict(requirement) for requirement in scenario.requirements]
        for name, scenario in scenarios.items()
        if scenario.requirements
    }
    on_record = {
        name: len(scenario.past.histories) for name, scenario in scenarios.items() if scenario.past is not None
    }
    by_name: dict[str, Mapping[str, Any]] = {
        "switches": switches,
        "tilt": tilts,
        "costs": costs,
        "requirements": requirements,
        "rollouts_on_record": on_record,
    }
    return {
        "scenario": names[0] if len(names) == 1 else names,
        "seed": seed,
        "engine": engine,
        **{key: of[names[0]] if len(names) == 1 else of for key, of in by_name.items() if of},
    }


def _describe_release(scenarios: Mapping[str, Scenario], cases: pd.DataFrame) -> dict[str, Any]:
    """Return the kinds of release and their probabilities, of a table of one scenario."""
    scenario = next(iter(scenarios.values()))
    kinds = find_kinds(scenario, cases) if len(scenarios) == 1 and scenario.release else None
    return {} if kinds is None else {"release": kinds.to_attrs()}


def _describe_design(design: Design, points: Points) -> Any:
    if not isinstance(design, LatinHypercube):
        return design
    # Record the points themselves, because another version of scipy might choose others.
    sampled = json.dumps([points.values, points.index.tolist()]).encode()
    return {"latin_hypercube": design.points, "sha256": hashlib.sha256(sampled).hexdigest()}
