"""A ledger of what a replay needed but the record doesn't state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from simdeploy.engines.reference.site import Site

# What happens to a node where its record ends: it fails or runs at the first possible instant, runs at the last one, or follows
# a model.
Filler = Literal["fails", "runs", "late", "modelled"]


class UnknownFateError(Exception):
    """The record doesn't state what a node does now."""


class Ledger:
    """Records when a replay first depends on something unknown."""

    site: Site

    def __init__(self, filler: Filler) -> None:
        self.filler = filler
        self.unknown_ns: int | None = None  # the first instant that depends on something unknown
        self.asks_people = False  # whether the unknown includes acts of people

    def record_unknown(self, *, people: bool = False) -> None:
        """Record that something is unknown now, unless the rollout has ended."""
        if not self.site.is_over:
            self.record_unknown_at(self.site.env.now, people=people)

    def record_unknown_at(self, t: int, *, people: bool = False) -> None:
        """Record that something was unknown at a time."""
        self.unknown_ns = t if self.unknown_ns is None else min(self.unknown_ns, t)
        self.asks_people |= people
