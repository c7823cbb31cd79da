"""Worlds in which what was seen may have happened, if batches go by the clock (rate pacing).

Batches start at known times, so the nodes of all batches are independent of each other, given what they share. A node's law and the start
of its batch give its chance of a verdict between two looks. The verdicts that were seen are dealt to all nodes at once, as
`simdeploy.analysis.advice.proposing` deals those of a wave.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.dealing import deal_verdicts
from simdeploy.analysis.advice.fates import Bounds, Fates
from simdeploy.analysis.advice.node_table import HALF_SECOND_NS
from simdeploy.analysis.advice.proposing import Proposal, Proposer
from simdeploy.analysis.advice.waves import Cell, Course, Span, Stretch, find_cancel, find_progress
from simdeploy.engines.continuing import Worlds
from simdeploy.rules.health import read_health_rule
from simdeploy.rules.waves import BATCH_EVERY_NS, Plan
from simdeploy.vocabulary import TERMINAL_STATES
from simdeploy.world.streams import Stream, uniforms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.analysis.advice.seen import Look, Seen
    from simdeploy.scenario import Scenario

# Steps of `balance` at the start, and after each batch.
_FIRST_STEPS, _STEPS = 10, 3


def read_batches(scenario: Scenario, plan: Plan, seen: Seen) -> Course:
    """Return the course of a rollout without canaries: one stretch with one cell for each look with new verdicts."""
    rule = read_health_rule(seen.policy.policy, scenario.orchestrator_of(seen.policy))
    deadline_ns = rule.deadline_ns if rule.is_checked and rule.deadline_from_dispatch else None
    starts = [Span(start, start) for start in (BATCH_EVERY_NS * np.arange(len(plan.sizes))).tolist()]
    stretches: list[Stretch] = []
    updated, failed, at_ns = 0, 0, -1.0
    for look in seen.looks:
        new_updated, new_failed = int(look.fields["updated_nodes"]), int(look.fields["failed_nodes"])
        count = new_updated + new_failed - updated - failed
        first = _find_first(look, starts, deadline_ns)
        if count > 0:
            cell = Cell(first, count, Span(at_ns, look.from_ns), _find_last(find_progress(plan, seen, look), starts))
            stretches.append(Stretch([cell], new_failed - failed))
        elif stretches:
            stretches[-1].cells[0].wave = max(first, stretches[-1].cells[0].wave)
        updated, failed, at_ns = new_updated, new_failed, float(look.at_ns)
    last = seen.last
    canceled_ns = find_cancel(plan, seen)
    is_over = last.fields["state"] in TERMINAL_STATES and canceled_ns is None
    n_waves = int(last.fields["current_wave"])
    return Course(stretches, starts, n_waves, last.at_ns, is_over, canceled_ns=canceled_ns)


def _find_first(look: Look, starts: Sequence[Span], deadline_ns: int | None) -> int:
    """Return the first batch that has nodes in flight; -1 if that isn't known."""
    deadline = look.fields.get("health_check_deadline_ns")
    if deadline is None or deadline_ns is None:
        return -1
    return sum(start.high < deadline - deadline_ns - HALF_SECOND_NS for start in starts)


def _find_last(progress: int | None, starts: Sequence[Span]) -> Span:
    """Bound the time of the last verdict; the start of a batch counts as progress, too, so that may be earlier."""
    last = Span()
    if progress is not None:
        last.meet_instant(progress)
        if any(last.low < start.low <= last.high for start in starts):
            last.low = -np.inf
    return last


