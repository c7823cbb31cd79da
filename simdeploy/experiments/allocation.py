"""Division of replications among the kinds of release."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from simdeploy.errors import InputError, Problem, not_among, raise_if_any, shorten
from simdeploy.experiments.kinds import Kinds
from simdeploy.units import is_whole
from simdeploy.vocabulary import FEWEST_OF_A_KIND, FEWEST_WORLDS, LARGEST_WEIGHT

# The fewest worlds of a kind that show how its values vary.
_FEWEST = 2


def read_worlds(asked: Any, kinds: Kinds, replications: Any) -> dict[str, range] | None:
    """Return the worlds of each kind, given the argument `strata`; None if kinds are drawn.

    ``"kinds"`` divides `replications` in proportion to the square roots of the kinds' probabilities (power allocation;
    Bankier 1988, *The American Statistician* 42(3), 174-177), which is nearly optimal both for means over all kinds and
    for those given one kind.
    """
    if asked is None:
        return None
    allowed = "'kinds', or a number of replications by kind of release"
    if not kinds.possible:
        raise InputError(Problem("the scenario has no release", ("strata",), found=shorten(asked)))
    if asked == "kinds":
        if not is_whole(replications, _FEWEST * len(kinds.possible)):
            fewest = f"a number from {_FEWEST * len(kinds.possible)}: {_FEWEST} of each kind"
            raise InputError(
                Problem(
                    "invalid number of replications by kinds",
                    ("replications",),
                    found=shorten(replications),
                    allowed=fewest,
                )
            )
        return {kind: range(n) for kind, n in divide_by_roots(kinds, int(replications)).items()}
    if not isinstance(asked, Mapping):
        raise InputError(Problem("invalid strata", ("strata",), found=shorten(asked), allowed=allowed))
    problems = [
        not_among("no such kind of release", ("strata",), str(name), kinds.possible)
        for name in asked
        if name not in kinds.possible
    ]
    worlds = {str(name): range(n) if is_whole(n) else n for name, n in asked.items()}
    for name in kinds.possible:
        numbers = worlds.get(name)
        if not isinstance(numbers, range) or numbers.step != 1 or not 0 <= numbers.start < numbers.stop <= kinds.span:
            message = "invalid number of replications of a kind"
            problems.append(
                Problem(message, ("strata", name), found=shorten(numbers), allowed="a whole number from 1, or a range")
            )
    raise_if_any(problems)
    return {name: worlds[name] for name in kinds.possible}


def divide_by_roots(kinds: Kinds, n: int) -> dict[str, int]:
    """Divide worlds among the kinds in proportion to the square roots of their probabilities.

    Each kind gets at least what trusted means need, if there are enough worlds.

    Examples
    --------
    >>> kinds = Kinds(("good", "bad"), (False, True), np.array([0.95, 0.05]))
    >>> divide_by_roots(kinds, 100), divide_by_roots(kinds, 400)
    ({'good': 81, 'bad': 19}, {'good': 325, 'bad': 75})
    """
    highest = dict(zip(kinds.names, np.atleast_2d(kinds.probabilities).max(axis=0).tolist(), strict=True))
    needed = {kind: max(math.ceil(highest[kind] / LARGEST_WEIGHT), FEWEST_OF_A_KIND) for kind in kinds.possible}
    is_enough = n >= max(FEWEST_WORLDS, sum(needed.values()))
    roots = {kind: math.sqrt(highest[kind]) for kind in kinds.possible}
    return divide(roots, n, fewest=needed if is_enough else _FEWEST)


def divide(shares: Mapping[str, float], n: int, *, fewest: int | Mapping[str, int]) -> dict[str, int]:
    """Divide worlds in proportion to shares, rounded by the largest remainders.

    Each gets at least `fewest` (a number for all, or one for each) if there are enough worlds.

    Examples
    --------
    >>> divide({"good": 9.0, "bad": 1.0}, 20, fewest=5)
    {'good': 15, 'bad': 5}
    """
    least = dict.fromkeys(shares, min(fewest, n // len(shares))) if isinstance(fewest, int) else dict(fewest)
    free = dict(shares)
    while True:  # until no share of the rest is below the minimum
        left, total = n - sum(least[kind] for kind in shares if kind not in free), sum(free.values())
        exact = {kind: left * (share / total if total else 1 / len(free)) for kind, share in free.items()}
        small = [kind for kind, amount in exact.items() if amount < least[kind]]
        if not small or len(small) == len(free):
            break
        free = {kind: share for kind, share in free.items() if kind not in small}
    counts = least | {kind: math.floor(amount) for kind, amount in exact.items()}
    for kind in sorted(exact, key=lambda kind: counts[kind] - exact[kind])[: n - sum(counts.values())]:
        counts[kind] += 1
    return counts
