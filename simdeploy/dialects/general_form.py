"""Conversion of a spec of the API to the general dialect, and back if the API can express it."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from simdeploy.api import (
    DEFAULTS,
    DeploymentSpec,
    GeneralHealthCheck,
    GeneralSpec,
    HealthCheck,
    RolloutHealthCheck,
    RolloutSpec,
)
from simdeploy.api.general import duration_ns
from simdeploy.api.values import MAX_COUNT
from simdeploy.errors import Problem, raise_if_any, shorten
from simdeploy.units import exact, format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simdeploy.api import Dialect

# Keys with the same meaning in both forms.
_SHARED = ("strategy", "canary_count", "canary_percent", "auto_promote", "no_auto_rollback")
_LIMITS = ("max_failed_nodes", "max_failed_nodes_percent")


def to_general(
    spec: DeploymentSpec | RolloutSpec,
    *,
    interval_ns: int,  # length of an evaluation window where the dialect states none, nanoseconds
) -> GeneralSpec:
    """Return a spec of the API in the general dialect, with its defaults made explicit.

    Examples
    --------
    >>> to_general(DeploymentSpec(strategy="immediate"), interval_ns=10**10).to_dict()
    {'strategy': 'immediate', 'max_failed_nodes': 10, 'max_failed_nodes_percent': 10.0}
    """
    raw: dict[str, Any] = {key: getattr(spec, key) for key in _SHARED if getattr(spec, key) is not None}
    raw |= {key: spec.effective(key) for key in _LIMITS}
    if spec.strategy == "immediate":
        return GeneralSpec(**raw)
    health_check: HealthCheck | RolloutHealthCheck
    if isinstance(spec, DeploymentSpec):
        raw["max_parallel"] = spec.effective("max_parallel")
        health_check = spec.health_check or HealthCheck()
        times = {
            "deadline": health_check.deadline,
            "min_healthy_time": health_check.effective("min_healthy_time"),
            "interval": format_duration(interval_ns),
        }
    else:
        raw["max_parallel"] = f"{spec.effective('max_parallel') or DEFAULTS['rollout']['max_parallel']}%"
        health_check = spec.health_check or RolloutHealthCheck()
        times = {
            "deadline": None if health_check.deadline_ns is None else format_duration(health_check.deadline_ns),
            "interval": format_duration(health_check.interval_ns),
            "success_threshold": health_check.effective("success_threshold"),
            "failure_threshold": health_check.effective("failure_threshold"),
        }
    gate = {} if health_check.gate is None else {"gate": health_check.gate.to_dict()}
    raw["health_check"] = GeneralHealthCheck(**times, max_error_rate=health_check.effective("max_error_rate"), **gate)
    return GeneralSpec(**raw)


def from_general(
    spec: GeneralSpec, dialect: Dialect, *, nodes: int, interval_ns: int
) -> tuple[DeploymentSpec | RolloutSpec, list[str]]:
    """Return a general spec in a dialect of the API, with notes on keys that change their form.

    Raises
    ------
    InputError
        With every key that this dialect can't express.

    Examples
    --------
    >>> spec = GeneralSpec(strategy="rolling", surge=2, health_check={"deadline": "5m"})
    >>> from_general(spec, "deployment", nodes=10, interval_ns=10**10)
    Traceback (most recent call last):
    ...
    simdeploy.errors.InputError: surge: the deployment dialect can't express this (found 2)
    """
    problems = list(_inexpressible(spec, dialect, nodes, interval_ns))
    raise_if_any(problems)
    raw: dict[str, Any] = {key: getattr(spec, key) for key in _SHARED if getattr(spec, key) is not None}
    raw["max_failed_nodes"] = MAX_COUNT if spec.max_failed_nodes is None else spec.max_failed_nodes
    percent = spec.max_failed_nodes_percent
    raw["max_failed_nodes_percent"] = 100.0 if percent is None else percent
    notes = [f"{key}: no limit, written as one that no fleet exceeds" for key in _LIMITS if getattr(spec, key) is None]
    if spec.strategy == "immediate":
        return (DeploymentSpec(**raw) if dialect == "deployment" else RolloutSpec(**raw)), notes
    check = spec.health_check or GeneralHealthCheck()
    rate = 1.0 if check.max_error_rate is None else check.max_error_rate
    if dialect == "deployment":
        raw["max_parallel"] = _nodes_of(spec.max_parallel, nodes)
        health_check = {"deadline": check.deadline, "min_healthy_time": check.min_healthy_time or "0s"}
        return DeploymentSpec(**raw, health_check=HealthCheck(**health_check, max_error_rate=rate)), notes
    raw["max_parallel"] = 100 if not spec.max_parallel else int(exact(float(str(spec.max_parallel).rstrip("%"))))
    windows = {
        "deadline": check.deadline_ns,
        "interval": duration_ns(check.interval) or interval_ns,
        "success_threshold": check.success_threshold,
        "failure_threshold": check.failure_threshold or MAX_COUNT,
    }
    return RolloutSpec(**raw, health_check=RolloutHealthCheck(**windows, max_error_rate=rate)), notes


def _nodes_of(amount: int | str | None, nodes: int) -> int:
    if isinstance(amount, str):
        return ceil(exact(float(amount.rstrip("%"))) * nodes / 100)
    return amount or 0


def _inexpressible(spec: GeneralSpec, dialect: Dialect, nodes: int, interval_ns: int) -> Iterator[Problem]:
    """Yield a problem for every key that a dialect of the API can't express."""

    def refuse(value: object, *path: str, hint: str | None = None) -> Problem:
        return Problem(f"the {dialect} dialect can't express this", path, found=shorten(value), hint=hint)

    known = DeploymentSpec.model_fields
    for key, value in spec.to_dict().items():
        if key not in known and value not in (None, 0, False, "0s"):
            yield refuse(value, key)
    if spec.strategy == "immediate":
        return
    check = spec.health_check or GeneralHealthCheck()
    if check.gate is not None and check.gate.kind != "threshold":
        yield refuse(check.gate.kind, "health_check", "gate")
    if check.cumulative_failures:
        yield refuse(True, "health_check", "cumulative_failures")
    own_ns = duration_ns(check.interval)
    amount = spec.max_parallel
    if dialect == "deployment":
        if own_ns is not None and own_ns != interval_ns:
            yield refuse(check.interval, "health_check", "interval")
        for key in ("success_threshold", "failure_threshold"):
            if getattr(check, key) is not None:
                yield refuse(getattr(check, key), "health_check", key)
    else:
        if check.success_threshold is None:
            yield refuse(
                check.min_healthy_time or "0s", "health_check", "min_healthy_time", hint="use success_threshold"
            )
        is_whole = isinstance(amount, str) and exact(float(amount.rstrip("%"))).denominator == 1
        if amount and not is_whole and amount != nodes:
            yield refuse(amount, "max_parallel", hint="it takes a whole percentage of the nodes")
