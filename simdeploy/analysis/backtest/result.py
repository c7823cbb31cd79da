"""Result of `backtest`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from simdeploy.result import INTERVAL, Columns, Result, floats

if TYPE_CHECKING:
    import pandas as pd

Measure = Literal["stopped", "false_alarm given good", "escaped given defective"]

# The name of the policy under which the rollouts were recorded.
RECORDED = "recorded"

ROLLOUT = {
    "rollout": "str",
    "policy": "str",
    "response": "str",
    "is_known": "bool",
    **floats("low", "high", "modelled", "moved_s"),
    "may_differ": "bool",
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
        `high`), which are equal if it `is_known`; an estimate between them (`modelled`), if requested and not everything is known;
        the largest shift of a node's dispatch (`moved_s`, seconds); and whether it `may_differ` from what is on record, if that is known
        (``stopped`` also if it is not). The rows of the policy "recorded" have what is on record, and the other responses of rollouts
        that the recorded policy reproduces.
    summary : DataFrame
        One row per `policy` and `measure`: the `estimate` of its rate, if all rollouts are known; exact limits (`low`, `high`), which
        allow for any outcome of unknown rollouts; the numbers of known rollouts (`n_known`), of those with the outcome (`n_yes`), and of
        unknown ones (`n_unknown`); and the rate with estimates for unknown rollouts (`modelled`), if requested.
    reproduced : DataFrame
        One row per `rollout`: `is_reproduced`, whether a replay under the recorded policy reproduces the record, missing if that can't be
        decided; `differs`, the first difference, or why it can't.
    confidence_level : float
        Of each interval separately.
    n_dropped : int
        Number of rows that were dropped when the records were read.
    warnings : tuple of str
        Reasons to doubt the replays: rollouts that are not reproduced, and outcomes that depend on the hour or the place in the
        order.
    computed_under : dict
        The names of the policies, and the arguments `nodes`, `modelled` and `seed`.
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
        """Names of the policies, without "recorded"."""
        return tuple(name for name in self.summary["policy"].drop_duplicates() if name != RECORDED)
