"""Answers of `tune` and `compare` to problems with a known best policy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.simulating import replicate_kinds
from simdeploy.analysis.comparison.compare import compare
from simdeploy.analysis.tuning import Tuning, tune
from simdeploy.analysis.tuning.result import CANDIDATE, CHOICE
from simdeploy.errors import catch_warned, raise_if_any
from simdeploy.experiments.arguments import Progress, as_reporter, read_seed, whole_problems
from simdeploy.experiments.executors import choose_executor
from simdeploy.experiments.items import Items, make_items
from simdeploy.result import make_frame
from simdeploy.validation.decisions.exact import evaluate
from simdeploy.validation.decisions.optimum import WITHIN, Problem
from simdeploy.validation.decisions.problems import make_problems
from simdeploy.validation.decisions.result import ANSWER, CLAIM, CLAIMS, PROBLEM, Decisions

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.jobs import Executor


# A claim is refuted by a result as improbable as four standard errors of a normal law.
_REFUTES = math.erfc(4 / math.sqrt(2)) / 2
_CONFIDENCE_LEVEL = 0.95
# As many as the command `compare` makes by default.
_REPLICATIONS = 400
# Relative tolerance for rounding between an interval without width and the exact cost.
_ROUNDING = 1e-9


def verify_decisions(
    *,
    seeds: int = 30,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    progress: bool | Progress = False,
) -> Decisions:
    r"""Compare the claims of `tune` and `compare` with exact costs, in ten problems with a known best policy.

    Parameters
    ----------
    seeds : int, default 30
        Answers to each problem: seeds `seed`, ..., ``seed + seeds - 1``.
    seed : int
    engine : {'auto', 'compiled', 'reference'}
    executor, workers, cluster
        Where to answer, as for `sweep`, but with processes for either engine; results don't depend on it.
    progress : bool or callable
        As for `replicate`, in answers.

    Returns
    -------
    Decisions

    Raises
    ------
    InputError
        If an argument is invalid.
    SimulationError
        If a worker process dies again and again on the same answer.

    Notes
    -----
    Each problem is a grid of policies, all of which are evaluated exactly
    (`simdeploy.validation.decisions.exact.evaluate`). `tune` searches the grid with its default budgets; `compare`
    has 400 replications of four named policies. These claims are tested, each where it is stated:

    - *the choice*: it meets the requirements and costs at most 2 % more than the best policy that does, or there is none
      and the answer says so; with the stated probability;
    - *cost of the choice*, *cost of the current policy*: the interval of `tune`, or of `compare`, contains the exact cost,
      unless it is marked as untrusted;
    - *differences from the choice*: all intervals of `tune` contain the exact differences;
    - *which policy costs less*: all statements of `compare` about pairs of policies are true.

    Of n stated claims with mean probability p, the number of true ones is compared with the binomial law: a claim is refuted
    if that number or fewer has a probability below :math:`\Phi(-4) \approx 3.2 \cdot 10^{-5}`.

    Takes one and a half minutes per seed.

    Examples
    --------
    >>> verify_decisions(seeds=0)
    Traceback (most recent call last):
    simdeploy.errors.InputError: seeds: out of range (found 0); allowed: a whole number from 1 to 10000
    """
    seed = read_seed(seed, engine)
    raise_if_any(whole_problems(1, 10_000, seeds=seeds))
    seeds = int(seeds)
    report = as_reporter(progress)
    # Parts of a search are too small to divide, and mostly take the interpreter's lock: answers are made by processes.
    where = choose_executor(executor=executor, workers=workers, cluster=cluster, engine="reference")
    problems = make_problems()
    # Once for all answers, because it takes a while.
    problems = tuple(problem for (problem,) in make_items(_Solved(problems), len(problems), range(1), where))
    answered = make_items(_Answers(problems, engine), len(problems), range(seed, seed + seeds), where, report)
    rows = [row for of_problem in answered for row in of_problem]
    answers = make_frame(rows, ANSWER)
    claims = make_frame([_check_claim(problem, claim, answers) for problem in problems for claim in CLAIMS], CLAIM)
    return Decisions(
        problems=make_frame([_summarize(problem, answers) for problem in problems], PROBLEM),
        claims=claims,
        answers=answers,
        is_ok=not claims["ok"].eq(other=False).any(),
        false_alarm_probability=int(claims["ok"].notna().sum()) * _REFUTES,
        seed=seed,
        computed_under={"seed": seed, "seeds": seeds, "confidence_level": _CONFIDENCE_LEVEL},
    )


@dataclass(frozen=True)
class _Solved(Items[Problem]):
    """Problems whose exact costs have been evaluated."""

    problems: tuple[Problem, ...]

    def make(self, group: int, number: int) -> Problem:  # noqa: ARG002
        """Evaluate a problem, which keeps its best policy."""
        problem = self.problems[group]
        problem.optimum  # noqa: B018
        return problem

    def name(self, group: int, number: int) -> str:  # noqa: ARG002
        """Name the problem."""
        return f"the solution of {self.problems[group].name}"


@dataclass(frozen=True)
class _Answers(Items[dict[str, Any]]):
    """Rows of `Decisions.answers`: a group for each problem, and an item for each seed."""

    problems: tuple[Problem, ...]
    engine: str

    def make(self, group: int, number: int) -> dict[str, Any]:
        """Return the row of a seed."""
        with catch_warned():
            return _answer(self.problems[group], number, self.engine)

    def name(self, group: int, number: int) -> str:
        """Name the problem and the seed."""
        return f"the answer to {self.problems[group].name} with seed {number}"


def _answer(problem: Problem, seed: int, engine: str) -> dict[str, Any]:
    """Return the row of `Decisions.answers` for one seed."""
    tuning = tune(problem.scenario, vary=problem.vary, seed=seed, engine=engine, confidence_level=_CONFIDENCE_LEVEL)
    row: dict[str, Any] = {
        "problem": problem.name,
        "seed": seed,
        "choice": "" if tuning.choice is None else describe(tuning.choice),
        **dict.fromkeys(("cost", "estimate", "low", "high"), math.nan),
        "probability": tuning.probability_correct,
        "rollouts": int(tuning.stages["rollouts"].sum()),
        **dict.fromkeys(CLAIMS),
        **_judge_comparison(problem, seed, engine),
    }
    if tuning.choice is None:
        is_right = problem.optimum.best is None
        is_stated = tuning.n_undecided == 0
        stated = {"is_near": is_right, "probability": _CONFIDENCE_LEVEL if is_stated else math.nan}
        return {**row, **stated, "is_choice_right": is_right if is_stated else None}
    exact = problem.evaluate(tuning.choice)
    is_near = problem.is_feasible(exact) and exact.cost <= (1 + WITHIN) * problem.optimum.cost
    interval = tuning.objective_row(CHOICE) or {}
    return {
        **row,
        **{name: interval[name] for name in ("estimate", "low", "high")},
        "cost": exact.cost,
        "is_near": is_near,
        "is_choice_right": None if math.isnan(tuning.probability_correct) else is_near,
        "covers_cost": _contains(interval["low"], interval["high"], exact.cost) if interval["is_trusted"] else None,
        "covers_differences": _judge_differences(problem, tuning, exact.cost),
    }


def _judge_differences(problem: Problem, tuning: Tuning, cost: float) -> bool | None:
    """Return whether all intervals of differences from the choice contain the exact ones; None without any."""
    assert tuning.choice is not None  # noqa: S101 - there is a choice
    rows = tuning.policies[tuning.policies["measure"].eq(str(tuning.of)) & tuning.policies["policy"].ne(CHOICE)]
    candidates = tuning.candidates.set_index("candidate")
    candidates = candidates[[name for name in candidates if name not in CANDIDATE]]
    verdicts = []
    for row in rows.to_dict("records"):
        settings = candidates.loc[row["candidate"]].to_dict()
        other = problem.evaluate({name: None if value != value else value for name, value in settings.items()})
        verdicts.append(_contains(row["difference_low"], row["difference_high"], other.cost - cost))
    stated = [verdict for verdict in verdicts if verdict is not None]
    return all(stated) if stated else None


def _judge_comparison(problem: Problem, seed: int, engine: str) -> dict[str, bool | None]:
    """Return whether the statements of `compare` about the problem's named policies are true."""
    scenario = problem.scenario
    table = replicate_kinds(scenario, replications=_REPLICATIONS, seed=seed, engine=engine)
    compared = compare(table, confidence_level=_CONFIDENCE_LEVEL)
    costs = {name: evaluate(scenario, policy).cost for name, policy in scenario.policies.items()}
    pairs = compared.pairs[compared.pairs["response"].eq("cost") & compared.pairs["verdict"].isin(["better", "worse"])]
    is_true = [
        (costs[row["policy"]] < costs[row["other"]]) == (row["verdict"] == "better") for row in pairs.to_dict("records")
    ]
    current = compared.estimates[compared.estimates["response"].eq("cost")].iloc[0]
    return {
        "covers_current": _contains(current["low"], current["high"], costs[current["policy"]])
        if current["is_trusted"]
        else None,
        "is_comparison_right": all(is_true) if is_true else None,
    }


