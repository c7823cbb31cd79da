"""The tables of a comparison of all policies with all: each pair, and each policy against the best of the others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.directions import find_direction
from simdeploy.analysis.asking.unknown import unknown_fractions
from simdeploy.analysis.asking.verdicts import judge_difference
from simdeploy.analysis.comparison.measured import name_measure
from simdeploy.analysis.comparison.ranking import Ranking, rank_policies
from simdeploy.statistics.pairs import pair_policies

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.scenario.measures import Measure

_PAIR = {
    "policy": "str",
    "other": "str",
    "response": "str",
    "level": "str",
    "given": "str",
    "estimate": "float64",
    "low": "float64",
    "high": "float64",
    "n": "int64",
    "verdict": "str",
}
_RANKING = {
    "policy": "str",
    "response": "str",
    "level": "str",
    "given": "str",
    "rank": "Int64",
    "is_among_best": "boolean",
    "estimate": "float64",
    "low": "float64",
    "high": "float64",
    "n": "int64",
    "unknown_fraction": "float64",
    "verdict": "str",
}


def tabulate_pairs(values: Values, confidence_level: float) -> pd.DataFrame:
    """Return each pair of policies once, for every measure; see `Comparison.pairs`."""
    names = values.cases["policy"].to_numpy(object)
    first, second = np.triu_indices(len(names), 1)
    n_pairs = len(first)
    parts = []
    for measure in values.measures if n_pairs else ():
        pairs = pair_policies(values.of(measure), is_rate=measure.kind == "rate")
        limits = pairs.lower_limits((1 - confidence_level) / 2 / n_pairs)
        low, high, n = limits[first, second], -limits[second, first], pairs.n[first, second]
        direction, never_ends = find_direction(measure), unknown_fractions(values, measure) > 0
        is_unknown = never_ends[first] | never_ends[second] | (n == 0)
        part = {
            "policy": names[first],
            "other": names[second],
            "estimate": pairs.estimate[first, second],
            "low": low,
            "high": high,
            "n": n,
            "verdict": judge_difference(low, high, direction, unknown=is_unknown) if direction else [None] * n_pairs,
        }
        parts.append(_frame(part, measure, _PAIR))
    return _join(parts, _PAIR)


def tabulate_ranking(values: Values, confidence_level: float) -> pd.DataFrame:
    """Return each policy against the best of the others, for measures with a better side; see `Comparison.ranking`."""
    parts = []
    for measure in values.measures:
        direction = find_direction(measure)
        if direction is None:
            continue
        unknown = unknown_fractions(values, measure)
        # What may still become anything can't be placed: as if it had no value.
        placed = np.where(unknown[:, None] > 0, np.nan, values.of(measure))
        found = rank_policies(
            placed, is_rate=measure.kind == "rate", direction=direction, confidence_level=confidence_level
        )
        part = {
            "policy": values.cases["policy"].to_numpy(object),
            "rank": found.rank,
            "is_among_best": [
                None if math.isnan(rank) else is_best
                for rank, is_best in zip(found.rank, found.is_among_best, strict=True)
            ],
            "estimate": found.estimate,
            "low": found.low,
            "high": found.high,
            "n": found.n,
            "unknown_fraction": unknown,
            "verdict": _judge(found),
        }
        parts.append(_frame(part, measure, _RANKING))
    return _join(parts, _RANKING)


def _judge(found: Ranking) -> np.ndarray:
    """Say how each policy stands to the best of the others."""
    has_place = ~np.isnan(found.rank)
    conditions = {
        "unknown": ~has_place | (has_place.sum() < 2),
        "worse": ~found.is_among_best,
        "better": found.is_among_best & (found.is_among_best.sum() == 1),
        "equal": (found.low == 0) & (found.high == 0),
    }
    return np.select(list(conditions.values()), list(conditions), "unclear")


def _frame(part: Mapping[str, Any], measure: Measure, dtypes: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    columns = {name: [value] * len(part["policy"]) for name, value in name_measure(measure).items()} | dict(part)
    return pd.DataFrame({name: pd.Series(columns[name], dtype=dtype) for name, dtype in dtypes.items()})


def _join(parts: list[pd.DataFrame], dtypes: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    if not parts:
        return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in dtypes.items()})
    return pd.concat(parts, ignore_index=True)
