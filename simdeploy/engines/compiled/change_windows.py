"""Change windows (model section 4), for compiled code, as in `simdeploy.world.change_windows`."""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled.access import openings, policy_of
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.parts import part
from simdeploy.world.change_windows import WEEK_NS

_WEEK = WEEK_NS


@compiled
def is_open(run):
    """Tell whether nodes may be dispatched now."""
    if run.n_openings == 0:
        return True
    at = (run.now + policy_of(run).begins_in_week) % _WEEK
    for number in range(run.n_openings):
        if openings(run)[number, 0] <= at < openings(run)[number, 1]:
            return True
    return False


@compiled
def next_opening(run):
    """Return the first instant from now on at which nodes may be dispatched."""
    since = run.now + policy_of(run).begins_in_week
    at = since % _WEEK
    opens = openings(run)[0, 0] + _WEEK
    for number in range(run.n_openings):
        if at < openings(run)[number, 1]:
            opens = max(openings(run)[number, 0], at)
            break
    return run.now + opens - at


@compiled
def open_time_until(run, t):
    """Return how long windows are open between the Monday before the rollout and t."""
    since = t + policy_of(run).begins_in_week
    per_week, rest = np.int64(0), np.int64(0)
    for number in range(run.n_openings):
        start, end = openings(run)[number, 0], openings(run)[number, 1]
        per_week += end - start
        rest += max(min(since % _WEEK, end) - start, 0)
    return since // _WEEK * per_week + rest


@part("openings", types.int64, types.int64, returns=types.int64, seconds=0.2)
def when_open_for(run, start, length):
    """Return the first instant t at which windows have been open for `length` within [start, t)."""
    if length <= 0:
        return start
    per_week = np.int64(0)
    for number in range(run.n_openings):
        per_week += openings(run)[number, 1] - openings(run)[number, 0]
    # A time used up at the end of a window gives that instant, not the next opening.
    before = open_time_until(run, start) + length - 1
    week, left = before // per_week, before % per_week + 1
    number = 0
    while left > openings(run)[number, 1] - openings(run)[number, 0]:
        left -= openings(run)[number, 1] - openings(run)[number, 0]
        number += 1
    return week * _WEEK + openings(run)[number, 0] + left - policy_of(run).begins_in_week
