"""The one function that is compiled and cached: replications of many policies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import from_dtype, types

from simdeploy.engines.compiled.access import bundle_at, member_at, places_of, roots, rule_at, rule_slots, stops_of
from simdeploy.engines.compiled.barrier import follow_bundle, prepare_barrier
from simdeploy.engines.compiled.barrier_fates import find_fates
from simdeploy.engines.compiled.brackets import prepare_brackets
from simdeploy.engines.compiled.branching import mark
from simdeploy.engines.compiled.controller import run_rollout
from simdeploy.engines.compiled.jit import announce, compiled, entry, is_cached, source_number
from simdeploy.engines.compiled.outcomes import WEIGHT
from simdeploy.engines.compiled.responses import measure
from simdeploy.engines.compiled.run import RUN
from simdeploy.engines.compiled.sampling import prepare, sample
from simdeploy.engines.compiled.shortcuts import shortcuts
from simdeploy.engines.compiled.tracing import trace
from simdeploy.engines.compiled.weighing import weigh

# Why a call ends: all replications are done; there is no room for more outcomes; a rollout had more spells than there was
# room for.
DONE, ROWS_FULL, SPELLS_FULL = range(3)

_REPLICATIONS, _ROWS, _VERSION = range(3)
_ONE_BY_ONE = -1


def _make_entry(version: int) -> Any:
    # numba keeps compiled code under the variables that a function encloses, among other things: here its version.
    def run_replications(records, first, whole, real, index, progress):
        run = records[0]
        progress[_VERSION] = version
        prepare(run)
        if run.n_brackets:
            prepare_brackets(run)
        while progress[_REPLICATIONS] < index.shape[1]:
            # A replication has at most one outcome per policy.
            if progress[_ROWS] + index.shape[0] > whole.shape[0]:
                return ROWS_FULL
            if not _run_replication(run, first, whole, real, index, progress):
                return SPELLS_FULL
        return DONE

    return entry(cache=True)(run_replications)


_entry = _make_entry(source_number())
_SIGNATURE = (
    from_dtype(RUN)[::1],
    types.int64,
    types.int64[:, ::1],
    types.float64[:, ::1],
    types.int32[:, ::1],
    types.int64[::1],
)


def is_ready() -> bool:
    """Tell whether the engine can run without being compiled first."""
    return bool(_entry.signatures) or is_cached(_entry, _SIGNATURE)


def run_replications(
    records: np.ndarray, first: int, whole: np.ndarray, real: np.ndarray, index: np.ndarray, progress: np.ndarray
) -> int:
    """Run replications of all policies.

    Parameters
    ----------
    records : ndarray of RUN, shape (1,)
    first : int
        Replication.
    whole, real : ndarray, shape (rows, responses)
        Outcomes; equal ones of one replication may be kept once.
    index : ndarray of int32, shape (policies, replications)
        The row of each policy's outcome.
    progress : ndarray of int64, shape (3,)
        Replications that are done, and rows that are used; read and written.

    Returns
    -------
    int
        Why it ends: DONE, ROWS_FULL or SPELLS_FULL.
    """
    if not _entry.signatures:
        if not is_cached(_entry, _SIGNATURE):
            announce()
        with shortcuts():
            _entry.compile(_SIGNATURE)
    ends: int = _entry(records, first, whole, real, index, progress)
    return ends


@compiled
def _run_replication(run, first, whole, real, index, progress):
    """Run one replication of all policies; False if a rollout has more spells than there is room for."""
    place = progress[_REPLICATIONS]
    run.n_outcomes = progress[_ROWS]
    run.replication = np.uint64(first + place)
    if run.n_lineages:
        run.row = place
        run.replication = roots(run)[place]
    sample(run)
    if run.n_rules:
        _follow_bundles(run, whole, real)
    for turn in range(index.shape[0]):
        number = member_at(run, turn).turn
        member = member_at(run, number)
        row = _place_of(run, number)
        if row < 0 and member.stricter >= 0 and member_at(run, member.stricter).crossed_none:
            # Limits that were never crossed changed nothing, so looser ones don't, either.
            row = index[member.stricter, place]
            member.crossed_none = True
        elif row < 0:
            run.policy = number
            run_rollout(run)
            row = run.n_outcomes
            if run.is_full or not measure(run, whole[row], real[row]):
                return False
            if run.n_times:
                run.trace = number * index.shape[1] + place
                if not trace(run):
                    return False
            if run.is_tilted:
                real[row][WEIGHT] = weigh(run)
            if run.level:
                mark(run)
            run.n_outcomes += 1
            member.crossed_none = not run.has_crossed
        index[number, place] = row
    progress[_REPLICATIONS] += 1
    progress[_ROWS] = run.n_outcomes
    return True


@compiled
def _place_of(run, number):
    """Return the row of a policy's outcome if its bundle was followed."""
    member = member_at(run, number)
    if member.bundle < 0:
        return -1
    bundle = bundle_at(run, bundle_at(run, member.bundle).same_as)
    return places_of(run)[bundle.first + member.stop]


@compiled
def _follow_bundles(run, whole, real):
    """Find the outcomes of all policies that are followed in bundles."""
    prepare_barrier(run)
    slots = rule_slots(run)
    mask = len(slots) - 1
    for slot in range(len(slots)):
        slots[slot] = -1
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
        other = rule_at(run, slots[slot])
        for place in range(rule.last_bundle - rule.first_bundle):
            bundle = bundle_at(run, rule.first_bundle + place)
            bundle.same_as = rule.first_bundle + place
            twin = other.first_bundle + place
            if slots[slot] != number and twin < other.last_bundle and bundle_at(run, twin).kind == bundle.kind:
                bundle.same_as = twin
                continue
            run.policy = bundle.policy
            found = places_of(run)[bundle.first : bundle.last]
            if not follow_bundle(run, stops_of(run)[bundle.first : bundle.last], found, whole, real):
                for stop in range(len(found)):
                    found[stop] = _ONE_BY_ONE
