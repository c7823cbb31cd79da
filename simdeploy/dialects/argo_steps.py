"""Argo Rollouts: the steps of a canary as stages, each with the nodes that are updated in all."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from simdeploy.dialects.manifests import UNKNOWN
from simdeploy.dialects.reading import Group
from simdeploy.errors import listed, nearest, plural
from simdeploy.units import NS_PER_S, write_duration

# A step has exactly one of these keys, and any others.
_MAIN = ("setWeight", "pause", "experiment", "analysis")
_LONGEST_NS = 8760 * 3600 * NS_PER_S
_SIZES = ("setCanaryScale", "setWeight")
_NO_SHARE = "its share of the traffic is not simulated"
_ROUTES = ("experiment", "setHeaderRoute", "setMirrorRoute", "plugin")


@dataclass
class Stage:
    """Nodes that are updated together, and what follows."""

    until: int  # total number of updated nodes after this stage
    pause_ns: int = 0
    waits: bool = False  # whether a person has to promote the rollout
    last_step: int = 0  # number of the last step that belongs to it, from 0
    origin: tuple[Group, str] | None = None  # its field in the file; None for the rest after the last step
    analyses: list[Group] = field(default_factory=list)


def read_steps(
    canary: Group,
    nodes: int,
    surge: int,
    judged_from: int | None,  # step from which on nodes are judged during pauses; None if they never are
) -> list[Stage]:
    """Return the stages of a canary; the last one has all nodes."""
    size = _Size(canary, nodes, surge)
    steps = canary.groups("steps")
    is_judged = judged_from is not None and judged_from < len(steps)
    stages: list[Stage] = []
    for number, step in enumerate(steps):
        kinds = [kind for kind in (*_MAIN, "setCanaryScale", *_ROUTES[1:]) if kind in step]
        if len([kind for kind in kinds if kind in _MAIN]) > 1 or not kinds:
            others = ("setCanaryScale", *_ROUTES[1:])
            allowed = f"one of {listed(_MAIN)}, or {listed(others)}"
            hint = None if kinds else next(filter(None, (nearest(key, (*_MAIN, *others)) for key in step)), None)
            step.refuse(kinds[0] if kinds else "setWeight", "not exactly one step", allowed=allowed, hint=hint)
        else:
            _read_step(step, stages, size, ends_at=None if is_judged else nodes)
        if stages:
            stages[-1].last_step = number
    if "steps" not in canary:
        canary.exact("steps", "not given: a sliding window over all nodes")
    if not stages or stages[-1].until < nodes:
        stages.append(Stage(nodes))
    return stages


def _read_step(
    step: Group,
    stages: list[Stage],
    size: _Size,
    ends_at: int
    | None,  # number of updated nodes after which a pause is lost, because the rollout ends with their wave
) -> None:
    sizes = [kind for kind in _SIZES if kind in step]
    for kind in sizes:
        size.read(step, kind)
    for kind in sizes[:1]:
        _add_stage(step, kind, stages, size)
    for kind in sizes[1:]:
        step.approximate(kind, f"the weight of the traffic, beside setCanaryScale; {_NO_SHARE}")
    if "pause" in step:
        _read_pause(step, stages, ends_at)
    if "analysis" in step:
        _read_analysis(step, stages)
    for kind in _ROUTES:
        if kind in step:
            step.no_counterpart(kind, "here the rollout continues at once")
    step.note_rest(UNKNOWN)


class _Size:
    """The size of a canary, by the weight or the scale that was set last."""

    def __init__(self, canary: Group, nodes: int, surge: int) -> None:
        self.nodes = nodes
        self.surge = surge
        router = canary.group("trafficRouting")
        self.has_router = "trafficRouting" in canary
        self.most = router.whole("maxTrafficWeight", 1) or 100
        self.least = canary.whole("minPodsPerReplicaSet") or 0
        self.weight = 0
        self.scale: tuple[str, int] | None = None
        if "minPodsPerReplicaSet" in canary:
            text = "in the numbers of nodes" if self.has_router else "has no effect without a traffic router"
            canary.exact("minPodsPerReplicaSet", text)

    def read(self, step: Group, kind: str) -> None:
        """Read a step."""
        if kind == "setWeight":
            self.weight = step.whole("setWeight", 0, self.most) or 0
        elif not self.has_router:
            allowed = "setCanaryScale beside canary.trafficRouting"
            step.refuse("setCanaryScale", "needs a traffic router", allowed=allowed)
        else:
            scale = step.group("setCanaryScale")
            weight, replicas = scale.whole("weight", 0, self.most), scale.whole("replicas")
            self.scale = None if weight is None else ("weight", weight)
            self.scale = self.scale if replicas is None else ("replicas", replicas)
            self.scale = None if scale.flag("matchTrafficWeight") else self.scale

    def target(self) -> int:
        """Return the total number of updated nodes."""
        if not self.has_router:
            return min(near_weight(self.nodes, self.weight, self.most, self.surge), self.nodes)
        if self.scale is not None and self.scale[0] == "replicas":
            return min(self.scale[1], self.nodes)
        weight = self.weight if self.scale is None else self.scale[1]
        count = -(-weight * self.nodes // self.most)
        return min(max(count, self.least), self.nodes) if count else 0


def _read_analysis(step: Group, stages: list[Stage]) -> None:
    if not stages:
        step.no_counterpart("analysis", "before anything is updated: has no effect")
        return
    step.approximate("analysis", "judges its wave, before the wave's pause")
    stages[-1].analyses.append(step.group("analysis"))


def _read_pause(step: Group, stages: list[Stage], ends_at: int | None) -> None:
    pause = step.group("pause")
    duration = pause.value("duration")
    ns = _seconds(pause, duration)
    if not stages:
        step.no_counterpart("pause", "before anything is updated: has no effect")
        return
    stage = stages[-1]
    if duration is None:
        if stage.waits:
            step.no_counterpart("pause", "left out: one promotion ends all pauses after the same wave")
        else:
            step.exact("pause", "waits for a manual promotion")
        stage.waits = True
    elif ns is not None:
        if ns > _LONGEST_NS:
            pause.refuse("duration", "too long", allowed=f"at most {write_duration(_LONGEST_NS)}")
        length = write_duration(ns)
        if stage.until == ends_at:
            text = f"left out: the wave has all nodes, so the rollout ends after it, in Argo {length} later"
            pause.no_counterpart("duration", text)
        else:
            stage.pause_ns += ns
            pause.exact("duration", f"{length} after the wave's nodes are available")
    pause.note_rest(UNKNOWN)


def _seconds(pause: Group, duration: object) -> int | None:
    """Return a duration in nanoseconds, from a number of seconds, which may be text, or from Go's form."""
    text = str(duration) if isinstance(duration, int) and not isinstance(duration, bool) else duration
    if isinstance(text, str) and re.fullmatch(r"[0-9]{1,9}", text):
        return int(text) * NS_PER_S
    return None if duration is None else pause.duration("duration")


