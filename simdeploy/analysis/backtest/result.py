"""Result of `backtest`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from simdeploy.result import INTERVAL, Columns, Result, floats

if TYPE_CHECKING:
    import pandas as pd

Measure = Literal["stopped", "false_alarm given good", "escaped given defective"]

# What the policy is called that the rollouts were run by.
RECORDED = "recorded"

ROLLOUT = {
    "rollout": "str",
    "policy": "str",
    "response": "str",
    "is_known": "bool",
    **floats("low", "high", "modelled", "moved_s"),
}
SUMMARY = {
    "policy": "str",
    "measure": "str",
    **INTERVAL,
    "n_yes": "int64",
    "n_known": "int64",
    "n_unknown": "int64",
    "modelled": "float64",
}
REPRODUCED = {"rollout": "str", "is_reproduced": "boolean", "differs": "str"}


@dataclass(frozen=True, eq=False, repr=False)
class Backtest(Result):
    """Result of `backtest`.

    Attributes
    ----------
    rollouts : DataFrame
        One row per `rollout`, `policy` and `response`: its least and greatest value over everything that the record allows (`low`,
        `high`), which are equal if it `is_known`; if asked for and not everything is known, an estimate between them (`modelled`);
        `moved_s`, the furthest that the dispatch of a node moved, seconds. Under
        the policy "recorded" stands what is on record.
    summary : DataFrame
        One row per `policy` and `measure`: the `estimate` of its rate, if all rollouts are known, and exact limits (`low`,
        `high`), which allow for everything in those that are not; `n_known` rollouts, `n_yes` of them with such an outcome, and
        `n_unknown` ones; the rate with unknown rollouts as they are `modelled`, if that was asked for.
    reproduced : DataFrame
        One row per `rollout`: `is_reproduced`, whether the recorded policy leads to what was recorded, missing if that can't be
        told; `differs`, the first difference, or why not.
    confidence_level : float
        Of each interval separately.
    n_dropped : int
        Rows that were left out of the records when they were read.
    warnings : tuple of str
        What speaks against the replays: rollouts that are not reproduced, and outcomes that depend on the hour or the place in the
        order.
    computed_under : dict
        The names of the policies that were asked for, the size of the fleet that was given, how often unknown nodes were drawn, and the
        seed.
    """

    rollouts: Annotated[pd.DataFrame, Columns(ROLLOUT)]
    summary: Annotated[pd.DataFrame, Columns(SUMMARY, words={"measure": Measure})]
    reproduced: Annotated[pd.DataFrame, Columns(REPRODUCED)]
    confidence_level: float
    n_dropped: int
    warnings: tuple[str, ...]
    computed_under: Mapping[str, Any]

    @property
    def policies(self) -> tuple[str, ...]:
        """The policies that were asked for."""
        return tuple(name for name in self.summary["policy"].drop_duplicates() if name != RECORDED)
