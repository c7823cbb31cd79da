"""The tables of a comparison of all policies with all: each pair, and each policy against the best of the others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.directions import find_direction
from simdeploy.analysis.asking.verdicts import judge_difference
from simdeploy.analysis.comparison.ranking import Ranking, rank_policies
from simdeploy.statistics.pairs import pair_policies

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from simdeploy.analysis.comparison.observations import Observations, Quantity

_PAIR = {
    "policy": "str",
    "other": "str",
    "response": "str",
    "level": "str",
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
    "rank": "Int64",
    "is_among_best": "boolean",
    "estimate": "float64",
    "low": "float64",
    "high": "float64",
    "n": "int64",
    "unknown_fraction": "float64",
    "verdict": "str",
}


def tabulate_pairs(observations: Observations, confidence_level: float) -> pd.DataFrame:
    """Return each pair of policies once, for every quantity; see `Comparison.pairs`."""
    names = np.array(observations.policies, dtype=object)
    first, second = np.triu_indices(len(names), 1)
    n_pairs = len(first)
    parts = []
    for quantity in observations.quantities if n_pairs else ():
        pairs = pair_policies(observations.values(quantity), is_rate=quantity.is_rate)
        limits = pairs.lower_limits((1 - confidence_level) / 2 / n_pairs)
        low, high, n = limits[first, second], -limits[second, first], pairs.n[first, second]
        direction, never_ends = find_direction(quantity.measure), observations.unknown_fractions(quantity) > 0
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
        parts.append(_frame(part, quantity, _PAIR))
    return _join(parts, _PAIR)


def tabulate_ranking(observations: Observations, confidence_level: float) -> pd.DataFrame:
    """Return each policy against the best of the others, for quantities with a better side; see `Comparison.ranking`."""
    parts = []
    for quantity in observations.quantities:
        direction = find_direction(quantity.measure)
        if direction is None:
            continue
        unknown = observations.unknown_fractions(quantity)
        # What may still become anything can't be placed: as if it had no value.
        values = np.where(unknown[:, None] > 0, np.nan, observations.values(quantity))
        found = rank_policies(values, is_rate=quantity.is_rate, direction=direction, confidence_level=confidence_level)
        part = {
            "policy": np.array(observations.policies, dtype=object),
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
        parts.append(_frame(part, quantity, _RANKING))
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


def _frame(part: Mapping[str, Any], quantity: Quantity, dtypes: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    columns = {name: [value] * len(part["policy"]) for name, value in quantity._asdict().items()} | dict(part)
    return pd.DataFrame({name: pd.Series(columns[name], dtype=dtype) for name, dtype in dtypes.items()})


def _join(parts: list[pd.DataFrame], dtypes: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    if not parts:
        return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in dtypes.items()})
    return pd.concat(parts, ignore_index=True)
