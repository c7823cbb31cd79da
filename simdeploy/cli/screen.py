"""Tables, split to fit a terminal's width."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from simdeploy.errors import printable

# Of tables in a file or a pipe. Sentences are not wrapped there, so that a program finds each on one line.
_WIDTH_OF_A_PIPE = 100
_UNLIMITED = 10_000
_FIRST_WIDTH = 12  # of the first column at least
_EDGES = 5  # what two columns take beside their words


def make_console() -> Console:
    """Return a console on standard output; colours and wrapping only on a terminal."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
    return _Console(width=width, highlight=False, markup=False, emoji=False)


class _Console(Console):
    def print(self, *objects: Any, **options: Any) -> None:
        """Print with control characters escaped, and without trailing blanks in files."""
        objects = tuple(_lines(each) if isinstance(each, str) else each for each in objects)
        if self.is_terminal:
            super().print(*objects, **options)
            return
        with self.capture() as capture:
            super().print(*objects, soft_wrap=all(isinstance(each, str) for each in objects), **options)
        self.file.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))

    def on_broken_pipe(self) -> None:
        """Raise, so that the command can still write files; rich would exit."""
        raise BrokenPipeError


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def print_table(console: Console, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, split into several that repeat the first column if it is too wide."""
    header, rows = [_lines(cell) for cell in header], [[_lines(cell) for cell in row] for row in rows]
    for part, places in enumerate(_parts(console, header, rows)):
        heading = title if part == 0 else f"{title.partition(';')[0]} (continued)"
        console.print(Text(_lines(heading), style="bold"))
        console.print(_table(console, header, rows, places))


def _parts(console: Console, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[list[int]]:
    """Split the columns into as few groups as fit, each with the first column."""
    part = [0]
    for place in range(1, len(header)):
        wider = [*part, place]
        table = _table(console, header, rows, wider)
        # Measured without the terminal's own width, which would cap the answer.
        needed = Measurement.get(console, console.options.update(max_width=_UNLIMITED), table).minimum
        if needed > console.width and len(part) > 1:
            yield part
            part = [0, place]
        else:
            part = wider
    yield part


def _table(console: Console, header: Sequence[str], rows: Sequence[Sequence[str]], places: Sequence[int]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    lines = [[line for row in rows for line in row[place].splitlines()] for place in range(len(header))]
    room = max(1, console.width - _FIRST_WIDTH - _EDGES)
    # A heading may take several lines, a number may not; nor may words, unless a terminal has no room for them.
    widths = [
        min(max([1, *map(len, [*of_column, *heading.split()])]), room)
        for heading, of_column in zip(header, lines, strict=True)
    ]
    longest = max(map(len, [header[0], *lines[0]]))
    left = console.width - _EDGES - max([0, *widths[1:]])
    table.add_column(
        Text(header[0]), overflow="fold", min_width=max(min(longest, console.width // 3, left), _FIRST_WIDTH)
    )
    for place in places[1:]:
        heading = Text("\n".join(wrap(header[place], widths[place])))
        table.add_column(heading, justify="right", width=widths[place], overflow="fold")
    for row in rows:
        cells = [row[place] for place in places]
        table.add_row(*map(Text, cells), end_section=any("\n" in cell for cell in cells) and row is not rows[-1])
    return table
