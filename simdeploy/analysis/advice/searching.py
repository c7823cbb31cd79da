"""Finds worlds of one kind of release in which what was seen happened."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.disturbed import outage_chance
from simdeploy.analysis.advice.finding import Supply
from simdeploy.analysis.advice.guiding import Guide
from simdeploy.analysis.advice.node_table import RUNNING
from simdeploy.analysis.advice.proposing import Proposal, Proposer
from simdeploy.analysis.advice.proposing_batches import BatchProposer
from simdeploy.analysis.advice.proposing_lives import TRIES, LifeProposer
from simdeploy.analysis.advice.proposing_nodes import NodeGuide, NodeProposer
from simdeploy.analysis.advice.proposing_spells import TRIES as TRIES_OF_DEALT, SpellProposer
from simdeploy.analysis.advice.result import FEWEST_EFFECTIVE
from simdeploy.analysis.advice.rollouts import Rollouts
from simdeploy.analysis.advice.sieving import RootsWithOutages, Sieve
from simdeploy.analysis.advice.strata import Stratum
from simdeploy.analysis.advice.straying import RoughRollouts, Strays, find_strays
from simdeploy.analysis.advice.totals import Exposures
from simdeploy.analysis.advice.turns import count_at_once, list_steps, together
from simdeploy.analysis.advice.ways import find_spells
from simdeploy.engines.choice import expect_seconds, why_not_compiled
from simdeploy.engines.continuing import Worlds, run_continued
from simdeploy.experiments.arguments import MOST_REPLICATIONS
from simdeploy.vocabulary import STATES
from simdeploy.world.dealing import fixed_order

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
# The least fraction of proposals with an outage of a zone, and the largest.
_LEAST_OUTAGES, _MOST_OUTAGES = 0.1, 0.9
# The least number of roots with an outage: by zone, and of all, because zones are mostly alike.
_OUTAGES_OF_ZONE, _ENOUGH_OUTAGES = 10, 100
# The chance of an outage in worlds that only show whether outages matter.
_FREQUENT = 0.05
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
    """Worlds of one kind that agree, with log weights; `lost` are the log weights of worlds that could not be drawn.

    The sum of all weights estimates the chance of what was seen, given the kind.
    """

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
        self._first = first = place[0] * span
        self.guide: Guide | NodeGuide | None = None
        self._sieve: Sieve | None = None
        self.log_likelihood = 0.0
        self._strays: tuple[Strays, ...] = ()
        # If outages are rarer than they should be among the proposals, these are drawn from separate roots.
        self._with_outages: RootsWithOutages | None = None
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
            end_ns = seen.last.at_ns if course is None else course.end_ns
            n_learned = -(-_LEARNED // scenario.fleet.nodes) if self._has_spells and course is not None else 0
            used = self._most_roots + _PILOT + n_learned
            zones = self._find_suspect_zones()
            if 0 < outage_chance(scenario.fleet, len(zones), end_ns) < _LEAST_OUTAGES:
                self._with_outages = RootsWithOutages(scenario.fleet, zones, seed, end_ns, first + used)
                used = self._with_outages.end - first
            self._supply = Supply(first + used, span - used, (span - used) // _MOST_PROPOSED)
            if n_learned:
                self._learn(first + self._most_roots + _PILOT + np.arange(n_learned))
            pilot = self._rollouts(first + self._most_roots + np.arange(_PILOT))
            self._sieve = self._make_sieve(pilot)
            if self.guide and not self._has_spells:
                self.log_likelihood = self.guide.log_likelihood + math.log(float(kind.probability))
        self._restart()

    def _restart(self) -> None:
        self._usual = Stratum()  # of all roots, because nothing is proposed from those with an outage
        self._rare = Stratum(self._with_outages.chance) if self._with_outages else None
        # Worlds that agree if totals of requests are left aside, and which of these totals any of them can have had.
        self.n_agreeing = 0
        self.possible_totals = np.zeros(len(self._seen.totals), dtype=bool)

    def _find_suspect_zones(self) -> np.ndarray:
        """Return the zones of which an outage may explain what was seen: all, unless a table shows which nodes don't run."""
        table, fleet = self._seen.nodes, self._scenario.fleet
        order, orchestrator = fixed_order(fleet), self._scenario.orchestrator_of(self._seen.policy)
        every = np.arange(fleet.zones)
        if table is None or orchestrator.unreachable_nodes == "wait" or (table.zones is None and order is None):
            return every
        zones = table.zones if table.zones is not None else np.asarray(order) % fleet.zones
        turns = slice(table.n_turns)
        return np.intersect1d(every, zones[turns][table.status[turns] != RUNNING])

    def _make_sieve(self, pilot: Rollouts) -> Sieve:
        """Return the sieve of roots, that of a guide if there can be one."""
        course, table, plan = self._course, self._seen.nodes, self._plan
        if course is not None and not course.pauses and plan.pacing == "barrier":
            self.guide = Guide(pilot, course)
            return self.guide.sieve
        if table is not None and (plan.pacing != "sliding" or table.knows_verdicts):
            guide = NodeGuide(pilot, table, self._seen.last.at_ns)
            # If nodes have other laws in each world, it only tells which slowdowns are probable.
            self.guide = guide if pilot.are_alike else None
            return guide.sieve
        return Sieve(pilot, {})

    def _learn(self, roots: np.ndarray) -> None:
        """Learn how often nodes deviate from their laws."""
        rare = self._with_outages.take(len(roots)) if self._with_outages else roots[:0]
        self._strays = find_strays(self._rough_rollouts(np.concatenate([roots, rare])))

    def needs_more(self, wanted: int) -> bool:
        """Return whether fewer than `wanted` worlds are found in all, and more can be."""
        is_left = self.n_found < wanted and self._n_proposed < self._most and self.n_tried < self._most_roots
        return is_left and not self._is_hopeless(wanted) and not self._is_stopped()

    def find_more(self, wanted: int) -> None:
        """Propose as many worlds as may be needed for `wanted` in all; the first time, only that many."""
        # The first proposals show how many should have an outage.
        size = 4 * self._n_proposed or (wanted if self._with_outages is None else -(-wanted // 2))
        if self.n_found:
            size = int(1.1 * (wanted - self.n_found) / self._expect_found()) + 1
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
        return float(np.logaddexp.reduce(self._log_weights)) + math.log(float(self._kind.probability))

    @property
    def is_settled(self) -> bool:
        """Return whether enough worlds share the weight: otherwise it may lie in worlds that are too rare to have been found yet."""
        if not self.n_found:
            return False
        log_weights = self._log_weights
        weights = np.exp(log_weights - log_weights.max())
        return bool(weights.sum() ** 2 >= _FEWEST_SHARING * (weights**2).sum())

    def _try(self, size: int) -> None:
        """Propose about `size` worlds, from the next roots that pass the sieve."""
        if self._rare is not None:
            n = round(self._outage_share * size)
            roots, log_kept = self._take_outages(n)
            self._propose_from(self._rare, roots, log_kept)
            size -= min(len(roots), n)
        self._propose_from(self._usual, *self._take_usual(size))

    def _take_usual(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the next n roots that pass the sieve, and the log probabilities of that; none with an outage if these are separate."""
        parts, usual = [(np.zeros(0, dtype=np.int64), np.zeros(0))], self._usual
        while n and usual.n_roots < self._most_roots:
            n_roots = min(4 * n if self._sieve else n, self._most_roots - usual.n_roots)
            roots = self._first + usual.n_roots + np.arange(n_roots)
            kept, logs = self._sieve.sift(roots) if self._sieve else (np.arange(n_roots), np.zeros(n_roots))
            if self._with_outages:
                others = ~self._with_outages.are_among(roots[kept])
                kept, logs = kept[others], logs[others]
            kept, logs = kept[:n], logs[:n]
            n -= len(kept)
            usual.n_roots += n_roots if n else int(kept[-1]) + 1
            parts.append((roots[kept], logs))
        roots, log_kept = (np.concatenate(each) for each in zip(*parts, strict=True))
        return roots, log_kept

    def _take_outages(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return those of n roots with an outage that pass the sieve, and the log probabilities of that; the first time, some more."""
        assert self._rare is not None and self._with_outages is not None and self._sieve is not None  # noqa: S101, PT018 - it has laws
        if not self._rare.n_roots:
            n = max(n, self._enough_outages)
        roots = self._with_outages.take(n)
        self._rare.n_roots += len(roots)
        kept, logs = self._sieve.sift(roots, have_outage=True)
        return roots[kept], logs

    def _propose_from(self, stratum: Stratum, roots: np.ndarray, log_kept: np.ndarray) -> None:
        """Propose a world from each root; add those that agree to a stratum."""
        if not len(roots):
            return
        slots = self._n_proposed + np.arange(len(roots))
        stratum.n_proposed += len(roots)
        proposal = self._propose(roots, slots, -log_kept)
        log_weights = proposal.log_weights
        possible = np.isfinite(log_weights)
        places = np.flatnonzero(possible & proposal.are_drawn)
        places, logs = self._agree(proposal, places)
        worlds = Worlds(proposal.worlds.roots[places], proposal.worlds.nodes[places])
        stratum.add(worlds, log_weights[places] + logs, lost=log_weights[possible & ~proposal.are_drawn])
        self._report_progress(len(places))

    @property
    def _strata(self) -> list[Stratum]:
        return [self._usual] if self._rare is None else [self._usual, self._rare]

    @property
    def n_tried(self) -> int:
        """How many roots were drawn."""
        return sum(stratum.n_roots for stratum in self._strata)

    @property
    def n_found(self) -> int:
        """How many worlds agree."""
        return sum(stratum.n_found for stratum in self._strata)

    @property
    def _n_proposed(self) -> int:
        return sum(stratum.n_proposed for stratum in self._strata)

    @property
    def _log_weights(self) -> np.ndarray:
        return np.concatenate([stratum.log_weights for stratum in self._strata])

    @property
    def found(self) -> Found:
        """What was found."""
        worlds = [each for stratum in self._strata for each in stratum.worlds]
        nothing = Worlds(np.zeros(0, dtype=np.int64), np.zeros((0, self._plan.total), dtype=np.int64))
        joined = Worlds(
            *(np.concatenate([getattr(each, name) for each in [nothing, *worlds]]) for name in ("roots", "nodes"))
        )
        lost = np.concatenate([stratum.lost for stratum in self._strata])
        return Found(self._kind, self.n_tried, joined, self._log_weights, lost)

    @property
    def _enough_outages(self) -> int:
        """Roots with an outage that show whether outages matter."""
        return min(_OUTAGES_OF_ZONE * len(self._with_outages.zones), _ENOUGH_OUTAGES) if self._with_outages else 0

    @property
    def log_missed(self) -> float:
        """The log joint chance of this kind, what was seen, and an outage, if too few roots with an outage were found to tell.

        A few worlds with more frequent outages show it, unless those that were found have at least half of it.
        """
        if self._with_outages is None or self._rare is None or self._rare.n_roots >= self._enough_outages:
            return -math.inf
        factor = _FREQUENT / self._with_outages.chance
        search = copy(self)
        search.begin_again(self._with_outages.multiply(factor))
        log_missed = search.log_found - math.log(factor)
        log_rare = self._rare.log_total + math.log(float(self._kind.probability))
        return log_missed if log_missed > log_rare + math.log(2) else -math.inf

    def begin_again(self, outages: RootsWithOutages) -> None:
        """Forget what was found, and propose the first worlds with other outages; copies begin again without changing the original."""
        self._with_outages = outages
        self._scenario = replace(self._scenario, fleet=outages.fleet)
        self._restart()
        self._report_progress = lambda _: None
        if self._strays:
            self._learn(outages.first + np.arange(_PILOT))
        self._try(0)

    @property
    def _outage_share(self) -> float:
        """The fraction of the next proposals that should have an outage, by the standard deviations of the weights (Neyman)."""
        if self._rare is None:
            return 0.0
        if not self.n_found:
            return _MOST_OUTAGES / 2 if self._n_proposed else _LEAST_OUTAGES
        most = self._log_weights.max()
        usual, rare = (stratum.spread(most) for stratum in self._strata)
        return min(max(rare / (usual + rare), _LEAST_OUTAGES), _MOST_OUTAGES)

    def _expect_found(self) -> float:
        """Return the fraction of the next proposals that will agree, by those so far."""
        shares = [1 - self._outage_share, self._outage_share]
        fractions = [stratum.n_found / max(stratum.n_proposed, 1) for stratum in self._strata]
        return sum(share * fraction for share, fraction in zip(shares, fractions, strict=False))

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
        if self._strays:
            return self._rough_rollouts(roots)
        return Rollouts(self._scenario, self._seen.policy, self._plan, self._kind, self._seed, roots)

    def _rough_rollouts(self, roots: np.ndarray) -> RoughRollouts:
        assert self._course is not None  # noqa: S101 - a table has exact chances
        shared = self._scenario, self._seen.policy, self._plan, self._kind, self._seed, roots
        return RoughRollouts(*shared, self._engine_of_lives, float(self._course.end_ns), self._strays)

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
