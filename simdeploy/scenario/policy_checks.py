"""Checks of one policy against the fleet and its orchestrator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from simdeploy.errors import Path, Problem, plural
from simdeploy.rules.health import judges_waves
from simdeploy.scenario.gate_checks import gate_problems
from simdeploy.units import write_duration

if TYPE_CHECKING:
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import Policy
    from simdeploy.scenario.parts import ScenarioPolicy
    from simdeploy.world.fleet import Fleet

# The counter of the random numbers has 32 bits for the number of a window.
_MAX_WINDOWS = 1 << 32


def policy_problems(
    scenario_policy: ScenarioPolicy, path: Path, fleet: Fleet, orchestrator: Orchestrator
) -> Iterator[Problem]:
    """List reasons why a policy is impossible in a fleet under an orchestrator."""
    yield from gate_problems(scenario_policy, path, fleet, orchestrator)
    policy = scenario_policy.policy
    if policy.retries and orchestrator.failed_tries_count:
        yield from _tries_problems(policy, path, fleet, orchestrator)
    if policy.strategy == "immediate":
        return
    if policy.retry_unhealthy and judges_waves(policy):
        message = "not allowed beside a gate that judges waves, whose verdict is final"
        yield Problem(message, (*path, "retry_unhealthy"), allowed="false, or the gate threshold or cusum")
    if policy.waves and orchestrator.pacing == "rate":
        yield Problem("not allowed under pacing: rate, whose batches go by the clock", (*path, "waves"))
    if policy.zone_by_zone and fleet.order != "zone":
        message, allowed = "needs fleet.order: zone", "fleet: {order: zone}"
        yield Problem(message, (*path, "zone_by_zone"), found=f"order: {fleet.order}", allowed=allowed)
    if policy.zone_by_zone and not policy.waves:
        message = "needs waves, which are planned within each zone"
        yield Problem(message, (*path, "zone_by_zone"), allowed="waves: [10%]")


def _tries_problems(policy: Policy, path: Path, fleet: Fleet, orchestrator: Orchestrator) -> Iterator[Problem]:
    """List reasons why failed tries can't be counted: nodes try again by themselves, and if reports are late, only verdicts are."""
    late = "reporting_delay" if orchestrator.reporting_delay_ns else ""
    if any(behaviour.connection for behaviour in fleet.behaviours):
        late = "fleet.connection"
    if late:
        message = f"failed_tries_count needs immediate reports, but under {late} only verdicts are reported, and late"
        allowed = f"0, failed_tries_count: false, or no {late}"
        yield Problem(message, (*path, "retries"), found=str(policy.retries), allowed=allowed)


def health_problems(scenario_policy: ScenarioPolicy, path: Path) -> Iterator[Problem]:
    """Compare a policy's deadline with the windows that a node needs."""
    policy = scenario_policy.policy
    if policy.strategy == "immediate" or policy.deadline_ns is None:
        return
    path = (*path, "health_check", "deadline")
    needed_ns = policy.windows_needed * policy.interval_ns
    if needed_ns > policy.deadline_ns:
        cause = "success_threshold" if policy.min_healthy_ns is None else "min_healthy_time"
        windows = f"{plural(policy.windows_needed, 'window')} of {write_duration(policy.interval_ns)}"
        message = f"no node can become healthy in time: {cause} needs {windows} = {write_duration(needed_ns)}"
        allowed = f"a deadline of at least {write_duration(needed_ns)}"
        yield Problem(message, path, found=write_duration(policy.deadline_ns), allowed=allowed)
    for number, terms in enumerate(policy.waves):
        if terms.min_healthy_ns is not None:
            needed_ns = -(-terms.min_healthy_ns // policy.interval_ns) * policy.interval_ns
            if needed_ns > policy.deadline_ns:
                deadline = write_duration(policy.deadline_ns)
                message = f"no node of the wave can become healthy within health_check.deadline {deadline}"
                own_path = (*path[:-2], "waves", number, "min_healthy_time")
                found = write_duration(terms.min_healthy_ns)
                yield Problem(message, own_path, found=found, allowed=f"at most {deadline}")
    if policy.deadline_ns // policy.interval_ns > _MAX_WINDOWS:
        message = f"more than {_MAX_WINDOWS:,} windows of {write_duration(policy.interval_ns)} until the deadline"
        deadline = write_duration(policy.deadline_ns)
        yield Problem(message, path, found=deadline, allowed="a shorter deadline or a longer interval")
