"""The choice under the scenario's own switches, and under other settings, row by row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.analysis.switches.conclusions import Rule, Standings, choose, conclude, why_unknown
from simdeploy.analysis.switches.remembering import remember
from simdeploy.analysis.switches.result import POLICY
from simdeploy.errors import InputError, Problem
from simdeploy.result import interval_cells, make_frame
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import NO_ESTIMATE, estimate_difference, estimate_values
from simdeploy.statistics.sample import Sample, as_sample

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.switches.switch_values import Setting, Settings, Simulated


class Choice:
    """The choice under the scenario's own switches; `InputError` if there is none because rollouts never end."""

    def __init__(self, rule: Rule, base: Standings) -> None:
        reason = why_unknown(base, rule.of)
        if reason:
            hint = "use a measure known for every rollout, such as blast_radius"
            raise InputError(Problem(f"no policy can be chosen: {reason}", ("of",), found=str(rule.of), hint=hint))
        self._rule = rule
        self._base = base
        self._choice = choose(base, rule.direction)
        estimates = [estimate.estimate for estimate in base.estimates]
        best = int(np.argmin(estimates) if rule.direction == "min" else np.argmax(estimates))
        self._subject = best if self._choice is None else self._choice
        self._conclude = remember(partial(conclude, rule=rule, subject=self._subject, base=self._choice))
        self._conclusion = self._conclude(base)
        rival = self._conclusion.rival
        self._rival = None if rival is None else base.policies.index(rival)

    def policies(self) -> pd.DataFrame:
        """Return the policies' standings under the scenario's own switches."""
        rows = [
            {
                "policy": policy,
                **estimate.to_row(),
                "verdict": feasibility.verdict,
                "meets_requirements": feasibility.is_met,
                "is_chosen": place == self._choice,
            }
            for place, (policy, estimate, feasibility) in enumerate(
                zip(self._base.policies, self._base.estimates, self._base.feasibility, strict=True)
            )
        ]
        return make_frame(rows, POLICY)

    def row(self, simulated: Simulated) -> dict[str, Any]:
        """Return a row of the table of values."""
        standings = self._find_standings(simulated)
        row = self._row(simulated.setting, standings)
        changed, unchanged = standings.values[self._subject], self._base.values[self._subject]
        effect = estimate_difference(changed, unchanged, self._rule.of, self._rule.confidence_level)
        effect = effect if row["holds"] is not None else NO_ESTIMATE
        return row | interval_cells("effect", effect) | {"has_effect": simulated.has_effect}

    def _find_standings(self, simulated: Simulated) -> Standings:
        """Return the standings under a setting: those under the scenario's own switches if rollouts are equal.

        Otherwise equal rollouts might differ, because rates of verdicts are known under the scenario's own switches but counted under
        the setting.
        """
        return simulated.standings if simulated.has_effect else self._base

    def _row(self, setting: Setting, standings: Standings) -> dict[str, Any]:
        conclusion = self._conclude(standings)
        choice = None if self._choice is None else self._base.policies[self._choice]
        return {
            "setting": setting,
            "is_possible": True,
            "choice": conclusion.choice,
            "holds": conclusion.choice == choice if conclusion.is_known else None,
            "is_sure": conclusion.is_sure if conclusion.is_known else None,
            "rival": conclusion.rival,
            **interval_cells("margin", conclusion.margin),
            "reason": conclusion.reason,
        }

    def pair_rows(
        self, settings: Settings, both: Sequence[Setting], simulated: Sequence[Simulated]
    ) -> list[dict[str, Any]]:
        """Simulate pairs of values and return the rows of the table of pairs."""
        quantities = {each.setting: self._quantity(each.standings) for each in simulated}
        keeps = {
            each.setting: self._row(each.setting, self._find_standings(each))["holds"] is True for each in simulated
        }
        unchanged = self._quantity(self._base)
        # A value that is possible only together with another one has no margin by itself, and flips nothing.
        unknown = unchanged.where(np.zeros(unchanged.values.shape, dtype=bool))
        level = self._rule.confidence_level
        rows = []
        for setting, standings in settings.simulate_pairs(both):
            first, second = setting[:1], setting[1:]
            alone = quantities.get(first, unknown), quantities.get(second, unknown)
            interaction = estimate_interaction(unchanged, *alone, self._quantity(standings), confidence_level=level)
            row = self._row(setting, standings) | interval_cells("interaction", interaction)
            row["p_value"] = interaction.p_value
            row["flips_together"] = row["holds"] is False and keeps.get(first, True) and keeps.get(second, True)
            rows.append(row)
        for row, p_value in zip(rows, adjust_by_holm(np.array([row["p_value"] for row in rows])), strict=True):
            row["p_value"] = p_value
            is_shown = bool(p_value <= 1 - level) and row["interaction_is_trusted"]
            row["interacts"] = is_shown or row["flips_together"]
        return rows

    def _quantity(self, standings: Standings) -> Sample:
        """Return, by world, the margin of the choice over its first rival, or its measure without a rival."""
        sign = 1.0 if self._rule.direction == "min" else -1.0
        # An interaction combines four rollouts per world, for which lumps of events have no exact limits.
        values = replace(standings.values, lumps=())
        of_subject = values[self._subject]
        if self._rule.of.kind == "quantile" or why_unknown(standings, self._rule.of):
            return of_subject.where(np.zeros(of_subject.values.shape, dtype=bool))
        return of_subject.scaled(-sign) if self._rival is None else (values[self._rival] - of_subject).scaled(sign)


