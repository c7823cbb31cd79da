"""Nodes with so few requests that rounding those of a window changes what is judged (model section 3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.rules.health import read_health_rule, read_max_error_rate
from simdeploy.units import NS_PER_S, write_duration
from simdeploy.world.fleet import peak_rate

if TYPE_CHECKING:
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import Policy
    from simdeploy.world.fleet import Behaviour, Fleet
    from simdeploy.world.release import ReleaseKind

# Rounding to a whole number changes no larger number by more than a tenth.
_ENOUGH = 5
# From this limit on, few requests are judged like many: a window is unhealthy if nothing is served.
_NEARLY_ALL = 0.99


def requests_can_fail(fleet: Fleet, release: tuple[ReleaseKind, ...]) -> bool:
    """Whether any node that is up, or any kind of release, has an error rate."""
    return any(kind.error_rate > 0 for kind in release) or any(
        behaviour.error_rate.mean > 0 or (behaviour.flapping is not None and behaviour.flapping.error_rate > 0)
        for behaviour in fleet.behaviours
    )


def _depends_on(judged: int, policy: Policy, orchestrator: Orchestrator, *, can_fail: bool) -> bool:
    """Whether anything depends on the number of requests that windows have: a gate, or a limit on the error rate of each."""
    if policy.gate is not None and policy.gate.kind != "threshold":
        return True
    limit = read_max_error_rate(policy, orchestrator)
    if not any(policy.windows_of_waves) or limit >= 1:
        return False
    if judged == 0:
        return can_fail or orchestrator.no_traffic == "unhealthy"
    return can_fail and limit < _NEARLY_ALL


def doubt_windows(
    policy: Policy,
    orchestrator: Orchestrator,
    behaviour: Behaviour,
    *,
    name: str,  # as it follows "nodes"
    is_shared: bool,
    can_fail: bool,  # whether any request may fail (`requests_can_fail`)
) -> tuple[str, int] | None:
    """Say that rounding changes what is judged by more than a tenth, and which interval (ns) avoids that; None if it doesn't."""
    rate = peak_rate(behaviour)
    # This is faster than fractions.
    if not rate or rate.numerator * policy.interval_ns >= _ENOUGH * NS_PER_S * rate.denominator:
        return None
    requests = rate * policy.interval_ns / NS_PER_S
    judged = read_health_rule(policy, orchestrator).requests_per_window(rate)
    if 10 * abs(judged - requests) <= requests or not _depends_on(judged, policy, orchestrator, can_fail=can_fail):
        return None
    when = (" at the busiest hour" if behaviour.traffic else "") + (" while all serve" if is_shared else "")
    message = f"windows of {write_duration(policy.interval_ns)} are too short: nodes{name} have {float(requests):.3g} requests in each{when}"
    return f"{message}, but {judged} {'is' if judged == 1 else 'are'} judged", math.ceil(_ENOUGH / rate) * NS_PER_S
