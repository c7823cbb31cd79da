"""Cases of gates beyond the API's threshold, with exactly known characteristics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simdeploy.validation import oracles
from simdeploy.validation.verification.case import NEVER_STOPS, Case, canary, make_case, number_of, rolling, share_of

if TYPE_CHECKING:
    from simdeploy.validation.oracles import GateCharacteristics

# Of one wave: nodes that start together, 50 requests each an interval.
_NODES, _REQUESTS = 5, 250
_FLEET = {"nodes": _NODES, "requests_per_second": 5, "error_rate": 0.06}
# Each with max_error_rate.
_GATES: dict[str, tuple[dict[str, Any], float]] = {
    "pooled": ({"kind": "pooled"}, 0.065),
    "an SPRT": ({"kind": "sprt", "good": 0.05, "bad": 0.1}, 0.065),
    "an SPRT on requests": ({"kind": "sprt", "on": "requests", "good": 0.05, "bad": 0.1}, 0.065),
    "an e-process": ({"kind": "e_process", "alpha": 0.3, "prior_mean": 0.1, "prior_strength": 100}, 0.04),
    "Bayes": ({"kind": "bayes", "confidence": 0.9, "prior_mean": 0.07, "prior_strength": 100}, 0.065),
}
_HELD = "gate_characteristics GateCharacteristics make_gate"


def gates() -> tuple[Case, ...]:
    """How often a gate stops good releases, and after how many requests."""
    of_waves = [case for name, (gate, limit) in _GATES.items() for case in _of_waves(name, gate, limit)]
    return (*of_waves, _compared(), _watched())


def _of_waves(name: str, gate: Mapping[str, Any], limit: float) -> list[Case]:
    """Make cases of one wave that is stopped if undecided after three looks."""
    health_check = {"deadline": "10m", "min_healthy_time": "30s", "max_error_rate": limit, "gate": gate}

    def known() -> GateCharacteristics:
        asked = oracles.make_gate(**gate, max_error_rate=limit, cant_tell="stop")
        return oracles.gate_characteristics(asked, [_REQUESTS] * 3, _FLEET["error_rate"])

    policy = rolling(health_check=health_check, **NEVER_STOPS)
    quantities = [("stopped", lambda: known().fails + known().cant_tell, share_of("verdict", "false_alarm"))]
    if gate["kind"] != "pooled":  # this kind always examines all of them
        quantities.append(("requests looked at", lambda: known().expected_requests, number_of("decision_requests")))
    stops = {"cant_tell": "stop"}
    return [
        make_case(f"gate: {name}", quantity, _HELD, truth, take, _FLEET, policy, orchestrator=stops)
        for quantity, truth, take in quantities
    ]


def _compared() -> Case:
    """Make a case of two waves, the first of which is compared with the second."""
    gate: dict[str, Any] = {"kind": "baseline", "alpha": 0.98}
    health_check = {"deadline": "10m", "min_healthy_time": "30s", "gate": gate}

    def known() -> float:
        asked = oracles.make_gate(**gate)
        level = _FLEET["error_rate"]
        return oracles.gate_characteristics(asked, [_REQUESTS] * 3, level, old_error_rate=level).fails

    fleet = {**_FLEET, "nodes": 2 * _NODES}
    policy = rolling(_NODES, health_check=health_check, **NEVER_STOPS)
    return make_case("gate: pairs", "stopped", _HELD, known, share_of("verdict", "false_alarm"), fleet, policy)


def _watched() -> Case:
    """Make a case of canaries that run from 30 s on, and are judged until there is an alarm."""
    gate: dict[str, Any] = {"kind": "cusum", "good": 0.05, "bad": 0.1, "alarm_every": 50}

    def known() -> float:
        return 30 + 10 * oracles.cusum_run_length(oracles.make_gate(**gate), _REQUESTS, _FLEET["error_rate"])

    policy = canary(_NODES, auto_promote=False, **NEVER_STOPS)
    policy["health_check"] = {"deadline": "24h", "min_healthy_time": "0s", "gate": gate}
    return make_case(
        "gate: a CUSUM",
        "stopped at, s",
        "cusum_run_length make_gate",
        known,
        number_of("stopped_at_s"),
        _FLEET,
        policy,
        operator={"promote_after": "30000h"},
    )
