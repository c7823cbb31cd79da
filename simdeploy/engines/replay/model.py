"""The behaviour of nodes after their record ends: the laws of a fleet, given the rollout's record.

The nodes of a rollout share its slowdown, its level of start failures and its release, and each has its own error rate. Their
posterior laws given the record are computed on a grid of quantiles of the fleet's law, so this works for any law; the random
number that decides the value in a simulated world then selects a quantile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.units import NS_PER_S
from simdeploy.world.dealing import find_affected
from simdeploy.world.distributions import Constant, Distribution
from simdeploy.world.draws import Draws
from simdeploy.world.fleet import Behaviour, Fleet, NodeClass
from simdeploy.world.streams import Stream

if TYPE_CHECKING:
    from simdeploy.engines.replay.known import KnownRollout
    from simdeploy.world.operator import Operator
    from simdeploy.world.release import ReleaseKind

_POINTS = 1000  # of laws of a rollout
_POINTS_OF_NODES = 200
# The density at a duration is approximated by the probability of an interval around it, of this relative half width.
_WIDTH = 0.01
_LEAST = 1e-300


@dataclass(frozen=True)
class Model:
    """The world that a replay draws from after the record ends."""

    fleet: Fleet  # nodes by position; values that vary between rollouts are fixed
    release: tuple[ReleaseKind, ...]  # one, or none
    operator: Operator
    seed: int
    replication: int
    affected: list[bool]  # whether the release can affect a node
    baseline: list[float]  # error rate of each node


class Modeller:
    """Draws models of one rollout, given its record."""

    def __init__(
        self,
        known: KnownRollout,
        fleet: Fleet,  # with the laws; its classes are matched by name with the recorded ones
        kinds: Sequence[ReleaseKind],  # with prior probabilities; empty without a release
        operator: Operator,
    ) -> None:
        self._operator = operator
        self._nodes = len(known.nodes)
        self._fleet = _lay_out(known, fleet)
        numbers = {node_class.name: number for number, node_class in enumerate(fleet.classes, start=1)}
        class_of = np.array([numbers.get(name, 0) for name in known.class_names], dtype=np.int64)
        self._members = [np.flatnonzero(class_of == number) for number in range(len(self._fleet.behaviours))]
        self._seen = _Seen.of(known)
        kinds = _possible(kinds, known)
        self._branches = [self._branch(kind, _find_chances(kind, known, self._fleet, class_of)) for kind in kinds]
        weights = np.array([float(kind.probability) for kind in kinds])
        logs = np.array([branch.log_likelihood for branch in self._branches])
        weights = weights * np.exp(logs - logs.max()) if kinds and weights.sum() > 0 else np.ones(len(kinds))
        self._kind = np.cumsum(weights / weights.sum()) if kinds else np.ones(0)
        self._none = None if kinds else self._branch(None, np.zeros(self._nodes))
        self._slowdown = _Posterior.of(self._judge_slowdowns())

    def draw(self, seed: int, replication: int) -> Model:
        """Return the model of one replication."""
        draws = Draws(seed, replication, self._nodes)

        def once(stream: Stream) -> float:
            return draws.draw(stream, 0, 0)

        branch = self._none
        if branch is None:
            place = int(np.searchsorted(self._kind, once(Stream.RELEASE_KIND), side="right"))
            branch = self._branches[min(place, len(self._branches) - 1)]
        slow = self._slowdown.quantile(once(Stream.SLOWDOWN))
        level = branch.level.quantile(once(Stream.START_FAILURE_LEVEL))
        behaviours = [
            replace(
                each,
                slowdown=Constant(float(each.slowdown.quantile(slow))),
                start_failure=Constant(float(each.start_failure.quantile(level))),
            )
            for each in self._fleet.behaviours
        ]
        classes = tuple(
            replace(node_class, behaviour=behaviour)
            for node_class, behaviour in zip(self._fleet.classes, behaviours[1:], strict=True)
        )
        affected = draws.fleet(Stream.AFFECTED, self._nodes) < branch.chances
        rates = draws.fleet(Stream.ERROR_RATE, self._nodes)
        baseline = np.zeros(self._nodes)
        for number, members in enumerate(self._members):
            is_affected = affected[members].astype(np.int64)
            baseline[members] = branch.errors[number].draw(rates[members], is_affected)
        return Model(
            fleet=replace(self._fleet, behaviour=behaviours[0], classes=classes),
            release=() if branch.kind is None else (replace(branch.kind, probability=Fraction(1)),),
            operator=self._operator,
            seed=seed,
            replication=replication,
            affected=affected.tolist(),
            baseline=baseline.tolist(),
        )

    def _judge_slowdowns(self) -> np.ndarray:
        """Return the log-likelihood of the recorded durations, by the quantile of the slowdown."""
        log_likelihood, seen = np.zeros(_POINTS), self._seen
        for behaviour, members in zip(self._fleet.behaviours, self._members, strict=True):
            scale = _find_quantiles(behaviour.slowdown, _POINTS)[:, np.newaxis]
            law = behaviour.update_duration
            if np.ptp(scale) == 0:
                continue
            at = seen.ended_s[members]
            times = at[np.isfinite(at)] / scale
            density = law.cdf(times * (1 + _WIDTH)) - law.cdf(times * (1 - _WIDTH))
            log_likelihood += np.log(np.maximum(density, _LEAST)).sum(axis=1)
            at = seen.silent_s[members]
            hang = behaviour.start_hang
            silent = hang + (1 - hang) * law.survival(at[np.isfinite(at)] / scale)
            log_likelihood += np.log(np.maximum(silent, _LEAST)).sum(axis=1)
        return log_likelihood

    def _branch(self, kind: ReleaseKind | None, chances: np.ndarray) -> _Branch:
        """Return the posteriors if the release is of a kind that affects nodes with these probabilities."""
        seen = self._seen
        added = (0.0, 0.0) if kind is None else (kind.error_rate, kind.start_failure)

        log_likelihood = np.zeros(_POINTS)
        for behaviour, members in zip(self._fleet.behaviours, self._members, strict=True):
            p = _find_quantiles(behaviour.start_failure, _POINTS)[:, np.newaxis]
            fails = 1 - (1 - p) * (1 - chances[members] * added[1])
            log_likelihood += (seen.failed[members] * np.log(np.maximum(fails, _LEAST))).sum(axis=1)
            log_likelihood += (seen.started[members] * np.log(np.maximum(1 - fails, _LEAST))).sum(axis=1)
        level = _Posterior.of(log_likelihood)
        chances, total = chances.copy(), level.log_likelihood
        errors = []
        for behaviour, members in zip(self._fleet.behaviours, self._members, strict=True):
            rates = _ErrorRates.of(behaviour.error_rate, seen.requests[members], seen.bad_requests[members], added[0])
            errors.append(rates)
            affected, unaffected = chances[members] * rates.likelihood[1], (1 - chances[members]) * rates.likelihood[0]
            total += float((np.log(np.maximum(affected + unaffected, _LEAST)) + rates.log_scale).sum())
            chances[members] = np.divide(
                affected, affected + unaffected, out=chances[members], where=affected + unaffected > 0
            )
        return _Branch(kind, chances, level, errors, total)


@dataclass(frozen=True)
class _Seen:
    """The recorded data of each node, NaN or 0 if missing."""

    ended_s: np.ndarray  # duration of its only attempt
    silent_s: np.ndarray  # or how long the attempt had lasted when the record ends
    failed: np.ndarray  # attempts
    started: np.ndarray  # attempts: one or none
    requests: np.ndarray
    bad_requests: np.ndarray

    @classmethod
    def of(cls, known: KnownRollout) -> _Seen:
        rows = []
        for node in known.nodes:
            attempts = 1 if node.attempts is None else node.attempts
            is_alone, is_over = attempts == 1, node.start in ("started", "failed", "hangs")
            time_s = node.start_ns / NS_PER_S if node.start_ns > 0 and is_alone else np.nan
            windows = [window for window in node.windows or () if window.up]
            rows.append(
                (
                    time_s if is_over else np.nan,
                    np.nan if is_over else time_s,
                    attempts if node.start == "failed" else attempts - 1 if node.dispatched_ns is not None else 0,
                    node.start == "started",
                    sum(window.requests for window in windows),
                    sum(window.failed for window in windows),
                )
            )
        return cls(*np.array(rows, dtype=np.float64).reshape(-1, 6).T)


@dataclass(frozen=True)
class _Branch:
    """The posteriors if the release is of one kind."""

    kind: ReleaseKind | None
    chances: np.ndarray  # probability that it affects each node
    level: _Posterior
    errors: list[_ErrorRates]
    log_likelihood: float


@dataclass(frozen=True)
class _Posterior:
    """The posterior law of a quantile, given a record."""

    cdf: np.ndarray  # at the ends of equal intervals
    log_likelihood: float

    @classmethod
    def of(cls, logs: np.ndarray) -> _Posterior:
        weights = np.exp(logs - logs.max())
        return cls(
            np.concatenate([[0.0], np.cumsum(weights / weights.sum())]),
            float(logs.max() + np.log(weights.mean())),
        )

    def quantile(self, u: float) -> float:
        """Convert a quantile of the posterior law to one of the prior law."""
        return float(np.interp(u, self.cdf, np.linspace(0.0, 1.0, len(self.cdf))))


@dataclass(frozen=True)
class _ErrorRates:
    """Posterior error rates of a class's nodes, given their windows: unaffected by the release, and affected."""

    law: Distribution
    # Of the chances that a request succeeds and fails, by whether the release affects the node, and quantile.
    logs: tuple[np.ndarray, np.ndarray]
    requests: np.ndarray
    failed: np.ndarray
    likelihood: np.ndarray  # by whether it affects the node, and node
    log_scale: np.ndarray

    @classmethod
    def of(cls, law: Distribution, requests: np.ndarray, failed: np.ndarray, added: float) -> _ErrorRates:
        total = 1 - (1 - _find_quantiles(law, _POINTS_OF_NODES)) * (1 - np.array([[0.0], [added]]))
        good, bad = np.log(np.maximum(1 - total, _LEAST)), np.log(np.maximum(total, _LEAST))
        logs = _weigh(requests, failed, good[:, np.newaxis], bad[:, np.newaxis])
        scale = logs.max(axis=(0, 2), initial=-np.inf)
        likelihood = np.exp(logs - scale[:, np.newaxis]).mean(axis=2)
        return cls(law, (good, bad), requests, failed, likelihood, scale)

    def draw(self, u: np.ndarray, is_affected: np.ndarray) -> np.ndarray:
        """Return a rate for each node; nodes without windows have the prior law."""
        logs = _weigh(self.requests, self.failed, *(each[is_affected] for each in self.logs))
        weights = np.exp(logs - self.log_scale[:, np.newaxis])
        sums = weights.sum(axis=1, keepdims=True)
        cdf = np.cumsum(
            np.divide(weights, sums, out=np.full_like(weights, 1 / _POINTS_OF_NODES), where=sums > 0), axis=1
        )
        places = (cdf < u[:, np.newaxis]).sum(axis=1)
        given = _find_quantiles(self.law, _POINTS_OF_NODES)[np.minimum(places, _POINTS_OF_NODES - 1)]
        drawn: np.ndarray = np.where(self.requests > 0, given, self.law.quantile(u))
        return drawn


