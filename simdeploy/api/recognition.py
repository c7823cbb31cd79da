"""Which dialect a JSON file is written in, by what only one of the two has; never by a guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simdeploy.api.defaults import Dialect
from simdeploy.errors import Problem, format_path

_DURATIONS = ("deadline", "min_healthy_time", "interval")
_KEYS: dict[str, Dialect] = {
    "min_healthy_time": "deployment",
    "interval": "rollout",
    "success_threshold": "rollout",
    "failure_threshold": "rollout",
}
_HOW = (
    "say which: 'dialect: deployment' or 'dialect: rollout' beside the file in a scenario, dialect=... in Python, "
    'or the wrapper {"deployment": {"spec": ...}} or {"rollout": {"spec": ...}} in the file'
)


def recognise(spec: Mapping[str, Any], wrapper: Dialect | None) -> Dialect | Problem:
    """Return the dialect that all evidence speaks for, or the problem of having none or contradicting ones.

    Evidence is the wrapping key, a health check's keys that only one dialect has, and the form of its
    durations: a string (deployment) or a number (rollout).

    Examples
    --------
    >>> recognise({"strategy": "rolling", "health_check": {"deadline": "5m"}}, None)
    'deployment'
    """
    evidence: dict[Dialect, list[str]] = {"deployment": [], "rollout": []}
    if wrapper is not None:
        evidence[wrapper].append(f"the key {wrapper}")
    health_check = spec.get("health_check")
    if isinstance(health_check, Mapping):
        for key in health_check:
            if key in _KEYS:
                evidence[_KEYS[key]].append(format_path(("health_check", key)))
        for key in _DURATIONS:
            value = health_check.get(key)
            if isinstance(value, str) and value:
                evidence["deployment"].append(f"the string in {format_path(('health_check', key))}")
            elif isinstance(value, int | float) and not isinstance(value, bool):
                evidence["rollout"].append(f"the number in {format_path(('health_check', key))}")
    spoken = [dialect for dialect, signs in evidence.items() if signs]
    if len(spoken) == 1:
        return spoken[0]
    if not spoken:
        return Problem("nothing here says whether the dialect is deployment or rollout", hint=_HOW)
    mix = "; ".join(f"{dialect}: {', '.join(signs)}" for dialect, signs in evidence.items())
    return Problem("a mix of the dialects deployment and rollout", found=mix, hint=_HOW)
