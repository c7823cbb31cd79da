"""The work of one sweep, into memory or part by part into a store."""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence, Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.engines.choice import choose_engine, expect_seconds
from simdeploy.errors import shorten
from simdeploy.experiments.cutting import Cut, cut_job, cut_rectangle, spans
from simdeploy.experiments.rows import Layout, RowsInMemory, make_rows
from simdeploy.experiments.store import Store, StoreError

if TYPE_CHECKING:
    import pyarrow as pa

    from simdeploy.engines.block import Block
    from simdeploy.experiments.arguments import Progress
    from simdeploy.experiments.case_table import CaseTable
    from simdeploy.experiments.cases import CaseMaker, Cases
    from simdeploy.experiments.jobs import Executor, Span
    from simdeploy.scenario import Scenario, ScenarioPolicy

    Simulate = Callable[[Iterator[Span]], Generator[tuple[Span, Block], None, None]]

# With a store, up to this many cases are all checked first. If there are more, some are checked first, and the others this
# many at a time before they are simulated.
_ALL_CHECKED = 20_000
_CHECKED_FIRST = 5000
_AT_A_TIME = 5000

# A part is some seconds of work, so that little is lost if a run is interrupted. But many small files are slow to read, and
# parts with many rows take much memory.
_PART_S = 4.0
_MOST_PARTS = 1000
_MOST_ROWS = 100_000
_MOST_CASES = 5000  # all cases of a part are checked before it begins

# The compiled engine shares work among the policies of a span, so many cases are simulated together: this many spans of
# about a second or less, or this many cases, which share nearly all work. Their outcomes stay in memory until their parts
# are finished.
_SPANS_TOGETHER = 64
_CASES_TOGETHER = 256
_MOST_CELLS = 4_000_000


