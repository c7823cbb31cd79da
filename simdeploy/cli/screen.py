"""Tables on a terminal of any width, or whole when nobody's terminal is at the other end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

# Into a file or a pipe nothing is wrapped or cut.
_WIDTH_OF_A_PIPE = 240
_UNLIMITED = 10_000


def make_console() -> Console:
    """Return a console on standard output, without colours or line breaks unless that is a terminal."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
    return Console(width=width, highlight=False, markup=False, emoji=False)


def print_table(console: Console, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; where it is wider than the terminal, as several that repeat the first column."""
    for part, places in enumerate(_parts(console, header, rows)):
        console.print(Text(title if part == 0 else f"{title} (continued)", style="bold"))
        console.print(_table([header[place] for place in places], [[row[place] for place in places] for row in rows]))


def _parts(console: Console, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[list[int]]:
    """Cut the columns into as few groups as fit, each beginning with the first column."""
    part = [0]
    for place in range(1, len(header)):
        wider = [*part, place]
        table = _table([header[place] for place in wider], [[row[place] for place in wider] for row in rows])
        # Measured without the terminal's own width, which would cap the answer.
        needed = Measurement.get(console, console.options.update(max_width=_UNLIMITED), table).minimum
        if needed > console.width and len(part) > 1:
            yield part
            part = [0, place]
        else:
            part = wider
    yield part


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for place, name in enumerate(header):
        lines = [line for row in rows for line in row[place].splitlines()]
        if place == 0:
            table.add_column(Text(name), overflow="fold", min_width=12)
        else:
            # A heading may take several lines, a number may not.
            width = max(map(len, [*lines, *name.split()]))
            table.add_column(Text("\n".join(wrap(name, width))), justify="right", min_width=width)
    for row in rows:
        table.add_row(*map(Text, row), end_section=any("\n" in cell for cell in row) and row is not rows[-1])
    return table
