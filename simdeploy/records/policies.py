"""Policies in the form of records."""

from __future__ import annotations

import json
import math
from typing import Any

from simdeploy.api.document import DeploymentDocument
from simdeploy.units import NS_PER_S


def write_policy(document: DeploymentDocument) -> str:
    """Return a policy as JSON, with its dialect and its own orchestrator.

    Examples
    --------
    >>> from simdeploy.api.document import parse_deployment
    >>> write_policy(parse_deployment('{"deployment": {"id": "d", "spec": {"strategy": "immediate"}}}'))
    '{"dialect": "deployment", "strategy": "immediate"}'
    """
    switches = {} if document.orchestrator is None else {"orchestrator": document.orchestrator}
    return json.dumps({"dialect": document.dialect, **document.spec.to_dict(), **switches})


def read_health_times(spec: Any) -> dict[str, float]:
    """Return the interval and the deadline of a spec's health checks, as columns of rollouts; NaN if not stated."""
    check = None if spec.strategy == "immediate" else spec.health_check
    times_ns = {"interval_s": getattr(check, "interval_ns", None), "deadline_s": getattr(check, "deadline_ns", None)}
    return {name: math.nan if time_ns is None else time_ns / NS_PER_S for name, time_ns in times_ns.items()}
