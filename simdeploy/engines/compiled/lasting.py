"""Lengths of spells, for compiled code: exponential ones directly, those with other laws in a separate part (see :mod:`.parts`)."""

from __future__ import annotations

from numba import types

from simdeploy.engines.compiled import laws, residual
from simdeploy.engines.compiled.access import law_at
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.parts import part

_LEFT, _INVERSE, _SURVIVAL, _INVERSE_LEFT, _SURVIVAL_LEFT = range(5)


@compiled
def left_at(run, number, u):
    """Return the quantile of the rest of a spell in progress at time 0, by the number of its law."""
    law = law_at(run, number)
    if law.kind != laws.EXPONENTIAL:
        return _ask(run, number, _LEFT, u)
    return residual.exponential_residual(law, u, 1 - u)


@compiled
def inverse_survival(run, number, s, is_first):
    """Return the smallest time whose survival is at most s: of a spell, or of the rest of the first one at time 0."""
    law = law_at(run, number)
    if law.kind != laws.EXPONENTIAL:
        return _ask(run, number, _INVERSE_LEFT if is_first else _INVERSE, s)
    return residual.exponential_residual(law, 1 - s, s) if is_first else laws.exponential_inverse(law, s)


@compiled
def survival(run, number, x, is_first):
    """Return the probability of more than x seconds: of a spell, or of the rest of the first one at time 0."""
    law = law_at(run, number)
    if law.kind != laws.EXPONENTIAL:
        return _ask(run, number, _SURVIVAL_LEFT if is_first else _SURVIVAL, x)
    return residual.exponential_residual_survival(law, x) if is_first else laws.exponential_survival(law, x)


@part("laws", types.int64, types.int64, types.float64, returns=types.float64, seconds=1)
def _ask(run, number, what, x):
    law = law_at(run, number)
    if what == _LEFT:
        return residual.residual_quantile(law, x)
    if what == _INVERSE_LEFT:
        return residual.residual_inverse_survival(law, x)
    if what == _SURVIVAL_LEFT:
        return residual.residual_survival(law, x)
    return laws.inverse_survival(law, x) if what == _INVERSE else laws.survival(law, x)
