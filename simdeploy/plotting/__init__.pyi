from .advice import plot_acts as plot_acts, plot_forecast as plot_forecast, plot_kinds as plot_kinds
from .backtest import plot_backtest as plot_backtest
from .calibration import plot_calibration as plot_calibration
from .check import plot_check as plot_check
from .comparison import (
    plot_comparison as plot_comparison,
    plot_estimates as plot_estimates,
    plot_ranking as plot_ranking,
)
from .costs import plot_costs as plot_costs, plot_value_of_observation as plot_value_of_observation
from .discovery import plot_discovery as plot_discovery, plot_peeling_path as plot_peeling_path
from .distribution import plot_distribution as plot_distribution
from .fleet import plot_fleet as plot_fleet
from .gates import plot_gates as plot_gates
from .heatmap import plot_heatmap as plot_heatmap
from .pareto import plot_pareto as plot_pareto
from .rare import plot_rare as plot_rare
from .regret import plot_regret as plot_regret
from .scoring import plot_score as plot_score
from .sensitivity import plot_sensitivity as plot_sensitivity
from .switches import plot_tornado as plot_tornado
from .timeline import plot_timeline as plot_timeline
from .timelines import plot_timelines as plot_timelines
from .tradeoff import plot_tradeoff as plot_tradeoff
from .tuning import plot_settings as plot_settings, plot_tuning as plot_tuning
