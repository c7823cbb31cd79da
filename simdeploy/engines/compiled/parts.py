"""Parts of the engine that are compiled by themselves, once a run needs them, and called by their addresses in its record.

So nobody waits for what a scenario doesn't use, and two processes compile different parts at once. A call by address can't become part
of its caller, so a part is something that is called once for a wave or a rollout, or for nodes that take long anyway.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from threading import RLock
from typing import Any

import numpy as np
from numba import from_dtype, types
from numba.core import cgutils
from numba.extending import intrinsic

from simdeploy.engines.compiled.jit import announce, entry, get_address, is_cached
from simdeploy.engines.compiled.run import PARTS, RUN
from simdeploy.engines.compiled.shortcuts import shortcuts
from simdeploy.engines.compiled.views import load

_STARTING_S = 2  # of the other process
_compiling = RLock()


@dataclass(frozen=True)
class Part:
    """What is compiled by itself.

    Attributes
    ----------
    function : dispatcher
        Called with the record of a run first.
    signature : tuple
        Types of its arguments.
    seconds : float
        How long compiling it takes, roughly.
    """

    function: Any
    signature: tuple[Any, ...]
    seconds: float

    @property
    def is_ready(self) -> bool:
        """Whether it need not be compiled."""
        return bool(self.function.signatures) or is_cached(self.function, self.signature)

    def load(self) -> None:
        """Compile it, unless its code is on disk."""
        self.function.compile(self.signature)


_known: dict[str, Part] = {}
_addresses: dict[str, int] = {}  # of those that are loaded


def part(name: str, *arguments: Any, returns: Any = types.none, seconds: float) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function of a run, and of at most three other `arguments`, by itself; only compiled code calls it.

    `name` is one of `run.PARTS`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        add_part(name, entry(cache=True)(function), (from_dtype(RUN), *arguments), seconds)

        def sign(run: Any) -> tuple[Any, Any]:
            return returns(run, *arguments), _call_by_address(name)

        # numba asks for functions whose arguments have names.
        def call(_typing: Any, run: Any) -> Any:
            return sign(run)

        def call_with_one(_typing: Any, run: Any, _a: Any) -> Any:
            return sign(run)

        def call_with_two(_typing: Any, run: Any, _a: Any, _b: Any) -> Any:
            return sign(run)

        def call_with_three(_typing: Any, run: Any, _a: Any, _b: Any, _c: Any) -> Any:
            return sign(run)

        return intrinsic((call, call_with_one, call_with_two, call_with_three)[len(arguments)])

    return decorate


def add_part(name: str, function: Any, signature: tuple[Any, ...], seconds: float) -> None:
    """Make something known that is compiled by itself."""
    _known[name] = Part(function, signature, seconds)


def _call_by_address(name: str) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        convention = context.call_conv
        kind = convention.get_function_type(signature.return_type, signature.args)
        address = load(context, builder, signature.args[0], arguments[0], f"{name}_part")
        function = builder.inttoptr(address, kind.as_pointer())
        status, result = convention.call_function(builder, function, signature.return_type, signature.args, arguments)
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return result

    return codegen


def count_seconds(names: Iterable[str]) -> float:
    """Return how long compiling these parts takes, roughly, in this process alone; 0 if all are ready."""
    return sum(_known[name].seconds for name in names if not _known[name].is_ready)


def load_parts(names: Collection[str]) -> None:
    """Load some parts; those that have to be compiled first are divided between this process and another one."""
    if all(name in _addresses for name in names):
        return
    with _compiling:
        missing = sorted((name for name in names if not _known[name].is_ready), key=lambda name: -_known[name].seconds)
        own, others = _divide(missing) if len(missing) > 1 and _may_start_another() else (missing, [])
        if missing:
            announce(max(count_seconds(own), count_seconds(others) + _STARTING_S))
        with shortcuts(), _Helper(others) as helper:
            for name in own:
                _known[name].load()
            helper.wait()
            for name in names:
                _known[name].load()
                _addresses[name] = get_address(_known[name].function, _known[name].signature)


def _divide(names: list[str]) -> tuple[list[str], list[str]]:
    """Divide parts, the longest first, so that two processes take about as long."""
    own, others = [names[0]], []
    own_s, others_s = _known[names[0]].seconds, float(_STARTING_S)
    for name in names[1:]:
        if own_s <= others_s:
            own.append(name)
            own_s += _known[name].seconds
        else:
            others.append(name)
            others_s += _known[name].seconds
    return own, others


def _may_start_another() -> bool:
    """Tell whether another process would compile faster: not on one core, and not beside other workers, which do the same."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    is_python = bool(sys.executable) and not getattr(sys, "frozen", False)
    return n_cores > 1 and is_python and multiprocessing.parent_process() is None


class _Helper:
    """Another process that compiles some parts into the cache; if it fails, they are just not there."""

    def __init__(self, names: Collection[str]) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if not names:
            return
        code = f"from {__name__} import _compile_as_asked; _compile_as_asked()"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603 - this very interpreter, and names of our own
                [sys.executable, "-P", "-c", code, *names],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def wait(self) -> None:
        """Wait until it is done."""
        if self._process is not None:
            self._process.wait()

    def __enter__(self) -> _Helper:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()  # after Ctrl-C; else it has ended
            self._process.wait()


def _compile_as_asked() -> None:
    import_module("simdeploy.engines.compiled.kernel")  # which knows all parts
    with shortcuts():
        for name in sys.argv[1:]:
            _known[name].load()


def give_addresses(records: np.ndarray, names: Iterable[str]) -> None:
    """Write the addresses of parts that are loaded into the record of a run."""
    for name in names:
        if name in PARTS:
            records[f"{name}_part"] = _addresses[name]
