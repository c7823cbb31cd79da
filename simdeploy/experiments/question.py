"""What a sweep asks, in values that JSON knows: by it a folder of rows is recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from simdeploy.experiments.changes import own_identity
from simdeploy.experiments.design import Design, LatinHypercube, Points

if TYPE_CHECKING:
    from simdeploy.experiments.subjects import Bases
    from simdeploy.scenario import Scenario

# No row depends on these; the policies that are tried are told beside it.
_NO_MATTER = ("description", "policies", "costs", "requirements")


def make_question(
    scenarios: Mapping[str, Scenario],
    bases: Bases,
    points: Points,
    design: Design,
    *,
    replications: range,
    seed: int,
    engine: str,
) -> dict[str, Any]:
    """Return everything that decides on the rows and their order.

    Parameters
    ----------
    bases : mapping of (str, str) to ScenarioPolicy
        The policy that values are tried on, by scenario and policy.
    design : {'grid', 'list'} or LatinHypercube

    Returns
    -------
    dict
        `scenario` and `policies` by name, those without what isn't tried, these by scenario; `vary`, `design`,
        `replications`, `first_replication`, `seed`, `engine`, and the `switches` of each scenario.
    """
    worlds = {name: scenario.to_question() for name, scenario in scenarios.items()}
    policies: dict[str, dict[str, Any]] = {}
    for (scenario_name, name), base in bases.items():
        asked = {"dialect": base.spec.dialect, "spec": base.spec.to_dict()}
        identity = own_identity(base, scenarios[scenario_name])
        policies.setdefault(name, {})[scenario_name] = asked | ({"identity": identity} if identity else {})
    return {
        "scenario": {name: {key: raw[key] for key in raw if key not in _NO_MATTER} for name, raw in worlds.items()},
        "policies": policies,
        "vary": dict(zip((lever.name for lever in points.levers), points.asked, strict=True)),
        "design": _describe_design(design, points),
        "replications": len(replications),
        "first_replication": replications.start,
        "seed": seed,
        "engine": engine,
        "switches": {name: scenario.orchestrator.switches() for name, scenario in scenarios.items()},
    }


def describe_surroundings(scenarios: Mapping[str, Scenario], *, seed: int, engine: str) -> dict[str, Any]:
    """Return under what a table is computed, and what it costs: of one scenario, or of several by their names."""
    names = list(scenarios)
    switches = {name: scenario.orchestrator.switches() for name, scenario in scenarios.items()}
    tilts = {name: scenario.tilt.factors for name, scenario in scenarios.items() if scenario.tilt is not None}
    costs = {name: asdict(scenario.costs) for name, scenario in scenarios.items() if scenario.costs is not None}
    by_name = {"switches": switches, "tilt": tilts, "costs": costs}
    return {
        "scenario": names[0] if len(names) == 1 else names,
        "seed": seed,
        "engine": engine,
        **{key: of[names[0]] if len(names) == 1 else of for key, of in by_name.items() if of},
    }


def _describe_design(design: Design, points: Points) -> Any:
    if not isinstance(design, LatinHypercube):
        return design
    # Another version of the library might spread the points otherwise.
    sampled = json.dumps([points.values, points.index.tolist()]).encode()
    return {"latin_hypercube": design.points, "sha256": hashlib.sha256(sampled).hexdigest()}
