"""What a search found: the choice, what it can't be told from, what holds it back, and the spec to paste."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from simdeploy.analysis.asking import judging, verdicts
from simdeploy.result import INTERVAL, Columns, Result
from simdeploy.scenario.measures import Measure, Requirement

if TYPE_CHECKING:
    import pandas as pd

CHOICE, RUNNER_UP, WITHOUT = "choice", "runner-up ", "without "

_ESTIMATE = {**INTERVAL, "n": "int64"}
_DIFFERENCE = dict.fromkeys(("difference", "difference_low", "difference_high"), "float64")
_JUDGED = {"verdict": "str", "unknown_fraction": "float64"}
POLICY = {"policy": "str", "candidate": "int64", "measure": "str", **_ESTIMATE, **_DIFFERENCE, **_JUDGED}
VERDICT = {"policy": "str", "requirement": "str", **_ESTIMATE, "verdict": "str"}
NEAREST = {"requirement": "str", "estimate": "float64"}
CANDIDATE = {"candidate": "int64", "n": "int64", "estimate": "float64", "outcome": "str", "equal_to": "Int64"}
STAGE = {"stage": "str", "candidates": "int64", "worlds": "int64", "rollouts": "int64", "node_updates": "int64"}


@dataclass(frozen=True, eq=False, repr=False)
class Tuning(Result):
    """What `tune` found.

    Attributes
    ----------
    of : Measure
        The objective.
    direction : {'min', 'max'}
    requirements : tuple of Requirement
    choice : dict or None
        The levers' values of the chosen policy; None if no candidate is known to meet the requirements.
    specs : mapping of str to dict
        The chosen policy by dialect, ready to paste: `spec`, and `notes` on what the other dialect can't say.
    policies : DataFrame
        The choice, the runners-up that it can't be told from, the current policy, the API's defaults, and what might be
        chosen without one of the requirements, in the same new worlds: `policy`, `candidate`, `measure`, `estimate`, `low`, `high`, `n`, and the difference to the choice
        `difference`, `difference_low`, `difference_high`; of the objective these intervals hold for all policies at once.
        Their `verdict` is better, worse, equal, unclear or unknown than the choice; missing of the choice itself, and where
        a measure surely differs that has no better side. `unknown_fraction`, of the objective, is the share of the choice's
        worlds in which there is no value, as a rollout never ends.
    verdicts : DataFrame
        `policy`, `requirement`, `estimate`, the bounds `low` and `high` by which it is judged, `n`, and the `verdict` (met,
        not met or undecided) in the same worlds.
    binding : str or None
        The requirement without which a surely better policy could be chosen.
    out_of_reach : DataFrame
        If there is no choice, each requirement with the nearest `estimate` to it of the candidates that meet all others,
        by the first stage; NaN where none does.
    gain_without_binding : float
        How much better, in the new worlds; NaN without such a requirement.
    candidates : DataFrame
        All that were tried: `candidate`, the levers, `n`, `estimate` of the objective, `outcome` (chosen, can't be told
        from the choice, not better, ruled out, misses a requirement, not known to meet the requirements, never ends,
        failed, equal to another), and of what is equal to another one `equal_to`.
    stages : DataFrame
        `stage`, `candidates`, `worlds` (of each; the most), `rollouts`, `node_updates`.
    current_policy : str
        Its name.
    n_possible : int
        Combinations of the levers, of which `candidates` may be a sample.
    indifference : float
        The smallest difference that matters, in the objective's unit.
    confidence_level : float
    is_decided : bool
        Whether the budget was enough for the stated probability.
    expected_correct : float
        With `final` alone: the approximate probability that the choice is the best; NaN where Kim and Nelson's procedure
        guarantees `confidence_level`.
    probability_correct : float
        With which the choice is said to be the right one: `confidence_level` if that is guaranteed; with `final`
        `expected_correct`, but no more than what was ruled out before leaves; NaN if there is no choice, or the budget was
        too small to tell.
    keeps_current : bool
        Whether the choice is the current policy.
    n_undecided : int
        If there is no choice, the candidates that may meet the requirements all the same.
    n_failed : int
        Replications that failed, of all candidates.
    computed_under : dict
        Scenario, seed, the engine or engines that ran, and switches; and the costs, if anything counts them.
    """

    of: Measure
    direction: str
    requirements: tuple[Requirement, ...]
    choice: Mapping[str, Any] | None
    specs: Mapping[str, Mapping[str, Any]]
    policies: Annotated[pd.DataFrame, Columns(POLICY, words={"verdict": verdicts.Verdict})]
    verdicts: Annotated[pd.DataFrame, Columns(VERDICT, words={"verdict": judging.Verdict})]
    binding: str | None
    gain_without_binding: float
    out_of_reach: Annotated[pd.DataFrame, Columns(NEAREST)]
    candidates: Annotated[pd.DataFrame, Columns(CANDIDATE, has_more=True)]
    stages: Annotated[pd.DataFrame, Columns(STAGE)]
    current_policy: str
    n_possible: int
    indifference: float
    confidence_level: float
    is_decided: bool
    expected_correct: float
    probability_correct: float
    keeps_current: bool
    n_undecided: int
    n_failed: int
    computed_under: Mapping[str, Any]

    def to_frame(self) -> pd.DataFrame:
        """Return all candidates with what came of them."""
        return self.candidates

    def changes(self) -> dict[str, Any]:
        """Return the chosen values that the current policy doesn't have, by the levers' full names."""
        return find_changes(self.choice, self.candidates)

    def objective_row(self, policy: str) -> Mapping[Any, Any] | None:
        """Return the row of `policies` with the objective of one of them; None if it isn't told."""
        rows = self.policies[self.policies["measure"].eq(str(self.of)) & self.policies["policy"].eq(policy)]
        return None if rows.empty else rows.iloc[0].to_dict()


def find_changes(choice: Mapping[str, Any] | None, candidates: pd.DataFrame) -> dict[str, Any]:
    """Return the chosen values that the first candidate, the current policy, doesn't have."""
    current = candidates.iloc[0]
    return {name: value for name, value in (choice or {}).items() if _differ(value, current[name])}


def _differ(value: Any, other: Any) -> bool:
    import pandas as pd

    if value is None or pd.isna(other):
        return not (value is None and pd.isna(other))
    return bool(value != other)
