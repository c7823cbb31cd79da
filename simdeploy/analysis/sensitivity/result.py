"""What a sensitivity analysis gives: indices by factor, and what they mean in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure, name_factors
from simdeploy.analysis.sensitivity.responding import NEVER_ENDS, NO_VALUE
from simdeploy.report.wording import PERCENT, Scale, difference_scale, format_estimate, join_words, measure_scale
from simdeploy.result import Result, Table
from simdeploy.scenario.measures import Measure

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.sensitivity.designs import Method

BLOCKS = {"morris": "trajectories", "sobol": "rows"}

# By which of a method's indices factors are ranked.
RANKED_BY = {"morris": "mu_star", "sobol": "total"}

# If more blocks than these have no value for what happens in the simulation, the others are other worlds.
MOST_UNKNOWN_FRACTION = 0.1

_MOST_NAMED = 3
_HEADINGS = {
    "mu_star": "mean absolute effect (mu*)",
    "mu": "mean effect (mu)",
    "sigma": "spread of effects (sigma)",
    "first": "alone (first order)",
    "total": "with all others (total order)",
}


@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity(Result):
    """What `estimate_sensitivity` found.

    Attributes
    ----------
    method : {'morris', 'sobol'}
    of : Measure or None
        The response; None for numbers that a caller computed.
    policy : str or None
    indices : DataFrame
        One row per factor and index, the factors that move the response most first: `factor`, `index` (Morris:
        "mu_star", "mu", "sigma", in the unit of the response per range of the factor; Sobol: "first", "total",
        fractions of the variance), `estimate`, `low`, `high`, each interval by itself, `standard_error`. NaN where the
        answer is refused.
    factors : DataFrame
        One row per factor: `factor`, and what it is varied `over`.
    points : DataFrame
        One row per point of the design: its `block`, the factors, the `response`, and the `reason` why it has none.
    n_blocks, n_used : int
        Trajectories or rows, and those without a point that has no response.
    left_out : dict
        How many blocks are left out for which reason.
    n_replications : int
        At each point; 0 for numbers that a caller computed.
    n_failed : int
        Replications that failed.
    confidence_level : float
    computed_under : dict
        Scenario, seed, engine and switches, as far as the table says.
    """

    method: Method
    of: Measure | None
    policy: str | None
    indices: pd.DataFrame
    factors: pd.DataFrame
    points: pd.DataFrame
    n_blocks: int
    n_used: int
    left_out: Mapping[str, int]
    n_replications: int
    n_failed: int
    confidence_level: float
    computed_under: Mapping[str, Any]

    def to_frame(self) -> pd.DataFrame:
        """Return the indices."""
        return self.indices

    @property
    def is_refused(self) -> bool:
        """Whether too many points have no response for anything to be said."""
        return bool(self.indices["estimate"].isna().all() and not self.is_constant)

    @property
    def is_constant(self) -> bool:
        """Whether the response is the same at all points that have one."""
        return self.n_used > 0 and self.points["response"].nunique() == 1

    @property
    def answer(self) -> str:
        """Which factors move the response most, and which don't move it."""
        subject = self.subject
        if self.is_refused:
            return f"Nothing can be said of {subject}: {self._say_left_out()}.{self._say_remedy()}"
        if self.is_constant:
            n = len(self.factors)
            text = f"None of the {n} factors moves {subject}" if n > 1 else f"The factor doesn't move {subject}"
            return self._end(f"{text}: it is the same at every point")
        ranked = self._ranked()
        inert = ranked["estimate"].eq(0) & ranked["standard_error"].eq(0)
        moving = ranked[~inert]
        parts = [self._say_first(moving.iloc[0])]
        others = [f"{row['name']} ({self.write(row)})" for _, row in moving.iloc[1:_MOST_NAMED].iterrows()]
        if others:
            parts.append(f"next {'is' if len(others) == 1 else 'are'} {join_words(others)}")
            rival = moving.iloc[1:]
            if not (rival["high"] < moving["low"].iloc[0]).all():
                parts.append(f"which of them is first isn't sure at {100 * self.confidence_level:g} %")
        if inert.any():
            names = join_words(list(ranked["name"][inert]))
            parts.append(f"{names} change{'s' if inert.sum() == 1 else ''} not one number")
        return self._end("; ".join(parts))

    @property
    def subject(self) -> str:
        """What was looked at, in words."""
        name = "the response" if self.of is None else describe_measure(self.of)
        return name if self.policy is None else f"{name} under {self.policy}"

    def summarize(self) -> tuple[Table, ...]:
        """Return the indices of each factor, what moves the response most first."""
        short = self.names()
        over = dict(zip(self.factors["factor"], self.factors["over"], strict=True))
        by_factor = self.indices.set_index(["factor", "index"])
        kinds = list(dict.fromkeys(self.indices["index"]))
        rows = tuple(
            (short[name], over[name], *(self.write(by_factor.loc[name, kind]) for kind in kinds))
            for name in dict.fromkeys(self.indices["factor"])
        )
        title = f"What moves {self.subject}, with {100 * self.confidence_level:g} % intervals"
        return (Table(title, ("factor", "varied over", *(_HEADINGS[kind] for kind in kinds)), rows),)

    def names(self) -> dict[str, str]:
        """Return the factors' names as they are told, by their full ones."""
        return dict(zip(self.factors["factor"], name_factors(list(self.factors["factor"])), strict=True))

    @property
    def scale(self) -> Scale:
        """How indices are shown."""
        if self.method == "sobol":
            return PERCENT
        if self.of is None:
            return Scale(1, "")
        return difference_scale(measure_scale(self.of, float(self.indices["estimate"].abs().max())))

    def write(self, row: pd.Series) -> str:
        """Write one index with its interval."""
        return format_estimate(float(row["estimate"]), float(row["low"]), float(row["high"]), self.scale)

    def _ranked(self) -> pd.DataFrame:
        rows = self.indices[self.indices["index"].eq(RANKED_BY[self.method])]
        return rows.assign(name=rows["factor"].map(self.names())).reset_index(drop=True)

    def _say_first(self, row: pd.Series) -> str:
        if self.method == "morris":
            return (
                f"{row['name']} moves {self.subject} most: from end to end of its range by {self.write(row)} on average"
            )
        of_factor = self.indices[self.indices["factor"].eq(row["factor"]) & self.indices["index"].eq("first")]
        alone = self.write(of_factor.iloc[0])
        text = f"{row['name']} moves {self.subject} most: alone it explains {alone} of the variance"
        return f"{text}, with all others {self.write(row)}"

    def _say_left_out(self) -> str:
        word = BLOCKS[self.method]
        told = [f"{reason} in {number:,}" for reason, number in self.left_out.items()]
        return f"{self.n_blocks - self.n_used:,} of {self.n_blocks:,} {word} are left out ({'; '.join(told)})"

    def _say_remedy(self) -> str:
        if NEVER_ENDS in self.left_out:
            return " Ask for something that is known of every rollout, such as in_progress or blast_radius."
        if NO_VALUE in self.left_out:
            return " More replications at each point might do."
        return ""

    def _end(self, text: str) -> str:
        return f"{text}; {self._say_left_out()}." if self.left_out else f"{text}."


def make_interval(estimate: float, half_width: float, least: float) -> tuple[float, float, float]:
    """Return an estimate and its interval, no less than a least value; unknown ends stay so.

    Examples
    --------
    >>> make_interval(-0.5, 2.0, 0.0)
    (0.0, 0.0, 1.5)
    """
    if math.isnan(estimate):
        return math.nan, math.nan, math.nan
    low, high = estimate - half_width, estimate + half_width
    return (
        max(estimate, least),
        low if math.isnan(low) else max(low, least),
        high if math.isnan(high) else max(high, least),
    )
