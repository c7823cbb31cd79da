"""What was seen, wave by wave: how many nodes got each verdict, and when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simdeploy.analysis.advice.acting import awaits_promotion
from simdeploy.analysis.advice.node_table import HALF_SECOND_NS
from simdeploy.rules.health import read_health_rule
from simdeploy.vocabulary import TERMINAL_STATES

if TYPE_CHECKING:
    from simdeploy.analysis.advice.seen import Look, Seen
    from simdeploy.rules.waves import Plan
    from simdeploy.scenario import Scenario

COUNTS = ("state", "current_wave", "updated_nodes", "failed_nodes")


@dataclass
class Span:
    """An interval of time (low, high], nanoseconds after the start."""

    low: float = -math.inf
    high: float = math.inf

    def meet(self, low: float, high: float) -> None:
        """Narrow the interval."""
        self.low, self.high = max(self.low, low), min(self.high, high)

    def meet_instant(self, at_ns: float) -> None:
        """Narrow the interval to an instant, give or take half a second."""
        # The lower bound is exclusive.
        self.meet(at_ns - HALF_SECOND_NS - 1, at_ns + HALF_SECOND_NS)


@dataclass
class Cell:
    """Nodes of one wave that got a verdict within an interval."""

    wave: int  # index in the plan
    count: int
    span: Span  # of all these verdicts
    last: Span  # of the last of them


@dataclass
class Stretch:
    """What happened between two looks: cells of consecutive waves, and how many of their nodes failed in all."""

    cells: list[Cell]
    failed: int


@dataclass
class Course:
    """What was seen of a rollout in waves."""

    stretches: list[Stretch]  # in order
    starts: list[Span]  # when each wave of the plan was dispatched
    n_waves: int  # waves that were dispatched
    end_ns: int  # the last look
    is_over: bool  # whether the deployment has ended by itself, so that its counts are final
    # When the rollout was paused, so that nothing was dispatched.
    pauses: list[tuple[int, float]] = field(default_factory=list)
    canceled_ns: int | None = None  # when somebody canceled it

    @property
    def waits_ns(self) -> float:
        """Until when nodes in flight have no verdict: the cancellation, or the last look; if the deployment is over, a lower bound."""
        if self.canceled_ns is not None:
            return self.canceled_ns
        if not self.is_over:
            return self.end_ns
        cells = [cell for each in self.stretches for cell in each.cells if cell.wave == self.n_waves - 1]
        return max((max(cell.span.low, cell.last.low) for cell in cells), default=-math.inf)


def find_pauses(seen: Seen) -> list[tuple[int, float]]:
    """Return when the rollout was paused and resumed (infinity if it still is paused)."""
    pauses: list[tuple[int, float]] = []
    is_paused = False
    for look in seen.looks:
        state = look.fields.get("state")
        if state == "paused" and not is_paused:
            pauses.append((look.since_ns, math.inf))
        elif is_paused and state is not None and state != "paused":
            pauses[-1] = (pauses[-1][0], look.since_ns)
        is_paused = state == "paused" if state is not None else is_paused
    return pauses


def find_cancel(plan: Plan, seen: Seen) -> int | None:
    """Return when somebody canceled; None if nobody did, or if canaries awaited a promotion, since the operator may have canceled."""
    fields = seen.last.fields
    if fields.get("state") != "canceled" or awaits_promotion(fields, seen.policy, plan):
        return None
    return int(fields.get("completed_ns", seen.last.since_ns))


def read_course(scenario: Scenario, plan: Plan, seen: Seen) -> Course:
    """Return what was seen, wave by wave, if all looks have the counts."""
    rule = read_health_rule(seen.policy.policy, scenario.orchestrator_of(seen.policy))
    deadline_ns = rule.deadline_ns if rule.is_checked and rule.deadline_from_dispatch else None
    starts = [Span() for _ in plan.sizes]
    starts[0].meet(-1, 0)
    before = [sum(plan.sizes[:number]) for number in range(len(plan.sizes) + 1)]
    stretches: list[Stretch] = []
    wave, resolved, failed, at_ns = 0, 0, 0, -1.0
    for look in seen.looks:
        now, n_failed, n_updated = (
            int(look.fields[name]) for name in ("current_wave", "failed_nodes", "updated_nodes")
        )
        is_over = look.fields["state"] in TERMINAL_STATES
        is_paused = look.fields["state"] == "paused"
        for number, span in enumerate(starts):
            if number < now:
                span.meet(-math.inf, look.from_ns)
            elif not is_over and not is_paused:
                span.meet(look.at_ns, math.inf)
        if now == 0:
            continue
        new = n_failed + n_updated
        cells = _list_cells(before, wave, resolved, now - 1, new, at_ns, look)
        _narrow(starts, cells, look, before[now - 1], new, find_progress(plan, seen, look), deadline_ns)
        if cells:
            stretches.append(Stretch(cells, n_failed - failed))
        wave, resolved, failed, at_ns = now - 1, new, n_failed, float(look.at_ns)
    last = seen.last
    canceled_ns = find_cancel(plan, seen)
    is_over = last.fields["state"] in TERMINAL_STATES and canceled_ns is None
    n_waves = int(last.fields["current_wave"])
    return Course(stretches, starts, n_waves, last.at_ns, is_over, canceled_ns=canceled_ns)


def _list_cells(
    before: Sequence[int], wave: int, resolved: int, now: int, new: int, at_ns: float, look: Look
) -> list[Cell]:
    """Return the nodes that got a verdict since the last look, by wave."""
    cells = []
    for number in range(wave, now + 1):
        first = max(resolved, before[number])
        count = min(new, before[number + 1]) - first
        if count > 0:
            low = at_ns if number == wave else -math.inf
            cells.append(Cell(number, count, Span(low, look.from_ns), Span()))
    return cells


def find_progress(plan: Plan, seen: Seen, look: Look) -> int | None:
    """Return when the last verdict came, or the last wave was dispatched; None if unknown. An end that only a verdict can cause counts."""
    state, wave, policy = look.fields.get("state"), look.fields["current_wave"], seen.policy.policy
    by_clock = policy.rollout_deadline_ns is not None or policy.progress_deadline_ns is not None
    ends = (state == "failed" and not by_clock) or (state == "completed" and not (wave and plan.promotions[wave - 1]))
    progress: int | None = look.fields.get("last_progress_ns", look.fields.get("completed_ns") if ends else None)
    return progress


def _narrow(
    starts: list[Span],
    cells: list[Cell],
    look: Look,
    done_before: int,
    new: int,
    progress: int | None,
    deadline_ns: int | None,
) -> None:
    """Narrow the start of the current wave, and its last verdict, to the times of a look."""
    now = int(look.fields["current_wave"]) - 1
    if progress is not None and new == done_before:
        starts[now].meet_instant(progress)
    elif progress is not None and cells and cells[-1].wave == now:
        cells[-1].last.meet_instant(progress)
    for name in ("health_check_deadline_ns", "healthy_deadline_ns"):
        deadline = look.fields.get(name)
        if deadline is not None and deadline_ns is not None:
            starts[now].meet_instant(deadline - deadline_ns)
