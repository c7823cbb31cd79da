"""Counts, moments and first values of the cases of a sweep, from rows that are read in parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.experiments.kinds import Kinds
from simdeploy.statistics.combining import Design
from simdeploy.statistics.heavy_tails import SHOWN
from simdeploy.statistics.moments import Moments
from simdeploy.vocabulary import VERDICTS

if TYPE_CHECKING:
    import pandas as pd


class CaseCounts:
    """Rows, failures and verdicts of each case and stratum, and rollouts that never end."""

    def __init__(self, n_strata: int, kinds: Kinds | None) -> None:
        self._n_strata = n_strata
        self._counts: dict[str, np.ndarray] = {}
        self._kinds = kinds  # to tell defective releases

    def add(self, cell: np.ndarray, batch: pd.DataFrame, means: Mapping[str, str]) -> None:
        """Add rows; `means` are the responses of means, by their names."""
        self._put("rows", cell)
        self._put("failed", cell[_has(batch, "status", "failed")])
        for verdict in VERDICTS:
            self._put(verdict, cell[_has(batch, "verdict", verdict)])
        # Without makespans, a table doesn't show what never ends.
        if "makespan_s" in batch:
            self._add_endless(cell, batch, means)

    def of(self, numbers: np.ndarray, label: str) -> np.ndarray:
        """Return the counts by case and stratum."""
        return _take(self._counts.get(label, np.zeros(0, np.int64)), numbers, self._n_strata, 0)

    def unknown_fractions(self, numbers: np.ndarray, name: str, about: Sequence[str], design: Design) -> np.ndarray:
        """Return by case the share of rollouts that a quantity is, or may be, about, but that never end.

        These have no verdict, and may still get any that their release allows (`Values.unknown_fractions`). A quantity is about the
        verdicts of `about`; without any, about all rollouts.
        """
        if about:
            unknown = self.of(numbers, "endless defective" if "escaped" in about else "endless good")
            n = unknown + np.sum([self.of(numbers, verdict) for verdict in about], axis=0)
        else:
            unknown = self.of(numbers, f"without {name}")
            n = self.of(numbers, "rows") - self.of(numbers, "failed")
        unknown, n = (
            (each / np.maximum(design.simulated, 1) * design.probabilities).sum(axis=1) for each in (unknown, n)
        )
        fractions: np.ndarray = unknown / np.where(n > 0, n, 1.0)
        return fractions

    def _add_endless(self, cell: np.ndarray, batch: pd.DataFrame, means: Mapping[str, str]) -> None:
        never_ends = batch["makespan_s"].isna().to_numpy(dtype=bool) & ~_has(batch, "status", "failed")
        if not never_ends.any():
            return
        batch, cell = batch[never_ends], cell[never_ends]
        for name, response in means.items():
            self._put(f"without {name}", cell[batch[response].isna().to_numpy(dtype=bool)])
        without_verdict = batch["verdict"].isna()
        releases = batch.get("release", without_verdict)
        for release in releases[without_verdict].dropna().unique():
            is_it = (without_verdict & releases.eq(release)).to_numpy(dtype=bool, na_value=False)
            for sort in self._list_sorts(release):
                self._put(f"endless {sort}", cell[is_it])

    def _list_sorts(self, release: Any) -> list[str]:
        """Return whether a release is good or defective, or both if that isn't known; a restart or stop has none."""
        sorts = ["good", "defective"] if release else []
        if self._kinds is None or release not in self._kinds.names:
            return sorts
        return [sort for sort in sorts if self._kinds.allows(sort, release)]

    def _put(self, label: str, cell: np.ndarray) -> None:
        added = np.bincount(cell)
        before = self._counts.get(label, np.zeros(0, np.int64))
        after = _pad(before, len(added), 0)
        after[: len(added)] += added
        self._counts[label] = after


def _has(batch: pd.DataFrame, name: str, word: str) -> np.ndarray:
    """Return which rows have a word in a column, which may be missing."""
    if name not in batch:
        return np.zeros(len(batch), dtype=bool)
    return batch[name].eq(word).to_numpy(dtype=bool, na_value=False)


