"""Argo Rollouts: a Rollout with its AnalysisTemplates.

A canary proceeds step by step. Without a traffic router, `setWeight` becomes the number of pods whose share is nearest to the
weight: ties go up, a weight from 1 to 99 of two pods or more gives neither none nor all, and with a surge the total may have
one more pod. With a router it is that percentage of all pods, rounded up, started beside the stable ones. A step ends when its
pods are available; a pause waits for its duration or for a person; an analysis waits for its metrics, and if it fails,
everything rolls back to the stable version at once. The remaining pods follow after the last step. `blueGreen` starts all pods
beside the old ones and switches the traffic.
A rollout without progress for `progressDeadlineSeconds` is only reported, unless `progressDeadlineAbort` is set.
Source: argoproj/argo-rollouts: utils/replicaset/canary.go, rollout/analysis.go, pkg/apis/rollouts/validation/validation.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from simdeploy.dialects import manifests
from simdeploy.dialects.argo_analysis import read_checks, read_template
from simdeploy.dialects.argo_steps import Stage, read_steps
from simdeploy.dialects.judging import Check, Judgement, judge
from simdeploy.dialects.reading import Group, Reading, or_else
from simdeploy.errors import Problem
from simdeploy.units import NS_PER_S, write_duration

if TYPE_CHECKING:
    from simdeploy.dialects.imported import PolicyImport
    from simdeploy.dialects.source import Source

_TEMPLATES = ("AnalysisTemplate", "ClusterAnalysisTemplate")
# A field with an analysis of the Rollout, which may be one that can't be simulated.
_ANALYSED = re.compile(r"spec\.strategy\..*(?:[aA]nalysis|\.experiment)")
_FIXED_IN = (1, 8, 2)  # no longer promotes a rollout whose background analysis is inconclusive


def recognises(source: Source) -> bool:
    """Tell whether a text has a Rollout or an AnalysisTemplate."""
    return any(manifest.is_of("argoproj.io", "Rollout", *_TEMPLATES) for manifest in manifests.find_manifests(source))


def read(reading: Reading) -> PolicyImport:
    """Read a Rollout: the only one, the one that the variable `object` names, or the first."""
    found = [manifest for manifest in manifests.find_manifests(reading.source) if manifest.kind in _TEMPLATES]
    templates = {template.name: template for template in found}
    manifest = manifests.choose_manifest(reading, ("Rollout",))
    if manifest is None:
        return _read_templates(reading, templates)
    templates |= {template.name: template for template in found if template.namespace == manifest.namespace}
    spec = manifest.open(reading).group("spec")
    strategy = spec.group("strategy")
    for key in ("canary", "blueGreen"):
        if key in strategy:
            strategy.exact(key, "see its fields")
    if ("canary" in strategy) == ("blueGreen" in strategy):
        strategy.refuse("canary", "exactly one strategy is needed", allowed="canary or blueGreen")
    terms = _Terms(
        spec,
        templates,
        nodes=manifests.read_replicas(spec),
        min_ready_s=manifests.read_min_ready(spec),
        probed_s=manifests.read_probe(_find_workload(spec, manifest)),
    )
    if "canary" in strategy:
        parts = _read_canary(terms, strategy.group("canary"))
    else:
        parts = _read_blue_green(terms, strategy.group("blueGreen"))
    policy, switches = _finish(terms, *parts)
    strategy.note_rest(manifests.UNKNOWN)
    spec.no_counterparts(_ASIDE)
    spec.note_rest()
    return reading.finish(policy, switches, nodes=terms.nodes)


_ASIDE = {
    "paused": "the rollout is simulated as if it were resumed",
    "rollbackWindow": "about rollbacks to an earlier version, which skip steps",
    "analysis": "limits how many past analyses are kept",
    "restartAt": "about restarts, not updates",
    "template": manifests.OF_PODS,
}


def _find_workload(spec: Group, rollout: manifests.Manifest) -> Group:
    """Return the spec with the template of the pods: the Rollout's, or that of the workload to which it refers."""
    if "workloadRef" not in spec:
        return spec
    reference = spec.group("workloadRef")
    kind, name = reference.text("kind") or "", reference.text("name") or ""
    for manifest in manifests.find_manifests(spec.reading.source):
        if (manifest.kind, manifest.name, manifest.namespace) == (kind, name, rollout.namespace):
            spec.exact("workloadRef", f"the pods are those of {kind} {name} in this file")
            return manifest.open(spec.reading, name=f"{kind} {name}").group("spec")
    text = f"the pods are those of {kind} {name}, which is not in this file: here ready as soon as they run"
    spec.approximate("workloadRef", text)
    return spec


