"""Legibility of pictures: which texts overlap or are cut off."""

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def find_overlaps(texts):
    """Return the pairs of texts of a drawn picture that overlap."""
    # An annotation's own extent includes its leader line.
    boxes = [
        (text.get_text(), Text.get_window_extent(text).shrunk(0.98, 0.9))
        for text in texts
        if text.get_text() and text.get_visible()
    ]
    return [(one, other) for (one, box), (other, other_box) in combinations(boxes, 2) if box.overlaps(other_box)]


def draw(figure):
    """Lay out a figure as saving would, without rendering pixels; return it."""
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    return figure


def draw_on(plot, *arguments, size=(6, 4), n_axes=1, **how):
    """Draw on the axes of a new figure, by default half a page large, laid out as saving would; return the axes."""
    figure = Figure(figsize=size, layout="constrained")
    ax = figure.subplots()
    assert plot(ax, *arguments, **how) is ax
    assert len(draw(figure).axes) == n_axes
    return ax


def list_texts(figure):
    """Return all visible texts of a drawn figure."""
    texts = []
    for ax in figure.axes:
        legend = ax.get_legend()
        texts += [*ax.texts, ax.title, ax._left_title, ax._right_title, ax.xaxis.label, ax.yaxis.label]
        texts += [] if legend is None else legend.get_texts()
        for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim()))):
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            texts += [tick.label1 for tick in ticks if low <= tick.get_loc() <= high]
    return [text for text in texts if text.get_text() and text.get_visible()]


def find_unreadable(figure):
    """Return the texts of a drawn figure that overlap or are cut off."""
    texts = list_texts(figure)
    cut = [text.get_text() for text in texts if not _is_within(Text.get_window_extent(text), figure.bbox)]
    return find_overlaps(texts) + cut


def _is_within(box, whole):
    return all(whole.x0 <= x <= whole.x1 for x in (box.x0, box.x1)) and all(
        whole.y0 <= y <= whole.y1 for y in (box.y0, box.y1)
    )
