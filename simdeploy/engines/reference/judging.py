"""Reasons to stop or pause a rollout (model section 4): limits, deadlines, and failed nodes that block it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.engines.reference.pacing import FREEZES, Pacing
from simdeploy.engines.reference.tally import Tally
from simdeploy.rules.limits import Counts
from simdeploy.rules.waves import NO_WAVE_LIMITS

if TYPE_CHECKING:
    from simdeploy.engines.reference.deadlines import Deadlines
    from simdeploy.engines.reference.dispatch import Dispatcher, Wave
    from simdeploy.engines.reference.node import Node
    from simdeploy.engines.reference.site import Site
    from simdeploy.rules.orchestrator import Orchestrator


class Judging:
    """Counts the verdicts known to the deployment, and decides whether they stop it."""

    def __init__(
        self,
        site: Site,
        dispatcher: Dispatcher,
        pacing: Pacing,
        deadlines: Deadlines,
        *,
        orchestrator: Orchestrator,
    ) -> None:
        self._site = site
        self._dispatcher = dispatcher
        self._pacing = pacing
        self._deadlines = deadlines
        self._switches = orchestrator
        self._tally = Tally(site.world.zone_of)
        self._at_wave_end = orchestrator.limits_judged == "wave_end" and site.terms.plan.pacing != "sliding"
        self._needs_judging = self._was_stuck = False
        self._waves_judged = self._first_unjudged = self._acknowledged_failures = 0
        self._success_matters = self._find_whether_success_matters()
        # Nodes that reached running (or left for good), and nodes that ever failed, until the rollout ended.
        self.updated = self.failed = 0
        self.last_count_ns: int | None = None  # when a verdict last counted

    def count(self, node: Node) -> None:
        """Count a verdict, for everything but pacing."""
        node.fate.counted_ns = self.last_count_ns = self._site.env.now
        self._dispatcher.resolve(node)
        self._tally.add(node, self._site.env.now)
        if node.fate.ever_failed:
            self.failed += 1
            self._needs_judging = True
        else:
            self.updated += 1
            if self._deadlines.are_set:
                self._deadlines.progress()
            self._needs_judging |= self._success_matters

    def _find_whether_success_matters(self) -> bool:
        """Tell whether a node's success may cross a limit: failures count later than they are heard, or need a minimum sample."""
        limits = self._site.terms.limits
        return self._switches.reporting_delay_ns > 0 or (limits is not None and limits.minimum_sample > 0)

    def count_try(self) -> None:
        """Count a failed try of a node that is tried again, if limits count tries."""
        limits = self._site.terms.limits
        if limits is not None and limits.counts_tries:
            self._tally.add_try(self._site.env.now)
            self._needs_judging = True

    def find_crossed(self, alarm: str | None) -> str | None:
        """Say what stops or pauses the rollout now: the alarm of a gate, a deadline, a limit, or failed nodes."""
        if not alarm and self._deadlines.are_set and not self._pacing.completes_now:
            alarm = self._deadlines.take_message()
        lost = self._take_lost_wave() if self._dispatcher.lost_wave is not None else None
        # A wave may be over without a further verdict, if its last nodes were passed over.
        crossed = self._judge_limits(alarm) if alarm or self._needs_judging or self._at_wave_end else None
        return crossed or lost or self._find_stuck()

    def judge_anew(self) -> None:
        """Judge all verdicts again, because the limits have changed."""
        self._needs_judging = True
        self._success_matters = self._find_whether_success_matters()

    def acknowledge(self) -> None:
        """Ignore the failures so far, until a further one happens."""
        self._acknowledged_failures = self._failures

    def _judge_limits(self, alarm: str | None) -> str | None:
        """Say what is crossed, given an alarm or new verdicts."""
        if not alarm and self._at_wave_end and self._dispatcher.waves_over == self._waves_judged:
            return None
        self._needs_judging = False
        self._waves_judged = self._dispatcher.waves_over
        judged_before, self._first_unjudged = self._first_unjudged, self._count_leading_waves_over()
        # After a pause, the same crossing counts again only once a further node has failed.
        if not alarm and self._failures <= self._acknowledged_failures:
            return None
        return alarm or self._find_crossed_limit(judged_before)

    def _take_lost_wave(self) -> str | None:
        """Report once that no node of a wave is running, if this fails the rollout."""
        lost, self._dispatcher.lost_wave = self._dispatcher.lost_wave, None
        if lost is None or self._switches.lost_waves == "continue":
            return None
        return f"no node of wave {lost.number} is running: {lost.failed} failed of {lost.size}"

    def _find_stuck(self) -> str | None:
        """Report once that failed nodes block the rollout, if this fails it."""
        if self._was_stuck or self._switches.all_slots_held == "wait":
            return None
        stuck = self._why_stuck()
        self._was_stuck = stuck is not None
        return stuck

    def _why_stuck(self) -> str | None:
        """Say why failed nodes block all others while none is in flight; None if they don't."""
        dispatcher = self._dispatcher
        if not self._pacing.freezes_any:
            return dispatcher.why_stuck()
        return FREEZES if dispatcher.unresolved == dispatcher.waiting else None

    @property
    def _failures(self) -> int:
        """Failed nodes, and earlier tries of nodes if they count."""
        return self.failed + self._tally.earlier_tries

    def _count_leading_waves_over(self) -> int:
        first = self._first_unjudged
        while first < len(self._dispatcher.waves) and self._dispatcher.waves[first].is_over:
            first += 1
        return first

    def _find_crossed_limit(self, judged_before: int) -> str | None:
        wave = self._dispatcher.waves[-1]
        are_canaries = self._site.terms.plan.canaries > 0 and not self._pacing.promoted_waves
        if are_canaries and self._switches.canary_gate == "all_healthy" and wave.failed:
            return f"{wave.failed} of {wave.size} canaries failed"
        limits, wave_limits = self._site.terms.limits, self._site.terms.plan.limits
        if limits is None:
            return None
        for judged in self._waves_to_judge(judged_before):
            for zone_failed, zone_size in self._tally.list_zones(limits):
                counts = Counts(
                    failed=self.failed,
                    running=self.updated,
                    wave_failed=judged.failed,
                    wave_size=judged.size,
                    counted=self._tally.in_a_row if limits.consecutive else self._failures,
                    wave=wave_limits[judged.number - 1] if wave_limits else NO_WAVE_LIMITS,
                    zone_failed=zone_failed,
                    zone_size=zone_size,
                )
                crossed = limits.crossed(counts)
                if crossed:
                    return crossed
        return None

    def _waves_to_judge(self, judged_before: int) -> list[Wave]:
        """Return the waves that a percent limit may refer to: the last one, or those with late verdicts."""
        is_of_waves = self._switches.failed_percent_of == "wave" or self._site.terms.plan.limits
        if not self._switches.reporting_delay_ns or not is_of_waves:
            return self._dispatcher.waves[-1:]
        waves = self._dispatcher.waves[judged_before:]
        return [wave for wave in waves if wave.is_over] if self._at_wave_end else waves
