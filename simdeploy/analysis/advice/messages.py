"""What the messages of deployment objects say."""

from __future__ import annotations

import re

# How messages of rollouts under way begin (`Pacing.describe` of the reference engine).
_UNDER_WAY = re.compile(
    r"nothing dispatched yet|(?:bak(?:ing|ed) after )?wave \d+ of (\d+)|canaries await promotion|wave \d+ awaits promotion"
)
_AWAITS = re.compile(r"waits for ([0-9]{1,9}|[0-9]{1,3}(,[0-9]{3}){1,2}) unreachable nodes?")


def read_awaited(message: str, n_waves: int) -> int | None:
    """Return how many unreachable nodes a rollout waits for by its message; None if the message doesn't say.

    A message that describes the progress of a rollout says that it waits for none if it names none. One that counts other
    waves than `n_waves` is of another plan, and says nothing.

    Examples
    --------
    >>> read_awaited("wave 2 of 3; waits for 2 unreachable nodes", 3), read_awaited("wave 2 of 3", 3)
    (2, 0)
    >>> read_awaited("all is well", 3), read_awaited("wave 2 of 9", 3)
    (None, None)
    """
    parts = message.split("; ")
    under_way = _UNDER_WAY.fullmatch(parts[0])
    if under_way and under_way[1] not in (None, str(n_waves)):
        return None
    awaits = next(filter(None, map(_AWAITS.fullmatch, parts)), None)
    if awaits is not None:
        return int(awaits[1].replace(",", ""))
    return 0 if under_way else None
