"""The tables that compiled code works in: what their rows mean, what a record holds, and how to get at them.

Tables are made in Python (:mod:`.memory`); the one record of a run holds their addresses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.views import make_reader, make_view
from simdeploy.engines.traces import QUANTITIES

NEVER = 1 << 62

# Rows of the table of draws, one column per node.
ORDER, CLASS, AFFECTED, DURATION, FAILS, HANGS, ROLLBACK, CRASH_WORD, FLAP_WORD, LEVEL_WORD, N_DRAWN = range(11)

# Rows of the table of fates, one column per node; times in nanoseconds, NEVER where it does not happen.
# OBSERVED: when a node that waits for the gate of its wave has its own observation; DEADLINE: until when it waits.
DISPATCHED, STARTED, RESOLVED, BACK_FROM, BACK_UNTIL, HAS_FAILED, WINDOWS, WAVE, OBSERVED, DEADLINE = range(10)
# Where lines break: when the verdict counts, whether it counts as failed, and whether the deadline passed before it was heard;
# DEADLINE is then that of every node, NEVER where there is none.
HEARD, COUNTS_FAILED, UNHEARD = range(10, 13)
# Whether a node is updated beside its old instance. Under a policy with retries: its tries that failed, and attempts made.
SURGED, TRIED, ATTEMPTS = range(13, 16)
# Where unhealthy nodes are tried again: when the windows of the try at hand begin, and how many of earlier ones there were.
WINDOWS_FROM, EARLIER, N_FATE = range(16, 19)

# Rows of the table of relative fates, one column per node in the order of dispatch: times since its dispatch; and of sums
# over all nodes up to it: how long going back takes, the longest of them, how many fail to come back, and how many are
# out of service at all while they go back.
(
    REL_STARTED,
    REL_RESOLVED,
    REL_FAILED,
    REL_WINDOWS,
    REL_AFFECTED,
    BACK_HIGH,
    BACK_LOW,
    BACK_LONGEST,
    BACK_FAILED,
    BACK_OUT,
    N_RELATIVE,
) = range(11)

# Rows of the table of lists, one column per node.
TOUCHED, UP_AGAIN, ROLLED, ROLLED_WAVE, PARTNER, DUE, HAS_SLOT, N_LISTS = range(8)

# Rows of the table of waves, one column per wave.
(
    TURNS,
    UNRESOLVED,
    WAVE_FAILED,
    PASSED_OVER,  # nodes that were, because they could not be reached
    # Before its gate: place of its first node, its first successful start, the verdict, whether a look is due, how many
    # nodes wait, what was seen so far, random numbers taken, looks in a row, and whether the last one could tell.
    FIRST_PLACE,
    GATE_BEGUN,
    GATE_VERDICT,
    LOOK_DUE,
    WAITING,
    SEEN,
    SEEN_BAD,
    OLD_BAD,
    GATE_DRAWS,
    LOOKS_HEALTHY,
    LOOKS_UNHEALTHY,
    CAN_TELL,
    ALONE,  # nobody to compare with
    N_RANKED,  # looks whose error rates are kept, and the place of the last one
    LAST_RANKED,
    IN_FLIGHT,  # under a reporting delay: nodes whose verdict was not heard, while UNRESOLVED are those whose does not count
    N_WAVE,
) = range(21)

# Rows of the table of lines, one column per node: the word of the spell of its turn (-1 - word if it is offline then), and when that
# was; and as far as it was followed, an offline spell, the online spell after it, and the number of that one.
FIRST_WORD, TURN, OFFLINE_FROM, ONLINE_FROM, ONLINE_UNTIL, CYCLE, N_LINE = range(7)

# Rows of the tables of what is traced: as in `simdeploy.engines.traces`; of changes of counts, of nodes that have requests on
# the old and the new version among them; and of changes of requests and failed requests per second, on either version.
N_TRACED = len(QUANTITIES)
OUT, SERVING_OLD, SERVING_NEW, N_TRACED_COUNTS = 3, 4, 5, 6
N_TRACED_SUMS = 4

# Rows of the table of pools' sums: seconds of requests that a node met up to the last change, and of those that were shed; and
# requests per second that its serving nodes usually have.
POOL_MET, POOL_SHED, POOL_SERVED, N_POOL = range(4)
# Rows of the table of looks at pools: both sums at the last look at running nodes; and of the interval before it, seconds of
# requests and the fraction that was shed.
LOOK_MET, LOOK_SHED, LOOK_SECONDS, LOOK_FRACTION, N_LOOK = range(5)
# Rows of the table of members of pools, one column per node: how many instances of it serve but for crashes; whether it is missed,
# and is up; which entry for its next crash or repair counts; and windows in a row.
INSTANCES, IS_MISSED, UP, VERSION, HEALTHY, UNHEALTHY, N_MEMBER = range(7)
# Rows of the table of what nodes met: both sums of its pool at the end of its last window, the seconds of requests of that window
# and the fraction that was shed; the same of the pool of the node that it is compared with.
MET, MET_SHED, MET_SECONDS, MET_FRACTION, OLD_MET, OLD_SHED, OLD_SECONDS, OLD_FRACTION, N_MET = range(9)
# Rows of the table of loads: demand over what usually meets those in service, at the start and at the end of each piece of time;
# the integral of what was served, up to its start; demand at the start and at the end, and what usually meets those in service.
LOAD, LOAD_AFTER, LOAD_SERVED, LOAD_DEMAND, LOAD_DEMAND_AFTER, LOAD_WEIGHT, N_LOAD = range(7)

_INT, _REAL, _BOOL, _WORD = np.int64, np.float64, np.bool_, np.uint64

TABLES = (
    "classes",
    "kinds",
    "affects_class",
    "affects_zone",
    "affects_nodes",
    "ordered",
    "class_nodes",
    "laws",
    "processes",
    "script",
    "policies",
    "class_rules",
    "last_words",
    "bracket_words",
    "words_beyond",
    "level_pieces",
    "window_words",
    "sizes",
    "wave_terms",
    "zone_failed",
    "bakes",
    "members",
    "rules",
    "bundles",
    "stops",
    "rule_slots",
    "places",
    "peaks",
    "zone_ends",
    "today",
    "drawn",
    "peak_words",
    "baselines",
    "words",
    "fates",
    "relative",
    "begins",
    "lists",
    "waves",
    "slots_of_zones",
    "queue",
    "walks",
    "scratch",
    "ranked",
    "ranked_before",
    "roots",
    "lineages",
    "kept",
    "reached",
    "traces",
    "traced_counts",
    "traced_sums",
    "traffic",
    "day_points",
    "pool_times",
    "pool_sums",
    "pool_counts",
    "pool_looks",
    "members_of_pools",
    "met",
    "flips",
    "load_times",
    "loads",
    "load_starts",
    "back_rates",
    "openings",
    "lines",
)
CLASS_RECORD = np.dtype(
    [
        ("size", _INT),
        ("update", _INT),  # places of laws
        ("rollback", _INT),
        ("slowdown", _INT),
        ("start_failure", _INT),
        ("error_rate", _INT),
        ("baseline", _REAL),  # NaN where it is drawn per node
        ("rollback_failure", _REAL),
        ("start_attempts", _INT),
        ("start_hang", _REAL),
        ("degraded_level", _REAL),
        ("requests_per_second", _REAL),
        ("crash", _INT),  # places of processes; -1 for none
        ("renewed", _BOOL),
        ("flapping", _INT),
        ("zone_outage", _INT),
        ("true_rollback_failure", _REAL),  # without a tilt
        # Pieces of its traffic over the day; none without traffic. And the integral over a day, seconds.
        ("first_piece", _INT),
        ("last_piece", _INT),
        ("day_s", _REAL),
        ("connection", _INT),  # place of a process; -1 for none
    ]
)
KIND_RECORD = np.dtype(
    [
        ("first_word_beyond", _INT),
        ("defective", _BOOL),
        ("error_rate", _REAL),
        ("start_failure", _REAL),
        ("start_hang", _REAL),
        ("after", _INT),
        ("crash_rate", _REAL),
        ("affects", _INT),
        ("share", _REAL),
        ("count", _INT),
        ("first_node", _INT),  # places in affects_nodes
        ("last_node", _INT),
        ("log_weight", _REAL),
    ]
)
LAW_RECORD = np.dtype(
    [
        ("kind", _INT),
        # Parameters in the order in which the law's class has them.
        ("a", _REAL),
        ("b", _REAL),
        ("c", _REAL),
        ("mean", _REAL),
        ("constant_ns", _INT),
        # Values, limited means and expected excesses of an empirical law, one after the other; or the grid of Newton's
        # method: points, limited means, expected excesses.
        ("floats_at", _INT),
        ("size", _INT),
    ]
)
# The bad law is -1 where the spell of time 0 is bad and never ends.
PROCESS_RECORD = np.dtype([("kind", _INT), ("good", _INT), ("bad", _INT), ("p_bad", _REAL)])
POLICY_RECORD = np.dtype(
    [
        ("auto_promote", _BOOL),
        ("no_auto_rollback", _BOOL),
        # How nodes are judged.
        ("rule", _INT),  # row of class_rules and last_words
        ("interval", _INT),
        ("is_checked", _BOOL),
        ("deadline", _INT),
        ("from_dispatch", _BOOL),
        ("needed", _INT),
        ("consecutive", _BOOL),
        ("failure_threshold", _INT),  # 0 for none
        ("retries", _INT),
        ("retry_delay", _INT),
        ("tries_unhealthy", _BOOL),  # whether unhealthy nodes are tried again as well
        ("cumulative", _BOOL),  # whether these windows need not be in a row
        ("peak", _INT),  # which of the peaks of window words covers the windows needed; -1 for none
        # The highest error rate, as a fraction for any number of requests; and whether a window without any is healthy.
        ("rate_top", _INT),
        ("rate_bottom", _INT),
        ("idle_is_healthy", _BOOL),
        # The plan.
        ("first_size", _INT),  # place in sizes
        ("n_waves", _INT),
        ("canaries", _INT),
        ("parallel", _INT),
        ("pacing", _INT),
        ("is_list", _BOOL),
        (
            "marks_slots",
            _BOOL,
        ),  # whether it is noted which nodes have one: they may have it for another time than until their verdict
        ("has_steps", _BOOL),  # whether nodes have their turn within waves one by one, as they find slots
        ("per_zone", _INT),  # slots
        ("slot_delay", _INT),
        ("surge", _INT),
        ("canary_surge", _INT),  # the same when a canary is dispatched
        # The limits.
        ("has_limits", _BOOL),
        ("stopping_count", _INT),  # failed nodes that cross max_failed_nodes
        ("top", _INT),  # failed * bottom > (or >=) top * of crosses the percent
        ("bottom", _INT),
        ("reaches", _BOOL),
        ("both", _BOOL),
        ("counts_tries", _BOOL),
        ("percent_of", _INT),
        ("minimum_sample", _INT),
        ("in_a_row", _BOOL),  # whether the count bounds failures in a row
        ("has_wave_limits", _BOOL),
        ("watches_by_wave", _BOOL),  # whether nodes of some waves are watched otherwise than the policy says
        ("has_promotions", _BOOL),  # whether waves of a list await them, not only canaries
        # Failed nodes of a zone that cross its limit, and as a fraction of its nodes.
        ("watches_zones", _BOOL),
        ("zone_count", _INT),
        ("zone_top", _INT),
        ("zone_bottom", _INT),
        # Of the whole rollout, NEVER for none; and whether its verdicts can't be counted before their time.
        ("progress_deadline", _INT),
        ("rollout_deadline", _INT),
        ("counts_each", _BOOL),
        # Going back.
        ("rollback_size", _INT),
        ("rollback_delay", _INT),
        # Whether it has anything that plain rollouts are spared: waves with terms of their own, slots that are marked, surge, retries, nodes that freeze a rollout,
        # verdicts that count one by one, or a delay between waves that go back.
        ("has_more", _BOOL),
        # The gate: its method (-1 for the API's threshold), and its numbers as `simdeploy.rules.gates.gate.Gate` has them; the
        # highest error rate is top / bottom.
        ("gate", _INT),
        ("gate_compares", _BOOL),
        (
            "gate_of_rollout",
            _BOOL,
        ),  # whether unhealthy looks of all waves are counted together, in the first wave's column
        ("gate_minimum", _INT),
        ("gate_needed", _INT),
        ("gate_top", _INT),
        ("gate_bottom", _INT),
        ("gate_most", _INT),
        ("gate_if_failed", _REAL),
        ("gate_if_served", _REAL),
        ("gate_upper", _REAL),
        ("gate_lower", _REAL),
        ("gate_null", _REAL),
        ("gate_a", _REAL),
        ("gate_b", _REAL),
        ("gate_prior", _REAL),
        ("gate_confidence", _REAL),
        ("gate_tolerance", _REAL),
        ("gate_z", _REAL),
        ("begins_in_week", _INT),  # when its rollout begins, since Monday 00:00
    ],
    align=True,
)
# Of a wave: its own limits, as in the record of a policy; the healthy time of its nodes (-1 for the policy's), whether the gate
# judges it, and whether it awaits a promotion.
WAVE_TERMS_RECORD = np.dtype(
    [
        ("count", _INT),
        ("top", _INT),
        ("bottom", _INT),
        ("healthy", _INT),
        ("by_gate", _BOOL),
        ("promotion", _BOOL),
    ],
    align=True,
)
# Of a policy: its bundle (-1 for none), and which of the bundle's stops; the policy that differs in nothing but stricter limits (-1
# for none), and whether its own crossed none in the replication at hand. By place: which policy has its turn.
MEMBER_RECORD = np.dtype(
    [("bundle", _INT), ("stop", _INT), ("stricter", _INT), ("crossed_none", _BOOL), ("turn", _INT)], align=True
)
# Of a rule of judging nodes: a policy that has it, its bundles, and a key of all fates under it in the replication at hand.
RULE_RECORD = np.dtype(
    [
        ("policy", _INT),
        ("first_bundle", _INT),
        ("last_bundle", _INT),
        ("key0", _WORD),
        ("key1", _WORD),
    ]
)
# Of a bundle: a policy in it, a number of all that it is beside its rule, its stops, and the bundle that has its outcomes in
# the replication at hand.
BUNDLE_RECORD = np.dtype([("policy", _INT), ("kind", _INT), ("first", _INT), ("last", _INT), ("same_as", _INT)])
# Of a rule and a class: what a window meets. The last healthy words stand beside it, by level: the node's own, then with
# each kind of release fully shown. Where the own level is drawn per node they are UNKNOWN.
CLASS_RULE_RECORD = np.dtype([("requests", _INT), ("allowed", _INT)])
UNKNOWN = -2
# A node's own level is first looked at through the upper bits of its word: an interval of levels.
BRACKET_BITS = 6
# Pieces of a polynomial each, which the quantile of own levels is put together from.
N_PIECES, N_COEFFICIENTS = 134, 6
N_WINDOW_WORDS = 16
# Probabilities of the replication at hand, by class: of a node that the release does not affect and of one that it does.
TODAY_RECORD = np.dtype(
    [
        ("slowdown", _REAL),
        ("start_failure", _REAL),
        ("start_failure_affected", _REAL),
        ("start_hang", _REAL),
        ("start_hang_affected", _REAL),
        # Up to this word all windows of a node are healthy that starts at once: of a plain node, and of an affected one.
        ("quick_word", _INT),
        ("quick_word_affected", _INT),
        # Where that depends on the node's own level: rows of bracket_words; -1 where it does not.
        ("bracket", _INT),
        ("bracket_affected", _INT),
        # Words of the spells at time 0: below these they are bad, beyond those they last long enough.
        ("crash_begins_bad", _INT),
        ("flap_begins_bad", _INT),
        ("crash_quiet_beyond", _INT),
        ("flap_quiet_beyond", _INT),
        ("begins_offline", _INT),
        ("holds_beyond", _INT),
        # What outcomes count in the logarithm of the weight, of a plain node and of an affected one.
        ("log_fails", _REAL, 2),
        ("log_starts", _REAL, 2),
        ("log_hangs", _REAL, 2),
        ("log_answers", _REAL, 2),
    ]
)
# Where a walk along a process is: the spell that was reached, and what is left to disturb it.
WALK_RECORD = np.dtype(
    [
        ("process", _INT),
        ("subject", _INT),
        ("start", _INT),
        ("end", _INT),
        ("is_bad", _BOOL),
        ("bad_index", _INT),
        ("good_index", _INT),
        ("is_first", _BOOL),  # the spell of time 0, whose law is the residual
        ("rate", _REAL),
        ("next_rate", _REAL),
        ("renews", _BOOL),
        ("starts_at", _INT),
        ("back_at", _INT),
        ("age", _INT),
        ("hazard_left", _REAL),
    ]
)


def make_table(record: np.dtype[Any], rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Make a table of records, each of which is given by name, field by field."""
    names = record.names or ()
    for row in rows:
        if row.keys() != set(names):
            raise AssertionError(sorted(row.keys() ^ set(names)))
    return np.array([tuple(row[name] for name in names) for row in rows], dtype=record)


