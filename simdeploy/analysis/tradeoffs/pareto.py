"""The Pareto front over any measures, and which cases are certainly on it or dominated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from simdeploy.analysis.asking.measuring import Values, read_measures
from simdeploy.analysis.asking.verdicts import Direction
from simdeploy.analysis.tradeoffs.dominance import choose_opponents, find_dominated, find_front, find_members
from simdeploy.errors import InputError, Problem, not_among, raise_if_any, shorten
from simdeploy.result import INTERVAL, Columns, Result, make_frame, read_computed_under
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import Estimate, estimate_cases
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.gathering import Batches
    from simdeploy.scenario.parts import Costs

_CASE = {
    "is_on_front": "boolean",
    "is_significantly_dominated": "bool",
    "unknown_fraction": "float64",
    "standing": "str",
}
Standing = Literal["unknown", "no value", "on the front", "dominated", "undecided"]
_WORDS = ("min", "max")
_ESTIMATE = {
    "measure": "str",
    **INTERVAL,
    "n": "int64",
    "is_trusted": "bool",
    "unknown_fraction": "float64",
}


@dataclass(frozen=True, eq=False, repr=False)
class ParetoFront(Result):
    """Result of `pareto_front`.

    Attributes
    ----------
    cases : DataFrame
        One row per case: its identifying columns; the estimate of each measure, in a column of its name; `is_on_front`,
        by the estimates, missing if one is missing or unknown because rollouts never end; `dominated_by`, the front
        case that beats it most clearly, by `case` (by `policy` where the table has no cases), otherwise missing;
        `is_significantly_dominated`, at the confidence level; `standing` ("on the front" at the confidence level, "dominated"
        at the same, "undecided", "unknown" or "no value"); and `unknown_fraction`, the largest over the measures.
    estimates : DataFrame
        One row per case and measure: identifying columns, `measure`, `estimate`, `low`, `high`, `n`,
        `is_trusted` (see `Estimates`), and `unknown_fraction`, the share of rollouts that never end. Each interval holds separately with
        `confidence_level`.
    directions : dict of Measure to {'min', 'max'}
    confidence_level : float
    n_failed : int
        Replications of all cases that failed or are not in the table; they are left out.
    computed_under : dict
        Scenario, seed, engine and switches, if the table has them, and the costs, if a measure uses them.
    """

    cases: Annotated[pd.DataFrame, Columns(_CASE, has_more=True, words={"standing": Standing})]
    estimates: Annotated[pd.DataFrame, Columns(_ESTIMATE, has_more=True)]
    directions: Mapping[Measure, Direction]
    confidence_level: float
    n_failed: int
    computed_under: Mapping[str, Any]

    @property
    def case_columns(self) -> tuple[str, ...]:
        """Columns that identify a case."""
        return tuple(str(name) for name in self.estimates if name not in _ESTIMATE)


def pareto_front(
    responses: pd.DataFrame | Batches,
    directions: Mapping[Measure | str, Direction],
    *,
    costs: Costs | None = None,
    confidence_level: float = 0.95,
) -> ParetoFront:
    """Find the cases that no other case beats in one measure without losing in another.

    Parameters
    ----------
    responses : DataFrame, SweepResult or StoredTable
        From `replicate`, `sweep` or `read_store`.
    directions : mapping of Measure or str to {'min', 'max'}
        Whether to minimize or maximize each measure.
    costs : Costs, optional
        For the measure `cost`. By default the scenario's, from `replicate` or `sweep`.
    confidence_level : float, default 0.95
        Of each estimate's interval separately; also the probability that every case called "on the front" is on the true one, and
        that none called "dominated" is.

    Returns
    -------
    ParetoFront

    Raises
    ------
    InputError
        Lists everything wrong with the table, a measure or a direction. Also if the probabilities of kinds of release, which have
        worlds of their own, differ between cases.

    Notes
    -----
    A case dominates another if it is no worse in any measure and better in one. Equal cases don't dominate each other. It is
    *significantly* dominated if the intervals of paired differences show it to be worse in every measure. A case of the estimated front
    has the standing "on the front" if intervals show it to be better than each other case in some measure. The confidence level is the
    probability that all of this is right, however many cases there are (`docs/methods.md`). Very skewed responses and many cases need
    many replications: intervals don't allow for rare values that no replication of a case has, unless the rate is known.

    The front goes by the estimates of the cases, `compare` by differences in the same worlds. Their orders may differ if a verdict is
    known without simulation for some cases and counted for others.

    A case in which rollouts that a measure covers never end is neither on the front nor dominated, and dominates nothing. 10,000 cases
    take seconds, unless hundreds are certainly on the front: each of these is compared with all cases that aren't dominated.

    Examples
    --------
    >>> import pandas as pd
    >>> from simdeploy.analysis.tradeoffs.pareto import pareto_front
    >>> table = pd.DataFrame({
    ...     "policy": ["fast"] * 2 + ["slow"] * 2 + ["worst"] * 2, "replication": [0, 1] * 3,
    ...     "makespan_s": [60.0, 80.0, 100.0, 120.0, 130.0, 140.0], "blast_radius": [0.8, 0.9, 0.1, 0.2, 0.5, 0.6],
    ... })
    >>> front = pareto_front(table, {"makespan_s": "min", "blast_radius": "min"})
    >>> front.cases[["policy", "makespan_s", "blast_radius", "is_on_front", "dominated_by"]]
      policy  makespan_s  blast_radius  is_on_front dominated_by
    0   fast        70.0          0.85         True          NaN
    1   slow       110.0          0.15         True          NaN
    2  worst       135.0          0.55        False         slow
    """
    import pandas as pd

    chosen = _read_directions(directions)
    raise_if_any(level_problems(confidence_level))
    measures = tuple(chosen)
    values = Values(responses, measures, costs=costs)
    if (values.strata.probabilities != values.strata.probabilities.reshape(-1, values.strata.n)[0]).any():
        message = "kinds of release have other probabilities in some cases, so differences have no common weights"
        raise InputError(Problem(message, ("responses",), hint="select cases with the same probabilities"))
    identity = "case" if "case" in values.cases else "policy"
    samples = [values.sample(measure) for measure in measures]
    estimated = [
        estimate_cases(of_measure, measure, confidence_level)
        for of_measure, measure in zip(samples, measures, strict=True)
    ]
    unknown = np.array([values.unknown_fractions(measure) for measure in measures])
    losses = _losses(estimated, chosen)
    half_widths = np.array([[estimate.half_width for estimate in of] for of in estimated]).T
    losses[(unknown > 0).any(axis=0)] = np.nan
    is_on_front = find_front(losses)
    opponents = choose_opponents(losses, half_widths, is_on_front)
    is_dominated = find_dominated(samples, chosen, opponents, confidence_level)
    is_member = find_members(samples, chosen, losses, half_widths, is_dominated, confidence_level)
    cases = values.cases.assign(
        **{
            str(measure): [estimate.estimate for estimate in of]
            for measure, of in zip(measures, estimated, strict=True)
        }
    )
    cases["is_on_front"] = pd.Series(is_on_front, dtype="boolean").mask(np.isnan(losses).any(axis=1))
    dominators = values.cases[identity].astype("Int64" if identity == "case" else "str").iloc[np.maximum(opponents, 0)]
    cases["dominated_by"] = dominators.reset_index(drop=True).where(opponents >= 0)
    cases["is_significantly_dominated"] = is_dominated
    cases["unknown_fraction"] = unknown.max(axis=0)
    cases["standing"] = _find_standing(cases, is_member)
    return ParetoFront(
        cases=cases,
        estimates=_tabulate(values.cases, measures, estimated, unknown),
        directions=chosen,
        confidence_level=confidence_level,
        n_failed=int((~values.is_ok).sum()),
        computed_under=read_computed_under(responses) | values.counted_under,
    )


def _find_standing(cases: pd.DataFrame, is_member: np.ndarray) -> pd.Series[Any]:
    """Return each case's standing relative to the front."""
    import pandas as pd

    words = {
        "unknown": cases["unknown_fraction"] > 0,
        "no value": cases["is_on_front"].isna(),
        "on the front": is_member,
        "dominated": cases["is_significantly_dominated"],
    }
    conditions = [np.asarray(of, dtype=bool) for of in words.values()]
    return pd.Series(np.select(conditions, list(words), "undecided"), dtype="str", index=cases.index)


