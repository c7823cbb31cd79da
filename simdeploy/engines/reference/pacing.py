"""The next step of a rollout (model section 4): waves, slots and batches, promotions, and completion."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from simdeploy.rules.waves import BATCH_EVERY_NS

if TYPE_CHECKING:
    from simdeploy.engines.reference.change_windows import OpenHours
    from simdeploy.engines.reference.dispatch import Dispatcher
    from simdeploy.engines.reference.ending import Course
    from simdeploy.engines.reference.site import Site
    from simdeploy.rules.orchestrator import Orchestrator

FREEZES = "a failed node freezes the rollout"

# ready: the next wave may open. wave: a wave is in flight. bake, baked: during and after its pause. await: it awaits a promotion.
# main: sliding or rate pacing. done: every node has had its turn.
Phase = Literal["ready", "wave", "bake", "baked", "await", "main", "done"]


@lru_cache
def _name_wave(number: int, total: int) -> str:
    return f"wave {number} of {total}"  # the same text for every verdict


class Pacing:
    """Sends waves and batches, fills slots, promotes, and completes the rollout."""

    def __init__(
        self,
        site: Site,
        course: Course,
        dispatcher: Dispatcher,
        hours: OpenHours,
        *,
        orchestrator: Orchestrator,
    ) -> None:
        self._site = site
        self._course = course
        self._dispatcher = dispatcher
        self._hours = hours
        self._freezes = orchestrator.failed_node_freezes
        self._phase: Phase = "ready"
        self._batches_due = 0
        self._freeze_is_noted = False
        self.promoted_waves = 0  # number of the wave promoted last; 0 before the first
        # Whether a promotion was requested, or the operator looks, at the next step of this instant.
        self.promotion_wanted = self.operator_is_due = False
        self.opening: str | None = None  # the awaited opening of a change window, in words
        self.is_frozen = False  # whether a failure has frozen the rollout
        self.between_tries = 0  # nodes that wait for their next try
        self.last_dispatch_ns: int | None = None

    def start(self) -> None:
        """Start the clock of rate pacing, even if a pause at 0 s holds back the first batch."""
        if self._site.terms.plan.pacing == "rate" and not self._site.terms.plan.canaries:
            self._batch_is_due()

    def hear_of_failure(self) -> None:
        """Record that a node has failed; this may freeze the rollout."""
        if self._freezes and not self.is_frozen:
            self.is_frozen = True
            self._site.ring()

    def take_over_promotion(self) -> None:
        """Promote if a promotion is awaited but the changed policy needs none."""
        if self._phase == "await" and self._site.terms.policy.auto_promote:
            self.promotion_wanted = True

    @property
    def freezes_any(self) -> bool:
        """Whether a failed node, or one between two tries, blocks all dispatches."""
        is_frozen = self._freezes and (self.is_frozen or self.between_tries > 0)
        return is_frozen and (self._dispatcher.left > 0 or self._dispatcher.waiting > 0)

    @property
    def awaits_promotion(self) -> bool:
        """Whether the wave opened last still needs a promotion."""
        number = len(self._dispatcher.waves)
        return number > self.promoted_waves and self._site.terms.plan.promotions[number - 1]

    @property
    def stands_still(self) -> bool:
        """Whether no node can make progress: the rollout bakes, or awaits a promotion or a change window."""
        return self._phase in ("bake", "baked", "await") or self._hours.is_awaited

    @property
    def had_all_turns(self) -> bool:
        """Whether all nodes have had their turn and their verdicts count."""
        return not self._dispatcher.left and self._dispatcher.waves_over == len(self._dispatcher.waves)

    @property
    def completes_now(self) -> bool:
        """Whether the rollout is complete at the end of this instant, unless people act."""
        return self.had_all_turns and not self.awaits_promotion and not self._course.is_paused

    # -- the end of an instant ---------------------------------------------------------------------

    def advance(self) -> bool:
        """Take the next step; return whether the rollout is complete."""
        opening, self.opening = self.opening, None
        self._hours.is_awaited = False
        if self._site.is_over:
            return False
        if self.is_frozen and self.freezes_any and not self._freeze_is_noted:
            self._freeze_is_noted = True
            self._course.say(FREEZES)
        if self._phase == "wave" and self._dispatcher.awaits_verdicts:  # the most frequent case
            return False
        if self._phase == "wave" and self._is_wave_through:
            self._finish_wave()
        if self._phase == "baked":
            self._set_phase_after_wave()
        if self._course.is_paused:
            return False
        if self.promotion_wanted:
            self._promote()
        if self._freezes and self.freezes_any:
            return False
        if self._hours.are_now:
            self._dispatch()
        else:
            self._wait_for_opening()
            if self.opening not in (None, opening):
                self._course.say(f"waits for {self.opening}")
        return self._phase == "done"

    def _dispatch(self) -> None:
        self._dispatcher.admit_returned()
        if self._phase == "ready":
            self._send_next()
        elif self._phase == "wave":
            self._fill_slots()
        if self._phase == "main":
            self._keep_going()

    # -- after a wave ------------------------------------------------------------------------------

    @property
    def _is_wave_through(self) -> bool:
        """Whether the step after a wave may follow: promotion and completion wait until verdicts count, the next wave doesn't."""
        wave = self._dispatcher.waves[-1]
        if not self._dispatcher.left:
            return self._dispatcher.waves_over == len(self._dispatcher.waves)
        return wave.is_over if self._site.terms.plan.promotions[wave.number - 1] else wave.is_heard

    def _finish_wave(self) -> None:
        """Bake after a wave if the plan has a pause."""
        bake_ns = self._site.terms.plan.bakes_ns[len(self._dispatcher.waves) - 1]
        if bake_ns:
            self._phase = "bake"
            self._course.count_down(bake_ns, self._end_bake)
        else:
            self._set_phase_after_wave()

    def _end_bake(self) -> None:
        self._phase = "baked"
        self._site.ring()

    def _set_phase_after_wave(self) -> None:
        if self.awaits_promotion:
            self._phase = "await"
            if self._site.terms.policy.auto_promote:
                self.promotion_wanted = True
            elif not self._site.by_hand:
                self._course.count_down(self._site.world.promote_after_ns, self._begin_decision)
        else:
            self._phase = "ready" if self._dispatcher.left else "done"

    def _begin_decision(self) -> None:
        self.operator_is_due = True
        self._site.ring()

    def _promote(self) -> None:
        self.promotion_wanted = False
        number = self.promoted_waves = len(self._dispatcher.waves)
        self._course.cancel_clocks()
        self._course.say(f"{self._name_promoted(number)} promoted")
        self._phase = "ready" if self._dispatcher.left else "done"

    def _name_promoted(self, number: int) -> str:
        return "canaries" if self._site.terms.plan.canaries and number == 1 else f"wave {number}"

    # -- waves, slots and batches ------------------------------------------------------------------

    def _send_next(self) -> None:
        canaries_first = bool(self._site.terms.plan.canaries) and not self._dispatcher.waves
        if self._site.terms.plan.pacing == "barrier" or canaries_first:
            if self._dispatcher.may_open_wave:
                self._dispatcher.open_wave()
                self._phase = "wave"
                self._fill_slots()
            return
        self._phase = "main"
        if self._site.terms.plan.pacing == "sliding":
            self._dispatcher.open_wave()
        elif self._site.terms.plan.canaries:
            self._batch_is_due()

    def _keep_going(self) -> None:
        """Sliding and rate pacing: fill free slots, or send a batch that is due; one step per look."""
        late = self._late_batches if self._site.terms.plan.pacing == "rate" else 0
        if late:
            self._dispatcher.open_wave()
        if late > 1:
            self._site.ring()
        # Not in the same look: nodes that are down at their turn are resolved at once.
        if not self._fill_slots() and self.had_all_turns:
            self._phase = "done"

    def _fill_slots(self) -> bool:
        """Give as many nodes of the wave opened last their turn as find a slot; return whether any does."""
        count = self._dispatcher.turns_due
        if count > 0:
            self._dispatcher.give_turns(count)
            self.last_dispatch_ns = self._site.env.now
        return count > 0

    @property
    def _finds_slot(self) -> bool:
        """Whether a node of the current or the next wave could have its turn now."""
        if self._phase == "ready":
            return self._dispatcher.may_open_wave
        return self._phase in ("wave", "main") and self._dispatcher.turns_due > 0

    @property
    def _late_batches(self) -> int:
        """Batches of rate pacing that are due and not sent."""
        sent = len(self._dispatcher.waves) - (self._site.terms.plan.canaries > 0)
        return max(self._batches_due - sent, 0) if self._dispatcher.left else 0

    def _batch_is_due(self) -> None:
        self._batches_due += 1
        planned = len(self._site.terms.plan.sizes) - (self._site.terms.plan.canaries > 0)
        if self._batches_due < planned:
            self._course.count_down(BATCH_EVERY_NS, self._batch_is_due, in_open_hours=True)
        self._site.ring()

    def _wait_for_opening(self) -> None:
        """While no change window is open: dispatch nothing, but start the clock of rate pacing, and detect the end."""
        is_rate, is_canary = (
            self._site.terms.plan.pacing == "rate",
            self._site.terms.plan.canaries > 0 and not self._dispatcher.waves,
        )
        if self._phase == "ready" and is_rate and not is_canary:
            self._send_next()
        is_batch = is_rate and self._phase == "main"
        waits = self._dispatcher.any_returned or (self._late_batches > 0 if is_batch else self._finds_slot)
        stands_still = is_batch and self._dispatcher.left > 0
        if self._phase == "main" and self.had_all_turns:
            self._phase = "done"
        if waits:
            self._hours.await_next()
        if waits or stands_still:
            self.opening = f"the change window that opens {self._hours.name_next()}"

    # -- the deployment's message ------------------------------------------------------------------

    def describe(self) -> str:
        """Describe the progress of the rollout."""
        number = len(self._dispatcher.waves)
        wave = _name_wave(number, len(self._site.terms.plan.sizes))
        match self._phase:
            case "bake":
                return f"baking after {wave}"
            case "baked":
                return f"baked after {wave}"
            case "await":
                name = self._name_promoted(number)
                return f"{name} await{'' if name == 'canaries' else 's'} promotion"
            case _:
                return wave if number else "nothing dispatched yet"
