"""Regrets of candidates over uncertain worlds, and the share of worlds that meet the requirements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from simdeploy.analysis.asking import verdicts
from simdeploy.analysis.asking.judging import RequirementVerdict, judge_requirements
from simdeploy.analysis.asking.measuring import read_measures
from simdeploy.analysis.asking.requirements import Asked, find_requirements, read_requirements
from simdeploy.analysis.asking.verdicts import Direction, read_direction
from simdeploy.analysis.regret.regrets import (
    REGRET,
    SUMMARY,
    estimate_regrets,
    find_worlds,
    read_values,
    summarize_candidates,
)
from simdeploy.errors import collect, raise_if_any
from simdeploy.result import Columns, Result, read_computed_under
from simdeploy.scenario.measures import Measure, Requirement
from simdeploy.scenario.parts import Costs
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.gathering import Batches


@dataclass(frozen=True, eq=False, repr=False)
class Robustness(Result):
    """Result of `estimate_regret`.

    Attributes
    ----------
    of : Measure
    direction : {'min', 'max'}
        Whether lower or higher is better.
    requirements : tuple of Requirement
    confidence_level : float
    regrets : DataFrame
        One row per candidate and world: both as text and by their columns (`policy`, its factors; `scenario`, its
        factors), the `estimate` of the measure with `low`, `high` and `n`; `regret` with `regret_low` and
        `regret_high`, each interval separately; `is_best`; `unknown_fraction`, the share of rollouts that never end, so
        their value is unknown; `verdict` on the requirements ("met", "not met", "undecided").
    candidates : DataFrame
        One row per candidate, the least `max_regret` first: `max_regret` and `mean_regret` over worlds with `_low` and
        `_high`, which hold together for all candidates; `worst_world`; `n_worlds` used; `met_fraction`,
        `not_met_fraction` and `undecided_fraction` of all worlds; `regret_verdict` compares `max_regret` with that of
        the first: worse, equal or unclear; unknown without a regret, missing for the first.
    n_failed : int
        Failed replications, which are left out.
    computed_under : dict
        Scenario, seed, engine and switches, if the table has them, and the costs, if a measure uses them.
    """

    of: Measure
    direction: Direction
    requirements: tuple[Requirement, ...]
    confidence_level: float
    regrets: Annotated[pd.DataFrame, Columns(REGRET, has_more=True, words={"verdict": Literal["", RequirementVerdict]})]
    candidates: Annotated[
        pd.DataFrame, Columns(SUMMARY, has_more=True, words={"regret_verdict": verdicts.DifferenceVerdict})
    ]
    n_failed: int
    computed_under: Mapping[str, Any]
    also = ("replications_needed",)

    @property
    def replications_needed(self) -> float:
        """About how many replications per case would confirm the lowest worst-case regret, given the present intervals.

        NaN if it is confirmed, or equal to that of another candidate. The half-width falls with the square root of the number, as in
        `replicate_to_precision`. Intervals that are narrow enough but can't be trusted yet need more, too: at least twice as many.
        """
        first, others = self.candidates.iloc[0], self.candidates.iloc[1:]
        rivals = others[others["regret_verdict"].eq("unclear")]
        lead = rivals["max_regret"] - first["max_regret"]
        if rivals.empty or not (lead > 0).all():
            return math.nan
        low = rivals["max_regret_low"] - first["max_regret_high"]
        return float(self.regrets["n"].max() * max(2.0, (((lead - low) / lead) ** 2).max()))


def estimate_regret(
    responses: pd.DataFrame | Batches,
    *,
    of: Measure | str = "cost",
    direction: Direction | None = None,
    requirements: Asked | None = None,
    costs: Costs | Mapping[str, Costs] | None = None,
    confidence_level: float = 0.95,
) -> Robustness:
    """Estimate how much each candidate loses against the best one in each world.

    Parameters
    ----------
    responses : SweepResult, StoredTable or DataFrame
        From `sweep` over several scenarios or factors. A world is a scenario with values of the keys that begin with
        ``scenario.``; a candidate is a policy with values of its own keys. Each candidate must occur in each world.
    of : Measure or str, default 'cost'
        The measure to compare.
    direction : {'min', 'max'}, optional
        Whether lower or higher is better; by default higher for `completed_good`, `stopped_defective` and
        `min_in_service_fraction`, lower for everything else.
    requirements : str or Requirement, or several of them, optional
        What candidates must achieve in a world. By default the requirements of a single scenario, from `sweep`.
    costs : Costs or mapping of str to Costs, optional
        For all scenarios, or by scenario name. By default each scenario's, from `sweep`.
    confidence_level : float, default 0.95

    Returns
    -------
    Robustness

    Raises
    ------
    InputError
        If the table is not one of replications or lacks a candidate in a world; for an invalid measure or requirement,
        and for costs that are missing or in different units.

    Notes
    -----
    The regret of a candidate in a world is how much worse it is than the best one there (Savage 1951 [1]_). Its interval holds whichever
    candidate is the best. The smallest `max_regret` is Savage's minimax regret; `mean_regret` weights all worlds equally. Their
    intervals hold together for all candidates. Each requirement is judged separately, as in `check`. `docs/methods.md` has the
    formulas.

    Failed replications are left out. If some rollouts of any candidate never end, the regrets of that world are NaN and the summary
    covers the other worlds. Time is quadratic in the number of candidates.

    References
    ----------
    .. [1] Savage, L. J. (1951). The theory of statistical decision. Journal of the American Statistical Association
       46(253), 55-67.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({
    ...     "case": [0, 1, 2, 3], "scenario": ["day", "night", "day", "night"], "policy": ["a", "a", "b", "b"],
    ...     "replication": 0, "makespan_s": [10.0, 40.0, 30.0, 30.0], "touched_nodes": 1,
    ... })
    >>> result = estimate_regret(table, of="makespan_s")
    >>> result.regrets[["candidate", "world", "estimate", "regret"]]
      candidate  world  estimate  regret
    0         a    day      10.0     0.0
    1         a  night      40.0    10.0
    2         b    day      30.0    20.0
    3         b  night      30.0     0.0
    >>> result.candidates[["candidate", "max_regret", "mean_regret", "worst_world"]]
      candidate  max_regret  mean_regret worst_world
    0         a        10.0          5.0       night
    1         b        20.0         10.0         day
    """
    measure, wanted = _read(
        of, find_requirements(responses) if requirements is None else requirements, confidence_level
    )
    direction = read_direction(direction, measure)
    parts, counted_under = read_values(responses, (measure, *(requirement.measure for requirement in wanted)), costs)
    cases = parts[0][0].cases
    policies = list(cases["policy"].unique())
    if requirements is None:
        wanted = tuple(each for each in wanted if each.policy in (None, *policies))
    wanted = read_requirements(wanted, policies=policies)
    worlds = find_worlds(cases)
    part_of = np.zeros(len(cases), np.int64)
    unknown = np.zeros(len(cases))
    verdicts = np.full(len(cases), "", dtype=object)
    n_failed = 0
    for number, (values, rows) in enumerate(parts):
        part_of[rows] = number
        unknown[rows] = values.unknown_fractions(measure)[rows]
        judged = judge_requirements(values, wanted, confidence_level=confidence_level)
        verdicts[rows] = [judged[row].verdict if wanted else "" for row in rows]
        n_failed += int((~values.is_ok[rows]).sum())
    of_parts = [values.sample(measure) for values, _ in parts]
    # All candidates in a world have its costs.
    samples = [of_parts[part_of[of_world[0]]][of_world] for of_world in worlds.case.T]
    columns, bounds = estimate_regrets(samples, unknown, worlds, measure, direction, confidence_level)
    regrets = worlds.to_frame().assign(**columns, unknown_fraction=unknown[worlds.case.ravel()])
    regrets = regrets.assign(verdict=verdicts[worlds.case.ravel()]).astype(REGRET)
    return Robustness(
        of=measure,
        direction=direction,
        requirements=wanted,
        confidence_level=confidence_level,
        regrets=regrets,
        candidates=summarize_candidates(regrets, bounds, worlds),
        n_failed=n_failed,
        computed_under=read_computed_under(responses) | counted_under,
    )


def _read(of: Measure | str, requirements: Asked, confidence_level: Any) -> tuple[Measure, tuple[Requirement, ...]]:
    problems = level_problems(confidence_level)
    with collect(problems):
        (measure,) = read_measures([of])
    with collect(problems):
        wanted = read_requirements(requirements)
    raise_if_any(problems)
    return measure, wanted
