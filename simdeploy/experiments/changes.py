"""A policy with other values of its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from simdeploy.api.gate import READ_BY
from simdeploy.errors import InputError
from simdeploy.units import NS_PER_S, exact, format_duration, round_half_up

if TYPE_CHECKING:
    from simdeploy.experiments.levers import Lever
    from simdeploy.scenario import Scenario, ScenarioPolicy

GATE = "health_check.gate"
GATE_KIND = f"{GATE}.kind"


def change_policy(
    base: ScenarioPolicy, values: Mapping[Lever, Any], scenario: Scenario, own: Mapping[str, Any]
) -> ScenarioPolicy:
    """Return a policy with other values, as it is in a scenario.

    Parameters
    ----------
    values : mapping of Lever to value
        None leaves the key to its default. A number for a duration is seconds in both dialects. Where the kind of the
        gate is among them, whatever that kind doesn't read is left out of the gate.
    own : mapping
        What the policy says of its identity itself; see `own_identity`.

    Raises
    ------
    InputError
        With all problems; paths from the spec on.
    """
    from simdeploy.api.check import build_spec

    raw = base.spec.to_dict()
    for lever, value in values.items():
        *above, last = lever.path.split(".")
        node = raw
        for key in above:
            node[key] = node = node.get(key) or {}
        node[last] = value
        if base.spec.dialect == "rollout" and lever.kind == "duration" and isinstance(value, int | float):
            node[last] = format_duration(round_half_up(exact(value) * NS_PER_S))
    if any(lever.path == GATE_KIND for lever in values):
        raw["health_check"]["gate"] = keep_what_is_read(raw["health_check"]["gate"])
    spec, problems = build_spec(raw, dialect=base.spec.dialect)
    if spec is None:
        raise InputError(problems)
    made = scenario.policy(spec)
    return replace(made, name=base.name, identity=replace(made.identity, **own) if own else made.identity)


def own_identity(policy: ScenarioPolicy, scenario: Scenario) -> dict[str, Any]:
    """Return what a policy that was read from JSON says of its identity itself: type, ids, versions."""
    around = asdict(scenario.identity)
    return {key: value for key, value in asdict(policy.identity).items() if value != around[key]}


def keep_what_is_read(gate: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a gate without the keys that its kind doesn't read; None without a kind.

    Examples
    --------
    >>> keep_what_is_read({"kind": "pooled", "over": "window", "alpha": 0.05})
    {'kind': 'pooled', 'over': 'window'}
    """
    kind = gate.get("kind")
    if kind is None:
        return None
    # What is no kind at all is found when the spec is built.
    return {key: value for key, value in gate.items() if key == "kind" or key in READ_BY.get(kind, gate)}
