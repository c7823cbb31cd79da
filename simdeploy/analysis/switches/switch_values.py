"""The values of the orchestrator's switches to try, and the same policies under many settings of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.analysis.asking.judging import judge_requirements
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.switches.conclusions import Rule, Standings
from simdeploy.analysis.switches.remembering import remember
from simdeploy.errors import InputError, catch_warned
from simdeploy.experiments.by_kind import sweep_kinds
from simdeploy.experiments.gathering import gather
from simdeploy.rules.orchestrator import SWITCHES, Rate, Switch
from simdeploy.statistics.estimators import Estimate, estimate_values
from simdeploy.units import NS_PER_S, write_duration
from simdeploy.vocabulary import RESPONSES

if TYPE_CHECKING:
    from simdeploy.experiments.campaign import Campaign
    from simdeploy.experiments.result import SweepResult
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.scenario.measures import Requirement
    from simdeploy.statistics.sample import Sample
    from simdeploy.world.fleet import Fleet

# The switches that the API leaves open.
_OPEN = [switch for switch in SWITCHES.values() if not switch.of_others]
_LONGEST_NS = 24 * 3600 * NS_PER_S

# Rows that are in memory at once.
_MOST_ROWS = 600_000
_LAST_DIGITS = 1e-9


@dataclass(frozen=True)
class SwitchValue:
    """A value of one switch, by its key below ``orchestrator``: as in a file, and in words."""

    switch: str
    value: Any = field(compare=False)
    text: str

    def __str__(self) -> str:
        return f"{self.switch}: {self.text}"


def list_switch_values(scenario: Scenario) -> tuple[SwitchValue, ...]:
    """List the values of every switch other than the scenario's own, in the order of the model's section 6.

    For switches with a closed list, all values. For the four others the preset's value and two informative for this
    fleet: `minimum_sample` a tenth and a half of the nodes; `bake_time` the mean duration of an update (of the slowest
    class) and ten times that, in whole seconds and at most a day; `reporting_delay` a quarter of it and all of it; `rate`
    a twentieth of the nodes a minute, and a hundredth that doubles every minute.

    Examples
    --------
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "small",
    ...     "fleet": {"nodes": 40, "update_duration": "45s"},
    ...     "orchestrator": {"limit_comparison": "reaches"},
    ...     "policies": {"at-once": {"strategy": "immediate"}},
    ... })
    >>> values = list_switch_values(scenario)
    >>> [str(value) for value in values if value.switch in ("limit_comparison", "minimum_sample", "bake_time", "rate")]
    ['limit_comparison: exceeds', 'minimum_sample: 4', 'minimum_sample: 20', 'bake_time: 45s', 'bake_time: 7m30s', 'rate: {per_minute: 2, growth: 1}', 'rate: {per_minute: 1, growth: 2}']
    >>> [str(value) for value in values if value.switch == "reporting_delay"]
    ['reporting_delay: 12s', 'reporting_delay: 45s']
    """
    return tuple(
        _as_in_a_file(switch, value)
        for switch in _OPEN
        for value in dict.fromkeys(switch.values or _informative_values(switch, scenario.fleet))
        if value != getattr(scenario.orchestrator, switch.field)
    )


def list_own_values(scenario: Scenario) -> dict[str, SwitchValue]:
    """Return each switch's value in a scenario, by name."""
    return {switch.key: _as_in_a_file(switch, getattr(scenario.orchestrator, switch.field)) for switch in _OPEN}


def pair_values(values: Sequence[SwitchValue]) -> Iterator[tuple[SwitchValue, SwitchValue]]:
    """Yield every two values of different switches."""
    return ((first, second) for first, second in combinations(values, 2) if first.switch != second.switch)


def _informative_values(switch: Switch, fleet: Fleet) -> tuple[Any, ...]:
    nodes = fleet.nodes
    if switch.hint is Rate:
        doubling = Rate(per_minute=Fraction(math.ceil(nodes / 100)), growth=Fraction(2))
        return (switch.default, Rate(per_minute=Fraction(math.ceil(nodes / 20))), doubling)
    if not switch.is_duration:
        return (switch.default, *(math.ceil(nodes * fraction) for fraction in switch.tried))
    mean_s = max(behaviour.update_duration.mean * behaviour.slowdown.mean for behaviour in fleet.behaviours)
    update_s = math.ceil(min(mean_s, _LONGEST_NS / NS_PER_S))
    times = (math.ceil(update_s * fraction) * NS_PER_S for fraction in switch.tried)
    return (switch.default, *(min(time_ns, _LONGEST_NS) for time_ns in times))


