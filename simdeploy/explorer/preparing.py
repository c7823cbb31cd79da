"""Make an explorer from a user's arguments, with an engine fast enough for moving sliders."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from simdeploy.engines.choice import check_engine, has_address_space, why_not_compiled
from simdeploy.explorer.answering import Explorer

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy


def make_explorer(
    scenario: Scenario,
    policies: Mapping[str, ScenarioPolicy],
    *,
    seed: int = 0,
    confidence_level: float = 0.95,
    engine: str = "auto",
) -> Explorer:
    """Return an explorer; ``auto`` is the compiled engine as soon as it has been compiled on this machine.

    Both engines give the same numbers, but the compiled one is fast enough for large estimates.
    """
    check_engine(engine, [scenario])
    can_compile = scenario.past is None and has_address_space() and why_not_compiled() is None
    chosen = engine
    if engine == "auto":
        chosen = "compiled" if can_compile and _is_compiled(scenario, policies) else "reference"
    prepare = begin_loading if engine == "auto" and can_compile else None
    return Explorer(scenario, policies, seed=seed, confidence_level=confidence_level, engine=chosen, prepare=prepare)


def begin_loading(explorer: Explorer) -> None:
    """Load the compiled engine in a thread; meanwhile the explorer answers with its current engine."""
    explorer.awaits_engine = explorer.engine != "compiled"
    threading.Thread(target=_load, args=(explorer,), name="simdeploy-loading", daemon=True).start()


def _is_compiled(scenario: Scenario, policies: Mapping[str, ScenarioPolicy]) -> bool:
    from simdeploy.engines.compiled.engine import expect_compiling

    return expect_compiling([(scenario, list(policies.values()))]) == 0


def _load(explorer: Explorer) -> None:
    """Load the compiled engine for the explorer: takes seconds, or a minute if it has to be compiled first."""
    from simdeploy.experiments.replication import replicate

    try:
        replicate(explorer.scenario, explorer.policies, replications=2, engine="compiled")
        explorer.engine = "compiled"
    finally:
        explorer.awaits_engine = False
