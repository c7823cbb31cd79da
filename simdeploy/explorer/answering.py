"""Answers at a position: estimates, the curve of a setting, one rollout, and the policy as a spec."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.analysis.asking.simulating import cap_replications, find_compared, folders_of, sweep_by_kind
from simdeploy.analysis.asking.usual_measures import find_usual
from simdeploy.analysis.asking.verdicts import find_direction
from simdeploy.analysis.estimates.estimating import estimate_frame
from simdeploy.analysis.tradeoffs.lever_ranges import find_ranges
from simdeploy.analysis.tradeoffs.moving import tradeoff
from simdeploy.engines.choice import expect_seconds
from simdeploy.errors import InputError, Problem, catch_warned
from simdeploy.experiments.campaign import Campaign
from simdeploy.experiments.levers import find_levers
from simdeploy.explorer.controls import find_policy_controls, find_world_controls
from simdeploy.explorer.film import make_film
from simdeploy.explorer.position import Place, Position, settle
from simdeploy.report.formatting import UNTRUSTED, format_briefly, measure_scale, write_estimate
from simdeploy.report.wording import capitalize, name_briefly
from simdeploy.scenario.measures import Measure, parse_measure
from simdeploy.scenario.written_specs import write_specs

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

T = TypeVar("T")

# Numbers of rollouts. A first estimate has the largest that is expected to take only a moment; later ones, while the sliders
# rest, those that take up to a few seconds.
_FIRST, _FIRST_S = (20, 50, 100), 0.1
_LATER, _LATER_S = (1_000, 4_000), 5.0
_OF_CURVE = 4  # each point of a curve has this many times fewer rollouts than the estimate
_FEWEST_OF_CURVE = 50
_MOST_KEPT = 200

# Each conversation has a thread, but warnings are caught for the whole process.
_ONE_AT_A_TIME = threading.RLock()

Asked = Callable[[], bool]


class SupersededError(Exception):
    """A newer question was asked meanwhile."""


@dataclass(frozen=True)
class Effort:
    """The number of rollouts of an estimate, and whether it is the last, largest one."""

    n: int
    is_last: bool


class Explorer:
    """Answers questions about a scenario and its policies at any position.

    Answers are JSON values that depend on the question only; recent ones are cached.
    """

    def __init__(
        self,
        scenario: Scenario,
        policies: Mapping[str, ScenarioPolicy],  # exploring starts with the first
        *,
        seed: int = 0,
        confidence_level: float = 0.95,
        engine: str = "compiled",  # compiled or reference
        # Called once before the first question; may set a better `engine` later.
        prepare: Callable[[Explorer], None] | None = None,
    ) -> None:
        self.scenario, self.policies = scenario, policies
        self._prepare = prepare
        self.seed, self.confidence_level, self.engine = seed, confidence_level, engine
        self.awaits_engine = False  # whether a faster engine is being prepared, for better answers
        self._known: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    @property
    def start(self) -> Position:
        """The first position: the first policy, unchanged."""
        return Position(next(iter(self.policies)), {})

    def prepare(self) -> None:
        """Get ready for questions."""
        prepare, self._prepare = self._prepare, None
        if prepare is not None:
            prepare(self)

    def settle(self, position: Position) -> Place:
        """Return the scenario and policy at a position; raise all problems."""
        return self._remember(("place", position.key), lambda: settle(position, self.scenario, self.policies))

    def describe(self) -> dict[str, Any]:
        """Return what doesn't depend on the position."""
        return {
            "scenario": self.scenario.name,
            "description": self.scenario.description or "",
            "policies": list(self.policies),
            "kinds": [kind.name for kind in self.scenario.release],
            "confidence_level": self.confidence_level,
            "nodes": self.scenario.fleet.nodes,
            "start": self.start.to_dict(),
            "awaits_engine": self.awaits_engine,
        }

    def find_controls(self, place: Place) -> list[dict[str, Any]]:
        """Return the sliders at a position: ranges are those of the unchanged policy, under the position's strategy."""
        policy, strategy = place.position.policy, place.position.values.get("strategy")

        def make() -> list[dict[str, Any]]:
            base = self.settle(Position(policy, {}))
            controls = find_policy_controls(base)
            steps = controls[0].steps if controls and controls[0].name == "strategy" else ()
            of = next((step.values for step in steps if step.text == strategy), None)
            if of is not None:  # the strategy is still chosen relative to the file's, with the sizes that come with it
                controls = [controls[0], *find_policy_controls(self.settle(Position(policy, of)))[1:]]
            return [control.to_dict() for control in [*controls, *find_world_controls(self.scenario)]]

        return self._remember(("controls", policy, strategy), make)

    def write_policy(self, place: Place) -> dict[str, Any]:
        """Return the policy's spec by dialect, with notes on what a dialect can't express."""
        return write_specs(place.policy, place.scenario)

    def efforts(self) -> list[Effort]:
        """Return increasing sizes of estimates, the first for an answer in a moment; at most the number of recorded worlds, if any."""
        updates = self.scenario.fleet.nodes
        first = max((n for n in _FIRST if expect_seconds(self.engine, n * updates) <= _FIRST_S), default=_FIRST[0])
        sizes = [first, *(n for n in _LATER if expect_seconds(self.engine, n * updates) <= _LATER_S)]
        sizes = list(dict.fromkeys(cap_replications(self.scenario, n) for n in sizes))
        return [Effort(n, is_last=n == sizes[-1]) for n in sizes]

    def estimate(self, place: Place, n: int, is_superseded: Asked = bool) -> list[dict[str, Any]]:
        """Return the estimate of each measure over `n` rollouts, as `simdeploy compare` has them."""
        return self._remember(
            ("numbers", place.position.key, n, self.engine), lambda: self._estimate(place, n, is_superseded)
        )

    def _estimate(self, place: Place, n: int, is_superseded: Asked) -> list[dict[str, Any]]:
        scenario, policies = place.scenario, {place.policy.name: place.policy}
        measures = find_measures(scenario, place.policy.identity.type)
        divides_by, concerned = find_compared(scenario, policies.values(), n)
        campaign = Campaign(self.seed, self.engine, progress=_stop_if(is_superseded), parts=folders_of(concerned))
        result = sweep_by_kind(campaign, scenario, policies, divides_by, concerned, range(n))
        values = Values(result, measures, costs=scenario.costs, release=scenario.release)
        frame = estimate_frame(values, measures, self.confidence_level)
        frame["unknown_fraction"] = [float(values.unknown_fractions(measure)[0]) for measure in measures]
        unit = scenario.costs.unit if scenario.costs is not None else ""
        return [_to_row(row, unit or "") for row in frame.to_dict("records")]

    def size_of_curve(self, n: int) -> int:
        """Return the number of rollouts of each point of a curve that goes with an estimate over `n`."""
        return cap_replications(self.scenario, max(n // _OF_CURVE, _FEWEST_OF_CURVE))

    def draw_curve(self, place: Place, lever: str, n: int, is_superseded: Asked = bool) -> dict[str, Any]:
        """Return the trade-off curve of a setting, as from `tradeoff`, over `n` rollouts of each of its values."""
        key = ("curve", place.position.key, lever, n, self.engine)
        return self._remember(key, lambda: self._draw_curve(place, lever, n, is_superseded))

    def _draw_curve(self, place: Place, lever: str, n: int, is_superseded: Asked) -> dict[str, Any]:
        varied = find_levers([lever], [place.scenario], [place.policy.spec])[0]
        ranges = {each.lever.name: each for each in find_ranges(place.scenario, place.policy, None)}
        if varied.name not in ranges:
            raise InputError(Problem("no curve of this setting", (lever,), allowed=", ".join(ranges)))
        measures = find_measures(place.scenario, place.policy.identity.type)
        with catch_warned():  # they are sent with the numbers
            result = tradeoff(
                place.scenario,
                place.policy,
                vary={varied.name: ranges[varied.name].values},
                axes=measures,
                replications=n,
                confidence_level=self.confidence_level,
                seed=self.seed,
                engine=self.engine,
                progress=_stop_if(is_superseded),
            )
        points: dict[float, dict[str, Any]] = {}
        unit = place.scenario.costs.unit if place.scenario.costs is not None else ""
        for row in result.curves.to_dict("records"):
            about = {"value": row["value"], "is_default": bool(row["is_default"]), "is_here": bool(row["is_current"])}
            point = points.setdefault(row["value"], {**about, "estimates": []})
            point["estimates"].append(_to_row(row, unit or ""))
        return {"lever": varied.name, "kind": varied.kind, "n": n, "points": list(points.values())}

    def show_rollout(self, place: Place, replication: int, kind: str | None) -> dict[str, Any]:
        """Return one rollout to step through; `kind` is that of the release, by default drawn at random."""
        key = ("rollout", place.position.key, replication, kind)
        return self._remember(key, lambda: make_film(place, replication, kind, self.seed))

    def _remember(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """Return a cached answer, or make it."""
        with _ONE_AT_A_TIME:
            if key not in self._known:
                self._known[key] = make()
                if len(self._known) > _MOST_KEPT:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            known: T = self._known[key]
            return known

    def knows(self, place: Place, n: int) -> bool:
        """Return whether the estimates of a position are cached."""
        return ("numbers", place.position.key, n, self.engine) in self._known


def find_measures(scenario: Scenario, type_: str) -> tuple[Measure, ...]:
    """Return the measures to show: errors, time, blast radius, service and cost, if the scenario determines them.

    Examples
    --------
    >>> from simdeploy.scenario import load_example
    >>> for measure in find_measures(load_example("tune-1000"), "update"):
    ...     print(measure)
    false_alarm given good
    escaped given defective
    makespan_s given completed_good
    blast_radius given defective
    min_in_service_fraction
    cost
    """
    measures = find_usual(scenario, type_)
    for name in ("blast_radius", "min_in_service_fraction"):
        if not any(measure.of == name for measure in measures):
            measures.insert(len(measures) - (Measure("cost") in measures), Measure(name))
    return tuple(measures)


def _stop_if(is_superseded: Asked) -> Callable[[int, int], None]:
    def look(_done: int, _total: int) -> None:
        if is_superseded():
            raise SupersededError

    return look


def _to_row(row: Mapping[Any, Any], cost_unit: str) -> dict[str, Any]:
    """Return an estimate as JSON values: number, interval, and how they are written."""
    measure = parse_measure(row["measure"])
    estimate, low, high = (_none_if_nan(row[name]) for name in ("estimate", "low", "high"))
    scale = measure_scale(measure, abs(estimate or 0.0), cost_unit)
    if estimate is None:
        interval = "rollouts never end" if row["unknown_fraction"] > 0 else "no rollout of this kind"
    else:
        interval = write_estimate(row, scale).partition(" (")[2].removesuffix(")")
    return {
        "measure": str(measure),
        "label": capitalize(name_briefly(measure)),
        "about": describe_measure(measure),
        "given": measure.given,
        "better": find_direction(measure),
        "estimate": estimate,
        "low": low,
        "high": high,
        "n": int(row["n"]),
        "is_trusted": bool(row["is_trusted"]),
        "text": format_briefly(row["estimate"], scale),
        "interval": interval.removeprefix(UNTRUSTED),
        "factor": scale.factor,
        "unit": scale.unit,
    }


def _none_if_nan(number: float) -> float | None:
    return None if number != number else float(number)
