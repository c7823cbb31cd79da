"""Responses of many replications of several policies, in columns, as engines return them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simdeploy.vocabulary import RESPONSES, WEIGHT

# Columns of a block that hold words; all others hold numbers.
WORDS = ("state", "release", "verdict", "status", "stage", "error")
WHOLE_NUMBERS = tuple(name for name, dtype in RESPONSES.items() if dtype == "Int64")
COLUMNS = (*RESPONSES, "status", "stage", "error")


@dataclass(frozen=True)
class Block:
    """Outcomes of several policies in consecutive replications; equal outcomes may be stored once."""

    first: int
    # int32, shape (policies, replications): which row of the columns holds the outcome of a policy in a replication.
    index: np.ndarray
    codes: Mapping[str, np.ndarray]  # columns that hold words, as places in `words`; -1 is missing
    words: Mapping[str, tuple[str, ...]]
    # Columns that hold numbers: int64 for whole numbers, else float64; meaningless in rows whose status is not "ok". Under a
    # tilt there is a `weight` beside the responses.
    numbers: Mapping[str, np.ndarray]

    @property
    def n_rows(self) -> int:
        """Number of distinct rows."""
        return len(self.codes["status"])

    def __getstate__(self) -> dict[str, Any]:
        """Pickle each column in one piece, and equal ones once, because many columns are equal."""
        numbers: dict[str, np.ndarray] = {}
        for name, column in self.numbers.items():
            whole = np.ascontiguousarray(column)
            numbers[name] = next((sent for sent in numbers.values() if _has_same_bits(sent, whole)), whole)
        return {**self.__dict__, "numbers": numbers}

    @classmethod
    def of_rows(
        cls,
        first: int,
        rows: Sequence[Sequence[Mapping[str, Any]]],  # by policy, then by replication
    ) -> Block:
        """Make a block from a mapping per policy and replication: responses, `status`, and if it failed `stage` and `error`."""
        flat = [row for of_policy in rows for row in of_policy]
        codes, words = {}, {}
        for name in WORDS:
            values = [_word(row.get(name)) for row in flat]
            words[name] = tuple(dict.fromkeys(value for value in values if value is not None))
            places = {word: place for place, word in enumerate(words[name])}
            codes[name] = np.array([-1 if value is None else places[value] for value in values], dtype=np.int32)
        numbers = {}
        for name in RESPONSES:
            if name not in WORDS:
                is_whole = name in WHOLE_NUMBERS
                values = [row.get(name, 0 if is_whole else np.nan) for row in flat]
                numbers[name] = np.array(values, dtype=np.int64 if is_whole else np.float64)
        if any(WEIGHT in row for row in flat):
            numbers[WEIGHT] = np.array([row.get(WEIGHT, np.nan) for row in flat])
        index = np.arange(len(flat), dtype=np.int32).reshape(len(rows), -1)
        return cls(first, index, codes, words, numbers)

    def row(self, policy: int, place: int) -> dict[str, Any]:
        """Return one outcome as :meth:`of_rows` takes it, by place of the policy and of the replication.

        Examples
        --------
        >>> Block.of_rows(7, [[{"status": "ok", "state": "completed", "waves": 3}]]).row(0, 0)["waves"]
        3
        >>> Block.of_rows(7, [[{"status": "failed", "stage": "simulate", "error": "of time"}]]).row(0, 0)
        {'status': 'failed', 'stage': 'simulate', 'error': 'of time'}
        """
        row = self.index.item(policy, place)
        values: dict[str, Any] = {}
        known = (*RESPONSES, *((WEIGHT,) if WEIGHT in self.numbers else ()))
        is_ok = self.words["status"][self.codes["status"].item(row)] == "ok"  # `self.is_ok` would compute all rows
        for name in known if is_ok else ():
            if name in self.numbers:
                values[name] = self.numbers[name].item(row)
            else:
                code = self.codes[name].item(row)
                values[name] = self.words[name][code] if code >= 0 else np.nan
        for name in ("status", "stage", "error"):
            code = self.codes[name].item(row)
            if code >= 0:
                values[name] = self.words[name][code]
        return values

    @property
    def is_ok(self) -> np.ndarray:
        """Whether the replication of each distinct row completed without an error."""
        words = self.words["status"]
        is_ok: np.ndarray = np.array([word == "ok" for word in words], dtype=bool)[self.codes["status"]]
        return is_ok


def _has_same_bits(column: np.ndarray, other: np.ndarray) -> bool:
    bits, others = column.view(np.int64), other.view(np.int64)
    # The first number mostly decides.
    is_first_equal = column.dtype == other.dtype and np.array_equal(bits[:1], others[:1])
    return is_first_equal and np.array_equal(bits, others)


def number_words(words: Iterable[str], places: dict[str, int]) -> np.ndarray:
    """Return the number of each word, and -1 for code -1, missing; new words are added to `places`.

    Examples
    --------
    >>> places = {"ok": 0}
    >>> number_words(["failed", "ok"], places)[np.array([0, 1, -1])].tolist(), places
    ([1, 0, -1], {'ok': 0, 'failed': 1})
    """
    return np.array([*(places.setdefault(word, len(places)) for word in words), -1], np.int32)


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None
