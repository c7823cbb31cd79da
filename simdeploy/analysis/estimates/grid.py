"""Summaries of the cases of a sweep, one row each, from rows read in parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from simdeploy.analysis.estimates.streaming import CaseCounts, CaseMoments, FirstValues
from simdeploy.errors import raise_if_any
from simdeploy.experiments.gathering import Batches, missing_columns, refuse_weights
from simdeploy.experiments.kinds import Kinds, is_divided
from simdeploy.result import Columns, Result, read_computed_under
from simdeploy.scenario.measures import FRACTIONS
from simdeploy.statistics.combining import Combined, Design, join_parts
from simdeploy.statistics.levels import level_problems
from simdeploy.statistics.parts import allow_for_tails, parts_of_means, parts_of_rates
from simdeploy.vocabulary import RESPONSES, WEIGHT

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
    means = {name: response for name, response in MEANS.items() if response in columns}
    n_strata = 1 if kinds is None else len(kinds.possible)
    counts, moments = CaseCounts(n_strata, recorded), {name: CaseMoments(n_strata) for name in means}
    shown = {name: FirstValues(n_strata) for name in means}
    case_rows: list[pd.DataFrame] = []
    of_rollouts = ("replication", "status", "state", "release", "verdict", *MEANS.values())
    needed = list(dict.fromkeys([*_KEYS, *factors, *(name for name in of_rollouts if name in columns)]))
    for batch in result.batches(needed) if not isinstance(result, pd.DataFrame) else [result[needed]]:
        cell = batch["case"].to_numpy(dtype=np.int64) * n_strata
        if kinds is not None:
            cell = cell + kinds.divide(batch["replication"].to_numpy(dtype=np.int64))[0]
        case_rows.append(batch[[*_KEYS, *factors]].drop_duplicates("case"))
        counts.add(cell, batch, means)
        for name, response in means.items():
            values = batch[response].to_numpy(dtype=np.float64, na_value=np.nan)
            values = np.where(_is_completed(batch), values, np.nan) if name != response else values
            moments[name].add(cell, values)
            shown[name].add(cell, batch["replication"].to_numpy(dtype=np.int64), values)
    cells = pd.concat(case_rows).drop_duplicates("case").sort_values("case", ignore_index=True)
    numbers = cells["case"].to_numpy(dtype=np.int64)
    n_worlds, n_failed = counts.of(numbers, "rows"), counts.of(numbers, "failed")
    cells["replications"], cells["failed"] = n_worlds.sum(axis=1), n_failed.sum(axis=1)
    kinds = None if kinds is None else kinds.of_cases(cells)
    design = Design(_list_probabilities(kinds), n_worlds, n_worlds - n_failed)
    for name, (counted, among) in PROPORTIONS.items():
        n = np.sum([counts.of(numbers, verdict) for verdict in among], axis=0)
        rates = parts_of_rates(counts.of(numbers, counted), n, confidence_level)
        if kinds is not None and (known := kinds.verdict_rates(counted)) is not None:
            rates = rates.with_known(known)
        of_name = design._replace(covers=_allowing(counted, kinds))
        joined = join_parts(rates, of_name, is_rate=True, confidence_level=confidence_level)
        _put(cells, name, joined, counts.unknown_fractions(numbers, name, among, design))
    completes = _allowing("completed_good", kinds)
    for name, response in means.items():
        of_name = design if name == response else design._replace(covers=completes, selects=completes)
        if is_fraction := response in FRACTIONS:
            of_name = of_name._replace(bounds=(0.0, 1.0))
        of_all, first = moments[name].of(numbers), shown.pop(name).of(numbers)
        parts = allow_for_tails(parts_of_means(of_all, confidence_level), first, of_all, confidence_level)
        joined = join_parts(parts, of_name, is_rate=False, confidence_level=confidence_level)
        joined = joined.as_fractions() if is_fraction else joined.at_least(moments[name].least)
        _put(cells, name, joined, counts.unknown_fractions(numbers, name, ABOUT.get(name, ()), design))
    return GridSummary(cells, factors, confidence_level, read_computed_under(result))


def _list_probabilities(kinds: Kinds | None) -> np.ndarray:
    """Return the probabilities of the strata, by case where they differ."""
    return np.ones(1) if kinds is None else kinds.probabilities[..., [*map(kinds.names.index, kinds.possible)]]


def _allowing(verdict: str, kinds: Kinds | None) -> np.ndarray:
    """Return in which strata a verdict is possible."""
    return np.array([True] if kinds is None else [kinds.allows(verdict, name) for name in kinds.possible])


def _is_completed(batch: pd.DataFrame) -> np.ndarray:
    """Return which rollouts completed with a good release; without a verdict, which completed."""
    is_completed = batch["verdict"].eq("completed_good")
    if "state" in batch:
        is_completed |= batch["verdict"].isna() & batch["state"].eq("completed")
    return is_completed.to_numpy(dtype=bool, na_value=False)


def _put(cells: pd.DataFrame, name: str, combined: Combined, unknown_fractions: np.ndarray) -> None:
    cells[f"{name}_n"] = combined.n
    cells[f"{name}_estimate"] = combined.estimate
    cells[f"{name}_low"], cells[f"{name}_high"] = combined.low, combined.high
    cells[f"{name}_half_width"] = combined.half_width
    cells[f"{name}_is_trusted"] = combined.trusts_low & combined.trusts_high
    cells[f"{name}_unknown_fraction"] = unknown_fractions
