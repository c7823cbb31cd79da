"""The people: an operator who promotes or cancels, and a script of acts at given times (model section 4)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from simdeploy.vocabulary import TERMINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simdeploy.engines.reference.clock import Process
    from simdeploy.engines.reference.dispatch import Dispatcher
    from simdeploy.engines.reference.ending import Course
    from simdeploy.engines.reference.node import Node
    from simdeploy.engines.reference.pacing import Pacing
    from simdeploy.engines.reference.site import Site
    from simdeploy.world.operator import Action, Operator, ScriptedAct


def follow_script(site: Site, tell: Callable[[Action], None], script: Sequence[ScriptedAct]) -> Process:
    """Hand on each act at its time; acts of one instant in the file's order."""
    for act in sorted(script, key=lambda act: act.at_ns):
        yield site.env.timeout(act.at_ns - site.env.now)
        tell(act.do)


def rejects(site: Site, operator: Operator, nodes: Sequence[Node]) -> bool:
    """Tell whether the operator, looking at the nodes that had their turn, cancels instead of promoting."""
    release = site.world.release
    if release is not None and release.defective and any(_shows(site, node) for node in nodes):
        return site.world.operator_uniform < operator.notices_defect
    return site.world.operator_uniform < operator.rejects_good


def _shows(site: Site, node: Node) -> bool:
    """Tell whether a node is affected and was exposed long enough for the defect to show."""
    fate = node.fate
    # A node that was not heard of by its deadline tells the operator nothing.
    if fate.started_ns is None or fate.unheard or not site.world.affected[node.number]:
        return False
    exposed_until = site.env.now if fate.back_from_ns is None else fate.back_from_ns
    return fate.started_ns + site.world.after_ns(node.number) <= exposed_until


class People:
    """The script and the operator, at the end of an instant."""

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
        self._orders: deque[Action] = deque()
        self.acts_ahead = len(operator.script)

    def tell(self, action: Action) -> None:
        """Take an act of the script, to be done at the end of the present instant."""
        self._orders.append(action)
        self._site.ring()

    def obey_script(self) -> None:
        """Do what the script says."""
        while self._orders:
            action = self._orders.popleft()
            self.acts_ahead -= 1
            refusal = self._why_not(action)
            if refusal:
                self._course.say(f"script: {action} has no effect: {refusal}")
            elif action == "pause":
                self._course.pause("script: pause")
            elif action == "resume":
                self._course.resume()
            elif action == "promote":
                self._pacing.promotion_wanted = True
                self._course.say("script: promote")
            else:
                self._course.end("canceled", "script: cancel", undo=not self._site.terms.policy.no_auto_rollback)

    def _why_not(self, action: Action) -> str | None:
        state = self._course.state
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
        if pacing.promotion_wanted or not any(promotions[pacing.promoted_waves :]):
            return f"{'the canaries are' if of_canaries else 'everything is'} already promoted"
        if not pacing.awaits_promotion or not self._dispatcher.waves[-1].is_over:
            return f"not all {'canaries' if of_canaries else 'nodes of a wave that awaits it'} are resolved"
        return None

    def obey_operator(self) -> None:
        """Let the operator look, if it is time."""
        pacing = self._pacing
        if not pacing.operator_is_due:
            return
        pacing.operator_is_due = False
        if self._course.is_over or not pacing.awaits_promotion or pacing.promotion_wanted:
            return
        if rejects(self._site, self._operator, self._dispatcher.had_turn):
            self._course.end("canceled", "operator: cancel", undo=not self._site.terms.policy.no_auto_rollback)
        else:
            pacing.promotion_wanted = True
            self._course.say("operator: promote")
