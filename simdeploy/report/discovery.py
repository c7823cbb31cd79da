"""In which worlds a policy breaks: in words, and the boxes, their limits and the peeling path as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.left_out import NEVER_ENDS, NO_VALUE
from simdeploy.errors import plural
from simdeploy.report import formatting, wording
from simdeploy.report.tables import Column, make_table

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.discovery.result import Discovery
    from simdeploy.result import Table

_BOXES = (
    Column("box", "box"),
    Column("confirmed", "confirmed"),
    Column("density", "breaks inside", "estimate", formatting.PERCENT),
    Column("density_outside", "breaks outside", "share"),
    Column("coverage", "share of all breaks", "estimate", formatting.PERCENT),
    Column("mass", "share of all worlds", "share"),
    Column("undecided", "undecided"),
    Column("p_value", "p-value", "p-value"),
)
_LIMITS = (Column("box", "box"), Column("limits", "limit"), Column("quasi_p", "quasi-p-value", "p-value"))
_PATH = (
    Column("step", "step"),
    Column("density", "breaks inside", "share"),
    Column("coverage", "share of all breaks", "share"),
    Column("mass", "share of all worlds", "share"),
    Column("n_restricted", "factors"),
    Column("limits", "limits"),
)


def tell(result: Discovery) -> str:
    """Say in which worlds the policy breaks, and how many of all breaking worlds those are."""
    subject = "The policy" if result.policy is None else result.policy
    if result.is_refused:
        where = f"Where {result.policy or 'the policy'} breaks"
        return wording.join_answer([f"{where} is unknown: {_say_left_out(result)}", _say_remedy(result)])
    boxes = result.boxes[result.boxes["is_found"]]
    sentences: list[str | list[str]]
    n_of = f"{result.n_broken:,} of {result.n_known:,} worlds"
    interval = (result.share, result.share_low, result.share_high)
    share = formatting.format_estimate(*interval, formatting.PERCENT, level=result.confidence_level)
    if not result.n_broken:
        sentences = [f"{subject} breaks in none of {result.n_known:,} worlds: {share}"]
    elif result.n_broken == result.n_known:
        sentences = [f"{subject} breaks in all {result.n_known:,} worlds: {share}"]
    elif boxes.empty:
        sentences = [f"{subject} breaks in {n_of}: {share}", "No range of the factors has clearly more of them"]
    else:
        first, *others = (row for _, row in boxes.iterrows())
        density = formatting.write_estimate(first, formatting.PERCENT, "density", level=result.confidence_level)
        coverage = formatting.write_estimate(first, formatting.PERCENT, "coverage")
        overall = formatting.format_estimate(*interval, formatting.PERCENT)
        breaks = "breaks" if first["is_sure"] else "seems to break"
        where = f"{subject} {breaks} where {first['limits']}: in {density} of these worlds"
        sentences = [
            [f"{where}, which covers {coverage} of all breaks", f"{where}, {coverage} of all breaks"],
            *map(_tell_further, others),
            f"Overall {n_of} break: {overall}",
        ]
    if result.left_out:
        sentences.insert(1, wording.capitalize(_say_left_out(result)))
    if n_undecided := result.n_undecided:
        n = plural(result.n_replications, "replication")
        counted = plural(n_undecided, "world is counted by its estimate", "worlds are counted by their estimates")
        brief = plural(n_undecided, "world is", "worlds are")
        n += f", because {result.why_undecided}" if result.why_undecided else ""
        # If these are all worlds, say that first.
        place = 1 if n_undecided == result.n_known else len(sentences)
        sentences.insert(place, [f"{counted}: undecided after {n}", f"{brief} undecided after {n}"])
    return wording.join_answer(sentences)


def tabulate(result: Discovery) -> tuple[Table, ...]:
    """Return the boxes, their limits, and the peeling path of the first box."""
    tables = []
    level = formatting.percent(result.confidence_level)
    if len(result.boxes):
        rows = list(result.boxes.itertuples())
        boxes = result.boxes.assign(
            undecided=[f"{row.n_undecided} of {row.n}" for row in rows],
            confirmed=["no" if not row.is_found else "yes" if row.is_sure else "by estimates" for row in rows],
        )
        title = f"Boxes, checked in other worlds ({level} CI)"
        tables += [make_table(title, boxes, _BOXES), make_table("Limits of the boxes", result.limits, _LIMITS)]
    path = result.path[result.path["box"].eq(1)]
    if len(path) > 1:
        steps = path.assign(step=path["step"].astype(str) + path["is_chosen"].map({True: " chosen", False: ""}))
        tables.append(make_table("How box 1 was narrowed down, in the worlds searched", steps, _PATH))
    return tuple(tables)


def _tell_further(row: pd.Series) -> list[str]:
    """Describe a further box, in a sentence with intervals and one without."""
    written = [formatting.write_estimate(row, formatting.PERCENT, name) for name in ("density", "coverage")]
    brief = [formatting.write_without_interval(row, formatting.PERCENT, name) for name in ("density", "coverage")]
    where = f"Otherwise{'' if row['is_sure'] else ', it seems,'} where {row['limits']}"
    return [
        f"{where}: in {written[0]} of these, which covers {written[1]} of all breaks",
        f"{where}: in {brief[0]} of these, {brief[1]} of all breaks",
    ]


def _say_left_out(result: Discovery) -> str:
    return wording.say_left_out(result.left_out, sum(result.left_out.values()), len(result.worlds), "worlds")


def _say_remedy(result: Discovery) -> str:
    if NEVER_ENDS in result.left_out:
        return "Require a measure known for every rollout, such as in_progress <= 1%"
    return "More replications per world may help" if NO_VALUE in result.left_out else ""
