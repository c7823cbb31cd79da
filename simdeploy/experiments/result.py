"""Result of a sweep."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simdeploy.errors import Problem, nearest, plural, raise_if_any
from simdeploy.experiments.levers import write_duration_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from simdeploy.experiments.rows import Rows

_MOST_SHOWN = 8


@dataclass(frozen=True, eq=False, repr=False)
class SweepResult:
    """Replications of every case, from `sweep`.

    Attributes
    ----------
    cases : DataFrame
        One row per case: `case`, `scenario`, `policy`, and a column per varied key.
    factors : tuple of str
        The columns of the varied keys.
    scenarios, policies : tuple of str
        Names in the table.
    replications : int
        Number of replications per case.
    columns : tuple of str
        Columns of the table: those of `cases`, `replication`, the responses, `status`, `stage`, `error`.
    store : Path or None
        Folder of the rows; None if they are in memory.
    attrs : mapping
        `scenario`, `seed`, `engine`, `switches`, and the scenario's `costs` and `requirements`, if any. For several scenarios,
        `scenario` is a list of names and the last three are by name. Varied switches are in the table.
    """

    cases: pd.DataFrame
    factors: tuple[str, ...]
    scenarios: tuple[str, ...]
    policies: tuple[str, ...]
    replications: int
    columns: tuple[str, ...]
    store: Path | None
    attrs: Mapping[str, Any]
    _rows: Rows
    # If all releases are of one kind: by case, the known probability that a rollout is stopped.
    _stopped: np.ndarray | None = None

    def to_frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the table, one row per case and replication.

        Parameters
        ----------
        columns : sequence of str, optional
            Columns to return; default: all. Only these are read from a store.

        Returns
        -------
        DataFrame
            By case, then replication. Missing values are NaN, or NA for whole numbers.

        Raises
        ------
        InputError
            For an unknown column.
        """
        chosen = self._choose(columns)
        frame = self._rows.to_frame(chosen)
        frame.attrs = dict(self.attrs.items())
        return frame

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield the table, or some columns, in parts, so that it need not fit in memory.

        Yields
        ------
        DataFrame
            Together they are the rows of `to_frame`; a case may be spread over several parts.
        """
        return self._rows.batches(self._choose(columns))

    def _choose(self, columns: Sequence[str] | None) -> list[str]:
        if columns is None:
            return list(self.columns)
        unknown = [
            Problem("no such column", (str(name),), allowed=", ".join(self.columns), hint=nearest(name, self.columns))
            for name in columns
            if name not in self.columns
        ]
        raise_if_any(unknown)
        return list(columns)

    def __repr__(self) -> str:
        place = "" if self.store is None else f" in {self.store}"
        return f"<SweepResult{place}: {self._summary()}>"

    def _repr_html_(self) -> str:
        named = ("scenario", "policy", *self.factors)
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(self.list_values(name))}</td></tr>" for name in named
        )
        return f"<table><caption>{html.escape(self._summary())}</caption><tbody>{rows}</tbody></table>"

    def list_values(self, key: str) -> str:
        """Return the number of values of a column of `cases`, and all of them or the first and last, as text."""
        import pandas as pd

        values = [
            "unset"
            if pd.isna(value)
            else write_duration_of(key, value) or (f"{value:g}" if isinstance(value, float) else str(value))
            for value in self.cases[key].unique()
        ]
        if len(values) > _MOST_SHOWN:
            return f"{len(values):,} values: {values[0]}, {values[1]}, ..., {values[-1]}"
        return f"{plural(len(values), 'value')}: {', '.join(values)}"

    def _summary(self) -> str:
        varied = ", ".join(self.factors) or "scenarios and policies"
        return f"{plural(len(self.cases), 'case')}, {plural(self.replications, 'replication')} each, over {varied}"