def _add_stage(step: Group, kind: str, stages: list[Stage], size: _Size) -> None:
    target = size.target()
    before = stages[-1].until if stages else 0
    words = f"{target:,} of {plural(size.nodes, 'node')} updated in all"
    if target > before:
        stages.append(Stage(target, origin=(step, kind)))
    if target < before:
        step.approximate(kind, f"{words}, fewer than before: nodes that are updated stay so here")
    elif size.has_router:
        how = "as before" if target == before else "rounded up"
        step.approximate(kind, f"{words}, {how}; {_NO_SHARE}")
    elif target == before:
        step.exact(kind, f"{words}, as before")
    elif target == size.nodes and size.weight < size.most and size.surge:
        step.approximate(kind, f"{words}; in Argo an old pod serves beside them until the weight is {size.most}")
    else:
        step.exact(kind, f"{words}: the share nearest to the weight")


def near_weight(nodes: int, weight: int, most: int, surge: int) -> int:
    """Return the number of canary pods nearest to a weight, if all pods share the traffic equally."""
    product = nodes * weight
    up, down = -(-product // most), product // most
    none_allowed = weight in (0, most) or (nodes == 1 and surge == 0)
    totals = (nodes, nodes + 1) if surge else (nodes,)
    options: list[tuple[int, int]] = []
    for total in totals:
        if total > nodes or up < nodes or none_allowed:
            options.append((up, total))
        tied = 2 * total * weight % (2 * most) == most
        if not tied and (down or none_allowed):
            options.append((down, total))
    return min(options, key=lambda option: abs(option[0] * most / option[1] - weight), default=(0, nodes))[0]
