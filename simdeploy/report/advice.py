"""Advice and forecasts, in words and as tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from simdeploy.analysis.advice.result import WITHOUT_TABLE, Advice, Forecast
from simdeploy.report import formatting, wording
from simdeploy.report.tables import Column, make_table
from simdeploy.result import Table
from simdeploy.units import NS_PER_S, short_duration
from simdeploy.vocabulary import TERMINAL_STATES

_MEASURES = {
    "completed": "the rollout completes",
    "failed": "it fails",
    "canceled": "it is canceled",
    "completed_good": "a good release completes",
    "stopped_defective": "a defective release is stopped",
    "false_alarm": "a good release is stopped (false alarm)",
    "escaped": "a defective release completes (escape)",
    "time_left_s": "time left",
    "failed_nodes_to_come": "further failed nodes",
    "exposed_nodes_to_come": "further exposed nodes",
}


def tell(result: Forecast) -> str:
    """Say what to do and why, or how the rollout goes on."""
    if not result.is_trusted:
        few = f"Undecided: only {result.effective_worlds:,.0f} effective worlds show what was seen"
        better = "Give fewer timestamps, or simulate more --replications"
        if result.way == "worlds":
            few += f", of {result.n_tried:,} whole worlds tried because of {result.why_tried}"
            better = "Give one, or fewer timestamps" if WITHOUT_TABLE in result.why_tried else "Give fewer timestamps"
            if result.is_soon_found:
                better = "Simulate more --replications"
        return wording.join_answer([few, better])
    if not isinstance(result, Advice) or result.acts.empty:
        return wording.join_answer([_say_defective(result), _say_going_on(result)])
    if result.is_undecided:
        return _tell_undecided(result)
    if not result.best:
        return wording.join_answer([_say_defective(result), _say_unknown(result), _say_going_on(result)])
    return _tell_best(result)


def _say_unknown(advice: Advice) -> list[str]:
    """Say whose costs are unknown, but not that a paused rollout doesn't end by itself."""
    if "costs" not in advice.computed_under:
        return ["No act is best: the scenario has no costs"]
    unknown = advice.acts[advice.acts["cost"].isna()]["act"]
    names = [_name(act) for act in unknown if (act, advice.state) != ("go on", "paused")]
    reason = "is unknown, because the rollout may never end"
    return [f"No act is best: the cost of {named} {reason}" for named in wording.list_forms(names)]


def _tell_undecided(advice: Advice) -> str:
    """Say between which acts the worlds can't decide, and why."""
    cheapest = advice.acts.sort_values("more_than_best")["act"].iloc[0]
    nearest = min(advice.rivals.to_dict("records"), key=lambda row: row["more_low"])
    between = f"Undecided between {_name(cheapest)} and {_name(nearest['act'])}"
    more = wording.capitalize(_say_extra_cost(advice, nearest))
    why = "So few worlds can't rule out that it costs less"
    if not nearest["more_is_trusted"]:
        why = "That can't be trusted, because a few worlds decide it"
    return wording.join_answer(
        [f"{between}: {_say_defective(advice, first=False)}", f"{more}. {why}", "Simulate more --replications"]
    )


def _tell_best(advice: Advice) -> str:
    scale = _cost_scale(advice)
    rows = advice.acts.to_dict("records")
    others = sorted((row for row in rows if row["act"] != advice.best), key=lambda row: row["more_than_best"])
    parts = [_say_extra_cost(advice, row) for row in others if not math.isnan(row["cost"])]
    defective = _say_defective(advice, first=False)
    more = [wording.capitalize(", ".join(parts)), wording.capitalize(parts[0])] if parts else ""
    wait = advice.wait
    if wait is not None:
        start = f"{_say_until_next_look(advice, wait['how'])}, and look again in {_length(wait)}: {defective}"
        saved = formatting.write_without_interval(wait, scale, "worth", interval="estimate")
        return wording.join_answer([start, f"That saves {saved} over {_name(advice.best)} now"])
    waiting = ""
    pays = advice.waiting[advice.waiting["pays"]].to_dict("records")
    if pays:
        most = max(pays, key=lambda row: row["worth"])
        saved = formatting.write_without_interval(most, scale, "worth", interval="estimate")
        waiting = f"Looking again in {_length(most)} saves {saved}"
    return wording.join_answer([f"{wording.capitalize(advice.best)}: {defective}", more, waiting])


def _say_until_next_look(advice: Advice, how: str) -> str:
    """Say what to do until the next look."""
    return "Stay paused" if advice.state == "paused" else wording.capitalize(how)


def _length(wait: Mapping[Any, Any]) -> str:
    return short_duration(int(wait["wait_s"]) * NS_PER_S)


def _name(act: str) -> str:
    return {"go on": "going on", "promote": "promoting", "cancel": "canceling", "resume": "resuming"}.get(act, act)


def _cost_scale(advice: Advice) -> formatting.Scale:
    return formatting.Scale(1, formatting.find_cost_unit(advice.computed_under))


