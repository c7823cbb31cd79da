"""Arguments and modules that had another name, or another place, until the last release."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

from simdeploy.errors import warn_user

P = ParamSpec("P")
R = TypeVar("R")


def renamed(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take arguments by their old names, too, with a warning: `names` has the new one by the old one.

    Examples
    --------
    >>> @renamed(runs="replications")
    ... def count(*, replications):
    ...     return replications
    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     count(runs=3)
    3
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for old, new in names.items():
                if old in kwargs:
                    _warn(function, f"argument {old} was renamed to {new}")
                    _add(function, kwargs, new, kwargs.pop(old))
            return function(*args, **kwargs)

        return call

    return decorate


def moved(
    name: str, place: int, is_meant: Callable[[Any], bool] = lambda _: True
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take an argument without its name, too, with a warning.

    It was at `place`, counted from 0, and needs its name now. `is_meant` says whether a value there is such an argument; by
    default any is, where the name isn't there.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if len(args) == place + 1 and name not in kwargs and is_meant(args[place]):
                _warn(function, f"pass {name} by keyword: {name}=...")
                _add(function, kwargs, name, args[place])
                return function(*args[:place], **kwargs)  # type: ignore[arg-type]
            return function(*args, **kwargs)

        return call

    return decorate


def moved_module(old: str, new: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module that moved: its names are found at the new path, with a warning."""

    def find(name: str) -> Any:
        value = getattr(import_module(new), name)
        if not name.startswith("__"):
            message = f"{old} has moved to {new}; the next release removes the old name"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
        return value

    return find


def _add(function: Callable[..., Any], arguments: dict[str, Any], name: str, value: Any) -> None:
    if name in arguments:
        raise TypeError(f"{function.__name__}() got multiple values for argument {name!r}")
    arguments[name] = value


def _warn(function: Callable[..., Any], text: str) -> None:
    warn_user(f"{function.__name__}: {text}; the next release removes the old form", DeprecationWarning)
