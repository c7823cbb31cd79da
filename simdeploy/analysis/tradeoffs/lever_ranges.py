"""Which thresholds of a policy to vary, one at a time, and over which values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from simdeploy.api.wire import DEFAULTS
from simdeploy.errors import InputError, Path, Problem, catch_warned, raise_if_any, shorten
from simdeploy.experiments.arguments import require_keys
from simdeploy.experiments.design import make_points, read_number
from simdeploy.experiments.levers import Lever, change_policy, find_levers
from simdeploy.experiments.ranges import ladder
from simdeploy.rules.waves import DEFAULT_WAVE_PERCENT, count_share
from simdeploy.units import NS_PER_S, format_duration

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

_NUMERIC = ("whole", "number", "duration")
_LIMITS = ("max_failed_nodes", "max_failed_nodes_percent", "health_check.max_error_rate")
_LEAST_ERROR_RATE = 0.01  # if nodes fail no requests by themselves
_DEADLINES = (
    Fraction(1, 2),
    Fraction(3, 4),
    Fraction(1),
    Fraction(3, 2),
    Fraction(2),
    Fraction(4),
)  # multiples of the policy's
_MOST_WAVES = 50  # more waves would take weeks


@dataclass(frozen=True)
class LeverRange:
    """Values over which a setting is varied."""

    lever: Lever
    values: tuple[Any, ...]  # as in a file; None leaves the key to its default
    # Ascending; durations in seconds; `max_parallel` 0 of the deployment dialect as the size of the fleet.
    numbers: tuple[float, ...]
    current: float | None  # the policy's value; None without one
    default: float | None  # the API's default; None without one


def find_ranges(
    scenario: Scenario, policy: ScenarioPolicy, vary: Mapping[str, Iterable[Any]] | None
) -> tuple[LeverRange, ...]:
    """Return the values of each setting, with the policy's value, and with the API's default if the policy can have it.

    `vary` has values by key, as for `sweep`; None means the policy's thresholds that matter in this scenario, in steps
    of 1, 2, 5, 10 that suit its fleet, without values that the scenario would refuse or warn about. Raises `InputError`
    for keys that the policy doesn't have or that are not numbers, and for a policy without a threshold.

    Examples
    --------
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "small",
    ...     "fleet": {"nodes": 12, "update_duration": "45s"},
    ...     "policies": {"waves": {"strategy": "rolling", "max_parallel": 4, "health_check": {"deadline": "5m"}}},
    ... })
    >>> for found in find_ranges(scenario, scenario.policy(), None)[:3]:
    ...     print(found.lever.name, found.numbers, found.current, found.default)
    max_failed_nodes (0.0, 1.0, 2.0, 5.0, 10.0) 10.0 10.0
    max_failed_nodes_percent (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0) 10.0 10.0
    max_parallel (1.0, 2.0, 4.0, 5.0, 10.0, 12.0) 4.0 12.0
    """
    asked = dict(_default_ranges(scenario, policy)) if vary is None else vary
    require_keys(asked)
    if not asked:
        message = "no threshold to vary" if vary is None else "nothing to vary"
        hint = "strategy immediate has no default; pass `vary`" if vary is None else None
        raise InputError(Problem(message, (policy.name,), hint=hint))
    levers = find_levers(asked, [scenario], [policy.spec])
    problems = [
        Problem("can't be varied as a threshold", (lever.name,), allowed="policy keys with ordered values")
        for lever in levers
        if lever.is_factor or lever.kind not in _NUMERIC
    ]
    raise_if_any(problems)
    builder = _RangeBuilder(scenario, policy)
    return tuple(
        builder.lay_out(lever, values, is_ours=vary is None)
        for lever, values in zip(levers, asked.values(), strict=True)
    )


class _RangeBuilder:
    """The values of one policy's settings, under construction."""

    def __init__(self, scenario: Scenario, policy: ScenarioPolicy) -> None:
        self._scenario, self._policy = scenario, policy
        self._known_warnings = self._warnings({})

    def lay_out(self, lever: Lever, given: Iterable[Any], *, is_ours: bool) -> LeverRange:
        values = make_points([lever], [given], "list", seed=0).values[0]
        if is_ours:
            values = tuple(value for value in values if self._warnings({lever: value}) == self._known_warnings)
        raw = self.raw(lever)
        current, default = self._meaning(lever, raw), self._meaning(lever, None)
        by_number = {self._meaning(lever, value): value for value in values}
        if default is not None and self._warnings({lever: None}) is not None:
            by_number[default] = None
        if current is not None:
            by_number[current] = raw  # so that all ranges have a case in common
        by_number.pop(None, None)
        numbers = sorted(number for number in by_number if number is not None)
        values = tuple(by_number[number] for number in numbers)
        return LeverRange(lever, values, tuple(numbers), current, default if default in numbers else None)

    def raw(self, lever: Lever) -> Any:
        """Return the policy's value, as in a file; None if it leaves the key out."""
        value: Any = self._policy.spec
        for key in lever.path.split("."):
            value = getattr(value, key, None)
        if value is None or value == "":
            return None
        is_ns = lever.kind == "duration" and isinstance(value, int)
        return format_duration(value) if is_ns else value

    def _meaning(self, lever: Lever, value: Any) -> float | None:
        """Return a value as a number; None if the key is unset and has no default."""
        dialect = self._policy.spec.dialect
        orchestrator = self._scenario.orchestrator_of(self._policy)
        is_default = orchestrator.explicit_zero_limit == "default" and lever.path in _LIMITS
        if value is None or (value == 0 and is_default):
            value = DEFAULTS[dialect].get(lever.path.rpartition(".")[2])
            if lever.kind == "duration" and isinstance(value, int):
                value = format_duration(value)
        if value is None:
            return None
        if lever.path == "max_parallel" and isinstance(value, str) and value.endswith("%"):
            value = count_share(Fraction(value[:-1]), orchestrator.wave_rounding, self._scenario.fleet.nodes)
        number = read_number(lever.kind, value)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InputError(Problem("a threshold must be a number", (lever.name,), found=shorten(value)))
        if lever.path == "max_parallel" and number == 0:
            return float(self._scenario.fleet.nodes if dialect != "rollout" else DEFAULT_WAVE_PERCENT)
        return float(number)

    def _warnings(self, values: Mapping[Lever, Any]) -> set[tuple[Path, str]] | None:
        """Return the scenario's warnings about the policy with other values; None if it refuses it."""
        with catch_warned() as problems:
            try:
                change_policy(self._policy, values, self._scenario)
            except InputError:
                return None
        return {(problem.path, problem.message) for problem in problems}


