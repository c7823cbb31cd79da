"""Bounds checks for the compiled engine: an index out of bounds ends the process and is named.

Compiled code checks none, so it would read or write what lies beside a table. `make fuzz` runs with these checks.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext

from simdeploy.engines.compiled import instructions, jit, parts
from simdeploy.engines.compiled.views import SHAPE

_TOLD_BY = "simdeploy_index_out_of_bounds"
_WHOLE, _TEXT = ir.IntType(64), ir.IntType(8).as_pointer()


def check_bounds() -> None:
    """Compile with bounds checks from now on; the cache keeps this code apart from unchecked code."""
    told_to = os.dup(2)  # pytest may capture it later

    @ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64)
    def tell(where: bytes, index: int, size: int) -> None:
        os.write(told_to, b"\n%s: index %d is out of bounds for size %d\n" % (where, index, size))
        os.abort()  # and faulthandler names the running test

    check_bounds.kept = tell  # type: ignore[attr-defined]
    llvmlite.binding.add_symbol(_TOLD_BY, ctypes.cast(tell, ctypes.c_void_p).value)

    number = jit.source_number() + 1
    jit.source_number = lambda: number  # type: ignore[assignment]
    parts._count_others = lambda _missing: 0  # other processes would compile without checks
    for name in ("_find_place", "_find_row"):
        setattr(instructions.OwnLower, name, _checked(getattr(instructions.OwnLower, name)))
    # Not checked: slices, and rows of tables that a function owns.
    BaseContext.enable_boundscheck = property(lambda _: True, lambda *_: None)
    cgutils.do_boundscheck = lambda _, builder, index, size, axis=0: _check(
        builder, f"{builder.function.name}, axis {axis}", index, size
    )


def _checked(find: Any) -> Any:
    def find_checked(self: Any, table: Any, index: Any) -> Any:
        found = find(self, table, index)
        if found is not None:
            of_index = self.typeof(index.name)
            indices, array = self.loadvar(index.name), self.loadvar(table.name)
            is_tuple = isinstance(of_index, types.BaseTuple)
            for axis, kind in enumerate(of_index.types if is_tuple else (of_index,)):
                along = self.builder.extract_value(indices, axis) if is_tuple else indices
                along = self.context.cast(self.builder, along, kind, types.int64)
                where = f"{self.func_ir.func_id.func_qualname}, line {self.loc.line}, axis {axis}"
                _check(self.builder, where, along, self.builder.extract_value(array, (SHAPE, axis)))
        return found

    return find_checked


def _check(builder: Any, where: str, index: Any, size: Any) -> None:
    is_beyond = builder.icmp_unsigned(">=", index, size)  # so is any that is negative
    with cgutils.if_unlikely(builder, is_beyond):
        text = cgutils.global_constant(builder.module, "where", cgutils.make_bytearray(where.encode() + b"\0"))
        kind = ir.FunctionType(ir.VoidType(), [_TEXT, _WHOLE, _WHOLE])
        function = cgutils.get_or_insert_function(builder.module, kind, _TOLD_BY)
        builder.call(function, [builder.bitcast(text, _TEXT), index, size])
