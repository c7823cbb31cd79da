"""What gates side by side say, in sentences that can be read aloud."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.unknown import say_unknown
from simdeploy.analysis.gates.curves import STOPPED
from simdeploy.analysis.gates.variants import THRESHOLD
from simdeploy.analysis.gates.verdicts import Standing, find_best, list_standings
from simdeploy.report.wording import (
    PERCENT,
    POINTS,
    Scale,
    format_estimate,
    format_number,
    join_words,
    response_scale,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simdeploy.analysis.gates.result import GateComparison


def tell(result: GateComparison) -> str:
    """Say how the threshold errs, which gate errs less, what the others do, and what it costs."""
    standings = list_standings(result)
    best = find_best(standings)
    sentences = [f"Under {result.policy} {_tell_gate(result, THRESHOLD)}."]
    if best is not None:
        is_only = sum(standing.verdict == "better" for standing in standings) == 1
        errs = "" if is_only else "errs least by the estimates; it "
        told = _tell_gate(result, best.gate, is_subject=False)
        sentences.append(f"{best.gate} {errs}{told}: {_tell_changes(best)}.")
    sentences += [*_tell_others(result, standings, best), *_tell_served(result, standings), *_tell_cost(result)]
    return " ".join(sentences)


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


def _tell_changes(standing: Standing) -> str:
    told = []
    for name, (low, high) in (("false alarms", standing.false_alarms_less), ("escapes", standing.escapes_less)):
        by = _points(low, high)
        told.append(f"{name} {'change by' if low > 0 or high < 0 else 'stay within'} {by}")
    return " and ".join(told)


def _points(low: float, high: float) -> str:
    half_width = (high - low) / 2 * POINTS.factor
    # An end near 0 keeps the digits that tell it from 0.
    ends = (end * POINTS.factor for end in (low, high))
    words = [format_number(end, min(half_width, abs(end)), sign=True) for end in ends]
    return f"{words[0]} to {words[1]} {POINTS.unit}"


def _tell_others(result: GateComparison, standings: list[Standing], best: Standing | None) -> list[str]:
    told = []
    by_verdict = {
        verdict: [one.gate for one in standings if one.verdict == verdict and one is not best]
        for verdict in ("better", "trades", "worse")
    }
    if best is None:
        n = len(standings)
        none = "The only other gate is not" if n == 1 else f"None of the {n} other gates is"
        told.append(f"{none} surely better in false alarms or escapes without being surely worse in the other.")
    elif by_verdict["better"]:
        names = by_verdict["better"]
        told.append(f"Surely better than the threshold {'is' if len(names) == 1 else 'are'} also {join_words(names)}.")
    if names := by_verdict["trades"]:
        told.append(f"{join_words(names)} trade{'s' * (len(names) == 1)} one error for the other.")
    if names := by_verdict["worse"]:
        told.append(f"{join_words(names)} surely err{'s' * (len(names) == 1)} more.")
    unknown = {
        gate: float(of["unknown_fraction"].max())
        for gate, of in result.curves[result.curves["measure"].eq(STOPPED)].groupby("gate", sort=False)
        if gate != THRESHOLD
    }
    if text := say_unknown({str(gate): fraction for gate, fraction in unknown.items()}, "verdict"):
        told.append(f"{text}.")
    return told


def _tell_served(result: GateComparison, standings: list[Standing]) -> list[str]:
    """Say which gate serves the fewest failed requests of the defect, of those that don't surely err more."""
    name, size = "failed_requests_excess", result.size
    rows = {
        one.gate: result.difference(one.gate, size, name) for one in standings if one.verdict in ("better", "not sure")
    }
    fewer = [gate for gate, row in rows.items() if row["high"] < 0]
    if not fewer:
        return []
    best = min(fewer, key=lambda gate: rows[gate]["estimate"])
    scale = Scale(1, "")
    its, own = (
        format_estimate(row["estimate"], row["low"], row["high"], scale)
        for row in (result.row(best, size, name), result.row(THRESHOLD, size, name))
    )
    among = "" if len(rows) == len(standings) else ", of those that don't surely err more"
    return [f"The fewest failed requests of such a defect are served under {best}{among}: {its} instead of {own}."]


def _tell_cost(result: GateComparison) -> list[str]:
    rows = result.mixture[result.mixture["measure"].eq("cost")]
    known = rows[rows["unknown_fraction"].eq(0) & rows["estimate"].notna()]
    if known.empty or known["gate"].iloc[0] != THRESHOLD:
        return []
    best = known.iloc[int(known["estimate"].argmin())]
    scale = response_scale("cost", float(best["estimate"]))
    told = format_estimate(best["estimate"], best["low"], best["high"], scale)
    if best["gate"] == THRESHOLD:
        return [
            f"Over the scenario's own releases none costs less than the threshold by the estimates, {told} a rollout."
        ]
    less = format_estimate(best["difference"], best["difference_low"], best["difference_high"], scale, sign=True)
    sure = "surely " if best["difference_high"] < 0 else ""
    how = f"{sure}less than the threshold" if sure else "which isn't surely less than the threshold"
    return [f"Over the scenario's own releases {best['gate']} costs least, {told} a rollout, {how}: {less}."]
