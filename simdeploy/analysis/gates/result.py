"""What the comparison of gates found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from simdeploy.analysis.asking.verdicts import JointVerdict, Verdict
from simdeploy.result import INTERVAL, Columns, Result

if TYPE_CHECKING:
    import pandas as pd

_ESTIMATE = {**INTERVAL, "n": "int64", "unknown_fraction": "float64"}
CURVE = {"gate": "str", "size": "float64", "measure": "str", **_ESTIMATE}
DIFFERENCE = {**CURVE, "verdict": "str"}
OF_MIXTURE = {
    "gate": "str",
    "measure": "str",
    **_ESTIMATE,
    **dict.fromkeys(("difference", "difference_low", "difference_high"), "float64"),
    "verdict": "str",
}
GATE = {"gate": "str", "kind": "str", "says": "str", "observation_s": "float64", "verdict": "str"}


@dataclass(frozen=True, eq=False, repr=False)
class GateComparison(Result):
    """What `compare_gates` found.

    Attributes
    ----------
    curves : DataFrame
        One row per gate, size of the defect and measure: `gate`, `size` (the error rate that the release adds, a fraction; 0
        is a good release), `measure`, `estimate`, `low`, `high`, `n`, and `unknown_fraction`, the share of the rollouts
        that never end, so that nobody knows their value. The intervals of one gate and one measure hold together for all
        sizes. Measures: `stopped`, `decision_requests`, `failed_requests_excess`, `makespan_s given completed`,
        `stopped_at_s`, `makespan_s`.
    differences : DataFrame
        The same columns without the first gate: the measure less that under the threshold, in the same worlds, over the
        replications in which both have a value. The intervals of one measure hold for all gates and sizes together. And the
        `verdict` that they support: better, worse, equal, unclear or unknown; missing where it surely differs and neither
        side is better. Fewer good releases stopped are better, and more defective ones.
    mixture : DataFrame
        Under the scenario's own releases, one row per gate and measure: `gate`, `measure`, `estimate`, `low`, `high`, `n`,
        `unknown_fraction`, each interval by itself; and less the threshold `difference`, `difference_low`,
        `difference_high`, which hold for all gates together, with their `verdict`.
    gates : DataFrame
        One row per gate: `gate`, `kind`, `says` (as a file has it), `observation_s` (how long a node is watched by itself),
        and, but for the threshold, the `verdict` on false alarms and escapes at `size` together: also trades, if one is
        better and the other one worse.
    best : str or None
        The gate that errs least by the estimates, of those whose verdict is better.
    fewest_failed_requests : str or None
        The gate under which the fewest failed requests of a defect of `size` are served, if that is surely better than
        under the threshold; of those that don't surely err more.
    cheapest : str or None
        The gate that costs least by the estimates, the threshold among them.
    left_out : dict of str to str
        Gates of the default that this policy can't have here, with the reason.
    policy : str
    size : float
        The size of the defect that the answer speaks of.
    confidence_level : float
    n_replications : int
        Of each gate at each size.
    n_failed : int
        Rollouts that failed and are left out.
    computed_under : dict
        Scenario, seed, engine and switches; and the costs, if anything counts them.
    """

    curves: Annotated[pd.DataFrame, Columns(CURVE)]
    differences: Annotated[pd.DataFrame, Columns(DIFFERENCE, words={"verdict": Verdict})]
    mixture: Annotated[pd.DataFrame, Columns(OF_MIXTURE, words={"verdict": Verdict})]
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
        """The sizes of the curve, ascending; the first is 0."""
        return tuple(self.curves["size"].drop_duplicates().tolist())

    def row(self, gate: str, size: float, measure: str) -> Mapping[Any, Any]:
        """Return the row of `curves` of a gate at a size."""
        rows = self.curves[self.curves["gate"].eq(gate) & self.curves["size"].eq(size)]
        return dict(rows[rows["measure"].eq(measure)].iloc[0])

    def difference(self, gate: str, size: float, measure: str) -> Mapping[Any, Any]:
        """Return the row of `differences` of a gate at a size."""
        rows = self.differences[self.differences["gate"].eq(gate) & self.differences["size"].eq(size)]
        return dict(rows[rows["measure"].eq(measure)].iloc[0])
