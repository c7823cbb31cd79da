"""Watching all running nodes together, look by look, until the rollout ends (model section 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.rules.gates.statistics import next_sum

if TYPE_CHECKING:
    from simdeploy.engines.reference.clock import Process
    from simdeploy.engines.reference.node import Node
    from simdeploy.engines.reference.site import Site
    from simdeploy.rules.gates.gate import Gate


class RunningWatch:
    """Looks at running nodes for a change, for a gate that watches them."""

    def __init__(self, site: Site, gate: Gate) -> None:
        self._site = site
        self._gate = gate
        self._nodes: list[Node] = []
        self._looks = 0
        self._is_due = self._has_ended = False
        self._requests = self._failed = 0
        self._sum = 0.0
        self._alarm: str | None = None

    def take_alarm(self) -> str | None:
        """Return once why the rollout must stop; otherwise None."""
        alarm, self._alarm = self._alarm, None
        return alarm

    def runs(self, node: Node) -> None:
        """Record that a node runs."""
        if not self._nodes:
            self._site.env.process(self._schedule_looks())
        self._nodes.append(node)

    def _schedule_looks(self) -> Process:
        while True:
            yield self._site.env.timeout(self._site.rule.interval_ns)
            if self._has_ended or self._site.is_over:
                return
            self._is_due = True
            self._site.ring()

    def act(self) -> list[str]:
        """Look if it is time; return the texts of events."""
        if not self._is_due:
            return []
        self._is_due = False
        if self._site.is_over:
            return []
        end = self._site.env.now
        start = end - self._site.rule.interval_ns
        for node in self._nodes:
            if node.fate.resolved_ns is not None and node.fate.resolved_ns <= start:
                requests, failed = self._site.prober.look_at_running(node.number, node.fate, start, end, self._looks)
                self._requests += requests
                self._failed += failed
        self._looks += 1
        return self._judge()

    def end(self) -> None:
        """Stop looking."""
        self._has_ended = True

    def _judge(self) -> list[str]:
        gate, requests, failed = self._gate, self._requests, self._failed
        doubt = ""
        if requests >= max(gate.minimum_sample, 1):
            self._sum = next_sum(self._sum, failed, requests, gate.if_failed, gate.if_served)
            is_alarm = self._sum >= gate.upper
        elif gate.cant_tell == "wait":
            return []
        else:
            is_alarm = gate.cant_tell != "pass"
            doubt = ", undecided"
        self._requests = self._failed = 0
        if not is_alarm:
            return []
        self._sum = 0.0
        self._alarm = f"gate cusum{doubt}: {failed} of {requests} requests failed at the last look at running nodes"
        return [self._alarm]
