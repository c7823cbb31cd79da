"""How everything here is compiled, and what the code is kept under: without the interpreter's lock, with IEEE division, and without fast-math.

numba would optimise every function and turn it into machine code as soon as it is compiled, each with all that it calls, and
then do the same again for its caller. Here only entries have machine code, the parts of the engine (:mod:`.parts`). All other functions
are merely linked, and each part is optimised and translated once: that halves the time of a cold start. Most of what is left is Python: numba takes
half a millisecond for every instruction of a function. So what many functions need is a view or a function of its own
(`inlined`), rather than numba's `inline="always"`, which would make its instructions again for every caller.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numba
from llvmlite.binding import Linkage
from numba import types
from numba.core import typed_passes, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, _LowerResult
from numba.core.compiler_machinery import register_pass

from simdeploy.errors import SimdeployWarning

# numba's own types say less than it accepts.
_njit: Any = numba.njit
_make_function: Any = import_module("numba._dynfunc").make_function

# What Python would call in place of a function that has no machine code of its own: it raises a TypeError.
_REFUSAL = ctypes.cast(ctypes.pythonapi.PyErr_BadArgument, ctypes.c_void_p).value

_PACKAGE = Path(__file__).parent
_ROOT = _PACKAGE.parents[2]
_IMPORT = re.compile(r"^from (simdeploy[.\w]*) import ", re.MULTILINE)


class _LinkedLibrary(JITCodeLibrary):
    """Code that is linked into the entry, together with all that it calls, and optimised there."""

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
        # By pairs, because linking takes as long as both modules are large.
        while len(modules) > 1:
            for module, other in zip(modules[::2], modules[1::2], strict=False):
                module.link_in(other)
            modules = modules[::2]
        return _as(modules[0], "linkonce_odr")


def _as(module: Any, linkage: str) -> Any:
    """Give all functions that other modules see another linkage."""
    for function in module.functions:
        if not function.is_declaration and function.linkage not in {Linkage.internal, Linkage.private}:
            function.linkage = linkage
    return module


@register_pass(mutates_CFG=True, analysis_only=False)
class _LinkedLowering(typed_passes.NativeLowering):
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


# What the code here does not use: closures, `with`, expressions of whole arrays and the like.
_UNUSED = {
    untyped_passes.FindLiterallyCalls,
    untyped_passes.InlineClosureLikes,
    untyped_passes.InlineInlinables,
    untyped_passes.LiteralPropagationSubPipelinePass,
    untyped_passes.LiteralUnroll,
    untyped_passes.MakeFunctionToJitFunction,
    typed_passes.InlineOverloads,
    typed_passes.NoPythonSupportedFeatureValidation,
    typed_passes.NopythonRewrites,
    untyped_passes.RewriteDynamicRaises,
    untyped_passes.WithLifting,
}


class _LinkedCompiler(CompilerBase):
    def define_pipelines(self) -> list[Any]:
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.passes = [
            (_LinkedLowering if one is typed_passes.NativeLowering else one, description)
            for one, description in pipeline.passes
            if one not in _UNUSED
        ]
        return [pipeline]


_LINKED = {
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _LinkedCompiler,
}


def entry(*, cache: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function that Python calls; its code may be kept on disk, if there is a folder for it."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = _njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function)
        if cache:
            with suppress(RuntimeError):  # numba finds no folder that it may write to
                dispatcher.enable_caching()
                _keep_under_sources(dispatcher._cache)  # noqa: SLF001 - there is no public way to tell it
        return dispatcher

    return decorate


def _keep_under_sources(store: Any) -> None:
    """Make `source_number` part of what a function's code is kept under."""
    key_of = store._index_key  # noqa: SLF001
    store._index_key = lambda signature, codegen: (*key_of(signature, codegen), source_number())  # noqa: SLF001


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that only compiled code calls, once for all constants that it may be called with."""
    return _link(function, forceinline=False)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function that always becomes part of its callers: for bodies of loops that are to become vector instructions."""
    return _link(function, forceinline=True)


def _link(function: Callable[..., Any], *, forceinline: bool) -> Any:
    # Callees would inherit `forceinline` if it weren't given.
    dispatcher = _njit(nogil=True, forceinline=forceinline, **_LINKED)(function)
    of_literals = dispatcher.get_call_template

    def of_their_types(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        return of_literals(tuple(types.unliteral(one) for one in arguments), keywords)

    dispatcher.get_call_template = of_their_types
    return dispatcher


def find_sources() -> list[Path]:
    """Return the files of compiled code, and those from which they import something: their constants are compiled in."""
    own = sorted(_PACKAGE.glob("*.py"))
    modules = {module for path in own for module in _IMPORT.findall(path.read_text(encoding="utf-8"))}
    others = {_ROOT.joinpath(*module.split(".")).with_suffix(".py") for module in modules}
    return [*own, *sorted(path for path in others - set(own) if path.is_file())]


@cache
def source_number() -> int:
    """Return a number that changes with the sources of compiled code, and with the libraries whose functions it calls.

    numba keeps compiled code beside the source file, or in the user's cache folder where that can't be written, and makes
    it anew when that one file changes; it does not notice a change in the files that the function's callees come from. So
    this number is part of what the code is kept under.
    """
    import llvmlite
    import numba
    import numpy as np
    import scipy

    digest = hashlib.sha256()
    for path in find_sources():
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    for module in (numba, llvmlite, np, scipy):
        digest.update(module.__version__.encode())
    return int.from_bytes(digest.digest()[:7], "big")


def is_cached(dispatcher: Any, signature: Any) -> bool:
    """Tell whether numba has the code of a function on disk, without loading it."""
    try:
        store = dispatcher._cache  # noqa: SLF001 - there is no public way to ask
        index = store._cache_file._load_index()  # noqa: SLF001
        return store._index_key(signature, dispatcher.targetctx.codegen()) in index  # noqa: SLF001
    except (AttributeError, OSError):
        return False


def has_folder(dispatcher: Any) -> bool:
    """Tell whether there is a folder for a function's code."""
    return dispatcher._cache.cache_path is not None  # noqa: SLF001


def get_address(dispatcher: Any, signature: Any) -> int:
    """Return the address of a compiled function's machine code, as other compiled code calls it."""
    done = dispatcher.overloads[signature]
    return int(done.library.get_pointer_to_function(done.fndesc.llvm_func_name))


def announce(seconds: float) -> None:
    """Say that compiling begins, and about how long it takes."""
    about_s = 5 * math.ceil(seconds / 5)
    message = (
        f"compiling what this run needs of the fast engine, once for this machine (about {about_s} s); "
        "later runs load it in a second"
    )
    warnings.warn(SimdeployWarning(message), stacklevel=2)
