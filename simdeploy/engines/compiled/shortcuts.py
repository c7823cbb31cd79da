"""Shortcuts while the engine is compiled: answers that numba would work out again and again.

They save a third of the time. Each replaces a function of numba's for so long, by one that returns the same; a version of numba
without one of these functions takes none.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba import types
from numba.core import event, ir
from numba.core.postproc import PostProcessor, VariableLifetime
from numba.core.targetconfig import TargetConfig
from numba.core.transforms import canonicalize_cfg
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
        (ir.Inst, "_rec_list_vars"),
        (PostProcessor, "run"),
    ]
    originals: list[Any] = [vars(owner).get(name) for owner, name in places]
    if None in originals:
        yield
        return
    resolve, is_equal, get_hash, *_, process = originals
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

    def list_vars(self: Any, value: Any) -> list[Any]:
        # Most of what instructions hold has none, such as names and places in the source.
        kind = type(value)
        if kind is ir.Var:
            return [value]
        if kind is dict:
            value = value.values()
        elif isinstance(value, ir.Inst):
            listed: list[Any] = value.list_vars()
            return listed
        elif kind is not list and kind is not tuple:
            return []
        found: list[Any] = []
        for part in value:
            if type(part) is ir.Var:
                found.append(part)
            elif type(part) is not str and type(part) is not ir.Loc:
                found += list_vars(self, part)
        return found

    def process_seldom(self: Any, emit_dels: bool = False, extend_lifetimes: bool = False) -> None:
        # After every pass but the last, it works out which variables are alive in each block, which nobody asks for.
        if emit_dels or self.func_ir.is_generator:
            process(self, emit_dels, extend_lifetimes)
            return
        self.func_ir.blocks = canonicalize_cfg(self.func_ir.blocks)
        self.func_ir.variable_lifetime = VariableLifetime(self.func_ir.blocks)
        self.func_ir.generator_info = None

    replacements: list[Any] = [
        resolve_once,
        is_equal_soon,
        hash_once,
        # Every pass describes its arguments, and a record has hundreds of fields.
        types.Type.__repr__,
        # Functions are compiled within their callers, so that timers of all of those listen to every call of LLVM.
        lambda _: None,
        list_vars,
        process_seldom,
    ]
    thresholds = gc.get_threshold()
    try:
        gc.set_threshold(50_000, 50, 100)  # what compiling makes stays until the end
        for (owner, name), shortcut in zip(places, replacements, strict=True):
            setattr(owner, name, shortcut)
        yield
    finally:
        for (owner, name), original in zip(places, originals, strict=True):
            setattr(owner, name, original)
        gc.set_threshold(*thresholds)
