"""What gates side by side say, in sentences that can be read aloud."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure, join_words
from simdeploy.analysis.gates.curves import STOPPED, as_measure
from simdeploy.analysis.gates.variants import THRESHOLD
from simdeploy.report.wording import (
    PERCENT,
    POINTS,
    Scale,
    difference_scale,
    format_estimate,
    format_number,
    measure_scale,
    response_scale,
    say_unknown,
)
from simdeploy.result import Table
from simdeploy.scenario.measures import parse_measure
from simdeploy.units import NS_PER_S, short_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simdeploy.analysis.gates.result import GateComparison


# What a table says of a gate.
_WORDS = {"equal": "not sure", "unclear": "not sure", "unknown": "not known"}


def tell(result: GateComparison) -> str:
    """Say how the threshold errs, which gate errs less, what the others do, and what it costs."""
    verdicts = _find_verdicts(result)
    sentences = [f"Under {result.policy} {_tell_gate(result, THRESHOLD)}."]
    if result.best is not None:
        is_only = list(verdicts.values()).count("better") == 1
        errs = "" if is_only else "errs least by the estimates; it "
        told = _tell_gate(result, result.best, is_subject=False)
        sentences.append(f"{result.best} {errs}{told}: {_tell_changes(result, result.best)}.")
    sentences += [*_tell_others(result, verdicts), *_tell_served(result, verdicts), *_tell_cost(result)]
    return " ".join(sentences)


def _find_verdicts(result: GateComparison) -> dict[str, str]:
    """Return the verdict on each gate but the threshold."""
    return {row["gate"]: row["verdict"] for row in result.gates.to_dict("records") if row["gate"] != THRESHOLD}


def write_size(size: float) -> str:
    """Write a size of a defect.

    Examples
    --------
    >>> write_size(0.025)
    '2.5 %'
    """
    return f"{100 * size:.4g} %"


def let_through(row: Mapping[Any, Any]) -> tuple[float, float, float]:
    """Return what isn't stopped, with its interval."""
    return 1 - row["estimate"], 1 - row["high"], 1 - row["low"]


def _tell_gate(result: GateComparison, gate: str, *, is_subject: bool = True) -> str:
    good, bad = (result.row(gate, size, STOPPED) for size in (0.0, result.size))
    unknown = max(good["unknown_fraction"], bad["unknown_fraction"])
    if unknown > 0:
        return say_unknown({gate: unknown}, "verdict")
    alarms = format_estimate(good["estimate"], good["low"], good["high"], PERCENT)
    escapes = format_estimate(*let_through(bad), PERCENT)
    looked = [_requests(result.row(gate, size, "decision_requests")) for size in (0.0, result.size)]
    name = f"the {gate} " if is_subject else ""
    return (
        f"{name}stops {alarms} of good releases and lets {escapes} of defects of {write_size(result.size)} through, "
        f"looking at {looked[0]} requests of the former and {looked[1]} of the latter"
    )


def _requests(row: Mapping[Any, Any]) -> str:
    return "no" if math.isnan(row["estimate"]) else f"{row['estimate']:,.0f}"


def _tell_changes(result: GateComparison, gate: str) -> str:
    told = []
    for name, size in (("false alarms", 0.0), ("escapes", result.size)):
        row = result.difference(gate, size, STOPPED)
        by = _points(*((row["low"], row["high"]) if size == 0 else (-row["high"], -row["low"])))
        told.append(f"{name} {'change by' if row['verdict'] in ('better', 'worse') else 'stay within'} {by}")
    return " and ".join(told)


def _points(low: float, high: float) -> str:
    half_width = (high - low) / 2 * POINTS.factor
    # An end near 0 keeps the digits that tell it from 0.
    ends = (end * POINTS.factor for end in (low, high))
    words = [format_number(end, min(half_width, abs(end)), sign=True) for end in ends]
    return f"{words[0]} to {words[1]} {POINTS.unit}"


def _tell_others(result: GateComparison, verdicts: Mapping[str, str]) -> list[str]:
    told = []
    by_verdict = {
        verdict: [gate for gate, its in verdicts.items() if its == verdict and gate != result.best]
        for verdict in ("better", "trades", "worse")
    }
    if result.best is None:
        n = len(verdicts)
        none = "The only other gate is not" if n == 1 else f"None of the {n} other gates is"
        told.append(f"{none} surely better in false alarms or escapes without being surely worse in the other.")
    elif names := by_verdict["better"]:
        told.append(f"Surely better than the threshold {'is' if len(names) == 1 else 'are'} also {join_words(names)}.")
    if names := by_verdict["trades"]:
        told.append(f"{join_words(names)} trade{'s' * (len(names) == 1)} one error for the other.")
    if names := by_verdict["worse"]:
        told.append(f"{join_words(names)} surely err{'s' * (len(names) == 1)} more.")
    stopped = result.curves[result.curves["measure"].eq(STOPPED) & result.curves["gate"].ne(THRESHOLD)]
    unknown = stopped.groupby("gate", sort=False)["unknown_fraction"].max()
    if text := say_unknown({str(gate): fraction for gate, fraction in unknown.items()}, "verdict"):
        told.append(f"{text}.")
    return told


def _tell_served(result: GateComparison, verdicts: Mapping[str, str]) -> list[str]:
    """Say which gate serves the fewest failed requests of the defect, of those that don't surely err more."""
    best = result.fewest_failed_requests
    if best is None:
        return []
    its, own = (
        format_estimate(row["estimate"], row["low"], row["high"], Scale(1, ""))
        for row in (result.row(gate, result.size, "failed_requests_excess") for gate in (best, THRESHOLD))
    )
    is_of_all = set(verdicts.values()) <= {"better", "equal", "unclear"}
    among = "" if is_of_all else ", of those that don't surely err more"
    return [f"The fewest failed requests of such a defect are served under {best}{among}: {its} instead of {own}."]


def _tell_cost(result: GateComparison) -> list[str]:
    if result.cheapest is None:
        return []
    rows = result.mixture[result.mixture["measure"].eq("cost") & result.mixture["gate"].eq(result.cheapest)]
    best = rows.iloc[0]
    scale = response_scale("cost", float(best["estimate"]))
    told = format_estimate(best["estimate"], best["low"], best["high"], scale)
    if result.cheapest == THRESHOLD:
        return [
            f"Over the scenario's own releases none costs less than the threshold by the estimates, {told} a rollout."
        ]
    less = format_estimate(best["difference"], best["difference_low"], best["difference_high"], scale, sign=True)
    sure = "surely" if best["verdict"] == "better" else "which isn't surely"
    how = f"{sure} less than the threshold"
    return [f"Over the scenario's own releases {result.cheapest} costs least, {told} a rollout, {how}: {less}."]


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
    verdicts = _find_verdicts(result)
    escapes = []
    for gate in names:
        row = result.row(gate, result.size, STOPPED)
        escapes.append("not known" if row["unknown_fraction"] > 0 else format_estimate(*let_through(row), PERCENT))
    columns = [
        names,
        escapes,
        *(_column(result, result.size, measure) for measure in _OF_DEFECT),
        [_WORDS.get(verdict) or verdict for verdict in (verdicts.get(gate, "") for gate in names)],
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
