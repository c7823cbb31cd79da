"""Result of a comparison of gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from simdeploy.analysis.asking.verdicts import DifferenceVerdict, JointVerdict
from simdeploy.result import INTERVAL, Columns, Result, interval_columns

if TYPE_CHECKING:
    import pandas as pd

_ESTIMATE = {**INTERVAL, "n": "int64", "is_trusted": "bool", "unknown_fraction": "float64"}
CURVE = {"gate": "str", "size": "float64", "measure": "str", **_ESTIMATE}
DIFFERENCE = {**CURVE, "verdict": "str"}
OF_MIXTURE = {
    "gate": "str",
    "measure": "str",
    **_ESTIMATE,
    **interval_columns("difference"),
    "verdict": "str",
}
GATE = {"gate": "str", "kind": "str", "says": "str", "observation_s": "float64", "verdict": "str"}


@dataclass(frozen=True, eq=False, repr=False)
class GateComparison(Result):
    """Result of `compare_gates`.

    Attributes
    ----------
    curves : DataFrame
        One row per gate, size of the defect and measure: `gate`, `size` (the error rate that the release adds, a
        fraction; 0 is a good release), `measure`, `estimate`, `low`, `high`, `n`, `is_trusted` (see `Estimates`), and
        `unknown_fraction`, the share of rollouts that never end, so their value is unknown. The intervals of one gate and measure hold together for all
        sizes. Measures: `stopped`, `decision_requests`, `failed_requests_excess`, `makespan_s given completed`,
        `stopped_at_s`, `makespan_s`.
    differences : DataFrame
        The same columns for all but the first gate: the measure minus that under the threshold, in the same worlds,
        over the replications in which both have a value. The intervals of one measure hold for all gates and sizes
        together. `verdict`: better, worse, equal, unclear or unknown; missing for a significant difference without a
        better side. Fewer good releases stopped are better, and more defective ones.
    mixture : DataFrame
        Under the scenario's own releases, one row per gate and measure: `gate`, `measure`, `estimate`, `low`, `high`,
        `n`, `is_trusted`, `unknown_fraction`, each interval separately; and minus the threshold `difference`,
        `difference_low`, `difference_high`, `difference_is_trusted`, which hold for all gates together, with their
        `verdict`.
    gates : DataFrame
        One row per gate: `gate`, `kind`, `says` (as in a file), `observation_s` (a node's own observation), and, except
        for the threshold, the `verdict` on false alarms and escapes at `size` together, which may also be trades: one
        is better and the other worse.
    best : str or None
        Among gates with verdict better, the one with the fewest errors by the estimates.
    fewest_failed_requests : str or None
        Among gates not significantly worse in errors, the one with the fewest failed requests for a defect of `size`,
        if significantly fewer than under the threshold.
    cheapest : str or None
        Gate with the lowest cost by the estimates; may be the threshold.
    left_out : dict of str to str
        Default gates that this policy can't have here, or that don't suit the fleet, with the reason.
    policy : str
    size : float
        Size of the defect named in the answer.
    confidence_level : float
    n_replications : int
        Replications of each gate at each size.
    n_failed : int
        Failed rollouts, which are left out.
    computed_under : dict
        Scenario, seed, engine and switches; and the costs, if a measure uses them.
    """

    curves: Annotated[pd.DataFrame, Columns(CURVE)]
    differences: Annotated[pd.DataFrame, Columns(DIFFERENCE, words={"verdict": DifferenceVerdict})]
    mixture: Annotated[pd.DataFrame, Columns(OF_MIXTURE, words={"verdict": DifferenceVerdict})]
    gates: Annotated[pd.DataFrame, Columns(GATE, words={"verdict": JointVerdict})]
    best: str | None
    fewest_failed_requests: str | None
    cheapest: str | None
    left_out: Mapping[str, str]
    policy: str
    size: float
    confidence_level: float
    n_replications: int
    n_failed: int
    computed_under: Mapping[str, Any]

    @property
    def sizes(self) -> tuple[float, ...]:
        """Sizes of the curve, ascending; the first is 0."""
        return tuple(self.curves["size"].drop_duplicates().tolist())

    def row(self, gate: str, size: float, measure: str) -> Mapping[Any, Any]:
        """Return the row of `curves` of a gate at a size.

        Parameters
        ----------
        gate, measure : str
            As in the columns of `curves`.
        size : float
            One of `sizes`: the error rate that the release adds, a fraction.

        Returns
        -------
        mapping of str to value

        Examples
        --------
        >>> import simdeploy
        >>> scenario = simdeploy.Scenario.from_dict({
        ...     "name": "ten nodes",
        ...     "fleet": {"nodes": 10, "update_duration": "1m", "requests_per_second": 10},
        ...     "policies": {"waves": {"strategy": "rolling", "max_parallel": 5, "max_failed_nodes": 2,
        ...                            "health_check": {"deadline": "5m", "max_error_rate": 0.02}}},
        ... })
        >>> gates = simdeploy.compare_gates(scenario, gates=["pooled"], sizes=[0.03], replications=20, engine="reference")
        >>> float(gates.row("threshold", 0.03, "stopped")["estimate"])
        0.85
        """
        return _find_row(self.curves, gate, size, measure)

    def difference(self, gate: str, size: float, measure: str) -> Mapping[Any, Any]:
        """Return the row of `differences` of a gate at a size.

        Parameters
        ----------
        gate, measure : str
            As in the columns of `differences`.
        size : float
            One of `sizes`: the error rate that the release adds, a fraction.

        Returns
        -------
        mapping of str to value

        Examples
        --------
        >>> import simdeploy
        >>> scenario = simdeploy.Scenario.from_dict({
        ...     "name": "ten nodes",
        ...     "fleet": {"nodes": 10, "update_duration": "1m", "requests_per_second": 10},
        ...     "policies": {"waves": {"strategy": "rolling", "max_parallel": 5, "max_failed_nodes": 2,
        ...                            "health_check": {"deadline": "5m", "max_error_rate": 0.02}}},
        ... })
        >>> gates = simdeploy.compare_gates(scenario, gates=["pooled"], sizes=[0.03], replications=20, engine="reference")
        >>> float(gates.difference("pooled", 0.03, "stopped")["estimate"])
        0.15
        """
        return _find_row(self.differences, gate, size, measure)


def _find_row(table: pd.DataFrame, gate: str, size: float, measure: str) -> Mapping[Any, Any]:
    is_meant = table["gate"].eq(gate) & table["size"].eq(size) & table["measure"].eq(measure)
    return dict(table[is_meant].iloc[0])
