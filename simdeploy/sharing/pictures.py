"""Pictures of a page: images, with the places at which rows of its tables are drawn."""

from __future__ import annotations

import base64
import io
import json
from html import escape
from typing import TYPE_CHECKING

from simdeploy.plotting.marks import list_marks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_SVG_BYTES = 500_000  # larger pictures are pixels
_MOST_MARKS = 2000


def write_picture(figure: Figure, alt: str) -> str:
    """Return a picture as an image, so that nothing in it can run or clash with the page, with its marks as data for the script.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> write_picture(Figure(figsize=(1, 1)), "Nothing.").partition(" src=")[0]
    '<figure role="group" tabindex="0" aria-label="picture"><div class="picture"><img alt="Nothing." width="96" height="96"'
    """
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    image = f'<img alt="{escape(alt)}" width="{width}" height="{height}" src="{_encode(figure)}">'
    panels = list(list_marks(figure))  # after drawing, which places the marks
    n = sum(len(marks) for _, marks in panels)
    data = f' data-marks="{escape(json.dumps(panels, separators=(",", ":")))}"' if 0 < n <= _MOST_MARKS else ""
    return f'<figure role="group" tabindex="0" aria-label="picture"><div class="picture"{data}>{image}</div></figure>'


def _encode(figure: Figure) -> str:
    """Return a picture as a data URL."""
    import matplotlib as mpl

    file = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "simdeploy"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    kind = "svg+xml"
    if file.tell() > _MOST_SVG_BYTES:
        kind, file = "png", io.BytesIO()
        figure.savefig(file, format="png", dpi=150)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
