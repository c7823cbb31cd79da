"""How far a command is: a bar with the rate and the time left, on a terminal only."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on standard error, and remove it in the end.

    Parameters
    ----------
    what : str
        What is counted, in the plural.

    Yields
    ------
    callable or None
        To be given how many are done, and of how many; what is done at the first call doesn't count for the rate. None
        if standard error is no terminal.
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
