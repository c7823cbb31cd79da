"""Estimates of every response under every policy, differences from a baseline, and comparisons of all policies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from simdeploy.analysis.asking import judging
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.pricing import COSTS_FORM, find_costs
from simdeploy.analysis.asking.requirements import Asked
from simdeploy.analysis.asking.verdicts import DifferenceVerdict, find_direction, judge_difference
from simdeploy.analysis.comparison.measured import find_rows, measure_policies, name_measure, read_table
from simdeploy.analysis.comparison.ranking import PAIR, RANKING, RankVerdict, tabulate_pairs, tabulate_ranking
from simdeploy.analysis.comparison.required import VERDICT, judge_policies, read_required
from simdeploy.errors import InputError, Problem, not_among, raise_if_any, shorten
from simdeploy.result import ESTIMATE, Columns, LateTable, Result, make_frame, read_computed_under
from simdeploy.scenario.measures import Measure, Requirement
from simdeploy.statistics.estimators import estimate_cases, estimate_differences
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.gathering import Batches
    from simdeploy.scenario.parts import Costs

_ESTIMATE = {
    "policy": "str",
    "response": "str",
    "level": "str",
    "given": "str",
    **ESTIMATE,
}
_DIFFERENCE = {
    "policy": "str",
    "baseline": "str",
    **_ESTIMATE,
    "variance_removed_fraction": "float64",
    "verdict": "str",
}
_UNKNOWN = {"unknown_fraction": "float64"}
# Measures that decide on the best policy: the first of these with observations, otherwise the last.
_JUDGED_BY = (
    ("cost",),
    ("false_alarm given good", "escaped given defective"),
    ("makespan_s given completed_good",),
    ("makespan_s given completed",),
    ("makespan_s",),
)


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """Result of `compare`.

    Attributes
    ----------
    estimates : DataFrame
        One row per policy, response and level: `estimate` (a mean, or the proportion of the `level` of a state or
        verdict), `low`, `high`, `half_width`, `n` (observations used), `standard_error`, `is_trusted` (see `Estimates`) and `unknown_fraction` (share
        of rollouts that never end, so their value is unknown). Verdicts are proportions of good or of defective
        releases, named in `given`. The makespan appears twice: over all rollouts, and `given` completion (with a good
        release if there are verdicts). So does the blast radius if there are verdicts: over all rollouts, and `given` a
        defective release.
    differences : DataFrame
        The same columns for policy minus `baseline`, over the `n` replications in which both have a value.
        `variance_removed_fraction` is the reduction in variance compared with independent worlds; negative means that
        common random numbers increased it. `verdict` compares the policy with the baseline: ``better``, ``worse``,
        ``equal``, ``unclear``, or ``unknown`` if some rollouts of either never end; missing if the response has no
        better side.
    requirements : tuple of Requirement
    verdicts : DataFrame
        One row per policy and requirement: `policy`, `requirement` as text, its `estimate` with the bounds `low` and
        `high`, `n` (observations used), `verdict` ("met", "not met", "undecided") at the confidence level, each
        separately, as in `estimate_regret`, and the `reason` if undecided.
    judged_by : tuple of str
        Measures that decide which policy `answer` recommends: the cost, if there is one; otherwise false alarms of good
        releases and escapes of defective ones; without verdicts, the makespan of completed rollouts.
    baseline : str
    confidence_level : float
    policies : tuple of str
        In the order of the table.
    n_replications, n_failed : dict of str to int
        Replications per policy, and how many of them failed. Failed replications are left out.
    computed_under : dict
        Scenario, seed, engine and switches, if the table has them, and the costs, if any.
    """

    estimates: Annotated[pd.DataFrame, Columns(_ESTIMATE | _UNKNOWN)]
    differences: Annotated[pd.DataFrame, Columns(_DIFFERENCE, words={"verdict": DifferenceVerdict})]
    requirements: tuple[Requirement, ...]
    verdicts: Annotated[pd.DataFrame, Columns(VERDICT, words={"verdict": judging.RequirementVerdict})]
    judged_by: tuple[str, ...]
    baseline: str
    confidence_level: float
    policies: tuple[str, ...]
    n_replications: Mapping[str, int]
    n_failed: Mapping[str, int]
    computed_under: Mapping[str, Any]
    _values: Values = field(repr=False)
    also = ("recommended", "none_meets", "none_known_to_meet")

    @property
    def excluded(self) -> tuple[str, ...]:
        """The policies that are not ranked: those shown to miss a requirement, unless all are."""
        missing = set(self.verdicts.loc[self.verdicts["verdict"].eq(judging.MISSED), "policy"])
        all_miss = missing.issuperset(self.policies)
        return () if all_miss else tuple(policy for policy in self.policies if policy in missing)

    @property
    def none_meets(self) -> bool:
        """Whether every policy is shown to miss a requirement."""
        return not self.excluded and bool(self.verdicts["verdict"].eq(judging.MISSED).any())

    @property
    def none_known_to_meet(self) -> bool:
        """Whether there are requirements, no policy is shown to meet all of them, and some may."""
        verdicts = self.joint_verdicts.values()
        return judging.UNDECIDED in verdicts and judging.MET not in verdicts

    @property
    def joint_verdicts(self) -> Mapping[str, judging.RequirementVerdict]:
        """The verdict on all requirements together, for each policy that has some."""
        of_policies = self.verdicts.groupby("policy")["verdict"]
        return {str(policy): judging.join(verdicts.to_numpy(str)[None])[0].item() for policy, verdicts in of_policies}

    @property
    def recommended(self) -> tuple[str, ...]:
        """The policies to use: those with the lowest cost, unless others may be as good or all miss a requirement; then none."""
        if self.judged_by != ("cost",) or self.none_meets:
            return ()
        ranked = find_rows(self.ranking, Measure("cost")).dropna(subset="rank")
        is_first = ranked["rank"].eq(1)
        others = ranked[~is_first]
        is_compared = len(others) > 0 or (len(ranked) == 1 and self.excluded)
        is_clear = is_compared and others["verdict"].eq("worse").all()
        return tuple(ranked.loc[is_first, "policy"]) if is_clear else ()

    @LateTable(Columns(PAIR, words={"verdict": DifferenceVerdict}))
    def pairs(self) -> pd.DataFrame:
        """All pairwise differences, with intervals that hold simultaneously.

        One row per pair (`policy` minus `other`, a later one), response, level and `given`: `estimate`, `low`, `high`,
        `n` (replications in which both have a value), and `verdict` as in `differences`. Computed on first access; see
        the notes of `compare`.
        """
        return tabulate_pairs(self._values, self.confidence_level)

    @LateTable(Columns(RANKING, words={"verdict": RankVerdict}))
    def ranking(self) -> pd.DataFrame:
        """Each policy compared with the best of the others, with intervals that hold simultaneously.

        One row per policy and per response, level and `given` that has a better side: `rank` by the estimate, from 1,
        with ties sharing a rank; `is_among_best`, whether the policy may be the best; `estimate`, `low` and `high` of
        its difference from the best of the others; `n`, the fewest replications shared with another policy;
        `unknown_fraction`. A policy without values, or with rollouts that never end, is not ranked (`rank` and
        `is_among_best` are missing), and the others are compared without it. `verdict` compares the policy with the
        best of the others: ``better`` if it alone may be the best, ``worse`` if it can't be, ``equal`` or ``unclear``
        if several may be, ``unknown`` if it is not ranked or no other policy is. `reason` says why it is ``unclear``:
        the interval contains 0, can't be trusted, or is so wide that a policy with a better estimate can be ruled out,
        but not this one. Policies shown to miss a requirement are ``excluded``, and the others are compared without
        them, unless every policy misses one. Computed on first access; see the notes of `compare`.
        """
        return tabulate_ranking(self._values, self.confidence_level, self.excluded)

    def to_frame(self) -> pd.DataFrame:
        """Return estimates and differences in one table; columns of differences are missing in rows of estimates."""
        import pandas as pd

        dtypes = _DIFFERENCE | _UNKNOWN
        parts = (self.estimates, self.differences)
        return pd.concat([part.reindex(columns=list(dtypes)).astype(dtypes) for part in parts], ignore_index=True)


def compare(
    responses: pd.DataFrame | Batches,
    *,
    baseline: str | None = None,
    confidence_level: float = 0.95,
    costs: Costs | None = None,
    requirements: Asked | None = None,
) -> Comparison:
    """Estimate every response under every policy, its difference from a baseline, and which policy is the best.

    Parameters
    ----------
    responses : DataFrame, SweepResult or StoredTable
        From `replicate`, `sweep` or `read_store`. Policies are paired by replication number, so the order of a
        policy's rows is irrelevant.
        If a sweep has several cases of a policy, each case counts as a policy.
    baseline : str, optional
        Policy to compare the others with; by default the one in the table's first row. Tables of the result have policies in
        the order of their first rows.
    confidence_level : float
        Between 0 and 1. Holds for each estimate and each difference from the baseline separately, but simultaneously
        for all pairs and for all policies of a ranking.
    costs : Costs, optional
        Adds `cost` and its causes as responses. By default the scenario's costs, from `replicate` or `sweep`; a store has none.
    requirements : str or Requirement, or several of them, optional
        What a policy must achieve to be recommended. By default the scenario's requirements, from `replicate` or `sweep`;
        a store has none.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If `responses` is not a table of replications, contains a replication twice, or mixes scenarios or worlds; if the
        baseline is not in it; or for an invalid requirement.

    Notes
    -----
    Means have Student's t interval, proportions the exact interval of Clopper and Pearson. Missing values are left out and `n` counts
    the rest: a mean makespan covers the rollouts that ended, a proportion of false alarms the good releases with a verdict. A policy
    with rollouts that never end is estimated from the others, but not ranked.

    Differences are taken within replications, in which all policies meet the same world. Intervals of all pairs of one response hold
    together with the confidence level, and so do those of its ranking, so that the best policy has `is_among_best`. Nothing is
    adjusted across responses. Responses without a better side, such as `waves`, are not ranked. A verdict rests on limits that can be
    trusted (`is_trusted`), otherwise it is ``unclear``. `docs/methods.md` has the formulas.

    Time is linear in the rows; for pairs and ranking, quadratic in the policies.

    Examples
    --------
    >>> import pandas as pd
    >>> from simdeploy.analysis import compare
    >>> table = pd.DataFrame({
    ...     "policy": ["fast", "fast", "slow", "slow"],
    ...     "replication": [0, 1, 0, 1],
    ...     "makespan_s": [60.0, 80.0, 100.0, 120.0],
    ... })
    >>> comparison = compare(table)
    >>> comparison.estimates[["policy", "response", "estimate", "n"]]
      policy    response  estimate  n
    0   fast  makespan_s      70.0  2
    1   slow  makespan_s     110.0  2
    >>> comparison.differences[["policy", "baseline", "estimate", "low", "high", "variance_removed_fraction"]]
      policy baseline  estimate        low       high  variance_removed_fraction
    0   slow     fast      40.0  23.162278  56.837722                        1.0
    >>> comparison.ranking[["policy", "response", "rank", "is_among_best", "estimate"]]
      policy    response  rank  is_among_best  estimate
    0   fast  makespan_s     1           True     -40.0
    1   slow  makespan_s     2           True      40.0
    """
    known = find_costs(responses, costs)
    if costs is not None and isinstance(known, Mapping):
        raise InputError(Problem("no costs", ("costs",), found=shorten(costs), allowed=COSTS_FORM))
    costs = None if isinstance(known, Mapping) else known
    table, owners = read_table(responses)
    values = measure_policies(table, costs)
    policies = tuple(values.cases["policy"])
    baseline = policies[0] if baseline is None else baseline
    _check(baseline, confidence_level, policies)
    wanted = read_required(responses, requirements, owners)
    compared = policies.index(baseline)
    of_measures = [_estimate(values, measure, compared, confidence_level) for measure in values.measures]
    names = [name_measure(measure) for measure in values.measures]
    estimates: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    for place, policy in enumerate(policies):
        for name, (of_policies, apart) in zip(names, of_measures, strict=True):
            estimates.append({"policy": policy, **name} | of_policies[place])
            if place != compared:
                differences.append({"policy": policy, **name, "baseline": baseline} | apart[place])
    is_failed = table["status"].eq("failed") if "status" in table else [False] * len(table)
    return Comparison(
        estimates=make_frame(estimates, _ESTIMATE | _UNKNOWN),
        differences=make_frame(differences, _DIFFERENCE),
        requirements=wanted,
        verdicts=judge_policies(table, wanted, owners, costs=costs, confidence_level=confidence_level),
        judged_by=_find_judged_by(estimates),
        baseline=baseline,
        confidence_level=confidence_level,
        policies=policies,
        n_replications=_count(table["policy"], policies),
        n_failed=_count(table.loc[is_failed, "policy"], policies),
        computed_under=read_computed_under(responses) | values.counted_under,
        _values=values,
    )


def _check(baseline: str, confidence_level: object, policies: tuple[str, ...]) -> None:
    problems = level_problems(confidence_level)
    if baseline not in policies:
        problems.insert(0, not_among("no such policy in the table", ("baseline",), baseline, policies))
    raise_if_any(problems)


def _estimate(
    values: Values, measure: Measure, compared: int, confidence_level: float
) -> tuple[list[dict[str, Any]], dict[int, dict[str, Any]]]:
    """Return the cells of the policies' estimates, and by index those of the differences from policy `compared`."""
    sample, unknown = values.sample(measure), values.unknown_fractions(measure)
    n = len(sample)
    others = [place for place in range(n) if place != compared]
    policies, baseline = sample[others], sample[[compared] * len(others)]
    in_both = ~np.isnan(policies.values - baseline.values)
    # All policies; then each pair of another policy and `compared`, in replications where both have a value.
    cases = sample[[*range(n), *others, *[compared] * len(others)]]
    has_value = np.concatenate([~np.isnan(sample.values), in_both, in_both])
    all_estimates = estimate_cases(cases.where(has_value), measure, confidence_level)
    estimates, first, second = all_estimates[:n], all_estimates[n : 2 * n - 1], all_estimates[2 * n - 1 :]
    cells = [each.to_row() | {"unknown_fraction": unknown[place]} for place, each in enumerate(estimates)]
    if not others:
        return cells, {}
    paired = estimate_differences(policies, baseline, measure, confidence_level)
    direction, differences = find_direction(measure), {}
    for row, (place, difference) in enumerate(zip(others, paired, strict=True)):
        apart = first[row].standard_error ** 2 + second[row].standard_error ** 2
        removed = 1 - difference.standard_error**2 / apart if apart > 0 else math.nan
        verdict = None
        if direction is not None:
            never_ends = bool(unknown[place] > 0 or unknown[compared] > 0)
            verdict = judge_difference(*difference.limits, direction, unknown=never_ends or not difference.n)
        differences[place] = difference.to_row() | {"variance_removed_fraction": removed, "verdict": verdict}
    return cells, differences


def _find_judged_by(estimates: list[dict[str, Any]]) -> tuple[str, ...]:
    seen = {
        str(Measure(row["level"] or row["response"], given=row["given"]))
        for row in estimates
        if row["n"] or row["unknown_fraction"]
    }
    return next((names for names in _JUDGED_BY if seen & set(names)), _JUDGED_BY[-1])


def _count(column: pd.Series, policies: tuple[str, ...]) -> dict[str, int]:
    counts = column.astype("str").value_counts()
    return {policy: int(counts.get(policy, 0)) for policy in policies}
