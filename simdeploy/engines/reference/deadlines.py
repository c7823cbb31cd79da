"""The deadlines of a whole rollout: for its completion, and for its progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.units import short_duration

if TYPE_CHECKING:
    from simdeploy.engines.reference.clock import Process
    from simdeploy.engines.reference.site import Site
    from simdeploy.rules.policy import Policy


class Deadlines:
    """Both deadlines of a policy, if it has any.

    The clock of progress stops while no progress can be expected, and restarts afterwards.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._since: int | None = 0  # start of the clock; None once the deadline has passed, until it restarts
        self._stands_still = True
        self._is_awaited = False
        self._is_late = False
        self.are_set = self._rollout_ns is not None or self._progress_ns is not None

    @property
    def _progress_ns(self) -> int | None:
        return self._site.terms.policy.progress_deadline_ns

    @property
    def _rollout_ns(self) -> int | None:
        return self._site.terms.policy.rollout_deadline_ns

    @property
    def _progress_due_ns(self) -> int | None:
        if self._progress_ns is None or self._stands_still or self._since is None:
            return None
        return self._since + self._progress_ns

    @property
    def are_ahead(self) -> bool:
        """Whether a deadline will pass if nothing else happens."""
        is_coming = self._rollout_ns is not None and not self._is_late and self._rollout_ns > self._site.env.now
        return is_coming or self._progress_due_ns is not None

    @property
    def is_rollout_late(self) -> bool:
        """Whether the deadline of the rollout has passed, and this was not reported."""
        return self._rollout_ns is not None and not self._is_late and self._site.env.now >= self._rollout_ns

    def start(self) -> None:
        """Wake the control plane when the rollout should be complete."""
        if self._rollout_ns is not None and self._rollout_ns > self._site.env.now:
            self._site.env.ring_at(self._rollout_ns)

    def change(self, before: Policy) -> None:
        """Apply a change of the policy; a clock of progress that did not run before starts now."""
        self.are_set = self._rollout_ns is not None or self._progress_ns is not None
        if self._rollout_ns != before.rollout_deadline_ns:
            self._is_late = False
            self.start()
        if self._progress_ns != before.progress_deadline_ns:
            self._is_awaited = False
            if before.progress_deadline_ns is None:
                self._stands_still = True

    def progress(self) -> None:
        """Record that a node counts as running: with late reports, later than it becomes so."""
        self._since = self._site.env.now

    def stand_still(self, stands_still: bool) -> None:
        """Stop or restart the clock of progress."""
        if self._progress_ns is None:
            return
        if self._stands_still and not stands_still:
            self._since = self._site.env.now
        self._stands_still = stands_still
        if self._progress_due_ns is not None and not self._is_awaited and not self._site.is_over:
            self._is_awaited = True
            self._site.env.process(self._wait())

    def _wait(self) -> Process:
        while (due_ns := self._progress_due_ns) is not None and due_ns > self._site.env.now:
            yield self._site.env.timeout(due_ns - self._site.env.now)
        self._is_awaited = False
        if due_ns is not None and not self._site.is_over:
            self._site.ring()

    def take_message(self) -> str | None:
        """Report once that a deadline has passed, in words for the deployment's message; otherwise None."""
        now, progress_ns, due_ns = self._site.env.now, self._progress_ns, self._progress_due_ns
        if self._rollout_ns is not None and self.is_rollout_late:
            self._is_late = True
            return f"not complete after rollout_deadline {short_duration(self._rollout_ns)}"
        if progress_ns is None or due_ns is None or now < due_ns:
            return None
        self._since = None
        return f"no node was reported running within progress_deadline {short_duration(progress_ns)}"
