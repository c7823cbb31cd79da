"""Parts of the engine that are compiled separately, when a run needs them, and called by their addresses in its record.

So parts that a scenario doesn't use are not compiled, and two processes can compile different parts at once. A call by address can't be
inlined, so parts are called once for a wave or a rollout, or for nodes that take long anyway.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any, Self

import numpy as np
from numba import from_dtype, types
from numba.core import cgutils
from numba.extending import intrinsic

from simdeploy.engines.compiled.instructions import NEVER_FAILS, call_what_never_fails
from simdeploy.engines.compiled.jit import announce, entry, get_address, has_folder, is_cached
from simdeploy.engines.compiled.run import PARTS, RUN
from simdeploy.engines.compiled.shortcuts import loading, shortcuts
from simdeploy.engines.compiled.views import load

_MOST_PROCESSES = 4  # each takes 0.2 GB of memory
_STARTING_S = 1.5  # time to start another process
RUN_TYPE = from_dtype(RUN)
_compiling = Lock()


@dataclass(frozen=True)
class Part:
    """A part of the engine that is compiled separately.

    Attributes
    ----------
    function : dispatcher
        Called with the record of a run first.
    signature : tuple
        Types of its arguments.
    seconds : float
        Rough time to compile it.
    beside : str
        Another part with which it shares most of what it calls; "" for none.
    """

    function: Any
    signature: tuple[Any, ...]
    seconds: float
    beside: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether it is compiled already."""
        return bool(self.function.signatures) or is_cached(self.function, self.signature)

    def load(self) -> None:
        """Load its code from disk, or compile it, even if there is no room to save it."""
        try:
            self.function.compile(self.signature)
        except OSError:
            if not self.function.signatures:
                raise


_known: dict[str, Part] = {}
_addresses: dict[str, int] = {}  # of loaded parts


def part(
    name: str,
    *arguments: Any,
    returns: Any = types.none,
    seconds: float,
    beside: str = "",
    can_fail: bool = False,
) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function of a run, and of at most three other `arguments`, separately; only compiled code calls it.

    `name` is one of `run.PARTS`; for other parameters see `Part`. If a part can't fail, its callers don't check whether it did. Functions
    that make arrays can fail, and for numba also powers with whole exponents, loops over tuples, and ranges with a step that isn't a
    constant above 0.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        setattr(function, NEVER_FAILS, not can_fail)
        add_part(name, entry(cache=True, by_address=True)(function), (RUN_TYPE, *arguments), seconds, beside)

        def sign(run: Any) -> tuple[Any, Any]:
            return returns(run, *arguments), _call_by_address(name, can_fail)

        # numba needs functions with named arguments.
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
    """Register a part."""
    _known[name] = Part(function, signature, seconds, beside)


def _call_by_address(name: str, can_fail: bool) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        convention = context.call_conv
        kind = convention.get_function_type(signature.return_type, signature.args)
        address = load(context, builder, signature.args[0], arguments[0], f"{name}_part")
        function = builder.inttoptr(address, kind.as_pointer())
        if not can_fail:
            return call_what_never_fails(context, builder, function, signature, arguments)
        status, result = convention.call_function(builder, function, signature.return_type, signature.args, arguments)
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return result

    return codegen


def expect_seconds(names: Collection[str] | None = None) -> float:
    """Return roughly how long compiling some parts, or all, takes on this machine; 0 if they are ready."""
    return _expect(_find_missing(_known if names is None else names))


def _expect(missing: Sequence[str]) -> float:
    seconds, n_others = [_known[name].seconds for name in missing], _count_others(missing)
    return max((sum(seconds) + n_others * _STARTING_S) / (1 + n_others), *seconds, 0)


def load_parts(names: Collection[str], records: np.ndarray) -> None:
    """Load some parts, and write their addresses into the record of a run.

    Parts that must be compiled are divided between processes, one for each core.
    """
    if not all(name in _addresses for name in names):
        _load_parts(names)
    for name in names:
        if name in PARTS:
            records[f"{name}_part"] = _addresses[name]


def _load_parts(names: Collection[str]) -> None:
    with _compiling:
        missing = _find_missing(names)
        if missing:
            announce(_expect(missing))
        left = _Left(missing)
        with ExitStack() as stack:
            helpers = [stack.enter_context(_Helper(left)) for _ in range(_count_others(missing))]
            stack.enter_context(shortcuts() if missing else loading())
            for name in left.take():
                _known[name].load()
            for name in names if helpers else ():  # those that others have compiled by now, while they compile the rest
                if _known[name].is_ready:
                    _known[name].load()
            for helper in helpers:
                helper.wait_for_parts()
            for name in names:
                _known[name].load()
                _addresses[name] = get_address(_known[name].function, _known[name].signature)


def _find_missing(names: Iterable[str]) -> list[str]:
    """Return the parts that must be compiled, those that take longest first."""
    missing = (name for name in names if not _known[name].is_ready)
    return sorted(missing, key=lambda name: (-_known[name].seconds, name))


def _count_others(missing: Sequence[str]) -> int:
    """Return the number of other processes that help to compile: 0 for workers, which compile in parallel anyway, and without a cache."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    is_python = bool(sys.executable) and not getattr(sys, "frozen", False)
    can_hand_over = has_folder(_known["entry"].function)
    if not is_python or not can_hand_over or multiprocessing.parent_process() is not None:
        return 0
    # More would find nothing left to do once they have started.
    worth = int(sum(_known[name].seconds for name in missing) / _STARTING_S)
    return max(min(n_cores, _MOST_PROCESSES, len(missing), worth) - 1, 0)


class _Left:
    """Parts that are not taken yet, those that take longest first; two that share callees preferably go to the same process."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)
        self._taken: set[str] = set()
        self._lock = Lock()

    def take(self) -> Iterator[str]:
        """Yield parts for one process until none is left."""
        taken: set[str] = set()
        while True:
            with self._lock:
                if not self._names:
                    return
                elsewhere = self._taken - taken
                name = min(self._names, key=lambda name: _known[name].beside in elsewhere)
                self._names.remove(name)
                self._taken.add(name)
            taken.add(name)
            yield name


class _Helper:
    """Another process that compiles parts into the cache while any are left; if it fails, its parts are just missing there."""

    def __init__(self, left: _Left) -> None:
        self._process: subprocess.Popen[str] | None = None
        # The module of the entry imports all other parts.
        knows_all = _known["entry"].function.__module__
        code = f"import {knows_all}; from {__name__} import _compile_as_asked; _compile_as_asked()"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
                [sys.executable, "-P", "-c", code],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            self._asking = Thread(target=self._ask, args=(self._process, left))
            self._asking.start()

    @staticmethod
    def _ask(process: subprocess.Popen[str], left: _Left) -> None:
        """Send the name of a part and wait for the line that it is compiled, until none is left."""
        if process.stdin is None or process.stdout is None:
            return
        with suppress(OSError), process.stdout as answers, process.stdin as names:
            is_ready = answers.readline()
            for name in left.take() if is_ready else ():
                print(name, file=names, flush=True)
                if not answers.readline():
                    break

    def wait_for_parts(self) -> None:
        """Wait until its parts are compiled."""
        if self._process is not None:
            self._asking.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()  # freeing its memory would take a second, and after Ctrl-C it may still be compiling
            self._process.wait()
            self.wait_for_parts()


def _compile_as_asked() -> None:
    """Compile the parts named on standard input; print a line at first, and after each part."""
    print(flush=True)
    with shortcuts():
        for line in sys.stdin:
            _known[line.strip()].load()
            print(flush=True)
