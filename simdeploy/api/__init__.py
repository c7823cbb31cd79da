"""The API's deployment object, field by field, in both dialects, and the general dialect, which can express more.

Other packages use frozen pydantic models: `Deployment`, `DeploymentStatus`, and per dialect `DeploymentSpec` with
`HealthCheck`, `RolloutSpec` with `RolloutHealthCheck`, `GeneralSpec` with `GeneralHealthCheck` and `WaveEntry`.
They read JSON with `read_deployment` and `parse_deployment`, and specs in a scenario or in Python with `spec_from_dict`.
Readers of other files also use `check`, `deployment`, `document`, `files`, `gate`, `general`, `json_text`, `spec`,
`times`, `values`, `wire` and `yaml_errors`.
"""

from simdeploy.api.check import spec_from_dict, spec_problems, unknown_keys
from simdeploy.api.deployment import Deployment, DeploymentStatus
from simdeploy.api.document import DeploymentDocument, parse_deployment, read_deployment
from simdeploy.api.general import GeneralHealthCheck, GeneralSpec, WaveEntry
from simdeploy.api.spec import DeploymentSpec, HealthCheck, RolloutHealthCheck, RolloutSpec, Spec
from simdeploy.api.times import format_time, parse_time, time_in_week
from simdeploy.api.wire import DEFAULTS, Dialect, canonical_json

__all__ = [
    "DEFAULTS",
    "Deployment",
    "DeploymentDocument",
    "DeploymentSpec",
    "DeploymentStatus",
    "Dialect",
    "GeneralHealthCheck",
    "GeneralSpec",
    "HealthCheck",
    "RolloutHealthCheck",
    "RolloutSpec",
    "Spec",
    "WaveEntry",
    "canonical_json",
    "format_time",
    "parse_deployment",
    "parse_time",
    "read_deployment",
    "spec_from_dict",
    "spec_problems",
    "time_in_week",
    "unknown_keys",
]
