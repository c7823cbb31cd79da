"""Gates compared, in words and as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.gates.curves import STOPPED, as_measure
from simdeploy.analysis.gates.variants import THRESHOLD
from simdeploy.errors import plural
from simdeploy.report import formatting, wording
from simdeploy.report.tables import Column, make_table, measure_columns, spread
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
    Column("observation", "observation per node"),
    Column("why", ""),
)


def tell(result: GateComparison) -> str:
    """Say which gate is better than the threshold, what the others do, and how the threshold errs."""
    verdicts = _find_verdicts(result)
    sentences = [
        _tell_best(result, verdicts),
        _tell_unknown(result),
        _tell_cost(result),
        _tell_served(result, verdicts),
        *_tell_others(result, verdicts),
        _tell_threshold(result),
    ]
    return wording.join_answer(sentences)


def _find_verdicts(result: GateComparison) -> dict[str, str]:
    """Return the verdict on each gate except the threshold."""
    return {row["gate"]: row["verdict"] for row in result.gates.to_dict("records") if row["gate"] != THRESHOLD}


def _size(size: float) -> str:
    return formatting.format_amount(size, formatting.PERCENT, digits=4)


def _tell_threshold(result: GateComparison) -> str:
    good, bad = (result.row(THRESHOLD, size, STOPPED) for size in (0.0, result.size))
    if max(good["unknown_fraction"], bad["unknown_fraction"]) > 0:
        return ""
    escaped = {"estimate": 1 - bad["estimate"], "low": 1 - bad["high"], "high": 1 - bad["low"]}
    escapes, alarms = (formatting.write_without_interval(row, formatting.PERCENT) for row in (escaped, good))
    return f"Threshold: false alarms {alarms}, escapes {escapes} (defects that fail {_size(result.size)} of requests)"


def _tell_unknown(result: GateComparison) -> str:
    stopped = result.curves[result.curves["measure"].eq(STOPPED)]
    unknown = stopped.groupby("gate", sort=False)["unknown_fraction"].max()
    return wording.say_unknown({str(gate): fraction for gate, fraction in unknown.items()}, "verdict")


def _tell_best(result: GateComparison, verdicts: Mapping[str, str]) -> list[str]:
    """Say which gate is best and how it changes both errors, or that none is better."""
    level = formatting.percent(result.confidence_level)
    if result.best is None:
        return [f"No other gate clearly errs less than the threshold ({level} confidence)"]
    is_only = list(verdicts.values()).count("better") == 1
    start = f"Use {result.best} instead of the threshold{'' if is_only else ', with the lowest estimated errors'}"
    changes = []
    for name, size in (("false alarms", 0.0), ("escapes", result.size)):
        row = result.difference(result.best, size, STOPPED)
        if row["verdict"] == "equal":
            changes.append(f"{name} stay the same")
            continue
        ends = (row["low"], row["high"]) if size == 0 else (-row["high"], -row["low"])
        how = "change by" if row["verdict"] in ("better", "worse") else "stay within"
        changes.append(f"{name} {how} {formatting.format_interval(*ends, formatting.POINTS)}")
    text = f"{start}: {', '.join(changes)} ({level} CI)"
    return [text if len(text) < wording.LONGEST_ANSWER else start]


def _tell_others(result: GateComparison, verdicts: Mapping[str, str]) -> Iterator[list[str]]:
    for verdict, for_one, for_many in (
        ("better", "is also better", "are also better"),
        ("trades", "lowers one error but raises the other", "lower one error but raise the other"),
        ("worse", "has more errors", "have more errors"),
    ):
        names = [gate for gate, of_gate in verdicts.items() if of_gate == verdict and gate != result.best]
        if names and (verdict != "better" or result.best is not None):
            yield [f"{listed} {for_one if len(names) == 1 else for_many}" for listed in wording.list_forms(names)]


def _tell_served(result: GateComparison, verdicts: Mapping[str, str]) -> str:
    """Say which gate has the fewest failed requests with the defect, among those not shown to have more errors."""
    best = result.fewest_failed_requests
    if best is None:
        return ""
    rows = (result.row(gate, result.size, "failed_requests_excess") for gate in (best, THRESHOLD))
    of_best, of_threshold = (f"{row['estimate']:,.0f}" for row in rows)
    is_of_all = set(verdicts.values()) <= {"better", "equal", "unclear"}
    among = "" if is_of_all else " without more errors"
    return f"Fewest excess failed requests{among}: {best}, {of_best} instead of {of_threshold}"


def _tell_cost(result: GateComparison) -> str:
    if result.cheapest is None:
        return ""
    rows = result.mixture[result.mixture["measure"].eq("cost")]
    if result.cheapest == THRESHOLD:
        is_clear = rows.loc[rows["gate"].ne(THRESHOLD), "verdict"].eq("worse").all()
        return "The threshold has the lowest mean cost" + ("" if is_clear else ", not a clear difference")
    best = rows[rows["gate"].eq(result.cheapest)].iloc[0]
    scale = formatting.cost_scale(formatting.find_cost_unit(result.computed_under))
    difference = formatting.write_estimate(best, scale, "difference", sign=True)
    how = "" if best["verdict"] == "better" else ", not a clear difference"
    return f"{result.cheapest} has the lowest mean cost, {difference} against the threshold{how}"


def tabulate(result: GateComparison) -> tuple[Table, ...]:
    """Return the fraction stopped by size, good and defective releases, the gates, and the scenario's releases."""
    tables = [_tabulate_curve(result), _tabulate_good(result), _tabulate_defect(result), _tabulate_gates(result)]
    return (*tables, _tabulate_mixture(result))


