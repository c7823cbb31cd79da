"""The outcome of a rollout under barrier pacing, from sums over its waves and the wave in flight (see `barrier`)."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import (
    back_rates,
    begins_of,
    class_rule_of,
    classes,
    drawn,
    law_at,
    policy_of,
    relative,
    size_of_wave,
)
from simdeploy.engines.compiled.codes import COMPLETED, FAILED, ON_FAILURE_ROLLBACK, ORDER_INDEX
from simdeploy.engines.compiled.drawing import draw_rollbacks, set_rollbacks
from simdeploy.engines.compiled.exposure import after_ns
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.lanes import fill, times_in
from simdeploy.engines.compiled.laws import CONSTANT
from simdeploy.engines.compiled.levels import near_level
from simdeploy.engines.compiled.outcomes import begin_outcome, outcome_of, sum_s
from simdeploy.engines.compiled.tables import (
    BACK_FAILED,
    BACK_HIGH,
    BACK_LONGEST,
    BACK_LOW,
    BACK_OUT,
    CLASS,
    NEVER,
    ORDER,
    REL_AFFECTED,
    REL_FAILED,
    REL_RESOLVED,
    REL_STARTED,
    REL_WINDOWS,
    ROLLBACK,
)
from simdeploy.engines.compiled.weighing import weigh_first
from simdeploy.units import NS_PER_S

_LOW = (1 << 32) - 1
_UNKNOWN = -1


@compiled
def requests_at(run, policy, position):
    """Return the requests of a window of the node at a position."""
    return class_rule_of(run, policy, drawn(run)[CLASS, drawn(run)[ORDER, position]]).requests


@compiled
def rate_at(run, position):
    """Return the requests per second of the node at a position."""
    return classes(run)[drawn(run)[CLASS, drawn(run)[ORDER, position]]].requests_per_second


@compiled
def _sum_rollbacks(run, last):
    """Sum up the rollback times of the first nodes in the order of dispatch."""
    rel, longests = relative(run), relative(run)[BACK_LONGEST]
    first = run.n_back
    if first < last:
        run.n_back = last
        if run.order == ORDER_INDEX and not run.has_rollbacks:
            draw_rollbacks(run, first, last)
        else:
            set_rollbacks(run)
        fill(longests[first:last], np.int64(_UNKNOWN))
    if longests[last - 1] != _UNKNOWN:
        return
    # Sums are known where a wave of some plan ends.
    first = last - 1
    while first > 0 and longests[first - 1] == _UNKNOWN:
        first -= 1
    high = low = longest = n_failed = n_out = total = np.int64(0)
    if first:
        high, low, longest = rel[BACK_HIGH, first - 1], rel[BACK_LOW, first - 1], longests[first - 1]
        n_failed, n_out = rel[BACK_FAILED, first - 1], rel[BACK_OUT, first - 1]
    order, durations = drawn(run)[ORDER, first:last], drawn(run)[ROLLBACK]
    for place in range(last - first):
        duration = durations[order[place]]
        is_back = duration >= 0
        n_failed += not is_back
        n_out += duration != 0
        total += duration if is_back else 0
        longest = max(longest, duration if is_back else -1 - duration)
    if longest < NEVER // (last - first):
        high += total >> 32
        low += total & _LOW
    else:  # the sum may not have fitted
        for place in range(last - first):
            duration = max(durations[order[place]], 0)
            high += duration >> 32
            low += duration & _LOW
    rel[BACK_HIGH, last - 1], rel[BACK_LOW, last - 1], longests[last - 1] = high, low, longest
    rel[BACK_FAILED, last - 1], rel[BACK_OUT, last - 1] = n_failed, n_out
    if not run.is_even:
        lost, rate_failed = (back_rates(run)[0, first - 1], back_rates(run)[1, first - 1]) if first else (0.0, 0.0)
        for position in range(first, last):
            duration, rate = drawn(run)[ROLLBACK, drawn(run)[ORDER, position]], rate_at(run, position)
            if duration < 0:
                rate_failed += rate
            else:
                lost += rate * duration
        back_rates(run)[0, last - 1], back_rates(run)[1, last - 1] = lost, rate_failed


@compiled
def write_outcome(run, how, ends, wave, first, last, begins):
    """Write the outcome of a rollout that ends at `ends` while the nodes from `first` to `last` are in flight."""
    policy, rel = policy_of(run), relative(run)
    escaped = how == COMPLETED and run.defective
    goes_back = run.undone and (how != COMPLETED or escaped)
    back = horizon = ends
    by_hand = policy.no_auto_rollback or (how == FAILED and run.on_failure != ON_FAILURE_ROLLBACK)
    if escaped:
        back = horizon = ends + run.escape_detection
    elif goes_back and by_hand:
        back = horizon = ends + run.undo_after
    if goes_back:
        _sum_rollbacks(run, last)
        horizon = back + rel[BACK_LONGEST, last - 1]
    if horizon >= NEVER:
        return False
    # Nodes that start at the instant at which all roll back are never counted as exposed.
    if goes_back and first == last and back == run.last_start:
        return False
    leaves = back if goes_back else horizon  # when exposure ends

    updated, failed, windows, requests = run.sum_updated, run.sum_failed, run.sum_windows, run.sum_requests
    high, low = leaves >> 32, leaves & _LOW
    exposed_high, exposed_low = (
        run.sum_started * high - run.sum_started_high,
        run.sum_started * low - run.sum_started_low,
    )
    hurt_high, hurt_low = run.sum_hurt * high - run.sum_hurt_high, run.sum_hurt * low - run.sum_hurt_low
    out_high = run.sum_starts_high + run.sum_stuck * high - run.sum_stuck_high
    out_low = run.sum_starts_low + run.sum_stuck * low - run.sum_stuck_low
    peak, most_out, unrestored = run.sum_started, run.most_out, run.sum_stuck
    if first < last:
        most_out = max(most_out, run.sum_stuck + (last - first) - run.wave_at_once)
        now, until = ends - begins, leaves - begins
        # Nodes that start when all roll back are not counted as exposed.
        exposed_before = until if goes_back else until + 1
        started, resolved = rel[REL_STARTED, first:last], rel[REL_RESOLVED, first:last]
        failures, done = rel[REL_FAILED, first:last], rel[REL_WINDOWS, first:last]
        interval, per_ns = policy.interval, 1.0 / policy.interval
        n_failed = n_resolved = ended = total = np.int64(0)
        for place in range(last - first):
            start, is_resolved = started[place], resolved[place] <= now
            n_resolved += is_resolved
            n_failed += is_resolved & (failures[place] != 0)
            peak += start < exposed_before
            unrestored += start == NEVER
            total += max(until - start, 0)
            ended += _ended_by(now - start, done[place], interval, per_ns)
        failed += n_failed
        updated += n_resolved - n_failed
        more_high, more_low = total >> 32, total & _LOW
        if until >= NEVER // (last - first):  # the sum may not have fitted
            more_high, more_low = _sum_since(started, until)
        exposed_high += more_high
        exposed_low += more_low
        # Until then each of them is either exposed or out of service.
        out_high += (last - first) * (until >> 32) - more_high
        out_low += (last - first) * (until & _LOW) - more_low
        if run.defective:
            more_high, more_low = _sum_since_of(started, rel[REL_AFFECTED, first:last], until)
            hurt_high += more_high
            hurt_low += more_low
        windows += ended
        if run.n_classes == 1:
            requests += ended * class_rule_of(run, policy, 0).requests
        else:
            for place in range(last - first):
                ended = _ended_by(now - started[place], done[place], interval, per_ns)
                requests += ended * requests_at(run, policy, first + place)
    if goes_back:
        n_failed = unrestored = rel[BACK_FAILED, last - 1]
        out_high += rel[BACK_HIGH, last - 1] + n_failed * ((horizon - back) >> 32)
        out_low += rel[BACK_LOW, last - 1] + n_failed * ((horizon - back) & _LOW)
        most_out = max(most_out, rel[BACK_OUT, last - 1])

    begin_outcome(run, how, ends)
    outcome = outcome_of(run)
    outcome.waves = wave + 1
    outcome.updated_nodes = updated
    outcome.failed_nodes = failed
    outcome.touched_nodes = last
    outcome.peak_exposed_nodes = peak if run.releases else 0
    outcome.blast_radius = outcome.peak_exposed_nodes / run.nodes
    outcome.decision_windows = windows
    outcome.decision_requests = requests
    if goes_back and rel[BACK_FAILED, last - 1] == 0:
        outcome.restored_at_s = horizon / NS_PER_S
    outcome.exposed_node_s = sum_s(exposed_high, exposed_low) if run.releases else 0.0
    outcome.defective_node_s = sum_s(hurt_high, hurt_low)
    outcome.failed_requests_excess = _added_failures(run, last, leaves, hurt_high, hurt_low)
    outcome.unavailable_node_s = outcome.unavailable_excess_node_s = sum_s(out_high, out_low)
    outcome.min_in_service_fraction = 1 - most_out / run.nodes
    outcome.unrestored_nodes = unrestored
    if run.is_even:
        outcome.lost_requests = run.even_rate * outcome.unavailable_node_s
    else:
        lost = run.sum_rate_starts + run.sum_rate_stuck * leaves - run.sum_rate_stuck_begins
        for position in range(first, last):
            lost += rate_at(run, position) * min(rel[REL_STARTED, position], leaves - begins)
        if goes_back:
            lost += back_rates(run)[0, last - 1] + back_rates(run)[1, last - 1] * (horizon - back)
        outcome.lost_requests = lost / NS_PER_S
    outcome.lost_requests_excess = outcome.lost_requests
    outcome.shed_requests = outcome.shed_requests_excess = 0.0
    if run.is_tilted:
        outcome.weight = weigh_first(run, last, goes_back)
    run.n_outcomes += 1
    return True


@compiled
def _sum_since(started, until):
    """Sum up the times from each start to `until`, for nodes that started before it: the upper and lower halves separately."""
    high = low = np.int64(0)
    for place in range(len(started)):
        length = max(until - started[place], 0)
        high += length >> 32
        low += length & _LOW
    return high, low


@compiled
def _sum_since_of(started, affected, until):
    """Sum up the same for affected nodes."""
    high = low = total = np.int64(0)
    if until < NEVER // len(started):
        for place in range(len(started)):
            total += max(until - started[place], 0) if affected[place] else 0
        return total >> 32, total & _LOW
    for place in range(len(started)):
        length = max(until - started[place], 0) if affected[place] else 0
        high += length >> 32
        low += length & _LOW
    return high, low


@inlined
def _ended_by(since, windows, interval, per_ns):
    """Return how many windows of a node have ended `since` after its start."""
    return times_in(min(max(since, 0), windows * interval), interval, per_ns)


@compiled
def _added_failures(run, last, leaves, hurt_high, hurt_low):
    """Return the expected failed requests that the release added until the rollback; `hurt_high` and `hurt_low`: exposure to a defect."""
    total = 0.0
    if run.kind < 0 or run.error_rate == 0:
        return total
    wave = first = 0
    node_class = classes(run)[0]
    is_same = (
        run.n_classes == 1
        and node_class.baseline == node_class.baseline
        and (run.after_law < 0 or law_at(run, run.after_law).kind == CONSTANT)
    )
    high = low = np.int64(0)
    if is_same and run.defective and after_ns(run, 0) == 0:
        high, low, first = hurt_high, hurt_low, last
    while first < last:
        until = min(first + size_of_wave(run, wave), last)
        since = leaves - begins_of(run)[wave]
        if is_same:  # nodes don't differ in requests, level and time until the release shows
            started, affected = relative(run)[REL_STARTED, first:until], relative(run)[REL_AFFECTED, first:until]
            more_high, more_low = _sum_since_of(started, affected, since - after_ns(run, 0))
            high += more_high
            low += more_low
        else:
            total = _add_failures(run, first, until, since, total)
        first = until
        wave += 1
    if is_same:
        total = node_class.requests_per_second * (1 - node_class.baseline) * run.error_rate * sum_s(high, low)
    return total


@compiled
def _add_failures(run, first, last, leaves, total):
    rel, order = relative(run), drawn(run)[ORDER]
    for position in range(first, last):
        start = rel[REL_STARTED, position]
        if start == NEVER or not rel[REL_AFFECTED, position]:
            continue
        node = order[position]
        since = start + after_ns(run, node)
        if since < leaves:
            node_class = classes(run)[drawn(run)[CLASS, node]]
            rate = node_class.requests_per_second * (1 - near_level(run, node)) * run.error_rate
            total += rate * float(leaves - since) / NS_PER_S
    return total
