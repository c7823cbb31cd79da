"""Run numbered, reproducible cases, and count their outcomes."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from fuzzing import guards
from fuzzing.guards import TooLong, bounded_addresses, limited, peak_memory

ACCEPTED, REFUSED = "accepted", "refused"


class BrokenError(AssertionError):
    """A case that violated a property."""


class Target(Protocol):
    """What is attacked."""

    name: str
    mutators: Sequence[str]  # each is the first mutation of every n-th case

    def examine(self, mutator: str, random: Random) -> tuple[str, ...]:
        """Make a case, and return its outcome, first whether it was accepted; raise if a property is violated."""


@dataclass
class Failure:
    """A case that failed: its number reproduces it."""

    number: int
    mutator: str
    text: str


@dataclass
class Tally:
    """Outcomes of the cases of a target."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)  # by mutator and outcome
    # Grouped by similarity, as those in one list probably have one cause.
    failures: dict[str, list[Failure]] = field(default_factory=dict)

    def count(self, outcome: str, mutator: str | None = None) -> int:
        """Return how many cases had an outcome, of one mutator or of all."""
        return sum(n for (one, came), n in self.outcomes.items() if came == outcome and mutator in (None, one))

    def table(self, target: Target) -> list[list[str | int]]:
        """Return a row per mutator: target, mutator, and how many cases, accepted, refused and failed."""
        failed = Counter(failure.mutator for alike in self.failures.values() for failure in alike)
        return [
            [target.name, name, *(self.count(what, name) for what in ("cases", ACCEPTED, REFUSED)), failed[name]]
            for name in target.mutators
        ]

    def describe_failures(self, target: Target) -> str:
        """Describe each kind of failure once, with the number that reproduces it."""
        again = "a case again: FUZZ_CASES=1 FUZZ_FIRST=(its number) python -m pytest, and the test that failed"
        return "\n\n".join(
            [
                f"{len(alike)} x {target.name} {alike[0].number} ({alike[0].mutator}): {alike[0].text}"
                for alike in sorted(self.failures.values(), key=len, reverse=True)
            ]
            + [again]
        )


def run_cases(target: Target, numbers: Iterable[int]) -> Tally:
    """Examine cases by their numbers, and continue after failures."""
    tally = Tally()
    with bounded_addresses():
        for number in numbers:
            mutator = target.mutators[number % len(target.mutators)]
            tally.outcomes[mutator, "cases"] += 1
            peak = peak_memory()
            try:
                with limited(guards.HANG_S):
                    outcomes = target.examine(
                        mutator, Random(f"{target.name} {number}")
                    )  # the same under any hash seed
                _check_growth(peak_memory() - peak)
            except (Exception, TooLong) as error:
                likeness, text = _describe(mutator, error)
                tally.failures.setdefault(likeness, []).append(Failure(number, mutator, text))
            else:
                tally.outcomes.update((mutator, outcome) for outcome in outcomes)
    return tally


def _check_growth(grown: int) -> None:
    if grown > guards.MOST_MEMORY:
        raise BrokenError(f"memory grew by {grown // 10**6} MB")


def _describe(mutator: str, error: BaseException) -> tuple[str, str]:
    """Return what failures of one cause have in common, and an example."""
    cause = (
        f"it took longer than {guards.HANG_S:g} s" if isinstance(error, TooLong) else f"{type(error).__name__}: {error}"
    )
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/simdeploy/" in frame.filename] or frames
    place = f"{ours[-1].filename.rpartition('/simdeploy/')[2]}:{ours[-1].lineno}"
    short = cause if len(cause) < 1000 else cause[:1000] + "..."
    if isinstance(error, BrokenError):
        return f"{mutator}: {''.join(letter for letter in cause[:40] if not letter.isdigit())}", short
    return f"{type(error).__name__} {place}", f"{short}\n    at {place}"
