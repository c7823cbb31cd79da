"""The compiled entry: replications of many policies.

It has parts (:mod:`.parts`), so that a run compiles only those that it needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import from_dtype, types

from simdeploy.engines.compiled.access import (
    bundle_at,
    bundle_slots,
    member_at,
    places_of,
    roots,
    rule_at,
    size_of_wave,
)
from simdeploy.engines.compiled.barrier import follow_bundle, prepare_barrier
from simdeploy.engines.compiled.barrier_fates import begin_rule, key_before, know_fates
from simdeploy.engines.compiled.brackets import prepare_brackets
from simdeploy.engines.compiled.branching import mark
from simdeploy.engines.compiled.continuations import run_continuations
from simdeploy.engines.compiled.controller import run_rollout
from simdeploy.engines.compiled.drawing import sample_nodes
from simdeploy.engines.compiled.jit import compiled, entry
from simdeploy.engines.compiled.outcomes import OUTCOME, outcome_of
from simdeploy.engines.compiled.parts import RUN_TYPE, add_part, load_parts, part
from simdeploy.engines.compiled.responses import measure
from simdeploy.engines.compiled.sampling import prepare, sample
from simdeploy.engines.compiled.tables import ONE_BY_ONE
from simdeploy.engines.compiled.tracing import trace
from simdeploy.engines.compiled.weighing import weigh

# Why a call ends: all replications are done; no room for more outcomes; no room for the spells of a rollout; a policy could not be
# followed in a bundle, and the parts to run it otherwise are not loaded.
DONE, ROWS_FULL, SPELLS_FULL, BEYOND_BUNDLES = range(4)

_REPLICATIONS, _ROWS = range(2)


# Parts that all runs need; and those for rollouts that are not followed in bundles.
_ALWAYS = ("entry", "draws", "words", "fates")
_ONE_BY_ONE = ("rollouts", "verdicts", "outcomes")


@entry(cache=True)
def _run(records, first, outcomes, index, progress):
    run = records[0]
    run.outcomes_at, run.n_rows = outcomes.ctypes.data, outcomes.shape[0]
    prepare(run)
    if run.n_brackets:
        prepare_brackets(run)
    while progress[_REPLICATIONS] < index.shape[0]:
        # A replication has at most one outcome per policy.
        if progress[_ROWS] + index.shape[1] > outcomes.shape[0]:
            return ROWS_FULL
        if _run_bundles(run, first, index, progress):
            if not run.rollouts_part:
                return BEYOND_BUNDLES
            if not _run_one_by_one(run, index, progress):
                return SPELLS_FULL
        progress[_REPLICATIONS] += 1
        progress[_ROWS] = run.n_outcomes
    return DONE


_SIGNATURE = (
    RUN_TYPE[::1],
    types.int64,
    from_dtype(OUTCOME)[::1],
    types.int32[:, ::1],
    types.int64[::1],
)
add_part("entry", _run, _SIGNATURE, seconds=1.5)


def find_parts(run: Any, *, in_bundles: bool, with_notes: bool) -> set[str]:
    """Return the parts that a run needs, and possibly more.

    Parameters
    ----------
    run : mapping of str to number
        The record of the run, or its fields as far as scenario and policies determine them.
    in_bundles : bool
        Whether all rollouts are followed in bundles, unless that turns out not to be possible.
    with_notes : bool
        Whether notes besides outcomes are needed.
    """
    has_gates, has_worlds, shared = run["has_gates"], run["n_continuations"], run["shared"]
    has_spells = run["goes_down"] or run["degrades"]
    # Of single nodes, with varying requests or several tries; in a shared service windows depend on other nodes.
    has_windows = not shared and (run["varies"] or run["retries"])
    is_seen = has_windows or shared or has_gates  # whether single windows of nodes are examined
    chosen = {
        **dict.fromkeys(_ALWAYS, True),
        "bundles": run["n_rules"],
        **dict.fromkeys(("own_words", "peaks_of_nodes"), run["n_lineages"]),
        "health": not run["varies"],
        "own_levels": run["draws_levels"],
        "after": run["draws_after"],
        "affected": run["affects_some"],
        "assignments": run["n_classes"] > 1,
        "shuffles": run["shuffles"],
        "restarts": run["restarts"] or run["retries"],
        "first_spells": has_spells or run["goes_offline"],
        **dict.fromkeys(("walks", "spells", "outlook"), has_spells),
        "laws": run["has_other_laws"],
        "brackets": run["n_brackets"],
        **dict.fromkeys(("lines", "first_lines"), run["goes_offline"]),
    }
    if not in_bundles:
        chosen |= {
            **dict.fromkeys(_ONE_BY_ONE, True),
            **dict.fromkeys(("gates", "waits", "together", "partners"), has_gates),
            **dict.fromkeys(("looks", "changes"), has_worlds),
            **dict.fromkeys(("pools", "windows", "shares"), shared),
            **dict.fromkeys(("requests", "validation", "met"), has_windows),
            "served": run["varies"],
            **dict.fromkeys(("traffic", "met_at_once"), run["varies"] and not shared),
            "waves": not shared,
            "levels": is_seen,
            "ups": is_seen and run["goes_down"],
            "tries": run["retries"],
            "openings": run["n_openings"],
            "downs": run["goes_down"] or run["goes_offline"],
            "undegraded": run["degrades"] and not shared,
            "interruptions": has_spells,
            "slots": run["slides"],
            "notes": with_notes,
        }
    return {name for name, is_needed in chosen.items() if is_needed}


def run_replications(
    records: np.ndarray, first: int, outcomes: np.ndarray, index: np.ndarray, progress: np.ndarray
) -> int:
    """Run replications of all policies.

    Parameters
    ----------
    records : ndarray of RUN, shape (1,)
    first : int
        Replication.
    outcomes : ndarray of OUTCOME, shape (rows,)
        Equal ones of one replication may share a row.
    index : ndarray of int32, shape (replications, policies)
        The row of each policy's outcome.
    progress : ndarray of int64, shape (2,)
        Replications done, and rows used; read and written.

    Returns
    -------
    int
        Why it ends: DONE, ROWS_FULL or SPELLS_FULL.
    """
    run = records[0]
    in_bundles = run["all_bundled"] and not run["n_continuations"] and not run["rollouts_part"]
    with_notes = run["n_times"] or run["is_tilted"] or run["level"]
    while True:
        load_parts(find_parts(run, in_bundles=in_bundles, with_notes=with_notes), records)
        ends = int(_run(records, first, outcomes, index, progress))
        if ends != BEYOND_BUNDLES:
            return ends
        in_bundles = False


@compiled
def _run_bundles(run, first, index, progress):
    """Begin a replication, and follow all policies that can be followed in bundles; tell whether others are left."""
    place = progress[_REPLICATIONS]
    run.n_outcomes = progress[_ROWS]
    run.replication = np.uint64(first + place)
    if run.n_lineages:
        run.row = place
        run.replication = roots(run)[place]
    sample(run)
    if run.n_rules:
        _follow_bundles(run)
    if run.n_continuations:
        return True
    has_left = False
    of_policies = index[place]
    for number in range(len(of_policies)):
        stop = member_at(run, number).stop
        row = places_of(run)[stop] if stop >= 0 else ONE_BY_ONE
        of_policies[number] = row
        has_left |= row < 0
    return has_left


@compiled
def _run_one_by_one(run, indices, progress):
    """Run the rollouts of policies that were not followed in bundles; False if one has more spells than there is room for."""
    place, n_replications = progress[_REPLICATIONS], indices.shape[0]
    index = indices[place]
    if run.n_continuations:
        return run_continuations(run, index)
    sample_nodes(run, run.nodes)
    run.n_clean = run.n_slow = 0  # lists are used for something else
    for turn in range(len(index)):
        number = member_at(run, turn).turn
        if index[number] >= 0:
            continue
        member = member_at(run, number)
        if member.stricter >= 0 and member_at(run, member.stricter).crossed_none:
            # Limits that were never crossed had no effect, so looser ones have none, either.
            index[number] = index[member.stricter]
            member.crossed_none = True
            continue
        run.policy = number
        run.work_rollouts += 1
        run_rollout(run)
        if run.is_full or not measure(run):
            return False
        if run.n_times or run.is_tilted or run.level:
            run.trace = number * n_replications + place
            if not _note(run):
                return False
        member.crossed_none = not run.has_crossed
        index[number] = run.n_outcomes
        run.n_outcomes += 1
    return True


@part("notes", returns=types.boolean, seconds=3, can_fail=True)
def _note(run):
    """Write requested notes besides the outcome of a rollout; False if it has more spells than there is room for."""
    if run.n_times and not trace(run):
        return False
    if run.is_tilted:
        outcome_of(run).weight = weigh(run)
    if run.level:
        mark(run)
    return True


@part("bundles", seconds=4.5)
def _follow_bundles(run):
    """Find the outcomes of all policies that are followed in bundles."""
    prepare_barrier(run)
    slots = bundle_slots(run)
    for slot in range(len(slots)):
        slots[slot] = -1
    for number in range(run.n_bundles):
        bundle_at(run, number).most_touched = bundle_at(run, number).last_waves = 0
    for number in range(run.n_rules):
        rule = rule_at(run, number)
        run.policy = rule.policy
        begin_rule(run, number)
        for bundle in range(rule.first_bundle, rule.last_bundle):
            run.policy = bundle_at(run, bundle).policy
            if run.n_bundles > 1 and _has_twin(run, bundle):
                continue
            n_outcomes = run.n_outcomes
            if not follow_bundle(run, bundle):
                run.n_outcomes = n_outcomes
                _set_places(run, bundle, ONE_BY_ONE)
            if run.n_bundles > 1:
                _remember(run, bundle)


@compiled
def _set_places(run, number, row):
    bundle = bundle_at(run, number)
    for stop in range(bundle.first, bundle.last):
        places_of(run)[stop] = row


@compiled
def _has_twin(run, number):
    """Tell whether all nodes dispatched under an earlier bundle of the same kind have the same fates here; if so, copy its outcomes."""
    bundle, slots = bundle_at(run, number), bundle_slots(run)
    kind = bundle_at(run, bundle.kind)
    wave, last = 0, np.int64(0)
    while last < kind.most_touched:
        last += size_of_wave(run, wave)
        wave += 1
        if not (kind.last_waves >> ((wave - 1) & 63)) & 1:
            continue
        know_fates(run, last)
        key0, key1 = key_before(run, last)
        slot = _slot_of(bundle.kind, last, key0, len(slots))
        while slots[slot] >= 0:
            other = bundle_at(run, slots[slot])
            if other.kind == bundle.kind and other.touched == last and other.key0 == key0 and other.key1 == key1:
                for stop in range(bundle.last - bundle.first):
                    places_of(run)[bundle.first + stop] = places_of(run)[other.first + stop]
                return True
            slot = (slot + 1) & (len(slots) - 1)
    return False


@compiled
def _remember(run, number):
    """Remember a bundle that was followed, so that later ones can copy its outcomes."""
    bundle, slots = bundle_at(run, number), bundle_slots(run)
    kind = bundle_at(run, bundle.kind)
    bundle.touched = run.touched
    bundle.key0, bundle.key1 = key_before(run, run.touched)
    kind.most_touched = max(kind.most_touched, run.touched)
    kind.last_waves |= np.int64(1) << (run.last_wave & 63)
    slot = _slot_of(bundle.kind, run.touched, bundle.key0, len(slots))
    while slots[slot] >= 0:
        slot = (slot + 1) & (len(slots) - 1)
    slots[slot] = number


@compiled
def _slot_of(kind, touched, key, n_slots):
    return (key ^ (key >> 17) ^ (touched * 31 + kind)) & (n_slots - 1)
