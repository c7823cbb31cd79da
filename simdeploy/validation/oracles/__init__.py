"""Closed forms that a simulation can be held against: one subject one file.

They share nothing with the engines but the laws, and how a policy's gate is read, so that an error in one does not hide in
the other.

From outside: the names below.
"""

from simdeploy.validation.oracles.availability import (
    degraded_error_level,
    exposed_down_s,
    failed_requests_excess,
    unavailability,
)
from simdeploy.validation.oracles.canaries import (
    canary_blast_radius,
    no_affected_canary_of_count,
    no_affected_canary_of_share,
    operator_verdicts,
)
from simdeploy.validation.oracles.cusum import cusum_run_length
from simdeploy.validation.oracles.gate_values import GateCharacteristics, make_gate
from simdeploy.validation.oracles.gates import gate_characteristics
from simdeploy.validation.oracles.health import Validation, healthy_window_probability, validation
from simdeploy.validation.oracles.limits import (
    correlated_failures_variance,
    correlated_stop_probability,
    failures_to_stop,
    mean_dispatched_until_stop,
    start_success_probability,
    stop_probability,
)
from simdeploy.validation.oracles.pacing import (
    barrier_makespan_s,
    exponential_barrier_makespan_s,
    exponential_sliding_makespan_s,
    last_end_s,
)
from simdeploy.validation.oracles.rare import binomial_tail, slowest_exceeds, top_probability
from simdeploy.validation.oracles.sensitivity import SobolIndices, ishigami, ishigami_indices, rollout_time_indices
from simdeploy.validation.oracles.wald import wald_approximation

__all__ = [
    "GateCharacteristics",
    "SobolIndices",
    "Validation",
    "barrier_makespan_s",
    "binomial_tail",
    "canary_blast_radius",
    "correlated_failures_variance",
    "correlated_stop_probability",
    "cusum_run_length",
    "degraded_error_level",
    "exponential_barrier_makespan_s",
    "exponential_sliding_makespan_s",
    "exposed_down_s",
    "failed_requests_excess",
    "failures_to_stop",
    "gate_characteristics",
    "healthy_window_probability",
    "ishigami",
    "ishigami_indices",
    "last_end_s",
    "make_gate",
    "mean_dispatched_until_stop",
    "no_affected_canary_of_count",
    "no_affected_canary_of_share",
    "operator_verdicts",
    "rollout_time_indices",
    "slowest_exceeds",
    "start_success_probability",
    "stop_probability",
    "top_probability",
    "unavailability",
    "validation",
    "wald_approximation",
]
