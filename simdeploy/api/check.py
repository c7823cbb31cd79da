"""From plain values to a spec, with every problem told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from simdeploy.api.defaults import Dialect
from simdeploy.api.findings import build, not_a_group, unknown_keys_in
from simdeploy.api.spec import SPEC_TYPES, Spec
from simdeploy.api.wire import WireObject
from simdeploy.errors import Problem, cut, shorten


def spec_from_dict(raw: Mapping[str, Any], *, dialect: Dialect) -> tuple[Spec | None, list[Problem]]:
    """Check a spec that was written inline in a scenario, or in Python.

    Durations may be Go strings, or bare numbers: seconds in the deployment dialect, whole nanoseconds
    in the rollout dialect. The spec holds them in the dialect's own form on the wire.

    Parameters
    ----------
    raw : mapping
        The spec's keys, without ``dialect``; not changed.
    dialect : {'deployment', 'rollout'}
        The form it is written in: never guessed.

    Returns
    -------
    spec : DeploymentSpec or RolloutSpec or None
        None exactly when there are problems.
    problems : list of Problem
        All of them, those of `spec_problems` and unknown keys included; paths relative to the spec.

    Examples
    --------
    >>> spec, problems = spec_from_dict({"strategy": "immediate", "max_paralel": 3}, dialect="deployment")
    >>> print(problems[0])
    max_paralel: unknown key; did you mean 'max_parallel'?
    """
    if not isinstance(raw, Mapping):
        return None, [not_a_group(raw, ())]
    spec, problems = build_spec(raw, dialect=dialect)
    problems = list(cut([*problems, *unknown_keys_in(raw, SPEC_TYPES[dialect])]))
    return (None if problems else spec), problems


def build_spec(raw: Mapping[str, Any], *, dialect: Dialect) -> tuple[Spec | None, list[Problem]]:
    """Do as `spec_from_dict`, but let unknown keys pass: the way of JSON files."""
    spec, problems = build(SPEC_TYPES[dialect], raw)
    problems += contradictions(spec.to_dict() if spec else raw)
    return (None if problems else spec), problems


def spec_problems(spec: Spec) -> list[Problem]:
    """Name what makes a spec unusable although each of its values is allowed.

    That is: rolling or canary without a health check or without its deadline, and canary with neither
    count nor percent. A spec from `spec_from_dict` or from JSON has none of these.

    Examples
    --------
    >>> from simdeploy.api import DeploymentSpec
    >>> [problem.path for problem in spec_problems(DeploymentSpec(strategy="rolling"))]
    [('health_check',)]
    """
    return contradictions(spec.to_dict())


def contradictions(raw: Mapping[str, Any]) -> list[Problem]:
    """Do as `spec_problems` for a spec that is still plain values, each of which may be wrong."""
    strategy = raw.get("strategy")
    if strategy not in ("rolling", "canary"):
        return []
    problems: list[Problem] = []
    health_check = raw.get("health_check")
    if health_check is None:
        message = f"{strategy} needs a health check"
        problems.append(Problem(message, path=("health_check",), allowed='a health check with at least a "deadline"'))
    elif isinstance(health_check, Mapping) and health_check.get("deadline") in (None, ""):
        found = shorten(health_check["deadline"]) if "deadline" in health_check else None
        problems.append(Problem(f"{strategy} needs a deadline", path=("health_check", "deadline"), found=found))
    if strategy == "canary" and not any(_is_set(raw.get(key)) for key in ("canary_count", "canary_percent")):
        message = "canary without canaries: neither canary_count nor canary_percent is set (0 is unset)"
        problems.append(Problem(message, path=("strategy",), allowed="canary_count or canary_percent of at least 1"))
    return problems


def _is_set(size: object) -> bool:
    # A size of a wrong type is told where values are checked, and is no sign that none was meant.
    return size is not None and (isinstance(size, bool) or size != 0)


def unknown_keys(value: WireObject) -> list[Problem]:
    """List the keys that were kept although the API doesn't know them, each with the nearest that it does.

    Examples
    --------
    >>> from simdeploy.api import DeploymentSpec
    >>> [problem.path for problem in unknown_keys(DeploymentSpec(strategy="immediate", surge=3))]
    [('surge',)]
    """
    return [replace(problem, allowed=None) for problem in cut(unknown_keys_in(value.to_dict(), type(value)))]
