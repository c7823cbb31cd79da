"""Estimates of every response under every policy, and paired differences to a baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.estimators import Estimate, estimate_difference, estimate_values, variance
from simdeploy.analysis.observations import Observations, Quantity
from simdeploy.errors import InputError, Problem, nearest, shorten
from simdeploy.scenario.measures import Measure

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

_ESTIMATE = {
    "policy": "str",
    "response": "str",
    "level": "str",
    "estimate": "float64",
    "low": "float64",
    "high": "float64",
    "half_width": "float64",
    "n": "int64",
    "standard_error": "float64",
}
_DIFFERENCE = {"policy": "str", "baseline": "str", **_ESTIMATE, "variance_removed_fraction": "float64"}


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    estimates : DataFrame
        One row per policy, response and level: `estimate` (a mean, or the proportion of the `level` of a state or
        verdict), `low`, `high`, `half_width`, `n` (the observations it is over) and `standard_error`.
    differences : DataFrame
        The same of the policy less the `baseline`, over the `n` replications in which both have a value, and
        `variance_removed_fraction`: how much smaller the variance of the difference is than it would be had the two
        policies met unrelated worlds. Negative where common random numbers did harm.
    baseline : str
    confidence_level : float
    policies : tuple of str
        In the order of the table.
    n_replications, n_failed : dict of str to int
        Replications of a policy, and those among them that failed; failed ones are left out.
    computed_under : dict
        Scenario, seed, engine and switches, as far as the table of responses says.
    """

    estimates: pd.DataFrame
    differences: pd.DataFrame
    baseline: str
    confidence_level: float
    policies: tuple[str, ...]
    n_replications: Mapping[str, int]
    n_failed: Mapping[str, int]
    computed_under: Mapping[str, Any]

    def to_frame(self) -> pd.DataFrame:
        """Return estimates and differences in one table; in the rows of estimates `baseline` is missing."""
        import pandas as pd

        estimates = self.estimates.reindex(columns=list(_DIFFERENCE)).astype(_DIFFERENCE)
        return pd.concat([estimates, self.differences], ignore_index=True)

    def __repr__(self) -> str:
        policies = ", ".join(f"{policy} ({self.n_replications[policy]})" for policy in self.policies)
        level = format(self.confidence_level, "g")
        return f"<Comparison of {policies}; baseline {self.baseline}, confidence level {level}>"

    def _repr_html_(self) -> str:
        from simdeploy.analysis.summary import to_html

        return to_html(self)


def compare(responses: pd.DataFrame, *, baseline: str | None = None, confidence_level: float = 0.95) -> Comparison:
    r"""Estimate every response under every policy, and its difference to a baseline.

    Parameters
    ----------
    responses : DataFrame
        As from `replicate`. Policies are paired by the number of the replication, so the order of rows is irrelevant.
    baseline : str, optional
        The policy that the others are compared to; the first one of the table by default.
    confidence_level : float
        Of each interval by itself, between 0 and 1.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If the table is none of replications, holds one twice, or mixes scenarios; or if the baseline isn't in it.

    Notes
    -----
    A response has its mean with Student's t interval; a state or verdict has the proportion of each of its levels with
    the exact interval of Clopper and Pearson. Missing values are left out and `n` says how many are left: a mean
    makespan is over the rollouts that ended, a proportion of verdicts over those that have one.

    Differences are taken within replications, in which all policies meet the same world: of means with Student's t
    interval of the paired differences, of proportions with the interval of Agresti and Min for matched pairs. With X
    and Y the two policies' observations and D = X - Y, `variance_removed_fraction` is
    :math:`1 - \mathrm{Var}(D) / (\mathrm{Var}(X) + \mathrm{Var}(Y))`: what common random numbers saved (Law 2015 [1]_,
    section 11.2). The formulas of the intervals are in `simdeploy.analysis.intervals`.

    Too few observations give NaN: an interval of a mean needs two. The cost is linear in the rows.

    References
    ----------
    .. [1] Law, A. M. (2015). Simulation Modeling and Analysis, 5th edition. McGraw-Hill.

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
      policy baseline  estimate   low  high  variance_removed_fraction
    0   slow     fast      40.0  40.0  40.0                        1.0
    """
    observations = Observations(responses)
    baseline = observations.policies[0] if baseline is None else baseline
    _check(baseline, confidence_level, observations.policies)
    quantities = list(observations.quantities())
    estimates = [
        _name(policy, quantity) | _estimate(observations.values(policy, quantity), quantity, confidence_level)
        for policy in observations.policies
        for quantity in quantities
    ]
    differences = [
        _name(policy, quantity)
        | {"baseline": baseline}
        | _difference(*observations.pairs(policy, baseline, quantity), quantity, confidence_level)
        for policy in observations.policies
        if policy != baseline
        for quantity in quantities
    ]
    return Comparison(
        estimates=_frame(estimates, _ESTIMATE),
        differences=_frame(differences, _DIFFERENCE),
        baseline=baseline,
        confidence_level=confidence_level,
        policies=observations.policies,
        n_replications=observations.n_rows,
        n_failed=observations.n_failed,
        computed_under={str(name): value for name, value in responses.attrs.items()},
    )


def _check(baseline: str, confidence_level: object, policies: tuple[str, ...]) -> None:
    problems = []
    if baseline not in policies:
        problems.append(
            Problem(
                "not a policy of the table",
                path=("baseline",),
                found=shorten(baseline),
                allowed=", ".join(policies),
                hint=nearest(baseline, policies),
            )
        )
    if (
        isinstance(confidence_level, bool)
        or not isinstance(confidence_level, int | float)
        or not 0 < confidence_level < 1
    ):
        problems.append(
            Problem(
                "not a confidence level",
                path=("confidence_level",),
                found=shorten(confidence_level),
                allowed="a fraction between 0 and 1, such as 0.95",
            )
        )
    if problems:
        raise InputError(problems)


def _name(policy: str, quantity: Quantity) -> dict[str, Any]:
    return {"policy": policy, **quantity._asdict()}


def _estimate(values: np.ndarray, quantity: Quantity, confidence_level: float) -> dict[str, Any]:
    measure = Measure(quantity.response if quantity.level is None else quantity.level)
    return _with_half_width(estimate_values(values, measure, confidence_level))


def _difference(
    policy: np.ndarray, baseline: np.ndarray, quantity: Quantity, confidence_level: float
) -> dict[str, Any]:
    is_rate = quantity.level is not None
    found = estimate_difference(policy, baseline, is_rate=is_rate, confidence_level=confidence_level)
    apart = variance(policy) + variance(baseline)
    removed = 1 - variance(policy - baseline) / apart if apart > 0 else math.nan
    return _with_half_width(found) | {"variance_removed_fraction": removed}


def _with_half_width(found: Estimate) -> dict[str, Any]:
    return {**found._asdict(), "half_width": found.half_width}


def _frame(rows: list[dict[str, Any]], dtypes: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=dtype) for name, dtype in dtypes.items()})
