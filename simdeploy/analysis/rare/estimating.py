"""The probability of an event that plain simulation would hardly ever meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.rare.by_importance import estimate_by_importance
from simdeploy.analysis.rare.by_splitting import estimate_by_splitting
from simdeploy.analysis.rare.question import Question, check_question
from simdeploy.analysis.rare.result import Rare
from simdeploy.engines.choice import choose_engine
from simdeploy.engines.room import check_room

if TYPE_CHECKING:
    from simdeploy.experiments.progress import Progress
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.scenario.measures import Event
    from simdeploy.world.tilt import Tilt


def estimate_rare(
    scenario: Scenario,
    policy: str | Mapping[str, Any] | ScenarioPolicy | None = None,
    *,
    event: Event | str,
    method: str = "importance",
    tilt: Tilt | Mapping[str, float] | Sequence[str] | None = None,
    levels: str | Mapping[str, Sequence[int]] = "failed_nodes",
    rollouts: int = 20_000,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    workers: int = 1,
    progress: bool | Progress = False,
) -> Rare:
    r"""Estimate the probability of an event that is so rare that plain simulation would hardly ever meet it.

    Parameters
    ----------
    scenario : Scenario
        Without a tilt.
    policy : str, mapping or ScenarioPolicy, optional
        The scenario's first unless given.
    event : Event or str
        What happens in a rollout: ``min_in_service_fraction < 90%``, ``failed_requests_excess > 1e6 and escaped``,
        ``failed_nodes >= 12 given defective``.
    method : {'importance', 'splitting'}
        Importance sampling, where what chance decides once or for each node alone makes the event (failed starts, long updates, a
        slow day, a bad release); splitting, where it builds up over the waves of a rollout.
    tilt : Tilt, mapping of str to float, or sequence of str, optional
        Of importance sampling: factors by name, or the names of what may be tilted. By default a pilot chooses among everything
        that chance decides.
    levels : str, or mapping of str to sequence of int, default "failed_nodes"
        Of splitting: the response that it goes by, ``failed_nodes`` or ``peak_exposed_nodes``, and by it the levels; those a
        pilot chooses unless given.
    rollouts : int, default 20000
        That the estimate is over. A pilot takes some more.
    confidence_level : float, default 0.95
    seed : int
    engine : {'auto', 'compiled', 'reference'}
    workers : int
        Cores that work at it; changes no number.
    progress : bool or callable
        As `replicate` takes it; of importance sampling only.

    Returns
    -------
    Rare

    Raises
    ------
    InputError
        With everything that is wrong with the arguments.

    Notes
    -----
    Importance sampling averages :math:`w 1_A`, w being the weight of a replication (model section 9). Splitting averages 10 independent
    runs of the scheme in `simdeploy.statistics.splitting`. Both are unbiased. What is ``given`` divides them by its
    probability, where the scenario says that of the kinds of release; otherwise by an average of its own, with the error of a ratio.
    The interval is :math:`p e^{\pm t s / p}`, with n - 1 degrees of freedom, n being the rollouts or the runs (Asmussen and Glynn
    2007 [1]_, section VI.1, on relative errors; section V.2 on importance sampling).

    References
    ----------
    .. [1] Asmussen, S. and Glynn, P. W. (2007). Stochastic Simulation: Algorithms and Analysis. Springer.

    Examples
    --------
    Six of a hundred nodes that start in vain one time in a thousand: 1.1e-9 of all rollouts by the binomial law.

    >>> import simdeploy
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "hundred",
    ...     "fleet": {"nodes": 100, "update_duration": "30s", "start_failure": 0.001},
    ...     "policies": {"at-once": {"strategy": "immediate"}},
    ... })
    >>> found = simdeploy.estimate_rare(
    ...     scenario, event="failed_nodes >= 6", tilt={"start_failure": 60}, rollouts=2000, engine="reference"
    ... )
    >>> found.low < 1.099e-9 < found.high, found.plain_rollouts > 1e10
    (True, True)
    """
    parsed = check_question(scenario, event, method, levels, confidence_level, rollouts, seed, engine)
    chosen = scenario.policy(policy)
    engine = choose_engine(engine, node_updates=rollouts * scenario.fleet.nodes)
    check_room(scenario, [chosen], engine)
    question = Question(scenario, chosen, parsed, rollouts, confidence_level, seed, engine, workers)
    if method == "importance":
        found = estimate_by_importance(question, tilt, progress)
    else:
        found = estimate_by_splitting(question, levels)
    computed_under = {
        "scenario": scenario.name,
        "seed": seed,
        "engine": engine,
        "switches": scenario.orchestrator.switches(),
    }
    return Rare(
        event=parsed,
        policy=chosen.name,
        method=method,
        confidence_level=confidence_level,
        is_cheaper=bool(found["gain"] > 1),
        is_trusted=not found["doubts"],
        computed_under=computed_under,
        **found,
    )
