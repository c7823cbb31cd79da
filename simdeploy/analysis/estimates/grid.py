"""Summaries of the cases of a sweep, one row each, from rows read in parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from simdeploy.errors import raise_if_any
from simdeploy.experiments.gathering import Batches, missing_columns, refuse_weights
from simdeploy.experiments.kinds import Kinds, is_divided
from simdeploy.result import Columns, Result, read_computed_under
from simdeploy.scenario.measures import FRACTIONS
from simdeploy.statistics.combining import Combined, Design, join_parts
from simdeploy.statistics.heavy_tails import SHOWN
from simdeploy.statistics.levels import level_problems
from simdeploy.statistics.moments import Moments
from simdeploy.statistics.parts import allow_for_tails, parts_of_means, parts_of_rates
from simdeploy.vocabulary import RESPONSES, VERDICTS, WEIGHT

if TYPE_CHECKING:
    import pandas as pd


# Rates of the first of two verdicts, among rollouts with either.
PROPORTIONS = {
    "false_alarm": ("false_alarm", ("completed_good", "false_alarm")),
    "escape": ("escaped", ("stopped_defective", "escaped")),
}
# Means, each with its response. Stopped rollouts end early, so their makespan is not comparable: the makespan is also
# given for completed rollouts.
MEANS = {
    "completed_makespan_s": "makespan_s",
    "makespan_s": "makespan_s",
    "blast_radius": "blast_radius",
    "failed_requests_excess": "failed_requests_excess",
    "unavailable_excess_node_s": "unavailable_excess_node_s",
}
QUANTITIES = (*PROPORTIONS, *MEANS)
# The verdicts of the rollouts that these quantities are about; the others are about all.
ABOUT = {**{name: among for name, (_, among) in PROPORTIONS.items()}, "completed_makespan_s": ("completed_good",)}

_KEYS = ("case", "scenario", "policy")
_CELL = {"case": "int64", "scenario": "str", "policy": "str", "replications": "int64", "failed": "int64"}
_NO_FACTORS = {*_KEYS, "replication", *RESPONSES, WEIGHT, "status", "stage", "error"}


@dataclass(frozen=True, eq=False, repr=False)
class GridSummary(Result):
    """Result of `summarize_grid`.

    Attributes
    ----------
    cells : DataFrame
        One row per case, ascending: `case`, `scenario`, `policy` and the varied factors; `replications`, and how many
        `failed` and are left out. Each quantity has the columns `_n` (observations used), `_estimate`, `_low`, `_high`,
        `_half_width`, `_is_trusted` (see `Estimates`) and `_unknown_fraction` (share of its rollouts that never end, so their value
        is unknown): `false_alarm`, the probability that a good release is stopped; `escape`, that a defective one
        completes; the means of `makespan_s`, `blast_radius`, `failed_requests_excess` and `unavailable_excess_node_s`;
        and `completed_makespan_s`, the mean makespan of rollouts that completed with a good release (without verdicts,
        that completed).
    factors : tuple of str
        Columns of the varied factors.
    confidence_level : float
    computed_under : dict
        Scenario, seed, engine and switches, if the table has them.
    """

    cells: Annotated[pd.DataFrame, Columns(_CELL, has_more=True)]
    factors: tuple[str, ...]
    confidence_level: float
    computed_under: Mapping[str, Any]


def summarize_grid(result: Batches | pd.DataFrame, *, confidence_level: float = 0.95) -> GridSummary:
    r"""Estimate error rates, makespan, failed requests and other responses for each case of a sweep.

    Parameters
    ----------
    result : SweepResult, StoredTable or DataFrame
        From `sweep` or `read_store`, or rows of such a table. Row order and further columns are irrelevant. Worlds by kind
        of release are weighted with the kinds' probabilities; other weights are an error.
    confidence_level : float, default 0.95
        Of each interval separately, between 0 and 1.

    Returns
    -------
    GridSummary

    Raises
    ------
    InputError
        If the table is not from a sweep.

    Notes
    -----
    Proportions are over rollouts of good, or of defective, releases with a verdict, and have the exact interval of Clopper and Pearson.
    In worlds by kind, a proportion that is known without simulation has an interval of width 0. Means are over rollouts with a value, and
    have the interval of `estimate`. With too few observations the result is NaN. Rollouts that never end have no verdict and no
    makespan, and the estimates are of the others. For worlds by kind of release see
    `simdeploy.statistics.combining.combine`.

    Rows are read in parts, so memory depends on the number of cases, not on the number of replications. Each mean takes up to 5 kB per case
    and kind of release, because its interval depends on the shape of the first 400 values.

    Examples
    --------
    >>> import pandas as pd
    >>> from simdeploy.analysis import summarize_grid
    >>> table = pd.DataFrame({
    ...     "case": [0, 0, 1, 1], "scenario": "small", "policy": "waves", "max_failed_nodes": [0, 0, 5, 5],
    ...     "replication": [0, 1, 0, 1], "verdict": ["false_alarm", "completed_good", "completed_good", "escaped"],
    ...     "makespan_s": [60.0, 80.0, 80.0, 90.0],
    ... })
    >>> cells = summarize_grid(table).cells
    >>> cells[["max_failed_nodes", "false_alarm_n", "false_alarm_estimate", "makespan_s_estimate"]]
       max_failed_nodes  false_alarm_n  false_alarm_estimate  makespan_s_estimate
    0                 0              2                   0.5                 70.0
    1                 5              1                   0.0                 85.0
    """
    import pandas as pd

    raise_if_any(level_problems(confidence_level))
    columns = [str(name) for name in result.columns]
    recorded = Kinds.from_attrs(getattr(result, "attrs", {}))
    kinds = recorded if is_divided(result) else None
    if kinds is None:
        refuse_weights(columns)
    raise_if_any(missing_columns((*_KEYS, "replication", "verdict"), columns, table="a sweep's table"))
    factors = tuple(name for name in columns if name not in _NO_FACTORS)
    means = [name for name, response in MEANS.items() if response in columns]
    n_strata = 1 if kinds is None else len(kinds.possible)
    counts, moments = _Counts(n_strata, recorded), {name: _Moments(n_strata) for name in means}
    shown = {name: _Shown(n_strata) for name in means}
    case_rows: list[pd.DataFrame] = []
    of_rollouts = ("replication", "status", "state", "release", "verdict", *MEANS.values())
    needed = list(dict.fromkeys([*_KEYS, *factors, *(name for name in of_rollouts if name in columns)]))
    for batch in result.batches(needed) if not isinstance(result, pd.DataFrame) else [result[needed]]:
        cell = batch["case"].to_numpy(dtype=np.int64) * n_strata
        if kinds is not None:
            cell = cell + kinds.divide(batch["replication"].to_numpy(dtype=np.int64))[0]
        case_rows.append(batch[[*_KEYS, *factors]].drop_duplicates("case"))
        counts.add(cell, batch, means)
        for name in means:
            values = batch[MEANS[name]].to_numpy(dtype=np.float64, na_value=np.nan)
            values = np.where(_is_completed(batch), values, np.nan) if name != MEANS[name] else values
            moments[name].add(cell, values)
            shown[name].add(cell, batch["replication"].to_numpy(dtype=np.int64), values)
    cells = pd.concat(case_rows).drop_duplicates("case").sort_values("case", ignore_index=True)
    numbers = cells["case"].to_numpy(dtype=np.int64)
    n_worlds = counts.of(numbers, "rows")
    cells["replications"], cells["failed"] = n_worlds.sum(axis=1), counts.of(numbers, "failed").sum(axis=1)
    probabilities = np.ones(1)
    if kinds is not None:
        kinds = kinds.of_cases(cells)
        probabilities = kinds.probabilities[..., [kinds.names.index(name) for name in kinds.possible]]
    design = Design(probabilities, n_worlds)
    for name, (counted, among) in PROPORTIONS.items():
        n = np.sum([counts.of(numbers, verdict) for verdict in among], axis=0)
        rates = parts_of_rates(counts.of(numbers, counted), n, confidence_level)
        if kinds is not None and (known := kinds.verdict_rates(counted)) is not None:
            rates = rates.with_known(known)
        joined = join_parts(rates, design, is_rate=True, confidence_level=confidence_level)
        _put(cells, name, joined, counts.unknown_fractions(numbers, name, design))
    completes = None if kinds is None else np.array([kinds.allows("completed_good", name) for name in kinds.possible])
    for name in means:
        of_name = design if name == MEANS[name] else design._replace(selects=completes)
        is_fraction = MEANS[name] in FRACTIONS
        of_name = of_name._replace(bounds=(0.0, 1.0)) if is_fraction else of_name
        of_all, first = moments[name].of(numbers), shown.pop(name).of(numbers)
        parts = allow_for_tails(parts_of_means(of_all, confidence_level), first, of_all, confidence_level)
        joined = join_parts(parts, of_name, is_rate=False, confidence_level=confidence_level)
        joined = joined.as_fractions() if is_fraction else joined.at_least(moments[name].least)
        _put(cells, name, joined, counts.unknown_fractions(numbers, name, design))
    return GridSummary(cells, factors, confidence_level, read_computed_under(result))


def _is_completed(batch: pd.DataFrame) -> np.ndarray:
    """Return which rollouts completed with a good release; without a verdict, which completed."""
    is_completed = batch["verdict"].eq("completed_good")
    if "state" in batch:
        is_completed |= batch["verdict"].isna() & batch["state"].eq("completed")
    return is_completed.to_numpy(dtype=bool, na_value=False)


class _Counts:
    """Rows, failures and verdicts of each case and stratum, and rollouts that never end."""

    def __init__(self, n_strata: int, kinds: Kinds | None) -> None:
        self._n_strata = n_strata
        self._counts: dict[str, np.ndarray] = {}
        self._kinds = kinds  # to tell defective releases

    def add(self, cell: np.ndarray, batch: pd.DataFrame, means: Sequence[str]) -> None:
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

    def unknown_fractions(self, numbers: np.ndarray, name: str, design: Design) -> np.ndarray:
        """Return by case the share of rollouts that a quantity is, or may be, about, but that never end.

        These have no verdict, and may still get any that their release allows (`Values.unknown_fractions`).
        """
        if name in ABOUT:
            unknown = self.of(numbers, "endless defective" if name == "escape" else "endless good")
            n = unknown + np.sum([self.of(numbers, verdict) for verdict in ABOUT[name]], axis=0)
        else:
            unknown = self.of(numbers, f"without {name}")
            n = self.of(numbers, "rows") - self.of(numbers, "failed")
        unknown, n = ((each / np.maximum(design.counts, 1) * design.probabilities).sum(axis=1) for each in (unknown, n))
        fractions: np.ndarray = unknown / np.where(n > 0, n, 1.0)
        return fractions

    def _add_endless(self, cell: np.ndarray, batch: pd.DataFrame, means: Sequence[str]) -> None:
        never_ends = batch["makespan_s"].isna().to_numpy(dtype=bool) & ~_has(batch, "status", "failed")
        if not never_ends.any():
            return
        batch, cell = batch[never_ends], cell[never_ends]
        for name in means:
            self._put(f"without {name}", cell[batch[MEANS[name]].isna().to_numpy(dtype=bool)])
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


class _Moments:
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


class _Shown:
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


def _put(cells: pd.DataFrame, name: str, combined: Combined, unknown_fractions: np.ndarray) -> None:
    cells[f"{name}_n"] = combined.n
    cells[f"{name}_estimate"] = combined.estimate
    cells[f"{name}_low"], cells[f"{name}_high"] = combined.low, combined.high
    cells[f"{name}_half_width"] = combined.half_width
    cells[f"{name}_is_trusted"] = combined.trusts_low & combined.trusts_high
    cells[f"{name}_unknown_fraction"] = unknown_fractions
