from . import plotting as plotting
from .analysis import (
    Check as Check,
)
from .analysis import (
    Comparison as Comparison,
)
from .analysis import (
    CostResult as CostResult,
)
from .analysis import (
    Discovery as Discovery,
)
from .analysis import (
    Estimates as Estimates,
)
from .analysis import (
    GateComparison as GateComparison,
)
from .analysis import (
    GridSummary as GridSummary,
)
from .analysis import (
    InformationResult as InformationResult,
)
from .analysis import (
    ObservationResult as ObservationResult,
)
from .analysis import (
    ParetoFront as ParetoFront,
)
from .analysis import (
    Precision as Precision,
)
from .analysis import (
    Rare as Rare,
)
from .analysis import (
    Robustness as Robustness,
)
from .analysis import (
    Sensitivity as Sensitivity,
)
from .analysis import (
    SensitivityDesign as SensitivityDesign,
)
from .analysis import (
    Switches as Switches,
)
from .analysis import (
    Tradeoff as Tradeoff,
)
from .analysis import (
    Tuning as Tuning,
)
from .analysis import (
    analyze_sensitivity as analyze_sensitivity,
)
from .analysis import (
    check as check,
)
from .analysis import (
    compare as compare,
)
from .analysis import (
    compare_gates as compare_gates,
)
from .analysis import (
    design_sensitivity as design_sensitivity,
)
from .analysis import (
    discover as discover,
)
from .analysis import (
    estimate as estimate,
)
from .analysis import (
    estimate_costs as estimate_costs,
)
from .analysis import (
    estimate_rare as estimate_rare,
)
from .analysis import (
    estimate_regret as estimate_regret,
)
from .analysis import (
    estimate_sensitivity as estimate_sensitivity,
)
from .analysis import (
    find_boxes as find_boxes,
)
from .analysis import (
    pareto_front as pareto_front,
)
from .analysis import (
    replicate_to_precision as replicate_to_precision,
)
from .analysis import (
    sweep_to_precision as sweep_to_precision,
)
from .analysis import (
    tradeoff as tradeoff,
)
from .analysis import (
    tune as tune,
)
from .analysis import (
    value_of_observation as value_of_observation,
)
from .analysis import (
    value_of_perfect_information as value_of_perfect_information,
)
from .analysis import (
    vary_switches as vary_switches,
)
from .api import read_deployment as read_deployment
from .documents import read_result as read_result
from .documents import result_schema as result_schema
from .engines import OneRollout as OneRollout
from .engines import Rollout as Rollout
from .engines import simulate as simulate
from .errors import (
    InputError as InputError,
)
from .errors import (
    Problem as Problem,
)
from .errors import (
    SimdeployError as SimdeployError,
)
from .errors import (
    SimdeployWarning as SimdeployWarning,
)
from .errors import (
    SimulationError as SimulationError,
)
from .experiments import Range as Range
from .experiments import read_store as read_store
from .experiments import replicate as replicate
from .experiments.batches import read_batches as read_batches
from .experiments.sweep import sweep as sweep
from .scenario import Scenario as Scenario
from .scenario import read_scenario as read_scenario
from .scenario import scenario_schema as scenario_schema
from .statistics.selection import Selection as Selection
from .validation import Verification as Verification
from .validation import verify as verify
from .world.tilt import Tilt as Tilt

__version__: str
