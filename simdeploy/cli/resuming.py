"""Work that is kept in a folder: what is there already is told, and after Ctrl-C how to go on."""

from __future__ import annotations

import contextlib
import shlex
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from simdeploy.cli.answers import say
from simdeploy.cli.command import typed
from simdeploy.cli.progress import progress_bar
from simdeploy.errors import InputError, SimdeployWarning, is_printable, printable

_INTERRUPTED = 130


@contextlib.contextmanager
def resumable(ctx: click.Context, store: Path | None) -> Iterator[Callable[[int, int], None]]:
    """Show how far the work is; on Ctrl-C say how to go on, and end the command.

    Parameters
    ----------
    ctx : click.Context
        Of a `Command`.
    store : Path or None
        The folder that rollouts are kept in.

    Yields
    ------
    callable
        To be given how many rollouts are done, and of how many.
    """
    try:
        with progress_bar("rollouts") as bar:
            yield _Telling(store, bar)
    except KeyboardInterrupt:
        _say_how_to_go_on(ctx, store)
        raise click.exceptions.Exit(_INTERRUPTED) from None


class _Telling:
    """Progress that says at first what a folder has already."""

    def __init__(self, store: Path | None, bar: Any) -> None:
        # Of several sweeps the first one's progress doesn't tell what the others have.
        n_there = 0 if store is None or _count_rows(store) is not None else _count_rollouts(store)
        self._store, self._bar, self._is_told = store, bar, store is None or n_there > 0
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


def _say_how_to_go_on(ctx: click.Context, store: Path | None) -> None:
    if store is None:
        say("interrupted; nothing was saved. Run with --store DIR to make it resumable.")
        return
    say(f"interrupted; {store} has {_count_rollouts(store):,} rollouts. To go on:")
    say(f"  {' '.join(map(_quote, ['simdeploy', str(ctx.info_name), *typed(ctx)]))}")


def _quote(word: str) -> str:
    """Quote a word for a shell; in Bash's own way where it holds what would act on a terminal."""
    if is_printable(word):
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{printable(escaped)}'"
