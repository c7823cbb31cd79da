"""The question of a search, read and checked before anything is simulated."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.requirements import Asked, read_measure, read_requirements, why_impossible
from simdeploy.analysis.asking.verdicts import read_direction
from simdeploy.analysis.tuning.in_flight import count_in_flight, find_largest_wave
from simdeploy.errors import InputError, Problem, collect, shorten
from simdeploy.experiments.arguments import whole_problems
from simdeploy.rules.deployment_types import TYPES
from simdeploy.scenario.measures import SORTS, Measure, Requirement, parse_measure
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

# Each observation of the selection is an average over this many worlds, because the procedure of Kim and Nelson assumes normal
# observations.
WORLDS_OF_A_BATCH = 50

# Measures reported for every final policy; the second list is for restart and stop, which release nothing. Stopped rollouts end
# early, so their makespan is not comparable.
_SHOWN = (
    "makespan_s given completed_good",
    "min_in_service_fraction",
    "unrestored_nodes",
    "blast_radius given defective",
    "false_alarm given good",
    "escaped given defective",
)
_SHOWN_WITHOUT_RELEASE = ("makespan_s given completed", "min_in_service_fraction", "unrestored_nodes", "failed")
# Responses that are missing in rollouts without the event, although these rollouts count.
_NO_OBJECTIVES = ("stopped_at_s", "restored_at_s")

# The default budget of a stage: rollouts, or fewer for a large fleet (but at least the last number).
_ROLLOUTS, _NODE_UPDATES, _FEWEST_ROLLOUTS = 3_000_000, 500_000_000, 100_000
# Default number of candidates, or fewer if the first stage would exceed the budget.
_CANDIDATES, _FEWEST_CANDIDATES = 10_000, 500
# Nodes that share a service depend on each other in every window, so simulating an update takes as long as this many others: the
# first number for all candidates, many of which overload the service, the second for those that remain.
_SHARED_BY_ALL, _SHARED = 40, 15

_MOST_CANDIDATES, _MOST_WORLDS, _MOST_ROLLOUTS = 1_000_000, 1_000_000, 10_000_000_000


@dataclass(frozen=True)
class Question:
    """The question of a search."""

    base: ScenarioPolicy  # the current policy
    objective: Measure
    sign: int  # 1 to minimise the objective, -1 to maximise it
    requirements: tuple[Requirement, ...]
    shown: tuple[Measure, ...]  # further measures to report of the final policies
    worlds: int
    most: int
    indifference: float | None  # None for the default, which depends on the first stage
    final: int | None
    current_wave: int  # nodes that the current policy plans in flight at once
    largest_wave: int | None  # the most nodes in flight of policies in the default ranges; None without a limit
    confidence_level: float

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Every measure of a rollout that is needed."""
        required = (requirement.measure for requirement in self.requirements)
        return tuple(dict.fromkeys([self.objective, *required, *self.shown]))


def read_question(
    scenario: Scenario,
    policy: Any,
    of: Measure | str,
    direction: Any,
    requirements: Asked | None,
    *,
    candidates: int | None,
    indifference: float | None,
    final: int | None,
    largest_wave: Any,
    replications: int,
    most: int | None,
    confidence_level: float,
) -> Question:
    """Read the arguments of `tune`; an `InputError` lists everything invalid."""
    base = scenario.policy(policy)
    if most is None:
        fewest = _FEWEST_ROLLOUTS if scenario.fleet.service is None else _FEWEST_ROLLOUTS // 4
        most = max(min(_ROLLOUTS, _NODE_UPDATES // _count_node_updates(scenario, _SHARED)), fewest)
    type_ = base.identity.type
    problems = [
        *whole_problems(1, _MOST_CANDIDATES, candidates=1 if candidates is None else candidates),
        *whole_problems(2, _MOST_WORLDS, replications=replications),
        *whole_problems(1, _MOST_ROLLOUTS, most=most, final=1 if final is None else final),
    ]
    if indifference is not None and not (isinstance(indifference, Real) and 0 < indifference < float("inf")):
        problems.append(
            Problem("invalid indifference", ("indifference",), found=shorten(indifference), allowed="above 0")
        )
    problems += level_problems(confidence_level, above=0.5)
    objective = None
    with collect(problems):
        objective = _read_objective(scenario, type_, of)
    required: tuple[Requirement, ...] = ()
    with collect(problems):
        required = read_requirements(requirements, scenario=scenario, policies=[base.name], type_=type_)
    current_wave = count_in_flight(base, scenario)
    limit = find_largest_wave(largest_wave, scenario, objective, required, current_wave, problems)
    sign = 1
    if objective is not None:
        with collect(problems):
            sign = 1 if read_direction(direction, objective) == "min" else -1
    if problems or objective is None:
        raise InputError(problems)
    names = _SHOWN if TYPES[type_].releases else _SHOWN_WITHOUT_RELEASE
    shown = [measure for measure in map(parse_measure, names) if measure != objective]
    return Question(
        base=base,
        objective=objective,
        sign=sign,
        requirements=required,
        shown=tuple(measure for measure in shown if why_impossible(measure, scenario, type_) is None),
        worlds=int(replications),
        most=int(most),
        indifference=indifference,
        final=None if final is None else int(final),
        current_wave=current_wave,
        largest_wave=limit,
        confidence_level=confidence_level,
    )


def count_candidates(scenario: Scenario, worlds: int, *, is_default_grid: bool) -> int:
    """Return the default number of candidates in a first stage with some number of worlds."""
    if not is_default_grid or scenario.fleet.service is None:
        return _CANDIDATES
    number = _NODE_UPDATES // (worlds * _count_node_updates(scenario, _SHARED_BY_ALL))
    return max(min(_CANDIDATES, number), _FEWEST_CANDIDATES)


def _count_node_updates(scenario: Scenario, shared: int) -> int:
    """Return the node updates of a rollout; with a shared service, each counts as `shared` updates."""
    return scenario.fleet.nodes * (1 if scenario.fleet.service is None else shared)


def _read_objective(scenario: Scenario, type_: str, of: Measure | str) -> Measure:
    measure = read_measure(of, scenario, [type_])
    name = str(measure)
    if measure.kind == "quantile":
        message = "a quantile can't be optimised with a stated probability"
        hint = "optimise a mean or a rate, and require the quantile"
        raise InputError(Problem(message, ("of",), found=name, hint=hint))
    if measure.given is not None and measure.given not in (*SORTS, *(kind.name for kind in scenario.release)):
        message = "the condition depends on the policy, so different rollouts would be compared"
        raise InputError(Problem(message, ("of",), found=name, allowed="good, defective, or a kind of the release"))
    if measure.of in _NO_OBJECTIVES:
        raise InputError(Problem("known only for some rollouts, which differ between policies", ("of",), found=name))
    return measure
