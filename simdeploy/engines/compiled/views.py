"""Views of tables whose addresses a record holds, for compiled code.

Each is a few instructions that are generated directly. As compiled or inlined Python functions they would take a quarter of the time
for compiling.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from numba import from_dtype, types
from numba.core import cgutils
from numba.extending import intrinsic

# Places of the fields in numba's structure of an array, after the owner of its memory.
_N_ITEMS, ITEM_SIZE, DATA, SHAPE = range(2, 6)


def load(context: Any, builder: Any, record_type: Any, record: Any, field: str) -> Any:
    """Load a field of 64 bits, which may lie anywhere in its record, for compiled code."""
    place = cgutils.get_record_member(builder, record, record_type.offset(field), context.get_data_type(types.int64))
    loaded = builder.load(place)
    loaded.align = 1
    return loaded


def pack(context: Any, builder: Any, array_type: Any, data: Any, item_size: Any, sizes: list[Any]) -> Any:
    """Return an array whose items lie one after the other in memory that it doesn't own."""
    strides = [item_size]
    for size in sizes[:0:-1]:
        strides.insert(0, builder.mul(strides[0], size))
    n_items = reduce(builder.mul, sizes)
    # The fields of numba's structure of an array, in order.
    array = context.get_constant_null(array_type)
    packed = (cgutils.pack_array(builder, sizes), cgutils.pack_array(builder, strides))
    for field, value in enumerate((n_items, item_size, data, *packed), start=_N_ITEMS):
        array = builder.insert_value(array, value, field)
    return array


def make_view(address: str, dtype: Any, *shape: str | int) -> Any:
    """Make a function of a record: the array at the address in a field, its shape given by fields or constants."""

    def view(_typing: Any, record_type: Any) -> Any:
        array_type = types.Array(from_dtype(np.dtype(dtype)), len(shape), "C")

        def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            (record,) = arguments
            intp = context.get_value_type(types.intp)
            item_size = intp(np.dtype(dtype).itemsize)
            sizes = [
                intp(length) if isinstance(length, int) else load(context, builder, record_type, record, length)
                for length in shape
            ]
            at = load(context, builder, record_type, record, address)
            data = builder.inttoptr(at, context.get_data_type(array_type.dtype).as_pointer())
            return pack(context, builder, array_type, data, item_size, sizes)

        return array_type(record_type), codegen

    return intrinsic(view)


def make_reader(address: str, dtype: Any) -> Any:
    """Make a function of a record and a place: that item of the table at the address in a field."""

    def read(_typing: Any, record_type: Any, _place: Any) -> Any:
        item_type = from_dtype(np.dtype(dtype))

        def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            record, place = arguments
            return _read(context, builder, record_type, record, address, item_type, place)

        return item_type(record_type, types.int64), codegen

    return intrinsic(read)


def make_current(address: str, dtype: Any, place: str) -> Any:
    """Make a function of a record: the item of the table at the address in a field, its place in another field."""

    def read(_typing: Any, record_type: Any) -> Any:
        item_type = from_dtype(np.dtype(dtype))

        def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            (record,) = arguments
            number = load(context, builder, record_type, record, place)
            return _read(context, builder, record_type, record, address, item_type, number)

        return item_type(record_type), codegen

    return intrinsic(read)


def _read(context: Any, builder: Any, record_type: Any, record: Any, address: str, item_type: Any, place: Any) -> Any:
    data_type = context.get_data_type(item_type)
    table = builder.inttoptr(load(context, builder, record_type, record, address), data_type.as_pointer())
    item = builder.gep(table, [place])
    # Records are passed by address.
    return item if isinstance(item_type, types.Record) else builder.load(item)
