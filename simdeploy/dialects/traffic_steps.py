"""Steps of traffic (ECS, CodeDeploy) as waves of nodes."""

import math
from fractions import Fraction

from simdeploy.dialects.reading import Group
from simdeploy.errors import plural


def note_minutes(
    steps: Group,
    key: str,
    minutes: int,  # between two steps
    percent: float,  # of the traffic, in the first or in each step
    nodes: int | None,
    *,
    is_linear: bool,  # whether all steps are equal; otherwise the second one is the rest
) -> None:
    """Note the time between steps: exact if the nodes make as many waves as there are steps."""
    step = Fraction(str(percent))
    n_steps = math.ceil(100 / step) if is_linear or step == 100 else 2
    text = f"{minutes} min between steps"
    if nodes is None:
        enough = _count_enough(step / 100, n_steps)
        if enough <= 2:
            steps.exact(key, text)
        else:
            steps.approximate(key, f"{text}; fewer than {enough:,} nodes may make fewer steps than {n_steps:,}")
        return
    size = math.ceil(step * nodes / 100)
    waves = -(-nodes // size) if is_linear else 1 + (size < nodes)
    if waves == n_steps:
        steps.exact(key, text)
    else:
        steps.approximate(key, f"{text}; {plural(nodes, 'node')}: {plural(waves, 'step')} instead of {n_steps:,}")


def _count_enough(share: Fraction, n_steps: int) -> int:
    """Return the number of nodes from which on no fleet makes fewer waves than steps, since waves are rounded up.

    All but the last wave of `size` nodes, at most `share` of them rounded up, are enough for `size * (n_steps - 1)` nodes; the
    largest such size that is that of so many nodes is less than `1 / (1 - share * (n_steps - 1))`.

    Examples
    --------
    >>> _count_enough(Fraction(1, 10), 10), _count_enough(Fraction(3, 10), 4), _count_enough(Fraction(1, 2), 2)
    (82, 28, 2)
    """
    size = math.ceil(1 / (1 - share * (n_steps - 1))) - 1
    return size * (n_steps - 1) + 1
