"""What gates side by side say, in sentences that can be read aloud."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.gates.curves import STOPPED, as_measure
from simdeploy.analysis.gates.variants import THRESHOLD
from simdeploy.report.tables import Column, make_table, measure_columns, spread
from simdeploy.report.wording import (
    NO_SCALE,
    PERCENT,
    POINTS,
    format_estimate,
    format_interval,
    interval_names,
    is_or_are,
    join_words,
    percent,
    say_unknown,
    write_estimate,
)
from simdeploy.scenario.measures import parse_measure
from simdeploy.units import NS_PER_S, short_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from simdeploy.analysis.gates.result import GateComparison
    from simdeploy.result import Table

_OF_GOOD = ("decision_requests", "makespan_s given completed")
_OF_DEFECT = ("decision_requests", "failed_requests_excess", "stopped_at_s")
_UNKNOWN = ("unknown_fraction",)
_GATE = Column("gate", "gate")
_GATES = (
    _GATE,
    Column("says", "health_check.gate"),
    Column("observation", "a node's own observation"),
    Column("why", "", is_optional=True),
)


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


def _tell_gate(result: GateComparison, gate: str, *, is_subject: bool = True) -> str:
    good, bad = (result.row(gate, size, STOPPED) for size in (0.0, result.size))
    unknown = max(good["unknown_fraction"], bad["unknown_fraction"])
    if unknown > 0:
        return say_unknown({gate: unknown}, "verdict")
    escapes = format_estimate(1 - bad["estimate"], 1 - bad["high"], 1 - bad["low"], PERCENT)
    looked = [_requests(result.row(gate, size, "decision_requests")) for size in (0.0, result.size)]
    name = f"the {gate} " if is_subject else ""
    return (
        f"{name}stops {write_estimate(good, PERCENT)} of good releases and lets {escapes} of defects of "
        f"{write_size(result.size)} through, looking at {looked[0]} requests of the former and {looked[1]} of the latter"
    )


def _requests(row: Mapping[Any, Any]) -> str:
    return "no" if math.isnan(row["estimate"]) else f"{row['estimate']:,.0f}"


def _tell_changes(result: GateComparison, gate: str) -> str:
    told = []
    for name, size in (("false alarms", 0.0), ("escapes", result.size)):
        row = result.difference(gate, size, STOPPED)
        ends = (row["low"], row["high"]) if size == 0 else (-row["high"], -row["low"])
        how = "change by" if row["verdict"] in ("better", "worse") else "stay within"
        told.append(f"{name} {how} {format_interval(*ends, POINTS)}")
    return " and ".join(told)


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
        told.append(f"Surely better than the threshold {is_or_are(len(names))} also {join_words(names)}.")
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
        write_estimate(result.row(gate, result.size, "failed_requests_excess"), NO_SCALE) for gate in (best, THRESHOLD)
    )
    is_of_all = set(verdicts.values()) <= {"better", "equal", "unclear"}
    among = "" if is_of_all else ", of those that don't surely err more"
    return [f"The fewest failed requests of such a defect are served under {best}{among}: {its} instead of {own}."]


def _tell_cost(result: GateComparison) -> list[str]:
    if result.cheapest is None:
        return []
    rows = result.mixture[result.mixture["measure"].eq("cost") & result.mixture["gate"].eq(result.cheapest)]
    best = rows.iloc[0]
    told = write_estimate(best, NO_SCALE)
    if result.cheapest == THRESHOLD:
        return [
            f"Over the scenario's own releases none costs less than the threshold by the estimates, {told} a rollout."
        ]
    less = write_estimate(best, NO_SCALE, "difference", sign=True)
    how = "surely" if best["verdict"] == "better" else "which isn't surely"
    start = f"Over the scenario's own releases {result.cheapest} costs least, {told} a rollout"
    return [f"{start}, {how} less than the threshold: {less}."]


def tabulate(result: GateComparison) -> tuple[Table, ...]:
    """Return the gates, both sorts of release, the curve of what is stopped, and the scenario's own releases."""
    tables = [_tabulate_gates(result), _tabulate_good(result), _tabulate_defect(result), _tabulate_curve(result)]
    return (*tables, _tabulate_mixture(result))


def _tabulate_gates(result: GateComparison) -> Table:
    import pandas as pd

    left_out = [{"gate": gate, "why": f"left out: {why}"} for gate, why in result.left_out.items()]
    observed = [short_duration(round(seconds * NS_PER_S)) for seconds in result.gates["observation_s"]]
    rows = pd.concat([result.gates.assign(observation=observed, why=""), pd.DataFrame(left_out)])
    return make_table(f"The gates of {result.policy}", rows, _GATES)


def _tabulate_good(result: GateComparison) -> Table:
    frame = _spread_curves(result, 0.0)
    alarms = Column(STOPPED, "false alarms", "estimate", PERCENT)
    columns = (_GATE, alarms, *measure_columns(frame, map(as_measure, _OF_GOOD)))
    level = percent(result.confidence_level)
    title = f"A good release, {result.n_replications:,} replications, with {level} bands over {len(result.sizes)} sizes"
    return make_table(title, frame, columns)


def _tabulate_defect(result: GateComparison) -> Table:
    frame = _spread_curves(result, result.size)
    # What isn't stopped escapes.
    estimate, low, high = interval_names(STOPPED)
    frame[[estimate, low, high]] = 1 - frame[[estimate, high, low]].to_numpy()
    frame["verdict"] = frame["gate"].map(_find_verdicts(result))
    columns = (
        _GATE,
        Column(STOPPED, "escapes", "estimate", PERCENT),
        *measure_columns(frame, map(as_measure, _OF_DEFECT)),
        Column("verdict", "errors against the threshold", "verdict"),
    )
    return make_table(f"A defect of {write_size(result.size)}", frame, columns)


def _spread_curves(result: GateComparison, size: float) -> pd.DataFrame:
    return spread(result.curves[result.curves["size"].eq(size)], "gate", "measure", also=_UNKNOWN)


def _tabulate_curve(result: GateComparison) -> Table:
    rows = result.curves[result.curves["measure"].eq(STOPPED)]
    widest = float(((rows["high"] - rows["low"]) / 2).max())
    title = f"Stopped, over the error rate that the release adds; each within {100 * widest:.1f} pp at most"
    columns = (_GATE, *(Column(f"{size}", write_size(size), "share") for size in result.sizes))
    return make_table(title, spread(rows, "gate", "size", also=_UNKNOWN), columns)


def _tabulate_mixture(result: GateComparison) -> Table:
    frame = spread(result.mixture, "gate", "measure", also=_UNKNOWN)
    cost = result.mixture[result.mixture["measure"].eq("cost")]
    frame = frame.merge(cost[["gate", *interval_names("difference")]], on="gate", how="left")
    columns = [_GATE]
    for column in measure_columns(frame, map(parse_measure, result.mixture["measure"].unique())):
        columns.append(column)
        if column.name == "cost":
            columns.append(Column("difference", "cost less the threshold's", "difference", column.scale))
    level = percent(result.confidence_level)
    title = f"The scenario's own releases, with {level} intervals; differences for all gates at once"
    return make_table(title, frame, columns)
