"""The records that tables hold, field by field, for compiled code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from simdeploy.engines.compiled.tables import BOOL, INT, REAL, WORD

CLASS_RECORD = np.dtype(
    [
        ("size", INT),
        ("update", INT),  # places of laws
        ("rollback", INT),
        ("slowdown", INT),
        ("start_failure", INT),
        ("error_rate", INT),
        ("baseline", REAL),  # NaN if it is drawn per node
        ("rollback_failure", REAL),
        ("start_attempts", INT),
        ("start_hang", REAL),
        ("degraded_level", REAL),
        ("requests_per_second", REAL),
        ("crash", INT),  # places of processes; -1 for none
        ("renewed", BOOL),
        ("flapping", INT),
        ("zone_outage", INT),
        ("true_rollback_failure", REAL),  # without a tilt
        # Its pieces of traffic over the day, none without traffic; and the integral over a day, seconds.
        ("first_piece", INT),
        ("last_piece", INT),
        ("day_s", REAL),
        ("connection", INT),  # place of a process; -1 for none
    ]
)
KIND_RECORD = np.dtype(
    [
        ("first_word_beyond", INT),
        ("defective", BOOL),
        ("error_rate", REAL),
        ("start_failure", REAL),
        ("start_hang", REAL),
        ("after", INT),
        ("crash_rate", REAL),
        ("affects", INT),
        ("share", REAL),
        ("log_spared", REAL),  # log weights of a node that it doesn't affect, and of one that it does
        ("log_affected", REAL),
        ("count", INT),
        ("first_node", INT),  # places in affects_nodes
        ("last_node", INT),
        ("log_weight", REAL),
    ]
)
LAW_RECORD = np.dtype(
    [
        ("kind", INT),
        # Parameters in the order in which the law's class has them.
        ("a", REAL),
        ("b", REAL),
        ("c", REAL),
        ("mean", REAL),
        ("constant_ns", INT),
        # Values, limited means and expected excesses of an empirical law, one after the other; or the grid of Newton's
        # method: points, limited means, expected excesses.
        ("floats_at", INT),
        ("size", INT),
    ]
)
# The bad law is -1 where the spell of time 0 is bad and never ends.
PROCESS_RECORD = np.dtype([("kind", INT), ("good", INT), ("bad", INT), ("p_bad", REAL)])
POLICY_RECORD = np.dtype(
    [
        ("auto_promote", BOOL),
        ("no_auto_rollback", BOOL),
        # How nodes are judged.
        ("rule", INT),  # row of class_rules and last_words
        ("interval", INT),
        ("is_checked", BOOL),
        ("deadline", INT),
        ("from_dispatch", BOOL),
        ("needed", INT),
        ("consecutive", BOOL),
        ("failure_threshold", INT),  # 0 for none
        ("retries", INT),
        ("retry_delay", INT),
        ("tries_unhealthy", BOOL),  # whether unhealthy nodes are tried again, too
        ("cumulative", BOOL),  # whether the windows of `failure_threshold` need not be consecutive
        ("peak", INT),  # which of the peaks of window words covers the windows needed; -1 for none
        # The highest error rate, as a fraction for any number of requests; and whether a window without any is healthy.
        ("rate_top", INT),
        ("rate_bottom", INT),
        ("idle_is_healthy", BOOL),
        # The plan.
        ("first_size", INT),  # place in sizes
        ("n_waves", INT),
        ("canaries", INT),
        ("parallel", INT),
        ("pacing", INT),
        ("is_list", BOOL),
        # Whether the holders of slots are recorded, because they may give them up at another time than at their verdict.
        ("marks_slots", BOOL),
        ("has_steps", BOOL),  # whether nodes within a wave have their turn one by one, as they find slots
        ("per_zone", INT),  # slots
        ("slot_delay", INT),
        ("surge", INT),
        ("canary_surge", INT),  # the same at the dispatch of a canary
        # The limits.
        ("has_limits", BOOL),
        ("stopping_count", INT),  # failed nodes that cross max_failed_nodes
        ("top", INT),  # failed * bottom > (or >=) top * of crosses the percent
        ("bottom", INT),
        ("reaches", BOOL),
        ("own_reaches", BOOL),  # the same for limits of waves and zones, whose fractions are not rounded
        ("both", BOOL),
        ("counts_tries", BOOL),
        ("percent_of", INT),
        ("minimum_sample", INT),
        ("in_a_row", BOOL),  # whether the count bounds failures in a row
        ("has_wave_limits", BOOL),
        ("watches_by_wave", BOOL),  # whether the watching of some waves differs from the policy's health check
        ("has_promotions", BOOL),  # whether waves of a list await them, not only canaries
        # Failed nodes of a zone that cross its limit, and as a fraction of its nodes.
        ("watches_zones", BOOL),
        ("zone_count", INT),
        ("zone_top", INT),
        ("zone_bottom", INT),
        # Deadlines of the rollout, NEVER for none; and whether verdicts can't be counted before their time.
        ("progress_deadline", INT),
        ("rollout_deadline", INT),
        ("counts_each", BOOL),
        # The rollback.
        ("rollback_size", INT),
        ("rollback_delay", INT),
        # Whether it has features beyond those of plain rollouts: waves with their own terms, recorded holders of slots, surge, retries,
        # nodes that freeze a rollout, verdicts that count one by one, or a delay between waves of a rollback.
        ("has_more", BOOL),
        # The gate: its method (-1 for the API's threshold), and its numbers as in `simdeploy.rules.gates.gate.Gate`; the highest
        # error rate is top / bottom.
        ("gate", INT),
        ("gate_compares", BOOL),
        # Whether unhealthy looks of all waves are counted together, in the first wave's column.
        ("gate_of_rollout", BOOL),
        ("gate_minimum", INT),
        ("gate_needed", INT),
        ("gate_top", INT),
        ("gate_bottom", INT),
        ("gate_most", INT),
        ("gate_if_failed", REAL),
        ("gate_if_served", REAL),
        ("gate_upper", REAL),
        ("gate_lower", REAL),
        ("gate_null", REAL),
        ("gate_a", REAL),
        ("gate_b", REAL),
        ("gate_prior", REAL),
        ("gate_confidence", REAL),
        ("gate_tolerance", REAL),
        ("gate_z", REAL),
        ("begins_in_week", INT),  # start of its rollout, since Monday 00:00
    ],
    align=True,
)
# Of a wave: its own limits, as in the record of a policy; the healthy time of its nodes (-1 for the policy's), whether the gate
# judges it, and whether it awaits a promotion.
WAVE_TERMS_RECORD = np.dtype(
    [
        ("count", INT),
        ("top", INT),
        ("bottom", INT),
        ("healthy", INT),
        ("by_gate", BOOL),
        ("promotion", BOOL),
    ],
    align=True,
)
# Of a policy: which of its bundle's stops it has (-1 for no bundle); the policy that differs only in stricter limits (-1 for none), and
# whether its own limits were not crossed in the current replication. By place: the policy whose turn it is.
MEMBER_RECORD = np.dtype([("stop", INT), ("stricter", INT), ("crossed_none", BOOL), ("turn", INT)], align=True)
# Of a rule of judging nodes: a policy with it, its bundles, the number of its group (rules that are equal except for the highest error
# rate), and the size of that group, whose rules are neighbours, the strictest first.
RULE_RECORD = np.dtype([("policy", INT), ("first_bundle", INT), ("last_bundle", INT), ("group", INT), ("n_alike", INT)])
# Of a bundle: a policy in it, the number of its kind (bundles that are equal except for the rule), its stops, whether these are policies
# (otherwise numbers of failed nodes), and the smallest minimum sample of its limits. In the current replication: the number of nodes
# dispatched until all its policies had ended, and a key of their fates. By kind, over its bundles: the waves in which they ended, one
# bit each (modulo 64), and the most nodes dispatched.
BUNDLE_RECORD = np.dtype(
    [
        ("policy", INT),
        ("kind", INT),
        ("first", INT),
        ("last", INT),
        ("by_limits", BOOL),
        ("minimum_sample", INT),
        ("touched", INT),
        ("key0", INT),
        ("key1", INT),
        ("last_waves", INT),
        ("most_touched", INT),
    ],
    align=True,
)
# Of a rule and a class: requests of a window, and failures allowed. The last healthy words follow, by level: the node's own, then with
# each kind of release fully shown; UNKNOWN if the own level is drawn per node.
CLASS_RULE_RECORD = np.dtype([("requests", INT), ("allowed", INT)])
UNKNOWN = -2
# The upper bits of a node's word give an interval for its own level. The last interval, up to the highest level, is divided again by as
# many bits.
BRACKET_BITS = 6
N_BRACKETS = 2 << BRACKET_BITS
# Numbers of polynomial pieces for the quantile of own levels, and of their coefficients.
N_PIECES, N_COEFFICIENTS = 134, 6
N_WINDOW_WORDS = 16
# The most nodes with steps (see `steps`), and the most windows of each: whole batches.
N_STEPPING, MOST_STEP_WINDOWS = 4096, 64
# Probabilities of the current replication, by class: for nodes that the release doesn't affect, and for those that it does.
TODAY_RECORD = np.dtype(
    [
        ("slowdown", REAL),
        ("start_failure", REAL),
        ("start_failure_affected", REAL),
        ("start_hang", REAL),
        ("start_hang_affected", REAL),
        # Up to this word all windows of a node that starts at once are healthy: for plain nodes, and for affected ones.
        ("quick_word", INT),
        ("quick_word_affected", INT),
        # If this depends on the node's own level: rows of bracket_words, otherwise -1.
        ("bracket", INT),
        ("bracket_affected", INT),
        # By kind of process: words below which the spell at time 0, or at a node's turn, is bad, and beyond which it lasts long enough.
        ("begins_bad", INT, 4),
        ("quiet_beyond", INT, 4),
        # Log weights of outcomes, for plain nodes and for affected ones.
        ("log_fails", REAL, 2),
        ("log_starts", REAL, 2),
        ("log_hangs", REAL, 2),
        ("log_answers", REAL, 2),
    ]
)
# The state of a walk along a process: the spell that was reached, and the disturbances to come.
WALK_RECORD = np.dtype(
    [
        ("process", INT),
        ("subject", INT),
        ("start", INT),
        ("end", INT),
        ("is_bad", BOOL),
        ("bad_index", INT),
        ("good_index", INT),
        ("is_first", BOOL),  # the spell of time 0, whose law is the residual
        ("rate", REAL),
        ("next_rate", REAL),
        ("renews", BOOL),
        ("starts_at", INT),
        ("back_at", INT),
        # The words of a good spell and of the bad one of the same number, and that number; and the uniform of a good spell.
        ("words", WORD, 2),
        ("words_of", INT),
        ("uniform", REAL),
        # Of a good spell: the cumulative hazard of its law when its rate was last set, and how much is left from there to its end;
        # NaN if that is not computed yet.
        ("hazard", REAL),
        ("hazard_left", REAL),
    ]
)


# A continuation of a world: the ends of its acts and looks; when the nodes are looked at, and the place of that look; when which policy
# replaces the first one; an earlier continuation that is the same up to a time, -1 for none; and when the rollout ended.
CONTINUATION_RECORD = np.dtype(
    [
        ("first_act", INT),
        ("last_act", INT),
        ("first_look", INT),
        ("last_look", INT),
        ("nodes_look_at", INT),
        ("first_node_look", INT),
        ("change_at", INT),
        ("next_policy", INT),
        ("stem", INT),
        ("parts_at", INT),
        ("ended", INT),
    ]
)


def make_table(record: np.dtype[Any], rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Make a table of records, each of which is given by name, field by field."""
    names = record.names or ()
    expected = set(names)
    for row in rows:
        if row.keys() != expected:
            raise AssertionError(sorted(row.keys() ^ expected))
    return np.array([*map(itemgetter(*names), rows)], dtype=record)
