"""One call of `advise` or `forecast`: the worlds in which what was seen happened, and the tables of the result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.analysis.advice.acting import Act, awaits_promotion
from simdeploy.analysis.advice.conditioning import Conditioned, condition
from simdeploy.analysis.advice.costing import CANCELED, SHIFTED, UNKNOWN, Costing, Priced
from simdeploy.analysis.advice.estimating import Interval, Weighted
from simdeploy.analysis.advice.evidence import read_evidence
from simdeploy.analysis.advice.impossible import find_failed_limit
from simdeploy.analysis.advice.result import ACTS, COURSE, FEWEST_EFFECTIVE, FORECAST, KINDS, WAITING, Advice
from simdeploy.analysis.advice.running import Outcomes, Runner, Way
from simdeploy.analysis.advice.seen import Look, Seen, read_seen
from simdeploy.analysis.advice.waiting import WAITS_S, Script, find_worth, list_scripts
from simdeploy.analysis.advice.ways import why_no_laws
from simdeploy.analysis.asking.pricing import describe_costs
from simdeploy.engines.choice import check_room, choose_engine
from simdeploy.errors import InputError, Problem, raise_if_any
from simdeploy.experiments.arguments import Progress, read_seed, whole_problems
from simdeploy.experiments.campaign import Campaign
from simdeploy.memory import check_rows_fit
from simdeploy.result import make_frame
from simdeploy.rules.waves import Plan, plan_waves
from simdeploy.scenario import Scenario, ScenarioOrPath, as_scenario
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.levels import level_problems
from simdeploy.units import NS_PER_S
from simdeploy.vocabulary import TERMINAL_STATES, VERDICTS

if TYPE_CHECKING:
    from simdeploy.experiments.jobs import Executor

_LEVELS = (0.025, 0.5, 0.975)
_TO_COME = ("time_left_s", "failed_nodes_to_come", "exposed_nodes_to_come")
_STATES = ("completed", "failed", "canceled")
_FEWEST = 10
# About how often each world is run, and how many whole worlds are tried for each that is kept.
_RUNS, _TRIES = 10, 1000
_INSTANTS = 50
# Acts whose costs differ by no more than this fraction are equally good; smaller ones are rounding errors.
_INDIFFERENT, _ROUNDING = 0.05, 1e-12
_BYTES_PER_NODE = 64  # in each world: the replication of its numbers, and its tries


class Given(NamedTuple):
    """What was seen, as the caller gave it."""

    policy: Any
    seen: Any
    at: Any
    evidence: Any


class Means(NamedTuple):
    """How to compute the answer, as the caller gave it."""

    replications: Any
    confidence_level: Any
    seed: Any
    engine: str
    executor: Executor | None
    workers: int
    cluster: str | None
    progress: bool | Progress


class Question:
    """One call: its arguments, and the worlds in which what was seen happened."""

    def __init__(self, scenario: ScenarioOrPath, given: Given, means: Means) -> None:
        self.scenario: Scenario = as_scenario(scenario)
        replications, confidence_level, seed, engine, executor, workers, cluster, progress = means
        raise_if_any([*level_problems(confidence_level), *whole_problems(_FEWEST, replications=replications)])
        replications, seed = int(replications), read_seed(seed, engine)
        if not self.scenario.release:
            raise InputError(Problem("the scenario has no release", ("scenario",)))
        self._level, self._seed = confidence_level, seed
        self._replications, self._workers, self._lock = replications, workers, Lock()
        self.seen: Seen = read_seen(self.scenario, given.policy, given.seen, given.at)
        orchestrator = self.scenario.orchestrator_of(self.seen.policy)
        fleet = self.scenario.fleet
        self.plan: Plan = plan_waves(self.seen.policy.policy, orchestrator, fleet.nodes, fleet.zones)
        self.seen = read_evidence(self.scenario, self.plan, self.seen, given.evidence)
        tries = _TRIES if why_no_laws(self.scenario, self.plan, self.seen) else _RUNS
        self._engine = choose_engine(
            engine,
            [(self.scenario, [self.seen.policy])],
            node_updates=tries * replications * fleet.nodes,
            in_bundles=False,
        )
        check_room(self.scenario, [self.seen.policy], self._engine)
        check_rows_fit(replications, _BYTES_PER_NODE * fleet.nodes, hint="use fewer replications")
        self._campaign = Campaign(seed, self._engine, executor, workers, cluster, None, progress)
        self._conditioned: Conditioned
        self._weighted: Weighted
        self._outcomes: Outcomes
        self._runner: Runner
        self._n_runs = 1

    @property
    def _look(self) -> Look:
        return self.seen.last

    @property
    def _state(self) -> str:
        return str(self._look.fields.get("state", "in_progress"))

    def _list_ways(self, acts: Sequence[Act]) -> list[Way]:
        """Return the ways to continue the worlds: without an act, under each act, and after waiting."""
        at_ns = self._look.at_ns
        ways: list[Way] = [((), None), *((act.script(at_ns), act.policy) for act in acts)]
        if acts and self.scenario.costs is not None:
            ways += [(script, None) for of_wait in self._list_scripts().values() for script in of_wait]
        return list(dict.fromkeys(ways))

    def _list_scripts(self) -> dict[tuple[str, int], list[Script]]:
        """Return the scripts of waiting, and of what people may do after it."""
        return list_scripts(
            self._look.at_ns,
            may_promote=awaits_promotion(self.seen.last.fields, self.seen.policy, self.plan),
            is_paused=self._state == "paused",
        )

    def condition(self, acts: Sequence[Act] = ()) -> None:
        """Draw the worlds, and continue them without an act and under each of `acts`."""
        ways = self._list_ways(acts)
        n, n_runs = self._replications, 1 + len(ways)
        self._campaign.expect(n * n_runs, nodes=self.scenario.fleet.nodes)
        self._n_runs, self._done, self._total = n_runs, 0, n * n_runs
        self._conditioned = condition(
            self.scenario,
            self.seen,
            replications=self._replications,
            seed=self._seed,
            engine=self._engine,
            workers=self._workers,
            report_progress=self._report_progress,
        )
        self._weighted = Weighted.of(self._conditioned, self._level)
        self._total = len(self._weighted.weights) * n_runs
        at_ns = self._conditioned.at_ns
        looks_ns = (at_ns, *(at_ns + wait_s * NS_PER_S for wait_s in WAITS_S))
        executor = self._campaign.executor(self._engine)
        self._runner = Runner(self._conditioned, executor, looks_ns, self._instants, self._report_progress)
        self._runner.run_all(ways)
        self._outcomes = self._runner.run()

    def _report_progress(self, n: int) -> None:
        with self._lock:
            self._done += n
            self._campaign.report(self._done, max(self._total, self._done))

    @property
    def _instants(self) -> tuple[int, ...]:
        """Times for which the course is forecast, up to about three times the usual length of the rest of the rollout."""
        rule_ns = self.seen.policy.policy.deadline_ns or 3600 * NS_PER_S
        law = self.scenario.fleet.behaviour.update_duration
        usual_ns = min(rule_ns, round(3 * law.mean * NS_PER_S) + (self.seen.policy.policy.min_healthy_ns or 0))
        left = max(len(self.plan.sizes) - int(self._look.fields.get("current_wave", 0)), 1) + 1
        at_ns = self._conditioned.at_ns
        return tuple(round(at_ns + left * usual_ns * number / _INSTANTS) for number in range(_INSTANTS + 1))

    @property
    def _is_trusted(self) -> bool:
        return self._conditioned.effective_worlds >= FEWEST_EFFECTIVE

    # -- going on ----------------------------------------------------------------------------------

    def forecast(self) -> dict[str, Any]:
        """Return the fields of a forecast."""
        conditioned = self._conditioned
        n_worlds = len(self._weighted.weights)
        self._campaign.note(n_worlds * self._n_runs, self._engine)
        under = self._campaign.computed_under(self.scenario) | {"policy": self.seen.policy.name}
        under |= describe_costs(self.scenario.costs, [Measure("cost")]) if self.scenario.costs else {}
        return {
            "kinds": make_frame(self._rows_of_kinds(), KINDS),
            "forecast": make_frame(list(self._rows_of_forecast()), FORECAST),
            "course": make_frame(self._rows_of_course(), COURSE),
            "state": self._state,
            "failed_limit": find_failed_limit(self.scenario, self.seen.policy, self.plan),
            "at_s": self.seen.at_ns / NS_PER_S,
            "is_assumed": self.seen.is_assumed,
            "n_worlds": n_worlds,
            "n_tried": sum(each.n_tried for each in conditioned.by_kind),
            "effective_worlds": conditioned.effective_worlds,
            "is_trusted": self._is_trusted,
            "why_tried": conditioned.why_any_tried,
            "confidence_level": self._level,
            "computed_under": under,
        }

    def _rows_of_kinds(self) -> list[dict[str, Any]]:
        places = {each.kind.name: place for place, each in enumerate(self._conditioned.by_kind)}
        rows = []
        for kind in self.scenario.release:
            posterior = Interval(0.0, 0.0, 0.0)
            if kind.name in places:
                posterior = self._weighted.kind(places[kind.name])
            rows.append(
                {
                    "kind": kind.name,
                    "defective": kind.defective,
                    "prior": float(kind.probability),
                    "posterior": posterior.estimate,
                    "low": posterior.low,
                    "high": posterior.high,
                }
            )
        return rows

    def _rows_of_forecast(self) -> Any:
        outcomes, weighted = self._outcomes, self._weighted
        for column, names in (("state", _STATES), ("verdict", VERDICTS)):
            for name in names:
                happens = outcomes.words[column] == name
                yield _row(name, math.nan, weighted.probability(happens.astype(float)))
        to_come = self._find_rest(outcomes)
        for name in _TO_COME:
            yield _row(name, math.nan, weighted.mean(to_come[name]))
            for level in _LEVELS:
                yield _row(name, level, weighted.quantile(to_come[name], level))

    def _find_rest(self, outcomes: Outcomes) -> dict[str, np.ndarray]:
        """Return the time left, and the failed and exposed nodes to come, in each world."""
        failed_now = outcomes.look(self._conditioned.at_ns)["failed_nodes"].astype(float)
        return {
            "time_left_s": self._time_left_s(outcomes),
            "failed_nodes_to_come": outcomes.numbers["failed_nodes"] - failed_now,
            "exposed_nodes_to_come": outcomes.exposed_later.astype(float),
        }

    def _time_left_s(self, outcomes: Outcomes) -> np.ndarray:
        if self._state in TERMINAL_STATES:
            return np.zeros(len(outcomes.looks))
        makespan_s = outcomes.numbers["makespan_s"]
        acts_s = (
            self._conditioned.at_ns + 1
        ) / NS_PER_S  # acts take effect up to half a second late, because times of worlds may be that much later
        return np.where(makespan_s <= acts_s, 0.0, makespan_s - self.seen.at_ns / NS_PER_S)

    def _rows_of_course(self) -> list[dict[str, Any]]:
        """Return updated and failed nodes over time: as seen so far, then quantiles."""
        rows = []
        values: dict[str, Any]
        for since_ns, fields in self.seen.past:
            values = {}
            for name in ("updated_nodes", "failed_nodes"):
                values |= dict.fromkeys((f"{name}_low", name, f"{name}_high"), fields.get(name, math.nan))
            rows.append({"time_s": since_ns / NS_PER_S, "is_past": True, **values})
        for at_ns in self._instants:
            values, look = {}, self._outcomes.look(at_ns)
            for name in ("updated_nodes", "failed_nodes"):
                counts = look[name].astype(float)
                quantiles = self._weighted.quantiles(counts, _LEVELS)
                values |= dict(zip((f"{name}_low", name, f"{name}_high"), quantiles, strict=True))
            rows.append({"time_s": at_ns / NS_PER_S, "is_past": False, **values})
        return rows

    # -- acts --------------------------------------------------------------------------------------

    def advise(self, acts: Sequence[Act]) -> Advice:
        """Compare the acts. The cheapest one is the best, unless another one may be cheaper by more than what is negligible."""
        at_ns, weighted = self._conditioned.at_ns, self._weighted
        outcomes = [self._runner.run(act.script(at_ns), act.policy) for act in acts]
        priced = self._price(acts, outcomes)
        costing = Costing(
            weighted,
            self.scenario,
            [each.kind.defective for each in self._conditioned.by_kind],
            self._level,
            has_enough=self._is_trusted,
        )
        means = [costing.mean(of_act) for of_act in priced]
        # An act that never ends in some worlds may be the best. One that never ends in any only waits, as a paused rollout does.
        may_end = [place for place, of_act in enumerate(priced) if not np.isnan(of_act.costs).all()]
        is_known = not any(math.isnan(means[place].estimate) for place in may_end)
        by_cost = sorted(may_end, key=lambda place: means[place].estimate) if is_known else []
        rows, differences = [], []
        for place, (act, mean) in enumerate(zip(acts, means, strict=True)):
            more = costing.difference(priced[place], priced[by_cost[0]]) if by_cost else UNKNOWN
            differences.append(more)
            words = outcomes[place].words["verdict"]
            rows.append(
                {
                    "act": act.name,
                    "cost": mean.estimate,
                    "low": mean.low,
                    "high": mean.high,
                    "is_trusted": mean.is_trusted,
                    "more_than_best": more.estimate,
                    "more_low": more.low,
                    "more_high": more.high,
                    "more_is_trusted": more.is_trusted,
                    "false_alarm": weighted.probability((words == "false_alarm").astype(float)).estimate,
                    "escaped": weighted.probability((words == "escaped").astype(float)).estimate,
                    "time_left_s": weighted.mean(self._time_left_s(outcomes[place])).estimate,
                }
            )
        waiting: list[dict[str, Any]] = []
        best = ""
        if by_cost:
            in_order = [priced[place] for place in by_cost]
            waiting = find_worth(self._runner, costing, in_order, weighted.weights, self._list_scripts())
            least = -_INDIFFERENT * abs(means[by_cost[0]].estimate) - _ROUNDING * max(means[by_cost[-1]].estimate, 0.0)
            others = [differences[place] for place in by_cost[1:]]
            is_clear = self._is_trusted and all(more.trusts_low and more.low >= least for more in others)
            # Waiting that pays is better than every act, so it doesn't matter which of them is the best.
            best = acts[by_cost[0]].name if is_clear or any(row["pays"] for row in waiting) else ""
        return Advice(**self.forecast(), acts=make_frame(rows, ACTS), waiting=make_frame(waiting, WAITING), best=best)

    def _price(self, acts: Sequence[Act], outcomes: Sequence[Outcomes]) -> list[Priced]:
        """Return costs and verdicts under each act, and which verdicts are known to be the same, or to follow from the kind."""
        policy, kinds = self.seen.policy.policy, range(len(self._conditioned.by_kind))
        by_clock = policy.rollout_deadline_ns is not None or policy.progress_deadline_ns is not None
        is_independent = not self._conditioned.why_any_tried and self.plan.pacing == "barrier" and not by_clock
        priced: list[Priced] = []
        for act, of_act in zip(acts, outcomes, strict=True):
            verdicts, mark = of_act.words["verdict"], ""
            if act.do == "cancel" and all(len(set(verdicts[self._weighted.columns(kind)])) <= 1 for kind in kinds):
                mark = CANCELED
            elif act.do in ("", "pause") and act.policy is None and is_independent and self._state != "paused":
                # A pause only shifts what nodes do.
                same = [each.verdicts for each in priced if each.mark == SHIFTED]
                mark = SHIFTED if all((verdicts == each).all() for each in same) else ""
            priced.append(Priced(of_act.costs, verdicts, mark))
        return priced


def _row(name: str, quantile: float, interval: Interval) -> dict[str, Any]:
    return {"measure": name, "quantile": quantile, **interval._asdict()}
