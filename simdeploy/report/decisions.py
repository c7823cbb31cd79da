"""`simdeploy verify --decisions` in words: the answer and its tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.errors import plural
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import join_answer

if TYPE_CHECKING:
    from simdeploy.result import Table
    from simdeploy.validation.decisions.result import Decisions

_PROBLEMS = (
    Column("problem", "problem"),
    Column("cost", "lowest cost", "digits"),
    Column("median_cost", "chosen, median", "digits"),
    Column("worst_cost", "worst", "digits"),
    Column("answers", "answers", "count"),
    Column("answers_near", "within 2 %", "count"),
    Column("answers_stated", "with a probability", "count"),
    Column("rollouts", "rollouts", "count"),
)
_BEST = (
    Column("problem", "problem"),
    Column("difficulty", "what makes it hard"),
    Column("best", "best policy"),
    Column("policies", "policies", "count"),
    Column("feasible", "feasible", "count"),
    Column("near", "within 2 %", "count"),
    Column("unconstrained_cost", "lowest cost without requirements", "digits"),
)
_CLAIMS = (
    Column("problem", "problem"),
    Column("claim", "claim"),
    Column("stated", "stated", "count"),
    Column("true", "true", "count"),
    Column("level", "at the level", "share"),
    Column("p_value", "p-value", "p-value"),
    Column("verdict", "ok"),
)


def tell(result: Decisions) -> str:
    """Say which claims are refuted, and how good the choices were."""
    problems, claims = result.problems, result.claims
    refuted, n_tested = claims[claims["ok"].eq(other=False)], int(claims["ok"].notna().sum())
    near, stated, n = (int(problems[name].sum()) for name in ("answers_near", "answers_stated", "answers"))
    choices = (
        f"{near:,} of {n:,} choices cost at most 2 % more than the best policy; {stated:,} of {n:,} state a probability"
    )
    where = plural(len(problems), "problem")
    if result.is_ok:
        return join_answer([f"No claim is refuted, of {n_tested} in {where}", choices])
    n_refuted = refuted["problem"].nunique()
    return join_answer([f"{len(refuted)} of {n_tested} claims are refuted, in {n_refuted} of {where}", choices])


def tabulate(result: Decisions) -> tuple[Table, ...]:
    """Return the problems with their answers, the best policies, and the claims."""
    rows = result.problems.replace(math.inf, math.nan)
    rows["rollouts"] = rows["rollouts"].round().astype("int64")
    claims = result.claims.assign(verdict=result.claims["ok"].map({True: "yes", False: "NO"}).fillna("not stated"))
    return (
        make_table("Exact costs of the policies chosen", rows, _PROBLEMS),
        make_table("Problems", rows, _BEST),
        make_table("Claims", claims, _CLAIMS),
    )
