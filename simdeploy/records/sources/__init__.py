"""One module for each kind of file that records come in, with `KIND`, `recognises(content)` and `read(contents, names)`.

From outside: `SOURCES`, which `simdeploy.records.reading` goes through.
"""

from types import ModuleType

from simdeploy.records.sources import (
    act_table,
    node_table,
    outage_log,
    rollout_folder,
    rollout_table,
    window_table,
)

SOURCES: tuple[ModuleType, ...] = (rollout_folder, node_table, window_table, rollout_table, act_table, outage_log)

__all__ = ["SOURCES"]
