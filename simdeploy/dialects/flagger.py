"""Flagger: a Canary.

All new pods start beside the old ones. Then, at every tick of `interval`, each metric is checked over its own period. If all
checks pass, the canary's share of the traffic grows by `stepWeight`, or to the next of `stepWeights`, until it is at least
`maxWeight`. The next passed tick promotes the canary, which moves the rest. A failed check keeps the weight; at `threshold`
failed checks in the whole rollout, in a row or not, everything rolls back. A check without requests has failed. With
`iterations` the traffic does not grow: after that many passed ticks all of it moves at once. Everything also rolls back if pods aren't ready within
`progressDeadlineSeconds`.
Source: fluxcd/flagger: pkg/controller/scheduler.go, pkg/controller/scheduler_metrics.go, pkg/apis/flagger/v1beta1/canary.go.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from simdeploy.dialects.judging import Check, Judgement, judge, read_interval
from simdeploy.dialects.manifests import PATIENCE, RESTARTS, UNKNOWN, choose_manifest, find_manifests, refuse_without
from simdeploy.dialects.reading import Group, Reading
from simdeploy.errors import plural
from simdeploy.units import NS_PER_S, write_duration

if TYPE_CHECKING:
    from simdeploy.dialects.imported import PolicyImport
    from simdeploy.dialects.source import Source

_SHORTEST_NS = 10 * NS_PER_S
_DEFAULT_NS = 60 * NS_PER_S
_MOST_FAILED = 1000
_ITERATIONS = 10
_SWITCHES = {"pacing": "barrier", "unreachable_nodes": "wait", "on_failure": "rollback"}


def recognises(source: Source) -> bool:
    """Tell whether a text has a Canary."""
    return any(manifest.is_of("flagger.app", "Canary") for manifest in find_manifests(source))


def read(reading: Reading) -> PolicyImport:
    """Read a Canary: the only one, the one that the variable `object` names, or the first."""
    manifest = choose_manifest(reading, ("Canary",))
    if manifest is None:
        raise refuse_without(reading, "Canary")
    spec = manifest.open(reading).group("spec")
    nodes = reading.nodes(_find_replicas(reading, spec, manifest.namespace))
    analysis = spec.group(spec.spelling("analysis", "canaryAnalysis"))
    skips = spec.flag("skipAnalysis") or not analysis.data
    spec.exact("skipAnalysis", "all nodes are updated at once, beside the old ones" if skips else "the analysis below")
    seconds = spec.whole("progressDeadlineSeconds", 1) or 600
    text = "everything rolls back if no node becomes ready for that long; also the longest time to judge a wave"
    spec.approximate("progressDeadlineSeconds", text, default="600; ")
    policy: dict[str, Any] = {"strategy": "rolling", "surge": "100%"}
    switches: dict[str, Any] = dict(_SWITCHES)
    longest_ns = 0
    if skips:
        analysis.note_rest("skipped")
        policy |= {"waves": [{"until": "100%"}], "health_check": {"deadline": PATIENCE}, **RESTARTS}
    else:
        waves, watch, longest_ns = _read_analysis(spec, analysis, nodes)
        policy |= {"waves": waves, **watch}
        switches |= {"wave_rounding": "nearest"}
        if "gate" in watch["health_check"]:
            switches |= {"cant_tell": "unhealthy", "window_reset": False}
    policy["progress_deadline"] = write_duration(seconds * NS_PER_S + longest_ns)
    text = "a container that crashes starts again 10s later; Kubernetes doubles that up to 5m"
    reading.note("retries", "approximate", text)
    text = "a wave's nodes start when it begins; in Flagger all new pods start before the first one"
    reading.note("surge", "approximate", text)
    reading.note("no_auto_rollback", "exact", "everything rolls back at once")
    spec.no_counterparts({"suspend": "the rollout is simulated as if it were resumed"})
    spec.note_rest()
    return reading.finish(policy, switches, nodes=nodes)


def _find_replicas(reading: Reading, spec: Group, namespace: str) -> int | None:
    """Return the replicas of the Canary's target, preferably in its namespace, if it is in the same file."""
    target = spec.group("targetRef")
    for manifest in sorted(find_manifests(reading.source), key=lambda manifest: manifest.namespace != namespace):
        if manifest.kind == target.data.get("kind") and manifest.name and manifest.name == target.data.get("name"):
            deployment = manifest.open(reading, name=f"{manifest.kind} {manifest.name}")
            replicas = deployment.group("spec").whole("replicas", 1)
            if replicas is not None:
                target.exact("name", f"in this file, with {plural(replicas, 'replica')}")
            return replicas
    return None


