"""What cannot have happened in a table of nodes: rows that no rollout of the policy ever shows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.node_table import PENDING, RUNNING, SKIPPED, NodeTable
from simdeploy.analysis.advice.turns import together
from simdeploy.errors import Problem, raise_if_any, shorten
from simdeploy.rules.health import read_health_rule
from simdeploy.rules.waves import BATCH_EVERY_NS, USUAL_WATCH, Plan
from simdeploy.units import NS_PER_S, short_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simdeploy.analysis.advice.proposing_nodes import NodeGuide
    from simdeploy.scenario import Scenario, ScenarioPolicy

# Times are matched to half a second either way.
_SLACK_NS = NS_PER_S
_FIXED = ("index", "zone", "nodes")


def check_nodes(
    scenario: Scenario,
    policy: ScenarioPolicy,
    plan: Plan,
    table: NodeTable,
    at_ns: int,
    *,
    every_node_has_verdict: bool,
    has_laws: bool,
) -> None:
    """Raise `InputError` if rows of a table cannot have happened, with the reasons."""
    problems = [*_check_instants(table, at_ns), *_check_lengths(scenario, policy, plan, table, at_ns)]
    problems += _check_passed_over(scenario, policy, plan, table)
    if plan.pacing == "barrier" and not plan.has_slots and every_node_has_verdict:
        problems += _check_waves(plan, table)
    if plan.pacing == "rate" and not plan.canaries and has_laws:
        problems += _check_batches(plan, table)
    if plan.pacing == "sliding" and has_laws:
        problems += _check_slots(plan, table)
    if scenario.fleet.order in _FIXED and all(each.share is None for each in scenario.fleet.classes):
        problems += _check_places(scenario, plan, table)
    raise_if_any(problems)


def check_chances(table: NodeTable, guides: Sequence[NodeGuide]) -> None:
    """Raise `InputError` if what was seen of a node is impossible under every kind of release."""
    best = [guide.best for guide in guides]
    problems = [
        _node_problem(
            table, place, "status", "no kind of release of the scenario shows a node like this, at these instants"
        )
        for place in np.flatnonzero(np.max(best, axis=0) <= 0).tolist()
    ]
    raise_if_any(problems)


def _check_instants(table: NodeTable, at_ns: int) -> Iterator[Problem]:
    for name in ("dispatched", "started", "resolved"):
        times = getattr(table, f"{name}_ns")
        for place in np.flatnonzero(times > at_ns).tolist():
            allowed = f"at most {at_ns / NS_PER_S:g} s; empty if it had not happened yet"
            yield _node_problem(table, place, f"{name}_at_s", "after the time of observation", times[place], allowed)


def _check_passed_over(scenario: Scenario, policy: ScenarioPolicy, plan: Plan, table: NodeTable) -> Iterator[Problem]:
    """Report nodes that were not dispatched at their turn, if the scenario neither skips nor waits for nodes."""
    what = scenario.orchestrator_of(policy).unreachable_nodes
    if not any(each.may_be_unreachable for each in scenario.fleet.behaviours):
        what = "fail"
    if what != "skip" and (table.status == SKIPPED).any():
        message = "skipped, but the scenario never skips nodes"
        allowed = "orchestrator.unreachable_nodes: skip, of nodes that crash or go offline"
        yield _node_problem(table, int(np.argmax(table.status == SKIPPED)), "status", message, allowed=allowed)
    # Waves wait for nodes that are waited for.
    wave_of = np.repeat(np.arange(len(plan.sizes)), plan.sizes)[: table.n_turns]
    waiting = table.status[: table.n_turns] == PENDING
    if what == "wait" and plan.pacing == "barrier":
        waiting &= wave_of < wave_of.max(initial=0)
    if what == "skip" and plan.pacing == "barrier" and not plan.has_slots:
        yield from _check_instants_of_waves(plan, table)
    if what != "skip" and waiting.any():
        message = "pending, although nodes after it were dispatched"
        yield _node_problem(table, int(np.argmax(waiting)), "position", message)


def _check_instants_of_waves(plan: Plan, table: NodeTable) -> Iterator[Problem]:
    """Report waves dispatched at several times: without positions, nodes after a skipped one may be assigned to the wrong wave."""
    first = 0
    for number, size in enumerate(plan.sizes, start=1):
        times = table.dispatched_ns[first : first + size]
        if not np.isnan(times).all() and np.nanmax(times) - np.nanmin(times) > _SLACK_NS:
            late = first + int(np.nanargmax(times))
            message = f"wave {number} goes at once, and another of its nodes went at {np.nanmin(times) / NS_PER_S:g} s"
            allowed = None if table.is_ordered else "a position of each node, if any was passed over"
            yield _node_problem(table, late, "dispatched_at_s", message, np.nanmax(times), allowed)
            return
        first += size


def _check_waves(plan: Plan, table: NodeTable) -> Iterator[Problem]:
    """Report waves dispatched in part, at several times, or before the previous one was over."""
    first, before = 0, -math.inf
    over, last = "", -math.inf
    for number, size in enumerate(plan.sizes, start=1):
        places = np.arange(first, first + size)
        first += size
        went = places[table.status[places] != PENDING]
        if not len(went):
            break
        if len(went) < size:
            waiting = int(places[table.status[places] == PENDING][0])
            message = f"only {len(went)} of the {size} nodes of wave {number} were dispatched, but waves go at once"
            yield _node_problem(table, waiting, "status", message)
            return
        if over:
            yield _node_problem(table, int(went[0]), "status", f"wave {number} went, although {over} has no verdict")
            return
        times = table.dispatched_ns[places]
        known = ~np.isnan(times)
        if number == 1 and known.any() and times[known].max() > _SLACK_NS:
            late = int(places[known][times[known].argmax()])
            message = "wave 1 goes at the start, from which times are counted"
            yield _node_problem(table, late, "dispatched_at_s", message, times[known].max(), "0")
        if known.any() and times[known].max() - times[known].min() > _SLACK_NS:
            late = int(places[known][times[known].argmax()])
            message = (
                f"wave {number} goes at once, and another of its nodes went at {times[known].min() / NS_PER_S:g} s"
            )
            yield _node_problem(table, late, "dispatched_at_s", message, times[known].max())
        if known.any() and times[known].max() < max(last, before) - _SLACK_NS:
            early = int(places[known][times[known].argmax()])
            message = f"wave {number} went before wave {number - 1} was over"
            yield _node_problem(table, early, "dispatched_at_s", message, times[known].max())
        before = float(times[known].max()) if known.any() else before
        resolved = table.resolved_ns[places]
        last = float(np.nanmax(resolved)) if not np.isnan(resolved).all() else last
        open_ones = places[~table.are_resolved[places]]
        over = f"row {table.rows[open_ones[0]]}" if len(open_ones) else ""


def _check_batches(plan: Plan, table: NodeTable) -> Iterator[Problem]:
    """Report nodes dispatched before or after their batch."""
    due = BATCH_EVERY_NS * np.repeat(np.arange(len(plan.sizes)), plan.sizes)
    for place in np.flatnonzero(np.abs(table.dispatched_ns - due) > _SLACK_NS).tolist():
        message, allowed = "not when its batch goes, one each minute", f"{due[place] / NS_PER_S:g}"
        yield _node_problem(table, place, "dispatched_at_s", message, table.dispatched_ns[place], allowed)


def _check_slots(plan: Plan, table: NodeTable) -> Iterator[Problem]:
    """Report more nodes in flight than slots, and nodes that wait although slots are free."""
    in_flight = plan.canaries + np.flatnonzero(~table.are_resolved[plan.canaries : table.n_turns])
    if len(in_flight) > plan.parallel:
        message = f"{len(in_flight)} nodes in flight at once"
        yield _node_problem(table, int(in_flight[-1]), "status", message, allowed=f"at most {plan.parallel}")
    elif plan.canaries < table.n_turns < plan.total and len(in_flight) < plan.parallel:
        message = f"waits, although only {len(in_flight)} of the {plan.parallel} slots are taken"
        yield _node_problem(table, table.n_turns, "status", message)


def _check_lengths(
    scenario: Scenario, policy: ScenarioPolicy, plan: Plan, table: NodeTable, at_ns: int
) -> Iterator[Problem]:
    """Report nodes that were in flight too long, or running too soon."""
    rule = read_health_rule(policy.policy, scenario.orchestrator_of(policy))
    if not rule.is_checked or rule.retries:
        return
    waves = np.repeat(np.arange(len(plan.sizes)), plan.sizes)
    begin = table.dispatched_ns if rule.deadline_from_dispatch else table.started_ns
    since = "dispatch" if rule.deadline_from_dispatch else "start"
    deadline, shown = rule.deadline_ns, short_duration(rule.deadline_ns)
    for place in np.flatnonzero(table.status != PENDING).tolist():
        has_verdict = bool(table.are_resolved[place])
        until = table.resolved_ns[place] if has_verdict else at_ns
        if until - begin[place] > deadline + _SLACK_NS:
            message = f"no verdict within the deadline, {shown} after its {since}"
            column = "resolved_at_s" if has_verdict else "status"
            yield _node_problem(table, place, column, message, until if has_verdict else None)
        watch = plan.watches[waves[place]] if plan.watches else USUAL_WATCH
        least = rule.of_wave(watch).windows_needed * rule.interval_ns
        length = table.resolved_ns[place] - np.fmax(table.started_ns[place], table.dispatched_ns[place])
        if table.status[place] == RUNNING and length < least - _SLACK_NS:
            message = f"running after {length / NS_PER_S:g} s, but its health windows take {short_duration(least)}"
            yield _node_problem(table, place, "resolved_at_s", message, table.resolved_ns[place])


def _check_places(scenario: Scenario, plan: Plan, table: NodeTable) -> Iterator[Problem]:
    """Report waves whose nodes have other zones or classes than in the scenario."""
    from simdeploy.world.dealing import deal_classes, order_nodes
    from simdeploy.world.draws import Draws

    fleet = scenario.fleet
    draws = Draws(0, 0, fleet.nodes)
    order = np.array(order_nodes(fleet, draws))
    for name, given, expected in (
        ("zone", table.zones, order % fleet.zones),
        ("class", table.classes, deal_classes(fleet, draws)[order]),
    ):
        first = 0
        for size in together(plan):
            places = np.arange(first, min(first + size, table.n_turns))
            first += size
            if given is None or not len(places):
                break
            if sorted(given[places]) == sorted(expected[places]):
                continue
            counts = np.bincount(expected[places], minlength=int(max(given.max(), expected.max())) + 1)
            for place in places.tolist():
                counts[given[place]] -= 1
                if counts[given[place]] < 0:
                    words = ["none", *(each.name for each in fleet.classes)] if name == "class" else None
                    allowed = sorted({str(words[k]) if words else str(k) for k in expected[places].tolist()})
                    found = words[given[place]] if words else str(given[place])
                    message = f"the nodes at this place of the order are of another {name}"
                    yield _node_problem(table, place, name, message, found, ", ".join(allowed))
                    return


def _node_problem(
    table: NodeTable, place: int, column: str, message: str, found: object = None, allowed: str | None = None
) -> Problem:
    shown = None if found is None else found if isinstance(found, str) else f"{float(found) / NS_PER_S:g} s"  # type: ignore[arg-type]
    row = int(table.rows[place])
    path = ("seen", f"row {row}", column) if row else ("seen",)
    if not row:
        message = f"{message}; a node without a row was not dispatched"
    return Problem(message, path, found=None if shown is None else shorten(shown).strip("'"), allowed=allowed)