# -- views of them, by the record that holds their addresses -----------------------------------------

# By class number; kinds of release in the file's order; whether a kind (row) affects a class, or a zone.
classes = make_view("classes_at", CLASS_RECORD, "n_classes")
kinds = make_view("kinds_at", KIND_RECORD, "n_kinds")
affects_class = make_view("affects_class_at", _BOOL, "n_kinds", "n_classes")
affects_zone = make_view("affects_zone_at", _BOOL, "n_kinds", "zones")
affects_nodes = make_view("affects_nodes_at", _INT, "n_affects_nodes")  # kind by kind
ordered = make_view("ordered_at", _INT, "n_ordered")  # nodes that go first, in their order
class_nodes = make_view("class_nodes_at", _INT, "n_class_nodes", 2)  # exact nodes of classes: node, class
law_at = make_reader("laws_at", LAW_RECORD)
floats_of = make_view("floats_at", _REAL, 3, "size")  # of a law: its values or grid
process_at = make_reader("processes_at", PROCESS_RECORD)
script = make_view("script_at", _INT, "n_acts", 2)  # by time: when, what
openings = make_view("openings_at", _INT, "n_openings", 2)  # when change windows open and close, since Monday 00:00

policy_at = make_reader("policies_at", POLICY_RECORD)
_class_rule_at = make_reader("class_rules_at", CLASS_RULE_RECORD)
_last_word_at = make_reader("last_words_at", _INT)
_size_at = make_reader("sizes_at", _INT)
_wave_terms_at = make_reader("wave_terms_at", WAVE_TERMS_RECORD)
_bake_at = make_reader("bakes_at", _INT)
# Words up to which a window is surely healthy, by rule, class, level and bracket of the node's own level.
bracket_words = make_view("bracket_words_at", _INT, "n_brackets", 1 << BRACKET_BITS)
# Words beyond which it is surely unhealthy.
words_beyond = make_view("words_beyond_at", _INT, "n_brackets", 1 << BRACKET_BITS)
member_at = make_reader("members_at", MEMBER_RECORD)
rule_at = make_reader("rules_at", RULE_RECORD)
bundle_at = make_reader("bundles_at", BUNDLE_RECORD)
# Numbers of failed nodes at which policies stop, ascending in each bundle; and the rows of their outcomes.
stops_of = make_view("stops_at", _INT, "n_stops")
places_of = make_view("places_at", _INT, "n_stops")
rule_slots = make_view("rule_slots_at", _INT, "n_slots")  # a hash table of rules
peaks = make_view("peaks_at", _INT, "n_peaks")  # numbers of windows whose highest word is wanted, ascending

