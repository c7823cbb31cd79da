"""A job that simulates nothing and disturbs its process as a test asks; in a module, so that workers can import it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from simdeploy.engines.block import Block
from simdeploy.experiments.jobs import Group, Job, Span

Cell = tuple[int, int]  # a policy and a replication


@dataclass(frozen=True)
class FakeJob(Job):
    """Each row says its policy (`waves`) and replication (`updated_nodes`)."""

    folder: str = ""  # folder for marks: which cells were begun, and by which process
    deadly: tuple[Cell, ...] = ()  # these kill their process
    deadly_once: tuple[Cell, ...] = ()  # these do so the first time
    held_once: tuple[Cell, ...] = ()  # these wait, the first time, until their process is killed
    error: str = ""  # message of a ValueError that every span raises, if set

    def __post_init__(self) -> None:
        """There is no fleet that could be too large."""

    def run(self, span: Span) -> Block:
        if self.error:
            raise ValueError(self.error)
        rows = []
        for policy in range(span.policy, span.policy + span.n_policies):
            numbers = range(span.first, span.first + span.n_replications)
            rows.append([self._run_cell((policy, replication)) for replication in numbers])
        return Block.of_rows(span.first, rows)

    def mark(self, cell: Cell) -> Path:
        """Where the process that began a cell writes its number."""
        return Path(self.folder, f"{cell[0]}-{cell[1]}")

    def _run_cell(self, cell: Cell) -> dict[str, object]:
        is_first_time = not self.mark(cell).exists()
        if cell in (*self.deadly, *self.deadly_once, *self.held_once):
            written = self.mark(cell).with_suffix(".new")
            written.write_text(str(os.getpid()))
            written.replace(self.mark(cell))
        if cell in self.deadly or (is_first_time and cell in self.deadly_once):
            os.kill(os.getpid(), signal.SIGKILL)
        while is_first_time and cell in self.held_once:
            signal.pause()
        return {"status": "ok", "waves": cell[0], "updated_nodes": cell[1]}


def make_job(n_policies: int, **options: object) -> FakeJob:
    """Make a fake job with one group and without a scenario."""
    return FakeJob((Group(None, (None,) * n_policies),), 0, "reference", **options)
