"""Public names of packages that are imported when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any


def find_name(package: str, homes: Mapping[str, str], name: str) -> Any:
    """Return what a package calls by a name, and put it there, so that it is looked for once.

    Parameters
    ----------
    package : str
    homes : mapping of str to str
        The module that has it, by name.
    name : str

    Raises
    ------
    AttributeError
        If there is no such name.

    Examples
    --------
    >>> find_name("simdeploy.lazy", {"isqrt": "math"}, "isqrt")(17)
    4
    """
    if name not in homes:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    value = getattr(import_module(homes[name]), name)
    setattr(sys.modules[package], name, value)
    return value
