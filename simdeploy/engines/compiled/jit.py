"""Compilation of the engine's functions, without the interpreter's lock and fast-math, with IEEE division; and the key of cached code.

Entries, which Python calls, are compiled as usual by numba; all other functions are merely linked into them (:mod:`.linking`). Most of
the time is spent in Python: a third of a millisecond for every instruction of a function. So code that many functions need is a view or
a separate function (`inlined`), rather than numba's `inline="always"`, which would make its instructions again for every caller.
"""

from __future__ import annotations

import hashlib
import math
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import types

from simdeploy.engines.compiled.linking import LINKED, EntryCompiler
from simdeploy.errors import warn_user

# numba's type hints are narrower than what it accepts.
_njit: Any = numba.njit

_PACKAGE = Path(__file__).parent
_ROOT = _PACKAGE.parents[2]
_DIGEST_SIZE = hashlib.sha256().digest_size
_IMPORT = re.compile(r"^from (simdeploy[.\w]*) import ", re.MULTILINE)


def entry(*, cache: bool = False, by_address: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function that Python calls, or that is called `by_address`; cache its code on disk, if there is a folder for it."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = _njit(
            nogil=True,
            error_model="numpy",
            no_cpython_wrapper=by_address,
            no_cfunc_wrapper=True,
            pipeline_class=EntryCompiler,
        )(function)
        if cache:
            with suppress(RuntimeError):  # numba finds no folder that it may write to
                dispatcher.enable_caching()
                _keep_under_sources(dispatcher._cache)  # noqa: SLF001 - there is no public way to tell it
                _take_no_damaged_file(dispatcher._cache._cache_file)  # noqa: SLF001
        return dispatcher

    return decorate


def _keep_under_sources(store: Any) -> None:
    """Make `source_number` part of the key of a function's cached code, and of its file's name.

    numba updates its index before it writes the code, and reuses file names: a process that reads in between would load code compiled
    from other sources.
    """
    key_of, files = store._index_key, store._cache_file  # noqa: SLF001
    name_of = files._data_name  # noqa: SLF001
    store._index_key = lambda signature, codegen: (*key_of(signature, codegen), source_number())  # noqa: SLF001
    files._data_name = lambda number: f"{source_number():x}-{name_of(number)}"  # noqa: SLF001


def _take_no_damaged_file(files: Any) -> None:
    """Treat a damaged file of the cache as missing: numba would raise an error, or run its contents."""
    load_index, dump = files._load_index, files._dump  # noqa: SLF001

    def load_index_or_none() -> Any:
        try:
            return load_index()
        except Exception:  # noqa: BLE001 - a pickle may raise anything
            return {}

    def dump_with_digest(written: Any) -> bytes:
        pickled: bytes = dump(written)
        return pickled + hashlib.sha256(pickled).digest()  # pickle ignores what follows the data

    def load_data_as_written(name: str) -> Any:
        content = Path(files._data_path(name)).read_bytes()  # noqa: SLF001
        if hashlib.sha256(content[:-_DIGEST_SIZE]).digest() != content[-_DIGEST_SIZE:]:
            raise FileNotFoundError(name)
        return pickle.loads(content)  # noqa: S301 - as numba does

    files._load_index, files._load_data, files._dump = load_index_or_none, load_data_as_written, dump_with_digest  # noqa: SLF001


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that only compiled code calls, once for all constant arguments."""
    return _link(function, forceinline=False)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function that always becomes part of its callers: for bodies of loops that are to become vector instructions."""
    return _link(function, forceinline=True)


def _link(function: Callable[..., Any], *, forceinline: bool) -> Any:
    # Stated explicitly, because callees would inherit `forceinline`.
    dispatcher = _njit(nogil=True, forceinline=forceinline, **LINKED)(function)
    of_literals = dispatcher.get_call_template

    def of_their_types(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        return of_literals(tuple(types.unliteral(argument) for argument in arguments), keywords)

    dispatcher.get_call_template = of_their_types
    return dispatcher


def find_sources() -> list[Path]:
    """Return the files of compiled code, and those that they import from, because constants are compiled in."""
    sources = sorted(_PACKAGE.glob("*.py"))
    modules = {module for path in sources for module in _IMPORT.findall(path.read_text(encoding="utf-8"))}
    others = {_ROOT.joinpath(*module.split(".")).with_suffix(".py") for module in modules}
    return [*sources, *sorted(path for path in others - set(sources) if path.is_file())]


@cache
def source_number() -> int:
    """Return a number that changes with the sources of compiled code, and with the libraries whose functions it calls.

    numba caches compiled code beside the source file, or if that isn't writable in the user's cache folder, and renews it when that
    file changes, but not when the files of the function's callees do. So this number is part of the key.
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
    """Tell, without loading it, whether numba has the code of a function on disk."""
    try:
        store = dispatcher._cache  # noqa: SLF001 - there is no public way to ask
        files = store._cache_file  # noqa: SLF001
        name = files._load_index().get(store._index_key(signature, dispatcher.targetctx.codegen()))  # noqa: SLF001
        return name is not None and Path(files._data_path(name)).is_file()  # noqa: SLF001
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
    """Announce that compiling begins, and about how long it takes."""
    about_s = 5 * math.ceil(seconds / 5)
    warn_user(
        f"compiling what this run needs of the fast engine (about {about_s} s); "
        "later runs that need the same load it in a second"
    )
