"""The people: an operator who promotes or cancels, and a script of acts at given times (model section 4)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal, TypeAlias

from simdeploy.vocabulary import TERMINAL_STATES
from simdeploy.world.operator import Action, Operator, ScriptedAct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simdeploy.engines.reference.clock import Process
    from simdeploy.engines.reference.dispatch import Dispatcher
    from simdeploy.engines.reference.ending import Course
    from simdeploy.engines.reference.node import Node
    from simdeploy.engines.reference.pacing import Pacing
    from simdeploy.engines.reference.site import Site
    from simdeploy.world.release import ReleaseKind

# A user acting by hand may also request a rollback, whatever the policy says, even after the end of the deployment.
Act: TypeAlias = Action | Literal["rollback"]


def follow_script(site: Site, schedule: Callable[[Action], None], script: Sequence[ScriptedAct]) -> Process:
    """Pass on each act at its time, acts of one instant in the file's order."""
    for act in sorted(script, key=lambda act: act.at_ns):
        yield site.env.timeout(act.at_ns - site.env.now)
        schedule(act.do)


def rejects(site: Site, operator: Operator, nodes: Sequence[Node]) -> bool:
    """Tell whether the operator, looking at the nodes that had their turn, cancels instead of promoting."""
    release = site.world.release
    if release is not None and release.defective and any(_shows_defect(site, release, node) for node in nodes):
        return site.world.operator_uniform < operator.notices_defect
    return site.world.operator_uniform < operator.rejects_good


def _shows_defect(site: Site, release: ReleaseKind, node: Node) -> bool:
    """Tell whether a node is affected, and failed or was exposed long enough for the defect to show while it runs."""
    fate = node.fate
    # The operator sees no defect on a node without a report by its deadline.
    if fate.dispatched_ns is None or fate.unheard or not site.world.affected[node.number]:
        return False
    if fate.ever_failed:
        return True
    if fate.started_ns is None or not release.hurts_running_nodes:
        return False
    exposed_until = site.env.now if fate.back_from_ns is None else fate.back_from_ns
    return fate.started_ns + site.world.after_ns(node.number) <= exposed_until


class People:
    """The acts of script and operator at the end of an instant."""

    def __init__(
        self,
        site: Site,
        course: Course,
        dispatcher: Dispatcher,
        pacing: Pacing,
        operator: Operator,
    ) -> None:
        self._site = site
        self._course = course
        self._dispatcher = dispatcher
        self._pacing = pacing
        self._operator = operator
        self._acts_due: deque[tuple[Act, str]] = deque()
        self._n_acts_ahead = len(operator.script)

    @property
    def may_act(self) -> bool:
        """Whether any act may still follow."""
        return self._site.by_hand or self._n_acts_ahead > 0

    def schedule(self, action: Act, by: Literal["script", "operator"] = "script") -> None:
        """Schedule an act for the end of the present instant; a user who acts by hand is the operator."""
        self._acts_due.append((action, f"{by}: {action}"))
        self._site.ring()

    def act(self) -> None:
        """Carry out acts of the script, then let the operator decide if it is time."""
        if self._acts_due:
            self._carry_out_acts()
        if self._pacing.operator_is_due:
            self._look()

    def _carry_out_acts(self) -> None:
        while self._acts_due:
            action, reason = self._acts_due.popleft()
            self._n_acts_ahead -= 1
            refusal = self.why_not(action)
            if refusal:
                self._course.say(f"{reason} has no effect: {refusal}")
            elif action == "pause":
                self._course.pause(reason)
            elif action == "resume":
                self._course.resume(reason)
            elif action == "promote":
                self._pacing.promotion_wanted = True
                self._course.say(reason)
            elif action == "rollback":
                self._course.roll_back(reason)
            else:
                self._course.end("canceled", reason, undo=not self._site.terms.policy.no_auto_rollback)

    def why_not(self, action: Act) -> str | None:
        """Say why an act would have no effect now; None if it would."""
        state = self._course.state
        if action == "rollback":
            return self._course.why_not_roll_back()
        if state in TERMINAL_STATES:
            return f"the deployment is {state}"
        if action == "pause" and self._course.is_paused:
            return "the deployment is already paused"
        if action == "resume" and not self._course.is_paused:
            return "the deployment is not paused"
        return self._why_not_promote() if action == "promote" else None

    def _why_not_promote(self) -> str | None:
        promotions, pacing = self._site.terms.plan.promotions, self._pacing
        of_canaries = self._site.terms.plan.canaries > 0 and not any(promotions[1:])
        if not any(promotions):
            return "there are no canaries"
        if pacing.promotion_wanted:
            return "a promotion is already pending"
        if not any(promotions[pacing.promoted_waves :]):
            return f"{'the canaries are' if of_canaries else 'everything is'} already promoted"
        if not pacing.awaits_promotion or not self._dispatcher.waves[-1].is_over:
            return f"not all {'canaries' if of_canaries else 'nodes of a wave that awaits it'} are resolved"
        return None

    def _look(self) -> None:
        pacing = self._pacing
        pacing.operator_is_due = False
        if self._course.is_over or not pacing.awaits_promotion or pacing.promotion_wanted:
            return
        if rejects(self._site, self._operator, self._dispatcher.had_turn):
            self._course.end("canceled", "operator: cancel", undo=not self._site.terms.policy.no_auto_rollback)
        else:
            pacing.promotion_wanted = True
            self._course.say("operator: promote")
