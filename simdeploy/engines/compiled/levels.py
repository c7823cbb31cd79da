"""A node's own level of failed requests to eleven digits, for sums: a few multiplications instead of a search for the quantile.

A quantile of the beta law takes many times as long as everything else about a node. As a function of the normal quantile of the
uniform it is smooth, so it is approximated by piecewise polynomials. Verdicts are exact, and use `drawing.own_level`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.compiled.access import classes, drawn, level_pieces
from simdeploy.engines.compiled.drawing import own_level
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.philox import draw
from simdeploy.engines.compiled.records import N_COEFFICIENTS, N_PIECES
from simdeploy.engines.compiled.special import normal_quantile
from simdeploy.engines.compiled.tables import CLASS
from simdeploy.world.distributions import Beta
from simdeploy.world.special import special
from simdeploy.world.streams import Stream

if TYPE_CHECKING:
    from simdeploy.world.laws.base import Distribution

_PER_UNIT = 8  # pieces
_LOWEST = -N_PIECES / _PER_UNIT / 2  # the normal quantile of the smallest uniform is a little higher
_TOLERANCE = 1e-11  # relative to 1 minus the level, which sums consist of
_SMALLEST = 2.0**-53
FARTHEST_OFF = 2 * _TOLERANCE  # largest error of `near_level`


@lru_cache(maxsize=64)
def make_pieces(law: Distribution) -> np.ndarray:
    """Return the coefficients of each piece, beginning with the constant; NaN for pieces that are not accurate enough.

    Returns
    -------
    ndarray, shape (N_PIECES, N_COEFFICIENTS)
    """
    pieces = np.full((N_PIECES, N_COEFFICIENTS), np.nan)
    if not isinstance(law, Beta):
        return pieces
    points = np.cos(np.pi * (np.arange(N_COEFFICIENTS) + 0.5) / N_COEFFICIENTS)
    coefficients = np.linalg.solve(np.vander(points, increasing=True), _levels(law, points).T).T
    tried = np.linspace(-1, 1, 2 * N_COEFFICIENTS)
    levels = _levels(law, tried)
    off = np.abs(coefficients @ np.vander(tried, N_COEFFICIENTS, increasing=True).T - levels)
    is_near = (off <= _TOLERANCE * (1 - levels)).all(axis=1)
    pieces[is_near] = coefficients[is_near]
    return pieces


def _levels(law: Distribution, points: np.ndarray) -> np.ndarray:
    """Return the law's quantiles at points from -1 to 1 of each piece."""
    z = _LOWEST + (np.arange(N_PIECES)[:, None] + (points + 1) / 2) / _PER_UNIT
    return np.asarray(law.quantile(np.clip(special.ndtr(z), _SMALLEST, 1 - _SMALLEST)))


@compiled
def near_level(run, node):
    """Return a node's own level within `_TOLERANCE` of 1 minus it."""
    number = drawn(run)[CLASS, node]
    if classes(run)[number].baseline == classes(run)[number].baseline:
        return classes(run)[number].baseline
    z = normal_quantile(draw(run, Stream.ERROR_RATE.value, node, 0))
    x = (z - _LOWEST) * _PER_UNIT
    place = np.int64(x)
    t = 2 * (x - place) - 1
    c = level_pieces(run)[number, place]
    level = c[0] + t * (c[1] + t * (c[2] + t * (c[3] + t * (c[4] + t * c[5]))))
    # Even if the exact level is known already: outcomes must not depend on earlier queries.
    return level if level == level else own_level(run, node)