class CaseMoments:
    """Number, mean and sums of powers of deviations of the values of each case and stratum, accumulated part by part.

    Values are relative to the first one, so that identical values have a variance of exactly 0. Parts are joined by the
    formulas of Chan, Golub and LeVeque (1983), and of Terriberry (2007) for third powers.
    """

    def __init__(self, n_strata: int) -> None:
        self.least = 0.0  # least lower limit of a mean, as in `Sample`
        self._n_strata = n_strata
        self._first = np.zeros(0)
        self._n = np.zeros(0, np.int64)
        self._mean = np.zeros(0)
        self._squares = np.zeros(0)
        self._cubes = np.zeros(0)

    def add(self, cell: np.ndarray, values: np.ndarray) -> None:
        known = ~np.isnan(values)
        cell, values = cell[known], values[known]
        self.least = -np.inf if (values < 0).any() else self.least
        size = max(len(self._n), int(cell.max(initial=-1)) + 1)
        self._first = _pad(self._first, size, np.nan)
        self._n, self._mean, self._squares, self._cubes = (
            _pad(a, size, 0) for a in (self._n, self._mean, self._squares, self._cubes)
        )
        cells, places = np.unique(cell, return_index=True)
        is_new = np.isnan(self._first[cells])
        self._first[cells[is_new]] = values[places[is_new]]
        values = values - self._first[cell]
        n = np.bincount(cell, minlength=size)
        mean = np.bincount(cell, values, size) / np.maximum(n, 1)
        deviations = values - mean[cell]
        squares = np.bincount(cell, deviations**2, size)
        total = np.maximum(self._n + n, 1)
        step = mean - self._mean
        self._cubes += np.bincount(cell, deviations**3, size) + step**3 * (self._n * n * (self._n - n) / total**2)
        self._cubes += 3 * step * (self._n * squares - n * self._squares) / total
        self._squares += squares + step**2 * (self._n * n / total)
        self._mean += step * (n / total)
        self._n += n

    def of(self, numbers: np.ndarray) -> Moments:
        """Return the moments by case and stratum."""
        n, mean, squares, cubes, first = (
            _take(a, numbers, self._n_strata, fill)
            for a, fill in (
                (self._n, 0), (self._mean, 0), (self._squares, 0), (self._cubes, 0), (self._first, np.nan),
            )
        )  # fmt: skip
        with np.errstate(invalid="ignore", divide="ignore"):
            return Moments(n, first + mean, np.where(n > 1, squares / (n - 1), np.nan), cubes / n)


class FirstValues:
    """For each case and stratum the values of the first replications that have one; rows may come in any order."""

    def __init__(self, n_strata: int) -> None:
        self._n_strata = n_strata
        self._n = np.zeros(0, np.int64)
        self._last = np.zeros(0, np.int64)  # highest replication that is kept
        # By case and stratum; only the first `_n` entries of a row are set.
        self._values, self._replications = np.empty((0, 0)), np.empty((0, 0), np.int32)

    def add(self, cell: np.ndarray, replication: np.ndarray, values: np.ndarray) -> None:
        size = max(len(self._n), int(cell.max(initial=-1)) + 1)
        self._n, self._last = _pad(self._n, size, 0), _pad(self._last, size, -1)
        taken = ~np.isnan(values) & ((self._n[cell] < SHOWN) | (replication < self._last[cell]))
        if not taken.any():
            return
        cell, replication, values = _sort(cell[taken], replication[taken], values[taken])
        cells, first = np.unique(cell, return_index=True)
        late = cells[replication[first] < self._last[cells]]
        if len(late):  # sort these together with the values that are kept already
            kept = np.arange(self._values.shape[1]) < self._n[late, None]
            cell, replication, values = _sort(
                np.append(cell, np.repeat(late, self._n[late])),
                np.append(replication, self._replications[late][kept]),
                np.append(values, self._values[late][kept]),
            )
            self._n[late] = 0
        place = np.arange(len(cell)) - np.searchsorted(cell, cell) + self._n[cell]
        is_first = place < SHOWN
        cell, place, replication, values = (a[is_first] for a in (cell, place, replication, values))
        self._make_room(size, int(place.max()) + 1, replication)
        self._values[cell, place], self._replications[cell, place] = values, replication
        self._n += np.bincount(cell, minlength=size)
        self._last[cell] = replication  # in ascending order, so the highest remains

    def of(self, numbers: np.ndarray) -> list[np.ndarray]:
        """Return for each stratum the values, one row per case, padded with NaN."""
        size = (int(numbers.max(initial=-1)) + 1) * self._n_strata
        self._n = _pad(self._n, size, 0)
        width = int(self._n.max(initial=0))
        self._make_room(len(self._n), width, np.zeros(1))
        places = np.arange(width)
        cells = [numbers * self._n_strata + stratum for stratum in range(self._n_strata)]
        return [np.where(places < self._n[each, None], self._values[each, :width], np.nan) for each in cells]

    def _make_room(self, rows: int, width: int, replication: np.ndarray) -> None:
        """Enlarge the arrays to at least `rows` x `width`, with room to spare so that this happens rarely."""
        dtype = self._replications.dtype if replication.max() < 1 << 31 else np.dtype(np.int64)
        before = self._values.shape
        if rows <= before[0] and width <= before[1] and dtype == self._replications.dtype:
            return
        shape = (
            max(rows, before[0] * 3 // 2) if rows > before[0] else before[0],
            min(max(width, 2 * before[1]), SHOWN) if width > before[1] else before[1],
        )
        for name, of in (("_values", np.dtype(np.float64)), ("_replications", dtype)):
            array = np.empty(shape, of)
            array[: before[0], : before[1]] = getattr(self, name)
            setattr(self, name, array)


def _sort(cell: np.ndarray, replication: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, ...]:
    order = np.lexsort((replication, cell))
    return cell[order], replication[order], values[order]


def _take(values: np.ndarray, numbers: np.ndarray, n_strata: int, fill: float) -> np.ndarray:
    """Return the values of cases by stratum."""
    size = (int(numbers.max(initial=-1)) + 1) * n_strata
    of_cases: np.ndarray = _pad(values, size, fill)[:size].reshape(-1, n_strata)[numbers]
    return of_cases


def _pad(values: np.ndarray, size: int, fill: float) -> np.ndarray:
    """Return the values padded to a length."""
    if len(values) >= size:
        return values
    more = np.full(size - len(values), fill, dtype=values.dtype)
    return np.concatenate([values, more])
