"""Pictures: every function draws on the axes it is given and returns them; no global state is touched.

Each function is imported when it is first used, so that a picture costs no more than what it shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simdeploy.lazy import find_name

if TYPE_CHECKING:
    from simdeploy.plotting.check import plot_check
    from simdeploy.plotting.comparison import plot_comparison
    from simdeploy.plotting.costs import plot_costs
    from simdeploy.plotting.discovery import plot_discovery, plot_peeling_path
    from simdeploy.plotting.estimates import plot_estimates
    from simdeploy.plotting.gates import plot_gates
    from simdeploy.plotting.heatmap import plot_heatmap
    from simdeploy.plotting.observation import plot_value_of_observation
    from simdeploy.plotting.pareto import plot_pareto
    from simdeploy.plotting.ranking import plot_ranking
    from simdeploy.plotting.rare import plot_rare
    from simdeploy.plotting.regret import plot_regret
    from simdeploy.plotting.sensitivity import plot_sensitivity
    from simdeploy.plotting.timeline import plot_timeline
    from simdeploy.plotting.tornado import plot_tornado
    from simdeploy.plotting.tradeoff import plot_tradeoff
    from simdeploy.plotting.tuning import plot_tuning

_HOMES = {
    "plot_check": "simdeploy.plotting.check",
    "plot_comparison": "simdeploy.plotting.comparison",
    "plot_costs": "simdeploy.plotting.costs",
    "plot_discovery": "simdeploy.plotting.discovery",
    "plot_estimates": "simdeploy.plotting.estimates",
    "plot_gates": "simdeploy.plotting.gates",
    "plot_heatmap": "simdeploy.plotting.heatmap",
    "plot_pareto": "simdeploy.plotting.pareto",
    "plot_peeling_path": "simdeploy.plotting.discovery",
    "plot_ranking": "simdeploy.plotting.ranking",
    "plot_rare": "simdeploy.plotting.rare",
    "plot_regret": "simdeploy.plotting.regret",
    "plot_sensitivity": "simdeploy.plotting.sensitivity",
    "plot_timeline": "simdeploy.plotting.timeline",
    "plot_tornado": "simdeploy.plotting.tornado",
    "plot_tradeoff": "simdeploy.plotting.tradeoff",
    "plot_tuning": "simdeploy.plotting.tuning",
    "plot_value_of_observation": "simdeploy.plotting.observation",
}

__all__ = [
    "plot_check",
    "plot_comparison",
    "plot_costs",
    "plot_discovery",
    "plot_estimates",
    "plot_gates",
    "plot_heatmap",
    "plot_pareto",
    "plot_peeling_path",
    "plot_ranking",
    "plot_rare",
    "plot_regret",
    "plot_sensitivity",
    "plot_timeline",
    "plot_tornado",
    "plot_tradeoff",
    "plot_tuning",
    "plot_value_of_observation",
]


def __getattr__(name: str) -> Any:
    return find_name(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
