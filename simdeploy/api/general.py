"""The general dialect: it expresses policies of other orchestrators that the API's dialects can't, without hidden defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from simdeploy.api.common_spec import CommonSpec, GateKey
from simdeploy.api.values import (
    Amount,
    Count,
    Flag,
    FractionNumber,
    GoDuration,
    GoInterval,
    PercentNumber,
    Threshold,
    WaveAmount,
)
from simdeploy.api.wire import Dialect, WireObject, for_editors, unset
from simdeploy.units import parse_duration


def duration_ns(text: str | None) -> int | None:
    """Return a duration of the API in nanoseconds; None if it is unset."""
    return parse_duration(text) if text else None


def _accept_amount(schema: dict[str, Any], model: type[WireObject]) -> None:
    """Allow an amount in place of a wave, as the validator does."""
    for_editors(schema, model)
    group = dict(schema)
    schema.clear()
    schema["anyOf"] = [*group["properties"]["size"]["anyOf"][:2], group]


class WaveEntry(WireObject):
    """One entry of `waves`: an amount, or a group with `size` or `until`.

    Examples
    --------
    >>> WaveEntry.model_validate("10%").size, WaveEntry(until="50%", bake_time="5m").to_dict()
    ('10%', {'until': '50%', 'bake_time': '5m'})
    """

    model_config = ConfigDict(json_schema_extra=_accept_amount)

    dialect: ClassVar[Dialect] = "general"

    size: WaveAmount | None = unset("Nodes of the wave, or a percentage of the fleet.")
    until: Amount | None = unset("Nodes of this wave and all before it, or a percentage of the fleet.")
    bake_time: GoDuration | None = unset("Pause after the wave; default: the orchestrator's.")
    max_failed_nodes: Count | None = unset("Failed nodes allowed in this wave.")
    max_failed_nodes_percent: PercentNumber | None = unset("Failed nodes allowed in this wave, percent of its nodes.")
    min_healthy_time: GoDuration | None = unset("Required healthy time of its nodes; default: the health check's.")
    gate: Flag | None = unset("Whether the gate judges this wave; default: true.")
    promotion: Flag | None = unset("Await a promotion after the wave, as after canaries; default: false.")

    @model_validator(mode="before")
    @classmethod
    def _take_amount(cls, raw: Any) -> Any:
        if isinstance(raw, int | str) and not isinstance(raw, bool):
            return {"size": raw}
        if isinstance(raw, Mapping | WaveEntry):
            return raw
        allowed = 'a number of nodes, a percentage such as "10%", or a group of keys with size or until'
        context = {"message": "not a wave", "allowed": allowed, "hint": None, "meant": None}
        raise PydanticCustomError("refused", "{message}; allowed: {allowed}", context)

    @model_serializer(mode="wrap")
    def _write_amount(self, write: SerializerFunctionWrapHandler) -> Any:
        return self.size if self.model_fields_set == {"size"} else write(self)


class GeneralHealthCheck(WireObject):
    """Health check of the general dialect.

    Examples
    --------
    >>> GeneralHealthCheck(deadline="5m", success_threshold=3).deadline_ns
    300000000000
    """

    dialect: ClassVar[Dialect] = "general"

    deadline: GoDuration | None = unset('Longest time for a node to become healthy, such as "5m"; required.')
    interval: GoInterval | None = unset("Evaluation window; default: health.interval of the scenario.")
    max_error_rate: FractionNumber | None = unset(
        "Highest allowed fraction of failed requests in a healthy window; default: any."
    )
    min_healthy_time: GoDuration | None = unset("Required healthy time; default: none. Not beside success_threshold.")
    success_threshold: Threshold | None = unset("Consecutive healthy windows before a node is healthy.")
    failure_threshold: Threshold | None = unset(
        "Unhealthy windows before a node has failed; default: any number until the deadline."
    )
    cumulative_failures: Flag | None = unset("Unhealthy windows need not be consecutive to reach failure_threshold.")
    gate: GateKey = None

    @property
    def deadline_ns(self) -> int | None:
        """The deadline in nanoseconds, None if unset."""
        return duration_ns(self.deadline)


class GeneralSpec(CommonSpec):
    """A spec of the general dialect: what is not stated does not apply.

    Examples
    --------
    >>> spec = GeneralSpec(strategy="rolling", waves=[1, "10%", {"until": "50%"}])
    >>> spec.to_dict()
    {'strategy': 'rolling', 'waves': [1, '10%', {'until': '50%'}]}
    """

    dialect: ClassVar[Dialect] = "general"

    waves: tuple[WaveEntry, ...] | None = unset("Waves in order; the last size repeats until all nodes are updated.")
    zone_by_zone: Flag | None = unset(
        "Plan the waves within each zone, one zone after the other; needs fleet.order: zone."
    )
    zone_bake_time: GoDuration | None = unset("Pause after the last wave of a zone.")
    first_zone_bake_time: GoDuration | None = unset("Pause after the first zone; default: zone_bake_time.")
    max_parallel: Amount | None = unset("Nodes updated in parallel, or a percentage of the fleet; 0 is all.")
    max_parallel_per_zone: Amount | None = unset(
        "Nodes of one zone updated in parallel, or a percentage of the zone; 0 is all."
    )
    surge: Amount | None = unset(
        "Nodes in flight that may be updated beside their old instance, which serves until the new one does."
    )
    surge_canaries: Flag | None = unset(
        "Update all canaries beside their old instance; default: only as many as surge."
    )
    slot_delay: GoDuration | None = unset("Time before a free slot is used again.")
    max_failed_nodes_per_zone: Amount | None = unset("Failed nodes allowed in any zone, or a percentage of its nodes.")
    retries: Count | None = unset("Retries of a node that did not start.")
    retry_delay: GoDuration | None = unset("Pause before a retry.")
    retry_unhealthy: Flag | None = unset("Also retry nodes that fail their health check; default: false.")
    progress_deadline: GoDuration | None = unset("The rollout fails if no node becomes running for this long.")
    rollout_deadline: GoDuration | None = unset("The rollout fails if it is not complete within this time.")
    rollback_parallel: Amount | None = unset("Nodes rolled back in parallel, or a percentage of the fleet; 0 is all.")
    rollback_delay: GoDuration | None = unset("Pause between waves of a rollback.")
    health_check: GeneralHealthCheck | None = unset(
        "Health check; required for rolling and canary, ignored for immediate."
    )
