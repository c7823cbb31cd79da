r"""Worlds in which a table of nodes may have happened, and their weights.

First draw what all nodes share. Given that, and the start of its wave, each node is independent of the others, so the chance of the table
is the product of those of its rows (`simdeploy.analysis.advice.seen_chances`). Waves are proposed in order. A wave starts when the last
node of the previous one has its verdict in that world, so its observed start bounds that verdict, with the chance
:math:`\prod_i P_i(b) - \prod_i P_i(a)` as in `simdeploy.analysis.advice.proposing`.

Under sliding pacing a node has its turn when the first of those in flight gets its verdict (`simdeploy.analysis.advice.turns`). Nodes are
proposed in order, each from its turn in that world. Turns follow from earlier verdicts. So if the times of all verdicts are known, seeing
the turns adds nothing, and the chance of the table is still the product over rows.

If many times are known, only few values of what all nodes share make them probable. The guide computes the chance of the table, with waves
at their observed starts, for intervals of the slowdown and of the level of failures. Worlds are kept with probabilities that follow from
these chances, and weighted by the inverse.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.finding import Supply, find_replications, is_worth_compiling, least_chances
from simdeploy.analysis.advice.guiding import log_mean, middles, relate
from simdeploy.analysis.advice.laws import TINY, NodeLaw, log_chances
from simdeploy.analysis.advice.observed import NO, Observed
from simdeploy.analysis.advice.proposing import Proposal
from simdeploy.analysis.advice.rollouts import Rollouts
from simdeploy.analysis.advice.seen_chances import find_chances, split
from simdeploy.analysis.advice.sieving import Sieve
from simdeploy.analysis.advice.turns import Turns, count_at_once, find_turns, follows_clock, list_waves, together
from simdeploy.analysis.advice.waves import Span
from simdeploy.engines.continuing import Worlds
from simdeploy.rules.waves import BATCH_EVERY_NS
from simdeploy.world.streams import Stream, uniforms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.analysis.advice.drawing import Nodes
    from simdeploy.analysis.advice.node_table import NodeTable

# Intervals of the numbers that all nodes share; levels of failures are less well known than slowdowns.
_BINS, _BINS_OF_LEVELS = 256, 64
# A start, and a time relative to it, may each be off by the tolerance.
_GUIDE_SLACK = 2
# Nodes should be this many times easier to find than the least chance allows; to achieve that, the tolerance of their times may be
# multiplied by at most the second number.
_EASE, _MOST_WIDTH = 20.0, 40.0
_LOG_LIKELY = math.log(1e-2)
# The least chance of a node with counted windows, which are compared replication by replication.
_LEAST_COUNTED = 1e-5


class NodeProposer:
    """Proposes worlds of one kind of release for a table of nodes."""

    def __init__(
        self,
        rollouts: Rollouts,
        table: NodeTable,
        at_ns: int,  # the time of observation
        *,
        times_slack: int = 1,  # multiplies the tolerance of times
        knows_pauses: bool = True,  # whether the times of promotions are those of the rollouts
        log_weights: np.ndarray | float = 0.0,  # of the roots
    ) -> None:
        self._rollouts, self._table, self._at_ns, self._times_slack = rollouts, table, at_ns, times_slack
        self._dispatch_slack_ns = times_slack * table.dispatch_slack_ns(together(rollouts.plan))
        self._knows_pauses = knows_pauses
        self._nodes, agree = table.match(rollouts, together(rollouts.plan))
        self._n = len(rollouts.roots)
        self._log_weights = np.where(agree, log_weights, -np.inf)
        self._waves = list_waves(rollouts.plan, table)

    def propose(
        self,
        supply: Supply,
        slots: np.ndarray,  # numbers of the worlds in the supply
    ) -> Proposal:
        """Propose worlds, wave by wave."""
        n_nodes = self._rollouts.scenario.fleet.nodes
        self._numbers = np.repeat(self._rollouts.roots[:, np.newaxis], n_nodes, axis=1)
        self._are_drawn = np.ones(self._n, dtype=bool)
        starts = np.zeros((self._n, 1))
        for wave, places in self._waves:
            over = starts + self._draw(wave, places, starts, supply, slots)
            if follows_clock(self._rollouts.plan, wave):
                starts = starts + BATCH_EVERY_NS
            else:
                starts = (over.max(axis=1) + self._rollouts.pause_ns(wave))[:, np.newaxis]
        if self._waves and self._waves[-1][1].stop < self._table.n_turns:
            wave, places = self._waves[-1]
            turns = Turns(over, places.stop, self._table.after_ns(self._at_ns))
            for places in turns.follow(self._table.n_turns, lambda: self._is_possible):
                over = turns.begin + self._draw(wave, places, turns.begin, supply, slots)
                turns.end(over)
        return Proposal(Worlds(self._rollouts.roots, self._numbers), self._log_weights, self._are_drawn)

    @property
    def _is_possible(self) -> np.ndarray:
        return np.isfinite(self._log_weights) & self._are_drawn

    def _draw(self, wave: int, places: slice, starts: np.ndarray, supply: Supply, slots: np.ndarray) -> np.ndarray:
        """Give nodes numbers with which they do what was seen; return the times of their verdicts after their dispatch."""
        laws = self._rollouts.laws(wave)
        flat, seen, chances, late, narrowed = self._observe(wave, places, starts)
        self._log_weights = self._log_weights + log_chances(chances).sum(axis=1) + late
        worlds, columns = np.nonzero(np.repeat(self._is_possible[:, np.newaxis], chances.shape[1], axis=1))
        possible = flat.take(worlds * chances.shape[1] + columns)
        drawn = replace(possible, worlds=slots[worlds])
        wanted = seen.take((worlds, columns))
        wanted_chances = narrowed[worlds, columns]
        self._are_drawn[worlds[wanted_chances < self._find_rarest(laws, drawn, wanted)]] = False
        kept = np.flatnonzero(self._are_drawn[worlds])
        replications, at = find_replications(
            laws,
            drawn.take(kept),
            supply,
            self._rollouts.seed,
            wanted.take(kept).in_the_end,
            self._table.counts,
            is_compiled=is_worth_compiling(wanted_chances[kept]),
        )
        self._are_drawn[worlds[kept[replications < 0]]] = False
        self._numbers[worlds[kept], drawn.numbers[kept]] = np.maximum(replications, 0)
        times = np.zeros(chances.shape)
        times[worlds[kept], columns[kept]] = at
        return times

    def judge(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the log chance of the table, given the observed starts of waves, and each node's chance over the least that is found."""
        table, total = self._table, self._log_weights
        best: list[np.ndarray] = []
        last = 0.0
        for wave, places in self._waves:
            start = table.dispatch_of(places)
            start = last if math.isnan(start) else start
            starts = np.full((self._n, 1), 0.0 if wave == 0 else start)
            of_wave, ease = self._judge(wave, places, starts)
            total = total + of_wave
            is_known = wave == 0 or not math.isnan(table.dispatch_of(places))
            best.append(ease if is_known else np.maximum(ease, TINY))
            resolved = table.resolved_ns[places]
            pause_ns = float(np.median(self._rollouts.pause_ns(wave)))
            last = pause_ns + (float(np.nanmax(resolved)) if not np.isnan(resolved).all() else start)
            if follows_clock(self._rollouts.plan, wave):
                last = start + BATCH_EVERY_NS
        if self._waves and self._waves[-1][1].stop < table.n_turns:
            wave, places = self._waves[-1]
            starts = find_turns(table, places)[np.newaxis]
            of_turns, ease = self._judge(wave, slice(places.stop, table.n_turns), np.repeat(starts, self._n, axis=0))
            total = total + of_turns
            best.append(ease)
        return total, np.concatenate([*best, np.zeros((self._n, 0))], axis=1)

    def _judge(self, wave: int, places: slice, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log chance of some nodes, and the chance of each over the least that is found."""
        flat, seen, chances, late, _ = self._observe(wave, places, starts)
        least = self._find_rarest(self._rollouts.laws(wave), flat, seen.flat)
        return log_chances(chances).sum(axis=1) + late, chances / least.reshape(chances.shape)

    def _observe(
        self, wave: int, places: slice, starts: np.ndarray
    ) -> tuple[Nodes, Observed, np.ndarray, np.ndarray, np.ndarray]:
        """Return the nodes of a wave (flat), what was seen of them, and its chances, given their dispatches (`NodeTable.bound`).

        Also return the log chance that the last node was late enough for the next wave, and the chances given which node that was, to which
        what was seen is narrowed.
        """
        nodes = self._nodes[:, places]
        seen = self._table.bound(starts, places, self._at_ns, self._times_slack)
        low, high = self._bound_last(wave, places, starts)
        np.minimum(seen.high, np.where(seen.verdict < 0, np.inf, high[:, np.newaxis]), out=seen.high)
        flat = self._rollouts.pick(np.repeat(np.arange(self._n), nodes.shape[1]), nodes.ravel())
        chances = self._find_chances(self._rollouts.laws(wave), flat, seen.flat).reshape(nodes.shape)
        chances[:, self._table.dispatched[places] == NO] = 1.0  # laws say nothing of nodes that aren't reached
        late, narrowed = np.zeros(self._n), chances
        if np.isfinite(low).any():
            late, narrowed = self._choose_last(wave, flat, seen, chances, low)
        return flat, seen, chances, late, narrowed

    def _bound_last(self, wave: int, places: slice, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bound the last verdict of a wave, in times after its start, by the observed start of the next one."""
        table, plan = self._table, self._rollouts.plan
        low, high = -math.inf, math.inf
        is_known = (self._knows_pauses or not self._rollouts.awaits_promotion(wave)) and not follows_clock(plan, wave)
        if is_known and bool(table.are_resolved[places].all()) and wave + 1 < len(plan.sizes):
            following = slice(places.stop, places.stop + count_at_once(plan, wave + 1))
            low, high = float(self._at_ns), math.inf
            if following.start < table.n_turns:
                at = table.dispatched_ns[following]
                low, high = -math.inf, float(self._at_ns)
                if not np.isnan(at).all():
                    slack_ns = self._dispatch_slack_ns[following.start]
                    low = float(np.nanmax(at)) - slack_ns - 1
                    high = min(float(np.nanmin(at)) + slack_ns, high)
        begins = starts[:, 0] + self._rollouts.pause_ns(wave)
        return low - begins, high - begins

    def _choose_last(
        self, wave: int, flat: Nodes, seen: Observed, chances: np.ndarray, low: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose which node of each world was late enough to be the last; narrow `seen` to that, and return the new chances, too."""
        middle = np.minimum(np.broadcast_to(low[:, np.newaxis], chances.shape), seen.high)
        early_seen = replace(seen, high=middle.copy())
        early = self._find_chances(self._rollouts.laws(wave), flat, early_seen.flat).reshape(chances.shape)
        early = np.where(middle <= seen.low, 0.0, np.clip(early / np.maximum(chances, TINY), 0.0, 1.0))
        cumulated = np.cumprod(early, axis=1)
        late = 1 - cumulated[:, -1]
        u = uniforms(self._rollouts.seed, self._rollouts.roots, Stream.SEEN_WAVE, wave, 1)
        hit = np.argmax(1 - cumulated >= (u * late)[:, np.newaxis], axis=1)[:, np.newaxis]
        columns = np.arange(chances.shape[1])
        np.copyto(seen.high, middle, where=columns < hit)
        np.copyto(seen.low, np.maximum(seen.low, middle), where=columns == hit)
        narrowed = chances * np.where(columns < hit, early, np.where(columns == hit, 1 - early, 1.0))
        return log_chances(late), narrowed

    def _find_chances(self, laws: Sequence[NodeLaw], nodes: Nodes, seen: Observed) -> np.ndarray:
        return find_chances(laws, nodes, seen, self._table.counts)

    def _find_rarest(self, laws: Sequence[NodeLaw], nodes: Nodes, seen: Observed) -> np.ndarray:
        """Return the chance of each node below which it would take too long to find a replication."""
        least: np.ndarray = least_chances(laws)[nodes.laws]
        for place, law, chosen in split(nodes, laws, seen):
            if place:
                least[chosen] = _LEAST_COUNTED * self._table.counts[place - 1].best_ratio(law)
        return least

    def bound_promotion(self) -> Span:
        """Return bounds on how long people took to promote, from verdicts and the starts of waves."""
        table, plan, span = self._table, self._rollouts.plan, Span()
        for (wave, places), (_, following) in pairwise(self._waves):
            over, after = table.resolved_ns[places], table.dispatched_ns[following]
            if self._rollouts.awaits_promotion(wave) and not np.isnan(over).any() and not np.isnan(after).all():
                slack, slack_ns = table.slack_ns[places], self._dispatch_slack_ns[following.start]
                low = np.nanmax(after) - slack_ns - (over + slack).max()
                high = np.nanmin(after) + slack_ns - (over - slack).max()
                span.meet(float(low) - plan.bakes_ns[wave] - 2, float(high) - plan.bakes_ns[wave])
        return span


class _Grid(Rollouts):
    """Rollouts in which the numbers that all nodes share are given instead of drawn."""

    @classmethod
    def of(cls, pilot: Rollouts, slowdown: np.ndarray, start_failure: np.ndarray) -> _Grid:
        """Return one rollout for each column of the slowdowns and levels (rows are classes), with the nodes of a pilot."""
        roots = np.full(slowdown.shape[1], pilot.roots[0])
        grid = cls(pilot.scenario, pilot.policy, pilot.plan, pilot.kind, pilot.seed, roots)
        grid.__dict__["slowdown"] = np.repeat(slowdown, 2, axis=0)
        grid.__dict__["start_failure"] = np.repeat(start_failure, 2, axis=0)
        return grid


class NodeGuide:
    """Which slowdowns and levels of failures make a table of nodes probable, given a kind of release."""

    def __init__(self, pilot: Rollouts, table: NodeTable, at_ns: int) -> None:
        behaviours = pilot.scenario.fleet.behaviours
        slowdowns = np.stack(middles([behaviour.slowdown for behaviour in behaviours], _BINS))
        levels = np.stack(middles([behaviour.start_failure for behaviour in behaviours], _BINS_OF_LEVELS))
        middle = slice(levels.shape[1] // 2, levels.shape[1] // 2 + 1)
        proposer = partial(NodeProposer, table=table, at_ns=at_ns, times_slack=_GUIDE_SLACK, knows_pauses=False)
        by_slowdown, best = proposer(
            _Grid.of(pilot, slowdowns, np.repeat(levels[:, middle], slowdowns.shape[1], axis=1))
        ).judge()
        likeliest = int(np.argmax(by_slowdown))
        fixed = slowdowns[:, likeliest : likeliest + 1]
        by_level, best_by_level = proposer(_Grid.of(pilot, np.repeat(fixed, levels.shape[1], axis=1), levels)).judge()
        # An upper bound on the chance of each dispatched node over the least that is found.
        self.best = np.maximum(best.max(axis=0), best_by_level.max(axis=0))
        is_likely = by_slowdown >= by_slowdown.max() + _LOG_LIKELY
        # The same, minimized over the slowdowns that make the table probable.
        self.hardest = best[is_likely].min(axis=0)
        keeps = {Stream.SLOWDOWN: relate(by_slowdown), Stream.START_FAILURE_LEVEL: relate(by_level)}
        if not pilot.are_alike:
            del keeps[Stream.START_FAILURE_LEVEL]
        # Verdicts of offline nodes are reported late, so they don't bound the time of a promotion.
        is_heard = not any(behaviour.connection for behaviour in behaviours)
        promotion = NodeProposer(pilot, table, at_ns).bound_promotion() if is_heard else None
        self.sieve = Sieve(pilot, keeps, promotion)
        base = float(by_level[middle][0])
        self.log_likelihood = log_mean(by_slowdown)  # of the table, approximately
        if math.isfinite(base):
            self.log_likelihood += log_mean(by_level) - base


def widen(table: NodeTable, guides: Sequence[NodeGuide]) -> NodeTable:
    """Return a table with wider tolerances for nodes that are improbable under a likely kind of release, so that they can be found."""
    most = max(guide.log_likelihood for guide in guides)
    likely = [guide.hardest for guide in guides if guide.log_likelihood >= most + _LOG_LIKELY]
    hardest = np.min(likely, axis=0) / _GUIDE_SLACK if likely else np.zeros(0)
    widths = np.ones(len(table.status))
    widths[: len(hardest)] = np.clip(_EASE / np.maximum(hardest, TINY), 1.0, _MOST_WIDTH)
    return table if (widths == 1).all() else replace(table, widths=widths)