def _as_in_a_file(switch: Switch, value: Any) -> SwitchValue:
    if switch.is_duration:
        text = write_duration(value)
        return SwitchValue(switch.key, text, text)
    if isinstance(value, Rate):
        keys = {key: float(number) for key, number in vars(value).items() if number is not None}
        return SwitchValue(
            switch.key, keys, "{" + ", ".join(f"{key}: {number:g}" for key, number in keys.items()) + "}"
        )
    return SwitchValue(switch.key, value, str(value).lower() if isinstance(value, bool) else str(value))


Setting = tuple[SwitchValue, ...]


class Simulated(NamedTuple):
    """A setting and its results; `has_effect` is whether any rollout differs from those of the first setting."""

    setting: Setting
    standings: Standings
    has_effect: bool


@dataclass(frozen=True)
class Settings:
    """Settings of one scenario's switches; the campaign has one sweep for values, and one per part of the pairs."""

    scenario: Scenario
    policies: Mapping[str, ScenarioPolicy]
    rule: Rule
    requirements: Sequence[Requirement]
    worlds: Mapping[str, range] | range  # by kind of release, if each has worlds of its own
    campaign: Campaign

    def simulate_values(self, settings: Sequence[Setting]) -> list[Simulated]:
        """Simulate settings, the scenario's own first, and report which of them change nothing."""
        result = self._sweep("values", settings)
        outcomes = gather(result, list(RESPONSES)).outcomes
        columns = [
            outcomes.codes(name)[0] if dtype == "str" else outcomes.numbers(name) for name, dtype in RESPONSES.items()
        ]
        n = len(settings)
        return [
            Simulated(
                setting,
                standings,
                not all(_are_equal(column[0::n], column[place::n]) for column in columns),
            )
            for place, (setting, standings) in enumerate(self._standings(result, settings))
        ]

    def simulate_pairs(self, settings: Sequence[Setting]) -> Iterator[tuple[Setting, Standings]]:
        """Simulate settings, some at a time to save memory."""
        n_worlds = len(self.worlds) if isinstance(self.worlds, range) else sum(map(len, self.worlds.values()))
        n_rows = len(settings) * len(self.policies) * n_worlds
        n_parts = min(-(-n_rows // _MOST_ROWS), max(len(settings) // 2, 1))
        for number, places in enumerate(np.array_split(np.arange(len(settings)), n_parts), start=1):
            part = [settings[place] for place in places.tolist()]
            yield from self._standings(self._sweep(f"pairs-{number:02d}-of-{n_parts:02d}", part), part)

    @cached_property
    def _estimate(self) -> Callable[[Sample], Estimate]:
        return remember(lambda values: estimate_values(values, self.rule.of, self.rule.confidence_level))

    def _sweep(self, name: str, settings: Sequence[Setting]) -> SweepResult:
        own_values = list_own_values(self.scenario)
        points = [own_values | {value.switch: value for value in setting} for setting in settings]
        how: dict[str, Any] = {
            "part": name,
            "vary": {f"scenario.orchestrator.{name}": [point[name].value for point in points] for name in own_values},
            "design": "list",
        }
        if isinstance(self.worlds, range):
            scenarios = {self.scenario.name: self.scenario}
            return self.campaign.sweep(scenarios, self.policies, replications=self.worlds, **how)
        return sweep_kinds(self.campaign, self.scenario, self.policies, self.worlds, **how)

    def _standings(self, result: SweepResult, settings: Sequence[Setting]) -> Iterator[tuple[Setting, Standings]]:
        measures = [self.rule.of, *(requirement.measure for requirement in self.requirements)]
        values = Values(result, measures, costs=self.scenario.costs, release=self.scenario.release)
        feasibility = judge_requirements(values, self.requirements, confidence_level=self.rule.confidence_level)
        of, unknown = values.sample(self.rule.of), values.unknown_fractions(self.rule.of)
        all_failed = np.logical_not(np.any(values.is_ok, axis=1))
        for place, setting in enumerate(settings):
            # Cases are ordered by policy, then by setting.
            rows = slice(place, None, len(settings))
            estimates = tuple(self._estimate(of_policy) for of_policy in of[rows])
            yield (
                setting,
                Standings(
                    tuple(self.policies), of[rows], estimates, feasibility[rows], unknown[rows], all_failed[rows]
                ),
            )


def why_refused(scenario: Scenario, setting: Setting) -> str:
    """Return why values of switches can't be combined; empty if they can."""
    with catch_warned():
        try:
            scenario.with_values({f"orchestrator.{value.switch}": value.value for value in setting})
        except InputError as error:
            return "; ".join(problem.message for problem in error.problems)
    return ""


def _are_equal(values: np.ndarray, others: np.ndarray) -> bool:
    """Return whether values are equal, up to the last digits, in which sums in another order may differ."""
    if values.dtype.kind == "f":
        return np.allclose(values, others, rtol=_LAST_DIGITS, atol=_LAST_DIGITS, equal_nan=True)
    return np.array_equal(values, others)