# Of the replication at hand.
today = make_view("today_at", TODAY_RECORD, "n_classes")
drawn = make_view("drawn_at", _INT, N_DRAWN, "nodes")
# Of zones' first good spells; 0 where that is a bad one.
zone_ends = make_view("zone_ends_at", _INT, "n_classes", "zones")
peak_words = make_view("peak_words_at", _INT, "n_peaks", "nodes")
level_pieces = make_view("level_pieces_at", _REAL, "n_classes", N_PIECES, N_COEFFICIENTS)  # see `levels`
baselines = make_view("baselines_at", _REAL, "nodes")  # nodes' own levels; NaN where that is still to be drawn
words = make_view("words_at", _WORD, 2, "nodes")  # scratch for both words of a block
window_words = make_view("window_words_at", _INT, 2, N_WINDOW_WORDS)  # scratch for a node's even and odd windows
# Of every replication that branches off another: its own number, those of its nodes, and what it leaves behind.
roots = make_view("roots_at", _WORD, "n_lineages")
lineages = make_view("lineages_at", _WORD, "n_lineages", "nodes")
kept = make_view("kept_at", _BOOL, "n_lineages", "nodes")
reached = make_view("reached_at", _BOOL, "n_lineages")

# What is traced: of every policy and replication; and changes from instant to instant, of the rollout at hand.
traces = make_view("traces_at", np.int32, "n_traces", N_TRACED, "n_times")
traced_counts = make_view("traced_counts_at", _INT, N_TRACED_COUNTS, "n_slots_traced")
traced_sums = make_view("traced_sums_at", _REAL, "n_groups", N_TRACED_SUMS, "n_slots_traced")

