"""Whether a choice hangs on a switch, in a sentence; and the policies, the values and the pairs that interact as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import (
    difference_scale,
    find_cost_unit,
    join_answer,
    list_some,
    percent,
    scale_of,
    write_estimate,
)

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.switches.result import Switches
    from simdeploy.result import Table

_MOST_NAMED = 3


def tell(result: Switches) -> str:
    """Say under how many values the choice holds, and what flips it."""
    verdicts = result.values["verdict"]
    possible = result.values[verdicts.ne("not possible")]
    n, n_holds = len(possible), int(verdicts.isin(["holds", "holds, not surely"]).sum())
    text = f"{_say_choice(result)} holds under "
    text += f"all {n} values of the switches" if n_holds == n else f"{n_holds} of {n} values of the switches"
    n_pairs = int(result.pairs["is_possible"].sum())
    is_flipped = result.pairs["flips_together"].fillna(value=False).any()
    parts = [
        text,
        _named("it flips under", result.values[verdicts.eq("flips")]),
        _say_margin(result),
        _say_pairs(result),
        _named("it may flip under", result.values[verdicts.eq("may flip")]),
        _named("it isn't known under", result.values[verdicts.eq("not known")]),
        f"none of {n_pairs} pairs does otherwise" if n_pairs and not is_flipped else "",
    ]
    return join_answer(parts, separator="; ", end=".")


def tabulate(result: Switches) -> tuple[Table, ...]:
    """Return every value, the policies with the switches as they are, and the pairs that interact."""
    tables = [_tabulate_values(result), _tabulate_policies(result)]
    interacting = result.pairs[result.pairs["interacts"].fillna(value=False)]
    if len(interacting):
        tables.append(_tabulate_pairs(result, interacting))
    return tuple(tables)


def _say_choice(result: Switches) -> str:
    if result.choice is None:
        return "No policy meets the requirements; that"
    if len(result.policies) == 1:
        return f"That {result.choice} meets its requirements"
    how = "least" if result.direction == "min" else "most"
    return f"The choice of {result.choice} ({how} {describe_measure(result.of)})"


def _say_pairs(result: Switches) -> str:
    n = int(result.pairs["is_possible"].sum())
    together = result.pairs[result.pairs["flips_together"].fillna(value=False)]
    parts = []
    for verdict, flip in (("flips", "flip"), ("may flip", "may flip")):
        rows = together[together["verdict"].eq(verdict)]
        parts.append(_named(f"{len(rows)} of {n} pairs {flip} it:", rows, most=1))
    return "; ".join(part for part in parts if part)


def _say_margin(result: Switches) -> str:
    if result.unsure_of is None:
        return ""
    text = f"the choice itself isn't sure at {percent(result.confidence_level)}"
    if result.unsure_of == "margin":
        scale = difference_scale(scale_of(result.of, result.base["margin"], find_cost_unit(result.computed_under)))
        margin = write_estimate(result.base.iloc[0], scale, "margin", sign=True)
        return f"{text}: it leads {result.base['rival'].iloc[0]} by {margin}"
    undecided = result.policies.loc[result.policies["verdict"].eq("undecided"), "policy"]
    return f"{text}: whether {' and '.join(undecided)} can meet the requirements is undecided"


def _tabulate_policies(result: Switches) -> Table:
    policies = result.policies.assign(chosen=result.policies["is_chosen"].map({True: "chosen", False: ""}))
    columns = [
        Column("policy", "policy"),
        Column("estimate", describe_measure(result.of), "estimate", result.of),
        *([Column("verdict", "requirements")] if result.requirements else []),
        Column("chosen", ""),
    ]
    return make_table("With the switches as they are", policies, columns, find_cost_unit(result.computed_under))


def _tabulate_values(result: Switches) -> Table:
    values = result.values
    has_effect = values["has_effect"].fillna(value=False)
    values = values.assign(
        setting=values["switch"] + ": " + values["value"],
        today=values["switch"].map(result.own_values),
        verdict=values["verdict"].mask(values["has_effect"].eq(other=False).fillna(value=False), "no effect"),
        margin=values["margin"].where(has_effect),
        effect=values["effect"].where(has_effect),
    )
    columns = (
        Column("setting", "value"),
        Column("today", "instead of"),
        *_columns_of_choice(result),
        Column("effect", f"change of {describe_measure(result.of)}", "difference", result.of),
        Column("reason", "why"),
    )
    return make_table("One switch at a time", values, columns, find_cost_unit(result.computed_under))


def _tabulate_pairs(result: Switches, pairs: pd.DataFrame) -> Table:
    one, other = pairs["switch"] + ": " + pairs["value"], pairs["other_switch"] + ": " + pairs["other_value"]
    pairs = pairs.assign(size=pairs["interaction"].abs(), setting=one + ", " + other)
    pairs = pairs.sort_values(["flips_together", "size"], ascending=False, kind="stable")
    columns = (
        Column("setting", "values"),
        *_columns_of_choice(result),
        Column("interaction", "beyond the sum", "difference", result.of),
        Column("reason", "why"),
    )
    title = f"Two switches together: the {len(pairs):,} pairs out of {len(result.pairs):,} that interact"
    return make_table(title, pairs, columns, find_cost_unit(result.computed_under))


def _columns_of_choice(result: Switches) -> tuple[Column, ...]:
    margin = Column("margin", "margin of the choice", "difference", result.of)
    return Column("verdict", "the choice"), Column("choice", "chosen"), margin


def _named(what: str, rows: pd.DataFrame, most: int = _MOST_NAMED) -> str:
    """Name the settings of some rows; the empty text if there are none."""
    texts = [
        f"{row['switch']}: {row['value']}"
        + (f" with {row['other_switch']}: {row['other_value']}" if "other_switch" in row else "")
        for row in rows.to_dict("records")
    ]
    return f"{what} {list_some(texts, most)}" if texts else ""
