"""Compilation of functions that only compiled code calls: they are lowered, and linked into an entry, where they are optimised.

numba would optimise every function and translate it to machine code as soon as it is compiled, together with its callees, and then
again for its caller. Here only entries, the parts of the engine (:mod:`.parts`), have machine code. All other functions are merely
linked, and each part is optimised and translated once, which halves the time of a cold start. And of arrays these functions need
only the addresses of items.
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection
from importlib import import_module
from typing import Any

from llvmlite.binding import Linkage
from numba import types
from numba.core import typed_passes, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompilerBase, DefaultPassBuilder, _LowerResult
from numba.core.compiler_machinery import register_pass
from numba.core.ir_utils import check_and_legalize_ir
from numba.core.typing.templates import _IntrinsicTemplate

from simdeploy.engines.compiled.instructions import CAN_FAIL, NEVER_FAILS, OwnLower, make_call

# numba's type hints are narrower than what it accepts.
_make_function: Any = import_module("numba._dynfunc").make_function

# Python would call this in place of a function without machine code; it raises a TypeError.
_REFUSAL = ctypes.cast(ctypes.pythonapi.PyErr_BadArgument, ctypes.c_void_p).value


class _LinkedLibrary(JITCodeLibrary):
    """Code that is linked into the entry, together with its callees, and optimised there."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout  # noqa: SLF001
        for function in ll_module.functions:
            if not function.is_declaration:  # numba makes these passes for declarations, too
                passes, builder = self._codegen._function_pass_manager()  # noqa: SLF001
                passes.run(function, builder)

    def finalize(self) -> None:
        for library in self._linking_libraries:
            self._reload_init.update(library._reload_init)  # noqa: SLF001
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        modules, met, left = [], set(), [self]
        while left:
            library = left.pop()
            if library in met:
                continue
            met.add(library)
            if isinstance(library, _LinkedLibrary):
                left += library._linking_libraries  # noqa: SLF001
                module = library._final_module.clone()  # noqa: SLF001
            else:
                module = library._get_module_for_linking().clone()  # noqa: SLF001
            modules.append(_as(module, "weak_odr"))  # kept whether or not the other module of its pair calls it
        # In pairs, because the time for linking grows with the size of both modules.
        while len(modules) > 1:
            for module, other in zip(modules[::2], modules[1::2], strict=False):
                module.link_in(other)
            modules = modules[::2]
        return _as(modules[0], "linkonce_odr")


def _as(module: Any, linkage: str) -> Any:
    """Set the linkage of all functions that other modules see."""
    for function in module.functions:
        if not function.is_declaration and function.linkage not in {Linkage.internal, Linkage.private}:
            function.linkage = linkage
    return module


@register_pass(mutates_CFG=True, analysis_only=False)
class _LinkedLowering(typed_passes.NativeLowering):
    """numba's lowering, up to the point where it would make machine code."""

    _name = "simdeploy_linked_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = library = _LinkedLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        super().run_pass(state)
        state.flags.no_compile = False
        done = state["cr"]
        done.fndesc.typemap = done.fndesc.calltypes = None  # frees all instructions
        name = done.fndesc.qualname.rsplit(".", 1)[-1]
        # numba finds the code of a callee by this object, so each function needs its own.
        key = _make_function(done.fndesc.lookup_module(), name, "", _REFUSAL, done.env, (library,))
        if state.metadata.get(CAN_FAIL, True):
            state.targetctx.insert_user_function(key, done.fndesc, [library])
        else:
            state.targetctx.insert_func_defn([(make_call(done.fndesc, library), key, done.fndesc.argtypes)])
        state["cr"] = _LowerResult(done.fndesc, done.call_helper, cfunc=key, env=done.env)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class _OwnLowering(_LinkedLowering):
    """The same for the engine's own functions."""

    _name = "simdeploy_own_lowering"
    lowering_class = OwnLower

    def run_pass(self, state: Any) -> bool:
        if _owns_arrays(state):
            check_and_legalize_ir(state.func_ir, flags=state.flags)  # inserts deletions of arrays
        else:
            state.targetctx = state.targetctx.subtarget(enable_nrt=False)
        return super().run_pass(state)


def _owns_arrays(state: Any) -> bool:
    """Tell whether a function makes arrays, or gets some from its callees; it doesn't own other arrays and views of tables."""
    for block in state.func_ir.blocks.values():
        for call in block.find_exprs("call"):
            result, function = state.calltypes[call].return_type, state.typemap[call.func.name]
            parts: Any = result if isinstance(result, types.BaseTuple) else (result,)
            if any(isinstance(part, types.Array) for part in parts) and not _makes_view(function):
                return True
    return False


def _makes_view(function: Any) -> bool:
    return isinstance(function, types.Function) and issubclass(function.templates[0], _IntrinsicTemplate)


# Passes for features that the code here doesn't use: closures, `with`, expressions of whole arrays and the like.
_UNUSED = {
    untyped_passes.FindLiterallyCalls,
    untyped_passes.InlineClosureLikes,
    untyped_passes.InlineInlinables,
    untyped_passes.LiteralPropagationSubPipelinePass,
    untyped_passes.LiteralUnroll,
    untyped_passes.MakeFunctionToJitFunction,
    typed_passes.AnnotateTypes,
    typed_passes.InlineOverloads,
    typed_passes.IRLegalization,
    typed_passes.NoPythonSupportedFeatureValidation,
    typed_passes.NopythonRewrites,
    untyped_passes.RewriteDynamicRaises,
    untyped_passes.WithLifting,
}


class _OwnCompiler(CompilerBase):
    def define_pipelines(self) -> list[Any]:
        return [_define_pipeline(self.state, _OwnLowering, _UNUSED)]


@register_pass(mutates_CFG=True, analysis_only=False)
class _EntryLowering(typed_passes.NativeLowering):
    """Lowering of entries, which have machine code."""

    _name = "simdeploy_entry_lowering"
    lowering_class = OwnLower

    def run_pass(self, state: Any) -> bool:
        is_mutated: bool = super().run_pass(state)
        if state.metadata[CAN_FAIL] and getattr(state.func_id.func, NEVER_FAILS, False):
            raise AssertionError(f"{state.func_id.func_qualname} can fail, which its callers don't expect")
        return is_mutated


class EntryCompiler(CompilerBase):
    """Compiler of entries: with all of numba's passes, although all other functions are linked."""

    def define_pipelines(self) -> list[Any]:
        return [_define_pipeline(self.state, _EntryLowering, ())]


def link_callees(define: Any) -> Any:
    """Make numba's functions be linked, too, given how their compiler defines its passes."""

    def define_pipelines(self: Any) -> list[Any]:
        # Another thread may compile functions outside simdeploy.
        if type(self) is Compiler and self.state.func_id.modname.startswith("numba."):
            return [_define_pipeline(self.state, _LinkedLowering, ())]
        pipelines: list[Any] = define(self)
        return pipelines

    return define_pipelines


def _define_pipeline(state: Any, lowering: Any, unused: Collection[Any]) -> Any:
    pipeline = DefaultPassBuilder.define_nopython_pipeline(state)
    pipeline.passes = [
        (lowering if lowering_pass is typed_passes.NativeLowering else lowering_pass, description)
        for lowering_pass, description in pipeline.passes
        if lowering_pass not in unused
    ]
    return pipeline


# Options that make numba merely link a function.
LINKED = {
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _OwnCompiler,
}
