"""Policies that change during a rollout (model section 9): which keys may change, and the new plan."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from simdeploy.rules.policy import Policy
from simdeploy.rules.waves import Plan, equal_waves

if TYPE_CHECKING:
    from collections.abc import Iterator

CAN_CHANGE = frozenset(
    {
        "max_parallel",
        "auto_promote",
        "deadline_ns",
        "interval_ns",
        "max_error_rate",
        "min_healthy_ns",
        "success_threshold",
        "failure_threshold",
        "cumulative_failures",
        "max_failed_nodes",
        "max_failed_nodes_percent",
        "max_failed_nodes_per_zone",
        "no_auto_rollback",
        "retries",
        "retry_delay_ns",
        "retry_unhealthy",
        "progress_deadline_ns",
        "rollout_deadline_ns",
    }
)
_KEYS = {
    "gate": "health_check.gate",
    "zone_bake_ns": "zone_bake_time",
    "first_zone_bake_ns": "first_zone_bake_time",
    "slot_delay_ns": "slot_delay",
    "rollback_delay_ns": "rollback_delay",
}


def what_cannot_change(before: Policy, after: Policy) -> Iterator[str]:
    """Yield the keys of a spec that differ but can't change during a rollout."""
    for field in fields(Policy):
        can_change = field.name in CAN_CHANGE and not (field.name == "max_parallel" and before.waves)
        if not can_change and getattr(before, field.name) != getattr(after, field.name):
            yield _KEYS.get(field.name, field.name)


def change_plan(before: Plan, after: Plan, n_opened: int, bake_ns: int) -> Plan:
    """Return the plan after a change of the policy: waves that were opened before stay as they are.

    Examples
    --------
    >>> from simdeploy.rules.orchestrator import EXPANSO
    >>> from simdeploy.rules.policy import Policy
    >>> from simdeploy.rules.waves import plan_waves
    >>> def plan(max_parallel):
    ...     policy = Policy(
    ...         "deployment", "canary", max_parallel, 0, 5, True, 300, 10, None, 30, None, None, None, None, False
    ...     )
    ...     return plan_waves(policy, EXPANSO, 100)
    >>> plan(40).sizes, plan(25).sizes
    ((5, 40, 40, 15), (5, 25, 25, 25, 20))
    >>> change_plan(plan(40), plan(25), 2, 0).sizes
    (5, 40, 25, 25, 5)
    """
    if before.pacing != "barrier" or before.is_list or n_opened == 0:
        return after
    opened = before.sizes[:n_opened]
    sizes = (*opened, *equal_waves(after.parallel, after.total - sum(opened)))
    n_waves = len(sizes)
    return replace(
        after,
        sizes=sizes,
        bakes_ns=(*[bake_ns] * (n_waves - 1), 0),
        promotions=(before.promotions[0], *[False] * (n_waves - 1)),
    )
