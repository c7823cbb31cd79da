"""The tables of compiled code: their names, and the meaning of their rows; :mod:`.records` has their records, and :mod:`.access`
gives access to them.

Tables are made in Python (:mod:`.memory`); the one record of a run holds their addresses.
"""

from __future__ import annotations

import numpy as np

from simdeploy.engines.traces import QUANTITIES

NEVER = 1 << 62
# Rows of the table of draws, one column per node. Words of first spells are in the order of their kinds (see `spells`).
ORDER, CLASS, AFFECTED, DURATION, FAILS, HANGS, ROLLBACK, CRASH_WORD, FLAP_WORD, LEVEL_WORD, N_DRAWN = range(11)
# Rows of the table of fates, one column per node; times in nanoseconds, NEVER if it doesn't happen.
# OBSERVED: when a node that waits for the gate of its wave is observed long enough; DEADLINE: until when it waits.
DISPATCHED, STARTED, RESOLVED, BACK_FROM, BACK_UNTIL, HAS_FAILED, WINDOWS, WAVE, OBSERVED, DEADLINE = range(10)
# If lines break: when the verdict counts, whether it counts as failed, and whether the deadline passed before it was heard;
# DEADLINE is then that of every node, NEVER for none.
HEARD, COUNTS_FAILED, UNHEARD = range(10, 13)
# Whether a node is updated beside its old instance (0 if not). Under a policy with retries: its tries that failed, and attempts made.
SURGED, TRIED, ATTEMPTS = range(13, 16)
TAKES_PLACE, FREED_PLACE = 1, 2  # of a surged node: whether it still takes a place of `surge`
# If unhealthy nodes are tried again: when the windows of the current try begin, and the number of earlier windows.
WINDOWS_FROM, EARLIER, N_FATE = range(16, 19)
# Rows of the table of relative fates, one column per node in the order of dispatch: times since its dispatch; and sums over all
# nodes up to it: rollback times, the longest of them, failed rollbacks, and nodes that are out of service during their rollback.
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
# RUNS: running nodes, in the order of their reports; SEEN_UNTIL: the look up to which windows of a node are summed.
TOUCHED, UP_AGAIN, ROLLED, ROLLED_WAVE, PARTNER, DUE, HAS_SLOT, RUNS, SEEN_UNTIL, N_LISTS = range(10)
# The same rows while bundles of policies are followed: times of failures in a wave; positions of nodes that are not quick, and for each
# a key of all fates up to it, in two halves, and the row of its steps; and scratch.
FAILURES, SLOW, KEY0, KEY1, STEPS_AT, RESOLVED_AT = TOUCHED, UP_AGAIN, ROLLED, ROLLED_WAVE, PARTNER, DUE
# In the table of places: policies that must be run one by one, and those whose rollout continues.
ONE_BY_ONE, GOES_ON = -1, -2
# Columns of the table of steps (see `steps`), one row per node that is not quick: the group of rules; its start, and its verdict if that
# depends on no window; otherwise the end of its judged windows, their number, their level, and whether all were examined; the lowest
# last healthy word of a rule under which its fate differs from the last one (NEVER for none, -1 if unknown), and the key of that fate,
# in two halves; the number of steps, and for each its highest word and the windows up to its end.
MOST_STEPS = 12
(
    STEP_GROUP,
    STEP_STARTED,
    STEP_RESOLVED,
    STEP_FAILED,
    STEP_DEADLINE,
    STEP_WINDOWS,
    STEP_LEVEL,
    STEP_IS_WHOLE,
    STEP_NEXT,
    STEP_KEY0,
    STEP_KEY1,
    STEP_N,
    STEP_WORDS,
) = range(13)
STEP_ENDS = STEP_WORDS + 1
N_STEP_COLUMNS = STEP_WORDS + 2 * MOST_STEPS
# Rows of the table of waves, one column per wave.
(
    TURNS,
    UNRESOLVED,
    WAVE_FAILED,
    PASSED_OVER,  # nodes that were skipped because they could not be reached
    # For its gate: place of its first node, its first successful start, the verdict, whether a look is due, waiting nodes,
    # requests and failures so far, random numbers used, looks that count, and whether the last one was informative.
    FIRST_PLACE,
    GATE_BEGUN,
    GATE_VERDICT,
    LOOK_DUE,
    WAITING,
    FIRST_START,  # that is queued
    LAST_OBSERVED,  # when the last of the waiting nodes is observed long enough
    FIRST_DUE,  # the first deadline of a waiting node, or an earlier time
    SEEN,
    SEEN_BAD,
    OLD_BAD,
    GATE_DRAWS,
    LOOKS_HEALTHY,
    LOOKS_UNHEALTHY,
    CAN_TELL,
    ALONE,  # whether there are no nodes to compare with
    N_RANKED,  # looks whose error rates are kept, and the place of the last one
    LAST_RANKED,
    IN_FLIGHT,  # under a reporting delay: nodes whose verdict was not heard; UNRESOLVED has those whose verdict doesn't count yet
    N_WAVE,
) = range(24)
# Evidence of gates in advance, for up to N_AHEAD waves, one column per look, from the second one on: additional requests since the
# previous look, failed ones, and failed ones on the old version. And of each: the wave, its first and last look, the number of places,
# and the number of nodes dispatched then.
N_AHEAD, MOST_AHEAD = 4, 31
MORE_REQUESTS, SUM_FAILED, SUM_OLD_FAILED, N_AHEAD_SUMS = range(4)
AHEAD_OF, AHEAD_FROM, AHEAD_UNTIL, AHEAD_PLACES, AHEAD_TOUCHED, N_AHEAD_STATE = range(6)
# Nodes whose windows are counted together, at most MOST_NOTED: the node, its first window and the one after its last, the difference
# between column and number of a window, and the number of windows to draw.
MOST_NOTED = 16
NODE_AHEAD, FIRST_AHEAD, END_AHEAD, TO_AHEAD, DRAWN_AHEAD, N_NOTED = range(6)
# Rows of the tables of windows that are counted at once, at most N_AT_ONCE: uniforms, their normal quantiles, distances into the tail,
# and levels of error, those of nodes on the old version separately; failed requests, requests, words of 52 bits, those left to count,
# and the last word below each step of a cdf.
N_AT_ONCE = 512
UNIFORM, NORMAL, FAR, LEVEL, OLD_LEVEL, N_REAL_AT_ONCE = range(6)
COUNT, REQUESTS, WINDOW_WORD, LEFT, STEP_WORD, N_COUNTED = range(6)
UNDEGRADED = COUNT  # of nodes at their dispatch (see `outlook`): 0 or 1
# Draws that are converted to durations at once, at most N_BATCH: uniforms, their normal quantiles, and distances into the tail.
N_BATCH = 256
# Rows of the table of lines, one column per node: the word of the spell at its turn (-1 - word if it is offline), and the time of the
# turn; and the last spells that were reached: an offline spell, the online spell after it, and its number.
FIRST_WORD, TURN, OFFLINE_FROM, ONLINE_FROM, ONLINE_UNTIL, CYCLE, N_LINE = range(7)
# Rows of the tables of traces: as in `simdeploy.engines.traces`; of changes of counts, including nodes with requests on the old and on
# the new version; and of changes of requests and failed requests per second, on either version.
N_TRACED = len(QUANTITIES)
SERVING_OLD, SERVING_NEW, N_TRACED_COUNTS = 4, 5, 6
N_TRACED_SUMS = 4
# Rows of the table of pools' sums: seconds of requests per node up to the last change, and of those that were shed; and the requests
# per second, without traffic, of its serving nodes.
POOL_MET, POOL_SHED, POOL_SERVED, N_POOL = range(4)
# Rows of the table of looks at pools: both sums at the last look at running nodes; and of the interval before it, seconds of
# requests and the fraction that was shed.
LOOK_MET, LOOK_SHED, LOOK_SECONDS, LOOK_FRACTION, N_LOOK = range(5)
# Rows of the table of members of pools, one column per node: its instances that serve apart from crashes; whether it is missed, and is
# up; the valid version of its next crash or repair; and consecutive windows. The last two are a ring of nodes in the order of the ends
# of their windows, and these ends.
INSTANCES, IS_MISSED, UP, VERSION, HEALTHY, UNHEALTHY, IN_RING, ENDS_AT, N_MEMBER = range(9)
# Rows of the table of nodes' requests: both sums of the node's pool at the end of its last window, the seconds of requests in that
# window and the fraction that was shed; and the same for the pool of the node that it is compared with.
MET, MET_SHED, MET_SECONDS, MET_FRACTION, OLD_MET, OLD_SHED, OLD_SECONDS, OLD_FRACTION, N_MET = range(9)
# Rows of the table of loads: the ratio of demand to the usual requests of nodes in service, at the start and at the end of each piece of
# time; the integral of the served load up to its start; demand at the start and at the end, and the usual requests of nodes in service.
LOAD, LOAD_AFTER, LOAD_SERVED, LOAD_DEMAND, LOAD_DEMAND_AFTER, LOAD_WEIGHT, N_LOAD = range(7)
INT, REAL, BOOL, WORD = np.int64, np.float64, np.bool_, np.uint64
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
    "steps",
    "step_words",
    "at_once",
    "batch",
    "counted",
    "ahead",
    "ahead_sums",
    "noted",
    "sizes",
    "wave_terms",
    "zone_failed",
    "bakes",
    "members",
    "rules",
    "bundles",
    "stops",
    "bundle_slots",
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
    "continuations",
    "look_times",
    "looks",
    "node_looks",
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
    "walks_of_members",
    "load_times",
    "loads",
    "load_starts",
    "back_rates",
    "openings",
    "lines",
)
