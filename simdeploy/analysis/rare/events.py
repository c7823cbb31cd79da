"""Finds the replications of a table in which an event happened."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.analysis.asking.columns import find_columns
from simdeploy.analysis.asking.measuring import Values
from simdeploy.scenario.measures import Condition, Event, Measure

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.gathering import Batches, Gathered
    from simdeploy.scenario import Scenario

_COMPARE: dict[str, Callable[[Any, float], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Met(NamedTuple):
    """An event in the replications of one policy; one entry each."""

    is_known: np.ndarray  # whether the outcome is known; otherwise all entries are 0 except `touched`
    weights: np.ndarray  # 1 without a tilt
    happened: np.ndarray  # 1 where the event happened
    concerned: np.ndarray  # 1 where its condition holds
    touched: np.ndarray  # nodes dispatched: the cost of a replication
    n_unknown: int  # replications that never end, so the event is unknown
    n_failed: int


def list_columns(event: Event) -> list[str]:
    """Return the responses in which `look_for` looks for an event."""
    named = [name for measure in _measures_of(event) for name in find_columns(measure, None)]
    return [*named, "release", "makespan_s", "touched_nodes"]


def _measures_of(event: Event) -> list[Measure]:
    return [Measure(condition.of, given=event.given) for condition in event.conditions]


def look_for(event: Event, table: pd.DataFrame | Batches | Gathered, scenario: Scenario) -> Met:
    """Look for an event in a table of replications of one policy."""
    touched = Measure("touched_nodes")
    measures = _measures_of(event)
    values = Values(table, [*measures, touched], release=scenario.release, takes_weights=True)
    holds = [_holds(part, values.of(measure)[0]) for part, measure in zip(event.conditions, measures, strict=True)]
    is_ok = values.is_ok[0]
    is_unknown = is_ok & np.any([values.is_unknown(measure)[0] for measure in measures], axis=0)
    is_known = is_ok & ~is_unknown
    concerned = is_known & (True if event.given is None else values.holds(event.given)[0] == 1)
    happened = concerned & np.all(holds, axis=0)
    return Met(
        is_known,
        np.where(is_known, values.weights[0], 0.0),
        happened.astype(np.float64),
        concerned.astype(np.float64),
        np.where(is_ok, values.of(touched)[0], 0.0),
        int(is_unknown.sum()),
        int((~is_ok).sum()),
    )


def _holds(condition: Condition, values: np.ndarray) -> np.ndarray:
    """Return where a condition holds; unknown values count as not."""
    is_event = condition.sign is None or condition.limit is None
    held: np.ndarray = values == 1 if is_event else _COMPARE[condition.sign or ""](values, condition.limit or 0.0)
    return held
