"""The controller: it receives reports of nodes, and acts at the end of each instant (model section 4).

It considers everything that happened together, in a fixed order: limits and canary gate, then script, then operator, then
pacing. If its acts have effects at the same instant, it acts again.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

from simdeploy.engines.recording import History
from simdeploy.engines.reference.change_windows import OpenHours
from simdeploy.engines.reference.deadlines import Deadlines
from simdeploy.engines.reference.dispatch import Dispatcher
from simdeploy.engines.reference.ending import Course
from simdeploy.engines.reference.judging import Judging
from simdeploy.engines.reference.pacing import FREEZES, Pacing
from simdeploy.engines.reference.people import People
from simdeploy.engines.schema import RUNNING
from simdeploy.errors import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from simdeploy.engines.reference.gates import WaveGates
    from simdeploy.engines.reference.node import Node
    from simdeploy.engines.reference.rollback import Rollback
    from simdeploy.engines.reference.running_watch import RunningWatch
    from simdeploy.engines.reference.site import Site
    from simdeploy.engines.reference.terms import Terms
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import Policy
    from simdeploy.rules.waves import Plan
    from simdeploy.world.change_windows import Calendar
    from simdeploy.world.operator import Operator


class Controller:
    """Runs one deployment."""

    def __init__(
        self,
        site: Site,
        nodes: list[Node],
        *,
        orchestrator: Orchestrator,
        operator: Operator,
        rollback: Rollback,
        wave_gates: WaveGates | None,
        running_watch: RunningWatch | None,  # at most one of both gates is there; neither for the API's threshold
        calendar: Calendar | None,  # when nodes may be dispatched; None if always
        # Interprets a changed policy, given the plan so far and the number of waves opened.
        read_terms: Callable[[Policy, Plan, int], Terms],
    ) -> None:
        self._site = site
        self._switches = orchestrator
        self._read_terms = read_terms
        self._new_policy: Policy | None = None
        self._rollback = rollback
        self._running_watch = running_watch
        self._judges = tuple(judge for judge in (wave_gates, running_watch) if judge is not None)
        self._deadlines_of_rollout = Deadlines(site)
        self._hours = OpenHours(site, calendar)
        add_to_gate = None if wave_gates is None else wave_gates.add_wave
        self.dispatcher = Dispatcher(site, orchestrator, nodes, site.terms.policy.slot_delay_ns, add_to_gate)
        self.course = Course(site, orchestrator, self.dispatcher, rollback, self._hours)
        self.pacing = Pacing(site, self.course, self.dispatcher, self._hours, orchestrator=orchestrator)
        self.judging = Judging(
            site,
            self.dispatcher,
            self.pacing,
            self._deadlines_of_rollout,
            orchestrator=orchestrator,
        )
        self.people = People(site, self.course, self.dispatcher, self.pacing, operator)
        self.canaries = [nodes[number] for number in site.world.order[: site.terms.plan.canaries]]
        # By length of the deadline, because deadlines of the same length pass in the order of their start.
        self._deadlines: defaultdict[int, deque[tuple[int, Node]]] = defaultdict(deque)
        self._late_verdicts: deque[tuple[int, Node]] = deque()  # with the time at which each counts, in order
        self.history = History(total_nodes=site.terms.plan.total)  # of the deployment

    # -- notifications -----------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, at the end of the present instant."""
        self.course.say("start", from_state="pending")
        self.pacing.start()
        self._deadlines_of_rollout.start()
        self._site.ring()

    def receive_verdict(self, node: Node) -> None:
        """Record a node's verdict for pacing, and count it, now or later; ignore it after the rollout's end."""
        if self._running_watch is not None and node.fate.status == RUNNING:
            self._running_watch.runs(node)
        if self._site.is_over:
            return
        wave = self.dispatcher.hear(node)
        if node.fate.ever_failed:
            self.pacing.hear_of_failure()
        if node.fate.surged and not (self._switches.failed_node_holds_slot and self.dispatcher.slots.are_held_by(node)):
            self.dispatcher.slots.surging.discard(node.number)
        # The control plane knows without a report that a node could not be dispatched.
        if not self._switches.reporting_delay_ns or node.fate.dispatched_ns is None:
            self.judging.count(node)
            self._site.ring()
            return
        self._count_later(node)
        if wave.is_heard or self._bounds_deadlines(node):
            self._site.ring()

    def give_up_slot(self, node: Node) -> None:
        """Free the slot of a node that doesn't need it any more, before its verdict."""
        self.dispatcher.slots.give_up(node)

    def _bounds_deadlines(self, node: Node) -> bool:
        """Return whether a node has the first or the last deadline among nodes without a verdict at the last look."""
        return any(queue and (node is queue[0][1] or node is queue[-1][1]) for queue in self._deadlines.values())

    def _count_later(self, node: Node) -> None:
        due_ns = self._site.env.now + self._switches.reporting_delay_ns
        if not self._late_verdicts or self._late_verdicts[-1][0] < due_ns:
            self._site.env.ring_at(due_ns)
        self._late_verdicts.append((due_ns, node))

    def _count_late_verdicts(self) -> None:
        """Count the late verdicts that are due."""
        while self._late_verdicts and self._late_verdicts[0][0] <= self._site.env.now:
            _, node = self._late_verdicts.popleft()
            if not self.course.is_over:
                self.judging.count(node)

    def record_deadline(self, node: Node, deadline_ns: int) -> None:
        """Record a node's deadline."""
        self._deadlines[node.rule.deadline_ns].append((deadline_ns, node))
        self._site.ring()

    def record_failed_try(self) -> None:
        """Record that a node's try has failed and another follows; this may count as a failure."""
        if not self.course.is_over:
            self.judging.count_try()
        self.pacing.between_tries += 1
        self._site.ring()

    def record_next_try(self) -> None:
        """Record that a node's next try begins."""
        self.pacing.between_tries -= 1
        self._site.ring()

    # -- the end of an instant ---------------------------------------------------------------------

    def settle(self) -> None:
        """At the end of an instant: count late verdicts, let gates look, act, and advance the rollback."""
        if self._late_verdicts:
            self._count_late_verdicts()
        if self._judges:
            for judge in self._judges:
                for what in judge.act():
                    self.course.say(what)
            # Verdicts of gates come before the control plane's acts on them.
            self._site.begin_round()
        self.act()
        if self._judges and self._is_at_rest:
            for judge in self._judges:
                judge.end()
        if self._rollback.is_requested:
            self._rollback.act()

    @property
    def _is_at_rest(self) -> bool:
        """Whether an unfinished rollout will never change again, because nothing is scheduled."""
        return (
            not self.course.is_over
            and not self._site.env.is_rung
            and not self.people.may_act
            and not self.course.any_clock_runs
            and not self._hours.is_awaited
            and not self._deadlines_of_rollout.are_ahead
            and not self.dispatcher.slots.delayed
            and self.dispatcher.unresolved == self.dispatcher.held_back
        )

    def act(self) -> None:
        """Change the policy, judge, let people act, and advance, in this order."""
        if self._new_policy is not None:
            self._apply_new_policy(self._new_policy)
        self._judge()
        self.people.act()
        self._advance()
        if self._deadlines_of_rollout.are_set:
            stands_still = self.course.is_paused or self.pacing.stands_still or self.course.is_over
            self._deadlines_of_rollout.stand_still(stands_still)
            # A rollout that would have been complete just in time was paused instead.
            if self.course.is_paused and self._deadlines_of_rollout.is_rollout_late:
                self._site.ring()
        self._note()

    def change_policy(self, policy: Policy) -> None:
        """Switch to another policy at the end of the present instant."""
        self._new_policy = policy
        self._site.ring()

    def _apply_new_policy(self, policy: Policy) -> None:
        self._new_policy = None
        if self.course.is_over:
            return
        before = self._site.terms
        self._site.change_terms(self._read_terms(policy, before.plan, len(self.dispatcher.waves)))
        self._deadlines_of_rollout.change(before.policy)
        self.judging.judge_anew()
        self.pacing.take_over_promotion()
        self.course.say("the policy changes")

    def _judge(self) -> None:
        alarm = None
        for judge in self._judges:
            alarm = alarm or judge.take_alarm()
        if self._site.is_over:
            return
        crossed = self.judging.find_crossed(alarm)
        if crossed is None:
            return
        action = self._switches.on_failure
        if action in ("rollback", "stop"):
            undo = action == "rollback" and not self._site.terms.policy.no_auto_rollback
            self.course.end("failed", crossed, undo=undo)
            return
        self.judging.acknowledge()
        self.course.remark = crossed
        if action == "pause" and not self.course.is_paused:
            self.course.pause(crossed)
        else:
            self.course.say(crossed)

    def _advance(self) -> None:
        if self.pacing.advance():
            updated = self.judging.updated
            message = f"{updated} node{'s' * (updated != 1)} updated, {self.judging.failed} failed"
            self.course.end("completed", message, undo=False)

    # -- the deployment's status -------------------------------------------------------------------

    def _message(self) -> str:
        remark = self.course.remark
        if self._site.is_over:
            return remark
        what = self.pacing.describe()
        stuck = FREEZES if self.pacing.freezes_any else self.dispatcher.why_stuck()
        if stuck and stuck != remark:
            what += f"; {stuck}"
        if self.dispatcher.unreachable:
            what += f"; waits for {plural(self.dispatcher.unreachable, 'unreachable node')}"
        if self.pacing.opening:
            what += f"; waits for {self.pacing.opening}"
        return f"{what}; {remark}" if remark else what

    def _note(self) -> None:
        course, pacing, judging = self.course, self.pacing, self.judging
        dispatched_ns, counted_ns = pacing.last_dispatch_ns, judging.last_count_ns
        first_ns, last_ns = self._bound_deadlines()
        self.history.settle(
            self._site.env.now,
            (  # as in `StatusFields`
                course.state,
                self._message(),
                len(self.dispatcher.waves),
                judging.updated,
                judging.failed,
                bool(self.canaries) and pacing.promoted_waves > 0,
                None if self._site.is_over else self.dispatcher.unreachable,
                course.makespan_ns,
                dispatched_ns if counted_ns is None else max(counted_ns, dispatched_ns or 0),
                first_ns,
                last_ns,
            ),
        )

    def _bound_deadlines(self) -> tuple[int | None, int | None]:
        """Return the first and the last deadline of nodes without a verdict, while the rollout continues."""
        first_ns = last_ns = None
        for queue in self._deadlines.values():
            # Nodes with a verdict have no deadline any more; nodes that are tried again have a new one.
            while queue and queue[0][1].deadline_ns != queue[0][0]:
                queue.popleft()
            while queue and queue[-1][1].deadline_ns != queue[-1][0]:
                queue.pop()
            if queue and not self._site.is_over:
                first_ns = queue[0][0] if first_ns is None else min(first_ns, queue[0][0])
                last_ns = queue[-1][0] if last_ns is None else max(last_ns, queue[-1][0])
        return first_ns, last_ns
