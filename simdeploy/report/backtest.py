"""Recorded rollouts under other policies, in words and as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.backtest.result import RECORDED, Backtest
from simdeploy.errors import plural
from simdeploy.report.formatting import Scale, format_amount, percent, response_scale
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import join_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simdeploy.result import Table

_NAMES = {
    "stopped": ("stopped", "rollout"),
    "false_alarm given good": ("false alarms", "good release"),
    "escaped given defective": ("escapes", "defective release"),
}
_RATES = (Column("policy", "policy"), *(Column(measure, name) for measure, (name, _) in _NAMES.items()))
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
            f"{say_count(counts[measure])} {what} of {plural(_count_all(counts[measure]), noun)}{_say_recorded(recorded[measure])}"
            for measure, (what, noun) in list(_NAMES.items())[1:]
            if _count_all(counts[measure])
        ]
        stopped = f"{policy} would have stopped {say_count(counts['stopped'])} of {plural(n, 'rollout')}"
        long = f"{stopped}{_say_recorded(recorded['stopped'])}"
        sentences.append([*([f"{long}, with {' and '.join(kinds)}"] if kinds else []), long, stopped])
    missed = int((~result.reproduced["is_reproduced"].fillna(value=True).astype(bool)).sum())
    if missed:
        end = f"{plural(missed, 'rollout')} of {n} {'ends' if missed == 1 else 'end'} differently"
        sentences.append([f"Replayed under its recorded policy, {end}"])
    return join_answer(sentences)


def tabulate(result: Backtest) -> tuple[Table, ...]:
    """Return rates by policy (and modelled ones, if requested), rollouts that end or may end differently, and which are reproduced."""
    is_modelled = result.computed_under["modelled"] > 0
    rates = [_rate_row(result, RECORDED)]
    for policy in result.policies:
        rates += [_rate_row(result, policy), *([_modelled_row(result, policy)] if is_modelled else [])]
    title = f"Rates ({percent(result.confidence_level)} CI each; unknown rollouts count both ways)"
    reproduced = [
        {**row, "reproduced": _write_yes_or_no(row["is_reproduced"])} for row in result.reproduced.to_dict("records")
    ]
    return (
        make_table(title, rates, _RATES),
        make_table("Rollouts that end, or may end, differently", _rollout_rows(result), _ROLLOUTS),
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
    """Return a row for each rollout and policy whose outcome differs from the record, or is unknown."""
    frame = result.rollouts
    by_key = {(row["rollout"], row["policy"], row["response"]): row for row in frame.to_dict("records")}
    longest = frame.loc[frame["response"].eq("makespan_s") & frame["high"].lt(math.inf), "high"].max()
    scales = {"makespan_s": response_scale("makespan_s", longest), "blast_radius": response_scale("blast_radius", 1.0)}
    rows = []
    for (rollout, policy, outcome), row in by_key.items():
        was = by_key[rollout, RECORDED, "stopped"]
        if (
            outcome != "stopped"
            or policy == RECORDED
            or (row["is_known"] and was["is_known"] and row["low"] == was["low"])
        ):
            continue
        cells: dict[str, Any] = {"rollout": rollout, "policy": policy, "stopped": _say_outcome(row["low"], row["high"])}
        for response in ("makespan_s", "touched_nodes", "blast_radius"):
            cell = by_key[rollout, policy, response]
            cells[response] = _say_range(cell["low"], cell["high"], scales.get(response, Scale(1, "")))
        moved = row["moved_s"]
        rows.append(cells | {"moved": format_amount(moved, response_scale("makespan_s", moved))})
    return rows


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
