"""``simdeploy completion``."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from simdeploy.cli.command import Command

_SCRIPTS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


_EXAMPLE = 'eval "$(simdeploy completion bash)"    # in ~/.bashrc; likewise zsh\nsimdeploy completion fish | source'


@click.command("completion", cls=Command, example=_EXAMPLE)
@click.argument("shell", type=click.Choice(list(_SCRIPTS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the shell completion script.

    Completes commands and options in SHELL on the Tab key.
    """
    click.echo(_SCRIPTS[shell](ctx.find_root().command, {}, "simdeploy", "_SIMDEPLOY_COMPLETE").source())
