"""How many nodes a policy plans in flight at once, and the limit on that in the default ranges.

If each node serves its own requests, taking down many nodes at once costs no more than one after another. So without a limit, a search
would propose to update the whole fleet at once. The same holds for a shared service if neither objective nor requirements depend on the
requests that it sheds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from simdeploy.errors import Problem, shorten
from simdeploy.experiments.levers import Lever, change_quietly
from simdeploy.rules.waves import plan_waves
from simdeploy.scenario.measures import Measure, Requirement
from simdeploy.units import is_whole

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

ALL = "all"
IN_SERVICE = Measure("min_in_service_fraction")

# Settings that determine the plan of waves.
_PLAN = ("strategy", "canary_count", "canary_percent", "max_parallel")


def count_in_flight(policy: ScenarioPolicy, scenario: Scenario) -> int:
    """Return the most nodes that a policy plans in flight at once: canaries, a wave, slots or a batch.

    Examples
    --------
    >>> from simdeploy import load_example
    >>> scenario = load_example("small-fleet")
    >>> count_in_flight(scenario.policy("rolling"), scenario)
    8
    """
    fleet = scenario.fleet
    plan = plan_waves(policy.policy, scenario.orchestrator_of(policy), fleet.nodes, fleet.zones)
    if plan.is_list:
        return min(plan.parallel, max(plan.sizes))
    if plan.pacing == "sliding":
        return max(plan.canaries, min(plan.parallel, plan.total - plan.canaries))
    return max(plan.sizes)


def find_largest_wave(
    largest_wave: Any,
    scenario: Scenario,
    objective: Measure | None,
    requirements: Sequence[Requirement],
    current: int,
    problems: list[Problem],
) -> int | None:
    """Return the limit for the default ranges; None without one. `current` is the number for the current policy.

    By default that is the limit, unless a requirement keeps nodes in service or bounds shed requests, or shed requests have
    a price in the objective.
    """
    if largest_wave is None:
        is_kept = any(_keeps_in_service(each) for each in requirements)
        return None if is_kept or _depends_on_wave_size(scenario, objective) else current
    if largest_wave == ALL:
        return None
    if is_whole(largest_wave, 1):
        return int(largest_wave)
    problems.append(
        Problem("invalid limit", ("largest_wave",), found=shorten(largest_wave), allowed=f"nodes, from 1, or {ALL!r}")
    )
    return None


def _keeps_in_service(requirement: Requirement) -> bool:
    if requirement.measure.of in (IN_SERVICE.of, "min_capacity_ratio"):
        return requirement.at_least is not None
    return requirement.measure.of in ("shed_requests", "shed_requests_excess") and requirement.at_most is not None


def _depends_on_wave_size(scenario: Scenario, objective: Measure | None) -> bool:
    """Return whether the objective depends on how many nodes of a shared service are out at once."""
    if scenario.fleet.service is None or objective is None:
        return False
    if objective.of in ("cost", "cost_shed_requests"):
        return scenario.costs is not None and scenario.costs.per_shed_request > 0
    return objective.of in ("shed_requests", "shed_requests_excess", "min_capacity_ratio", IN_SERVICE.of)


def count_of_rows(
    scenario: Scenario, base: ScenarioPolicy, levers: Sequence[Lever], rows: Iterable[tuple[Any, ...]]
) -> dict[tuple[Any, ...], int]:
    """Return how many nodes each candidate plans in flight at once."""
    places = [place for place, lever in enumerate(levers) if lever.path in _PLAN]
    of_plan: dict[tuple[Any, ...], int] = {}
    counts = {}
    for row in rows:
        plan = tuple(row[place] for place in places)
        if plan not in of_plan:
            made = change_quietly(base, dict(zip(levers, row, strict=True)), scenario)
            of_plan[plan] = count_in_flight(made, scenario)
        counts[row] = of_plan[plan]
    return counts
