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
        enough = n_steps if is_linear else math.ceil(100 / (100 - step)) if step < 100 else 1
        if enough <= 2:
            steps.exact(key, text)
        else:
            steps.approximate(key, f"{text}; fewer than {enough:,} nodes make fewer steps than {n_steps:,}")
        return
    size = math.ceil(step * nodes / 100)
    waves = -(-nodes // size) if is_linear else 1 + (size < nodes)
    if waves == n_steps:
        steps.exact(key, text)
    else:
        steps.approximate(key, f"{text}; {plural(nodes, 'node')}: {plural(waves, 'step')} instead of {n_steps:,}")
