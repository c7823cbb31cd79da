"""Up and down, good and degraded: alternating renewal processes, stationary at time 0 (model section 3).

A process is a function of time, computed only as far as needed: no event is scheduled for a node that nothing examines.
Times are whole nanoseconds; a spell is [start, end).
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.units import MAX_DURATION_NS, NS_PER_S
from simdeploy.world.distributions import sample_ns
from simdeploy.world.laws.base import Distribution, Law, require
from simdeploy.world.streams import Stream

if TYPE_CHECKING:
    from simdeploy.world.draws import Draws

Spell = tuple[int, int]

# Later than any time of a rollout, nanoseconds.
_NEVER_NS = 1 << 62


class SpellStreams(NamedTuple):
    """The streams of one kind of process: state at time 0, good spells, bad spells."""

    state: Stream
    good: Stream
    bad: Stream


CRASH_STREAMS = SpellStreams(Stream.CRASH_STATE, Stream.CRASH_UP, Stream.CRASH_REPAIR)
FLAP_STREAMS = SpellStreams(Stream.FLAP_STATE, Stream.FLAP_GOOD, Stream.FLAP_DEGRADED)
ZONE_STREAMS = SpellStreams(Stream.ZONE_STATE, Stream.ZONE_UP, Stream.ZONE_REPAIR)
CONNECTION_STREAMS = SpellStreams(Stream.CONNECTION_STATE, Stream.CONNECTION_ONLINE, Stream.CONNECTION_OFFLINE)


class Alternating:
    """One process of alternating good and bad spells of one subject (a node or a zone), from time 0.

    Spells are numbered from 0, the one in progress at time 0. A spell's uniform has the index of the spell among those
    of its kind; index 0 is reserved for the one in progress at time 0.

    The rate at which good spells end may be multiplied for a while, and a good spell may be renewed. The conditional
    survival is raised to the power of the current rate, so a good spell ends when ``sum of rate x cumulative hazard``
    reaches ``-log(1 - u)`` for its one uniform u.
    """

    __slots__ = (
        "_age_ns",
        "_bad_at_first",
        "_ends",
        "_hazard_left",
        "_law",
        "_processes",
        "_rate",
        "_renewals",
        "_start",
        "_subject",
    )

    def __init__(self, processes: Processes, subject: int, bad_at_first: bool, first_end_ns: int) -> None:
        self._processes = processes
        self._subject = subject
        self._bad_at_first = bad_at_first
        self._ends = [first_end_ns]
        self._renewals = 0
        self._rate = 1.0
        self._age_ns = 0
        self._hazard_left = math.nan
        self._begin(0, 0)

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
        """Return the end of the spell that contains t, as far as nothing changes it."""
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
        spell = self._forget_after(t)
        if not self._is_bad(spell) and rate != self._rate:
            age = t - self._start
            if self._rate > 0:  # at rate 0 a spell may exceed its longest duration, where the hazard is infinite
                self._hazard_left -= self._rate * (self._hazard(age) - self._hazard(self._age_ns))
            self._age_ns = age
            self._rate = rate
            # Rounding to whole nanoseconds may put a spell slightly past its hazard: it keeps its end.
            if self._hazard_left > 0:
                self._ends[spell] = max(t, self._start + self._end_age())
        self._rate = rate

    def renew(self, t: int) -> None:
        """Begin a new good spell at t, if t is in one."""
        spell = self._forget_after(t)
        if not self._is_bad(spell):
            self._renewals += 1
            self._ends[spell] = t + self._length(spell, t)

    def _is_bad(self, spell: int) -> bool:
        return self._bad_at_first == (spell % 2 == 0)

    def _index(self, spell: int) -> int:
        bad = self._is_bad(spell)
        index = spell // 2 if bad == self._bad_at_first else spell // 2 + 1
        return index if bad else index + self._renewals

    def _spell_at(self, t: int) -> int:
        """Return the number of the spell that contains t, computing it if needed."""
        ends = self._ends
        while ends[-1] <= t:
            ends.append(ends[-1] + self._length(len(ends), ends[-1]))
        return bisect_right(ends, t)

    def _length(self, spell: int, start: int) -> int:
        processes, index = self._processes, self._index(spell)
        if self._is_bad(spell):
            return processes.bad_ns(self._subject, index)
        self._begin(spell, start)
        return processes.good_ns(self._subject, index) if self._rate == 1.0 else self._end_age()

    def _begin(self, spell: int, start: int) -> None:
        """Record the distribution of a new good spell, and the hazard at which it ends."""
        self._start = start
        self._age_ns = 0
        if self._is_bad(spell):
            self._hazard_left = math.nan
        else:
            self._law = self._processes.good if spell or self._renewals else self._processes.good_residual
            self._hazard_left = -math.log1p(-self._processes.good_uniform(self._subject, self._index(spell)))

    def _forget_after(self, t: int) -> int:
        """Discard spells after the one at t: a change at t changes the future.

        Only a process without changes is ever asked about its future.
        """
        spell = self._spell_at(t)
        if spell + 1 < len(self._ends):
            del self._ends[spell + 1 :]
            if not self._is_bad(spell):
                self._begin(spell, self._ends[spell - 1] if spell else 0)
        return spell

    def _hazard(self, age_ns: int) -> float:
        survival = self._law.survival(age_ns / NS_PER_S)
        return -math.log(survival) if survival > 0 else math.inf

    def _end_age(self) -> int:
        """Solve for the age at which the remaining hazard is used up at the current rate."""
        if self._rate == 0:
            return MAX_DURATION_NS
        hazard = self._hazard(self._age_ns) + self._hazard_left / self._rate
        # A slow rate may leave a survival that underflows to 0: the spell then has no end.
        ns = self._law.inverse_survival(math.exp(-hazard)) * NS_PER_S + 0.5
        return math.floor(ns) if ns < MAX_DURATION_NS else MAX_DURATION_NS


class Processes:
    """The processes of many subjects (nodes or zones) with the same distributions, created on first use.

    The state at time 0 and the end of the first spell are computed for all subjects together: most need no more within
    a rollout.

    Parameters
    ----------
    subjects : ndarray of int
        Numbers of the nodes or zones.
    good, bad : Distribution
        Distributions of the two kinds of spell, seconds.
    """

    def __init__(
        self, draws: Draws, subjects: np.ndarray, good: Distribution, bad: Distribution, streams: SpellStreams
    ) -> None:
        self._draws = draws
        self._streams = streams
        self.good, self._bad = good, bad
        self.good_residual = Residual(good)
        is_bad = self._at_time_0(streams.state, subjects) < bad.mean / (good.mean + bad.mean)
        ends = np.zeros(len(subjects), dtype=np.int64)
        ends[~is_bad] = sample_ns(self.good_residual, self._at_time_0(streams.good, subjects[~is_bad]))
        if is_bad.any():
            ends[is_bad] = sample_ns(Residual(bad), self._at_time_0(streams.bad, subjects[is_bad]))
        # By the subject's number, whether it is one of these or not: quicker to look up than by name.
        size = int(subjects.max(initial=-1)) + 1
        self._bad_at_first = [False] * size
        self._first_end = [0] * size
        for subject, bad_at_first, end in zip(subjects.tolist(), is_bad.tolist(), ends.tolist(), strict=True):
            self._bad_at_first[subject] = bad_at_first
            self._first_end[subject] = end
        self._made: dict[int, Alternating] = {}

    def _at_time_0(self, stream: Stream, subjects: np.ndarray) -> np.ndarray:
        return self._draws.of_nodes(stream, subjects)

    def good_uniform(self, subject: int, index: int) -> float:
        """Return the uniform of a good spell."""
        return self._draws.draw(self._streams.good, subject, index)

    def good_ns(self, subject: int, index: int) -> int:
        """Return the length of a good spell (not the one at time 0), nanoseconds."""
        return int(sample_ns(self.good, self.good_uniform(subject, index)))

    def bad_ns(self, subject: int, index: int) -> int:
        """Return the length of a bad spell (not the one at time 0), nanoseconds."""
        return int(sample_ns(self._bad, self._draws.draw(self._streams.bad, subject, index)))

    def undisturbed(self, subject: int) -> Alternating:
        """Recreate a subject's process, without renewals or changes of rate."""
        return Alternating(self, subject, self._bad_at_first[subject], self._first_end[subject])

    def of(self, subject: int) -> Alternating:
        """Return a subject's process, made on first use."""
        process = self._made.get(subject)
        if process is None:
            process = self._made[subject] = self.undisturbed(subject)
        return process

    def bad_at(self, subject: int, t: int) -> bool:
        """Return whether t lies in one of the subject's bad spells."""
        if t < self._first_end[subject] and subject not in self._made:
            return self._bad_at_first[subject]
        return self.of(subject).bad_at(t)

    def ends_at(self, subject: int, t: int) -> int:
        """Return the end of the subject's spell that contains t, as far as nothing changes it."""
        if t < self._first_end[subject] and subject not in self._made:
            return self._first_end[subject]
        return self.of(subject).ends_at(t)

    def is_good_until(self, subject: int, end: int) -> bool:
        """Return quickly whether the subject is in the good spell of time 0 until `end`; False if not quickly known."""
        return end <= self._first_end[subject] and not self._bad_at_first[subject] and subject not in self._made

    def bad_spells(self, subject: int, start: int, end: int) -> Iterator[Spell]:
        """Yield the subject's bad spells within [start, end)."""
        return iter(()) if self.is_good_until(subject, end) else self.of(subject).bad_spells(start, end)


