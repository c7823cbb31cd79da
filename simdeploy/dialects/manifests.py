"""Kubernetes objects: the choice of one in a file, and the fields that several kinds have in common.

A file has documents, and each may be a List of objects. Values that are templates of Helm (``{{ .Values.replicas }}``, in quotes) or
of envsubst (``${REPLICAS:=3}``) are looked up among the caller's variables. A pod counts as available when its readiness probe
has succeeded and it has been ready for `minReadySeconds`; a container that crashes is started again indefinitely.
Sources: kubernetes/kubernetes, pkg/api/v1/pod/util.go; kubernetes.io, "Configure Liveness, Readiness and Startup Probes".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simdeploy.dialects import imported
from simdeploy.dialects.reading import NOTHING_SERVED, Evaluate, Group, Reading
from simdeploy.dialects.source import Document, Source, Tagged
from simdeploy.dialects.windows import choose_window
from simdeploy.errors import InputError, Path, plural
from simdeploy.units import NS_PER_S, write_duration

# Kubernetes never gives up a pod: a month, and a thousand restarts, outlast every deadline of a rollout.
PATIENCE = "720h"
RESTARTS: dict[str, Any] = {"retries": 1000, "retry_delay": "10s"}
# The largest 32-bit number of seconds means no deadline.
NO_DEADLINE = 2**31 - 1
_MOST_S = 100_000
_SHORTEST_NS = NS_PER_S // 2
OF_PODS = "what the pods run; the scenario says how long an update takes"
UNKNOWN = f"{imported.UNKNOWN}; it has no effect"

_PERCENT = re.compile(r"(\d{1,9})%")
_TEMPLATE = re.compile(
    r"\$\{(?P<shell>\w+)(?::?[-=](?P<shell_default>[^{}]*))?\}"
    r"|\{\{-?\s*\.?(?P<helm>[\w.\-]+)\s*(?:\|\s*default\s+\"?(?P<helm_default>[^\s\"]+)\"?\s*)?-?\}\}"
)


@dataclass(frozen=True)
class Manifest:
    """An object of a file: a document, or an item of a List."""

    document: Document
    path: Path
    data: dict[str, Any]

    @property
    def kind(self) -> str:
        """Its kind; empty if that is not text."""
        kind = self.data.get("kind")
        return kind if isinstance(kind, str) else ""

    @property
    def name(self) -> str:
        """Its name; empty if it has none."""
        return self._metadata("name")

    @property
    def namespace(self) -> str:
        """Its namespace; empty if it has none."""
        return self._metadata("namespace")

    def _metadata(self, key: str) -> str:
        metadata = self.data.get("metadata")
        value = metadata.get(key) if isinstance(metadata, dict) else None
        return value if isinstance(value, str) else ""

    def is_of(self, group: str, *kinds: str) -> bool:
        """Tell whether it has one of these kinds of an API group, such as ``apps``."""
        version = self.data.get("apiVersion")
        return self.kind in kinds and isinstance(version, str) and version.startswith(f"{group}/")

    def open(self, reading: Reading, *, name: str = "", evaluate: Evaluate | None = None) -> Group:
        """Return it as a group whose templates are evaluated."""
        return Group(reading, self.document, self.path, name=name, evaluate=evaluate or evaluate_with(reading.variable))


def find_manifests(source: Source) -> list[Manifest]:
    """Return all objects of a file."""
    manifests: list[Manifest] = []
    for document in source.groups:
        items = document.data.get("items")
        if isinstance(items, list) and str(document.data.get("kind")).endswith("List"):
            manifests += [
                Manifest(document, ("items", number), item)
                for number, item in enumerate(items)
                if isinstance(item, dict)
            ]
        else:
            manifests.append(Manifest(document, (), document.data))
    return manifests


def choose_manifest(reading: Reading, kinds: tuple[str, ...]) -> Manifest | None:
    """Return the object of one of these kinds: the only one, the one that the variable `object` names, or the first.

    None if there is none.
    """
    return choose_among(reading, [each for each in find_manifests(reading.source) if each.kind in kinds])


def choose_among(reading: Reading, manifests: list[Manifest]) -> Manifest | None:
    """Return one of these objects: the only one, the one that the variable `object` names, or the first; None of none."""
    if not manifests:
        return None
    names = [f"{manifest.kind}/{manifest.name}" for manifest in manifests]
    times = Counter(names)
    for number, manifest in enumerate(manifests):
        if manifest.namespace and times[names[number]] > 1:
            names[number] = f"{manifest.kind}/{manifest.namespace}/{manifest.name}"
    return manifests[names.index(reading.choose("object", names))]


def refuse_without(reading: Reading, *kinds: str) -> InputError:
    """Return the exception for a file without an object of these kinds."""
    return reading.nothing(f"a document with kind: {' or '.join(kinds)}")


def evaluate_with(look_up: Callable[[str], str | None]) -> Evaluate:
    """Return a function that evaluates the templates in a value: it looks up their variables, else takes their defaults.

    Arguments of Argo's analyses, ``{{args.name}}``, are looked up without ``args.``.
    """

    def evaluate(value: Any, group: Group, key: str) -> Any:
        if isinstance(value, Tagged):
            group.not_evaluated(key, f"{value.tag} depends on something outside the file; treated as not given")
            return None
        if not isinstance(value, str):
            return value
        missing: list[str] = []

        def fill(match: re.Match[str]) -> str:
            name = (match["shell"] or match["helm"]).removeprefix("args.")
            filled = look_up(name)
            if filled is None:
                filled = match["shell_default"] if match["shell"] else match["helm_default"]
            if filled is None:
                missing.append(name)
            return filled or ""

        text = _TEMPLATE.sub(fill, value)
        if missing:
            group.not_evaluated(key, f"{missing[0]} has no value (--var {missing[0]}=...); treated as not given")
            return None
        digits = text.strip()
        return int(digits) if text != value and re.fullmatch(r"-?[0-9]{1,18}", digits) else text

    return evaluate


# -- amounts -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Amount:
    """A number of pods, or a whole percent of them."""

    number: int
    is_percent: bool = False

    def __str__(self) -> str:
        return f"{self.number}%" if self.is_percent else str(self.number)

    def of(self, nodes: int, *, up: bool) -> int:
        """Return the number of nodes in a fleet of `nodes`."""
        if not self.is_percent:
            return self.number
        return -(-self.number * nodes // 100) if up else self.number * nodes // 100

    def written(self) -> int | str:
        """Return it as an amount of a policy."""
        return str(self) if self.is_percent else self.number


def read_amount(group: Group, key: str, *, most_percent: int | None = None) -> Amount | None:
    """Return a field that is a number of pods or a percent of them."""
    value = group.value(key)
    if value is None:
        return None
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        number = group.whole(key) if not isinstance(value, str) else None
        if isinstance(value, str):
            group.refuse(key, "neither a number nor a percent", allowed='a whole number, or text such as "25%"')
        return None if number is None else Amount(number)
    percent = int(match[1])
    if most_percent is not None and percent > most_percent:
        group.refuse(key, "too large", allowed=f"at most {most_percent}%")
        return None
    return Amount(percent, is_percent=True)


@dataclass(frozen=True)
class Budget:
    """How many replicas are updated at once beside their old instance, and how many instead of it."""

    surge: int
    unavailable: int
    beyond: int  # replicas that may exist beyond those of the file

    @property
    def parallel(self) -> int:
        """Nodes in flight."""
        return self.surge + self.unavailable


QUARTER = Amount(25, is_percent=True)


def read_budget(group: Group, nodes: int, default: Amount = QUARTER) -> Budget:
    """Return `maxSurge` and `maxUnavailable` of a Deployment or a canary in nodes; both have the same default."""
    surge = read_amount(group, "maxSurge") or default
    unavailable = read_amount(group, "maxUnavailable", most_percent=100) or default
    # Old pods end as far as the budget allows, however many new ones start beside the others.
    n_unavailable = min(unavailable.of(nodes, up=False), nodes)
    beyond, left = surge.of(nodes, up=True), nodes - n_unavailable
    n_surge = min(beyond, left)
    if surge.number == 0 and unavailable.number == 0:
        key = "maxUnavailable" if "maxUnavailable" in group else "maxSurge"
        message = "maxSurge and maxUnavailable are both 0: nothing could be updated"
        group.refuse(key, message, allowed="1 or more of either")
        return Budget(0, 1, 0)
    text = f"{n_surge:,} of {plural(nodes, 'node')} at once may get the new instance beside the old one, "
    text += (
        "rounded up" if beyond <= left else "maxUnavailable ends that of the others" if n_unavailable else "all of them"
    )
    group.exact("maxSurge", text, default=f"{default}; ")
    if n_surge == 0 and n_unavailable == 0:
        text = "rounds down to 0; without a surge it is 1 node at once"
        group.exact("maxUnavailable", text, default=f"{default}; ")
        return Budget(0, 1, 0)
    text = f"{n_unavailable:,} of {plural(nodes, 'node')} at once may be replaced in place, rounded down"
    group.exact("maxUnavailable", text, default=f"{default}; ")
    return Budget(n_surge, n_unavailable, beyond)


# -- pods ----------------------------------------------------------------------------------------------


def read_replicas(spec: Group) -> int:
    """Return the number of replicas: the caller's, the file's, the fewest of its autoscaler, or 1."""
    reading = spec.reading
    stated = spec.whole("replicas", 0)
    fewest = _read_fewest(spec) if stated is None else None
    nodes = reading.nodes((fewest or 1) if stated is None else stated) or 0
    if reading.given_nodes is not None:
        spec.exact("replicas", f"{plural(nodes, 'node')}, as given by the caller")
    elif fewest:
        text = f"not given: {fewest:,}, the autoscaler's minReplicas; --nodes N gives another number"
        spec.approximate("replicas", text)
    elif stated is None:
        spec.exact("replicas", "not given: 1, unless an autoscaler sets it; --nodes N gives another number")
    else:
        spec.exact("replicas", plural(nodes, "node"))
    if nodes == 0:
        spec.refuse("replicas", "there is nothing to update", allowed="1 or more", hint="pass --nodes N")
        return 1
    return nodes


def _read_fewest(spec: Group) -> int | None:
    """Return `minReplicas` of the autoscaler in the same file that scales an object; None without one."""
    reading = spec.reading
    scaled = Manifest(spec.document, spec.path[:-1], Group(reading, spec.document, spec.path[:-1]).data)
    for manifest in find_manifests(reading.source):
        if manifest.is_of("autoscaling", "HorizontalPodAutoscaler") and manifest.namespace == scaled.namespace:
            scaler = manifest.open(reading, name=manifest.kind).group("spec")
            target = scaler.group("scaleTargetRef").data
            if (target.get("kind"), target.get("name")) == (scaled.kind, scaled.name):
                return scaler.whole("minReplicas")
    return None


def read_min_ready(spec: Group) -> int:
    """Return the seconds that a pod must be ready to count as available."""
    return spec.whole("minReadySeconds", 0, _MOST_S) or 0


def note_min_ready(spec: Group, seconds: int) -> None:
    """Note that pods must be ready for some seconds."""
    text = "must be ready that long" if seconds else "available as soon as it is ready"
    spec.exact("minReadySeconds", text, default="0, ")


def read_pods(spec: Group, min_ready_s: int, probed_s: int | None) -> dict[str, Any]:
    """Return the keys of a policy for the health checks and restarts of pods, with notes on defaults."""
    reading = spec.reading
    reading.note("health_check.deadline", "exact", "no pod is given up; a deadline of 30 days stands for that")
    restarts = f"up to {RESTARTS['retries']:,} times; Kubernetes doubles that up to 5m, and never gives up"
    text = f"a container that crashes starts again {RESTARTS['retry_delay']} later, {restarts}"
    reading.note("retries", "approximate", text)
    ready_ns = (min_ready_s + (probed_s or 0)) * NS_PER_S
    check: dict[str, Any] = {"deadline": PATIENCE}
    if ready_ns:
        check["interval"] = choose_window(ready_ns, _SHORTEST_NS)
    check["min_healthy_time"] = write_duration(ready_ns)
    return {"health_check": check if probed_s is None else {**check, "max_error_rate": NOTHING_SERVED}, **RESTARTS}


def read_probe(spec: Group) -> int | None:
    """Return the minimum seconds of the slowest readiness probe of a pod's containers; None without one."""
    pod = spec.group("template").group("spec")
    seconds: list[int] = []
    for container in pod.groups("containers"):
        if "readinessProbe" in container:
            probe = container.group("readinessProbe")
            period = probe.whole("periodSeconds", 1, _MOST_S) or 10
            successes = probe.whole("successThreshold", 1, 10) or 1
            delay = probe.whole("initialDelaySeconds", 0, _MOST_S) or 0
            seconds.append(max(period * successes, delay + period * (successes - 1)))
    if not seconds:
        if pod.data:
            pod.exact("containers", "without a readiness probe, a pod is ready as soon as its containers run")
        return None
    text = "they fail where a node is down or serves nothing but errors"
    pod.approximate("containers", f"readiness probes take about {max(seconds)}s; {text}")
    return max(seconds)


def read_progress_deadline(spec: Group, min_ready_s: int, then: str, *, is_left_out: bool = False) -> int | None:
    """Return the longest time without progress, nanoseconds; None for no limit. `then` says what happens at its end.

    A pod makes progress when it becomes ready, before it is available, so `min_ready_s` are added.
    """
    seconds = spec.whole("progressDeadlineSeconds", 1, NO_DEADLINE)
    if seconds == NO_DEADLINE:
        spec.exact("progressDeadlineSeconds", "the largest number: no deadline")
        return None
    given = "progressDeadlineSeconds" in spec
    if min_ready_s and not is_left_out:
        then += "; minReadySeconds are added, because a pod that gets ready is progress, too"
    spec.approximate("progressDeadlineSeconds", then, default="600; ")
    if (seconds or 600) <= min_ready_s:
        key = "progressDeadlineSeconds" if given else "minReadySeconds"
        allowed = f"more than {min_ready_s:,}" if given else f"less than {seconds or 600:,}"
        spec.refuse(key, "the progress deadline is not longer than minReadySeconds", allowed=allowed)
    return None if is_left_out else (seconds or 600) * NS_PER_S
