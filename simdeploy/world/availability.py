"""Up and down, good and degraded: alternating renewal processes, stationary at time 0 (model section 3).

A process is a function of time, computed only as far as needed: no event is scheduled for a node that nothing examines.
Times are whole nanoseconds; a spell is [start, end).
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.units import MAX_DURATION_NS, NS_PER_S
from simdeploy.world.spells import Spell, SpellLaws, Spells, SpellStreams
from simdeploy.world.streams import Stream

if TYPE_CHECKING:
    from simdeploy.world.draws import Draws
    from simdeploy.world.laws.base import Distribution

# Later than any time of a rollout, nanoseconds.
_NEVER_NS = 1 << 62


CRASH_STREAMS = SpellStreams(Stream.CRASH_STATE, Stream.CRASH_UP, Stream.CRASH_REPAIR)
FLAP_STREAMS = SpellStreams(Stream.FLAP_STATE, Stream.FLAP_GOOD, Stream.FLAP_DEGRADED)
ZONE_STREAMS = SpellStreams(Stream.ZONE_STATE, Stream.ZONE_UP, Stream.ZONE_REPAIR)
CONNECTION_STREAMS = SpellStreams(Stream.CONNECTION_STATE, Stream.CONNECTION_ONLINE, Stream.CONNECTION_OFFLINE)


def _is_bad(spell: int, *, bad_at_first: bool) -> bool:
    """Tell whether a spell, counted from 0, is a bad one."""
    return bad_at_first == (spell % 2 == 0)


def _index(spell: int) -> int:
    """Return the number of a spell among those of its kind; 0 is reserved for the one in progress at time 0."""
    return (spell + 1) // 2


class Alternating:
    """One process of alternating good and bad spells of one subject (a node or a zone), from time 0.

    Spells are numbered from 0, the one in progress at time 0. A spell's uniform has the index of the spell among those
    of its kind; index 0 is reserved for the one in progress at time 0.

    The rate at which good spells end may be multiplied for a while, and a good spell may be renewed. The conditional
    survival is raised to the power of the current rate, so a good spell ends when ``sum of rate x cumulative hazard``
    reaches ``-log(1 - u)`` for its one uniform u.
    """

    __slots__ = (
        "_bad_at_first",
        "_ends",
        "_hazard_before",
        "_hazard_left",
        "_knows_hazard",
        "_law",
        "_laws",
        "_rate",
        "_renewals",
        "_start",
        "_subject",
        "is_changed",
    )

    # Of the current good spell: its law's cumulative hazard when its rate was last set, and what is left from there to its end, if known.
    _start: int
    _hazard_before: float
    _knows_hazard: bool
    _hazard_left: float

    def __init__(self, laws: SpellLaws, subject: int, bad_at_first: bool, first_end_ns: int) -> None:
        self._laws = laws
        self._subject = subject
        self._bad_at_first = bad_at_first
        self._ends = [first_end_ns]
        self._renewals = 0
        self._rate = 1.0
        self.is_changed = False  # whether a rate was set or a good spell renewed
        self._begin(0)

    def bad_at(self, t: int) -> bool:
        """Return whether t lies in a bad spell."""
        return self._is_bad(self._spell_at(t))

    def good_again(self, t: int) -> int:
        """Return the first instant from t on in a good spell."""
        spell = self._spell_at(t)
        while self._is_bad(spell):
            t = self._ends[spell]
            spell = self._spell_at(t)
        return t

    def ends_at(self, t: int) -> int:
        """Return the end of the spell that contains t, unless something changes it."""
        return self._ends[self._spell_at(t)]

    def bad_spells(self, start: int, end: int) -> Iterator[Spell]:
        """Yield the non-empty parts of bad spells in [start, end), in order."""
        while start < end:
            spell = self._spell_at(start)
            until = min(self._ends[spell], end)
            if self._is_bad(spell):
                yield start, until
            start = until

    def set_rate(self, t: int, rate: float) -> None:
        """Multiply the rate at which good spells end by `rate` from t on; 1 is the distribution's own."""
        self.is_changed = True
        spell = self._forget_after(t)
        if not self._is_bad(spell) and rate != self._rate:
            if not self._knows_hazard:
                self._find_hazard(spell)
            hazard = self._hazard(t - self._start)
            if self._rate > 0:  # at rate 0 a spell may exceed its longest duration, where the hazard is infinite
                self._hazard_left -= self._rate * (hazard - self._hazard_before)
            self._hazard_before = hazard
            self._rate = rate
            # Rounding to whole nanoseconds may put a spell slightly past its hazard: it keeps its end.
            if self._hazard_left > 0:
                self._ends[spell] = max(t, self._start + self._end_age())
        self._rate = rate

    def renew(self, t: int, rate: float = 1.0) -> None:
        """Begin a new good spell at t, if t is in one; `rate` is as for :meth:`set_rate`."""
        self.is_changed = True
        spell = self._forget_after(t)
        self._rate = rate
        if not self._is_bad(spell):
            self._renewals += 1
            self._ends[spell] = t + self._length(spell, t)

    def _is_bad(self, spell: int) -> bool:
        return _is_bad(spell, bad_at_first=self._bad_at_first)

    def _spell_at(self, t: int) -> int:
        """Return the number of the spell that contains t, computing it if needed."""
        ends = self._ends
        while ends[-1] <= t:
            ends.append(ends[-1] + self._length(len(ends), ends[-1]))
        return bisect_right(ends, t)

    def _length(self, spell: int, start: int) -> int:
        if self._is_bad(spell):
            return self._laws.length_ns(self._subject, _index(spell), is_bad=True)
        self._begin(start)
        if self._rate == 1.0:
            return self._laws.length_ns(self._subject, _index(spell) + self._renewals, is_bad=False)
        self._find_hazard(spell)
        return self._end_age()

    def _begin(self, start: int) -> None:
        """Record the start of a new good spell."""
        self._start = start
        self._hazard_before = 0.0
        self._knows_hazard = False  # not needed until a rate is set

    def _find_hazard(self, spell: int) -> None:
        """Find the distribution of a good spell, and the hazard at which it ends."""
        self._knows_hazard = True
        self._law = self._laws.good if spell or self._renewals else self._laws.good_residual
        self._hazard_left = -math.log1p(-self._laws.good_uniform(self._subject, _index(spell) + self._renewals))

    def _forget_after(self, t: int) -> int:
        """Discard spells after the one at t: a change at t changes the future.

        Callers ask about the future only of processes without changes.
        """
        spell = self._spell_at(t)
        if spell + 1 < len(self._ends):
            del self._ends[spell + 1 :]
            if not self._is_bad(spell):
                self._begin(self._ends[spell - 1] if spell else 0)
        return spell

    def _hazard(self, age_ns: int) -> float:
        survival = self._law.survival(age_ns / NS_PER_S)
        return -math.log(survival) if survival > 0 else math.inf

    def _end_age(self) -> int:
        """Solve for the age at which the remaining hazard is used up at the current rate."""
        if self._rate == 0:
            return MAX_DURATION_NS
        hazard = self._hazard_before + self._hazard_left / self._rate
        # A slow rate may leave a survival that underflows to 0: the spell then has no end.
        ns = self._law.inverse_survival(math.exp(-hazard)) * NS_PER_S + 0.5
        return math.floor(ns) if ns < MAX_DURATION_NS else MAX_DURATION_NS


