"""Checks of messages: printable, short, and without contents of files outside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from click.testing import CliRunner

from fuzzing.cases import BrokenError
from simdeploy.cli.app import app
from simdeploy.errors import Problem

# At most this many problems, and how many more there are.
MOST_PROBLEMS = 101
SECRET = "SECRET-7c1f"  # noqa: S105 - a word to look for


def check_text(text: str) -> None:
    """Check a message of one line."""
    if not text.isprintable():
        raise BrokenError(f"a message isn't printable: {text[:200]!r}")
    if SECRET in text:
        raise BrokenError(f"a message shows what is in a file outside: {text[:200]!r}")


def check_problems(problems: Sequence[Problem]) -> None:
    if len(problems) > MOST_PROBLEMS:
        raise BrokenError(f"{len(problems)} problems")
    for problem in problems:
        check_text(str(problem))


def check_validate(file: Path, *, is_good: bool) -> None:
    """Check that ``simdeploy validate`` reports the same problems of a file, in printable lines."""
    result = CliRunner().invoke(app, ["validate", str(file)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    for line in result.output.split("\n"):
        check_text(line)
    if result.exit_code != (0 if is_good else 2):
        raise BrokenError(f"validate exits with {result.exit_code}: {result.output[:200]}")
