"""``simdeploy examples``."""

from __future__ import annotations

from pathlib import Path

import click

from simdeploy.cli.answers import say, whoever_listens
from simdeploy.cli.command import Command
from simdeploy.cli.files import folder_option
from simdeploy.cli.options import use


@click.command("examples", cls=Command, example="simdeploy examples --store scenarios")
@use(folder_option(["--store"], "Copy all examples to this folder; no file is overwritten."))
def command(store: Path | None) -> None:
    """List the example scenarios.

    To begin with one of them: `simdeploy new --like NAME FILE`.
    """
    from simdeploy.scenario.examples import copy_examples, describe_examples

    if store is not None:
        written = copy_examples(store)
        say(f"wrote {len(written)} files to {store}")
        return
    formatter = click.get_current_context().make_formatter()
    formatter.write_dl(list(describe_examples().items()), col_max=24)
    with whoever_listens():
        click.echo(formatter.getvalue(), nl=False)
