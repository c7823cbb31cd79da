"""The candidates of a search: values of the settings that suit the fleet and the dialect."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.tuning.in_flight import ALL, count_of_rows
from simdeploy.api.gate import READ_BY
from simdeploy.api.wire import DEFAULTS as DEFAULTS_OF_API
from simdeploy.errors import InputError, Problem, raise_if_any
from simdeploy.experiments.arguments import require_keys
from simdeploy.experiments.design import make_points, read_number
from simdeploy.experiments.levers import GATE, GATE_KIND, Lever, find_levers
from simdeploy.experiments.ranges import ladder
from simdeploy.units import MAX_DURATION_NS, NS_PER_S, exact, round_half_up, write_duration

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

CURRENT, DEFAULTS = "current", "defaults"

# Settings with an API default, which determine when a rollout stops; the other settings are the policy's plan.
_THRESHOLDS = (
    "max_failed_nodes",
    "max_failed_nodes_percent",
    "health_check.max_error_rate",
    "health_check.min_healthy_time",
    "health_check.success_threshold",
    "health_check.failure_threshold",
)
_SHARED = ("strategy", "canary_count", "canary_percent", "auto_promote", "max_parallel", *_THRESHOLDS[:3])
_HEALTH = {
    "deployment": ("health_check.min_healthy_time", "health_check.deadline"),
    "rollout": ("health_check.success_threshold", "health_check.failure_threshold", "health_check.deadline"),
}

_ERROR_RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_HEALTHY_WINDOWS = (1, 3, 6, 12, 30)
_DEADLINES = (1, 3)  # multiples of what a slow node needs
_SLOW = 0.999  # the quantile of the update duration of a slow node
_LONGEST_S = MAX_DURATION_NS / NS_PER_S
_PERCENTS = (1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Candidates:
    """The policies of a search, numbered."""

    levers: tuple[str, ...]  # full names of the varied settings
    points: tuple[tuple[Any, ...], ...]  # each candidate's values, as in a file; None leaves a key out
    roles: Mapping[str, int]  # the candidates with the roles `current` (policy) and (API) `defaults`
    n_possible: int  # combinations; more than the candidates if these were sampled
    values: tuple[tuple[Any, ...], ...] = ()  # values of each setting in the whole grid
    kept: tuple[str, ...] = ()  # settings that are limits which only the API defaults change
    largest_wave: int | None = None  # the most nodes planned in flight at once, except by roles; None: no limit
    n_beyond: int = 0  # combinations that exceed `largest_wave`

    def __len__(self) -> int:
        return len(self.points)

    def columns(self, numbers: Iterable[int]) -> dict[str, list[Any]]:
        """Return the values of some candidates by setting: what a sweep over lists varies."""
        chosen = [self.points[number] for number in numbers]
        return {name: [point[place] for point in chosen] for place, name in enumerate(self.levers)}

    @property
    def reference(self) -> int | None:
        """The policy with the API defaults if it changes limits that are not varied, so that it is only for comparison."""
        return self.roles[DEFAULTS] if self.kept else None

    def choice(self, number: int) -> dict[str, Any]:
        """Return the settings of a candidate, without limits that it keeps."""
        settings, current = (
            dict(zip(self.levers, self.points[place], strict=True)) for place in (number, self.roles[CURRENT])
        )
        return {name: v for name, v in settings.items() if name not in self.kept or v != current[name]}

    def n_changes(self, number: int) -> int:
        """Return in how many settings a candidate differs from the current policy."""
        current = self.points[self.roles[CURRENT]]
        return sum(value != today for value, today in zip(self.points[number], current, strict=True))


def make_candidates(
    scenario: Scenario,
    base: ScenarioPolicy,
    vary: Mapping[str, Iterable[Any]] | None,
    *,
    most: int,
    seed: int,
    largest_wave: int | None = None,
) -> Candidates:
    """Make the distinct candidates of a search: first the current policy, then the same with default thresholds.

    `vary` has values by key, as for `sweep`, which form a grid; settings that are not varied keep the base's values. By
    default strategy, sizes of waves and canaries, thresholds and times are varied, in steps that suit the fleet, with at
    most `largest_wave` nodes in flight at once. With more than `most` combinations a sample is drawn.
    """
    own_kind = base.policy.gate.kind if base.policy.gate is not None else "threshold"
    kept: dict[str, Any] = {}
    if vary is None and base.spec.dialect == "general":
        message = "a search of a general policy has no default ranges"
        raise InputError(Problem(message, (base.name,), allowed="the values to try: vary (--vary max_parallel=1,2,5)"))
    if vary is None:
        names, rows = _SHARED + _HEALTH[base.spec.dialect], _Space(scenario, base, largest_wave).rows()
        levers = find_levers(names, [scenario], [base.spec])
    else:
        largest_wave = None
        require_keys(vary)
        levers = find_levers(vary, [], [base.spec])
        kept = _kept_limits(base, levers)
        vary = {**vary, **kept}
        levers = find_levers(vary, [], [base.spec])
        points = make_points(levers, list(vary.values()), "grid", seed=seed)
        check_gate_levers(levers, points.values, own_kind)
        rows = [
            drop_unread(levers, tuple(map(_in_one_form, levers, points.point(n).values())), own_kind)
            for n in range(len(points))
        ]
    current = tuple(_look_up(base.spec.to_dict(), lever) for lever in levers)
    defaults = drop_unread(levers, tuple(_default(base, *each) for each in zip(levers, current, strict=True)), own_kind)
    # A default that is written out is not a change.
    defaults_of_keys = {GATE_KIND: "threshold"} | {
        lever.path: DEFAULTS_OF_API[base.spec.dialect].get(lever.path.rpartition(".")[2])
        for lever in levers
        if not is_of_gate(lever)
    }
    unset = [defaults_of_keys.get(lever.path) for lever in levers]
    unset = [default if value is None else None for default, value in zip(unset, current, strict=True)]
    defaults, *written = (
        tuple(None if v is not None and v == d else v for v, d in zip(row, unset, strict=True))
        for row in (defaults, *rows)
    )
    distinct = list(dict.fromkeys(written))
    first = list(dict.fromkeys([current, defaults]))
    other_policies = _other_policies(scenario, base, levers)
    n_beyond = 0
    if largest_wave is not None:
        in_flight = count_of_rows(scenario, base, levers, dict.fromkeys([*distinct, *other_policies]))
        _check_limit(largest_wave, [in_flight[row] for row in distinct])
        beyond = {row for row, count in in_flight.items() if count > largest_wave} - set(first)
        n_beyond = len(beyond)
        distinct, other_policies = ([row for row in some if row not in beyond] for some in (distinct, other_policies))
    first += [row for row in dict.fromkeys(other_policies) if row not in first]
    others = [row for row in distinct if row not in set(first)]
    if len(first) + len(others) > most:
        sample = np.random.default_rng(seed).choice(len(others), size=max(most - len(first), 0), replace=False)
        others = [others[place] for place in np.sort(sample).tolist()]
    roles = {CURRENT: 0, DEFAULTS: first.index(defaults)}
    grid = {*distinct, *first}
    if kept:
        grid -= {defaults} - {*distinct}
    n_possible = len(grid)
    names = tuple(lever.name for lever in levers)
    values = tuple(tuple(dict.fromkeys(of_setting)) for of_setting in zip(*distinct, strict=True))
    return Candidates(names, (*first, *others), roles, n_possible, values, tuple(kept), largest_wave, n_beyond)


def _kept_limits(base: ScenarioPolicy, levers: Sequence[Lever]) -> dict[str, list[Any]]:
    """Return the limits that the policy sets and that are not varied, for a candidate with the API defaults."""
    if base.spec.dialect == "general":  # it has no defaults
        return {}
    raw, varied = base.spec.to_dict(), {lever.path for lever in levers}
    is_set = [path for path in _THRESHOLDS if path not in varied and _look_up(raw, Lever(path, "other")) is not None]
    return {lever.path: [_look_up(raw, lever)] for lever in find_levers(is_set, [], [base.spec])}


def _check_limit(largest_wave: int, in_flight: Sequence[int]) -> None:
    if min(in_flight) > largest_wave:
        allowed = f"{min(in_flight):,} or more nodes, or {ALL!r}"
        found, hint = f"{largest_wave:,}", "or name the values to try with vary (--vary)"
        raise InputError(Problem("nothing left to try", ("largest_wave",), found=found, allowed=allowed, hint=hint))


def _default(base: ScenarioPolicy, lever: Lever, current: Any) -> Any:
    """Return a setting's API default; the policy's value if the API, or the dialect, has none."""
    if base.spec.dialect == "general":
        return current
    if lever.path == GATE_KIND:
        return "threshold"
    return None if lever.path in _THRESHOLDS else current


def _other_policies(scenario: Scenario, base: ScenarioPolicy, levers: Sequence[Lever]) -> list[tuple[Any, ...]]:
    """Return the scenario's other policies, as far as the settings can express them."""
    rows = []
    for policy in scenario.policies.values():
        if policy.spec.dialect == base.spec.dialect and policy.identity == base.identity:
            base_rest, policy_rest = (_without(each.spec.to_dict(), levers) for each in (base, policy))
            if base_rest == policy_rest:
                rows.append(tuple(_look_up(policy.spec.to_dict(), lever) for lever in levers))
    return rows


