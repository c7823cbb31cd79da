"""What a rollout costs under each policy, and what of it comes from which cause."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.naming import LABELS, name_cases
from simdeploy.analysis.asking.unknown import unknown_fractions
from simdeploy.analysis.frames import make_frame
from simdeploy.errors import InputError, Problem, shorten
from simdeploy.report.wording import Scale, format_cell, format_estimate, format_number, say_unknown
from simdeploy.result import Result, Table, read_computed_under
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import estimate_values
from simdeploy.statistics.levels import level_problems
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from simdeploy.experiments.gathering import Batches
    from simdeploy.scenario.parts import Costs

_PART = {
    "cause": "str",
    "estimate": "float64",
    "low": "float64",
    "high": "float64",
    "half_width": "float64",
    "n": "int64",
    "standard_error": "float64",
    "unknown_fraction": "float64",
}
A_ROLLOUT = Scale(1, "a rollout")


@dataclass(frozen=True, eq=False, repr=False)
class CostResult(Result):
    """What `estimate_costs` found.

    Attributes
    ----------
    parts : DataFrame
        One row per case and cause: `policy` and what else identifies the case; `cause`, which is `cost` for the total,
        followed by its parts; `estimate` (the mean of a rollout), `low`, `high`, `half_width`, `n` and `standard_error`;
        `unknown_fraction`, the share of the rollouts that never end, so that nobody knows what they will have cost.
    confidence_level : float
        Of each interval by itself.
    costs : dict of str to float
        The costs per unit that it was computed with.
    n_left_out : int
        Replications, of all cases together, of which the cost isn't known: they failed, or never end.
    computed_under : dict
        Scenario, seed, engine and switches, as far as the table says.
    """

    parts: pd.DataFrame
    confidence_level: float
    costs: Mapping[str, float]
    n_left_out: int
    computed_under: Mapping[str, Any]

    @property
    def case_columns(self) -> tuple[str, ...]:
        """The columns of `parts` that identify a case."""
        return tuple(str(name) for name in self.parts if name not in _PART)

    @property
    def totals(self) -> pd.DataFrame:
        """The rows of the total, one per case."""
        return self.parts[self.parts["cause"].eq("cost")].reset_index(drop=True)

    @property
    def answer(self) -> str:
        """What the cheapest case costs, and what of it weighs most; and of which cases the cost is unknown."""
        totals = self.totals
        names, fractions = name_cases(totals, self.case_columns), totals["unknown_fraction"]
        unknown = say_unknown(dict(zip(names, fractions, strict=True)), "cost")
        known = totals["estimate"].where(fractions.eq(0))
        if known.isna().all():
            return f"{unknown}." if unknown else "No rollout ended: nothing can be said of its cost."
        return f"{unknown}. {self._say_least(known, names)}" if unknown else self._say_least(known, names)

    def _say_least(self, known: pd.Series, names: list[str]) -> str:
        place = int(np.nanargmin(known.to_numpy()))
        best = self.totals.iloc[place]
        parts = self.parts.iloc[place * len(COSTS) + 1 : (place + 1) * len(COSTS)]
        largest = parts.iloc[int(parts["estimate"].to_numpy().argmax())]
        told = format_estimate(best["estimate"], best["low"], best["high"], A_ROLLOUT)
        of_others = "Of the others " if self.totals["unknown_fraction"].any() and known.count() > 1 else ""
        begun = f"{of_others}{names[place]} costs{' least' if known.count() > 1 else ''}: {told}"
        if not largest["estimate"] > 0:
            return f"{begun}."
        weight = format_number(largest["estimate"], largest["half_width"])
        return f"{begun}; most of it is the {LABELS[largest['cause']][0]}, {weight}."

    def to_frame(self) -> pd.DataFrame:
        """Return `parts`."""
        return self.parts

    def summarize(self) -> tuple[Table, ...]:
        """Return the cost of each case, split by cause."""
        names = name_cases(self.totals, self.case_columns)
        rows = [
            (name, *map(_cell, self.parts.iloc[place * len(COSTS) : (place + 1) * len(COSTS)].to_dict("records")))
            for place, name in enumerate(names)
        ]
        title = f"Cost of a rollout by cause, with {100 * self.confidence_level:g} % intervals"
        return (Table(title, ("policy", *(LABELS[cause][0] for cause in COSTS)), tuple(rows)),)


def estimate_costs(responses: pd.DataFrame | Batches, costs: Costs, *, confidence_level: float = 0.95) -> CostResult:
    r"""Estimate what a rollout costs under each policy, and what of it comes from which cause.

    Parameters
    ----------
    responses : DataFrame, SweepResult or StoredTable
        As from `replicate`, `sweep` or `read_store`. Neither order nor further columns matter.
    costs : Costs
        The scenario's (`Scenario.costs`); the result is in the same unit.
    confidence_level : float, default 0.95
        Of each interval by itself, between 0 and 1.

    Returns
    -------
    CostResult

    Raises
    ------
    InputError
        If there are no costs, or if the table is none of replications.

    Notes
    -----
    Of a rollout: `hour_of_delay` times its makespan, also of one that is stopped by a false alarm, but not of a defective
    release that is stopped, which nobody wanted out; `failed_request` times `failed_requests_excess`;
    `unavailable_node_hour` times `unavailable_excess_node_s`, which may be below 0 where updates repair nodes;
    `false_alarm` and `escape` once for each of these verdicts.

    Each row is a mean over the same replications, those whose cost is known, so the parts add up to the total. The
    intervals are Student's t (Law 2015 [1]_, equation 4.12). They know only what was seen: a cost that comes
    from an event in a hundred rollouts needs some thousands of them. A rollout that never ends has no
    known cost, and may still become the dearest; a case with such rollouts is never called the cheapest.

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
    ... })
    >>> costs = Costs(failed_request=0.1, unavailable_node_hour=0, hour_of_delay=20, false_alarm=150, escape=1000)
    >>> result = estimate_costs(table, costs)
    >>> result.parts[["policy", "cause", "estimate", "n"]]
      policy                 cause  estimate  n
    0  waves                  cost     535.0  2
    1  waves            cost_delay      30.0  2
    2  waves  cost_failed_requests       5.0  2
    3  waves   cost_unavailability       0.0  2
    4  waves      cost_false_alarm       0.0  2
    5  waves           cost_escape     500.0  2
    """
    check_arguments(costs, confidence_level)
    values = Values(responses, [Measure("cost")], costs=costs)
    by_cause = {"cost": values.of(Measure("cost")), **values.cost_by_cause()}
    known, unknown = ~np.isnan(by_cause["cost"]), unknown_fractions(values, Measure("cost"))
    rows: list[dict[str, Any]] = []
    for place, case in enumerate(values.cases.to_dict("records")):
        key = {str(name): value for name, value in case.items()}
        for cause in COSTS:
            of_case = by_cause[cause][place][known[place]]
            found = estimate_values(of_case, Measure(cause), confidence_level)
            own = {"half_width": found.half_width, "unknown_fraction": unknown[place]}
            rows.append({**key, "cause": cause, **found._asdict(), **own})
    dtypes = {str(name): dtype for name, dtype in values.cases.dtypes.items()} | _PART
    return CostResult(
        parts=make_frame(rows, dtypes),
        confidence_level=confidence_level,
        costs=asdict(costs),
        n_left_out=int((~known).sum()),
        computed_under=read_computed_under(responses),
    )


def check_arguments(costs: object, confidence_level: object) -> None:
    """Refuse what is neither costs nor a confidence level.

    Raises
    ------
    InputError
    """
    from simdeploy.scenario.parts import Costs

    problems = []
    if not isinstance(costs, Costs):
        hint = "add a section `costs` to the scenario" if costs is None else None
        allowed = "the costs of a scenario, such as scenario.costs"
        problems.append(Problem("no costs are known", ("costs",), found=shorten(costs), allowed=allowed, hint=hint))
    problems += level_problems(confidence_level)
    if problems:
        raise InputError(problems)


def _cell(row: Mapping[Any, Any]) -> str:
    return format_cell(row["estimate"], row["low"], row["high"], Scale(1, ""))
