"""The choice of the engine, by name or by expected time, and the memory that each needs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from simdeploy.errors import InputError, Problem, nearest, shorten, warn_user
from simdeploy.memory import find_free_address_space

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

ENGINES = ("auto", "compiled", "reference")

# Rough times of a node's update, and of loading and compiling the compiled engine before its first rollout.
_S_PER_NODE = {"reference": 5e-5, "compiled": 1e-7}
_LOADING_S = 4.0
_COMPILING_S = 60.0  # at most

MOST_BYTES = 2_000_000_000
# Bytes per node: tables of the compiled engine (72 numbers of 8 bytes, one more for each distinct number of windows in the
# policies, and 28 for a wave, in case each node is one), and measured records of the reference engine, and of each window.
_COMPILED, _COMPILED_WINDOWS = 792, 8
_COMPILED_SHARED = 680  # more if nodes share their requests
_COMPILED_LINES = 56  # and if lines break
_REFERENCE, _REFERENCE_WINDOW = 6_500, 170
# Reserved by libraries, the compiler and their threads; with less, some of them end the process without a message.
_ADDRESS_SPACE = 1_500_000_000
_BYTES_PER_GB = 1e9


def check_engine(engine: object, scenarios: Iterable[Scenario] = ()) -> None:
    """Refuse an unknown name, and the compiled engine if numba can't be used or worlds are rollouts on record.

    Raises
    ------
    InputError
        With the nearest name, what to install, or the engine to use.
    """
    if engine == "compiled":
        import_module("simdeploy.engines.compiled")  # raises if numba can't be used
    if engine not in ENGINES:
        hint = nearest(engine, ENGINES)
        raise InputError(
            Problem("unknown engine", ("engine",), found=shorten(engine), allowed=", ".join(ENGINES), hint=hint)
        )
    if engine == "compiled" and _any_on_record(scenarios):
        message = "only the reference engine simulates rollouts on record (`fleet.records`)"
        raise InputError(Problem(message, ("engine",), found="compiled", allowed="auto, reference"))


def _any_on_record(scenarios: Iterable[Scenario]) -> bool:
    return any(scenario.past is not None for scenario in scenarios)


def choose_engine(
    engine: str,  # auto, compiled or reference
    # The scenarios and policies to simulate, if known, because they may need only parts of the engine compiled.
    asked: Iterable[tuple[Scenario, Sequence[ScenarioPolicy]]] = (),
    *,
    node_updates: int,  # size of the whole job: rollouts times nodes
    in_bundles: bool = True,  # whether only outcomes are needed, so that many policies may be run together
) -> str:
    """Return the engine to use; ``auto`` is the compiled one if it supports the scenarios and loading or compiling it pays off.

    Notes
    -----
    The engines give the same numbers, so this is only a question of time: small jobs are finished before the compiled engine
    would be loaded, and medium ones before the parts they need would be compiled, unless this machine has compiled them
    before. If numba can't be used, larger jobs warn once.

    Examples
    --------
    >>> choose_engine("auto", node_updates=100)
    'reference'
    """
    asked = list(asked)
    scenarios = [scenario for scenario, _ in asked]
    check_engine(engine, scenarios)
    if engine != "auto":
        return engine
    expected_s = expect_seconds("reference", node_updates)
    if expected_s < _LOADING_S or _any_on_record(scenarios) or not has_address_space():
        return "reference"
    if (why := why_not_compiled()) is not None:
        _say_what_is_missing(why)
        return "reference"
    if expected_s < _COMPILING_S:
        from simdeploy.engines.compiled.engine import expect_compiling

        return "compiled" if expected_s > expect_compiling(asked, in_bundles=in_bundles) else "reference"
    return "compiled"


def expect_seconds(engine: str, node_updates: float) -> float:
    """Return roughly how long an engine takes: good enough to choose sizes, and the same on every machine.

    Examples
    --------
    >>> expect_seconds("reference", 20_000)
    1.0
    """
    return node_updates * _S_PER_NODE[engine]


@cache
def why_not_compiled() -> Problem | None:
    """Return why the compiled engine is not available; None if it is."""
    try:
        import_module("simdeploy.engines.compiled")
    except InputError as error:
        return error.problems[0]
    return None


@cache
def _say_what_is_missing(why: Problem) -> None:
    """Warn once that the compiled engine would be faster."""
    warn_user(f"{why.message}, so the slow reference engine runs; for the fast one: {why.hint}")


def has_address_space() -> bool:
    """Tell whether the compiled engine can be loaded under the limit on this process's address space (`ulimit -v`)."""
    free = find_free_address_space()
    return free is None or free >= _ADDRESS_SPACE or "simdeploy.engines.compiled.kernel" in sys.modules


def check_room(scenario: Scenario, policies: Iterable[ScenarioPolicy], engine: str, *, is_choice: bool = True) -> None:
    """Refuse a fleet if one rollout would take more than 2 GB, or if the engine itself doesn't fit in memory.

    Another engine is suggested if there is a choice.

    Raises
    ------
    InputError
        With an estimate of the memory, the limit, and the number of nodes within it; or with the engine's needs.
    """
    if engine == "compiled" and not has_address_space():
        message = "too little address space for the compiled engine (`ulimit -v`)"
        allowed = f"{_ADDRESS_SPACE / _BYTES_PER_GB:g} GB beyond current use, or the reference engine"
        raise InputError(Problem(message, ("engine",), found=engine, allowed=allowed))
    nodes = scenario.fleet.nodes
    if nodes * (_REFERENCE + _REFERENCE_WINDOW) <= MOST_BYTES // 100:  # enough for a hundred windows per node
        return
    windows = {_count_windows(policy) for policy in policies}
    if engine == "compiled":
        per_node = _COMPILED + _COMPILED_WINDOWS * len(windows)
        per_node += _COMPILED_SHARED if scenario.fleet.service is not None else 0
        per_node += _COMPILED_LINES if any(behaviour.connection for behaviour in scenario.fleet.behaviours) else 0
    else:
        per_node = _REFERENCE + _REFERENCE_WINDOW * max(windows, default=0)
    if nodes * per_node <= MOST_BYTES:
        return
    size = nodes * per_node / _BYTES_PER_GB
    message = f"too many nodes for the memory limit of the {engine} engine"
    allowed = f"{MOST_BYTES / _BYTES_PER_GB:g} GB, or {MOST_BYTES // per_node:,} nodes under these policies"
    hint = "the compiled engine needs less" if is_choice and engine != "compiled" else None
    raise InputError(
        Problem(message, ("fleet", "nodes"), found=f"{nodes:,}: {size:,.1f} GB", allowed=allowed, hint=hint)
    )


def _count_windows(policy: ScenarioPolicy) -> int:
    """Return the number of windows of a healthy node until it is running or misses its deadline."""
    rule = policy.policy
    needed = max(rule.windows_of_waves)
    return needed if rule.deadline_ns is None else min(needed, -(-rule.deadline_ns // rule.interval_ns))
