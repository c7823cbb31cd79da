"""Simulations of an analysis, in separate worlds for each kind of release if a measure depends on the kind."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.allocating import plan_pilot, plan_rest
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.usual_measures import find_usual
from simdeploy.errors import raise_if_any
from simdeploy.experiments.arguments import Progress, check_numbers, choose_policies, find_bases
from simdeploy.experiments.by_kind import OF_ONE_SWEEP, join_kinds, kinds_of_sweep, sweep_kinds
from simdeploy.experiments.campaign import Campaign
from simdeploy.experiments.cases import Shared
from simdeploy.experiments.design import Design, count_points
from simdeploy.experiments.kinds import Kinds, kinds_of
from simdeploy.experiments.replication import to_replications
from simdeploy.rules.deployment_types import TYPES
from simdeploy.scenario import PoliciesLike, Scenario, ScenarioOrPath, ScenarioPolicy, as_scenario
from simdeploy.scenario.measures import Measure
from simdeploy.scenario.past_rollouts import choose_histories, find_kind
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.jobs import Executor
    from simdeploy.experiments.result import SweepResult

# Fewer replications than this are not worth a pilot.
_FEWEST_OF_A_KIND = 10


def folders_of(concerned: Sequence[str]) -> str | None:
    """Return a pattern of the folder names in the store of a sweep by kind; None for a sweep without kinds."""
    return rf"(.+-|)(pilot|rest)-{OF_ONE_SWEEP}" if concerned else None


def find_divided(
    scenario: Scenario,
    policies: Iterable[ScenarioPolicy],
    measures: Sequence[Measure],
    n: int,
    *,
    kinds: Kinds | None = None,
    fewest: int = 2,
) -> tuple[str, ...]:
    """Return the kinds of release that get worlds of their own; none if kinds are drawn, because they are fewer than `fewest` or
    no measure depends on them.

    `kinds` are those of a sweep; by default the scenario's.
    """
    types = {policy.identity.type for policy in policies}
    concerned = _find_concerned(scenario, measures, types, kinds or kinds_of(scenario), fewest=fewest)
    return concerned if n >= _FEWEST_OF_A_KIND * len(concerned) else ()


def _find_concerned(
    scenario: Scenario, measures: Iterable[Measure], types: Collection[str], kinds: Kinds, *, fewest: int
) -> tuple[str, ...]:
    """Return the kinds of release that measures concern and that get worlds of their own; none if kinds are drawn.

    They are drawn if there are fewer than `fewest`, for types of deployment without a release, and if no measure depends on the kind:
    neither a cost nor a rate nor a condition.
    """
    measures = list(measures)
    is_drawn = scenario.tilt is not None or scenario.kind is not None or len(kinds.possible) < fewest
    if is_drawn or not all(TYPES[type_].releases for type_ in types):
        return ()
    if not any(measure.of in COSTS or measure.kind == "rate" or measure.given is not None for measure in measures):
        return ()
    return tuple(name for name in kinds.possible if any(kinds.allows(measure.given, name) for measure in measures))


def find_divided_at(
    scenario: Scenario,
    policy: ScenarioPolicy,
    measures: Sequence[Measure],
    n: int,
    points: Mapping[str, Sequence[Any]],
    *,
    seed: int,
) -> tuple[str, ...]:
    """Return the kinds of release that get worlds of their own in a sweep of points, which may also vary the release.

    There are none if kinds are drawn, because no measure depends on them, or because points differ in their kinds.
    """
    kinds = kinds_of_sweep(scenario, {policy.name: policy}, vary=points, design="list", seed=seed)
    # As in `check`, even a single kind has its own worlds, because its verdicts may be known.
    fewest = 1 if scenario.past is None else 2
    return () if kinds is None else find_divided(scenario, [policy], measures, n, kinds=kinds, fewest=fewest)


def cap_replications(scenario: Scenario, n: int) -> int:
    """Return how many of n replications are independent: all, unless worlds are rollouts on record.

    Then there are no more than these rollouts, or than those with the rarest kind of release if kinds get worlds of their own.
    """
    if scenario.past is None:
        return n
    histories, names = scenario.past.histories, kinds_of(scenario).possible
    kinds = [find_kind(history, scenario.release) for history in histories]
    if len(names) < 2 or None in kinds:  # restarts have no kind
        return min(n, len(histories))
    rarest = min(sum(kind is not None and kind.name == name for kind in kinds) for name in names)
    return min(n, max(rarest, min(len(histories), _FEWEST_OF_A_KIND * len(names) - 1)))


def count_on_record(scenario: Scenario, measure: Measure) -> int | None:
    """Return how many rollouts on record a measure covers; None if worlds are drawn."""
    if scenario.past is None:
        return None
    histories, kinds = choose_histories(scenario.past, scenario.release, scenario.kind), kinds_of(scenario)
    if measure.given is None:
        return len(histories)
    found = [find_kind(history, scenario.release) for history in histories]
    return sum(kind is not None and kinds.allows(measure.given, kind.name) for kind in found)


def find_possible(
    scenario: Scenario,
    policies: Mapping[str, Any],
    measures: Sequence[Measure],
    n: int,
    *,
    vary: Mapping[str, Iterable[Any]] | None = None,
    design: Design = "grid",
    seed: int = 0,
) -> Kinds | None:
    """Return all kinds of release of a sweep, to be simulated separately because a measure depends on the kind; None if kinds are drawn.

    Used for tables that may be evaluated by more than these measures.
    """
    bases = find_bases({scenario.name: scenario}, policies).values()
    if not find_divided(scenario, bases, measures, n):
        return None
    kinds = kinds_of_sweep(scenario, policies, vary=vary, design=design, seed=seed)
    return kinds if kinds is not None and n >= _FEWEST_OF_A_KIND * len(kinds.possible) else None


def plan_worlds(
    campaign: Campaign,
    scenario: Scenario,
    policies: Mapping[str, Any],
    measures: Sequence[Measure],
    concerned: Sequence[str],
    replications: range,
    *,
    part: str = "pilot",
    vary: Mapping[str, Sequence[Any]] | None = None,
    design: Design = "grid",
    shared: Shared | None = None,
) -> tuple[dict[str, range], dict[str, range], SweepResult]:
    """Simulate a pilot as `sweep_kinds` does; return its numbers of worlds by kind, those of all worlds, and its replications."""
    first = replications.start
    kinds = kinds_of_sweep(scenario, policies, vary=vary, design=design, seed=campaign.seed) or kinds_of(scenario)
    pilot = plan_pilot(kinds, concerned, len(replications))
    begun = {kind: range(first, first + n) for kind, n in pilot.items()}
    result = sweep_kinds(
        campaign,
        scenario,
        policies,
        begun,
        part=part,
        vary=vary,
        design=design,
        shared=shared,
        n_planned=len(replications),
    )
    values = Values(result, measures, costs=scenario.costs, release=scenario.release)
    counts = plan_rest(values, measures, concerned, len(replications))
    return begun, {kind: range(first, first + n) for kind, n in counts.items()}, result


def sweep_by_kind(
    campaign: Campaign,
    scenario: Scenario,
    policies: Mapping[str, Any],
    measures: Sequence[Measure],
    concerned: Sequence[str],
    replications: range,
    *,
    part: str | None = None,
    vary: Mapping[str, Sequence[Any]] | None = None,
    design: Design = "grid",
) -> SweepResult:
    """Simulate a sweep, with separate worlds for the kinds of release that `find_divided` returns, if any.

    A pilot shows how many worlds each needs (`plan_rest`); its replications are part of the result.
    """
    if not concerned:
        scenarios = {scenario.name: scenario}
        return campaign.sweep(scenarios, policies, part=part, vary=vary, design=design, replications=replications)
    if part is None:
        campaign.expect(
            count_points(vary or {}, design) * len(policies) * len(replications), nodes=scenario.fleet.nodes
        )
    prefix = "" if part is None else f"{part}-"
    how: dict[str, Any] = {"vary": vary, "design": design, "shared": Shared()}
    begun, worlds, pilot = plan_worlds(
        campaign, scenario, policies, measures, concerned, replications, part=f"{prefix}pilot", **how
    )
    rest = {kind: range(begun[kind].stop, of.stop) for kind, of in worlds.items()}
    rest = {kind: numbers for kind, numbers in rest.items() if numbers}
    if not rest:
        return pilot
    return join_kinds([pilot, sweep_kinds(campaign, scenario, policies, rest, part=f"{prefix}rest", **how)])


def find_compared(
    scenario: Scenario, policies: Iterable[ScenarioPolicy], n: int
) -> tuple[list[Measure], tuple[str, ...]]:
    """Return the measures by which to divide the worlds of a comparison, and the kinds of release that get worlds of their own.

    These are all that occur, because a comparison has measures of every release.
    """
    usual = find_usual(scenario, "update")  # of other types with releases, too
    wanted = [requirement.measure for requirement in scenario.requirements]
    measures = [measure for measure in usual if measure.kind == "rate" or measure.of == "cost"]
    measures = list(dict.fromkeys([*measures, *wanted]))
    return measures, kinds_of(scenario).possible if find_divided(scenario, policies, measures, n) else ()


def replicate_kinds(
    scenario: ScenarioOrPath,
    policies: PoliciesLike | None = None,
    *,
    replications: int | range = 400,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> pd.DataFrame:
    """Replicate for a comparison of policies; if there are several kinds of release, in separate worlds for each.

    A pilot of a fifth of the worlds shows how many each kind needs, for the costs if the scenario has any, and equally for the
    rates of false alarms and escapes.
    """
    scenario = as_scenario(scenario)
    numbers, seed = check_numbers(replications=replications, seed=seed, engine=engine)
    chosen, problems = choose_policies(scenario, policies)
    raise_if_any(problems)
    measures, concerned = find_compared(scenario, chosen.values(), len(numbers))
    campaign = Campaign(seed, engine, executor, workers, cluster, store, progress, parts=folders_of(concerned))
    result = sweep_by_kind(campaign, scenario, chosen, measures, concerned, numbers)
    campaign.warn_of_failures()
    return to_replications(result)