# Traffic: starts, factors, changes per second and integrals of all pieces (`simdeploy.world.traffic.Traffic.pieces`).
traffic = make_view("traffic_at", _REAL, 4, "n_pieces")
day_points = make_view("day_points_at", _INT, "n_day_points")
# Pools: when each last changed, its sums, and how many nodes of each class are missed, and serve.
pool_times = make_view("pool_times_at", _INT, "n_pools")
pool_sums = make_view("pool_sums_at", _REAL, "n_pools", N_POOL)
pool_counts = make_view("pool_counts_at", _INT, "n_pools", 2, "n_classes")
pool_looks = make_view("pool_looks_at", _REAL, "n_pools", N_LOOK)
pool_members = make_view("members_of_pools_at", _INT, N_MEMBER, "nodes")
met = make_view("met_at", _REAL, N_MET, "nodes")
lines = make_view("lines_at", _INT, N_LINE, "nodes")  # empty where no line breaks
# A heap: when nodes may go down or come up next, and which.
flips = make_view("flips_at", _INT, 2, "flip_room")
# The load of each pool over the rollout, piece by piece: when they begin; and the first piece of each pool.
load_times = make_view("load_times_at", _INT, "room")
loads = make_view("loads_at", _REAL, N_LOAD, "room")
load_starts = make_view("load_starts_at", _INT, "n_pool_ends")
# Sums over nodes in the order of dispatch: requests lost while they go back, and requests per second of those that fail to.
back_rates = make_view("back_rates_at", _REAL, 2, "nodes")

