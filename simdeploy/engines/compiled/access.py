"""Access of compiled code to its tables: views, by the record that holds their addresses, and queries of a policy's rows."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.records import (
    BRACKET_BITS,
    BUNDLE_RECORD,
    CLASS_RECORD,
    CLASS_RULE_RECORD,
    CONTINUATION_RECORD,
    KIND_RECORD,
    LAW_RECORD,
    MEMBER_RECORD,
    MOST_STEP_WINDOWS,
    N_BRACKETS,
    N_COEFFICIENTS,
    N_PIECES,
    N_STEPPING,
    N_WINDOW_WORDS,
    POLICY_RECORD,
    PROCESS_RECORD,
    RULE_RECORD,
    TODAY_RECORD,
    WALK_RECORD,
    WAVE_TERMS_RECORD,
)
from simdeploy.engines.compiled.tables import (
    BOOL,
    DISPATCHED,
    INT,
    MOST_AHEAD,
    MOST_NOTED,
    N_AHEAD,
    N_AHEAD_STATE,
    N_AHEAD_SUMS,
    N_AT_ONCE,
    N_BATCH,
    N_COUNTED,
    N_DRAWN,
    N_FATE,
    N_LINE,
    N_LISTS,
    N_LOAD,
    N_LOOK,
    N_MEMBER,
    N_MET,
    N_NOTED,
    N_POOL,
    N_REAL_AT_ONCE,
    N_RELATIVE,
    N_STEP_COLUMNS,
    N_TRACED,
    N_TRACED_COUNTS,
    N_TRACED_SUMS,
    N_WAVE,
    REAL,
    STARTED,
    SURGED,
    TURNS,
    UNRESOLVED,
    WAVE,
    WINDOWS_FROM,
    WORD,
)
from simdeploy.engines.compiled.views import make_current, make_reader, make_view
from simdeploy.engines.looks import LOOK, NODE_LOOK

# By class number; kinds of release in the file's order; whether a kind (row) affects a class, or a zone.
classes = make_view("classes_at", CLASS_RECORD, "n_classes")
kinds = make_view("kinds_at", KIND_RECORD, "n_kinds")
affects_class = make_view("affects_class_at", BOOL, "n_kinds", "n_classes")
affects_zone = make_view("affects_zone_at", BOOL, "n_kinds", "zones")
affects_nodes = make_view("affects_nodes_at", INT, "n_affects_nodes")  # kind by kind
ordered = make_view("ordered_at", INT, "n_ordered")  # nodes that go first, in their order
class_nodes = make_view("class_nodes_at", INT, "n_class_nodes", 2)  # exact nodes of classes: node, class
law_at = make_reader("laws_at", LAW_RECORD)
floats_of = make_view("floats_at", REAL, 3, "size")  # of a law: its values or grid
process_at = make_reader("processes_at", PROCESS_RECORD)
script = make_view("script_at", INT, "n_acts", 2)  # time, act; by time in each continuation
openings = make_view("openings_at", INT, "n_openings", 2)  # when change windows open and close, since Monday 00:00
policy_at = make_reader("policies_at", POLICY_RECORD)
policy_of = make_current("policies_at", POLICY_RECORD, "policy")  # the current policy
_class_rule_at = make_reader("class_rules_at", CLASS_RULE_RECORD)
_last_word_at = make_reader("last_words_at", INT)
_size_at = make_reader("sizes_at", INT)
sizes = make_view("sizes_at", INT, "n_sizes")
bakes = make_view("bakes_at", INT, "n_sizes")
_wave_terms_at = make_reader("wave_terms_at", WAVE_TERMS_RECORD)
_bake_at = make_reader("bakes_at", INT)
# Words up to which a window is surely healthy, by rule, class, level and bracket of the node's own level.
bracket_words = make_view("bracket_words_at", INT, "n_brackets", N_BRACKETS)
_LAST_BRACKET = (1 << BRACKET_BITS) - 1
# Words beyond which it is surely unhealthy.
words_beyond = make_view("words_beyond_at", INT, "n_brackets", N_BRACKETS)
member_at = make_reader("members_at", MEMBER_RECORD)
rule_at = make_reader("rules_at", RULE_RECORD)
bundle_at = make_reader("bundles_at", BUNDLE_RECORD)
# By bundle: ascending numbers of failed nodes at which its policies stop, or policies; and the rows of the outcomes.
stops_of = make_view("stops_at", INT, "n_stops")
places_of = make_view("places_at", INT, "n_stops")
bundle_slots = make_view("bundle_slots_at", INT, "n_slots")  # a hash table of bundles
peaks = make_view("peaks_at", INT, "n_peaks")  # numbers of windows whose highest word is needed, ascending
# Of the current replication.
today = make_view("today_at", TODAY_RECORD, "n_classes")
drawn = make_view("drawn_at", INT, N_DRAWN, "nodes")
# Ends of zones' first good spells; 0 if the first spell is bad.
zone_ends = make_view("zone_ends_at", INT, "n_classes", "zones")
peak_words = make_view("peak_words_at", INT, "n_peaks", "nodes")
level_pieces = make_view("level_pieces_at", REAL, "n_classes", N_PIECES, N_COEFFICIENTS)  # see `levels`
baselines = make_view("baselines_at", REAL, "nodes")  # nodes' own levels; NaN until drawn
words = make_view("words_at", WORD, 2, "nodes")  # scratch for both words of a block
window_words = make_view("window_words_at", INT, 2, N_WINDOW_WORDS)  # scratch for a node's even and odd windows
steps = make_view("steps_at", INT, N_STEPPING, N_STEP_COLUMNS)
step_words = make_view("step_words_at", INT, N_STEPPING, MOST_STEP_WINDOWS)  # windows of the nodes with steps
at_once = make_view("at_once_at", REAL, N_REAL_AT_ONCE, N_AT_ONCE)
batch = make_view("batch_at", REAL, 3, N_BATCH)
counted = make_view("counted_at", INT, N_COUNTED, N_AT_ONCE)
ahead = make_view("ahead_at", INT, N_AHEAD, N_AHEAD_STATE)
ahead_sums = make_view("ahead_sums_at", INT, N_AHEAD, N_AHEAD_SUMS, 2 * MOST_AHEAD + 2)
noted = make_view("noted_at", INT, N_NOTED, MOST_NOTED)
# For every replication combined from several: that of the fleet, and those of its nodes; and the results of branches.
roots = make_view("roots_at", WORD, "n_lineages")
lineages = make_view("lineages_at", WORD, "n_lineages", "nodes")
kept = make_view("kept_at", BOOL, "n_lineages", "nodes")
reached = make_view("reached_at", BOOL, "n_lineages")
continuation_at = make_reader("continuations_at", CONTINUATION_RECORD)
look_times = make_view("look_times_at", INT, "n_looks")  # ascending in each continuation
looks = make_view("looks_at", LOOK, "n_lineages", "n_looks")
node_looks = make_view("node_looks_at", NODE_LOOK, "n_lineages", "n_looked_at")
# What is traced: of every policy and replication; and changes from instant to instant, of the current rollout.
traces = make_view("traces_at", np.int32, "n_traces", N_TRACED, "n_times")
traced_counts = make_view("traced_counts_at", INT, N_TRACED_COUNTS, "n_slots_traced")
traced_sums = make_view("traced_sums_at", REAL, "n_groups", N_TRACED_SUMS, "n_slots_traced")
# Traffic: starts, factors, changes per second and integrals of all pieces (`simdeploy.world.traffic.Traffic.pieces`).
traffic = make_view("traffic_at", REAL, 4, "n_pieces")
day_points = make_view("day_points_at", INT, "n_day_points")
# Pools: time of the last change, sums, and the numbers of missed and of serving nodes by class.
pool_times = make_view("pool_times_at", INT, "n_pools")
pool_sums = make_view("pool_sums_at", REAL, "n_pools", N_POOL)
pool_counts = make_view("pool_counts_at", INT, "n_pools", 2, "n_classes")
pool_looks = make_view("pool_looks_at", REAL, "n_pools", N_LOOK)
pool_members = make_view("members_of_pools_at", INT, N_MEMBER, "nodes")
met = make_view("met_at", REAL, N_MET, "nodes")
lines = make_view("lines_at", INT, N_LINE, "nodes")  # empty if no line breaks
walk_of_member = make_reader("walks_of_members_at", WALK_RECORD)  # two for each node that shares its requests
# A heap of times at which nodes may go down or come up next, with their numbers.
flips = make_view("flips_at", INT, 2, "flip_room")
# The load of each pool over the rollout, piece by piece: when they begin; and the first piece of each pool.
load_times = make_view("load_times_at", INT, "room")
loads = make_view("loads_at", REAL, N_LOAD, "room")
load_starts = make_view("load_starts_at", INT, "n_pool_ends")
# Sums over nodes in the order of dispatch: requests lost during rollbacks, and requests per second of failed rollbacks.
back_rates = make_view("back_rates_at", REAL, 2, "nodes")
# Of the current rollout.
fates = make_view("fates_at", INT, N_FATE, "nodes")
zone_failed = make_view("zone_failed_at", INT, "zones")  # only where zones have a limit
relative = make_view("relative_at", INT, N_RELATIVE, "nodes")
begins_of = make_view("begins_at", INT, "most_waves")
lists = make_view("lists_at", INT, N_LISTS, "nodes")
waves = make_view("waves_at", INT, N_WAVE, "most_waves")
slots_of_zones = make_view("slots_of_zones_at", INT, "zones")  # that are taken
walk_at = make_reader("walks_at", WALK_RECORD)
# Error rates at looks at waves, of nodes on the new and on the old version; and the previous look at the wave.
ranked = make_view("ranked_at", REAL, 2, "room_ranked")
ranked_before = make_view("ranked_before_at", INT, "room_ranked")
scratch = make_view("scratch_at", INT, 2, "room")  # intervals: starts, ends
queue = make_view("queue_at", INT, 2, "room")  # times of events, and codes of event and node


@inlined
def policy_of_node(run, node):
    """The policy that a node was dispatched under; its health check judges the node."""
    keeps_first = run.changed_at > 0 and fates(run)[DISPATCHED, node] < run.changed_at
    return policy_at(run, run.first_policy if keeps_first else run.policy)


@compiled
def is_surged(run, node):
    """Tell whether a node is updated beside its old instance."""
    return run.has_more and fates(run)[SURGED, node] != 0


@inlined
def windows_from(run, node):
    """When a node's windows begin: at its start, or at the start of its last try; NEVER without windows."""
    return fates(run)[WINDOWS_FROM if policy_of_node(run, node).tries_unhealthy else STARTED, node]


