"""Warnings of switches and other keys that mean nothing for a scenario's policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simdeploy.errors import Path, Problem
from simdeploy.rules.deployment_types import TYPES
from simdeploy.rules.orchestrator import EXPANSO, Orchestrator
from simdeploy.rules.waves import plan_waves
from simdeploy.scenario.down_nodes import count_down
from simdeploy.scenario.parts import ScenarioPolicy
from simdeploy.units import write_duration
from simdeploy.world.fleet import Fleet

_SWITCHES = (
    *("cant_tell", "bake_time", "explicit_zero_limit", "failed_tries_count"),
    *("failed_node_holds_slot", "slot_until", "all_slots_held", "limits_judged"),
)
# Places of warnings that follow from all policies of a scenario together, so they may not hold for another policy.
OF_ALL_POLICIES = (*(("orchestrator", switch) for switch in _SWITCHES), ("operator", "promote_after"), ("release",))


def is_given(raw: Mapping[str, Any], *path: str) -> bool:
    """Whether a file states a key."""
    value: Any = raw
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value is not None


def waiting_suspicions(orchestrator: Orchestrator, fleet: Fleet, path: Path = ()) -> Iterator[Problem]:
    """Warn if rollouts under these switches wait for nodes that never come back; `path` is that of a policy that has its own."""
    if fleet.classes and orchestrator.unreachable_nodes == "wait" and 0 < count_down(fleet) < fleet.nodes:
        message = "no rollout completes: it waits for nodes that are down for good"
        yield Problem(message, (*path, "orchestrator", "unreachable_nodes"), found="wait")


def idle_switch_suspicions(
    orchestrator: Orchestrator, policies: Sequence[ScenarioPolicy], path: Path = ()
) -> Iterator[Problem]:
    """Warn about switches that mean nothing for the limits of all policies; `path` as above."""
    if orchestrator.explicit_zero_limit == "default" and all(each.policy.dialect == "general" for each in policies):
        message = "no effect: the general dialect has no default limits"
        yield Problem(message, (*path, "orchestrator", "explicit_zero_limit"), found="default")
    counts = (each.policy.retries and each.policy.max_failed_nodes is not None for each in policies)
    if orchestrator.failed_tries_count and not any(counts):
        message = "no effect without retries and max_failed_nodes"
        yield Problem(message, (*path, "orchestrator", "failed_tries_count"), found="true")


def process_suspicions(
    raw: Mapping[str, Any], orchestrator: Orchestrator, policies: Mapping[str, ScenarioPolicy]
) -> Iterator[Problem]:
    """Warn about keys with little or no effect."""
    if is_given(raw, "orchestrator", "rate") and orchestrator.pacing != "rate":
        message = f"has no effect under pacing: {orchestrator.pacing}"
        yield Problem(message, ("orchestrator", "rate"))
    gates = {policy.policy.gate.kind for policy in policies.values() if policy.policy.gate is not None}
    if is_given(raw, "orchestrator", "cant_tell") and not gates:
        message = "no effect: every gate is threshold"
        yield Problem(message, ("orchestrator", "cant_tell"), found=orchestrator.cant_tell)
    if orchestrator.bake_time_ns > 0 and "cusum" not in gates:
        message = "running nodes are not watched: bake_time only gives `after` and the operator time"
        found = write_duration(orchestrator.bake_time_ns)
        yield Problem(message, ("orchestrator", "bake_time"), found=found)
    waits = any(each.policy.awaits_promotion and not each.policy.auto_promote for each in policies.values())
    if is_given(raw, "operator", "promote_after") and not waits:
        message = "no effect: no policy awaits a promotion without auto_promote"
        yield Problem(message, ("operator", "promote_after"))
    types = sorted({each.identity.type for each in policies.values()})
    if is_given(raw, "release") and types and not any(TYPES[name].releases for name in types):
        yield Problem(f"no effect: a {' or '.join(types)} releases nothing", ("release",))


def pacing_suspicions(
    orchestrator: Orchestrator, policies: Sequence[ScenarioPolicy], fleet: Fleet
) -> Iterator[Problem]:
    """Warn about switches that mean nothing in the waves of the policies that follow them."""
    of_surge = "failed_node_holds_slot"  # a failed node also keeps its place of `surge`
    of_slots = [of_surge, "slot_until"]
    of_slots += [] if orchestrator.failed_node_freezes else ["all_slots_held"]
    changed = [
        switch for switch in (*of_slots, "limits_judged") if getattr(orchestrator, switch) != getattr(EXPANSO, switch)
    ]
    if not changed:
        return
    plans = [plan_waves(each.policy, orchestrator, fleet.nodes, fleet.zones) for each in policies]
    for switch in changed:
        found = str(getattr(orchestrator, switch)).lower()
        if switch == "limits_judged":
            if all(plan.pacing == "sliding" for plan in plans):
                message = "no effect under pacing: sliding, which judges limits at once"
                yield Problem(message, ("orchestrator", switch), found=found)
        elif not any(plan.has_slots or (plan.canary_surge and switch == of_surge) for plan in plans):
            yield Problem("no effect: nodes have no slots", ("orchestrator", switch), found=found)
