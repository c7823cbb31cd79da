"""The responses of one rollout (model section 5), for compiled code: whole nanoseconds summed exactly.

Sums of many times may not fit into 64 bits, so their upper and lower halves are summed separately.
"""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled.access import (
    class_rule_of,
    classes,
    drawn,
    fates,
    policy_of,
    policy_of_node,
    scratch,
    waves,
    windows_from,
)
from simdeploy.engines.compiled.ending import horizon_of
from simdeploy.engines.compiled.exposure import added_level, after_ns
from simdeploy.engines.compiled.gates import judges_waves
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.levels import near_level
from simdeploy.engines.compiled.load import requests_met
from simdeploy.engines.compiled.met_at_once import requests_met_at_once
from simdeploy.engines.compiled.out_at_once import most_at_once
from simdeploy.engines.compiled.outcomes import begin_outcome, outcome_of, sum_s
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.requests import measure_sharing
from simdeploy.engines.compiled.service import measure_service, served_well
from simdeploy.engines.compiled.tables import AFFECTED, BACK_FROM, CLASS, NEVER, RESOLVED, SEEN, STARTED, WINDOWS
from simdeploy.units import NS_PER_S

_LOW = (1 << 32) - 1


@part("outcomes", returns=types.boolean, seconds=4, can_fail=True)
def measure(run):
    """Compute all responses of the current rollout, and write them into the next row, NaN where unknown.

    Returns
    -------
    bool
        False if `scratch` had not enough room, which must then be doubled.
    """
    begin_outcome(run, run.state, run.makespan)
    outcome, horizon = outcome_of(run), horizon_of(run)
    outcome.too_long = run.ran_too_long
    outcome.waves = run.waves_open
    outcome.updated_nodes = run.updated
    outcome.failed_nodes = run.failed
    outcome.touched_nodes = run.n_touched
    if run.rollback_ended < NEVER and not run.any_back_failed:
        outcome.restored_at_s = run.rollback_ended / NS_PER_S
    outcome.decision_windows, outcome.decision_requests = _count_windows(run)
    outcome.peak_exposed_nodes = _peak_exposed(run, horizon)
    outcome.blast_radius = outcome.peak_exposed_nodes / run.nodes
    if horizon == NEVER:
        return True
    if run.shared and not measure_sharing(run, horizon):
        return False
    outcome.exposed_node_s, outcome.defective_node_s = _exposures(run, horizon)
    outcome.failed_requests_excess = _added_failures(run, horizon)
    return measure_service(run, horizon)


@compiled
def _count_windows(run):
    """Count the windows that ended by the makespan, and the requests behind verdicts."""
    fate, policy = fates(run), policy_of(run)
    varies, first = run.varies, 0
    total, requests = run.watched_windows + run.earlier_windows, run.watched_requests + run.earlier_requests
    if run.n_classes == 1 and not varies and run.changed_at == 0:
        windows_of_whole, n_cut = _count_whole(run)
        if n_cut == 0:
            total += windows_of_whole
            requests += windows_of_whole * class_rule_of(run, policy, 0).requests
            first = run.nodes
    starts, n_starts = scratch(run), 0
    are_alike = varies and not run.shared and run.n_classes == 1 and run.changed_at == 0
    for node in range(first, run.nodes):
        windows = fate[WINDOWS, node]
        if windows:
            rule = policy_of_node(run, node)
            until = min(run.makespan, fate[BACK_FROM, node])
            if fate[RESOLVED, node] > until:
                # Its windows were cut short, or its verdict came after the end.
                start = windows_from(run, node)
                windows = min(windows, (until - start) // rule.interval) if start <= until else 0
            total += windows
            if are_alike:
                starts[0, n_starts], starts[1, n_starts] = windows_from(run, node), windows
                n_starts += 1
            elif varies:
                requests += requests_met(run, node, windows_from(run, node), windows)
            else:
                requests += windows * class_rule_of(run, rule, drawn(run)[CLASS, node]).requests
    if n_starts:
        requests += requests_met_at_once(run, n_starts)
    if run.shared:
        requests += run.met_requests
    if judges_waves(policy):
        requests = np.int64(0)
        for wave in range(run.waves_open):
            requests += waves(run)[SEEN, wave]
    return total, requests


@compiled
def _count_whole(run):
    """Count the windows of nodes whose windows all ended by the makespan, and the other nodes with any windows."""
    fate, n_windows, n_cut = fates(run), np.int64(0), np.int64(0)
    windows, resolved, back, makespan = fate[WINDOWS], fate[RESOLVED], fate[BACK_FROM], run.makespan
    for node in range(run.nodes):
        is_cut = resolved[node] > min(makespan, back[node])
        n_windows += 0 if is_cut else windows[node]
        n_cut += is_cut & (windows[node] > 0)
    return n_windows, n_cut


# -- exposure --------------------------------------------------------------------------------------


@compiled
def _peak_exposed(run, horizon):
    """Find the most nodes that were exposed at once, at any settled instant up to the horizon."""
    fate = fates(run)
    if not run.releases:
        return 0
    if (
        not run.any_went_by_itself
        and not run.any_order_late
        and not (run.rollback_has_begun and policy_of(run).rollback_size < run.nodes)
    ):
        # Exposure only grows until all nodes roll back at one instant; nodes that start at that instant are not exposed.
        peak = 0
        for node in range(run.nodes):
            peak += (fate[STARTED, node] < fate[BACK_FROM, node]) & (fate[STARTED, node] <= horizon)
        return peak
    spans = scratch(run)
    k = 0
    for node in range(run.nodes):
        if fate[STARTED, node] < NEVER:
            spans[0, k] = fate[STARTED, node]
            spans[1, k] = fate[BACK_FROM, node]
            k += 1
    return most_at_once(spans[0, :k], spans[1, :k], horizon)


@compiled
def _exposures(run, horizon):
    """Return the node-seconds exposed, and those of affected nodes of a defective release."""
    if not run.releases:
        return 0.0, 0.0
    fate, hurt = fates(run), drawn(run)[AFFECTED]
    high = low = np.int64(0)
    bad_high = bad_low = np.int64(0)
    for node in range(run.nodes):
        length = max(min(fate[BACK_FROM, node], horizon) - min(fate[STARTED, node], horizon), 0)
        affected = hurt[node]
        high += length >> 32
        low += length & _LOW
        bad_high += (length >> 32) * affected
        bad_low += (length & _LOW) * affected
    return sum_s(high, low), sum_s(bad_high, bad_low) if run.defective else 0.0


@compiled
def _added_failures(run, horizon):
    """Return the expected failed requests that the release added up to the horizon."""
    fate = fates(run)
    total = 0.0
    if run.kind < 0 or run.error_rate == 0:
        return total
    for node in range(run.nodes):
        if fate[STARTED, node] == NEVER:
            continue
        added = added_level(run, node)
        if added == 0:
            continue
        since = fate[STARTED, node] + after_ns(run, node)
        until = min(fate[BACK_FROM, node], horizon)
        if since >= until:
            continue
        node_class = classes(run)[drawn(run)[CLASS, node]]
        rate = node_class.requests_per_second * (1 - near_level(run, node)) * added
        total += rate * served_well(run, node, since, until) / NS_PER_S
    return total
