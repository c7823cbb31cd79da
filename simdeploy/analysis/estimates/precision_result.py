"""How precise estimates are, and how precise they were to be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from simdeploy.analysis.asking.naming import describe_measure, name_cases
from simdeploy.analysis.estimates.estimating import estimate_frame, format_rows
from simdeploy.analysis.estimates.stopping import count_needed, why_not_yet
from simdeploy.report.wording import Scale, difference_scale, measure_scale
from simdeploy.result import Result, Table
from simdeploy.statistics.estimators import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.analysis.estimates.targets import Target
    from simdeploy.experiments.result import SweepResult
    from simdeploy.scenario.measures import Measure

Responses = TypeVar("Responses", bound="pd.DataFrame | SweepResult")

_ADDED = {
    "target": "float64",
    "is_relative": "bool",
    "is_reached": "bool",
    "reason": "str",
    "n_replications": "int64",
    "n_needed": "float64",
}


@dataclass(frozen=True, eq=False, repr=False)
class Precision(Result, Generic[Responses]):
    """What `replicate_to_precision` and `sweep_to_precision` found.

    Attributes
    ----------
    estimates : DataFrame
        One row per case and measure with the columns of `Estimates.estimates`, and: the `target`, a half-width in the
        measure's unit or, where `is_relative`, a fraction of the estimate; whether it `is_reached`, and the `reason` why
        not; the `n_replications` used, and the `n_needed` that would about do if so many gave this half-width.
    n_replications : int
        Of each policy or case.
    most : int
        The budget.
    targets : tuple of Target
    case_columns : tuple of str
        The columns that identify a case.
    confidence_level : float
        Of each interval by itself.
    computed_under : dict
        Scenario, seed, switches and engine; the engines in their order if the first looks were another one's.
    """

    estimates: pd.DataFrame
    n_replications: int
    most: int
    targets: tuple[Target, ...]
    case_columns: tuple[str, ...]
    confidence_level: float
    computed_under: Mapping[str, Any]
    _responses: Responses

    @property
    def responses(self) -> Responses:
        """All replications: the table that one `replicate` of so many gives, or the result of one such `sweep`."""
        return self._responses

    @property
    def is_reached(self) -> bool:
        """Whether every estimate is as precise as asked."""
        return bool(self.estimates["is_reached"].all())

    @property
    def answer(self) -> str:
        """Say how many replications it took, and what is not precise enough."""
        what = "case" if "case" in self.case_columns else "policy"
        used = f"{self.n_replications:,} replications of each {what}"
        asked = ", ".join(_describe(target) for target in self.targets)
        missed = self.estimates[~self.estimates["is_reached"]]
        if missed.empty:
            return f"{used} were enough: {asked}, with {100 * self.confidence_level:g} % intervals."
        # The one that is furthest away decides on how many it would take; of one that nobody can tell that is unknown.
        hardest = missed.sort_values("n_needed", na_position="first", kind="stable").iloc[[-1]]
        under = name_cases(self.estimates, self.case_columns)[int(hardest.index[0])]
        measure, reason, needed = hardest[["measure", "reason", "n_needed"]].iloc[0]
        measure = describe_measure(self._target(measure).measure)
        about = f"; about {_round_up(needed):,} would do" if needed > self.n_replications else ""
        return (
            f"{used}, as many as {self.most:,} at most allow, were too few for {len(missed)} of "
            f"{len(self.estimates)} estimates: hardest is {measure} under {under} ({reason}{about})."
        )

    def to_frame(self) -> pd.DataFrame:
        """Return `estimates`."""
        return self.estimates

    def summarize(self) -> tuple[Table, ...]:
        """Return one table: a line for each case and measure."""
        names = name_cases(self.estimates, self.case_columns)
        cells = (self._format(self.estimates.iloc[[place]]) for place in range(len(names)))
        lines = tuple((name, *words) for name, words in zip(names, cells, strict=True))
        header = (
            "case" if "case" in self.case_columns else "policy",
            "measure",
            "estimate",
            "half-width",
            "asked",
            "reached",
        )
        return (Table(f"Precision with {100 * self.confidence_level:g} % intervals", header, lines),)

    def _target(self, measure: str) -> Target:
        return next(target for target in self.targets if str(target.measure) == measure)

    def _format(self, row: pd.DataFrame) -> tuple[str, ...]:
        found = row.iloc[0]
        target = self._target(found["measure"])
        measure, width = target.measure, found["half_width"]
        estimate = format_rows(row, measure_scale(measure, float(found["estimate"])))
        scale = _width_scale(measure, width if target.is_relative else max(width, target.half_width))
        asked = f"{100 * target.half_width:g} % relative" if target.is_relative else _amount(target.half_width, scale)
        reached = "yes" if found["is_reached"] else f"no: {found['reason']}"
        return (describe_measure(measure), *estimate, _amount(width, scale), asked, reached)


def precision_frame(values: Values, targets: Sequence[Target], confidence_level: float) -> pd.DataFrame:
    """Return the table of `Precision.estimates`: by case, then by measure."""
    import pandas as pd

    frame = estimate_frame(values, [target.measure for target in targets], confidence_level)
    of_measure = [values.of(target.measure) for target in targets]
    n = values.n_replications
    rows = []
    for place, row in enumerate(frame.itertuples(index=False)):
        case, which = divmod(place, len(targets))
        target = targets[which]
        found = Estimate(*(getattr(row, name) for name in Estimate._fields))
        reason = why_not_yet(of_measure[which][case], found, target)
        needed = count_needed(n, found, target)
        rows.append((target.half_width, target.is_relative, not reason, reason, n, needed))
    columns = zip(_ADDED.items(), zip(*rows, strict=True), strict=True)
    return frame.assign(**{name: pd.Series(list(column), dtype=dtype) for (name, dtype), column in columns})


def _describe(target: Target) -> str:
    scale = _width_scale(target.measure, target.half_width)
    amount = f"{100 * target.half_width:g} % of itself" if target.is_relative else _amount(target.half_width, scale)
    return f"{describe_measure(target.measure)} to {amount}"


def _width_scale(measure: Measure, width: float) -> Scale:
    """Return how a half-width is shown: it is a difference."""
    return difference_scale(measure_scale(measure, width))


def _amount(half_width: float, scale: Scale) -> str:
    if math.isnan(half_width):
        return "unknown"
    shown = half_width * scale.factor
    return f"{shown:.3g} {scale.unit}".rstrip()


def _round_up(n: float) -> int:
    """Round to two digits, upwards: it is an estimate."""
    unit = int(10 ** max(math.floor(math.log10(n)) - 1, 0))
    return math.ceil(n / unit) * unit
