"""Result of a search: the recommended policy, its rivals, the binding requirement, and the spec to paste."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from simdeploy.analysis.asking import judging, verdicts
from simdeploy.api.wire import DEFAULTS
from simdeploy.result import INTERVAL, Columns, Result, interval_columns
from simdeploy.scenario.measures import Measure, Requirement

if TYPE_CHECKING:
    import pandas as pd

CHOICE, RUNNER_UP, WITHOUT = "choice", "runner-up ", "without "
# The outcome of a candidate that can't be recommended: the API defaults, if they change limits that are not varied.
REFERENCE = "for comparison"
# Outcomes of candidates without a known value of the objective.
VALUELESS = NEVER_ENDS, FAILED = "never ends", "failed"

# Why a recommendation has no stated probability: new worlds repeat the rollouts on record; the budget ended; new worlds contradict
# the selection; the cost of the recommended policy is too skewed; it is unknown whether a better one meets the requirements.
Doubt = Literal["records", "budget", "contradicted", "skewed", "requirements"]

_ESTIMATE = {**INTERVAL, "n": "int64"}
_JUDGED = {"verdict": "str", "reason": "str", "unknown_fraction": "float64"}
POLICY = {
    "policy": "str",
    "candidate": "int64",
    "measure": "str",
    **_ESTIMATE,
    "is_trusted": "bool",
    **interval_columns("difference"),
    **_JUDGED,
}
VERDICT = {"policy": "str", "requirement": "str", **_ESTIMATE, "verdict": "str"}
NEAREST = {"requirement": "str", "estimate": "float64"}
CANDIDATE = {"candidate": "int64", "n": "int64", "estimate": "float64", "outcome": "str", "equal_to": "Int64"}
STAGE = {"stage": "str", "candidates": "int64", "worlds": "int64", "rollouts": "int64", "node_updates": "int64"}


@dataclass(frozen=True, eq=False, repr=False)
class Tuning(Result):
    """Result of `tune`.

    Attributes
    ----------
    of : Measure
        The objective.
    direction : {'min', 'max'}
    requirements : tuple of Requirement
    choice : dict or None
        Settings of the recommended policy; None if no candidate is known to meet the requirements.
    specs : mapping of str to dict
        The recommended policy by dialect, ready to paste: `spec`, and `notes` on what the other dialect can't express. A
        general policy is in its own dialect alone, with its `orchestrator`.
    policies : DataFrame
        The recommended policy, indistinguishable runners-up, the current policy, API defaults, and policies that might be
        recommended without one of the requirements, all in the same new worlds: `policy`, `candidate`, `measure`,
        `estimate`, `low`, `high`, `n`, `is_trusted`, and the difference from the recommended policy `difference`,
        `difference_low`, `difference_high`, `difference_is_trusted`; for the objective these intervals hold for all
        policies together. `verdict` compares with the recommended policy: better, worse, equal, unclear or unknown;
        missing for that policy itself, and for a significant difference in a measure without a better side. `reason`
        says why it is unclear. `unknown_fraction`, of the objective, is the share of its worlds without a value because
        a rollout never ends.
    verdicts : DataFrame
        `policy`, `requirement`, `estimate`, the bounds `low` and `high` used to judge it, `n`, and the `verdict` (met,
        not met or undecided) in the same worlds.
    binding : str or None
        Requirement without which a significantly better policy could be recommended.
    out_of_reach : DataFrame
        Without a recommended policy: per requirement, the nearest `estimate` among candidates that meet all others, by
        the first stage; NaN where none does.
    gain_without_binding : float
        The improvement without `binding`, in the new worlds; NaN without such a requirement.
    candidates : DataFrame
        All candidates: `candidate`, the settings, `n`, `estimate` of the objective, `outcome` (chosen, indistinguishable
        from the choice, not better, eliminated, requirement not met, requirements undecided, never ends, failed, equal to
        another, for comparison), and `equal_to`, the candidate with equal rollouts.
    stages : DataFrame
        `stage`, `candidates`, `worlds` (the most per candidate), `rollouts`, `node_updates`.
    current_policy : str
        Name of the current policy.
    n_possible : int
        Number of combinations of the settings. If `candidates` are a sample, neighbours of its best ones were added, also
        beyond the ends of default ranges.
    at_end : tuple of str
        Settings whose recommended value is the lowest or highest tried, if a policy could have a lower or higher one, and no other
        candidate with equal rollouts has another value.
    largest_wave : int or None
        Limit of the default ranges: the most nodes that a policy may plan in flight at once. None without a limit, and
        with `vary`.
    n_beyond_largest_wave : int
        Combinations left out because they exceed it.
    current_wave : int
        The most nodes that the current policy plans in flight at once.
    indifference : float
        Smallest difference that matters, in the objective's unit.
    confidence_level : float
    is_decided : bool
        Whether the stated probability holds.
    doubt : str or None
        Why it does not: "records" (worlds repeat the rollouts on record), "budget" (it ended), "contradicted" (new worlds
        contradict the selection), "skewed" (the objective is too skewed for its interval), or "requirements" (unknown for a
        policy that seems better). None without a recommended policy.
    rollouts_to_decide : float
        If the budget of the selection ended: the value of `most` that would certainly decide it; otherwise NaN.
    expected_correct : float
        With `final` only: approximate probability that the recommended policy is the best; NaN where Kim and Nelson's
        procedure guarantees `confidence_level`.
    probability_correct : float
        Stated probability that the recommended policy is the right one: `confidence_level` if guaranteed; with `final`,
        `expected_correct`, limited by the error of earlier eliminations; NaN without a recommended policy or with too
        small a budget.
    keeps_current : bool
        Whether the recommended policy is the current one.
    n_undecided : int
        Without a recommended policy: candidates that may still meet the requirements.
    has_used_records : bool
        Whether all rollouts on record, or all of a kind of release, were used, so that a larger budget would repeat some.
    n_failed : int
        Failed replications of all candidates.
    computed_under : dict
        Scenario, seed, engines used and switches; and the costs, if a measure uses them.
    """

    of: Measure
    direction: str
    requirements: tuple[Requirement, ...]
    choice: Mapping[str, Any] | None
    specs: Mapping[str, Mapping[str, Any]]
    policies: Annotated[pd.DataFrame, Columns(POLICY, words={"verdict": verdicts.DifferenceVerdict})]
    verdicts: Annotated[pd.DataFrame, Columns(VERDICT, words={"verdict": judging.RequirementVerdict})]
    binding: str | None
    gain_without_binding: float
    out_of_reach: Annotated[pd.DataFrame, Columns(NEAREST)]
    candidates: Annotated[pd.DataFrame, Columns(CANDIDATE, has_more=True)]
    stages: Annotated[pd.DataFrame, Columns(STAGE)]
    current_policy: str
    n_possible: int
    at_end: tuple[str, ...]
    largest_wave: int | None
    n_beyond_largest_wave: int
    current_wave: int
    indifference: float
    confidence_level: float
    is_decided: bool
    doubt: Doubt | None
    rollouts_to_decide: float
    expected_correct: float
    probability_correct: float
    keeps_current: bool
    n_undecided: int
    has_used_records: bool
    n_failed: int
    computed_under: Mapping[str, Any]

    def to_frame(self) -> pd.DataFrame:
        """Return all candidates and their outcomes."""
        return self.candidates

    @property
    def n_candidates(self) -> int:
        """Number of candidates that could be recommended: all but one that is only for comparison."""
        return int(self.candidates["outcome"].ne(REFERENCE).sum())

    @property
    def reference(self) -> int | None:
        """The candidate that can't be recommended: the API defaults, if they change limits that are not varied."""
        numbers = self.candidates.loc[self.candidates["outcome"].eq(REFERENCE), "candidate"]
        return None if numbers.empty else int(numbers.iloc[0])

    @property
    def n_valueless(self) -> int:
        """Number of candidates with an unknown value, because a rollout never ends or failed."""
        return int(self.candidates["outcome"].isin(VALUELESS).sum())

    @property
    def n_runners_up(self) -> int:
        """Number of other candidates that are indistinguishable from the recommended policy."""
        return int(self.policies.loc[self.policies["policy"].str.startswith(RUNNER_UP), "policy"].nunique())

    @property
    def n_equal(self) -> int:
        """Number of other candidates with the same rollouts as the recommended policy in every world."""
        equal_to = self.candidates.set_index("candidate")["equal_to"]
        # A candidate's representative may itself be represented by the recommended policy.
        representatives = equal_to.map(equal_to).fillna(equal_to)
        chosen = self.candidates.loc[self.candidates["outcome"].eq("chosen"), "candidate"]
        return int(representatives.isin(chosen).sum())

    @property
    def default_limits(self) -> dict[str, float]:
        """The API's defaults of the limits on failed nodes, in the dialect of the current policy; the general dialect has none."""
        dialect = next(iter(self.specs), "deployment")
        if dialect == "general":
            return {}
        defaults = DEFAULTS["rollout" if dialect == "rollout" else "deployment"]
        return {name: float(defaults[name]) for name in ("max_failed_nodes", "max_failed_nodes_percent")}

    def changes(self) -> dict[str, Any]:
        """Return the recommended values that differ from the current policy, by the settings' full names."""
        return find_changes(self.choice, self.candidates)

    def objective_row(self, policy: str) -> Mapping[Any, Any] | None:
        """Return the objective's row of `policies` for one policy; None if it isn't reported."""
        return self.row(policy, self.of)

    def row(self, policy: str, measure: Measure) -> Mapping[Any, Any] | None:
        """Return the row of `policies` for one policy and measure; None if it isn't reported."""
        rows = self.policies[self.policies["measure"].eq(str(measure)) & self.policies["policy"].eq(policy)]
        return None if rows.empty else rows.iloc[0].to_dict()


def find_changes(choice: Mapping[str, Any] | None, candidates: pd.DataFrame) -> dict[str, Any]:
    """Return the recommended values that differ from the first candidate, the current policy."""
    current = candidates.iloc[0]
    return {name: value for name, value in (choice or {}).items() if _differ(value, current[name])}


def _differ(value: Any, other: Any) -> bool:
    import pandas as pd

    if value is None or pd.isna(other):
        return not (value is None and pd.isna(other))
    return bool(value != other)
