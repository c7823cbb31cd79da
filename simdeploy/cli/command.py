"""A command: example and exit codes in --help, and deprecated option names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import click

from simdeploy.cli.answers import say
from simdeploy.errors import is_printable, printable

FAILED, BAD_INPUT, UNDECIDED, INTERRUPTED = 1, 2, 3, 130
EXIT_CODES = "Exit codes: 0 answered, 1 a simulation or requirement failed, 2 bad input, 3 undecided."
TABLE_ENDINGS = (".csv", ".parquet", ".json")

_ARGUMENTS = "simdeploy.arguments"
_WIDTH = 78

# Old spelling -> new one, by command. They go with the next release.
RENAMED: Mapping[str, Mapping[str, str]] = {
    "run": {"--timeline": "--out"},
    "tune": {"--worlds": "--replications", "--most-rollouts": "--most", "--budget": "--final"},
    "rare": {"--rollouts": "--replications"},
}
_NAMED_POLICIES = ("compare", "check", "switches")


class Command(click.Command):
    """A command that remembers its arguments, for resuming, and ends its help with an `example`."""

    def __init__(self, *args: Any, example: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.example = example

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Replace deprecated options, and remember the arguments."""
        args = list(renew(str(self.name), args))
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the example and the exit codes."""
        formatter.write("\nExample:\n")
        for line in self.example.splitlines():
            formatter.write("".join(f"  {part}\n" for part in _break(line)))
        formatter.write_paragraph()
        formatter.write_text(EXIT_CODES)


def command_line(ctx: click.Context) -> str:
    """Return the command as it can be pasted, with current option names."""
    return " ".join(map(_quote, ["simdeploy", str(ctx.info_name), *ctx.meta[_ARGUMENTS]]))


def _quote(word: str) -> str:
    """Quote a word for a shell; control characters in Bash's ``$'...'`` form."""
    if is_printable(word):
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{printable(escaped)}'"


def _break(line: str) -> list[str]:
    """Break a command line before its options, so that it can be pasted."""
    lines = [""]
    for part in re.split(r" (?=--)", line):
        joined = f"{lines[-1]} {part}".lstrip() if len(lines) == 1 else f"{lines[-1]} {part}"
        if lines[-1] and len(joined) > _WIDTH - 4:
            lines[-1] += " \\"
            lines.append(f"  {part}")
        else:
            lines[-1] = joined
    return lines


def renew(command: str, args: Sequence[str]) -> Iterator[str]:
    """Yield the arguments with current option names; warn about deprecated ones."""
    words = iter(args)
    for word in words:
        if word == "--":
            yield from (word, *words)
            return
        name, sign, value = word.partition("=")
        renamed = RENAMED.get(command, {}).get(name)
        if renamed is not None:
            _warn(name, renamed)
            yield renamed + sign + value
        elif (name == "--policies" and command in _NAMED_POLICIES) or (name == "--out" and command == "sweep"):
            values = [value] if sign else [following] if (following := next(words, None)) is not None else []
            if name == "--policies":
                _warn("--policies A,B", "--policy A --policy B")
                for text in values:
                    names = [name.strip() for name in text.split(",") if name.strip()] or [""]
                    yield from (part for name in names for part in ("--policy", name))
            elif values and PurePath(values[0]).suffix.lower() not in TABLE_ENDINGS:
                _warn("--out DIR", "--store DIR")
                yield from ("--store", *values)
            else:
                yield from ("--out", *values)
        else:
            yield word


def _warn(old: str, new: str) -> None:
    say(f"warning: {old} is now {new}; the next release removes the old form")
