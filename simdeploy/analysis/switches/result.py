"""Result of `vary_switches`: its tables, with a verdict in each row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from simdeploy.analysis.asking import judging
from simdeploy.analysis.asking.verdicts import Direction
from simdeploy.result import INTERVAL, Columns, Result, interval_columns, make_frame
from simdeploy.scenario.measures import Measure, Requirement

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.switches.switch_values import Setting

SwitchVerdict = Literal["no effect", "holds", "holds, uncertain", "may change", "changes", "unknown", "impossible"]

_ESTIMATE_COLUMNS = {
    "is_possible": "bool",
    "choice": "str",
    "holds": "boolean",
    "is_sure": "boolean",
    "rival": "str",
    **interval_columns("margin"),
}
VALUE = {
    "switch": "str",
    "value": "str",
    **_ESTIMATE_COLUMNS,
    **interval_columns("effect"),
    "has_effect": "boolean",
    "reason": "str",
    "verdict": "str",
}
PAIR = {
    "switch": "str",
    "value": "str",
    "other_switch": "str",
    "other_value": "str",
    **_ESTIMATE_COLUMNS,
    **interval_columns("interaction"),
    "p_value": "float64",
    "flips_together": "boolean",
    "interacts": "boolean",
    "reason": "str",
    "verdict": "str",
}
POLICY = {
    "policy": "str",
    **INTERVAL,
    "n": "int64",
    "is_trusted": "bool",
    "verdict": "str",
    "meets_requirements": "bool",
    "is_chosen": "bool",
}


@dataclass(frozen=True, eq=False, repr=False)
class Switches(Result):
    """Result of `vary_switches`.

    Attributes
    ----------
    of : Measure
    direction : {'min', 'max'}
        Whether lower or higher is better.
    requirements : tuple of Requirement
    confidence_level : float
    replications : int
        Replications of each policy under each setting.
    policies : DataFrame
        Under the scenario's own switches, one row per policy: the `estimate` of the measure with `low`, `high`, `n`;
        `verdict` of the intervals on the requirements ("met", "not met", "undecided"); `meets_requirements` by the
        estimates; `is_chosen`.
    base : DataFrame
        One row as in `values`: the choice under the scenario's own switches.
    values : DataFrame
        One row per `switch` and `value`: `is_possible`; `choice`, missing if no policy meets the requirements or
        nothing is known; whether the choice `holds`, and whether that `is_sure`, both missing if nothing is known;
        `rival`, the best of the other policies that meet the requirements, and the choice's `margin` over it
        (`margin_low`, `margin_high`, `margin_is_trusted`; negative if worse); the change in the choice's measure from the scenario's own
        switches (`effect`, ...); `has_effect`, false if no response of any rollout of any policy differs; `reason`, why
        the choice doesn't hold, isn't known, or the value isn't possible; `verdict`, the summary: "no effect", "holds", "holds,
        uncertain", "may change", "changes", "unknown", "impossible".
    pairs : DataFrame
        The same for two values together, with `other_switch` and `other_value`; `interaction` (change in the margin
        beyond the sum of the two separate changes) with `_low`, `_high` and `_is_trusted`, its `p_value` adjusted for all pairs,
        `flips_together` (a flip that neither value causes alone), and `interacts`.
    own_values : dict of str to str
        Each switch's value in the scenario.
    unsure_of : {'margin', 'requirements'} or None
        What leaves the choice open under the scenario's own switches; None if it is significant.
    n_failed : int
        Failed replications, which are left out.
    computed_under : dict
        Scenario, seed, engine, and the scenario's switches; and the costs, if a measure uses them.
    """

    of: Measure
    direction: Direction
    requirements: tuple[Requirement, ...]
    confidence_level: float
    replications: int
    policies: Annotated[pd.DataFrame, Columns(POLICY, words={"verdict": judging.RequirementVerdict})]
    base: Annotated[pd.DataFrame, Columns(VALUE, words={"verdict": SwitchVerdict})]
    values: Annotated[pd.DataFrame, Columns(VALUE, words={"verdict": SwitchVerdict})]
    pairs: Annotated[pd.DataFrame, Columns(PAIR, words={"verdict": SwitchVerdict})]
    own_values: Mapping[str, str]
    unsure_of: Literal["margin", "requirements"] | None
    n_failed: int
    computed_under: Mapping[str, Any]
    also = ("choice", "replications_needed")

    @property
    def choice(self) -> str | None:
        """The policy chosen under the scenario's own switches; None if none meets the requirements."""
        chosen = self.policies.loc[self.policies["is_chosen"], "policy"]
        return None if chosen.empty else str(chosen.iloc[0])

    @property
    def replications_needed(self) -> float:
        """About how many replications would confirm the choice's lead, given its present margin and interval.

        NaN if the margin is not what leaves the choice open. The half-width falls with the square root of the number, as in
        `replicate_to_precision`. An interval that is narrow enough but can't be trusted yet needs more, too: at least twice as many.
        """
        margin, low = self.base[["margin", "margin_low"]].iloc[0]
        if self.unsure_of != "margin" or not margin > 0:
            return math.nan
        return float(self.replications * max(2.0, ((margin - low) / margin) ** 2))

    def to_frame(self) -> pd.DataFrame:
        """Return the rows of `values` and of `pairs`."""
        import pandas as pd

        return pd.concat([self.values, self.pairs], ignore_index=True)


def make_table(
    rows: Sequence[Mapping[str, Any]],
    refused: Sequence[tuple[Setting, str]],
    order: Mapping[Setting, int],
    dtypes: Mapping[str, str],
) -> pd.DataFrame:
    """Make a table of the rows and of the impossible settings, in order."""
    nothing = {name: False if dtype == "bool" else None for name, dtype in dtypes.items()}
    everything = [*rows, *({**nothing, "setting": setting, "reason": why} for setting, why in refused)]
    everything.sort(key=lambda row: order.get(row["setting"], -1))
    named = [{**nothing, **row, **_name(row["setting"]), "verdict": _judge(row)} for row in everything]
    return make_frame(named, dtypes)


def _name(setting: Setting) -> dict[str, str]:
    """Return the cells that identify a setting."""
    texts = [text for value in setting for text in (value.switch, value.text)]
    return dict(zip(("switch", "value", "other_switch", "other_value"), texts, strict=False))


def _judge(row: Mapping[str, Any]) -> SwitchVerdict:
    """Summarize in a word whether the choice holds."""
    if not row["is_possible"]:
        return "impossible"
    # The scenario's own switches have no setting.
    if row["setting"] and row.get("has_effect") is False:
        return "no effect"
    if row["holds"] is None:
        return "unknown"
    if row["holds"]:
        return "holds" if row["is_sure"] else "holds, uncertain"
    return "changes" if row["is_sure"] else "may change"
