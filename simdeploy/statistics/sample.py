"""Values of one measure by case and world, with everything that an estimate needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from simdeploy.statistics.moments import find_means, zero_if_unknown

UNBOUNDED = (-math.inf, math.inf)
_LAST_DIGITS = 1e-14
_NEARLY_ALL = 0.9


@dataclass(frozen=True, eq=False)
class Strata:
    r"""Strata of worlds, simulated separately because their probabilities are known.

    Examples
    --------
    >>> Strata(np.array([0, 0, 1]), np.array([0.9, 0.1])).n
    2
    """

    of: np.ndarray  # int, shape (worlds,): the stratum of each world, from 0
    # float, shape (strata,) or (cases, strata): sum to 1; may differ between cases.
    probabilities: np.ndarray

    @property
    def n(self) -> int:
        """Number of strata."""
        return int(self.probabilities.shape[-1])

    @cached_property
    def columns(self) -> tuple[Any, ...]:
        """The worlds of each stratum, as indices."""
        if self.n == 1:
            return (slice(None),)
        return tuple(np.flatnonzero(self.of == stratum) for stratum in range(self.n))

    @cached_property
    def counts(self) -> np.ndarray:
        """The number of worlds of each stratum."""
        return np.bincount(self.of, minlength=self.n)

    def of_cases(self, key: Any) -> Strata:
        """Return the strata of some cases."""
        return self if self.probabilities.ndim == 1 else replace(self, probabilities=self.probabilities[key])

    def join(self, more: Strata) -> Strata:
        """Return the same strata with further worlds."""
        return replace(self, of=np.concatenate([self.of, more.of]))


class Lump(NamedTuple):
    """An event that adds a lump to the values, such as an escape to the cost.

    Where its rate is known without simulation, values have the mean of the lump instead.
    """

    sizes: np.ndarray  # by stratum; 0 where it can't happen
    happened: np.ndarray  # shaped like the values: 1 or 0, for a difference also -1; NaN where unknown
    rates: np.ndarray  # by case and stratum; differences of rates for a difference; NaN where unknown
    # For a difference: whether either policy has the rarer of the event and its absence, and an upper bound on its probability.
    rarer: np.ndarray | None = None  # shaped like the values
    chances: np.ndarray | None = None  # shaped like the rates

    def find_rarer(self, strata: Strata) -> tuple[np.ndarray, np.ndarray]:
        """Return in which worlds the rarer of the event and its absence occurred (by its known rate), and its probability."""
        if self.rarer is not None and self.chances is not None:
            return self.rarer, self.chances
        is_event_rarer = self.rates <= 0.5
        rarer: np.ndarray = self.happened == is_event_rarer[..., strata.of]
        return rarer, np.minimum(self.rates, 1 - self.rates)

    def minus(self, other: Lump, strata: Strata) -> Lump:
        """Return the lump of differences from other cases in the same worlds."""
        (rarer, chances), (other_rarer, other_chances) = self.find_rarer(strata), other.find_rarer(strata)
        return Lump(
            self.sizes,
            self.happened - other.happened,
            self.rates - other.rates,
            rarer | other_rarer,
            np.minimum(chances + other_chances, 1.0),
        )

    def of_cases(self, key: Any) -> Lump:
        """Return the lump of some cases."""
        rarer, chances = (None if of is None else of[key] for of in (self.rarer, self.chances))
        return Lump(self.sizes, self.happened[key], self.rates[key], rarer, chances)

    def in_worlds(self, chosen: np.ndarray) -> Lump:
        """Return the lump in some of the worlds, a mask."""
        rarer = None if self.rarer is None else self.rarer[..., chosen]
        return self._replace(happened=self.happened[..., chosen], rarer=rarer)

    @property
    def unknown_sizes(self) -> np.ndarray:
        """The size in strata in which the rate of some case is unknown, otherwise 0."""
        is_unknown = np.isnan(self.rates).reshape(-1, len(self.sizes)).any(axis=0)
        return np.where(is_unknown, self.sizes, 0.0)

    def surprises(self, strata: Strata, *, unless_known_of: Lump | None = None) -> np.ndarray:
        """Return by how much the lump that was drawn exceeds its mean in each value, if the rate is known, otherwise 0.

        With another lump, also 0 where its rate is known, too.
        """
        surprises: np.ndarray = self.sizes[strata.of] * (self.happened - self.rates[..., strata.of])
        is_known = ~np.isnan(self.rates)
        if unless_known_of is not None:
            is_known = is_known & np.isnan(unless_known_of.rates)
        return np.where(is_known[..., strata.of], surprises, 0.0)


@dataclass(frozen=True, eq=False)
class Sample:
    """Values of one measure.

    Examples
    --------
    >>> sample = as_sample(np.array([[1.0, 2.0], [3.0, 5.0]]))
    >>> sample[1].values.tolist(), (sample[1] - sample[0]).values.tolist()
    ([3.0, 5.0], [2.0, 3.0])
    """

    values: np.ndarray  # float, shape (..., worlds): the leading axes are cases; NaN where a world has no value
    strata: Strata
    # float, shape (...): by case, the expected number of worlds of the rarest kind of release that a mean depends on.
    n_expected: np.ndarray
    lumps: tuple[Lump, ...] = ()  # contributions of events to the values; rates of events have exact limits
    # bool, shape (strata,), or by case (..., strata): in which strata all values are known beforehand, apart from lumps (no good
    # release escapes, or the rate of the event is known).
    is_certain: np.ndarray = field(default_factory=lambda: np.zeros(1, dtype=bool))
    # bool, shape (strata,), or None: in which strata a condition that varies between worlds may hold, such as having passed
    # the canaries; None without such a condition.
    selects: np.ndarray | None = None
    # float, shaped like the values, or None: values as they were drawn, if known rates of events replace some.
    drawn: np.ndarray | None = None
    # bool, shaped like the values, or None if none failed: which rollouts were simulated. Failures don't change the kinds' shares.
    made: np.ndarray | None = None
    # bool, shape (strata,): in which strata the condition may hold. The mean is unknown if one of them has no simulated rollout.
    covers: np.ndarray = field(default_factory=lambda: np.ones(1, dtype=bool))
    is_difference: bool = False  # whether values are differences of two policies in the same worlds
    bounds: tuple[float, float] = UNBOUNDED  # of all values
    least: float = -math.inf  # least lower limit of a mean: 0 where no value is negative, except for differences
    # float, shape (...), or None: for differences, by case, the range of the values that were subtracted.
    spread: np.ndarray | None = None

    @property
    def never_negative(self) -> bool:
        """Whether it is known of values only that they are at least 0; false if a condition varies between worlds."""
        return self.bounds == (0.0, math.inf) and self.selects is None

    @cached_property
    def counts(self) -> np.ndarray:
        """The number of simulated rollouts of each stratum, by case as well if some failed."""
        if self.made is None:
            return self.strata.counts
        return np.stack([self.made[..., columns].sum(axis=-1) for columns in self.strata.columns], axis=-1)

    @property
    def weights(self) -> np.ndarray:
        """The weight of the value of each world, by world or by case and world; 0 if the mean is unknown."""
        weights: np.ndarray = (self._weigh(self.counts) / np.maximum(self.counts, 1))[..., self.strata.of]
        return weights

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Sample]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, key: Any) -> Sample:
        """Return some cases."""
        lumps = tuple(lump.of_cases(key) for lump in self.lumps)
        return replace(
            self,
            values=self.values[key],
            strata=self.strata.of_cases(key),
            n_expected=self.n_expected[key],
            lumps=lumps,
            is_certain=self.is_certain if self.is_certain.ndim == 1 else self.is_certain[key],
            drawn=None if self.drawn is None else self.drawn[key],
            made=None if self.made is None else self.made[key],
            spread=None if self.spread is None else self.spread[key],
        )

    def __sub__(self, other: Sample) -> Sample:
        """Return the differences from other cases in the same worlds.

        Where the rate of an event is known for only one of two cases, both are taken as drawn: alike in the same world, they cancel,
        and so do lumps.
        """
        lumps = tuple(
            lump.minus(other_lump, self.strata) for lump, other_lump in zip(self.lumps, other.lumps, strict=True)
        )
        n_expected = np.minimum(self.n_expected, other.n_expected)
        values, are_certain = self.values - other.values, self.is_certain & other.is_certain
        for lump, other_lump in zip(self.lumps, other.lumps, strict=True):
            values = values + lump.surprises(self.strata, unless_known_of=other_lump)
            values = values - other_lump.surprises(self.strata, unless_known_of=lump)
        # What was subtracted and added again leaves a rounding error where both are alike.
        rounding = _LAST_DIGITS * np.fmax(np.abs(self.values), np.abs(other.values))
        values = np.where(np.abs(values) <= rounding, 0.0, values)
        if self.drawn is not None or other.drawn is not None:
            drawn = _find_drawn(self) - _find_drawn(other)
            values = np.where(are_certain[..., self.strata.of], values, drawn)
        return replace(
            self,
            values=values,
            n_expected=n_expected,
            lumps=lumps,
            is_certain=are_certain,
            drawn=None,
            made=_join_made(self, other, np.logical_and),
            is_difference=True,
            bounds=(self.bounds[0] - other.bounds[1], self.bounds[1] - other.bounds[0]),
            least=-math.inf,
            spread=np.fmax(_find_range(self.values), _find_range(other.values)),
        )

    def means(self) -> np.ndarray:
        """Return the mean of each case, weighted by the probabilities of the strata.

        Examples
        --------
        >>> strata = Strata(np.array([0, 0, 1]), np.array([0.9, 0.1]))
        >>> Sample(np.array([[1.0, 3.0, 12.0]]), strata, np.full(1, np.inf)).means().round(2).tolist()
        [3.0]
        """
        means, weights = self.means_by_stratum()
        with np.errstate(invalid="ignore"):
            total: np.ndarray = np.where(weights > 0, weights * means, 0.0).sum(axis=-1)
        return np.where(weights.sum(axis=-1) > 0, total, np.nan)

    def means_by_stratum(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean of each case in each stratum, NaN without values, and the strata's weights, which sum to 1."""
        described = [find_means(self.values[..., columns]) for columns in self.strata.columns]
        n, means = (np.stack(of_strata, axis=-1) for of_strata in zip(*described, strict=True))
        return means, self._weigh(n)

    def _weigh(self, n: np.ndarray) -> np.ndarray:
        return weigh(self.strata.probabilities, n, self.counts, self.covers)

    def join(self, more: Sample) -> Sample:
        """Return the same cases in these worlds and in others."""
        first, more = self._with_sizes_of(more), more._with_sizes_of(self)
        lumps = tuple(
            lump._replace(happened=np.concatenate([lump.happened, other_lump.happened], axis=-1))
            for lump, other_lump in zip(first.lumps, more.lumps, strict=True)
        )
        values = np.concatenate([first.values, more.values], axis=-1)
        drawn = _join_drawn(first, more, axis=-1)
        n_expected = self.n_expected + more.n_expected
        return replace(
            self,
            values=values,
            strata=self.strata.join(more.strata),
            n_expected=n_expected,
            lumps=lumps,
            drawn=drawn,
            made=_join_made(first, more, lambda *made: np.concatenate(made, axis=-1)),
            covers=self.covers | more.covers,
            least=min(self.least, more.least),
        )

    def stack(self, more: Sample) -> Sample:
        """Return these cases and others in the same worlds."""
        first, more = self._with_sizes_of(more), more._with_sizes_of(self)
        lumps = tuple(
            lump._replace(
                happened=np.concatenate([lump.happened, other_lump.happened]),
                rates=np.concatenate([lump.rates, other_lump.rates]),
            )
            for lump, other_lump in zip(first.lumps, more.lumps, strict=True)
        )
        values = np.concatenate([first.values, more.values])
        return replace(
            self,
            values=values,
            n_expected=np.append(self.n_expected, more.n_expected),
            lumps=lumps,
            is_certain=np.concatenate(
                [np.resize(each.is_certain, (len(each), self.strata.n)) for each in (first, more)]
            ),
            drawn=_join_drawn(first, more, axis=0),
            made=_join_made(first, more, lambda *made: np.concatenate(made)),
            least=min(self.least, more.least),
        )

    def _with_sizes_of(self, other: Sample) -> Sample:
        """Return the sample with the sizes of lumps raised to those of another one, where these are larger."""
        values, lumps = self.values, []
        for lump, other_lump in zip(self.lumps, other.lumps, strict=True):
            resized = lump._replace(sizes=np.maximum(lump.sizes, other_lump.sizes))
            if (resized.sizes != lump.sizes).any():
                values = values + lump.surprises(self.strata) - resized.surprises(self.strata)
            lumps.append(resized)
        return replace(self, values=values, lumps=tuple(lumps))

    def as_drawn(self) -> Sample:
        """Return the values as they were drawn, instead of with the known rates of lumps."""
        values = self.values + sum(lump.surprises(self.strata) for lump in self.lumps)
        lumps = tuple(lump._replace(rates=np.full_like(lump.rates, np.nan)) for lump in self.lumps)
        return replace(self, values=values, lumps=lumps)

    def on_one_footing(self) -> Sample:
        """Return all cases with lumps as they were drawn in strata in which the rate of some case is unknown.

        So their means can be compared, because in the same worlds all cases have the same luck.
        """
        values, lumps = self.values, []
        for lump in self.lumps:
            is_counted = np.isnan(lump.rates).any(axis=0)
            values = values + np.where(is_counted[self.strata.of], lump.surprises(self.strata), 0.0)
            lumps.append(lump._replace(rates=np.where(is_counted, np.nan, lump.rates)))
        return replace(self, values=values, lumps=tuple(lumps))

    def without_known_events(self) -> np.ndarray:
        """Return the values, NaN where an event happened whose rate is known."""
        happened = np.zeros(self.values.shape, dtype=bool)
        for lump in self.lumps:
            happened |= ~np.isnan(lump.rates[..., self.strata.of]) & (lump.happened != 0)
        return np.where(happened, np.nan, self.values)

    def pick(self, cases: np.ndarray) -> Sample:
        """Return the values of one case per world; known rates of lumps are kept in strata in which it is always the same case."""
        worlds = np.arange(self.values.shape[-1])
        firsts = [(place, cases[columns]) for place, columns in enumerate(self.strata.columns)]
        lumps = []
        for lump in self.lumps:
            rates = np.full(self.strata.n, np.nan)
            for place, picked in firsts:
                if len(picked) and (picked == picked[0]).all():
                    rates[place] = lump.rates[picked[0], place]
            lumps.append(lump._replace(happened=lump.happened[cases, worlds], rates=rates))
        made = None if self.made is None else self.made[cases, worlds]
        n_expected = self.n_expected.min()
        return replace(self, values=self.values[cases, worlds], n_expected=n_expected, lumps=tuple(lumps), made=made)

    def in_worlds(self, chosen: np.ndarray) -> Sample:
        """Return the same cases in some of the worlds, a mask; strata without such a world are left out."""
        lumps = tuple(lump.in_worlds(chosen) for lump in self.lumps)
        strata = replace(self.strata, of=self.strata.of[chosen])
        drawn, made = (None if of is None else of[..., chosen] for of in (self.drawn, self.made))
        covers = self.covers & (strata.counts > 0)
        return replace(
            self,
            values=self.values[..., chosen],
            strata=strata,
            lumps=lumps,
            drawn=drawn,
            made=made,
            covers=covers,
        )

    def where(self, kept: np.ndarray) -> Sample:
        """Return only some values; the others are NaN."""
        drawn = None if self.drawn is None else np.where(kept, self.drawn, np.nan)
        return replace(self, values=np.where(kept, self.values, np.nan), drawn=drawn)

    def scaled(self, factor: float) -> Sample:
        """Return the values times a factor."""
        lumps = tuple(lump._replace(sizes=lump.sizes * factor) for lump in self.lumps)
        low, high = sorted(factor * bound for bound in self.bounds)
        spread = None if self.spread is None else self.spread * abs(factor)
        least = self.least * factor if factor > 0 else -math.inf
        drawn = None if self.drawn is None else self.drawn * factor
        return replace(
            self,
            values=self.values * factor,
            lumps=lumps,
            drawn=drawn,
            bounds=(low, high),
            least=least,
            spread=spread,
        )