def balance(
    counts: np.ndarray,  # shape (laws, worlds)
    chances: np.ndarray,  # shape (laws, verdicts, worlds)
    left: np.ndarray,  # shape (verdicts, worlds)
    means: np.ndarray,  # initial values, shape (verdicts, worlds)
    steps: int,
) -> np.ndarray:
    """Return means of the verdicts' chances with which each verdict is dealt about as often as it should be.

    A node is dealt a verdict with probability proportional to its chance times ``left / means``. With these means, the probabilities sum to
    about `left` over all nodes, even if the chances differ much, as they do between batches (iterative proportional fitting).

    Examples
    --------
    Two of three nodes ran, and one of the three certainly does:

    >>> counts, chances = np.array([[1], [2]]), np.array([[[1.0], [0.0]], [[0.9], [0.1]]])
    >>> left = np.array([[2], [1]])
    >>> odds = left / balance(counts, chances, left, np.ones((2, 1)), 50)
    >>> probabilities = chances * odds / (chances * odds).sum(axis=1, keepdims=True)
    >>> probabilities.round(3)[:, :, 0].tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """
    for _ in range(steps):
        odds = np.divide(left, means, out=np.zeros(means.shape), where=means > 0)
        totals = np.einsum("lcw,cw->lw", chances, odds)
        parts = np.divide(counts, totals, out=np.zeros(totals.shape), where=totals > 0)
        means = np.einsum("lcw,lw->cw", chances, parts)
    return means


def _favour_late(
    odds: np.ndarray,  # `left` times the node's chances, shape (verdicts, worlds)
    means: np.ndarray,
    late: int,  # number of the first late verdict
    is_met: np.ndarray,
    n_nodes: int,  # this one and those after it in its batch; one of them must be late
) -> np.ndarray:
    """Return means with which a node gets a late verdict with probability 1 / `n_nodes` or more, unless `is_met` by an earlier node."""
    shares = np.divide(odds, means, out=np.zeros(means.shape), where=means > 0)
    early, later = shares[:late].sum(axis=0), shares[late:].sum(axis=0)
    favoured = means.copy()
    if n_nodes == 1:
        favoured[:late] = np.where(is_met, favoured[:late], 0.0)
    else:
        wanted = np.divide(early, later, out=np.ones(len(early)), where=later > 0) / (n_nodes - 1)
        favoured[late:] /= np.where(is_met, 1.0, np.maximum(wanted, 1.0))
    return favoured


class BatchFates(Fates):
    """Fates of the nodes of all batches. The laws of all batches are numbered consecutively."""

    def __init__(self, of_batches: Sequence[Fates], are_bound: list[np.ndarray]) -> None:
        self.in_flight, self._n_cells = of_batches[0].in_flight, len(are_bound)
        self.chances = np.concatenate([each.chances for each in of_batches])
        self.are_bound = are_bound


