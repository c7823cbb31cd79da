"""The controller: sends waves, judges limits, and brings the rollout to its end (model section 4).

At the end of each instant it looks once at everything that happened, in a fixed order: limits and
canary gate, then script, then operator, then what comes next. What it does may happen at the same
instant; then it looks again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal

from simdeploy.engines.recording import CONTROL_PLANE, History, StatusFields
from simdeploy.engines.reference.change_windows import OpenCountdown, OpenHours
from simdeploy.engines.reference.clock import Countdown
from simdeploy.engines.reference.deadlines import Deadlines
from simdeploy.engines.reference.dispatch import Dispatcher
from simdeploy.engines.reference.node import NOT_HEARD
from simdeploy.engines.reference.people import rejects
from simdeploy.engines.reference.tally import Tally
from simdeploy.engines.schema import RUNNING
from simdeploy.rules.limits import Counts
from simdeploy.rules.waves import NO_WAVE_LIMITS
from simdeploy.units import NS_PER_S
from simdeploy.vocabulary import TERMINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Callable

    from simdeploy.engines.reference.dispatch import Wave
    from simdeploy.engines.reference.gates import WaveGates
    from simdeploy.engines.reference.node import Node
    from simdeploy.engines.reference.rollback import Rollback
    from simdeploy.engines.reference.running_watch import RunningWatch
    from simdeploy.engines.reference.site import Site
    from simdeploy.rules.limits import Limits
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import Policy
    from simdeploy.rules.waves import Plan
    from simdeploy.world.change_windows import Calendar
    from simdeploy.world.operator import Action, Operator

_BATCH_EVERY_NS = 60 * NS_PER_S
_FREEZES = "a failed node freezes the rollout"

# ready: the next wave may go. wave: one is in flight. bake, baked: after it. await: the canaries wait
# for a promotion. main: sliding or rate pacing is at work. done: every node has had its turn.
Phase = Literal["ready", "wave", "bake", "baked", "await", "main", "done"]


class Controller:
    """Runs one deployment.

    Parameters
    ----------
    running_watch : RunningWatch or None
        The gate beyond the API's threshold is either of them, if there is one.
    calendar : Calendar or None
        When nodes may be dispatched; None if always.

    Attributes
    ----------
    state : str
        As in the API.
    updated, failed : int
        Nodes that reached running (or left for good), and that ever failed, until the rollout ended.
    """

    def __init__(
        self,
        site: Site,
        nodes: list[Node],
        *,
        policy: Policy,
        orchestrator: Orchestrator,
        operator: Operator,
        plan: Plan,
        limits: Limits | None,
        rollback: Rollback,
        wave_gates: WaveGates | None,
        running_watch: RunningWatch | None,
        calendar: Calendar | None,
    ) -> None:
        self._site = site
        self._policy = policy
        self._switches = orchestrator
        self._operator = operator
        self._plan = plan
        self._limits = limits
        self._tally = Tally(limits, site.world.zone_of)
        self._deadlines_of_rollout = Deadlines(site, policy)
        self._rollback = rollback
        self._running_watch = running_watch
        self._judges = tuple(one for one in (wave_gates, running_watch) if one is not None)
        self._judged_at_wave_end = orchestrator.limits_judged == "wave_end" and plan.pacing != "sliding"
        opened = None if wave_gates is None else wave_gates.opened
        self.dispatcher = Dispatcher(site, orchestrator, plan, nodes, policy.slot_delay_ns, opened)
        self.canaries = [nodes[number] for number in site.world.order[: plan.canaries]]

        self.state = "in_progress"
        self._phase: Phase = "ready"
        self._remark = ""
        self._promoted_waves = 0
        self._promotion_wanted = False
        self._orders: deque[Action] = deque()
        self._acts_ahead = len(operator.script)
        self._operator_is_due = False
        self._batches_due = 0
        self._clocks: list[Countdown] = []
        self._hours = OpenHours(site, calendar)
        self._opening: str | None = None  # the one that is awaited, in words
        self._is_frozen = self._is_said_to_freeze = self._was_stuck = False
        self._between_tries = 0

        self._news = False
        self._waves_judged = 0
        self._first_unjudged = 0
        self._acknowledged_failures = 0
        self.updated = 0
        self.failed = 0

        self.makespan_ns: int | None = None
        self._last_progress_ns: int | None = None
        self._deadlines: deque[tuple[int, Node]] = deque()
        self._late_verdicts: deque[tuple[int, Node]] = deque()  # when they count, in order
        self.history = History(total_nodes=plan.total)

    @property
    def is_over(self) -> bool:
        """Whether the deployment has reached a state that it never leaves."""
        return self._site.is_over

    @property
    def _is_paused(self) -> bool:
        return self.state == "paused"

    # -- what it is told ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, at the end of the present instant."""
        self._say("pending", "in_progress", "start")
        if self._plan.pacing == "rate" and not self.canaries:
            self._batch_is_due()  # its clock runs from the start, even if a pause at 0 s holds the batch back
        self._deadlines_of_rollout.start()
        self._site.ring()

    def hears_of(self, node: Node) -> None:
        """Take note of a node's verdict, for pacing, and have it counted; after the end nobody does any more."""
        if self._running_watch is not None and node.fate.status == RUNNING:
            self._running_watch.runs(node)
        if self.is_over:
            return
        wave = self.dispatcher.hear(node)
        if node.fate.ever_failed and self._switches.failed_node_freezes and not self._is_frozen:
            self._is_frozen = True
            self._site.ring()
        if node.fate.surged and not (self._switches.failed_node_holds_slot and self._keeps_slot(node)):
            self.dispatcher.surging -= 1
        # Nobody has to report that a node could not be dispatched.
        if not self._switches.reporting_delay_ns or node.fate.dispatched_ns is None:
            self._count(node)
            self._site.ring()
            return
        self._count_later(node)
        if wave.is_heard or self._bounds_deadlines(node):
            self._site.ring()

    def _keeps_slot(self, node: Node) -> bool:
        """Tell whether a node has failed and may hold its slot: it had one, and doesn't go back by itself."""
        goes_back = self._site.goes_back_by_itself and node.fate.failed_reason != NOT_HEARD
        return node.fate.ever_failed and node.fate.dispatched_ns is not None and not goes_back

    def gives_up_slot(self, node: Node) -> None:
        """Let a node that needs its slot no more give it up before its verdict."""
        self.dispatcher.slots.give_up(node)

    def _bounds_deadlines(self, node: Node) -> bool:
        """Return whether a node has the first or the last deadline of those that were not heard of at the last look."""
        deadlines = self._deadlines
        return bool(deadlines) and (node is deadlines[0][1] or node is deadlines[-1][1])

    def _count_later(self, node: Node) -> None:
        due_ns = self._site.env.now + self._switches.reporting_delay_ns
        if not self._late_verdicts or self._late_verdicts[-1][0] < due_ns:
            self._site.ring_at(due_ns)
        self._late_verdicts.append((due_ns, node))

    def _count_late_verdicts(self) -> None:
        """Let the verdicts count that are due."""
        while self._late_verdicts and self._late_verdicts[0][0] <= self._site.env.now:
            _, node = self._late_verdicts.popleft()
            if not self.is_over:
                self._count(node)

    def _count(self, node: Node) -> None:
        """Let a verdict count, for everything but pacing."""
        node.fate.counted_ns = self._last_progress_ns = self._site.env.now
        self.dispatcher.resolve(node)
        self._tally.add(node, self._site.env.now)
        if node.fate.ever_failed:
            self.failed += 1
        else:
            self.updated += 1
            self._deadlines_of_rollout.progress()
        self._news = True

    def expects_verdict_by(self, node: Node, deadline_ns: int) -> None:
        """Take note of a node's deadline; they come in order, because they all run for the same time."""
        self._deadlines.append((deadline_ns, node))
        self._site.ring()

    def hears_of_try(self) -> None:
        """Take note that a node did not start, and is tried again: that may count as a failure."""
        if not self.is_over and self._limits is not None and self._limits.counts_tries:
            self._tally.add_try(self._site.env.now)
            self._news = True
        self._between_tries += 1
        self._site.ring()

    def hears_of_next_try(self) -> None:
        """Take note that a node's next try begins."""
        self._between_tries -= 1
        self._site.ring()

    def is_told(self, action: Action) -> None:
        """Take an act of the script, to be done at the end of the present instant."""
        self._orders.append(action)
        self._site.ring()

    # -- the end of an instant ---------------------------------------------------------------------

    def settle(self) -> None:
        """Count, let gates look, act, and see to those that go back, once everything else of this instant has happened."""
        self._count_late_verdicts()
        for judge in self._judges:
            for what in judge.act():
                self._say(self.state, self.state, what)
        # What gates do to nodes happens before the control plane acts on it.
        self._site.begin_round()
        self.act()
        if self._judges and self._is_at_rest:
            for judge in self._judges:
                judge.end()
        self._rollback.act()

    @property
    def _is_at_rest(self) -> bool:
        """Whether a rollout that goes on has nothing ahead of it: nobody will act any more."""
        return (
            not self.is_over
            and not self._site.is_rung
            and self._acts_ahead == 0
            and not any(clock.is_running for clock in self._clocks)
            and not self._hours.is_awaited
            and not self._deadlines_of_rollout.are_ahead
            and not self.dispatcher.slots.delayed
            and self.dispatcher.unresolved == self.dispatcher.held_back
        )

    def act(self) -> None:
        """Do what is due, in this order."""
        self._judge()
        self._obey_script()
        self._obey_operator()
        self._advance()
        self._let_progress_count()
        self._note()

    def _judge(self) -> None:
        alarm = next((alarm for judge in self._judges if (alarm := judge.take_alarm())), None)
        if self.is_over:
            return
        alarm = alarm or (None if self._had_all_turns_and_promotion else self._deadlines_of_rollout.tell())
        lost = self._take_lost_wave()
        crossed = self._judge_limits(alarm) or lost or self._find_stuck()
        if crossed is None:
            return
        action = self._switches.on_failure
        if action in ("rollback", "stop"):
            self._end("failed", crossed, undo=action == "rollback" and not self._policy.no_auto_rollback)
            return
        self._acknowledged_failures = self._failures
        self._remark = crossed
        if action == "pause" and not self._is_paused:
            self._pause(crossed)
        else:
            self._say(self.state, self.state, crossed)

    def _judge_limits(self, alarm: str | None) -> str | None:
        """Say what is crossed, if there is an alarm, or verdicts that were not judged yet."""
        if not (self._news or alarm):
            return None
        if not alarm and self._judged_at_wave_end and self.dispatcher.waves_over == self._waves_judged:
            return None
        self._news = False
        self._waves_judged = self.dispatcher.waves_over
        judged_before, self._first_unjudged = self._first_unjudged, self._count_leading_waves_over()
        # After a pause the same crossing counts again only when a further node has failed.
        if not alarm and self._failures <= self._acknowledged_failures:
            return None
        return alarm or self._what_is_crossed(judged_before)

    def _take_lost_wave(self) -> str | None:
        """Say once, if that is a failure, that no node of a wave is running."""
        lost, self.dispatcher.lost_wave = self.dispatcher.lost_wave, None
        if lost is None or self._switches.lost_waves == "continue":
            return None
        return f"no node of wave {lost.number} is running: {lost.failed} failed of {lost.size}"

    def _find_stuck(self) -> str | None:
        """Say once, if that is a failure, that failed nodes keep a rollout from going on."""
        if self._was_stuck or self._switches.all_slots_held == "wait":
            return None
        stuck = self._why_stuck()
        self._was_stuck = stuck is not None
        return stuck

    def _why_stuck(self) -> str | None:
        """Say why failed nodes let no other one have its turn, now that nothing is in flight; None if that is not so."""
        dispatcher = self.dispatcher
        if not self._freezes_any:
            return dispatcher.why_stuck()
        return _FREEZES if dispatcher.unresolved == dispatcher.waiting else None

    @property
    def _freezes_any(self) -> bool:
        """Whether a failed node, or one that waits for its next try, keeps any from being dispatched."""
        is_frozen = self._is_frozen or (self._switches.failed_node_freezes and self._between_tries > 0)
        return is_frozen and (self.dispatcher.left > 0 or self.dispatcher.waiting > 0)

    @property
    def _failures(self) -> int:
        """Failed nodes, and earlier tries of nodes if they count."""
        return self.failed + self._tally.earlier_tries

    def _count_leading_waves_over(self) -> int:
        first = self._first_unjudged
        while first < len(self.dispatcher.waves) and self.dispatcher.waves[first].is_over:
            first += 1
        return first

    def _what_is_crossed(self, judged_before: int) -> str | None:
        wave = self.dispatcher.waves[-1]
        awaits = self.canaries and not self._promoted_waves
        if awaits and self._switches.canary_gate == "all_healthy" and wave.failed:
            return f"{wave.failed} of {wave.size} canaries failed"
        if self._limits is None:
            return None
        for judged in self._waves_to_judge(judged_before):
            for zone_failed, zone_size in self._tally.list_zones():
                counts = Counts(
                    failed=self.failed,
                    running=self.updated,
                    wave_failed=judged.failed,
                    wave_size=judged.size,
                    counted=self._tally.in_a_row if self._limits.consecutive else self._failures,
                    wave=self._plan.limits[judged.number - 1] if self._plan.limits else NO_WAVE_LIMITS,
                    zone_failed=zone_failed,
                    zone_size=zone_size,
                )
                crossed = self._limits.crossed(counts)
                if crossed:
                    return crossed
        return None

    def _waves_to_judge(self, judged_before: int) -> list[Wave]:
        """Return the waves whose size the percent limit may be of: the last one, or those that verdicts were late of."""
        is_of_waves = self._switches.failed_percent_of == "wave" or self._plan.limits
        if not self._switches.reporting_delay_ns or not is_of_waves:
            return self.dispatcher.waves[-1:]
        waves = self.dispatcher.waves[judged_before:]
        return [wave for wave in waves if wave.is_over] if self._judged_at_wave_end else waves

    def _obey_script(self) -> None:
        while self._orders:
            action = self._orders.popleft()
            self._acts_ahead -= 1
            refusal = self._why_not(action)
            if refusal:
                self._say(self.state, self.state, f"script: {action} has no effect: {refusal}")
            elif action == "pause":
                self._pause("script: pause")
            elif action == "resume":
                self._resume()
            elif action == "promote":
                self._promotion_wanted = True
                self._say(self.state, self.state, "script: promote")
            else:
                self._end("canceled", "script: cancel", undo=not self._policy.no_auto_rollback)

    def _why_not(self, action: Action) -> str | None:
        if self.state in TERMINAL_STATES:
            return f"the deployment is {self.state}"
        if action == "pause" and self._is_paused:
            return "the deployment is already paused"
        if action == "resume" and not self._is_paused:
            return "the deployment is not paused"
        if action == "promote":
            return self._why_not_promote()
        return None

    def _why_not_promote(self) -> str | None:
        of_canaries = self.canaries and not any(self._plan.promotions[1:])
        if not any(self._plan.promotions):
            return "there are no canaries"
        if self._promotion_wanted or not any(self._plan.promotions[self._promoted_waves :]):
            return f"{'the canaries are' if of_canaries else 'everything is'} already promoted"
        if not self._awaits_promotion or not self.dispatcher.waves[-1].is_over:
            return f"not all {'canaries' if of_canaries else 'nodes of a wave that awaits it'} are resolved"
        return None

    @property
    def _awaits_promotion(self) -> bool:
        """Whether the wave that was opened last needs a promotion that it hasn't had yet."""
        number = len(self.dispatcher.waves)
        return number > self._promoted_waves and self._plan.promotions[number - 1]

    def _obey_operator(self) -> None:
        if not self._operator_is_due:
            return
        self._operator_is_due = False
        if self.is_over or not self._awaits_promotion or self._promotion_wanted:
            return
        if rejects(self._site, self._operator, self.dispatcher.had_turn):
            self._end("canceled", "operator: cancel", undo=not self._policy.no_auto_rollback)
        else:
            self._promotion_wanted = True
            self._say(self.state, self.state, "operator: promote")

    # -- what comes next ---------------------------------------------------------------------------

    def _advance(self) -> None:
        opening, self._opening = self._opening, None
        self._hours.forget()
        if self.is_over:
            return
        if self._is_frozen and self._freezes_any and not self._is_said_to_freeze:
            self._is_said_to_freeze = True
            self._say(self.state, self.state, _FREEZES)
        if self._phase == "wave" and self._is_wave_through:
            self._finish_wave()
        if self._phase == "baked":
            self._look_beyond_wave()
        if self._is_paused:
            return
        if self._promotion_wanted:
            self._promote()
        if self._freezes_any:
            return  # nor will it end
        if self._hours.are_now:
            self._dispatch()
        else:
            self._wait_for_opening()
            if self._opening not in (None, opening):
                self._say(self.state, self.state, f"waits for {self._opening}")
        if self._phase == "done":
            self._end("completed", f"{self.updated} nodes updated, {self.failed} failed", undo=False)

    def _let_progress_count(self) -> None:
        waits = self._phase in ("bake", "baked", "await") or self._hours.is_awaited
        self._deadlines_of_rollout.stand_still(self._is_paused or waits or self.is_over)

    def _dispatch(self) -> None:
        self.dispatcher.admit_returned()
        if self._phase == "ready":
            self._send_next()
        elif self._phase == "wave":
            self._fill_slots()
        if self._phase == "main":
            self._keep_going()

    @property
    def _is_wave_through(self) -> bool:
        """Whether what comes after the last wave may come: promotions and the end wait until verdicts count, other waves don't."""
        wave = self.dispatcher.waves[-1]
        if not self.dispatcher.left:
            return self.dispatcher.waves_over == len(self.dispatcher.waves)
        return wave.is_over if self._plan.promotions[wave.number - 1] else wave.is_heard

    def _finish_wave(self) -> None:
        """Bake after a wave, if the plan says so."""
        bake_ns = self._plan.bakes_ns[len(self.dispatcher.waves) - 1]
        if bake_ns:
            self._phase = "bake"
            self._count_down(bake_ns, self._baked)
        else:
            self._look_beyond_wave()

    def _baked(self) -> None:
        self._phase = "baked"
        self._site.ring()

    def _look_beyond_wave(self) -> None:
        if self._awaits_promotion:
            self._phase = "await"
            if self._policy.auto_promote:
                self._promotion_wanted = True
            else:
                self._count_down(self._site.world.promote_after_ns, self._operator_comes)
        else:
            self._phase = "ready" if self.dispatcher.left else "done"

    def _operator_comes(self) -> None:
        self._operator_is_due = True
        self._site.ring()

    def _promote(self) -> None:
        self._promotion_wanted = False
        number = self._promoted_waves = len(self.dispatcher.waves)
        self._cancel_clocks()
        self._say(self.state, self.state, f"{self._name_promoted(number)} promoted")
        self._phase = "ready" if self.dispatcher.left else "done"

    def _name_promoted(self, number: int) -> str:
        return "canaries" if self.canaries and number == 1 else f"wave {number}"

    def _send_next(self) -> None:
        canaries_first = bool(self.canaries) and not self.dispatcher.waves
        if self._plan.pacing == "barrier" or canaries_first:
            if self.dispatcher.may_open_wave:
                self.dispatcher.open_wave()
                self._phase = "wave"
                self._fill_slots()
            return
        self._phase = "main"
        if self._plan.pacing == "sliding":
            self.dispatcher.open_wave()
        elif self.canaries:
            self._batch_is_due()

    def _keep_going(self) -> None:
        """Sliding and rate pacing: fill free slots, or send a batch that is due; one step a look."""
        late = self._late_batches if self._plan.pacing == "rate" else 0
        if late:
            self.dispatcher.open_wave()
        if late > 1:
            self._site.ring()
        # Nothing ends in the look in which nodes have their turn: those that are down then are resolved at once.
        if not self._fill_slots() and self._had_all_turns:
            self._phase = "done"

    def _fill_slots(self) -> bool:
        """Let nodes of the wave that was opened last have their turn, as many as find a slot; return whether any does."""
        count = self.dispatcher.turns_due
        if count > 0:
            self.dispatcher.give_turns(count)
            self._last_progress_ns = self._site.env.now
        return count > 0

    @property
    def _finds_slot(self) -> bool:
        """Whether a node of the wave at hand, or of the next one, could have its turn now."""
        if self._phase == "ready":
            return self.dispatcher.may_open_wave
        return self._phase in ("wave", "main") and self.dispatcher.turns_due > 0

    @property
    def _late_batches(self) -> int:
        """Batches of rate pacing that are due and not sent."""
        sent = len(self.dispatcher.waves) - bool(self.canaries)
        return max(self._batches_due - sent, 0) if self.dispatcher.left else 0

    @property
    def _had_all_turns(self) -> bool:
        return not self.dispatcher.left and self.dispatcher.waves_over == len(self.dispatcher.waves)

    @property
    def _had_all_turns_and_promotion(self) -> bool:
        return self._had_all_turns and not self._awaits_promotion

    def _wait_for_opening(self) -> None:
        """While no change window is open: dispatch nothing, but let the clock of rate pacing begin, and see the end."""
        is_rate, is_canary = self._plan.pacing == "rate", bool(self.canaries) and not self.dispatcher.waves
        if self._phase == "ready" and is_rate and not is_canary:
            self._send_next()
        is_batch = is_rate and self._phase == "main"
        waits = self.dispatcher.any_returned or (self._late_batches > 0 if is_batch else self._finds_slot)
        stands_still = is_batch and self.dispatcher.left > 0
        if self._phase == "main" and self._had_all_turns:
            self._phase = "done"
        if waits:
            self._hours.await_next()
        if waits or stands_still:
            self._opening = f"the change window that opens {self._hours.name_next()}"

    def _batch_is_due(self) -> None:
        self._batches_due += 1
        planned = len(self._plan.sizes) - bool(self.canaries)
        if self._batches_due < planned:
            self._count_down(_BATCH_EVERY_NS, self._batch_is_due, in_open_hours=True)
        self._site.ring()

    # -- pausing and ending ------------------------------------------------------------------------

    def _pause(self, reason: str) -> None:
        self._say(self.state, "paused", reason)
        self.state = "paused"
        if self._switches.paused_clocks == "stop":
            for clock in self._clocks:
                clock.freeze()

    def _resume(self) -> None:
        self._say("paused", "in_progress", "script: resume")
        self.state = "in_progress"
        for clock in self._clocks:
            clock.thaw()

    def _count_down(self, duration_ns: int, callback: Callable[[], None], *, in_open_hours: bool = False) -> None:
        frozen = self._is_paused and self._switches.paused_clocks == "stop"
        env, calendar = self._site.env, self._hours.calendar
        if in_open_hours and calendar is not None:
            tell = self._site.ring
            self._clocks = [OpenCountdown(env, duration_ns, callback, calendar=calendar, tell=tell, frozen=frozen)]
        else:
            self._clocks = [Countdown(env, duration_ns, callback, frozen=frozen)]

    def _cancel_clocks(self) -> None:
        for clock in self._clocks:
            clock.cancel()
        self._clocks = []

    def _end(self, state: str, reason: str, *, undo: bool) -> None:
        self._say(self.state, state, reason)
        self.state = state
        self._remark = reason
        self._site.is_over = True
        self.makespan_ns = self._site.env.now
        self._cancel_clocks()
        if not self._site.type.undone:
            return
        touched = self.dispatcher.touched
        if undo or (state != "completed" and not touched):
            self._rollback.ask(touched)
        elif state != "completed" or self._escaped:
            Countdown(
                self._site.env,
                self._site.world.escape_detection_ns,
                lambda: self._rollback.ask(touched),
                frozen=False,
            )

    @property
    def _escaped(self) -> bool:
        release = self._site.world.release
        return self.state == "completed" and release is not None and release.defective

    @property
    def horizon_ns(self) -> int | None:
        """When service is whole again; None if it never is. To be asked when nothing happens any more."""
        if self.makespan_ns is None:
            return None
        if self.state == "completed" and not self._escaped:
            return self.makespan_ns
        if self._site.type.undone:
            return self._rollback.ended_ns
        return self.makespan_ns + (self._site.world.escape_detection_ns if self._escaped else 0)

    # -- what it says ------------------------------------------------------------------------------

    def _say(self, from_state: str, to_state: str, reason: str) -> None:
        self._site.note(CONTROL_PLANE, from_state, to_state, len(self.dispatcher.waves), reason)

    def _message(self) -> str:
        if self.is_over:
            return self._remark
        wave = f"wave {len(self.dispatcher.waves)} of {len(self._plan.sizes)}"
        match self._phase:
            case "bake":
                what = f"baking after {wave}"
            case "baked":
                what = f"baked after {wave}"
            case "await":
                name = self._name_promoted(len(self.dispatcher.waves))
                what = f"{name} await{'' if name == 'canaries' else 's'} promotion"
            case _:
                what = wave if self.dispatcher.waves else "nothing dispatched yet"
        stuck = _FREEZES if self._freezes_any else self.dispatcher.why_stuck()
        if stuck and stuck != self._remark:
            what += f"; {stuck}"
        if self._opening:
            what += f"; waits for {self._opening}"
        return f"{what}; {self._remark}" if self._remark else what

    def _note(self) -> None:
        deadlines = self._deadlines
        while deadlines and _has_passed(*deadlines[0]):
            deadlines.popleft()
        while deadlines and _has_passed(*deadlines[-1]):
            deadlines.pop()
        waiting = bool(deadlines) and not self.is_over
        self.history.settle(
            self._site.env.now,
            StatusFields(
                state=self.state,
                message=self._message(),
                current_wave=len(self.dispatcher.waves),
                updated_nodes=self.updated,
                failed_nodes=self.failed,
                canary_promoted=bool(self.canaries) and self._promoted_waves > 0,
                completed_ns=self.makespan_ns,
                last_progress_ns=self._last_progress_ns,
                health_check_deadline_ns=deadlines[0][0] if waiting else None,
                healthy_deadline_ns=deadlines[-1][0] if waiting else None,
            ),
        )


def _has_passed(deadline_ns: int, node: Node) -> bool:
    """Tell whether a node was heard of, or has another deadline since it was tried again."""
    return node.fate.heard_ns is not None or node.deadline_ns != deadline_ns
