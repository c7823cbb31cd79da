"""Why points of a design or worlds have no value, and when so many are left out that the others show nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

FAILED, NEVER_ENDS, NO_VALUE = "a replication failed", "some rollouts never end", "no value"
_MOST_UNKNOWN_FRACTION = 0.1


def count_reasons(reasons: Iterable[str]) -> dict[str, int]:
    """Return how many are left out, by reason in alphabetical order."""
    return dict(sorted(Counter(reasons).items()))


def is_unrepresentative(left_out: Mapping[str, int], n: int) -> bool:
    """Return whether more than a tenth of n is left out because of simulated outcomes, so the others are not representative.

    Examples
    --------
    >>> is_unrepresentative({FAILED: 50, NO_VALUE: 10}, 100), is_unrepresentative({NEVER_ENDS: 11}, 100)
    (False, True)
    """
    n_unknown = sum(number for reason, number in left_out.items() if reason != FAILED)
    return n_unknown > _MOST_UNKNOWN_FRACTION * n