class Work:
    """Checked work of one sweep; raises `InputError` with all invalid values and combinations.

    `where` returns the executor for an engine, `report` takes the numbers of finished and of all rows. `node_updates` is the
    total amount of work, by which the engine is chosen, if this is only a part of it. `warnings` are about valid values that
    are probably mistakes.
    """

    def __init__(
        self,
        maker: CaseMaker,
        replications: range,
        where: Callable[..., Executor],
        report: Progress | None,
        *,
        is_stored: bool,
        node_updates: int = 0,
    ) -> None:
        self._maker = maker
        self._expected_updates = node_updates
        self._replications = replications
        self._where = where
        self._report = report
        self._n_cases = len(maker.table)
        self._cases: Cases | None = None
        if self._n_cases <= _ALL_CHECKED or not is_stored:
            self._cases = maker.make(range(self._n_cases))
            checked = self._cases.checked
        else:
            checked = maker.check(_choose_some(maker.table))
        self._node_updates = checked.node_updates
        self.warnings = checked.warnings

    def in_memory(self) -> tuple[RowsInMemory, str]:
        """Simulate everything; return the rows and the engine."""
        engine = self._choose_engine()
        cases = self._make(range(self._n_cases)).with_engine(engine)
        n = len(self._replications)
        pieces = spans(cut_job(cases.job, n), cases.job, n, first=self._replications.start)
        counter = self._count_from(0)
        blocks: list[tuple[Span, Block]] = []
        with closing(self._where(engine=engine).run(cases.job, pieces)) as finished:
            for span, block in finished:
                blocks.append((span, block))
                counter.add(len(cases.within(span, cases.numbers)) * span.n_replications)
        return RowsInMemory(cases, sorted(blocks, key=itemgetter(0))), engine

    def into_store(self, path: str | os.PathLike[str], question: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
        """Simulate what the folder lacks; return notes for the user and the engine."""
        with Store.open(path, question=question, make_cut=self._cut) as store:
            # The engine of the first call is kept, because a later call might choose another.
            engine, layout = read_cut(store.cut, self._n_cases, self._replications)
            counter = self._count_from(layout.count_rows(store.finished))
            for numbers in self._stretches(layout):
                if store.finished >= set(layout.parts_of(numbers)):
                    continue
                cases = self._make(numbers).with_engine(engine)
                gathering = Gathering(cases, layout, cut_job(cases.job, len(self._replications)))
                run = partial(self._where(engine=engine).run, cases.job)
                with closing(gathering.gather(store.finished, run, counter.add)) as parts:
                    for number, rows in parts:
                        store.write(number, rows)
            store.finish(layout.n_parts)
            return tuple(store.notes), engine

    def _make(self, numbers: range) -> Cases:
        return self._cases or self._maker.make(numbers, keep_broken=True)

    def _stretches(self, layout: Layout) -> Iterator[range]:
        """Yield ranges of cases that are checked and simulated together; they fill whole parts."""
        size = self._n_cases if self._cases else _AT_A_TIME // layout.cases_per_part * layout.cases_per_part
        for first in range(0, self._n_cases, size):
            yield range(first, min(first + size, self._n_cases))

    def _choose_engine(self) -> str:
        """Return the requested engine, or the one that suits the size of the work."""
        updates = round(self._n_cases * len(self._replications) * self._node_updates)
        asked: list[tuple[Scenario, Sequence[ScenarioPolicy]]]
        if self._cases:
            asked = [(group.scenario, group.policies) for group in self._cases.job.groups]
        else:
            asked = [(scenario, ()) for scenario in self._maker.scenarios.values()]
        return choose_engine(self._maker.engine, asked, node_updates=max(updates, self._expected_updates))

    def _cut(self) -> dict[str, Any]:
        engine = self._choose_engine()
        return cut_parts(self._n_cases, len(self._replications), engine=engine, node_updates=self._node_updates)

    def _count_from(self, n_done: int) -> _Counter:
        return _Counter(self._report, n_done, self._n_cases * len(self._replications))


class _Counter:
    """Reports the number of finished rows."""

    def __init__(self, report: Progress | None, n_done: int, n_rows: int) -> None:
        self._report = report
        self._n_done = n_done
        self._n_rows = n_rows
        self.add(0)

    def add(self, n_rows: int) -> None:
        """Count further rows."""
        self._n_done += n_rows
        if self._report is not None:
            self._report(self._n_done, self._n_rows)


def _choose_some(table: CaseTable) -> list[int]:
    """Return a few thousand cases: as far as possible one with each value of each key, and others spread evenly."""
    index = table.points.index
    one_by_one = np.flatnonzero(np.count_nonzero(index != index[0], axis=1) <= 1)[:_CHECKED_FIRST]
    # Multiples of the golden ratio are spread evenly and match no grid.
    everywhere = (np.arange(_CHECKED_FIRST) * ((5**0.5 - 1) / 2) % 1 * len(table)).astype(int)
    some: list[int] = np.union1d(one_by_one, everywhere).tolist()
    return some


def cut_parts(n_cases: int, n_replications: int, *, engine: str, node_updates: float) -> dict[str, Any]:
    """Choose the division of the rows into parts, as a JSON value; `node_updates` is per replication of a case.

    It doesn't depend on timing: the same question and engine give the same files.

    Examples
    --------
    >>> cut_parts(400, 1000, engine="compiled", node_updates=1000)
    {'engine': 'compiled', 'cases_per_part': 40, 'replications_per_part': 1000, 'n_parts': 10}
    """
    worth = _PART_S / expect_seconds(engine, node_updates)
    n_rows = int(min(_MOST_ROWS, max(1, worth, n_cases * n_replications / _MOST_PARTS)))
    layout = Layout.of_size(n_cases, range(n_replications), n_rows=n_rows, most_cases=_MOST_CASES)
    return {
        "engine": engine,
        "cases_per_part": layout.cases_per_part,
        "replications_per_part": layout.replications_per_part,
        "n_parts": layout.n_parts,
    }


def read_cut(cut: Any, n_cases: int, replications: range) -> tuple[str, Layout]:
    """Return the engine and the layout that `cut_parts` chose; raise `StoreError` for anything else."""
    match cut:
        case {"engine": "compiled" | "reference" as engine, "n_parts": n_parts} if isinstance(n_parts, int):
            sizes = cut.get("cases_per_part"), cut.get("replications_per_part")
            if all(isinstance(size, int) and size > 0 for size in sizes):
                layout = Layout(n_cases, replications, *sizes)
                if layout.n_parts == n_parts:
                    return engine, layout
    raise StoreError(f"manifest.json is damaged (invalid cut: {shorten(cut)})")


class Gathering:
    """Simulates consecutive cases of a layout, which fill whole parts, and assembles these parts.

    `cut` has the span sizes of the cases' job.
    """

    def __init__(self, cases: Cases, layout: Layout, cut: Cut) -> None:
        self._cases = cases
        self._layout = layout
        self._cut = cut
        self._under_way: dict[Span, deque[_Tile]] = defaultdict(deque)
        self._whole: deque[_Tile] = deque()

    def gather(
        self, finished: AbstractSet[int], simulate: Simulate, report_progress: Callable[[int], None]
    ) -> Generator[tuple[int, pa.Table], None, None]:
        """Simulate unfinished parts; yield the parts in any order, each with its rows in fixed order.

        `simulate` yields each given span with its block, in any order; `report_progress` takes the number of rows of each finished span.
        """
        with closing(simulate(self._spans(finished))) as blocks:
            for span, block in blocks:
                tile = self._under_way[span].popleft()
                report_progress(
                    span.n_replications * sum(len(self._cases.within(span, cases)) for cases in self._ranges(tile))
                )
                tile.blocks.append((span, block))
                if len(tile.blocks) == tile.n_spans:
                    self._whole.append(tile)
                yield from self._rows()
        yield from self._rows()

    def _ranges(self, tile: _Tile) -> Iterator[range]:
        return (self._layout.part(number).cases for number in tile.parts)

    def _rows(self) -> Iterator[tuple[int, pa.Table]]:
        while self._whole:
            tile = self._whole.popleft()
            for number in tile.parts:
                yield number, make_rows(self._cases, *self._layout.part(number), tile.blocks)

    def _spans(self, finished: AbstractSet[int]) -> Iterator[Span]:
        for tile in self._tiles(finished):
            spans = list(self._spans_of(tile))
            tile.n_spans = len(spans)
            if not spans:  # all its cases are invalid
                self._whole.append(tile)
            for span in spans:
                self._under_way[span].append(tile)
                yield span

    def _tiles(self, finished: AbstractSet[int]) -> Iterator[_Tile]:
        layout = self._layout
        n_together = max(1, self._count_together() // layout.cases_per_part)
        for chunk in range(layout.n_chunks):
            of_chunk = layout.parts_of(self._cases.numbers)[chunk :: layout.n_chunks]
            missing = [number for number in of_chunk if number not in finished]
            for first in range(0, len(missing), n_together):
                yield _Tile(missing[first : first + n_together])

    def _count_together(self) -> int:
        """Return how many cases are simulated together, to share work."""
        if self._cases.job.engine == "reference":  # shares no work
            return 1
        n_replications = self._layout.replications_per_part
        n_cells = _SPANS_TOGETHER * max((piece.n_policies * piece.n_replications for piece in self._cut), default=0)
        return min(max(n_cells // n_replications, _CASES_TOGETHER), _MOST_CELLS // n_replications)

    def _spans_of(self, tile: _Tile) -> Iterator[Span]:
        replications = self._layout.part(tile.parts[0]).replications
        needed: dict[int, list[np.ndarray]] = defaultdict(list)
        for cases in self._ranges(tile):
            for group, places in self._cases.policies_of(cases).items():
                needed[group].append(places)
        for group in sorted(needed):
            for policies in _runs(np.unique(np.concatenate(needed[group]))):
                yield from cut_rectangle(group, policies, replications, self._cut[group])


@dataclass
class _Tile:
    """Parts that are simulated together, with the same replications."""

    parts: list[int]
    n_spans: int = 0
    blocks: list[tuple[Span, Block]] = field(default_factory=list)  # finished ones


def _runs(numbers: np.ndarray) -> Iterator[range]:
    """Yield ascending numbers as ranges of consecutive ones."""
    for run in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
        yield range(int(run[0]), int(run[-1]) + 1)
