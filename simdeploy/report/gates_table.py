"""Gates side by side as tables of words."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.gates.curves import STOPPED, as_measure
from simdeploy.analysis.gates.verdicts import list_standings
from simdeploy.report.gates import let_through, write_size
from simdeploy.report.tables import Table
from simdeploy.report.wording import (
    PERCENT,
    Scale,
    describe_measure,
    difference_scale,
    format_estimate,
    measure_scale,
)
from simdeploy.scenario.measures import parse_measure
from simdeploy.units import NS_PER_S, short_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simdeploy.analysis.gates.result import GateComparison

_OF_GOOD = ("decision_requests", "makespan_s given completed")
_OF_DEFECT = ("decision_requests", "failed_requests_excess", "stopped_at_s")


def tabulate(result: GateComparison) -> tuple[Table, ...]:
    """Return the gates, both sorts of release, the curve of what is stopped, and the scenario's own releases."""
    tables = [_tabulate_gates(result), _tabulate_good(result), _tabulate_defect(result), _tabulate_curve(result)]
    return (*tables, _tabulate_mixture(result))


def _tabulate_gates(result: GateComparison) -> Table:
    rows: list[tuple[str, ...]] = [
        (row["gate"], row["says"], short_duration(round(row["observation_s"] * NS_PER_S)), "")
        for row in result.gates.to_dict("records")
    ]
    rows += [(gate, "", "", f"left out: {why}") for gate, why in result.left_out.items()]
    if not result.left_out:
        rows = [row[:3] for row in rows]
    header = ("gate", "health_check.gate", "a node's own observation", "")
    return Table(f"The gates of {result.policy}", header[: len(rows[0])], tuple(rows))


def _tabulate_good(result: GateComparison) -> Table:
    names = result.gates["gate"].tolist()
    columns = [
        names,
        [_write(result.row(gate, 0.0, STOPPED), PERCENT) for gate in names],
        *(_column(result, 0.0, measure) for measure in _OF_GOOD),
    ]
    header = ("gate", "false alarms", *(describe_measure(as_measure(measure)) for measure in _OF_GOOD))
    level = f"{100 * result.confidence_level:g} %"
    title = f"A good release, {result.n_replications:,} replications, with {level} bands over {len(result.sizes)} sizes"
    return Table(title, header, tuple(zip(*columns, strict=True)))


def _tabulate_defect(result: GateComparison) -> Table:
    names = result.gates["gate"].tolist()
    verdicts = {standing.gate: standing.verdict for standing in list_standings(result)}
    escapes = []
    for gate in names:
        row = result.row(gate, result.size, STOPPED)
        escapes.append("not known" if row["unknown_fraction"] > 0 else format_estimate(*let_through(row), PERCENT))
    columns = [
        names,
        escapes,
        *(_column(result, result.size, measure) for measure in _OF_DEFECT),
        [verdicts.get(gate, "") for gate in names],
    ]
    described = (describe_measure(as_measure(measure)) for measure in _OF_DEFECT)
    header = ("gate", "escapes", *described, "errors against the threshold")
    return Table(f"A defect of {write_size(result.size)}", header, tuple(zip(*columns, strict=True)))


def _tabulate_curve(result: GateComparison) -> Table:
    rows = result.curves[result.curves["measure"].eq(STOPPED)]
    widest = float(((rows["high"] - rows["low"]) / 2).max())
    cells = []
    for gate in result.gates["gate"]:
        of_gate = rows[rows["gate"].eq(gate)]
        words = [
            "not known" if row["unknown_fraction"] > 0 else f"{100 * row['estimate']:.1f} %"
            for row in of_gate.to_dict("records")
        ]
        cells.append((gate, *words))
    title = f"Stopped, over the error rate that the release adds; each within {100 * widest:.1f} pp at most"
    return Table(title, ("gate", *map(write_size, result.sizes)), tuple(cells))


def _tabulate_mixture(result: GateComparison) -> Table:
    measures = [parse_measure(name) for name in result.mixture["measure"].drop_duplicates()]
    columns: list[Iterable[str]] = [result.gates["gate"].tolist()]
    for measure in measures:
        rows = result.mixture[result.mixture["measure"].eq(str(measure))]
        scale = measure_scale(measure, _largest(rows["estimate"]))
        columns.append([_write(row, scale) for row in rows.to_dict("records")])
        if measure.of == "cost":
            columns.append([_write_difference(row, difference_scale(scale)) for row in rows.to_dict("records")])
    header = ["gate", *(describe_measure(measure) for measure in measures)]
    if any(measure.of == "cost" for measure in measures):
        header.append("cost less the threshold's")
    level = f"{100 * result.confidence_level:g} %"
    title = f"The scenario's own releases, with {level} intervals; differences for all gates at once"
    return Table(title, tuple(header), tuple(zip(*columns, strict=True)))


def _column(result: GateComparison, size: float, name: str) -> list[str]:
    rows = [result.row(gate, size, name) for gate in result.gates["gate"]]
    scale = measure_scale(as_measure(name), _largest(row["estimate"] for row in rows))
    return [_write(row, scale) for row in rows]


def _largest(estimates: Iterable[float]) -> float:
    return max((estimate for estimate in estimates if not math.isnan(estimate)), default=math.nan)


def _write(row: Mapping[Any, Any], scale: Scale) -> str:
    if row["unknown_fraction"] > 0:
        return "not known"
    return format_estimate(row["estimate"], row["low"], row["high"], scale)


def _write_difference(row: Mapping[Any, Any], scale: Scale) -> str:
    if math.isnan(row["difference"]):
        return ""
    return format_estimate(row["difference"], row["difference_low"], row["difference_high"], scale, sign=True)
