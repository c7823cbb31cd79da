"""Output of a command: the answer, then the tables; or everything as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from simdeploy.errors import plural, printable

if TYPE_CHECKING:
    from simdeploy.result import Result, Table

# Nobody reads more rows of a table than this on a screen, unless they ask for them.
_MOST_ROWS = 40


def say(text: str, *, err: bool = True) -> None:
    """Print a line with control characters escaped, by default on standard error."""
    click.echo(printable(text), err=err)


def to_json(result: Result, computed_under: Mapping[str, Any]) -> str:
    """Return a result as JSON: `Result.to_dict` and `computed_under`."""
    document = result.to_dict() | {"computed_under": dict(computed_under)}
    return json.dumps(document, indent=2, allow_nan=False)


def print_answer(
    answer: str,
    lines: Iterable[str],
    tables: Iterable[Table],
    after: Iterable[str],
    *,
    full: bool = False,  # whether to print all rows of the tables
) -> None:
    """Print the answer, `lines`, the tables and the lines `after` on standard output."""
    from simdeploy.cli.screen import make_console, print_table

    console = make_console()
    with whoever_listens():
        console.print(answer)
        console.print()
        for line in lines:
            console.print(line)
        console.print()
        for table in tables:
            rows = table.rows if full else table.rows[:_MOST_ROWS]
            print_table(console, table.title, table.header, rows)
            if n_more := len(table.rows) - len(rows):
                console.print(f"{plural(n_more, 'more row')}: use --full, --out FILE or --json")
        for line in after:
            console.print(line)


@contextlib.contextmanager
def whoever_listens() -> Iterator[None]:
    """Ignore a closed pipe: after ``| head`` the files must still be written."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_stdout()


def abandon_stdout() -> None:
    """Discard pending output, which Python would otherwise try to write at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
