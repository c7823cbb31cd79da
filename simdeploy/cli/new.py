"""``simdeploy new``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from simdeploy.cli.answers import say
from simdeploy.cli.command import Command
from simdeploy.cli.files import file_argument, write_text
from simdeploy.cli.options import Number, Whole, use
from simdeploy.errors import InputError, Problem

_NODES, _REQUESTS, _PERCENT = Whole(1, 10_000_000), Number(0, 1e6), Number(0, 100)
_QUESTIONS: dict[str, tuple[str, float, click.ParamType[Any]]] = {
    "nodes": ("How many nodes does the fleet have?", 100, _NODES),
    "requests": ("How many requests per second does a node serve?", 10, _REQUESTS),
    "defective": ("How many of a hundred releases are defective?", 5, _PERCENT),
}


@click.command("new", cls=Command, example="simdeploy new --nodes 600 --requests 20 --defective 5 fleet.yaml")
@use(file_argument("file", ".yaml", ".yml"))
@click.option("--like", metavar="NAME", help="Copy an example instead; `simdeploy examples` lists them.")
@click.option("--nodes", type=_NODES, help="Nodes of the fleet.")
@click.option("--requests", type=_REQUESTS, help="Requests per second and node.")
@click.option("--defective", type=_PERCENT, help="Percentage of releases that are defective.")
def command(*, file: Path, like: str | None, **answers: float | None) -> None:
    """Write a scenario with comments, to be completed.

    Asks for values that are not given as options. Without a terminal, they are 100 nodes, 10 requests per second and 5 % defective
    releases. Never overwrites a file.
    """
    given = [f"--{name}" for name, value in answers.items() if value is not None]
    if like is not None:
        from simdeploy.scenario.examples import copy_example

        if given:
            raise click.UsageError(f"--like can't be combined with {given[0]}")
        for path in copy_example(like, file):
            say(f"wrote {path}")
        return
    if file.exists():
        raise InputError(Problem("exists already", file=str(file)))
    # In the order of the questions, since click passes given options first.
    nodes, requests, defective = (_prompt_unless_given(name, answers[name]) for name in _QUESTIONS)
    from simdeploy.cli.template import write_scenario

    write_text(write_scenario(file, int(nodes), requests, defective), file)


def _prompt_unless_given(name: str, given: float | None) -> float:
    """Return the value of an option, or ask for it; the default without a terminal."""
    if given is not None:
        return given
    question, default, kind = _QUESTIONS[name]
    if not sys.stdin.isatty():
        return default
    answer: float = click.prompt(question, default=default, type=kind, err=True)
    return answer