class Processes:
    """The processes of many subjects (nodes or zones) with the same distributions, created on first use.

    The state at time 0 and the end of the first spell are computed for all subjects together: most need no more within
    a rollout.
    """

    def __init__(
        self,
        draws: Draws,
        subjects: np.ndarray,  # numbers of the nodes or zones
        good: Distribution,  # distributions of the two kinds of spell, seconds
        bad: Distribution,
        streams: SpellStreams,
    ) -> None:
        self._laws = SpellLaws(draws, good, bad, streams, int(subjects.max(initial=-1)) + 1)
        self._subjects = subjects
        self._begin(*self._laws.draw_first(subjects))

    def _begin(self, bad_at_first: np.ndarray, first_end: np.ndarray) -> None:
        # Indexed by the subject's number, with unused places for other subjects: faster than a dictionary.
        size = int(self._subjects.max(initial=-1)) + 1
        self._bad_at_first, self._first_end = np.zeros(size, bool), np.zeros(size, np.int64)
        self._bad_at_first[self._subjects], self._first_end[self._subjects] = bad_at_first, first_end
        # Until when a subject is known to be good without making its process; -1 if that is unknown.
        self._good_until = array("q", np.where(self._bad_at_first, -1, self._first_end).tobytes())
        self._made: dict[int, Alternating] = {}
        self._undisturbed: tuple[int, Spells] | None = None

    def undisturbed(self, subject: int) -> Alternating:
        """Recreate a subject's process, without renewals or changes of rate."""
        return Alternating(self._laws, subject, bool(self._bad_at_first[subject]), int(self._first_end[subject]))

    def of(self, subject: int) -> Alternating:
        """Return a subject's process, made on first use."""
        process = self._made.get(subject)
        if process is None:
            process = self._made[subject] = self.undisturbed(subject)
            self._good_until[subject] = -1
        return process

    def bad_at(self, subject: int, t: int) -> bool:
        """Return whether t lies in one of the subject's bad spells."""
        return t >= self._good_until[subject] and self.of(subject).bad_at(t)

    def ends_at(self, subject: int, t: int) -> int:
        """Return the end of the subject's spell that contains t, unless something changes it."""
        good_until = self._good_until[subject]
        return good_until if t < good_until else self.of(subject).ends_at(t)

    def is_good_until(self, subject: int, end: int) -> bool:
        """Return True if the subject is known at once to be in the good spell of time 0 until `end`."""
        return end <= self._good_until[subject]

    def bad_spells(self, subject: int, start: int, end: int) -> Iterator[Spell]:
        """Yield the subject's bad spells within [start, end)."""
        return iter(()) if end <= self._good_until[subject] else self.of(subject).bad_spells(start, end)

    @property
    def any_is_changed(self) -> bool:
        """Whether a rate was set or a good spell renewed for any subject."""
        return any(process.is_changed for process in self._made.values())

    def all_bad_spells(self, end: int, *, undisturbed: bool = False) -> Spells:
        """Return the bad spells of all subjects within [0, end); `undisturbed` is without renewals or changes of rate."""
        changed = [] if undisturbed else [subject for subject, process in self._made.items() if process.is_changed]
        if not changed:
            return self._undisturbed_spells(end)
        rows = [(subject, *spell) for subject in changed for spell in self._made[subject].bad_spells(0, end)]
        others = self._undisturbed_spells(end)
        is_other = np.isin(others.subject, changed, invert=True)
        return Spells.joined(
            [Spells(*np.array(rows, np.int64).reshape(-1, 3).T), Spells(*(column[is_other] for column in others))]
        )

    def _undisturbed_spells(self, end: int) -> Spells:
        """Return the bad spells of all subjects without renewals or changes of rate; cached, because `end` is mostly the same."""
        if self._undisturbed is None or self._undisturbed[0] != end:
            parts: list[Spells] = []
            for bad_at_first in (False, True):
                of_kind = self._subjects[self._bad_at_first[self._subjects] == bad_at_first]
                parts += self._walk(of_kind, end, bad_at_first=bad_at_first)
            self._undisturbed = end, Spells.joined(parts)
        return self._undisturbed[1]

    def _walk(self, subjects: np.ndarray, limit: int, *, bad_at_first: bool) -> Iterator[Spells]:
        """Yield the bad spells up to a limit, for subjects in the same state at first: all first spells, all second ones, and so on."""
        start, end = np.zeros(len(subjects), np.int64), self._first_end[subjects]
        for spell in count(1):
            if _is_bad(spell - 1, bad_at_first=bad_at_first):
                yield Spells(subjects, start, np.minimum(end, limit))
            goes_on = end < limit
            subjects, start = subjects[goes_on], end[goes_on]
            if not len(subjects):
                return
            is_bad = _is_bad(spell, bad_at_first=bad_at_first)
            end = start + self._laws.lengths_ns(subjects, _index(spell), is_bad=is_bad)


class BadForGood(Processes):
    """Processes of subjects that are bad forever, without random numbers.

    `good_again` must not be called.
    """

    def __init__(self, subjects: np.ndarray) -> None:
        self._subjects = subjects

    @property
    def any_is_changed(self) -> bool:
        """False."""
        return False

    def bad_at(self, subject: int, t: int) -> bool:  # noqa: ARG002
        """Return True."""
        return True

    def ends_at(self, subject: int, t: int) -> int:  # noqa: ARG002
        """Return a time that never comes."""
        return _NEVER_NS

    def is_good_until(self, subject: int, end: int) -> bool:  # noqa: ARG002
        """Return False."""
        return False

    def bad_spells(self, subject: int, start: int, end: int) -> Iterator[Spell]:  # noqa: ARG002
        """Yield all of [start, end)."""
        return iter([(start, end)] if start < end else [])

    def all_bad_spells(self, end: int, *, undisturbed: bool = False) -> Spells:  # noqa: ARG002
        """Return all of [0, end) for each subject."""
        n = len(self._subjects)
        return Spells(self._subjects, np.zeros(n, np.int64), np.full(n, end, np.int64))