class BadForGood(Processes):
    """Processes of subjects 0, ..., n - 1 that are in a bad spell at time 0, which never ends; nothing is drawn.

    They must not be asked when a subject is good again.
    """

    def __init__(self, n_subjects: int) -> None:
        self._bad_at_first = [True] * n_subjects
        self._first_end = [_NEVER_NS] * n_subjects
        self._made = {}


@dataclass(frozen=True)
class Residual(Law):
    """The time until the next renewal, from any fixed instant of a stationary renewal process.

    If the times between renewals follow `law`, with survival S, the residual has the survival S_e(x) = (1 / mean) *
    integral of S(t) from x to infinity.

    Parameters
    ----------
    law : Distribution
        Of numbers >= 0 with a mean above 0.

    Raises
    ------
    ValueError
        If it is not a distribution of times.

    References
    ----------
    D. R. Cox, "Renewal Theory", Methuen, 1962 (forward recurrence time).

    Examples
    --------
    >>> from simdeploy.world.distributions import Constant
    >>> Residual(Constant(60.0)).quantile(0.25)
    15.0
    """

    law: Distribution

    def __post_init__(self) -> None:
        require(self.law.support[0] >= 0, "times must not be below 0")
        require(self.law.mean > 0, "times must have a mean above 0")

    @property
    def mean(self) -> float:
        """E[X**2] / (2 E[X])."""
        return self.law.mean / 2 + self.law.variance / self.law.mean / 2

    @property
    def support(self) -> tuple[float, float]:
        """From 0 to the longest time."""
        return (0.0, self.law.support[1])

    def _cdf(self, x: Any) -> Any:
        return self.law.limited_mean(_finite(x)) / self.law.mean

    def _survival(self, x: Any) -> Any:
        # Where the excess is a difference of two nearly equal terms, rounding may leave it below 0.
        return np.maximum(self.law.expected_excess(_finite(x)), 0.0) / self.law.mean

    def _quantile(self, u: Any) -> Any:
        return self._invert(u, 1 - u)

    def _inverse_survival(self, s: Any) -> Any:
        return self._invert(1 - s, s)

    def _invert(self, below: Any, above: Any) -> Any:
        """Use the smaller of the two shares, which sum to 1, because it has all its digits."""
        shares = np.atleast_1d(below).ravel(), np.atleast_1d(above).ravel()
        lower = shares[0] <= 0.5
        x = np.empty(lower.shape)
        x[lower] = self.law.inverse_limited_mean(shares[0][lower] * self.law.mean)
        x[~lower] = self.law.inverse_expected_excess(shares[1][~lower] * self.law.mean)
        return x.reshape(np.shape(below))


def _finite(x: Any) -> Any:
    # Infinity times a survival of 0 would be NaN.
    return np.clip(x, 0.0, sys.float_info.max)
