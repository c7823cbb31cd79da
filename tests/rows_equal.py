"""Compare rows of responses of the two engines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from simdeploy.engines.running import run_block
from simdeploy.scenario import Scenario, ScenarioPolicy
from simdeploy.vocabulary import RESPONSES

if TYPE_CHECKING:
    from simdeploy.engines.compiled.engine import Prepared

REPLICATIONS = 3

Row = dict[str, Any]

# The total that each excess is a part of.
WHOLE_OF = {
    "unavailable_excess_node_s": "unavailable_node_s",
    "lost_requests_excess": "lost_requests",
    "shed_requests_excess": "shed_requests",
}


def run(
    scenario: Scenario,
    policies: Sequence[ScenarioPolicy],
    engine: str,
    seed: int,
    first: int = 0,
    replications: int = REPLICATIONS,
    prepared: Prepared | None = None,
) -> list[list[Row]]:
    """Return what a block holds, by policy and replication."""
    block = run_block(scenario, policies, seed=seed, first=first, count=replications, engine=engine, prepared=prepared)
    return [[block.row(policy, place) for place in range(replications)] for policy in range(len(policies))]


def are_equal(name: str, one: Row, other: Row, rel_tol: float) -> bool:
    """Compare a response: words, whole numbers and missing values exactly."""
    a, b = one.get(name), other.get(name)
    if a == b or (a != a and b != b):
        return True
    if RESPONSES.get(name) != "float64" or a is None or b is None:
        return False
    # An excess is a difference of two integrals, and as exact as they are.
    scale = abs(one[WHOLE_OF[name]]) if name in WHOLE_OF else 0.0
    return math.isclose(a, b, rel_tol=rel_tol, abs_tol=rel_tol * scale)


def differences(
    names: Sequence[str], expected: list[list[Row]], found: list[list[Row]], rel_tol: float = 1e-9
) -> list[str]:
    """Return the responses that differ, one line each."""
    return [
        f"policy {policy}, replication {replication}: {name} should be {one.get(name)!r} and is {other.get(name)!r}"
        for policy, of_one, of_other in zip(names, expected, found, strict=True)
        for replication, (one, other) in enumerate(zip(of_one, of_other, strict=True))
        for name in one | other
        if not are_equal(name, one, other, rel_tol)
    ]
