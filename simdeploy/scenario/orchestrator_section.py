"""The ``orchestrator`` section: a preset and switches that override it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import create_model

from simdeploy.api.values import Flag, choice
from simdeploy.errors import Problem
from simdeploy.rules.orchestrator import PRESETS, Orchestrator, Rate, switch_values
from simdeploy.scenario.section import OrNone, Section, none_field, optional
from simdeploy.scenario.values import MAX_NODES, DurationNs, ExactPositive, Sample, whole

_DESCRIPTIONS = {
    "pacing": "What starts the next nodes: the wave resolved, a free slot, or the clock.",
    "failed_node_holds_slot": "A failed node keeps its slot (sliding, or within a wave).",
    "failed_node_freezes": "Nothing more is dispatched once a node has failed.",
    "slot_until": "When a node's slot is free.",
    "all_slots_held": "Effect of failed nodes that block the rollout.",
    "lost_waves": "Effect of a wave in which every node failed or was skipped.",
    "failures_counted": "Which failures max_failed_nodes bounds: all, or those since a node last became running.",
    "failed_tries_count": "Each failed try of a node counts for max_failed_nodes.",
    "wave_rounding": "Rounding of a percent of the nodes in the general dialect; at least 1.",
    "limit_comparison": "Stop above a limit or at it.",
    "limit_combination": "Limits to cross: count or percent, or both.",
    "failed_percent_of": "Denominator of the percent limit.",
    "limits_judged": "When limits are judged; always at once under sliding.",
    "limits_apply_to_immediate": "Limits stop an immediate rollout.",
    "canary_size": "Which of count and percent applies if both are set.",
    "canary_rounding": "Rounding of a percent of the nodes; at least 1.",
    "canary_gate": "One failed canary stops the rollout, or canaries count like other nodes.",
    "deadline_starts": "Start of the deadline's clock.",
    "window_reset": "An unhealthy window restarts min_healthy_time.",
    "no_traffic": "How a window without requests counts.",
    "node_local_rollback": "A failed node rolls back by itself.",
    "on_failure": "Effect of a crossed limit.",
    "rollback_pacing": "Pacing of a rollback.",
    "unreachable_nodes": "Treatment of nodes that are down or offline when their turn comes.",
    "paused_clocks": "Bake time, promotion delay and rate clock run while paused.",
    "explicit_zero_limit": "Meaning of an explicit limit of 0.",
    "cant_tell": "What an undecided gate does at the end of the observation.",
}


class RateSection(Section):
    """Batches under ``pacing: rate``: one a minute."""

    per_minute: ExactPositive = optional(50, "Nodes in the first batch.")
    growth: ExactPositive = optional(1, "Factor from batch to batch.")
    max_per_minute: Annotated[ExactPositive | None, OrNone] = none_field("Largest batch.")
    growth_every: Annotated[Annotated[int, whole(1, MAX_NODES)] | None, OrNone] = none_field(
        "Number of nodes after which batches grow again; default: after each batch."
    )


class _OrchestratorBase(Section):
    """How the control plane reads a policy."""

    shorthand = "preset"

    preset: Annotated[str, choice(*PRESETS)] = optional("expanso", "Preset that the other switches modify.")
    minimum_sample: Sample = optional(0, "Resolved nodes required before max_failed_nodes_percent applies.")
    bake_time: DurationNs = optional("0s", "Pause after a wave; running nodes are not watched.")
    reporting_delay: DurationNs = optional("0s", "By how much limits, promotion and completion lag behind pacing.")
    rate: RateSection = optional({}, "Batches, under pacing: rate.")


def _closed(name: str, values: tuple[str | bool, ...]) -> Any:
    kind = Flag if isinstance(values[0], bool) else Annotated[str, choice(*map(str, values))]
    return (kind, optional(values[0], _DESCRIPTIONS[name]))


if TYPE_CHECKING:

    class OrchestratorSection(_OrchestratorBase):
        """How the control plane reads a policy."""

else:
    # Switches with a closed list of values are generated from the rules, which have the only list of them.
    OrchestratorSection = create_model(
        "OrchestratorSection",
        __base__=_OrchestratorBase,
        __doc__=_OrchestratorBase.__doc__,
        **{name: _closed(name, values) for name, values in switch_values().items()},
    )


def build_orchestrator(section: OrchestratorSection) -> Orchestrator:
    """Build the orchestrator from a checked section: the preset with the given switches."""
    given: dict[str, Any] = {name: getattr(section, name) for name in section.model_fields_set if name != "preset"}
    for name in ("bake_time", "reporting_delay"):
        if name in given:
            given[f"{name}_ns"] = given.pop(name)
    if "rate" in given:
        rate = section.rate
        given["rate"] = Rate(rate.per_minute, rate.growth, rate.max_per_minute, rate.growth_every)
    return replace(PRESETS[section.preset], **given)


def write_orchestrator(orchestrator: Orchestrator) -> dict[str, Any]:
    """Return an orchestrator as the section that builds it: its preset, and the switches that differ from it.

    Examples
    --------
    >>> section = OrchestratorSection.model_validate({"pacing": "sliding", "bake_time": "5m"})
    >>> write_orchestrator(build_orchestrator(section))
    {'preset': 'expanso', 'pacing': 'sliding', 'bake_time': 300.0}
    """
    switches = orchestrator.switches()
    usual = build_orchestrator(OrchestratorSection.model_validate({"preset": switches["preset"]})).switches()
    return {key: value for key, value in switches.items() if key == "preset" or value != usual[key]}


def orchestrator_problems(orchestrator: Orchestrator) -> list[Problem]:
    """List contradicting switches."""
    if orchestrator.failed_percent_of == "wave" and orchestrator.pacing != "barrier":
        message = f"wave is invalid under pacing: {orchestrator.pacing}, which has no waves"
        path = ("orchestrator", "failed_percent_of")
        return [Problem(message, path, found="wave", allowed="fleet or resolved, or pacing: barrier")]
    return []
