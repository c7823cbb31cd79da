"""Lowering of the engine's functions to instructions of LLVM: a quarter fewer than numba makes.

Every instruction takes time to make, write, read and optimise. Here no index is negative, loops count up, calls of functions that
can't fail have no status, and values that own no memory need no clearing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.ir import Expr
from numba.core.ir_utils import find_const, get_definition, guard
from numba.core.lowering import Lower
from numba.cpython.builtins import do_minmax

from simdeploy.engines.compiled.views import DATA, ITEM_SIZE, SHAPE, pack

CAN_FAIL = "can_fail"
NEVER_FAILS = "never_fails"  # attribute of functions that can't fail; others may
_COMPARISONS: dict[Any, Any] = {min: operator.lt, max: operator.gt}
_NUMBERS = (types.Integer, types.Float)
_START_AND_STOP = 2
_PARTS_OF_PAIRS = {"pair_first": 0, "pair_second": 1}


class OwnLower(Lower):
    """Lowering of a function of the engine; its attribute NEVER_FAILS says whether it can fail."""

    def lower_normal_function(self, fndesc: Any) -> None:
        super().lower_normal_function(fndesc)
        ends = (block.terminator for block in self.function.blocks)
        codes = [end.return_value for end in ends if isinstance(end, ir.Ret)]
        self.metadata[CAN_FAIL] = not all(isinstance(code, ir.Constant) and code.constant == 0 for code in codes)

    def lower_expr(self, resty: Any, expr: Any) -> Any:
        lowered = None
        if expr.op == "getiter":
            lowered = self._begin_to_count(expr)
        elif expr.op == "iternext":
            lowered = self._count_on(expr)
        elif expr.op in _PARTS_OF_PAIRS and isinstance(self.typeof(expr.value.name).first_type, types.Integer):
            lowered = self.builder.extract_value(self.loadvar(expr.value.name), _PARTS_OF_PAIRS[expr.op])
        elif expr.op == "call":
            lowered = self._lower_extreme(resty, expr)
        return super().lower_expr(resty, expr) if lowered is None else lowered

    def lower_binop(self, resty: Any, expr: Any, op: Any) -> Any:
        if op is operator.pow:
            return super().lower_binop(resty, expr, op)
        # numba would first search for operators with constants, which only powers need.
        signature = self.fndesc.calltypes[expr]
        operands = [
            self.context.cast(self.builder, self.loadvar(operand.name), self.typeof(operand.name), kind)
            for operand, kind in zip((expr.lhs, expr.rhs), signature.args, strict=True)
        ]
        function = self.context.typing_context.resolve_value_type(op)
        known = function.get_call_type(self.context.typing_context, signature.args, {})
        result = self.context.get_function(function, known)(self.builder, operands)
        return self.context.cast(self.builder, result, signature.return_type, resty)

    def lower_getitem(self, resty: Any, expr: Any, value: Any, index: Any, signature: Any) -> Any:
        table_type = self.typeof(value.name)
        place = self._find_place(value, index)
        if place is None:
            row = self._find_row(value, index)
            return super().lower_getitem(resty, expr, value, index, signature) if row is None else row
        item = self.context.unpack_value(self.builder, table_type.dtype, place)
        return self.context.cast(self.builder, item, table_type.dtype, resty)

    def lower_setitem(self, target_var: Any, index_var: Any, value_var: Any, signature: Any) -> Any:
        table_type, value_type = self.typeof(target_var.name), self.typeof(value_var.name)
        place = self._find_place(target_var, index_var)
        if place is None or isinstance(value_type, types.Record):
            return super().lower_setitem(target_var, index_var, value_var, signature)
        value = self.context.cast(self.builder, self.loadvar(value_var.name), value_type, table_type.dtype)
        self.context.pack_value(self.builder, table_type.dtype, value, place)
        return None

    def alloca(self, name: str, kind: Any) -> Any:
        if self._may_own(kind):
            return super().alloca(name, kind)
        return _reserve(self.builder, self.context.get_value_type(kind))

    def delvar(self, name: str) -> None:
        if self._may_own(self.typeof(name)):
            super().delvar(name)

    def _may_own(self, kind: Any) -> bool:
        """Tell whether values of a type may own memory, so that references must be counted."""
        return bool(self.context.data_model_manager[kind].contains_nrt_meminfo())

    def _find_place(self, table: Any, index: Any) -> Any:
        """Return a pointer to one item of a table; None for other kinds of indexing. No index here is negative."""
        table_type, index_type = self.typeof(table.name), self.typeof(index.name)
        is_tuple = isinstance(index_type, types.BaseTuple)
        index_types = index_type.types if is_tuple else (index_type,)
        if (
            not isinstance(table_type, types.Array)
            or table_type.layout != "C"
            or len(index_types) != table_type.ndim
            or not all(isinstance(part_type, types.Integer) for part_type in index_types)
        ):
            return None
        builder, array, indices = self.builder, self.loadvar(table.name), self.loadvar(index.name)
        place = None
        for axis, kind in enumerate(index_types):
            along = builder.extract_value(indices, axis) if is_tuple else indices
            along = self.context.cast(builder, along, kind, types.intp)
            if place is not None:
                along = builder.add(builder.mul(place, builder.extract_value(array, (SHAPE, axis))), along)
            place = along
        return builder.gep(builder.extract_value(array, DATA), [place])

    def _find_row(self, table: Any, index: Any) -> Any:
        """Return a row of a two-dimensional table that this function doesn't own; None for other kinds of indexing."""
        table_type, index_type = self.typeof(table.name), self.typeof(index.name)
        if (
            self.context.enable_nrt
            or not isinstance(index_type, types.Integer)
            or not isinstance(table_type, types.Array)
            or (table_type.layout, table_type.ndim) != ("C", 2)
        ):
            return None
        builder, array = self.builder, self.loadvar(table.name)
        along = self.context.cast(builder, self.loadvar(index.name), index_type, types.intp)
        size = builder.extract_value(array, (SHAPE, 1))
        data = builder.gep(builder.extract_value(array, DATA), [builder.mul(along, size)])
        item_size = builder.extract_value(array, ITEM_SIZE)
        return pack(self.context, builder, table_type.copy(ndim=1), data, item_size, [size])

    def _begin_to_count(self, expr: Any) -> Any:
        """Return the iterator of a range whose step is a constant above 0; None for anything else."""
        range_type = self.typeof(expr.value.name)
        step = self._find_step(expr.value) if isinstance(range_type, types.RangeType) else 0
        if step <= 0:
            return None
        builder, state = self.builder, self.loadvar(expr.value.name)
        start, stop = (builder.extract_value(state, part) for part in range(_START_AND_STOP))
        difference = builder.sub(stop, start)
        count = builder.select(builder.icmp_signed(">", difference, start.type(0)), difference, start.type(0))
        if step > 1:
            count = builder.udiv(builder.add(count, start.type(step - 1)), start.type(step))
        iterator = self.context.get_constant_null(range_type.iterator_type)
        # In numba's layout: pointer to the next number, stop, step, and pointer to the number of remaining ones.
        for part, value in enumerate((self._keep(start), stop, start.type(step), self._keep(count))):
            iterator = builder.insert_value(iterator, value, part)
        return iterator

    def _find_step(self, made: Any) -> int:
        """Return the step of a range if that is a constant, else 0."""
        call = guard(get_definition, self.func_ir, made)
        if not isinstance(call, Expr) or call.op != "call" or call.vararg:
            return 0
        function: Any = self.typeof(call.func.name)
        if getattr(function, "typing_key", None) is not range:
            return 0
        return 1 if len(call.args) <= _START_AND_STOP else guard(find_const, self.func_ir, call.args[2]) or 0

    def _count_on(self, expr: Any) -> Any:
        """Return the next number of a range and whether there is one; None for anything else."""
        if not isinstance(self.typeof(expr.value.name), types.RangeIteratorType):
            return None
        builder, iterator = self.builder, self.loadvar(expr.value.name)
        next_at, _, step, left_at = (builder.extract_value(iterator, part) for part in range(4))
        number, left = builder.load(next_at), builder.load(left_at)
        builder.store(builder.add(number, step), next_at)
        builder.store(builder.sub(left, left.type(1), flags=["nsw"]), left_at)
        pair = self.context.get_constant_null(self.fndesc.calltypes[expr].return_type)
        pair = builder.insert_value(pair, number, 0)
        return builder.insert_value(pair, builder.icmp_signed(">", left, left.type(0)), 1)

    def _keep(self, value: Any) -> Any:
        """Return a pointer to a new variable with this value."""
        place = _reserve(self.builder, value.type)
        self.builder.store(value, place)
        return place

    def _lower_extreme(self, resty: Any, expr: Any) -> Any:
        """Return the minimum or maximum of some numbers; None for other calls."""
        function: Any = self.typeof(expr.func.name)
        compare = _COMPARISONS.get(getattr(function, "typing_key", None))
        kinds = [self.typeof(argument.name) for argument in expr.args]
        if compare is None or expr.vararg or not all(isinstance(kind, _NUMBERS) for kind in kinds):
            return None
        values = [self.loadvar(argument.name) for argument in expr.args]
        result = do_minmax(self.context, self.builder, kinds, values, compare)
        return self.context.cast(self.builder, result, self.context.typing_context.unify_types(*kinds), resty)


def _reserve(builder: Any, kind: Any) -> Any:
    """Return a pointer to an uninitialised variable of a type."""
    with builder.goto_entry_block():
        return builder.alloca(kind)


def call_what_never_fails(context: Any, builder: Any, function: Any, signature: Any, arguments: Any) -> Any:
    """Call a function without checking whether it failed, and return its result."""
    result_at, error_at = function.type.pointee.args[:2]
    result = _reserve(builder, result_at.pointee)
    packed = context.call_conv._get_arg_packer(signature.args).as_arguments(builder, arguments)  # noqa: SLF001
    builder.call(function, [result, error_at(None), *packed])
    return context.get_returned_value(builder, signature.return_type, builder.load(result))


def make_call(fndesc: Any, library: Any) -> Callable[..., Any]:
    """Return the function that makes the instructions of a call of a function that can't fail."""

    def call(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = context.declare_function(builder.module, fndesc)
        return call_what_never_fails(context, builder, function, signature, arguments)

    call.signature = fndesc.argtypes  # type: ignore[attr-defined]
    call.libs = (library,)  # type: ignore[attr-defined]
    return call
