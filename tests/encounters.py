"""What rollouts of the reference engine encountered: switches that could matter, laws that were drawn from, streams, outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pytest

from simdeploy import Scenario
from simdeploy.engines.recording import CONTROL_PLANE, NodeFate, Recording
from simdeploy.engines.reference import engine as engine_module
from simdeploy.engines.reference.ending import Course
from simdeploy.engines.reference.line import Line
from simdeploy.engines.reference.node import Node
from simdeploy.engines.reference.pacing import Pacing
from simdeploy.engines.reference.prober import Prober, Seen
from simdeploy.engines.reference.slots import Slots
from simdeploy.engines.schema import STATUSES
from simdeploy.rules.deployment_types import TYPES
from simdeploy.rules.gates.gate import Gate, read_gate
from simdeploy.rules.gates.judge import GateVerdict, Judge, Look
from simdeploy.rules.health import HealthRule, read_health_rule
from simdeploy.rules.limits import Limits, read_limits
from simdeploy.rules.orchestrator import Orchestrator
from simdeploy.rules.policy import Policy
from simdeploy.rules.waves import Plan, plan_waves
from simdeploy.scenario import ScenarioPolicy
from simdeploy.world.distributions import Distribution
from simdeploy.world.draws import Draws
from simdeploy.world.fleet import Behaviour
from simdeploy.world.realized import World
from simdeploy.world.streams import Stream

Feature = tuple[Any, ...]


@dataclass
class Watched:
    """One replication of one policy, and what was recorded while it ran."""

    scenario: Scenario
    policy: ScenarioPolicy
    streams: set[Stream] = field(default_factory=set)  # from which numbers were drawn
    later_streams: set[Stream] = field(default_factory=set)  # from which one was drawn at an index above 0
    found_down: bool = False  # whether a node was down at its turn
    fails_by_overload: bool = False  # whether a window with shed requests was unhealthy
    clock_was_paused: bool = False  # whether bake time, promotion delay or rate clock overlapped a pause
    held_back: set[str] = field(default_factory=set)  # what waited for a change window
    slots: set[str] = field(default_factory=set)  # events of slots
    gates: set[str] = field(default_factory=set)  # events of gates
    _recording: Recording | None = None

    @property
    def recording(self) -> Recording:
        assert self._recording is not None
        return self._recording

    @property
    def switches(self) -> Orchestrator:
        return self.scenario.orchestrator_of(self.policy)

    @property
    def rules(self) -> Policy:
        return self.policy.policy

    @cached_property
    def plan(self) -> Plan:
        return plan_waves(self.rules, self.switches, self.recording.world.n_nodes, self.scenario.fleet.zones)

    @cached_property
    def health(self) -> HealthRule:
        return read_health_rule(self.rules, self.switches)

    @cached_property
    def limits(self) -> Limits | None:
        return read_limits(self.rules, self.switches, self.recording.world.n_nodes)

    @cached_property
    def gate(self) -> Gate | None:
        return read_gate(self.rules, self.switches)

    @cached_property
    def ever_failed(self) -> bool:
        return any(fate.ever_failed for fate in self.recording.fates)

    @cached_property
    def acts(self) -> set[str]:
        """The reasons of what the control plane did."""
        moves = self.recording.transitions.columns
        return {reason for node, reason in zip(moves.node, moves.reason, strict=True) if node == CONTROL_PLANE}

    @cached_property
    def stuck(self) -> set[str]:
        """The reasons why nodes had to wait for their turn."""
        messages = set(self.recording.update.columns["message"])
        ways = {"slots": "hold all slots", "zone": "hold all slots of zone", "freeze": "freezes the rollout"}
        return {way for way, words in ways.items() if any(words in message for message in messages)}

    @cached_property
    def fates(self) -> set[tuple[str, str]]:
        """The statuses that nodes took, each with its reason."""
        moves = self.recording.transitions.columns
        rows = zip(moves.node, moves.to_status, moves.reason, strict=True)
        return {(STATUSES[int(status)], reason) for node, status, reason in rows if node != CONTROL_PLANE}

    @cached_property
    def behaviours(self) -> list[Behaviour]:
        """Behaviours of the classes that have nodes."""
        world = self.recording.world
        return [world.behaviours[number] for number in sorted(set(world.class_numbers))]


@contextmanager
def watching() -> Iterator[list[Watched]]:
    """Record what the reference engine does in the block."""
    seen: list[Watched] = []
    run, draw, of_nodes, first = engine_module.run_reference, Draws.draw, Draws.of_nodes, Draws.first
    coupled, is_down = Draws.coupled, World.is_down
    look_at = Prober.look_at
    pause, count_down, wait_for_opening = Course.pause, Course.count_down, Pacing._wait_for_opening
    count_free, free_delayed, report_start = Slots.count_free, Slots._free_delayed, Line.report_start
    give_up = Slots.give_up
    take_window = Judge._take_window
    unhealthy: WeakKeyDictionary[Judge, int] = WeakKeyDictionary()

    def spy_run(scenario: Scenario, chosen: ScenarioPolicy, **place: Any) -> Recording:
        seen.append(Watched(scenario, chosen))
        seen[-1]._recording = run(scenario, chosen, **place)
        return seen[-1].recording

    def spy_draw(draws: Draws, stream: Stream, node: int = 0, index: int = 0) -> float:
        (seen[-1].later_streams if index else seen[-1].streams).add(stream)
        return draw(draws, stream, node, index)

    def spy_of_nodes(draws: Draws, stream: Stream, nodes: Any, index: int = 0) -> Any:
        (seen[-1].later_streams if index else seen[-1].streams).add(stream)
        return of_nodes(draws, stream, nodes, index)

    def spy_first(draws: Draws, stream: Stream, nodes: Any, n: int) -> Any:
        seen[-1].streams.add(stream)
        seen[-1].later_streams.update([stream] if n > 1 else [])
        return first(draws, stream, nodes, n)

    def spy_coupled(draws: Draws, stream: Stream, n: int) -> Any:
        seen[-1].streams.add(stream)
        return coupled(draws, stream, n)

    def spy_is_down(world: World, node: int, t: int) -> bool:
        down = is_down(world, node, t)
        seen[-1].found_down |= down
        return down

    def spy_looks(prober: Prober, number: int, fate: NodeFate, start: int, end: int) -> Seen:
        found = look_at(prober, number, fate, start, end)
        is_shed = prober._world.service is not None and prober._load.over(number, start, end)[1] > 0
        seen[-1].fails_by_overload |= is_shed and found.was_up and not found.healthy
        return found

    def spy_pause(course: Course, reason: str) -> None:
        seen[-1].clock_was_paused |= bool(course._clocks)
        pause(course, reason)

    def spy_count_down(course: Course, *args: Any, **keys: Any) -> None:
        seen[-1].clock_was_paused |= course.is_paused
        count_down(course, *args, **keys)

    def spy_wait_for_opening(pacing: Pacing) -> None:
        wait_for_opening(pacing)
        seen[-1].held_back.update(_what_is_held_back(pacing))
        if seen[-1].gate is not None and pacing._hours.is_awaited:
            seen[-1].held_back.add("rollout with a gate")

    def spy_count_free(slots: Slots, nodes: Any, first: int, most: int, *, is_bounded: bool) -> int:
        count = count_free(slots, nodes, first, most, is_bounded=is_bounded)
        if 0 <= count < (min(most, slots._site.terms.plan.parallel - slots._taken) if is_bounded else most):
            seen[-1].slots.add("a zone is full")
        return count

    def spy_free_delayed(slots: Slots, node: Node) -> None:
        seen[-1].slots.add("a delay")
        free_delayed(slots, node)

    def spy_report_start(line: Line, node: Node) -> None:
        site = line._site
        if site.slot_is_free_at_start and not site.world.lines.is_online(node.number, site.env.now):
            seen[-1].slots.add("a start is heard late")
        report_start(line, node)

    def spy_give_up(slots: Slots, node: Node) -> None:
        if node.number in slots.holders and node.fate.resolved_ns is None:
            starts = slots._site.slot_is_free_at_start
            seen[-1].slots.add("given up at the start" if starts else "given up before a gate")
        give_up(slots, node)

    def spy_take_window(judge: Judge, look: Look) -> GateVerdict | None:
        before = judge._unhealthy.count
        verdict = take_window(judge, look)
        unhealthy[judge] = unhealthy.get(judge, 0) + max(judge._unhealthy.count - before, 0)
        if verdict == "fail" and judge._unhealthy.count > unhealthy[judge]:
            seen[-1].gates.add("failures of several waves")
        return verdict

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Judge, "_take_window", spy_take_window)
        patch.setattr(Slots, "count_free", spy_count_free)
        patch.setattr(Slots, "_free_delayed", spy_free_delayed)
        patch.setattr(Slots, "give_up", spy_give_up)
        patch.setattr(Line, "report_start", spy_report_start)
        patch.setattr(engine_module, "run_reference", spy_run)
        patch.setattr(Draws, "draw", spy_draw)
        patch.setattr(Draws, "of_nodes", spy_of_nodes)
        patch.setattr(Draws, "first", spy_first)
        patch.setattr(Draws, "coupled", spy_coupled)
        patch.setattr(World, "is_down", spy_is_down)
        patch.setattr(Prober, "look_at", spy_looks)
        patch.setattr(Course, "pause", spy_pause)
        patch.setattr(Course, "count_down", spy_count_down)
        patch.setattr(Pacing, "_wait_for_opening", spy_wait_for_opening)
        yield seen


def _what_is_held_back(pacing: Pacing) -> Iterator[str]:
    """Name what waits for a change window."""
    if pacing._phase == "ready":
        yield "wave" if pacing._dispatcher.waves else "first wave"
    if pacing._dispatcher.any_returned:
        yield "returned node"
    if pacing._phase == "main" and pacing._dispatcher.left:
        if pacing._site.terms.plan.pacing == "sliding":
            yield from ["slot"] if pacing._dispatcher.turns_due > 0 else []
        else:
            yield "batch" if pacing._late_batches else "rate clock"
    if pacing._phase == "wave" and pacing._dispatcher.turns_due > 0:
        yield "slot within a wave"
    if pacing._phase == "done":
        yield "nothing: completed"


# Where another value of a switch could have changed the rollout, as far as that is cheap to detect.
MATTERS: dict[str, Callable[[Watched], bool]] = {
    "pacing": lambda w: (
        w.plan.total - w.plan.canaries > w.plan.parallel if w.plan.pacing == "sliding" else w.recording.waves > 1
    ),
    "failed_node_holds_slot": lambda w: w.ever_failed and w.plan.has_slots and not w.switches.node_local_rollback,
    "failed_node_freezes": lambda w: w.ever_failed and (w.recording.waves > 1 or w.plan.has_slots),
    "slot_until": lambda w: w.plan.has_slots and w.health.windows_needed > 0,
    "all_slots_held": lambda w: bool(w.stuck),
    "lost_waves": lambda w: any(_is_lost(w, number) for number in range(1, w.recording.waves + 1)),
    "wave_rounding": lambda w: any(
        isinstance(amount, Fraction) and amount * w.plan.total % 100 > 0
        for amount in (w.rules.max_parallel, *(terms.amount for terms in w.rules.waves))
    ),
    "limit_comparison": lambda w: w.ever_failed and w.limits is not None,
    "limit_combination": lambda w: w.ever_failed and w.limits is not None,
    "failed_percent_of": lambda w: w.ever_failed and w.limits is not None,
    "limits_judged": lambda w: w.ever_failed and w.limits is not None and w.plan.pacing != "sliding",
    "limits_apply_to_immediate": lambda w: w.ever_failed and w.rules.strategy == "immediate",
    "canary_size": lambda w: bool(w.plan.canaries and w.rules.canary_count and w.rules.canary_percent),
    "canary_rounding": lambda w: w.plan.canaries > 0 and w.rules.canary_percent * w.plan.total % 100 > 0,
    "canary_gate": lambda w: any(w.recording.fates[canary].ever_failed for canary in w.recording.canaries),
    "deadline_starts": lambda w: any("deadline" in reason for _, reason in w.fates),
    "window_reset": lambda w: (
        w.health.windows_needed > 1 and w.rules.dialect == "deployment" and not all(w.recording.windows.healthy)
    ),
    "no_traffic": lambda w: 0 in w.recording.windows.requests,
    "node_local_rollback": lambda w: w.ever_failed and TYPES[w.recording.type_name].releases,
    "on_failure": lambda w: any("max_failed_nodes" in act or "canaries failed" in act for act in w.acts),
    "rollback_pacing": lambda w: len(w.recording.rolled_back) > w.plan.parallel,
    "failures_counted": lambda w: w.ever_failed and w.limits is not None,
    "failed_tries_count": lambda w: any(reason.endswith("is tried again") for _, reason in w.fates),
    "unreachable_nodes": lambda w: w.found_down or any("offline" in reason for _, reason in w.fates),
    "paused_clocks": lambda w: w.clock_was_paused,
    "explicit_zero_limit": lambda w: (
        w.ever_failed and 0 in (w.rules.max_failed_nodes, w.rules.max_failed_nodes_percent, w.rules.max_error_rate)
    ),
    "cant_tell": lambda w: w.rules.gate is not None and bool(w.rules.gate.minimum_sample),
}


def _is_lost(w: Watched, number: int) -> bool:
    """Tell whether every node of a wave has failed or was passed over."""
    fates = [fate for fate in w.recording.fates if fate.wave == number]
    lost = [fate for fate in fates if fate.ever_failed or STATUSES[fate.status] == "skipped"]
    return len(lost) == w.plan.sizes[number - 1]


def _laws_that_were_asked(w: Watched) -> Iterator[tuple[str, Distribution]]:
    """Name the keys of the file whose laws were drawn from."""
    drawn, world = w.streams, w.recording.world
    for behaviour in w.behaviours:
        if Stream.UPDATE_DURATION in drawn:
            yield "fleet.update_duration", behaviour.update_duration
            yield "fleet.slowdown", behaviour.slowdown
        if Stream.ROLLBACK_DURATION in drawn:
            yield "fleet.rollback_duration", behaviour.rollback_duration
        if Stream.START_FAILURE in drawn:
            yield "fleet.start_failure", behaviour.start_failure
        if Stream.WINDOW in drawn:
            yield "fleet.error_rate", behaviour.error_rate
        if behaviour.connection:
            yield "fleet.connection.online", behaviour.connection.online
            yield "fleet.connection.offline", behaviour.connection.offline
        for name, outages in (("crash", behaviour.crash), ("zone_outage", behaviour.zone_outage)):
            if outages:
                yield f"fleet.{name}.up", outages.up
                yield f"fleet.{name}.repair", outages.repair
    if world.release is not None and Stream.AFTER in drawn:
        yield "release.after", world.release.after
    if any(act.startswith("operator: ") for act in w.acts):
        yield "operator.promote_after", w.scenario.operator.promote_after
    escaped = w.recording.state == "completed" and world.release is not None and world.release.defective
    back, makespan_ns = w.recording.rollback, w.recording.makespan_ns
    undone_by_hand = back is not None and makespan_ns is not None and back.times_ns[0] > makespan_ns
    if escaped:
        yield "operator.escape_detection", w.scenario.operator.escape_detection
    elif undone_by_hand:
        yield "operator.undo_after", w.scenario.operator.undo_after


def _switches_that_mattered(w: Watched) -> Iterator[tuple[str, Any]]:
    switches, waves = w.switches, w.recording.waves
    for switch, matters in MATTERS.items():
        if matters(w):
            yield switch, getattr(switches, switch)
    if w.ever_failed and w.limits is not None:
        yield "minimum_sample", switches.minimum_sample > 0
    if waves > 1 and (w.plan.pacing == "barrier" or w.plan.canaries):
        yield "bake_time", switches.bake_time_ns > 0
    if waves > 2 and w.plan.pacing == "rate":
        yield "rate.growth_every", switches.rate.growth_every is not None
        yield "rate.growth", switches.rate.growth
        yield "rate.max_per_minute", switches.rate.max_per_minute is not None


def _met_on_the_line(w: Watched) -> Iterator[str]:
    """Name events caused by offline nodes."""
    recording = w.recording
    if not recording.world.lines.ever_break:
        return
    ended_ns = recording.makespan_ns
    sent_ns = recording.rollback.times_ns[0] if recording.rollback else None
    is_at_once = w.switches.rollback_pacing == "all_at_once"
    for node, fate in enumerate(recording.fates):
        own_failure = fate.ever_failed and fate.failed_reason != "not heard of by the deadline"
        goes_by_itself = own_failure and fate.back_from_ns == fate.resolved_ns
        if sent_ns is not None and is_at_once and node in recording.rolled_back and not goes_by_itself:
            yield "an order comes at once" if fate.back_from_ns == sent_ns else "an order comes late"
        if fate.dispatched_ns is None or fate.heard_ns is None or fate.resolved_ns is None:
            continue
        is_late = fate.heard_ns > fate.resolved_ns
        if fate.unheard:
            yield "a failure is not heard of by the deadline" if own_failure else "a node is given up"
        elif is_late:
            yield "a failure is heard late" if own_failure else "a success is heard late"
        if is_late and goes_by_itself:
            yield "a node goes back before its failure is heard"
        if ended_ns is not None and fate.resolved_ns <= ended_ns < fate.heard_ns:
            yield "the end comes before a verdict is heard"
    if any(act.startswith("operator: ") for act in w.acts) and any(
        recording.fates[canary].unheard for canary in recording.canaries
    ):
        yield "an operator misses a canary"


def _met_by_late_reports(w: Watched) -> Iterator[str]:
    """Name events in which verdicts were judged later than pacing acted on them."""
    if not w.switches.reporting_delay_ns:
        return
    recording = w.recording
    sent = {fate.dispatched_ns for fate in recording.fates if fate.dispatched_ns is not None}
    for fate in recording.fates:
        if fate.heard_ns is None:
            continue
        if fate.counted_ns is None:
            if recording.makespan_ns is not None and fate.heard_ns <= recording.makespan_ns:
                yield "the end comes before a verdict counts"
        elif fate.dispatched_ns is None:
            yield "a failed dispatch counts at once"
        elif fate.counted_ns > fate.heard_ns:
            yield "a failure counts late" if fate.ever_failed else "a success counts late"
            if fate.ever_failed and any(fate.heard_ns <= at < fate.counted_ns for at in sent):
                yield "nodes are dispatched before a failure counts"


def _met_by_slots(w: Watched) -> Iterator[str]:
    """Name events of lists of waves and of slots."""
    recording, plan = w.recording, w.plan
    yield from w.slots
    for way in w.stuck:
        yield f"stuck by a {way}" if way != "slots" else "stuck"
    if any(act.startswith("no node of wave") for act in w.acts):
        passed_over = any(STATUSES[fate.status] == "skipped" for fate in recording.fates)
        yield "a lost wave, some of it passed over" if passed_over else "a lost wave"
    if w.switches.all_slots_held == "fail" and any("slots" in act or "freezes" in act for act in w.acts):
        yield f"stuck: {recording.state}"
    if not plan.is_list or recording.waves < 2:
        return
    yield "a list"
    yield from ["a list zone by zone"] if w.rules.zone_by_zone else []
    yield from ["canaries of a list"] if plan.canaries else []
    yield from ["bake times"] if any(plan.bakes_ns[: recording.waves - 1]) else []
    watches = plan.watches[: recording.waves]
    yield from ["a healthy time of a wave"] if any(watch.min_healthy_ns is not None for watch in watches) else []
    if recording.gate_requests:
        yield from ["a wave without its gate"] if any(not watch.by_gate for watch in watches) else []
    yield from (
        ["a later wave is promoted"] if any(act.startswith("wave ") and "promoted" in act for act in w.acts) else []
    )
    later = any(plan.promotions[1 : recording.waves])
    yield from ["an operator at a later wave"] if later and any(act.startswith("operator: ") for act in w.acts) else []
    if plan.has_slots:
        yield "a window within a wave"
        yield from ["a window before a gate"] if recording.gate_requests else []
        yield from ["a window paused"] if any("pause" in act for act in w.acts) else []
        yield from [f"a window meets nodes that are down: {w.switches.unreachable_nodes}"] if w.found_down else []


def _met_beside(w: Watched) -> Iterator[str]:
    """Name events of nodes that were updated beside their old instance."""
    fates, world = w.recording.fates, w.recording.world
    shared = "shared" if world.service is not None else "local"
    for node, fate in enumerate(fates):
        if not fate.surged:
            if w.plan.surge and fate.dispatched_ns is not None:
                yield "a node finds no place"
            continue
        yield f"{shared}: {'it failed' if fate.ever_failed else 'no failure'}"
        if fate.wave == 1 and w.plan.canaries > 0 and w.plan.canary_surge > w.plan.surge:
            yield f"{shared}: a canary finds a place of its own"
        if fate.started_ns is None and fate.replaced_ns is not None:
            yield f"{shared}: it hangs and loses its old instance"
        if fate.unheard:
            yield "it is given up, and its old instance is gone" if fate.replaced_ns else "it is given up"
        if fate.back_from_ns is not None:
            where = "starting" if fate.started_ns is None else "exposed"
            yield f"{shared}: it goes back {where}, {'beside' if fate.keeps_old else 'without'} its old instance"
            if fate.keeps_old and STATUSES[fate.status] == "rollback_failed":
                yield "its rollback fails beside its old instance"
        if fate.started_ns is not None and world.service is not None:
            until = [t for t in (fate.replaced_ns, fate.back_from_ns, w.recording.horizon_ns) if t is not None]
            if until and any(world.down_spells(node, fate.started_ns, min(until))):
                yield "both instances go down"
    if w.switches.failed_node_holds_slot and any(f.surged and f.ever_failed for f in fates):
        yield "it holds its place" if not w.switches.node_local_rollback else "it goes back by itself"


_NO_START = ("did not start", "deadline passed while starting", "silent until the deadline")


def _met_by_retries(w: Watched) -> Iterator[str]:
    """Name events of nodes that were retried."""
    moves = w.recording.transitions.columns
    tried = {node for node, reason in zip(moves.node, moves.reason, strict=True) if reason.endswith("is tried again")}
    for _, reason in w.fates:
        if reason.endswith("; is tried again"):
            yield reason
    for node in tried:
        fate = w.recording.fates[node]
        if fate.started_ns is not None:
            yield "it starts"
        elif fate.ever_failed:
            yield "it fails in the end"
        elif fate.back_from_ns is not None:
            yield "it is sent back"
        if fate.surged:
            yield "it is surged"
        if fate.unheard:
            yield "it is not heard of"
        if w.recording.makespan_ns is not None and (fate.resolved_ns or 0) > w.recording.makespan_ns:
            yield "it goes on after the end"
        if fate.started_ns is not None and fate.ever_failed and fate.failed_reason in _NO_START:
            yield "it was unhealthy and does not start again"
    if any("failed tries" in act or "failed try" in act for act in w.acts):
        yield "failed tries are too many"
        yield "in a row" if any("in a row" in act for act in w.acts) else "in all"


def features(w: Watched) -> Iterator[Feature]:
    """Name the features that one replication encountered, each once."""
    recording, world = w.recording, w.recording.world
    for switch, value in _switches_that_mattered(w):
        yield "switch", switch, value
    if any(fate.dispatched_ns is not None for fate in recording.fates):
        yield "type", recording.type_name
        yield "strategy", w.rules.strategy
        yield "dialect", w.rules.dialect
        yield "order", w.scenario.fleet.order
    for one, size in zip(w.scenario.fleet.classes, np.bincount(world.class_of, minlength=100)[1:], strict=False):
        if size:
            yield "class by", "nodes" if one.share is None else "share"
        if one.share is not None and size < one.wanted(world.n_nodes):
            yield ("class cut",)
    had_turn = [node for node, fate in enumerate(recording.fates) if fate.wave]
    if any(world.is_down_for_good(node) for node in had_turn):
        yield "down for good", w.switches.unreachable_nodes
    for what in _met_on_the_line(w):
        yield "line", what
    for what in _met_by_slots(w):
        yield "slots", what
    for what in w.gates:
        yield "gate meets", what
    for what in _met_by_late_reports(w):
        yield "late report", what
    for what in _met_beside(w):
        yield "surge", what
    for what in _met_by_retries(w):
        yield "retry", what
    for place, law in _laws_that_were_asked(w):
        yield "law", type(law).__name__
        yield "law", place, type(law).__name__
    for stream in w.streams:
        yield "stream", stream.name
    for stream in w.later_streams:
        yield "stream at a later index", stream.name
    for act in w.acts:
        who, _, did = act.partition(": ")
        if who in ("script", "operator"):
            yield who, "no effect" if "has no effect" in did else did
        if act.startswith("gate ") or " passes" in act:
            yield ("gate says", "pass" if " passes" in act else "undecided" if ", undecided" in act else "fail")
    for what in w.held_back:
        yield "held back", what
    if w.held_back and any(act.startswith("script: ") for act in w.acts):
        yield "held back", "with a script"
    if w.held_back and w.recording.rollback is not None:
        yield "held back", "and rolled back"
    if w.gate is not None and (w.recording.gate_requests or w.gate.watches_running):
        yield "gate", w.gate.method
    yield from _requests_met(w)
    for status, reason in w.fates:
        yield "status", status
        yield "fate", reason
    started = [node for node, fate in enumerate(recording.fates) if fate.started_ns is not None]
    if world.release is not None and any(world.affected[node] for node in started):
        yield "affects", world.release.affects.by
        if world.release.error_rate and len(recording.windows.end_ns):
            yield ("latent defect" if any(world.after_ns(node) for node in started) else "open defect",)
    for node in started:
        crash = world.behaviour_of[node].crash
        if crash:
            yield "renewed by update", crash.renewed_by_update
            yield "crash rate", world.crash_rate(node)


def _requests_met(w: Watched) -> Iterator[Feature]:
    """Name what windows encountered of traffic and of a shared service."""
    world, windows = w.recording.world, w.recording.windows
    if not any(windows.requests):
        return
    varies = any(behaviour.traffic for behaviour in world.behaviours)
    if varies:
        yield ("traffic",)
    if world.service is not None:
        yield "service", world.service.across
        if w.gate is not None and (w.recording.gate_requests or w.gate.watches_running):
            yield ("gate of a shared service",)
        by_node: dict[int, set[int]] = {}
        for node, requests in zip(windows.node, windows.requests, strict=True):
            by_node.setdefault(node, set()).add(requests)
        if any(len(met) > 1 for met in by_node.values()):
            yield ("load changes",)
        if varies:
            yield ("traffic of a shared service",)
        if w.fails_by_overload:
            yield ("overload",)


def count(seen: list[Watched]) -> Counter[Feature]:
    """Count the replications' features, each once per scenario."""
    return Counter({feature for watched in seen for feature in features(watched)})
