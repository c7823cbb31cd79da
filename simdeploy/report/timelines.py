"""Timelines of many rollouts in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.bands.result import GROWING, WORST_WHEN_LOW, Timelines
from simdeploy.errors import plural
from simdeploy.report.formatting import percent
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import join_answer
from simdeploy.units import NS_PER_S, short_duration

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.result import Table

NAMES = {
    "updated": "updated nodes",
    "failed": "failed nodes",
    "exposed": "exposed nodes",
    "in_service": "nodes in service",
    "error_rate": "error rate of the fleet",
    "error_rate_new": "error rate of the new version",
    "shed": "shed requests",
}
# A count that never falls: its last value is its highest at any time. Extremes of others may lie between two instants.
_NEVER_FALLS = "failed"
# The answer is about the first of these that the result has.
_SUMMARIZED = ("failed", "error_rate", "in_service", "error_rate_new", "shed", "exposed", "updated")


def tell(result: Timelines) -> str:
    """Say where one quantity is worst, or how many nodes are updated, and when."""
    peaks = result.peaks
    of = next((name for name in _SUMMARIZED if peaks["quantity"].eq(name).any()), None)
    if of is None:
        return join_answer(["Every replication failed"])
    rows = peaks[peaks["quantity"].eq(of) & peaks["peak"].notna()]
    if rows.empty:
        return join_answer([f"No rollout has a value of the {NAMES[of]}"])
    if of in GROWING:
        return join_answer([_tell_growth(result, rows, of)])
    worst = rows.sort_values("peak", ascending=of in WORST_WHEN_LOW, kind="stable").iloc[0]
    fraction, bound = describe_extreme(of, result.quantiles)
    seen = " at any time" if of == _NEVER_FALLS else f", looking every {short_duration(result.every_s * NS_PER_S)}"
    if worst["peak"] == 0 and bound == "at most" and not is_fraction(of):
        return join_answer([f"{fraction} of rollouts have no {NAMES[of]}{seen}"])
    level = write_level(of, worst["peak"])
    name = NAMES[of].replace("nodes", "node") if level == "1" else NAMES[of]
    what = f"an {name} of {{}} {level}" if of.startswith("error_rate") else f"{{}} {level} {name}"
    finding = f"{fraction} of rollouts have {what.format(bound)}{seen}"
    release = f" with release {worst['release']}" if worst["release"] else ""
    when = f"the worst is at {short_duration(worst['peak_at_s'] * NS_PER_S)}"
    return join_answer([[f"{finding}; {when}, under {worst['policy']}{release}", f"{finding}; {when}", finding]])


def _tell_growth(result: Timelines, rows: pd.DataFrame, of: str) -> list[str]:
    """Say how many nodes nearly all rollouts of the most frequent release have updated, and when, under the first policy."""
    by_release = rows.groupby("release", sort=False)["rollouts"].sum()
    usual = str(by_release.idxmax())
    rows = rows[rows["release"].eq(usual)].sort_values(["peak", "peak_at_s"], ascending=[False, True], kind="stable")
    first, fraction = rows.iloc[0], describe_extreme(of, result.quantiles)[0]
    rollouts = f"{fraction} of rollouts" + (f" with release {usual}" if len(by_release) > 1 else "")
    if first["peak"] == 0:
        return [f"At no time have more than {rollouts} {of} a node"]
    is_all = first["peak"] == result.n_nodes
    nodes = f"{'all' if is_all else 'at least'} {plural(int(first['peak']), 'node')}"
    nodes = "the node" if result.n_nodes == 1 else nodes
    finding = f"{rollouts} have {of} {nodes} by {short_duration(first['peak_at_s'] * NS_PER_S)}"
    finding = f"At best, {finding}" if len(rows) > 1 else finding
    return [f"{finding}, under {first['policy']}", finding]


def tabulate(result: Timelines) -> tuple[Table, ...]:
    """Return a row for each policy and kind of release, with the extreme level of each quantity and when it is reached."""
    peaks = result.peaks
    cells = peaks.assign(
        cell=[
            "no value" if level != level else f"{write_level(of, level)} at {short_duration(at_s * NS_PER_S)}"
            for of, level, at_s in zip(peaks["quantity"], peaks["peak"], peaks["peak_at_s"], strict=True)
        ]
    )
    keys = ["policy", "release", "rollouts"]
    frame = cells.pivot_table(index=keys, columns="quantity", values="cell", aggfunc="first", sort=False).reset_index()
    columns = [Column("policy", "policy"), Column("release", "release")]
    columns.append(Column("rollouts", "rollouts", "count"))
    columns += [
        Column(of, _head(of, *describe_extreme(of, result.quantiles))) for of in peaks["quantity"].drop_duplicates()
    ]
    title = f"Extremes, up to {short_duration(result.until_s * NS_PER_S)}, and when they are first reached"
    return (make_table(title, frame, columns),)


def _head(of: str, fraction: str, bound: str) -> str:
    return f"{NAMES[of]} ({bound} in {fraction})"


def describe_extreme(of: str, quantiles: tuple[float, ...]) -> tuple[str, str]:
    """Return in how many rollouts a quantity is within its worst quantile, and on which side.

    Examples
    --------
    >>> describe_extreme("failed", (0.05, 0.95)), describe_extreme("in_service", (0.05, 0.95))
    (('95 %', 'at most'), ('95 %', 'at least'))
    """
    if of in WORST_WHEN_LOW:
        return percent(1 - min(quantiles)), "at least"
    return percent(max(quantiles)), "at most"


def is_fraction(of: str) -> bool:
    """Return whether a quantity is a fraction of requests, rather than a number of nodes.

    Examples
    --------
    >>> is_fraction("error_rate_new"), is_fraction("failed")
    (True, False)
    """
    return of in ("error_rate", "error_rate_new", "shed")


def write_level(of: str, level: float) -> str:
    """Write a number of nodes or an error rate.

    Examples
    --------
    >>> write_level("failed", 12.0), write_level("error_rate", 0.0125)
    ('12', '1.25 %')
    """
    return f"{100 * level:.4g} %" if is_fraction(of) else f"{level:,.6g}"
