"""Closed forms that a simulation can be held against: one subject one file.

They share nothing with the engines but the laws, so that an error in one does not hide in the other.
"""

from simdeploy.analysis.oracles.availability import (
    degraded_error_level,
    exposed_down_s,
    failed_requests_excess,
    unavailability,
)
from simdeploy.analysis.oracles.canaries import (
    canary_blast_radius,
    no_affected_canary_of_count,
    no_affected_canary_of_share,
    operator_verdicts,
)
from simdeploy.analysis.oracles.health import Validation, healthy_window_probability, validation
from simdeploy.analysis.oracles.limits import (
    correlated_failures_variance,
    correlated_stop_probability,
    failures_to_stop,
    mean_dispatched_until_stop,
    start_success_probability,
    stop_probability,
)
from simdeploy.analysis.oracles.pacing import (
    barrier_makespan_s,
    exponential_barrier_makespan_s,
    exponential_sliding_makespan_s,
    last_end_s,
)
from simdeploy.analysis.oracles.sensitivity import SobolIndices, ishigami, ishigami_indices, rollout_time_indices

__all__ = [
    "SobolIndices",
    "Validation",
    "barrier_makespan_s",
    "canary_blast_radius",
    "correlated_failures_variance",
    "correlated_stop_probability",
    "degraded_error_level",
    "exponential_barrier_makespan_s",
    "exponential_sliding_makespan_s",
    "exposed_down_s",
    "failed_requests_excess",
    "failures_to_stop",
    "healthy_window_probability",
    "ishigami",
    "ishigami_indices",
    "last_end_s",
    "mean_dispatched_until_stop",
    "no_affected_canary_of_count",
    "no_affected_canary_of_share",
    "operator_verdicts",
    "rollout_time_indices",
    "start_success_probability",
    "stop_probability",
    "unavailability",
    "validation",
]
