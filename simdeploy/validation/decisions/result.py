"""Result of `verify_decisions`: the decisions, and which claims are true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from simdeploy.result import INTERVAL, Columns, Result, floats

if TYPE_CHECKING:
    import pandas as pd

# Claims by the column of `answers` that says whether each is true.
CLAIMS = {
    "is_choice_right": "the choice",
    "covers_cost": "cost of the choice",
    "covers_differences": "differences from the choice",
    "covers_current": "cost of the current policy",
    "is_comparison_right": "which policy costs less",
}

PROBLEM = {
    "problem": "str",
    "difficulty": "str",
    "policies": "int64",
    "feasible": "int64",
    "near": "int64",
    "best": "str",
    **floats("cost", "unconstrained_cost"),
    "answers": "int64",
    "answers_near": "int64",
    "answers_stated": "int64",
    **floats("median_cost", "worst_cost"),
    "rollouts": "float64",
}
CLAIM = {
    "problem": "str",
    "claim": "str",
    "stated": "int64",
    "true": "int64",
    **floats("level", "p_value"),
    "ok": "boolean",
}
ANSWER = {
    "problem": "str",
    "seed": "int64",
    "choice": "str",
    "cost": "float64",
    "is_near": "bool",
    "probability": "float64",
    **INTERVAL,
    "rollouts": "int64",
    **dict.fromkeys(CLAIMS, "boolean"),
}


@dataclass(frozen=True, eq=False, repr=False)
class Decisions(Result):
    """Result of `verify_decisions`.

    Attributes
    ----------
    problems : DataFrame
        One row per problem: `problem`, `difficulty`; the number of `policies` in its grid, of these `feasible`, and of
        these `near` (at most 2 % dearer than the best); the `best` one, its exact `cost` (infinite if no policy is
        feasible), and `unconstrained_cost`, the lowest without the requirements. Then, over all seeds, the number of
        `answers`, of those near (`answers_near`; without a feasible policy, answers without a choice) and of those with a
        stated probability (`answers_stated`); the median and the highest exact cost of the chosen policies
        (`median_cost`, `worst_cost`), and the mean number of `rollouts` of a search.
    claims : DataFrame
        One row per problem and claim: in how many answers it was `stated`, and in how many of these it was `true`; the
        mean stated probability (`level`); `p_value`, the probability of at most that many true ones if each were true with
        that probability; and `ok`, missing if the claim was never stated.
    answers : DataFrame
        One row per problem and seed: the settings of the `choice` (empty without one), its exact `cost`, `is_near`, the
        stated `probability`, the `estimate` of the cost with its interval `low` to `high`, `rollouts`, and whether each
        claim is true (missing if it was not stated): `is_choice_right`, `covers_cost`, `covers_differences`,
        `covers_current`, `is_comparison_right`.
    is_ok : bool
        Whether no claim is refuted.
    false_alarm_probability : float
        Upper bound of the probability that any claim is refuted although all are as reliable as stated.
    seed : int
        The first.
    computed_under : dict
        First seed, seeds and confidence level.
    """

    problems: Annotated[pd.DataFrame, Columns(PROBLEM)]
    claims: Annotated[pd.DataFrame, Columns(CLAIM)]
    answers: Annotated[pd.DataFrame, Columns(ANSWER)]
    is_ok: bool
    false_alarm_probability: float
    seed: int
    computed_under: Mapping[str, Any]
