"""What is allowed key by key but can't be meant together: errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from simdeploy.errors import Path, Problem, listed, shorten
from simdeploy.scenario.parts import ScenarioPolicy
from simdeploy.units import NS_PER_S, format_duration
from simdeploy.world.fleet import Fleet
from simdeploy.world.release import ReleaseKind

# Windows are numbered in 32 bits: the counter of the random numbers has no more.
_MAX_WINDOWS = 1 << 32
_MAX_REQUESTS = 10**12


def health_problems(scenario_policy: ScenarioPolicy, path: Path) -> Iterator[Problem]:
    """Compare a policy's deadline with the windows that a node needs."""
    policy = scenario_policy.policy
    if policy.strategy == "immediate" or policy.deadline_ns is None:
        return
    needed_ns = policy.windows_needed * policy.interval_ns
    path = (*path, "health_check", "deadline")
    deadline = format_duration(policy.deadline_ns)
    windows = f"{policy.windows_needed} windows of {format_duration(policy.interval_ns)}"
    if needed_ns > policy.deadline_ns:
        cause = "success_threshold" if policy.min_healthy_ns is None else "min_healthy_time"
        message = f"no node can ever be healthy in time: {cause} needs {windows} = {format_duration(needed_ns)}"
        allowed = f"a deadline of at least {format_duration(needed_ns)}"
        yield Problem(message, path, found=deadline, allowed=allowed)
    if policy.deadline_ns // policy.interval_ns > _MAX_WINDOWS:
        message = f"more than {_MAX_WINDOWS:,} windows of {format_duration(policy.interval_ns)} until the deadline"
        yield Problem(message, path, found=deadline, allowed="a shorter deadline or a longer interval")


def affects_problems(kind: ReleaseKind, fleet: Fleet) -> Iterator[Problem]:
    """Look for classes and zones that don't exist."""
    affects = kind.affects
    path = ("release", kind.name, "affects", affects.by)
    names = tuple(node_class.name for node_class in fleet.classes)
    known, allowed = set(names), listed(names) or "none: the fleet has no classes"
    for number, member in enumerate(affects.members):
        if affects.by == "classes" and member not in known:
            meant = (str(member), names)
            yield Problem(
                "no such class in the fleet", (*path, number), found=shorten(member), allowed=allowed, meant=meant
            )
        if affects.by == "zones" and isinstance(member, int) and member >= fleet.zones:
            zones = f"0 to {fleet.zones - 1}"
            yield Problem("no such zone in the fleet", (*path, number), found=str(member), allowed=zones)


def request_problems(fleet: Fleet, intervals_ns: Iterable[int]) -> Iterator[Problem]:
    """Bound the requests of one window."""
    longest_ns = max(intervals_ns, default=0)
    paths: list[Path] = [("fleet", "requests_per_second")]
    paths += [("fleet", "classes", number, "requests_per_second") for number in range(len(fleet.classes))]
    for path, behaviour in zip(paths, fleet.behaviours, strict=True):
        requests = behaviour.requests_per_second * longest_ns / NS_PER_S
        inherited = len(path) > len(paths[0]) and behaviour.requests_per_second == fleet.behaviour.requests_per_second
        if requests > _MAX_REQUESTS and not inherited:
            message = f"more than {_MAX_REQUESTS:,} requests in a window of {format_duration(longest_ns)}"
            yield Problem(message, path, found=f"{float(behaviour.requests_per_second):g}")
