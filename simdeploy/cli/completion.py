"""``simdeploy completion``."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from simdeploy.cli.inputs import example

_SCRIPTS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(_SCRIPTS)))
@click.pass_context
@example(
    'eval "$(simdeploy completion bash)"    # in ~/.bashrc; likewise zsh\n      simdeploy completion fish | source'
)
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands and options on the Tab key in SHELL."""
    click.echo(_SCRIPTS[shell](ctx.find_root().command, {}, "simdeploy", "_SIMDEPLOY_COMPLETE").source())