def _losses(estimated: Sequence[Sequence[Estimate]], directions: Mapping[Measure, Direction]) -> np.ndarray:
    """Return the estimates by case and measure, signed so that lower is better."""
    signs = [1 if direction == "min" else -1 for direction in directions.values()]
    return np.array([[estimate.estimate for estimate in of] for of in estimated]).T * signs + 0.0


def _read_directions(directions: Mapping[Measure | str, Direction]) -> dict[Measure, Direction]:
    if not isinstance(directions, Mapping) or not directions:
        allowed = '{"makespan_s": "min", ...}'
        raise InputError(Problem("invalid objectives", ("directions",), found=shorten(directions), allowed=allowed))
    problems = [
        not_among("invalid direction", (str(name),), word, _WORDS)
        for name, word in directions.items()
        if word not in _WORDS
    ]
    raise_if_any(problems)
    measures = read_measures(tuple(directions))
    return dict(zip(measures, directions.values(), strict=True))


def _tabulate(
    cases: pd.DataFrame, measures: Sequence[Measure], estimated: Sequence[Sequence[Estimate]], unknown: np.ndarray
) -> pd.DataFrame:
    import pandas as pd

    frame = cases.loc[cases.index.repeat(len(measures))].reset_index(drop=True)
    rows = [
        {"measure": str(measure), **estimate.to_row(), "unknown_fraction": fraction}
        for *of_case, fractions in zip(*estimated, unknown.T.tolist(), strict=True)
        for measure, estimate, fraction in zip(measures, of_case, fractions, strict=True)
    ]
    return pd.concat([frame, make_frame(rows, _ESTIMATE)], axis=1)
