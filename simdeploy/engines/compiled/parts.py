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
from contextlib import ExitStack, suppress
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

_MOST_PROCESSES = 4  # which take 0.2 GB of memory each
_STARTING_S = 1.5  # of another process
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
    groups = _divide(_known if names is None else names)
    return max(_count_seconds(group, is_own=group is groups[0]) for group in groups)


def load_parts(names: Collection[str], records: np.ndarray) -> None:
    """Load some parts, and write their addresses into the record of a run.

    Those that have to be compiled first are divided between this process and others, one for each core.
    """
    if not all(name in _addresses for name in names):
        _load_parts(names)
    for name in names:
        if name in PARTS:
            records[f"{name}_part"] = _addresses[name]


def _load_parts(names: Collection[str]) -> None:
    with _compiling:
        own, *others = _divide(names)
        if own:
            announce(expect_seconds(names))
        with shortcuts(), ExitStack() as stack:
            helpers = [stack.enter_context(_Helper(group)) for group in others if group]
            for name in own:
                _known[name].load()
            for helper in helpers:
                helper.wait()
            for name in names:
                _known[name].load()
                _addresses[name] = get_address(_known[name].function, _known[name].signature)


def _count_seconds(names: Collection[str], *, is_own: bool) -> float:
    return sum(_known[name].seconds for name in names) + (0 if is_own or not names else _STARTING_S)


def _divide(names: Iterable[str]) -> list[list[str]]:
    """Divide parts that have to be compiled, the longest first, so that this process, the first, and others take about as long."""
    missing = sorted(
        (name for name in names if not _known[name].is_ready), key=lambda name: (-_known[name].seconds, name)
    )
    groups: list[list[str]] = [[] for _ in range(_count_processes())]
    for name in missing:
        chosen = min(groups, key=lambda group: _count_seconds([name, *group], is_own=group is groups[0]))
        beside = _known[name].beside
        next((group for group in groups if beside in group), chosen).append(name)
    return groups


def _count_processes() -> int:
    """Return how many processes may compile: one beside other workers, which do the same, and where none can hand code over."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    is_python = bool(sys.executable) and not getattr(sys, "frozen", False)
    can_hand_over = has_folder(_known["entry"].function)
    if not is_python or not can_hand_over or multiprocessing.parent_process() is not None:
        return 1
    return min(n_cores, _MOST_PROCESSES)


class _Helper:
    """Another process that compiles some parts into the cache; if it fails, they are just not there."""

    def __init__(self, names: Collection[str]) -> None:
        self._process: subprocess.Popen[bytes] | None = None
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
