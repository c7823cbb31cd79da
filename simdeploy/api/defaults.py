"""What the API documents for a field that is left out, per dialect: the one table of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from simdeploy.units import NS_PER_S

Dialect = Literal["deployment", "rollout"]

_BOTH: dict[str, bool | int | float | str] = {
    "auto_promote": False,
    "max_error_rate": 0.10,
    "max_failed_nodes": 10,
    "max_failed_nodes_percent": 10.0,
    "no_auto_rollback": False,
}

DEFAULTS: Mapping[Dialect, Mapping[str, bool | int | float | str]] = MappingProxyType(
    {
        "deployment": MappingProxyType(_BOTH | {"max_parallel": 0, "min_healthy_time": "30s"}),
        "rollout": MappingProxyType(
            _BOTH | {"max_parallel": 10, "interval": 10 * NS_PER_S, "success_threshold": 2, "failure_threshold": 3}
        ),
    }
)
