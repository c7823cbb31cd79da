"""The question of `estimate_rare`, checked before anything is simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.requirements import probability_of
from simdeploy.engines.branching import LEVELS_OF
from simdeploy.errors import InputError, Problem, collect, nearest, not_among, raise_if_any, shorten
from simdeploy.experiments.arguments import check_numbers
from simdeploy.experiments.campaign import Campaign, make_question
from simdeploy.experiments.design import make_points
from simdeploy.experiments.table import ROW_BYTES
from simdeploy.memory import check_rows_fit
from simdeploy.rules.deployment_types import TYPES
from simdeploy.scenario.measures import Event, parse_event
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

# Contents of a folder for such a question.
FOLDERS = r"kind-\d{2,}-(pilot-\d{3,}|estimate)|splitting"

METHODS = ("importance", "splitting")
FEWER = "use fewer rollouts"
_BYTES_OF_A_TRAJECTORY = 40  # five numbers
_PILOT_SHARE = 50
_FEWEST_PILOTS = 400


@dataclass(frozen=True)
class Question:
    """An event under a policy, and the work allowed for the answer."""

    scenario: Scenario
    policy: ScenarioPolicy
    event: Event
    rollouts: int
    confidence_level: float
    campaign: Campaign
    engine: str

    @property
    def pilot_rollouts(self) -> int:
        """Rollouts of a pilot for each candidate that it tries."""
        return max(self.rollouts // _PILOT_SHARE, _FEWEST_PILOTS)

    @property
    def seed(self) -> int:
        """Of the campaign."""
        return self.campaign.seed

    def to_dict(self) -> dict[str, Any]:
        """Return everything that determines the numbers, in values for JSON."""
        names = {self.scenario.name: self.scenario}, {(self.scenario.name, self.policy.name): self.policy}
        points = make_points((), [], "grid", seed=self.seed)
        how: dict[str, Any] = {"replications": range(self.rollouts), "seed": self.seed, "engine": self.engine}
        return make_question(*names, points, "grid", **how) | {"event": str(self.event)}

    @property
    def condition(self) -> float | None:
        """Probability of the condition, if the scenario states it (kinds of release); None otherwise."""
        given = self.event.given
        if given is None:
            return 1.0
        has_release = TYPES[self.policy.identity.type].releases
        return (probability_of(given, self.scenario.drawn_release) or None) if has_release else None


def check_question(
    scenario: Scenario,
    event: Event | str,
    method: str,
    levels: str | Mapping[str, Sequence[int]],
    confidence_level: float,
    rollouts: int,
    seed: int,
    engine: str,
) -> tuple[Event, int, int]:
    """Return the parsed event, the number of rollouts and the seed; an `InputError` lists everything wrong with the question."""
    problems = level_problems(confidence_level)
    if method not in METHODS:
        problems.append(not_among("unknown method", ("method",), method, METHODS))
    if scenario.tilt is not None:
        problems.append(Problem("the scenario is already tilted", ("scenario",), hint="pass the tilt to estimate_rare"))
    problems += _splitting_problems(levels)
    with collect(problems):
        numbers, seed = check_numbers(replications=rollouts, seed=seed, engine=engine)
        kinds = tuple(kind.name for kind in scenario.release)
        if not isinstance(event, Event | str):
            raise InputError(
                Problem("no event", ("event",), found=shorten(event), allowed='such as "failed_nodes >= 6"')
            )
        parsed = parse_event(event, kinds) if isinstance(event, str) else event
    raise_if_any(problems)
    check_rows_fit(len(numbers), ROW_BYTES if method == "importance" else _BYTES_OF_A_TRAJECTORY, hint=FEWER)
    return parsed, len(numbers), seed


def _splitting_problems(levels: Any) -> list[Problem]:
    """Check the name of a response, or a mapping from one such name to levels."""
    counts, asked = next(iter(levels.items()), ("", [])) if isinstance(levels, Mapping) else (levels, [])
    if not (isinstance(counts, str) and counts in LEVELS_OF) or (isinstance(levels, Mapping) and len(levels) != 1):
        allowed = f"{', '.join(LEVELS_OF)}, or one of them with levels, such as {{'{LEVELS_OF[0]}': [3, 5]}}"
        hint = nearest(counts, LEVELS_OF)
        return [Problem("invalid levels", ("levels",), found=shorten(levels), allowed=allowed, hint=hint)]
    is_list = isinstance(asked, Sequence | np.ndarray) and not isinstance(asked, str)
    whole = is_list and all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 1 for n in asked)
    if not whole or any(level >= following for level, following in pairwise(asked)):
        allowed = "whole numbers above 0, ascending"
        return [Problem("invalid levels", ("levels", counts), found=shorten(asked), allowed=allowed)]
    return []
