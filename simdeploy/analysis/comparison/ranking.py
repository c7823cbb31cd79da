"""All policies compared in the same worlds: every pair, and each policy with the best of the others."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from simdeploy.analysis.asking.verdicts import (
    DifferenceVerdict,
    Direction,
    find_direction,
    judge_difference,
    why_unclear,
)
from simdeploy.analysis.comparison.measured import name_measure
from simdeploy.result import INTERVAL
from simdeploy.statistics.pairs import pair_policies
from simdeploy.statistics.sample import Sample, as_sample

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.scenario.measures import Measure

PAIR = {
    "policy": "str",
    "other": "str",
    "response": "str",
    "level": "str",
    "given": "str",
    **INTERVAL,
    "n": "int64",
    "is_trusted": "bool",
    "verdict": "str",
}
RANKING = {
    "policy": "str",
    "response": "str",
    "level": "str",
    "given": "str",
    "rank": "Int64",
    "is_among_best": "boolean",
    **INTERVAL,
    "n": "int64",
    "is_trusted": "bool",
    "unknown_fraction": "float64",
    "verdict": "str",
    "reason": "str",
}
# The reason why a policy is not ruled out although one with a better estimate is.
TOO_WIDE = "too uncertain to rule out"
# A policy that is shown to miss a requirement is not ranked.
RankVerdict = Literal[DifferenceVerdict, "excluded"]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Policies compared with the best of the others, in their order.

    Ranks go by `estimate`. A policy with values only in easy worlds is compared with the others in those worlds;
    policies without a common replication are ranked by their own means.
    """

    rank: np.ndarray  # from 1, the best; ties share a rank; NaN without values
    estimate: np.ndarray  # mean minus that of the best of the others
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray  # fewest replications shared with another policy
    is_trusted: np.ndarray  # whether all limits behind the interval can be trusted
    is_sure: np.ndarray  # whether a verdict may rest on them, as in `Pairs.is_sure`
    is_among_best: np.ndarray  # whether the policy may be the best


def rank_policies(
    values: np.ndarray | Sample, *, is_rate: bool, direction: Direction, confidence_level: float
) -> Ranking:
    r"""Compare each policy (row; NaN where it has no value) with the best of the others.

    With the confidence level all intervals hold simultaneously, and the set of possible best policies contains the
    best. `is_rate` says that values are 1 and 0.

    Notes
    -----
    Constrained multiple comparisons with the best: intervals of :math:`\mu_i - \min_{j \ne i} \mu_j` (Hsu 1984 [1]_),
    built from the limits of each policy against the others as if it were the control (Edwards and Hsu 1983 [2]_).
    Common random numbers make policies dependent, so the limits are combined by Bonferroni's inequality (Nelson and
    Matejcik 1995 [3]_; Law 2015 [4]_, section 10.3.3).

    Let :math:`L_{ij}` be lower limits of :math:`\mu_i - \mu_j` with error :math:`\alpha / (k - 1)` each
    (`pair_policies`). For the best policy b, whichever it is, all k - 1 limits hold together with probability
    :math:`1 - \alpha`; the rest follows. b is in :math:`G = \{i: L_{ij} \le 0 \text{ for all } j \ne i\}`. The interval
    of i starts at :math:`\max_j L_{ij}` if i is in G, otherwise at 0; it ends at
    :math:`\max_{j \in G, j \ne i} (-L_{ji})^+`, or at 0 if there is no such j. Two policies without a common
    replication are indistinguishable. Where higher is better the signs are reversed.

    References
    ----------
    .. [1] Hsu, J. C. (1984). Constrained simultaneous confidence intervals for multiple comparisons with the best.
       Annals of Statistics 12(3), 1136-1144.
    .. [2] Edwards, D. G. and Hsu, J. C. (1983). Multiple comparisons with the best treatment. Journal of the American
       Statistical Association 78(384), 965-971.
    .. [3] Nelson, B. L. and Matejcik, F. J. (1995). Using common random numbers for indifference-zone selection and
       multiple comparisons in simulation. Management Science 41(12), 1935-1945.
    .. [4] Law, A. M. (2015). Simulation Modeling and Analysis, 5th edition. McGraw-Hill.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal([[5.0], [1.0], [1.0]], 1.0, (3, 400))
    >>> ranking = rank_policies(values, is_rate=False, direction="min", confidence_level=0.9)
    >>> ranking.is_among_best.tolist(), ranking.rank.tolist()
    ([False, True, True], [3.0, 2.0, 1.0])
    """
    sign = 1.0 if direction == "min" else -1.0
    sample = as_sample(values).scaled(sign)
    is_known = ~np.isnan(sample.values).all(axis=1)
    compared = sample[is_known]
    size = len(compared)
    columns = {name: np.full(len(sample), np.nan) for name in ("rank", "estimate", "low", "high")}
    n = np.zeros(len(sample), np.int64)
    is_among_best, is_trusted, is_sure = np.zeros((3, len(sample)), dtype=bool)
    if size:
        pairs = pair_policies(compared, is_rate=is_rate, error=(1 - confidence_level) / max(size - 1, 1))
        n[is_known] = pairs.n.min(axis=1)
        columns["rank"][is_known] = is_among_best[is_known] = True
    if size > 1:
        limits = pairs.lower
        is_best = np.logical_not(((limits > 0) & pairs.is_trusted).any(axis=1))
        is_among_best[is_known] = is_best
        apart = np.where(np.eye(size, dtype=bool), np.nan, pairs.estimate)
        low, high = _intervals(limits, is_best)
        is_trusted[is_known] = _are_limits_trusted(limits, pairs.is_trusted, is_best)
        is_sure[is_known] = _are_limits_trusted(limits, pairs.is_sure, is_best)
        highest = _highest(apart)
        columns["rank"][is_known] = _rank(compared.means() if np.isnan(highest).any() else highest)
        columns["estimate"][is_known] = 0.0 + sign * highest
        # The other sign reverses an interval; 0 - 0 avoids -0.
        columns["low"][is_known], columns["high"][is_known] = (low, high) if sign > 0 else (0.0 - high, 0.0 - low)
    has_limits = ~np.isnan(columns["low"])
    return Ranking(
        **columns, n=n, is_among_best=is_among_best, is_trusted=is_trusted & has_limits, is_sure=is_sure & has_limits
    )


