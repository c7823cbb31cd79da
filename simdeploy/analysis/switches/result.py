"""What `vary_switches` found: its tables, and the answer in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.directions import Direction
from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.report.wording import difference_scale, format_estimate, join_words, measure_scale
from simdeploy.result import Result, Table
from simdeploy.scenario.measures import Measure, Requirement

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.switches.settings import Setting

_FOUND = {
    "is_possible": "bool",
    "choice": "str",
    "holds": "boolean",
    "is_sure": "boolean",
    "rival": "str",
    "margin": "float64",
    "margin_low": "float64",
    "margin_high": "float64",
}
VALUE = {
    "switch": "str",
    "value": "str",
    **_FOUND,
    "effect": "float64",
    "effect_low": "float64",
    "effect_high": "float64",
    "has_effect": "boolean",
    "reason": "str",
}
PAIR = {
    "switch": "str",
    "value": "str",
    "other_switch": "str",
    "other_value": "str",
    **_FOUND,
    "interaction": "float64",
    "interaction_low": "float64",
    "interaction_high": "float64",
    "p_value": "float64",
    "flips_together": "boolean",
    "interacts": "boolean",
    "reason": "str",
}
POLICY = {
    "policy": "str",
    "estimate": "float64",
    "low": "float64",
    "high": "float64",
    "n": "int64",
    "verdict": "str",
    "meets_requirements": "bool",
    "is_chosen": "bool",
}
_MOST_NAMED = 6


@dataclass(frozen=True, eq=False, repr=False)
class Switches(Result):
    """What `vary_switches` found.

    Attributes
    ----------
    of : Measure
    direction : {'min', 'max'}
        Whether less or more of it is better.
    requirements : tuple of Requirement
    confidence_level : float
    replications : int
        Of each policy under each setting.
    policies : DataFrame
        With the switches as they are, one row per policy: the `estimate` of the measure with `low`, `high`, `n`;
        `verdict` of the intervals on the requirements ("met", "not met", "undecided"); `meets_requirements` by the
        estimates; `is_chosen`.
    base : DataFrame
        One row as in `values`: the choice with the switches as they are.
    values : DataFrame
        One row per `switch` and `value`: `is_possible`; `choice`, missing where no policy meets the requirements or
        nothing is known; whether the choice `holds`, and whether that `is_sure`, both missing where nothing is known;
        the best of the other policies that meet the requirements (`rival`), and by how much the choice is better
        (`margin`, `margin_low`, `margin_high`; below 0 where it is worse); the difference of the choice's measure to
        what it is with the switches as they are (`effect`, ...); `has_effect`, false if not a single response of any
        rollout of any policy differs; `reason`, why the choice doesn't hold, isn't known, or the value isn't possible.
    pairs : DataFrame
        The same of two values together, with `other_switch` and `other_value`; `interaction` (by how much the margin
        changes beyond what the two change by themselves) with `_low` and `_high`, its `p_value` adjusted for all pairs,
        `flips_together` (a flip that neither value makes by itself), and `interacts`.
    own_values : dict of str to str
        The value that each switch has in the scenario.
    n_failed : int
        Replications that failed, and are left out.
    computed_under : dict
        Scenario, seed, engine, and the scenario's switches.
    """

    of: Measure
    direction: Direction
    requirements: tuple[Requirement, ...]
    confidence_level: float
    replications: int
    policies: pd.DataFrame
    base: pd.DataFrame
    values: pd.DataFrame
    pairs: pd.DataFrame
    own_values: Mapping[str, str]
    n_failed: int
    computed_under: Mapping[str, Any]

    @property
    def choice(self) -> str | None:
        """The policy that is chosen with the switches as they are; None if none meets the requirements."""
        chosen = self.policies.loc[self.policies["is_chosen"], "policy"]
        return None if chosen.empty else str(chosen.iloc[0])

    def to_frame(self) -> pd.DataFrame:
        """Return the rows of `values` and of `pairs`."""
        import pandas as pd

        return pd.concat([self.values, self.pairs], ignore_index=True)

    @property
    def answer(self) -> str:
        """Under how many values the choice holds, and what flips it."""
        possible = self.values[self.values["is_possible"]]
        n, n_holds = len(possible), int(possible["holds"].eq(True).sum())
        text = f"{self._say_choice()} holds under "
        text += f"all {n} values of the switches" if n_holds == n else f"{n_holds} of {n} values of the switches"
        flips, sure = possible["holds"].eq(False), possible["is_sure"].fillna(value=False)
        parts = [
            text,
            _named("it flips under", possible[flips & sure]),
            _named("it may flip under", possible[flips & ~sure]),
            _named("it isn't known under", possible[possible["holds"].isna()]),
            _named("not possible:", self.values[~self.values["is_possible"]]),
            self._say_pairs(),
            self._say_margin(),
        ]
        n_idle = int((~possible["has_effect"]).sum())
        parts.insert(5, f"{n_idle} of them change nothing at all" if n_idle else "")
        return f"{'; '.join(part for part in parts if part)}."

    def _say_choice(self) -> str:
        those = " of those that meet the requirements" if self.requirements else ""
        if self.choice is None:
            return "No policy meets the requirements; that"
        if len(self.policies) == 1:
            return f"That {self.choice} meets its requirements"
        return f"The choice of {self.choice} ({'least' if self.direction == 'min' else 'most'} {describe_measure(self.of)}{those})"

    def _say_pairs(self) -> str:
        n = int(self.pairs["is_possible"].sum())
        if not n:
            return ""
        together = self.pairs[self.pairs["flips_together"].fillna(value=False)]
        if together.empty:
            return f"no pair out of {n} flips it unless one of the two values does"
        sure = together["is_sure"].fillna(value=False)
        flips = _named(f"{int(sure.sum())} of {n} pairs flip it though neither value does:", together[sure])
        may = _named(f"{int((~sure).sum())} of {n} pairs may flip it though neither value does:", together[~sure])
        return "; ".join(part for part in (flips, may) if part)

    def _say_margin(self) -> str:
        row = self.base.iloc[0]
        if row["is_sure"]:
            return ""
        text = f"the choice itself isn't sure at {100 * self.confidence_level:g} %"
        if row["margin_low"] <= 0:
            return f"{text}: its margin over {row['rival']} is {self._write(row, 'margin')}"
        undecided = self.policies.loc[self.policies["verdict"].eq("undecided"), "policy"]
        return f"{text}: whether {' and '.join(undecided)} can meet the requirements is undecided"

    def summarize(self) -> tuple[Table, ...]:
        """Return the policies with the switches as they are, every value, and the pairs that interact."""
        tables = [self._table_of_policies(), self._table_of_values()]
        interacting = self.pairs[self.pairs["interacts"].fillna(value=False)]
        if len(interacting):
            tables.append(self._table_of_pairs(interacting))
        return tuple(tables)

    def _table_of_policies(self) -> Table:
        rows = [
            (
                row["policy"],
                self._write_own(row),
                *((row["verdict"],) if self.requirements else ()),
                "chosen" if row["is_chosen"] else "",
            )
            for _, row in self.policies.iterrows()
        ]
        asked = ("requirements",) if self.requirements else ()
        header = ("policy", describe_measure(self.of), *asked, "")
        return Table("With the switches as they are", header, tuple(rows))

    def _table_of_values(self) -> Table:
        rows = [
            (
                f"{row['switch']}: {row['value']}",
                self.own_values[row["switch"]],
                _word(row),
                "" if isinstance(row["choice"], float) else row["choice"],
                *(self._numbers(row, "margin", "effect") if row["has_effect"] is True else ("", "")),
                row["reason"],
            )
            for _, row in self.values.iterrows()
        ]
        effect = f"change of {describe_measure(self.of)}"
        header = ("value", "instead of", "the choice", "chosen", "margin of the choice", effect, "why")
        return Table("One switch at a time", header, tuple(rows))

    def _table_of_pairs(self, pairs: pd.DataFrame) -> Table:
        pairs = pairs.assign(size=pairs["interaction"].abs())
        pairs = pairs.sort_values(["flips_together", "size"], ascending=False, kind="stable")
        rows = [
            (
                f"{row['switch']}: {row['value']}, {row['other_switch']}: {row['other_value']}",
                _word(row),
                "" if isinstance(row["choice"], float) else row["choice"],
                *self._numbers(row, "margin", "interaction"),
                row["reason"],
            )
            for _, row in pairs.iterrows()
        ]
        title = f"Two switches together: the {len(pairs):,} pairs out of {len(self.pairs):,} that interact"
        return Table(
            title, ("values", "the choice", "chosen", "margin of the choice", "beyond the sum", "why"), tuple(rows)
        )

    def _numbers(self, row: pd.Series, *names: str) -> list[str]:
        return ["" if math.isnan(row[name]) else self._write(row, name) for name in names]

    def _write(self, row: pd.Series, name: str) -> str:
        """Write a difference of the measure."""
        estimate, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
        scale = measure_scale(self.of, abs(estimate))
        return format_estimate(estimate, low, high, difference_scale(scale), sign=True)

    def _write_own(self, row: pd.Series) -> str:
        scale = measure_scale(self.of, row["estimate"])
        return format_estimate(row["estimate"], row["low"], row["high"], scale)


def make_table(
    rows: Sequence[Mapping[str, Any]],
    refused: Sequence[tuple[Setting, str]],
    order: Mapping[Setting, int],
    dtypes: Mapping[str, str],
) -> pd.DataFrame:
    """Make a table of rows and of settings that aren't possible, in an order."""
    import pandas as pd

    nothing = {"is_possible": False, **dict.fromkeys(name for name in dtypes if dtypes[name] == "float64")}
    everything = [*rows, *({"setting": setting, **nothing, "reason": why} for setting, why in refused)]
    everything.sort(key=lambda row: order.get(row["setting"], -1))
    names = ("switch", "value"), ("other_switch", "other_value")
    named = [
        dict(row)
        | {
            key: text
            for keys, value in zip(names, row["setting"], strict=False)
            for key, text in zip(keys, (value.switch, value.text), strict=True)
        }
        for row in everything
    ]
    return pd.DataFrame(named, columns=list(dtypes)).astype(dict(dtypes))


def _word(row: pd.Series) -> str:
    import pandas as pd

    if not row["is_possible"]:
        return "not possible"
    if not row.get("has_effect", True):
        return "no effect"
    if pd.isna(row["holds"]):
        return "not known"
    if row["holds"]:
        return "holds" if row["is_sure"] else "holds, not surely"
    return "flips" if row["is_sure"] else "may flip"


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
