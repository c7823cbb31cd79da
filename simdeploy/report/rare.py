"""The probability of a rare event, in words and as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.report.formatting import PERCENT, format_estimate, percent
from simdeploy.report.tables import Column, make_table, tabulate_pairs
from simdeploy.report.wording import join_answer

if TYPE_CHECKING:
    from simdeploy.analysis.rare.result import Rare
    from simdeploy.result import Table

_MOST_TILTS = 4
_RARE = 0.1  # up to this probability the answer says "once in ... rollouts"
_HITS = (Column("n", "rollouts", "count"), Column("n_hits", "with the event", "count"))


def tell(rare: Rare) -> str:
    """Say how likely the event is and what that took, or why it is unknown."""
    if not rare.is_trusted:
        start = f"{rare.event}: probability unknown"
        reasons = [f"{start}, because {doubt}" for doubt in rare.doubts[:1]]
        return join_answer([[*reasons, start], _say_what_helps(rare)])
    interval = format_probability(rare.probability, rare.low, rare.high, level=rare.confidence_level)
    such = "" if rare.event.given is None else "such "
    is_rare = 0 < rare.probability <= _RARE
    often = f", once in {format_count(1 / rare.probability)} {such}rollouts" if is_rare else ""
    plain = format_count(rare.plain_rollouts)
    if rare.is_cheaper:
        work = f"{rare.n_rollouts + rare.n_pilot:,} rollouts replaced {plain} plain ones"
    else:
        work = f"Plain simulation needs only {plain} rollouts" if math.isfinite(rare.plain_rollouts) else ""
    return join_answer([f"{rare.event}: probability {interval}{often}", work])


def _say_what_helps(rare: Rare) -> str:
    if rare.remedy == "plain rollouts":
        return "Use no --tilt" if rare.method == "importance" else "Use --levels without numbers"
    if rare.remedy is None:
        return ""
    if rare.is_often:
        return "The event is not rare: use plain replications, as in compare or check"
    if rare.tilt and len(rare.steps) == len(rare.kinds):  # no pilot chose the tilt
        return "Use no --tilt, so that a pilot chooses it, or more --replications"
    return "Use more --replications, or a less rare event"


def tabulate(rare: Rare) -> tuple[Table, ...]:
    """Return the estimate with its diagnosis, then the tilts or levels."""
    probability = format_probability(rare.probability, rare.low, rare.high) if rare.is_trusted else "not stated"
    in_updates = f"per node update, {format_count(rare.gain_in_updates)}"
    rows = (
        ("probability per rollout", probability),
        ("rollouts", f"{rare.n_rollouts:,}, plus {rare.n_pilot:,} of pilots"),
        ("plain rollouts for the same precision", format_count(rare.plain_rollouts)),
        ("plain rollouts per rollout", f"{format_count(rare.gain)}; {in_updates}"),
        *_say_diagnosis(rare),
    )
    title = f"Estimate ({percent(rare.confidence_level)} CI)"
    tables = [tabulate_pairs(title, "number", rows)]
    if len(rare.kinds) > 1:
        tables.append(_tabulate_kinds(rare))
    if rare.method == "splitting":
        tables.append(_tabulate_stages(rare))
    elif len(rare.steps) > len(rare.kinds):  # a pilot tried several tilts
        tables.append(_tabulate_tilts(rare))
    return tuple(tables)


def _tabulate_kinds(rare: Rare) -> Table:
    """Show which kinds of release lead to the event, and how each was estimated."""
    of_kinds = [
        f"at most {ends[2]:.2g}" if not hits else format_probability(*ends)
        for hits, *ends in rare.kinds[["n_hits", "estimate", "low", "high"]].itertuples(index=False)
    ]
    columns = (
        Column("kind", "kind"),
        Column("probability", "probability", "digits"),
        Column("of_event", "event given the kind"),
        Column("share", "share of the estimate", "share"),
        *_HITS,
        Column("effective_hits", "effectively", "number"),
        Column("mean_weight", "mean weight", "digits"),
        Column("tilt", "tilt"),
        Column("levels", "levels"),
    )
    return make_table("Kinds of release", rare.kinds.assign(of_event=of_kinds), columns)


def _say_diagnosis(rare: Rare) -> list[tuple[str, str]]:
    diagnosis = rare.diagnosis
    if rare.method == "splitting":
        return [("independent repetitions", f"{diagnosis['repetitions']}, {diagnosis['n_hits']} with the event")]
    share = diagnosis["largest_share"]
    k_hat, error = diagnosis["k_hat"], f"standard error {diagnosis['mean_weight_error']:.2g}"
    shape = "too few events" if math.isnan(k_hat) else "bounded" if diagnosis["is_bounded"] else f"{k_hat:.2f}"
    hits = f"{diagnosis['n_hits']:,}, effectively {diagnosis['effective_hits']:,.0f}"
    doubted = rare.kinds[rare.kinds["doubt"] != ""] if len(rare.kinds) > 1 and not rare.is_trusted else rare.kinds[:0]
    return [
        *(
            (f"rollouts with the event, kind {kind}", f"{n_hits:,}, effectively {effective:.3g}")
            for kind, n_hits, effective in doubted[["kind", "n_hits", "effective_hits"]].itertuples(index=False)
        ),
        ("mean weight (expected: 1)", f"{diagnosis['mean_weight']:.3g} ({error})"),
        ("rollouts with the event, all kinds" if len(doubted) else "rollouts with the event", hits),
        ("largest share of one rollout", "none" if math.isnan(share) else f"{100 * share:.2g} %"),
        ("tail of the weights (k-hat)", shape),
    ]


def _tabulate_stages(rare: Rare) -> Table:
    levels = ["the end" if math.isnan(level) else f"{level:g}" for level in rare.steps["level"]]
    columns = (
        Column("kind", "kind"),
        Column("level", f"{rare.counts}, up to"),
        *_HITS,
        Column("fraction", "reached", "share"),
    )
    return make_table("Stages", rare.steps.assign(level=levels), columns)


def _tabulate_tilts(rare: Rare) -> Table:
    """Show by kind the unchanged scenario, the chosen tilt, and the best others."""
    import pandas as pd

    steps = rare.steps.assign(is_start=~rare.steps["kind"].duplicated())
    is_other = ~steps["used"] & ~steps["is_start"]
    others = steps[is_other].sort_values("fraction", ascending=False, kind="stable")
    best = others.groupby("kind", sort=False).head(_MOST_TILTS).index
    shown = pd.concat([steps[~is_other], steps.loc[best]])
    shown = pd.concat([shown[shown["kind"] == kind] for kind in steps["kind"].unique()])
    columns = (
        Column("kind", "kind"),
        Column("tilt", "tilt"),
        *_HITS,
        Column("fraction", "effective hits", "share"),
        Column("used", "used", "yes"),
    )
    return make_table(f"Best of {len(steps):,} tilts tried", shown, columns)


def format_probability(probability: float, low: float, high: float, *, level: float | None = None) -> str:
    """Write a probability with its interval, to two digits of the half-width.

    Examples
    --------
    >>> format_probability(1.31e-6, 1.12e-6, 1.58e-6), format_probability(0.0512, 0.04, 0.07)
    ('1.31e-06 (1.12e-06 to 1.58e-06)', '5.1 % (4.0 to 7.0)')
    """
    if not high > low or not probability > 0:
        return f"{probability:.2g} (no interval)"
    if probability >= 1e-3:
        return format_estimate(probability, low, high, PERCENT, level=level)
    exponent = math.floor(math.log10(probability))
    decimals = min(max(exponent - math.floor(math.log10((high - low) / 2)) + 1, 1), 4)
    estimate, *ends = (f"{value:.{decimals}e}" for value in (probability, low, high))
    confidence = "" if level is None else f"{percent(level)} CI "
    return f"{estimate} ({confidence}{' to '.join(ends)})"


def format_count(number: float) -> str:
    """Write a number to two digits, large ones in millions.

    Examples
    --------
    >>> format_count(768_123), format_count(71_400_000), format_count(3.4), format_count(2.6e12)
    ('770,000', '71 million', '3.4', '2.6e+12')
    """
    if not math.isfinite(number):
        return "unknown"
    if number <= 0:
        return "0"
    rounded = round(number, 1 - math.floor(math.log10(number)))
    if rounded >= 1e12:
        return f"{rounded:.1e}"
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if rounded >= size:
            return f"{rounded / size:.3g} {word}"
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"
