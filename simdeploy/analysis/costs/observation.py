"""The value of observing a rollout more: one more canary, one more minute per node."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.simulating import find_divided, folders_of, sweep_by_kind
from simdeploy.analysis.asking.verdicts import DifferenceVerdict, judge_difference
from simdeploy.analysis.costs.causes import check_arguments
from simdeploy.analysis.costs.observation_steps import LEVERS, Step, make_steps
from simdeploy.experiments.arguments import Progress, check_numbers
from simdeploy.experiments.campaign import Campaign
from simdeploy.result import ESTIMATE, Columns, Result, floats, make_frame
from simdeploy.scenario import PolicyLike, ScenarioOrPath, as_scenario
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import NO_ESTIMATE, Estimate, estimate_cases, estimate_difference
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.jobs import Executor
    from simdeploy.statistics.sample import Sample

_SAVING = {
    "lever": "str",
    "value": "float64",
    "is_current": "bool",
    "cause": "str",
    "cost": "float64",
    **ESTIMATE,
    "unknown_fraction": "float64",
}
_STEP = {"lever": "str", **floats("value", "previous"), **ESTIMATE, "verdict": "str"}
_LIMIT = {"lever": "str", **floats("current", "pays_until", "stops_at")}


@dataclass(frozen=True, eq=False, repr=False)
class ObservationResult(Result):
    """Result of `value_of_observation`.

    Attributes
    ----------
    savings : DataFrame
        Savings of each amount of observation against the current policy. One row per `lever` (``canaries``, or
        ``minutes`` of additional observation per node), `value` and `cause` (``cost`` for the total): the mean `cost`,
        and the saving per rollout, `estimate`, `low`, `high`, `half_width`, `n`, `standard_error`, `is_trusted`. `is_current` marks
        the current policy. `unknown_fraction` is the share of rollouts that never end, so their cost is unknown;
        savings by or against such a policy are missing. The current policy saves exactly 0 against itself, without an interval.
    steps : DataFrame
        Savings of each value against the next lower one, `previous`. `verdict`: ``better`` (it saves), ``worse`` (it
        costs), ``equal``, ``unclear`` or ``unknown``.
    limits : DataFrame
        One row per setting: its `current` value; `pays_until`, the value up to which every step significantly saves;
        `stops_at`, the first that doesn't, missing if all do.
    policy : str
    confidence_level : float
        Of each interval separately; and of `pays_until`.
    n_left_out : int
        Replications of all these policies with unknown cost: they failed, or never end.
    computed_under : dict
        Scenario, seed, engine, switches, replications and the costs.
    """

    savings: Annotated[pd.DataFrame, Columns(_SAVING)]
    steps: Annotated[pd.DataFrame, Columns(_STEP, words={"verdict": DifferenceVerdict})]
    limits: Annotated[pd.DataFrame, Columns(_LIMIT)]
    policy: str
    confidence_level: float
    n_left_out: int
    computed_under: Mapping[str, Any]


def value_of_observation(
    scenario: ScenarioOrPath,
    policy: PolicyLike | None = None,
    *,
    canaries: Sequence[int] | None = None,
    minutes: Sequence[float] | None = None,
    replications: int | range = 1000,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> ObservationResult:
    """Estimate the savings of observing a rollout more: with more canaries, or each node for longer.

    Parameters
    ----------
    scenario : Scenario or path
        With costs.
    policy : str, path, mapping, spec or document, optional
        As for `Scenario.policy`; a rolling or canary policy. The scenario's first one by default.
    canaries : sequence of int, optional
        Numbers of canaries to try; by default none, half of the current number, and 1, 2, 4 and 8 more. None can be tried if the
        policy has a list of waves.
    minutes : sequence of float, optional
        Additional minutes of observation per node, negative for less; by default the shortest possible, and 1, 2, 4 and
        8 more.
    replications : int or range, default 1000
        Replications of each amount of observation.
    confidence_level : float, default 0.95
    seed, engine, executor, workers, cluster, store, progress
        As for `replicate`.

    Returns
    -------
    ObservationResult

    Raises
    ------
    InputError
        If the scenario has no costs, the policy has no health check, or a value is invalid.

    Notes
    -----
    The saving of a further observation is the mean of the paired differences of cost in the same worlds, with Student's t interval:
    delay and false alarms on one side, escapes and failed requests on the other. It is unknown where rollouts of either policy
    never end.

    More canaries change only `canary_count`; with none the strategy is rolling, and a rolling policy gets canaries with automatic
    promotion. More minutes are added to `min_healthy_time` (in the rollout dialect as whole windows to `success_threshold`) and to
    the deadline, so a node has as long to start as before.

    A value pays until the first step that doesn't significantly save. All steps up to `pays_until` save with the confidence level
    together. `docs/methods.md` has the reasons.

    Examples
    --------
    Four nodes in four waves: one more minute for each node delays the rollout by four minutes, and a canary costs nothing if waves have
    one node anyway.

    >>> from simdeploy.analysis.costs.observation import value_of_observation
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "four-nodes",
    ...     "fleet": {"nodes": 4, "update_duration": "1m"},
    ...     "costs": {"hour_of_delay": 60},
    ...     "policies": {"waves": {"strategy": "rolling", "max_parallel": 1, "health_check": {"deadline": "5m"}}},
    ... })
    >>> result = value_of_observation(scenario, replications=2, canaries=[1], minutes=[1])
    >>> result.steps[["lever", "value", "previous", "estimate"]]
          lever  value  previous  estimate
    0  canaries    1.0       0.0       0.0
    1   minutes    1.0       0.0      -4.0
    """
    scenario = as_scenario(scenario)
    numbers, seed = check_numbers(replications=replications, seed=seed, engine=engine)
    costs = scenario.costs
    check_arguments(costs, confidence_level)
    base = scenario.policy(policy)
    steps = make_steps(scenario, base, canaries=canaries, minutes=minutes)
    measures = [Measure(cause) for cause in COSTS]
    divided = find_divided(scenario, [base], measures, len(numbers))
    campaign = Campaign(seed, engine, executor, workers, cluster, store, progress, parts=folders_of(divided))
    policies = {f"{step.lever} {step.value:g}": step.policy for step in steps}
    result = sweep_by_kind(campaign, scenario, policies, [Measure("cost")], divided, numbers)
    campaign.warn_of_failures()
    values = Values(result, measures, costs=costs)
    by_cause = {cause: values.sample(Measure(cause)) for cause in COSTS}
    savings, of_steps = _compare(steps, by_cause, values.unknown_fractions(Measure("cost")), confidence_level)
    under = campaign.computed_under(scenario) | {"replications": values.n_replications}
    return ObservationResult(
        savings=make_frame(savings, _SAVING),
        steps=make_frame(of_steps, _STEP),
        limits=make_frame([_limit(steps, of_steps, lever) for lever in LEVERS], _LIMIT),
        policy=base.name,
        confidence_level=confidence_level,
        n_left_out=int(np.isnan(by_cause["cost"].values).sum()),
        computed_under=under | values.counted_under,
    )


def _compare(
    steps: Sequence[Step], by_cause: Mapping[str, Sample], unknown: np.ndarray, confidence_level: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    savings, of_steps = [], []
    current = {step.lever: place for place, step in enumerate(steps) if step.is_current}

    def saved(cause: str, before: int, after: int) -> Estimate:
        saving = estimate_difference(by_cause[cause][before], by_cause[cause][after], Measure(cause), confidence_level)
        if unknown[before] or unknown[after]:
            return NO_ESTIMATE._replace(n=saving.n)
        # The current policy saves exactly 0 against itself; an interval would allow for unseen events.
        return Estimate(0.0, math.nan, math.nan, saving.n, 0.0) if before == after else saving

    means = {
        cause: [each.estimate for each in estimate_cases(by_cause[cause], Measure(cause), confidence_level)]
        for cause in COSTS
    }
    for place, step in enumerate(steps):
        name = {"lever": step.lever, "value": step.value}
        for cause in COSTS:
            cells = {
                "is_current": step.is_current,
                "cause": cause,
                "cost": means[cause][place],
                "unknown_fraction": unknown[place],
            }
            savings.append({**name, **cells, **saved(cause, current[step.lever], place).to_row()})
        if place and steps[place - 1].lever == step.lever:
            saving = saved("cost", place - 1, place)
            verdict = judge_difference(*saving.limits, "max", unknown=math.isnan(saving.estimate))
            of_steps.append({**name, "previous": steps[place - 1].value, **saving.to_row(), "verdict": verdict})
    return savings, of_steps


def _limit(steps: Sequence[Step], of_steps: Sequence[Mapping[str, Any]], lever: str) -> dict[str, Any]:
    """Follow the steps from the current value to the first that doesn't significantly save."""
    current = next(step.value for step in steps if step.lever == lever and step.is_current)
    further = [row for row in of_steps if row["lever"] == lever and row["previous"] >= current]
    stops = next((row for row in further if row["verdict"] != "better"), None)
    until = stops["previous"] if stops else further[-1]["value"] if further else current
    return {
        "lever": lever,
        "current": current,
        "pays_until": until,
        "stops_at": stops["value"] if stops else math.nan,
    }