def _contains(low: float, high: float, truth: float) -> bool | None:
    """Return whether an interval contains the truth; None without an interval."""
    if math.isnan(low) or math.isnan(high):
        return None
    slack = _ROUNDING * max(abs(truth), 1.0)
    return low - slack <= truth <= high + slack


def describe(settings: Mapping[str, Any]) -> str:
    """Return settings in words.

    Examples
    --------
    >>> describe({"max_parallel": 5, "health_check.max_error_rate": 0.1})
    'max_parallel 5, max_error_rate 0.1'
    """
    return ", ".join(
        f"{name.rpartition('.')[2]} {'default' if value is None else value}" for name, value in settings.items()
    )


def _check_claim(problem: Problem, claim: str, answers: pd.DataFrame) -> dict[str, Any]:
    """Return the row of `Decisions.claims` for a problem and a claim."""
    from scipy.stats import binom

    rows = answers[answers["problem"].eq(problem.name) & answers[claim].notna()]
    stated, true = len(rows), int(rows[claim].sum())
    level = float(rows["probability"].mean()) if claim == "is_choice_right" else _CONFIDENCE_LEVEL
    p_value = float(binom.cdf(true, stated, level)) if stated else math.nan
    ok = p_value >= _REFUTES if stated else None
    name = CLAIMS[claim]
    return {
        "problem": problem.name, "claim": name, "stated": stated, "true": true, "level": level, "p_value": p_value, "ok": ok,
    }  # fmt: skip


def _summarize(problem: Problem, answers: pd.DataFrame) -> dict[str, Any]:
    """Return the row of `Decisions.problems`."""
    rows, optimum = answers[answers["problem"].eq(problem.name)], problem.optimum
    return {
        "problem": problem.name,
        "difficulty": problem.difficulty,
        "policies": optimum.n_policies,
        "feasible": optimum.n_feasible,
        "near": optimum.n_near,
        "best": "" if optimum.best is None else describe(optimum.best),
        "cost": optimum.cost,
        "unconstrained_cost": optimum.unconstrained_cost,
        "answers": len(rows),
        "answers_near": int(rows["is_near"].sum()),
        "answers_stated": int(rows["is_choice_right"].notna().sum()),
        "median_cost": float(rows["cost"].median()),
        "worst_cost": float(rows["cost"].max()),
        "rollouts": float(rows["rollouts"].mean()),
    }
