"""The evidence of gates about a wave (model section 8), for compiled code: summed over its nodes for several looks in advance.

Once a node is dispatched, the ends of its windows are known, and which look takes each. So many windows of an undisturbed node are
drawn at once. If another node is dispatched before these looks, its windows are added, or everything is summed again.
"""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import (
    ahead,
    ahead_sums,
    class_rule_of,
    counted,
    drawn,
    fates,
    is_wave_over,
    lists,
    policy_of,
    size_of_wave,
    waves,
)
from simdeploy.engines.compiled.ahead_together import add_counts, add_together, note
from simdeploy.engines.compiled.at_once import count_failed
from simdeploy.engines.compiled.codes import BAYES, POOLED_WINDOW, SPRT_REQUESTS, SPRT_WINDOWS
from simdeploy.engines.compiled.drawing import known_level, own_level
from simdeploy.engines.compiled.evidence import gather, see
from simdeploy.engines.compiled.exposure import added_level, after_ns
from simdeploy.engines.compiled.health import is_undisturbed
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.lanes import times_in
from simdeploy.engines.compiled.levels import FARTHEST_OFF, near_level
from simdeploy.engines.compiled.philox import draw_intervals, draw_pairs
from simdeploy.engines.compiled.prober import level_given
from simdeploy.engines.compiled.tables import (
    AHEAD_FROM,
    AHEAD_OF,
    AHEAD_PLACES,
    AHEAD_TOUCHED,
    AHEAD_UNTIL,
    CLASS,
    DEADLINE,
    DISPATCHED,
    FIRST_PLACE,
    GATE_BEGUN,
    GATE_VERDICT,
    HAS_FAILED,
    MORE_REQUESTS,
    MOST_AHEAD,
    N_AHEAD,
    NEVER,
    OBSERVED,
    ORDER,
    PARTNER,
    RESOLVED,
    SEEN_UNTIL,
    STARTED,
    SUM_FAILED,
    SUM_OLD_FAILED,
    TURNS,
    WINDOW_WORD,
)


@compiled
def reset_ahead(run):
    """Discard all sums."""
    for place in range(N_AHEAD):
        ahead(run)[place, AHEAD_OF] = -1


@compiled
def take(run, wave):
    """Return requests, failed ones, and failed ones of nodes on the old version, of windows that ended in the last interval."""
    policy, state = policy_of(run), ahead(run)[wave % N_AHEAD]
    other = state[AHEAD_OF]
    if run.shared or policy.retries:
        return gather(run, wave)
    if other >= 0 and other != wave and waves(run)[GATE_VERDICT, other] == 0 and not is_wave_over(run, other):
        return gather(run, wave)
    look = (run.now - waves(run)[GATE_BEGUN, wave]) // policy.interval
    if other != wave or look >= state[AHEAD_UNTIL] or (policy.gate_compares and state[AHEAD_TOUCHED] != run.n_touched):
        _begin(run, wave, look)
    elif state[AHEAD_TOUCHED] != run.n_touched:
        _add_nodes(run, wave, look, state[AHEAD_PLACES])
    sums, place = ahead_sums(run)[wave % N_AHEAD], 1 + look - state[AHEAD_FROM]
    requests = np.int64(0)
    for earlier in range(place + 1):
        requests += sums[MORE_REQUESTS, earlier]
    return requests, sums[SUM_FAILED, place], sums[SUM_OLD_FAILED, place]


@compiled
def _begin(run, wave, look):
    """Sum up for this look and those after it."""
    state, sums = ahead(run)[wave % N_AHEAD], ahead_sums(run)[wave % N_AHEAD]
    gate = policy_of(run).gate
    n = np.int64(MOST_AHEAD)
    if state[AHEAD_OF] == wave and look < state[AHEAD_UNTIL]:
        n = np.int64(1)  # others may be dispatched at any time
    elif gate == POOLED_WINDOW or gate == SPRT_WINDOWS or gate == SPRT_REQUESTS or gate == BAYES:
        n = min(n, look)  # the gate may decide soon
    n = min(n, max(_last_look(run, wave) - look, 0) + 1)
    state[AHEAD_OF], state[AHEAD_FROM], state[AHEAD_UNTIL] = wave, look, look + n
    for row in range(len(sums)):
        for place in range(sums.shape[1]):
            sums[row, place] = 0
    _add_nodes(run, wave, look, 0)


