"""Cost of a rollout under each policy, by cause."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.pricing import COSTS_FORM, find_costs
from simdeploy.errors import InputError, Problem, shorten
from simdeploy.experiments.gathering import refuse_others
from simdeploy.result import ESTIMATE, Columns, Result, make_frame, read_computed_under
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import estimate_cases
from simdeploy.statistics.levels import level_problems
from simdeploy.vocabulary import CAUSES, COSTS

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.gathering import Batches
    from simdeploy.scenario.parts import Costs

_PART = {
    "cause": "str",
    **ESTIMATE,
    "unknown_fraction": "float64",
    "is_cheapest": "bool",
    "is_largest_cause": "bool",
}


@dataclass(frozen=True, eq=False, repr=False)
class CostResult(Result):
    """Result of `estimate_costs`.

    Attributes
    ----------
    parts : DataFrame
        One row per case and cause: `policy` and other identifying columns; `cause`, first `cost` for the total, then
        its parts; `estimate` (mean per rollout), `low`, `high`, `half_width`, `n`, `standard_error` and
        `is_trusted` (see `Estimates`);
        `unknown_fraction`, the share of rollouts that never end, so their cost is unknown; `is_cheapest`, whether the
        case has the lowest cost among those with known costs; and `is_largest_cause`, whether this cause is the case's
        largest.
    confidence_level : float
        Of each interval separately.
    costs : dict of str to float
        The costs per unit used.
    n_left_out : int
        Replications of all cases with unknown cost: they failed, or never end.
    computed_under : dict
        Scenario, seed, engine and switches, if the table has them, and the costs with their unit.
    """

    parts: Annotated[pd.DataFrame, Columns(_PART, has_more=True)]
    confidence_level: float
    costs: Mapping[str, float]
    n_left_out: int
    computed_under: Mapping[str, Any]

    @property
    def case_columns(self) -> tuple[str, ...]:
        """Columns of `parts` that identify a case."""
        return tuple(str(name) for name in self.parts if name not in _PART)

    @property
    def totals(self) -> pd.DataFrame:
        """Rows of the total, one per case."""
        return self.parts[self.parts["cause"].eq("cost")].reset_index(drop=True)


def estimate_costs(
    responses: pd.DataFrame | Batches, *, costs: Costs | None = None, confidence_level: float = 0.95
) -> CostResult:
    r"""Estimate the cost of a rollout under each policy, by cause.

    Parameters
    ----------
    responses : DataFrame, SweepResult or StoredTable
        From `replicate`, `sweep` or `read_store`. Row order and further columns are irrelevant.
    costs : Costs, optional
        By default the scenario's, from `replicate` or `sweep`; the result is in the same unit.
    confidence_level : float, default 0.95
        Of each interval separately, between 0 and 1.

    Returns
    -------
    CostResult

    Raises
    ------
    InputError
        If there are no costs, or the table is not one of replications.

    Notes
    -----
    The cost of a rollout is the sum of: `hour_of_delay` times its makespan (also if a false alarm stopped it, but not if a
    defective release was stopped); `failed_request` times `failed_requests_excess`; `unavailable_node_hour` times
    `unavailable_excess_node_s`, which may be negative where updates repair nodes; `unrestored_node` times
    `unrestored_nodes`; `lost_request` times `lost_requests_excess`; `shed_request` times `shed_requests_excess`; `false_alarm`
    and `escape` once for each of these verdicts.

    All rows of a case are means over the same replications, those with known cost, so the parts add up to the total.
    Intervals are Student's t (Law 2015 [1]_, equation 4.12), except that priced verdicts have the exact limits of their
    rates (`simdeploy.statistics.combining.combine`). A rollout that never ends has no known cost
    and may become the most expensive, so a case with such rollouts is never called the cheapest.

    References
    ----------
    .. [1] Law, A. M. (2015). Simulation Modeling and Analysis, 5th edition. McGraw-Hill.

    Examples
    --------
    >>> import pandas as pd
    >>> from simdeploy.analysis.costs.causes import estimate_costs
    >>> from simdeploy.scenario.parts import Costs
    >>> table = pd.DataFrame({
    ...     "policy": "waves", "replication": [0, 1], "verdict": ["completed_good", "escaped"],
    ...     "makespan_s": [3600.0, 7200.0], "failed_requests_excess": [0.0, 100.0], "unavailable_excess_node_s": 0.0,
    ...     "lost_requests_excess": 0.0, "shed_requests_excess": 0.0,
    ... })
    >>> costs = Costs(failed_request=0.1, unavailable_node_hour=0, hour_of_delay=20, false_alarm=150, escape=1000)
    >>> result = estimate_costs(table, costs=costs)
    >>> result.parts[["policy", "cause", "estimate", "n"]]
      policy                  cause  estimate  n
    0  waves                   cost     535.0  2
    1  waves             cost_delay      30.0  2
    2  waves   cost_failed_requests       5.0  2
    3  waves    cost_unavailability       0.0  2
    4  waves  cost_unrestored_nodes       0.0  2
    5  waves     cost_lost_requests       0.0  2
    6  waves     cost_shed_requests       0.0  2
    7  waves       cost_false_alarm       0.0  2
    8  waves            cost_escape     500.0  2
    """
    refuse_others(responses)
    costs = check_arguments(find_costs(responses, costs), confidence_level)
    values = Values(responses, [Measure(cause) for cause in COSTS], costs=costs)
    by_cause = {cause: values.sample(Measure(cause)) for cause in COSTS}
    known, unknown = ~np.isnan(by_cause["cost"].values), values.unknown_fractions(Measure("cost"))
    of_causes = {
        cause: estimate_cases(of.where(known), Measure(cause), confidence_level) for cause, of in by_cause.items()
    }
    rows: list[dict[str, Any]] = []
    for place, case in enumerate(values.cases.to_dict("records")):
        key = {str(name): value for name, value in case.items()} | {"unknown_fraction": unknown[place]}
        estimates = {cause: of_cases[place] for cause, of_cases in of_causes.items()}
        largest = max(CAUSES, key=lambda cause: estimates[cause].estimate)
        for cause, of_cause in estimates.items():
            is_largest = cause == largest and of_cause.estimate > 0
            rows.append({**key, **of_cause.to_row(), "cause": cause, "is_largest_cause": is_largest})
    cheapest = _find_cheapest(rows)
    rows = [row | {"is_cheapest": place // len(COSTS) == cheapest} for place, row in enumerate(rows)]
    dtypes = {str(name): dtype for name, dtype in values.cases.dtypes.items()} | _PART
    return CostResult(
        parts=make_frame(rows, dtypes),
        confidence_level=confidence_level,
        costs={name: amount for name, amount in costs.to_dict().items() if not isinstance(amount, str)},
        n_left_out=int((~known).sum()),
        computed_under=read_computed_under(responses) | values.counted_under,
    )


def _find_cheapest(rows: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the index of the case with the lowest known cost; None if none is known."""
    totals = [row["estimate"] if not row["unknown_fraction"] else math.nan for row in rows[:: len(COSTS)]]
    known = [place for place, total in enumerate(totals) if not math.isnan(total)]
    return min(known, key=totals.__getitem__, default=None)


def check_arguments(costs: object, confidence_level: object) -> Costs:
    """Return the costs; raise `InputError` for invalid costs or confidence level."""
    from simdeploy.scenario.parts import Costs

    problems = []
    if not isinstance(costs, Costs):
        hint = "pass them, or add a `costs` section to the scenario" if costs is None else None
        problems.append(Problem("no costs", ("costs",), found=shorten(costs), allowed=COSTS_FORM, hint=hint))
    problems += level_problems(confidence_level)
    if problems or not isinstance(costs, Costs):
        raise InputError(problems)
    return costs
