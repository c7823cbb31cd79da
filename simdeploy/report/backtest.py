"""Recorded rollouts under other policies, in words and as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.analysis.backtest.result import RECORDED, Backtest
from simdeploy.errors import plural
from simdeploy.report.formatting import Scale, format_amount, percent, response_scale
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import join_answer
from simdeploy.scenario.measures import parse_measure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simdeploy.result import Table

# Of verdicts: the name of one, and of the releases that may have it.
_VERDICTS = {
    "false_alarm given good": ("false alarm", "good release"),
    "escaped given defective": ("escape", "defective release"),
}
_RATES = (
    Column("policy", "policy"),
    Column("stopped", "stopped"),
    *(Column(measure, describe_measure(parse_measure(measure))) for measure in _VERDICTS),
)
# Responses in which rollouts are compared with the record.
_COMPARED = ("stopped", "makespan_s", "touched_nodes", "blast_radius")
_ROLLOUTS = (
    Column("rollout", "rollout"),
    Column("policy", "policy"),
    Column("stopped", "stopped"),
    Column("makespan_s", "ends after"),
    Column("touched_nodes", "touched nodes"),
    Column("blast_radius", "blast radius"),
    Column("moved", "moved by"),
)
_REPRODUCED = (Column("rollout", "rollout"), Column("reproduced", "reproduced"), Column("differs", "what differs"))


def tell(result: Backtest) -> str:
    """Say how many rollouts each policy would have stopped, and which releases wrongly."""
    recorded = _counts(result, RECORDED)
    n = _count_all(recorded["stopped"])
    sentences: list[list[str]] = []
    for policy in result.policies:
        counts = _counts(result, policy)
        kinds = [
            f"{_say_verdicts(counts[measure], name)} of {plural(_count_all(counts[measure]), noun)}{_say_recorded(recorded[measure])}"
            for measure, (name, noun) in _VERDICTS.items()
            if _count_all(counts[measure])
        ]
        stopped = f"{policy} would have stopped {say_count(counts['stopped'])} of {plural(n, 'rollout')}"
        long = f"{stopped}{_say_recorded(recorded['stopped'])}"
        sentences.append([*([f"{long}, with {' and '.join(kinds)}"] if kinds else []), long, stopped])
    if not _rollout_rows(result):
        sentences.append(["No rollout ends differently"])
    missed = int((~result.reproduced["is_reproduced"].fillna(value=True).astype(bool)).sum())
    if missed:
        sentences.append([f"The recorded policy doesn't reproduce {missed:,} of {plural(n, 'rollout')}"])
    return join_answer(sentences)


def tabulate(result: Backtest) -> tuple[Table, ...]:
    """Return rates by policy (and modelled ones, if requested), rollouts that may end differently, if any, and which are reproduced."""
    is_modelled = result.computed_under["modelled"] > 0
    rates = [_rate_row(result, RECORDED)]
    for policy in result.policies:
        rates += [_rate_row(result, policy), *([_modelled_row(result, policy)] if is_modelled else [])]
    title = f"Rates ({percent(result.confidence_level)} CI each; unknown rollouts count both ways)"
    reproduced = [
        {**row, "reproduced": _write_yes_or_no(row["is_reproduced"])} for row in result.reproduced.to_dict("records")
    ]
    rollouts = _rollout_rows(result)
    return (
        make_table(title, rates, _RATES),
        *([make_table("Rollouts that end, or may end, differently", rollouts, _ROLLOUTS)] if rollouts else []),
        make_table("The recorded policy, replayed", reproduced, _REPRODUCED),
    )


def _counts(result: Backtest, policy: str) -> dict[str, dict[str, Any]]:
    """Return the rows of the summary of a policy, by measure."""
    rows = result.summary[result.summary["policy"].eq(policy)].to_dict("records")
    return {row["measure"]: {str(name): value for name, value in row.items()} for row in rows}


def _count_all(row: Mapping[str, Any]) -> int:
    return int(row["n_known"] + row["n_unknown"])


def say_count(row: Mapping[Any, Any]) -> str:
    """Write the number of rollouts with an outcome, as a range if some are unknown."""
    surely, unknown = row["n_yes"], row["n_unknown"]
    return f"{surely:,} to {surely + unknown:,}" if unknown else f"{surely:,}"


def _say_verdicts(row: Mapping[str, Any], name: str) -> str:
    count = say_count(row)
    return f"{count} {name}" if count == "1" else f"{count} {name}s"


def _say_recorded(row: Mapping[str, Any]) -> str:
    return f" (recorded: {say_count(row)})"


def _rate_row(result: Backtest, policy: str) -> dict[str, Any]:
    counts = _counts(result, policy)
    cells = {}
    for measure, row in counts.items():
        n = _count_all(row)
        limits = f"{100 * row['low']:.0f} to {100 * row['high']:.0f} %"
        cells[measure] = f"{say_count(row)} of {n:,} ({limits})" if n else "none on record"
    return {"policy": policy, **cells}


def _modelled_row(result: Backtest, policy: str) -> dict[str, Any]:
    cells = {}
    for measure, row in _counts(result, policy).items():
        rate = row["estimate"] if math.isnan(row["modelled"]) else row["modelled"]
        cells[measure] = "none on record" if not _count_all(row) else f"{100 * rate:.0f} %"
    return {"policy": f"{policy}, modelled", **cells}


def _rollout_rows(result: Backtest) -> list[dict[str, Any]]:
    """Return for each rollout what is on record, and a row for each policy under which that differs or is unknown.

    Rollouts that may be stopped otherwise than on record come first.
    """
    frame = result.rollouts
    by_key = {(row["rollout"], row["policy"], row["response"]): row for row in frame.to_dict("records")}
    longest = frame.loc[frame["response"].eq("makespan_s") & frame["high"].lt(math.inf), "high"].max()
    scales = {"makespan_s": response_scale("makespan_s", longest), "blast_radius": response_scale("blast_radius", 1.0)}

    def make_row(rollout: str, policy: str) -> dict[str, Any]:
        stopped = by_key[rollout, policy, "stopped"]
        cells = {"stopped": _say_outcome(stopped["low"], stopped["high"])}
        for response in _COMPARED[1:]:
            if (rollout, policy, response) in by_key:
                cell = by_key[rollout, policy, response]
                cells[response] = _say_range(cell["low"], cell["high"], scales.get(response, Scale(1, "")))
        moved = format_amount(stopped["moved_s"], response_scale("makespan_s", stopped["moved_s"]))
        return {"rollout": rollout, "policy": policy, **cells, "moved": moved}

    stopped_otherwise: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    differing = frame[frame["may_differ"] & frame["response"].isin(_COMPARED)]
    for rollout, responses in differing.groupby("rollout", sort=False):
        rows = [make_row(str(rollout), policy) for policy in (RECORDED, *responses["policy"].unique())]
        (stopped_otherwise if responses["response"].eq("stopped").any() else others).extend(rows)
    return stopped_otherwise + others


def _say_outcome(low: float, high: float) -> str:
    return "unknown" if low != high else "yes" if low else "no"


def _say_range(low: float, high: float, scale: Scale) -> str:
    """Write bounds with their unit; one amount if they are equal."""
    if low == high:
        return "never" if low == math.inf else format_amount(low, scale)
    if high == math.inf:
        return f"{format_amount(low, scale)} or more"
    return f"{format_amount(low, Scale(scale.factor, ''))} to {format_amount(high, scale)}"


def _write_yes_or_no(value: Any) -> str:
    return "unknown" if value is None or value != value or str(value) == "<NA>" else "yes" if value else "no"
