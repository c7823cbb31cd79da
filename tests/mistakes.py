"""Mistakes planted in the reference engine, each against one rule of the model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simdeploy.api.times import parse_time
from simdeploy.engines import requests as requests_module, responses as responses_module
from simdeploy.engines.intervals import FOREVER, Intervals
from simdeploy.engines.reference import (
    engine as engine_module,
    people as people_module,
    prober as prober_module,
    running_watch as running_watch_module,
)
from simdeploy.engines.reference.change_windows import OpenHours
from simdeploy.engines.reference.clock import Countdown
from simdeploy.engines.reference.controller import Controller
from simdeploy.engines.reference.dispatch import Dispatcher, Wave
from simdeploy.engines.reference.ending import Course
from simdeploy.engines.reference.gates import WaveGates
from simdeploy.engines.reference.judging import Judging
from simdeploy.engines.reference.line import Line
from simdeploy.engines.reference.load import PooledRequests
from simdeploy.engines.reference.node import Node
from simdeploy.engines.reference.pacing import Pacing
from simdeploy.engines.reference.rollback import Rollback
from simdeploy.engines.reference.slots import Slots
from simdeploy.engines.requests import Requests
from simdeploy.engines.schema import FAILED
from simdeploy.engines.service import Service
from simdeploy.rules.gates.judge import Judge
from simdeploy.rules.gates.statistics import log_likelihood_ratio
from simdeploy.rules.health import HealthRule
from simdeploy.units import NS_PER_S
from simdeploy.world import fleet as fleet_module, realized as realized_module, spells as spells_module
from simdeploy.world.availability import Alternating
from simdeploy.world.change_windows import WEEK_NS, Calendar, ChangeWindow
from simdeploy.world.connection import Lines
from simdeploy.world.draws import Draws
from simdeploy.world.pools import integrate_many
from simdeploy.world.realized import World
from simdeploy.world.streams import Stream

Plant = Callable[[pytest.MonkeyPatch], None]

_receive_verdict, _find_crossed_limit, _renew = (
    Controller.receive_verdict,
    Judging._find_crossed_limit,
    Alternating.renew,
)
_was_up, _start_ns, _draw = World.was_up, World.start_ns, Draws.draw
_report_verdict, _deliver, _fail_unheard = Line.report_verdict, Line._deliver, Node.fail_unheard
_shows_defect = people_module._shows_defect
_record_window, _find_partners = WaveGates.record_window, WaveGates._find_partners
_over, _start_new = PooledRequests.over, PooledRequests.start_new
_resolve, _start = Node._resolve, Node._start
_count_down, _wait_for_opening = Course.count_down, Pacing._wait_for_opening
_calendar_of = engine_module.calendar_of
_give_up, _resolve_slot, _count_free, _open_wave = Slots.give_up, Slots.resolve, Slots.count_free, Dispatcher.open_wave
_give_up_slot, _report_start = Controller.give_up_slot, Line.report_start


def instead(owner: Any, name: str, value: Any) -> Plant:
    """Replace a function or an attribute."""
    return lambda patch: patch.setattr(owner, name, value)


def _always(owner: type, name: str, value: Any) -> Plant:
    """Give all instances the same value of an attribute."""
    assert name in owner.__init__.__code__.co_names  # type: ignore[misc]
    always = property(lambda _: value, lambda _, __: None)
    return lambda patch: patch.setattr(owner, name, always, raising=False)


def _looks(*steps: Callable[[Controller], None]) -> Plant:
    """Make the controller take the steps of one look in another order."""

    def act(controller: Controller) -> None:
        for step in (*steps, Controller._note):
            step(controller)

    return instead(Controller, "act", act)


def _script(controller: Controller) -> None:
    controller.people._carry_out_acts()


def _operator(controller: Controller) -> None:
    if controller.pacing.operator_is_due:
        controller.people._look()


def rules(function: str, **changes: Callable[[Any], Any]) -> Plant:
    """Change fields of the rules that a run is made with."""
    read = getattr(engine_module, function)

    def changed(*args: Any) -> Any:
        rules = read(*args)
        return rules and replace(rules, **{name: change(getattr(rules, name)) for name, change in changes.items()})

    return instead(engine_module, function, changed)


def _counts_after_the_end(controller: Controller, node: Node) -> None:
    _receive_verdict(controller, node)
    if controller.course.is_over:
        controller.judging.failed += node.fate.ever_failed


def _holds_no_slot(slots: Slots, node: Node) -> None:
    _resolve_slot(slots, node)
    slots.give_up(node)


def _needs_slot_if_dispatched(_slots: Slots, node: Node) -> bool:
    return node.fate.dispatched_ns is not None


def _gives_up_without_delay(slots: Slots, node: Node) -> None:
    slots._delay_ns = 0
    _give_up(slots, node)


def _delays_every_slot(slots: Slots, node: Node) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "_needs_slot", lambda _: True)
        _give_up(slots, node)


def _keeps_slot_before_gate(controller: Controller, node: Node) -> None:
    if controller._site.slot_is_free_at_start:
        _give_up_slot(controller, node)


def _hears_starts_at_once(line: Line, node: Node) -> None:
    if line._site.slot_is_free_at_start:
        line.control_plane.give_up_slot(node)


def _opens_wave_with_slots_of_its_own(dispatcher: Dispatcher) -> Wave:
    dispatcher.slots._taken = 0
    dispatcher.slots._taken_of_zone.clear()
    dispatcher.slots.holders.clear()
    return _open_wave(dispatcher)


def _freezes_turns_only(pacing: Pacing) -> bool:
    return pacing.is_frozen and pacing._dispatcher.left > 0


def _gate_stays_shut(judging: Judging, judged_before: int) -> str | None:
    pacing = judging._pacing
    promoted, pacing.promoted_waves = pacing.promoted_waves, 0
    crossed = _find_crossed_limit(judging, judged_before)
    pacing.promoted_waves = promoted
    return crossed


def _bakes_after_the_last_wave(pacing: Pacing) -> None:
    bake_ns = max(pacing._site.terms.plan.bakes_ns)
    if bake_ns:
        pacing._phase = "bake"
        pacing._course.count_down(bake_ns, pacing._end_bake)
    else:
        pacing._set_phase_after_wave()


def _renews_with_the_same_up_time(process: Alternating, t: int, rate: float) -> None:
    process._renewals -= 1
    _renew(process, t, rate)
    process._renewals += 1


def _adds_causes_up(
    baseline: float, added: float, degraded: float, length: int, added_for: int, degraded_for: int, _: int
) -> float:
    return min(baseline + (added * added_for + degraded * degraded_for) / length, 1.0)


def _draws_in_order(draws: Draws, stream: Stream, node: int = 0, index: int = 0) -> float:
    return 0.5 if stream == Stream.GATE_ORDER else _draw(draws, stream, node, index)


def _is_heard_at_once(line: Line, node: Node) -> None:
    line._deliver(node)


def _is_heard_some_day(line: Line, node: Node) -> None:
    node.deadline_ns = 1 << 62
    _report_verdict(line, node)


def _is_given_up_for_good(line: Line, node: Node) -> None:
    if node.fate.dispatched_ns is not None and not line._site.world.lines.is_online(node.number, line._site.env.now):
        node.deadline_ns = line._site.env.now
    _report_verdict(line, node)


def _goes_back_once_given_up(node: Node) -> None:
    had_failed = node.fate.ever_failed
    _fail_unheard(node)
    if node._site.goes_back_by_itself and not had_failed:
        node.roll_back()


def _is_heard_after_the_end(line: Line, node: Node) -> None:
    over, line._site.is_over = line._site.is_over, False
    _deliver(line, node)
    line._site.is_over = over


def _counts_at_once(controller: Controller, node: Node) -> None:
    controller.judging.count(node)
    controller._site.ring()


def _reports_failed_dispatches(controller: Controller, node: Node) -> None:
    if node.fate.dispatched_ns is None and controller._switches.reporting_delay_ns and not controller.course.is_over:
        controller.dispatcher.hear(node)
        controller._site.ring()
        controller._count_later(node)
    else:
        _receive_verdict(controller, node)


def _ends_unreported(pacing: Pacing) -> bool:
    wave = pacing._dispatcher.waves[-1]
    return wave.is_over if wave.is_canary else wave.is_heard


def _promotes_unreported(pacing: Pacing) -> bool:
    dispatcher = pacing._dispatcher
    return dispatcher.waves[-1].is_heard if dispatcher.left else dispatcher.waves_over == len(dispatcher.waves)


def _misses_failed_canaries(site: Any, release: Any, node: Node) -> bool:
    return not node.fate.ever_failed and _shows_defect(site, release, node)


def _starts_without_a_clock(pacing: Pacing) -> None:
    pacing._batches_due += 1
    pacing._site.ring()


def _loses_its_old_instance(node: Node, status: int, reason: str) -> None:
    if status == FAILED and node.fate.surged:
        node.fate.replaced_ns = node._site.env.now
        if node._site.load is not None:
            node._site.load.stop_old(node.number, node._site.env.now)
    _resolve(node, status, reason)


def _keeps_its_old_instance(node: Node, status: int, reason: str) -> None:
    surged, node.fate.surged = node.fate.surged, False
    _resolve(node, status, reason)
    node.fate.surged = surged


def _takes_over_alone(load: PooledRequests, node: int, t: int) -> None:
    load.stop_serving(node, t)
    _start_new(load, node, t)


def _frees_its_place(controller: Controller, node: Node) -> None:
    _receive_verdict(controller, node)
    controller.dispatcher.slots.surging.discard(node.number)


def _starts_anew(node: Node, deadline: int | None) -> Any:
    node.fate.attempts = 0
    return _start(node, deadline)


def _is_tried_for_good(node: Node, deadline: int | None) -> Any:
    return _start(node, None if node.fate.attempts else deadline)


def _find_beside(service: Service) -> Intervals:
    until = np.minimum(service._replaced, service._back_from)
    return service._intervals(np.where(service._surged, service._started, FOREVER), until)


class _NothingShed:
    pools = ()


# Mistakes that need a scenario with this word in its file.
NEEDS = {
    "every wave counts its failed looks anew": "'failures_of'",
    "a window that can't tell fails the wave": "'cant_tell': 'unhealthy'",
    "only canaries are promoted": "'promotion': True",
    "the gate judges every wave": "'gate': False",
    "a CUSUM falls below 0": "'cusum'",
    "the crashes of a shared service never change": "'shared'",
    "a freeze spares nodes that were waited for": "'failed_node_freezes': True",
    "a failed node frees its place": "'surge'",
    "second instances never go down": "'surge'",
    "failed tries don't count": "'retries'",
    "unhealthy nodes have one try": "'retry_unhealthy': True",
    "canaries are surged like all nodes": "'surge_canaries': True",
}


def _dispatches_returned_nodes(pacing: Pacing) -> None:
    pacing._dispatcher.admit_returned()
    _wait_for_opening(pacing)


def _cuts_windows_at_midnight(windows: tuple[ChangeWindow, ...], begins_ns: int) -> Calendar | None:
    day_ns = WEEK_NS // 7
    cut = (window if window.to_ns > window.from_ns else replace(window, to_ns=day_ns) for window in windows)
    return _calendar_of(tuple(cut), begins_ns)


def _closes_late(windows: tuple[ChangeWindow, ...], begins_ns: int) -> Calendar | None:
    late = (window if window.to_ns == window.from_ns else replace(window, to_ns=window.to_ns + 1) for window in windows)
    return _calendar_of(tuple(late), begins_ns)


def _opens_every_day(windows: tuple[ChangeWindow, ...], begins_ns: int) -> Calendar | None:
    return _calendar_of(tuple(replace(window, days=tuple(range(7))) for window in windows), begins_ns)


# Each with the generated scenario that revealed it, tried first; if generation changes, the search finds another.
_TOLD: dict[str, tuple[int, Plant]] = {
    # One instant.
    "a cancel beats a stop": (63, _looks(_script, Controller._judge, _operator, Controller._advance)),
    "the operator beats the script": (215, _looks(Controller._judge, _operator, _script, Controller._advance)),
    "dispatch beats a stop": (10, _looks(Controller._advance, Controller._judge, _script, _operator)),
    # Limits and gate.
    "exceeding is reaching": (9, rules("read_limits", reaches=lambda reaches: not reaches)),
    "either is both": (13, rules("read_limits", both=lambda both: not both)),
    "a sample is one larger": (78, rules("read_limits", minimum_sample=lambda sample: sample + 1)),
    "percent is of the fleet": (17, rules("read_limits", percent_of=lambda _: "fleet")),
    "the gate stays shut": (26, instead(Judging, "_find_crossed_limit", _gate_stays_shut)),
    "a resumed rollout stops again": (207, _always(Judging, "_acknowledged_failures", 0)),
    "nodes count after the end": (31, instead(Controller, "receive_verdict", _counts_after_the_end)),
    # Slots and lists of waves.
    "a failed node holds no slot": (47, instead(Slots, "resolve", _holds_no_slot)),
    "canaries hold slots": (694, instead(Slots, "_needs_slot", _needs_slot_if_dispatched)),
    "a slot has no delay": (20, instead(Slots, "give_up", _gives_up_without_delay)),
    "a delay follows every turn": (105, instead(Slots, "give_up", _delays_every_slot)),
    "a start frees no slot": (92, instead(Line, "report_start", lambda line, node: None)),
    "starts are heard at once": (741, instead(Line, "report_start", _hears_starts_at_once)),
    "who waits for a gate keeps its slot": (217, instead(Controller, "give_up_slot", _keeps_slot_before_gate)),
    "waves have slots of their own": (104, instead(Dispatcher, "open_wave", _opens_wave_with_slots_of_its_own)),
    "a list has no window": (20, rules("plan_waves", is_list=lambda _: False)),
    "zones have slots without end": (11, rules("plan_waves", per_zone=lambda _: 10**6)),
    "all waves bake as long": (95, rules("plan_waves", bakes_ns=lambda ns: (*[max(ns)] * (len(ns) - 1), 0))),
    "only canaries are promoted": (
        32,
        rules("plan_waves", promotions=lambda awaits: (awaits[0], *[False] * len(awaits[1:]))),
    ),
    "all waves are watched as long": (
        118,
        rules("plan_waves", watches=lambda own: tuple(replace(one, min_healthy_ns=None) for one in own)),
    ),
    "the gate judges every wave": (
        118,
        rules("plan_waves", watches=lambda own: tuple(replace(one, by_gate=True) for one in own)),
    ),
    "a failed node freezes nothing": (1, _always(Pacing, "is_frozen", value=False)),
    "a freeze spares nodes that were waited for": (400, instead(Pacing, "freezes_any", property(_freezes_turns_only))),
    "no wave is lost": (9, instead(Judging, "_take_lost_wave", lambda judging: None)),
    "no rollout is stuck": (11, instead(Judging, "_find_stuck", lambda judging: None)),
    # Windows.
    "a verdict on the deadline is late": (19, rules("read_health_rule", deadline_ns=lambda ns: ns - 1)),
    "windows add up": (7, rules("read_health_rule", consecutive=lambda _: False)),
    "windows never add up": (251, rules("read_health_rule", consecutive=lambda _: True)),
    "a window more fails": (46, rules("read_health_rule", failure_threshold=lambda n: None if n is None else n + 1)),
    "deadlines start at the other time": (0, rules("read_health_rule", deadline_from_dispatch=lambda at: not at)),
    "below the rate is healthy": (
        7,
        instead(HealthRule, "allowed_failures", lambda rule, requests: math.ceil(rule.max_error_rate * requests) - 1),
    ),
    "windows count after the end": (
        31,
        instead(responses_module, "_decided", lambda recording: np.full(len(recording.windows.end_ns), True)),
    ),
    "causes add up": (252, instead(prober_module, "mean_level", _adds_causes_up)),
    "a crash at a window's end spoils it": (
        7,
        instead(World, "was_up", lambda world, node, start, end: _was_up(world, node, start, end + 1)),
    ),
    "a latent defect shows at once": (2, instead(World, "after_ns", lambda world, node: 0)),
    # Gates.
    "a gate that fails stops nothing": (201, instead(WaveGates, "take_alarm", lambda gates: None)),
    "a node that is down is evidence": (
        23,
        instead(
            WaveGates,
            "record_window",
            lambda gates, node, seen, *span: _record_window(gates, node, seen._replace(was_up=True), *span),
        ),
    ),
    "partners are the next in turn": (
        23,
        instead(WaveGates, "_find_partners", lambda gates, watched, rest: _find_partners(gates, watched, rest[::-1])),
    ),
    "observations end with the last node's only": (
        217,
        instead(WaveGates, "_is_observed", lambda gates, watched: watched.wave.unresolved == len(watched.waiting)),
    ),
    "every wave counts its failed looks anew": (108, rules("read_gate", of_rollout=lambda _: False)),
    "a window that can't tell fails the wave": (
        203,
        rules("read_gate", cant_tell=lambda word: "stop" if word == "unhealthy" else word),
    ),
    "who can't tell at a deadline fails": (202, instead(Judge, "without_verdict", lambda judge: None)),
    "requests come in order": (5, instead(Draws, "draw", _draws_in_order)),
    "a CUSUM falls below 0": (
        204,
        instead(running_watch_module, "next_sum", lambda before, *look: before + log_likelihood_ratio(*look)),
    ),
    # Change windows.
    "windows change nothing": (2, instead(engine_module, "calendar_of", lambda windows, begins_ns: None)),
    "a window is still open at its end": (83, instead(engine_module, "calendar_of", _closes_late)),
    "hours are those of UTC": (
        2,
        instead(engine_module, "time_in_week", lambda text: (parse_time(text) + 3 * WEEK_NS // 7) % WEEK_NS),
    ),
    "windows end at midnight": (37, instead(engine_module, "calendar_of", _cuts_windows_at_midnight)),
    "windows open every day": (2, instead(engine_module, "calendar_of", _opens_every_day)),
    "the rate clock runs through the night": (
        62,
        instead(Course, "count_down", lambda course, ns, done, in_open_hours=False: _count_down(course, ns, done)),
    ),
    "returned nodes need no window": (46, instead(Pacing, "_wait_for_opening", _dispatches_returned_nodes)),
    "an opening is nothing ahead": (28, _always(OpenHours, "is_awaited", value=False)),
    # Nodes.
    "a retry takes as long as the first try": (
        0,
        instead(World, "start_ns", lambda world, node, attempt: _start_ns(world, node, 0)),
    ),
    "an update renews with the up time it had": (0, instead(Alternating, "renew", _renews_with_the_same_up_time)),
    "crashes stay as frequent after a rollback": (114, instead(World, "note_rollback", lambda world, node, t: None)),
    "the spell of time 0 is a fresh one": (2, instead(spells_module, "Residual", lambda law: law)),
    "shares are rounded down": (9, instead(fleet_module, "round_half_up", math.floor)),
    "zones have no order": (6, instead(realized_module, "order_nodes", lambda fleet, draws: list(range(fleet.nodes)))),
    "nodes that are down for good are up": (9, instead(realized_module, "BadForGood", lambda n_subjects: None)),
    "a node is missed before it is created": (0, instead(Service, "_within_scope", lambda service, down: down)),
    # Surge and retries.
    "nobody is surged": (11, rules("plan_waves", surge=lambda surge: 0)),
    "one node more is surged": (43, rules("plan_waves", surge=lambda surge: surge and surge + 1)),
    "a surged node that fails loses its old instance": (64, instead(Node, "_resolve", _loses_its_old_instance)),
    "a surged node that runs keeps its old instance": (29, instead(Node, "_resolve", _keeps_its_old_instance)),
    "new instances take over alone": (5, instead(PooledRequests, "start_new", _takes_over_alone)),
    "a failed node frees its place": (170, instead(Controller, "receive_verdict", _frees_its_place)),
    "second instances never go down": (334, instead(Service, "beside", property(_find_beside))),
    "a try less": (11, rules("read_health_rule", retries=lambda retries: max(retries - 1, 0))),
    "unhealthy nodes have one try": (11, rules("read_health_rule", retries_unhealthy=lambda tries: False)),
    "canaries are surged like all nodes": (5, rules("plan_waves", canary_surge=lambda surge: 0)),
    "nodes are tried again at once": (11, rules("read_health_rule", retry_delay_ns=lambda ns: 0)),
    "attempts are numbered anew": (11, instead(Node, "_start", _starts_anew)),
    "retries have no deadline": (5, instead(Node, "_start", _is_tried_for_good)),
    "failed tries don't count": (80, rules("read_limits", counts_tries=lambda counts: False)),
    # Requests.
    "traffic stands still": (
        2,
        instead(World, "traffic_between", lambda world, number, start, end: (end - start) / NS_PER_S),
    ),
    "requests are not taken over": (
        5,
        instead(
            PooledRequests,
            "over",
            lambda load, node, start, end: ((end - start) / NS_PER_S, _over(load, node, start, end)[1]),
        ),
    ),
    "shed requests fail no window": (
        7,
        instead(PooledRequests, "over", lambda load, node, start, end: (_over(load, node, start, end)[0], 0.0)),
    ),
    "nodes that are down serve": (7, instead(PooledRequests, "_follow", lambda load, t: None)),
    "a node serves while it starts": (7, instead(PooledRequests, "stop_serving", lambda load, node, t: None)),
    "the crashes of a shared service never change": (
        174,
        instead(PooledRequests, "_crashes_change", lambda load, node, t: None),
    ),
    "every fleet is one pool": (84, instead(requests_module, "pools_of", lambda world: world.class_of * 0)),
    "as much is lost by night as by day": (
        2,
        instead(Requests, "_seconds", lambda requests, number, start, end: (end - start) / NS_PER_S),
    ),
    "shed requests are all in excess": (
        7,
        instead(Service, "requests_anyway", property(lambda service: _NothingShed())),
    ),
    "capacity is that of the start of a piece": (
        7,
        instead(requests_module, "integrate_many", lambda before, after, *rest: integrate_many(before, before, *rest)),
    ),
    # Lines.
    "offline nodes are dispatched": (3, instead(Lines, "is_online", lambda lines, node, t: True)),
    "lines begin with the rollout": (10, instead(Lines, "begin", lambda lines, node, t: None)),
    "verdicts are heard at once": (10, instead(Line, "report_verdict", _is_heard_at_once)),
    "nobody minds deadlines": (10, instead(Line, "report_verdict", _is_heard_some_day)),
    "who is offline is given up at once": (10, instead(Line, "report_verdict", _is_given_up_for_good)),
    "who is given up goes back by itself": (157, instead(Node, "fail_unheard", _goes_back_once_given_up)),
    "verdicts count after the end": (8, instead(Line, "_deliver", _is_heard_after_the_end)),
    "orders reach nodes at once": (45, instead(Line, "send_back", lambda line, node: node.roll_back())),
    # Late reports.
    "reports are judged at once": (2, instead(Controller, "_count_later", _counts_at_once)),
    "waves wait for reports": (11, instead(Wave, "is_heard", property(lambda wave: wave.is_over))),
    "failed dispatches are reported": (2, instead(Controller, "receive_verdict", _reports_failed_dispatches)),
    "a rollout ends unreported": (11, instead(Pacing, "_is_wave_through", property(_ends_unreported))),
    "canaries are promoted unreported": (3, instead(Pacing, "_is_wave_through", property(_promotes_unreported))),
    "the percent is of the last wave": (
        17,
        instead(Judging, "_waves_to_judge", lambda judging, judged_before: judging._dispatcher.waves[-1:]),
    ),
    # People and rollbacks.
    "the last wave is baked": (16, instead(Pacing, "_finish_wave", _bakes_after_the_last_wave)),
    "clocks never freeze": (39, instead(Countdown, "freeze", lambda countdown: None)),
    "an operator sees what does not show": (
        132,
        instead(people_module, "_shows_defect", lambda site, release, canary: True),
    ),
    "an operator misses failed canaries": (27, instead(people_module, "_shows_defect", _misses_failed_canaries)),
    "an operator never notices": (3, instead(people_module, "rejects", lambda site, operator, canaries: False)),
    "the rate clock starts late": (18, instead(Pacing, "start", _starts_without_a_clock)),
    "nobody waits for nodes that go back by themselves": (0, _always(Rollback, "_n_rolling_back", 0)),
    "a failed rollback restores": (56, instead(Rollback, "restored_ns", property(lambda rollback: rollback.ended_ns))),
    "rollbacks go at once": (0, rules("plan_waves", rollback=lambda _: 10**6)),
}

MISTAKES = {name: plant for name, (_, plant) in _TOLD.items()}
TOLD_BY = {name: number for name, (number, _) in _TOLD.items()}
