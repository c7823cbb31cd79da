"""Which factors move a response, in a sentence, and the indices of each as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure, join_words, name_factors
from simdeploy.analysis.sensitivity.responding import NEVER_ENDS, NO_VALUE
from simdeploy.analysis.sensitivity.result import RANKED_BY
from simdeploy.report.wording import PERCENT, Scale, difference_scale, format_estimate, measure_scale
from simdeploy.result import Table

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.sensitivity.result import Sensitivity

_BLOCKS = {"morris": "trajectories", "sobol": "rows"}
_MOST_NAMED = 3
_HEADINGS = {
    "mu_star": "mean absolute effect (mu*)",
    "mu": "mean effect (mu)",
    "sigma": "spread of effects (sigma)",
    "first": "alone (first order)",
    "total": "with all others (total order)",
}


def tell(result: Sensitivity) -> str:
    """Say which factors move the response most, and which don't move it."""
    subject = say_subject(result)
    if result.is_refused:
        return f"Nothing can be said of {subject}: {_say_left_out(result)}.{_say_remedy(result)}"
    if result.is_constant:
        n = len(result.factors)
        text = f"None of the {n} factors moves {subject}" if n > 1 else f"The factor doesn't move {subject}"
        return _end(result, f"{text}: it is the same at every point")
    short = short_names(result)
    inert = set(result.factors["factor"][result.factors["is_inert"]])
    ranked = result.indices[result.indices["index"].eq(RANKED_BY[result.method])]
    moving = ranked[~ranked["factor"].isin(inert)]
    parts = [_say_first(result, moving.iloc[0])]
    others = [f"{short[row['factor']]} ({_write(result, row)})" for _, row in moving.iloc[1:_MOST_NAMED].iterrows()]
    if others:
        parts.append(f"next {'is' if len(others) == 1 else 'are'} {join_words(others)}")
    if not result.is_first_sure:
        parts.append(f"which of them is first isn't sure at {100 * result.confidence_level:g} %")
    if inert:
        names = join_words([short[name] for name in ranked["factor"] if name in inert])
        parts.append(f"{names} change{'s' if len(inert) == 1 else ''} not one number")
    return _end(result, "; ".join(parts))


def tabulate(result: Sensitivity) -> tuple[Table, ...]:
    """Return the indices of each factor, what moves the response most first."""
    short = short_names(result)
    over = dict(zip(result.factors["factor"], result.factors["over"], strict=True))
    by_factor = result.indices.set_index(["factor", "index"])
    kinds = list(dict.fromkeys(result.indices["index"]))
    rows = tuple(
        (short[name], over[name], *(_write(result, by_factor.loc[name, kind]) for kind in kinds))
        for name in dict.fromkeys(result.indices["factor"])
    )
    title = f"What moves {say_subject(result)}, with {100 * result.confidence_level:g} % intervals"
    return (Table(title, ("factor", "varied over", *(_HEADINGS[kind] for kind in kinds)), rows),)


def say_subject(result: Sensitivity) -> str:
    """Say what was looked at."""
    name = "the response" if result.of is None else describe_measure(result.of)
    return name if result.policy is None else f"{name} under {result.policy}"


def short_names(result: Sensitivity) -> dict[str, str]:
    """Return the factors' names as they are told, by their full ones."""
    names = list(result.factors["factor"])
    return dict(zip(names, name_factors(names), strict=True))


def index_scale(result: Sensitivity) -> Scale:
    """Return how indices are shown."""
    if result.method == "sobol":
        return PERCENT
    if result.of is None:
        return Scale(1, "")
    return difference_scale(measure_scale(result.of, float(result.indices["estimate"].abs().max())))


def _write(result: Sensitivity, row: pd.Series) -> str:
    return format_estimate(float(row["estimate"]), float(row["low"]), float(row["high"]), index_scale(result))


def _say_first(result: Sensitivity, row: pd.Series) -> str:
    text, moves = f"{short_names(result)[row['factor']]} moves {say_subject(result)} most", _write(result, row)
    if result.method == "morris":
        return f"{text}: from end to end of its range by {moves} on average"
    indices = result.indices
    alone = indices[indices["factor"].eq(row["factor"]) & indices["index"].eq("first")].iloc[0]
    return f"{text}: alone it explains {_write(result, alone)} of the variance, with all others {moves}"


def _say_left_out(result: Sensitivity) -> str:
    told = [f"{reason} in {number:,}" for reason, number in result.left_out.items()]
    n_out = result.n_blocks - result.n_used
    return f"{n_out:,} of {result.n_blocks:,} {_BLOCKS[result.method]} are left out ({'; '.join(told)})"


def _say_remedy(result: Sensitivity) -> str:
    if NEVER_ENDS in result.left_out:
        return " Ask for something that is known of every rollout, such as in_progress or blast_radius."
    return " More replications at each point might do." if NO_VALUE in result.left_out else ""


def _end(result: Sensitivity, text: str) -> str:
    return f"{text}; {_say_left_out(result)}." if result.left_out else f"{text}."
