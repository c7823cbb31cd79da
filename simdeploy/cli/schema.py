"""``simdeploy schema``."""

from __future__ import annotations

import click

from simdeploy.cli.command import Command


@click.command("schema", cls=Command, example="simdeploy schema > simdeploy.schema.json")
def command() -> None:
    """Print the JSON Schema of a scenario file, for editors."""
    import json

    from simdeploy.scenario import scenario_schema

    click.echo(json.dumps(scenario_schema(), indent=2))
