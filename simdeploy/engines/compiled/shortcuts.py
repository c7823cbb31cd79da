"""Shortcuts while the engine is compiled: answers that numba would work out again and again.

They save a quarter of the time. Each replaces a function of numba's for so long, by one that returns the same.
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
    known: dict[Any, Any] = {}
    resolve, is_equal, get_hash = BaseFunction.get_call_type, TargetConfig.__eq__, TargetConfig.__hash__
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

    replaced: list[tuple[Any, str, Any]] = [
        (BaseFunction, "get_call_type", resolve_once),
        (TargetConfig, "__eq__", is_equal_soon),
        (TargetConfig, "__hash__", hash_once),
        # Every pass describes its arguments, and a record has hundreds of fields.
        (types.Record, "__repr__", types.Type.__repr__),
        # Functions are compiled within their callers, so that timers of all of those listen to every call of LLVM.
        (event, "broadcast", lambda _: None),
    ]
    originals = [(owner, name, owner.__dict__[name]) for owner, name, _ in replaced]
    try:
        for owner, name, shortcut in replaced:
            setattr(owner, name, shortcut)
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)
