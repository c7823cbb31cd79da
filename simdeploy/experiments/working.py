"""The work of one sweep: into memory, or into a store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.engines.choice import choose_engine
from simdeploy.experiments.cutting import cut_job, spans
from simdeploy.experiments.parts import Gathering, cut_parts, read_cut
from simdeploy.experiments.rows import Layout, RowsInMemory
from simdeploy.experiments.store import Store

if TYPE_CHECKING:
    from simdeploy.engines.block import Block
    from simdeploy.experiments.case_table import CaseTable
    from simdeploy.experiments.cases import CaseMaker, Cases
    from simdeploy.experiments.jobs import Executor, Span
    from simdeploy.experiments.progress import Progress

# Cases that go into a store are all checked at first where that is soon done. Of more, so many are; and the others, so
# many at a time, when it is their turn.
_ALL_CHECKED = 20_000
_CHECKED_FIRST = 5000
_AT_A_TIME = 5000


class Work:
    """The work of one sweep, checked.

    Parameters
    ----------
    where : callable
        Returns the executor for an engine.
    report : callable or None
        Is given how many rows are there, and of how many.
    is_stored : bool
        Whether the rows go into a store.

    Attributes
    ----------
    warnings : tuple of str
        What is legal but probably not meant.

    Raises
    ------
    InputError
        With every value that its key can't have, and with values that can't be meant together.
    """

    def __init__(
        self,
        maker: CaseMaker,
        replications: range,
        where: Callable[..., Executor],
        report: Progress | None,
        *,
        is_stored: bool,
    ) -> None:
        self._maker = maker
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
        """Simulate everything; return the rows, and the engine that did it."""
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
        """Simulate what a folder doesn't have; return what the user should be told, and the engine that did it."""
        with Store.open(path, question=question, make_cut=self._cut) as store:
            # The engine is that of the first call, which another one might not choose.
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
        """Yield the numbers of cases that are checked and simulated together; no part has some of them only."""
        size = self._n_cases if self._cases else _AT_A_TIME // layout.cases_per_part * layout.cases_per_part
        for first in range(0, self._n_cases, size):
            yield range(first, min(first + size, self._n_cases))

    def _choose_engine(self) -> str:
        """Return the engine that suits the size of the work, if nobody chose one."""
        node_updates = round(self._n_cases * len(self._replications) * self._node_updates)
        return choose_engine(self._maker.engine, node_updates=node_updates)

    def _cut(self) -> dict[str, Any]:
        engine = self._choose_engine()
        return cut_parts(self._n_cases, len(self._replications), engine=engine, node_updates=self._node_updates)

    def _count_from(self, n_done: int) -> _Counter:
        return _Counter(self._report, n_done, self._n_cases * len(self._replications))


class _Counter:
    """Tells how many rows are there."""

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
    """Return cases that have each value of each key, as far as a few thousand can, and others from everywhere."""
    index = table.points.index
    one_by_one = np.flatnonzero(np.count_nonzero(index != index[0], axis=1) <= 1)[:_CHECKED_FIRST]
    # Multiples of the golden ratio are spread evenly, and not in step with any grid.
    everywhere = (np.arange(_CHECKED_FIRST) * ((5**0.5 - 1) / 2) % 1 * len(table)).astype(int)
    some: list[int] = np.union1d(one_by_one, everywhere).tolist()
    return some
