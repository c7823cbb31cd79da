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
    from simdeploy.world.fleet import Behaviour

# Rounding to a whole number changes no larger number by more than a tenth.
_ENOUGH = 5


def _judges_requests(policy: Policy, orchestrator: Orchestrator) -> bool:
    """Whether anything depends on the requests of windows: a gate, or a limit on the error rate of each."""
    if policy.gate is not None and policy.gate.kind != "threshold":
        return True
    return any(policy.windows_of_waves) and read_max_error_rate(policy, orchestrator) < 1


def doubt_windows(
    policy: Policy,
    orchestrator: Orchestrator,
    behaviour: Behaviour,
    *,
    name: str,  # as it follows "nodes"
    is_shared: bool,
) -> tuple[str, str] | None:
    """Say that rounding changes what is judged by more than a tenth, and which interval avoids that; None if it doesn't."""
    rate = peak_rate(behaviour)
    if (
        not rate or rate.numerator * policy.interval_ns >= _ENOUGH * NS_PER_S * rate.denominator
    ):  # faster than fractions
        return None
    requests = rate * policy.interval_ns / NS_PER_S
    judged = read_health_rule(policy, orchestrator).requests_per_window(rate)
    if 10 * abs(judged - requests) <= requests or not _judges_requests(policy, orchestrator):
        return None
    when = (" at the busiest hour" if behaviour.traffic else "") + (" while all serve" if is_shared else "")
    interval, enough = write_duration(policy.interval_ns), write_duration(math.ceil(_ENOUGH / rate) * NS_PER_S)
    message = f"windows of {interval} are too short: nodes{name} have {float(requests):.3g} requests in each{when}"
    return f"{message}, but {judged} {'is' if judged == 1 else 'are'} judged", enough
