"""Which policy is the best, in sentences that can be read aloud, and as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from simdeploy.analysis.asking.naming import EVENTS, LABELS
from simdeploy.report.wording import (
    PERCENT,
    Scale,
    difference_scale,
    format_estimate,
    format_number,
    join_words,
    response_scale,
    say_unknown,
)
from simdeploy.result import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from simdeploy.analysis.comparison.compare import Comparison


class _Question(NamedTuple):
    """What is asked: a response and its level, and how the best one, several best ones, and the rest are spoken of."""

    response: str
    level: str | None
    one: str
    several: str
    less: str


_COST = _Question("cost", None, "costs least", "cost least", "less than")
_ERRORS = (
    _Question(
        "verdict", "false_alarm", "raises the fewest false alarms", "raise the fewest false alarms", "fewer than"
    ),
    _Question("verdict", "escaped", "lets the fewest defects escape", "let the fewest defects escape", "fewer than"),
)
_TIME = _Question("makespan_s", None, "ends soonest", "end soonest", "before")
_MOST_NAMES = 3


def say_which_is_best(comparison: Comparison) -> str:
    """Say which policy is the best, and which ones can't be told from it.

    By the cost, where there is one; else by false alarms and escapes; where there are no verdicts by the makespan. Of a
    policy with rollouts that never end it says how many, and the best one is that of the others.

    Examples
    --------
    >>> import pandas as pd
    >>> from simdeploy.analysis import compare
    >>> table = pd.DataFrame({
    ...     "policy": ["a"] * 4 + ["b"] * 4, "replication": [*range(4), *range(4)],
    ...     "makespan_s": [60.0, 61.0, 62.0, 63.0, 71.0, 70.0, 72.0, 74.0],
    ... })
    >>> print(say_which_is_best(compare(table)))
    a ends soonest: 61.5 s (59.4 to 63.6), surely before b, at 95 % confidence.
    """
    questions = _questions(comparison)
    if not any(len(_known(comparison, question)) for question in questions):
        unknown = _say_unknown(comparison, questions)
        return " ".join(unknown) if unknown else "No rollout ended: nothing can be said of the policies."
    sentences = [said for question in questions if (said := _say(comparison, question))]
    at_once = " for all policies at once" if len(comparison.policies) > 2 else ""
    told = f"{'. '.join(sentences)}, at {100 * comparison.confidence_level:g} % confidence{at_once}."
    return " ".join([*_say_unknown(comparison, questions), told])


def summarize_ranking(comparison: Comparison) -> tuple[Table, ...]:
    """Write the rankings that `say_which_is_best` speaks of as tables, the best policies first."""
    return tuple(
        _table(comparison, question) for question in _questions(comparison) if len(_known(comparison, question))
    )


def _questions(comparison: Comparison) -> tuple[_Question, ...]:
    for questions in ((_COST,), _ERRORS):
        if any(len(_known(comparison, question)) or _unknown(comparison, question) for question in questions):
            return questions
    return (_TIME,)


def _say_unknown(comparison: Comparison, questions: Sequence[_Question]) -> list[str]:
    """Say of which policies what isn't known, as they never end; what is unknown of the same ones in one sentence."""
    nouns: dict[tuple[tuple[str, float], ...], list[str]] = {}
    for question in questions:
        if unknown := _unknown(comparison, question):
            nouns.setdefault(tuple(unknown.items()), []).append(_noun(question))
    return [f"{say_unknown(dict(unknown), join_words(of))}." for unknown, of in nouns.items()]


def _unknown(comparison: Comparison, question: _Question) -> dict[str, float]:
    """Return for how many of the rollouts of which policies the answer is unknown."""
    rows = _ranking(comparison, question)
    rows = rows[rows["unknown_fraction"].gt(0)]
    return dict(zip(rows["policy"], rows["unknown_fraction"], strict=True))


def _ranking(comparison: Comparison, question: _Question) -> pd.DataFrame:
    ranking = comparison.ranking[comparison.ranking["response"].eq(question.response)]
    return ranking[ranking["level"].isna() if question.level is None else ranking["level"].eq(question.level)]


def _known(comparison: Comparison, question: _Question) -> pd.DataFrame:
    """Return the ranking of the policies that have values, best first, with each one's own estimate."""
    keys = ["policy", "response", "level"]
    ranked = _ranking(comparison, question)
    found = ranked[ranked["rank"].notna()].merge(comparison.estimates, on=keys, suffixes=("", "_own"))
    return found.sort_values("rank", kind="stable")


def _say(comparison: Comparison, question: _Question) -> str:
    known = _known(comparison, question)
    if known.empty:
        return ""
    best = known[known["rank"].eq(1)]
    policies = list(best["policy"])
    first = best.iloc[0]
    told = format_estimate(first["estimate_own"], first["low_own"], first["high_own"], _scale(question, known))
    if len(known) == 1:
        return f"{policies[0]}: {_noun(question)} {told}"
    of_others = "Of the others " if _unknown(comparison, question) else ""
    begun = f"{of_others}{_names(policies)} {question.one if len(policies) == 1 else question.several}: {told}"
    others = list(known[~known["rank"].eq(1)]["policy"])
    rivals = list(known[~known["rank"].eq(1) & known["is_among_best"]]["policy"])
    if not others:
        return f"{begun}, one like the other"
    if not rivals:
        return f"{begun}, surely {question.less} {_names(others)}"
    them = "it" if len(policies) == 1 else "them"
    if len(rivals) == len(others) > 1:
        return f"{begun}; none of the others can be told from {them}"
    return f"{begun}; {_names(rivals)} can't be told from {them}"


def _table(comparison: Comparison, question: _Question) -> Table:
    known = _known(comparison, question)
    scale = _scale(question, known)
    apart = difference_scale(scale)
    best = "yes" if known["is_among_best"].sum() == 1 else "may be"
    rows = [
        (
            row["policy"],
            format_estimate(row["estimate_own"], row["low_own"], row["high_own"], scale),
            _interval(row["low"], row["high"], apart),
            best if row["is_among_best"] else "no",
        )
        for row in known.to_dict("records")
    ]
    title = f"Against the best of the others, {100 * comparison.confidence_level:g} % for all policies at once"
    return Table(title, ("policy", _noun(question), "less the best of the others", "the best?"), tuple(rows))


def _interval(low: float, high: float, scale: Scale) -> str:
    if math.isnan(low) or math.isnan(high):
        return "no interval"
    low, high = low * scale.factor, high * scale.factor
    words = (format_number(value, (high - low) / 2, sign=True) for value in (low, high))
    return f"{' to '.join(words)} {scale.unit}".rstrip()


def _scale(question: _Question, known: pd.DataFrame) -> Scale:
    if question == _COST:
        return Scale(1, "a rollout")
    return PERCENT if question.level else response_scale(question.response, float(known["estimate_own"].max()))


def _noun(question: _Question) -> str:
    return LABELS[question.response][0] if question.level is None else EVENTS[question.level]


def _names(policies: Sequence[str]) -> str:
    """Write a few names as in a sentence, many as the first ones and how many more."""
    if len(policies) > _MOST_NAMES + 1:
        policies = [*policies[:_MOST_NAMES], f"{len(policies) - _MOST_NAMES} more"]
    return join_words(policies)