# Of the rollout at hand.
fates = make_view("fates_at", _INT, N_FATE, "nodes")
zone_failed = make_view("zone_failed_at", _INT, "zones")  # only where zones have a limit
relative = make_view("relative_at", _INT, N_RELATIVE, "nodes")
begins_of = make_view("begins_at", _INT, "most_waves")
lists = make_view("lists_at", _INT, N_LISTS, "nodes")
waves = make_view("waves_at", _INT, N_WAVE, "most_waves")
slots_of_zones = make_view("slots_of_zones_at", _INT, "zones")  # that are taken
walk_at = make_reader("walks_at", WALK_RECORD)
# Error rates of looks at waves, of nodes on the new and on the old version; and which look at the wave was before.
ranked = make_view("ranked_at", _REAL, 2, "room_ranked")
ranked_before = make_view("ranked_before_at", _INT, "room_ranked")
scratch = make_view("scratch_at", _INT, 2, "room")  # intervals: starts, ends
queue = make_view("queue_at", _INT, 2, "room")  # when something happens, and what to which node


@inlined
def policy_of(run):
    """The policy at hand."""
    return policy_at(run, run.policy)


@compiled
def is_surged(run, node):
    """Tell whether a node is updated beside its old instance."""
    return run.has_more and fates(run)[SURGED, node] != 0


