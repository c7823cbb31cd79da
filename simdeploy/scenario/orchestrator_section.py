"""The ``orchestrator`` section: a preset and switches that override it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import create_model

from simdeploy.api.values import Flag, choice
from simdeploy.errors import Problem
from simdeploy.rules.orchestrator import PRESETS, SWITCHES, Orchestrator, Rate, Switch
from simdeploy.scenario.section import OrNone, Section, none_field, optional
from simdeploy.scenario.values import MAX_NODES, DurationNs, ExactPositive, Sample, whole
from simdeploy.units import write_duration


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


def _declare(switch: Switch) -> Any:
    """Return the key of a switch: its kind of value, and its default as written in a file."""
    kind: Any = Sample
    default = switch.default
    if switch.hint is bool:
        kind = Flag
    elif switch.values:
        kind = Annotated[str, choice(*map(str, switch.values))]
    elif switch.hint is Rate:
        kind, default = RateSection, {}
    elif switch.is_duration:
        kind, default = DurationNs, write_duration(default)
    return (kind, optional(default, switch.text))


if TYPE_CHECKING:

    class OrchestratorSection(_OrchestratorBase):
        """How the control plane reads a policy."""

else:
    OrchestratorSection = create_model(
        "OrchestratorSection",
        __base__=_OrchestratorBase,
        __doc__=_OrchestratorBase.__doc__,
        **{key: _declare(switch) for key, switch in SWITCHES.items()},
    )


def build_orchestrator(section: OrchestratorSection) -> Orchestrator:
    """Build the orchestrator from a checked section: the preset with the given switches."""
    given = {SWITCHES[key].field: getattr(section, key) for key in section.model_fields_set if key != "preset"}
    if "rate" in given:
        rate = given["rate"]
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
