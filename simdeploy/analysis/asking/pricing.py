"""Costs of rollouts by cause and verdict, and the prices they are based on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.errors import InputError, Problem, shorten
from simdeploy.scenario.measures import Measure
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    from simdeploy.scenario.parts import Costs

COSTS_FORM = "the costs of a scenario, such as scenario.costs"
_HOUR_S = 3600
# From so many rollouts with an event, and without, it is seen how much more they cost in one case.
_SHOWN = 20
# The responses that every cost needs. Others are only needed if they have a price, because older tables don't have them.
_ALWAYS_NEEDED = ("makespan_s", "failed_requests_excess", "unavailable_excess_node_s")
_VERDICTS = {"cost_false_alarm": "false_alarm", "cost_escape": "escaped"}


def find_costs(
    responses: object, costs: Costs | Mapping[str, Costs] | None = None
) -> Costs | Mapping[str, Costs] | None:
    """Return the given costs, or those recorded with a table (None without any); by scenario name if they differ."""
    from simdeploy.scenario.parts import Costs

    if costs is not None:
        given = costs.values() if isinstance(costs, Mapping) else [costs]
        if not all(isinstance(each, Costs) for each in given):
            raise InputError(Problem("no costs", ("costs",), found=shorten(costs), allowed=COSTS_FORM))
        return costs
    attrs = getattr(responses, "attrs", {})
    recorded = attrs.get("costs")
    if recorded is None:
        return None
    if isinstance(attrs["scenario"], str):
        return Costs(**recorded)
    by_name = {name: Costs(**of_one) for name, of_one in recorded.items()}
    is_one = len(set(by_name.values())) == 1 and len(by_name) == len(attrs["scenario"])
    return next(iter(by_name.values())) if is_one else by_name


def describe_costs(costs: Costs | Mapping[str, Costs] | None, measures: Iterable[Measure]) -> dict[str, Any]:
    """Return the entry for costs in `computed_under`, by name if scenarios differ; empty if no measure uses them.

    Examples
    --------
    >>> from simdeploy.scenario.parts import Costs
    >>> costs = Costs(0, 0, hour_of_delay=20, false_alarm=0, escape=0, unit="EUR")
    >>> describe_costs(costs, [Measure("cost_delay")])["costs"]["unit"]
    'EUR'
    >>> describe_costs(costs, [Measure("makespan_s")])
    {}
    """
    if costs is None or not any(measure.of in COSTS for measure in measures):
        return {}
    if isinstance(costs, Mapping):
        return {"costs": {name: of_scenario.to_dict() for name, of_scenario in costs.items()}}
    return {"costs": costs.to_dict()}


def find_amounts(
    cause: str, costs: Costs, number: Callable[[str], np.ndarray], is_verdict: Callable[[str], np.ndarray]
) -> np.ndarray:
    """Return what rollouts cost by one cause, from their responses and verdicts; unknown for one that hasn't ended."""
    if cause in _VERDICTS:
        values = np.where(is_verdict(_VERDICTS[cause]), _verdict_prices(costs)[_VERDICTS[cause]], 0.0)
    else:
        price, response = _unit_prices(costs)[cause]
        is_needed = price or response in _ALWAYS_NEEDED
        values = price * number(response) if is_needed else np.zeros(number("makespan_s").shape)
    if cause == "cost_delay":
        values = np.where(is_verdict("stopped_defective"), 0.0, values)  # stopping a defective release delays nothing
    return np.where(np.isnan(number("makespan_s")), np.nan, values)


def _unit_prices(costs: Costs) -> dict[str, tuple[float, str]]:
    """Return the price per unit of each cause that is no verdict, and the response that counts the units."""
    return {
        "cost_delay": (costs.hour_of_delay / _HOUR_S, "makespan_s"),
        "cost_failed_requests": (costs.failed_request, "failed_requests_excess"),
        "cost_unavailability": (costs.unavailable_node_hour / _HOUR_S, "unavailable_excess_node_s"),
        "cost_unrestored_nodes": (costs.per_unrestored_node, "unrestored_nodes"),
        "cost_lost_requests": (costs.per_lost_request, "lost_requests_excess"),
        "cost_shed_requests": (costs.per_shed_request, "shed_requests_excess"),
    }


