"""Work that is kept in a folder: what is there already is told, and after Ctrl-C how to go on."""

from __future__ import annotations

import contextlib
import os
import shlex
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from simdeploy.cli.answers import say
from simdeploy.cli.files import PathName, usable_path
from simdeploy.cli.progress import progress_bar
from simdeploy.errors import InputError, SimdeployWarning, is_printable, printable, shorten

_INTERRUPTED = 130
_ARGUMENTS = "simdeploy.arguments"


class ResumableCommand(click.Command):
    """A command that knows what was typed, to be able to say how to go on."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what was typed."""
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)


def _check_folder(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Path | None:
    if value is None:
        return None
    path = Path(value)
    with usable_path(value):
        if path.exists() and not path.is_dir():
            raise click.BadParameter(f"{shorten(value)} is there already and is not a folder")
        there = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise click.BadParameter(f"the folder {shorten(str(there))} can't be written to")
    return path


def folder_option(flag: str) -> Callable[[Any], Any]:
    """Return an option for the folder that rollouts are kept in."""
    text = "Keep every replication in this folder; the same command goes on with what is there."
    return click.option(flag, metavar="DIR", type=PathName(), callback=_check_folder, help=text)


store_option = folder_option("--store")


@contextlib.contextmanager
def resumable(
    ctx: click.Context, store: Path | None, *, flag: str = "--store", in_parts: bool = False
) -> Iterator[Callable[[int, int], None]]:
    """Show how far the work is; on Ctrl-C say how to go on, and end the command.

    Parameters
    ----------
    ctx : click.Context
        Of a `ResumableCommand`.
    store : Path or None
        The folder that rollouts are kept in.
    flag : str, default '--store'
        The option that names it.
    in_parts : bool, default False
        Whether the folder holds a store for each of several pieces of work, of which the later ones aren't known yet.

    Yields
    ------
    callable
        To be given how many rollouts are done, and of how many.
    """
    try:
        with progress_bar("rollouts") as bar:
            yield _Telling(store, bar, in_parts=in_parts)
    except KeyboardInterrupt:
        _say_how_to_go_on(ctx, store, flag)
        raise click.exceptions.Exit(_INTERRUPTED) from None


class _Telling:
    """Progress that says at first what a folder has already."""

    def __init__(self, store: Path | None, bar: Any, *, in_parts: bool) -> None:
        self._store, self._bar, self._is_told = store, bar, in_parts
        n_there = _count_rollouts(store) if in_parts and store is not None else 0
        if n_there:
            say(f"{store} has {n_there:,} rollouts already: going on from there")

    def __call__(self, done: int, total: int) -> None:
        if not self._is_told and done:
            rest = "nothing is left to do" if done == total else "going on with the rest"
            say(f"{self._store} has {done:,} of {total:,} rollouts already: {rest}")
        self._is_told = True
        if self._bar is not None:
            self._bar(done, total)


def _count_rollouts(folder: Path) -> int:
    """Count what is in a store, or in the stores of a folder."""
    n_here = _count_rows(folder)
    if n_here is not None:
        return n_here
    within = sorted(path for path in folder.glob("*") if path.is_dir() and not path.is_symlink())
    return sum(_count_rows(path) or 0 for path in within)


def _count_rows(folder: Path) -> int | None:
    """Return how many rows a store has; None if it is no store, or can't be read."""
    from simdeploy.experiments import StoreError, read_store

    with warnings.catch_warnings(action="ignore", category=SimdeployWarning):
        try:
            return len(read_store(folder))
        except (InputError, StoreError):
            return None


def _say_how_to_go_on(ctx: click.Context, store: Path | None, flag: str) -> None:
    if store is None:
        say(f"interrupted; nothing was kept: with {flag} DIR it can be gone on with")
        return
    say(f"interrupted; {store} has {_count_rollouts(store):,} rollouts. To go on:")
    say(f"  {' '.join(map(_quote, ['simdeploy', str(ctx.info_name), *ctx.meta[_ARGUMENTS]]))}")


def _quote(word: str) -> str:
    """Quote a word for a shell; in Bash's own way where it holds what would act on a terminal."""
    if is_printable(word):
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{printable(escaped)}'"
