"""The sliders and their steps: settings of the policy, and the main assumptions about its world."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.tradeoffs.lever_ranges import LeverRange, find_ranges
from simdeploy.errors import InputError, catch_warned
from simdeploy.experiments.levers import FACTOR_PREFIX, Lever, change_policy, stated_numbers
from simdeploy.explorer.position import Place, Position, settle
from simdeploy.report.formatting import NO_SCALE, PERCENT, Scale
from simdeploy.report.tradeoff import write_value
from simdeploy.units import NS_PER_S, exact

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

# Steps of a slider within a power of ten: fine enough to find a threshold, few enough to move quickly.
_DIGITS = (Fraction(1), Fraction(5, 4), Fraction(3, 2), *(Fraction(n) for n in range(2, 10)))
_STRATEGIES = ("immediate", "rolling", "canary")
_CANARIES = ("canary_count", "canary_percent")
_REACH = 10  # an assumption can be this many times larger or smaller than stated
_UNSET = "unset"
_MOST_LIKELY = 0.9  # highest probability of all defective kinds of release together
_MOST_FACTORS = 8
_STARTS = "fleet.start_failure"
_FRACTIONS = ("error_rate", "start_failure", "start_hang")
_RATES = ("requests_per_second", "capacity")


@dataclass(frozen=True)
class Step:
    """A step of a control: values of keys as in a file, and its label."""

    values: Mapping[str, Any]
    number: float | None
    text: str


@dataclass(frozen=True)
class Control:
    """A slider, or a choice of words.

    `base` is the step of the file, `default` that of the API, if any. Only a `lever` has a curve.
    """

    name: str
    label: str
    group: str  # policy or world
    kind: str  # choice, or a lever's
    steps: tuple[Step, ...]
    base: int
    default: int | None
    factor: float = 1  # from a value to the displayed number
    unit: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the control as JSON values."""
        steps = [{"values": dict(step.values), "number": step.number, "text": step.text} for step in self.steps]
        names = ("name", "label", "group", "kind", "base", "default", "factor", "unit")
        parts = {name: getattr(self, name) for name in names}
        return {**parts, "steps": steps}


def find_policy_controls(place: Place) -> list[Control]:
    """Return the controls of a policy: its strategy, and the settings that matter under it."""
    ranges = _find_ranges(place.scenario, place.policy)
    strategy = _make_strategy(place)
    sliders = [_make_slider(of_lever, place) for of_lever in ranges]
    return [*([] if strategy is None else [strategy]), *sliders]


def _find_ranges(scenario: Scenario, policy: ScenarioPolicy) -> tuple[LeverRange, ...]:
    """Return the default ranges of a policy's settings, as in `tradeoff`; empty if it can't vary any."""
    try:
        return find_ranges(scenario, policy, None)
    except InputError:
        return ()


def _make_slider(of_lever: LeverRange, place: Place) -> Control:
    lever, known = of_lever.lever, dict(zip(of_lever.numbers, of_lever.values, strict=True))
    interval_s = Fraction(place.policy.policy.interval_ns, NS_PER_S)
    numbers = sorted({*known, *_refine(of_lever, interval_s)})
    scale = _find_scale(lever, place)
    steps = tuple(
        Step({lever.name: known.get(number, _write(lever, number))}, number, _describe(lever, number, scale, place))
        for number in numbers
    )
    if of_lever.current is None:  # no limit, or no wait: next to the value that it resembles
        unset = Step({lever.name: None}, None, _UNSET)
        is_limit = lever.name.rpartition(".")[2].startswith("max_")
        steps = (*steps, unset) if is_limit else (unset, *steps)
    places = {step.number: at for at, step in enumerate(steps)}
    base = places[of_lever.current]
    default = None if of_lever.default is None else places[of_lever.default]
    return Control(lever.name, _label(lever.name), "policy", lever.kind, steps, base, default, scale.factor, scale.unit)


def _refine(of_lever: LeverRange, interval_s: Fraction) -> Iterator[float]:
    """Yield numbers between the ends of a range; times are multiples of the interval of health windows."""
    positive = [number for number in of_lever.numbers if number > 0]
    unit = interval_s if of_lever.lever.kind == "duration" else Fraction(1)
    is_whole = of_lever.lever.kind != "number"
    yield from _spread(min(positive, default=1), max(positive, default=1), unit, is_whole=is_whole)


def _write(lever: Lever, number: float) -> Any:
    """Return a number as a value of a file."""
    return int(number) if lever.kind == "whole" or number == int(number) else number


def _find_scale(lever: Lever, place: Place) -> Scale:
    is_share = lever.name == "max_parallel" and place.policy.spec.dialect == "rollout"
    if lever.name.endswith("_percent") or is_share:
        return Scale(1, "%")
    return PERCENT if lever.kind == "number" else NO_SCALE


def _describe(lever: Lever, number: float, scale: Scale, place: Place) -> str:
    if lever.name == "max_parallel" and number == place.scenario.fleet.nodes and not scale.unit:
        return "all at once"
    if lever.kind == "duration":
        return write_value(lever, number)
    return f"{scale.factor * number:.10g} {scale.unit}".rstrip()