def find_responses(costs: Costs | None) -> list[str]:
    """Return the responses that a cost is computed from.

    Examples
    --------
    >>> from simdeploy.scenario.parts import Costs
    >>> find_responses(Costs(0, 2, hour_of_delay=20, false_alarm=0, escape=0, unrestored_node=5))[3:]
    ['unrestored_nodes']
    """
    units = [] if costs is None else _unit_prices(costs).values()
    return list(dict.fromkeys([*_ALWAYS_NEEDED, *(response for price, response in units if price)]))


def _verdict_prices(costs: Costs) -> dict[str, float]:
    return {"false_alarm": costs.false_alarm, "escaped": costs.escape}


def find_prices(measure: Measure, costs: Costs | None) -> dict[str, float]:
    """Return the prices of the verdicts that a cost includes; 0 for each priced verdict of a cause that includes none."""
    if costs is None or measure.of not in COSTS:
        return {}
    priced = {verdict: price for verdict, price in _verdict_prices(costs).items() if price}
    expected = _VERDICTS.get(measure.of)
    if expected is not None:
        return {verdict: price for verdict, price in priced.items() if verdict == expected}
    return priced if measure.of == "cost" else dict.fromkeys(priced, 0.0)


def is_never_negative(measure: Measure, costs: Costs | None, *, goes_down: bool, sheds: bool) -> bool:
    """Return whether a measure is a mean of values that are never negative.

    `goes_down` and `sheds` are whether nodes go down, or requests are shed, even without a rollout.

    Examples
    --------
    >>> [is_never_negative(Measure("unavailable_excess_node_s"), None, goes_down=may, sheds=False) for may in (True, False)]
    [False, True]
    """
    # An excess is the difference from what would happen without a rollout, which may be more.
    excesses = {
        "unavailable_excess_node_s": goes_down,
        "lost_requests_excess": goes_down,
        "shed_requests_excess": sheds,
    }
    if costs is not None:
        units = _unit_prices(costs).items()
        priced = {cause: excesses[response] and price > 0 for cause, (price, response) in units if response in excesses}
        excesses |= priced | {"cost": any(priced.values())}
    return measure.kind == "mean" and not excesses.get(measure.of, False)


def is_of_verdicts(measure: Measure, costs: Costs | None) -> bool:
    """Return whether a measure is a cost to which nothing but verdicts contributes."""
    if costs is None or measure.kind != "mean":
        return False
    others = {cause: price for cause, (price, _) in _unit_prices(costs).items()}
    return measure.of in COSTS and not (sum(others.values()) if measure.of == "cost" else others.get(measure.of))


def find_extra(rest: np.ndarray, happened: np.ndarray, of_all: np.ndarray) -> float:
    """Return how much more rollouts with an event cost by some causes (`rest`) than those without, over all cases.

    If that is more than twice as much, by all causes (`of_all`), as in some case, subtracting it would only add noise there; then
    the result is that of the case in which it is least. It is 0 if they cost no more by all causes.

    Examples
    --------
    >>> happened, delay, requests = np.array([[0.0, 1.0]]), np.array([[5.0, 2.0]]), np.array([[1.0, 8.0]])
    >>> [find_extra(cost, happened, delay + requests) for cost in (delay, requests, delay + requests)]
    [-3.0, 7.0, 4.0]
    """
    extra = find_difference(of_all, happened)
    is_it = happened == 1, happened == 0
    counts = [of.sum(axis=1) for of in is_it]
    shown = np.flatnonzero(np.minimum(*counts) >= _SHOWN)
    if extra > 0 and len(shown):
        with_it, without = (
            np.where(of, of_all, 0.0).sum(axis=1)[shown] / n[shown] for of, n in zip(is_it, counts, strict=True)
        )
        by_case = with_it - without
        if extra > 2 * max(by_case.min(), 0.0):
            case = shown[by_case.argmin()]
            rest, happened, extra = rest[case], happened[case], by_case.min()
    return find_difference(rest, happened) if extra > 0 else 0.0


def find_difference(costs: np.ndarray, happened: np.ndarray) -> float:
    """Return how much more rollouts with an event cost than those without; 0 if there are none of either."""
    with_it, without = happened == 1, happened == 0
    return float(costs[with_it].mean() - costs[without].mean()) if with_it.any() and without.any() else 0.0
