"""Results of `advise` and `forecast`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from simdeploy.result import INTERVAL, Columns, Result, floats

if TYPE_CHECKING:
    import pandas as pd

How = Literal["go on", "pause"]
Way = Literal["laws", "nodes", "worlds"]

# If fewer than one in this many worlds shows what was seen, finding more of them takes long.
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
    **floats("cost", "low", "high"),
    "is_trusted": "bool",
    **floats("more_than_best", "more_low", "more_high"),
    "more_is_trusted": "bool",
    **floats("false_alarm", "escaped", "time_left_s"),
}
WAITING = {"how": "str", **floats("wait_s", "worth", "low", "high"), "is_trusted": "bool", "pays": "bool"}

# Suffixes of `why_tried`: reasons that don't apply given a table of nodes, and reasons to try each node by itself.
WITHOUT_TABLE, NODE_BY_NODE = " without a table of nodes", ", node by node"

# With fewer effective worlds, results are not trusted.
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
        What happens if the rollout goes on: one row per `measure` and `quantile`. `quantile` is NaN for probabilities (of states and
        verdicts) and means; `time_left_s`, `failed_nodes_to_come` and `exposed_nodes_to_come` also have rows for quantiles.
    course : DataFrame
        Updated and failed nodes over time (`time_s`, seconds after the start): as they were seen, and then the median and the middle 95 %.
    state : str
        State of the deployment, as it was seen.
    failed_limit : float
        Number of failed nodes that ends the rollout whatever else happens; NaN without such a limit.
    at_s : float
        The time of observation, seconds after the start.
    is_assumed : bool
        Whether `at_s` is the last change of the deployment object, because `at` was not given.
    n_worlds : int
        Number of simulated worlds in which what was seen happened.
    n_tried : int
        Number of worlds drawn to find them.
    effective_worlds : float
        The effective sample size of the weighted worlds (Kish).
    is_trusted : bool
        Whether there are at least 100 effective worlds.
    why_tried : str
        Why whole worlds were tried (``"traffic"``), or each node by itself (``"crashes, node by node"``); empty if neither was necessary,
        because the distribution of each node's verdict is known.
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
    also: ClassVar[tuple[str, ...]] = ("way", "is_soon_found", "defective")

    @property
    def way(self) -> Way:
        """How worlds were found: from the distributions of nodes' verdicts, by trying each node by itself, or by trying whole worlds."""
        if self.why_tried.endswith(NODE_BY_NODE):
            return "nodes"
        return "worlds" if self.why_tried else "laws"

    @property
    def is_soon_found(self) -> bool:
        """Whether finding more worlds is quick, because enough of those tried show what was seen."""
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
        As for `Forecast`.
    acts : DataFrame
        One row per `act`: the mean `cost` of the whole rollout, including its past; how much more that is than with the cheapest
        act (`more_than_best`, compared in the same worlds), each with an interval and whether that can be trusted; the
        probabilities of a false alarm (`false_alarm`) and an escape (`escaped`); and the mean time until the rollout ends
        (`time_left_s`). Costs are NaN if the scenario has none, or if a rollout may never end.
    waiting : DataFrame
        One row per `how` (going on meanwhile, or paused) and `wait_s`: a lower bound on what it is `worth` to choose the best act after
        waiting instead of now, given what the deployment object says then. Negative if waiting costs more than its information saves.
        Waiting `pays` if it costs less than every act, at a level that holds for all rows together (Bonferroni).
    best : str
        The act with the lowest mean cost; empty if an act may never end, which leaves its cost unknown, or if another act may cost
        less by more than 5 %, as far as the simulated worlds show, and waiting does not pay either.
    """

    also = (*Forecast.also, "wait", "is_undecided")
    acts: Annotated[pd.DataFrame, Columns(ACTS)]
    waiting: Annotated[pd.DataFrame, Columns(WAITING, words={"how": How})]
    best: str

    @property
    def wait(self) -> Mapping[str, Any] | None:
        """The row of `waiting` that is worth most, if waiting pays and is not the same as the best act."""
        paying = self.waiting[self.waiting["pays"] & self.waiting["how"].ne(self.best)]
        if not self.best or paying.empty:
            return None
        rows: list[Mapping[str, Any]] = paying.to_dict("records")  # type: ignore[assignment]
        return max(rows, key=lambda row: row["worth"])

    @property
    def is_undecided(self) -> bool:
        """Whether too little is known of the costs to call an act the best."""
        return not self.best and bool(self.acts["more_than_best"].notna().any())

    @property
    def rivals(self) -> pd.DataFrame:
        """The acts other than the cheapest that may cost less, as far as the simulated worlds show, by their costs."""
        others = self.acts.dropna(subset="more_than_best").sort_values("more_than_best").iloc[1:]
        return others[~others["more_is_trusted"] | (others["more_low"] < 0)]

    def to_frame(self) -> pd.DataFrame:
        """Return the acts."""
        return self.acts
