"""The file's ``orchestrator``: a preset, and switches that differ from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import create_model

from simdeploy.api.values import Flag, choice
from simdeploy.errors import Problem
from simdeploy.rules.orchestrator import PRESETS, Orchestrator, Rate, switch_values
from simdeploy.scenario.fleet_section import OrNone, none_field
from simdeploy.scenario.section import Section, optional
from simdeploy.scenario.values import DurationNs, ExactPositive, Sample

_DESCRIPTIONS = {
    "pacing": "When the next nodes go: the whole wave resolved, a slot free, or by the clock.",
    "failed_node_holds_slot": "Under sliding: whether a failed node keeps its slot.",
    "limit_comparison": "Whether the rollout stops above a limit or at it.",
    "limit_combination": "Whether one of count and percent is enough, or both must be crossed.",
    "failed_percent_of": "The denominator of the percent limit.",
    "limits_judged": "When the limits are judged; under sliding always at once.",
    "limits_apply_to_immediate": "Whether limits stop an immediate rollout.",
    "canary_size": "Which of count and percent decides when both are set.",
    "canary_rounding": "How a percent of the nodes is rounded; never below 1.",
    "canary_gate": "Whether one failed canary stops the rollout, or canaries count like any node.",
    "deadline_starts": "When the deadline's clock starts.",
    "window_reset": "Whether one bad window restarts min_healthy_time.",
    "no_traffic": "What a window without requests is.",
    "node_local_rollback": "Whether a failed node goes back by itself.",
    "on_failure": "What a crossed limit does.",
    "rollback_pacing": "How nodes go back.",
    "unreachable_nodes": "What happens to nodes that are down when their turn comes.",
    "paused_clocks": "Whether bake time, promotion delay and rate clock go on while paused.",
    "explicit_zero_limit": "What an explicit 0 of a limit means.",
    "cant_tell": "What a gate does that can't tell at the end of the observation.",
}


class RateSection(Section):
    """Batches under ``pacing: rate``: one a minute."""

    per_minute: ExactPositive = optional(50, "Nodes in the first batch.")
    growth: ExactPositive = optional(1, "Factor from batch to batch.")
    max_per_minute: Annotated[ExactPositive | None, OrNone] = none_field("Largest batch.")


class _OrchestratorBase(Section):
    """How the control plane reads a policy."""

    shorthand = "preset"

    preset: Annotated[str, choice(*PRESETS)] = optional("expanso", "The bundle that the other switches start from.")
    minimum_sample: Sample = optional(0, "Resolved nodes before a percent limit applies.")
    bake_time: DurationNs = optional(
        "0s", "Pause after a wave; a running node is watched no more, so it buys only time."
    )
    rate: RateSection = optional({}, "Batches, under pacing: rate.")


def _closed(name: str, values: tuple[str | bool, ...]) -> Any:
    kind = Flag if isinstance(values[0], bool) else Annotated[str, choice(*map(str, values))]
    return (kind, optional(values[0], _DESCRIPTIONS[name]))


if TYPE_CHECKING:

    class OrchestratorSection(_OrchestratorBase):
        """How the control plane reads a policy."""

else:
    # The switches with a closed list of values are the ones that the rules know: no second list of them here.
    OrchestratorSection = create_model(
        "OrchestratorSection",
        __base__=_OrchestratorBase,
        __doc__=_OrchestratorBase.__doc__,
        **{name: _closed(name, values) for name, values in switch_values().items()},
    )


def build_orchestrator(section: OrchestratorSection) -> Orchestrator:
    """Turn a checked section into the rules' value: the preset with the switches that were given."""
    given: dict[str, Any] = {name: getattr(section, name) for name in section.model_fields_set if name != "preset"}
    if "bake_time" in given:
        given["bake_time_ns"] = given.pop("bake_time")
    if "rate" in given:
        rate = section.rate
        given["rate"] = Rate(rate.per_minute, rate.growth, rate.max_per_minute)
    return replace(PRESETS[section.preset], **given)


def orchestrator_problems(orchestrator: Orchestrator) -> list[Problem]:
    """Name switches that contradict each other."""
    if orchestrator.failed_percent_of == "wave" and orchestrator.pacing != "barrier":
        message = f"wave has no meaning under pacing: {orchestrator.pacing}, which has no waves to be resolved"
        path = ("orchestrator", "failed_percent_of")
        return [Problem(message, path, found="wave", allowed="fleet or resolved, or pacing: barrier")]
    return []
