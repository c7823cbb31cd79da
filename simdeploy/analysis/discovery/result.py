"""What a discovery gives: boxes of worlds in which a policy breaks, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from simdeploy.result import Columns, Result
from simdeploy.scenario.measures import Requirement

if TYPE_CHECKING:
    import pandas as pd

BOX = {
    "box": "int64",
    "is_found": "bool",
    "limits": "str",
    "density": "float64",
    "density_low": "float64",
    "density_high": "float64",
    "coverage": "float64",
    "coverage_low": "float64",
    "coverage_high": "float64",
    "mass": "float64",
    "n": "int64",
    "n_broken": "int64",
    "n_undecided": "int64",
    "density_outside": "float64",
    "p_value": "float64",
}
LIMIT = {
    "box": "int64",
    "factor": "str",
    "low": "float64",
    "high": "float64",
    "values": "str",
    "limits": "str",
    "quasi_p": "float64",
}
STEP = {
    "box": "int64",
    "step": "int64",
    "coverage": "float64",
    "density": "float64",
    "mass": "float64",
    "held_out_coverage": "float64",
    "held_out_density": "float64",
    "n_restricted": "int64",
    "limits": "str",
    "is_chosen": "bool",
}
WORLD = {"is_held_out": "bool", "is_broken": "boolean", "is_undecided": "bool", "reason": "str", "box": "int64"}


@dataclass(frozen=True, eq=False, repr=False)
class Discovery(Result):
    """What `discover` found.

    Attributes
    ----------
    policy : str or None
    requirements : tuple of Requirement
        A world breaks if one of them isn't met.
    boxes : DataFrame
        One row per box, in the order in which they were found: `box`; `is_found`, whether it holds in the held-out
        worlds; its `limits` in words; `density`, which part of its worlds break, and `coverage`, which part of all that
        break it has, each with `_low` and `_high`; `mass`, which part of the worlds it is; `n`, `n_broken` and
        `n_undecided` of its worlds; `density_outside`; and `p_value`, how likely chance alone had made it as dense. All
        of it in held-out worlds; of the second box, in what the first one leaves, but for the coverage.
    limits : DataFrame
        One row per box and factor: `box`, `factor`, `low` and `high` (infinite where there is no limit), `values` of a
        factor without an order, `limits` in words, and `quasi_p`, how likely the box were as dense without them.
    path : DataFrame
        The peeling paths: `box` that was looked for, `step`, `coverage`, `density` and `mass` in the worlds of the search,
        `held_out_coverage`, `held_out_density`, `n_restricted` factors, `limits` in words, `is_chosen`.
    worlds : DataFrame
        One row per world: the factors; `is_held_out`; `is_broken`, missing where it isn't known; `is_undecided`;
        `reason` why it isn't known; `box` that it is in, 0 for none.
    n_known, n_broken : int
        Worlds of which it is known whether they break, and those that do.
    share, share_low, share_high : float
        Which part of them that is, with its interval; NaN if nothing is known.
    left_out : dict
        How many worlds are left out for which reason.
    is_refused : bool
        Whether too many are.
    n_replications : int
        In each world; 0 for labels that a caller had.
    n_failed : int
        Replications that failed.
    confidence_level : float
    computed_under : dict
        Scenario, seed, engine and switches, as far as they are known; and the costs, if anything counts them.
    """

    policy: str | None
    requirements: tuple[Requirement, ...]
    boxes: Annotated[pd.DataFrame, Columns(BOX)]
    limits: Annotated[pd.DataFrame, Columns(LIMIT)]
    path: Annotated[pd.DataFrame, Columns(STEP)]
    worlds: Annotated[pd.DataFrame, Columns(WORLD, has_more=True)]
    n_known: int
    n_broken: int
    share: float
    share_low: float
    share_high: float
    left_out: Mapping[str, int]
    is_refused: bool
    n_replications: int
    n_failed: int
    confidence_level: float
    computed_under: Mapping[str, Any]
