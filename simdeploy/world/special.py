"""Functions of ``scipy.special``, imported on first use, and two more built on them.

Distributions are inverted only with these, never with numpy's own ``exp``, ``log`` and ``power``: numpy implements
arrays and single numbers differently, and differently again on other processors, so last digits would differ between
callers. scipy has one loop for both.
"""

from __future__ import annotations

import math
from typing import Any

_LOG2_E = math.log2(math.e)


class _ScipySpecial:
    def __getattr__(self, name: str) -> Any:
        from scipy import special  # takes a third of a second, and only simulations need it

        function = getattr(special, name)
        setattr(self, name, function)
        return function


special: Any = _ScipySpecial()


def exp(x: Any) -> Any:
    """Compute e to the power `x`.

    Examples
    --------
    >>> float(exp(0.0))
    1.0
    """
    return special.exp2(x * _LOG2_E)


def power(base: Any, exponent: float) -> Any:
    """Raise `base`, at least 0, to the power `exponent`.

    Examples
    --------
    >>> float(power(0.0, 0.5))
    0.0
    """
    return exp(special.xlogy(exponent, base))
