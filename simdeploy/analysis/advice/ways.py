"""Which rollouts have laws, because nodes get verdicts independently of each other and of the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.result import WITHOUT_TABLE
from simdeploy.analysis.advice.waves import COUNTS, find_pauses
from simdeploy.errors import InputError, Problem
from simdeploy.rules.deployment_types import TYPES
from simdeploy.rules.health import read_health_rule

if TYPE_CHECKING:
    from simdeploy.analysis.advice.seen import Seen
    from simdeploy.rules.waves import Plan
    from simdeploy.scenario import Scenario


def refuse_unsupported(scenario: Scenario, seen: Seen) -> None:
    """Raise `InputError` for what cannot be conditioned on."""
    policy = seen.policy
    problems = []
    if not TYPES[policy.identity.type].releases or policy.identity.type == "rollback":
        message = f"a deployment of type {policy.identity.type} is not supported"
        problems.append(Problem(message, ("seen", "type"), allowed="update, create"))
    gate = policy.policy.gate
    if gate is not None and gate.kind != "threshold":
        message = f"the gate {gate.kind} is not supported yet"
        problems.append(Problem(message, ("policy", "health_check", "gate"), allowed="threshold"))
    if scenario.past is not None:
        problems.append(
            Problem("worlds that are rollouts on record are not supported", ("scenario", "fleet", "records"))
        )
    if scenario.tilt is not None:
        problems.append(Problem("the scenario has a tilt", ("scenario",)))
    if scenario.kind is not None:
        problems.append(Problem("the kind of release is given", ("scenario",), found=scenario.kind))
    if problems:
        raise InputError(problems)


def why_no_laws(scenario: Scenario, plan: Plan, seen: Seen) -> str:
    """Return why there are no laws, so that whole worlds must be tried; empty if there are."""
    fleet, orchestrator = scenario.fleet, scenario.orchestrator_of(seen.policy)
    behaviours = fleet.behaviours
    rule = read_health_rule(seen.policy.policy, orchestrator)
    why_turns = _why_no_turns(scenario, plan, seen)
    reasons = {
        why_turns: bool(why_turns),
        f"{find_spells(scenario)}{WITHOUT_TABLE}": bool(find_spells(scenario))
        and not _tries_nodes(scenario, plan, seen),
        "traffic": any(behaviour.traffic for behaviour in behaviours),
        "a shared service": fleet.service is not None,
        "change windows": bool(scenario.operator.change_windows),
        "a script": bool(scenario.operator.script),
        "retries": rule.retries > 0,
        "a reporting delay": orchestrator.reporting_delay_ns > 0,
        "failed nodes that freeze the rollout": orchestrator.failed_node_freezes,
        "clocks that a pause stops": orchestrator.paused_clocks == "stop",
        "missing counts": any(name not in look.fields for look in seen.looks for name in COUNTS),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def find_spells(scenario: Scenario) -> str:
    """Return the random events of nodes or zones (such as crashes) that leave lives without a law; empty if there are none."""
    behaviours = scenario.fleet.behaviours
    spells = {
        "crashes": any(behaviour.crash or behaviour.down for behaviour in behaviours),
        "zone outages": any(behaviour.zone_outage for behaviour in behaviours),
        "degraded spells": any(behaviour.flapping for behaviour in behaviours),
        "offline nodes": any(behaviour.connection for behaviour in behaviours),
    }
    return next((spell for spell, holds in spells.items() if holds), "")


def _tries_nodes(scenario: Scenario, plan: Plan, seen: Seen) -> bool:
    """Return whether nodes without laws can be tried one by one: given a table, or if dispatches and all verdicts can be inferred."""
    behaviours, orchestrator = scenario.fleet.behaviours, scenario.orchestrator_of(seen.policy)
    if seen.nodes is not None:
        return True
    # With the counts of only one look, trying whole worlds works as well.
    if len(seen.looks) == 1 and not any(name.endswith("_ns") for name in seen.last.fields):
        return False
    may_be_missed = orchestrator.unreachable_nodes != "fail" and any(
        behaviour.may_be_unreachable for behaviour in behaviours
    )
    return plan.pacing == "barrier" and not may_be_missed and not any(behaviour.connection for behaviour in behaviours)


def _why_no_turns(scenario: Scenario, plan: Plan, seen: Seen) -> str:
    """Return why it is unknown when nodes are dispatched; empty if that follows from verdicts that were seen."""
    orchestrator, table = scenario.orchestrator_of(seen.policy), seen.nodes
    if plan.pacing == "rate" and table is None:
        if find_pauses(seen):
            return "rate pacing after a pause"
        return f"rate pacing after canaries{WITHOUT_TABLE}" if plan.canaries else ""
    if plan.pacing == "rate":
        return ""
    if plan.pacing == "barrier":
        return "slots within waves" if plan.has_slots else ""
    if table is None:
        return f"sliding pacing{WITHOUT_TABLE}"
    reasons = {
        # Turns that were seen imply verdicts, but of unknown nodes.
        "dispatches without the instants of verdicts": not (
            table.knows_verdicts or np.isnan(table.dispatched_ns).all()
        ),
        "slots of zones": plan.per_zone < plan.total,
        "a slot delay": seen.policy.policy.slot_delay_ns > 0,
        "slots that are free at the start": orchestrator.slot_until == "started",
        "failed nodes that hold slots": orchestrator.failed_node_holds_slot,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def follows_clock(plan: Plan, why_tried: str) -> bool:
    """Return whether a batch is dispatched each minute from the start."""
    return plan.pacing == "rate" and not plan.canaries and not why_tried


def shows_all_verdicts(scenario: Scenario, seen: Seen, why_tried: str) -> bool:
    """Return whether counts show a verdict of every node before a wave starts, which they don't for offline nodes or late reports."""
    orchestrator = scenario.orchestrator_of(seen.policy)
    if orchestrator.reporting_delay_ns > 0:
        return False
    return orchestrator.unreachable_nodes == "fail" or not (why_tried or find_spells(scenario))
