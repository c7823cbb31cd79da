"""What was seen of a rollout, as files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli.files import PathName, folder_option
from simdeploy.errors import InputError, Problem

if TYPE_CHECKING:
    import pandas as pd

_TABLES = (".csv", ".parquet")
_TIMES = ("created_at", "updated_at", "completed_at", "last_progress_time", "health_check_deadline", "healthy_deadline")

SEEN = click.Option(
    ["--seen"],
    metavar="FILE",
    multiple=True,
    required=True,
    type=PathName(exists=True, dir_okay=False, readable=True, allow_dash=True),
    help="Deployment object (JSON; - is standard input), a list of them in order, or a table of revisions; repeatable, in order.",
)
AT = click.Option(
    ["--at"],
    metavar="TIME",
    help="Instant of looking: RFC 3339, or seconds after created_at. Default: the last updated_at.",
)
LOG = folder_option(["--log"], "Keep the answer in this folder, for simdeploy score.")


def read_files(names: Sequence[str]) -> Any:
    """Return what `advise` takes as `seen`, from files."""
    from simdeploy.api.files import MAX_BYTES, decode, read_text
    from simdeploy.api.json_text import parse_json

    tables = [name for name in names if Path(name).suffix.lower() in _TABLES]
    if tables:
        if len(names) > 1:
            raise click.UsageError("--seen takes one table, and nothing beside it")
        return _read_table(tables[0])
    looks: list[Any] = []
    for name in names:
        text = decode(sys.stdin.buffer.read(MAX_BYTES + 1), file="standard input") if name == "-" else read_text(name)
        content = parse_json(text, file="standard input" if name == "-" else name)
        looks += content if isinstance(content, list) else [content]
    return looks[0] if len(looks) == 1 else looks


def _read_table(name: str) -> pd.DataFrame:
    import pandas as pd

    try:
        frame = pd.read_csv(name) if name.lower().endswith(".csv") else pd.read_parquet(name)
        for column in _TIMES:
            if column in frame:
                frame[column] = pd.to_datetime(frame[column], utc=True, format="ISO8601")
    except (ValueError, OSError) as error:
        raise InputError(Problem("not a table of revisions", file=name, found=str(error).split("\n")[0])) from None
    return frame
