"""Nodes that share their requests (model section 3), for compiled code: the serving nodes, instant by instant."""

from __future__ import annotations

from numba import types

from simdeploy.engines.compiled import spells
from simdeploy.engines.compiled.access import (
    classes,
    counted,
    drawn,
    fates,
    flips,
    lists,
    met,
    policy_of,
    pool_counts,
    pool_looks,
    pool_members,
    pool_sums,
    pool_times,
    walk_of_member,
)
from simdeploy.engines.compiled.clock import pop, push
from simdeploy.engines.compiled.exposure import crash_rate, is_disturbed
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.lanes import fill
from simdeploy.engines.compiled.load import change_pool, pool_of, sums_now, weight_of
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.tables import (
    BACK_FROM,
    CLASS,
    COUNT,
    INSTANCES,
    IS_MISSED,
    LOOK_FRACTION,
    LOOK_MET,
    LOOK_SECONDS,
    LOOK_SHED,
    MET,
    MET_FRACTION,
    MET_SECONDS,
    MET_SHED,
    N_LOOK,
    N_MEMBER,
    NEVER,
    OLD_FRACTION,
    OLD_MET,
    OLD_SECONDS,
    OLD_SHED,
    PARTNER,
    POOL_MET,
    POOL_SERVED,
    POOL_SHED,
    UP,
    VERSION,
)

_RESETS, _SERVES, _IS_MISSED, _CRASHES, _FOLLOWS, _IS_LOOKED_AT = range(6)


@compiled
def reset_pools(run):
    """Reset all pools to the start of a rollout."""
    _share(run, _RESETS, 0, 0)


@compiled
def let_serve(run, node, instances):
    """Set the number of instances of a node that serve from now on unless it is down."""
    _share(run, _SERVES, node, instances)


@compiled
def set_missed(run, node, is_missed):
    """Record whether a node is missed from now on."""
    if pool_members(run)[IS_MISSED, node] != is_missed:
        _share(run, _IS_MISSED, node, is_missed)


@compiled
def crashes_change(run, node):
    """Record that a node's crash rate changes now, because it has started or rolls back."""
    if run.goes_down:
        _share(run, _CRASHES, node, 0)


@compiled
def look_at_pools(run):
    """Store the requests of every pool since the last look at running nodes."""
    _share(run, _IS_LOOKED_AT, 0, 0)


@part("pools", types.int64, types.int64, types.int64, seconds=0.8, beside="windows")
def _share(run, what, node, number):
    if what == _RESETS:
        _reset_pools(run)
    elif what == _SERVES:
        _let_serve(run, node, number)
    elif what == _IS_MISSED:
        _set_missed(run, node, number != 0)
    elif what == _CRASHES:
        _crashes_change(run, node)
    elif what == _FOLLOWS:
        _follow(run, run.now)
    else:
        _look_at_pools(run)


@compiled
def _reset_pools(run):
    members, counts = pool_members(run), pool_counts(run)
    run.n_flips = run.met_requests = 0
    fill(counted(run)[COUNT], -1)  # the table of words in `validation` is empty
    if policy_of(run).gate_compares:
        fill(lists(run)[PARTNER], -1)  # for nodes of waves without a gate
    for pool in range(run.n_pools):
        pool_times(run)[pool] = 0
        pool_sums(run)[pool, POOL_MET] = pool_sums(run)[pool, POOL_SHED] = 0.0
        for row in range(N_LOOK):
            pool_looks(run)[pool, row] = 0.0
        for number in range(run.n_classes):
            counts[pool, 0, number] = counts[pool, 1, number] = 0
    for row in range(N_MEMBER):
        fill(members[row], 0)
    fill(members[UP], 1)
    for node in range(run.nodes):
        if run.goes_down:
            _begin_walks(run, node)
            is_down, following = _look_at(run, node, 0)
            members[UP, node] = not is_down
            if following < NEVER:
                _expect_flip(run, node, following)
        if not run.begins:
            pool, number = pool_of(run, node), drawn(run)[CLASS, node]
            members[INSTANCES, node] = members[IS_MISSED, node] = 1
            counts[pool, 0, number] += 1
            counts[pool, 1, number] += members[UP, node]
    for pool in range(run.n_pools):
        pool_sums(run)[pool, POOL_SERVED] = weight_of(run, counts[pool, 1])


@compiled
def _begin_walks(run, node):
    node_class = classes(run)[drawn(run)[CLASS, node]]
    if node_class.crash >= 0:
        spells.begin(run, _crashes_of(run, node), node_class.crash, node)
    if node_class.zone_outage >= 0:
        spells.begin(run, _outages_of(run, node), node_class.zone_outage, node % run.zones)


@compiled
def _crashes_of(run, node):
    return walk_of_member(run, 2 * node)


@compiled
def _outages_of(run, node):
    """Return the walk along the outages of a node's zone; each node has its own, because nodes are examined at different times."""
    return walk_of_member(run, 2 * node + 1)


