"""Estimates of any measure under every policy or case, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from simdeploy.analysis.asking.measuring import Values
from simdeploy.errors import Problem, raise_if_any, warn_user
from simdeploy.result import INTERVAL, Columns, Result, make_frame, read_computed_under
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import Estimate, estimate_cases
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.gathering import Batches
    from simdeploy.scenario.parts import Costs

ESTIMATE_COLUMNS = {
    "measure": "str",
    "of": "str",
    "quantile": "float64",
    "given": "str",
    **INTERVAL,
    "half_width": "float64",
    "n": "int64",
    "n_left_out": "int64",
    "standard_error": "float64",
    "is_trusted": "bool",
}


@dataclass(frozen=True, eq=False, repr=False)
class Estimates(Result):
    """Result of `estimate`.

    Attributes
    ----------
    estimates : DataFrame
        One row per case and measure: the columns that identify the case (`scenario`, `policy`, `case` and the factors
        of a sweep); the `measure` as text, and its parts `of`, `quantile` and `given`; `estimate`, `low`, `high`,
        `half_width` (before `low` was raised to 0, where no value is negative); `n` observations used; `n_left_out`
        replications that failed or are not in the table; and the `standard_error` of a mean or rate; and `is_trusted`, false
        for an interval whose coverage may be below its level, because values are too skewed, too few or all equal, or kinds of
        release too rare.
    measures : tuple of Measure
    case_columns : tuple of str
        Columns that identify a case.
    confidence_level : float
        Of each interval separately.
    computed_under : dict
        Scenario, seed, engine and switches, if the table has them, and the costs, if a measure uses them.
    """

    estimates: Annotated[pd.DataFrame, Columns(ESTIMATE_COLUMNS, has_more=True)]
    measures: tuple[Measure, ...]
    case_columns: tuple[str, ...]
    confidence_level: float
    computed_under: Mapping[str, Any]


def estimate(
    responses: pd.DataFrame | Batches,
    measures: Measure | str | Sequence[Measure | str],
    *,
    costs: Costs | None = None,
    confidence_level: float = 0.95,
) -> Estimates:
    r"""Estimate means, quantiles and rates under every policy, or in every case of a sweep.

    Parameters
    ----------
    responses : DataFrame, SweepResult or StoredTable
        From `replicate`, `sweep` or `read_store`. Weights are used as described in `simdeploy.statistics.weights`; an
        estimate that can't be trusted has no interval.
    measures : Measure or str, or several
        ``makespan_s`` is a mean, ``p95 blast_radius given defective`` a quantile over some rollouts, ``false_alarm
        given good`` a rate, ``defective given passed_canary`` the probability that a release that passed the canaries
        is defective.
    costs : Costs, optional
        For ``cost`` and its causes. By default the scenario's costs, from `replicate` or `sweep`.
    confidence_level : float, default 0.95
        Of each interval separately, between 0 and 1.

    Returns
    -------
    Estimates

    Raises
    ------
    InputError
        Lists everything wrong with the table, the measures or the level.

    Warns
    -----
    SimdeployWarning
        If weights can't be trusted.

    Notes
    -----
    With the `n` available values:

    - A mean has Student's interval, :math:`\bar x \pm t_{n-1,1-\alpha/2}\, s/\sqrt n` (Law 2015 [1]_, eq. 4.12). It is
      exact for normal values. For skewed ones the coverage error falls with :math:`\gamma_1^2/n`; by Cochran's rule
      (1977 [2]_, section 2.15) :math:`n \ge 25\,\gamma_1^2` keeps a nominal 95 % above 94 %. That takes 100 values of an
      exponential distribution, and about 1,000 of a cost that occurs in one rollout in forty. So the limit on the side to
      which values are skewed is moved outwards; `docs/methods.md`, "Kinds of release", says by how much, and which limits
      can be trusted.
    - A rate has the exact interval of Clopper and Pearson (1934 [3]_), which covers at least at its nominal level.
      ``given`` selects replications, so a conditional rate is a proportion of those.
    - A quantile is the order statistic :math:`X_{(\lceil nq \rceil)}`, with a distribution-free interval between two
      others (David and Nagaraja 2003 [4]_, section 7.1).

    With too few values the result is NaN: a mean's interval needs two; each side of a quantile's interval needs enough
    values beyond it (at 95 %, 72 for the 0.95 quantile and 368 for the 0.99 quantile). Time is linear in the rows.

    References
    ----------
    .. [1] Law, A. M. (2015). Simulation Modeling and Analysis, 5th edition. McGraw-Hill.
    .. [2] Cochran, W. G. (1977). Sampling Techniques, 3rd edition. Wiley.
    .. [3] Clopper, C. J. and Pearson, E. S. (1934). The use of confidence or fiducial limits illustrated in the case of
       the binomial. Biometrika 26(4), 404-413.
    .. [4] David, H. A. and Nagaraja, H. N. (2003). Order Statistics, 3rd edition. Wiley.

    Examples
    --------
    >>> import pandas as pd
    >>> from simdeploy.analysis.estimates.estimating import estimate
    >>> table = pd.DataFrame({
    ...     "policy": ["fast", "fast", "slow", "slow"],
    ...     "replication": [0, 1, 0, 1],
    ...     "makespan_s": [60.0, 80.0, 100.0, 120.0],
    ...     "verdict": ["escaped", "completed_good", "completed_good", "stopped_defective"],
    ... })
    >>> found = estimate(table, ["makespan_s", "escaped"])
    >>> found.to_frame()[["policy", "measure", "estimate", "n"]]
      policy     measure  estimate  n
    0   fast  makespan_s      70.0  2
    1   fast     escaped       0.5  2
    2   slow  makespan_s     110.0  2
    3   slow     escaped       0.0  2
    """
    listed = [measures] if isinstance(measures, str) or not isinstance(measures, Sequence) else list(measures)
    problems = level_problems(confidence_level)
    if not listed:
        problems.append(Problem("nothing to estimate", ("measures",)))
    raise_if_any(problems)
    values = Values(responses, listed, costs=costs, takes_weights=True)
    measures = tuple(dict.fromkeys(values.measures))
    return Estimates(
        estimates=estimate_frame(values, measures, confidence_level),
        measures=measures,
        case_columns=tuple(values.cases.columns),
        confidence_level=confidence_level,
        computed_under=read_computed_under(responses) | values.counted_under,
    )


def estimate_frame(values: Values, measures: Sequence[Measure], confidence_level: float) -> pd.DataFrame:
    """Return the table of estimates: by case, then by measure; see `Estimates`."""
    import pandas as pd

    of_measure = list(map(partial(_estimate_cases, values, confidence_level=confidence_level), measures))
    n_left_out = values.n_replications - values.is_ok.sum(axis=1)
    rows = []
    for case in range(len(values.cases)):
        for measure, estimates in zip(measures, of_measure, strict=True):
            parts = {"measure": str(measure), "of": measure.of, "quantile": measure.quantile, "given": measure.given}
            rows.append({**parts, **estimates[case].to_row(), "n_left_out": int(n_left_out[case])})
    cases = values.cases.loc[np.repeat(np.arange(len(values.cases)), len(measures))].reset_index(drop=True)
    return pd.concat([cases, make_frame(rows, ESTIMATE_COLUMNS)], axis=1)


def _estimate_cases(values: Values, measure: Measure, confidence_level: float) -> list[Estimate]:
    sample = values.sample(measure)
    if not values.is_weighted:
        return estimate_cases(sample, measure, confidence_level)
    from simdeploy.statistics.weights import estimate_weighted

    estimates = []
    for of_case, weights in zip(sample.values, values.weights, strict=True):
        weighted = estimate_weighted(of_case, weights, measure, confidence_level)
        if not weighted.diagnosis.is_trusted:
            doubts = "; ".join(weighted.diagnosis.doubts)
            warn_user(f"{measure}: unreliable weights ({doubts}), so no interval")
        low = max(weighted.estimate.low, sample.least)
        estimates.append(weighted.estimate._replace(low=low, raised=low - weighted.estimate.low))
    return estimates
