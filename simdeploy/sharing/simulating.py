"""Contents of a report on a scenario: its policies are compared, and the thresholds of one of them varied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from simdeploy.analysis import compare, estimate
from simdeploy.analysis.asking.simulating import cap_replications, find_possible, replicate_kinds
from simdeploy.analysis.asking.usual_measures import find_usual
from simdeploy.analysis.tradeoffs.lever_ranges import LeverRange, find_ranges
from simdeploy.errors import InputError, Problem
from simdeploy.experiments import sweep
from simdeploy.experiments.levers import Lever, change_quietly, find_levers
from simdeploy.experiments.store.manifest import find_versions, hash_json
from simdeploy.scenario.suspicions import list_ignored
from simdeploy.scenario.written_specs import write_specs
from simdeploy.sharing.assumptions import list_facts, list_switches, read_world
from simdeploy.sharing.contents import Contents, make_origin
from simdeploy.sharing.dials import Dials, make_dials

if TYPE_CHECKING:
    from simdeploy.experiments.arguments import Progress
    from simdeploy.experiments.jobs import Executor
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.scenario.measures import Measure

# The thresholds that get sliders by default, most informative first.
_PREFERRED = ("max_failed_nodes", "max_failed_nodes_percent", "health_check.max_error_rate", "max_parallel")
_LIMITS = _PREFERRED[:2]


@dataclass(frozen=True)
class Request:
    """How a scenario is simulated for a report."""

    policy: Any = None
    vary: Mapping[str, Sequence[Any]] | None = None
    replications: int = 400
    confidence_level: float = 0.95
    seed: int = 0
    engine: str = "auto"
    executor: Executor | None = None
    workers: int = 1
    cluster: str | None = None
    progress: bool | Progress = False
    command: str | None = None  # the command line that writes the report

    @property
    def how(self) -> dict[str, Any]:
        """The arguments of calls that simulate."""
        names = ("replications", "seed", "engine", "executor", "workers", "cluster", "progress")
        return {name: getattr(self, name) for name in names}


def report_scenario(scenario: Scenario, request: Request) -> Contents:
    """Return the contents of a report on a scenario."""
    request = replace(request, replications=cap_replications(scenario, request.replications))
    policy, ranges = _choose_policy(scenario, request)
    names: dict[str, Any] = {name: name for name in scenario.policies}
    if request.policy is not None:  # it may replace a policy of the same name
        names[policy.name] = policy
    responses = replicate_kinds(scenario, names, **request.how)
    result = compare(responses, confidence_level=request.confidence_level)
    dials = _simulate_dials(scenario, policy, ranges, request) if ranges else None
    of_policies = {name: write_specs(scenario.policy(each), scenario) for name, each in names.items()}
    origin = [("replications of each policy", f"{request.replications:,}")]
    origin += [("SHA-256 of the scenario", hash_json(scenario.to_question()))]
    return Contents(
        scenario.name,
        scenario.description,
        result,
        (list_facts(read_world(scenario)), *list_switches(result.computed_under)),
        dials,
        of_policies,
        request.command,
        make_origin(result.computed_under, origin, find_versions()),
    )


def _choose_policy(scenario: Scenario, request: Request) -> tuple[ScenarioPolicy, tuple[LeverRange, ...]]:
    """Return the policy whose thresholds move, and these thresholds.

    By default it is the first policy with two of them, or that uses those named.
    """
    policies = [*scenario.policies.values()] if request.policy is None else [scenario.policy(request.policy)]
    if request.vary and request.policy is None:
        obedient = [policy for policy in policies if _has_all_settings(scenario, policy, request.vary)]
        if not obedient:
            find_ranges(scenario, policies[0], request.vary)  # raises if the keys are invalid
            message, hint = "ignored by every policy of the scenario", "choose another `policy` (--policy)"
            raise InputError(Problem(message, ("vary",), found=", ".join(request.vary), hint=hint))
        policies = obedient[:1]
    ranges = [_choose_ranges(scenario, policy, request.vary) for policy in policies]
    first = next((place for place, of_policy in enumerate(ranges) if len(of_policy) > 1), 0)
    return policies[first], ranges[first]


def _has_all_settings(scenario: Scenario, policy: ScenarioPolicy, vary: Mapping[str, Sequence[Any]]) -> bool:
    """Return whether a policy has all these settings and ignores none; invalid values are reported later."""
    try:
        levers = find_levers(vary, [scenario], [policy.spec])
    except InputError:
        return False
    for lever, values in zip(levers, vary.values(), strict=True):
        for value in values:
            with suppress(InputError):
                changed = change_quietly(policy, {lever: value}, scenario)
                ignored = list_ignored(changed, scenario.orchestrator_of(changed))
                if any(f"{lever.path}.".startswith(f"{key}.") for key in ignored):
                    return False
    return True


def _choose_ranges(
    scenario: Scenario, policy: ScenarioPolicy, vary: Mapping[str, Sequence[Any]] | None
) -> tuple[LeverRange, ...]:
    """Return the thresholds that move: those named, or the limit that decides and the next most informative one."""
    if vary:
        return find_ranges(scenario, policy, vary)
    try:
        ranges = {each.lever.name: each for each in find_ranges(scenario, policy, None)}
    except InputError:  # a policy without thresholds
        return ()
    names = [
        name for name in dict.fromkeys([*_PREFERRED, *ranges]) if len(getattr(ranges.get(name), "numbers", ())) > 1
    ]
    if all(name in names for name in _LIMITS):
        names.remove(_find_idle_limit(scenario, policy, *(ranges[name] for name in _LIMITS)))
    return tuple(ranges[name] for name in names[:2])


def _find_idle_limit(scenario: Scenario, policy: ScenarioPolicy, count: LeverRange, percent: LeverRange) -> str:
    """Return the limit that never decides: an unset one, or the one crossed later (earlier, if both must be crossed)."""
    if count.current is None or percent.current is None:
        return _LIMITS[1] if percent.current is None else _LIMITS[0]
    counts_first = count.current <= percent.current / 100 * scenario.fleet.nodes
    is_either = scenario.orchestrator_of(policy).limit_combination == "either"
    return _LIMITS[1] if counts_first == is_either else _LIMITS[0]


def _simulate_dials(
    scenario: Scenario, policy: ScenarioPolicy, ranges: Sequence[LeverRange], request: Request
) -> Dials | None:
    values = {
        each.lever.name: [*map(_as_value, each.numbers), *([None] if each.current is None else [])] for each in ranges
    }
    measures = _list_measures(scenario, policy.identity.type)
    how: dict[str, Any] = {"vary": values, "seed": request.seed}
    kinds = find_possible(scenario, {policy.name: policy}, measures, request.replications, **how)
    strata: Literal["kinds"] | None = None if kinds is None else "kinds"
    result = sweep(scenario, {policy.name: policy}, **{**request.how, **how}, strata=strata)
    levers = {each.lever.name: each.lever for each in ranges}
    current = {each.lever.name: each.current for each in ranges}
    estimates = estimate(result, measures, confidence_level=request.confidence_level)
    dials = make_dials(estimates, current=current)
    return dials and add_policies(dials, scenario, policy, levers)


def _as_value(value: Any) -> Any:
    """Return a value as in a file; a missing one leaves the key out."""
    if value != value:
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _list_measures(scenario: Scenario, type_: str) -> list[Measure]:
    """Return the measures that a page shows of a case; it may have no room for the last one."""
    usual = find_usual(scenario, type_)
    required = [each.measure for each in scenario.requirements if each.policy is None]
    return list(dict.fromkeys([*(each for each in usual if each.of != "blast_radius"), *required, *usual]))


def add_policies(dials: Dials, scenario: Scenario, policy: ScenarioPolicy, levers: Mapping[str, Lever]) -> Dials:
    """Return a grid with the policy's specs in every case; unchanged if the cases differ in more than keys of the policy."""
    keys = [dial.key for dial in dials.dials]
    if any(key not in levers or levers[key].is_factor for key in keys):
        return dials
    made = []
    for position in dials.positions():
        places = zip(dials.dials, position, strict=True)
        values = {levers[dial.key]: _as_value(dial.raw[place]) for dial, place in places}
        made.append(write_specs(change_quietly(policy, values, scenario), scenario))  # the sweep has warned
    return replace(dials, policy=policy.name, specs=tuple(made))
