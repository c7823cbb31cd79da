"""Result of a discovery: boxes of worlds in which a policy breaks, and their quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from simdeploy.analysis.asking.judging import FEWEST_OF_A_MEAN
from simdeploy.result import Columns, Result, floats
from simdeploy.scenario.measures import Requirement

if TYPE_CHECKING:
    import pandas as pd

BOX = {
    "box": "int64",
    "is_found": "bool",
    "is_sure": "bool",
    "limits": "str",
    **floats("density", "density_low", "density_high"),
    **floats("coverage", "coverage_low", "coverage_high"),
    "mass": "float64",
    "n": "int64",
    "n_broken": "int64",
    "n_undecided": "int64",
    **floats("density_outside", "p_value"),
}
LIMIT = {
    "box": "int64",
    "factor": "str",
    **floats("low", "high"),
    "values": "str",
    "limits": "str",
    "quasi_p": "float64",
}
STEP = {
    "box": "int64",
    "step": "int64",
    **floats("coverage", "density", "mass"),
    **floats("held_out_coverage", "held_out_density"),
    "n_restricted": "int64",
    "limits": "str",
    "is_chosen": "bool",
}
WORLD = {"is_held_out": "bool", "is_broken": "boolean", "is_undecided": "bool", "reason": "str", "box": "int64"}


@dataclass(frozen=True, eq=False, repr=False)
class Discovery(Result):
    """Result of `discover`.

    Attributes
    ----------
    policy : str or None
    requirements : tuple of Requirement
        A world breaks if one of them isn't met.
    boxes : DataFrame
        One row per box, in the order of search: `box`; `is_found`, whether the held-out worlds confirm it, and `is_sure`, whether they do
        so even if none of its undecided worlds breaks; its `limits` in words; `density`, the fraction of its worlds that break,
        and `coverage`, the fraction of all breaking worlds that it contains, each with `_low` and `_high`, which allow for
        undecided worlds; `mass`, its fraction of the worlds; `n`, `n_broken` and `n_undecided` of its worlds; `density_outside`;
        and `p_value`, the probability of such a density by chance. All in held-out worlds; for the second box, in those outside
        the first one, except for the coverage.
    limits : DataFrame
        One row per box and factor: `box`, `factor`, `low` and `high` (infinite without a limit), `values` of an
        unordered factor, `limits` in words, and `quasi_p`, the probability of such a density without them.
    path : DataFrame
        The peeling paths: `box` searched for, `step`, `coverage`, `density` and `mass` in the search half,
        `held_out_coverage`, `held_out_density`, `n_restricted` factors, `limits` in words, `is_chosen`.
    worlds : DataFrame
        One row per world: the factors; `is_held_out`; `is_broken`, missing if unknown; `is_undecided`; `reason` if
        unknown; `box` that contains it, 0 for none.
    n_known, n_broken : int
        Worlds known to break or not, and those that break.
    share, share_low, share_high : float
        Fraction of known worlds that break, with an interval that allows for undecided worlds; NaN if no world is known.
    left_out : dict
        Number of worlds left out, by reason.
    is_refused : bool
        Whether no boxes are given, because too many worlds are left out.
    n_replications : int
        Replications in each world; 0 for labels from the caller.
    n_failed : int
        Failed replications.
    confidence_level : float
    computed_under : dict
        Scenario, seed, engine and switches, if known; and the costs, if a measure uses them.
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
    also = ("why_undecided",)

    @property
    def n_undecided(self) -> int:
        """Number of worlds that count by their estimates although their intervals leave the verdict undecided."""
        return int(self.worlds["is_undecided"].sum())

    @property
    def why_undecided(self) -> str:
        """Why a requirement is undecided in every world, whatever the estimates; otherwise empty."""
        needs_more = any(requirement.measure.kind == "mean" for requirement in self.requirements)
        return f"a mean needs {FEWEST_OF_A_MEAN:,}" if needs_more and self.n_replications < FEWEST_OF_A_MEAN else ""
