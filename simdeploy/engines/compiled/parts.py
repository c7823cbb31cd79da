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
from threading import Lock
from typing import Any, Self

import numpy as np
from numba import from_dtype, types
from numba.core import cgutils
from numba.extending import intrinsic

from simdeploy.engines.compiled.jit import announce, entry, get_address, has_folder, is_cached
from simdeploy.engines.compiled.run import PARTS, RUN
from simdeploy.engines.compiled.shortcuts import shortcuts
from simdeploy.engines.compiled.views import load

_STARTING_S = 2  # of the other process
_compiling = Lock()


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
    beside : str
        Another part with which it shares most of what it calls; "" for none.
    """

    function: Any
    signature: tuple[Any, ...]
    seconds: float
    beside: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether it need not be compiled."""
        return bool(self.function.signatures) or is_cached(self.function, self.signature)

    def load(self) -> None:
        """Compile it, unless its code is on disk, where there may be no room for it."""
        try:
            self.function.compile(self.signature)
        except OSError:
            if not self.function.signatures:
                raise


_known: dict[str, Part] = {}
_addresses: dict[str, int] = {}  # of those that are loaded


def part(
    name: str, *arguments: Any, returns: Any = types.none, seconds: float, beside: str = ""
) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function of a run, and of at most three other `arguments`, by itself; only compiled code calls it.

    `name` is one of `run.PARTS`; of the others see `Part`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        add_part(name, entry(cache=True)(function), (from_dtype(RUN), *arguments), seconds, beside)

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


def add_part(name: str, function: Any, signature: tuple[Any, ...], seconds: float, beside: str = "") -> None:
    """Make something known that is compiled by itself."""
    _known[name] = Part(function, signature, seconds, beside)


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


def expect_seconds(names: Collection[str] | None = None) -> float:
    """Return how long compiling some parts, or all, takes here, roughly; 0 if they are ready."""
    own, others = _divide(_known if names is None else names)
    return max(_count_seconds(own), _count_seconds(others) + _STARTING_S if others else 0)


def load_parts(names: Collection[str], records: np.ndarray) -> None:
    """Load some parts, and write their addresses into the record of a run.

    Those that have to be compiled first are divided between this process and another one.
    """
    if not all(name in _addresses for name in names):
        _load_parts(names)
    for name in names:
        if name in PARTS:
            records[f"{name}_part"] = _addresses[name]


def _load_parts(names: Collection[str]) -> None:
    with _compiling:
        own, others = _divide(names)
        if own:
            announce(expect_seconds(names))
        with shortcuts(), _Helper(others) as helper:
            for name in own:
                _known[name].load()
            helper.wait()
            for name in names:
                _known[name].load()
                _addresses[name] = get_address(_known[name].function, _known[name].signature)


def _count_seconds(names: Iterable[str]) -> float:
    return sum(_known[name].seconds for name in names)


def _divide(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Divide parts that have to be compiled, the longest first, so that two processes take about as long."""
    missing = sorted(
        (name for name in names if not _known[name].is_ready), key=lambda name: (-_known[name].seconds, name)
    )
    if not _may_start_another():
        return missing, []
    own: list[str] = []
    others: list[str] = []
    for name in missing:
        is_own = _count_seconds(own) <= _count_seconds(others) + _STARTING_S
        if _known[name].beside in missing:
            is_own = _known[name].beside in own
        (own if is_own else others).append(name)
    return own, others


def _may_start_another() -> bool:
    """Tell whether it pays to compile in another process, too: not on one core, nor beside other workers, which do the same."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    is_python = bool(sys.executable) and not getattr(sys, "frozen", False)
    can_hand_over = has_folder(_known["entry"].function)
    return n_cores > 1 and is_python and can_hand_over and multiprocessing.parent_process() is None


class _Helper:
    """Another process that compiles some parts into the cache; if it fails, they are just not there."""

    def __init__(self, names: Collection[str]) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if not names:
            return
        # The module of the entry, which calls the other parts, knows all of them.
        knows_all = _known["entry"].function.__module__
        code = f"import {knows_all}; from {__name__} import _compile_as_asked; _compile_as_asked()"
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()  # after Ctrl-C; else it has ended
            self._process.wait()


def _compile_as_asked() -> None:
    with shortcuts():
        for name in sys.argv[1:]:
            _known[name].load()