def _read_analysis(spec: Group, analysis: Group, nodes: int | None) -> tuple[list[dict[str, Any]], dict[str, Any], int]:
    """Return the waves, how their nodes are watched, and the longest time that a wave is judged."""
    interval_ns = read_interval(analysis)
    tick_ns = max(interval_ns or _DEFAULT_NS, _SHORTEST_NS)
    clipped = "shorter than 10s: " if interval_ns is not None and interval_ns < _SHORTEST_NS else ""
    text = f"{clipped}every {write_duration(tick_ns)}, from the start of each wave's nodes on"
    analysis.approximate("interval", text)
    threshold = max(analysis.whole("threshold", 0, _MOST_FAILED) or 0, 1)
    iterations = _read_iterations(spec, analysis)
    n_checks = iterations or 1
    if iterations:
        analysis.no_counterparts(
            dict.fromkeys(("stepWeight", "stepWeights", "maxWeight"), "has no effect beside iterations")
        )
        waves: list[dict[str, Any]] = [{"until": "100%"}]
        text = f"all nodes in one wave, judged {plural(iterations, 'time')}; they serve once started"
        analysis.approximate("iterations", text)
    else:
        planned = _plan(_read_weights(analysis), nodes)
        n_checks = max(checks for _, checks in planned)
        waves = [
            {"until": f"{weight}%"}
            | ({} if checks == n_checks else {"min_healthy_time": write_duration(checks * tick_ns)})
            for weight, checks in planned
        ]
    rates = [rate for metric in analysis.groups("metrics") if (rate := _read_metric(metric)) is not None]
    text = "everything rolls back at this many failed checks of the whole rollout, in a row or not; in Flagger an interval later"
    text += "; a check without requests has failed"
    if not rates:
        text = "no check that can be simulated can fail"
    analysis.approximate("threshold", text, default="1; ")
    _note_webhooks(analysis)
    analysis.no_counterparts(_ASIDE)
    analysis.note_rest(UNKNOWN)
    watched_ns = tick_ns * n_checks
    # The promoted rest is not checked any more.
    rest = [] if waves[-1]["until"] == "100%" else [{"until": "100%", "min_healthy_time": "0s"}]
    if rates:
        checks = [Check(rate, tick_ns, None, threshold - 1) for rate in rates]
        judgement: Judgement = judge(checks, watched_ns, of_rollout=True)
        return [*waves, *(wave | {"gate": False} for wave in rest)], judgement.watch(), judgement.longest_ns
    text = "no success rate is checked: only nodes that don't become ready stop the rollout"
    spec.reading.note("metrics", "exact", text)
    healthy = {"interval": write_duration(tick_ns), "min_healthy_time": write_duration(watched_ns)}
    return [*waves, *rest], {"health_check": {"deadline": PATIENCE, **healthy}, **RESTARTS}, watched_ns


def _read_iterations(spec: Group, analysis: Group) -> int:
    iterations = analysis.whole("iterations", 0, _MOST_FAILED) or 0
    if "match" in analysis:
        analysis.approximate("match", "which requests meet the canary is not simulated: all of its nodes' do")
    if iterations == 0 and spec.text("provider") == "kubernetes":
        spec.exact("provider", f"can't shift traffic: {_ITERATIONS} iterations")
        return _ITERATIONS
    return iterations


