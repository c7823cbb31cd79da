"""Validation of a node window by window (model section 3), for compiled code, if windows have different numbers of requests."""

from __future__ import annotations

import math

import numpy as np
from numba import types

from simdeploy.engines.compiled.access import (
    classes,
    counted,
    drawn,
    fates,
    is_surged,
    met,
    needed_of,
    peak_words,
    policy_of,
    policy_of_node,
    pool_members,
    windows_from,
)
from simdeploy.engines.compiled.binomial import surely_healthy_word, words_of_rate
from simdeploy.engines.compiled.clock import (
    ENDS_WINDOW,
    FAILS_TRY,
    GETS_VERDICT,
    HAS_STARTED,
    MISSES_DEADLINE,
    enqueue,
    enqueue_window,
)
from simdeploy.engines.compiled.drawing import own_level
from simdeploy.engines.compiled.exposure import added_level, after_ns
from simdeploy.engines.compiled.gates import happens_before_gate, is_observed, judges_waves
from simdeploy.engines.compiled.health import find_healthy_run
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.line import set_heard
from simdeploy.engines.compiled.load import allowed_of, bounds_of_factor, count_requests, requests_met
from simdeploy.engines.compiled.node import go_back, hear_of
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.philox import draw_window
from simdeploy.engines.compiled.pools import begin_windows, crashes_change, end_window, let_serve, set_missed
from simdeploy.engines.compiled.prober import is_healthy, requests_within
from simdeploy.engines.compiled.tables import (
    BACK_FROM,
    CLASS,
    COUNT,
    DEADLINE,
    EARLIER,
    HAS_FAILED,
    HEALTHY,
    HEARD,
    MET_FRACTION,
    MET_SECONDS,
    N_AT_ONCE,
    NEVER,
    OBSERVED,
    RESOLVED,
    STARTED,
    TRIED,
    UNHEALTHY,
    WINDOW_WORD,
    WINDOWS,
    WINDOWS_FROM,
)
from simdeploy.units import NS_PER_S


@part("validation", types.int64, seconds=0.9, beside="fates")
def validate(run, node):
    """Compute the verdict of a node of a local service that starts, and its time."""
    rule, fate = policy_of_node(run, node), fates(run)
    needed = needed_of(run, node)
    start, deadline = windows_from(run, node), fate[DEADLINE, node]
    if start == NEVER or needed == 0:
        return
    earlier = fate[EARLIER, node] if rule.tries_unhealthy else np.int64(0)
    if rule.consecutive and rule.failure_threshold == 0:
        shown_from = fate[STARTED, node] + after_ns(run, node) if added_level(run, node) > 0 else NEVER
        bounds, walks = _find_bounds(run, rule, node, start, deadline), (False, False, False)
        find_healthy_run(run, rule, needed, node, start, deadline, shown_from, bounds, walks, earlier, True)
        return
    window = healthy = unhealthy = 0
    while start + rule.interval <= deadline:
        end = start + rule.interval
        requests = requests_within(run, node, start, end)
        is_good = is_healthy(run, node, earlier + window, start, end, requests, 0.0)
        window += 1
        start = end
        if is_good:
            healthy += 1
            if not rule.cumulative:
                unhealthy = 0
            if healthy >= needed:
                fate[RESOLVED, node] = end
                fate[WINDOWS, node] = window
                return
        else:
            unhealthy += 1
            if rule.consecutive:
                healthy = 0
            if rule.failure_threshold > 0 and unhealthy >= rule.failure_threshold:
                fate[RESOLVED, node] = end
                fate[WINDOWS, node] = window
                fate[HAS_FAILED, node] = 1
                return
    fate[RESOLVED, node] = deadline
    fate[WINDOWS, node] = window
    fate[HAS_FAILED, node] = 1


@compiled
def _find_bounds(run, rule, node, start, end):
    """Return words up to which windows between two times are surely healthy and beyond which they surely aren't: at the node's own
    level, then with the release's.
    """
    number = drawn(run)[CLASS, node]
    seconds = rule.interval / NS_PER_S * bounds_of_factor(run, number, start, end)[0]
    fewest, rate = math.floor(classes(run)[number].requests_per_second * seconds), rule.rate_top / rule.rate_bottom
    level = own_level(run, node)
    surely, beyond = words_of_rate(fewest, rate, level)
    shown, shown_beyond = words_of_rate(fewest, rate, 1 - (1 - level) * (1 - added_level(run, node)))
    if run.goes_down or run.degrades:
        surely = shown = np.int64(-1)
    return surely, beyond, shown, shown_beyond


