from .advice.advising import advise as advise, forecast as forecast
from .advice.result import Advice as Advice, Forecast as Forecast
from .backtest.backtesting import backtest as backtest
from .backtest.result import Backtest as Backtest
from .bands import Timelines as Timelines, timelines as timelines
from .calibration import Calibration as Calibration, calibrate as calibrate
from .checking.checking import Check as Check, check as check
from .comparison.compare import Comparison as Comparison, compare as compare
from .costs.causes import CostResult as CostResult, estimate_costs as estimate_costs
from .costs.information import (
    InformationResult as InformationResult,
    value_of_perfect_information as value_of_perfect_information,
)
from .costs.observation import ObservationResult as ObservationResult, value_of_observation as value_of_observation
from .discovery.discovering import discover as discover
from .discovery.finding import find_boxes as find_boxes
from .discovery.result import Discovery as Discovery
from .estimates.estimating import Estimates as Estimates, estimate as estimate
from .estimates.grid import GridSummary as GridSummary, summarize_grid as summarize_grid
from .estimates.precision import (
    replicate_to_precision as replicate_to_precision,
    sweep_to_precision as sweep_to_precision,
)
from .estimates.precision_result import Precision as Precision
from .gates.comparing import compare_gates as compare_gates
from .gates.result import GateComparison as GateComparison
from .rare.estimating import estimate_rare as estimate_rare
from .rare.result import Rare as Rare
from .regret.robustness import Robustness as Robustness, estimate_regret as estimate_regret
from .scoring.result import Score as Score
from .scoring.scoring import score as score
from .sensitivity.analyzing import analyze_sensitivity as analyze_sensitivity
from .sensitivity.designs import SensitivityDesign as SensitivityDesign, design_sensitivity as design_sensitivity
from .sensitivity.estimating import estimate_sensitivity as estimate_sensitivity
from .sensitivity.result import Sensitivity as Sensitivity
from .switches.result import Switches as Switches
from .switches.varying import vary_switches as vary_switches
from .tradeoffs.moving import Tradeoff as Tradeoff, tradeoff as tradeoff
from .tradeoffs.pareto import ParetoFront as ParetoFront, pareto_front as pareto_front
from .tuning import Tuning as Tuning, tune as tune
