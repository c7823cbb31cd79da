"""In which worlds a policy breaks, in a sentence, and the boxes, their limits and the path to them as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.sensitivity.responding import NEVER_ENDS, NO_VALUE
from simdeploy.report.wording import PERCENT, format_estimate
from simdeploy.result import Table

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.discovery.result import Discovery


def tell(result: Discovery) -> str:
    """Say in which worlds the policy breaks, and how much of what breaks that is."""
    subject = "It" if result.policy is None else result.policy
    if result.is_refused:
        return f"Nothing can be said of where {subject} breaks: {_say_left_out(result)}.{_say_remedy(result)}"
    found = result.boxes[result.boxes["is_found"]]
    share = f"{result.n_broken:,} of {result.n_known:,} worlds"
    overall = format_estimate(result.share, result.share_low, result.share_high, PERCENT)
    if not result.n_broken:
        text = f"{subject} breaks in none of {result.n_known:,} worlds, {overall}"
    elif result.n_broken == result.n_known:
        text = f"{subject} breaks in all {result.n_known:,} worlds, {overall}"
    elif found.empty:
        text = f"{subject} breaks in {share}, {overall}; no box of factors was found that has more of them than chance"
    else:
        boxes = [_say_box(row, is_first=number == 0) for number, (_, row) in enumerate(found.iterrows())]
        text = f"{subject} breaks {'; '.join(boxes)}; in all it breaks in {share}, {overall}"
    n_undecided = int(result.worlds["is_undecided"].sum())
    if n_undecided:
        what = "world is" if n_undecided == 1 else "worlds are"
        n = f"{result.n_replications:,} replication{'s' * (result.n_replications != 1)}"
        text += f"; {n_undecided:,} {what} undecided with {n}"
    return f"{text}; {_say_left_out(result)}." if result.left_out else f"{text}."


def tabulate(result: Discovery) -> tuple[Table, ...]:
    """Return the boxes, their limits, and the path of the first one."""
    boxes = (_tabulate_boxes(result), _tabulate_limits(result)) if len(result.boxes) else ()
    path = _tabulate_path(result)
    return (*boxes, path) if len(path.rows) > 1 else boxes


def _tabulate_boxes(result: Discovery) -> Table:
    rows = tuple(
        (
            f"{row['box']}",
            "yes" if row["is_found"] else "no",
            _write(row, "density"),
            _write(row, "coverage"),
            f"{100 * row['mass']:.1f} %",
            f"{100 * row['density_outside']:.1f} %",
            f"{row['n_undecided']} of {row['n']}",
            f"{row['p_value']:.2g}",
        )
        for _, row in result.boxes.iterrows()
    )
    header = ("box", "holds", "density", "coverage", "mass", "density outside", "undecided", "p-value")
    return Table(f"Boxes in held-out worlds, with {100 * result.confidence_level:g} % intervals", header, rows)


def _tabulate_limits(result: Discovery) -> Table:
    rows = tuple((f"{row['box']}", row["limits"], f"{row['quasi_p']:.2g}") for _, row in result.limits.iterrows())
    return Table("Their limits", ("box", "limit", "quasi-p-value"), rows)


def _tabulate_path(result: Discovery) -> Table:
    rows = tuple(
        (
            f"{row['step']}" + (" chosen" if row["is_chosen"] else ""),
            *(f"{100 * row[name]:.0f} %" for name in ("coverage", "density", "mass")),
            f"{row['n_restricted']}",
            row["limits"],
        )
        for _, row in result.path[result.path["box"].eq(1)].iterrows()
    )
    header = ("step", "coverage", "density", "mass", "factors", "limits")
    return Table("Peeling path of the first box, in the worlds of the search", header, rows)


def _say_box(row: pd.Series, *, is_first: bool) -> str:
    density, coverage = _write(row, "density"), _write(row, "coverage")
    if is_first:
        of_all = (
            f"{density} of the worlds in that box break (density), which is {coverage} of all that break (coverage)"
        )
        return f"where {row['limits']}: {of_all}"
    return f"of the rest, where {row['limits']}: {density}, {coverage} of all that break"


def _write(row: pd.Series, name: str) -> str:
    estimate, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return format_estimate(estimate, low, high, PERCENT)


def _say_left_out(result: Discovery) -> str:
    told = [f"{reason} in {number:,}" for reason, number in result.left_out.items()]
    n_out = sum(result.left_out.values())
    return f"{n_out:,} of {len(result.worlds):,} worlds are left out ({'; '.join(told)})"


def _say_remedy(result: Discovery) -> str:
    if NEVER_ENDS in result.left_out:
        return " Require something that is known of every rollout, such as in_progress <= 1%."
    return " More replications in each world might do." if NO_VALUE in result.left_out else ""
