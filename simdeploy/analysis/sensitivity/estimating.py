"""Which factors affect the outcome of a policy: simulation at the points of a design."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.requirements import read_measure
from simdeploy.analysis.asking.simulating import find_divided_at, folders_of, sweep_by_kind
from simdeploy.analysis.sensitivity.analyzing import analyze_table
from simdeploy.analysis.sensitivity.designs import Method, make_design
from simdeploy.analysis.sensitivity.result import Sensitivity
from simdeploy.errors import collect, raise_if_any
from simdeploy.experiments.arguments import Progress, check_numbers
from simdeploy.experiments.campaign import Campaign
from simdeploy.experiments.levers import find_factors
from simdeploy.result import read_computed_under
from simdeploy.scenario import PolicyLike, ScenarioOrPath, as_scenario
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    from simdeploy.experiments.jobs import Executor


def estimate_sensitivity(
    scenario: ScenarioOrPath,
    policy: PolicyLike | None = None,
    *,
    vary: Mapping[str, Any],
    of: Measure | str = "cost",
    method: Method = "morris",
    size: int | None = None,
    replications: int | range = 400,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> Sensitivity:
    """Estimate which factors affect the outcome of a policy.

    Parameters
    ----------
    scenario : Scenario
    policy : str, path, mapping, spec or document, optional
        As for `Scenario.policy`; the scenario's first policy by default.
    vary : mapping of str to range or list
        Range of each factor, by its key as for `sweep`: a tuple of the lowest and the highest value, a `Range` (which
        may be logarithmic), or a list of values.
    of : Measure or str, default 'cost'
        The response.
    method : {'morris', 'sobol'}
        Morris' screening ranks many factors with few points; Sobol's indices are the fractions of variance each
        explains.
    size : int, optional
        Morris: trajectories, each with one point more than there are factors; 20 by default. Sobol: rows, each with two
        points more; 256 by default.
    replications : int or range, default 400
        Replications at each point, in the same worlds at all points.
    confidence_level : float, default 0.95
        Of each interval separately.
    seed : int, default 0
        Seed of the points and of the worlds.
    engine : {'auto', 'compiled', 'reference'}
    executor, workers, cluster, store, progress
        As for `sweep`.

    Returns
    -------
    Sensitivity

    Raises
    ------
    InputError
        Before anything is simulated: lists everything invalid.

    Notes
    -----
    See `design_sensitivity` for the points and `analyze_sensitivity` for the indices. The response at a point is the
    measure over all replications; the indices are those of its expectation. If the measure depends on the kind of release,
    each kind is simulated in worlds of its own, in more of them if its values vary more
    (`simdeploy.analysis.asking.allocating.plan_rest`). Kinds are drawn if points differ in their names or in which are
    defective.

    Examples
    --------
    >>> from simdeploy.analysis import estimate_sensitivity
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "small",
    ...     "fleet": {"nodes": 4, "update_duration": "1m", "start_failure": 0.1},
    ...     "policies": {"waves": {"strategy": "rolling", "health_check": {"deadline": "5m"}}},
    ... })
    >>> vary = {"fleet.update_duration": ("30s", "90s"), "fleet.rollback_duration": ("10s", "40s")}
    >>> result = estimate_sensitivity(scenario, of="makespan_s", vary=vary, replications=2, engine="reference")
    >>> print(result.answer)
    update_duration moves makespan under waves most: by 60.0 s (~95 % CI 60.0 to 60.0) on average across its range. Another factor may matter as much. No effect of rollback_duration was seen.
    """
    scenario = as_scenario(scenario)
    numbers, seed = check_numbers(replications=replications, seed=seed, engine=engine)
    chosen = scenario.policy(policy)
    problems = level_problems(confidence_level)
    with collect(problems):
        measure = read_measure(of, scenario, [chosen.identity.type])
    raise_if_any(problems)
    levers = find_factors(vary, scenario, chosen.spec)
    design = make_design(levers, list(vary.values()), method, size, seed=seed)
    points = dict(zip(design.names, map(list, design.values), strict=True))
    divided = find_divided_at(scenario, chosen, [measure], len(numbers), points, seed=seed)
    parts = folders_of(divided)
    campaign = Campaign(
        seed, engine, executor, workers, cluster, store, progress, parts=parts, warns_of_suspicions=True
    )
    policies = {chosen.name: chosen}
    result = sweep_by_kind(campaign, scenario, policies, [measure], divided, numbers, vary=points, design="list")
    campaign.warn_of_failures()
    values = Values(result, [measure], costs=scenario.costs, release=scenario.release)
    return analyze_table(design, values, measure, confidence_level, read_computed_under(result))
