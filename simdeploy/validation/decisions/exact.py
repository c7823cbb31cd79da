"""Exact costs and verdicts of a policy: a recursion over waves whose failures are binomial."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.errors import InputError, Problem, shorten
from simdeploy.validation.decisions import moments
from simdeploy.validation.decisions.course import Course, Fate, Instant, read_course, read_fate
from simdeploy.vocabulary import VERDICTS

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.scenario.measures import Measure
    from simdeploy.world.release import ReleaseKind

_HOUR_S = 3600.0
# Accounts of a rollout. A stopped defective release has caused no delay.
_COST, _COST_WITHOUT_DELAY, _TIME = range(3)
_STARTED = Instant(after_s=0.0, failure=0.0, running=0.0)


class _Prices(NamedTuple):
    """By account, per second of the rollout, and per second of each node that is exposed or out of service."""

    delay: np.ndarray
    exposed: np.ndarray
    out: np.ndarray
    unrestored: np.ndarray  # per node that the rollout leaves out of service


@dataclass(frozen=True)
class ExactKind:
    """Exact results of a policy if the release is of one kind."""

    kind: str
    probability: float  # of the kind
    defective: bool
    stopped: float  # probability that the rollout is stopped: a false alarm, or a defective release caught
    completed: float  # probability that it completes: for a defective release, that it escapes
    # cost, cost_variance: mean and variance of the cost; NaN without costs
    cost: float
    cost_variance: float
    makespan_s: float  # mean, whether completed or stopped


@dataclass(frozen=True)
class Exact:
    """Exact results of a policy, by kind of release and over all of them."""

    kinds: tuple[ExactKind, ...]  # in the scenario's order

    @property
    def cost(self) -> float:
        """Mean cost of a rollout."""
        return math.fsum(kind.probability * kind.cost for kind in self.kinds)

    @property
    def cost_variance(self) -> float:
        """Variance of the cost of a rollout: within kinds, and between them."""
        cost = self.cost
        return math.fsum(kind.probability * (kind.cost_variance + (kind.cost - cost) ** 2) for kind in self.kinds)

    @property
    def verdicts(self) -> dict[str, float]:
        """Probability of each verdict."""
        return {verdict: self._rate(verdict, self.kinds) for verdict in VERDICTS}

    def value(self, measure: Measure) -> float:
        """Return the exact value of a measure: `cost`, `makespan_s`, or the rate of a verdict, each optionally given `good`,
        `defective` or a kind.

        Raises
        ------
        InputError
            For any other measure.
        """
        given = measure.given
        kinds = [kind for kind in self.kinds if given in (None, "defective" if kind.defective else "good", kind.kind)]
        total = math.fsum(kind.probability for kind in kinds)
        if total and measure.kind == "rate" and measure.of in VERDICTS:
            return self._rate(measure.of, kinds) / total
        if total and measure.kind == "mean" and measure.of in ("cost", "makespan_s"):
            return math.fsum(kind.probability * getattr(kind, measure.of) for kind in kinds) / total
        allowed = f"cost, makespan_s, {', '.join(VERDICTS)}, given a kind of release"
        raise InputError(Problem("not known exactly", found=shorten(str(measure)), allowed=allowed))

    @staticmethod
    def _rate(verdict: str, kinds: list[ExactKind] | tuple[ExactKind, ...]) -> float:
        is_stop = verdict in ("false_alarm", "stopped_defective")
        is_defective = verdict in ("escaped", "stopped_defective")
        return math.fsum(
            kind.probability * (kind.stopped if is_stop else kind.completed)
            for kind in kinds
            if kind.defective == is_defective
        )


def evaluate(scenario: Scenario, policy: ScenarioPolicy) -> Exact:
    r"""Compute exact costs and probabilities of verdicts of a policy.

    Parameters
    ----------
    scenario : Scenario
        One of identical nodes that start in a constant time, in barrier waves, whose health checks fail independently
        given the kind of release.

    Raises
    ------
    InputError
        With every value of scenario and policy that has no exact costs here.

    Notes
    -----
    All nodes of a wave start at the same time. A node fails to start with probability s, and has its verdict at one of few
    instants (:func:`simdeploy.validation.oracles.validation`). So from instant to instant the numbers of nodes that fail
    and that are running are binomial, given those unresolved, and the state (failed, unresolved) is a Markov chain; crossed
    limits and failed canaries absorb it. Each state carries the first two moments of the cost so far: time, exposed nodes
    and nodes out of service cost per second, which is linear in the nodes that failed to start. The recursion only adds and
    multiplies positive numbers, so probabilities far into a tail keep their digits. That a single node fails its health check
    is the complement of passing, with an absolute error of about 1e-15.

    Examples
    --------
    Half of the nodes fail; the second wave goes only if the first node passes.

    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m", "start_failure": 0.5},
    ...     "costs": {"hour_of_delay": 60, "false_alarm": 8},
    ...     "policies": {"p": {"strategy": "rolling", "max_parallel": 1, "max_failed_nodes": 0,
    ...                        "health_check": {"deadline": "2m", "min_healthy_time": "0s"}}},
    ... })
    >>> exact = evaluate(scenario, scenario.policy("p"))
    >>> exact.verdicts["false_alarm"], exact.cost
    (0.75, 7.5)
    """
    course = read_course(scenario, policy)
    return Exact(
        tuple(_evaluate_kind(scenario, course, read_fate(scenario, policy, kind), kind) for kind in scenario.release)
    )


def _evaluate_kind(scenario: Scenario, course: Course, fate: Fate, kind: ReleaseKind) -> ExactKind:
    stopped, completed = _walk(course, fate, kind, _read_prices(scenario, kind))
    (stop_costs, stop_squares), (costs, squares) = moments.paid(stopped), moments.paid(completed)
    of_stop = _COST_WITHOUT_DELAY if kind.defective else _COST
    p_stop, p_complete = moments.probability(stopped), moments.probability(completed)
    price = scenario.costs
    lumps = (0.0, 0.0) if price is None else (0.0, price.escape) if kind.defective else (price.false_alarm, 0.0)
    ends = (
        (p_stop, stop_costs[of_stop], stop_squares[of_stop], lumps[0]),
        (p_complete, costs[_COST], squares[_COST], lumps[1]),
    )
    cost = math.fsum(sum_ + p * lump for p, sum_, _, lump in ends)
    square = math.fsum(squares_ + 2 * lump * sum_ + p * lump**2 for p, sum_, squares_, lump in ends)
    return ExactKind(
        kind=kind.name,
        probability=float(kind.probability),
        defective=kind.defective,
        stopped=p_stop,
        completed=p_complete,
        cost=cost if price is not None else math.nan,
        cost_variance=max(square - cost**2, 0.0) if price is not None else math.nan,
        makespan_s=float(stop_costs[_TIME] + costs[_TIME]),
    )


def _read_prices(scenario: Scenario, kind: ReleaseKind) -> _Prices:
    """Return prices per second; a node's requests are served while it is exposed, and lost while it is out of service."""
    costs, node = scenario.costs, scenario.fleet.behaviour
    if costs is None:
        return _Prices(np.array([0.0, 0.0, 1.0]), np.zeros(3), np.zeros(3), np.zeros(3))
    per_second = float(node.requests_per_second)
    exposed = costs.failed_request * per_second * (1 - node.error_rate.mean) * kind.error_rate
    out = costs.unavailable_node_hour / _HOUR_S + costs.per_lost_request * per_second
    return _Prices(
        delay=np.array([costs.hour_of_delay / _HOUR_S, 0.0, 1.0]),
        exposed=np.array([exposed, exposed, 0.0]),
        out=np.array([out, out, 0.0]),
        unrestored=np.array([costs.per_unrestored_node, costs.per_unrestored_node, 0.0]),
    )


