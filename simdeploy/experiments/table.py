"""The table of replications: columns, types, and assembly from blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.engines.block import COLUMNS, WORDS, Block, number_words
from simdeploy.vocabulary import RESPONSES, WEIGHT

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# Types that can hold missing values: failed replications and events that did not happen are NaN, never 0.
DTYPES: dict[str, str] = {
    "scenario": "str",
    "policy": "str",
    "replication": "int64",
    **RESPONSES,
    "status": "str",
    "stage": "str",
    "error": "str",
}

# Bytes per row of the whole table in memory; a word takes 8 bytes plus its letters.
ROW_BYTES = sum({"str": 18, "int64": 8, "Int64": 9, "float64": 8}[dtype] for dtype in DTYPES.values())


def columns_of(*, is_weighted: bool) -> tuple[str, ...]:
    """Return the columns after the identifying ones, with weights for a tilt.

    Examples
    --------
    >>> columns_of(is_weighted=True)[-5:]
    ('decision_requests', 'weight', 'status', 'stage', 'error')
    """
    return (*RESPONSES, *((WEIGHT,) if is_weighted else ()), *COLUMNS[len(RESPONSES) :])


class Outcomes:
    """Outcomes by policy and replication; columns (by default all) are filled from blocks in any order.

    They take about 150 bytes per replication of a policy.

    Examples
    --------
    >>> from simdeploy.engines.block import Block
    >>> outcomes = Outcomes(1, 3)
    >>> outcomes.put(0, Block.of_rows(1, [[{"status": "ok", "waves": 2}, {"status": "ok", "waves": 4}]]))
    >>> outcomes.put(0, Block.of_rows(0, [[{"status": "failed", "stage": "simulate", "error": "no idea"}]]))
    >>> outcomes.to_table({"policy": ["rolling"]}).select(["policy", "replication", "waves", "error"]).to_pylist()[:2]
    [{'policy': 'rolling', 'replication': 0, 'waves': None, 'error': 'no idea'}, {'policy': 'rolling', 'replication': 1, 'waves': 2, 'error': None}]
    """

    def __init__(
        self, n_policies: int, n_replications: int, *, first: int = 0, columns: Sequence[str] = COLUMNS
    ) -> None:
        self.first = first  # the first replication
        self.replications = np.arange(first, first + n_replications, dtype=np.int64)  # their numbers in the table
        shape = (n_policies, n_replications)
        # Whether a replication exists and succeeded, by policy and replication.
        self.is_ok = np.zeros(shape, dtype=bool)
        self._codes = {name: np.full(shape, -1, dtype=np.int32) for name in WORDS if name in columns}
        self._places: dict[str, dict[str, int]] = {name: {} for name in WORDS}
        self._numbers = {
            name: np.zeros(shape, dtype=np.int64 if dtype == "Int64" else np.float64)
            for name, dtype in (*RESPONSES.items(), (WEIGHT, "float64"))
            if name not in WORDS and name in columns
        }

    # ruff: noqa: SLF001 - of the same class
    @classmethod
    def join(cls, parts: Sequence[Outcomes]) -> Outcomes:
        """Return the replications of several outcomes of the same policies and columns, side by side."""
        first = parts[0]
        n_replications = sum(part.shape[1] for part in parts)
        joined = cls(first.shape[0], n_replications, columns=first.columns)
        joined.replications = np.concatenate([part.replications for part in parts])
        start = 0
        for part in parts:
            here = slice(start, start + part.shape[1])
            start = here.stop
            joined.is_ok[:, here] = part.is_ok
            for name, column in joined._numbers.items():
                column[:, here] = part._numbers[name]
            for name, codes in joined._codes.items():
                codes[:, here] = number_words(part._places[name], joined._places[name])[part._codes[name]]
        return joined

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of policies and replications."""
        n_policies, n_replications = self.is_ok.shape
        return n_policies, n_replications

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return (*self._numbers, *self._codes)

    def numbers(self, name: str) -> np.ndarray:
        """Return a column of numbers by policy and replication; NaN if missing."""
        return np.where(self.is_ok, self._numbers[name], np.nan)

    def codes(self, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return a column of words by policy and replication as indices into a list of words, -1 if missing."""
        return np.where(self.is_ok, self._codes[name], -1), tuple(self._places[name])

    def put(self, policy: int | np.ndarray, block: Block) -> None:
        """Add a block whose first policy is number `policy`, or whose policies have these numbers."""
        n_policies, n_replications = block.index.shape
        start = block.first - self.first
        of_policies = slice(policy, policy + n_policies) if isinstance(policy, int) else policy
        here = (of_policies, slice(start, start + n_replications))
        index = block.index.astype(np.intp)  # once for all columns
        self.is_ok[here] = block.is_ok[index]
        for name, column in self._numbers.items():
            # Scenarios without a tilt have weight 1 in a table with tilted ones.
            column[here] = block.numbers[name][index] if name in block.numbers else 1.0
        for name, codes in self._codes.items():
            codes[here] = number_words(block.words[name], self._places[name])[block.codes[name]][index]

    def put_rows(self, policies: np.ndarray, replications: np.ndarray, rows: pd.DataFrame) -> None:
        """Add rows of a table of replications, given their policies' indices and replication numbers."""
        import pandas as pd

        here = (policies, replications - self.first)
        self.is_ok[here] = rows["status"].ne("failed").to_numpy(bool) if "status" in rows else True
        for name, column in self._numbers.items():
            values = rows[name].to_numpy(np.float64, na_value=np.nan)
            column[here] = values if column.dtype == np.float64 else np.nan_to_num(values).astype(np.int64)
        for name, codes in self._codes.items():
            row_codes, words = pd.factorize(rows[name])
            codes[here] = number_words(map(str, words), self._places[name])[row_codes]

    def to_table(self, keys: Mapping[str, Any]) -> pa.Table:
        """Return a row per policy and replication, in this order, with leading columns such as `scenario` and `policy`.

        `keys` have one value per policy. They are followed by `replication`, the responses, `status`, `stage` and `error`, as
        far as these columns are kept. Unknown responses and those of failed replications are null; words, including `keys`,
        are `large_string`.
        """
        import pyarrow as pa

        n_policies, n_replications = self.is_ok.shape
        is_missing = ~self.is_ok.ravel()
        columns = {name: _repeated(values, n_replications) for name, values in keys.items()}
        columns["replication"] = pa.array(np.tile(self.replications, n_policies))
        for name in columns_of(is_weighted=WEIGHT in self._numbers):
            if name in self._codes:
                columns[name] = _words(self._codes[name].ravel(), list(self._places[name]))
            elif name in self._numbers:
                values = self._numbers[name].ravel()
                unknown = is_missing | np.isnan(values) if values.dtype == np.float64 else is_missing
                columns[name] = pa.array(values, mask=unknown)
        return pa.table(columns)

    def to_frame(self, keys: Mapping[str, Any]) -> pd.DataFrame:
        """Return the same rows as a DataFrame with the types of `DTYPES`, owned by the caller.

        Missing numbers are NaN, or NA for whole ones. Columns are handed over without a copy, so this object can't be used
        afterwards.

        Examples
        --------
        >>> from simdeploy.engines.block import Block
        >>> outcomes = Outcomes(1, 1, columns=["waves", "makespan_s", "status"])
        >>> outcomes.put(0, Block.of_rows(0, [[{"status": "ok", "waves": 2, "makespan_s": 60.0}]]))
        >>> outcomes.to_frame({"policy": ["rolling"]})
            policy  replication  makespan_s  waves status
        0  rolling            0        60.0      2     ok
        """
        import pandas as pd

        n_policies, n_replications = self.is_ok.shape
        is_missing = ~self.is_ok.ravel()
        columns: dict[str, Any] = {}
        for name, values in keys.items():
            if isinstance(values, np.ndarray):
                columns[name] = np.repeat(values, n_replications)
            else:
                columns[name] = _to_series(_repeated(values, n_replications))
        columns["replication"] = np.tile(self.replications, n_policies)
        for name in columns_of(is_weighted=WEIGHT in self._numbers):
            if name in self._codes:
                columns[name] = _to_series(_words(self._codes.pop(name).ravel(), list(self._places[name])))
            elif name in self._numbers:
                values = self._numbers.pop(name).ravel()
                if values.dtype == np.float64:
                    values[is_missing] = np.nan
                    columns[name] = values
                else:
                    # Each column has a separate mask, because the caller may change one of them.
                    columns[name] = pd.arrays.IntegerArray(values.astype(np.int64, copy=False), is_missing.copy())
        return pd.DataFrame(columns, copy=False)


def _repeated(values: Any, times: int) -> pa.Array:
    import pyarrow as pa

    if not isinstance(values, pa.Array):
        values = pa.array(values)
    if pa.types.is_string(values.type):
        values = values.cast(pa.large_string())
    return values.take(pa.array(np.repeat(np.arange(len(values)), times)))


def _words(codes: np.ndarray, words: Sequence[str]) -> pa.Array:
    import pyarrow as pa

    places = pa.array(codes, mask=codes < 0)
    return pa.DictionaryArray.from_arrays(places, pa.array(words, pa.large_string())).dictionary_decode()


def _to_series(words: pa.Array) -> pd.Series[str]:
    """Convert words to pandas, usually without looking up the type by name, which would take most of the time."""
    series: pd.Series[str] = words.to_pandas()
    return series if series.dtype == _type_of_words() else series.astype("str")


@lru_cache
def _type_of_words() -> Any:
    from pandas.api.types import pandas_dtype

    return pandas_dtype("str")