def _weigh(requests: np.ndarray, failed: np.ndarray, good: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Return the log-likelihood of nodes' requests, given the logarithms of the chances of each one."""
    weighed: np.ndarray = (requests - failed)[:, np.newaxis] * good + failed[:, np.newaxis] * bad
    return weighed


@lru_cache(maxsize=64)
def _find_quantiles(law: Distribution, n: int) -> np.ndarray:
    """Return equally likely quantiles of a law, which is the same for all rollouts."""
    return law.quantile((np.arange(n) + 0.5) / n)


def _lay_out(known: KnownRollout, fleet: Fleet) -> Fleet:
    """Return the fleet with the recorded nodes, by position, without crashes and outages of its own."""
    classes = tuple(
        NodeClass(node_class.name, None, _always_up(node_class.behaviour), _find_members(known, node_class.name))
        for node_class in fleet.classes
    )
    behaviour = _always_up(fleet.behaviour)
    return replace(
        fleet, nodes=len(known.nodes), zones=known.zones, order="index", behaviour=behaviour, classes=classes, first=()
    )


def _find_members(known: KnownRollout, name: str) -> tuple[int, ...]:
    return tuple(place for place, each in enumerate(known.class_names) if each == name)


def _always_up(behaviour: Behaviour) -> Behaviour:
    return replace(behaviour, crash=None, zone_outage=None, connection=None, down=False)


def _possible(kinds: Sequence[ReleaseKind], known: KnownRollout) -> list[ReleaseKind]:
    """Return the possible kinds of the release: the recorded one, or those with the same `defective`."""
    alike = [kind for kind in kinds if known.is_defective in (None, kind.defective)] or list(kinds)
    return [kind for kind in alike if kind.name == known.release] or alike


def _find_chances(kind: ReleaseKind, known: KnownRollout, fleet: Fleet, class_of: np.ndarray) -> np.ndarray:
    """Return the probability that a kind of release affects each node."""
    affects = kind.affects
    if affects.by == "share":
        return np.full(fleet.nodes, float(affects.share or 0))
    if affects.by == "count":
        return np.full(fleet.nodes, min(affects.count / fleet.nodes, 1.0))
    if affects.by == "zones":
        return np.isin(np.array(known.zone_of), [int(zone) for zone in affects.members]).astype(float)
    return find_affected(fleet, kind, class_of, Draws(0, 0, fleet.nodes)).astype(float)
