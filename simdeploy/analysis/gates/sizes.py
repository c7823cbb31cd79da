"""The size of a defect: the scenario with one kind of release, varied only in its error rate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from simdeploy.errors import Problem, catch_warned, raise_if_any, shorten
from simdeploy.rules.health import read_max_error_rate

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.world.release import ReleaseKind

# Multiples of the policy's limit: the interesting defects are near it.
_STEPS = (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4)
_LIMIT_WITHOUT_ONE = 0.1
# A clear defect, if the scenario has none: a multiple of the limit.
_PLAIN = 2
# A step is left out if it differs from a defect of the scenario by less than this fraction of it.
_NEAR = 0.1
_MOST_SIZES = 1000


def read_sizes(sizes: Iterable[float] | None, scenario: Scenario, base: ScenarioPolicy) -> tuple[float, ...]:
    """Return the sizes of the curve, ascending: error rates that a release adds, as fractions; 0 is a good one.

    By default from a quarter to four times the policy's `max_error_rate`; the error rates of the scenario's defects
    replace nearby steps. Raises `InputError` for values that are not fractions, and if none is above 0.
    """
    if sizes is None:
        limit = _find_limit(scenario, base)
        rates = {kind.error_rate for kind in scenario.release if kind.defective}
        steps = {_tidy(step * limit) for step in _STEPS if step * limit <= 1}
        crowded = {step for step in steps if any(abs(step - rate) < _NEAR * rate for rate in rates)}
        return tuple(sorted({0.0, *(steps - crowded), *rates}))
    given: list[Any] = list(sizes) if isinstance(sizes, Iterable) and not isinstance(sizes, str) else [sizes]
    problems = [
        Problem("invalid size of a defect", ("sizes", number), found=shorten(size), allowed="error rates from 0 to 1")
        for number, size in enumerate(given)
        if isinstance(size, bool) or not isinstance(size, int | float) or not 0 <= size <= 1
    ]
    if not problems and not any(given):
        problems.append(Problem("no defect", ("sizes",), allowed="at least one error rate above 0"))
    if len(given) > _MOST_SIZES:
        problems.append(Problem("too many sizes", ("sizes",), found=f"{len(given):,}", allowed=f"{_MOST_SIZES:,}"))
    raise_if_any(problems)
    return tuple(sorted({0.0, *map(float, given)}))


def choose_size(sizes: tuple[float, ...], scenario: Scenario, base: ScenarioPolicy) -> float:
    """Return the size nearest to the scenario's most probable defect or, without one, to twice the limit."""
    kind = find_defect(scenario)
    wanted = kind.error_rate if kind is not None else 0.0
    wanted = wanted or _PLAIN * _find_limit(scenario, base)
    return min(sizes[1:], key=lambda size: abs(size - wanted))


def find_defect(scenario: Scenario) -> ReleaseKind | None:
    """Return the scenario's most probable defective kind, the first of equal ones, preferring kinds with an error rate."""
    kinds = [kind for kind in scenario.release if kind.defective]
    return max(kinds, key=lambda kind: (kind.error_rate > 0, kind.probability), default=None)


def scenario_of_size(scenario: Scenario, size: float) -> Scenario:
    """Return a scenario in which every release adds this error rate; a good one at 0.

    Affected nodes and onset are those of `find_defect`.
    """
    if size == 0:
        release: dict[str, Any] = {"good": {"probability": 1}}
    else:
        kind = find_defect(scenario)
        raw = (scenario.to_dict().get("release") or {}).get(kind.name, {}) if kind is not None else {}
        kept = {key: raw[key] for key in ("after", "affects") if raw.get(key) is not None}
        release = {"defect": {"probability": 1, "defective": True, "error_rate": size, **kept}}
    with catch_warned():
        # Requirements may name a kind that was removed, and don't affect rollouts.
        return scenario.with_values({"release": release, "requirements": []})


def _find_limit(scenario: Scenario, base: ScenarioPolicy) -> float:
    limit = float(read_max_error_rate(base.policy, scenario.orchestrator_of(base)))
    return limit or max((kind.error_rate for kind in scenario.release), default=0.0) or _LIMIT_WITHOUT_ONE


def _tidy(size: float) -> float:
    return float(f"{size:.6g}")
