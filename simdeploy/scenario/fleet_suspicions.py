"""Warnings of valid values of fleet and release that are probably not meant."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from simdeploy.errors import Problem, plural
from simdeploy.rules.deployment_types import TYPES
from simdeploy.rules.orchestrator import Orchestrator
from simdeploy.scenario.down_nodes import count_down
from simdeploy.scenario.few_requests import requests_can_fail
from simdeploy.scenario.measures import EVENTS, SORTS
from simdeploy.scenario.switch_suspicions import is_given
from simdeploy.world.change_windows import ChangeWindow, is_always_open
from simdeploy.world.fleet import Fleet
from simdeploy.world.release import ReleaseKind

_MOST_FAILURES = 0.5

# `requests_per_second` matters for nodes that are down, too: their requests are lost or served by others.
_KEYS_OF_DOWN_NODES = ("name", "share", "nodes", "down", "requests_per_second")


def fleet_suspicions(
    fleet: Fleet,
    release: tuple[ReleaseKind, ...],
    orchestrator: Orchestrator,
    types: Collection[str],  # those of all policies' deployments
) -> Iterator[Problem]:
    """Warn about fleet and release."""
    nodes = fleet.nodes
    is_released = any(TYPES[name].releases for name in types)
    if not all(TYPES[name].leaves for name in types):
        yield from _start_suspicions(fleet)
    for kind in release:
        others = [other for other in release if other is not kind and other.defective == kind.defective]
        if not is_released:
            pass  # no condition tells kinds of release apart
        elif kind.name == SORTS[kind.defective] and any(other.probability for other in others):
            message = f"`given: {kind.name}` means all {kind.name} kinds, not only this one: rename it"
            yield Problem(message, ("release", kind.name))
        elif kind.name in EVENTS and kind.name != SORTS[kind.defective]:
            message = f"`given: {kind.name}` is a condition of its own and doesn't mean this kind: rename it"
            yield Problem(message, ("release", kind.name))
        if kind.start_failure > _MOST_FAILURES and not kind.defective and is_released:
            message = "most start attempts fail on nodes that it affects, although it is not defective"
            yield Problem(message, ("release", kind.name, "start_failure"), found=f"{kind.start_failure:.3g}")
        if kind.defective and not _has_effect(kind, fleet):
            yield Problem("defective, but it makes nothing fail", ("release", kind.name, "defective"))
        if kind.affects.count > nodes:
            path = ("release", kind.name, "affects", "count")
            yield Problem(f"more than the fleet's {plural(nodes, 'node')}", path, found=str(kind.affects.count))
    if orchestrator.minimum_sample > nodes:
        message = f"more than the fleet's {plural(nodes, 'node')}: max_failed_nodes_percent never applies"
        yield Problem(message, ("orchestrator", "minimum_sample"), found=str(orchestrator.minimum_sample))
    if not fleet.has_requests and requests_can_fail(fleet, release):
        message = "0: windows see no traffic, so no error_rate has an effect"
        yield Problem(message, ("fleet", "requests_per_second"))
    if fleet.classes:
        yield from _class_suspicions(fleet)


def _start_suspicions(fleet: Fleet) -> Iterator[Problem]:
    general = fleet.behaviour.start_failure
    of_classes = [
        (("fleet", "classes", place, "start_failure"), node_class.behaviour.start_failure)
        for place, node_class in enumerate(fleet.classes)
        if node_class.behaviour.start_failure != general
    ]
    for where, failure in (("fleet", "start_failure"), general), *of_classes:
        if failure.mean > _MOST_FAILURES:
            yield Problem("most start attempts fail with any release", where, found=f"{failure.mean:.3g}")


def _has_effect(kind: ReleaseKind, fleet: Fleet) -> bool:
    crashes = kind.crash_rate > 1 and any(behaviour.crash is not None for behaviour in fleet.behaviours)
    return crashes or kind.error_rate > 0 or kind.start_failure > 0 or kind.start_hang > 0


def _class_suspicions(fleet: Fleet) -> Iterator[Problem]:
    has_named = any(node_class.nodes for node_class in fleet.classes)
    for place, (node_class, size) in enumerate(zip(fleet.classes, fleet.class_sizes[1:], strict=True)):
        wanted = node_class.wanted(fleet.nodes)
        if has_named and node_class.share is not None and wanted > size:
            message = f"gives {plural(size, 'node')} instead of {wanted:,}: other classes name exact nodes"
            yield Problem(message, ("fleet", "classes", place, "share"), found=f"{float(node_class.share):g}")
    if count_down(fleet) == fleet.nodes:
        yield Problem("every node is down for good: nothing can be updated", ("fleet", "classes"))


def idle_key_suspicions(classes: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Warn about keys of a fleet's classes without effect; `classes` are as in a file."""
    for place, node_class in enumerate(classes):
        if is_given(node_class, "down") and node_class["down"]:
            idle = [key for key in node_class if key not in _KEYS_OF_DOWN_NODES and is_given(node_class, key)]
            if idle:
                message = f"no effect on nodes that are down for good: {', '.join(idle)}"
                yield Problem(message, ("fleet", "classes", place))


def start_suspicions(raw: Mapping[str, Any], fleet: Fleet, change_windows: Sequence[ChangeWindow]) -> Iterator[Problem]:
    """Warn if the start of the rollout is not stated although its hour matters."""
    has_traffic = any(b.traffic is not None and b.requests_per_second for b in fleet.behaviours)
    has_windows = bool(change_windows) and not is_always_open(change_windows)
    if (has_traffic or has_windows) and not is_given(raw, "deployment", "created_at"):
        keys = " and ".join(["traffic"] * has_traffic + ["change_windows"] * has_windows)
        message = f"the hour matters under {keys}; by default rollouts start on a Thursday at 00:00 UTC"
        yield Problem(message, ("deployment", "created_at"), hint="say when you start rollouts")