def _intervals(limits: np.ndarray, is_best: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the constrained intervals, where lower is better."""
    low = np.where(is_best, np.minimum(_highest(limits), 0.0), 0.0)
    rivals = is_best[None, :] & ~np.eye(len(limits), dtype=bool)
    above = np.maximum(-limits.T, 0.0)
    # Unknown if one rival's limit is unknown.
    high = np.where(rivals, above, 0.0).max(axis=1)
    return low, high


def _are_limits_trusted(limits: np.ndarray, is_trusted: np.ndarray, is_best: np.ndarray) -> np.ndarray:
    """Return whether both limits of an interval can be trusted."""
    places, is_self = np.arange(len(limits)), np.eye(len(limits), dtype=bool)
    lowest = np.where(np.isnan(limits) | is_self, -np.inf, limits).argmax(axis=1)
    highest = np.where(is_best[None, :] & ~is_self, np.maximum(-limits.T, 0.0), -np.inf).argmax(axis=1)
    has_rival = (is_best[None, :] & ~is_self).any(axis=1)
    both: np.ndarray = (is_trusted[places, lowest] | ~is_best) & (is_trusted[highest, places] | ~has_rival)
    return both


def _rank(numbers: np.ndarray) -> np.ndarray:
    """Return ranks from the lowest value; ties share a rank."""
    places: np.ndarray = 1.0 + (numbers[None, :] < numbers[:, None]).sum(axis=1)
    return places


def _highest(values: np.ndarray) -> np.ndarray:
    """Return the highest number of each row, NaN where there is none."""
    highest = np.where(np.isnan(values), -np.inf, values).max(axis=1)
    return np.where(np.isinf(highest), np.nan, highest)


def tabulate_pairs(values: Values, confidence_level: float) -> pd.DataFrame:
    """Return each pair of policies once, for every measure; see `Comparison.pairs`."""
    names = values.cases["policy"].to_numpy(object)
    first, second = np.triu_indices(len(names), 1)
    n_pairs = len(first)
    parts = []
    for measure in values.measures if n_pairs else ():
        error = (1 - confidence_level) / 2 / n_pairs
        pairs = pair_policies(values.sample(measure), is_rate=measure.kind == "rate", error=error)
        sure = np.where(pairs.is_sure, pairs.lower, -np.inf)
        n = pairs.n[first, second]

        def limits_of(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return matrix[first, second], -matrix[second, first]

        low, high = limits_of(pairs.lower)
        direction, never_ends = find_direction(measure), values.unknown_fractions(measure) > 0
        is_unknown = never_ends[first] | never_ends[second] | (n == 0)
        part = {
            "policy": names[first],
            "other": names[second],
            "estimate": pairs.estimate[first, second],
            "low": low,
            "high": high,
            "n": n,
            "is_trusted": (pairs.is_trusted & pairs.is_trusted.T)[first, second],
            "verdict": judge_difference(*limits_of(sure), direction, unknown=is_unknown)
            if direction
            else [None] * n_pairs,
        }
        parts.append(_name(part, measure))
    return _join(parts, PAIR)


def tabulate_ranking(values: Values, confidence_level: float, excluded: Collection[str]) -> pd.DataFrame:
    """Return each policy against the best of the others, for measures with a better side; see `Comparison.ranking`."""
    parts = []
    is_excluded = values.cases["policy"].isin(excluded).to_numpy()
    for measure in values.measures:
        direction = find_direction(measure)
        if direction is None:
            continue
        unknown = values.unknown_fractions(measure)
        # A policy with unknown values is not ranked: treat it as if it had no values.
        placed = values.sample(measure).where(~(is_excluded | (unknown > 0))[:, None])
        ranking = rank_policies(
            placed, is_rate=measure.kind == "rate", direction=direction, confidence_level=confidence_level
        )
        verdict = np.where(is_excluded, "excluded", _judge(ranking))
        part = {
            "policy": values.cases["policy"].to_numpy(object),
            "rank": ranking.rank,
            "is_among_best": [
                None if math.isnan(rank) else is_best
                for rank, is_best in zip(ranking.rank, ranking.is_among_best, strict=True)
            ],
            "estimate": ranking.estimate,
            "low": ranking.low,
            "high": ranking.high,
            "n": ranking.n,
            "is_trusted": ranking.is_trusted,
            "unknown_fraction": unknown,
            "verdict": verdict,
            "reason": _explain(ranking, verdict),
        }
        parts.append(_name(part, measure))
    return _join(parts, RANKING)


def _judge(ranking: Ranking) -> np.ndarray:
    """Compare each policy with the best of the others."""
    has_place = ~np.isnan(ranking.rank)
    conditions = {
        "unknown": ~has_place | (has_place.sum() < 2),
        "worse": ~ranking.is_among_best,
        "better": ranking.is_among_best & (ranking.is_among_best.sum() == 1),
        "equal": (ranking.low == 0) & (ranking.high == 0) & ranking.is_sure,
    }
    return np.select(list(conditions.values()), list(conditions), "unclear")


def _explain(ranking: Ranking, verdict: np.ndarray) -> list[str]:
    """Return why policies may be the best besides others; empty for other verdicts."""
    best_ruled_out = ranking.rank[verdict == "worse"].min(initial=np.inf)
    return [
        TOO_WIDE if word == "unclear" and rank > best_ruled_out else why_unclear(word, is_trusted=is_sure)
        for word, rank, is_sure in zip(verdict.tolist(), ranking.rank, ranking.is_sure.tolist(), strict=True)
    ]


def _name(part: Mapping[str, Any], measure: Measure) -> dict[str, Any]:
    """Return the columns together with those that identify the measure."""
    return {name: [value] * len(part["policy"]) for name, value in name_measure(measure).items()} | dict(part)


def _join(parts: Sequence[Mapping[str, Any]], dtypes: Mapping[str, Any]) -> pd.DataFrame:
    """Concatenate the columns of several measures into a table."""
    import pandas as pd

    columns = {name: [value for part in parts for value in part[name]] for name in dtypes}
    return pd.DataFrame({name: pd.array(columns[name], dtype=dtype) for name, dtype in dtypes.items()})
