"""One module for each kind of file with records, with `KIND`, `recognises(content)` and `read(contents)`.

Other packages use `SOURCES` (`simdeploy.records.reading`), and the names of series that `prometheus` finds.
"""

from types import ModuleType

from simdeploy.records.sources import (
    act_table,
    argo_analysis_runs,
    cdevents,
    deployment_objects,
    node_table,
    nomad,
    outage_log,
    prometheus,
    rollout_folder,
    rollout_table,
    window_table,
)

SOURCES: tuple[ModuleType, ...] = (
    rollout_folder,
    node_table,
    window_table,
    rollout_table,
    act_table,
    outage_log,
    deployment_objects,
    nomad,
    argo_analysis_runs,
    prometheus,
    cdevents,
)

__all__ = ["SOURCES", "prometheus"]
