"""``simdeploy import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from simdeploy.cli.answers import print_answer, to_json, whoever_listens
from simdeploy.cli.command import Command
from simdeploy.cli.files import PathName, file_option, write_text
from simdeploy.cli.options import JSON, Choice, use, whole_option
from simdeploy.errors import InputError, Problem, shorten
from simdeploy.vocabulary import IMPORT_KINDS

if TYPE_CHECKING:
    from simdeploy.dialects import PolicyImport


def _read_variables(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    variables = dict(text.partition("=")[::2] for text in value)
    for text in value:
        if "=" not in text or not text.partition("=")[0].strip():
            raise click.BadParameter(f"{text!r} is not of the form name=value")
    return variables


@click.command("import", cls=Command, example="simdeploy import job.nomad.hcl --nodes 200 -o scenario.yaml")
@click.argument("file", metavar="FILE", type=PathName())
@click.option(
    "--from",
    "kind_of_file",
    metavar="KIND",
    type=Choice(IMPORT_KINDS),
    help=f"Kind of file: {', '.join(IMPORT_KINDS)}. Default: by its content.",
)
@use(whole_option("--nodes", None, "Nodes of the fleet (replicas, tasks, hosts). Default: as the file says."))
@click.option(
    "--var",
    "variables",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_read_variables,
    help="Value of a variable, parameter or template of the file; repeatable.",
)
@use(
    file_option(
        ["-o", "--out", "scenario_file"], "Write a scenario with this policy (.yaml), to be completed.", ".yaml", ".yml"
    ),
    JSON,
)
def command(
    file: str,
    *,
    kind_of_file: str | None,
    nodes: int | None,
    variables: dict[str, str],
    scenario_file: Path | None,
    as_json: bool,
) -> None:
    """Read another orchestrator's policy.

    FILE is a Nomad job, a Kubernetes manifest, an Ansible playbook or another known format. Shows how every field about
    updates maps: exact, approximate, without counterpart, or not evaluated. Other commands accept the file as it is:
    --policy FILE.
    """
    from simdeploy.dialects import read_policy

    if scenario_file is not None and scenario_file.resolve() == Path(file).resolve():
        raise InputError(
            Problem("would overwrite the file that is imported", ("--out",), found=shorten(str(scenario_file)))
        )
    imported = read_policy(Path(file), kind_of_file, nodes=nodes, variables=variables)
    try:
        if as_json:
            with whoever_listens():
                click.echo(to_json(imported, imported.computed_under))
        else:
            print_answer(imported.answer, map(str, imported.notes), (), _policy_lines(imported))
    finally:  # also if the disk behind standard output is full
        if scenario_file is not None:
            from simdeploy.cli.template import write_template

            write_text(write_template(imported, Path(file).name), scenario_file)


def _policy_lines(imported: PolicyImport) -> list[str]:
    from simdeploy.cli.template import write_yaml

    return ["The policy, for a scenario file:", "", *write_yaml(imported.policy).splitlines()]
