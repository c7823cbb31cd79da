"""Shortcuts while the engine is compiled or loaded, for answers that numba would compute again and again.

They save a third of the time. Each temporarily replaces a function of numba by one that is equivalent for the engine's code; if a
version of numba lacks one of these functions, none is replaced.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from numba import types
from numba.core import base, event, ir
from numba.core.caching import Cache
from numba.core.compiler import Compiler
from numba.core.cpu import CPUContext
from numba.core.interpreter import Interpreter
from numba.core.postproc import PostProcessor, VariableLifetime
from numba.core.registry import cpu_target
from numba.core.runtime.nrt import rtsys
from numba.core.targetconfig import TargetConfig
from numba.core.transforms import canonicalize_cfg
from numba.core.types.functions import BaseFunction
from numba.core.typing.context import BaseContext, Context

from simdeploy.engines.compiled.linking import link_callees

_Make = Callable[[Any], Any]
_places: list[tuple[Any, str, _Make]] = []


def _instead_of(*places: tuple[Any, str]) -> Callable[[_Make], _Make]:
    """Register the places of a function to replace; the decorated function makes the replacement from the original."""

    def note(make: _Make) -> _Make:
        _places.extend((owner, name, make) for owner, name in places)
        return make

    return note


@contextmanager
def shortcuts() -> Iterator[None]:
    """Take shortcuts within a `with` statement in which something is compiled."""
    # Register callable functions of imported modules now, because a shortcut below skips this.
    cpu_target.target_context.refresh()
    thresholds = gc.get_threshold()
    try:
        gc.set_threshold(1_000_000, 50, 100)
        with _replaced(_places):
            yield
    finally:
        if not gc.get_freeze_count():
            # Move new objects to the oldest generation; otherwise the collector would scan them now, for half a second.
            gc.freeze()
            gc.unfreeze()
        gc.set_threshold(*thresholds)


@contextmanager
def loading() -> Iterator[None]:
    """Take a shortcut within a `with` statement in which code is loaded that was compiled earlier."""
    rtsys.initialize(cpu_target.target_context)  # the runtime that allocates memory for compiled code
    with _replaced([(Cache, "load_overload", _load_at_once)]):
        yield


def _load_at_once(_: Any) -> Any:
    """Before loading, numba would import everything needed for compiling, which takes a quarter of a second."""

    def load_at_once(self: Any, signature: Any, context: Any) -> Any:
        with self._guard_against_spurious_io_errors():
            return self._load_overload(signature, context)

    return load_at_once


@contextmanager
def _replaced(places: Sequence[tuple[Any, str, _Make]]) -> Iterator[None]:
    originals = [vars(owner).get(name) for owner, name, _ in places]
    if None in originals:
        yield
        return
    try:
        for (owner, name, make), original in zip(places, originals, strict=True):
            setattr(owner, name, make(original))
        yield
    finally:
        for (owner, name, _), original in zip(places, originals, strict=True):
            setattr(owner, name, original)


@_instead_of((BaseFunction, "get_call_type"))
def _resolve_once(resolve: Any) -> Any:
    """At every use of an operator, numba would try all its templates, including those for text and sets."""
    known: dict[Any, Any] = {}

    def resolve_once(self: Any, context: Any, args: Any, kws: Any) -> Any:
        if kws:
            return resolve(self, context, args, kws)
        key = id(self), context, tuple(args)
        if key not in known:
            known[key] = resolve(self, context, args, kws), self  # keeps `self` alive, so that its id stays unique
        return known[key][0]

    return resolve_once


@_instead_of((Compiler, "define_pipelines"))
def _link_callees(define: Any) -> Any:
    """Functions of numba that the engine calls, such as `max`, would get separate machine code."""
    return link_callees(define)


@_instead_of((BaseContext, "resolve_getattr"))
def _resolve_attribute_once(resolve: Any) -> Any:
    """At every use of an attribute, numba would try all templates, and the record of a run has hundreds of fields."""
    known: dict[Any, Any] = {}

    def resolve_once(self: Any, kind: Any, attribute: str) -> Any:
        key = kind, attribute
        if key not in known:
            known[key] = resolve(self, kind, attribute)
        return known[key]

    return resolve_once


@_instead_of((CPUContext, "load_additional_registries"), (Context, "load_additional_registries"))
def _load_what_is_new(_load: Any) -> Any:
    """At every lookup of a callee, numba would execute an import statement for each module that may register functions."""
    lengths: dict[Any, int] = {}

    def load_what_is_new(self: Any) -> None:
        for registry in tuple(self._registries):
            key = id(self._registries), registry
            length = sum(len(items) for items in vars(registry).values() if isinstance(items, list))
            if lengths.get(key) != length:
                self.install_registry(registry)
                lengths[key] = length

    return load_what_is_new


@_instead_of((base.BaseContext, "get_abi_sizeof"))
def _measure_once(measure: Any) -> Any:
    """Whenever it needs the size of a type, llvmlite would make a module, write it as text and parse it."""
    known: dict[Any, int] = {}

    def measure_once(self: Any, kind: Any) -> int:
        if kind not in known:
            known[kind] = measure(self, kind)
        return known[kind]

    return measure_once


@_instead_of((TargetConfig, "__eq__"))
def _compare_values(is_equal: Any) -> Any:
    def is_equal_soon(self: Any, other: Any) -> Any:
        if isinstance(other, TargetConfig) and self._values.keys() == other._values.keys():  # noqa: SLF001
            return self._values == other._values  # noqa: SLF001
        return is_equal(self, other)

    return is_equal_soon


@_instead_of((TargetConfig, "__hash__"))
def _hash_once(get_hash: Any) -> Any:
    """The hash depends only on the names of options."""
    hashes: dict[type, int] = {}

    def hash_once(self: Any) -> int:
        if type(self) not in hashes:
            hashes[type(self)] = get_hash(self)
        return hashes[type(self)]

    return hash_once


@_instead_of((base, "_has_loc"))
def _has_loc_once(has_loc: Any) -> Any:
    """Numba would inspect the signature of an operation at every use."""
    return cache(has_loc)


@_instead_of((types.Record, "__repr__"))
def _repr_as_others(_: Any) -> Any:
    """Every pass would describe its arguments, and a record has hundreds of fields."""
    return types.Type.__repr__


@_instead_of((ir.Assign, "__str__"))
def _str_as_others(_: Any) -> Any:
    """Each instruction would be described for a disabled log."""
    return object.__repr__


@_instead_of((event, "start_event"), (event, "end_event"))
def _tell_nobody(_: Any) -> Any:
    """Functions are compiled within their callers, so the timers of all callers would listen to every call of LLVM."""
    return lambda *_, **__: None


@_instead_of((Interpreter, "post_process"))
def _tidy_a_little(tidy: Any) -> Any:
    """The other steps search for `with` and dictionaries, which are not used here."""

    def tidy_a_little(self: Any, steps: Any, function: Any) -> Any:
        is_own = function.func_id.modname.startswith("simdeploy.")  # another thread may compile something else
        return tidy(
            self, [step for step in steps if not is_own or step.__name__ == "peep_hole_list_to_tuple"], function
        )

    return tidy_a_little


@_instead_of((ir.Inst, "_rec_list_vars"))
def _list_vars(_: Any) -> Any:
    """Most parts of instructions, such as names and places in the source, have no variables."""

    def list_vars(self: Any, value: Any) -> list[Any]:
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
        variables: list[Any] = []
        for part in value:
            if type(part) is ir.Var:
                variables.append(part)
            elif type(part) is not str and type(part) is not ir.Loc:
                variables += list_vars(self, part)
        return variables

    return list_vars


@_instead_of((PostProcessor, "run"))
def _process_seldom(process: Any) -> Any:
    """After every pass, numba would compute which variables are alive in each block, but only the last result is used."""

    def process_seldom(self: Any, emit_dels: bool = False, extend_lifetimes: bool = False) -> None:
        if emit_dels or self.func_ir.is_generator:
            process(self, emit_dels, extend_lifetimes)
            return
        self.func_ir.blocks = canonicalize_cfg(self.func_ir.blocks)
        self.func_ir.variable_lifetime = VariableLifetime(self.func_ir.blocks)
        self.func_ir.generator_info = None

    return process_seldom
