"""The savings of more observation, in words and as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.analysis.costs.observation_steps import LEVERS
from simdeploy.report import formatting, wording
from simdeploy.report.tables import Column, make_table, spread
from simdeploy.vocabulary import CAUSES

if TYPE_CHECKING:
    from simdeploy.analysis.costs.observation import ObservationResult
    from simdeploy.result import Table

_ONE_MORE = {"canaries": "one more canary", "minutes": "one more minute of observation"}


def tell(result: ObservationResult) -> str:
    """Say what one more canary and one more minute save, and up to which value more pays."""
    level: float | None = result.confidence_level
    effects = []
    for lever in LEVERS:
        if effect := _tell_one_more(result, lever, level):
            effects.append(effect)
            level = None
    most = result.savings["unknown_fraction"].max()
    # If no rollout is without an end, those left out have failed.
    left_out = wording.say_failed(result.n_left_out)
    if most:
        left_out = f"Cost unknown for up to {100 * most:.3g} % of the rollouts: they never end"
    return wording.join_answer([f"Under {result.policy}, {'; '.join(effects)}", left_out])


def _tell_one_more(result: ObservationResult, lever: str, level: float | None) -> str:
    limit = result.limits[result.limits["lever"].eq(lever)].iloc[0]
    steps = result.steps[result.steps["lever"].eq(lever)]
    next_step = steps[steps["previous"].eq(limit["current"])]
    if next_step.empty:
        return ""
    row = next_step.iloc[0]
    if row["verdict"] == "unknown":
        return f"the effect of {_ONE_MORE[lever]} is unknown"
    if row["verdict"] == "equal":
        return f"{_ONE_MORE[lever]} saves nothing"
    if row["verdict"] == "unclear" and row["low"] == row["high"] == 0:
        return f"no saving by {_ONE_MORE[lever]} was seen"
    saves = row["estimate"] >= 0
    ends = (row["estimate"], row["low"], row["high"]) if saves else (-row["estimate"], -row["high"], -row["low"])
    amounts = {**row, **dict(zip(("estimate", "low", "high"), ends, strict=True))}
    scale = formatting.cost_scale(formatting.find_cost_unit(result.computed_under))
    amount = formatting.write_estimate(amounts, scale, level=level)
    effect = f"{_ONE_MORE[lever]} {'saves' if saves else 'costs'} {amount}"
    if row["verdict"] == "better":
        return f"{effect}, worthwhile up to {_write_amount(lever, limit['pays_until'])}"
    return effect if row["verdict"] == "worse" else f"{effect}, but that is not certain"


def _write_amount(lever: str, value: float) -> str:
    if lever == "minutes":
        return f"{value:g} {'minute' if value == 1 else 'minutes'} more"
    return f"{value:g} {'canary' if value == 1 else 'canaries'}"


def tabulate(result: ObservationResult) -> tuple[Table, ...]:
    """Return what the values of each setting save, by cause and by step."""
    return tuple(_tabulate_lever(result, lever) for lever in LEVERS if result.savings["lever"].eq(lever).any())


def _tabulate_lever(result: ObservationResult, lever: str) -> Table:
    of_lever = result.savings[result.savings["lever"].eq(lever)]
    steps = result.steps[result.steps["lever"].eq(lever)]
    causes = [cause for cause in CAUSES if of_lever.loc[of_lever["cause"].eq(cause), "cost"].any()]
    current = of_lever.loc[of_lever["is_current"], "value"].iloc[0]
    frame = spread(of_lever, "value", "cause").sort_values("value").merge(steps, on="value", how="left")
    frame = frame.assign(named=[f"{value:g}{' (current)' if value == current else ''}" for value in frame["value"]])
    headings = {"cost": "total", **{cause: wording.name_cause(cause) for cause in causes}}
    frame.loc[frame["value"].eq(current), list(headings)] = math.nan  # no difference from itself
    scale = formatting.Scale(1, formatting.find_cost_unit(result.computed_under))
    columns = (
        Column("named", lever),
        *(Column(name, heading, "stacked difference", scale) for name, heading in headings.items()),
        Column("estimate", "by this step", "stacked difference", scale),
    )
    title = f"Cost saved by {lever}, against {result.policy} ({formatting.percent(result.confidence_level)} CI)"
    return make_table(title, frame, columns)
