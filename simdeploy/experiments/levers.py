"""Keys that a sweep varies, found by path or short name, and policies with changed values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from itertools import chain
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

from simdeploy.api.gate import READ_BY
from simdeploy.errors import InputError, Problem, catch_warned, collect, listed, nearest_path, raise_if_any
from simdeploy.experiments.arguments import require_keys
from simdeploy.units import NS_PER_S, exact, format_duration, round_half_up, write_duration

if TYPE_CHECKING:
    from simdeploy.api import Spec
    from simdeploy.api.wire import Dialect
    from simdeploy.scenario import Scenario, ScenarioPolicy

Kind = Literal["whole", "number", "duration", "truth", "other"]

FACTOR_PREFIX = "scenario."

_IRRELEVANT_SECTIONS = ("costs", "requirements")

# Sections that don't affect rollouts, and policies, whose keys have no prefix.
_NO_FACTORS = ("simdeploy", "name", "description", "policies", *_IRRELEVANT_SECTIONS)

# Keys of a spec that are not settings.
_NO_LEVERS = ("dialect", "orchestrator")

_MOST_NAMED = 3

GATE = "health_check.gate"
GATE_KIND = f"{GATE}.kind"


@dataclass(frozen=True)
class Lever:
    """A key that is varied."""

    name: str  # full path, also its column: a policy's key as in the spec, a scenario's after ``scenario.``
    kind: Kind  # kind of values; durations are seconds

    @property
    def is_factor(self) -> bool:
        """Whether the key belongs to the scenario, not the policy."""
        return self.name.startswith(FACTOR_PREFIX)

    @property
    def path(self) -> str:
        """Path in the scenario or the spec."""
        return self.name.removeprefix(FACTOR_PREFIX)


def find_levers(names: Iterable[str], scenarios: Sequence[Scenario], specs: Sequence[Spec]) -> tuple[Lever, ...]:
    """Find keys by name: full paths, or ends of paths (``max_error_rate``).

    Ends are searched first among the keys of the specs and those stated in the scenarios, then among all. Raises
    `InputError` for unknown names, with the nearest key; for ambiguous ones, with all matches; and for keys named twice
    or together with one inside them.

    Examples
    --------
    >>> from simdeploy import load_example
    >>> scenario = load_example("small-fleet")
    >>> for lever in find_levers(["max_error_rate", "nodes"], [scenario], [scenario.policy("rolling").spec]):
    ...     print(lever.name, lever.kind)
    health_check.max_error_rate number
    scenario.fleet.nodes whole
    """
    names = list(names)
    if not names:
        return ()
    catalogue = _Catalogue(scenarios, specs)
    problems: list[Problem] = []
    levers: dict[str, Lever] = {}
    for name in names:
        with collect(problems):
            lever = catalogue.find(name)
            if lever.name in levers:
                problems.append(Problem("duplicate key", (name,), found=lever.name))
            levers[lever.name] = lever
    for above in levers:
        below = next((lever for lever in levers if lever.startswith(f"{above}.")), None)
        if below is not None:
            problems.append(Problem("can't vary a key and a key inside it", (above,), found=below))
    raise_if_any(problems)
    return tuple(levers.values())


class _Catalogue:
    """The keys that may be varied, by full name. Those of scenarios are listed only if needed, because there are many."""

    def __init__(self, scenarios: Sequence[Scenario], specs: Sequence[Spec]) -> None:
        self._scenarios = scenarios
        dialects = dict.fromkeys(spec.dialect for spec in specs)
        self._of_specs = _by_name(lever for dialect in dialects for lever in _levers_of(dialect))

    @cached_property
    def scenarios(self) -> list[dict[str, Any]]:
        """The scenarios as in a file."""
        return [scenario.to_dict() for scenario in self._scenarios]

    @cached_property
    def _of_scenarios(self) -> list[tuple[Lever, bool]]:
        """Keys of the scenarios, and whether the scenarios state them."""
        from simdeploy.scenario.changes import all_keys
        from simdeploy.scenario.json_schema import shared_schema

        return [
            (Lever(FACTOR_PREFIX + key.path, _kind(key.schema)), key.is_stated)
            for raw in self.scenarios
            for key in all_keys(raw, shared_schema())
            if key.path.split(".")[0] not in _NO_FACTORS
        ]

    @cached_property
    def likely(self) -> dict[str, Lever]:
        """Keys of specs, and those that the scenarios state."""
        stated = (lever for lever, is_stated in self._of_scenarios if is_stated)
        return _by_name(chain(self._of_specs.values(), stated))

    @cached_property
    def all(self) -> dict[str, Lever]:
        """All keys."""
        return _by_name(chain(self._of_specs.values(), (lever for lever, _ in self._of_scenarios)))

    def find(self, name: str) -> Lever:
        """Return the key with a name or end of a path."""
        if name in self._of_specs:
            return self._of_specs[name]
        if name.startswith(FACTOR_PREFIX):
            return self._find_factor(name)
        for catalogue in (self.likely, self.all):
            matches = [full for full in catalogue if full.endswith(f".{name}")]
            if len(matches) == 1:
                return catalogue[matches[0]]
            if matches:
                raise InputError(Problem("ambiguous key", (name,), allowed=listed(matches)))
        raise self._unknown(name)

    def _find_factor(self, name: str) -> Lever:
        """Return a key of a scenario by its path, which may differ from the catalogue's, for example by an item's number."""
        from simdeploy.scenario.changes import find_key

        path = name.removeprefix(FACTOR_PREFIX)
        if path.split(".")[0] in _NO_FACTORS:
            hint = "policy keys have no prefix: max_failed_nodes" if path.startswith("policies.") else None
            if path.split(".")[0] in _IRRELEVANT_SECTIONS:
                hint = "rollouts don't depend on it; change it in the analysis"
            raise InputError(Problem("this key can't be varied", (name,), hint=hint))
        for raw in self.scenarios:
            with contextlib.suppress(InputError):
                return Lever(name, _kind(find_key(raw, path).schema))
        raise self._unknown(name)

    def _unknown(self, name: str) -> InputError:
        ends = dict.fromkeys(full.rpartition(".")[2] for full in self.all)
        return InputError(Problem("no such key to vary", (name,), hint=nearest_path(name, [*ends, *self.all])))


@cache
def _levers_of(dialect: Dialect) -> list[Lever]:
    """Return the keys of a spec."""
    from simdeploy.scenario.changes import all_keys
    from simdeploy.scenario.json_schema import spec_schema

    keys = all_keys({}, spec_schema(dialect))
    return [Lever(key.path, _kind(key.schema)) for key in keys if key.path.partition(".")[0] not in _NO_LEVERS]


@cache
def is_duration(name: str) -> bool:
    """Return whether the varied key with this full name is a duration, which is in seconds in tables of sweeps.

    Examples
    --------
    >>> [is_duration(name) for name in ("health_check.deadline", "scenario.release.bad.after", "max_parallel")]
    [True, True, False]
    """
    from simdeploy.api.spec import SPEC_TYPES
    from simdeploy.scenario.json_schema import path_schema

    if name.startswith(FACTOR_PREFIX):
        return _kind(path_schema(name.removeprefix(FACTOR_PREFIX))) == "duration"
    return any(lever == Lever(name, "duration") for dialect in SPEC_TYPES for lever in _levers_of(dialect))


def write_duration_of(name: str, value: Any) -> str | None:
    """Format the value of a varied key as a duration with six digits if it is a number of seconds; otherwise return None.

    Examples
    --------
    >>> [write_duration_of("health_check.deadline", value) for value in (90.0, 123.4567, "2m")]
    ['1m30s', '2m3.457s', None]
    >>> write_duration_of("max_parallel", 90)
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool) and value == value
    if not is_number or not is_duration(name):
        return None
    return write_duration(round_half_up(exact(float(f"{value:.6g}")) * NS_PER_S))


