"""How commands that answer a question end: the answer first, then the tables; or all of it for another program."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from simdeploy.errors import printable

if TYPE_CHECKING:
    from simdeploy.result import Result, Table

# More rows than this of one table are for a file, not for a person.
_MOST_ROWS = 40


def say(text: str, *, err: bool = True) -> None:
    """Print a line for a person, on standard error by default; what would act on a terminal is written out."""
    click.echo(printable(text), err=err)


def to_json(result: Result, computed_under: Mapping[str, Any]) -> str:
    """Write a result as one JSON object: what `Result.to_dict` gives, and what the numbers depend on."""
    document = result.to_dict() | {"computed_under": dict(computed_under)}
    return json.dumps(document, indent=2, allow_nan=False)


def print_answer(answer: str, lines: Iterable[str], tables: Iterable[Table], after: Iterable[str]) -> None:
    """Print for people on standard output: the answer, `lines`, the tables, and then the lines `after`."""
    from simdeploy.cli.screen import make_console, print_table

    console = make_console()
    with whoever_listens():
        console.print(answer)
        console.print()
        for line in lines:
            console.print(line)
        console.print()
        for table in tables:
            print_table(console, table.title, table.header, table.rows[:_MOST_ROWS])
            n_more = len(table.rows) - _MOST_ROWS
            if n_more > 0:
                console.print(f"and {n_more:,} more: --out FILE or --json has all of them")
        for line in after:
            console.print(line)


@contextlib.contextmanager
def whoever_listens() -> Iterator[None]:
    """Go on if nobody reads any more: who pipes into `head` has the answer, and still wants the files."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_stdout()


def abandon_stdout() -> None:
    """Send what is left to nowhere: at exit Python would try to write it once more, and complain."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
