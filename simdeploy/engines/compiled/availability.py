"""Compiled code and its cache: what it is kept under, whether it is there, and a word to the user before it is made.

numba keeps compiled code beside the source file, or in the user's cache folder where that can't be written, and makes it
anew when that one file changes; it does not notice a change in the files that the function's callees come from. So a number
made of all sources is part of what the code is kept under.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from simdeploy.errors import SimdeployWarning

_PACKAGE = Path(__file__).parent
_ROOT = _PACKAGE.parents[2]
_IMPORT = re.compile(r"^from (simdeploy[.\w]*) import ", re.MULTILINE)


def find_sources() -> list[Path]:
    """Return the files of compiled code, and those from which they import something: their constants are compiled in."""
    own = sorted(_PACKAGE.glob("*.py"))
    modules = {module for path in own for module in _IMPORT.findall(path.read_text(encoding="utf-8"))}
    others = {_ROOT.joinpath(*module.split(".")).with_suffix(".py") for module in modules}
    return [*own, *sorted(path for path in others - set(own) if path.is_file())]


@cache
def source_number() -> int:
    """Return a number that changes with the sources of compiled code, and with the libraries whose functions it calls."""
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


def announce() -> None:
    """Say that compiling begins, and how long it takes."""
    message = "compiling the fast engine for this machine, once: this takes about half a minute, and later runs load it in a second"
    warnings.warn(SimdeployWarning(message), stacklevel=2)
