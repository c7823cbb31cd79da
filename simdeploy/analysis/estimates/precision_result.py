"""The precision of estimates, requested and reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from simdeploy.analysis.estimates.estimating import ESTIMATE_COLUMNS, estimate_frame
from simdeploy.analysis.estimates.targets import Target, count_needed, why_not_yet
from simdeploy.errors import InputError, Problem
from simdeploy.result import Columns, Result
from simdeploy.statistics.estimators import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.experiments.result import SweepResult

Responses = TypeVar("Responses", bound="pd.DataFrame | SweepResult")

_ADDED = {
    "target": "float64",
    "is_relative": "bool",
    "is_reached": "bool",
    "reason": "str",
    "n_replications": "int64",
    "n_needed": "float64",
    "is_hardest": "bool",
}


@dataclass(frozen=True, eq=False, repr=False)
class Precision(Result, Generic[Responses]):
    """Result of `replicate_to_precision` and `sweep_to_precision`.

    Attributes
    ----------
    estimates : DataFrame
        One row per case and measure, with the columns of `Estimates.estimates` and: the `target`, a half-width in the
        measure's unit or, if `is_relative`, a fraction of the estimate; `is_reached`, and the `reason` if not;
        `n_replications` used; `n_needed`, about how many would be enough, judging by this half-width; `is_hardest`,
        whether it is the unreached estimate that is furthest from its target.
    n_replications : int
        Replications of each policy or case, for all kinds of release together.
    most : int
        The budget.
    targets : tuple of Target
    case_columns : tuple of str
        Columns that identify a case.
    confidence_level : float
        Of each interval separately.
    is_reached : bool
        Whether every estimate is as precise as requested.
    computed_under : dict
        Scenario, seed, switches and engine; the engines in order of use if there were several; and the costs, if a
        measure uses them.
    """

    estimates: Annotated[pd.DataFrame, Columns(ESTIMATE_COLUMNS | _ADDED, has_more=True)]
    n_replications: int
    most: int
    targets: tuple[Target, ...]
    case_columns: tuple[str, ...]
    confidence_level: float
    is_reached: bool
    computed_under: Mapping[str, Any]
    _responses: Responses | None

    @property
    def responses(self) -> Responses:
        """All replications: the table of one `replicate`, or the result of one `sweep`, with as many replications.

        Raises
        ------
        InputError
            If the result was read from a document, which has no replications.
        """
        if self._responses is None:
            raise InputError(Problem("a result read from a document has no replications", ("responses",)))
        return self._responses


def precision_frame(values: Values, targets: Sequence[Target], confidence_level: float) -> pd.DataFrame:
    """Return the table of `Precision.estimates`: by case, then by measure."""
    import pandas as pd

    frame = estimate_frame(values, [target.measure for target in targets], confidence_level)
    of_measure = [values.sample(target.measure) for target in targets]
    n = values.n_replications
    rows = []
    for place, row in enumerate(frame.to_dict("records")):
        case, which = divmod(place, len(targets))
        target = targets[which]
        cells = {name: row[name] for name in Estimate._fields[:5]}
        raised = 2 * row["half_width"] - (row["high"] - row["low"])
        estimate = Estimate(**cells, trusts_low=row["is_trusted"], trusts_high=row["is_trusted"], raised=raised)
        reason = why_not_yet(of_measure[which][case], estimate, target)
        needed = count_needed(n, estimate, target)
        rows.append((target.half_width, target.is_relative, not reason, reason, n, needed))
    columns = zip(_ADDED.items(), zip(*rows, strict=True), strict=False)
    frame = frame.assign(**{name: pd.Series(list(column), dtype=dtype) for (name, dtype), column in columns})
    # The hardest needs the most replications; an unknown need sorts first, so a known one takes precedence.
    missed = frame.loc[~frame["is_reached"], "n_needed"].sort_values(na_position="first", kind="stable")
    return frame.assign(is_hardest=frame.index.isin(missed.index[-1:]))
