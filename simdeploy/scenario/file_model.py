"""Top level of the scenario file, and its small sections."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import Field, PlainValidator

from simdeploy.api.values import choice
from simdeploy.errors import Problem, shorten
from simdeploy.scenario import values
from simdeploy.scenario.change_windows_section import ChangeWindows
from simdeploy.scenario.fleet_section import FleetSection
from simdeploy.scenario.laws import DurationLaw
from simdeploy.scenario.orchestrator_section import OrchestratorSection
from simdeploy.scenario.parts import DeploymentType
from simdeploy.scenario.release_section import Kinds
from simdeploy.scenario.requirements_section import RequirementSection
from simdeploy.scenario.section import OrNone, Section, none_field, optional, validation_error
from simdeploy.world.operator import Action


def _read_policies(raw: object) -> dict[str, Any]:
    if not isinstance(raw, dict):
        allowed = "names, each with a deployment spec"
        raise validation_error([Problem("not policies", found=shorten(raw), allowed=allowed)])
    if not raw:
        raise validation_error([Problem("no policy", allowed="at least one, a name with a deployment spec")])
    return raw


# Only the names are checked here; specs are read later, with the rest of the scenario.
Policies = Annotated[dict[str, Any], PlainValidator(_read_policies)]


class ActSection(Section):
    """An action at a given time."""

    at: values.DurationNs = Field(description="Time after the start.")
    do: Annotated[Action, choice(*get_args(Action))] = Field(description="Action.")


class OperatorSection(Section):
    """The people around a rollout."""

    promote_after: DurationLaw = optional(
        "0s", "Time from the last resolved canary to the operator's decision, without auto_promote."
    )
    notices_defect: values.Probability = optional(
        0, "Probability that a visible defect in the canaries is noticed and the rollout cancelled."
    )
    rejects_good: values.Probability = optional(0, "Probability that a rollout without a visible defect is cancelled.")
    escape_detection: DurationLaw = optional(
        "1h", "Time until a completed defective release is noticed, and the default of undo_after."
    )
    undo_after: DurationLaw | None = optional(
        None, "Time until people undo a rollout that stopped without rollback; default: escape_detection."
    )
    script: Annotated[list[ActSection] | None, OrNone] = none_field("Actions at given times after the start.")
    change_windows: Annotated[ChangeWindows | None, OrNone] = none_field(
        "Hours in which nodes may be dispatched; default: any."
    )


class HealthSection(Section):
    """Health check defaults."""

    interval: values.IntervalNs = optional("10s", "Length of a health window, if the policy's dialect doesn't set it.")


class DeploymentSection(Section):
    """Identity shown in the deployment object."""

    type: Annotated[DeploymentType, choice(*get_args(DeploymentType))] = optional("update", "Type of the deployment.")
    job_id: values.Name = optional("sensor-pipeline", "Job ID.")
    job_type: values.Name = optional("daemon", "The job's type.")
    namespace: values.Name = optional("default", "The job's namespace.")
    from_version: values.Version | None = optional(
        None, "Version before; default by type: create 0, update 1, rollback 2, restart and stop 1."
    )
    to_version: values.Version | None = optional(
        None, "Version after; default by type: one more; rollback one less; restart and stop the same."
    )
    created_at: values.Instant = optional("2026-01-01T00:00:00Z", "Start of the rollout, RFC 3339.")


class CostsSection(Section):
    """Money or points per unit."""

    failed_request: values.Amount = optional(0, "Per excess failed request.")
    unavailable_node_hour: values.Amount = optional(0, "Per excess node-hour out of service.")
    unrestored_node: values.Amount | None = optional(
        None, "Per node that the rollout leaves out of service, such as the price of a repair; default: 0."
    )
    lost_request: values.Amount | None = optional(
        None,
        "Per excess lost request; default: failed_request, or 0 if unavailable_node_hour has a price, which pays for the same.",
    )
    shed_request: values.Amount | None = optional(None, "Per excess shed request; default: failed_request.")
    hour_of_delay: values.Amount = optional(0, "Per hour of makespan.")
    false_alarm: values.Amount = optional(0, "Per stopped good release.")
    escape: values.Amount = optional(0, "Per completed defective release.")
    unit: values.Unit = optional("", "Unit shown after every amount, such as EUR or points.")


class ScenarioFile(Section):
    """A scenario: the circumstances of a rollout, and the policies to try."""

    simdeploy: values.Format = optional(1, "Version of this format.")
    name: values.Name = Field(description="The scenario's name.")
    description: values.Prose = optional("", "Purpose of the scenario.")
    fleet: FleetSection = Field(description="The nodes and how they behave.")
    release: Kinds = optional(
        {"good": {"probability": 1}}, "Kinds of release that the new version may be: name -> kind."
    )
    operator: OperatorSection = optional({}, "The people around a rollout.")
    orchestrator: OrchestratorSection = optional(
        "expanso", "How the control plane interprets a policy: a preset, or a preset with switches."
    )
    health: HealthSection = optional({}, "Health check defaults.")
    deployment: DeploymentSection = optional({}, "Identity shown in the deployment object.")
    costs: Annotated[CostsSection | None, OrNone] = none_field("Costs per unit.")
    requirements: list[RequirementSection] = optional(
        [], "Requirements for policies: tested by `simdeploy check`, constraints of a search."
    )
    policies: Policies = Field(description="Policies: name -> deployment spec as in the API.")