def _walk(course: Course, fate: Fate, kind: ReleaseKind, prices: _Prices) -> tuple[np.ndarray, np.ndarray]:
    """Follow a rollout wave by wave; return the moments of those that stop and of those that complete."""
    states, touched = moments.start(len(prices.delay)), 0
    stopped = np.zeros_like(states)
    instants = _with_next(fate)
    for wave, nodes in enumerate(course.plan.sizes):
        before, touched = touched, touched + nodes
        states = _pass_time(states, prices, course.start_s, touched=before, starting=nodes)
        states = moments.start_wave(states, nodes, fate.start_failure)
        waits = np.zeros(states.shape[:2])
        n_failed = states.shape[1]
        stops = course.stops(wave, n_failed, touched - np.arange(nodes + 1))
        any_stops = bool(stops.any())
        for instant, next_s in instants:
            states = _pass_time(states, prices, instant.after_s, touched=touched)
            states = moments.fail_some(states, instant.failure, n_failed=n_failed)
            states = moments.run_some(states, instant.running)
            if next_s == 0:
                continue  # verdicts at one instant are judged together
            if any_stops:
                stopping = np.where(stops, states, 0.0)
                stopped += _undo_stop(course, prices, stopping.sum(axis=(1, 2))[:, None], touched)
                states = states - stopping
            waits += states[:, :, 0]
            states[:, :, 0] = 0.0
            states = _trim(states)
        states = _trim(waits)
        if touched < course.plan.total:
            states = _pass_time(states, prices, course.bake_s, touched=touched)
    completed = states.sum(axis=1)[:, None]
    if kind.defective:
        completed = _undo_by_hand(course, prices, completed, touched, course.detection_s)
    else:
        completed = moments.pay(completed, np.zeros_like(prices.unrestored), prices.unrestored)
    return stopped, completed


def _with_next(fate: Fate) -> list[tuple[Instant, float]]:
    """Return the instants of a wave, from the end of starting on, and the time from each to the next."""
    instants = (_STARTED, *fate.instants)
    return list(zip(instants, [*(instant.after_s for instant in fate.instants), math.inf], strict=True))


def _pass_time(states: np.ndarray, prices: _Prices, seconds: float, *, touched: int, starting: int = 0) -> np.ndarray:
    """Charge for a span of time: of `touched` nodes those that failed to start are out of service, the others exposed."""
    if not seconds:
        return states
    fixed = prices.delay + prices.exposed * touched + prices.out * starting
    return moments.pay(states, seconds * fixed, seconds * (prices.out - prices.exposed))


def _undo_stop(course: Course, prices: _Prices, stopped: np.ndarray, touched: int) -> np.ndarray:
    if not course.rolls_back:
        return _undo_by_hand(course, prices, stopped, touched, course.undo_s)
    return moments.pay(stopped, prices.out * touched * course.rollback_s)


def _undo_by_hand(course: Course, prices: _Prices, ended: np.ndarray, touched: int, seconds: float) -> np.ndarray:
    """Charge for the seconds until people respond, and for the rollback of all nodes; nothing is delayed any more."""
    noticed = _pass_time(ended, prices._replace(delay=np.zeros_like(prices.delay)), seconds, touched=touched)
    return moments.pay(noticed, prices.out * touched * course.rollback_s)


def _trim(states: np.ndarray) -> np.ndarray:
    """Drop the highest numbers of failed nodes if no rollout reaches them without a stop."""
    reached = np.flatnonzero(states[0].reshape(states.shape[1], -1).any(axis=1))
    return states[:, : reached[-1] + 1] if len(reached) else states[:, :1]
