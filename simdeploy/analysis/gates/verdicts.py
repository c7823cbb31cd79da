"""How gates stand against the threshold: only what the intervals support."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.analysis.asking.verdicts import join_verdicts
from simdeploy.analysis.gates.curves import STOPPED
from simdeploy.analysis.gates.variants import THRESHOLD

if TYPE_CHECKING:
    import pandas as pd


class Conclusion(NamedTuple):
    """What is concluded from curves and differences.

    Attributes
    ----------
    gates : DataFrame
        With the `verdict` on both errors of each gate but the threshold.
    best : str or None
        The gate that errs least by the estimates, of those that are better.
    fewest_failed_requests : str or None
        Of the gates that don't surely err more, the one under which surely fewer failed requests of the defect are served,
        the fewest by the estimates.
    cheapest : str or None
        The gate with the least estimate of the cost; None without costs, or if that of the threshold is unknown.
    """

    gates: pd.DataFrame
    best: str | None
    fewest_failed_requests: str | None
    cheapest: str | None


def conclude(
    gates: pd.DataFrame, curves: pd.DataFrame, differences: pd.DataFrame, mixture: pd.DataFrame, size: float
) -> Conclusion:
    """Judge each gate by its errors: good releases that are stopped, and defects of a size that are not."""
    stopped = curves[curves["measure"].eq(STOPPED)].set_index(["size", "gate"])["estimate"]
    errors = stopped[0.0] + (1 - stopped[size])
    of_errors = differences[differences["measure"].eq(STOPPED) & differences["size"].isin([0.0, size])]
    verdicts = {gate: join_verdicts(of.tolist()) for gate, of in of_errors.groupby("gate")["verdict"]}
    judged = gates.assign(verdict=gates["gate"].map(verdicts).astype("str"))
    better = [gate for gate in gates["gate"] if verdicts.get(gate) == "better"]
    served = differences[
        differences["measure"].eq("failed_requests_excess")
        & differences["size"].eq(size)
        & differences["verdict"].eq("better")
        & ~differences["gate"].map(verdicts).isin(["worse", "trades", "unknown"])
    ]
    cost = mixture[mixture["measure"].eq("cost") & mixture["unknown_fraction"].eq(0) & mixture["estimate"].notna()]
    is_comparable = cost["gate"].eq(THRESHOLD).any()
    return Conclusion(
        judged,
        min(better, key=lambda gate: float(errors[gate]), default=None),
        _find_least(served),
        _find_least(cost) if is_comparable else None,
    )


def _find_least(rows: pd.DataFrame) -> str | None:
    return None if rows.empty else str(rows["gate"].iloc[int(np.argmin(rows["estimate"]))])
