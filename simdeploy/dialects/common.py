"""What the dialects share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.rules.gate_terms import GateTerms
from simdeploy.units import exact

if TYPE_CHECKING:
    from fractions import Fraction

    from simdeploy.api.gate import Gate


def exact_or_none(number: float | None) -> Fraction | None:
    """Return a limit as an exact rational, None where it is unset."""
    return None if number is None else exact(number)


def gate_terms(gate: Gate | None) -> GateTerms | None:
    """Return what a spec says of its gate; None where the API's threshold judges."""
    if gate is None or gate.kind == "threshold":
        return None
    return GateTerms(**{name: value for name, value in gate if name in GateTerms.__dataclass_fields__})
