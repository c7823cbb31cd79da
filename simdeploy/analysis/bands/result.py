"""The result of `timelines`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from simdeploy.result import Columns, Result, floats

if TYPE_CHECKING:
    import pandas as pd

# Quantities of which the lowest quantile counts, because less is worse; of the others it is the highest.
WORST_WHEN_LOW = ("in_service", "updated")
# Quantities that only grow during a rollout, so their lowest value is no news.
GROWING = ("updated",)

BAND = {
    "policy": "str",
    "release": "str",
    "quantity": "str",
    "time_s": "float64",
    "n": "int64",
    "mean": "float64",
}
PEAK = {
    "policy": "str",
    "release": "str",
    "quantity": "str",
    "rollouts": "int64",
    **floats("peak", "peak_at_s", "end"),
}


@dataclass(frozen=True, eq=False, repr=False)
class Timelines(Result):
    """Result of `timelines`.

    Attributes
    ----------
    bands : DataFrame
        One row per policy, kind of release (empty if the deployment has no release), `quantity` and instant
        (`time_s`): `n` (rollouts with a value), `mean`, and a column for each quantile, such as `p5`.
    peaks : DataFrame
        One row per policy, kind of release and quantity: `rollouts`, the highest value of the highest quantile (`peak`)
        and when it is first reached (`peak_at_s`), and the mean at the last instant (`end`). Of nodes in service, the
        lowest value of the lowest quantile; of updated nodes, its highest.
    every_s, until_s : float
        Distance of the instants, and the last one.
    quantiles : tuple of float
    n_nodes : int
        Size of the fleet.
    n_replications, n_failed : int
        Replications of each policy; failed rollouts, which are left out.
    computed_under : dict
        Scenario, seed, engine and switches.
    """

    bands: Annotated[pd.DataFrame, Columns(BAND, has_more=True)]
    peaks: Annotated[pd.DataFrame, Columns(PEAK)]
    every_s: float
    until_s: float
    quantiles: tuple[float, ...]
    n_nodes: int
    n_replications: int
    n_failed: int
    computed_under: Mapping[str, Any]
