from . import plotting as plotting
from .analysis import (
    Advice as Advice,
    Backtest as Backtest,
    Calibration as Calibration,
    Check as Check,
    Comparison as Comparison,
    CostResult as CostResult,
    Discovery as Discovery,
    Estimates as Estimates,
    Forecast as Forecast,
    GateComparison as GateComparison,
    GridSummary as GridSummary,
    InformationResult as InformationResult,
    ObservationResult as ObservationResult,
    ParetoFront as ParetoFront,
    Precision as Precision,
    Rare as Rare,
    Robustness as Robustness,
    Score as Score,
    Sensitivity as Sensitivity,
    SensitivityDesign as SensitivityDesign,
    Switches as Switches,
    Timelines as Timelines,
    Tradeoff as Tradeoff,
    Tuning as Tuning,
    advise as advise,
    analyze_sensitivity as analyze_sensitivity,
    backtest as backtest,
    calibrate as calibrate,
    check as check,
    compare as compare,
    compare_gates as compare_gates,
    design_sensitivity as design_sensitivity,
    discover as discover,
    estimate as estimate,
    estimate_costs as estimate_costs,
    estimate_rare as estimate_rare,
    estimate_regret as estimate_regret,
    estimate_sensitivity as estimate_sensitivity,
    find_boxes as find_boxes,
    forecast as forecast,
    pareto_front as pareto_front,
    replicate_to_precision as replicate_to_precision,
    score as score,
    sweep_to_precision as sweep_to_precision,
    timelines as timelines,
    tradeoff as tradeoff,
    tune as tune,
    value_of_observation as value_of_observation,
    value_of_perfect_information as value_of_perfect_information,
    vary_switches as vary_switches,
)
from .api import read_deployment as read_deployment
from .dialects import PolicyImport as PolicyImport, read_policy as read_policy
from .documents import read_result as read_result, result_schema as result_schema
from .engines import OneRollout as OneRollout, Rollout as Rollout, simulate as simulate
from .errors import (
    InputError as InputError,
    Problem as Problem,
    SimdeployError as SimdeployError,
    SimdeployWarning as SimdeployWarning,
    SimulationError as SimulationError,
)
from .experiments import Range as Range, read_store as read_store, replicate as replicate
from .experiments.batches import read_batches as read_batches
from .experiments.sweep import sweep as sweep
from .explorer import explore as explore
from .records import Records as Records, read_records as read_records
from .scenario import (
    Scenario as Scenario,
    load_example as load_example,
    read_scenario as read_scenario,
    scenario_schema as scenario_schema,
)
from .sharing import write_report as write_report
from .statistics.selection import Selection as Selection
from .validation import (
    Decisions as Decisions,
    Verification as Verification,
    verify as verify,
    verify_decisions as verify_decisions,
)
from .world.tilt import Tilt as Tilt

__version__: str
