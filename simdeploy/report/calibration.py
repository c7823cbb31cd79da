"""A calibration in words and as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.errors import plural
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import is_or_are, join_answer

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.calibration.result import Calibration
    from simdeploy.result import Table

# Ends of the paths of parameters whose limits are the least and the largest on record, not those of an interval.
_COUNTED = (".nodes", ".zones", ".start_attempts", ".share")


def tell(result: Calibration) -> str:
    """Say how long updates take, how often they fail, and what the records don't show."""
    parameters, fits = result.parameters, result.fits
    chosen = fits[fits["chosen"] & fits["path"].eq("fleet.update_duration")]
    law = f"update times are {chosen['family'].iloc[0]}" if len(chosen) else "update times were fitted"
    law = law.replace("weibull", "Weibull")
    failures = _find(parameters, ("fleet.start_failure", "fleet.start_failure.beta.mean"))
    fail = f", and {_percent(failures)} of attempts fail" if failures is not None else ""
    n_assumed = int(parameters["source"].eq("assumed").sum())
    n_open = int(parameters["source"].eq("not_identified").sum())
    rest = [
        f"{n} {is_or_are(n)} {what}" for n, what in ((n_assumed, "assumed"), (n_open, "left open by the records")) if n
    ]
    first = f"Fitted to {plural(result.n_rollouts, 'rollout')}: {law}{fail}"
    return join_answer([[first], [f"Of {plural(len(parameters), 'parameter')}, {' and '.join(rest)}"] if rest else []])


def _find(parameters: pd.DataFrame, paths: tuple[str, ...]) -> pd.Series[float] | None:
    rows = parameters[parameters["path"].isin(paths)]
    return rows.iloc[0] if len(rows) else None


def _percent(row: pd.Series[float]) -> str:
    limits = "" if math.isnan(row["low"] + row["high"]) else f" ({100 * row['low']:.3g} to {100 * row['high']:.3g} %)"
    return f"{100 * row['estimate']:.3g} %{limits}"


def tabulate(result: Calibration) -> tuple[Table, ...]:
    """Return the parameters, the families tried, and what was dropped."""
    rows = result.parameters[["path", "low", "high", "source"]].itertuples(index=False)
    parameters = result.parameters.assign(interval=[_write_interval(*row) for row in rows])
    columns: tuple[Column, ...] = (
        Column("path", "parameter"),
        Column("estimate", "estimate", "digits"),
        Column("interval", f"{100 * result.confidence_level:g} % interval"),
        Column("n_rollouts", "rollouts", "count"),
        Column("n_nodes", "nodes", "count"),
    )
    tables = [make_table("Parameters; times in seconds", parameters, columns)]
    if len(result.fits):
        columns = (
            Column("path", "duration"),
            Column("family", "family"),
            Column("difference", "fit: AIC above the best", "number"),
            Column("ks", "misfit (KS)", "digits"),
            Column("p", "p", "p-value"),
            Column("chosen", "chosen", "yes"),
        )
        tables.append(make_table("Families of durations", result.fits, columns))
    notes = result.parameters[result.parameters["note"].ne("")]
    if len(notes):
        tables.append(make_table("Notes", notes, (Column("path", "parameter"), Column("note", "note"))))
    if len(result.dropped):
        columns = (
            Column("file", "file"),
            Column("line", "line", "count"),
            Column("rows", "rows", "count"),
            Column("reason", "reason"),
        )
        tables.append(make_table("Not used", result.dropped, columns))
    return tuple(tables)


def _write_interval(path: str, low: float, high: float, source: str) -> str:
    if source == "assumed":
        return "assumed"
    is_known = not math.isnan(low + high) or math.isinf(high)
    limits = f"{low:.4g} to {'no limit' if math.isinf(high) else f'{high:.4g}'}" if is_known else "unknown"
    if source == "not_identified":
        return f"{limits} (left open)"
    return f"{limits} (range)" if path.endswith(_COUNTED) else limits
