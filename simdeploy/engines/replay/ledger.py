"""What a replay has met that the record does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from simdeploy.engines.reference.site import Site

# What happens to a node where its record ends: it fails, or runs, at the first instant at which it could, or it runs at the last; or what
# a model says.
Filler = Literal["fails", "runs", "late", "modelled"]


class UnknownFateError(Exception):
    """The record does not say what a node does now."""


class Ledger:
    """Takes note of what is not known."""

    site: Site

    def __init__(self, filler: Filler) -> None:
        self.filler = filler
        self.unknown_ns: int | None = None  # the first instant at which what happens depends on what is not known
        self.asks_people = False  # whether that, or anything later, is what people would have done

    def meet(self, *, people: bool = False) -> None:
        """Take note that something is not known now; after the end of the rollout nobody minds."""
        if not self.site.is_over:
            self.meet_at(self.site.env.now, people=people)

    def meet_at(self, t: int, *, people: bool = False) -> None:
        """Take note that something was not known at a time."""
        self.unknown_ns = t if self.unknown_ns is None else min(self.unknown_ns, t)
        self.asks_people |= people
