"""A rollout as a monitoring system would have scraped it: OpenMetrics text with timestamps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.api.times import parse_time
from simdeploy.engines.schema import STATUSES
from simdeploy.rules.health import judges_waves, read_max_error_rate
from simdeploy.rules.limits import NO_COUNT, NO_PERCENT, read_limits
from simdeploy.vocabulary import STATES

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import Policy
    from simdeploy.scenario import ScenarioPolicy

EVERY_S = 15  # a usual scrape interval
_MOST_SCRAPES = 20_000
_NS_PER_MS = 1_000_000


@dataclass
class _Family:
    """A metric, and its series by label: a value per scrape, NaN if there is none."""

    name: str
    text: str
    kind: str = "gauge"
    series: list[tuple[dict[str, str], np.ndarray]] = field(default_factory=list)

    def add(self, values: np.ndarray | float, **labels: str) -> _Family:
        self.series.append((labels, np.asarray(values, dtype=float)))
        return self


def write_openmetrics(
    timeline: pd.DataFrame,  # of the rollout
    revisions: pd.DataFrame,  # of the rollout
    policy: ScenarioPolicy,  # for the metrics of limits
    orchestrator: Orchestrator,
    *,
    n_nodes: int,
    replication: int,
) -> Iterator[str]:
    """Yield the lines of a rollout's metrics.

    Every `EVERY_S` seconds from the start, or less often if the rollout is very long, each series has its current value. Unknown
    values are left out.
    """
    last_s = max(timeline["time_s"].iloc[-1], revisions["time_s"].max())
    every_s = EVERY_S * max(1, -(-int(last_s) // (EVERY_S * _MOST_SCRAPES)))
    scrapes_s = np.arange(-(-last_s // every_s) + 1) * every_s
    common = {"policy": policy.name, "replication": str(replication)}
    start_ms = parse_time(policy.identity.created_at) // _NS_PER_MS
    times = [_seconds(start_ms + round(at_s * 1000)) for at_s in scrapes_s.tolist()]
    for family in (
        *_of_nodes(timeline, scrapes_s),
        *_of_deployments(revisions, scrapes_s),
        *_of_limits(policy.policy, orchestrator, n_nodes),
    ):
        yield f"# HELP {family.name} {family.text}\n"
        yield f"# TYPE {family.name} {family.kind}\n"
        for labels, values in family.series:
            suffix = "_total" if family.kind == "counter" else ""
            name = f"{family.name}{suffix}{_format_labels({**common, **labels})}"
            for at, value in zip(times, np.broadcast_to(values, scrapes_s.shape).tolist(), strict=True):
                if value == value:
                    yield f"{name} {value:.17g} {at}\n"
    yield "# EOF\n"


def _of_nodes(timeline: pd.DataFrame, scrapes_s: np.ndarray) -> Iterator[_Family]:
    """Yield metrics of the fleet and its service."""

    def at(values: pd.Series) -> np.ndarray:
        return _as_of(timeline["time_s"].to_numpy(), values.to_numpy(), scrapes_s)

    nodes = _Family("simdeploy_nodes", "Nodes by status.")
    for status in STATUSES:
        nodes.add(at(timeline[status]), status=status)
    yield nodes
    for column, (name, text) in _GAUGES.items():
        yield _Family(f"simdeploy_{name}", text).add(at(timeline[column]))
    rate = _Family("simdeploy_error_ratio", "Expected fraction of failed requests of nodes in service, by version.")
    for version, column in (("all", "error_rate"), ("old", "error_rate_old"), ("new", "error_rate_new")):
        rate.add(at(timeline[column]), version=version)
    yield rate
    for name, text in _COUNTERS.items():
        yield _Family(f"simdeploy_window_{name}", text, "counter").add(at(timeline[name].cumsum()))


# By column of the timeline: name and help text of the metric.
_GAUGES = {
    "exposed": ("exposed_nodes", "Nodes on the new version, or down with it."),
    "in_service": ("in_service_nodes", "Nodes in service."),
    "demand_per_second": ("demand_requests_per_second", "Requests to the service, served or not."),
    "requests_per_second": ("served_requests_per_second", "Requests that nodes in service get."),
    "lost_per_second": ("lost_requests_per_second", "Requests to nodes out of service."),
    "shed_per_second": ("shed_requests_per_second", "Requests beyond the capacity of a shared service."),
    "load": ("load_ratio", "Load of a shared service, as a fraction of its capacity."),
}
_COUNTERS = {
    "requests": "Requests in health windows that ended.",
    "failed_requests": "Failed requests in health windows that ended.",
}


def _of_deployments(revisions: pd.DataFrame, scrapes_s: np.ndarray) -> Iterator[_Family]:
    """Yield the control plane's metrics of the deployment and its rollback."""
    state = _Family("simdeploy_deployment_state", "1 for the state that the deployment is in.")
    families = {name: _Family(f"simdeploy_deployment_{name}", text) for name, text in _COUNTS.items()}
    for id_, rows in revisions.groupby("deployment", sort=False):
        labels = {"deployment": str(id_), "type": rows["type"].iloc[0]}
        times_s = rows["time_s"].to_numpy()
        for name in STATES:
            if name != "pending":  # this state ends at the start
                state.add(_as_of(times_s, (rows["state"] == name).to_numpy(), scrapes_s), **labels, state=name)
        for name, family in families.items():
            family.add(_as_of(times_s, rows[_OF_STATUS[name]].to_numpy(), scrapes_s), **labels)
    yield state
    yield from families.values()


_COUNTS = {
    "nodes": "Nodes to update.",
    "updated_nodes": "Nodes that reached running.",
    "failed_nodes": "Nodes that failed.",
    "wave": "Current wave; 0 before the first.",
    "canary_promoted": "1 if the canaries were promoted.",
    "revision": "Revision of the deployment.",
}
_OF_STATUS = {name: name for name in _COUNTS} | {"nodes": "total_nodes", "wave": "current_wave"}


def _of_limits(policy: Policy, orchestrator: Orchestrator, n_nodes: int) -> Iterator[_Family]:
    """Yield metrics of the limits that stop the rollout."""
    limits = read_limits(policy, orchestrator, n_nodes)
    if limits is not None and limits.max_failed_nodes != NO_COUNT:
        yield _Family("simdeploy_max_failed_nodes", "Limit of failed nodes.").add(limits.max_failed_nodes)
    if limits is not None and limits.max_failed_nodes_percent != NO_PERCENT:
        ratio = float(limits.max_failed_nodes_percent) / 100
        yield _Family("simdeploy_max_failed_nodes_ratio", "Limit of failed nodes, as a fraction.").add(ratio)
    if policy.strategy != "immediate" and not judges_waves(policy):
        most = float(read_max_error_rate(policy, orchestrator))
        yield _Family("simdeploy_max_error_ratio", "Limit of failed requests, as a fraction.").add(most)


def _as_of(times_s: np.ndarray, values: np.ndarray, scrapes_s: np.ndarray) -> np.ndarray:
    """Return the values that hold at each scrape; NaN before the first."""
    known = np.concatenate([[np.nan], np.asarray(values, dtype=float)])
    return known[np.searchsorted(times_s, scrapes_s, side="right")]


def _format_labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d}"
