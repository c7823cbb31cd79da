"""What each threshold of a policy trades: false alarms against escapes, when varied alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.requirements import read_measure
from simdeploy.analysis.asking.simulating import find_divided, folders_of, sweep_by_kind
from simdeploy.analysis.asking.usual_measures import find_usual
from simdeploy.analysis.asking.verdicts import DifferenceVerdict, JointVerdict
from simdeploy.analysis.tradeoffs.curves import CURVE, DIFFERENCE, POINT, conclude, estimate_curves
from simdeploy.analysis.tradeoffs.lever_ranges import LeverRange, find_ranges
from simdeploy.errors import InputError, Problem, collect, not_among, raise_if_any, shorten
from simdeploy.experiments.arguments import Progress, check_numbers
from simdeploy.experiments.campaign import Campaign
from simdeploy.experiments.levers import Lever
from simdeploy.result import Columns, Result, read_computed_under
from simdeploy.scenario import PolicyLike, Scenario, ScenarioOrPath, as_scenario
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.jobs import Executor


@dataclass(frozen=True, eq=False, repr=False)
class Tradeoff(Result):
    """Result of `tradeoff`.

    Attributes
    ----------
    curves : DataFrame
        One row per setting, value and measure: `lever`, `value` (durations in seconds), `is_default` (the API's
        default), `is_current` (the policy's value), `measure`, `estimate`, `low`, `high`, `n`, `is_trusted` (see
        `Estimates`), and `unknown_fraction`, the share of rollouts that never end, so their value is unknown. All intervals of one setting hold together with
        `confidence_level`.
    differences : DataFrame
        The same columns for every other value: its measure minus that of the current policy, over the replications in
        which both have a value; missing where rollouts of either never end. All intervals of this table hold together.
        `verdict`: better, worse, equal, unclear or unknown; missing for a significant difference without a better side.
    points : DataFrame
        One row per setting and value other than the policy's: `lever`, `value`, `is_default`, its distance in `steps`,
        and the `verdict` on x and y together, which may also be trades: one is better and the other worse.
    improvement : dict or None
        `lever` and `value` of the nearest better point, and the policy's value (`current`); points with fewer errors
        precede points that are only quicker.
    lever_of_interest : str
        The setting named in the answer.
    policy : str
    levers : tuple of Lever
    axes : tuple of Measure
        The first two are the axes x and y.
    confidence_level : float
    n_replications : int
        Replications of each point.
    n_failed : int
        Failed rows, which are left out.
    computed_under : dict
        Scenario, seed, engine and switches; and the costs, if a measure uses them.
    """

    curves: Annotated[pd.DataFrame, Columns(CURVE)]
    differences: Annotated[pd.DataFrame, Columns(DIFFERENCE, words={"verdict": DifferenceVerdict})]
    points: Annotated[pd.DataFrame, Columns(POINT, words={"verdict": JointVerdict})]
    improvement: Mapping[str, Any] | None
    lever_of_interest: str
    policy: str
    levers: tuple[Lever, ...]
    axes: tuple[Measure, ...]
    confidence_level: float
    n_replications: int
    n_failed: int
    computed_under: Mapping[str, Any]

    def lever(self, name: str | None = None) -> Lever:
        """Return a setting by its name or the end of it; by default the first.

        Raises
        ------
        InputError
            If it was not varied.
        """
        if name is None:
            return self.levers[0]
        matches = [lever for lever in self.levers if name in (lever.name, lever.name.rpartition(".")[2])]
        if not matches:
            names = [lever.name for lever in self.levers]
            raise InputError(not_among("this setting was not varied", ("lever",), name, names))
        return matches[0]


def tradeoff(
    scenario: ScenarioOrPath,
    policy: PolicyLike | None = None,
    *,
    vary: Mapping[str, Iterable[Any]] | None = None,
    axes: Sequence[Measure | str] | None = None,
    replications: int | range = 1000,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> Tradeoff:
    """Vary each threshold of a policy alone, and estimate what it trades.

    Parameters
    ----------
    scenario : Scenario
    policy : str, path, mapping, spec or document, optional
        A policy's name, or a spec; the scenario's first policy by default.
    vary : mapping of str to iterable, optional
        Keys of the policy and their values, as for `sweep`. By default every threshold that matters: the two limits of
        failed nodes, the size of waves and of canaries, `max_error_rate`, `min_healthy_time` (or `success_threshold`
        and `failure_threshold`) and `deadline`, each in steps of 1, 2, 5, 10 that suit the fleet. The policy's value is
        always added, and the API's default if the policy can have it.
    axes : sequence of Measure or str, optional
        Measures at each point, x and y first. By default those the scenario can have of `false_alarm given good`,
        `escaped given defective`, `makespan_s given completed_good`, `blast_radius given defective` and `cost`; for a
        restart or stop `makespan_s` and `min_in_service_fraction`.
    replications : int or range, default 1000
        Replications of each point.
    confidence_level : float, default 0.95
        Holds for all intervals of a setting together, and for all differences together.
    seed : int, default 0
    engine : {'auto', 'compiled', 'reference'}
    executor, workers, cluster, progress
        As for `sweep`.
    store : path-like, optional
        A folder for the rows; the same call resumes from it.

    Returns
    -------
    Tradeoff

    Raises
    ------
    InputError
        Before anything is simulated: lists everything invalid.

    Notes
    -----
    A setting's curve is a receiver operating characteristic with escapes instead of hits on the vertical axis, so the ideal corner is
    the lower left. All intervals of a curve hold together, and so do all `differences`, over all settings (Bonferroni), so you may pick
    the best afterwards. Rates have the exact interval of Clopper and Pearson, means Student's t interval, quantiles the interval
    between order statistics.

    All points meet the same worlds, and a case shared by several settings is simulated once. If a measure depends on the kind of release,
    each kind is simulated in worlds of its own.

    Examples
    --------
    >>> from simdeploy.analysis.tradeoffs.moving import tradeoff
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "three-nodes",
    ...     "fleet": {"nodes": 3, "update_duration": "1m", "start_failure": 0.2},
    ...     "policies": {"waves": {"strategy": "rolling", "max_failed_nodes": 0,
    ...                            "max_failed_nodes_percent": 99, "health_check": {"deadline": "5m"}}},
    ... })
    >>> vary = {"max_failed_nodes": [0, 1, 2]}
    >>> found = tradeoff(scenario, vary=vary, axes=["false_alarm", "makespan_s"], replications=100, engine="reference")
    >>> curve = found.curves[found.curves["measure"] == "false_alarm"]
    >>> print(curve[["value", "is_default", "is_current", "estimate"]].to_string(index=False))
     value  is_default  is_current  estimate
       0.0       False        True      0.51
       1.0       False       False      0.13
       2.0       False       False      0.01
      10.0        True       False      0.01
    """
    scenario = as_scenario(scenario)
    numbers, seed = check_numbers(replications=replications, seed=seed, engine=engine)
    raise_if_any(level_problems(confidence_level))
    chosen = scenario.policy(policy)
    measures = _read_axes(axes, scenario, chosen.identity.type)
    ranges = find_ranges(scenario, chosen, vary)
    divided = find_divided(scenario, [chosen], measures, len(numbers))
    parts = folders_of(divided)
    # In default ranges only the policy's own values and the API's defaults may be suspicious, and the user requested neither.
    suspects = vary is not None
    campaign = Campaign(
        seed, engine, executor, workers, cluster, store, progress, parts=parts, warns_of_suspicions=suspects
    )
    points = _vary_one_at_a_time(ranges)
    policies = {chosen.name: chosen}
    result = sweep_by_kind(campaign, scenario, policies, measures, divided, numbers, vary=points, design="list")
    campaign.warn_of_failures()
    values = Values(result, measures, costs=scenario.costs, release=scenario.release)
    of_measures = {measure: values.sample(measure) for measure in measures}  # cases are points, lever by lever
    unknown = {measure: values.unknown_fractions(measure) for measure in measures}
    curves, differences = estimate_curves(ranges, of_measures, unknown, confidence_level)
    return Tradeoff(
        curves=curves,
        differences=differences,
        **conclude(curves, differences, measures)._asdict(),
        policy=chosen.name,
        levers=tuple(lever_range.lever for lever_range in ranges),
        axes=measures,
        confidence_level=confidence_level,
        n_replications=len(numbers),
        n_failed=int((~values.is_ok).sum()),
        computed_under=read_computed_under(result) | values.counted_under,
    )


def _read_axes(axes: Sequence[Measure | str] | None, scenario: Scenario, type_: str) -> tuple[Measure, ...]:
    if axes is None:
        return tuple(find_usual(scenario, type_))
    if isinstance(axes, str) or len(axes) < 2:
        raise InputError(
            Problem("invalid axes", ("axes",), found=shorten(axes), allowed="at least two measures: x and y")
        )
    measures: list[Measure] = []
    problems: list[Problem] = []
    for axis in axes:
        with collect(problems):
            measures.append(read_measure(axis, scenario, [type_]))
    if len(set(measures)) < len(measures):
        problems.append(Problem("duplicate measure", ("axes",), found=", ".join(map(str, measures))))
    raise_if_any(problems)
    return tuple(measures)


def _vary_one_at_a_time(ranges: Sequence[LeverRange]) -> dict[str, list[Any]]:
    """Return lists in which each setting varies while all others keep the policy's values."""
    lists: dict[str, list[Any]] = {}
    for varied in ranges:
        still = varied.values[varied.numbers.index(varied.current)] if varied.current is not None else None
        lists[varied.lever.name] = [
            value for other in ranges for value in (varied.values if other is varied else [still] * len(other.values))
        ]
    return lists
