"""A page for each command, from its ``--help``."""

from __future__ import annotations

import re
from inspect import cleandoc

import click
from website.places import read

from simdeploy.cli.app import app
from simdeploy.cli.command import EXIT_CODES

_INTRODUCTION = "``simdeploy COMMAND --help`` prints what the page of a command says."


def escape(text: str) -> str:
    """Return plain text for reStructuredText, with backticked text as code."""
    code = re.split(r"`([^`]+)`", text)
    return "".join(f"``{part}``" if i % 2 else re.sub(r"([\\*`|_<>])", r"\\\1", part) for i, part in enumerate(code))


def list_commands() -> dict[str, click.Command]:
    """Return all commands by name, in the order of ``simdeploy --help``."""
    context = click.Context(app, info_name="simdeploy")
    names = app.list_commands(context)
    return {name: command for name in names if (command := app.get_command(context, name)) is not None}


def make_pages() -> dict[str, str]:
    """Return the pages of all commands, and the list of them."""
    commands = list_commands()
    items = "\n".join(
        f":doc:`{name}`\n   {escape(command.get_short_help_str(limit=200))}\n" for name, command in commands.items()
    )
    tree = "".join(f"   {name}\n" for name in commands)
    index = f"""Commands\n========\n\n{_INTRODUCTION}\n\n{items}
{escape(str(app.epilog))}\n\n.. toctree::\n   :hidden:\n\n{tree}"""
    return {
        "commands/index.rst": index,
        **{f"commands/{name}.rst": _make_page(name, c) for name, c in commands.items()},
    }


def find_guides() -> dict[str, tuple[str, str]]:
    """Return each command's question and its guide, from the table of the README."""
    rows = re.findall(
        r"^\| (.+?\??) \| \[`([\w-]+)[^`]*`\]\(docs/([\w-]+)\.md[^)]*\) \|$", read("README.md"), re.MULTILINE
    )
    return {command: (question, page) for question, command, page in reversed(rows)}


def _make_page(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"simdeploy {name}")
    title = f"simdeploy {name}"
    parts = [f"{title}\n{'=' * len(title)}"]
    parts += _write_help(cleandoc(command.help or ""))
    guide = find_guides().get(name)
    if guide is not None:
        parts.append(f"*{escape(guide[0])}* See :doc:`/{guide[1]}`.")
    parts.append(_write_code(" ".join(command.get_usage(context).removeprefix("Usage: ").split())))
    parts.append(f".. program:: {title}")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1]:  # the help text explains arguments
            parts.append(f".. option:: {record[0]}\n\n   {escape(record[1])}")
    example = getattr(command, "example", None)
    if example:
        parts += ["Example\n-------", _write_code(example)]
    parts.append(escape(command.epilog or EXIT_CODES))
    return "\n\n".join(parts) + "\n"


def _write_help(text: str) -> list[str]:
    """Return the paragraphs of a help text, verbatim after a backspace."""
    parts = text.split("\n\n")
    return [_write_code(part.removeprefix("\b\n")) if part.startswith("\b") else escape(part) for part in parts]


def _write_code(text: str) -> str:
    return ".. code-block:: text\n\n" + "".join(f"   {line}\n" for line in text.splitlines())
