"""``simdeploy schema``."""

from __future__ import annotations

import click

from simdeploy.cli.command import Command
from simdeploy.cli.options import Choice
from simdeploy.report import REPORTS


@click.command("schema", cls=Command, example="simdeploy schema > simdeploy.schema.json")
@click.option(
    "--result",
    "kind",
    metavar="KIND",
    type=Choice(list(REPORTS)),
    help=f"Kind of result: {', '.join(REPORTS)}.",
)
def command(kind: str | None) -> None:
    """Print the JSON Schema of a scenario file, or of a result.

    Default: a scenario file, for editors. With --result: the JSON that commands write, with its kind under "result".
    """
    import json

    from simdeploy.documents import result_schema
    from simdeploy.scenario import scenario_schema

    click.echo(json.dumps(scenario_schema() if kind is None else result_schema(kind), indent=2))
