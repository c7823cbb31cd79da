"""What the dialects share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.units import exact

if TYPE_CHECKING:
    from fractions import Fraction


def exact_or_none(number: float | None) -> Fraction | None:
    """Return a limit as an exact rational, None where it is unset."""
    return None if number is None else exact(number)
