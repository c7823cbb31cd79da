"""Whole numbers for the words of a scenario's choices, because compiled code has no words.

A word's number is its place in the `Literal` or tuple of its choice, so both can't disagree, and if a choice gets another word, the
import fails until it is added here.
"""

from __future__ import annotations

from typing import Any, get_args

from simdeploy.rules.gates.gate import Method
from simdeploy.rules.orchestrator import SWITCHES, CantTell, OnFailure, Pacing, PercentOf, UnreachableNodes
from simdeploy.vocabulary import NODE_STATUSES, STATES, VERDICTS
from simdeploy.world.fleet import Across, Order
from simdeploy.world.operator import Action
from simdeploy.world.release import AffectedBy


def code_of(choice: Any, word: str) -> int:
    """Return the number of a word of a choice, which is a `Literal` or a tuple.

    Examples
    --------
    >>> code_of(Pacing, "sliding") == SLIDING
    True
    """
    return (get_args(choice) or choice).index(word)


def _codes(choice: Any, *words: str) -> tuple[int, ...]:
    """Return the numbers of all words of a choice."""
    if different := set(words) ^ set(get_args(choice) or choice):
        raise AssertionError(sorted(different))
    return tuple(code_of(choice, word) for word in words)


def _codes_of_switch(key: str, *words: str) -> tuple[int, ...]:
    return _codes(SWITCHES[key].values, *words)


BARRIER, SLIDING, RATE = _codes(Pacing, "barrier", "sliding", "rate")
OF_FLEET, OF_RESOLVED, OF_WAVE = _codes(PercentOf, "fleet", "resolved", "wave")
ON_FAILURE_ROLLBACK, ON_FAILURE_PAUSE, ON_FAILURE_STOP, ON_FAILURE_CONTINUE = _codes(
    OnFailure, "rollback", "pause", "stop", "continue"
)
ACROSS_FLEET, ACROSS_ZONE, ACROSS_CLASS = _codes(Across, "fleet", "zone", "class")
UNREACHABLE_FAIL, UNREACHABLE_SKIP, UNREACHABLE_WAIT = _codes(UnreachableNodes, "fail", "skip", "wait")
CANT_TELL_WAIT, CANT_TELL_PASS, CANT_TELL_STOP, CANT_TELL_UNHEALTHY = _codes(
    CantTell, "wait", "pass", "stop", "unhealthy"
)
RESOLVED_FREES_SLOT, START_FREES_SLOT = _codes_of_switch("slot_until", "resolved", "started")
HELD_SLOTS_WAIT, HELD_SLOTS_FAIL = _codes_of_switch("all_slots_held", "wait", "fail")
LOST_WAVE_CONTINUES, LOST_WAVE_FAILS = _codes_of_switch("lost_waves", "continue", "fail")
JUDGED_AT_ONCE, JUDGED_AT_WAVE_END = _codes_of_switch("limits_judged", "at_once", "wave_end")
ALL_CANARIES_HEALTHY, CANARIES_BY_LIMITS = _codes_of_switch("canary_gate", "all_healthy", "limits")
CLOCKS_RUN, CLOCKS_STOP = _codes_of_switch("paused_clocks", "run", "stop")
(
    POOLED_WINDOW,
    POOLED_OBSERVATION,
    SPRT_WINDOWS,
    SPRT_REQUESTS,
    E_PROCESS,
    MULTINOMIAL,
    MANN_WHITNEY,
    BAYES,
    CUSUM,
) = _codes(
    Method,
    "pooled_window",
    "pooled_observation",
    "sprt_windows",
    "sprt_requests",
    "e_process",
    "multinomial",
    "mann_whitney",
    "bayes",
    "cusum",
)

ORDER_INDEX, ORDER_RANDOM, ORDER_ZONE, ORDER_NODES = _codes(Order, "index", "random", "zone", "nodes")
AFFECTS_ALL, AFFECTS_SHARE, AFFECTS_COUNT, AFFECTS_CLASSES, AFFECTS_ZONES, AFFECTS_NODES = _codes(
    AffectedBy, "all", "share", "count", "classes", "zones", "nodes"
)
SCRIPT_PAUSE, SCRIPT_RESUME, SCRIPT_PROMOTE, SCRIPT_CANCEL = _codes(Action, "pause", "resume", "promote", "cancel")

PENDING, IN_PROGRESS, PAUSED, COMPLETED, FAILED, CANCELED = _codes(
    STATES, "pending", "in_progress", "paused", "completed", "failed", "canceled"
)
(
    NODE_PENDING,
    NODE_STARTING,
    NODE_VALIDATING,
    NODE_RUNNING,
    NODE_FAILED,
    NODE_ROLLING_BACK,
    NODE_ROLLED_BACK,
    NODE_ROLLBACK_FAILED,
    NODE_SKIPPED,
    NODE_REMOVED,
    NODE_STOPPED,
) = _codes(
    NODE_STATUSES,
    "pending",
    "starting",
    "validating",
    "running",
    "failed",
    "rolling_back",
    "rolled_back",
    "rollback_failed",
    "skipped",
    "removed",
    "stopped",
)
GOOD, STOPPED_DEFECTIVE, FALSE_ALARM, ESCAPED = _codes(
    VERDICTS, "completed_good", "stopped_defective", "false_alarm", "escaped"
)
