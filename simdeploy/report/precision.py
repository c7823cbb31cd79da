"""How precise estimates are, and what is not precise enough, in words and as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure, name_cases
from simdeploy.report.estimates import format_rows
from simdeploy.report.wording import Scale, difference_scale, measure_scale
from simdeploy.result import Table

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.estimates.precision_result import Precision
    from simdeploy.analysis.estimates.targets import Target
    from simdeploy.scenario.measures import Measure


def tell(found: Precision[Any]) -> str:
    """Say how many replications it took, and what is not precise enough."""
    what = "case" if "case" in found.case_columns else "policy"
    used = f"{found.n_replications:,} replications of each {what}"
    if found.is_reached:
        asked = ", ".join(_describe(target) for target in found.targets)
        return f"{used} were enough: {asked}, with {100 * found.confidence_level:g} % intervals."
    place = int(found.estimates["is_hardest"].argmax())
    hardest = found.estimates.iloc[place]
    under = name_cases(found.estimates, found.case_columns)[place]
    measure, needed = describe_measure(_find_target(found, hardest["measure"]).measure), hardest["n_needed"]
    about = f"; about {_round_up(needed):,} would do" if needed > found.n_replications else ""
    n_missed = int((~found.estimates["is_reached"]).sum())
    return (
        f"{used}, as many as {found.most:,} at most allow, were too few for {n_missed} of "
        f"{len(found.estimates)} estimates: hardest is {measure} under {under} ({hardest['reason']}{about})."
    )


def tabulate(found: Precision[Any]) -> tuple[Table, ...]:
    """Return one table: a line for each case and measure."""
    names = name_cases(found.estimates, found.case_columns)
    cells = (_format(found, found.estimates.iloc[[place]]) for place in range(len(names)))
    lines = tuple((name, *words) for name, words in zip(names, cells, strict=True))
    what = "case" if "case" in found.case_columns else "policy"
    header = (what, "measure", "estimate", "half-width", "asked", "reached")
    return (Table(f"Precision with {100 * found.confidence_level:g} % intervals", header, lines),)


def _find_target(found: Precision[Any], measure: str) -> Target:
    return next(target for target in found.targets if str(target.measure) == measure)


def _format(found: Precision[Any], row: pd.DataFrame) -> tuple[str, ...]:
    cells = row.iloc[0]
    target = _find_target(found, cells["measure"])
    measure, width = target.measure, cells["half_width"]
    estimate = format_rows(row, measure_scale(measure, float(cells["estimate"])))
    scale = _width_scale(measure, width if target.is_relative else max(width, target.half_width))
    asked = f"{100 * target.half_width:g} % relative" if target.is_relative else _amount(target.half_width, scale)
    reached = "yes" if cells["is_reached"] else f"no: {cells['reason']}"
    return (describe_measure(measure), *estimate, _amount(width, scale), asked, reached)


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
