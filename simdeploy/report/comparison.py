"""Which policy is best, in words and as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.analysis.comparison.measured import find_rows, name_rows
from simdeploy.analysis.comparison.ranking import TOO_WIDE
from simdeploy.errors import plural
from simdeploy.report import formatting, wording
from simdeploy.report.check import describe_requirement, estimate_scale
from simdeploy.report.excluded import tell_missed, tell_undecided
from simdeploy.report.tables import Column, Kind, make_table, spread
from simdeploy.scenario.measures import parse_measure, parse_requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from simdeploy.analysis.comparison.compare import Comparison
    from simdeploy.result import Table

# The measures that a change review needs.
_SHOWN = (
    "false_alarm given good",
    "escaped given defective",
    "makespan_s given completed_good",
    "makespan_s given completed",
    "blast_radius given defective",
    "blast_radius",
    "min_in_service_fraction",
    "unrestored_nodes",
    "failed_requests_excess",
    "cost",
)


# For each measure by which policies are compared: a noun, a word for the best, and one for comparisons.
_BEST_BY = {
    "cost": ("mean cost", "lowest", "lower than"),
    "false_alarm given good": ("false alarms", "fewest", "fewer than"),
    "escaped given defective": ("escapes", "fewest", "fewer than"),
    "makespan_s": ("mean makespan", "shortest", "shorter than"),
    "makespan_s given completed": ("mean makespan if completed", "shortest", "shorter than"),
}


def tell(comparison: Comparison) -> str:
    """Say which policy is best by `Comparison.judged_by`, which may be as good or miss a requirement, and what is unknown."""
    missed, unknown = tell_missed(comparison), _tell_unknown(comparison)
    ranked = _rank(comparison)
    recommended = list(comparison.recommended)
    sentences: list[list[str]] = []
    for of, rows in ranked.items():
        level = None if sentences else comparison.confidence_level
        if len(rows):
            sentences.append(_tell_best(comparison, of, rows, recommended, level))
    if recommended:
        undecided, unpriced = tell_undecided(comparison, recommended), _tell_unpriced(comparison)
        return wording.join_answer([*sentences, missed, undecided, *unknown, unpriced])
    eligible = [policy for policy in comparison.policies if policy not in comparison.excluded]
    undecided = [] if comparison.none_meets else tell_undecided(comparison, eligible)
    known = [forms for forms in (missed, *sentences, undecided, *unknown) if forms]
    all_failed = comparison.n_failed == comparison.n_replications
    why = "Every replication failed" if all_failed else "No rollout ended"
    return wording.join_answer(known or [f"{why}, so the policies can't be compared"])


def _tell_unknown(comparison: Comparison) -> list[str]:
    """Say what is unknown for policies with rollouts that never end; one sentence for each group of policies."""
    quantities = [
        (_noun(of), _find_unknown(comparison, of), parse_measure(of).given is not None) for of in comparison.judged_by
    ]
    return [
        wording.say_unknown(fractions, noun, is_conditional=is_conditional)
        for noun, fractions, is_conditional in wording.group_unknown(quantities)
    ]


def _tell_unpriced(comparison: Comparison) -> list[str]:
    """Say if a recommended policy leaves more nodes out of service than another, and these have no price."""
    ranked = _find_ranked(comparison, "unrestored_nodes")
    is_worse = ranked["policy"].isin(comparison.recommended) & ranked["verdict"].eq("worse")
    more, fewest = (ranked.loc[rows, "policy"].tolist() for rows in (is_worse, ranked["rank"].eq(1)))
    return wording.say_unpriced(more, fewest, comparison.computed_under)


def _find_unknown(comparison: Comparison, of: str) -> dict[str, float]:
    """Return the fraction of unknown rollouts of each policy that has some."""
    rows = find_rows(comparison.ranking, parse_measure(of))
    rows = rows[rows["unknown_fraction"].gt(0)]
    return dict(zip(rows["policy"], rows["unknown_fraction"], strict=True))


def _rank(comparison: Comparison) -> dict[str, pd.DataFrame]:
    """Return the policies that are ranked by each measure, best first, each with its estimate."""
    return {of: _find_ranked(comparison, of) for of in comparison.judged_by}


def _find_ranked(comparison: Comparison, of: str) -> pd.DataFrame:
    ranked, estimates = (find_rows(frame, parse_measure(of)) for frame in (comparison.ranking, comparison.estimates))
    ranked = ranked.dropna(subset="rank").merge(
        estimates.add_prefix("policy_"), left_on="policy", right_on="policy_policy"
    )
    return ranked.sort_values("rank", kind="stable")


def _tell_best(
    comparison: Comparison, of: str, ranked: pd.DataFrame, recommended: list[str], level: float | None
) -> list[str]:
    """Return a sentence on the best policies by one measure, and shorter ones; the interval is of confidence `level`."""
    is_first = ranked["rank"].eq(1)
    best, others = ranked.loc[is_first, "policy"].tolist(), ranked.loc[~is_first, "policy"].tolist()
    rivals = ranked.loc[~is_first & ranked["verdict"].ne("worse"), "policy"].tolist()
    scale = _scale_of_best(comparison, of, ranked)
    amount = formatting.write_estimate(ranked.iloc[0], scale, "policy_estimate", level=level)
    noun, most, than = _BEST_BY[of]
    among = f"Of those with known {_noun(of)}, " if _find_unknown(comparison, of) else ""
    if recommended:
        start = wording.capitalize(f"{among}use {wording.list_some(recommended, word='or')}: {noun} {amount}")
        if not others:
            return [start]
    elif len(ranked) == 1:
        return [f"{best[0]}: {noun} {amount}"]
    else:
        among = among or ("Of the others, " if comparison.excluded else "")
        if not others:
            if ranked["verdict"].eq("equal").all():
                return [f"{among}{names} have the same {noun}: {amount}" for names in wording.list_forms(best)]
            unseen = wording.capitalize(f"{among}no difference in {noun} was seen between")
            forms = [f"{unseen} {names}: {amount}" for names in wording.list_forms(best)]
            return [*forms, *(f"{among}{names} had the same {noun}: {amount}" for names in wording.list_forms(best))]
        # Ranks go by differences, and the means of other policies may rest on other evidence.
        if ranked["policy_estimate"].min() < ranked["policy_estimate"].iloc[0]:
            among = wording.capitalize(f"{among}in the same worlds, ")
        start = f"{among}{wording.list_some(best)} {'has' if len(best) == 1 else 'have'} the {most} {noun}: {amount}"
    vague = ranked.loc[ranked["reason"].eq(TOO_WIDE), "policy"].tolist()
    others, rivals = ([policy for policy in some if policy not in vague] for some in (others, rivals))
    why = wording.find_shared_reason(ranked.loc[ranked["policy"].isin(rivals), "reason"])
    ends = wording.compare_with_others(others, rivals, than, noun="policy", why=why)
    if vague:
        ends = [
            f"{end}; {names} {wording.is_or_are(len(vague))} {TOO_WIDE}"
            for names in wording.list_forms(vague)
            for end in ends
        ]
    return [f"{start}{end}" for end in ends]


def _scale_of_best(comparison: Comparison, of: str, ranked: pd.DataFrame) -> formatting.Scale:
    unit = formatting.find_cost_unit(comparison.computed_under)
    if of == "cost":
        return formatting.cost_scale(unit)
    return formatting.scale_of(parse_measure(of), ranked["policy_estimate"], unit)


def _noun(of: str) -> str:
    return wording.name_briefly(parse_measure(of))


def tabulate(comparison: Comparison) -> tuple[Table, ...]:
    """Return the main estimates, their differences if there are several policies, and the ranking."""
    level = f"{formatting.percent(comparison.confidence_level)} CI"
    unit = formatting.find_cost_unit(comparison.computed_under)
    n_used = {policy: n - comparison.n_failed[policy] for policy, n in comparison.n_replications.items()}
    counts = {policy: f"n = {n}" for policy, n in n_used.items()}
    counts |= {policy: f"{counts[policy]}\n{n} failed" for policy, n in comparison.n_failed.items() if n}
    title = f"Estimates ({level})"
    verdicts = comparison.joint_verdicts
    # The answer may have no room for it.
    notes = {"unrestored_nodes": wording.UNPRICED} if _tell_unpriced(comparison) else {}
    tables = [
        _tabulate_responses(title, comparison.estimates, "stacked estimate", n_used, counts, verdicts, unit, notes)
    ]
    if len(comparison.verdicts):
        tables.append(_tabulate_verdicts(comparison))
    if len(comparison.policies) > 1:
        pairs = {str(policy): int(n) for policy, n in comparison.differences.groupby("policy")["n"].max().items()}
        counts = {policy: plural(n, "pair") for policy, n in pairs.items()}
        title = f"Differences from {comparison.baseline} in the same worlds ({level})"
        tables.append(
            _tabulate_responses(title, comparison.differences, "stacked difference", pairs, counts, {}, unit, notes)
        )
    # With two policies, the differences are enough.
    if len(comparison.policies) > 2:
        tables += [_tabulate_ranking(comparison, of, rows) for of, rows in _rank(comparison).items() if len(rows)]
    return tuple(tables)


def _tabulate_responses(
    title: str,
    frame: pd.DataFrame,
    kind: Kind,
    most: Mapping[str, int],
    counts: Mapping[str, str],
    verdicts: Mapping[str, str],
    cost_unit: str,
    heading_notes: Mapping[str, str],
) -> Table:
    """Return a row per policy, with its verdict on the requirements if any; cells with fewer replications state their number.

    `heading_notes` are added to the headings of measures.
    """
    notes = [f"n = {n}" if 0 < n < most[policy] else "" for policy, n in zip(frame["policy"], frame["n"], strict=True)]
    rows = frame.assign(of=name_rows(frame), note=notes)
    # A good release should reach every node, so exposure matters only if the release is defective.
    has_defective = rows["of"].eq("blast_radius given defective") & rows["n"].gt(0)
    rows = rows[rows["of"].ne("blast_radius" if has_defective.any() else "blast_radius given defective")]
    is_unrestored = rows["of"].eq("unrestored_nodes")
    if rows.loc[is_unrestored, "estimate"].fillna(0).eq(0).all():
        rows = rows[~is_unrestored]
    measures = rows["of"].unique()
    # Without verdicts, show the makespan of all rollouts.
    shown = _SHOWN if any(of.startswith("makespan_s given") for of in measures) else ("makespan_s", *_SHOWN)
    wide = spread(rows[rows["of"].isin(shown)], "policy", "of", also=("note",))
    wide["count"] = wide["policy"].map(counts)
    wide["verdict"] = [verdicts.get(policy, "") for policy in wide["policy"]]
    columns = [Column("policy", "policy", below="count"), Column("verdict", "requirements")]
    for of in shown:
        if of in measures:
            measure = parse_measure(of)
            heading = f"{describe_measure(measure)} {heading_notes.get(of, '')}".rstrip()
            columns.append(Column(of, heading, kind, measure, below=f"{of}_note"))
    return make_table(title, wide, columns, cost_unit)


def _tabulate_verdicts(comparison: Comparison) -> Table:
    unit = formatting.find_cost_unit(comparison.computed_under)
    rows = []
    for row in comparison.verdicts.to_dict("records"):
        requirement = parse_requirement(row["requirement"])
        required = describe_requirement(requirement, unit)
        rows.append({**row, "required": required, "scale": estimate_scale(row, requirement, unit)})
    columns = (
        Column("policy", "policy"),
        Column("required", "requirement"),
        Column("verdict", "verdict"),
        Column("estimate", "estimate", "estimate", "scale"),
        Column("n", "n", "count"),
        Column("reason", "reason"),
    )
    level = formatting.percent(comparison.confidence_level)
    return make_table(f"Requirements (bounds: {level} confidence each)", rows, columns)


def _write_gap(low: float, high: float, scale: formatting.Scale, *, is_trusted: bool) -> str:
    gap = formatting.format_interval(low, high, formatting.difference_scale(scale))
    return gap if is_trusted or math.isnan(low) else f"{formatting.UNTRUSTED}{gap}"


def _tabulate_ranking(comparison: Comparison, of: str, ranked: pd.DataFrame) -> Table:
    scale = _scale_of_best(comparison, of, ranked)
    # A policy without rivals has no verdict, and is the best.
    words = {"better": "yes", "worse": "no", "unknown": "yes"}
    ends = zip(ranked["low"], ranked["high"], ranked["is_trusted"], strict=True)
    rows = ranked.assign(
        gap=[_write_gap(low, high, scale, is_trusted=is_trusted) for low, high, is_trusted in ends],
        is_best=[
            "not ruled out" if reason == TOO_WIDE else words.get(verdict, "may be")
            for verdict, reason in zip(ranked["verdict"], ranked["reason"], strict=True)
        ],
    )
    columns = (
        Column("policy", "policy"),
        Column("policy_estimate", _noun(of), "estimate", scale),
        Column("gap", "minus best other"),
        Column("is_best", "best?"),
    )
    level = formatting.percent(comparison.confidence_level)
    return make_table(f"Against the best other policy ({level} CI for all together)", rows, columns)
