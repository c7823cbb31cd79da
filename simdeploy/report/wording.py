"""Names of results, and functions that join words, lists and sentences."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.judging import IN_INTERVAL
from simdeploy.analysis.asking.naming import LABELS, describe_measure
from simdeploy.analysis.asking.verdicts import CONTAINS_0
from simdeploy.errors import plural
from simdeploy.report.formatting import round_up

if TYPE_CHECKING:
    from simdeploy.scenario.measures import Measure

LONGEST_ANSWER = 240
_LONGEST_NAMES = (48, 32, 18)  # tried in this order if an answer is too long
_WORD = re.compile(r"[^\s,;:=()]+")
UNPRICED = "(no price)"  # in the heading of nodes left out of service, if the answer is about them
# Verdicts that have another word in texts.
VERDICTS = {"trades": "trade-off"}
# Short names of the most common measures.
_BRIEF = {
    "false_alarm given good": "false alarms",
    "escaped given defective": "escapes",
    "makespan_s given completed_good": "makespan",
    "makespan_s given completed": "makespan",
    "blast_radius given defective": "blast radius",
}


def say_left_out(reasons: Mapping[str, int], n_out: int, n: int, nouns: str) -> str:
    """Say how many things are excluded, and why.

    Examples
    --------
    >>> say_left_out({"no value": 2, "never ends": 1}, 3, 64, "worlds")
    '3 of 64 worlds are excluded (no value in 2; never ends in 1)'
    """
    listed = "; ".join(f"{reason} in {number:,}" for reason, number in reasons.items())
    return f"{n_out:,} of {n:,} {nouns} are excluded ({listed})"


def say_unknown(
    fractions: Mapping[str, float], noun: str, *, is_conditional: bool = False, counts_cases: bool = False
) -> str:
    """Say for which policies something is unknown because rollouts never end; empty if there are none.

    `is_conditional` is whether only some of the rollouts count; `counts_cases` whether to give the number of cases instead of names.

    Examples
    --------
    >>> say_unknown({"lax": 0.0, "strict": 0.6}, "cost")
    'Cost unknown for strict: 60 % of its rollouts never end'
    >>> say_unknown({"lax": 0.593, "strict": 0.6}, "makespan", is_conditional=True)
    'Makespan unknown for lax and strict: 59.3 to 60 % of their relevant rollouts never end'
    >>> say_unknown({"a": 0.0, "b": 0.6}, "cost", counts_cases=True)
    'Cost unknown for 1 case: 60 % of its rollouts never end'
    """
    unknown = {policy: fraction for policy, fraction in fractions.items() if fraction > 0}
    if not unknown:
        return ""
    ends = dict.fromkeys(f"{100 * fraction:.3g}" for fraction in (min(unknown.values()), max(unknown.values())))
    rollouts = f"{'its' if len(unknown) == 1 else 'their'}{' relevant' if is_conditional else ''} rollouts"
    names = plural(len(unknown), "case") if counts_cases else list_some(list(unknown))
    return f"{capitalize(noun)} unknown for {names}: {' to '.join(ends)} % of {rollouts} never end"


def say_failed(n_failed: int) -> str:
    """Say how many replications failed, and that they are excluded; empty if none.

    Examples
    --------
    >>> say_failed(0), say_failed(2)
    ('', '2 replications failed and are excluded')
    """
    return f"{plural(n_failed, 'replication')} failed and {is_or_are(n_failed)} excluded" if n_failed else ""


def say_on_record(n_rollouts: int) -> str:
    """Say that no further worlds are on record.

    Examples
    --------
    >>> say_on_record(20)
    'only 20 rollouts are on record'
    """
    return f"only {plural(n_rollouts, 'rollout')} {is_or_are(n_rollouts)} on record"


def say_needed(n_needed: float, computed_under: Mapping[str, Any], noun: str = " replications") -> str:
    """Say about how many replications are needed, or that fewer rollouts are on record.

    Examples
    --------
    >>> say_needed(812.3, {}), say_needed(812.3, {"rollouts_on_record": 815})
    ('about 820 replications needed', 'only 815 rollouts are on record')
    """
    on_record = computed_under.get("rollouts_on_record", math.inf)
    fewest = min(on_record.values()) if isinstance(on_record, Mapping) else on_record  # of several scenarios
    n = round_up(n_needed)
    return f"about {n:,}{noun} needed" if n <= fewest else say_on_record(fewest)


def say_unpriced(more: Sequence[str], fewer: Sequence[str], computed_under: Mapping[str, Any]) -> list[str]:
    """Say that the cheapest policies leave more nodes out of service than others, longest form first; nothing if that has a price.

    Examples
    --------
    >>> say_unpriced(["hasty"], ["today's"], {"costs": {"escape": 9}})[0]
    "hasty leaves more nodes out of service than today's; costs.unrestored_node can price them"
    >>> say_unpriced(["hasty"], ["today's"], {"costs": {"escape": 9, "unrestored_node": 0}})
    []
    """
    if not more or "unrestored_node" in computed_under["costs"]:
        return []
    leaves = f"{list_some(more)} {'leaves' if len(more) == 1 else 'leave'}"
    return [
        f"{leaves} more nodes out of service than {list_some(fewer)}; costs.unrestored_node can price them",
        "Nodes left out of service have no price (costs.unrestored_node)",
        "Nodes left out of service have no price",
    ]


def group_unknown(
    quantities: Iterable[tuple[str, Mapping[str, float], bool]],
) -> Iterator[tuple[str, dict[str, float], bool]]:
    """Yield the arguments of `say_unknown`, with quantities together that are unknown for the same fractions of rollouts.

    Each quantity is a noun, the fractions of rollouts by policy, and whether only some rollouts count.

    Examples
    --------
    >>> list(group_unknown([("cost", {"a": 0.5}, False), ("makespan", {"a": 0.5}, False), ("escapes", {"a": 0.0}, True)]))
    [('cost and makespan', {'a': 0.5}, False)]
    """
    nouns: dict[tuple[bool, tuple[tuple[str, float], ...]], list[str]] = {}
    for noun, fractions, is_conditional in quantities:
        unknown = tuple((name, fraction) for name, fraction in fractions.items() if fraction > 0)
        if unknown:
            nouns.setdefault((is_conditional, unknown), []).append(noun)
    for (is_conditional, unknown), of in nouns.items():
        yield join_words(of), dict(unknown), is_conditional


def say_all_unknown(quantities: Iterable[tuple[str, Mapping[str, float], bool]]) -> list[str]:
    r"""Say what is unknown because rollouts never end, in one sentence for all quantities of `group_unknown`, and a shorter one.

    Examples
    --------
    >>> print(*say_all_unknown([("cost", {"a": 0.5}, False), ("escapes", {"a": 0.8, "b": 0.7}, True)]), sep="\n")
    Cost and escapes unknown for 1 to 2 cases: 50 to 80 % of their relevant rollouts never end
    Cost and escapes unknown for 1 to 2 cases
    """
    unknown = {noun: [each for each in fractions.values() if each > 0] for noun, fractions, _ in quantities}
    unknown = {noun: fractions for noun, fractions in unknown.items() if fractions}
    fewest, most = (extreme(map(len, unknown.values())) for extreme in (min, max))
    cases = plural(most, "case") if fewest == most else f"{fewest:,} to {plural(most, 'case')}"
    found = [fraction for fractions in unknown.values() for fraction in fractions]
    ends = dict.fromkeys(f"{100 * fraction:.3g}" for fraction in (min(found), max(found)))
    short = f"{capitalize(join_words([*unknown]))} unknown for {cases}"
    return [f"{short}: {' to '.join(ends)} % of their relevant rollouts never end", short]


def capitalize(text: str) -> str:
    """Return a text with a capital first letter, the rest unchanged."""
    return text[:1].upper() + text[1:]


def case_noun(case_columns: Sequence[str]) -> str:
    """Return the noun for rows of estimates."""
    return "case" if "case" in case_columns else "policy"


def is_or_are(n: int) -> str:
    """Return the verb for a number of things."""
    return "is" if n == 1 else "are"


def join_words(words: Sequence[str], *, word: str = "and") -> str:
    """Join words as in a sentence.

    Examples
    --------
    >>> join_words(["a"]), join_words(["a", "b"]), join_words(["a", "b", "c"], word="or")
    ('a', 'a and b', 'a, b or c')
    """
    return f" {word} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def name_briefly(measure: Measure) -> str:
    """Name a measure briefly.

    Examples
    --------
    >>> from simdeploy.scenario.measures import Measure
    >>> name_briefly(Measure("false_alarm", given="good")), name_briefly(Measure("waves", given="good"))
    ('false alarms', 'waves of good releases')
    """
    return _BRIEF.get(str(measure)) or describe_measure(measure)


def name_objective(measure: Measure) -> str:
    """Name a measure by which policies are ranked, with "mean" if it is one."""
    return f"{'mean ' if measure.kind == 'mean' else ''}{describe_measure(measure)}"


def name_cause(cause: str) -> str:
    """Name a cause of costs in a context that is clearly about costs."""
    return LABELS[cause][0].removeprefix("cost of ")


def end_sentence(text: str) -> str:
    """Return a sentence with one full stop, also after a name or a unit that ends in one.

    Examples
    --------
    >>> end_sentence("It costs 5 EUR"), end_sentence("It costs 5 Rp.")
    ('It costs 5 EUR.', 'It costs 5 Rp.')
    """
    return text if text.endswith((".", "!", "?")) else f"{text}."


def join_answer(sentences: Iterable[str | Sequence[str]]) -> str:
    """Join sentences, the most important first, into an answer of at most `LONGEST_ANSWER` characters.

    Empty sentences are skipped. A sentence may have several forms, the longest first, and the first that fits is
    used. The last sentences are left out if even their shortest forms don't fit. If the first is too long by itself, long names
    are shortened in the middle. Only an answer that is still too long is cut, outside brackets.

    Examples
    --------
    >>> join_answer(["It holds", "", "n" * 240, "Nothing flips it"])
    'It holds. Nothing flips it.'
    >>> join_answer([["a" * 240, "Use a, b or c", "Use a"], "No other is close"])
    'Use a, b or c. No other is close.'
    >>> join_answer([f"Use {'a' * 300}-1: mean cost 101"])
    'Use aaaaaaaaaaaaaaaaaaaaaaaa…aaaaaaaaaaaaaaaaaaaaa-1: mean cost 101.'
    >>> join_answer(["name " * 44 + "costs 12,345 (12,000 to 13,000)"])[-23:]
    'name name costs 12,345…'
    """
    parts = [_end_sentences(forms) for forms in sentences]
    answer = " ".join(fit_forms(parts, LONGEST_ANSWER))
    for longest_name in _LONGEST_NAMES:
        if len(answer) <= LONGEST_ANSWER:
            return answer
        parts = [[_shorten_names(form, longest_name) for form in forms] for forms in parts]
        answer = " ".join(fit_forms(parts, LONGEST_ANSWER))
    return re.sub(r" \([^)]*$", "", textwrap.shorten(answer, LONGEST_ANSWER - 1, placeholder="")) + "…"


def fits_answer(sentences: Iterable[Sequence[str]]) -> bool:
    """Return whether the shortest forms of all sentences fit into an answer."""
    return len(" ".join(_end_sentences(forms)[-1] for forms in sentences)) <= LONGEST_ANSWER


def _shorten_names(text: str, longest: int) -> str:
    """Shorten words in the middle, but no numbers, which have fewer digits between commas."""
    half = (longest - 1) // 2

    def shorten(word: re.Match[str]) -> str:
        return word[0] if len(word[0]) <= longest else f"{word[0][: longest - 1 - half]}…{word[0][-half:]}"

    return _WORD.sub(shorten, text)


def _end_sentences(forms: str | Sequence[str]) -> list[str]:
    return [end_sentence(text) for text in ([forms] if isinstance(forms, str) else forms) if text]


def fit_forms(parts: Iterable[Sequence[str]], longest: int, separator: str = " ") -> list[str]:
    """Choose a form of each part, the longest first, such that all together fit; see `join_answer`.

    Examples
    --------
    >>> fit_forms([["one", "1"], [], ["two", "2"], ["three"]], 5)
    ['one', '2']
    """
    chosen: list[str] = []
    kept = []
    for forms in filter(None, parts):
        if not chosen or len(separator.join([*chosen, forms[-1]])) <= longest:
            chosen.append(forms[-1])
            kept.append(forms)
    for place, forms in enumerate(kept):
        for form in forms:
            changed = [*chosen[:place], form, *chosen[place + 1 :]]
            if len(separator.join(changed)) <= longest:
                chosen = changed
                break
    return chosen


def compare_with_others(
    others: Sequence[str], rivals: Sequence[str], than: str, *, noun: str, separator: str = ",", why: str = ""
) -> list[str]:
    """Return endings of a sentence about the best, the longest first: what it is better than, or which rivals may be as good, and why.

    Examples
    --------
    >>> compare_with_others(["a", "b"], [], "lower than", noun="policy")
    [', lower than a and b']
    >>> compare_with_others(["a", "b"], ["b"], "lower than", noun="policy")
    [', but b may be as good']
    >>> compare_with_others(["a", "b"], ["a", "b"], "lower than", noun="policy")
    [', but every other policy may be as good']
    >>> compare_with_others(["a", "b"], ["b"], "lower than", noun="policy", why="nobody knows")
    [', but b may be as good (nobody knows)', ', but b may be as good']
    """
    if not rivals:
        return [f", {than} {names}" for names in list_forms(others, separator=separator)]
    forms = [f"every other {noun}"] if len(rivals) == len(others) > 1 else list_forms(rivals, separator=separator)
    ends = [f", but {names} may be as good" for names in forms]
    return [*([f"{end} ({why})" for end in ends] if why else []), *ends]


def find_shared_reason(reasons: Iterable[str]) -> str:
    """Return the reason that all have; empty if they differ, or if it goes without saying, as an interval that allows for both.

    Examples
    --------
    >>> from simdeploy.analysis.asking.verdicts import CONTAINS_0
    >>> find_shared_reason(["why", "why"]), find_shared_reason(["why", "why not"]), find_shared_reason([CONTAINS_0])
    ('why', '', '')
    """
    distinct = set(reasons)
    return distinct.pop() if len(distinct) == 1 and not distinct & {CONTAINS_0, IN_INTERVAL} else ""


def list_forms(words: Sequence[str], most: int = 3, *, separator: str = ",") -> list[str]:
    """Return lists of some words for `join_answer`, from `most` words down to one.

    Examples
    --------
    >>> list_forms(["a", "b", "c", "d"], 2)
    ['a, b and 2 more', 'a and 3 more']
    """
    longest = range(min(most, len(words)), 0, -1)
    return list(dict.fromkeys(list_some(words, n, separator=separator) for n in longest))


def list_some(words: Sequence[str], most: int = 3, *, separator: str = ",", word: str = "and") -> str:
    """Join the first few words, and say how many more there are; use the separator ";" if words contain commas.

    Examples
    --------
    >>> list_some(["a", "b", "c", "d"]), list_some(["a", "b", "c", "d", "e"]), list_some(["a, b", "c"], separator=";")
    ('a, b, c and d', 'a, b, c and 2 more', 'a, b; c')
    """
    if len(words) > most + 1:
        words = [*words[:most], f"{'' if separator == ',' else 'and '}{len(words) - most:,} more"]
    return join_words(words, word=word) if separator == "," else f"{separator} ".join(words)
