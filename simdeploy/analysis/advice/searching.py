"""Finds worlds of one kind of release in which what was seen happened."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.finding import Supply
from simdeploy.analysis.advice.guiding import Guide
from simdeploy.analysis.advice.proposing import Proposal, Proposer
from simdeploy.analysis.advice.proposing_batches import BatchProposer
from simdeploy.analysis.advice.proposing_lives import TRIES, LifeProposer
from simdeploy.analysis.advice.proposing_nodes import NodeGuide, NodeProposer
from simdeploy.analysis.advice.proposing_spells import TRIES as TRIES_OF_DEALT, SpellProposer
from simdeploy.analysis.advice.result import FEWEST_EFFECTIVE
from simdeploy.analysis.advice.rollouts import Rollouts
from simdeploy.analysis.advice.sieving import Sieve
from simdeploy.analysis.advice.straying import RoughRollouts, Strays, find_strays
from simdeploy.analysis.advice.totals import Exposures
from simdeploy.analysis.advice.turns import count_at_once, list_steps, together
from simdeploy.analysis.advice.ways import find_spells
from simdeploy.engines.choice import expect_seconds, why_not_compiled
from simdeploy.engines.continuing import Worlds, run_continued
from simdeploy.experiments.arguments import MOST_REPLICATIONS
from simdeploy.vocabulary import STATES

if TYPE_CHECKING:
    from collections.abc import Callable

    from simdeploy.analysis.advice.seen import Seen
    from simdeploy.analysis.advice.waves import Course
    from simdeploy.rules.waves import Plan
    from simdeploy.scenario import Scenario
    from simdeploy.world.release import ReleaseKind

# The most worlds that are proposed for a kind, and the most roots to choose them from, as a multiple.
_MOST_PROPOSED = 1 << 14
_ROOTS = 64
# Multiplies the roots if they must also fit how long people took to promote.
_IF_PROMOTED = 3
# Roots from which a guide is made.
_PILOT = 32
# A rollout that was seen as a table of nodes is neither paused nor stopped.
_OF_TABLES = [STATES.index(name) for name in ("in_progress", "completed")]
# Nodes from which to learn how often they deviate from their laws.
_LEARNED = 4096
# Worlds to try for a very improbable kind.
_FEW = 20
# Effective worlds of a kind from which its probability is known well enough to tell whether it is negligible.
_FEWEST_SHARING = 20
# The most whole worlds tried for all kinds, and about how long that may take.
_MOST_TRIED = 10_000_000
_MOST_TRIED_S = 120.0
# The most worlds, nodes of a wave, and worlds times batches and looks that are handled at a time.
_AT_ONCE = 10_000
_NODES_AT_ONCE = 500_000
_CHANCES_AT_ONCE = 500_000
# Give up on a kind without a single world after proposing this multiple of the wanted ones. When whole worlds are tried, give up if after
# this fraction of the tries it is clear that too few will be found.
_HOPELESS = 10
_ENOUGH_TO_TELL = 0.1


@dataclass(frozen=True, eq=False)
class Found:
    """Worlds of one kind that agree, with log weights; `lost` are the log weights of worlds that could not be drawn."""

    kind: ReleaseKind
    n_tried: int
    worlds: Worlds
    log_weights: np.ndarray
    lost: np.ndarray


class Search:
    """Finds worlds of one kind. So far, `n_tried` roots were drawn, and `n_found` worlds agree."""

    def __init__(
        self,
        scenario: Scenario,
        seen: Seen,
        plan: Plan,
        course: Course | None,
        kind: ReleaseKind,
        place: tuple[int, int],
        seed: int,
        engine: str,
        report_progress: Callable[[int], None],
        is_stopped: Callable[[], bool],
        *,
        has_laws: bool,
    ) -> None:
        self._scenario, self._seen, self._plan = scenario.given(kind.name), seen, plan
        self._course, self._kind, self._seed, self._engine = course, kind, seed, engine
        span = MOST_REPLICATIONS // place[1]
        first = place[0] * span
        self._first = first
        self.guide: Guide | NodeGuide | None = None
        self._sieve: Sieve | None = None
        self.log_likelihood = 0.0
        self._strays: tuple[Strays, ...] = ()
        self._has_laws, table = has_laws, seen.nodes
        self._has_spells = bool(find_spells(scenario))
        self._report_progress, self._is_stopped = report_progress, is_stopped
        self._fewest = FEWEST_EFFECTIVE / place[1]
        if not has_laws:
            most_s = _MOST_TRIED_S / place[1]
            self._most = int(min(_MOST_TRIED / place[1], most_s / expect_seconds(engine, scenario.fleet.nodes)))
            self._most_roots = span
            self._supply = Supply(first, span, 1)
        else:
            self._most = _MOST_PROPOSED
            if self._has_spells:
                steps = len(list_steps(plan, table)) if table is not None else course.n_waves if course else 0
                tries = (TRIES if course is None else TRIES_OF_DEALT) * (steps + 1)
                each_s = tries * expect_seconds(self._engine_of_lives, scenario.fleet.nodes)
                self._most = max(min(self._most, int(_MOST_TRIED_S / place[1] / each_s)), _FEW)
            self._most_roots = _MOST_PROPOSED * _ROOTS
            if any(plan.promotions) and not seen.policy.policy.auto_promote:
                self._most_roots *= max(min(_IF_PROMOTED, _MOST_TRIED // (self._most_roots * place[1])), 1)
            n_learned = -(-_LEARNED // scenario.fleet.nodes) if self._has_spells and course is not None else 0
            used = self._most_roots + _PILOT + n_learned
            self._supply = Supply(first + used, span - used, (span - used) // _MOST_PROPOSED)
            if n_learned and course is not None:
                learned = self._rollouts(first + used - n_learned + np.arange(n_learned))
                self._strays = find_strays(learned, self._engine_of_lives, float(course.end_ns))
            pilot = self._rollouts(first + self._most_roots + np.arange(_PILOT))
            if course is not None and not course.pauses and plan.pacing == "barrier":
                self.guide = Guide(pilot, course)
            elif table is not None and pilot.are_alike and (plan.pacing != "sliding" or table.knows_verdicts):
                self.guide = NodeGuide(pilot, table, seen.last.at_ns)
            self._sieve = self.guide.sieve if self.guide else Sieve(pilot, {}, seen.last.at_ns)
            if self.guide and not self._has_spells:
                self.log_likelihood = self.guide.log_likelihood + math.log(float(kind.probability))
        self.n_tried = self.n_found = self._n_proposed = 0
        # Worlds that agree if totals of requests are left aside, and which of these totals any of them can have had.
        self.n_agreeing = 0
        self.possible_totals = np.zeros(len(seen.totals), dtype=bool)
        self._parts: list[tuple[Worlds, np.ndarray, np.ndarray]] = []

    def needs_more(self, wanted: int) -> bool:
        """Return whether fewer than `wanted` worlds are found in all, and more can be."""
        is_left = self.n_found < wanted and self._n_proposed < self._most and self.n_tried < self._most_roots
        return is_left and not self._is_hopeless(wanted) and not self._is_stopped()

    def find_more(self, wanted: int) -> None:
        """Propose as many worlds as may be needed for `wanted` in all; the first time, only that many."""
        size = 4 * self._n_proposed or wanted
        if self.n_found:
            size = int(1.1 * (wanted - self.n_found) * self._n_proposed / self.n_found) + 1
        self._try(min(size, self._most - self._n_proposed, _AT_ONCE))

    def _is_hopeless(self, wanted: int) -> bool:
        """Return whether to give up, because too few worlds would be found."""
        if self._has_laws:
            return self._n_proposed >= _HOPELESS * wanted and not self.n_found
        part = self._n_proposed / self._most
        return part >= _ENOUGH_TO_TELL and self.n_found < part * self._fewest

    def glance(self) -> None:
        """Try a few worlds of a very improbable kind."""
        self._try(_FEW)

    @property
    def log_found(self) -> float:
        """The log joint chance of this kind and what was seen, as far as estimated."""
        if not self.n_found:
            return -math.inf
        log_weights = np.concatenate([each for _, each, _ in self._parts])
        prior = float(self._kind.probability) / self.n_tried
        return float(np.logaddexp.reduce(log_weights)) + math.log(prior)

    @property
    def is_settled(self) -> bool:
        """Return whether enough worlds share the weight: otherwise it may lie in worlds that are too rare to have been found yet."""
        if not self.n_found:
            return False
        log_weights = np.concatenate([each for _, each, _ in self._parts])
        weights = np.exp(log_weights - log_weights.max())
        return bool(weights.sum() ** 2 >= _FEWEST_SHARING * (weights**2).sum())

    def _try(self, size: int) -> None:
        """Propose about `size` worlds, from the next roots that pass the sieve."""
        parts, left = [], size
        while left and self.n_tried < self._most_roots:
            n = min(4 * left if self._sieve else left, self._most_roots - self.n_tried)
            roots = self._first + self.n_tried + np.arange(n)
            kept, logs = self._sieve.sift(roots) if self._sieve else (np.arange(n), np.zeros(n))
            kept, logs = kept[:left], logs[:left]
            left -= len(kept)
            self.n_tried += n if left else int(kept[-1]) + 1
            parts.append((roots[kept], logs))
        roots, log_kept = (np.concatenate(each) for each in zip(*parts, strict=True))
        slots = self._n_proposed + np.arange(len(roots))
        self._n_proposed += len(roots)
        proposal = self._propose(roots, slots, -log_kept)
        log_weights = proposal.log_weights
        possible = np.isfinite(log_weights)
        places = np.flatnonzero(possible & proposal.are_drawn)
        places, logs = self._agree(proposal, places)
        log_weights[places] += logs
        worlds = Worlds(proposal.worlds.roots[places], proposal.worlds.nodes[places])
        lost = log_weights[possible & ~proposal.are_drawn]
        self._parts.append((worlds, log_weights[places], lost))
        self.n_found += len(places)
        self._report_progress(len(places))

    @property
    def found(self) -> Found:
        """What was found."""
        worlds, log_weights, lost = zip(*self._parts, strict=True)
        together = Worlds(*(np.concatenate([getattr(each, name) for each in worlds]) for name in ("roots", "nodes")))
        return Found(self._kind, self.n_tried, together, np.concatenate(log_weights), np.concatenate(lost))

    def _propose(self, roots: np.ndarray, slots: np.ndarray, log_weights: np.ndarray) -> Proposal:
        if not self._has_laws:
            nodes = np.repeat(roots[:, np.newaxis], self._plan.total, axis=1)
            return Proposal(Worlds(roots, nodes), log_weights, np.ones(len(roots), dtype=bool))
        size = self._count_at_once(len(roots))
        parts = [slice(first, first + size) for first in range(0, len(roots), size)]
        return Proposal.join(
            self._propose_part(self._rollouts(roots[part]), slots[part], log_weights[part]) for part in parts
        )

    def _count_at_once(self, n: int) -> int:
        """Return how many of n worlds to propose at a time."""
        plan, course = self._plan, self._course
        if self._seen.nodes is None and plan.pacing == "rate" and course is not None:
            return max(_CHANCES_AT_ONCE // (course.n_waves * (len(course.stretches) + 1)), 1)
        if self._has_spells:
            return max(_NODES_AT_ONCE // (plan.total * (TRIES if course is None else TRIES_OF_DEALT)), 1)
        if self._seen.nodes is None:
            return n
        return max(_NODES_AT_ONCE // max(count_at_once(plan, wave) for wave in range(len(plan.sizes))), 1)

    def _propose_part(self, rollouts: Rollouts, slots: np.ndarray, log_weights: np.ndarray) -> Proposal:
        table, at_ns = self._seen.nodes, self._seen.last.at_ns
        if table is not None and self._has_spells:
            proposer = LifeProposer(rollouts, table, at_ns, self._engine_of_lives, log_weights)
            return proposer.propose(self._supply, slots)
        if table is not None:
            return NodeProposer(rollouts, table, at_ns, log_weights=log_weights).propose(self._supply, slots)
        assert self._course is not None  # noqa: S101 - what was seen is nodes or looks
        return self._proposer(rollouts, self._course, slots, log_weights).propose()

    @property
    def _engine_of_lives(self) -> str:
        """The engine with which nodes are tried: the compiled one if possible, because both give the same results."""
        return "compiled" if why_not_compiled() is None else self._engine

    def _rollouts(self, roots: np.ndarray) -> Rollouts:
        shared = self._scenario, self._seen.policy, self._plan, self._kind, self._seed, roots
        return RoughRollouts(*shared, self._strays, self._engine_of_lives) if self._strays else Rollouts(*shared)

    def _proposer(self, rollouts: Rollouts, course: Course, slots: np.ndarray, log_weights: np.ndarray) -> Proposer:
        orchestrator = self._scenario.orchestrator_of(self._seen.policy)
        stops = orchestrator.on_failure in ("rollback", "stop") and orchestrator.canary_gate == "all_healthy"
        never_failed = stops and self._plan.canaries > 0
        guide = self.guide if isinstance(self.guide, Guide) else None
        kind = BatchProposer if self._plan.pacing == "rate" else SpellProposer if self._has_spells else Proposer
        return kind(rollouts, course, self._supply, slots, log_weights, guide, never_failed=never_failed)

    def _agree(self, proposal: Proposal, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which worlds look like what was seen, and the log chances of the totals of requests."""
        if not len(places):
            return places, np.zeros(0)
        worlds = Worlds(proposal.worlds.roots[places], proposal.worlds.nodes[places])
        table, totals, plan, at_ns = self._seen.nodes, self._seen.totals, self._plan, self._seen.last.at_ns
        continued = run_continued(
            self._scenario,
            self._seen.policy,
            worlds,
            looks_ns=self._seen.instants_ns,
            nodes_at_ns=None if table is None and not totals else at_ns,
            change=(at_ns, "cancel"),  # what comes later need not be simulated
            seed=self._seed,
            engine=self._engine,
        )
        rollouts = self._rollouts(worlds.roots)
        if table is None or continued.nodes is None:
            agrees = self._seen.agree(continued.looks)
        else:
            agrees = table.agree(rollouts, continued.nodes, together(plan))
            agrees &= np.isin(continued.looks["state"][:, 0], _OF_TABLES)
        logs = np.zeros(len(places))
        if totals and continued.nodes is not None:
            of_totals = Exposures(rollouts, worlds, continued.nodes).weigh(totals)
            self.n_agreeing += int(agrees.sum())
            self.possible_totals |= np.isfinite(of_totals[agrees]).any(axis=0)
            logs = of_totals.sum(axis=1)
        agrees &= np.isfinite(logs)
        return places[agrees], logs[agrees]
