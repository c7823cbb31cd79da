"""A command: example and exit codes in --help."""

from __future__ import annotations

import re
import shlex
from typing import Any

import click

from simdeploy.errors import is_printable, printable

FAILED, BAD_INPUT, UNDECIDED, INTERRUPTED = 1, 2, 3, 130
EXIT_CODES = "Exit codes: 0 answered, 1 a simulation or requirement failed, 2 bad input, 3 undecided."
TABLE_ENDINGS = (".csv", ".parquet", ".json")

_ARGUMENTS = "simdeploy.arguments"
_WIDTH = 78


class Command(click.Command):
    """A command that remembers its arguments, for resuming, and ends its help with an `example`."""

    def __init__(self, *args: Any, example: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.example = example

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember the arguments."""
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the example and the exit codes."""
        formatter.write("\nExample:\n")
        for line in self.example.splitlines():
            formatter.write("".join(f"  {part}\n" for part in _wrap(line)))
        formatter.write_paragraph()
        formatter.write_text(EXIT_CODES)


def command_line(ctx: click.Context) -> str:
    """Return the command line in a form that can be pasted into a shell."""
    return " ".join(map(_quote, ["simdeploy", str(ctx.info_name), *ctx.meta[_ARGUMENTS]]))


def _quote(word: str) -> str:
    """Quote a word for a shell; control characters in Bash's ``$'...'`` form."""
    if is_printable(word):
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{printable(escaped)}'"


def _wrap(line: str) -> list[str]:
    """Break a command line before its options, in a form that can be pasted."""
    lines = [""]
    for part in re.split(r" (?=--)", line):
        joined = f"{lines[-1]} {part}".lstrip() if len(lines) == 1 else f"{lines[-1]} {part}"
        if lines[-1] and len(joined) > _WIDTH - 4:
            lines[-1] += " \\"
            lines.append(f"  {part}")
        else:
            lines[-1] = joined
    return lines