@compiled
def _last_look(run, wave):
    """Return the last look of a wave's observation, if waiting changes nothing; NEVER if that isn't known yet."""
    table, fate = waves(run), fates(run)
    if table[TURNS, wave] < size_of_wave(run, wave):
        return np.int64(NEVER)
    last, first = table[GATE_BEGUN, wave], table[FIRST_PLACE, wave]
    for place in range(first, first + table[TURNS, wave]):
        node = drawn(run)[ORDER, place]
        if fate[DISPATCHED, node] == NEVER:
            return np.int64(NEVER)
        last = max(last, fate[RESOLVED if fate[HAS_FAILED, node] else OBSERVED, node])
    return -((table[GATE_BEGUN, wave] - last) // policy_of(run).interval)


@compiled
def _add_nodes(run, wave, look, n_before):
    """Add the windows of nodes dispatched since the first `n_before` places of a wave were added."""
    state, until = ahead(run)[wave % N_AHEAD], lists(run)[SEEN_UNTIL]
    first, turns = waves(run)[FIRST_PLACE, wave], waves(run)[TURNS, wave]
    per_ns = 1.0 / policy_of(run).interval
    for place in range(turns):
        node = drawn(run)[ORDER, first + place]
        if place >= n_before or until[node] < state[AHEAD_UNTIL]:
            is_out = fates(run)[DISPATCHED, node] < NEVER
            until[node] = state[AHEAD_UNTIL] if is_out else -1
            if is_out:
                _add(run, wave, look, node, per_ns)
    add_together(run, wave)
    state[AHEAD_PLACES], state[AHEAD_TOUCHED] = turns, run.n_touched


@inlined
def _add(run, wave, look, node, per_ns):
    """Add the windows of a node that end from a look on, or note them, to be added together with those of other nodes."""
    fate, policy = fates(run), policy_of(run)
    state, sums = ahead(run)[wave % N_AHEAD], ahead_sums(run)[wave % N_AHEAD]
    started, interval = fate[STARTED, node], policy.interval
    if started == NEVER:
        return
    # Looks don't include a node after its failure, which happens at its deadline at the latest, without a verdict on the wave.
    last = fate[RESOLVED if fate[HAS_FAILED, node] else DEADLINE, node]
    partner = np.int64(-1)
    if policy.gate_compares:
        partner = lists(run)[PARTNER, node]
        if partner < 0:
            return
        last = min(last, fate[DISPATCHED, partner])
    # The look that takes its first window.
    first_look = 1 + times_in(started - waves(run)[GATE_BEGUN, wave] + interval - 1, interval, per_ns)
    begin, end = max(look - first_look, 0), state[AHEAD_UNTIL] - first_look
    if last - started < end * interval:
        end = (last - started) // interval
    if begin >= end:
        return
    to = 1 + first_look - state[AHEAD_FROM]
    start, until = started + begin * interval, started + end * interval
    is_calm = not run.varies
    if run.goes_down or run.degrades:
        is_calm = is_calm and is_undisturbed(run, node, start, until)
        is_calm = is_calm and (partner < 0 or is_undisturbed(run, partner, start, until))
    if not is_calm:
        for window in range(begin, end):
            requests, failed, old_failed = see(run, node, window)
            if requests > 0:
                sums[MORE_REQUESTS, to + window] += requests
                sums[MORE_REQUESTS, to + window + 1] -= requests
                sums[SUM_FAILED, to + window] += failed
                sums[SUM_OLD_FAILED, to + window] += old_failed
        return
    requests = class_rule_of(run, policy, drawn(run)[CLASS, node]).requests
    if requests == 0:
        return
    sums[MORE_REQUESTS, to + begin] += requests
    sums[MORE_REQUESTS, to + end] -= requests
    plain_until = shown_since = end
    if added_level(run, node) > 0:
        after = after_ns(run, node)
        plain_until, shown_since = min(max(after // interval, begin), end), min(max(-(-after // interval), begin), end)
    level, old = known_level(run, node), known_level(run, partner) if partner >= 0 else 0.0
    if level == level and old == old and (plain_until == end or shown_since == begin):
        if plain_until < end:
            level = level_given(run, node, level, start, start + interval)
        note(run, wave, node, begin, end, to, level, old)
        return
    _add_windows(run, node, requests, begin, plain_until, sums[SUM_FAILED], to)
    _add_windows(run, node, requests, plain_until, shown_since, sums[SUM_FAILED], to)
    _add_windows(run, node, requests, shown_since, end, sums[SUM_FAILED], to)
    if partner >= 0:
        n = draw_intervals(run, partner, start // interval + 1, end - begin, counted(run)[WINDOW_WORD])
        _count(run, partner, n, requests, start)
        add_counts(run, 0, 0, end - begin, True, n, sums[SUM_OLD_FAILED], to + begin)


@compiled
def _add_windows(run, node, requests, begin, end, sums, to):
    """Add a node's windows, all of the same level, to the failed requests of the looks that take them."""
    if begin >= end:
        return
    first = begin & ~1
    n = draw_pairs(run, node, first, end - first, counted(run)[WINDOW_WORD])
    _count(run, node, n, requests, fates(run)[STARTED, node] + begin * policy_of(run).interval)
    add_counts(run, 0, begin - first, end - first, True, n, sums, to + first)


@compiled
def _count(run, node, n, requests, start):
    """Count the failed requests of n windows at the level of the first one; the node's own level is computed only if needed."""
    end = start + policy_of(run).interval
    level = known_level(run, node)
    if level != level:
        if count_failed(run, n, requests, level_given(run, node, near_level(run, node), start, end), FARTHEST_OFF):
            return
        level = own_level(run, node)
    count_failed(run, n, requests, level_given(run, node, level, start, end), 0.0)
