"""The same policies under many settings of the switches, simulated in the same worlds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.analysis.asking.judging import judge_requirements
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.unknown import unknown_fractions
from simdeploy.analysis.switches.conclusions import Rule, Standings, stand
from simdeploy.analysis.switches.switch_values import SwitchValue, list_own_values
from simdeploy.errors import InputError, SimdeployWarning
from simdeploy.experiments.gathering import gather
from simdeploy.vocabulary import RESPONSES

if TYPE_CHECKING:
    from simdeploy.experiments.campaign import Campaign
    from simdeploy.experiments.result import SweepResult
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.scenario.measures import Requirement

# Of rows that are in memory at once.
_MOST_ROWS = 600_000

Setting = tuple[SwitchValue, ...]


class Simulated(NamedTuple):
    """A setting with what came of it; `has_effect` says whether any rollout differs from those of the first setting."""

    setting: Setting
    standings: Standings
    has_effect: bool


@dataclass(frozen=True)
class Settings:
    """Settings of one scenario's switches.

    Attributes
    ----------
    campaign : Campaign
        With a sweep for the values, and one for each part of the pairs.
    """

    scenario: Scenario
    policies: Mapping[str, ScenarioPolicy]
    rule: Rule
    requirements: Sequence[Requirement]
    replications: range
    campaign: Campaign

    def simulate_values(self, settings: Sequence[Setting]) -> list[Simulated]:
        """Simulate settings of which the first is the scenario's own, and tell which of them change nothing at all."""
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
                not all(
                    np.array_equal(column[0::n], column[place::n], equal_nan=column.dtype.kind == "f")
                    for column in columns
                ),
            )
            for place, (setting, standings) in enumerate(self._standings(result, settings))
        ]

    def simulate_pairs(self, settings: Sequence[Setting]) -> Iterator[tuple[Setting, Standings]]:
        """Simulate settings, some at a time, so that not all of their replications are in memory."""
        n_rows = len(settings) * len(self.policies) * len(self.replications)
        n_parts = min(-(-n_rows // _MOST_ROWS), max(len(settings) // 2, 1))
        for number, places in enumerate(np.array_split(np.arange(len(settings)), n_parts), start=1):
            part = [settings[place] for place in places]
            yield from self._standings(self._sweep(f"pairs-{number:02d}-of-{n_parts:02d}", part), part)

    def _sweep(self, name: str, settings: Sequence[Setting]) -> SweepResult:
        own = list_own_values(self.scenario)
        points = [own | {value.switch: value for value in setting} for setting in settings]
        return self.campaign.sweep(
            {self.scenario.name: self.scenario},
            self.policies,
            part=name,
            vary={f"scenario.orchestrator.{name}": [point[name].value for point in points] for name in own},
            design="list",
            replications=self.replications,
        )

    def _standings(self, result: SweepResult, settings: Sequence[Setting]) -> Iterator[tuple[Setting, Standings]]:
        measures = [self.rule.of, *(requirement.measure for requirement in self.requirements)]
        values = Values(result, measures, costs=self.scenario.costs, release=self.scenario.release)
        level = self.rule.confidence_level
        feasibility = judge_requirements(values, self.requirements, confidence_level=level)
        of, unknown = values.of(self.rule.of), unknown_fractions(values, self.rule.of)
        for place, setting in enumerate(settings):
            # Cases are ordered by policy, then by setting.
            rows = slice(place, None, len(settings))
            found = stand(tuple(self.policies), of[rows], feasibility[rows], unknown[rows], self.rule)
            yield setting, found


def why_refused(scenario: Scenario, setting: Setting) -> str:
    """Say why values of switches can't be meant together; the empty text if they can."""
    with warnings.catch_warnings(action="ignore", category=SimdeployWarning):
        try:
            scenario.with_values({f"orchestrator.{value.switch}": value.value for value in setting})
        except InputError as error:
            return "; ".join(problem.message for problem in error.problems)
    return ""