def _make_strategy(place: Place) -> Control | None:
    """Return the choice of a strategy; None if no other is possible."""
    policy, scenario = place.policy, place.scenario
    current = getattr(policy.spec, "strategy", None)
    if current not in _STRATEGIES:
        return None
    stated = [name for name in _CANARIES if getattr(policy.spec, name, None) is not None]
    steps: list[Step] = []
    base = 0
    for strategy in _STRATEGIES:
        values: dict[str, Any] = {"strategy": strategy}
        if strategy == "canary" and not stated:
            values["canary_count"] = max(1, scenario.fleet.nodes // 20)
        elif strategy != "canary":
            values |= dict.fromkeys(stated)
        if strategy == current:
            base, values = len(steps), {"strategy": strategy, **{name: getattr(policy.spec, name) for name in stated}}
        if strategy == current or _is_valid(place, values):
            steps.append(Step(values, None, strategy))
    return Control("strategy", "Strategy", "policy", "choice", tuple(steps), base, None) if len(steps) > 1 else None


def _is_valid(place: Place, values: Mapping[str, Any]) -> bool:
    levers = {Lever(name, "other"): value for name, value in values.items()}
    return _is_possible(lambda: change_policy(place.policy, levers, place.scenario))


def _is_possible(change: Callable[[], object]) -> bool:
    """Return whether a change is accepted, possibly with warnings."""
    with catch_warned():
        try:
            change()
        except InputError:
            return False
    return True


def find_world_controls(scenario: Scenario) -> list[Control]:
    """Return sliders of the main assumptions: the probability of each defective kind of release, and stated rates.

    Recorded rollouts have none: changed assumptions wouldn't affect what is on record.
    """
    if scenario.past is not None:
        return []
    stated = dict(stated_numbers(scenario))
    shares = _find_shares(scenario)
    rates = [path for path in stated if _is_rate(path)]
    # That all nodes start is an assumption, too, even if it isn't stated.
    unstated = [] if any(path.startswith(_STARTS) for path in rates) else [_STARTS]
    paths = dict.fromkeys([*shares, *unstated, *rates])
    factors = [_make_factor(path, float(stated.get(path, 0)), shares.get(path, 1.0)) for path in paths]
    return [_trim(factor, scenario) for factor in factors[:_MOST_FACTORS]]


def _find_shares(scenario: Scenario) -> dict[str, float]:
    """Return the highest probability of each defective kind of release, except the most likely one if all are defective.

    Even at their highest, they sum to at most 1.
    """
    kinds = sorted(scenario.release, key=lambda kind: (kind.defective, -kind.probability))
    moved = [kind for kind in scenario.release if kind.defective and kind is not kinds[0]]
    total = float(sum(kind.probability for kind in moved))
    room = (max(_MOST_LIKELY, total) - total) / max(len(moved), 1)
    return {f"release.{kind.name}.probability": float(kind.probability) + room for kind in moved}


def _trim(control: Control, scenario: Scenario) -> Control:
    """Return a control without the steps at its ends that the scenario refuses, such as 0 as the mean of some laws."""
    begin, end = 0, len(control.steps)
    while begin < control.base and not _is_world(scenario, control.steps[begin]):
        begin += 1
    while end > control.base + 1 and not _is_world(scenario, control.steps[end - 1]):
        end -= 1
    return replace(control, steps=control.steps[begin:end], base=control.base - begin)


def _is_world(scenario: Scenario, step: Step) -> bool:
    position = Position(next(iter(scenario.policies)), step.values)
    return _is_possible(lambda: settle(position, scenario, scenario.policies))


def _is_rate(path: str) -> bool:
    name = path.removesuffix(".mean").rpartition(".")[2]
    is_mean = path.endswith(".mean") and path.split(".")[-3] in _FRACTIONS
    return is_mean or name in (*_FRACTIONS, *_RATES)


def _make_factor(path: str, value: float, most: float) -> Control:
    *_, last = path.split(".")
    is_fraction = last not in _RATES
    low, high = (value / _REACH, value * _REACH) if value > 0 else (0.001, 0.1)
    high = min(high, most) if is_fraction else high
    numbers = sorted({value, *_spread(low, high), *([0.0] if is_fraction else [])})
    name = FACTOR_PREFIX + path
    lever = Lever(name, "number")
    scale = PERCENT if is_fraction else NO_SCALE
    steps = tuple(
        Step({name: _write(lever, number)}, number, f"{scale.factor * number:.4g} {scale.unit}".rstrip())
        for number in numbers
    )
    return Control(name, _label(path), "world", "number", steps, numbers.index(value), None, scale.factor, scale.unit)


def _spread(low: float, high: float, unit: Fraction = Fraction(1), *, is_whole: bool = False) -> Iterator[float]:
    """Yield round multiples of a unit between two numbers, several per power of ten."""
    for power in range(-9, 10):
        for digit in _DIGITS:
            multiple = digit * Fraction(10) ** power
            if exact(low) <= multiple * unit <= exact(high) and not (is_whole and multiple.denominator > 1):
                yield float(multiple * unit)


def _label(path: str) -> str:
    """Return the label of a key: the end of its path, and the kind of release that it belongs to.

    Examples
    --------
    >>> _label("health_check.max_error_rate"), _label("release.bad.probability"), _label("fleet.start_failure")
    ('max error rate', 'probability of bad', 'start failure of nodes')
    """
    section, *between, last = ["", *path.split(".")] if "." not in path else path.split(".")
    if last == "mean":  # of a law
        last = between[-2]
    name = last.replace("_", " ")
    if section == "release":
        return f"{name} of {between[0]}"
    return f"{name} of nodes" if section == "fleet" and last != "capacity" else name
