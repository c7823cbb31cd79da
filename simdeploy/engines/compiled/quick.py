"""Nodes whose fate is plain at a glance: one start, healthy windows only, and nothing that disturbs them."""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled.access import (
    bracket_of,
    bracket_words,
    classes,
    drawn,
    fates,
    last_word_of,
    law_at,
    lists,
    peak_words,
    policy_of,
    today,
)
from simdeploy.engines.compiled.binomial import ALWAYS, words_of_rate
from simdeploy.engines.compiled.exposure import is_disturbed
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.laws import CONSTANT
from simdeploy.engines.compiled.line import begin_line, is_online, line_holds, look_at_lines, set_heard
from simdeploy.engines.compiled.load import lowest_factor
from simdeploy.engines.compiled.outlook import look_ahead, stays_undegraded, stays_up
from simdeploy.engines.compiled.records import BRACKET_BITS, UNKNOWN
from simdeploy.engines.compiled.tables import (
    AFFECTED,
    CLASS,
    DEADLINE,
    DISPATCHED,
    DURATION,
    FAILS,
    HANGS,
    HEARD,
    LEVEL_WORD,
    NEVER,
    ORDER,
    RESOLVED,
    STARTED,
    TOUCHED,
    WAVE,
    WINDOWS,
)
from simdeploy.units import NS_PER_S


@compiled
def latest_start(rule):
    """Return how long after its dispatch a node may start and still be in time with healthy windows only; -1 for never."""
    if not rule.is_checked:
        return np.int64(NEVER)
    span = rule.needed * rule.interval
    if rule.from_dispatch:
        return rule.deadline - span
    return np.int64(NEVER) if span <= rule.deadline else np.int64(-1)


@compiled
def set_quick_words(run):
    """Note, by class, the last word up to which all windows are surely healthy: of a plain node, and of an affected one."""
    rule = policy_of(run)
    span = rule.needed * rule.interval
    constant_after = np.int64(-1)
    if run.error_rate > 0 and run.after_law >= 0 and law_at(run, run.after_law).kind == CONSTANT:
        constant_after = law_at(run, run.after_law).constant_ns
    for number in range(run.n_classes):
        chances = today(run)[number]
        level = 0 if run.error_rate == 0 or constant_after >= span else 1 + run.kind
        is_known = run.error_rate == 0 or constant_after == 0 or constant_after >= span
        chances.quick_word = last_word_of(run, rule, number, 0)
        chances.quick_word_affected = last_word_of(run, rule, number, level) if is_known else np.int64(-1)
        chances.bracket = chances.bracket_affected = -1
        if rule.needed == 0:
            chances.quick_word = chances.quick_word_affected = ALWAYS
        elif rule.peak < 0:
            chances.quick_word = chances.quick_word_affected = -1
        elif chances.quick_word == UNKNOWN:
            chances.bracket = bracket_of(run, rule, number, 0)
            chances.bracket_affected = bracket_of(run, rule, number, level) if is_known else -1
            chances.quick_word = chances.quick_word_affected = -1


@compiled
def _set_quick_words_by_traffic(run, until):
    """Do so for windows from now up to a time, of classes with traffic, where nodes meet different numbers of requests.

    By Chernoff's bound at least a fraction r of n requests fail with a probability of at most exp(-n D), where each fails with
    probability p < r, and D is the divergence of r from p. So the fewest requests of a window tell, and the highest p.
    """
    rule = policy_of(run)
    rate = rule.rate_top / rule.rate_bottom
    for number in range(run.n_classes):
        one, chances = classes(run)[number], today(run)[number]
        if one.first_piece < one.last_piece and rule.needed > 0 and rule.peak >= 0:
            seconds = rule.interval / NS_PER_S * lowest_factor(run, number, run.now, until)
            fewest, own = math.floor(one.requests_per_second * seconds), one.baseline
            chances.quick_word = words_of_rate(fewest, rate, own)[0]
            hurt = 1 - (1 - own) * (1 - run.error_rate)
            chances.quick_word_affected = words_of_rate(fewest, rate, hurt)[0]
            chances.bracket = chances.bracket_affected = -1


@compiled
def quick_word_of(run, node):
    """Return the last word up to which all windows of a node are surely healthy; `set_quick_words` has been asked."""
    chances = today(run)[drawn(run)[CLASS, node]]
    affected = drawn(run)[AFFECTED, node] != 0
    bracket = chances.bracket_affected if affected else chances.bracket
    if bracket >= 0:
        return bracket_words(run)[bracket, drawn(run)[LEVEL_WORD, node] >> (52 - BRACKET_BITS)]
    return chances.quick_word_affected if affected else chances.quick_word


@compiled
def dispatch_quickly(run, first, count, slow):
    """Dispatch those of the next nodes whose fate is plain; list the others, and return how many they are."""
    rule, fate, draws, touched = policy_of(run), fates(run), drawn(run), lists(run)[TOUCHED]
    now, wave = run.now, run.waves_open
    span, latest = rule.needed * rule.interval, latest_start(rule)
    peak = peak_words(run)[rule.peak] if rule.peak >= 0 else draws[FAILS]
    may_be_disturbed = run.goes_down or run.degrades
    n_slow = 0
    longest = np.int64(0)
    for place in range(first, first + count):
        longest = max(longest, draws[DURATION, draws[ORDER, place]])
    if run.varies:
        _set_quick_words_by_traffic(run, now + min(longest, max(latest, 0)) + span)
    if may_be_disturbed:
        look_ahead(run, now + min(longest, max(latest, 0)) + span + 1)
    if run.goes_offline:
        look_at_lines(run, min(longest, max(latest, 0)) + span + 1)
    for place in range(first, first + count):
        node = draws[ORDER, place]
        last = quick_word_of(run, node)
        duration = draws[DURATION, node]
        end = now + duration + span
        is_quick = draws[FAILS, node] + draws[HANGS, node] == 0 and peak[node] <= last and duration <= latest
        if is_quick and may_be_disturbed:
            # Up at its turn, too, if it takes no time at all.
            is_quick = (
                stays_up(run, node, max(end, now + 1)) and stays_undegraded(run, node) and not is_disturbed(run, node)
            )
        holds = True
        if run.goes_offline:
            begin_line(run, node)
            # Online at its turn, too, if it takes no time at all.
            holds = line_holds(run, node)
        if is_quick and (holds or is_online(run, node, now)):
            fate[DISPATCHED, node] = now
            fate[STARTED, node] = now + duration
            fate[RESOLVED, node] = end
            fate[WINDOWS, node] = rule.needed
            fate[WAVE, node] = wave
            if run.goes_offline:
                fate[HEARD, node] = end
                if not holds:
                    if rule.is_checked:
                        fate[DEADLINE, node] = (now if rule.from_dispatch else now + duration) + rule.deadline
                    else:
                        fate[DEADLINE, node] = NEVER
                    set_heard(run, node)
            touched[run.n_touched] = node
            run.n_touched += 1
        else:
            fate[WAVE, node] = wave
            slow[n_slow] = node
            n_slow += 1
    return n_slow
