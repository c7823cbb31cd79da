"""A node that repeats its record until it ends."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from simdeploy.engines.reference.node import Listeners, Node
from simdeploy.engines.replay.ledger import Ledger, UnknownFateError
from simdeploy.engines.schema import RUNNING, STARTING, VALIDATING

if TYPE_CHECKING:
    import simpy

    from simdeploy.engines.reference.clock import Process
    from simdeploy.engines.reference.site import Site
    from simdeploy.engines.replay.known import KnownNode

UNKNOWN = "not on record"
_FOR_EVER = 1 << 62


class ReplayedNode(Node):
    """A node that repeats its recorded fate, counted from its dispatch."""

    __slots__ = ("_known", "_known_until", "_ledger", "_may_have_hung", "_repeats", "_tries", "_waits_unseen")

    def __init__(
        self,
        site: Site,
        listeners: Listeners,
        number: int,
        *,
        known: KnownNode,
        ledger: Ledger,
        repeats: bool,  # whether its health check is the recorded one
        waits_unseen: bool,  # whether the rollout may wait forever for a node that was never dispatched
        # Whether a silent node may have hung earlier; a policy that checks no nodes would count it as running then.
        may_have_hung: bool,
    ) -> None:
        super().__init__(site, listeners, number)
        self._known = known
        self._ledger = ledger
        self._repeats = repeats
        self._waits_unseen = waits_unseen
        self._may_have_hung = may_have_hung
        self._tries = 0
        self._known_until = _FOR_EVER

    def dispatch(self, *, surged: bool) -> None:
        """Begin to update the node; at another time than recorded, it is known only until an outage differs."""
        now, was = self._site.env.now, self._known.dispatched_ns
        if was is not None and was != now:
            for outage in self._known.outages:
                for begin in (was, now):
                    if outage.end > begin:
                        self._known_until = min(self._known_until, max(outage.start - begin, 0))
        super().dispatch(surged=surged)

    @property
    def known_until_ns(self) -> int:
        """Until when outages leave its fate known, after the start of the rollout."""
        return min((self.fate.dispatched_ns or 0) + self._known_until, _FOR_EVER)

    def _update(self) -> Process:
        known = self._known
        try:
            yield from self._repeat() if known.is_repeated_only else super()._update()
        except UnknownFateError:
            self._ledger.record_unknown()
            yield from self._go_on_unknown()

    def _go_on_unknown(self) -> Process:
        fate, filler = self.fate, self._ledger.filler
        if filler == "fails":
            self.fail(UNKNOWN)
            return
        if filler == "late":
            latest = self._latest()
            yield self._site.env.event() if latest is None else self._site.env.timeout(latest - self._site.env.now)
        if fate.started_ns is None:
            fate.started_ns = self._site.env.now
            self._listeners.line.report_start(self)
        self._resolve(RUNNING, UNKNOWN)

    def _latest(self) -> int | None:
        """Return the latest time of the node's verdict; None if there is none."""
        rule, now = self._site.rule, self._site.env.now
        if not rule.is_checked or (self._waits_unseen and self._known.dispatched_ns is None):
            return None
        if self.fate.started_ns is not None:
            return max(self.deadline_ns, now)
        if not rule.deadline_from_dispatch:
            return None
        each = rule.retry_delay_ns + rule.deadline_ns
        if self._tries == 0:
            return now + rule.deadline_ns + rule.retries * each
        return self.deadline_ns + (rule.retries + 1 - self._tries) * each

    # -- what is known -----------------------------------------------------------------------------

    def _start(self, deadline: int | None) -> Generator[simpy.Event, Any, str]:
        """Make the recorded attempts; later tries are not on record."""
        self._tries += 1
        if self._tries > 1:
            raise UnknownFateError
        return (yield from self._start_as_recorded(deadline))

    def _start_as_recorded(self, deadline: int | None) -> Generator[simpy.Event, Any, str]:
        fate, known, env, rule = self.fate, self._known, self._site.env, self._site.rule
        begun = fate.dispatched_ns or 0
        if known.start == "silent" and self._may_have_hung and not rule.is_checked:
            raise UnknownFateError  # if it hung, it counts as running at an unknown time
        ends = begun + known.start_ns
        is_late = deadline is not None and (ends > deadline if known.start in ("started", "failed") else True)
        if deadline is not None and is_late and (known.start != "silent" or deadline <= ends):
            yield from self._wait_until(deadline)
            return (
                "silent until the deadline" if known.start in ("silent", "hangs") else "deadline passed while starting"
            )
        if known.start == "silent":
            yield from self._wait_until(ends)
            if known.start_ns >= 0:
                yield env.timeout(1)
            raise UnknownFateError
        yield from self._wait_until(ends)
        fate.attempts = 1
        if known.start == "hangs":
            return (yield from self._hang(0, deadline))
        return "" if known.start == "started" else "did not start"

    def _wait_until(self, t: int) -> Process:
        """Wait, at most until the fate is no longer known."""
        env = self._site.env
        if t > self.known_until_ns:
            yield env.timeout(max(self.known_until_ns - env.now, 0))
            raise UnknownFateError
        yield env.timeout(max(t - env.now, 0))

    def _validate(self, deadline: int | None) -> Generator[simpy.Event, Any, str]:
        if self._known.windows is None:
            return (yield from self._repeat_verdict(self._begin_validation(deadline)))
        return (yield from super()._validate(deadline))

    def _repeat_verdict(self, deadline: int) -> Generator[simpy.Event, Any, str]:
        """Get the recorded verdict, without windows, unless an earlier deadline passes first."""
        known, fate = self._known, self.fate
        begun = fate.dispatched_ns or 0
        seen_until = begun + (known.watched_ns if known.verdict_ns is None else known.verdict_ns)
        if deadline < seen_until or (known.verdict_ns is None and deadline == seen_until):
            yield from self._wait_until(deadline)
            return "not healthy by the deadline"
        yield from self._wait_until(seen_until)
        if known.verdict_ns is None:
            yield self._site.env.timeout(1)
            raise UnknownFateError
        if not known.has_failed:
            self._resolve(RUNNING, "healthy")
            return ""
        if self._repeats or deadline == seen_until:
            return "unhealthy"
        raise UnknownFateError  # the recorded failure may have been by windows or by the deadline

    def _repeat(self) -> Process:
        """Repeat the recorded fate, in however many tries."""
        known, fate, site = self._known, self.fate, self._site
        begun = fate.dispatched_ns or 0
        self._set_status(STARTING, "dispatched")
        if not self._repeats or self._listeners.wave_gates is not None:
            raise UnknownFateError  # which try a gate saw is not on record
        yield from self._wait_until(begun + max(known.start_ns, 0))
        if known.start == "failed" or (known.start == "silent" and known.has_failed):
            self.fail("did not start")
            return
        if known.start != "started":
            yield site.env.timeout(1)
            raise UnknownFateError
        fate.started_ns = site.env.now
        self._listeners.line.report_start(self)
        self._set_status(VALIDATING, "started")
        for number in range(1, len(known.windows or ()) + 1):
            end = fate.started_ns + number * site.rule.interval_ns
            yield from self._wait_until(end)
            site.prober.look_at(self.number, fate, end - site.rule.interval_ns, end)
        if known.verdict_ns is None:
            yield from self._wait_until(begun + known.watched_ns)
            yield site.env.timeout(1)
            raise UnknownFateError
        yield from self._wait_until(begun + known.verdict_ns)
        if known.has_failed:
            self.fail("unhealthy")
        else:
            self._resolve(RUNNING, "healthy")
