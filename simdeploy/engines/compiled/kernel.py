"""The one function that is compiled and cached: replications of many policies."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.barrier import find_fates, follow_bundle, prepare_barrier
from simdeploy.engines.compiled.control import run_rollout
from simdeploy.engines.compiled.integrals import measure
from simdeploy.engines.compiled.jit import compiled, entry
from simdeploy.engines.compiled.run import bundle_at, group_at, places_of, rule_at, rule_policies, rule_slots, stops_of
from simdeploy.engines.compiled.sampling import prepare, sample

# Why a call ends: all replications are done; there is no room for more outcomes; a rollout had more spells than there was
# room for.
DONE, ROWS_FULL, SPELLS_FULL = range(3)

_NOT_YET, _ONE_BY_ONE = -1, -2


@entry
def run_replications(records, version, first, whole, real, index, progress):
    """Run replications of all policies.

    Parameters
    ----------
    records : ndarray of RUN, shape (1,)
    version : int
        Of the code: not used, but part of what compiled code is cached by.
    first : int
        Replication.
    whole, real : ndarray, shape (rows, responses)
        Outcomes; equal ones of one replication may be kept once.
    index : ndarray of int32, shape (policies, replications)
        The row of each policy's outcome.
    progress : ndarray of int64, shape (2,)
        Replications that are done, and rows that are used; read and written.

    Returns
    -------
    int
        Why it ends.
    """
    run = records[0]
    prepare(run)
    while progress[0] < index.shape[1]:
        place = progress[0]
        # A replication has at most one outcome per policy.
        if progress[1] + index.shape[0] > whole.shape[0]:
            return ROWS_FULL
        run.n_outcomes = progress[1]
        run.replication = np.uint64(first + place)
        sample(run)
        if run.n_rules:
            _follow_bundles(run, whole, real)
        for number in range(index.shape[0]):
            row = _place_of(run, number)
            if row < 0:
                run.policy = number
                run_rollout(run)
                row = run.n_outcomes
                if not measure(run, whole[row], real[row]):
                    return SPELLS_FULL
                run.n_outcomes += 1
            index[number, place] = row
        progress[0] += 1
        progress[1] = run.n_outcomes
    return DONE


@compiled
def _place_of(run, number):
    """Return the row of a policy's outcome if its bundle was followed."""
    bundle = bundle_at(run, number)
    if bundle.rule < 0:
        return -1
    return places_of(run)[rule_at(run, bundle.rule).same_as, group_at(run, bundle.group).first + bundle.stop]


@compiled
def _follow_bundles(run, whole, real):
    """Find the outcomes of all policies that are followed in bundles."""
    prepare_barrier(run)
    slots = rule_slots(run)
    mask = len(slots) - 1
    for slot in range(len(slots)):
        slots[slot] = -1
    places = places_of(run)
    for number in range(run.n_rules):
        rule = rule_at(run, number)
        run.policy = rule.policy
        rule.key0, rule.key1 = find_fates(run)
        # Rules under which all fates are equal are told by their keys.
        slot = np.int64(rule.key0 & np.uint64(mask))
        while slots[slot] >= 0:
            other = rule_at(run, slots[slot])
            if other.key0 == rule.key0 and other.key1 == rule.key1:
                break
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            slots[slot] = number
            for place in range(places.shape[1]):
                places[number, place] = _NOT_YET
        rule.same_as = slots[slot]
        for bundle in range(rule.first_bundle, rule.last_bundle):
            run.policy = rule_policies(run)[bundle, 0]
            group = group_at(run, rule_policies(run)[bundle, 1])
            found = places[rule.same_as, group.first : group.last]
            if found[0] == _NOT_YET and not follow_bundle(run, stops_of(run)[group.first : group.last], found, whole, real):
                for place in range(len(found)):
                    found[place] = _ONE_BY_ONE

