"""What cannot have happened: states that no rollout of the policy ever shows, whatever the release."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from simdeploy.analysis.advice.acting import awaits_promotion
from simdeploy.analysis.advice.node_table import HALF_SECOND_NS
from simdeploy.errors import Path, Problem, plural, raise_if_any, shorten
from simdeploy.rules.health import read_health_rule
from simdeploy.rules.limits import Counts, read_limits
from simdeploy.rules.waves import BATCH_EVERY_NS, Plan
from simdeploy.units import NS_PER_S, short_duration
from simdeploy.vocabulary import TERMINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simdeploy.analysis.advice.seen import Look, Seen
    from simdeploy.scenario import Scenario, ScenarioPolicy

_COUNTS = ("current_wave", "updated_nodes", "failed_nodes")


def check_possible(
    scenario: Scenario,
    plan: Plan,
    seen: Seen,
    *,
    every_node_has_verdict: bool,  # whether a wave is over only when each of its nodes runs or has failed
    by_clock: bool,  # whether a batch goes each minute from the start
) -> None:
    """Raise `InputError` if what was seen cannot have happened, with the reason."""
    problems: list[Problem] = []
    for number, look in enumerate(seen.looks):
        path: Path = ("seen", "status") if len(seen.looks) == 1 else ("seen", number, "status")
        problems += _check_look(scenario, plan, seen, look, path, every_node_has_verdict)
        problems += _check_batches(plan, look, path) if by_clock else ()
    for number, (before, after) in enumerate(pairwise(seen.looks), start=1):
        for name in _COUNTS:
            if name in before.fields and name in after.fields and after.fields[name] < before.fields[name]:
                message = f"{name} falls from {before.fields[name]} to {after.fields[name]}"
                problems.append(Problem(message, ("seen", number, "status", name)))
        if before.fields.get("state") in TERMINAL_STATES and after.fields.get("state") != before.fields["state"]:
            message = f"a deployment that is {before.fields['state']} stays so"
            problems.append(Problem(message, ("seen", number, "status", "state"), found=str(after.fields.get("state"))))
        if plan.pacing == "barrier" and not seen.are_revisions and before.fields.get("state") == "paused":
            problems += _check_resumed(plan, before, after, ("seen", number, "status"))
    raise_if_any(problems)


def find_failed_limit(scenario: Scenario, policy: ScenarioPolicy, plan: Plan) -> float:
    """Return the number of failed nodes that ends a rollout whatever else happens; NaN without such a limit."""
    orchestrator = scenario.orchestrator_of(policy)
    limits = read_limits(policy.policy, orchestrator, plan.total)
    if limits is None or orchestrator.on_failure == "continue" or orchestrator.failures_counted != "cumulative":
        return math.nan
    # Every other node runs, and a wave is so large that no percentage of it is crossed.
    crossed = (n for n in range(1, plan.total + 1) if limits.crossed(Counts(n, plan.total - n, 0, plan.total)))
    return float(next(crossed, math.nan))


def _check_look(
    scenario: Scenario, plan: Plan, seen: Seen, look: Look, path: Path, every_node_has_verdict: bool
) -> Iterator[Problem]:
    fields = look.fields
    updated, failed = fields.get("updated_nodes", 0), fields.get("failed_nodes", 0)
    wave = fields.get("current_wave")
    is_over = fields.get("state") in TERMINAL_STATES
    if fields.get("state") == "pending":
        yield Problem("a rollout that is pending has not begun", (*path, "state"))
    may_wait = scenario.operator.change_windows or scenario.operator.script
    if wave == 0 and not may_wait and not any(each.fields.get("state") == "paused" for each in seen.looks):
        allowed = "at least 1; leave this look out, or its current_wave"
        yield Problem("the first wave goes at once", (*path, "current_wave"), found="0", allowed=allowed)
        return
    if wave is not None and wave > len(plan.sizes):
        allowed = f"at most {len(plan.sizes)}, the waves of the policy"
        yield Problem("there is no such wave", (*path, "current_wave"), found=shorten(wave), allowed=allowed)
        return
    if wave is not None:
        yield from _check_counts(plan, updated, failed, wave, path, every_node_has_verdict)
    if wave is not None and wave > 1 and plan.canaries and fields.get("canary_promoted") is False:
        yield Problem("a wave went although the canaries were not promoted", (*path, "canary_promoted"))
    if fields.get("canary_promoted") and not plan.canaries:
        yield Problem("the policy has no canaries", (*path, "canary_promoted"))
    if fields.get("state") == "completed" and updated + failed < plan.total and every_node_has_verdict:
        message = f"completed, although only {updated + failed} of {plan.total} nodes have a verdict"
        yield Problem(message, (*path, "state"))
    yield from _check_awaited(scenario, plan, seen, look, path)
    if not is_over:
        yield from _check_limits(scenario, plan, seen, look, path)
        yield from _check_deadlines(scenario, seen, look, path)
        yield from _check_lengths(scenario, plan, seen, look, every_node_has_verdict=every_node_has_verdict)
        yield from _check_promotion(scenario, plan, seen, look, path)


def _check_counts(
    plan: Plan, updated: int, failed: int, wave: int, path: Path, every_node_has_verdict: bool
) -> Iterator[Problem]:
    dispatched, before = sum(plan.sizes[:wave]), sum(plan.sizes[: max(wave - 1, 0)])
    if updated + failed > dispatched:
        message = f"{updated} updated and {failed} failed nodes, but only {dispatched} were dispatched by wave {wave}"
        yield Problem(message, (*path, "updated_nodes"))
    if plan.pacing == "barrier" and every_node_has_verdict and updated + failed < before:
        message = f"wave {wave} went, although only {updated + failed} of the {before} nodes before it have a verdict"
        yield Problem(message, (*path, "current_wave"))


def _check_awaited(scenario: Scenario, plan: Plan, seen: Seen, look: Look, path: Path) -> Iterator[Problem]:
    """Report nodes that the message says are waited for, if no rollout waits, or not for so many."""
    awaited = look.fields.get("awaited_nodes", 0)
    if not awaited:
        return
    waits = f"waits for {plural(awaited, 'unreachable node')}"
    may_wait = scenario.orchestrator_of(seen.policy).unreachable_nodes == "wait"
    if not may_wait or not any(each.may_be_unreachable for each in scenario.fleet.behaviours):
        allowed = "orchestrator.unreachable_nodes: wait, and a fleet whose nodes may be down or offline"
        yield Problem(f"{waits}, but no rollout of this scenario does", (*path, "message"), allowed=allowed)
        return
    wave, updated, failed = (look.fields.get(name) for name in _COUNTS)
    left = sum(plan.sizes[:wave]) - (updated or 0) - (failed or 0)
    if awaited > left:
        message = f"{waits}, but only {left} of the nodes whose turn has come have no verdict"
        yield Problem(message, (*path, "message"))


def _check_batches(plan: Plan, look: Look, path: Path) -> Iterator[Problem]:
    """Report more or fewer batches than are due."""
    wave = look.fields.get("current_wave")
    if wave is None or look.fields.get("state") in TERMINAL_STATES:
        return
    fewest, most = (
        min(max(at_ns, 0) // BATCH_EVERY_NS + 1, len(plan.sizes))
        for at_ns in (look.at_ns - HALF_SECOND_NS, look.at_ns + HALF_SECOND_NS)
    )
    if not fewest <= wave <= most:
        message = f"a batch goes each minute, so {most} went by {look.at_ns / NS_PER_S:g} s"
        yield Problem(message, (*path, "current_wave"), found=str(wave), allowed=str(most))


def _check_resumed(plan: Plan, before: Look, after: Look, path: Path) -> Iterator[Problem]:
    """Report looks between which a rollout was resumed at an unknown time before its last change."""
    wave, now = (look.fields.get("current_wave", 0) for look in (before, after))
    resolved = after.fields.get("updated_nodes", 0) + after.fields.get("failed_nodes", 0)
    if after.fields.get("state") == "paused" or now <= wave:
        return
    if now > wave + 1 or resolved > sum(plan.sizes[:wave]):
        message = "resumed at an unknown time: more than one change since the pause"
        allowed = "also the object as it was when the rollout was resumed, or all revisions"
        yield Problem(message, (*path, "state"), allowed=allowed)


def _check_limits(scenario: Scenario, plan: Plan, seen: Seen, look: Look, path: Path) -> Iterator[Problem]:
    """Find more failures than a rollout under way can have."""
    orchestrator = scenario.orchestrator_of(seen.policy)
    is_late = orchestrator.limits_judged == "wave_end" or orchestrator.reporting_delay_ns > 0
    if orchestrator.on_failure not in ("rollback", "stop") or is_late or orchestrator.failures_counted != "cumulative":
        return
    updated, failed = look.fields.get("updated_nodes", 0), look.fields.get("failed_nodes", 0)
    if plan.canaries and look.fields.get("current_wave") == 1 and orchestrator.canary_gate == "all_healthy" and failed:
        if not look.fields.get("canary_promoted"):
            message = f"{failed} of {plan.canaries} canaries failed, which ends the rollout"
            yield Problem(message, (*path, "failed_nodes"))
        return
    limits = read_limits(seen.policy.policy, orchestrator, plan.total)
    # A wave so large that no percentage of it is crossed.
    crossed = limits and limits.crossed(Counts(failed, updated, 0, plan.total))
    if crossed and "failed_nodes" in look.fields:
        message = f"more failed nodes than the rollout survives: {crossed}"
        yield Problem(message, (*path, "failed_nodes"), found=str(failed))


def _check_deadlines(scenario: Scenario, seen: Seen, look: Look, path: Path) -> Iterator[Problem]:
    """Find nodes that are in flight although their deadline has passed."""
    rule = read_health_rule(seen.policy.policy, scenario.orchestrator_of(seen.policy))
    for name in ("health_check_deadline", "healthy_deadline"):
        deadline = look.fields.get(f"{name}_ns")
        if deadline is None or not rule.is_checked:
            continue
        if deadline < rule.deadline_ns - HALF_SECOND_NS:
            message = f"earlier than {short_duration(rule.deadline_ns)} after the start, so no node can have it"
            yield Problem(message, (*path, name))
        elif deadline < look.at_ns - HALF_SECOND_NS and name == "health_check_deadline":
            late = short_duration(look.at_ns - deadline)
            yield Problem(f"passed {late} before this was seen, so no node is in flight with it", (*path, name))


def _check_lengths(
    scenario: Scenario, plan: Plan, seen: Seen, look: Look, *, every_node_has_verdict: bool
) -> Iterator[Problem]:
    """Report nodes that would be in flight beyond their deadline, because nothing has changed."""
    rule = read_health_rule(seen.policy.policy, scenario.orchestrator_of(seen.policy))
    is_bound = rule.is_checked and rule.deadline_from_dispatch and not rule.retries and every_node_has_verdict
    is_known = seen.nodes is None and all(name in look.fields for name in _COUNTS)
    if not (is_bound and is_known) or plan.has_slots:
        return
    wave, updated, failed = (look.fields[name] for name in _COUNTS)
    in_flight = sum(plan.sizes[:wave]) - updated - failed
    length_ns = look.at_ns - look.since_ns
    if in_flight > 0 and length_ns > rule.deadline_ns + NS_PER_S:
        message = f"nothing changed for {short_duration(length_ns)}, although {in_flight} of {sum(plan.sizes[:wave])} nodes that went have no verdict"
        yield Problem(message, ("at",), allowed=f"at most {short_duration(rule.deadline_ns)}, their deadline")


def _check_promotion(scenario: Scenario, plan: Plan, seen: Seen, look: Look, path: Path) -> Iterator[Problem]:
    """Find a wave that still waits to be promoted although somebody would have promoted it by then."""
    operator, orchestrator = scenario.operator, scenario.orchestrator_of(seen.policy)
    wave = look.fields.get("current_wave", 0)
    is_paused = any(each.fields.get("state") == "paused" for each in seen.looks)
    may_wait = operator.change_windows or operator.script or orchestrator.reporting_delay_ns or is_paused
    if not awaits_promotion(look.fields, seen.policy, plan) or may_wait:
        return
    latest_s = float(operator.promote_after.quantile(1.0))
    waits_ns = look.at_ns - look.since_ns - HALF_SECOND_NS  # at least: instants count to half a second
    if plan.bakes_ns[wave - 1] + NS_PER_S * latest_s <= max(waits_ns, 0):
        promoted = f"within {short_duration(round(NS_PER_S * latest_s))}" if latest_s else "at once"
        message = f"wave {wave} waits for a promotion, but the scenario's operator promotes {promoted}"
        allowed = "operator.promote_after: how long people take, such as {exponential: {mean: 10m}}"
        yield Problem(message, (*path, "current_wave"), allowed=allowed)
