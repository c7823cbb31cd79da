"""Whether the choice of a policy depends on an undocumented switch of the orchestrator."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from simdeploy.analysis.asking.pricing import describe_costs
from simdeploy.analysis.asking.requirements import Asked, read_measure, read_requirements
from simdeploy.analysis.asking.simulating import find_divided, plan_worlds
from simdeploy.analysis.asking.verdicts import Direction, read_direction
from simdeploy.analysis.switches.conclusions import Rule, why_unknown
from simdeploy.analysis.switches.result import PAIR, VALUE, Switches, make_table
from simdeploy.analysis.switches.switch_choice import Choice
from simdeploy.analysis.switches.switch_values import (
    Setting,
    Settings,
    list_own_values,
    list_switch_values,
    pair_values,
    why_refused,
)
from simdeploy.errors import Problem, SimulationError, collect, raise_if_any
from simdeploy.experiments.arguments import Progress, check_numbers, choose_policies
from simdeploy.experiments.by_kind import OF_ONE_SWEEP
from simdeploy.experiments.campaign import Campaign
from simdeploy.scenario import PoliciesLike, Scenario, ScenarioOrPath, ScenarioPolicy, as_scenario
from simdeploy.scenario.measures import Measure, Requirement
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    from simdeploy.experiments.jobs import Executor


def vary_switches(
    scenario: ScenarioOrPath,
    policies: PoliciesLike | None = None,
    *,
    of: Measure | str = "cost",
    direction: Direction | None = None,
    requirements: Asked | None = None,
    pairs: bool = True,
    replications: int | range = 500,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> Switches:
    r"""Repeat a choice among policies under every value of every switch, and under every two values.

    Parameters
    ----------
    scenario : Scenario
        Its own switches are the starting point.
    policies : str, path, mapping, spec or document, or several, optional
        As for `replicate`; by default all of the scenario's.
    of : Measure or str, default 'cost'
        The measure that decides. Required if the scenario has no costs.
    direction : {'min', 'max'}, optional
        Whether lower or higher is better; by default higher for `completed_good`, `stopped_defective` and
        `min_in_service_fraction`, lower for everything else.
    requirements : str or Requirement, or several of them, optional
        What a policy must achieve to be chosen; by default the scenario's.
    pairs : bool, default True
        Whether to try values of two switches together.
    replications : int or range, default 500
        Replications of each policy under each setting.
    confidence_level : float, default 0.95
    seed : int, default 0
    engine : {'auto', 'compiled', 'reference'}
    executor, workers, cluster, progress
        As for `sweep`.
    store : path-like, optional
        A folder for the replications, one store for each part of the work. The same call resumes an interrupted one.

    Returns
    -------
    Switches

    Raises
    ------
    InputError
        Before anything is simulated: for an invalid argument, and for `cost` without costs. Afterwards: if no choice is
        possible under the scenario's own switches, because rollouts never end.
    SimulationError
        If every replication of a policy failed.

    Warns
    -----
    SimdeployWarning
        If a replication failed.

    Notes
    -----
    The choice is the policy with the best estimate of `of` among those whose estimates meet the requirements. Its
    margin is how much better it is than the best other policy that meets them, in the same worlds. The margin's interval is
    that of the least of several differences, which hold together (Bonferroni; see `estimate_regret`). A choice, or a flip,
    is sure if it is supported by the intervals of the requirements and of the differences from all policies that may meet them.

    Values of two switches interact if they change the margin of the choice over its first rival (with one policy: its
    measure) by something other than the sum of their separate changes. That is, the mean of :math:`f_{ab} - f_a - f_b + f_0`
    over worlds is significantly different from 0 by Student's test, adjusted by Holm's method for all pairs. They also
    interact if together they flip the choice but neither does alone, which is the only criterion for a quantile.

    If a rollout never ends (`on_failure: pause` waits for a person), its cost is unknown, and so is the choice.

    The values are those of `list_switch_values`. With pairs there are about 550 settings, each of which simulates all
    policies and replications.

    Examples
    --------
    >>> from simdeploy.scenario import Scenario
    >>> waves = {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}}
    >>> scenario = Scenario.from_dict({
    ...     "name": "small",
    ...     "fleet": {"nodes": 4, "update_duration": "45s"},
    ...     "policies": {"at-once": {"strategy": "immediate"}, "waves": waves},
    ... })
    >>> result = vary_switches(scenario, of="makespan_s", replications=2, pairs=False, engine="reference")
    >>> result.choice, len(result.values)
    ('at-once', 37)
    """
    scenario = as_scenario(scenario)
    numbers, seed = check_numbers(replications=replications, seed=seed, engine=engine)
    chosen, rule, wanted = _read(scenario, policies, of, direction, requirements, confidence_level)
    parts = rf"(pilot|values|pairs-\d{{2,}}-of-\d{{2,}})(-{OF_ONE_SWEEP})?"
    campaign = Campaign(seed, engine, executor, workers, cluster, store, progress, parts=parts)
    values = list_switch_values(scenario)
    impossible: dict[Setting, str] = {
        setting: why_refused(scenario, setting)
        for setting in [*((value,) for value in values), *(pair_values(values) if pairs else ())]
    }
    singles = [setting for setting, why in impossible.items() if len(setting) == 1 and not why]
    both = [setting for setting, why in impossible.items() if len(setting) == 2 and not why]
    campaign.expect((1 + len(singles) + len(both)) * len(chosen) * len(numbers), nodes=scenario.fleet.nodes)
    measures = [rule.of, *(requirement.measure for requirement in wanted)]
    divided = find_divided(scenario, chosen.values(), measures, len(numbers))
    worlds: Mapping[str, range] | range = numbers
    if divided:
        _, worlds, _ = plan_worlds(campaign, scenario, chosen, measures, divided, numbers)
    settings = Settings(scenario, chosen, rule, wanted, worlds, campaign)
    base, *simulated = settings.simulate_values([(), *singles])
    if base.standings.all_failed.any():
        campaign.warn_of_failures()
        raise SimulationError(f"no policy can be chosen: {why_unknown(base.standings, rule.of)}")
    choice = Choice(rule, base.standings)
    of_values = [choice.row(each) for each in simulated]
    of_pairs = choice.pair_rows(settings, both, simulated) if both else []
    refused = {size: [(s, why) for s, why in impossible.items() if why and len(s) == size] for size in (1, 2)}
    campaign.warn_of_failures()
    order = {setting: place for place, setting in enumerate(impossible)}
    as_it_is = choice.row(base)
    return Switches(
        of=rule.of,
        direction=rule.direction,
        requirements=wanted,
        confidence_level=confidence_level,
        replications=len(numbers),
        policies=choice.policies(),
        base=make_table([as_it_is], [], order, VALUE),
        values=make_table(of_values, refused[1], order, VALUE),
        pairs=make_table(of_pairs, refused[2], order, PAIR),
        own_values={name: value.text for name, value in list_own_values(scenario).items()},
        unsure_of=_unsure_of(as_it_is),
        n_failed=campaign.n_failed,
        computed_under=campaign.computed_under(scenario) | describe_costs(scenario.costs, measures),
    )


def _unsure_of(row: Mapping[str, Any]) -> Literal["margin", "requirements"] | None:
    if row["is_sure"]:
        return None
    has_rival = row["rival"] is not None
    return "margin" if has_rival and not (row["margin_low"] > 0 and row["margin_is_trusted"]) else "requirements"


def _read(
    scenario: Scenario,
    policies: Any,
    of: Measure | str,
    direction: Direction | None,
    requirements: Asked | None,
    confidence_level: Any,
) -> tuple[Mapping[str, ScenarioPolicy], Rule, tuple[Requirement, ...]]:
    """Check all arguments at once."""
    wanted: tuple[Requirement, ...] = ()
    chosen, problems_of_policies = choose_policies(scenario, policies)
    problems = [*level_problems(confidence_level), *problems_of_policies]
    with collect(problems):
        measure = read_measure(of, scenario, {policy.identity.type for policy in chosen.values()})
    with collect(problems):
        wanted = read_requirements(requirements, scenario=scenario, policies=chosen)
    if len(chosen) == 1 and not wanted:
        hint = "add a second policy, or a requirement"
        problems.append(Problem("only one policy to choose from", ("policies",), found=next(iter(chosen)), hint=hint))
    raise_if_any(problems)
    return chosen, Rule(measure, read_direction(direction, measure), confidence_level), wanted
