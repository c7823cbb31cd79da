"""The record that compiled code passes around: the settings of the run, the state of a rollout, and the addresses of its tables.

Arrays as arguments are expensive: each is seven or more words that every call copies, and the compiler must follow. So the tables
are made in Python (:mod:`.memory`), which keeps them alive, and the record holds their addresses; :mod:`.views` makes arrays of
them again at no cost.
"""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.tables import TABLES
from simdeploy.rules.orchestrator import EXPANSO

_INT, _REAL, _BOOL, _WORD = np.int64, np.float64, np.bool_, np.uint64

_FLEET = [
    ("nodes", _INT),
    ("zones", _INT),
    ("order", _INT),
    ("n_classes", _INT),
    ("n_kinds", _INT),
    ("n_acts", _INT),
    ("n_peaks", _INT),
    # Exact nodes that the scenario names.
    ("n_affects_nodes", _INT),
    ("n_ordered", _INT),
    ("n_class_nodes", _INT),
    ("deals_classes", _BOOL),  # whether any class has a share
    # Traits of the deployment's type.
    ("releases", _BOOL),
    # Whether nodes differ in their own levels, and in the exposure after which a release shows; whether some release affects only some
    # nodes; whether order, classes or affected nodes need a random order; and whether starts are repeated.
    ("draws_levels", _BOOL),
    ("draws_after", _BOOL),
    ("affects_some", _BOOL),
    ("shuffles", _BOOL),
    ("restarts", _BOOL),
    ("undone", _BOOL),
    ("begins", _BOOL),
    ("leaves", _BOOL),
    ("goes_back_by_itself", _BOOL),  # whether a failed node does, by `node_local_rollback`
    ("goes_down", _BOOL),
    ("degrades", _BOOL),
    # Requests: whether their number varies between windows; whether nodes share them, and in how many pools; whether lost ones are
    # proportional to a time out of service, and to which.
    ("varies", _BOOL),
    ("shared", _BOOL),
    ("capacity", _REAL),
    ("across", _INT),
    ("n_pools", _INT),
    ("n_pool_ends", _INT),
    ("flip_room", _INT),
    ("n_flips", _INT),
    ("met_requests", _INT),  # of windows that ended by the makespan
    ("n_day_points", _INT),
    ("n_pieces", _INT),
    ("is_even", _BOOL),
    ("even_rate", _REAL),
    ("goes_offline", _BOOL),
    # The people.
    ("promote_after_law", _INT),
    ("escape_detection_law", _INT),
    ("undo_after_law", _INT),
    ("notices_defect", _REAL),
    ("rejects_good", _REAL),
    ("n_openings", _INT),  # of change windows in a week; 0 if nodes may be dispatched at any time
]
_SWITCHES = [(key, _BOOL if isinstance(number, bool) else _INT) for key, number in EXPANSO.to_numbers().items()]
_REPLICATION = [
    ("key0", _WORD),
    ("key1", _WORD),
    ("replication", _WORD),
    ("kind", _INT),  # of release; -1 for none
    ("defective", _BOOL),
    ("error_rate", _REAL),
    ("crash_rate", _REAL),
    ("after_law", _INT),
    ("operator_uniform", _REAL),
    ("promote_after", _INT),
    ("escape_detection", _INT),
    ("undo_after", _INT),
    ("quiet_until", _INT),  # until when spells last that have words beyond those of `today`
    ("lines_hold_for", _INT),  # the same for lines, since a node's turn
    ("has_rollbacks", _BOOL),  # whether rollback times are drawn yet
    ("n_sampled", _INT),  # nodes whose numbers are drawn
    ("any_hangs", _BOOL),  # whether the row of hangs has any other number than 0
    # 0 or 1 if the row AFFECTED, left by an earlier replication, has this number for all nodes; else -1.
    ("affected_are", _INT),
]
# The tilt: factors, and the log weights of draws that are made once.
_TILT = [
    ("is_tilted", _BOOL),
    ("tilt_failure", _REAL),
    ("tilt_hang", _REAL),
    ("tilt_back", _REAL),
    ("tilt_update", _REAL),
    ("tilt_rollback", _REAL),
    ("tilt_slowdown", _REAL),
    ("tilt_level", _REAL),
    ("tilt_promote", _REAL),
    ("tilt_escape", _REAL),
    ("log_weight_once", _REAL),
]
# Replications combined from several: the current one, their number, and a bit for each block of streams for which each node has its own
# replication.
_LINEAGES = [
    ("row", _INT),
    ("n_lineages", _INT),
    ("blocks_of_nodes", _WORD),
    # The level at which branches part; 0 without branches.
    ("level", _INT),
    ("counts_failed", _BOOL),  # the level is one of failed nodes, else of exposed ones
]
# Continuations of a world, with acts, looks at the deployment, and one at the nodes: their numbers; and for the current continuation
# where its acts and looks end, and when the next look is.
_LOOKS = [
    ("n_continuations", _INT),
    ("draws_at_turns", _BOOL),
    ("n_looks", _INT),
    ("first_act", _INT),
    ("last_act", _INT),
    ("first_look", _INT),
    ("last_look", _INT),
    ("looks_taken", _INT),
    ("look_at", _INT),
    ("looked_from", _INT),  # nodes that were dispatched earlier had their verdict at the last look
    ("nodes_look_at", _INT),  # NEVER for none
    ("n_looked_at", _INT),  # looks at nodes, in all continuations
    ("first_node_look", _INT),
    ("last_turn_at", _INT),  # -1 for not yet
    ("last_count_at", _INT),
]
# A policy that replaces the first one: which one, when, and the plan whose waves are computed then.
_CHANGE = [
    ("planned_change_at", _INT),  # NEVER for none
    ("next_policy", _INT),
    ("n_sizes", _INT),
    # Of the current rollout: when it is still to change; when it changed (0 if it didn't), and from which policy.
    ("change_at", _INT),
    ("changed_at", _INT),
    ("first_policy", _INT),
    ("visit_at", _INT),  # the next look, or the change
]
# Traces of every rollout: number and distance of instants, and number of replications.
_TRACES = [
    ("n_times", _INT),  # 0 if nothing is traced
    ("every", _INT),
    ("n_groups", _INT),  # of nodes that receive the same per request per second
    ("n_slots_traced", _INT),  # the instants, and one more for the horizon
    ("n_traces", _INT),
    ("trace", _INT),  # the current one
]
_ROLLOUT = [
    ("has_more", _BOOL),  # of the current policy
    ("now", _INT),
    ("state", _INT),
    ("phase", _INT),
    ("is_rung", _BOOL),
    ("news", _BOOL),
    ("promoted_waves", _INT),  # up to the one that was promoted last
    ("promotion_wanted", _BOOL),
    ("operator_is_due", _BOOL),
    ("batches_due", _INT),
    ("acts_done", _INT),  # of the script
    ("acts_told", _INT),
    ("acknowledged_failures", _INT),
    ("updated", _INT),
    ("failed", _INT),
    ("makespan", _INT),  # NEVER while it goes on
    # The nodes' turns.
    ("next_turn", _INT),
    ("slides_from", _INT),  # the turn from which on sliding may work without the queue
    ("waves_open", _INT),
    ("waves_over", _INT),
    ("waves_judged", _INT),
    ("first_unjudged", _INT),  # under a reporting delay: the first wave that was not over when limits were last judged
    ("n_touched", _INT),
    ("n_up_again", _INT),
    ("waiting", _INT),  # unreachable nodes that the rollout waits for
    ("waited_in_vain", _INT),  # of those, the ones that are down for good
    # Limits on nodes in flight: slots taken, those of them that were given up but are not free yet; whether a failure has frozen the
    # rollout, and whether it was reported as stuck.
    ("slots_taken", _INT),
    ("slots_delayed", _INT),
    ("is_frozen", _BOOL),
    ("between_tries", _INT),  # nodes that wait for their next try, if they freeze the rollout
    ("was_stuck", _BOOL),
    ("lost_wave", _BOOL),  # whether a wave is over without a running node
    ("has_crossed", _BOOL),  # a limit, or a gate
    ("earlier_tries", _INT),  # failed tries of nodes that were tried again, if these count
    ("earlier_windows", _INT),  # windows of failed tries that ended by the makespan, and their requests
    ("earlier_requests", _INT),
    ("surging", _INT),  # nodes that take a place of the policy's surge
    # The countdown, which a pause may freeze.
    ("clock", _INT),
    ("clock_is_frozen", _BOOL),
    ("clock_left", _INT),
    ("clock_since", _INT),
    ("clock_ends", _INT),  # unless it is frozen
    # The rollback.
    ("undoing_is_pending", _BOOL),
    ("undone_at", _INT),
    ("rollback_is_asked", _BOOL),
    ("rollback_has_begun", _BOOL),
    ("n_rolled", _INT),
    ("rolled_sent", _INT),
    ("rolled_in_wave", _INT),
    ("rolled_wave", _INT),
    ("going_back", _INT),
    ("any_back_failed", _BOOL),
    ("any_went_by_itself", _BOOL),
    ("any_waits", _BOOL),
    ("any_order_late", _BOOL),  # whether an order to roll back reached a node later than it was sent
    ("rollback_ended", _INT),
    ("queued", _INT),
    ("n_in_ring", _INT),
    ("first_in_ring", _INT),
    ("ran_too_long", _BOOL),
    # Gates: waves whose look is due, and nodes whose deadline is; whether a gate stops the rollout.
    ("looks_due", _INT),
    ("only_looks", _BOOL),
    ("n_due", _INT),
    ("gate_alarm", _BOOL),
    ("n_ranked", _INT),  # looks whose error rates are kept
    ("room_ranked", _INT),
    ("is_full", _BOOL),  # whether there was no room for one
    # Watched running nodes: the next look, the number of looks, the evidence since the sum was last increased, the sum, and the requests
    # of all looks.
    ("watch_at", _INT),
    # Nodes that were heard to run, and of these, in their order, those that ran throughout the last interval.
    ("n_running", _INT),
    ("n_watched", _INT),
    ("look_at_running", _BOOL),
    ("watch_has_ended", _BOOL),
    ("watch_looks", _INT),
    ("watched_seen", _INT),
    ("watched_bad", _INT),
    ("watched_sum", _REAL),
    ("watched_windows", _INT),
    ("watched_requests", _INT),
    ("n_noted", _INT),  # nodes whose windows are to be counted together
    # The cdf whose steps are in memory, and their number; the cdf at the last step, and the size of that step.
    ("stepped_requests", _INT),
    ("stepped_p", _REAL),
    ("n_steps", _INT),
    ("last_total", _REAL),
    ("last_term", _REAL),
    # The next opening of a change window, if the rollout awaits it.
    ("awaits_opening", _BOOL),
    ("opens_at", _INT),
    # Failures since a node last became running; the times of the last failure and the last success, and the failures at that time.
    ("failed_in_a_row", _INT),
    ("failed_last_at", _INT),
    ("failed_then", _INT),
    ("ran_last_at", _INT),
    # Deadlines of the rollout: whether that of its completion has passed; since when progress is awaited; whether that clock is stopped.
    ("is_late", _BOOL),
    ("progress_since", _INT),
    ("progress_stands_still", _BOOL),
    # When the next wave of the rollback may be sent; NEVER while one rolls back.
    ("next_rollback", _INT),
]
# Sums of times are kept in two: of the upper and of the lower 32 bits, because the whole may not fit into 64 bits.
_BARRIER = [
    # Of the current wave; starts are since its dispatch.
    ("wave_size", _INT),
    ("wave_failed", _INT),
    ("wave_started", _INT),
    ("wave_starts_high", _INT),
    ("wave_starts_low", _INT),
    ("wave_windows", _INT),
    ("wave_requests", _INT),
    ("wave_at_once", _INT),
    # Weighted by requests per second: times of nodes that started, and the number of those that did not.
    ("wave_rate_starts", _REAL),
    ("wave_rate_stuck", _REAL),
    ("wave_hurt", _INT),  # those that a defective release affects
    ("wave_hurt_high", _INT),
    ("wave_hurt_low", _INT),
    # Sums over completed waves: starts since their dispatch, and since the start of the rollout.
    ("sum_failed", _INT),
    ("sum_updated", _INT),
    ("sum_windows", _INT),
    ("sum_requests", _INT),
    ("sum_started", _INT),
    ("sum_starts_high", _INT),
    ("sum_starts_low", _INT),
    ("sum_started_high", _INT),
    ("sum_started_low", _INT),
    ("sum_hurt", _INT),
    ("sum_hurt_high", _INT),
    ("sum_hurt_low", _INT),
    ("sum_stuck", _INT),  # nodes that did not start
    ("sum_stuck_high", _INT),
    ("sum_stuck_low", _INT),
    ("sum_rate_starts", _REAL),
    ("sum_rate_stuck", _REAL),
    ("sum_rate_stuck_begins", _REAL),
    ("most_out", _INT),
    ("last_start", _INT),  # no node started later
    ("n_back", _INT),  # positions up to which rollback times are summed
    # The group of the current rule, and its number, which is unique over all replications. Then the positions up to which relative fates
    # are those of quick nodes, except for listed nodes; the number of nodes with steps; and the length of the list.
    ("group", _INT),
    ("step_group", _INT),
    ("n_listed", _INT),
    ("n_stepping", _INT),
    ("n_slow", _INT),
    # Listed nodes whose fates are known under the current rule; and those of them that are not quick, at the begin of the list.
    ("n_met", _INT),
    ("n_kept", _INT),
    ("has_steps", _BOOL),  # whether nodes have steps under it
    # Positions up to which relative fates are without failures, except for listed nodes, and their number of windows.
    ("n_clean", _INT),
    ("clean_windows", _INT),
    ("last_wave", _INT),  # the last one before all policies of the bundle had ended, and the nodes with a turn by then
    ("touched", _INT),
    ("n_outcomes", _INT),
    ("n_policies", _INT),
    ("n_rules", _INT),
    ("n_bundles", _INT),
    ("n_slots", _INT),
    ("n_stops", _INT),
    ("has_gates", _BOOL),  # whether any policy has a gate, or slides
    ("slides", _BOOL),
    ("retries", _BOOL),
    ("has_other_laws", _BOOL),  # whether any spells are not exponential
    ("all_bundled", _BOOL),  # whether each policy is in a bundle; rollouts may still have to be run one by one
    ("n_brackets", _INT),
]
# Amounts of work, for tests: nodes drawn, nodes whose windows were examined for all rules, and nodes whose fates were computed for one;
# bundles followed, their waves, and rollouts run one by one.
_WORK = [(f"work_{what}", _INT) for what in ("sampled", "looks", "fates", "bundles", "waves", "rollouts")]
# Parts that are compiled separately, see :mod:`.parts`.
PARTS = (
    *("draws", "words", "own_words", "peaks_of_nodes", "own_levels", "after", "fates", "health", "restarts"),
    *("brackets", "shuffles", "assignments", "affected", "first_spells", "first_lines", "walks", "spells"),
    *("outlook", "laws", "bundles", "rollouts", "waves", "verdicts", "outcomes", "interruptions", "notes", "slots"),
    *("gates", "waits", "together", "partners", "tries", "ups", "levels", "downs", "undegraded", "lines"),
    *("openings", "traffic", "requests", "validation", "met", "met_at_once", "served", "pools", "windows"),
    *("shares", "looks", "changes"),
)
# Rows of outcomes.
_OUTCOMES = [("outcomes_at", _INT), ("n_rows", _INT)]
RUN = np.dtype(
    [*_FLEET, *_SWITCHES, *_REPLICATION, *_TILT, *_LINEAGES, *_LOOKS, *_CHANGE, *_TRACES, *_ROLLOUT, *_BARRIER, *_WORK]
    + [
        ("policy", _INT),
        ("most_waves", _INT),
        ("room", _INT),
    ]  # the current policy; columns of `waves`, of `scratch` and `queue`
    + _OUTCOMES
    + [(f"{table}_at", _INT) for table in TABLES]
    + [(f"{name}_part", _INT) for name in PARTS],
    align=True,
)
