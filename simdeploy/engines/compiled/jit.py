"""How everything here is compiled: without the interpreter's lock, with IEEE division, and without fast-math.

numba would optimise every function and turn it into machine code as soon as it is compiled, each with all that it calls, and
then do the same again for its caller. Here only the entry is called from Python, so all other functions are merely linked, and
the whole is optimised and translated once: that halves the time of a cold start.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numba
from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, _LowerResult
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering

# numba's own types say less than it accepts.
_njit: Any = numba.njit
_make_function: Any = import_module("numba._dynfunc").make_function

# What Python would call in place of a function that has no machine code of its own: it raises a TypeError.
_REFUSAL = ctypes.cast(ctypes.pythonapi.PyErr_BadArgument, ctypes.c_void_p).value


class _LinkedLibrary(JITCodeLibrary):
    """Code that is linked into its callers, and optimised there."""

    def finalize(self) -> None:
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)  # noqa: SLF001
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)  # noqa: SLF001
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _LinkedLowering(NativeLowering):
    """Lowering without machine code: numba's own, up to the point where it would make some."""

    _name = "simdeploy_linked_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = _LinkedLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        state.flags.no_compile = False
        done = state["cr"]
        name = done.fndesc.qualname.rsplit(".", 1)[-1]
        # numba finds the code of a callee by this object, which so has to be one of its own.
        key = _make_function(done.fndesc.lookup_module(), name, "", _REFUSAL, done.env, (state.library,))
        state.targetctx.insert_user_function(key, done.fndesc, [state.library])
        state["cr"] = _LowerResult(done.fndesc, done.call_helper, cfunc=key, env=done.env)
        return True


class _LinkedCompiler(CompilerBase):
    def define_pipelines(self) -> list[Any]:
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.passes = [
            (_LinkedLowering if one is NativeLowering else one, description) for one, description in pipeline.passes
        ]
        return [pipeline]


_LINKED = {
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _LinkedCompiler,
}


def entry(*, cache: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function that Python calls."""
    decorate: Callable[[Callable[..., Any]], Any] = _njit(
        nogil=True, error_model="numpy", no_cfunc_wrapper=True, cache=cache
    )
    return decorate


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that only compiled code calls, once for all constants that it may be called with."""
    dispatcher = _njit(nogil=True, **_LINKED)(function)
    of_literals = dispatcher.get_call_template

    def of_their_types(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        return of_literals(tuple(types.unliteral(one) for one in arguments), keywords)

    dispatcher.get_call_template = of_their_types
    return dispatcher


# Put into its caller before the compiler sees it: for bodies of loops that are to become vector instructions.
inlined = _njit(inline="always", **_LINKED)
