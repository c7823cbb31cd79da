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
    from simdeploy.scenario import PolicyLike, ScenarioOrPath


def forecast(
    scenario: ScenarioOrPath,
    policy: PolicyLike | None = None,
    *,
    seen: Any,
    at: str | float | None = None,
    evidence: Any = None,
    log: str | os.PathLike[str] | None = None,
    replications: int = 2000,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    progress: bool | Progress = False,
) -> Forecast:
    """Forecast how a rollout will go on, given what was seen of it.

    Parameters
    ----------
    scenario : Scenario or path
    policy : str, path, mapping, spec or document, optional
        By default that of the deployment object, or the scenario's first policy if `seen` is a table of revisions.
    seen : Deployment, mapping, list or DataFrame
        What was seen, as one of: a deployment object, or the body of ``GET deployment``; a list of objects, or of pairs (time, object),
        in order; a `Rollout`, or a table with the columns of `Rollout.revisions`, which has every change; a table of the nodes at the
        time of observation, with columns of `Rollout.nodes` (`node` and `status`; times, `zone` and `class` where known); or `Records`.
    at : str or float, optional
        The time of observation: an RFC 3339 time, or seconds after `created_at`. By default the last `updated_at`. If it is later,
        that nothing changed in between counts as evidence, too.
    evidence : DataFrame, list of mapping or Records, optional
        Counts of requests, with the columns `requests` and `failed`. A row with a `node` is a health window of that node; its windows
        are in order, from the first (`to_s`: when the window ended). Any other row is a total that no health window judged, of a
        `version` (``"new"``, the default, or ``"old"``), of a `wave` if given, from `from_s` to `to_s`, seconds after the start.
    log : path, optional
        Folder in which to save the answer and what was seen, for `score`.
    replications : int, default 2000
        Number of simulated worlds in which this was seen, about equally many for each kind of release.
    confidence_level : float, default 0.95
        Of each interval separately. The intervals reflect simulation error only.
    seed, engine, executor, workers, cluster
        As for `replicate`.
    progress : bool or callable, default False

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
    Worlds are drawn such that they show what was seen, and weighted by its probability (`simdeploy.analysis.advice.proposing`). Times agree
    to half a second. This needs the probability distribution of each node's fate. Where there is none (for example with shared services or
    traffic; see `why_tried`), whole worlds are simulated, and those that agree are kept. With crashes, outages or sliding pacing that is
    necessary only without a table of nodes; with one, each node is tried by itself.

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
    policy: PolicyLike | None = None,
    *,
    seen: Any,
    at: str | float | None = None,
    evidence: Any = None,
    acts: str | Sequence[str] | Mapping[str, Any] | None = None,
    log: str | os.PathLike[str] | None = None,
    replications: int = 2000,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    progress: bool | Progress = False,
) -> Advice:
    """Compare what could be done with a rollout that is under way, given what was seen of it.

    The same simulated worlds are continued under each act, and their costs are compared.

    Parameters
    ----------
    scenario : Scenario or path
        With costs; otherwise nothing is advised.
    policy, seen, at, evidence
        As for `forecast`.
    acts : str, sequence of str or mapping, optional
        ``"go on"``, ``"promote"`` (while canaries wait), ``"pause 10m"`` (and resume after that), ``"resume"`` (a paused rollout) or
        ``"cancel"``. A mapping gives acts names of your choice; its values may also be fields of the spec to change from now on, such as
        ``{"max_failed_nodes": 20}``. By default all acts that the state allows; none in a terminal state.
    log, replications, confidence_level, seed, engine, executor, workers, cluster, progress
        As for `forecast`.

    Returns
    -------
    Advice

    Raises
    ------
    InputError
        As for `forecast`, and for acts that the state doesn't allow.

    Notes
    -----
    Costs are those of the whole rollout, including its past, because stopping a defective release cancels the cost of its delay. See
    `simdeploy.analysis.advice.waiting` for the value of waiting.

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