def _read_weights(analysis: Group) -> list[int]:
    """Return the successive weights of a canary."""
    step = analysis.whole("stepWeight", 0, 100) or 0
    listed: list[int] = []
    for number, weight in enumerate(analysis.items("stepWeights")):
        if isinstance(weight, bool) or not isinstance(weight, int) or weight <= (listed[-1] if listed else 0):
            message = f"entry {number}: not a whole number above the one before"
            analysis.refuse("stepWeights", message, allowed="[5, 10, 50]")
            return [100]
        listed.append(weight)
    most = analysis.whole("maxWeight", 0, 100) or 100
    if listed:
        most = min(listed[-1], 100)
        if "maxWeight" in analysis:
            analysis.exact("maxWeight", "has no effect beside stepWeights")
    if not step and not listed:
        message = "no weights and no iterations: the canary would never be promoted"
        analysis.refuse("stepWeight", message, allowed="1 to 100")
        return [100]
    weights = [0]
    while weights[-1] < most:
        following = next((weight for weight in listed if weight > weights[-1]), most)
        weights.append(min(weights[-1] + step if step else following, 100))
    steps = f"waves up to {', '.join(f'{weight}%' for weight in weights[1:])} of the nodes, which take that share of the traffic"
    for key in ("stepWeight", "stepWeights"):
        if key in analysis:
            text = steps if (key == "stepWeight") == bool(step) else "has no effect beside stepWeight"
            analysis.approximate(key, text)
    if not listed:
        rest = "the nodes after it are promoted in one wave" if weights[-1] < 100 else "all nodes"
        given = f"; up to {weights[-1]}%" if "maxWeight" in analysis else ""
        analysis.exact("maxWeight", f"{rest}{given}", default="100; ")
    return weights[1:]


def _plan(weights: list[int], nodes: int | None) -> list[tuple[int, int]]:
    """Return the weights that become waves, and how many checks each passes.

    A weight that adds no node to a fleet of known size is one more check of the wave before it.
    """
    waves: list[tuple[int, int]] = []
    before = 0
    for weight in weights:
        count = weight if nodes is None else max((2 * nodes * weight + 100) // 200, 1)
        if count > before:
            waves.append((weight, 1))
            before = count
        else:
            waves[-1] = waves[-1][0], waves[-1][1] + 1
    return waves


def _read_metric(metric: Group) -> float | None:
    """Return the highest error rate that a metric allows, with notes; None if it isn't a rate of successes."""
    name = metric.text("name")
    within = metric.group("thresholdRange")
    if name != "request-success-rate" or "templateRef" in metric or "query" in metric:
        metric.no_counterpart("name", "durations and queries of one's own are not simulated: this check never fails")
        metric.note_rest("belongs to a metric that is not checked here")
        return None
    least = within.number("min", 0, 100)
    key, group = ("min", within) if least is not None else ("threshold", metric)
    least = metric.number("threshold", 0, 100) if least is None else least
    rate = None if least is None else float(1 - Decimal(str(least)) / 100)
    if rate is None:
        metric.no_counterpart("name", "without a minimum this check never fails")
    else:
        text = "judges all requests to a wave's nodes together; in Flagger those to the nodes of earlier waves, too"
        metric.approximate("name", text)
        group.exact(key, f"a check fails if more than {100 * rate:g} % of the requests fail")
    within.no_counterparts({"max": "a rate of successes that is too high is not simulated"})
    if "interval" in metric:
        metric.approximate("interval", "a check sees the requests since the last tick, not those of this time")
    metric.note_rest(UNKNOWN)
    return rate


def _note_webhooks(analysis: Group) -> None:
    for webhook in analysis.groups("webhooks"):
        kind = webhook.data.get("type")
        text = _WEBHOOKS.get(kind if isinstance(kind, str) else "rollout", "not called")
        line = webhook.document.line(webhook.path)
        analysis.reading.note(webhook.name_of("")[:-1], "none", text, line)


_WEBHOOKS = {
    "rollout": "not called: taken as a check that holds",
    "pre-rollout": "not called: taken as a check that holds",
    "confirm-rollout": "not called: taken as confirmed at once",
    "confirm-promotion": "not called: taken as confirmed at once",
    "confirm-traffic-increase": "not called: taken as confirmed at once",
    "rollback": "not called: an operator of the scenario can cancel the rollout",
}
_ASIDE = {
    "stepWeightPromotion": "how fast the traffic goes from new pods to new pods",
    "mirror": "traffic is not mirrored",
    "mirrorWeight": "traffic is not mirrored",
    "primaryReadyThreshold": "all nodes must be ready",
    "canaryReadyThreshold": "all nodes must be ready",
    "alerts": "alerts are not simulated",
    "sessionAffinity": "which requests meet the canary is not simulated",
}