def _tabulate_gates(result: GateComparison) -> Table:
    import pandas as pd

    left_out = [{"gate": gate, "why": f"excluded: {why}"} for gate, why in result.left_out.items()]
    observed = [short_duration(round(seconds * NS_PER_S)) for seconds in result.gates["observation_s"]]
    rows = pd.concat([result.gates.assign(observation=observed, why=""), pd.DataFrame(left_out)])
    return make_table(f"Gates of {result.policy}", rows, _GATES)


def _tabulate_good(result: GateComparison) -> Table:
    frame = _spread_curves(result, 0.0)
    alarms = Column(STOPPED, "false alarms", "estimate", formatting.RATE)
    columns = (_GATE, alarms, *measure_columns(map(as_measure, _OF_GOOD)))
    level = formatting.percent(result.confidence_level)
    title = (
        f"Good release, {plural(result.n_replications, 'replication')} ({level} bands over {len(result.sizes)} sizes)"
    )
    return make_table(title, frame, columns)


def _tabulate_defect(result: GateComparison) -> Table:
    frame = _spread_curves(result, result.size)
    # Releases that aren't stopped escape.
    estimate, low, high = formatting.interval_names(STOPPED)
    frame[[estimate, low, high]] = 1 - frame[[estimate, high, low]].to_numpy()
    frame["verdict"] = frame["gate"].map(_find_verdicts(result)).replace(wording.VERDICTS)
    columns = (
        _GATE,
        Column(STOPPED, "escapes", "estimate", formatting.RATE),
        *measure_columns(map(as_measure, _OF_DEFECT)),
        Column("verdict", "against threshold"),
    )
    return make_table(f"Defect of {_size(result.size)}", frame, columns)


def _spread_curves(result: GateComparison, size: float) -> pd.DataFrame:
    return spread(result.curves[result.curves["size"].eq(size)], "gate", "measure", also=_UNKNOWN)


def _tabulate_curve(result: GateComparison) -> Table:
    rows = result.curves[result.curves["measure"].eq(STOPPED)]
    widest = float(((rows["high"] - rows["low"]) / 2).max())
    title = f"Rollouts stopped, by the error rate that the release adds (± {100 * widest:.1f} pp)"
    columns = (_GATE, *(Column(f"{size}", _size(size), "share") for size in result.sizes))
    return make_table(title, spread(rows, "gate", "size", also=_UNKNOWN), columns)


def _tabulate_mixture(result: GateComparison) -> Table:
    frame = spread(result.mixture, "gate", "measure", also=_UNKNOWN)
    cost = result.mixture[result.mixture["measure"].eq("cost")]
    frame = frame.merge(cost[["gate", *formatting.interval_names("difference")]], on="gate", how="left")
    unit = formatting.find_cost_unit(result.computed_under)
    columns = [_GATE]
    for column in measure_columns(map(parse_measure, result.mixture["measure"].unique())):
        columns.append(column)
        if column.name == "cost":
            columns.append(Column("difference", "cost minus threshold", "difference", column.scale))
    level = formatting.percent(result.confidence_level)
    title = f"Releases of the scenario ({level} CI, for all differences together)"
    return make_table(title, frame, columns, unit)