def _say_extra_cost(advice: Advice, row: Mapping[Any, Any]) -> str:
    if row["more_low"] == row["more_high"] == 0:
        return f"{_name(row['act'])} costs the same"
    more = formatting.write_estimate(row, _cost_scale(advice), "more_than_best", interval="more")
    return f"{_name(row['act'])} costs {more} more"


def _percent(value: float) -> str:
    shown = 100 * value
    if 0 < shown < 1:
        return "under 1 %"
    return "over 99 %" if 99 < shown < 100 else f"{shown:.0f} %"


def _say_defective(result: Forecast, *, first: bool = True) -> str:
    return f"{'The' if first else 'the'} release is defective with probability {_percent(result.defective)}"


def _say_going_on(result: Forecast) -> str:
    if result.state in TERMINAL_STATES:
        return f"The rollout is over ({result.state})"
    frame = result.forecast
    means = frame[frame["quantile"].isna()].set_index("measure")["estimate"]
    if result.state == "paused" and not means[list(TERMINAL_STATES)].any():
        return "It stays paused until somebody resumes or cancels it"
    completes = f"Going on, the rollout completes with probability {_percent(means['completed'])}"
    quantiles = frame[frame["measure"] == "time_left_s"].set_index("quantile")["estimate"]
    if math.isnan(quantiles.get(0.5, math.nan)):
        return completes
    times = [short_duration(round(quantiles[level]) * NS_PER_S) for level in (0.5, 0.025, 0.975)]
    return f"{completes} and ends in {times[0]} ({times[1]} to {times[2]})"


def tabulate(result: Forecast) -> tuple[Table, ...]:
    """Return the acts, the kinds of release, the forecast, and what waiting is worth."""
    tables = [_tabulate_kinds(result), _tabulate_forecast(result)]
    if isinstance(result, Advice) and not result.acts.empty:
        tables.insert(0, _tabulate_acts(result))
    if isinstance(result, Advice) and not result.waiting.empty:
        tables.append(_tabulate_waiting(result))
    return tuple(tables)


def _tabulate_acts(advice: Advice) -> Table:
    acts, scale = advice.acts, _cost_scale(advice)
    longest = float(acts["time_left_s"].max())
    more = acts["more_than_best"]
    frame = acts.assign(
        left=[formatting.format_amount(s, formatting.time_scale(longest)) for s in acts["time_left_s"]],
        more_than_best=more.mask(more.eq(0) & more.eq(0).cumsum().eq(1)),  # the first has no difference from itself
    )
    columns = (
        Column("act", "act"),
        Column("cost", "cost", "stacked estimate", scale, interval="estimate"),
        Column("more_than_best", "more than the best", "stacked difference", scale, interval="more"),
        Column("false_alarm", "false alarm", "share"),
        Column("escaped", "escape", "share"),
        Column("left", "time left"),
    )
    return make_table(f"Acts ({formatting.percent(advice.confidence_level)} CI)", frame, columns)


def _tabulate_waiting(advice: Advice) -> Table:
    waiting, scale = advice.waiting, _cost_scale(advice)
    frame = waiting.assign(
        how=["paused" if advice.state == "paused" else how for how in waiting["how"]],
        wait=[short_duration(s * NS_PER_S) for s in waiting["wait_s"]],
    )
    columns = (
        Column("how", "meanwhile"),
        Column("wait", "look again after"),
        Column("worth", "worth", "difference", scale, interval="estimate"),
    )
    return make_table(f"Value of waiting ({formatting.percent(advice.confidence_level)} CI)", frame, columns)


def _tabulate_kinds(result: Forecast) -> Table:
    columns = (
        Column("kind", "kind of release"),
        Column("defective", "defective", "yes"),
        Column("prior", "before", "share"),
        Column("posterior", "given what was seen", "estimate", formatting.RATE, interval="estimate"),
    )
    return make_table(f"Kinds of release ({formatting.percent(result.confidence_level)} CI)", result.kinds, columns)


def _tabulate_forecast(result: Forecast) -> Table:
    frame = result.forecast
    rows = []
    for name, part in frame.groupby("measure", sort=False):
        by_quantile = part.set_index("quantile")["estimate"]
        mean = float(part.loc[part["quantile"].isna(), "estimate"].iloc[0])
        if len(part) == 1:
            rows.append({"measure": _MEASURES[str(name)], "mean": f"{100 * mean:.1f} %", "range": ""})
            continue
        scale = formatting.time_scale(float(part["estimate"].max())) if name == "time_left_s" else formatting.NO_SCALE
        middle = [formatting.format_amount(by_quantile[level], scale) for level in (0.025, 0.975)]
        spread = "" if math.isnan(by_quantile[0.5]) else f"{middle[0]} to {middle[1]}"
        rows.append({"measure": _MEASURES[str(name)], "mean": formatting.format_amount(mean, scale), "range": spread})
    columns = (
        Column("measure", "if the rollout goes on"),
        Column("mean", "probability or mean"),
        Column("range", "middle 95 %"),
    )
    return make_table("Forecast", rows, columns)
