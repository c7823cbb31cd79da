"""Which policy is the best, in sentences that can be read aloud; and a comparison as tables of words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from simdeploy.analysis.asking.naming import LABELS, describe_measure, join_words
from simdeploy.report.wording import (
    A_ROLLOUT,
    Scale,
    difference_scale,
    format_estimate,
    format_number,
    measure_scale,
    say_unknown,
)
from simdeploy.result import Table
from simdeploy.scenario.measures import Measure
from simdeploy.vocabulary import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import pandas as pd

    from simdeploy.analysis.comparison.compare import Comparison

# A change review asks what may happen, how long it takes, how many it can hit and what it costs the users.
_SHOWN = (*VERDICTS, "makespan_s", "blast_radius", "failed_requests_excess", "cost")
_MOST_NAMES = 3


class _Words(NamedTuple):
    """How the policy that is the best by a measure is spoken of, several best ones, and the rest."""

    one: str
    several: str
    less: str


_BEST_BY = {
    "cost": _Words("costs least", "cost least", "less than"),
    "false_alarm": _Words("raises the fewest false alarms", "raise the fewest false alarms", "fewer than"),
    "escaped": _Words("lets the fewest defects escape", "let the fewest defects escape", "fewer than"),
    "makespan_s": _Words("ends soonest", "end soonest", "before"),
}


def tell(comparison: Comparison) -> str:
    """Say which policy is the best, and which ones can't be told from it.

    By what `Comparison.judged_by` says. Of a policy with rollouts that never end it says how many, and the best one is that
    of the others.

    Examples
    --------
    >>> import pandas as pd
    >>> from simdeploy.analysis import compare
    >>> table = pd.DataFrame({
    ...     "policy": ["a"] * 4 + ["b"] * 4, "replication": [*range(4), *range(4)],
    ...     "makespan_s": [60.0, 61.0, 62.0, 63.0, 71.0, 70.0, 72.0, 74.0],
    ... })
    >>> print(tell(compare(table)))
    a ends soonest: 61.5 s (59.4 to 63.6), surely before b, at 95 % confidence.
    """
    unknown = _tell_unknown(comparison)
    sentences = [said for of in comparison.judged_by if (said := _tell_best(comparison, of))]
    if not sentences:
        return " ".join(unknown) or "No rollout ended: nothing can be said of the policies."
    at_once = " for all policies at once" if len(comparison.policies) > 2 else ""
    told = f"{'. '.join(sentences)}, at {100 * comparison.confidence_level:g} % confidence{at_once}."
    return " ".join([*unknown, told])


def _tell_unknown(comparison: Comparison) -> list[str]:
    """Say of which policies what isn't known, as they never end; what is unknown of the same ones in one sentence."""
    nouns: dict[tuple[tuple[str, float], ...], list[str]] = {}
    for of in comparison.judged_by:
        if unknown := _find_unknown(comparison, of):
            nouns.setdefault(tuple(unknown.items()), []).append(_noun(of))
    return [f"{say_unknown(dict(unknown), join_words(of))}." for unknown, of in nouns.items()]


def _find_unknown(comparison: Comparison, of: str) -> dict[str, float]:
    """Return for how many of the rollouts of which policies a measure is unknown."""
    rows = _rows(comparison.ranking, of)
    rows = rows[rows["unknown_fraction"].gt(0)]
    return dict(zip(rows["policy"], rows["unknown_fraction"], strict=True))


def _rows(frame: pd.DataFrame, of: str) -> pd.DataFrame:
    return frame[frame["level"].fillna(frame["response"]).eq(of)]


def _find_ranked(comparison: Comparison, of: str) -> pd.DataFrame:
    """Return the ranking of the policies that have a place, best first, with each one's own estimate."""
    ranking = _rows(comparison.ranking, of)
    ranked = ranking[ranking["rank"].notna()]
    found = ranked.merge(_rows(comparison.estimates, of), on="policy", suffixes=("", "_own"))
    return found.sort_values("rank", kind="stable")


def _tell_best(comparison: Comparison, of: str) -> str:
    ranked = _find_ranked(comparison, of)
    if ranked.empty:
        return ""
    is_first = ranked["rank"].eq(1)
    best, others = ranked.loc[is_first, "policy"].tolist(), ranked.loc[~is_first, "policy"].tolist()
    first = ranked.iloc[0]
    told = format_estimate(first["estimate_own"], first["low_own"], first["high_own"], _scale_of_best(of, ranked))
    if len(ranked) == 1:
        return f"{best[0]}: {_noun(of)} {told}"
    of_others = "Of the others " if _find_unknown(comparison, of) else ""
    words = _BEST_BY[of]
    begun = f"{of_others}{_names(best)} {words.one if len(best) == 1 else words.several}: {told}"
    rivals = ranked.loc[~is_first & ranked["verdict"].ne("worse"), "policy"].tolist()
    if not others:
        return f"{begun}, one like the other"
    if not rivals:
        return f"{begun}, surely {words.less} {_names(others)}"
    them = "it" if len(best) == 1 else "them"
    if len(rivals) == len(others) > 1:
        return f"{begun}; none of the others can be told from {them}"
    return f"{begun}; {_names(rivals)} can't be told from {them}"


