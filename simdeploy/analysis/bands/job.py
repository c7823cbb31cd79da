"""Tracing as a job for executors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.traces import BROKEN, QUANTITIES, UNKNOWN, Grid, Traces
from simdeploy.engines.tracing import run_traces

if TYPE_CHECKING:
    from simdeploy.experiments.jobs import Span
    from simdeploy.scenario import Scenario, ScenarioPolicy


@dataclass(frozen=True)
class TraceJob:
    """Traces the policies of a scenario.

    Spans have the group 0.
    """

    scenario: Scenario
    policies: tuple[ScenarioPolicy, ...]
    grid: Grid
    seed: int
    engine: str

    def run(self, span: Span) -> Traces:
        """Trace a span."""
        try:
            return run_traces(
                self.scenario,
                self.policies[span.policy : span.policy + span.n_policies],
                self.grid,
                seed=self.seed,
                first=span.first,
                count=span.n_replications,
                engine=self.engine,
            )
        except MemoryError as error:
            return self.failed(span, "simulate", f"MemoryError: {error}".rstrip(": "))

    def failed(self, span: Span, stage: str, error: str) -> Traces:
        """Return traces of failed rollouts."""
        shape = (span.n_policies, span.n_replications)
        values = np.full((*shape, len(QUANTITIES), self.grid.n_times), UNKNOWN, np.int32)
        return Traces(values, np.full(shape, BROKEN, np.int32), f"{stage}: {error}")

    def join(self, span: Span, parts: Sequence[tuple[Span, Traces]]) -> Traces:
        """Join the traces of a span's parts."""
        whole = self.failed(span, "", "")
        for part, traces in parts:
            policies = slice(part.policy - span.policy, part.policy - span.policy + part.n_policies)
            replications = slice(part.first - span.first, part.first - span.first + part.n_replications)
            whole.values[policies, replications] = traces.values
            whole.kinds[policies, replications] = traces.kinds
        return Traces(whole.values, whole.kinds, next((traces.error for _, traces in parts if traces.error), ""))
