"""Results of `advise` and `forecast`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from simdeploy.result import INTERVAL, Columns, Result, floats

if TYPE_CHECKING:
    import pandas as pd

How = Literal["go on", "pause"]
Way = Literal["laws", "nodes", "worlds"]

# If at most one in so many worlds shows what was seen, more of them take long to find.
_SELDOM = 100

KINDS = {"kind": "str", "defective": "bool", **floats("prior", "posterior", "low", "high")}
FORECAST = {"measure": "str", "quantile": "float64", **INTERVAL}
COURSE = {
    "time_s": "float64",
    "is_past": "bool",
    **{f"{name}{end}": "float64" for name in ("updated_nodes", "failed_nodes") for end in ("", "_low", "_high")},
}
ACTS = {
    "act": "str",
    **floats("cost", "low", "high", "more_than_best", "more_low", "more_high"),
    **floats("false_alarm", "escaped", "time_left_s"),
}
WAITING = {"how": "str", **floats("wait_s", "worth", "low", "high"), "pays": "bool"}

# Of reasons to try whole worlds that don't hold with a table of nodes, and of those to try each node by itself.
WITHOUT_TABLE, NODE_BY_NODE = " without a table of nodes", ", node by node"

# Fewer effective worlds are none.
FEWEST_EFFECTIVE = 100


@dataclass(frozen=True, eq=False, repr=False)
class Forecast(Result):
    """Result of `forecast`.

    Attributes
    ----------
    kinds : DataFrame
        One row per `kind` of release: whether it is `defective`, its probability before (`prior`) and given what was seen
        (`posterior`), with the interval of the simulation.
    forecast : DataFrame
        What happens if the rollout goes on: one row per `measure` and `quantile`, which is NaN for probabilities (of states and
        verdicts) and means; `time_left_s`, `failed_nodes_to_come` and `exposed_nodes_to_come` also have quantiles.
    course : DataFrame
        Updated and failed nodes over time, seconds after the start: as they were seen, and then the median and the middle 95 %.
    state : str
        As it was seen.
    failed_limit : float
        Failed nodes that end the rollout, whatever else happens; NaN without such a limit.
    at_s : float
        The instant of looking, seconds after the start.
    is_assumed : bool
        Whether that is the last change of the deployment object, because no other instant was given.
    n_worlds : int
        Worlds in which this was seen.
    n_tried : int
        Worlds that were drawn for them.
    effective_worlds : float
        The number of equally weighted worlds that vary as little.
    is_trusted : bool
        Whether these are at least 100: fewer are none.
    why_tried : str
        Why whole worlds were tried (``"traffic"``), or each node by itself (``"crashes, node by node"``); empty if chances are from the laws
        of nodes.
    confidence_level : float
        Of each interval separately.
    computed_under : dict
        Scenario, policy, seed, engine, switches and costs.
    """

    kinds: Annotated[pd.DataFrame, Columns(KINDS)]
    forecast: Annotated[pd.DataFrame, Columns(FORECAST)]
    course: Annotated[pd.DataFrame, Columns(COURSE)]
    state: str
    failed_limit: float
    at_s: float
    is_assumed: bool
    n_worlds: int
    n_tried: int
    effective_worlds: float
    is_trusted: bool
    why_tried: str
    confidence_level: float
    computed_under: Mapping[str, Any]

    @property
    def way(self) -> Way:
        """How worlds were found: by chances from the laws of nodes, by trying each node by itself, or by trying whole worlds."""
        if self.why_tried.endswith(NODE_BY_NODE):
            return "nodes"
        return "worlds" if self.why_tried else "laws"

    @property
    def is_soon_found(self) -> bool:
        """Whether enough of the worlds that were tried show what was seen for more of them to be found soon."""
        return self.n_tried < _SELDOM * self.n_worlds

    @property
    def defective(self) -> float:
        """The probability that the release is defective, given what was seen."""
        return float(self.kinds.loc[self.kinds["defective"], "posterior"].sum())


@dataclass(frozen=True, eq=False, repr=False)
class Advice(Forecast):
    """Result of `advise`.

    Attributes
    ----------
    kinds, forecast, course, state, failed_limit, at_s, is_assumed, n_worlds, n_tried, effective_worlds, is_trusted, why_tried, confidence_level, computed_under
        As of `Forecast`.
    acts : DataFrame
        One row per `act`: the mean `cost` of the whole rollout, past included, and how much `more_than_best`, both with an interval (the
        latter in the same worlds); the probabilities of a `false_alarm` and an escape (`escaped`); and the mean `time_left_s` until the
        rollout ends. Costs are NaN if the scenario has none, or if a rollout may never end.
    waiting : DataFrame
        One row per `how` (going on meanwhile, or paused) and `wait_s`: what it is `worth` to choose the best act then instead of now,
        given what the deployment object says then; negative if waiting costs more than it tells. A lower bound; waiting `pays` if it is
        surely above 0 in intervals that hold for all rows together (Bonferroni).
    best : str
        The act with the lowest cost; empty without one.
    """

    also = ("wait",)
    acts: Annotated[pd.DataFrame, Columns(ACTS)]
    waiting: Annotated[pd.DataFrame, Columns(WAITING, words={"how": How})]
    best: str

    @property
    def wait(self) -> Mapping[str, Any] | None:
        """The row of `waiting` that is worth most, if it pays to wait otherwise than by the best act."""
        paying = self.waiting[self.waiting["pays"] & self.waiting["how"].ne(self.best)]
        if not self.best or paying.empty:
            return None
        rows: list[Mapping[str, Any]] = paying.to_dict("records")  # type: ignore[assignment]
        return max(rows, key=lambda row: row["worth"])

    def to_frame(self) -> pd.DataFrame:
        """Return the acts."""
        return self.acts
