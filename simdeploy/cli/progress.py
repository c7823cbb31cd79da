"""How far a command is, what a folder has already, and after Ctrl-C how to go on."""

from __future__ import annotations

import contextlib
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from simdeploy.cli.answers import say
from simdeploy.cli.command import INTERRUPTED, typed
from simdeploy.errors import InputError, SimdeployWarning, is_printable, printable


@contextlib.contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on standard error, and remove it in the end; None if that is no terminal.

    It is given how many are done, and of how many; what is done at the first call doesn't count for the rate.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    tasks: list[TaskID] = []
    with Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=60) as bar:

        def report(done: int, total: int) -> None:
            if not tasks:
                tasks.append(bar.add_task("", total=total, completed=done))
            bar.update(tasks[0], completed=done, total=total)  # which grows where it isn't known beforehand

        yield report


@contextlib.contextmanager
def resumable(ctx: click.Context, store: Path | None) -> Iterator[Callable[[int, int], None]]:
    """Show how far the work is, and what a folder has already; on Ctrl-C say how to go on, and end the command."""
    try:
        # Of several sweeps the first one's progress doesn't tell what the others have.
        n_there = 0 if store is None or _count_rows(store) is not None else _count_rollouts(store)
        is_told = store is None or n_there > 0
        if n_there:
            say(f"{store} has {n_there:,} rollouts already: going on from there")
        with progress_bar("rollouts") as bar:

            def report(done: int, total: int) -> None:
                nonlocal is_told
                if not is_told and done:
                    rest = "nothing is left to do" if done == total else "going on with the rest"
                    say(f"{store} has {done:,} of {total:,} rollouts already: {rest}")
                is_told = True
                if bar is not None:
                    bar(done, total)

            yield report
    except KeyboardInterrupt:
        _say_how_to_go_on(ctx, store)
        raise click.exceptions.Exit(INTERRUPTED) from None


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