def _find_drawn(sample: Sample) -> np.ndarray:
    return sample.values if sample.drawn is None else sample.drawn


def _join_drawn(first: Sample, more: Sample, axis: int) -> np.ndarray | None:
    if first.drawn is None and more.drawn is None:
        return None
    return np.concatenate([_find_drawn(first), _find_drawn(more)], axis=axis)


def _join_made(first: Sample, more: Sample, join: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray | None:
    if first.made is None and more.made is None:
        return None
    all_made = (np.ones(each.values.shape, dtype=bool) if each.made is None else each.made for each in (first, more))
    return join(*all_made)


def _find_range(values: np.ndarray) -> np.ndarray:
    ranges: np.ndarray = np.fmax.reduce(values, axis=-1, initial=np.nan) - np.fmin.reduce(
        values, axis=-1, initial=np.nan
    )
    return ranges


def weigh(probabilities: np.ndarray, n: np.ndarray, counts: np.ndarray, covers: np.ndarray | bool = True) -> np.ndarray:
    """Return weights of strata that sum to 1: proportional to the probability times the share of simulated rollouts with a value.

    All are 0 if the mean is unknown: if no stratum that occurs has a value, or one that the mean covers has no simulated rollout.

    Examples
    --------
    >>> weigh(np.array([0.9, 0.1]), np.array([[10, 10], [5, 10]]), np.array([10, 10])).round(3).tolist()
    [[0.9, 0.1], [0.818, 0.182]]
    """
    weights = probabilities * (n / np.maximum(counts, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = zero_if_unknown(weights / weights.sum(axis=-1, keepdims=True))
    is_missing = (covers & (probabilities > 0) & (counts == 0)).any(axis=-1, keepdims=True)
    return np.where(is_missing, 0.0, shares)


def count_for_trust(counts: np.ndarray, simulated: np.ndarray) -> np.ndarray:
    """Return how many worlds of each stratum count where trust needs many: those simulated, or all if at most a tenth failed.

    Otherwise a single failure would make all means of the usual 400 worlds untrusted.

    Examples
    --------
    >>> count_for_trust(np.array([400, 400]), np.array([399, 200])).tolist()
    [400, 200]
    """
    counted: np.ndarray = np.where(simulated >= _NEARLY_ALL * counts, counts, simulated)
    return counted


def as_sample(values: np.ndarray | Sample) -> Sample:
    """Return values of independent, identically distributed worlds as a sample with one stratum; a sample unchanged."""
    if isinstance(values, Sample):
        return values
    values = np.asarray(values, dtype=float)
    strata = Strata(np.zeros(values.shape[-1], dtype=np.int64), np.ones(1))
    return Sample(values, strata, np.full(values.shape[:-1], np.inf))
