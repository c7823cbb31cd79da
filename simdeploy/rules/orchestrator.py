"""How a control plane interprets a policy: the switches that the API leaves undocumented, and their presets."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Literal, get_args, get_type_hints

from simdeploy.units import NS_PER_S

Pacing = Literal["barrier", "sliding", "rate"]
PercentOf = Literal["fleet", "resolved", "wave"]
OnFailure = Literal["rollback", "pause", "stop", "continue"]
UnreachableNodes = Literal["fail", "skip", "wait"]
CantTell = Literal["wait", "pass", "stop", "unhealthy"]
Rounding = Literal["ceil", "floor", "nearest"]

# Marks switches that describe other orchestrators, as opposed to those that the API leaves open.
_OF_OTHERS = MappingProxyType({"of others": True})


@dataclass(frozen=True)
class Rate:
    """Batches under ``pacing: rate``: one a minute, growing with time or with the nodes of earlier batches."""

    per_minute: Fraction = Fraction(50)  # nodes in the first batch
    growth: Fraction = Fraction(1)  # factor from batch to batch
    max_per_minute: Fraction | None = None  # largest batch; None without a limit
    # A batch grows each time the earlier ones have had this many more nodes; None: after each batch.
    growth_every: int | None = None


@dataclass(frozen=True)
class Orchestrator:
    """One value per switch; the defaults are the preset ``expanso``."""

    preset: str = "expanso"  # the bundle that the switches started from
    # Whether the next nodes go when the whole wave is resolved, when a slot is free, or by the clock.
    pacing: Pacing = "barrier"
    failed_node_holds_slot: bool = False  # whether a failed node keeps its slot (sliding, or within a wave)
    # Whether nothing more is dispatched once a node has failed.
    failed_node_freezes: bool = field(default=False, metadata=_OF_OTHERS)
    # Whether a node's slot is free once it is resolved, or once it has started.
    slot_until: Literal["resolved", "started"] = field(default="resolved", metadata=_OF_OTHERS)
    # Whether a rollout waits forever or fails if failed nodes hold all slots or freeze it.
    all_slots_held: Literal["wait", "fail"] = field(default="wait", metadata=_OF_OTHERS)
    # Whether a rollout fails once all nodes of a wave have failed or were skipped.
    lost_waves: Literal["continue", "fail"] = field(default="continue", metadata=_OF_OTHERS)
    limit_comparison: Literal["exceeds", "reaches"] = "exceeds"  # whether the rollout stops above a limit or at it
    limit_combination: Literal["either", "both"] = "either"  # of count and percent
    # Whether `max_failed_nodes` bounds all failures, or those since a node last became running.
    failures_counted: Literal["cumulative", "consecutive"] = field(default="cumulative", metadata=_OF_OTHERS)
    # Whether each failed try of a node counts for `max_failed_nodes`, not only its last.
    failed_tries_count: bool = field(default=False, metadata=_OF_OTHERS)
    failed_percent_of: PercentOf = "fleet"  # the denominator of the percent limit
    limits_judged: Literal["at_once", "wave_end"] = "at_once"  # always at once under sliding
    minimum_sample: int = 0  # resolved nodes before max_failed_nodes_percent applies
    limits_apply_to_immediate: bool = True
    # Which of count and percent counts when both are set.
    canary_size: Literal["larger", "count_first", "percent_first"] = "larger"
    canary_rounding: Rounding = "ceil"  # of a percent of the nodes; never below 1
    # Of a percent of the nodes in the general dialect; never below 1.
    wave_rounding: Rounding = field(default="ceil", metadata=_OF_OTHERS)
    # Whether one failed canary stops the rollout, or canaries count like any node.
    canary_gate: Literal["all_healthy", "limits"] = "all_healthy"
    deadline_starts: Literal["dispatch", "started"] = "dispatch"
    window_reset: bool = True  # whether one bad window restarts min_healthy_time
    bake_time_ns: int = 0  # pause after a wave, nanoseconds
    reporting_delay_ns: int = 0  # by how much limits, promotion and completion lag behind pacing, nanoseconds
    rate: Rate = Rate()
    no_traffic: Literal["healthy", "unhealthy"] = "healthy"  # how a window without requests counts
    node_local_rollback: bool = False  # whether a failed node rolls back by itself
    on_failure: OnFailure = "rollback"
    rollback_pacing: Literal["all_at_once", "max_parallel"] = "all_at_once"
    unreachable_nodes: UnreachableNodes = "fail"  # what happens to nodes that are down or offline when their turn comes
    # Whether bake time, promotion delay and rate clock run while paused.
    paused_clocks: Literal["run", "stop"] = "run"
    explicit_zero_limit: Literal["zero_tolerance", "default"] = "zero_tolerance"  # what an explicit 0 of a limit means
    # What a gate without a verdict does at the end of the observation: wait until the deadline, pass, or stop.
    cant_tell: CantTell = "wait"

    def switches(self) -> dict[str, Any]:
        """Return every switch under its name in the scenario file, as plain values."""
        values: dict[str, Any] = {switch.name: getattr(self, switch.name) for switch in fields(self)}
        values["bake_time"] = values.pop("bake_time_ns") / NS_PER_S
        values["reporting_delay"] = values.pop("reporting_delay_ns") / NS_PER_S
        rate = values.pop("rate")
        values["rate"] = {
            "per_minute": float(rate.per_minute),
            "growth": float(rate.growth),
            "max_per_minute": None if rate.max_per_minute is None else float(rate.max_per_minute),
            "growth_every": rate.growth_every,
        }
        return values


def switch_values() -> dict[str, tuple[str | bool, ...]]:
    """Return the values of every switch with a closed list, the default first.

    Examples
    --------
    >>> switch_values()["limit_comparison"]
    ('exceeds', 'reaches')
    """
    closed: dict[str, tuple[str | bool, ...]] = {}
    for name, hint in get_type_hints(Orchestrator).items():
        if hint is bool:
            default = getattr(Orchestrator, name)
            closed[name] = (default, not default)
        elif get_args(hint) and name != "preset":
            closed[name] = get_args(hint)
    return closed


OF_OTHERS = frozenset(switch.name for switch in fields(Orchestrator) if switch.metadata)

EXPANSO = Orchestrator()
PRESETS: dict[str, Orchestrator] = {
    "expanso": EXPANSO,
    "expanso-rollout": replace(EXPANSO, preset="expanso-rollout", node_local_rollback=True),
}
