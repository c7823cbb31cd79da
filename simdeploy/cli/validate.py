"""``simdeploy validate``."""

from __future__ import annotations

import click

from simdeploy.cli.answers import say
from simdeploy.cli.command import Command
from simdeploy.cli.files import PathName
from simdeploy.cli.inputs import read_with_warnings
from simdeploy.cli.options import ALLOW_FILES, use
from simdeploy.errors import InputError, Problem


@click.command("validate", cls=Command, example="simdeploy validate scenarios/*.yaml")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=PathName())
@use(ALLOW_FILES)
def command(files: tuple[str, ...]) -> None:
    """Check scenario files and deployments.

    A FILE is a scenario, an API deployment (.json) or another orchestrator's policy. Prints "ok" with a summary, or every problem with its line; then exits with 2.
    """
    problems: list[Problem] = []
    for file in files:
        try:
            description = _describe_import(file) or (
                _describe_json(file) if file.lower().endswith(".json") else _describe_scenario(file)
            )
        except InputError as error:
            problems += error.problems
        else:
            say(f"ok: {file}: {description}", err=False)
    if problems:
        raise InputError(problems)


def _describe_import(file: str) -> str | None:
    """Describe another orchestrator's policy; None if the file is none."""
    from simdeploy.api.files import read_text
    from simdeploy.dialects.expanso import is_deployment
    from simdeploy.dialects.importing import import_source, recognise
    from simdeploy.dialects.source import Source

    source = Source(read_text(file), file)
    kind = recognise(source)
    if kind is None or is_deployment(source):
        return None
    imported = import_source(source, kind)
    for note in imported.unknown:
        say(f"warning: {file}: {note}")
    return f"{imported.answer} Use it with --policy {file}, or see `simdeploy import {file}`."


def _describe_scenario(file: str) -> str:
    from simdeploy.report.wording import plural

    scenario = read_with_warnings(file)
    policies = list(scenario.policies)
    return (
        f"scenario {scenario.name}, {plural(scenario.fleet.nodes, 'node')}, "
        f"{plural(len(scenario.release), 'kind')} of release, {plural(len(policies), 'policy', 'policies')} "
        f"({', '.join(policies)})"
    )


def _describe_json(file: str) -> str:
    from simdeploy.api import read_deployment

    document = read_deployment(file)
    for problem in document.warnings:
        say(f"warning: {problem}")
    kind = "a spec" if document.deployment is None else "a deployment"
    return f"{kind} in the {document.dialect} dialect, strategy {document.spec.strategy}"
