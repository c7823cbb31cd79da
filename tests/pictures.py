"""Whether a picture can be read: which of its texts lie on each other."""

from __future__ import annotations

from itertools import combinations


def find_overlaps(texts):
    """Return the pairs of texts of a picture, which has been drawn, that overlap."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text() and text.get_visible()]
    return [
        (one, other)
        for (one, box), (other, other_box) in combinations(boxes, 2)
        if box.shrunk(0.98, 0.9).overlaps(other_box.shrunk(0.98, 0.9))
    ]