def _without(raw: Mapping[str, Any], levers: Sequence[Lever], prefix: str = "") -> dict[str, Any]:
    """Return a spec without the settings."""
    paths = {lever.path for lever in levers}
    rest: dict[str, Any] = {}
    for key, value in raw.items():
        below = _without(value, levers, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        if prefix + key not in paths and below not in (None, {}):
            rest[key] = below
    return rest


def _look_up(raw: Mapping[str, Any], lever: Lever) -> Any:
    node: Any = raw
    for key in lever.path.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    if lever.kind == "duration" and isinstance(node, int) and node is not True:
        return write_duration(node)  # the rollout dialect's nanoseconds, as a sweep takes durations
    return _in_one_form(lever, node)


def _in_one_form(lever: Lever, value: Any) -> Any:
    """Return a value with durations, which may be seconds, as text, so that equal ones are the same candidate."""
    seconds = read_number(lever.kind, value) if lever.kind == "duration" else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST_S:
        return value
    return write_duration(round_half_up(exact(seconds) * NS_PER_S))


class _Space:
    """The default values of the settings: every combination is a row, in the order of `_SHARED` and `_HEALTH`."""

    def __init__(self, scenario: Scenario, base: ScenarioPolicy, largest_wave: int | None) -> None:
        self._largest_wave = largest_wave
        self._scenario, self._base, self._dialect = scenario, base, base.spec.dialect
        self._nodes = scenario.fleet.nodes

    def rows(self) -> list[tuple[Any, ...]]:
        """Return every combination."""
        waves, limits, health = self._waves(), self._limits(), list(product(_ERROR_RATES, self._health()))
        at_once = ("immediate", None, None, None, None, None, None, None, *(None for _ in _HEALTH[self._dialect]))
        plans: list[tuple[Any, ...]] = [("rolling", None, None, None, wave) for wave in waves]
        plans += [("canary", n, None, self._auto_promote(), wave) for n, wave in product(self._canaries(), waves)]
        return [
            at_once,
            *((*plan, *limit, rate, *times) for plan, limit, (rate, times) in product(plans, limits, health)),
        ]

    def _auto_promote(self) -> bool:
        """Keep manual promotion where the current policy has it."""
        spec = self._base.spec
        return spec.strategy != "canary" or bool(spec.effective("auto_promote"))

    def _waves(self) -> list[int]:
        """Return sizes of waves, including the largest allowed one, which usually is the current policy's."""
        limit = self._nodes if self._largest_wave is None else min(self._largest_wave, self._nodes)
        if self._dialect == "rollout":
            percents = [percent for percent in _PERCENTS if percent * self._nodes >= 100 or percent == 100]
            return sorted({*percents, limit * 100 // self._nodes or percents[0]})
        sizes = {max(1, self._nodes * percent // 100) for percent in _PERCENTS[:-1]} | {limit}
        return [*sorted(size for size in sizes if size < self._nodes), 0]

    def _canaries(self) -> list[int]:
        return ladder(1, max(1, self._nodes // 4))

    def _limits(self) -> list[tuple[int, float]]:
        """Vary the absolute limit, which has finer steps, and set the percentage so that it has no effect."""
        orchestrator = self._scenario.orchestrator_of(self._base)
        zero_is_zero = orchestrator.explicit_zero_limit == "zero_tolerance"
        never, always = 100.0, 0.0 if zero_is_zero else 0.001
        percent = never if orchestrator.limit_combination == "either" else always
        counts = [*([0] if zero_is_zero else []), *ladder(1, self._nodes // 2)]
        return [(n, percent) for n in counts]

    def _health(self) -> list[tuple[Any, ...]]:
        """Return pairs of an observation time and a deadline that leaves time for a slow node."""
        rows: list[tuple[Any, ...]] = []
        for windows, factor in product(_HEALTHY_WINDOWS, _DEADLINES):
            deadline = write_duration(find_least_deadline_ns(self._scenario, self._base, windows) * factor)
            if self._dialect == "rollout":
                rows += [(windows, failing, deadline) for failing in (1, 3)]
            else:
                rows.append((write_duration(windows * self._base.policy.interval_ns), deadline))
        return rows


def find_least_deadline_ns(scenario: Scenario, base: ScenarioPolicy, windows: int) -> int:
    """Return the shortest deadline of the default ranges, also for neighbours: time for a slow node, and the current one."""
    slow_start_s = max(
        float(np.asarray(b.update_duration.quantile(np.array([_SLOW])))[0])
        * float(np.asarray(b.slowdown.quantile(np.array([_SLOW])))[0])
        for b in scenario.fleet.behaviours
    )
    needed_s = _round_up(slow_start_s + windows * base.policy.interval_ns / NS_PER_S)
    return max(base.policy.deadline_ns or 0, needed_s * NS_PER_S)


def _round_up(seconds: float) -> int:
    """Round up to whole minutes, or short times to ten seconds, for readability."""
    step = 60 if seconds > 120 else 10
    return math.ceil(seconds / step) * step


def is_of_gate(lever: Lever) -> bool:
    """Return whether a setting is a key of the gate."""
    return lever.path.startswith(f"{GATE}.")


def check_gate_levers(levers: Sequence[Lever], values: Sequence[Sequence[Any]], own_kind: str) -> None:
    """Raise `InputError` for whole gates as values, and for parameters that no kind of gate tried would use."""
    tried = next((set(of) for lever, of in zip(levers, values, strict=True) if lever.path == GATE_KIND), {own_kind})
    used = {key for kind in tried for key in READ_BY.get(kind or "threshold", READ_BY)}
    problems = [
        Problem("vary a gate by its keys", (lever.name,), hint="vary gate.kind and the keys of the kinds")
        for lever in levers
        if lever.path == GATE
    ]
    for lever in levers:
        key = lever.path.removeprefix(f"{GATE}.")
        if is_of_gate(lever) and lever.path != GATE_KIND and key not in used:
            kinds = ", ".join(kind for kind, keys in READ_BY.items() if key in keys)
            found = ", ".join(sorted(map(str, tried)))
            hint = f"also vary gate.kind; {key} is used by {kinds}"
            problems.append(Problem("not used by any gate searched", (lever.name,), found=found, hint=hint))
    raise_if_any(problems)


def drop_unread(levers: Sequence[Lever], row: tuple[Any, ...], own_kind: str) -> tuple[Any, ...]:
    """Return a candidate's values with None for every gate parameter that its kind doesn't use.

    The kind is `own_kind` if it isn't varied.

    Examples
    --------
    >>> from simdeploy.experiments.levers import Lever
    >>> levers = [Lever("health_check.gate.kind", "other"), Lever("health_check.gate.alpha", "number")]
    >>> [drop_unread(levers, row, "threshold") for row in (("pooled", 0.01), ("sprt", 0.01))]
    [('pooled', None), ('sprt', 0.01)]
    """
    of_path = {lever.path: value for lever, value in zip(levers, row, strict=True)}
    kind = of_path.get(GATE_KIND, own_kind) or "threshold"
    used: tuple[str, ...] = READ_BY.get(kind, ())
    if of_path.get("strategy") == "immediate":
        kind, used = None, ()
    kept = {GATE_KIND: kind} | {f"{GATE}.{key}": of_path.get(f"{GATE}.{key}") for key in used}
    return tuple(kept.get(lever.path) if is_of_gate(lever) else value for lever, value in zip(levers, row, strict=True))
