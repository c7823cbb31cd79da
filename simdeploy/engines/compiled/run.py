"""The one record that compiled code hands around: what was asked, where a rollout stands, and where its tables are.

Arrays as arguments are expensive: each is seven or more words that every call copies, and the compiler has to follow. So the
tables are made in Python (:mod:`.memory`), which keeps them alive, and the record holds their addresses; :mod:`.views` has
what makes arrays of them again, which costs nothing.
"""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.tables import TABLES

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
    # Whether nodes differ in their own levels, and in the exposure after which a release shows; whether some release affects some nodes
    # only; whether who has a turn, belongs to a class or is affected goes by an order that is drawn; and whether starts are repeated.
    ("draws_levels", _BOOL),
    ("draws_after", _BOOL),
    ("affects_some", _BOOL),
    ("shuffles", _BOOL),
    ("restarts", _BOOL),
    ("undone", _BOOL),
    ("begins", _BOOL),
    ("leaves", _BOOL),
    ("goes_down", _BOOL),
    ("degrades", _BOOL),
    # Requests: whether windows meet different numbers of them; whether nodes share them, in how many pools; whether lost ones are
    # in proportion to the time out of service, and to which.
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
    ("notices_defect", _REAL),
    ("rejects_good", _REAL),
    ("n_openings", _INT),  # of change windows in a week; 0 if nodes may be dispatched at any time
]
_SWITCHES = [
    ("failed_node_holds_slot", _BOOL),
    ("judged_at_wave_end", _BOOL),
    ("gate_all_healthy", _BOOL),
    ("failed_node_freezes", _BOOL),
    ("slot_is_free_at_start", _BOOL),
    ("fails_when_stuck", _BOOL),
    ("fails_when_lost", _BOOL),  # whether a rollout fails of which a wave has no running node
    ("goes_back_by_itself", _BOOL),
    ("on_failure", _INT),
    ("unreachable", _INT),
    ("clocks_stop", _BOOL),
    ("cant_tell", _INT),
    ("reporting_delay", _INT),
]
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
    ("quiet_until", _INT),  # until when the words of `today` beyond which a spell lasts are right
    ("lines_hold_for", _INT),  # the same of lines: since a node's turn
    ("has_rollbacks", _BOOL),  # whether the times of going back are drawn yet
    ("n_sampled", _INT),  # nodes whose numbers are drawn
    ("any_hangs", _BOOL),  # whether the row of hangs is not 0 throughout
    (
        "affected_are",
        _INT,
    ),  # 0 or 1 where it is the same for all nodes, as for those of the replication before; else -1
]
# Other chances than the scenario's: factors, and what the draws of which there is one count in the weight's logarithm.
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
# Replications that are put together from several: the one at hand, how many there are, and a bit for each block of streams in
# which nodes have numbers of their own.
_LINEAGES = [
    ("row", _INT),
    ("n_lineages", _INT),
    ("blocks_of_nodes", _WORD),
    # The level that is waited for, where they share what happened up to it; 0 where they don't.
    ("level", _INT),
    ("counts_failed", _BOOL),  # the level is one of failed nodes, else of exposed ones
]
# Ways in which a world goes on, with acts, looks at the deployment, and one at the nodes: how many there are; and of the way at hand, up
# to which of all they are, and when the next look is.
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
    ("n_looked_at", _INT),  # nodes, in all ways
    ("first_node_look", _INT),
    ("last_turn_at", _INT),  # -1 for not yet
    ("last_count_at", _INT),
]
# A policy that takes the place of the first one: which one, when, and in which plan, whose waves are worked out then.
_CHANGE = [
    ("planned_change_at", _INT),  # NEVER for none
    ("next_policy", _INT),
    ("bake_time", _INT),  # after a wave
    ("n_sizes", _INT),
    # Of the rollout at hand: when it is still to change; when it changed (0 if it didn't), and from which policy.
    ("change_at", _INT),
    ("changed_at", _INT),
    ("first_policy", _INT),
    ("visit_at", _INT),  # the next look, or the change
]
# What is traced of every rollout: at how many instants, how far apart, and of how many replications.
_TRACES = [
    ("n_times", _INT),  # 0 if nothing is traced
    ("every", _INT),
    ("n_groups", _INT),  # of nodes that meet the same per request per second
    ("n_slots_traced", _INT),  # the instants, and one more for the horizon
    ("n_traces", _INT),
    ("trace", _INT),  # the one at hand
]
_ROLLOUT = [
    ("has_more", _BOOL),  # of the policy at hand
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
    # Whose turn it is.
    ("next_turn", _INT),
    ("slides_from", _INT),  # which turn on sliding may do without the queue
    ("waves_open", _INT),
    ("waves_over", _INT),
    ("waves_judged", _INT),
    ("first_unjudged", _INT),  # under a reporting delay: the first wave that was not over when limits were last judged
    ("n_touched", _INT),
    ("n_up_again", _INT),
    ("waiting", _INT),  # nodes that are waited for
    ("waited_in_vain", _INT),  # of those, the ones that are down for good
    # What bounds the nodes in flight: slots that are taken, those of them that were given up and are not free yet; whether a
    # failed node lets nothing more go, and whether it was noticed that none ever will.
    ("slots_taken", _INT),
    ("slots_delayed", _INT),
    ("is_frozen", _BOOL),
    ("between_tries", _INT),  # nodes that wait for their next try, if they freeze the rollout
    ("was_stuck", _BOOL),
    ("lost_wave", _BOOL),  # whether that was noticed of a wave
    ("has_crossed", _BOOL),  # a limit, or a gate
    ("earlier_tries", _INT),  # that failed, of nodes that were tried again, if these count
    ("earlier_windows", _INT),  # of tries that failed: those that ended by the makespan, and their requests
    ("earlier_requests", _INT),
    ("surging", _INT),  # nodes that take a place of the policy's surge
    # The one countdown that a pause may freeze.
    ("clock", _INT),
    ("clock_is_frozen", _BOOL),
    ("clock_left", _INT),
    ("clock_since", _INT),
    ("clock_ends", _INT),  # unless it is frozen
    # Going back.
    ("escape_is_pending", _BOOL),
    ("escape_at", _INT),
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
    ("any_order_late", _BOOL),  # whether an order to go back reached a node later than it was sent
    ("rollback_ended", _INT),
    ("queued", _INT),
    ("n_in_ring", _INT),
    ("first_in_ring", _INT),
    ("ran_too_long", _BOOL),
    # Gates: waves whose look is due, and nodes whose deadline is; whether one stops the rollout.
    ("looks_due", _INT),
    ("only_looks", _BOOL),
    ("n_due", _INT),
    ("gate_alarm", _BOOL),
    ("n_ranked", _INT),  # looks whose error rates are kept
    ("room_ranked", _INT),
    ("is_full", _BOOL),  # whether there was no room for one
    # Running nodes under watch: the next look, how many there were, what was seen since the sum was last added to, the sum,
    # and what all looks took.
    ("watch_at", _INT),
    (
        "n_running",
        _INT,
    ),  # nodes that were heard to run, and of these, in their order, those that ran throughout the last interval
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
    # Of what the steps of a cdf are at hand, how many of them; the cdf at the last one, and by how much it is the higher one.
    ("stepped_requests", _INT),
    ("stepped_p", _REAL),
    ("n_steps", _INT),
    ("last_total", _REAL),
    ("last_term", _REAL),
    # The next opening of a change window, if it lets something be dispatched.
    ("awaits_opening", _BOOL),
    ("opens_at", _INT),
    # Failures since a node last became running; when the last of each happened, and how many failures then.
    ("failed_in_a_row", _INT),
    ("failed_last_at", _INT),
    ("failed_then", _INT),
    ("ran_last_at", _INT),
    # Deadlines of the rollout: whether that of its completion has passed; since when progress is awaited, and whether it is.
    ("is_late", _BOOL),
    ("progress_since", _INT),
    ("progress_stands_still", _BOOL),
    # When the next wave may go back; NEVER until the one on its way is back.
    ("next_rollback", _INT),
]
# Sums of times are kept as two: of the upper and of the lower 32 bits, since the whole may not fit into 64.
_BARRIER = [
    # Of the wave at hand; starts are since its dispatch.
    ("wave_size", _INT),
    ("wave_failed", _INT),
    ("wave_started", _INT),
    ("wave_starts_high", _INT),
    ("wave_starts_low", _INT),
    ("wave_windows", _INT),
    ("wave_requests", _INT),
    ("wave_at_once", _INT),
    # In requests per second: times of those that started, and the number of those that did not.
    ("wave_rate_starts", _REAL),
    ("wave_rate_stuck", _REAL),
    ("wave_hurt", _INT),  # those that a defective release affects
    ("wave_hurt_high", _INT),
    ("wave_hurt_low", _INT),
    # Over the waves that are over: starts since their dispatch, and since the start of the rollout.
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
    ("n_back", _INT),  # positions up to which it is known how long going back takes
    # The group of the rule at hand, and a number that no other group has, of any replication. Up to so many positions relative fates
    # are those of quick nodes, but for those that need a look: so many were listed, and so many are in the list.
    ("group", _INT),
    ("step_group", _INT),
    ("n_listed", _INT),
    ("n_stepping", _INT),
    ("n_slow", _INT),
    # Of the list, whose fates are known under the rule at hand; and at its begin, those of them that are not quick.
    ("n_met", _INT),
    ("n_kept", _INT),
    ("has_steps", _BOOL),  # whether nodes have steps under it
    # Up to so many positions the rows of relative fates say that no node failed, and each had so many windows, but for the list.
    ("n_clean", _INT),
    ("clean_windows", _INT),
    ("last_wave", _INT),  # before all policies of the bundle had ended, and the nodes that had their turn
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
    ("all_bundled", _BOOL),  # whether each policy is in a bundle, which may turn out not to be enough
    ("n_brackets", _INT),
]
# What it took, for tests: nodes that were drawn, whose windows were looked at for all rules, and whose fates were worked out for one;
# bundles that were followed, their waves, and rollouts that were run one by one.
_WORK = [(f"work_{what}", _INT) for what in ("sampled", "looks", "fates", "bundles", "waves", "rollouts")]
# What is compiled by itself, see :mod:`.parts`.
PARTS = (
    *("draws", "words", "own_words", "peaks_of_nodes", "own_levels", "after", "fates", "health", "restarts"),
    *("brackets", "shuffles", "assignments", "affected", "first_spells", "first_lines", "walks", "spells"),
    *("outlook", "laws", "bundles", "rollouts", "waves", "verdicts", "outcomes", "interruptions", "notes", "slots"),
    *("gates", "waits", "together", "partners", "tries", "ups", "levels", "downs", "undegraded", "lines"),
    *("openings", "traffic", "requests", "validation", "met", "met_at_once", "served", "pools", "windows"),
    *("shares", "looks", "changes"),
)
# Rows of outcomes.
_OUTCOMES = [("whole_at", _INT), ("real_at", _INT), ("n_rows", _INT)]
RUN = np.dtype(
    [*_FLEET, *_SWITCHES, *_REPLICATION, *_TILT, *_LINEAGES, *_LOOKS, *_CHANGE, *_TRACES, *_ROLLOUT, *_BARRIER, *_WORK]
    + [
        ("policy", _INT),
        ("most_waves", _INT),
        ("room", _INT),
    ]  # the policy at hand; columns of `waves`, of `scratch` and `queue`
    + _OUTCOMES
    + [(f"{table}_at", _INT) for table in TABLES]
    + [(f"{name}_part", _INT) for name in PARTS],
    align=True,
)
