"""A comparison as tables of words: policies as rows, what a change review asks for as columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import LABELS
from simdeploy.report.ranking import summarize_ranking
from simdeploy.report.wording import PERCENT, Scale, difference_scale, format_number, response_scale
from simdeploy.result import Table
from simdeploy.vocabulary import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from simdeploy.analysis.comparison.compare import Comparison

# A change review asks what may happen, how long it takes, how many it can hit and what it costs the users.
_SHOWN = (
    *(("verdict", verdict) for verdict in VERDICTS),
    *((name, None) for name in ("makespan_s", "blast_radius", "failed_requests_excess", "cost")),
)


def summarize(comparison: Comparison) -> tuple[Table, ...]:
    r"""Write the main responses of a comparison as tables: the estimates, the differences if there are any, the ranking.

    Examples
    --------
    >>> import pandas as pd
    >>> from simdeploy.analysis import compare
    >>> table = pd.DataFrame({"policy": ["a"] * 4, "replication": range(4), "makespan_s": [60.0, 61.0, 62.0, 63.0]})
    >>> summarize(compare(table))[0].rows
    (('a\nn = 4', '61.5 s\n59.4 to 63.6'),)
    """
    level = f"{100 * comparison.confidence_level:g} % intervals"
    tables = [
        _table(
            f"Estimates with {level}",
            comparison.estimates,
            {policy: _policy_cell(comparison, policy) for policy in comparison.policies},
            {policy: comparison.n_replications[policy] - comparison.n_failed[policy] for policy in comparison.policies},
            difference=False,
        )
    ]
    others = [policy for policy in comparison.policies if policy != comparison.baseline]
    if others:
        title = f"Differences to {comparison.baseline} in the same worlds, with {level}"
        pairs = comparison.differences.groupby("policy")["n"].max()
        tables.append(
            _table(
                title,
                comparison.differences,
                {policy: f"{policy}\n{pairs[policy]} pairs" for policy in others},
                {policy: int(pairs[policy]) for policy in others},
                difference=True,
            )
        )
    # Of two policies the differences have said it all.
    return (*tables, *(summarize_ranking(comparison) if len(comparison.policies) > 2 else ()))


def _policy_cell(comparison: Comparison, policy: str) -> str:
    failed = comparison.n_failed[policy]
    kept = comparison.n_replications[policy] - failed
    return f"{policy}\nn = {kept}" + (f"\n{failed} failed" if failed else "")


def _table(title: str, frame: pd.DataFrame, names: dict[str, str], most: dict[str, int], *, difference: bool) -> Table:
    header, columns = ["policy"], [list(names.values())]
    for response, level in _SHOWN:
        rows = frame[frame["response"].eq(response)]
        rows = rows[rows["level"].isna() if level is None else rows["level"].eq(level)].set_index("policy")
        if rows.empty:
            continue
        scale = _scale(response, level, rows, difference=difference)
        header.append(LABELS[response][0] if level is None else level.replace("_", " "))
        cells = rows.to_dict("index")
        columns.append([_cell(cells[policy], scale, most[policy], difference=difference) for policy in names])
    return Table(title, tuple(header), tuple(zip(*columns, strict=True)))


def _scale(response: str, level: str | None, rows: pd.DataFrame, *, difference: bool) -> Scale:
    """One scale per column, so that its numbers can be compared at a glance."""
    scale = PERCENT if level is not None else response_scale(response, float(rows["estimate"].abs().max()))
    return difference_scale(scale) if difference else scale


def _cell(row: Mapping[Hashable, Any], scale: Scale, most: int, *, difference: bool) -> str:
    if math.isnan(row["estimate"]):
        return "no value"
    uncertainty = row["half_width"] * scale.factor
    estimate, low, high = (
        format_number(row[name] * scale.factor, uncertainty, sign=difference) for name in ("estimate", "low", "high")
    )
    lines = [f"{estimate} {scale.unit}".rstrip()]
    lines.append("no interval" if math.isnan(row["half_width"]) else f"{low} to {high}")
    if row["n"] < most:
        lines.append(f"n = {row['n']}")
    return "\n".join(lines)
