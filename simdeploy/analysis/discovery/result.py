"""What a discovery gives: boxes of worlds in which a policy breaks, and what they are worth, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.sensitivity.responding import NEVER_ENDS, NO_VALUE
from simdeploy.report.wording import PERCENT, format_estimate
from simdeploy.result import Result, Table
from simdeploy.scenario.measures import Requirement
from simdeploy.statistics.intervals import proportion_interval

if TYPE_CHECKING:
    import pandas as pd


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
        Scenario, seed, engine and switches, as far as they are known.
    """

    policy: str | None
    requirements: tuple[Requirement, ...]
    boxes: pd.DataFrame
    limits: pd.DataFrame
    path: pd.DataFrame
    worlds: pd.DataFrame
    left_out: Mapping[str, int]
    is_refused: bool
    n_replications: int
    n_failed: int
    confidence_level: float
    computed_under: Mapping[str, Any]

    def to_frame(self) -> pd.DataFrame:
        """Return the boxes."""
        return self.boxes

    @property
    def n_known(self) -> int:
        """Worlds of which it is known whether they break."""
        return int(self.worlds["is_broken"].notna().sum())

    @property
    def n_broken(self) -> int:
        """Worlds that break."""
        return int(self.worlds["is_broken"].sum())

    @property
    def answer(self) -> str:
        """In which worlds the policy breaks, and how much of what breaks that is."""
        if self.is_refused:
            return f"Nothing can be said of where {self._subject} breaks: {self._say_left_out()}.{self._say_remedy()}"
        found = self.boxes[self.boxes["is_found"]]
        share = f"{self.n_broken:,} of {self.n_known:,} worlds"
        overall = self._percent(self.n_broken, self.n_known)
        if not self.n_broken:
            text = f"{self._subject} breaks in none of {self.n_known:,} worlds, {overall}"
        elif self.n_broken == self.n_known:
            text = f"{self._subject} breaks in all {self.n_known:,} worlds, {overall}"
        elif found.empty:
            text = f"{self._subject} breaks in {share}, {overall}; no box of factors was found that has more of them than chance"
        else:
            first, *others = [
                self._say_box(row, is_first=number == 0) for number, (_, row) in enumerate(found.iterrows())
            ]
            parts = [f"{self._subject} breaks {first}", *others, f"in all it breaks in {share}, {overall}"]
            text = "; ".join(parts)
        n_undecided = int(self.worlds["is_undecided"].sum())
        if n_undecided:
            what = "world is" if n_undecided == 1 else "worlds are"
            text += f"; {n_undecided:,} {what} too close to call with {self.n_replications:,} replication{'s' * (self.n_replications != 1)}"
        return f"{text}; {self._say_left_out()}." if self.left_out else f"{text}."

    def summarize(self) -> tuple[Table, ...]:
        """Return the boxes, their limits, and the path of the first one."""
        tables = []
        level = f"{100 * self.confidence_level:g} %"
        if len(self.boxes):
            boxes = tuple(
                (
                    f"{row['box']}",
                    "yes" if row["is_found"] else "no",
                    self._write(row, "density"),
                    self._write(row, "coverage"),
                    f"{100 * row['mass']:.1f} %",
                    f"{100 * row['density_outside']:.1f} %",
                    f"{row['n_undecided']} of {row['n']}",
                    f"{row['p_value']:.2g}",
                )
                for _, row in self.boxes.iterrows()
            )
            header = ("box", "holds", "density", "coverage", "mass", "density outside", "undecided", "p-value")
            tables.append(Table(f"Boxes in held-out worlds, with {level} intervals", header, boxes))
            limits = tuple(
                (f"{row['box']}", row["limits"], f"{row['quasi_p']:.2g}") for _, row in self.limits.iterrows()
            )
            tables.append(Table("Their limits", ("box", "limit", "quasi-p-value"), limits))
        steps = self.path[self.path["box"].eq(1)]
        path = tuple(
            (
                f"{row['step']}" + (" chosen" if row["is_chosen"] else ""),
                f"{100 * row['coverage']:.0f} %",
                f"{100 * row['density']:.0f} %",
                f"{100 * row['mass']:.0f} %",
                f"{row['n_restricted']}",
                row["limits"],
            )
            for _, row in steps.iterrows()
        )
        if len(path) > 1:
            columns = ("step", "coverage", "density", "mass", "factors", "limits")
            tables.append(Table("Peeling path of the first box, in the worlds of the search", columns, path))
        return tuple(tables)

    @property
    def _subject(self) -> str:
        return "It" if self.policy is None else self.policy

    def _say_box(self, row: pd.Series, *, is_first: bool) -> str:
        density, coverage = self._write(row, "density"), self._write(row, "coverage")
        if is_first:
            return (
                f"where {row['limits']}: {density} of the worlds in that box break (density), which is {coverage} "
                f"of all that break (coverage)"
            )
        return f"of the rest, where {row['limits']}: {density}, {coverage} of all that break"

    def _write(self, row: pd.Series, name: str) -> str:
        estimate, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
        return format_estimate(estimate, low, high, PERCENT)

    def _percent(self, broken: int, n: int) -> str:
        return format_estimate(broken / n, *proportion_interval(broken, n, self.confidence_level), PERCENT)

    def _say_left_out(self) -> str:
        told = [f"{reason} in {number:,}" for reason, number in self.left_out.items()]
        return f"{sum(self.left_out.values()):,} of {len(self.worlds):,} worlds are left out ({'; '.join(told)})"

    def _say_remedy(self) -> str:
        if NEVER_ENDS in self.left_out:
            return " Require something that is known of every rollout, such as in_progress <= 1%."
        return " More replications in each world might do." if NO_VALUE in self.left_out else ""
