"""A frame as text: lines for a terminal, a file or a picture, readable with and without colours."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text

from simdeploy.errors import plural, printable
from simdeploy.plotting.style import STATUS_LOOKS, contrast_to
from simdeploy.units import NS_PER_S, short_duration

if TYPE_CHECKING:
    from simdeploy.cli.watching.frame import Frame
    from simdeploy.report.gauges import Gauge

# Letters, for displays without colour. Capitals are outcomes, small letters are in progress.
LETTERS = {
    "running": "R",
    "validating": "v",
    "starting": "s",
    "pending": ".",
    "failed": "F",
    "rolling_back": "b",
    "rolled_back": "B",
    "rollback_failed": "X",
    "removed": "D",
    "stopped": "T",
    "skipped": "-",
    "down": "!",
}
KEYS = "space pause   + - speed   > < step   0 restart   q quit"
_LABEL = 9  # width of a zone's label
_OTHER_LINES = 17  # lines without cells on a full screen, including five events
_TWO_COLUMNS = 76  # from this width on
_NAME = 16  # columns of a gauge's name
_BOLD, _DIM, _OVER = Style(bold=True), Style(dim=True), Style(bold=True, reverse=True)


def find_room(width: int, height: int) -> tuple[int, int]:
    """Return the number of lines for cells on a screen, and of cells per line."""
    return max(1, height - _OTHER_LINES), max(1, width - _LABEL)


def render(frame: Frame, width: int, height: int, *, pace: str = "", keys: str = "") -> list[Text]:
    """Return the lines of a screen, at most `width` wide; `pace` is the speed and `keys` the keys, in words."""
    clock = f"{_say_time(frame.time_s)} of {_say_time(frame.end_s)}"
    wave = f", wave {frame.wave} of {frame.n_waves}" if frame.wave else ""
    above = [
        _justify(printable(frame.title), clock, width, _BOLD),
        _justify(f"{frame.state}{wave}", pace, width),
        _draw_progress(frame, width),
        *_draw_cells(frame, width),
        *_draw_legend(frame, width),
        *_draw_gauges(frame, width),
        Text(),
    ]
    below = [Text(keys, style=_DIM)] if keys else []
    room = height - len(above) - len(below)
    latest = list(frame.events)[-room:] if room > 0 else []
    latest_lines = [Text(f"{_say_time(line.time_s):>10}  {printable(line.text)}") for line in latest]
    latest_lines += [Text()] * (room - len(latest_lines)) if keys else []
    lines = [*above[: height - len(below)], *latest_lines, *below]
    for line in lines:
        line.truncate(width)
        line.no_wrap = True
    return lines


def _justify(left: str, right: str, width: int, style: Style | None = None) -> Text:
    room = max(width - len(right) - 1, 0)
    # Some characters of names take two columns.
    kept = left if cell_len(left) <= room else f"{set_cell_size(left, max(room - 3, 0))}..."
    return Text().append(f"{set_cell_size(kept, room)} ", style=style).append(right)


def _say_time(time_s: float) -> str:
    return short_duration(time_s * NS_PER_S)


def _draw_progress(frame: Frame, width: int) -> Text:
    passed = round(width * frame.time_s / frame.end_s) if frame.end_s else width
    return Text("=" * passed).append("-" * (width - passed), style=_DIM)


def _draw_cells(frame: Frame, width: int) -> Iterator[Text]:
    """Yield lines of cells; each zone begins on a new line."""
    room = max(1, width - _LABEL)
    for name, cells in frame.cells:
        for start in range(0, len(cells), room):
            line = Text(f"{(name or 'nodes') if start == 0 else '':<{_LABEL}}")
            for shown, run in groupby(cells[start : start + room]):
                line.append(LETTERS[shown] * len(list(run)), style=_find_style(shown))
            yield line


def _find_style(shown: str) -> Style:
    colour = STATUS_LOOKS[shown].colour
    return Style(color=contrast_to(colour), bgcolor=colour)


def _draw_legend(frame: Frame, width: int) -> list[Text]:
    """Return a legend of the letters, with numbers of nodes."""
    line, lines = Text(), []
    for shown in (shown for shown in LETTERS if shown in frame.counts):
        words = f" {shown.replace('_', ' ')} {frame.counts[shown]:,}   "
        if len(line) + len(words) + 1 > width and len(line):
            lines.append(line)
            line = Text()
        line.append(LETTERS[shown], style=_find_style(shown)).append(words)
    if frame.nodes_per_cell > 1:
        words = f"(a cell: up to {plural(frame.nodes_per_cell, 'node')})"
        if len(line) + len(words) > width:
            lines.append(line)
            line = Text()
        line.append(words, style=_DIM)
    return [*lines, line]


def _draw_gauges(frame: Frame, width: int) -> Iterator[Text]:
    n_columns = 2 if width >= _TWO_COLUMNS else 1
    for start in range(0, len(frame.gauges), n_columns):
        line = Text()
        for place, gauge in enumerate(frame.gauges[start : start + n_columns], 1):
            words = f"{gauge.name:<{_NAME}}{_say_gauge(gauge)}"
            line.append(f"{words}, over" if gauge.is_over else words, style=_OVER if gauge.is_over else "")
            line.pad_right(max(place * width // n_columns - len(line), 1))
        yield line


def _say_gauge(gauge: Gauge) -> str:
    limit = gauge.limit_words
    return f"{gauge.value_words}{', ' if limit.startswith('limit') else ' ' if limit else ''}{limit}"
