"""`backtest`: recorded rollouts under other policies."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.backtest.bounding import RESPONSES, Bounds, bound_rollout
from simdeploy.analysis.backtest.doubting import find_doubts
from simdeploy.analysis.backtest.modelling import Open, estimate
from simdeploy.analysis.backtest.reproducing import reproduce
from simdeploy.analysis.backtest.result import RECORDED, REPRODUCED, ROLLOUT, SUMMARY, Backtest
from simdeploy.analysis.backtest.summarizing import summarize
from simdeploy.analysis.calibration import calibrate
from simdeploy.engines.replay.refusing import find_refusals
from simdeploy.engines.replay.worlds import Past
from simdeploy.errors import InputError, Problem, collect, plural, raise_if_any, warn_user
from simdeploy.experiments.arguments import MOST_SEED, Progress, as_reporter, name_policies, whole_problems
from simdeploy.experiments.executors import choose_executor
from simdeploy.records import Records, as_records
from simdeploy.records.histories import History, read_histories, tell_once
from simdeploy.result import make_frame
from simdeploy.scenario.policies import read_policy_file
from simdeploy.statistics.levels import level_problems
from simdeploy.vocabulary import TERMINAL_STATES

if TYPE_CHECKING:
    from simdeploy.engines.replay.knowing import RunBy
    from simdeploy.experiments.jobs import Executor
    from simdeploy.scenario import PolicyLike

    _PolicyOrPath = PolicyLike | os.PathLike[str]


def backtest(
    records: Records | str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    policies: _PolicyOrPath | Iterable[_PolicyOrPath] | Mapping[str, _PolicyOrPath],
    *,
    mapping: Mapping[str, str] | None = None,
    nodes: int | None = None,
    modelled: int = 0,
    confidence_level: float = 0.95,
    seed: int = 0,
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    progress: bool | Progress = False,
) -> Backtest:
    """Estimate what recorded rollouts would have done under other policies.

    Parameters
    ----------
    records : Records, path or sequence of paths
        Records of past rollouts: from `read_records`, or files and folders that it reads.
    policies : policy, mapping of str to policy, or sequence of policies or paths
        Specs, documents, a scenario's policies or paths, optionally by name; files give their policies their names. A policy without
        an `orchestrator` runs under that of each record. The name "recorded" is reserved for the policy on record.
    mapping : mapping of str to str, optional
        Names of columns in the files, as for `read_records`.
    nodes : int, optional
        Size of the fleet in rollouts whose records don't state it, because a table of nodes lacks those that a stopped rollout left out.
    modelled : int, default 0
        How often to draw what is not on record of each rollout under each policy, from a calibration of all records, for an estimate
        between the bounds; 0 for no estimates.
    confidence_level : float, default 0.95
        Of each interval separately.
    seed : int, default 0
        Seed of these draws.
    executor, workers, cluster
        Where to draw, as for `sweep`; results don't depend on it.
    progress : bool or callable
        As for `replicate`, in draws.

    Returns
    -------
    Backtest

    Raises
    ------
    InputError
        If records or policies are not usable, or if a policy depends on data that are not on record.
    SimulationError
        If a worker process dies again and again on the same draw.

    Notes
    -----
    Each rollout is replayed by the reference engine. A node does what it did, counted from its dispatch; nodes go in the recorded
    order. What is not on record, such as the fate of nodes that were never dispatched, may be anything, so responses have bounds. These
    rest on the record alone. An estimate (`modelled`) also rests on the assumptions of `calibrate`. `docs/backtest.md` lists the
    assumptions.

    Examples
    --------
    >>> import simdeploy
    >>> health_check = {"deadline": "5m", "min_healthy_time": "30s"}
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "twenty nodes",
    ...     "fleet": {"nodes": 20, "update_duration": "30s", "start_failure": 0.2},
    ...     "policies": {"in-fours": {"strategy": "rolling", "max_parallel": 4, "max_failed_nodes": 9,
    ...                               "max_failed_nodes_percent": 50, "health_check": health_check}},
    ... })
    >>> records = simdeploy.simulate(scenario).to_records("monday")
    >>> strict = {"strategy": "rolling", "max_parallel": 4, "max_failed_nodes": 1, "health_check": health_check}
    >>> found = simdeploy.backtest(records, {"strict": strict})
    >>> rollouts = found.rollouts[found.rollouts["policy"] == "strict"]
    >>> print(rollouts[["response", "low", "high"]].head(3).to_string(index=False))
      response  low  high
       stopped  1.0   1.0
     completed  0.0   0.0
    makespan_s 30.0  30.0
    """
    counts = whole_problems(0, modelled=modelled) + whole_problems(1, nodes=1 if nodes is None else nodes)
    raise_if_any([*level_problems(confidence_level), *counts, *whole_problems(0, MOST_SEED, seed=seed)])
    modelled, seed, nodes = int(modelled), int(seed), None if nodes is None else int(nodes)
    where = choose_executor(executor=executor, workers=workers, cluster=cluster, engine="reference")
    report = as_reporter(progress)
    records = as_records(records, mapping)
    named = _name_policies(policies)
    problems: list[Problem] = []
    reproduced: list[dict[str, Any]] = []
    bounded: dict[str, dict[str, dict[str, Bounds]]] = {name: {} for name in (RECORDED, *named)}
    moved_s: dict[tuple[str, str], float] = {}  # by policy and rollout
    unknown: dict[tuple[str, str], Open] = {}
    histories = read_histories(records, nodes)
    run_by_own: list[RunBy | None] = []
    for place, history in enumerate(histories):
        name = str(history.rollout["rollout"])
        with collect(problems):
            case = _Case(history)
            run_by_own.append(case.recorded)
            reproduction = reproduce(history, case.known, case.recorded)
            reproduced.append(reproduction.row)
            bounded[RECORDED][name] = reproduction.bounds | case.on_record()
            for policy, given in named.items():
                with collect(problems, prefix=("rollout", name, policy)):
                    run_by = case.read(given)
                    outcome = bound_rollout(case.known, run_by)
                    bounded[policy][name], moved_s[policy, name] = outcome.bounds, outcome.moved_s
                    if outcome.unknown_ns is not None:
                        unknown[policy, name] = Open(name, place, case.known, run_by)
    raise_if_any(tell_once(problems))
    estimates: dict[str, dict[str, dict[str, float]]] = {name: {} for name in (RECORDED, *named)}
    if modelled and unknown:
        fitted = calibrate(records, goodness_samples=0).scenario
        means = estimate(list(unknown.values()), fitted, modelled, seed=seed, executor=where, report=report)
        for (policy, name), values in zip(unknown, means, strict=True):
            estimates[policy][name] = values
    rows = [
        row
        for name in bounded[RECORDED]
        for policy, of_policy in bounded.items()
        for row in _to_rows(
            name,
            policy,
            of_policy[name],
            bounded[RECORDED][name],
            estimates[policy].get(name, {}),
            moved_s.get((policy, name), 0.0),
        )
    ]
    defective = {str(history.rollout["rollout"]): history.rollout["defective"] for history in histories}
    summary = [
        row for name, of in bounded.items() for row in summarize(name, of, estimates[name], defective, confidence_level)
    ]
    doubts = [*_tell_not_reproduced(reproduced), *find_doubts(list(zip(histories, run_by_own, strict=True)))]
    for doubt in doubts:
        warn_user(doubt)
    return Backtest(
        rollouts=make_frame(rows, ROLLOUT),
        summary=make_frame(summary, SUMMARY),
        reproduced=make_frame(reproduced, REPRODUCED),
        confidence_level=confidence_level,
        n_dropped=int(records.dropped["rows"].sum()),
        warnings=tuple(doubts),
        computed_under={"policies": list(named), "nodes": nodes, "modelled": modelled, "seed": seed},
    )


def _tell_not_reproduced(reproduced: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a warning if the recorded policy doesn't reproduce the records, with the first difference; otherwise nothing."""
    missed = [row for row in reproduced if row["is_reproduced"] is False]
    if not missed:
        return []
    first = f"{missed[0]['rollout']}: {missed[0]['differs']}"
    verb = "is" if len(missed) == 1 else "are"
    count = f"{len(missed):,} of {plural(len(reproduced), 'rollout')} {verb} not reproduced by the recorded policy"
    return [f"{count}, so results of other policies may be wrong there: {first}"]


