from .availability import (
    degraded_error_level as degraded_error_level,
    exposed_down_s as exposed_down_s,
    failed_requests_excess as failed_requests_excess,
    unavailability as unavailability,
)
from .canaries import (
    canary_blast_radius as canary_blast_radius,
    no_affected_canary_of_count as no_affected_canary_of_count,
    no_affected_canary_of_share as no_affected_canary_of_share,
    operator_verdicts as operator_verdicts,
)
from .change_windows import (
    batches_in_change_windows_s as batches_in_change_windows_s,
    exponential_waves_in_change_windows_s as exponential_waves_in_change_windows_s,
    waves_in_change_windows_s as waves_in_change_windows_s,
)
from .gate_values import (
    GateCharacteristics as GateCharacteristics,
    make_gate as make_gate,
    wald_approximation as wald_approximation,
)
from .gates import cusum_run_length as cusum_run_length, gate_characteristics as gate_characteristics
from .health import (
    Validation as Validation,
    healthy_window_probability as healthy_window_probability,
    validation as validation,
)
from .limits import (
    correlated_failures_variance as correlated_failures_variance,
    correlated_stop_probability as correlated_stop_probability,
    failures_to_stop as failures_to_stop,
    mean_dispatched_until_stop as mean_dispatched_until_stop,
    start_success_probability as start_success_probability,
    stop_probability as stop_probability,
)
from .line import (
    mean_restoration_s as mean_restoration_s,
    offline_after as offline_after,
    unheard_by_deadline as unheard_by_deadline,
    unreachable_at_turn as unreachable_at_turn,
)
from .pacing import (
    barrier_makespan_s as barrier_makespan_s,
    exponential_barrier_makespan_s as exponential_barrier_makespan_s,
    exponential_sliding_makespan_s as exponential_sliding_makespan_s,
    last_end_s as last_end_s,
)
from .rare import binomial_tail as binomial_tail, slowest_exceeds as slowest_exceeds, top_probability as top_probability
from .reports import (
    barrier_dispatched_until_report as barrier_dispatched_until_report,
    sliding_dispatched_until_report as sliding_dispatched_until_report,
)
from .requests import (
    largest_wave as largest_wave,
    loaded_window_probability as loaded_window_probability,
    lost_requests as lost_requests,
    overload_probability as overload_probability,
    shed_fraction as shed_fraction,
    traffic_s as traffic_s,
    waves_min_capacity_ratio as waves_min_capacity_ratio,
    waves_shed_requests as waves_shed_requests,
)
from .sensitivity import (
    SobolIndices as SobolIndices,
    ishigami as ishigami,
    ishigami_indices as ishigami_indices,
    rollout_time_indices as rollout_time_indices,
)