class Interaction(NamedTuple):
    """A difference of differences with its interval and p-value."""

    estimate: float
    low: float
    high: float
    p_value: float
    is_trusted: bool  # whether the values are not too skewed for the interval


def estimate_interaction(
    none: np.ndarray | Sample,
    first: np.ndarray | Sample,
    second: np.ndarray | Sample,
    both: np.ndarray | Sample,
    *,
    confidence_level: float,
) -> Interaction:
    r"""Estimate the effect of two changes together beyond the sum of their separate effects.

    The arguments are a quantity in the same replications: without the changes, with each, and with both. NaN with fewer
    than two replications in which all four are known.

    Notes
    -----
    The mean of :math:`D = f_{ab} - f_a - f_b + f_0` (twice the interaction effect of a two-by-two factorial design, Law
    2015 [1]_, section 12.2), taken within replications, with Student's t interval and the two-sided p-value of
    Student's test of 0. Degrees of freedom are the number of replications, less one for each stratum. If all D are equal,
    the p-value is 1 if they are 0, and 0 otherwise.

    References
    ----------
    .. [1] Law, A. M. (2015). Simulation Modeling and Analysis, 5th edition. McGraw-Hill.

    Examples
    --------
    >>> none, first = np.array([1.0, 2.0]), np.array([2.0, 3.0])
    >>> estimate_interaction(none, first, first, np.array([3.0, 4.0]), confidence_level=0.95)
    Interaction(estimate=0.0, low=0.0, high=0.0, p_value=1.0, is_trusted=False)
    """
    from scipy.special import stdtr

    differences = (as_sample(both) - as_sample(first)) - (as_sample(second) - as_sample(none))
    interaction = estimate_values(differences, Measure("cost"), confidence_level)
    freedom, error = interaction.n - differences.strata.n, interaction.standard_error
    if math.isnan(interaction.low):
        p_value = math.nan
    elif error == 0:
        p_value = 1.0 if interaction.estimate == 0 else 0.0
    else:
        p_value = 2 * float(stdtr(freedom, -abs(interaction.estimate) / error))
    return Interaction(interaction.estimate, interaction.low, interaction.high, p_value, interaction.is_trusted)


def adjust_by_holm(p_values: np.ndarray) -> np.ndarray:
    r"""Return adjusted p-values, which can all be compared with the same familywise error rate.

    With the m tests, ignoring NaN, in ascending order: :math:`\max_{i \le j} \min(1, (m - i + 1) p_{(i)})` (Holm 1979
    [1]_). Holds whatever the dependence between tests.

    References
    ----------
    .. [1] Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics
       6(2), 65-70.

    Examples
    --------
    >>> adjust_by_holm(np.array([0.04, 0.01, np.nan, 0.03])).tolist()
    [0.06, 0.03, nan, 0.06]
    """
    adjusted = np.full(len(p_values), np.nan)
    order = np.argsort(p_values, kind="stable")[: int((~np.isnan(p_values)).sum())]
    multiplied = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(multiplied), 1.0)
    return adjusted