@inlined
def windows_from(run, node):
    """When a node's windows begin: at its start, or at that of its last try; NEVER if there are none."""
    return fates(run)[WINDOWS_FROM if policy_of(run).tries_unhealthy else STARTED, node]


@inlined
def class_rule_of(run, policy, number):
    """What a window meets under a policy's rule, for a class."""
    return _class_rule_at(run, policy.rule * run.n_classes + number)


@inlined
def bracket_of(run, policy, number, level):
    """The row of bracket_words and words_beyond for a policy's rule, a class and a level as in :func:`last_word_of`."""
    return (policy.rule * run.n_classes + number) * (1 + run.n_kinds) + level


@inlined
def last_word_of(run, policy, number, level):
    """The last healthy word under a policy's rule, for a class, at a level: 0 the node's own, k + 1 with kind k shown."""
    return _last_word_at(run, (policy.rule * run.n_classes + number) * (1 + run.n_kinds) + level)


@inlined
def size_of_wave(run, wave):
    """How many nodes the policy's plan has in a wave, counted from 0."""
    return _size_at(run, policy_of(run).first_size + wave)


@inlined
def terms_of_wave(run, wave):
    """What the policy's plan says of a wave alone."""
    return _wave_terms_at(run, policy_of(run).first_size + wave)


@inlined
def needed_of(run, node):
    """How many healthy windows a node needs, which is a matter of its wave."""
    policy = policy_of(run)
    if policy.watches_by_wave:
        healthy = terms_of_wave(run, fates(run)[WAVE, node] - 1).healthy
        if healthy >= 0:
            return -(-healthy // policy.interval)
    return policy.needed


@compiled
def awaits_promotion(run, wave):
    """Tell whether what comes after a wave takes a promotion: after the canaries, and where the list of waves says so."""
    policy = policy_of(run)
    return (wave == 0 and policy.canaries > 0) or (policy.has_promotions and terms_of_wave(run, wave).promotion)


@inlined
def bake_after(run, wave):
    """For how long the policy's plan pauses after a wave."""
    return _bake_at(run, policy_of(run).first_size + wave)


@compiled
def is_wave_over(run, wave):
    """Tell whether every node of a wave has had its turn and is resolved."""
    size = size_of_wave(run, wave)
    return waves(run)[TURNS, wave] == size and waves(run)[UNRESOLVED, wave] == 0
