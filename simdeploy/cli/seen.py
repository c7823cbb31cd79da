"""Options and files for what was seen of a rollout."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli.files import PathName, folder_option
from simdeploy.errors import InputError, Problem

if TYPE_CHECKING:
    import pandas as pd

_TIMES = ("created_at", "updated_at", "completed_at", "last_progress_time", "health_check_deadline", "healthy_deadline")

SEEN = click.Option(
    ["--seen"],
    metavar="FILE",
    multiple=True,
    required=True,
    type=PathName(exists=True, dir_okay=False, readable=True, allow_dash=True),
    help="Deployment object (JSON; - is standard input), several in order, or a table of revisions or nodes; repeatable.",
)
AT = click.Option(
    ["--at"],
    metavar="TIME",
    help="Time of observation: RFC 3339, or seconds after created_at. Default: the last updated_at.",
)
EVIDENCE = click.Option(
    ["--evidence"],
    metavar="FILE",
    type=PathName(exists=True, dir_okay=False, readable=True, allow_dash=True),
    help="Request counts: health windows of nodes, or totals (CSV, Parquet or JSON; - is standard input).",
)
LOG = folder_option(["--log"], "Save the answer in this folder, for simdeploy score.")


def read_evidence(name: str | None, seen: Sequence[str]) -> Any:
    """Read the `evidence` of `advise` from a file."""
    if name is None:
        return None
    if name == "-" and "-" in seen:
        raise click.UsageError("--seen and --evidence can't both be standard input")
    return read_content(name)


def read_files(names: Sequence[str]) -> Any:
    """Read the argument `seen` of `advise` from files: objects, or one table, by content."""
    looks: list[Any] = []
    for name in names:
        content = read_content(name)
        if not isinstance(content, list | dict):
            if len(names) > 1:
                raise click.UsageError("--seen takes a single table, without other files")
            return content
        looks += content if isinstance(content, list) else [content]
    return looks[0] if len(looks) == 1 else looks


def read_content(name: str) -> Any:
    """Read a file or standard input: JSON, or a table as a DataFrame."""
    from simdeploy.api.files import MAX_BYTES, decode, read_text
    from simdeploy.api.json_text import parse_json

    if name.lower().endswith(".parquet"):
        return _read_table(name, name)
    shown = "standard input" if name == "-" else name
    text = decode(_read_input(MAX_BYTES + 1, shown), file=shown) if name == "-" else read_text(name)
    if text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[") or name.lower().endswith(".json"):
        return parse_json(text, file=shown)
    return _read_table(StringIO(text), shown)


def _read_input(most_bytes: int, shown: str) -> bytes:
    try:
        return sys.stdin.buffer.read(most_bytes)
    except OSError as error:  # not open for reading
        raise InputError(Problem(f"can't be read: {error.strerror}", file=shown)) from None


def _read_table(source: str | StringIO, name: str) -> pd.DataFrame:
    import pandas as pd

    try:
        frame = pd.read_parquet(source) if isinstance(source, str) else pd.read_csv(source)
        for column in _TIMES:
            if column in frame:
                frame[column] = pd.to_datetime(frame[column], utc=True, format="ISO8601")
    except pd.errors.ParserError:
        allowed = "JSON of the deployment, or a table of its nodes as CSV or Parquet"
        raise InputError(Problem("not a table", file=name, allowed=allowed)) from None
    except (ValueError, OSError) as error:
        raise InputError(Problem("not a table", file=name, found=str(error).split("\n")[0])) from None
    return frame
