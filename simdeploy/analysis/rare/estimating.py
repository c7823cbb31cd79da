"""The probability of an event too rare for plain simulation."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from simdeploy.analysis.rare.by_importance import estimate_by_importance
from simdeploy.analysis.rare.by_splitting import estimate_by_splitting
from simdeploy.analysis.rare.question import FOLDERS, Question, check_question
from simdeploy.analysis.rare.result import Rare
from simdeploy.engines.choice import check_room, choose_engine
from simdeploy.errors import InputError, Problem
from simdeploy.experiments.campaign import Campaign
from simdeploy.scenario import PolicyLike, ScenarioOrPath, as_scenario

if TYPE_CHECKING:
    from simdeploy.experiments.arguments import Progress
    from simdeploy.experiments.jobs import Executor
    from simdeploy.scenario.measures import Event
    from simdeploy.world.tilt import Tilt


def estimate_rare(
    scenario: ScenarioOrPath,
    policy: PolicyLike | None = None,
    *,
    event: Event | str,
    method: str = "importance",
    tilt: Tilt | Mapping[str, float] | Sequence[str] | None = None,
    levels: str | Mapping[str, Sequence[int]] = "failed_nodes",
    replications: int = 20_000,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> Rare:
    """Estimate the probability of an event too rare for plain simulation.

    Parameters
    ----------
    scenario : Scenario or path
        Without a tilt.
    policy : str, path, mapping, spec or document, optional
        By default the scenario's first policy.
    event : Event or str
        For example ``min_in_service_fraction < 90%``, ``failed_requests_excess > 1e6 and escaped``, or
        ``failed_nodes >= 12 given defective``.
    method : {'importance', 'splitting'}
        Importance sampling suits events due to randomness drawn once or per node (failed starts, long updates, a slow day, a
        bad release), splitting those that build up over the waves of a rollout.
    tilt : Tilt, mapping of str to float, or sequence of str, optional
        For importance sampling: factors by name, or the names of what may be tilted. By default a pilot chooses among
        everything random, for each kind of release, but nothing in fleets with crashes, zone outages, degraded spells or
        offline nodes. Kinds of release can't be tilted.
    levels : str, or mapping of str to sequence of int, default "failed_nodes"
        For splitting: the response that defines levels, ``failed_nodes`` or ``peak_exposed_nodes``, optionally with its
        levels; by default a pilot chooses them, but none in fleets as above.
    replications : int, default 20,000
        Rollouts of the estimate, over all kinds of release; at least 20 for each stage of splitting. Pilots come on top.
    confidence_level : float, default 0.95
    seed : int, default 0
    engine : {'auto', 'compiled', 'reference'}
    executor, workers, cluster
        As for `replicate`.
    store : path-like, optional
        A folder for all rollouts; the same call resumes from it.
    progress : bool or callable, default False
        As for `replicate`; the total grows, because the size of a pilot is not known beforehand.

    Returns
    -------
    Rare

    Raises
    ------
    InputError
        Lists everything wrong with the arguments.

    Notes
    -----
    Each kind of release that allows the event is simulated separately, and the estimates are added up with the kinds' known
    probabilities. Importance sampling averages the weights of rollouts with the event; splitting averages 10 independent runs of the
    scheme in `simdeploy.statistics.splitting`. Both are unbiased. `docs/methods.md` has the formulas of estimate and interval.

    Examples
    --------
    At least six of a hundred nodes fail to start, each with probability 1/1000. By the binomial distribution that is 1.1e-9:

    >>> import simdeploy
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "hundred",
    ...     "fleet": {"nodes": 100, "update_duration": "30s", "start_failure": 0.001},
    ...     "policies": {"at-once": {"strategy": "immediate"}},
    ... })
    >>> found = simdeploy.estimate_rare(
    ...     scenario, event="failed_nodes >= 6", tilt={"start_failure": 60}, replications=2000, engine="compiled"
    ... )
    >>> found.low < 1.099e-9 < found.high, found.plain_rollouts > 1e10
    (True, True)
    """
    scenario = as_scenario(scenario)
    parsed, replications, seed = check_question(
        scenario, event, method, levels, confidence_level, replications, seed, engine
    )
    if scenario.past is not None:
        message = "rare events can't be estimated from rollouts on record"
        raise InputError(Problem(message, ("fleet", "records"), hint="use the scenario without records"))
    chosen = scenario.policy(policy)
    n_updates = replications * scenario.fleet.nodes
    engine = choose_engine(engine, [(scenario, [chosen])], node_updates=n_updates, in_bundles=False)
    check_room(scenario, [chosen], engine)
    campaign = Campaign(seed, engine, executor, workers, cluster, store, progress, parts=FOLDERS)
    question = Question(scenario, chosen, parsed, replications, confidence_level, campaign, engine)
    by_importance = method == "importance"
    fields = estimate_by_importance(question, tilt) if by_importance else estimate_by_splitting(question, levels)
    campaign.warn_of_failures()
    return Rare(
        event=parsed,
        policy=chosen.name,
        method=method,
        confidence_level=confidence_level,
        is_cheaper=bool(fields["gain"] > 1),
        is_trusted=not fields["doubts"],
        n_failed=campaign.n_failed,
        computed_under=campaign.computed_under(scenario),
        **fields,
    )
