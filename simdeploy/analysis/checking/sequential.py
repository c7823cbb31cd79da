"""When a requirement is looked at while replications come in, so that nobody looks until it fits."""

from __future__ import annotations

FIRST_LOOK = 100


def plan_looks(most: int, first: int = FIRST_LOOK) -> tuple[int, ...]:
    """Say after how many replications a requirement is looked at: `first`, then twice as many each time, at last `most`.

    Examples
    --------
    >>> plan_looks(1000), plan_looks(50)
    ((100, 200, 400, 800, 1000), (50,))
    """
    looks = []
    look = first
    while look < most:
        looks.append(look)
        look *= 2
    return (*looks, most)
