"""Tables, split to fit a terminal's width."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from simdeploy.errors import printable
from simdeploy.report.formatting import UNTRUSTED

# Width of tables in a file or a pipe. Sentences aren't wrapped there, so that programs find each on one line.
_WIDTH_OF_A_PIPE = 100
_UNLIMITED = 10_000
_FIRST_WIDTH = 12  # minimum for the first column
_EDGES = 5  # width of the borders and padding of two columns
_MOST_KEYS = 3


def make_console() -> Console:
    """Return a console on standard output; colours and wrapping only on a terminal."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
    return _Console(width=width, highlight=False, markup=False, emoji=False)


class _Console(Console):
    def print(self, *objects: Any, **options: Any) -> None:
        """Print with control characters escaped, and without trailing blanks in files."""
        objects = tuple(printable_lines(each) if isinstance(each, str) else each for each in objects)
        if self.is_terminal:
            super().print(*objects, **options)
            return
        with self.capture() as capture:
            super().print(*objects, soft_wrap=all(isinstance(each, str) for each in objects), **options)
        self.file.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))

    def on_broken_pipe(self) -> None:
        """Raise, so that the command can still write files; rich would exit."""
        raise BrokenPipeError


def printable_lines(text: str) -> str:
    """Return text with control characters escaped, except line breaks."""
    return "\n".join(map(printable, text.split("\n")))


def print_table(console: Console, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; split one that is too wide into several, each with the columns that identify a row."""
    header, rows = [printable_lines(cell) for cell in header], [[printable_lines(cell) for cell in row] for row in rows]
    for part, table in enumerate(_parts(console, header, rows)):
        heading = title if part == 0 else f"{title.partition(f'; {UNTRUSTED}')[0]} (continued)"
        console.print(Text(printable_lines(heading), style="bold"))
        console.print(table)


def _parts(console: Console, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Table]:
    """Split the columns into as few tables as fit, each with the first columns, which identify its rows."""
    whole = _table(console, header, rows, range(len(header)))
    if _fits(console, whole):
        yield whole
        return
    n_keys = _count_keys(console, header, rows)
    part = _table(console, header, rows, places := [*range(n_keys)], n_keys)
    for place in range(n_keys, len(header)):
        wider = _table(console, header, rows, [*places, place], n_keys)
        if len(places) > n_keys and not _fits(console, wider):
            yield part
            places = [*range(n_keys)]
            wider = _table(console, header, rows, [*places, place], n_keys)
        part, places = wider, [*places, place]
    yield part


def _fits(console: Console, table: Table) -> bool:
    # Without a limit, as the terminal's width would cap the measurement.
    needed = Measurement.get(console, console.options.update(max_width=_UNLIMITED), table).minimum
    return needed <= console.width


def _count_keys(console: Console, header: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Return how many of the first columns identify a row; 1 if they are too many to repeat."""
    for n in range(1, min(_MOST_KEYS, len(header) - 1) + 1):
        if len({tuple(row[:n]) for row in rows}) == len(rows):
            widths = _find_widths(console, header, rows, n)
            return n if _FIRST_WIDTH + sum(widths[1:n]) + max(widths[n:]) + (n + 1) * _EDGES <= console.width else 1
    return 1


def _find_widths(console: Console, header: Sequence[str], rows: Sequence[Sequence[str]], n_keys: int) -> list[int]:
    """Return the widths of the columns: as needed, but at most a quarter of the console for key columns."""
    # Later columns leave the first one up to a quarter of the console.
    first = max([cell_len(header[0]), *(cell_len(line) for row in rows for line in row[0].splitlines())])
    room = max(1, console.width - max(_FIRST_WIDTH, min(first, console.width // 4)) - _EDGES)
    widths = []
    for place, heading in enumerate(header):
        lines = [line for row in rows for line in row[place].splitlines()]
        # Headings may wrap. Values don't, unless they don't fit on the terminal.
        needed = min(max([1, *map(cell_len, [*lines, *heading.split()])]), room)
        widths.append(min(needed, max(console.width // 4, _FIRST_WIDTH)) if place < n_keys else needed)
    return widths


def _table(
    console: Console, header: Sequence[str], rows: Sequence[Sequence[str]], places: Sequence[int], n_keys: int = 1
) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    widths = _find_widths(console, header, rows, n_keys)
    keys = sum(width + _EDGES for width in widths[1:n_keys])
    longest = max(map(cell_len, [header[0], *(line for row in rows for line in row[0].splitlines())]))
    left = console.width - _EDGES - keys - max([0, *widths[n_keys:]])
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