@inlined
def class_rule_of(run, policy, number):
    """Requests of a window, and the failures allowed, under a policy's rule, for a class."""
    return _class_rule_at(run, policy.rule * run.n_classes + number)


@inlined
def bracket_of(run, policy, number, level):
    """The row of bracket_words and words_beyond for a policy's rule, a class and a level as in :func:`last_word_of`."""
    return (policy.rule * run.n_classes + number) * (1 + run.n_kinds) + level


@inlined
def bracket_at(word):
    """The column of bracket_words and words_beyond for the word of a node's own level."""
    bracket = word >> (52 - BRACKET_BITS)
    finer = (word >> (52 - 2 * BRACKET_BITS)) & _LAST_BRACKET
    return bracket if bracket < _LAST_BRACKET else _LAST_BRACKET + 1 + finer


@inlined
def last_word_of(run, policy, number, level):
    """The last healthy word under a policy's rule, for a class, at a level: 0 the node's own, k + 1 with kind k shown."""
    return _last_word_at(run, (policy.rule * run.n_classes + number) * (1 + run.n_kinds) + level)


@inlined
def size_of_wave(run, wave):
    """Number of nodes in a wave of the policy's plan; waves are counted from 0."""
    return _size_at(run, policy_of(run).first_size + wave)


@inlined
def terms_of_wave(run, wave):
    """The terms of a single wave in the policy's plan."""
    return _wave_terms_at(run, policy_of(run).first_size + wave)


@inlined
def needed_of(run, node):
    """Number of healthy windows that a node needs, which depends on its wave."""
    policy = policy_of_node(run, node)
    if policy.watches_by_wave:
        healthy = terms_of_wave(run, fates(run)[WAVE, node] - 1).healthy
        if healthy >= 0:
            return -(-healthy // policy.interval)
    return policy.needed


@compiled
def awaits_promotion(run, wave):
    """Tell whether a promotion is needed after a wave: the canaries, or a wave whose terms say so."""
    policy = policy_of(run)
    return (wave == 0 and policy.canaries > 0) or (policy.has_promotions and terms_of_wave(run, wave).promotion)


@inlined
def bake_after(run, wave):
    """Pause after a wave in the policy's plan."""
    return _bake_at(run, policy_of(run).first_size + wave)


@compiled
def is_wave_over(run, wave):
    """Tell whether every node of a wave has had its turn and is resolved."""
    size = size_of_wave(run, wave)
    return waves(run)[TURNS, wave] == size and waves(run)[UNRESOLVED, wave] == 0
