"""A job and its spans, which any executor can run."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from simdeploy.engines.block import Block

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy


class Span(NamedTuple):
    """Consecutive replications of consecutive policies of one group of a job."""

    group: int  # place in `Job.groups`
    policy: int  # index of the first policy in the group
    n_policies: int
    first: int
    n_replications: int  # of each of the policies


@dataclass(frozen=True)
class Group:
    """A scenario and its policies, which share the same worlds."""

    scenario: Scenario
    policies: tuple[ScenarioPolicy, ...]


@dataclass(frozen=True)
class Job:
    """Everything to simulate, except the number of replications; an `InputError` if one rollout needs too much
    memory.
    """

    groups: tuple[Group, ...]
    seed: int
    engine: str

    def __post_init__(self) -> None:
        """Refuse fleets that are too large for the chosen engine."""
        from simdeploy.engines.choice import check_room

        for group in self.groups if self.engine != "auto" else ():
            check_room(group.scenario, group.policies, self.engine)

    def run(self, span: Span) -> Block:
        """Simulate a span; a replication that fails becomes a row and affects no other."""
        from simdeploy.engines.running import run_block

        group = self.groups[span.group]
        try:
            return run_block(
                group.scenario,
                group.policies[span.policy : span.policy + span.n_policies],
                seed=self.seed,
                first=span.first,
                count=span.n_replications,
                engine=self.engine,
            )
        except MemoryError as error:  # of the tables that all replications of a span share
            return self.failed(span, "simulate", f"MemoryError: {error}".rstrip(": "))

    def failed(self, span: Span, stage: str, error: str) -> Block:
        """Return the block of a failed span: every row failed at `stage` with `error`."""
        row = {"status": "failed", "stage": stage, "error": " ".join(error.split())}
        return Block.of_rows(span.first, [[row] * span.n_replications for _ in range(span.n_policies)])


class Executor(Protocol):
    """Runs spans: in this process, threads, processes or a cluster."""

    def run(self, job: Job, spans: Iterator[Span]) -> Generator[tuple[Span, Block], None, None]:
        """Yield every span with its block as they finish, in any order.

        Takes spans from the iterator a few at a time, so that neither spans nor blocks accumulate if the caller is slow. A
        caller that doesn't consume all must close the generator (`contextlib.closing`), which ends running work.
        """
