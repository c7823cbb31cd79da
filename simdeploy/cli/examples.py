"""``simdeploy examples``."""

from __future__ import annotations

from pathlib import Path

import click

from simdeploy.cli.answers import say, whoever_listens
from simdeploy.cli.command import Command
from simdeploy.cli.files import folder_argument
from simdeploy.cli.options import use
from simdeploy.errors import InputError, Problem


@click.command("examples", cls=Command, example="simdeploy examples scenarios")
@use(folder_argument("folder"))
def command(folder: Path | None) -> None:
    """List the example scenarios, or copy them.

    With a folder DIR, copies all of them there. Never overwrites a file. To begin with one example: `simdeploy new --like NAME FILE`.
    """
    from simdeploy.scenario.examples import copy_examples, describe_examples, example_names

    if folder is not None:
        if str(folder) in example_names() and not folder.exists():
            hint = f"to copy it: simdeploy new --like {folder} FILE"
            raise InputError(Problem("the name of an example, not a folder", file=str(folder), hint=hint))
        written = copy_examples(folder)
        say(f"wrote {len(written)} files to {folder}")
        return
    formatter = click.get_current_context().make_formatter()
    formatter.write_dl(list(describe_examples().items()), col_max=24)
    with whoever_listens():
        click.echo(formatter.getvalue(), nl=False)