class _Case:
    """One recorded rollout, ready to be replayed."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._interpreter, self.recorded, self.known = Past.of(history)

    def on_record(self) -> dict[str, Bounds]:
        """Return the responses as they are on record."""
        rollout, nodes = self._history.rollout, self._history.nodes
        state, ended = rollout["state"], rollout["ended_s"]
        known = state in TERMINAL_STATES
        touched = float(sum(row["dispatched_at_s"] is not None for row in nodes))
        return {
            "stopped": Bounds(
                float(state in ("failed", "canceled")), 1.0 if not known else float(state != "completed")
            ),
            "completed": Bounds(float(state == "completed"), 1.0 if not known else float(state == "completed")),
            "makespan_s": Bounds(0.0, math.inf) if ended is None else Bounds(ended, ended),
            "touched_nodes": Bounds(touched, touched if known else float(len(nodes))),
        }

    def read(self, policy: Any) -> RunBy:
        """Return how a policy runs this rollout; raise `InputError` with the reason if it can't be replayed."""
        run_by = self._interpreter.read(policy, self.recorded)
        raise_if_any(list(find_refusals(self._history, self.known, self.recorded, run_by)))
        return run_by


def _name_policies(policies: Any) -> dict[str, Any]:
    """Return policies by name; files are read."""
    named = name_policies(() if policies is None else policies)
    if RECORDED in named:
        message = "this name is reserved for the policy on record; use another one"
        raise InputError(Problem(message, ("policies",), found=RECORDED))
    return {
        str(name): read_policy_file(given) if isinstance(given, str | os.PathLike) else given
        for name, given in named.items()
    }


def _to_rows(
    rollout: str,
    policy: str,
    bounds: Mapping[str, Bounds],
    recorded: Mapping[str, Bounds],
    estimates: Mapping[str, float],
    moved_s: float,
) -> list[dict[str, Any]]:
    return [
        {
            "rollout": rollout,
            "policy": policy,
            "response": response,
            "is_known": bounds[response].low == bounds[response].high,
            "low": bounds[response].low,
            "high": bounds[response].high,
            "modelled": estimates.get(response, math.nan),
            "moved_s": moved_s,
            "may_differ": policy != RECORDED
            and response in recorded
            and _may_differ(response, bounds[response], recorded[response]),
        }
        for response in RESPONSES
        if response in bounds
    ]


def _may_differ(response: str, bounds: Bounds, recorded: Bounds) -> bool:
    """Return whether a response is unknown, or differs from what is on record, if that is known."""
    if recorded.low != recorded.high:
        return response == "stopped"
    return bounds.low != bounds.high or not math.isclose(bounds.low, recorded.low, rel_tol=1e-12)
