"""Estimates by gate and size of the defect, with simultaneous intervals, and how gates compare with the threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.analysis.asking.verdicts import Direction, find_direction, join_verdicts, judge_if_known
from simdeploy.analysis.gates.result import CURVE, DIFFERENCE, OF_MIXTURE
from simdeploy.analysis.gates.variants import THRESHOLD
from simdeploy.result import interval_cells, make_frame
from simdeploy.scenario.measures import Measure, parse_measure
from simdeploy.statistics.estimators import NO_ESTIMATE, estimate_cases, estimate_differences
from simdeploy.statistics.levels import share_out
from simdeploy.statistics.sample import Sample, as_sample

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.asking.measuring import Values

STOPPED = "stopped"
# Measures at each size other than how often a release is stopped.
ALONG = (
    "decision_requests",
    "failed_requests_excess",
    "makespan_s given completed",
    "stopped_at_s",
    "makespan_s",
)
MEASURES = (STOPPED, *ALONG)
# Either verdict means that a release was stopped; the name depends on whether it should have been.
_STOPS = (Measure("false_alarm"), Measure("stopped_defective"))


def measures_along() -> tuple[Measure, ...]:
    """Return the measures to evaluate at each size."""
    return (*_STOPS, *map(parse_measure, ALONG))


def as_measure(name: str) -> Measure:
    """Return the measure for a name of `MEASURES`."""
    return _STOPS[1] if name == STOPPED else parse_measure(name)


def estimate_curves(
    values: Values, gates: Sequence[str], sizes: Sequence[float], confidence_level: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Estimate measures by gate and size, and differences from the first gate: tables of `GateComparison`.

    Values are those of `measures_along`, ordered by size, then gate. The level holds for the curve of a gate and a
    measure over all sizes, and for all differences in a measure.
    """
    curve_rows, difference_rows = [], []
    for name in MEASURES:
        measure, (of, unknown) = as_measure(name), _measured(values, name)
        band = share_out(confidence_level, len(sizes))
        level = share_out(confidence_level, len(sizes) * max(len(gates) - 1, 1))
        first = np.arange(len(of)) // len(gates) * len(gates)
        estimates, differences = (
            estimate_cases(of, measure, band),
            estimate_differences(of, of[first], measure, level),
        )
        for column, gate in enumerate(gates):
            for row, size in enumerate(sizes):
                point, place = {"gate": gate, "size": size, "measure": name}, row * len(gates) + column
                fraction = float(unknown[place])
                curve_rows.append(point | estimates[place].to_row() | {"unknown_fraction": fraction})
                if column:
                    fraction = max(fraction, float(unknown[first[place]]))
                    is_unknown = fraction > 0 or math.isnan(differences[place].estimate)
                    difference, verdict = judge_if_known(
                        differences[place], find_better(name, size), is_unknown=is_unknown
                    )
                    judged = {"unknown_fraction": fraction, "verdict": verdict}
                    difference_rows.append(point | difference.to_row() | judged)
    return make_frame(curve_rows, CURVE), make_frame(difference_rows, DIFFERENCE)


def estimate_mixture(
    values: Values, gates: Sequence[str], measures: Sequence[Measure], confidence_level: float
) -> pd.DataFrame:
    """Estimate measures of every gate, one case each, under the scenario's releases, and differences from the first.

    The level holds for each interval of an estimate, and for all differences in a measure together.
    """
    level = share_out(confidence_level, max(len(gates) - 1, 1))
    rows = []
    for measure in measures:
        of, unknown = values.sample(measure), values.unknown_fractions(measure)
        estimates = estimate_cases(of, measure, confidence_level)
        differences = estimate_differences(of, of[[0] * len(of)], measure, level)
        for place, gate in enumerate(gates):
            row = {"gate": gate, "measure": str(measure), "unknown_fraction": float(unknown[place])}
            row |= estimates[place].to_row()
            difference, verdict = NO_ESTIMATE, None
            if place:
                is_unknown = max(unknown[place], unknown[0]) > 0 or math.isnan(differences[place].estimate)
                difference, verdict = judge_if_known(differences[place], find_direction(measure), is_unknown=is_unknown)
            rows.append(row | interval_cells("difference", difference) | {"verdict": verdict})
    return make_frame(rows, OF_MIXTURE)


def _measured(values: Values, name: str) -> tuple[Sample, np.ndarray]:
    """Return a measure's values by case and replication, and the fraction unknown by case."""
    if name != STOPPED:
        measure = parse_measure(name)
        return values.sample(measure), values.unknown_fractions(measure)
    return as_sample(values.of(_STOPS[0]) + values.of(_STOPS[1])), values.unknown_fractions(_STOPS[0])


def find_better(name: str, size: float) -> Direction | None:
    """Return whether lower or higher is better for a measure at a size; for `stopped` it depends on the release."""
    return find_direction(_STOPS[size > 0] if name == STOPPED else parse_measure(name))


class Conclusion(NamedTuple):
    """What curves and differences imply, as in `GateComparison`."""

    gates: pd.DataFrame
    best: str | None
    fewest_failed_requests: str | None
    cheapest: str | None


def conclude(
    gates: pd.DataFrame, curves: pd.DataFrame, differences: pd.DataFrame, mixture: pd.DataFrame, size: float
) -> Conclusion:
    """Judge each gate by its errors: good releases stopped, and defects of a size not stopped."""
    stopped = curves[curves["measure"].eq(STOPPED)].set_index(["size", "gate"])["estimate"]
    errors = stopped[0.0] + (1 - stopped[size])
    of_errors = differences[differences["measure"].eq(STOPPED) & differences["size"].isin([0.0, size])]
    verdicts = {gate: join_verdicts(of.tolist()) for gate, of in of_errors.groupby("gate")["verdict"]}
    judged = gates.assign(verdict=gates["gate"].map(verdicts).astype("str"))
    better = [gate for gate in gates["gate"] if verdicts.get(gate) == "better"]
    served = differences[
        differences["measure"].eq("failed_requests_excess")
        & differences["size"].eq(size)
        & differences["verdict"].eq("better")
        & ~differences["gate"].map(verdicts).isin(["worse", "trades", "unknown"])
    ]
    cost = mixture[mixture["measure"].eq("cost") & mixture["unknown_fraction"].eq(0) & mixture["estimate"].notna()]
    is_comparable = cost["gate"].eq(THRESHOLD).any()
    return Conclusion(
        judged,
        min(better, key=lambda gate: float(errors[gate]), default=None),
        _find_lowest_gate(served, "estimate"),
        # By differences, because means of gates with known and with counted rates aren't of the same worlds.
        _find_lowest_gate(cost.fillna({"difference": 0.0}), "difference") if is_comparable else None,
    )


def _find_lowest_gate(rows: pd.DataFrame, column: str) -> str | None:
    return None if rows.empty else str(rows["gate"].iloc[int(np.argmin(rows[column]))])
