"""``simdeploy validate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from simdeploy.cli.answers import say
from simdeploy.cli.command import Command
from simdeploy.cli.files import PathName
from simdeploy.cli.inputs import read_with_warnings
from simdeploy.cli.options import ALLOW_FILES, use
from simdeploy.errors import Problem, collect, plural, raise_if_any

if TYPE_CHECKING:
    from simdeploy.dialects.source import Source


@click.command("validate", cls=Command, example="simdeploy validate scenarios/*.yaml")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=PathName())
@use(ALLOW_FILES)
def command(files: tuple[str, ...]) -> None:
    """Check scenario files and deployments.

    A FILE is a scenario, a policy (JSON or YAML), or another orchestrator's file. Prints "ok" with a summary, or every problem with its line; then exits with 2.
    """
    from simdeploy.api.files import read_text
    from simdeploy.dialects.source import Source

    problems: list[Problem] = []
    for file in files:
        with collect(problems):
            source = Source(read_text(file), file)
            description = _describe_import(source, file) or (
                _describe_policy(source, file) if _is_policy(source, file) else _describe_scenario(source, file)
            )
            say(f"ok: {file}: {description}", err=False)
    raise_if_any(problems)


def _describe_import(source: Source, file: str) -> str | None:
    """Describe another orchestrator's policy; None if the file isn't one."""
    from simdeploy.dialects.expanso import is_deployment
    from simdeploy.dialects.importing import import_source, recognise

    kind = recognise(source)
    if kind is None or is_deployment(source):
        return None
    imported = import_source(source, kind)
    for problem in imported.warnings():
        say(f"warning: {problem}")
    return f"{imported.answer} Use it with --policy {file}, or see `simdeploy import {file}`."


def _describe_scenario(source: Source, file: str) -> str:
    from simdeploy.analysis.asking.requirements import why_impossible

    scenario = read_with_warnings(file, text=source.text)
    policies = list(scenario.policies)
    for number, requirement in enumerate(scenario.requirements):
        asked = [requirement.policy] if requirement.policy else policies
        types = {scenario.policies[name].identity.type for name in asked}
        reasons = {why_impossible(requirement.measure, scenario, type_) for type_ in types}
        if None not in reasons:
            message = f"no number of replications can decide it: {'; '.join(sorted(filter(None, reasons)))}"
            for document in source.groups:
                say(f"warning: {document.problem(message, ('requirements', number))}")
    return (
        f"scenario {scenario.name}, {plural(scenario.fleet.nodes, 'node')}, "
        f"{plural(len(scenario.release), 'kind')} of release, {plural(len(policies), 'policy', 'policies')} "
        f"({', '.join(policies)})"
    )


def _is_policy(source: Source, file: str) -> bool:
    """Whether a file is a policy in a dialect of simdeploy: JSON, or YAML with a spec, bare or as `tune` writes it."""
    from simdeploy.scenario.loading import is_policy, is_scenario

    if any("policies" in document.data or is_scenario(document.data) for document in source.groups):
        return False
    is_json = file.lower().endswith(".json") or (source.is_json and bool(source.groups))
    return is_json or any(is_policy(document.data) for document in source.groups)


def _describe_policy(source: Source, file: str) -> str:
    from simdeploy.dialects import PolicyImport
    from simdeploy.scenario.policies import parse_policy

    document = parse_policy(source.text, file=file)
    assert not isinstance(document, PolicyImport)  # noqa: S101 - imports have been described
    for problem in document.warnings:
        say(f"warning: {problem}")
    kind = "a spec" if document.deployment is None else "a deployment"
    return f"{kind} in the {document.dialect} dialect, strategy {document.spec.strategy}"
