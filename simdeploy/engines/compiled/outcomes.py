"""The outcome of one rollout, in compiled code: a record with the responses, words as their codes, and what else is noted."""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled.codes import CANCELED, COMPLETED, ESCAPED, FAILED, FALSE_ALARM, GOOD, STOPPED_DEFECTIVE
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.tables import INT, NEVER, REAL
from simdeploy.engines.compiled.views import make_current, make_view
from simdeploy.units import NS_PER_S
from simdeploy.vocabulary import RESPONSES, WEIGHT

_WHOLE = [*(name for name, dtype in RESPONSES.items() if dtype != "float64"), "too_long"]
_REAL = [*(name for name, dtype in RESPONSES.items() if dtype == "float64"), WEIGHT]
_N_WHOLE, _N_FIELDS = len(_WHOLE), len(_WHOLE) + len(_REAL)
# `release` is the number of its kind, -1 for none.
OUTCOME = np.dtype([*((name, INT) for name in _WHOLE), *((name, REAL) for name in _REAL)])

outcome_of = make_current("outcomes_at", OUTCOME, "n_outcomes")  # of the current rollout
_numbers = make_view("outcomes_at", REAL, "n_rows", _N_FIELDS)


@compiled
def begin_outcome(run, state, makespan):
    """Begin the outcome of the current rollout: how it ended, and NaN for all that is still unknown."""
    numbers = _numbers(run)[run.n_outcomes]
    for place in range(_N_WHOLE, _N_FIELDS):
        numbers[place] = math.nan
    outcome = outcome_of(run)
    outcome.state = state
    outcome.release = run.kind
    outcome.verdict = _find_verdict(state, run.kind, run.defective)
    outcome.too_long = False
    if makespan < NEVER:
        outcome.makespan_s = makespan / NS_PER_S
        if state != COMPLETED:
            outcome.stopped_at_s = outcome.makespan_s


@compiled
def _find_verdict(state, kind, defective):
    """Return the verdict as its place in `vocabulary.VERDICTS`, -1 for none."""
    if kind < 0:
        return -1
    if state == COMPLETED:
        return ESCAPED if defective else GOOD
    if state == FAILED or state == CANCELED:
        return STOPPED_DEFECTIVE if defective else FALSE_ALARM
    return -1


@compiled
def sum_s(high, low):
    """Return high * 2**32 + low nanoseconds in seconds."""
    if high < 1 << 30:
        total = (high << 32) + low
        return float(total // NS_PER_S + (total % NS_PER_S) / NS_PER_S)
    return (float(high) * 2.0**32 + float(low)) / NS_PER_S
