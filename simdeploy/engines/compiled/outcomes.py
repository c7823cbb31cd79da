"""The outcome of one rollout, in compiled code: the columns of two tables, of whole numbers and of times."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.codes import CANCELED, COMPLETED, ESCAPED, FAILED, FALSE_ALARM, GOOD, STOPPED_DEFECTIVE
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.views import make_view
from simdeploy.units import NS_PER_S

# One outcome: whole numbers and times in rows of two tables.
(
    STATE,
    KIND,
    VERDICT,
    WAVES,
    UPDATED,
    FAILED_NODES,
    TOUCHED,
    PEAK_EXPOSED,
    DECISION_WINDOWS,
    DECISION_REQUESTS,
    TOO_LONG,
    N_WHOLE,
) = range(12)
(
    MAKESPAN,
    STOPPED_AT,
    RESTORED_AT,
    EXPOSED,
    DEFECTIVE,
    FAILED_REQUESTS,
    UNAVAILABLE,
    MIN_IN_SERVICE,
    UNAVAILABLE_EXCESS,
    UNRESTORED,
    LOST,
    LOST_EXCESS,
    SHED,
    SHED_EXCESS,
    MIN_CAPACITY_RATIO,
    WEIGHT,
    N_REAL,
) = range(17)

# Rows of outcomes.
whole_rows = make_view("whole_at", np.int64, "n_rows", N_WHOLE)
real_rows = make_view("real_at", np.float64, "n_rows", N_REAL)

_LOW = (1 << 32) - 1


@compiled
def sum_s(high, low):
    """Return high * 2**32 + low nanoseconds in seconds."""
    if high < 1 << 30:
        total = (high << 32) + low
        return float(total // NS_PER_S + (total % NS_PER_S) / NS_PER_S)
    return (float(high) * 2.0**32 + float(low)) / NS_PER_S


@compiled
def verdict_of(state, kind, defective):
    """Return the verdict as its place in `schema.VERDICTS`, -1 for none."""
    if kind < 0:
        return -1
    if state == COMPLETED:
        return ESCAPED if defective else GOOD
    if state == FAILED or state == CANCELED:
        return STOPPED_DEFECTIVE if defective else FALSE_ALARM
    return -1
