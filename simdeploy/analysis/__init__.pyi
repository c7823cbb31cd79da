from .checking.checking import Check as Check
from .checking.checking import check as check
from .comparison.compare import Comparison as Comparison
from .comparison.compare import compare as compare
from .costs.causes import CostResult as CostResult
from .costs.causes import estimate_costs as estimate_costs
from .costs.information import (
    InformationResult as InformationResult,
)
from .costs.information import (
    value_of_perfect_information as value_of_perfect_information,
)
from .costs.observation import ObservationResult as ObservationResult
from .costs.observation import value_of_observation as value_of_observation
from .discovery.discovering import discover as discover
from .discovery.finding import find_boxes as find_boxes
from .discovery.result import Discovery as Discovery
from .estimates.estimating import Estimates as Estimates
from .estimates.estimating import estimate as estimate
from .estimates.grid import GridSummary as GridSummary
from .estimates.grid import summarize_grid as summarize_grid
from .estimates.precision import replicate_to_precision as replicate_to_precision
from .estimates.precision import sweep_to_precision as sweep_to_precision
from .estimates.precision_result import Precision as Precision
from .gates.comparing import compare_gates as compare_gates
from .gates.result import GateComparison as GateComparison
from .rare.estimating import estimate_rare as estimate_rare
from .rare.result import Rare as Rare
from .regret.robustness import Robustness as Robustness
from .regret.robustness import estimate_regret as estimate_regret
from .sensitivity.analyzing import analyze_sensitivity as analyze_sensitivity
from .sensitivity.designs import SensitivityDesign as SensitivityDesign
from .sensitivity.designs import design_sensitivity as design_sensitivity
from .sensitivity.estimating import estimate_sensitivity as estimate_sensitivity
from .sensitivity.result import Sensitivity as Sensitivity
from .switches.result import Switches as Switches
from .switches.varying import vary_switches as vary_switches
from .tradeoffs.moving import Tradeoff as Tradeoff
from .tradeoffs.moving import tradeoff as tradeoff
from .tradeoffs.pareto import ParetoFront as ParetoFront
from .tradeoffs.pareto import pareto_front as pareto_front
from .tuning import Tuning as Tuning
from .tuning import tune as tune
