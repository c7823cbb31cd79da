"""What it saves to watch a rollout more, in words and as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import LABELS
from simdeploy.analysis.costs.observation_steps import LEVERS
from simdeploy.report.tables import Column, make_table, spread
from simdeploy.report.wording import Scale, cost_scale, find_cost_unit, format_estimate, percent
from simdeploy.vocabulary import CAUSES

if TYPE_CHECKING:
    from simdeploy.analysis.costs.observation import ObservationResult
    from simdeploy.result import Table

_ONE_MORE = {"canaries": "one more canary", "minutes": "one more minute of observation"}


def tell(result: ObservationResult) -> str:
    """Say what one more canary and one more minute would save, and up to where more of it pays."""
    told = [said for lever in LEVERS if (said := _tell_one_more(result, lever))]
    most = result.savings["unknown_fraction"].max()
    unknown = f" Up to {100 * most:.3g} % of the rollouts never end, which leaves their cost unknown." if most else ""
    return f"Under {result.policy} {'; '.join(told)}, at {percent(result.confidence_level)} confidence.{unknown}"


def _tell_one_more(result: ObservationResult, lever: str) -> str:
    limit = result.limits[result.limits["lever"].eq(lever)].iloc[0]
    steps = result.steps[result.steps["lever"].eq(lever)]
    one = steps[steps["previous"].eq(limit["current"])]
    if one.empty:
        return ""
    row = one.iloc[0]
    if row["verdict"] == "unknown":
        return f"nothing is known of {_ONE_MORE[lever]}"
    saves = row["estimate"] >= 0
    ends = (row["estimate"], row["low"], row["high"]) if saves else (-row["estimate"], -row["high"], -row["low"])
    scale = cost_scale(find_cost_unit(result.computed_under))
    told = f"{_ONE_MORE[lever]} {'saves' if saves else 'costs'} {format_estimate(*ends, scale)}"
    if row["verdict"] == "better":
        return f"{told}, and it pays up to {_write_amount(lever, limit['pays_until'])}"
    return told if row["verdict"] == "worse" else f"{told}, which can't be told from nothing"


def _write_amount(lever: str, value: float) -> str:
    if lever == "minutes":
        return f"{value:g} {'minute' if value == 1 else 'minutes'} more"
    return f"{value:g} {'canary' if value == 1 else 'canaries'}"


def tabulate(result: ObservationResult) -> tuple[Table, ...]:
    """Return for each lever what its values save, split by cause, and what each step saves."""
    return tuple(_tabulate_lever(result, lever) for lever in LEVERS if result.savings["lever"].eq(lever).any())


def _tabulate_lever(result: ObservationResult, lever: str) -> Table:
    of_lever = result.savings[result.savings["lever"].eq(lever)]
    steps = result.steps[result.steps["lever"].eq(lever)]
    seen = [cause for cause in CAUSES if of_lever.loc[of_lever["cause"].eq(cause), "cost"].any()]
    current = of_lever.loc[of_lever["is_current"], "value"].iloc[0]
    frame = spread(of_lever, "value", "cause").sort_values("value").merge(steps, on="value", how="left")
    frame = frame.assign(named=[f"{value:g}{' (now)' if value == current else ''}" for value in frame["value"]])
    headings = {"cost": "in all", **{cause: LABELS[cause][0].removeprefix("cost of ") for cause in seen}}
    scale = Scale(1, find_cost_unit(result.computed_under))
    columns = (
        Column("named", lever),
        *(Column(name, heading, "stacked difference", scale) for name, heading in headings.items()),
        Column("estimate", "by this step", "stacked difference", scale),
    )
    title = f"Saved by {lever}, against {result.policy}, with {percent(result.confidence_level)} intervals"
    return make_table(title, frame, columns)
