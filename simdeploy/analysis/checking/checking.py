"""Whether policies meet their requirements: replicated until that is decided, or the budget is used up."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from simdeploy.analysis.asking.judging import Verdict, join, judge, plan_looks
from simdeploy.analysis.asking.measuring import Values, describe_costs
from simdeploy.analysis.asking.requirements import Asked
from simdeploy.analysis.checking.asked import Question, ask, check_numbers, is_requirement
from simdeploy.experiments import arguments
from simdeploy.experiments.arguments import Progress, choose_policies
from simdeploy.experiments.campaign import Campaign
from simdeploy.renaming import moved
from simdeploy.result import INTERVAL, Columns, Result, make_frame
from simdeploy.scenario import ScenarioOrPath, as_scenario

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.jobs import Executor
    from simdeploy.experiments.result import SweepResult
    from simdeploy.scenario import Scenario

_ROW = {
    "policy": "str",
    "requirement": "str",
    "of": "str",
    "quantile": "float64",
    "given": "str",
    "at_most": "float64",
    "at_least": "float64",
    "verdict": "str",
    **INTERVAL,
    "n": "int64",
    "replications": "int64",
    "unknown_fraction": "float64",
    "reason": "str",
}


@dataclass(frozen=True, eq=False, repr=False)
class Check(Result):
    """What `check` found.

    Attributes
    ----------
    verdicts : DataFrame
        One row per policy and requirement: `policy`, `requirement` as it is written, its parts `of`, `quantile`, `given`,
        `at_most`, `at_least`; `verdict` ("met", "not met", "undecided"), `estimate`, the bounds `low` and `high`, `n`
        (observations that it is over), `replications` (that it took), `unknown_fraction` (the share of the rollouts that never
        end, so that nobody knows their value), and why it is undecided (`reason`).
    confidence_level : float
        Of each verdict by itself, and of each bound by itself at whichever look.
    looks : tuple of int
        After how many replications it was looked; the last is the budget.
    n_failed : dict of str to int
        Replications of a policy that failed and are left out.
    failures : dict of str to str
        Of a policy of which some failed, why the first one did.
    computed_under : dict
        Scenario, seed, engine ("none" if nothing had to be simulated; "auto" may begin with one and go on with the other) and
        switches; and the costs, if anything counts them.
    """

    also = ("verdict",)
    verdicts: Annotated[pd.DataFrame, Columns(_ROW, words={"verdict": Verdict})]
    confidence_level: float
    looks: tuple[int, ...]
    n_failed: Mapping[str, int]
    failures: Mapping[str, str]
    computed_under: Mapping[str, Any]

    @property
    def verdict(self) -> Verdict:
        """Of all together: "not met" if one is not met, "met" if all are."""
        verdict: Verdict = join(self.verdicts["verdict"].to_numpy(str)[None])[0].item()
        return verdict


@moved("requirements", place=1, is_meant=is_requirement)
def check(
    scenario: ScenarioOrPath,
    policies: str | Sequence[str] | Mapping[str, Any] | None = None,
    *,
    requirements: Asked | None = None,
    most: int = 10_000,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> Check:
    r"""Check whether policies meet requirements, with as many replications as that takes.

    Parameters
    ----------
    scenario : Scenario or path
    policies : str, sequence of str, or mapping, optional
        Which policies are checked, as for `replicate`; all of the scenario's by default.
    requirements : str or Requirement, or several of them, optional
        Such as ``"false_alarm given good <= 1%"``; the scenario's own by default.
    most : int, default 10,000
        The budget: replications of each policy.
    confidence_level : float, default 0.95
        Of each verdict by itself: a fraction above 0.5 and below 1.
    seed : int, default 0
    engine : {'auto', 'compiled', 'reference'}
    executor, workers, cluster
        As for `replicate`.
    store : path-like, optional
        A folder for all rollouts; the same call goes on with what is there.
    progress : bool or callable, default False
        As for `replicate`; it is given the rollouts that are done, and those there will be at the next look.

    Returns
    -------
    Check

    Raises
    ------
    InputError
        If there are no requirements, or an argument makes no sense.

    Warns
    -----
    SimdeployWarning
        If a replication failed.

    Notes
    -----
    It is looked K times, after 100, 200, 400, ... replications and at last after `most`. Each look at a requirement may
    err with probability :math:`(1 - confidence\_level) / K`, so all of them together with :math:`1 - confidence\_level` at
    most, whenever they stop (Boole's inequality; `simdeploy.analysis.asking.judging.judge` has the tests). A verdict that is
    reached stays. A policy without an open requirement is replicated no further.

    Each verdict has its confidence by itself: of 20 verdicts at 95 % one may be wrong. What never can be decided (a
    condition that can't occur, a mean within fewer than 1,000 replications) is undecided at once, and costs nothing.
    Rollouts that a measure isn't about are left out. One that never ends may still break any limit, so that a requirement
    of which its value is unknown is undecided, and stays so: a policy is replicated no further for it. Rates of `paused` and
    `in_progress` are known of every rollout.

    Examples
    --------
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "ten-nodes",
    ...     "fleet": {"nodes": 10, "update_duration": "1m", "start_failure": 0.02},
    ...     "policies": {"strict": {"strategy": "immediate", "max_failed_nodes": 0}},
    ... })
    >>> found = check(scenario, requirements=["false_alarm given good <= 5%", "p95 makespan_s <= 2m"], most=200)
    >>> found.verdicts[["requirement", "verdict", "replications"]]
                          requirement  verdict  replications
    0  false_alarm given good <= 0.05  not met           100
    1           p95 makespan_s <= 120      met           100
    >>> found.verdict
    'not met'
    """
    scenario = as_scenario(scenario)
    check_numbers(confidence_level, most)
    arguments.check_numbers(replications=1, seed=seed, engine=engine)
    chosen, problems = choose_policies(scenario, policies)
    questions = ask(scenario, requirements, chosen, most, problems)
    looks = plan_looks(most)
    error = (1 - confidence_level) / len(looks)
    n_failed = dict.fromkeys((question.policy for question in questions), 0)
    failures: dict[str, str] = {}
    campaign = Campaign(
        seed=seed,
        engine=engine,
        executor=executor,
        workers=workers,
        cluster=cluster,
        store=store,
        progress=progress,
        parts=r"look-\d{2,}",
    )
    for number, (before, look) in enumerate(pairwise((0, *looks))):
        still_open = [question for question in questions if question.is_open]
        if not still_open:
            break
        asked = {question.policy: chosen[question.policy] for question in still_open}
        part = f"look-{number:02d}"
        result = campaign.sweep({scenario.name: scenario}, asked, part=part, replications=range(before, look))
        rows = result.to_frame(["policy", "replication", "status", "stage", "error"])
        for row in rows[rows["status"].eq("failed")].to_dict("records"):
            n_failed[row["policy"]] += 1
            failures.setdefault(row["policy"], f"replication {row['replication']}, {row['stage']}: {row['error']}")
        _look(result, still_open, scenario, look, error)
    campaign.tell_failures()
    measures = [question.requirement.measure for question in questions]
    return Check(
        verdicts=make_frame([_row(question) for question in questions], _ROW),
        confidence_level=confidence_level,
        looks=looks,
        n_failed=n_failed,
        failures=failures,
        computed_under=campaign.computed_under(scenario) | describe_costs(scenario.costs, measures),
    )


def _look(responses: SweepResult, questions: list[Question], scenario: Scenario, look: int, error: float) -> None:
    """Add what the replications say to each question, and decide it if that is possible."""
    import numpy as np

    values = Values(
        responses,
        list(dict.fromkeys(q.requirement.measure for q in questions)),
        costs=scenario.costs,
        release=scenario.release,
    )
    places = {policy: place for place, policy in enumerate(values.cases["policy"])}
    for question in questions:
        measure, place = question.requirement.measure, places[question.policy]
        found = values.of(measure)[place]
        question.seen.append(found[~np.isnan(found)])
        question.n_meant += int(values.may_concern(measure)[place].sum())
        question.n_unknown += int(values.is_unknown(measure)[place].sum())
        seen = np.concatenate(question.seen)[None]
        question.judged = judge(seen, question.requirement, error, unknown=question.n_unknown > 0)
        question.replications = look


def _row(question: Question) -> dict[str, Any]:
    requirement, judged = question.requirement, question.judged
    found = dict.fromkeys(("estimate", "low", "high"), math.nan) | {"n": 0}
    if judged is not None:
        found = {name: getattr(judged, name).item() for name in found}
    return {
        "policy": question.policy,
        "requirement": str(requirement),
        "of": requirement.measure.of,
        "quantile": requirement.measure.quantile,
        "given": requirement.measure.given,
        "at_most": requirement.at_most,
        "at_least": requirement.at_least,
        "verdict": question.verdict,
        **found,
        "replications": question.replications,
        "unknown_fraction": question.unknown_fraction,
        "reason": question.reason,
    }
