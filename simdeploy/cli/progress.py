"""Progress of a command, and how to resume it after Ctrl-C."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from simdeploy.cli.answers import say
from simdeploy.cli.command import INTERRUPTED, command_line
from simdeploy.errors import InputError, catch_warned


@contextlib.contextmanager
def progress_bar(unit: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a temporary progress bar on standard error; yield None if that is not a terminal.

    Call the yielded function with the numbers done and in total. Work done at the first call doesn't count for the rate.
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
        TextColumn(unit),
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
            bar.update(tasks[0], completed=done, total=total)  # the total may grow

        yield report


@contextlib.contextmanager
def resumable(ctx: click.Context, store: Path | None) -> Iterator[Callable[[int, int], None]]:
    """Show progress, including saved work; on Ctrl-C print how to resume and exit."""
    try:
        is_store = store is not None and (store / "manifest.json").exists()
        # A folder of several stores: the progress of the first doesn't include what the others have saved.
        n_there = 0 if store is None or is_store else _count_rollouts(store)
        knows_total = not n_there or (store is not None and _is_of_one_sweep(store))
        # The first progress of a new folder may include rollouts of this call.
        is_announced = not (is_store or n_there)
        with progress_bar("rollouts") as bar:

            def report(done: int, total: int) -> None:
                nonlocal is_announced
                if is_announced:
                    pass
                elif n_saved := n_there or done:
                    is_complete = knows_total and n_saved == total
                    of_total = f" of {total:,}" if n_saved < total or is_complete else ""
                    start = "complete" if is_complete else "resuming"
                    say(f"{start}: {n_saved:,}{of_total} rollouts are already in {store}")
                is_announced = True
                if bar is not None:
                    bar(done, total)

            yield report
    except KeyboardInterrupt:
        _say_how_to_resume(ctx, store)
        raise click.exceptions.Exit(INTERRUPTED) from None


def _count_rollouts(folder: Path) -> int:
    """Count the rollouts of a store, or of all stores in a folder, and those of its timelines."""
    from simdeploy.analysis.bands import checkpoint
    from simdeploy.analysis.rare import repetitions

    if (folder / "manifest.json").exists():
        return _count_rows(folder)
    within = sorted(path for path in folder.glob("*") if path.is_dir() and not path.is_symlink())
    of_sweeps = sum(_count_rows(path) for path in within if path.name != repetitions.FOLDER)
    return of_sweeps + checkpoint.count_saved(folder) + repetitions.count_saved(folder)


def _is_of_one_sweep(folder: Path) -> bool:
    """Return whether a folder has only stores of one sweep by kind of release, or of splitting: the number of rollouts is known."""
    return all(re.fullmatch(r"(pilot-|rest-|)kind-\d{2,}|splitting", path.name) for path in folder.glob("*"))


def _count_rows(folder: Path) -> int:
    """Return the number of rows of a store; 0 if it can't be read."""
    from simdeploy.experiments import StoreError, read_store

    with catch_warned():
        try:
            return len(read_store(folder))
        except (InputError, StoreError):
            return 0


def _say_how_to_resume(ctx: click.Context, store: Path | None) -> None:
    if store is None:
        has_store = any(param.name == "store" for param in ctx.command.params)
        say(f"interrupted{'; nothing was saved. Run with --store DIR to make it resumable.' if has_store else ''}")
        return
    say(f"interrupted; {_count_rollouts(store):,} rollouts are saved in {store}. To resume:")
    say(f"  {command_line(ctx)}")