def _default_ranges(scenario: Scenario, policy: ScenarioPolicy) -> Iterator[tuple[str, list[Any]]]:
    """Yield the settings that matter, each with values that suit the fleet."""
    nodes, orchestrator = scenario.fleet.nodes, scenario.orchestrator_of(policy)
    strategy, dialect, leaves = policy.policy.strategy, policy.spec.dialect, policy.identity.type == "stop"
    # Nothing fails under type stop, and limits that don't apply have no effect.
    if not leaves and (strategy != "immediate" or orchestrator.limits_apply_to_immediate):
        yield "max_failed_nodes", [0, *ladder(1, nodes)]
        yield "max_failed_nodes_percent", [0, *ladder(1, 50)]
    if strategy == "immediate":
        return
    if strategy == "canary" and policy.policy.canary_count:
        yield "canary_count", ladder(1, nodes / 2)
    if strategy == "canary" and policy.policy.canary_percent:
        yield "canary_percent", ladder(1, 50)
    if orchestrator.pacing != "rate":
        in_nodes = [*ladder(nodes / _MOST_WAVES, nodes), nodes]
        yield "max_parallel", in_nodes if dialect != "rollout" else ladder(100 / _MOST_WAVES, 100)
    if not leaves:
        yield from _health_ranges(scenario, policy)


def _health_ranges(scenario: Scenario, policy: ScenarioPolicy) -> Iterator[tuple[str, list[Any]]]:
    behaviours, rules = scenario.fleet.behaviours, policy.policy
    if any(behaviour.requests_per_second for behaviour in behaviours):
        least = min((b.error_rate.mean for b in behaviours if b.error_rate.mean > 0), default=2 * _LEAST_ERROR_RATE)
        yield "health_check.max_error_rate", ladder(min(least / 2, 0.1), 0.5)
    windows = ladder(1, (rules.deadline_ns or 0) / rules.interval_ns)
    if rules.success_threshold is None:
        interval_s = rules.interval_ns / NS_PER_S
        yield "health_check.min_healthy_time", [0, *(n * interval_s for n in windows)]
    else:
        yield "health_check.success_threshold", windows
        yield "health_check.failure_threshold", windows
    deadline_s = Fraction(rules.deadline_ns or 0, NS_PER_S)
    yield "health_check.deadline", [float(deadline_s * factor) for factor in _DEADLINES]
