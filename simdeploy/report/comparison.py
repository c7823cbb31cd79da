"""Which policy is the best, in sentences that can be read aloud; and a comparison as tables of words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import LABELS, describe_measure
from simdeploy.analysis.comparison.measured import find_rows, name_rows
from simdeploy.report.tables import Column, make_table, spread
from simdeploy.report.wording import (
    Scale,
    cost_scale,
    difference_scale,
    find_cost_unit,
    format_interval,
    join_words,
    list_some,
    percent,
    say_unknown,
    scale_of,
    write_estimate,
)
from simdeploy.scenario.measures import parse_measure

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from simdeploy.analysis.comparison.compare import Comparison
    from simdeploy.report.tables import Kind
    from simdeploy.result import Table

# A change review asks what may go wrong, how long it takes, how many it can hit and what it costs the users.
_SHOWN = {
    "false_alarm given good": "false alarms",
    "escaped given defective": "escapes",
    "makespan_s given completed_good": "makespan if completed",
    "makespan_s given completed": "makespan if completed",
    "blast_radius": LABELS["blast_radius"][0],
    "failed_requests_excess": LABELS["failed_requests_excess"][0],
    "cost": LABELS["cost"][0],
}


# How the policy that is the best by a measure is spoken of, several best ones, and the rest.
_BEST_BY = {
    "cost": ("costs least", "cost least", "less than"),
    "false_alarm given good": ("raises the fewest false alarms", "raise the fewest false alarms", "fewer than"),
    "escaped given defective": ("lets the fewest defects escape", "let the fewest defects escape", "fewer than"),
    "makespan_s": ("ends soonest", "end soonest", "before"),
    "makespan_s given completed": ("completes soonest", "complete soonest", "before"),
}


def tell(comparison: Comparison) -> str:
    """Say which policy is the best, and which ones can't be told from it.

    By what `Comparison.judged_by` says. Of a policy with rollouts that never end it says how many, and the best one is that
    of the others.
    """
    unknown = _tell_unknown(comparison)
    sentences = [said for of in comparison.judged_by if (said := _tell_best(comparison, of))]
    if not sentences:
        return " ".join(unknown) or "No rollout ended: nothing can be said of the policies."
    at_once = " for all policies at once" if len(comparison.policies) > 2 else ""
    told = f"{'. '.join(sentences)}, at {percent(comparison.confidence_level)} confidence{at_once}."
    return " ".join([*unknown, told])


def _tell_unknown(comparison: Comparison) -> list[str]:
    """Say of which policies what isn't known, as they never end; what is unknown of the same ones in one sentence."""
    nouns: dict[tuple[bool, tuple[tuple[str, float], ...]], list[str]] = {}
    for of in comparison.judged_by:
        if unknown := _find_unknown(comparison, of):
            is_conditional = parse_measure(of).given is not None
            nouns.setdefault((is_conditional, tuple(unknown.items())), []).append(_noun(of))
    return [
        f"{say_unknown(dict(unknown), join_words(of), is_conditional=is_conditional)}."
        for (is_conditional, unknown), of in nouns.items()
    ]


def _find_unknown(comparison: Comparison, of: str) -> dict[str, float]:
    """Return for how many of the rollouts of which policies a measure is unknown."""
    rows = find_rows(comparison.ranking, parse_measure(of))
    rows = rows[rows["unknown_fraction"].gt(0)]
    return dict(zip(rows["policy"], rows["unknown_fraction"], strict=True))


def _find_ranked(comparison: Comparison, of: str) -> pd.DataFrame:
    """Return the ranking of the policies that have a place, best first, with each one's own estimate."""
    ranked, own = (find_rows(frame, parse_measure(of)) for frame in (comparison.ranking, comparison.estimates))
    found = ranked.dropna(subset="rank").merge(own.add_prefix("own_"), left_on="policy", right_on="own_policy")
    return found.sort_values("rank", kind="stable")


