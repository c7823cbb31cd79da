"""The probability of an event that plain simulation would hardly ever meet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.frames import make_frame
from simdeploy.analysis.levels import level_problems
from simdeploy.analysis.rare.events import Met, look_for
from simdeploy.analysis.rare.importance import choose_tilt, plain_rollouts, weigh_up
from simdeploy.analysis.rare.result import STEP_COLUMNS, Rare
from simdeploy.analysis.rare.rollouts import CONCERNED, HAPPENED, TOUCHED, UNKNOWN, Rollouts, choose_levels
from simdeploy.analysis.rare.splitting import Split, split
from simdeploy.analysis.weighted import log_interval, ratio
from simdeploy.engines.branching import LEVELS_OF
from simdeploy.engines.choice import choose_engine
from simdeploy.errors import InputError, Problem, nearest, shorten
from simdeploy.experiments import replicate
from simdeploy.experiments.arguments import check_numbers
from simdeploy.scenario.measures import Event, parse_event
from simdeploy.world.tilt import Tilt, tiltable

if TYPE_CHECKING:
    from simdeploy.experiments.progress import Progress
    from simdeploy.scenario import Scenario, ScenarioPolicy

METHODS = ("importance", "splitting")
# What chooses never judges: the pilots' worlds begin here.
_PILOT = 1 << 31
_PILOT_SHARE = 50
_FEWEST_PILOTS = 400
_REPETITIONS = 10
_FEWEST_EFFORT = 20
# Of independent repetitions: all but one are to meet the event, and none is to have more than this of the sum.
_LARGEST_SHARE = 0.4


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
    Importance sampling averages :math:`w 1_A`, w being the weight of a replication (model section 7). Splitting averages 10 independent
    runs of the scheme in `simdeploy.analysis.rare.splitting`. Both are unbiased; what is ``given`` makes a ratio of two such averages.
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
    parsed = _check(scenario, event, method, levels, confidence_level, rollouts, seed, engine)
    chosen = scenario.policy(policy)
    engine = choose_engine(engine, node_updates=rollouts * scenario.fleet.nodes)
    computed_under = {
        "scenario": scenario.name,
        "seed": seed,
        "engine": engine,
        "switches": scenario.orchestrator.switches(),
    }
    common = {"scenario": scenario, "chosen": chosen, "event": parsed, "rollouts": rollouts, "level": confidence_level}
    if method == "importance":
        found = _by_importance(**common, tilt=tilt, seed=seed, engine=engine, workers=workers, progress=progress)
    else:
        found = _by_splitting(**common, levels=levels, seed=seed, engine=engine, workers=workers)
    return Rare(
        event=parsed,
        policy=chosen.name,
        method=method,
        confidence_level=confidence_level,
        computed_under=computed_under,
        **found,
    )


def _check(
    scenario: Scenario,
    event: Event | str,
    method: str,
    levels: str | Mapping[str, Sequence[int]],
    confidence_level: float,
    rollouts: int,
    seed: int,
    engine: str,
) -> Event:
    problems = level_problems(confidence_level)
    if method not in METHODS:
        hint = nearest(method, METHODS)
        problems.append(Problem("no such method", ("method",), found=shorten(method), allowed=", ".join(METHODS), hint=hint))
    if scenario.tilt is not None:
        problems.append(Problem("the scenario is tilted already", ("scenario",), hint="give the tilt to estimate_rare"))
    counts = levels if isinstance(levels, str) else next(iter(levels), "")
    asked = [] if isinstance(levels, str) else list(levels.get(counts, ()))
    if counts not in LEVELS_OF or (not isinstance(levels, str) and len(levels) != 1):
        hint = nearest(counts, LEVELS_OF)
        problems.append(Problem("no levels", ("levels",), found=shorten(levels), allowed=", ".join(LEVELS_OF), hint=hint))
    whole = [isinstance(one, int | np.integer) and not isinstance(one, bool) and one >= 1 for one in asked]
    if not all(whole) or any(one >= other for one, other in zip(asked, asked[1:], strict=False)):
        allowed = "whole numbers above 0, ascending"
        problems.append(Problem("no levels", ("levels", counts), found=shorten(asked), allowed=allowed))
    try:
        check_numbers(replications=rollouts, seed=seed, engine=engine)
        kinds = tuple(kind.name for kind in scenario.release)
        parsed = parse_event(event, kinds) if isinstance(event, str) else event
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    return parsed


# -- importance sampling ---------------------------------------------------------------------------


def _by_importance(
    *,
    scenario: Scenario,
    chosen: ScenarioPolicy,
    event: Event,
    rollouts: int,
    level: float,
    tilt: Tilt | Mapping[str, float] | Sequence[str] | None,
    seed: int,
    engine: str,
    workers: int,
    progress: bool | Progress,
) -> dict[str, Any]:
    def run(tilt: Tilt, numbers: int | range, workers: int, progress: bool | Progress) -> Met:
        tilted = scenario.tilted(tilt)
        table = replicate(
            tilted,
            policies={chosen.name: chosen},
            replications=numbers,
            seed=seed,
            engine=engine,
            workers=workers,
            progress=progress,
        )
        return look_for(event, table, tilted)

    n_each = max(rollouts // _PILOT_SHARE, _FEWEST_PILOTS)
    rungs = []
    if isinstance(tilt, Tilt | Mapping):
        best = tilt if isinstance(tilt, Tilt) else Tilt.of(tilt)
    else:
        names = None if tilt is None else _names(scenario, tilt)
        pilot = range(_PILOT, _PILOT + n_each)
        best, rungs = choose_tilt(scenario, lambda one: run(one, pilot, 1, progress=False), names)
    met = run(best, rollouts, workers, progress)
    found = weigh_up(met, is_conditional=event.given is not None)
    diagnosis = found.diagnosis
    doubts = (*diagnosis.doubts, *_unknown(met.n_unknown, met.n_failed))
    steps = [
        {"stage": 0, "tilt": str(rung.tilt), "level": math.nan, "n": n_each, "n_hits": rung.n_hits}
        | {"fraction": rung.score, "used": rung.tilt == best}
        for rung in rungs
    ]
    n_pilot = n_each * len(rungs)
    numbers = _numbers(
        found.probability, found.standard_error, found.condition, rollouts - 1, level, doubts, rollouts + n_pilot
    )
    # What a rollout costs without a tilt, over what it costs here.
    cost_ratio = found.touched * rollouts / max(float(met.touched.sum()), 1.0)
    return {
        **numbers,
        "n_rollouts": rollouts,
        "n_pilot": n_pilot,
        "gain_in_updates": numbers["gain"] * cost_ratio,
        "doubts": doubts,
        "tilt": best.factors,
        "levels": (),
        "counts": "",
        "diagnosis": {name: value for name, value in asdict(diagnosis).items() if name != "doubts"},
        "steps": make_frame(steps, STEP_COLUMNS),
    }


def _names(scenario: Scenario, names: Sequence[str]) -> list[str]:
    asked = [names] if isinstance(names, str) else list(names)
    able = tiltable(scenario.fleet, scenario.release, scenario.operator)
    problems = [
        Problem("nothing is drawn here", ("tilt", str(name)), allowed=", ".join(able) or "nothing", hint=nearest(name, able))
        for name in asked
        if name not in able
    ]
    if problems:
        raise InputError(problems)
    return asked


# -- splitting -------------------------------------------------------------------------------------


def _by_splitting(
    *,
    scenario: Scenario,
    chosen: ScenarioPolicy,
    event: Event,
    rollouts: int,
    level: float,
    levels: str | Mapping[str, Sequence[int]],
    seed: int,
    engine: str,
    workers: int,
) -> dict[str, Any]:
    counts = levels if isinstance(levels, str) else next(iter(levels))
    process = Rollouts(scenario, chosen, event, counts, seed, engine)  # type: ignore[arg-type]
    n_pilot = 0
    if isinstance(levels, str):
        pilot_effort = max(rollouts // _PILOT_SHARE, _FEWEST_PILOTS)
        steps, n_pilot = choose_levels(process, effort=pilot_effort, first=_PILOT)
    else:
        steps = [int(one) for one in levels[counts]]
    effort = max(rollouts // (_REPETITIONS * (len(steps) + 1)), _FEWEST_EFFORT)
    firsts = [repetition * effort * (len(steps) + 1) for repetition in range(_REPETITIONS)]

    def run(first: int) -> Split:
        return split(process, steps, effort=effort, first=first, seed=seed)

    if workers > 1 and engine == "compiled":  # compiled code lets other threads go on
        with ThreadPoolExecutor(workers) as pool:
            runs = list(pool.map(run, firsts))
    else:
        runs = [run(first) for first in firsts]
    estimates = np.array([one.estimates for one in runs])
    happened, concerned = estimates[:, HAPPENED], estimates[:, CONCERNED]
    probability, error = ratio(happened, concerned)
    n_hits = int((happened > 0).sum())
    values = [value for one in runs for value in one.values]
    n_rollouts = sum(len(value) for value in values)
    doubts = list(_unknown(int(sum(value[:, UNKNOWN].sum() for value in values)), 0))
    if n_hits < _REPETITIONS - 1:
        doubts.insert(0, f"{n_hits} of {_REPETITIONS} independent repetitions met the event")
    elif happened.max() > _LARGEST_SHARE * happened.sum():
        doubts.insert(0, f"one of {_REPETITIONS} independent repetitions has {100 * happened.max() / happened.sum():.0f} % of the sum")
    numbers = _numbers(
        probability, error, float(concerned.mean()), _REPETITIONS - 1, level, doubts, n_rollouts + n_pilot
    )
    touched = sum(float(value[:, TOUCHED].sum()) for value in values) / n_rollouts
    return {
        **numbers,
        "n_rollouts": n_rollouts,
        "n_pilot": n_pilot,
        "gain_in_updates": numbers["gain"] * float(estimates[:, TOUCHED].mean()) / max(touched, 1.0),
        "doubts": tuple(doubts),
        "tilt": {},
        "levels": tuple(steps),
        "counts": counts,
        "diagnosis": {"repetitions": _REPETITIONS, "n_hits": n_hits},
        "steps": make_frame(_stages(steps, runs), STEP_COLUMNS),
    }


def _stages(levels: Sequence[int], runs: Sequence[Split]) -> list[dict[str, Any]]:
    rows = []
    for stage in range(len(levels) + 1):
        values = [one.values[stage] for one in runs if len(one.values) > stage]
        is_last = stage == len(levels)
        rows.append(
            {
                "stage": stage,
                "tilt": "",
                "level": math.nan if is_last else levels[stage],
                "n": sum(map(len, values)),
                "n_hits": int(sum(value[:, HAPPENED].sum() for value in values)),
                "fraction": math.nan if is_last else float(np.mean([one.fractions[stage] for one in runs])),
                "used": True,
            }
        )
    return rows


# -- both ------------------------------------------------------------------------------------------


def _numbers(
    probability: float,
    error: float,
    condition: float,
    degrees: int,
    level: float,
    doubts: Sequence[str],
    n_all: int,
) -> dict[str, float]:
    if doubts:
        unknown = ("probability", "low", "high", "standard_error", "plain_rollouts", "gain")
        return dict.fromkeys(unknown, math.nan)
    low, high = log_interval(probability, error, degrees, level)
    plain = plain_rollouts(probability, error, condition)
    return {
        "probability": probability,
        "low": low,
        "high": min(high, 1.0),
        "standard_error": error,
        "plain_rollouts": plain,
        "gain": plain / n_all,
    }


def _unknown(n_unknown: int, n_failed: int) -> list[str]:
    doubts = []
    if n_unknown:
        doubts.append(f"{n_unknown:,} rollouts never end, so that nobody can tell of them")
    if n_failed:
        doubts.append(f"{n_failed:,} rollouts failed")
    return doubts
