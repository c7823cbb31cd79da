"""Steps in which a person tries sizes and thresholds."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from simdeploy.units import exact


def ladder(low: float, high: float) -> list[Any]:
    """Return 1, 2, 5, 10, ... and their decimal parts from low to high.

    Examples
    --------
    >>> ladder(0.002, 0.05), ladder(1, 20)
    ([0.002, 0.005, 0.01, 0.02, 0.05], [1, 2, 5, 10, 20])
    """
    steps = [Fraction(digit) * Fraction(10) ** power for power in range(-9, 10) for digit in (1, 2, 5)]
    fitting = [step for step in steps if exact(low) <= step <= exact(high)]
    return [int(step) if step.denominator == 1 else float(step) for step in fitting]
