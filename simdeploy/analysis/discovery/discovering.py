"""Scenario discovery by simulation of many worlds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.pricing import describe_costs
from simdeploy.analysis.asking.requirements import Asked, read_requirements
from simdeploy.analysis.asking.simulating import find_divided_at, folders_of, sweep_by_kind
from simdeploy.analysis.discovery.breaking import Breaking, judge_worlds
from simdeploy.analysis.discovery.finding import LEAST_POINTS, make_discovery
from simdeploy.analysis.discovery.result import Discovery
from simdeploy.errors import InputError, Problem, collect, raise_if_any, shorten
from simdeploy.experiments.arguments import Progress, check_numbers
from simdeploy.experiments.campaign import Campaign
from simdeploy.experiments.design import MOST_CASES, read_number, sample_hypercube, spread_over
from simdeploy.experiments.levers import Lever, find_factors
from simdeploy.scenario import PolicyLike, Scenario, ScenarioOrPath, as_scenario
from simdeploy.scenario.measures import Requirement
from simdeploy.statistics.levels import level_problems
from simdeploy.units import is_whole

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.jobs import Executor

HALVES = ("search", "held-out")


def discover(
    scenario: ScenarioOrPath,
    policy: PolicyLike | None = None,
    *,
    vary: Mapping[str, Any],
    requirements: Asked | None = None,
    points: int = 500,
    replications: int = 400,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> Discovery:
    """Find the worlds in which a policy breaks a requirement.

    Parameters
    ----------
    scenario : Scenario
    policy : str, path, mapping, spec or document, optional
        As for `Scenario.policy`; the scenario's first policy by default.
    vary : mapping of str to range or list
        Range of each factor, by its key as for `sweep`: a tuple of the lowest and the highest value, a `Range` (which
        may be logarithmic), or a list of values.
    requirements : str or Requirement, or several of them, optional
        A world breaks if one of them isn't met there; by default the scenario's.
    points : int, default 500
        Worlds: half to find boxes in, half to test them.
    replications : int, default 400
        Replications in each world; the second half of the worlds uses different ones.
    confidence_level : float, default 0.95
        Of each interval; 1 minus it is also the largest probability of finding a box where there is none.
    seed : int, default 0
        Seed of the points and of the replications.
    engine : {'auto', 'compiled', 'reference'}
    executor, workers, cluster, progress
        As for `sweep`.
    store : path-like, optional
        A folder for the rows of both halves; the same call resumes from it.

    Returns
    -------
    Discovery

    Raises
    ------
    InputError
        Before anything is simulated: lists everything invalid.

    Notes
    -----
    The worlds of each half are a Latin hypercube over the ranges. `judge_worlds` defines when a world breaks,
    `find_boxes` how boxes are found and tested. The halves share no replication, so random effects of the first half
    can't confirm themselves in the second. If a requirement depends on the kind of release, each kind has worlds of its own
    (as in `estimate_sensitivity`).

    Examples
    --------
    >>> from simdeploy.analysis import discover
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "small",
    ...     "fleet": {"nodes": 4, "update_duration": "1m"},
    ...     "policies": {"waves": {"strategy": "rolling", "health_check": {"deadline": "5m"}}},
    ... })
    >>> vary = {"fleet.update_duration": ("30s", "90s"), "fleet.rollback_duration": ("10s", "40s")}
    >>> result = discover(scenario, vary=vary, requirements="makespan_s <= 80s", replications=2, engine="reference")
    >>> print(result.boxes["limits"].iloc[0])
    update_duration is above 50s
    """
    scenario = as_scenario(scenario)
    numbers, seed = check_numbers(replications=replications, seed=seed, engine=engine)
    chosen = scenario.policy(policy)
    wanted = _read_requirements(requirements, confidence_level, scenario, chosen.name, chosen.identity.type)
    levers = find_factors(vary, scenario, chosen.spec)
    n_half = _check_points(points)
    halves = [_spread(levers, list(vary.values()), n_half, (seed, half)) for half in range(len(HALVES))]
    measures = [requirement.measure for requirement in wanted]
    points_of_both = {name: [*halves[0][name], *halves[1][name]] for name in halves[0]}
    divided = find_divided_at(scenario, chosen, measures, len(numbers), points_of_both, seed=seed)
    parts = folders_of(divided) or "|".join(HALVES)
    campaign = Campaign(
        seed, engine, executor, workers, cluster, store, progress, parts=parts, warns_of_suspicions=True
    )
    campaign.expect(len(HALVES) * n_half * len(numbers), nodes=scenario.fleet.nodes)
    known = []
    for half, values in enumerate(halves):
        some = range(half * len(numbers), (half + 1) * len(numbers))
        how: dict[str, Any] = {"part": HALVES[half], "vary": values, "design": "list"}
        result = sweep_by_kind(campaign, scenario, {chosen.name: chosen}, measures, divided, some, **how)
        of_half = Values(result, measures, costs=scenario.costs, release=scenario.release)
        known.append(judge_worlds(of_half, wanted, confidence_level=confidence_level))
    campaign.warn_of_failures()
    return make_discovery(
        _join(levers, halves),
        Breaking(*(np.concatenate(columns) for columns in zip(*known, strict=True))),
        np.repeat([True, False], n_half),
        policy=chosen.name,
        requirements=wanted,
        n_replications=len(numbers),
        n_failed=campaign.n_failed,
        confidence_level=confidence_level,
        under=campaign.computed_under(scenario) | describe_costs(scenario.costs, measures),
    )


def _read_requirements(
    asked: Asked | None, confidence_level: float, scenario: Scenario, policy: str, type_: str
) -> tuple[Requirement, ...]:
    problems = level_problems(confidence_level)
    wanted: tuple[Requirement, ...] = ()
    with collect(problems):
        wanted = read_requirements(asked, scenario=scenario, policies=[policy], type_=type_)
        if not wanted:
            allowed = 'a requirement such as "false_alarm given good <= 5%"'
            problems.append(Problem("no requirement", ("requirements",), allowed=allowed))
    raise_if_any(problems)
    return wanted


def _check_points(points: object) -> int:
    if not is_whole(points, LEAST_POINTS, MOST_CASES):
        allowed = f"{LEAST_POINTS} to {MOST_CASES:,} (half are held out)"
        raise InputError(Problem("invalid number of worlds", ("points",), found=shorten(points), allowed=allowed))
    return int(points) // 2


def _spread(levers: tuple[Lever, ...], asked: list[Any], n: int, seed: tuple[int, int]) -> dict[str, list[Any]]:
    """Return the values of each factor in the worlds of one half."""
    problems: list[Problem] = []
    spreads = [spread_over(lever, given, problems) for lever, given in zip(levers, asked, strict=True)]
    raise_if_any(problems)
    sample = sample_hypercube(len(levers), n, seed=seed)
    return {
        lever.name: spread.draw(fractions) for lever, spread, fractions in zip(levers, spreads, sample.T, strict=True)
    }


def _join(levers: tuple[Lever, ...], halves: list[dict[str, list[Any]]]) -> pd.DataFrame:
    """Return the worlds of both halves; durations in seconds."""
    import pandas as pd

    columns = {
        lever.name: [read_number(lever.kind, value) for half in halves for value in half[lever.name]]
        for lever in levers
    }
    return pd.DataFrame(columns)