def _tell_best(comparison: Comparison, of: str) -> str:
    ranked = _find_ranked(comparison, of)
    if ranked.empty:
        return ""
    is_first = ranked["rank"].eq(1)
    best, others = ranked.loc[is_first, "policy"].tolist(), ranked.loc[~is_first, "policy"].tolist()
    told = write_estimate(ranked.iloc[0], _scale_of_best(comparison, of, ranked), "own_estimate")
    if len(ranked) == 1:
        return f"{best[0]}: {_noun(of)} {told}"
    of_others = "Of the others " if _find_unknown(comparison, of) else ""
    does, do, less = _BEST_BY[of]
    begun = f"{of_others}{list_some(best)} {does if len(best) == 1 else do}: {told}"
    rivals = ranked.loc[~is_first & ranked["verdict"].ne("worse"), "policy"].tolist()
    if not others:
        return f"{begun}, one like the other"
    if not rivals:
        return f"{begun}, surely {less} {list_some(others)}"
    them = "it" if len(best) == 1 else "them"
    if len(rivals) == len(others) > 1:
        return f"{begun}; none of the others can be told from {them}"
    return f"{begun}; {list_some(rivals)} can't be told from {them}"


def _scale_of_best(comparison: Comparison, of: str, ranked: pd.DataFrame) -> Scale:
    unit = find_cost_unit(comparison.computed_under)
    return cost_scale(unit) if of == "cost" else scale_of(parse_measure(of), ranked["own_estimate"], unit)


def _noun(of: str) -> str:
    return describe_measure(parse_measure(of))


def tabulate(comparison: Comparison) -> tuple[Table, ...]:
    """Return the estimates of the main responses, the differences if there are any, and the ranking."""
    level, unit = f"{percent(comparison.confidence_level)} intervals", find_cost_unit(comparison.computed_under)
    kept = {policy: n - comparison.n_failed[policy] for policy, n in comparison.n_replications.items()}
    counts = {policy: f"n = {n}" for policy, n in kept.items()}
    counts |= {policy: f"{counts[policy]}\n{n} failed" for policy, n in comparison.n_failed.items() if n}
    title = f"Estimates with {level}"
    tables = [_tabulate_responses(title, comparison.estimates, "stacked estimate", kept, counts, unit)]
    if len(comparison.policies) > 1:
        pairs = {str(policy): int(n) for policy, n in comparison.differences.groupby("policy")["n"].max().items()}
        counts = {policy: f"{n} pairs" for policy, n in pairs.items()}
        title = f"Differences to {comparison.baseline} in the same worlds, with {level}"
        tables.append(_tabulate_responses(title, comparison.differences, "stacked difference", pairs, counts, unit))
    # Of two policies the differences have said it all.
    if len(comparison.policies) > 2:
        ranked = {of: _find_ranked(comparison, of) for of in comparison.judged_by}
        tables += [_tabulate_ranking(comparison, of, rows) for of, rows in ranked.items() if len(rows)]
    return tuple(tables)


def _tabulate_responses(
    title: str, frame: pd.DataFrame, kind: Kind, most: Mapping[str, int], counts: Mapping[str, str], cost_unit: str
) -> Table:
    """Return a line for each policy; a cell says over how many replications it is where they are not the most."""
    notes = [f"n = {n}" if 0 < n < most[policy] else "" for policy, n in zip(frame["policy"], frame["n"], strict=True)]
    rows = frame.assign(of=name_rows(frame), note=notes)
    told = rows["of"].unique()
    # Where nobody knows what completed, all makespans are told.
    shown = _SHOWN if any(of.startswith("makespan_s given") for of in told) else {"makespan_s": "makespan"} | _SHOWN
    wide = spread(rows[rows["of"].isin(shown)], "policy", "of", also=("note",))
    columns = [Column("policy", "policy", below="count")]
    for of, heading in shown.items():
        if of in told:
            columns.append(Column(of, heading, kind, parse_measure(of), below=f"{of}_note", is_optional=True))
    return make_table(title, wide.assign(count=wide["policy"].map(counts)), columns, cost_unit)


def _tabulate_ranking(comparison: Comparison, of: str, ranked: pd.DataFrame) -> Table:
    scale = _scale_of_best(comparison, of, ranked)
    # A policy with nobody beside it has no verdict, and is the best.
    words = {"better": "yes", "worse": "no", "unknown": "yes"}
    ends = zip(ranked["low"], ranked["high"], strict=True)
    rows = ranked.assign(
        less=[format_interval(low, high, difference_scale(scale)) for low, high in ends],
        is_best=[words.get(verdict, "may be") for verdict in ranked["verdict"]],
    )
    columns = (
        Column("policy", "policy"),
        Column("own_estimate", _noun(of), "estimate", scale),
        Column("less", "less the best of the others"),
        Column("is_best", "the best?"),
    )
    level = percent(comparison.confidence_level)
    return make_table(f"Against the best of the others, {level} for all policies at once", rows, columns)
