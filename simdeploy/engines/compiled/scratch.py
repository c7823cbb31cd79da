"""Memory for tables that are written before they are read, reused by the next call on the same thread.

Getting it from the system may take longer than a rollout of a large fleet.
"""

from __future__ import annotations

import threading
from math import prod
from typing import Any

import numpy as np

MOST_KEPT = 600_000_000  # bytes: the tables of a million nodes
_LINE = 64  # bytes: tables are aligned to cache lines
_of_thread = threading.local()


class Tables:
    """Tables of zeros in one piece of memory, by name.

    Parameters
    ----------
    **shapes : tuple of int and type
        The shape of each, followed by its type.

    Attributes
    ----------
    addresses : dict of str to int

    Examples
    --------
    >>> made = Tables(counts=(2, 5, np.int64), times=(5, np.float64))
    >>> made["counts"].shape, made["times"].dtype
    ((2, 5), dtype('float64'))
    >>> made.addresses["times"] - made.addresses["counts"]
    128
    """

    def __init__(self, **shapes: Any) -> None:
        self._shapes = shapes
        self._starts, end = {}, 0
        for name, (*shape, dtype) in shapes.items():
            self._starts[name] = end
            end += -(-prod(shape) * np.dtype(dtype).itemsize // _LINE) * _LINE
        self._memory = self._get_memory(end)
        first = self._memory.ctypes.data
        self.addresses = {name: first + start for name, start in self._starts.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        *shape, dtype = self._shapes[name]
        return np.ndarray(shape, dtype, self._memory, self._starts[name])

    def _get_memory(self, size: int) -> np.ndarray:
        return np.zeros(size, np.uint8)


class Scratch(Tables):
    """Uninitialised tables.

    Attributes
    ----------
    is_zero : bool
        Whether the memory is new: then it holds zeros, and pages that are not written cost nothing.

    Examples
    --------
    >>> scratch = Scratch(counts=(2, 5, np.int64))
    >>> scratch["counts"].shape
    (2, 5)
    >>> scratch.give_back()
    """

    def _get_memory(self, size: int) -> np.ndarray:
        spare = vars(_of_thread).pop("spare", None)
        self.is_zero = spare is None or len(spare) < size
        return super()._get_memory(size) if self.is_zero else spare

    def give_back(self) -> None:
        """Give the memory, up to 600 MB, to the next call on this thread; the tables can't be used afterwards."""
        if len(self._memory) <= MOST_KEPT:
            _of_thread.spare = self._memory
