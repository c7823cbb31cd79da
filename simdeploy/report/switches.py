"""Whether a choice hangs on a switch, in a sentence; and the policies, the values and the pairs that interact as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure, join_words
from simdeploy.report.wording import difference_scale, format_estimate, measure_scale
from simdeploy.result import Table

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.switches.result import Switches

_MOST_NAMED = 6


def tell(result: Switches) -> str:
    """Say under how many values the choice holds, and what flips it."""
    verdicts = result.values["verdict"]
    possible = result.values[verdicts.ne("not possible")]
    n, n_holds = len(possible), int(verdicts.isin(["holds", "holds, not surely"]).sum())
    text = f"{_say_choice(result)} holds under "
    text += f"all {n} values of the switches" if n_holds == n else f"{n_holds} of {n} values of the switches"
    n_idle = int((~possible["has_effect"]).sum())
    parts = [
        text,
        _named("it flips under", result.values[verdicts.eq("flips")]),
        _named("it may flip under", result.values[verdicts.eq("may flip")]),
        _named("it isn't known under", result.values[verdicts.eq("not known")]),
        _named("not possible:", result.values[verdicts.eq("not possible")]),
        f"{n_idle} of them change nothing at all" if n_idle else "",
        _say_pairs(result),
        _say_margin(result),
    ]
    return f"{'; '.join(part for part in parts if part)}."


def tabulate(result: Switches) -> tuple[Table, ...]:
    """Return the policies with the switches as they are, every value, and the pairs that interact."""
    tables = [_tabulate_policies(result), _tabulate_values(result)]
    interacting = result.pairs[result.pairs["interacts"].fillna(value=False)]
    if len(interacting):
        tables.append(_tabulate_pairs(result, interacting))
    return tuple(tables)


def _say_choice(result: Switches) -> str:
    if result.choice is None:
        return "No policy meets the requirements; that"
    if len(result.policies) == 1:
        return f"That {result.choice} meets its requirements"
    those = " of those that meet the requirements" if result.requirements else ""
    how = "least" if result.direction == "min" else "most"
    return f"The choice of {result.choice} ({how} {describe_measure(result.of)}{those})"


def _say_pairs(result: Switches) -> str:
    n = int(result.pairs["is_possible"].sum())
    if not n:
        return ""
    together = result.pairs[result.pairs["flips_together"].fillna(value=False)]
    if together.empty:
        return f"no pair out of {n} flips it unless one of the two values does"
    parts = []
    for verdict, flip in (("flips", "flip"), ("may flip", "may flip")):
        rows = together[together["verdict"].eq(verdict)]
        parts.append(_named(f"{len(rows)} of {n} pairs {flip} it though neither value does:", rows))
    return "; ".join(part for part in parts if part)


def _say_margin(result: Switches) -> str:
    if result.unsure_of is None:
        return ""
    text = f"the choice itself isn't sure at {100 * result.confidence_level:g} %"
    if result.unsure_of == "margin":
        row = result.base.iloc[0]
        return f"{text}: its margin over {row['rival']} is {_write(result, row, 'margin')}"
    undecided = result.policies.loc[result.policies["verdict"].eq("undecided"), "policy"]
    return f"{text}: whether {' and '.join(undecided)} can meet the requirements is undecided"


def _tabulate_policies(result: Switches) -> Table:
    rows = []
    for _, row in result.policies.iterrows():
        scale = measure_scale(result.of, row["estimate"])
        estimate = format_estimate(row["estimate"], row["low"], row["high"], scale)
        verdict = (row["verdict"],) if result.requirements else ()
        rows.append((row["policy"], estimate, *verdict, "chosen" if row["is_chosen"] else ""))
    asked = ("requirements",) if result.requirements else ()
    header = ("policy", describe_measure(result.of), *asked, "")
    return Table("With the switches as they are", header, tuple(rows))


def _tabulate_values(result: Switches) -> Table:
    rows = tuple(
        (
            f"{row['switch']}: {row['value']}",
            result.own_values[row["switch"]],
            "no effect" if row["has_effect"] is False else row["verdict"],
            "" if isinstance(row["choice"], float) else row["choice"],
            *(_write_known(result, row, "margin", "effect") if row["has_effect"] is True else ("", "")),
            row["reason"],
        )
        for _, row in result.values.iterrows()
    )
    effect = f"change of {describe_measure(result.of)}"
    header = ("value", "instead of", "the choice", "chosen", "margin of the choice", effect, "why")
    return Table("One switch at a time", header, rows)


def _tabulate_pairs(result: Switches, pairs: pd.DataFrame) -> Table:
    pairs = pairs.assign(size=pairs["interaction"].abs())
    pairs = pairs.sort_values(["flips_together", "size"], ascending=False, kind="stable")
    rows = tuple(
        (
            f"{row['switch']}: {row['value']}, {row['other_switch']}: {row['other_value']}",
            row["verdict"],
            "" if isinstance(row["choice"], float) else row["choice"],
            *_write_known(result, row, "margin", "interaction"),
            row["reason"],
        )
        for _, row in pairs.iterrows()
    )
    title = f"Two switches together: the {len(pairs):,} pairs out of {len(result.pairs):,} that interact"
    return Table(title, ("values", "the choice", "chosen", "margin of the choice", "beyond the sum", "why"), rows)


def _write_known(result: Switches, row: pd.Series, *names: str) -> list[str]:
    return ["" if math.isnan(row[name]) else _write(result, row, name) for name in names]


def _write(result: Switches, row: pd.Series, name: str) -> str:
    """Write a difference of the measure."""
    estimate, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    scale = difference_scale(measure_scale(result.of, abs(estimate)))
    return format_estimate(estimate, low, high, scale, sign=True)


def _named(what: str, rows: pd.DataFrame) -> str:
    """Name the settings of some rows; the empty text if there are none."""
    texts = [
        f"{row['switch']}: {row['value']}"
        + (f" with {row['other_switch']}: {row['other_value']}" if "other_switch" in row else "")
        for _, row in rows.iterrows()
    ]
    if not texts:
        return ""
    more = len(texts) - _MOST_NAMED
    shown = texts[:_MOST_NAMED] + ([f"{more} more"] if more > 0 else [])
    return f"{what} {join_words(shown)}"
