"""What cannot be known of a policy, since some of its rollouts never end, and how much that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.naming import join_words

if TYPE_CHECKING:
    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.scenario.measures import Measure

_MOST_NAMES = 3


def unknown_fractions(values: Values, measure: Measure) -> np.ndarray:
    """Return by case for how many of the rollouts that a measure is about it is unknown, since they never end.

    Such a rollout may still become the dearest of all, so that a mean over the others says little. Replications that
    failed are neither among these rollouts nor unknown.
    """
    n_meant = values.may_concern(measure).sum(axis=1)
    fractions: np.ndarray = values.is_unknown(measure).sum(axis=1) / np.maximum(n_meant, 1)
    return fractions


def say_unknown(fractions: Mapping[str, float], what: str, *, is_conditional: bool = False) -> str:
    """Say how many rollouts of which policies never end, and what isn't known for that; the empty text if none.

    Parameters
    ----------
    fractions : mapping of str to float
        Of each policy; those of which everything is known have 0.
    what : str
        That isn't known.
    is_conditional : bool
        Whether it is about some of the rollouts only.

    Examples
    --------
    >>> say_unknown({"lax": 0.0, "strict": 0.6}, "cost")
    '60 % of the rollouts of strict never end, which leaves its cost unknown'
    >>> say_unknown({"lax": 0.593, "strict": 0.6}, "makespan", is_conditional=True)
    '59.3 to 60 % of the rollouts of lax and strict that count never end, which leaves their makespan unknown'
    """
    unknown = {policy: fraction for policy, fraction in fractions.items() if fraction > 0}
    if not unknown:
        return ""
    names = list(unknown)
    if len(names) > _MOST_NAMES + 1:
        names = [*names[:_MOST_NAMES], f"{len(names) - _MOST_NAMES:,} more"]
    ends = dict.fromkeys(f"{100 * fraction:.3g}" for fraction in (min(unknown.values()), max(unknown.values())))
    whose = "its" if len(unknown) == 1 else "their"
    share = f"{' to '.join(ends)} % of the rollouts of {join_words(names)}"
    return f"{share}{' that count' if is_conditional else ''} never end, which leaves {whose} {what} unknown"
