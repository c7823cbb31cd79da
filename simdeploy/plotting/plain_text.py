"""Names in pictures are text: a `$` in one is no formula."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
A = TypeVar("A")


def in_plain_text(plot: Callable[P, A]) -> Callable[P, A]:
    """Make a function that draws on axes, and returns them, leave no text there that is read as mathematics.

    Ticks are left alone: powers of ten on a logarithmic axis are formulas.
    """

    @wraps(plot)
    def draw(*args: P.args, **options: P.kwargs) -> A:
        drawn = plot(*args, **options)
        for ax in np.ravel(np.asarray(drawn, dtype=object)):
            _take_literally(ax)
        return drawn

    return draw


def _take_literally(ax: Any) -> None:
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    for artist in ax.get_children():
        for text in [artist.label] if isinstance(artist, Axis) else artist.findobj(Text):
            text.set_parse_math(False)