def _by_name(levers: Iterable[Lever]) -> dict[str, Lever]:
    """Return levers by name, the first of each."""
    by_name: dict[str, Lever] = {}
    for lever in levers:
        by_name.setdefault(lever.name, lever)
    return by_name


def _kind(schema: Mapping[str, Any]) -> Kind:
    from simdeploy.scenario.json_schema import accepts_amounts, key_types

    types = key_types(schema)
    if accepts_amounts(schema):  # whole numbers, or percentages as text
        return "whole"
    if "string" in types:
        return "duration" if types & {"number", "integer"} else "other"
    if "number" in types:
        return "number"
    if "integer" in types:
        return "whole"
    return "truth" if "boolean" in types else "other"


def find_factors(vary: Any, scenario: Scenario, spec: Spec) -> tuple[Lever, ...]:
    """Find the keys to vary; if `vary` is empty, the `InputError` lists numbers of the scenario that could be
    varied.
    """
    require_keys(vary)
    if not vary:
        numbers = stated_numbers(scenario)[:_MOST_NAMED]
        hint = "stated there, for example: " + ", ".join(f"{path} = {value}" for path, value in numbers)
        allowed = "keys of the scenario with your range of uncertainty for each"
        raise InputError(Problem("nothing to vary", ("vary",), allowed=allowed, hint=hint if numbers else None))
    return find_levers(vary, [scenario], [spec])


