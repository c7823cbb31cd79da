"""Lengths of the spells of alternating processes, from their laws and random numbers (model section 3)."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.world.blocks import Blocks
from simdeploy.world.distributions import sample_ns
from simdeploy.world.residual import Residual

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.world.draws import Draws
    from simdeploy.world.laws.base import Distribution
    from simdeploy.world.streams import Stream

Spell = tuple[int, int]

# In most rollouts few subjects need any, so the first lengths are computed one by one: 64, or if that is more, a sixteenth of
# the number of subjects.
_MOST_ALONE = 64
_SUBJECTS_OF_ONE = 16
# So are those of spells from this number on, because only few subjects reach them.
_INDICES_IN_BLOCKS = 64


class SpellStreams(NamedTuple):
    """The streams of one kind of process: state at time 0, good spells, bad spells."""

    state: Stream
    good: Stream
    bad: Stream


class Spells(NamedTuple):
    """Spells of many subjects, in no particular order; some may be empty."""

    subject: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @classmethod
    def joined(cls, parts: list[Spells]) -> Spells:
        """Return the spells of several parts."""
        nothing = np.empty(0, np.int64)
        return (
            cls(*(np.concatenate([nothing, *columns]) for columns in zip(*parts, strict=True)))
            if parts
            else cls(*[nothing] * 3)
        )


class SpellLaws:
    """How long the spells of one kind of process are: the distributions and the random numbers."""

    def __init__(
        self,
        draws: Draws,
        good: Distribution,  # of the two kinds of spell, seconds
        bad: Distribution,
        streams: SpellStreams,
        n_subjects: int,  # subjects are numbers below this
    ) -> None:
        self._draws = draws
        self._streams = streams
        self._in_blocks: Blocks[int] = Blocks(n_subjects)
        self._n_alone = 0  # how many lengths were computed one by one
        self._most_alone = max(_MOST_ALONE, n_subjects // _SUBJECTS_OF_ONE)
        self.good, self.bad = good, bad
        self.good_residual = Residual(good)

    def draw_first(self, subjects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return for each subject whether the spell in progress at time 0 is bad, and when it ends."""
        is_bad = self._at_once(self._streams.state, subjects) < self.bad.mean / (self.good.mean + self.bad.mean)
        ends = np.zeros(len(subjects), dtype=np.int64)
        ends[~is_bad] = sample_ns(self.good_residual, self._at_once(self._streams.good, subjects[~is_bad]))
        if is_bad.any():
            ends[is_bad] = sample_ns(Residual(self.bad), self._at_once(self._streams.bad, subjects[is_bad]))
        return is_bad, ends

    def good_uniform(self, subject: int, index: int) -> float:
        """Return the uniform of a good spell."""
        return self._draws.draw(self._streams.good, subject, index)

    def length_ns(self, subject: int, index: int, *, is_bad: bool) -> int:
        """Return the length of a spell (not the one at time 0), nanoseconds."""
        if self._n_alone >= self._most_alone and index < _INDICES_IN_BLOCKS:
            return self._in_blocks.take(subject, 2 * index + is_bad, self._make_block)
        self._n_alone += 1
        law, stream = self._law_and_stream(is_bad)
        return int(sample_ns(law, self._draws.draw(stream, subject, index)))

    def _make_block(self, subjects: np.ndarray, place: int) -> Sequence[int]:
        index, is_bad = divmod(place, 2)
        return array("q", self.lengths_ns(subjects, index, is_bad=is_bad == 1).tobytes())

    def lengths_ns(self, subjects: np.ndarray, index: int, *, is_bad: bool) -> np.ndarray:
        """Return the lengths of many subjects' spells, nanoseconds."""
        law, stream = self._law_and_stream(is_bad)
        return sample_ns(law, self._at_once(stream, subjects, index))

    def _law_and_stream(self, is_bad: bool) -> tuple[Distribution, Stream]:
        return (self.bad, self._streams.bad) if is_bad else (self.good, self._streams.good)

    def _at_once(self, stream: Stream, subjects: np.ndarray, index: int = 0) -> np.ndarray:
        return self._draws.of_nodes(stream, subjects, index)