@compiled
def end_try(run, node):
    """Add up the windows of a failed try, before the node is tried again."""
    policy, fate = policy_of_node(run, node), fates(run)
    start, windows = windows_from(run, node), fate[WINDOWS, node]
    counted = windows if run.makespan >= run.now else min(windows, max((run.makespan - start) // policy.interval, 0))
    run.earlier_windows += counted
    run.earlier_requests += requests_met(run, node, start, counted)
    fate[EARLIER, node] += windows
    fate[WINDOWS, node] = 0
    fate[WINDOWS_FROM, node] = NEVER


# -- windows that depend on what other nodes do meanwhile ------------------------------------------


@compiled
def happens_at_verdict(run, node):
    """At its own verdict, let a node of a shared service leave for good, or lose its old instance although it hangs."""
    fate = fates(run)
    if run.leaves:
        set_missed(run, node, False)
    elif is_surged(run, node) and fate[STARTED, node] == NEVER and not fate[HAS_FAILED, node]:
        let_serve(run, node, 0)


@part("windows", types.int64, types.int64, seconds=1.2, beside="rollouts")
def happens_while_sharing(run, node, what):
    """Process the start of a node of a shared service, the end of a window, or its deadline."""
    fate = fates(run)
    if fate[BACK_FROM, node] < NEVER or fate[RESOLVED, node] < run.now:
        return
    if what == HAS_STARTED:
        # A node that is tried again because it was unhealthy has been serving all the time.
        if fate[STARTED, node] == run.now:
            crashes_change(run, node)
            set_missed(run, node, True)
            # Without windows or a gate a node runs at once.
            is_beside = is_surged(run, node) and fate[RESOLVED, node] > run.now
            let_serve(run, node, 2 if is_beside else 1)
        pool_members(run)[HEALTHY, node] = pool_members(run)[UNHEALTHY, node] = 0
        begin_windows(run, node)
        if judges_waves(policy_of(run)):
            happens_before_gate(run, node, HAS_STARTED)
            if fate[RESOLVED, node] == NEVER and needed_of(run, node) == 0:
                fate[OBSERVED, node] = run.now
                is_observed(run, node)
    elif fate[RESOLVED, node] < NEVER:
        return
    elif what == ENDS_WINDOW:
        _end_window(run, node)
    else:
        _resolve(run, node, True)
    if fate[RESOLVED, node] == NEVER and what != MISSES_DEADLINE and windows_from(run, node) < NEVER:
        end = run.now + policy_of_node(run, node).interval
        if end <= fate[DEADLINE, node]:
            enqueue_window(run, end, node)
        elif fate[OBSERVED, node] == NEVER:
            enqueue(run, fate[DEADLINE, node], node, MISSES_DEADLINE)


@compiled
def _end_window(run, node):
    """Judge the window that ends now; its node may get its verdict, or be observed long enough."""
    rule, fate, members = policy_of_node(run, node), fates(run), pool_members(run)
    end_window(run, node)
    requests = count_requests(classes(run)[drawn(run)[CLASS, node]].requests_per_second, met(run)[MET_SECONDS, node])
    window = fate[WINDOWS, node]
    fate[WINDOWS, node] += 1
    if run.now <= run.makespan:
        run.met_requests += requests
    if fate[OBSERVED, node] < NEVER:
        return
    if rule.tries_unhealthy:
        window += fate[EARLIER, node]
    if _is_quickly_healthy(run, node, window, requests) or is_healthy(
        run, node, window, run.now - rule.interval, run.now, requests, met(run)[MET_FRACTION, node]
    ):
        members[HEALTHY, node] += 1
        if not rule.cumulative:
            members[UNHEALTHY, node] = 0
        if members[HEALTHY, node] >= needed_of(run, node):
            if judges_waves(rule):
                fate[OBSERVED, node] = run.now
                is_observed(run, node)
            else:
                _resolve(run, node, False)
        return
    members[UNHEALTHY, node] += 1
    if rule.consecutive:
        members[HEALTHY, node] = 0
    if rule.failure_threshold > 0 and members[UNHEALTHY, node] >= rule.failure_threshold:
        _resolve(run, node, True)


@compiled
def _is_quickly_healthy(run, node, window, requests):
    """Tell whether a window of an undisturbed node is surely healthy, in a fleet of one class with one level of errors.

    The word up to which windows with this many requests are healthy is cached, in a table that otherwise only gates need.
    """
    policy, node_class = policy_of(run), classes(run)[0]
    if (
        run.n_classes > 1
        or run.goes_down
        or run.degrades
        or run.changed_at > 0
        or policy.gate >= 0
        or node_class.baseline != node_class.baseline
        or met(run)[MET_FRACTION, node] > 0
        or added_level(run, node) > 0
    ):
        return False
    keys, words = counted(run)[COUNT], counted(run)[WINDOW_WORD]
    place = requests & (N_AT_ONCE - 1)
    if keys[place] != requests:
        keys[place] = requests
        words[place] = surely_healthy_word(allowed_of(policy, requests), requests, node_class.baseline)
    # The highest of all its words nearly always decides.
    if policy.peak >= 0 and window < policy.needed and peak_words(run)[policy.peak, node] <= words[place]:
        return True
    return draw_window(run, node, window) <= words[place]


@compiled
def _resolve(run, node, fails):
    """Give a node its own verdict, now, unless it failed and is tried again."""
    fate = fates(run)
    rule = policy_of_node(run, node)
    if fails and rule.tries_unhealthy and fate[TRIED, node] < rule.retries:
        end_try(run, node)
        fate[DEADLINE, node] = NEVER
        enqueue(run, run.now, node, FAILS_TRY)
        return
    fate[RESOLVED, node] = run.now
    fate[HAS_FAILED, node] = fails
    if not fails and is_surged(run, node):
        let_serve(run, node, 1)
    if run.goes_offline:
        set_heard(run, node)
    if run.goes_offline and fate[HEARD, node] > run.now:
        enqueue(run, fate[HEARD, node], node, GETS_VERDICT)
    else:
        hear_of(run, node)
    if fails and run.goes_back_by_itself:
        run.any_went_by_itself = True
        go_back(run, node)
