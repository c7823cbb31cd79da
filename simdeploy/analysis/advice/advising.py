"""Advice during a rollout, and forecasts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.advice.acting import choose_acts
from simdeploy.analysis.advice.question import Given, Means, Question
from simdeploy.analysis.advice.result import Advice, Forecast
from simdeploy.analysis.scoring.log import keep_answer, prepare_log

if TYPE_CHECKING:
    from simdeploy.experiments.arguments import Progress
    from simdeploy.experiments.jobs import Executor
    from simdeploy.scenario import ScenarioOrPath


def forecast(
    scenario: ScenarioOrPath,
    policy: Any = None,
    *,
    seen: Any,
    at: str | float | None = None,
    evidence: Any = None,
    replications: int = 2000,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    progress: bool | Progress = False,
    log: str | os.PathLike[str] | None = None,
) -> Forecast:
    """Forecast how a rollout goes on, given what was seen of it.

    Parameters
    ----------
    scenario : Scenario or path
    policy : str, mapping, spec or document, optional
        By default that of the deployment object; for a table of revisions the scenario's first.
    seen : Deployment, mapping, list or DataFrame
        What was seen: a deployment object, or the body of ``GET deployment``; a list of objects, or of pairs (instant, object), in order;
        a `Rollout`, or a table with the columns of its `revisions`, which has every change; or a table of nodes at the instant of looking,
        with columns of its `nodes` (`node` and `status`; instants, `zone` and `class` where known), or `Records` of them.
    at : str or float, optional
        The instant of looking: an RFC 3339 time, or seconds after `created_at`. By default the last `updated_at`. That nothing has
        changed since is evidence, too.
    evidence : DataFrame, list of mapping or Records, optional
        Counts of requests, with the columns `requests` and `failed`. Rows with a `node` of the table are its health windows, from the
        first (`to_s`: when they ended). Others are totals that no window judged: of a `version` (``"new"`` or ``"old"``), a `wave`, and from
        `from_s` to `to_s`, seconds after the start.
    replications : int, default 2000
        Worlds in which this was seen, about equally many of each kind of release.
    confidence_level : float, default 0.95
        Of each interval separately. Intervals are those of the simulation.
    seed, engine, executor, workers, cluster
        As for `replicate`.
    progress : bool or callable, default False
    log : path, optional
        Folder in which the answer is kept, for `score`, with what was seen.

    Returns
    -------
    Forecast

    Raises
    ------
    InputError
        If what was seen can't have happened, or can't be conditioned on (gates other than `threshold`, deployments without a
        release); the reason is given.

    Notes
    -----
    Worlds are drawn such that they show what was seen, and weighted with its chance (`simdeploy.analysis.advice.proposing`). Instants agree
    within half a second. Where nodes have no law of their own (shared services, traffic; without a table of nodes, of which each
    is tried by itself, also crashes, outages and sliding; and others: `why_tried`), whole worlds are simulated, and those kept in which it happened.

    Examples
    --------
    >>> import simdeploy
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "four nodes",
    ...     "fleet": {"nodes": 4, "update_duration": "1m", "start_failure": 0.05},
    ...     "release": {"good": {"probability": 0.9}, "bad": {"probability": 0.1, "defective": True, "start_failure": 0.9}},
    ...     "policies": {"in-twos": {
    ...         "strategy": "rolling", "max_parallel": 2, "max_failed_nodes": 2, "max_failed_nodes_percent": 50,
    ...         "health_check": {"deadline": "5m", "min_healthy_time": "0s"}}},
    ... })
    >>> rollout = simdeploy.simulate(scenario, "in-twos", seed=9)
    >>> result = simdeploy.forecast(scenario, "in-twos", seen=rollout.revisions[:2], replications=20, engine="reference")
    >>> result.kinds["kind"].tolist(), result.state
    (['good', 'bad'], 'in_progress')
    """
    folder = None if log is None else prepare_log(log)
    means = Means(replications, confidence_level, seed, engine, executor, workers, cluster, progress)
    question = Question(scenario, Given(policy, seen, at, evidence), means)
    question.condition()
    answer = Forecast(**question.forecast())
    if folder is not None:
        keep_answer(folder, question.scenario, seen, evidence, answer, answer.at_s)
    return answer


def advise(
    scenario: ScenarioOrPath,
    policy: Any = None,
    *,
    seen: Any,
    at: str | float | None = None,
    evidence: Any = None,
    acts: str | Sequence[str] | Mapping[str, Any] | None = None,
    replications: int = 2000,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    progress: bool | Progress = False,
    log: str | os.PathLike[str] | None = None,
) -> Advice:
    """Advise what to do with a rollout, given what was seen of it.

    The same worlds go on under each act, and what each of them costs is compared.

    Parameters
    ----------
    scenario : Scenario or path
        With costs; otherwise nothing is advised.
    policy, seen, at, evidence
        As for `forecast`.
    acts : str, sequence of str or mapping, optional
        ``"go on"``, ``"promote"`` (while canaries wait), ``"pause 10m"`` (after which somebody resumes), ``"resume"`` (of a paused
        rollout), ``"cancel"``; a mapping names them, and fields of the spec that change from now on, such as
        ``{"max_failed_nodes": 20}``. By default those that the state offers; none in a terminal state.
    replications, confidence_level, seed, engine, executor, workers, cluster, progress, log
        As for `forecast`.

    Returns
    -------
    Advice

    Raises
    ------
    InputError
        As `forecast`, and for acts that the state doesn't offer.

    Notes
    -----
    A cost is that of the whole rollout, past included, because a defective release that is stopped costs no delay. Waiting is valued as in
    `simdeploy.analysis.advice.waiting`.

    Examples
    --------
    >>> import simdeploy
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "four nodes",
    ...     "fleet": {"nodes": 4, "update_duration": "1m", "start_failure": 0.05},
    ...     "release": {"good": {"probability": 0.9}, "bad": {"probability": 0.1, "defective": True, "start_failure": 0.9}},
    ...     "costs": {"hour_of_delay": 10, "false_alarm": 50, "escape": 1000},
    ...     "policies": {"in-twos": {
    ...         "strategy": "rolling", "max_parallel": 2, "max_failed_nodes": 2, "max_failed_nodes_percent": 50,
    ...         "health_check": {"deadline": "5m", "min_healthy_time": "0s"}}},
    ... })
    >>> rollout = simdeploy.simulate(scenario, "in-twos", seed=9)
    >>> result = simdeploy.advise(scenario, "in-twos", seen=rollout.revisions[:2], replications=20, engine="reference")
    >>> result.acts["act"].tolist()
    ['go on', 'pause 10m', 'cancel']
    """
    folder = None if log is None else prepare_log(log)
    means = Means(replications, confidence_level, seed, engine, executor, workers, cluster, progress)
    question = Question(scenario, Given(policy, seen, at, evidence), means)
    chosen = choose_acts(acts, question.scenario, question.seen, question.plan)
    question.condition(chosen)
    answer = question.advise(chosen)
    if folder is not None:
        keep_answer(folder, question.scenario, seen, evidence, answer, answer.at_s)
    return answer
