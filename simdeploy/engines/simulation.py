"""One rollout, simulated: the first of the public calls."""

from __future__ import annotations

from simdeploy.engines.choice import check_engine, check_room
from simdeploy.engines.rollout import Rollout
from simdeploy.errors import SimulationError
from simdeploy.scenario import PolicyLike, ScenarioOrPath, as_scenario
from simdeploy.world.streams import SEED_LIMIT, WORD_LIMIT, whole_number


def simulate(
    scenario: ScenarioOrPath,
    policy: PolicyLike | None = None,
    *,
    seed: int = 0,
    replication: int = 0,
    engine: str = "auto",
) -> Rollout:
    """Simulate one rollout.

    Parameters
    ----------
    scenario : Scenario or path
        The world, as :func:`simdeploy.read_scenario` gives it, or the path of its file.
    policy : str, path, mapping, spec or document, optional
        The name of one of the scenario's policies; the path of a policy file; a deployment spec: fields as in the API, and
        `dialect` unless it is the default; or what `read_deployment` or `read_policy` returns. Default: the scenario's first
        policy.
    seed : int, default 0
        Of the random numbers, 0 to 2**64 - 1.
    replication : int, default 0
        Which of the worlds of that seed, 0 to 2**32 - 1; it is the same for every policy.
    engine : {'auto', 'compiled', 'reference'}
        ``auto`` is the reference engine, which records all events. The compiled engine returns only the responses; the
        reference engine then makes the tables on first access. It doesn't support rollouts on record (`fleet.records`).

    Returns
    -------
    Rollout
        `.responses`, `.events`, `.timeline`, `.nodes`, `.revisions`, `.deployment`, `.deployments`.

    Raises
    ------
    InputError
        If there is no such policy or engine, a number is out of range, or the fleet is too large for the engine.
    SimulationError
        If the rollout runs past what 64-bit times can hold.

    Examples
    --------
    >>> import simdeploy
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "ten nodes",
    ...     "fleet": {"nodes": 10, "update_duration": "30s"},
    ...     "policies": {"in-twos": {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}}},
    ... })
    >>> rollout = simdeploy.simulate(scenario, "in-twos")
    >>> rollout.responses["state"], rollout.responses["makespan_s"]
    ('completed', 300.0)
    """
    scenario = as_scenario(scenario)
    seed = whole_number(seed, "seed", SEED_LIMIT)
    replication = whole_number(replication, "replication", WORD_LIMIT)
    check_engine(engine, [scenario])
    chosen = scenario.policy(policy)
    check_room(scenario, [chosen], "compiled" if engine == "compiled" else "reference")
    if engine != "compiled":
        return Rollout(scenario, chosen, seed=seed, replication=replication, engine="reference")
    from simdeploy.engines.compiled.engine import run_compiled

    block = run_compiled(scenario, [chosen], seed=seed, first=replication, count=1)
    values = block.row(0, 0)
    if values.pop("status") != "ok":
        raise SimulationError(values["error"])
    return Rollout(scenario, chosen, seed=seed, replication=replication, engine=engine, response_values=values)
