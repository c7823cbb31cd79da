"""What gates side by side say, in sentences that can be read aloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.gates.curves import STOPPED, as_measure
from simdeploy.analysis.gates.variants import THRESHOLD
from simdeploy.report.tables import Column, make_table, measure_columns, spread
from simdeploy.report.wording import (
    PERCENT,
    POINTS,
    Scale,
    find_cost_unit,
    format_amount,
    format_interval,
    interval_names,
    is_or_are,
    join_answer,
    list_some,
    percent,
    say_unknown,
    write_estimate,
)
from simdeploy.scenario.measures import parse_measure
from simdeploy.units import NS_PER_S, short_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    """Say which gate errs less than the threshold, what the others do, what it costs, and how the threshold errs."""
    verdicts = _find_verdicts(result)
    parts = [_tell_unknown(result)]
    if result.best is not None:
        is_only = list(verdicts.values()).count("better") == 1
        least = "" if is_only else ", and errs least by the estimates"
        changes = _tell_changes(result, result.best)
        parts.append(f"{result.best} is surely better than the threshold{least}: {changes}.")
    parts += [_tell_better(result, verdicts), _tell_cost(result), _tell_served(result, verdicts)]
    return join_answer([*parts, *_tell_worse(verdicts), _tell_threshold(result)])


def _find_verdicts(result: GateComparison) -> dict[str, str]:
    """Return the verdict on each gate but the threshold."""
    return {row["gate"]: row["verdict"] for row in result.gates.to_dict("records") if row["gate"] != THRESHOLD}


def _size(size: float) -> str:
    return format_amount(size, PERCENT, digits=4)


def _tell_threshold(result: GateComparison) -> str:
    good, bad = (result.row(THRESHOLD, size, STOPPED) for size in (0.0, result.size))
    if max(good["unknown_fraction"], bad["unknown_fraction"]) > 0:
        return ""
    escapes = format_amount(1 - bad["estimate"], PERCENT)
    alarms = format_amount(good["estimate"], PERCENT)
    defects = f"defects of {_size(result.size)}"
    return f"The threshold of {result.policy} stops {alarms} of good releases and lets {escapes} of {defects} through."


def _tell_unknown(result: GateComparison) -> str:
    stopped = result.curves[result.curves["measure"].eq(STOPPED)]
    unknown = stopped.groupby("gate", sort=False)["unknown_fraction"].max()
    text = say_unknown({str(gate): fraction for gate, fraction in unknown.items()}, "verdict")
    return f"{text}." if text else ""


def _tell_changes(result: GateComparison, gate: str) -> str:
    told = []
    for name, size in (("false alarms", 0.0), ("escapes", result.size)):
        row = result.difference(gate, size, STOPPED)
        ends = (row["low"], row["high"]) if size == 0 else (-row["high"], -row["low"])
        how = "change by" if row["verdict"] in ("better", "worse") else "stay within"
        told.append(f"{name} {how} {format_interval(*ends, POINTS)}")
    return " and ".join(told)


def _tell_better(result: GateComparison, verdicts: Mapping[str, str]) -> str:
    if result.best is None:
        none = "The only other gate isn't" if len(verdicts) == 1 else f"None of the {len(verdicts)} other gates is"
        return f"{none} surely better than the threshold."
    names = [gate for gate, verdict in verdicts.items() if verdict == "better" and gate != result.best]
    return f"Surely better {is_or_are(len(names))} also {list_some(names)}." if names else ""


def _tell_worse(verdicts: Mapping[str, str]) -> Iterator[str]:
    for its, one, several in (
        ("trades", "trades one error for the other", "trade one error for the other"),
        ("worse", "surely errs more", "surely err more"),
    ):
        if names := [gate for gate, verdict in verdicts.items() if verdict == its]:
            yield f"{list_some(names)} {one if len(names) == 1 else several}."


def _tell_served(result: GateComparison, verdicts: Mapping[str, str]) -> str:
    """Say which gate serves the fewest failed requests of the defect, of those that don't surely err more."""
    best = result.fewest_failed_requests
    if best is None:
        return ""
    rows = (result.row(gate, result.size, "failed_requests_excess") for gate in (best, THRESHOLD))
    its, own = (f"{row['estimate']:,.0f}" for row in rows)
    is_of_all = set(verdicts.values()) <= {"better", "equal", "unclear"}
    among = "" if is_of_all else " without surely erring more"
    return f"{best} serves the fewest failed requests{among}: {its} instead of {own}."


def _tell_cost(result: GateComparison) -> str:
    if result.cheapest is None:
        return ""
    rows = result.mixture[result.mixture["measure"].eq("cost") & result.mixture["gate"].eq(result.cheapest)]
    best = rows.iloc[0]
    if result.cheapest == THRESHOLD:
        return "None costs less than the threshold by the estimates."
    less = write_estimate(best, Scale(1, find_cost_unit(result.computed_under)), "difference", sign=True)
    how = "surely" if best["verdict"] == "better" else "not surely"
    return f"{result.cheapest} costs least, {how} less than the threshold: {less} a rollout."


def tabulate(result: GateComparison) -> tuple[Table, ...]:
    """Return the curve of what is stopped, both sorts of release, the gates, and the scenario's own releases."""
    tables = [_tabulate_curve(result), _tabulate_good(result), _tabulate_defect(result), _tabulate_gates(result)]
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
    columns = (_GATE, alarms, *measure_columns(map(as_measure, _OF_GOOD)))
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
        *measure_columns(map(as_measure, _OF_DEFECT)),
        Column("verdict", "errors against the threshold", "verdict"),
    )
    return make_table(f"A defect of {_size(result.size)}", frame, columns)


def _spread_curves(result: GateComparison, size: float) -> pd.DataFrame:
    return spread(result.curves[result.curves["size"].eq(size)], "gate", "measure", also=_UNKNOWN)


def _tabulate_curve(result: GateComparison) -> Table:
    rows = result.curves[result.curves["measure"].eq(STOPPED)]
    widest = float(((rows["high"] - rows["low"]) / 2).max())
    title = f"Stopped, over the error rate that the release adds; each within {100 * widest:.1f} pp at most"
    columns = (_GATE, *(Column(f"{size}", _size(size), "share") for size in result.sizes))
    return make_table(title, spread(rows, "gate", "size", also=_UNKNOWN), columns)


def _tabulate_mixture(result: GateComparison) -> Table:
    frame = spread(result.mixture, "gate", "measure", also=_UNKNOWN)
    cost = result.mixture[result.mixture["measure"].eq("cost")]
    frame = frame.merge(cost[["gate", *interval_names("difference")]], on="gate", how="left")
    unit = find_cost_unit(result.computed_under)
    columns = [_GATE]
    for column in measure_columns(map(parse_measure, result.mixture["measure"].unique())):
        columns.append(column)
        if column.name == "cost":
            columns.append(Column("difference", "cost less the threshold's", "difference", column.scale))
    level = percent(result.confidence_level)
    title = f"The scenario's own releases, with {level} intervals; differences for all gates at once"
    return make_table(title, frame, columns, unit)
