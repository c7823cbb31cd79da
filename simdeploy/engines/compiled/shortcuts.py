"""Shortcuts while the engine is compiled: answers that numba would work out again and again.

They save a quarter of the time. Each replaces a function of numba's for so long, by one that returns the same; a version of numba
without one of these functions takes none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba import types
from numba.core import event
from numba.core.targetconfig import TargetConfig
from numba.core.types.functions import BaseFunction


@contextmanager
def shortcuts() -> Iterator[None]:
    """Take shortcuts within a `with` statement."""
    places: list[tuple[Any, str]] = [
        (BaseFunction, "get_call_type"),
        (TargetConfig, "__eq__"),
        (TargetConfig, "__hash__"),
        (types.Record, "__repr__"),
        (event, "broadcast"),
    ]
    originals: list[Any] = [vars(owner).get(name) for owner, name in places]
    if None in originals:
        yield
        return
    resolve, is_equal, get_hash, *_ = originals
    known: dict[Any, Any] = {}
    hashes: dict[type, int] = {}

    def resolve_once(self: Any, context: Any, args: Any, kws: Any) -> Any:
        # Every template of an operator is tried, those for text and sets included, at every use of it.
        if kws:
            return resolve(self, context, args, kws)
        key = id(self), context, tuple(args)
        if key not in known:
            known[key] = resolve(self, context, args, kws), self  # which keeps its number
        return known[key][0]

    def is_equal_soon(self: Any, other: Any) -> Any:
        if isinstance(other, TargetConfig) and self._values.keys() == other._values.keys():  # noqa: SLF001
            return self._values == other._values  # noqa: SLF001
        return is_equal(self, other)

    def hash_once(self: Any) -> int:
        # It depends on the names of options alone.
        if type(self) not in hashes:
            hashes[type(self)] = get_hash(self)
        return hashes[type(self)]

    replacements: list[Any] = [
        resolve_once,
        is_equal_soon,
        hash_once,
        # Every pass describes its arguments, and a record has hundreds of fields.
        types.Type.__repr__,
        # Functions are compiled within their callers, so that timers of all of those listen to every call of LLVM.
        lambda _: None,
    ]
    try:
        for (owner, name), shortcut in zip(places, replacements, strict=True):
            setattr(owner, name, shortcut)
        yield
    finally:
        for (owner, name), original in zip(places, originals, strict=True):
            setattr(owner, name, original)
