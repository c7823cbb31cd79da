"""Memory for tables that are written before they are read, which the next call on the same thread uses again.

To get it from the system may take longer than a rollout of a large fleet.
"""

from __future__ import annotations

import threading
from math import prod
from typing import Any

import numpy as np

MOST_KEPT = 100_000_000  # bytes
_LINE = 64  # bytes: tables begin with a cache line
_of_thread = threading.local()


class Scratch:
    """Tables that hold anything, by name.

    Parameters
    ----------
    **shapes : tuple of int and type
        The shape of each, and then its type.

    Attributes
    ----------
    is_zero : bool
        Whether it is new memory, which holds zeros and takes no time where nobody writes.

    Examples
    --------
    >>> scratch = Scratch(counts=(2, 5, np.int64), times=(5, np.float64))
    >>> scratch.tables["counts"].shape, scratch.tables["times"].dtype
    ((2, 5), dtype('float64'))
    >>> scratch.give_back()
    """

    def __init__(self, **shapes: Any) -> None:
        sizes = [prod(shape) * np.dtype(dtype).itemsize for *shape, dtype in shapes.values()]
        starts = np.cumsum([0, *(-(-size // _LINE) * _LINE for size in sizes)])
        spare = vars(_of_thread).pop("spare", None)
        self.is_zero = spare is None or len(spare) < starts[-1]
        self._memory = np.zeros(starts[-1], np.uint8) if self.is_zero else spare
        self.tables = {
            name: self._memory[start : start + size].view(dtype).reshape(shape)
            for (name, (*shape, dtype)), start, size in zip(shapes.items(), starts, sizes, strict=False)
        }

    def give_back(self) -> None:
        """Leave the memory to the next call on this thread, up to 100 MB until it ends; the tables can't be used afterwards."""
        if len(self._memory) <= MOST_KEPT:
            _of_thread.spare = self._memory
