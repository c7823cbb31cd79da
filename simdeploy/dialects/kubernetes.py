"""Kubernetes: Deployment, DaemonSet and StatefulSet.

All three update a sliding window: as many pods as the budget allows are replaced at once, and the next one follows when a new
pod is available. A Deployment may start `maxSurge` pods beside the old ones (rounded up) and take `maxUnavailable` away (rounded
down, 1 if both are 0); a DaemonSet has one of both, rounded up; a StatefulSet goes from the last pod to the first, one by one
or `maxUnavailable` at once (rounded down). A pod that never becomes available keeps its place in the budget, so a bad version
stops there. Nothing rolls back by itself, and `progressDeadlineSeconds` only reports that there is no progress.
Source: kubernetes/kubernetes: pkg/controller/deployment/rolling.go, pkg/controller/daemon/update.go,
pkg/controller/statefulset/stateful_set_control.go, pkg/apis/apps/validation/validation.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simdeploy.dialects import manifests
from simdeploy.dialects.imported import UNKNOWN
from simdeploy.units import NS_PER_S, write_duration

if TYPE_CHECKING:
    from simdeploy.dialects.imported import PolicyImport
    from simdeploy.dialects.reading import Group, Reading
    from simdeploy.dialects.source import Source

_KINDS = ("Deployment", "DaemonSet", "StatefulSet")
_ROLLOUTS = {"argoproj.io": ("Rollout", "AnalysisTemplate", "ClusterAnalysisTemplate"), "flagger.app": ("Canary",)}
_BY_HAND = (
    "each pod is updated when a person deletes it; here one after the other, each once the previous one is available"
)
_REPORTED = (
    "the rollout has failed, and nothing rolls back; Kubernetes only reports it, and goes on if a pod gets ready later"
)
# Versions of the API with other defaults than `apps/v1`. Clusters refuse them since Kubernetes 1.16.
_OLD = {"Deployment": "extensions/v1beta1", "DaemonSet": "extensions/v1beta1", "StatefulSet": "apps/v1beta1"}
_ORCHESTRATOR = {
    "failed_node_holds_slot": True,
    "unreachable_nodes": "wait",
    "on_failure": "stop",
}


def recognises(source: Source) -> bool:
    """Tell whether a text has a workload, and no other object that rolls it out."""
    objects = manifests.find_manifests(source)
    if any(manifest.is_of(group, *kinds) for manifest in objects for group, kinds in _ROLLOUTS.items()):
        return False
    return any(manifest.is_of("apps", *_KINDS) or manifest.is_of("extensions", *_KINDS) for manifest in objects)


def read(reading: Reading) -> PolicyImport:
    """Read how a workload is updated: the only one, the one that the variable `object` names, or the first."""
    manifest = manifests.choose_manifest(reading, _KINDS)
    if manifest is None:
        raise manifests.refuse_without(reading, *_KINDS)
    spec = manifest.open(reading).group("spec")
    min_ready_s = manifests.read_min_ready(spec)
    manifests.note_min_ready(spec, min_ready_s)
    readers = {"Deployment": _read_deployment, "DaemonSet": _read_daemons, "StatefulSet": _read_stateful}
    is_old = manifest.data.get("apiVersion") == _OLD[manifest.kind]
    policy, switches = readers[manifest.kind](spec, is_old)
    if manifest.kind == "Deployment" and is_old and "progressDeadlineSeconds" not in spec:
        spec.exact("progressDeadlineSeconds", "no deadline in this old version of the API")
    elif manifest.kind == "Deployment":
        deadline_ns = manifests.read_progress_deadline(spec, min_ready_s, _REPORTED)
        if deadline_ns is not None:
            policy["progress_deadline"] = write_duration(deadline_ns + min_ready_s * NS_PER_S)
    pods = manifests.read_pods(spec, min_ready_s, manifests.read_probe(spec))
    policy = {"strategy": "rolling", **policy, **pods, "no_auto_rollback": True}
    spec.no_counterparts(_ASIDE)
    names = ("updateStrategy", "strategy") if manifest.kind == "Deployment" else ("strategy", "updateStrategy")
    spec.no_counterparts({names[0]: f"{UNKNOWN}; did you mean '{names[1]}'?"})
    spec.note_rest()
    reading.note("no_auto_rollback", "exact", "Kubernetes never rolls back by itself")
    reading.note("failed_node_holds_slot", "exact", "a pod that is not available keeps its place in the budget")
    reading.note("unreachable_nodes", "approximate", "a node that is down at its turn is updated when it is up again")
    nodes = policy.pop("nodes", None)
    # Without waves, updates are a sliding window.
    pacing = {"pacing": "barrier" if "waves" in policy else "sliding"}
    return reading.finish(policy, {**pacing, **_ORCHESTRATOR, **switches}, nodes=nodes)


_ASIDE = {
    "paused": "the rollout is simulated as if it were resumed",
    "podManagementPolicy": "about the creation of pods, not their update",
    "revisionHistoryLimit": "about manual rollbacks with kubectl",
    "template": manifests.OF_PODS,
}

_Part = tuple[dict[str, Any], dict[str, Any]]


def _read_deployment(spec: Group, is_old: bool) -> _Part:
    nodes = manifests.read_replicas(spec)
    policy: dict[str, Any] = {"nodes": nodes}
    strategy = spec.group("strategy")
    kind = strategy.text("type", "RollingUpdate", "Recreate") or "RollingUpdate"
    if kind == "Recreate":
        strategy.exact("type", "all nodes at once: every old pod ends before a new one starts")
        if "rollingUpdate" in strategy:
            strategy.refuse("rollingUpdate", "has no place under type: Recreate", allowed="type: RollingUpdate")
        policy["waves"] = [{"until": "100%"}]
    else:
        strategy.exact("type", "a sliding window", default="RollingUpdate, ")
        rolling = strategy.group("rollingUpdate")
        budget = manifests.read_budget(rolling, nodes, manifests.Amount(1) if is_old else manifests.QUARTER)
        policy |= {"max_parallel": budget.parallel, "surge": budget.surge or None}
        rolling.note_rest(manifests.UNKNOWN)
    strategy.note_rest(manifests.UNKNOWN)
    return policy, {}


def _read_daemons(spec: Group, is_old: bool) -> _Part:
    policy: dict[str, Any] = {"nodes": spec.reading.nodes(None)}
    strategy, rolls = _read_strategy(spec, is_old)
    if not rolls:
        return {**policy, "max_parallel": 1}, {}
    rolling = strategy.group("rollingUpdate")
    unavailable = manifests.read_amount(rolling, "maxUnavailable", most_percent=100)
    surge = manifests.read_amount(rolling, "maxSurge", most_percent=100)
    chosen = unavailable or manifests.Amount(1)
    if surge is not None and surge.number:
        if chosen.number:
            hint = "" if "maxUnavailable" in rolling else " (1 if it is not given)"
            message = f"not both of maxSurge and maxUnavailable{hint}"
            rolling.refuse("maxSurge", message, allowed="maxUnavailable: 0 beside it")
        rolling.exact("maxSurge", f"{surge} at once get the new pod beside the old one, rounded up")
        rolling.exact("maxUnavailable", "none is replaced in place")
        policy |= {"max_parallel": surge.written(), "surge": surge.written()}
    else:
        if not chosen.number:
            message = "0, and there is no maxSurge: nothing could be updated"
            rolling.refuse("maxUnavailable", message, allowed="1 or more")
        text = f"{chosen} at once, rounded up; " if "maxUnavailable" in rolling else "not given: 1 at once; "
        rolling.approximate("maxUnavailable", f"{text}pods that are down before their turn are replaced in addition")
        if surge is not None:
            rolling.exact("maxSurge", "none is started beside the old one")
        policy["max_parallel"] = chosen.written()
    rolling.note_rest(manifests.UNKNOWN)
    strategy.note_rest(manifests.UNKNOWN)
    return policy, {"wave_rounding": "ceil"}


def _read_stateful(spec: Group, is_old: bool) -> _Part:
    nodes = manifests.read_replicas(spec)
    policy: dict[str, Any] = {"nodes": nodes}
    strategy, rolls = _read_strategy(spec, is_old)
    if not rolls:
        return {**policy, "max_parallel": 1}, {}
    rolling = strategy.group("rollingUpdate")
    most = manifests.read_amount(rolling, "maxUnavailable", most_percent=100)
    if most is not None and not most.number:
        rolling.refuse("maxUnavailable", "nothing could be updated", allowed="1 or more")
    if most is None:
        rolling.exact("maxUnavailable", "not given: 1 at once")
    else:
        text = f"{most} at once, rounded down, at least 1; older clusters ignore it: 1 at once"
        rolling.approximate("maxUnavailable", text)
    policy["max_parallel"] = (most or manifests.Amount(1)).written()
    partition = rolling.whole("partition") or 0
    if partition >= nodes:
        rolling.refuse("partition", f"none of {nodes:,} replicas would be updated", allowed=f"less than {nodes:,}")
    elif partition:
        text = f"the last {nodes - partition:,} of {nodes:,} replicas; the others wait for a promotion, which stands for partition: 0"
        rolling.approximate("partition", text)
        waves = [{"until": nodes - partition}, {"until": nodes}]
        policy |= {"strategy": "canary", "waves": waves, "auto_promote": False}
    elif "partition" in rolling:
        rolling.exact("partition", "0: all replicas")
    rolling.note_rest(manifests.UNKNOWN)
    strategy.note_rest(manifests.UNKNOWN)
    return policy, {"wave_rounding": "floor"}


def _read_strategy(spec: Group, is_old: bool) -> tuple[Group, bool]:
    """Return the update strategy of a DaemonSet or a StatefulSet, and whether the controller updates pods itself."""
    strategy = spec.group("updateStrategy")
    kind = strategy.text("type", "RollingUpdate", "OnDelete") or ("OnDelete" if is_old else "RollingUpdate")
    if kind == "OnDelete":
        strategy.approximate("type", _BY_HAND, default="OnDelete, ")
        strategy.note_rest("has no effect under type: OnDelete")
        return strategy, False
    strategy.exact("type", "a sliding window", default="RollingUpdate, ")
    return strategy, True
