"""Replicate until every estimate reaches its requested precision, or the budget is spent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.allocating import plan_next
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.simulating import find_possible
from simdeploy.analysis.estimates.precision_result import Precision, Responses, precision_frame
from simdeploy.analysis.estimates.targets import FIRST_LOOK, Target, Targets, plan_looks, read_targets
from simdeploy.errors import InputError, Problem, raise_if_any
from simdeploy.experiments.arguments import choose_policies, name_scenarios, name_swept, read_seed, whole_problems
from simdeploy.experiments.batches import BATCHES, batch_name, join_batches
from simdeploy.experiments.by_kind import join_kinds, kinds_of_sweep, read_division, sweep_kinds
from simdeploy.experiments.campaign import Campaign
from simdeploy.experiments.design import Design, keep_values
from simdeploy.experiments.replication import to_replications
from simdeploy.experiments.result import SweepResult
from simdeploy.result import read_computed_under
from simdeploy.scenario import PoliciesLike, Scenario, ScenarioOrPath, as_scenario
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.arguments import Progress
    from simdeploy.experiments.jobs import Executor
    from simdeploy.experiments.kinds import Kinds
    from simdeploy.scenario.measures import Measure
    from simdeploy.scenario.parts import Costs
    from simdeploy.statistics.sample import Sample
    from simdeploy.world.release import ReleaseKind

_MOST = 10_000


def replicate_to_precision(
    scenario: ScenarioOrPath,
    policies: PoliciesLike | None = None,
    *,
    targets: Targets,
    most: int = _MOST,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> Precision[pd.DataFrame]:
    """Replicate a scenario until every estimate under every policy is as precise as requested.

    Parameters
    ----------
    scenario : Scenario or path
        Its costs apply to the measures `cost` and its causes.
    policies : str, path, mapping, spec or document, or several, optional
        As for `replicate`.
    targets : mapping of Measure or str to float or str
        Largest half-width of each measure's interval. A number is in the measure's unit. Text is in a unit (``5s`` for a
        time, ``1pp`` or ``0.01`` for a fraction) or relative to the estimate (``5%``; for a fraction ``5% relative``, because
        ``5%`` alone is ambiguous and an error).
    most : int, default 10,000
        Most replications of each policy. Looks are at 100, 200, 500, 1,000, 2,000, 5,000, ...; the last is the largest
        of these that does not exceed `most`.
    confidence_level : float, default 0.95
        Of each interval separately.
    seed, engine, executor, workers, cluster
        As for `replicate`.
    store : path-like, optional
        A folder, as for `sweep_to_precision`.
    progress : bool or callable, default False
        As for `replicate`; a callable receives the rollouts done and the total at the next look.

    Returns
    -------
    Precision
        Its numbers and the table in `responses` equal those of one `replicate` with as many replications, or with as many
        worlds of each kind of release.

    Raises
    ------
    InputError
        Raised before anything is simulated; lists every invalid target and argument, and every target that no replication of
        this scenario can measure.

    Warns
    -----
    SimdeployWarning
        If a replication failed.

    Notes
    -----
    It stops at the first look at which every half-width is small enough (Law 2015 [1]_, section 9.4.1). Such rules stop too early for
    skewed means, so a mean must meet further conditions: `simdeploy.analysis.estimates.targets.why_not_yet`. The first 500
    replications may still miss events rarer than once in some hundred rollouts: request the precision of the event's rate as well,
    whose interval accounts for it. `docs/methods.md` has the reasons.

    If several kinds of release are possible and a measure depends on them, each kind is simulated in worlds of its own: more if its values
    vary more in finished batches, regardless of the targets. Numbers of replications are totals over all kinds.

    References
    ----------
    .. [1] Law, A. M. (2015). Simulation Modeling and Analysis, 5th edition. McGraw-Hill.

    Examples
    --------
    >>> from simdeploy.analysis.estimates.precision import replicate_to_precision
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": {"exponential": {"mean": "1m"}}, "start_failure": 0.1},
    ...     "policies": {"all-at-once": {"strategy": "immediate"}},
    ... })
    >>> found = replicate_to_precision(
    ...     scenario, targets={"p50 makespan_s": "20%", "failed": "4pp"}, engine="reference"
    ... )
    >>> found.n_replications, len(found.responses)
    (500, 500)
    >>> found.estimates[["measure", "is_reached"]]
              measure  is_reached
    0  p50 makespan_s        True
    1          failed        True
    """
    scenario = as_scenario(scenario)
    chosen, problems = choose_policies(scenario, policies)
    raise_if_any(problems)
    seed = read_seed(seed, engine)
    scenarios = {scenario.name: scenario}
    question = _read([scenario], targets, most, confidence_level)
    campaign = Campaign(seed, engine, executor, workers, cluster, store, progress, parts=BATCHES)
    return _replicate_until_reached(question, campaign, _Cases(scenarios, chosen), to_replications)


def sweep_to_precision(
    scenario: ScenarioOrPath | Sequence[ScenarioOrPath] | Mapping[str, ScenarioOrPath],
    policies: PoliciesLike | None = None,
    *,
    targets: Targets,
    vary: Mapping[str, Iterable[Any]] | None = None,
    design: Design = "grid",
    most: int = _MOST,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> Precision[SweepResult]:
    """Sweep until every estimate in every case is precise enough, with equally many replications of each case.

    Parameters
    ----------
    scenario, policies, vary, design, seed, engine, executor, workers, cluster
        As for `sweep`.
    targets, most, confidence_level, progress
        As for `replicate_to_precision`.
    store : path-like, optional
        A folder with one store per look (``batch-00``, ``batch-01``, ...), or per look and kind of release
        (``batch-00-kind-00``). The same call resumes an interrupted one, also with other targets, another level or a larger
        budget; batches keep their division among kinds. `read_batches` reads the stores as one table.

    Returns
    -------
    Precision
        Its `responses` is the `SweepResult` of one sweep with as many replications, or worlds of each kind of release.

    Raises
    ------
    InputError, SimulationError, StoreError
        As for `sweep` and `replicate_to_precision`.

    Warns
    -----
    SimdeployWarning
        As for `sweep`.

    Notes
    -----
    See `replicate_to_precision`. The hardest case decides for all: comparisons within replications need the same
    replications everywhere. Kinds are drawn if there are several scenarios.

    Examples
    --------
    >>> from simdeploy.analysis.estimates.precision import sweep_to_precision
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": {"exponential": {"mean": "1m"}}},
    ...     "policies": {"waves": {"strategy": "rolling", "health_check": {"deadline": "1h"}}},
    ... })
    >>> how = {"targets": {"p50 makespan_s": "15s"}, "vary": {"max_parallel": [1, 2]}, "engine": "reference"}
    >>> found = sweep_to_precision(scenario, "waves", **how)
    >>> found.n_replications, found.estimates["is_reached"].tolist(), found.responses
    (200, [True, True], <SweepResult: 2 cases, 200 replications each, over max_parallel>)
    """
    scenarios = name_scenarios(scenario)
    named = name_swept(scenarios, policies)
    seed = read_seed(seed, engine)
    question = _read(list(scenarios.values()), targets, most, confidence_level)
    campaign = Campaign(
        seed, engine, executor, workers, cluster, store, progress, parts=BATCHES, warns_of_suspicions=True
    )
    cases = _Cases(scenarios, named, keep_values(vary), design)
    return _replicate_until_reached(question, campaign, cases, lambda batches: batches)


@dataclass(frozen=True)
class _Cases:
    """What is simulated."""

    scenarios: Mapping[str, Scenario]
    policies: Mapping[str, Any]
    vary: Mapping[str, Any] = field(default_factory=dict)
    design: Design = "grid"

    def find_kinds(self, question: _Question, campaign: Campaign) -> Kinds | None:
        """Return the kinds of release if they are simulated separately; batches in the folder, if any, decide that."""
        begun = read_division(campaign.store, batch_name(0))
        is_drawn = campaign.store is not None and (campaign.store / batch_name(0)).exists()
        kinds = None
        if len(self.scenarios) == 1 and not is_drawn:
            (scenario,) = self.scenarios.values()
            how: dict[str, Any] = {"vary": self.vary, "design": self.design, "seed": campaign.seed}
            if begun:
                kinds = kinds_of_sweep(scenario, self.policies, **how)
            else:
                kinds = find_possible(scenario, self.policies, question.measures, question.looks[0], **how)
        if begun and (kinds is None or set(begun) - set(kinds.possible)):
            raise InputError(Problem("this store belongs to another question", file=str(campaign.store)))
        return kinds


@dataclass(frozen=True)
class _Question:
    """The requested precision, and when to look."""

    targets: tuple[Target, ...]
    costs: Costs | None
    release: Sequence[ReleaseKind]
    looks: tuple[int, ...]
    most: int
    confidence_level: float

    @property
    def measures(self) -> list[Measure]:
        """The measures of the targets."""
        return [target.measure for target in self.targets]

    def measure(self, responses: pd.DataFrame | SweepResult) -> Values:
        """Measure the replications so far."""
        return Values(responses, self.measures, costs=self.costs, release=self.release)

    def look(self, values: Values, responses: Responses) -> Precision[Responses]:
        """Estimate from the replications so far."""
        estimates = precision_frame(values, self.targets, self.confidence_level)
        return Precision(
            estimates=estimates,
            n_replications=values.n_replications,
            most=self.most,
            targets=self.targets,
            case_columns=tuple(values.cases.columns),
            confidence_level=self.confidence_level,
            is_reached=bool(estimates["is_reached"].all()),
            computed_under=read_computed_under(responses) | values.counted_under,
            _responses=responses,
        )


def _read(scenarios: Sequence[Scenario], targets: Targets, most: Any, confidence_level: Any) -> _Question:
    """Return the question; refuse invalid targets, budgets and levels."""
    wanted, costs = read_targets(targets, scenarios)
    raise_if_any([*level_problems(confidence_level), *whole_problems(FIRST_LOOK, most=most)])
    release = [kind for scenario in scenarios for kind in scenario.release]
    most = int(most)
    return _Question(wanted, costs, release, plan_looks(most), most, confidence_level)


def _replicate_until_reached(
    question: _Question, campaign: Campaign, cases: _Cases, finish: Callable[[SweepResult], Responses]
) -> Precision[Responses]:
    """Run batches until a look is precise enough.

    The worlds of a batch are divided among kinds of release by the measures in finished batches, regardless of their targets.
    A batch that is already in the folder keeps its division, even for other measures.
    """
    kinds = cases.find_kinds(question, campaign)
    batches: list[SweepResult] = []
    judged: list[tuple[Measure, Sample]] = []
    taken: dict[str, int] = {}
    for number, (before, look) in enumerate(pairwise((0, *question.looks))):
        part = batch_name(number)
        if kinds is None:
            batches.append(
                campaign.sweep(
                    cases.scenarios,
                    cases.policies,
                    part=part,
                    vary=cases.vary,
                    design=cases.design,
                    replications=range(before, look),
                )
            )
            joined = join_batches(batches, store=campaign.store)
        else:
            recorded = read_division(campaign.store, part) or {}
            is_next = all(numbers.start == taken.get(kind, 0) for kind, numbers in recorded.items())
            if is_next and sum(map(len, recorded.values())) == look - before:
                worlds = recorded
            else:
                worlds = plan_next(kinds, kinds.possible, taken, judged, look - before)
            taken |= {kind: numbers.stop for kind, numbers in worlds.items()}
            scenario = next(iter(cases.scenarios.values()))
            batches.append(
                sweep_kinds(campaign, scenario, cases.policies, worlds, part=part, vary=cases.vary, design=cases.design)
            )
            joined = join_kinds(batches)
        responses = finish(joined)
        values = question.measure(responses)
        precision = question.look(values, responses)
        if precision.is_reached:
            break
        judged = [(measure, values.sample(measure)) for measure in question.measures]
    campaign.warn_of_failures()
    return precision