def _scale_of_best(of: str, ranked: pd.DataFrame) -> Scale:
    return A_ROLLOUT if of == "cost" else measure_scale(Measure(of), float(ranked["estimate_own"].max()))


def _noun(of: str) -> str:
    return describe_measure(Measure(of))


def _names(policies: Sequence[str]) -> str:
    """Write a few names as in a sentence, many as the first ones and how many more."""
    if len(policies) > _MOST_NAMES + 1:
        policies = [*policies[:_MOST_NAMES], f"{len(policies) - _MOST_NAMES} more"]
    return join_words(policies)


def tabulate(comparison: Comparison) -> tuple[Table, ...]:
    r"""Write the main responses of a comparison as tables: the estimates, the differences if there are any, the ranking.

    Examples
    --------
    >>> import pandas as pd
    >>> from simdeploy.analysis import compare
    >>> table = pd.DataFrame({"policy": ["a"] * 4, "replication": range(4), "makespan_s": [60.0, 61.0, 62.0, 63.0]})
    >>> tabulate(compare(table))[0].rows
    (('a\nn = 4', '61.5 s\n59.4 to 63.6'),)
    """
    level = f"{100 * comparison.confidence_level:g} % intervals"
    tables = [
        _tabulate_responses(
            f"Estimates with {level}",
            comparison.estimates,
            {policy: _policy_cell(comparison, policy) for policy in comparison.policies},
            {policy: comparison.n_replications[policy] - comparison.n_failed[policy] for policy in comparison.policies},
            difference=False,
        )
    ]
    others = [policy for policy in comparison.policies if policy != comparison.baseline]
    if others:
        pairs = comparison.differences.groupby("policy")["n"].max()
        tables.append(
            _tabulate_responses(
                f"Differences to {comparison.baseline} in the same worlds, with {level}",
                comparison.differences,
                {policy: f"{policy}\n{pairs[policy]} pairs" for policy in others},
                {policy: int(pairs[policy]) for policy in others},
                difference=True,
            )
        )
    # Of two policies the differences have said it all.
    if len(comparison.policies) > 2:
        ranked = {of: _find_ranked(comparison, of) for of in comparison.judged_by}
        tables += [_tabulate_ranking(comparison, of, rows) for of, rows in ranked.items() if len(rows)]
    return tuple(tables)


def _policy_cell(comparison: Comparison, policy: str) -> str:
    failed = comparison.n_failed[policy]
    kept = comparison.n_replications[policy] - failed
    return f"{policy}\nn = {kept}" + (f"\n{failed} failed" if failed else "")


def _tabulate_responses(
    title: str, frame: pd.DataFrame, names: dict[str, str], most: dict[str, int], *, difference: bool
) -> Table:
    header, columns = ["policy"], [list(names.values())]
    for of in _SHOWN:
        rows = _rows(frame, of).set_index("policy")
        if rows.empty:
            continue
        # One scale per column, so that its numbers can be compared at a glance.
        scale = measure_scale(Measure(of), float(rows["estimate"].abs().max()))
        scale = difference_scale(scale) if difference else scale
        header.append(of.replace("_", " ") if of in VERDICTS else LABELS[of][0])
        cells = rows.to_dict("index")
        columns.append([_cell(cells[policy], scale, most[policy], difference=difference) for policy in names])
    return Table(title, tuple(header), tuple(zip(*columns, strict=True)))


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


def _tabulate_ranking(comparison: Comparison, of: str, ranked: pd.DataFrame) -> Table:
    scale = _scale_of_best(of, ranked)
    # A policy with nobody beside it has no verdict, and is the best.
    is_best = {"better": "yes", "worse": "no", "unknown": "yes"}
    rows = [
        (
            row["policy"],
            format_estimate(row["estimate_own"], row["low_own"], row["high_own"], scale),
            _interval(row["low"], row["high"], difference_scale(scale)),
            is_best.get(row["verdict"], "may be"),
        )
        for row in ranked.to_dict("records")
    ]
    title = f"Against the best of the others, {100 * comparison.confidence_level:g} % for all policies at once"
    return Table(title, ("policy", _noun(of), "less the best of the others", "the best?"), tuple(rows))


def _interval(low: float, high: float, scale: Scale) -> str:
    if math.isnan(low) or math.isnan(high):
        return "no interval"
    low, high = low * scale.factor, high * scale.factor
    words = (format_number(value, (high - low) / 2, sign=True) for value in (low, high))
    return f"{' to '.join(words)} {scale.unit}".rstrip()
