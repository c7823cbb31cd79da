"""A job and its spans, which any executor can run."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np

from simdeploy.engines.block import WORDS, Block, number_words

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

Outcome = TypeVar("Outcome")


class Span(NamedTuple):
    """Consecutive replications of consecutive policies of one group of a job."""

    group: int  # index in `Job.groups`
    policy: int  # index of the first policy in the group
    n_policies: int
    first: int
    n_replications: int  # of each policy


@dataclass(frozen=True)
class Group:
    """A scenario and its policies, which share the same worlds."""

    scenario: Scenario
    policies: tuple[ScenarioPolicy, ...]


class Runnable(Protocol[Outcome]):
    """Work that executors run in spans; it is sent to workers."""

    def run(self, span: Span) -> Outcome:
        """Do a span."""

    def failed(self, span: Span, stage: str, error: str) -> Outcome:
        """Return the outcome of a span that could not be run."""

    def join(self, span: Span, parts: Sequence[tuple[Span, Outcome]]) -> Outcome:
        """Return the outcome of a span that was run in parts."""


@dataclass(frozen=True)
class Job:
    """Everything to simulate, except the number of replications. Raises `InputError` if one rollout needs too much memory."""

    groups: tuple[Group, ...]
    seed: int
    engine: str
    # The prepared policies of the last span, which the next one usually needs, too.
    _prepared: dict[tuple[int, int, int], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raise `InputError` for fleets that are too large for the chosen engine."""
        from simdeploy.engines.choice import check_room

        for group in self.groups if self.engine != "auto" else ():
            check_room(group.scenario, group.policies, self.engine)

    def prepare(self, span: Span) -> Any:
        """Prepare a span's policies, unless they are those of the last span."""
        from simdeploy.engines.running import prepare_block

        key = span.group, span.policy, span.n_policies
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = prepare_block(self.groups[span.group].scenario, self._policies(span), engine=self.engine)
            self._prepared.clear()
            self._prepared[key] = prepared
        return prepared

    def _policies(self, span: Span) -> tuple[ScenarioPolicy, ...]:
        return self.groups[span.group].policies[span.policy : span.policy + span.n_policies]

    def run(self, span: Span) -> Block:
        """Simulate a span; a replication that fails becomes a row and affects no other."""
        from simdeploy.engines.running import run_block

        try:
            return run_block(
                self.groups[span.group].scenario,
                self._policies(span),
                seed=self.seed,
                first=span.first,
                count=span.n_replications,
                engine=self.engine,
                prepared=self.prepare(span),
            )
        except MemoryError as error:  # for tables that all replications of a span share
            return self.failed(span, "simulate", f"MemoryError: {error}".rstrip(": "))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out prepared policies, which another process prepares for itself."""
        return {**self.__dict__, "_prepared": {}}

    def failed(self, span: Span, stage: str, error: str) -> Block:
        """Return the block of a failed span: every row failed at `stage` with `error`."""
        row = {"status": "failed", "stage": stage, "error": " ".join(error.split())}
        return Block.of_rows(span.first, [[row] * span.n_replications for _ in range(span.n_policies)])

    def join(self, span: Span, parts: Sequence[tuple[Span, Block]]) -> Block:
        """Join the blocks of a span's parts."""
        index = np.empty((span.n_policies, span.n_replications), dtype=np.int32)
        n_rows = 0
        for part, block in parts:
            policy, first = part.policy - span.policy, part.first - span.first
            index[policy : policy + part.n_policies, first : first + part.n_replications] = block.index + n_rows
            n_rows += block.n_rows
        blocks = [block for _, block in parts]
        places: dict[str, dict[str, int]] = {name: {} for name in WORDS}
        codes = {
            name: np.concatenate([number_words(block.words[name], known)[block.codes[name]] for block in blocks])
            for name, known in places.items()
        }
        return Block(
            first=span.first,
            index=index,
            codes=codes,
            words={name: tuple(known) for name, known in places.items()},
            numbers={name: np.concatenate([block.numbers[name] for block in blocks]) for name in blocks[0].numbers},
        )


class Executor(Protocol):
    """Runs spans: in this process, threads, processes or a cluster."""

    def run(self, job: Runnable[Outcome], spans: Iterator[Span]) -> Generator[tuple[Span, Outcome], None, None]:
        """Yield every span with its outcome as they finish, in any order.

        Takes spans from the iterator a few at a time, so that neither spans nor outcomes accumulate if the caller is slow. A
        caller that doesn't consume all must close the generator (`contextlib.closing`), which ends running work.
        """