class BatchProposer(Proposer):
    """Proposes worlds of one kind of release, given looks at the deployment; `course` is of `read_batches`."""

    def propose(self) -> Proposal:
        """Propose worlds, all batches at once."""
        rollouts, course = self._rollouts, self._course
        sizes = rollouts.plan.sizes[: course.n_waves]
        worlds = Worlds(rollouts.roots, self._numbers)
        if not sizes:
            return Proposal(worlds, self._log_weights, self._are_drawn)
        laws = rollouts.laws(0)
        nodes = rollouts.order[:, : sum(sizes)]
        of_laws = np.take_along_axis(rollouts.law_places, nodes, axis=1)
        places = of_laws + len(laws) * np.repeat(np.arange(len(sizes)), sizes)
        cells = [(cell, stretch.failed) for stretch in course.stretches for cell in stretch.cells]
        parts = [slice(first, last) for first, last in pairwise(np.cumsum((0, *sizes)).tolist())]
        of_batches = [
            self._make_fates(wave, [cell for cell, _ in cells], of_laws[:, part]) for wave, part in enumerate(parts)
        ]
        are_bound = [np.full(self._n, cell.last.low > max(cell.span.low, -1.0)) for cell, _ in cells]
        fates = BatchFates(of_batches, are_bound)
        n_resolved = sum(cell.count for cell, _ in cells)
        counts = [count for cell, failed in cells for count in (cell.count - failed, failed)]
        left = np.repeat(np.array([*counts, nodes.shape[1] - n_resolved])[:, np.newaxis], self._n, axis=1)
        verdicts = self._deal(parts, [cell for cell, _ in cells], places, fates.of_verdicts, left)
        dealt = self._choose_last(0, places, fates, fates.whole(verdicts))
        self._log_ahead = np.zeros(self._n)
        self._play_roulette(0)
        self._draw_batches(parts, of_batches, nodes, of_laws, dealt)
        return Proposal(worlds, self._log_weights, self._are_drawn)

    def _make_fates(self, wave: int, cells: Sequence[Cell], places: np.ndarray) -> Fates:
        """Return the fates that can be dealt to the nodes of a batch."""
        course, rollouts = self._course, self._rollouts
        start = course.starts[wave].low
        bounds = [
            Bounds(
                *(
                    np.full(self._n, at - start)
                    for at in (cell.span.low, min(cell.span.high, cell.last.high), cell.last.low)
                )
            )
            for cell in cells
        ]
        laws = rollouts.laws(0)
        present = [bool((places == place).any()) for place in range(len(laws))]
        end_ns = course.end_ns if course.canceled_ns is None else course.canceled_ns
        fates = Fates(rollouts, laws, bounds, np.full(self._n, end_ns - start), present)
        before = 0
        for number, cell in enumerate(cells):
            if cell.wave > wave:  # it is over, since the first batch that has nodes in flight is a later one
                fates.chances[:, fates.whole(2 * (number + 1)) :] = 0.0
            if cell.count == 1 and -1 < before < cell.wave and before != wave:  # the last verdict of the first batch
                fates.chances[:, fates.whole(2 * number) : fates.whole(2 * (number + 1))] = 0.0
            before = cell.wave
        return fates

    def _deal(
        self,
        parts: Sequence[slice],
        cells: Sequence[Cell],
        places: np.ndarray,
        chances: np.ndarray,
        left: np.ndarray,
    ) -> np.ndarray:
        """Deal verdicts to the nodes, batch by batch, balanced with what is left for later batches."""
        u = uniforms(
            self._rollouts.seed, self._rollouts.roots[:, np.newaxis], Stream.SEEN_VERDICT, np.arange(places.shape[1])
        )
        dealt = np.zeros(places.shape, dtype=np.int64)
        means = np.ones(left.shape)
        for number, part in enumerate(parts):
            rest = places[:, part.start :]
            first = number * len(chances) // len(parts)
            counts = np.stack([(rest == place).sum(axis=1) for place in range(first, len(chances))])
            means = balance(counts, chances[first:], left, means, _STEPS if number else _FIRST_STEPS)
            # If this was the first batch with nodes in flight at some look, one of its nodes got a verdict after that look.
            late = max((2 * place for place, cell in enumerate(cells, start=1) if cell.wave == number), default=0)
            some = [slice(column, column + 1) for column in range(part.start, part.stop)] if late else [part]
            is_met = np.zeros(self._n, dtype=bool)
            for columns in some:
                relative = means
                if late:
                    odds = left * chances[places[:, columns.start], :, self._all].T
                    relative = _favour_late(odds, means, late, is_met, part.stop - columns.start)
                dealt[:, columns], log_factors = deal_verdicts(
                    places[:, columns], chances, relative, left, u[:, columns]
                )
                self._weigh(log_factors)
                left = left - np.stack([(dealt[:, columns] == verdict).sum(axis=1) for verdict in range(len(left))])
                is_met |= dealt[:, columns.start] >= late
        return dealt

    def _draw_batches(
        self,
        parts: Sequence[slice],
        of_batches: Sequence[Fates],
        nodes: np.ndarray,
        places: np.ndarray,
        dealt: np.ndarray,
    ) -> None:
        """Find for each node a replication in which it has its fate."""
        laws, times = self._rollouts.laws(0), np.zeros(dealt.shape)
        is_in_flight = dealt == of_batches[0].in_flight

        def find(chosen: np.ndarray) -> None:
            for part, fates in zip(parts, of_batches, strict=True):
                self._find(
                    laws, nodes[:, part], places[:, part], fates, dealt[:, part], chosen[:, part], times[:, part]
                )

        find(~is_in_flight)
        if self._course.is_over and is_in_flight.any():
            starts = np.repeat(
                [start.low for start in self._course.starts[: len(parts)]], [each.stop - each.start for each in parts]
            )
            end = np.where(is_in_flight, 0.0, times + starts).max(axis=1)
            for part, fates in zip(parts, of_batches, strict=True):
                self._wait_until(end - starts[part.start], fates, places[:, part], is_in_flight[:, part])
        find(is_in_flight)
