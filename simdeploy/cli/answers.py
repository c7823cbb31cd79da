"""How commands that answer a question end: the answer first, then the tables; or all of it for another program."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from simdeploy.errors import printable

if TYPE_CHECKING:
    from simdeploy.result import Result


def say(text: str, *, err: bool = True) -> None:
    """Print a line for a person, on standard error by default; what would act on a terminal is written out."""
    click.echo(printable(text), err=err)


json_option = click.option("--json", "as_json", is_flag=True, help="Print everything as JSON instead of words.")


def print_answer(
    result: Result, *, as_json: bool, computed_under: Mapping[str, Any], lines: Sequence[str], rows: int | None = None
) -> None:
    """Print a result on standard output.

    Parameters
    ----------
    result : Result
    as_json : bool
        One JSON object: `computed_under`, and what `Result.to_dict` gives.
    computed_under : mapping
        Scenario, seed, engine, and what else the numbers depend on; of plain values.
    lines : sequence of str
        The same for people; they stand between the answer and the tables.
    rows : int, optional
        How many rows of a table are printed at most.
    """
    if as_json:
        # What the command knows beside what the result was told.
        document = result.to_dict() | {"computed_under": dict(computed_under)}
        with whoever_listens():
            click.echo(json.dumps(document, indent=2, allow_nan=False))
        return
    from simdeploy.cli.screen import make_console, print_tables

    console = make_console()
    with whoever_listens():
        console.print(result.answer, soft_wrap=True)
        console.print()
        for line in lines:
            console.print(line, soft_wrap=True)
        console.print()
        print_tables(console, result.summarize(), rows=rows, rest="more: --out FILE or --json has all of them")


@contextlib.contextmanager
def whoever_listens() -> Iterator[None]:
    """Go on if nobody reads any more: who pipes into `head` has the answer, and still wants the files."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