@dataclass(frozen=True)
class _Terms:
    spec: Group
    templates: dict[str, manifests.Manifest]
    nodes: int
    min_ready_s: int
    probed_s: int | None

    @property
    def available_ns(self) -> int:
        """The time from a pod's start until it is available."""
        return (self.min_ready_s + (self.probed_s or 0)) * NS_PER_S

    def read_checks(
        self, analysis: Group, *, promotes_inconclusive: bool = False, of_rollout: bool = False
    ) -> list[Check]:
        return read_checks(analysis, self.templates, promotes_inconclusive=promotes_inconclusive, of_rollout=of_rollout)


_Parts = tuple[dict[str, Any], dict[str, Any], "Judgement | None"]


def _finish(
    terms: _Terms, policy: dict[str, Any], switches: dict[str, Any], judgement: Judgement | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Complete policy and switches with the part common to all strategies: the watching of pods and of the rollout's progress."""
    spec, reading = terms.spec, terms.spec.reading
    aborts = spec.flag("progressDeadlineAbort") or False
    text = "everything rolls back" if aborts else "only reported"
    spec.exact("progressDeadlineAbort", text, default="false, ")
    goes_back = aborts or judgement is not None
    then = "everything rolls back" if aborts else "the rollout has failed, and nothing rolls back; Argo only reports it"
    is_left_out = judgement is not None and not aborts
    if is_left_out:
        then = "left out: Argo only reports it, and the rollout keeps waiting"
    _note_min_ready(terms, judgement)
    deadline_ns = manifests.read_progress_deadline(spec, terms.min_ready_s, then, is_left_out=is_left_out)
    judged_ns = terms.min_ready_s * NS_PER_S if judgement is None else judgement.longest_ns
    pods = manifests.read_pods(spec, terms.min_ready_s, terms.probed_s)
    switches = {
        **switches,
        "failed_node_holds_slot": True,
        "unreachable_nodes": "wait",
        "on_failure": "rollback" if goes_back else "stop",
    }
    if judgement is None:
        text = "no metric is judged: only pods that don't become available stop the rollout"
        if any(map(_ANALYSED.fullmatch, reading.noted)):
            reading.note("analysis", "approximate", f"{text}; in Argo, analyses and experiments judge, too")
        else:
            reading.note("analysis", "exact", text)
    else:
        pods |= judgement.watch()
        switches |= _judging(judgement)
    reading.note("unreachable_nodes", "approximate", "a node that is down at its turn is updated when it is up again")
    text = "everything rolls back to the stable version" if goes_back else "nothing rolls back"
    reading.note("no_auto_rollback", "exact", text)
    return {
        **policy,
        **pods,
        "progress_deadline": None if deadline_ns is None else write_duration(deadline_ns + judged_ns),
        "rollback_parallel": policy.get("rollback_parallel") if goes_back else None,
        "no_auto_rollback": not goes_back,
    }, switches


def _judging(judgement: Judgement) -> dict[str, Any]:
    """Return the switches of waves that analyses judge."""
    return {"cant_tell": "pass" if judgement.is_empty_healthy else "stop", "window_reset": False}


def _note_min_ready(terms: _Terms, judgement: Judgement | None) -> None:
    is_whole = judgement is None or not terms.available_ns % judgement.check.interval_ns
    if is_whole or not terms.min_ready_s:
        manifests.note_min_ready(terms.spec, terms.min_ready_s)
        return
    text = "must be ready that long before another pod follows; a wave that no analysis judges ends as much later, unless it is the last"
    terms.spec.approximate("minReadySeconds", text)


# -- canary --------------------------------------------------------------------------------------------


def _read_canary(terms: _Terms, canary: Group) -> _Parts:
    router = "trafficRouting" in canary
    if router:
        canary.approximate("trafficRouting", "all nodes get equal shares of the requests, not the weight")
        surge = terms.nodes
        text = "has no effect with a traffic router: canaries start beside the stable pods"
        canary.no_counterparts({"maxSurge": text, "maxUnavailable": text})
        parallel: dict[str, Any] = {"surge": "100%"}
    else:
        budget = manifests.read_budget(canary, terms.nodes)
        surge = budget.beyond
        parallel = {
            "max_parallel": budget.parallel,
            "surge": budget.surge or None,
            "rollback_parallel": budget.parallel,
        }
    background, starts = _read_background(terms, canary)
    stages = read_steps(canary, terms.nodes, surge, judged_from=starts if background else None)
    of_steps = [[check for analysis in stage.analyses for check in terms.read_checks(analysis)] for stage in stages]
    background = _shorten(background, stages)
    checks = [check for of_step in of_steps for check in of_step] + background
    by_background = [bool(background) and stage.last_step >= starts and stage.origin is not None for stage in stages]
    if any(by_background):
        text = "a wave's nodes are judged during its pause, at least once; those of earlier waves no longer"
        canary.approximate("analysis", text)
    elif background:
        canary.no_counterpart("analysis", "judges nothing: here only waves of steps are judged, from startingStep on")
    canary.no_counterparts(_CANARY_ASIDE)
    canary.note_rest("about traffic routing, names or labels")
    least_ns = terms.available_ns
    watched = [
        _observe(stage, of_step, background if is_judged else [], least_ns)
        for stage, of_step, is_judged in zip(stages, of_steps, by_background, strict=True)
    ]
    if len(set(checks)) > 1:
        text = "the strictest of several metrics and analyses judges for all"
        terms.spec.reading.note("metrics", "approximate", text)
    judgement = judge(checks, max(watch or 0 for watch in watched), of_rollout=bool(background)) if checks else None
    _note_lone_canary(terms.nodes, stages[0], judgement)
    if len(stages) == 1 and judgement is None and not stages[0].waits and not router:
        return {"strategy": "rolling", **parallel}, {"pacing": "sliding"}, None
    waves = [
        _wave(stage, watch, judgement, least_ns, is_last=stage is stages[-1])
        for stage, watch in zip(stages, watched, strict=True)
    ]
    for stage, wave in zip(stages[1:], waves[1:], strict=True):
        if stage.waits:
            wave["promotion"] = True
    first = {"strategy": "canary" if stages[0].waits else "rolling"}
    waits = {"auto_promote": False} if any(stage.waits for stage in stages) else {}
    switches = {"pacing": "barrier"}
    if judgement is not None and parallel.get("max_parallel", terms.nodes) < terms.nodes:
        # The next pod starts when one is available, not when the analysis of its step ends.
        switches["slot_until"] = "started"
        parallel["slot_delay"] = write_duration(least_ns) if least_ns else None
    return {**first, **waits, "waves": waves, **parallel}, switches, judgement


_CANARY_ASIDE = {
    "replicaProgressThreshold": "a step ends when all of its pods are available, not a part of them",
    "abortScaleDownDelaySeconds": "about pods that no longer serve",
    "scaleDownDelaySeconds": "about pods that no longer serve",
    "dynamicStableScale": "stable pods stay until their nodes are updated",
}


def _read_background(terms: _Terms, canary: Group) -> tuple[list[Check], int]:
    """Return the checks of a background analysis, and the step from which on it runs."""
    background = canary.group("analysis")
    if not background.data:
        return [], 0
    starts = background.whole("startingStep") or 0
    background.exact("startingStep", f"waves are judged from step {starts} on", default="0; ")
    old = _is_old_version(terms.spec.reading)
    return terms.read_checks(background, promotes_inconclusive=old, of_rollout=True), starts


def _shorten(background: list[Check], stages: list[Stage]) -> list[Check]:
    """Return the checks of a background analysis with intervals that fit into each pause."""
    shortest = min((stage.pause_ns for stage in stages[:-1] if stage.pause_ns), default=0)
    return [
        replace(check, interval_ns=min(check.interval_ns, shortest or check.interval_ns), count=1)
        for check in background
    ]


def _observe(stage: Stage, of_step: list[Check], background: list[Check], least_ns: int) -> int | None:
    """Return how long the nodes of a stage are judged; None if they aren't."""
    if not of_step and not background:
        return None
    measured = max((check.count or 1) * check.interval_ns for check in [*of_step, *background])
    return max(measured, stage.pause_ns if background else 0, least_ns)


def _wave(
    stage: Stage, watched_ns: int | None, judgement: Judgement | None, least_ns: int, *, is_last: bool
) -> dict[str, Any]:
    """Return an entry of `waves`; a background analysis runs during the pause, the analysis of a step before it."""
    wave: dict[str, Any] = {"until": stage.until}
    bake_ns = stage.pause_ns
    if judgement is not None:
        own_ns = least_ns if watched_ns is None else watched_ns
        if watched_ns is None:
            wave["gate"] = False
            # Its windows are as long as those of the analysis; a part of a window is a pause.
            rest_ns = least_ns % judgement.check.interval_ns
            own_ns -= rest_ns
            bake_ns += 0 if is_last else rest_ns
        elif judgement.of_rollout:
            bake_ns = max(bake_ns - watched_ns, 0)
        if own_ns != judgement.observation_ns:
            wave["min_healthy_time"] = write_duration(own_ns)
    if bake_ns:
        wave["bake_time"] = write_duration(bake_ns)
    return wave


def _is_old_version(reading: Reading) -> bool:
    """Whether the caller's version of Argo Rollouts promotes rollouts whose background analysis is inconclusive."""
    stated = reading.variable("argo_rollouts_version")
    if stated is None:
        return False
    match = re.fullmatch(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?.*", stated)
    if match is None:
        path = ("argo_rollouts_version",)
        reading.problems.append(Problem("not a version", path, found=stated, allowed="such as 1.7.2"))
        return False
    return tuple(int(part or 0) for part in match.groups()) < _FIXED_IN


def _note_lone_canary(nodes: int, first: Stage, judgement: Judgement | None) -> None:
    if first.until != 1 or first.origin is None:
        return
    text = f"the canary is a single replica of {nodes:,}, so it can't detect what only some nodes have"
    if nodes == 1:
        text = "the canary is a single replica, and the only one: it is the whole rollout"
    step, kind = first.origin
    step.exact(kind, text if judgement is not None else f"{text}; and nothing measures its errors")


# -- blue/green, and templates alone -------------------------------------------------------------------


def _read_blue_green(terms: _Terms, strategy: Group) -> _Parts:
    reading = terms.spec.reading
    promotes = or_else(strategy.flag("autoPromotionEnabled"), True)
    then = "traffic is switched" if promotes else "a person promotes them"
    text = f"all nodes start beside the old ones, then {then}"
    strategy.exact("autoPromotionEnabled", text, default="true; ")
    reading.note("blueGreen", "approximate", "the new nodes serve once started, not only after the switch")
    analyses = ("prePromotionAnalysis", "postPromotionAnalysis")
    checks = [check for key in analyses for check in terms.read_checks(strategy.group(key))]
    for key in analyses:
        if key in strategy:
            strategy.approximate(key, "judges all new nodes once, after their start")
    strategy.no_counterparts(_BLUE_GREEN_ASIDE)
    strategy.note_rest("about traffic routing, names or labels")
    judgement = judge(checks, terms.available_ns) if checks else None
    first = {"strategy": "rolling"} if promotes else {"strategy": "canary", "auto_promote": False}
    return {**first, "waves": [{"until": terms.nodes}], "surge": "100%"}, {"pacing": "barrier"}, judgement


_BLUE_GREEN_ASIDE = {
    "autoPromotionSeconds": "the new nodes serve before the switch",
    "previewReplicaCount": "all nodes are updated at once",
    "maxUnavailable": "about restarts, not updates",
    "scaleDownDelaySeconds": "about pods that no longer serve",
    "abortScaleDownDelaySeconds": "about pods that no longer serve",
}


def _read_templates(reading: Reading, templates: dict[str, manifests.Manifest]) -> PolicyImport:
    """Read a file of AnalysisTemplates alone, as the background analysis of a canary without steps."""
    if not templates:
        raise manifests.refuse_without(reading, "Rollout")
    text = "no Rollout in this file: all nodes are updated in one wave, which the templates judge"
    reading.note("strategy", "approximate", text)
    checks = [check for template in templates.values() for check in read_template(reading, template, {})]
    judgement = judge(checks, 0) if checks else None
    watch = (
        {"health_check": {"deadline": manifests.PATIENCE}, **manifests.RESTARTS}
        if judgement is None
        else judgement.watch()
    )
    policy = {"strategy": "rolling", "waves": [{"until": "100%"}], **watch}
    switches = {"on_failure": "rollback", "unreachable_nodes": "wait", **(_judging(judgement) if judgement else {})}
    return reading.finish(policy, switches, nodes=reading.nodes(None))
