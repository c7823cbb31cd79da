"""Whether the recommendation depends on a switch, in words; values, policies and interacting pairs as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.report import formatting, wording
from simdeploy.report.tables import Column, make_table

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.switches.result import Switches
    from simdeploy.result import Table

_MOST_NAMED = 3
# Verdicts on a setting if no policy meets the requirements under the scenario's own switches.
_WITHOUT_CHOICE = {
    "holds": "none meets",
    "holds, uncertain": "none meets, uncertain",
    "may change": "one may meet",
    "changes": "one meets",
}


def tell(result: Switches) -> str:
    """Say under how many values the recommendation holds, and which values change it."""
    verdicts = result.values["verdict"]
    n, n_holds = (
        int(verdicts.ne("impossible").sum()),
        int(verdicts.isin(["no effect", "holds", "holds, uncertain"]).sum()),
    )
    every = "any of" if result.choice is None else "all"
    count = f"{every} {n}" if n_holds == n else f"{n_holds} of {n}"
    n_pairs = int(result.pairs["is_possible"].sum())
    is_flipped = result.pairs["flips_together"].fillna(value=False).any()
    first = f"{_say_choice(result)} under {count} switch values"
    clauses = [
        _named("changes under", result.values[verdicts.eq("changes")]),
        _say_margin(result),
        *_say_pairs(result),
        _named("may change under", result.values[verdicts.eq("may change")]),
        _named("unknown under", result.values[verdicts.eq("unknown")]),
        [f"none of {n_pairs} pairs changes it" if n_holds == n else "no pair of other values changes it"]
        if n_pairs and not is_flipped
        else [],
    ]
    second = "; ".join(wording.fit_forms(clauses, wording.LONGEST_ANSWER - len(first) - len(". ."), "; "))
    return wording.join_answer([first, wording.capitalize(second)])


def tabulate(result: Switches) -> tuple[Table, ...]:
    """Return all values, the policies under the current switches, and the interacting pairs."""
    tables = [_tabulate_values(result), _tabulate_policies(result)]
    interacting = result.pairs[result.pairs["interacts"].fillna(value=False)]
    if len(interacting):
        tables.append(_tabulate_pairs(result, interacting))
    return tuple(tables)


def _say_choice(result: Switches) -> str:
    if result.choice is None:
        return "No policy meets the requirements"
    if len(result.policies) == 1:
        return f"{result.choice} meets its requirements"
    how = "lowest" if result.direction == "min" else "highest"
    return f"{result.choice} ({how} {wording.name_objective(result.of)}) stays recommended"


def _say_pairs(result: Switches) -> list[list[str]]:
    n = int(result.pairs["is_possible"].sum())
    together = result.pairs[result.pairs["flips_together"].fillna(value=False)]
    sentences = []
    for verdict, change in (("changes", "change"), ("may change", "may change")):
        rows = together[together["verdict"].eq(verdict)]
        sentences.append(_named(f"{len(rows)} of {n} pairs {change} it:", rows, most=1))
    return sentences


def _say_margin(result: Switches) -> list[str]:
    if result.unsure_of is None:
        return []
    if result.unsure_of == "margin":
        unit = formatting.find_cost_unit(result.computed_under)
        scale = formatting.difference_scale(formatting.scale_of(result.of, result.base["margin"], unit))
        base = result.base.iloc[0]
        margin = formatting.write_estimate(base, scale, "margin", sign=True, level=result.confidence_level)
        if base["margin"] == 0:
            return [
                f"no difference from {base['rival']} was seen: {margin}",
                f"no difference from {base['rival']} was seen",
            ]
        brief = formatting.write_without_interval(base, scale, "margin", sign=True)
        needed = result.replications_needed
        about = "" if math.isnan(needed) else f"; {wording.say_needed(needed, result.computed_under)}"
        return [
            f"its lead over {base['rival']} is uncertain: {margin}{about}",
            f"its lead is uncertain: {brief}{about}",
            f"its lead is uncertain{about}",
            "its lead is uncertain",
        ]
    undecided = result.policies.loc[result.policies["verdict"].eq("undecided"), "policy"].tolist()
    text = f"the recommendation is uncertain ({formatting.percent(result.confidence_level)} confidence)"
    if result.choice is None:
        text = "this is uncertain"
    return [
        *(f"{text}: whether {names} can meet the requirements is undecided" for names in wording.list_forms(undecided)),
        text,
    ]


def _tabulate_policies(result: Switches) -> Table:
    policies = result.policies.assign(chosen=result.policies["is_chosen"].map({True: "recommended", False: ""}))
    columns = [
        Column("policy", "policy"),
        Column("estimate", describe_measure(result.of), "estimate", result.of),
        *([Column("verdict", "requirements")] if result.requirements else []),
        Column("chosen", ""),
    ]
    title = f"Under the current switches ({formatting.percent(result.confidence_level)} CI)"
    return make_table(title, policies, columns, formatting.find_cost_unit(result.computed_under))


def _tabulate_values(result: Switches) -> Table:
    values = result.values
    has_effect = values["has_effect"].fillna(value=False)
    values = values.assign(
        setting=values["switch"] + ": " + values["value"],
        current=values["switch"].map(result.own_values),
        verdict=_name_verdicts(result, values),
        choice=_name_choices(result, values),
        margin=values["margin"].where(has_effect),
        effect=values["effect"].where(has_effect),
    )
    columns = (
        Column("setting", "value"),
        Column("current", "current"),
        *_columns_of_choice(result),
        Column("effect", f"change in {describe_measure(result.of)}", "difference", result.of),
        Column("reason", "reason"),
    )
    title = f"One switch at a time ({formatting.percent(result.confidence_level)} CI)"
    return make_table(title, values, columns, formatting.find_cost_unit(result.computed_under))


def _tabulate_pairs(result: Switches, pairs: pd.DataFrame) -> Table:
    first, second = pairs["switch"] + ": " + pairs["value"], pairs["other_switch"] + ": " + pairs["other_value"]
    pairs = pairs.assign(
        size=pairs["interaction"].abs(),
        setting=first + ", " + second,
        verdict=_name_verdicts(result, pairs),
        choice=_name_choices(result, pairs),
    )
    pairs = pairs.sort_values(["flips_together", "size"], ascending=False, kind="stable")
    columns = (
        Column("setting", "values"),
        *_columns_of_choice(result),
        Column("interaction", "beyond the sum of effects", "difference", result.of),
        Column("reason", "reason"),
    )
    level = formatting.percent(result.confidence_level)
    title = f"Pairs of switches: {len(pairs):,} of {len(result.pairs):,} interact ({level} CI)"
    return make_table(title, pairs, columns, formatting.find_cost_unit(result.computed_under))


def _columns_of_choice(result: Switches) -> tuple[Column, ...]:
    choice = Column("choice", "recommended")
    return Column("verdict", "verdict"), choice, Column("margin", "margin", "difference", result.of)


def _name_verdicts(result: Switches, rows: pd.DataFrame) -> pd.Series[str]:
    """Return verdicts in words; without a choice they say whether some policy meets the requirements."""
    return rows["verdict"] if result.choice is not None else rows["verdict"].replace(_WITHOUT_CHOICE)


def _name_choices(result: Switches, rows: pd.DataFrame) -> pd.Series[str]:
    """Return the choice under each setting: "none" if no policy meets the requirements, unless that is always so."""
    is_none = rows["choice"].isna() & rows["holds"].notna()
    has_choice = result.choice is not None or rows["choice"].notna().any()
    return rows["choice"].mask(is_none, "none" if has_choice else "")


def _named(start: str, rows: pd.DataFrame, most: int = _MOST_NAMED) -> list[str]:
    """Name the settings of some rows, also in shorter forms; empty if there are none."""
    texts = [
        f"{row['switch']}: {row['value']}"
        + (f" with {row['other_switch']}: {row['other_value']}" if "other_switch" in row else "")
        for row in rows.to_dict("records")
    ]
    return [f"{start} {names}" for names in wording.list_forms(texts, most)]
