"""Output files: checked before the work starts, and never left half-written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from simdeploy import output
from simdeploy.cli.answers import say
from simdeploy.errors import shorten

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class PathName(click.Path):
    """A file or folder argument; impossible paths are refused."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Return the value."""
        with usable_path(os.fspath(value)):
            return super().convert(value, param, ctx)


def file_option(names: Sequence[str], text: str, *endings: str) -> click.Option:
    """Return an option for an output file with one of these endings; `text` is its help."""
    return click.Option(names, metavar="FILE", type=PathName(), callback=_checker(*endings), help=text)


def file_argument(name: str, *endings: str) -> click.Argument:
    """Return an argument for an output file with one of these endings."""
    return click.Argument([name], metavar="FILE", type=PathName(), callback=_checker(*endings))


def folder_argument(name: str) -> click.Argument:
    """Return an argument for a folder that is created; it may be left out."""
    return click.Argument([name], metavar="[DIR]", required=False, type=PathName(), callback=_check_folder)


def folder_option(names: Sequence[str], text: str) -> click.Option:
    """Return an option for a folder that is created or resumed; `text` is its help."""
    return click.Option(names, metavar="DIR", type=PathName(), callback=_check_folder, help=text)


def _check_folder(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Path | None:
    if value is None:
        return None
    path = Path(value)
    with usable_path(value):
        if path.exists() and not path.is_dir():
            raise click.BadParameter(f"{shorten(value)} exists and is not a folder")
        there = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise click.BadParameter(f"folder {shorten(str(there))} is not writable")
    return path


def _checker(*endings: str) -> Callable[[click.Context, click.Parameter, str | None], Path | None]:
    """Return a callback that checks an output file's ending and folder."""

    def check(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Path | None:
        if value is None:
            return None
        path = Path(value)
        if path.suffix.lower() not in endings:
            raise click.BadParameter(f"{shorten(value)} must end with one of {', '.join(endings)}")
        with usable_path(value):
            if path.exists() and not path.is_file():
                raise click.BadParameter(f"{shorten(value)} exists and is not a file")
            # Follow links, so that the target is written and the link remains.
            path = path.resolve() if path.is_symlink() else path
            if not path.parent.is_dir():
                raise click.BadParameter(f"no such folder: {shorten(str(path.parent))}")
            if not os.access(path.parent, os.W_OK):
                raise click.BadParameter(f"folder {shorten(str(path.parent))} is not writable")
        return path

    return check


@contextlib.contextmanager
def usable_path(value: str) -> Iterator[None]:
    """Refuse impossible paths: too long, with a NUL, a link to itself."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise click.BadParameter(f"{shorten(value)} is not a valid path: {reason}") from None


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV or Parquet, by the file's ending."""
    output.write_table(frame, path)
    say(f"wrote {path}")


def silence_matplotlib() -> None:
    """Keep Matplotlib's log, such as advice on its cache, out of a command's messages."""
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def write_picture(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file's ending; equal figures give equal bytes."""
    import matplotlib as mpl

    kind = path.suffix.lower().lstrip(".")
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with mpl.rc_context({"svg.hashsalt": "simdeploy"}):
        write_file(path, lambda file: figure.savefig(file, format=kind, dpi=150, metadata=undated))


def write_text(text: str, path: Path) -> None:
    """Write a file of text."""
    write_file(path, lambda file: file.write(text.encode()))


def write_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file completely or not at all."""
    output.write_file(path, write)
    say(f"wrote {path}")