def stated_numbers(scenario: Scenario) -> list[tuple[str, Any]]:
    """Return the numbers of fleet and release that a scenario states, by path; fractions and times first."""
    raw = scenario.to_dict()
    numbers = [
        (path, value)
        for section in ("fleet", "release")
        for path, value in _flatten(section, raw.get(section))
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return sorted(numbers, key=lambda stated: isinstance(stated[1], int))


def _flatten(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [leaf for key, item in value.items() for leaf in _flatten(f"{path}.{key}", item)]
    return [(path, value)]


def change_policy(
    base: ScenarioPolicy,
    values: Mapping[Lever, Any],
    scenario: Scenario,
    identity: Mapping[str, Any] | None = None,  # the policy's own; needed if it is not a policy of this scenario
) -> ScenarioPolicy:
    """Return a policy with changed values, and its own identity (see `own_identity`).

    None means the default, and a number for a duration is seconds in both dialects. If the kind of the gate is changed,
    keys that it doesn't use are removed from the gate. Paths in an `InputError` start from the spec.
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
    identity = own_identity(base, scenario) if identity is None else identity
    made = replace(scenario.under(base).policy(spec), name=base.name, orchestrator=base.orchestrator)
    return replace(made, identity=replace(made.identity, **identity)) if identity else made


def change_quietly(base: ScenarioPolicy, values: Mapping[Lever, Any], scenario: Scenario) -> ScenarioPolicy:
    """Return a policy with changed values, without repeating the warnings given when it was read."""
    with catch_warned():
        return change_policy(base, values, scenario)


def own_identity(policy: ScenarioPolicy, scenario: Scenario) -> dict[str, Any]:
    """Return the identity stated by a policy's JSON file: type, ids, versions."""
    around = asdict(scenario.identity)
    return {key: value for key, value in asdict(policy.identity).items() if value != around[key]}


def keep_what_is_read(gate: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a gate without the keys that its kind doesn't use; None without a kind.

    Examples
    --------
    >>> keep_what_is_read({"kind": "pooled", "over": "window", "alpha": 0.05})
    {'kind': 'pooled', 'over': 'window'}
    """
    kind = gate.get("kind")
    if kind is None:
        return None
    # An unknown kind is reported when the spec is built.
    return {key: value for key, value in gate.items() if key == "kind" or key in READ_BY.get(kind, gate)}
