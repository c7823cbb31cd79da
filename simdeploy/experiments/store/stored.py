"""A table in files, whose columns are read on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError, Problem, nearest, shorten

if TYPE_CHECKING:
    import pandas as pd


class Stored(ABC):
    """Base of stored tables. Nothing is cached: keep a column that you need twice."""

    columns: tuple[str, ...]
    is_complete: bool  # whether no part is missing
    _path: Path  # for messages

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __getitem__(self, column: str) -> pd.Series[Any]:
        """Read a single column.

        Raises
        ------
        InputError
            If there is no such column.
        StoreError
            If a part is damaged or gone.
        """
        return self.to_frame([column])[column]

    def __repr__(self) -> str:
        state = "complete" if self.is_complete else "not complete"
        return f"<{type(self).__name__}: {len(self)} rows, {len(self.columns)} columns, {state}>"

    def to_frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read several columns in the given order; default: all.

        Raises
        ------
        InputError
            If there is no such column.
        StoreError
            If a part is damaged or gone.
        """
        return self._to_frame(self._choose(columns))

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Read part by part: together the rows of :meth:`to_frame`, in the order of the files.

        Raises
        ------
        InputError
            If there is no such column.
        StoreError
            If a part is damaged or gone.
        """
        return self._batches(self._choose(columns))

    @abstractmethod
    def _to_frame(self, columns: Sequence[str]) -> pd.DataFrame: ...

    @abstractmethod
    def _batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]: ...

    def _choose(self, columns: Sequence[str] | None) -> Sequence[str]:
        if columns is None:
            return self.columns
        unknown = [name for name in columns if name not in self.columns]
        if unknown:
            raise InputError(
                [
                    Problem(
                        "no such column",
                        file=str(self._path),
                        found=shorten(name),
                        allowed=", ".join(self.columns) or "none yet",
                        hint=nearest(name, self.columns),
                    )
                    for name in unknown
                ]
            )
        return columns
