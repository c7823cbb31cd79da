from .check import plot_check as plot_check
from .comparison import plot_comparison as plot_comparison
from .costs import plot_costs as plot_costs
from .discovery import plot_discovery as plot_discovery, plot_peeling_path as plot_peeling_path
from .estimates import plot_estimates as plot_estimates
from .gates import plot_gates as plot_gates
from .heatmap import plot_heatmap as plot_heatmap
from .observation import plot_value_of_observation as plot_value_of_observation
from .pareto import plot_pareto as plot_pareto
from .ranking import plot_ranking as plot_ranking
from .rare import plot_rare as plot_rare
from .regret import plot_regret as plot_regret
from .sensitivity import plot_sensitivity as plot_sensitivity
from .timeline import plot_timeline as plot_timeline
from .tornado import plot_tornado as plot_tornado
from .tradeoff import plot_tradeoff as plot_tradeoff
from .tuning import plot_tuning as plot_tuning
