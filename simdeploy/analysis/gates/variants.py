"""The policy under each gate: only the judge and the node's own observation differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeploy.api.check import build, unknown_keys_in
from simdeploy.api.gate import Gate
from simdeploy.errors import InputError, Problem, name_problems, raise_if_any, shorten
from simdeploy.experiments.levers import GATE, Lever, change_quietly
from simdeploy.scenario.gate_fit import find_misfit
from simdeploy.units import NS_PER_S, format_duration

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

THRESHOLD, CURRENT = "threshold", "as it is"

# Every kind, with the parameters that follow from the policy's own health check.
DEFAULT_GATES: Mapping[str, Mapping[str, str]] = {
    "pooled": {"kind": "pooled", "over": "observation"},
    "pooled window": {"kind": "pooled", "over": "window"},
    "sprt": {"kind": "sprt", "on": "windows"},
    "sprt requests": {"kind": "sprt", "on": "requests"},
    "e_process": {"kind": "e_process"},
    "baseline": {"kind": "baseline", "test": "multinomial"},
    "mann_whitney": {"kind": "baseline", "test": "mann_whitney"},
    "bayes": {"kind": "bayes"},
    "cusum": {"kind": "cusum"},
}

# Gates that may decide before the end of the observation, so a node's own observation would only delay them.
_EARLY = ("sprt", "bayes")

GateInput = str | Mapping[str, Any] | Gate | None


@dataclass(frozen=True)
class Variant:
    """The policy under one gate: its name here, its kind, and its form in a file."""

    gate: str
    kind: str
    says: str
    policy: ScenarioPolicy

    @property
    def observation_s(self) -> float:
        """A node's own observation, in seconds."""
        policy = self.policy.policy
        return policy.windows_needed * policy.interval_ns / NS_PER_S


def read_gates(gates: Iterable[str] | Mapping[str, GateInput] | None) -> dict[str, Gate]:
    """Return gates by name; the threshold is always first.

    Gates are kinds, or as in a file by name; by default `DEFAULT_GATES`. An `InputError` lists everything invalid.

    Examples
    --------
    >>> for name, gate in read_gates({"strict": {"kind": "sprt", "alpha": 0.001}}).items():
    ...     print(name, gate.to_dict())
    threshold {'kind': 'threshold'}
    strict {'kind': 'sprt', 'alpha': 0.001}
    """
    named = _name_gates(DEFAULT_GATES if gates is None else gates)
    by_name: dict[str, Gate] = {THRESHOLD: Gate(kind=THRESHOLD)}
    problems: list[Problem] = []
    for name, given in named.items():
        problems += name_problems(str(name), ("gates",))
        raw = given.to_dict() if isinstance(given, Gate) else given
        if isinstance(raw, str) or raw is None:
            raw = {"kind": THRESHOLD if raw is None else raw}
        if not isinstance(raw, Mapping):
            problem = Problem(
                "invalid gate", ("gates", name), found=shorten(raw), allowed="a kind, or keys with a kind"
            )
            problems.append(problem)
            continue
        gate, errors = build(Gate, raw)
        problems += [problem.at(prefix=("gates", name)) for problem in [*errors, *unknown_keys_in(raw, Gate)]]
        if gate is not None and gate.kind != THRESHOLD and name in (THRESHOLD, CURRENT):
            problems.append(Problem("duplicate name", ("gates", name), found=gate.kind, hint="choose another name"))
        elif gate is not None and gate.kind != THRESHOLD:
            by_name[name] = gate
    raise_if_any(problems)
    return by_name


def _name_gates(gates: Any) -> dict[str, Any]:
    if isinstance(gates, Mapping):
        return dict(gates)
    kinds = [gates] if isinstance(gates, str) or not isinstance(gates, Iterable) else list(gates)
    if not all(isinstance(kind, str) for kind in kinds):
        allowed = "kinds, or a mapping from names to gates"
        raise InputError(Problem("invalid gates", ("gates",), found=shorten(gates), allowed=allowed))
    return {kind: kind for kind in kinds}


def make_variants(
    scenario: Scenario, base: ScenarioPolicy, gates: Iterable[str] | Mapping[str, GateInput] | None
) -> tuple[tuple[Variant, ...], dict[str, str]]:
    """Combine a policy with each gate, the threshold first; also return default gates that it can't have, and why.

    Gates are as for `read_gates`; by default also the policy's own gate, if it has one, with its own observation. Under
    a gate that can pass early (sprt, bayes) and waits when undecided, a node's observation is reduced to one healthy
    window. (If the gate doesn't wait, the wave's observation, and with it the test, would end after that window.) Under
    other gates the policy's observation applies. An `InputError` lists everything wrong with the requested gates.
    """
    variants: list[Variant] = []
    left_out: dict[str, str] = {}
    problems: list[Problem] = []
    for name, gate in read_gates(gates).items():
        try:
            variant = _make_variant(scenario, base, name, gate)
            misfit = find_misfit(variant.policy.policy, scenario.fleet, scenario.orchestrator_of(base))
            if gates is None and misfit is not None:
                left_out[name] = misfit
            else:
                variants.append(variant)
        except InputError as error:
            if gates is None:
                left_out[name] = "; ".join(problem.message for problem in error.problems)
            problems += [problem.at(prefix=("gates", name)) for problem in error.problems]
    if problems and (gates is not None or THRESHOLD in left_out):
        raise InputError(problems)
    own_gate = base.spec.health_check.gate if base.spec.health_check is not None else None
    if gates is None and own_gate is not None and own_gate.kind != THRESHOLD:
        variants.insert(1, Variant(CURRENT, own_gate.kind, write_gate(own_gate), base))
    return tuple(variants), left_out


def _make_variant(scenario: Scenario, base: ScenarioPolicy, name: str, gate: Gate) -> Variant:
    raw = {key: value for key, value in gate.to_dict().items() if value is not None}
    values: dict[Lever, Any] = {Lever(GATE, "other"): None if gate.kind == THRESHOLD else raw}
    if gate.kind in _EARLY and base.policy.windows_needed > 1 and scenario.orchestrator_of(base).cant_tell == "wait":
        if base.spec.dialect == "rollout":
            values[Lever("health_check.success_threshold", "whole")] = 1
        else:
            values[Lever("health_check.min_healthy_time", "duration")] = format_duration(base.policy.interval_ns)
    return Variant(name, gate.kind, write_gate(gate), change_quietly(base, values, scenario))


def write_gate(gate: Gate) -> str:
    """Write a gate in one line, as in a file.

    Examples
    --------
    >>> write_gate(Gate(kind="sprt")), write_gate(Gate(kind="sprt", alpha=0.01))
    ('sprt', '{kind: sprt, alpha: 0.01}')
    """
    stated = {key: value for key, value in gate.to_dict().items() if value is not None}
    if list(stated) == ["kind"]:
        return gate.kind
    return "{" + ", ".join(f"{key}: {value}" for key, value in stated.items()) + "}"