@compiled
def _look_at(run, node, t):
    """Tell whether a node is down at t, not before the last look, and until when this remains so unless something changes it."""
    node_class = classes(run)[drawn(run)[CLASS, node]]
    is_down, following = False, NEVER
    if node_class.crash >= 0:
        walk = _crashes_of(run, node)
        spells.reach(run, walk, t)
        is_down, following = walk.is_bad, walk.end
    if node_class.zone_outage >= 0:
        walk = _outages_of(run, node)
        spells.reach(run, walk, t)
        is_down, following = is_down or walk.is_bad, min(following, walk.end)
    return is_down, following


@compiled
def _expect_flip(run, node, at):
    push(flips(run), run.n_flips, at, pool_members(run)[VERSION, node] * run.nodes + node)
    run.n_flips += 1


@compiled
def _follow(run, t):
    """Apply crashes and repairs of nodes up to a time."""
    members = pool_members(run)
    while run.n_flips and flips(run)[0, 0] <= t:
        at = flips(run)[0, 0]
        code = pop(flips(run), run.n_flips)
        run.n_flips -= 1
        node = code % run.nodes
        if code // run.nodes != members[VERSION, node]:
            continue
        is_down, following = _look_at(run, node, at)
        if following < NEVER:
            _expect_flip(run, node, following)
        if is_down == members[UP, node]:
            members[UP, node] = not is_down
            if members[INSTANCES, node] and members[IS_MISSED, node]:
                change_pool(run, node, at, 0, -members[INSTANCES, node] if is_down else members[INSTANCES, node])


@compiled
def _let_serve(run, node, instances):
    _follow(run, run.now)
    members = pool_members(run)
    change = instances - members[INSTANCES, node]
    if change:
        members[INSTANCES, node] = instances
        if members[IS_MISSED, node] and members[UP, node]:
            change_pool(run, node, run.now, 0, change)


@compiled
def _set_missed(run, node, is_missed):
    _follow(run, run.now)
    members = pool_members(run)
    members[IS_MISSED, node] = is_missed
    change = 1 if is_missed else -1
    change_pool(run, node, run.now, change, change * members[INSTANCES, node] if members[UP, node] else 0)


@compiled
def _crashes_change(run, node):
    _follow(run, run.now)
    if is_disturbed(run, node):
        walk = _crashes_of(run, node)
        if fates(run)[BACK_FROM, node] < NEVER:
            walk.back_at = run.now
        else:
            spells.disturb(walk, run.now, NEVER, crash_rate(run, node), classes(run)[drawn(run)[CLASS, node]].renewed)
    pool_members(run)[VERSION, node] += 1
    _expect_flip(run, node, run.now)  # it may crash at once
    _follow(run, run.now)


# -- windows ---------------------------------------------------------------------------------------


@compiled
def begin_windows(run, node):
    """Store the sums of a node's pool at the begin of its windows."""
    if run.n_flips:
        _share(run, _FOLLOWS, 0, 0)
    met(run)[MET, node], met(run)[MET_SHED, node] = sums_now(run, pool_of(run, node), run.now)
    if policy_of(run).gate_compares and lists(run)[PARTNER, node] >= 0:
        pool = pool_of(run, lists(run)[PARTNER, node])
        met(run)[OLD_MET, node], met(run)[OLD_SHED, node] = sums_now(run, pool, run.now)


@compiled
def end_window(run, node):
    """Store the requests of a node in the window that ends now, and of the node that it is compared with."""
    if run.n_flips:
        _share(run, _FOLLOWS, 0, 0)
    table = met(run)
    here, shed = sums_now(run, pool_of(run, node), run.now)
    seconds = here - table[MET, node]
    table[MET_SECONDS, node] = seconds
    table[MET_FRACTION, node] = (shed - table[MET_SHED, node]) / seconds if seconds > 0 else 0.0
    table[MET, node], table[MET_SHED, node] = here, shed
    if policy_of(run).gate_compares and lists(run)[PARTNER, node] >= 0:
        here, shed = sums_now(run, pool_of(run, lists(run)[PARTNER, node]), run.now)
        seconds = here - table[OLD_MET, node]
        table[OLD_SECONDS, node] = seconds
        table[OLD_FRACTION, node] = (shed - table[OLD_SHED, node]) / seconds if seconds > 0 else 0.0
        table[OLD_MET, node], table[OLD_SHED, node] = here, shed


@compiled
def _look_at_pools(run):
    _follow(run, run.now)
    for pool in range(run.n_pools):
        look = pool_looks(run)[pool]
        here, shed = sums_now(run, pool, run.now)
        seconds = here - look[LOOK_MET]
        look[LOOK_SECONDS] = seconds
        look[LOOK_FRACTION] = (shed - look[LOOK_SHED]) / seconds if seconds > 0 else 0.0
        look[LOOK_MET], look[LOOK_SHED] = here, shed
