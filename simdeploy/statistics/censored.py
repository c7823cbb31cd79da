"""Censored durations by group, reduced to what likelihoods of scale families need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Durations:
    """Durations, some of them censored: one row per node."""

    group: np.ndarray  # from 0
    time: np.ndarray  # positive; the sum over all attempts so far
    attempts: np.ndarray  # at least 1
    ended: np.ndarray  # whether the last attempt has ended; otherwise it was still going on at `time`

    def __len__(self) -> int:
        return len(self.time)

    def of(self, chosen: np.ndarray) -> Durations:
        """Return some of the rows."""
        return Durations(self.group[chosen], self.time[chosen], self.attempts[chosen], self.ended[chosen])


@dataclass(frozen=True)
class Terms:
    """Distinct rows with their numbers, in order of their groups."""

    group: np.ndarray
    time: np.ndarray
    attempts: np.ndarray
    counts: np.ndarray  # how often each row occurs

    @cached_property
    def log_time(self) -> np.ndarray:
        """The logarithms of the times."""
        logs: np.ndarray = np.log(self.time)
        return logs

    @cached_property
    def starts(self) -> np.ndarray:
        """The first row of each group."""
        return np.flatnonzero(np.diff(self.group, prepend=-1))

    @cached_property
    def by_attempts(self) -> list[tuple[int, np.ndarray | slice]]:
        """Each number of attempts with its rows."""
        numbers = np.unique(self.attempts).tolist()
        if len(numbers) == 1:
            return [(numbers[0], slice(None))]
        return [(n, self.attempts == n) for n in numbers]

    @classmethod
    def of(cls, data: Durations) -> Terms:
        """Return the distinct rows of data."""
        order = np.lexsort((data.time, data.attempts, data.group))
        keys = np.stack([data.group[order], data.attempts[order], data.time[order]], axis=1)
        is_new = np.ones(len(keys), dtype=bool)
        is_new[1:] = (np.diff(keys, axis=0) != 0).any(axis=1)
        starts = np.flatnonzero(is_new)
        chosen = order[starts]
        counts = np.diff(np.append(starts, len(keys))).astype(float)
        return cls(data.group[chosen], data.time[chosen], data.attempts[chosen], counts)

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True)
class Ended:
    """By group, sums over rows with the same number of attempts, all of which have ended."""

    attempts: int
    rows: np.ndarray
    logs: np.ndarray
    log_squares: np.ndarray
    times: np.ndarray


class Grouped:
    """Sums by group over rows that have ended, and the terms of the others."""

    def __init__(self, data: Durations) -> None:
        self.names = np.unique(data.group)  # the groups that have data, ascending
        self.n = len(self.names)
        data = Durations(np.searchsorted(self.names, data.group), data.time, data.attempts, data.ended)
        self._first = data.of(data.ended & (data.attempts == 1))
        self._first_logs = np.log(self._first.time)
        # By the number of attempts.
        self.ended = [self._add_up(data, int(n)) for n in np.unique(data.attempts[data.ended])]
        self.still_open = Terms.of(data.of(~data.ended))  # the rows whose last attempt has not ended
        self.n_ended_attempts = float(data.attempts.sum() - (~data.ended).sum())

    def sum_powers(self, exponent: float) -> np.ndarray:
        """Return by group the sum of the times of first attempts to a power."""
        return np.bincount(self._first.group, np.exp(exponent * self._first_logs), minlength=self.n)

    def _add_up(self, data: Durations, attempts: int) -> Ended:
        rows = data.of(data.ended & (data.attempts == attempts))
        logs = np.log(rows.time)
        sums = [
            np.bincount(rows.group, values, minlength=self.n)
            for values in (np.ones(len(rows)), logs, logs**2, rows.time)
        ]
        return Ended(attempts, *sums)
