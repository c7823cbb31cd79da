"""Where in a picture the rows of a table are drawn, so that a page can show their numbers there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINT_IN = 0.19  # the side of a point's box, large enough to point at


class Box(NamedTuple):
    """A box, measured from the top left in fractions of the figure."""

    x: float
    y: float
    width: float
    height: float


class Mark(NamedTuple):
    """A row of a table, identified by heading and cell of its first column, and where it is drawn."""

    heading: str
    name: str
    box: Box


class _Places(Artist):
    """An invisible artist that has rows of a table, and for each the corners of its box in data coordinates.

    One artist has many rows, because adding one to axes takes longer than drawing a cell.
    """

    def __init__(self, heading: str, names: Sequence[str], corners: np.ndarray) -> None:
        super().__init__()
        self.heading, self.names, self.corners = heading, names, corners
        self.set_in_layout(False)

    def draw(self, renderer: Any) -> None:
        """Draw nothing."""


def mark_points(ax: Axes, heading: str, names: Sequence[str], points: Any, *, size: float = 0) -> None:
    """Note that rows of a table are drawn at points, or in squares of `size` (in data) around them; NaN means nowhere."""
    places = np.asarray(points, float).reshape(-1, 2)
    is_known = np.isfinite(places).all(axis=1)
    known = [name for name, is_here in zip(names, is_known, strict=True) if is_here]
    corners = np.stack([places - size / 2, places + size / 2], axis=1)
    ax.add_artist(_Places(heading, known, corners[is_known]))


def mark_rows(ax: Axes, heading: str, names: Sequence[str]) -> None:
    """Note that rows of a table are drawn at heights 0, 1, 2, ..., across the axes and the labels to their left."""
    corners = [[[-np.inf, row - 0.5], [np.inf, row + 0.5]] for row in range(len(names))]
    ax.add_artist(_Places(heading, names, np.array(corners)))


def list_marks(figure: Figure) -> Iterator[tuple[Box, list[Mark]]]:
    """Yield the box of each axes that has marks, with its marks; the figure must have been drawn.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> figure = Figure(figsize=(4, 4))
    >>> ax = figure.add_axes((0, 0, 1, 1), xlim=(0, 4), ylim=(4, 0))
    >>> mark_points(ax, "policy", ["canary"], [(1, 2)], size=2)
    >>> [(_, [mark])] = list_marks(figure)
    >>> mark
    Mark(heading='policy', name='canary', box=Box(x=0.0, y=0.25, width=0.5, height=0.5))
    """
    size = figure.bbox.size
    for ax in figure.axes:
        left, right = panel = ax.bbox.get_points() / size
        marks = [
            Mark(places.heading, name, _find_box(ax, corners, panel))
            for places in ax.get_children()
            if isinstance(places, _Places)
            for name, corners in zip(places.names, places.corners, strict=True)
        ]
        if marks:
            yield _make_box(left, right), marks


def _find_box(ax: Axes, place: np.ndarray, panel: np.ndarray) -> Box:
    size, is_row = ax.figure.bbox.size, np.isinf(place)
    corners = ax.transData.transform(np.where(is_row, 0, place)) / size
    low, high = np.clip([corners.min(axis=0), corners.max(axis=0)], *panel)
    low, high = np.where(is_row, [[0, 0], panel[1]], [low, high])
    room = _POINT_IN * ax.figure.dpi / np.asarray(size) / 2 if (place[0] == place[1]).all() else 0
    return _make_box(low - room, high + room)


def _make_box(low: np.ndarray, high: np.ndarray) -> Box:
    """Return the box between two corners, measured from the bottom left."""
    return Box(*(round(float(part), 4) for part in (low[0], 1 - high[1], *(high - low))))
