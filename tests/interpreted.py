"""The compiled engine's source, run by Python with counted operations, so that its work can be tested on any machine."""

from __future__ import annotations

import ctypes
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import scipy.special

import simdeploy.engines
from simdeploy import Scenario
from simdeploy.rules.deployment_types import TYPES

_PACKAGE = "simdeploy.engines.compiled"
# Functions whose calls are counted, and as what.
_COUNTED = {
    "philox": {"block": "blocks"},
    "laws": {"quantile": "draws", "inverse_survival": "draws"},
    "special": {"normal_quantile_central": "draws"},
    "binomial": {"last_healthy_word": "binomials", "is_healthy_word": "binomials", "failed_of": "binomials"},
}


@dataclass(frozen=True)
class Interpreted:
    """The engine as Python runs it."""

    # Since the last clear: `blocks` of Philox, `draws` from distributions, `binomials` that were computed
    # exactly, and `passes`, which are steps of loops with a counter.
    counts: Counter[str]
    modules: dict[str, ModuleType]

    def run(self, scenario: Scenario, *, seed: int = 0, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Run replications of all policies; return their outcomes, and the place of each policy's and replication's."""
        kernel = self.modules["kernel"]
        _memory, records = self.begin(scenario, seed=seed)
        rows = len(scenario.policies) * count
        outcomes = np.empty(rows, self.modules["outcomes"].OUTCOME)
        index = np.empty((count, len(scenario.policies)), np.int32)
        self.counts.clear()
        with np.errstate(all="ignore"):
            ends = kernel._run(records, 0, outcomes, index, np.zeros(2, np.int64))
        assert ends == kernel.DONE
        return outcomes, index.T

    def begin(self, scenario: Scenario, *, seed: int = 0) -> tuple[Any, Any]:
        """Make the tables of all policies; return their owner, and the table of the run's record."""
        policies = list(scenario.policies.values())
        lowered = self.modules["lowering"].lower(scenario, policies, TYPES[policies[0].identity.type])
        memory = self.modules["memory"].Memory(lowered, seed)
        memory.run["rollouts_part"] = 1  # all parts are there
        return memory, _Table(memory.run)


def interpret() -> Interpreted:
    """Import the engine a second time, with Python in place of numba."""
    counts: Counter[str] = Counter()

    def counted(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            counts[what] += 1
            return function(*arguments)

        return call

    def count_steps(*bounds: int) -> range:
        steps = range(*bounds)
        counts["passes"] += len(steps)
        return steps

    with _imported_anew():
        jit, views = import_module(f"{_PACKAGE}.jit"), import_module(f"{_PACKAGE}.views")
        jit.compiled = jit.inlined = lambda function: function
        jit.entry = lambda **_: lambda function: function
        import_module(f"{_PACKAGE}.parts").part = lambda *_, **__: lambda function: function
        views.make_view, views.make_reader, views.make_current = _make_view, _make_reader, _make_current
        special = import_module(f"{_PACKAGE}.special")
        special._from_bits = lambda bits: struct.unpack("d", struct.pack("q", bits))[0]
        special._to_bits = lambda number: np.int64(struct.unpack("q", struct.pack("d", number))[0])
        for function in special._NAMES:
            setattr(special, function, _without_last(getattr(scipy.special, function)))
        for name, functions in _COUNTED.items():
            module = import_module(f"{_PACKAGE}.{name}")
            for function, what in functions.items():
                setattr(module, function, counted(what, getattr(module, function)))
        import_module(f"{_PACKAGE}.engine")
        modules = {
            name.removeprefix(f"{_PACKAGE}."): module
            for name, module in sys.modules.items()
            if name.startswith(f"{_PACKAGE}.")
        }
    for name, module in modules.items():
        if name != "philox":  # whose loops are the rounds of a block
            module.range = count_steps
    return Interpreted(counts, modules)


@contextmanager
def _imported_anew() -> Iterator[None]:
    in_use = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(_PACKAGE)}
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.startswith(_PACKAGE)]:
            del sys.modules[name]
        sys.modules.update(in_use)
        vars(simdeploy.engines).pop("compiled", None)
        if _PACKAGE in in_use:
            simdeploy.engines.compiled = in_use[_PACKAGE]  # type: ignore[attr-defined]


def _without_last(function: Callable[..., float]) -> Callable[..., float]:
    return lambda *arguments: function(*arguments[:-1])


def _at(address: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    size = dtype.itemsize * int(np.prod(shape))
    array = np.frombuffer((ctypes.c_char * size).from_address(int(address)), dtype).reshape(shape)
    return _Table(array) if dtype.names else array


class _Record:
    """An item of a table of records with its fields as attributes, even those named like numpy methods."""

    __slots__ = ("_item",)

    def __init__(self, item: np.void) -> None:
        object.__setattr__(self, "_item", item)

    def __getattr__(self, name: str) -> Any:
        return self._item[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self._item[name] = value


class _Table:
    """An array of records."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, place: Any) -> _Record:
        return _Record(self._array[place])


def _make_view(address: str, dtype: Any, *shape: str | int) -> Callable[[Any], Any]:
    def view(run: Any) -> Any:
        sizes = tuple(int(getattr(run, one)) if isinstance(one, str) else one for one in shape)
        return _at(getattr(run, address), np.dtype(dtype), sizes)

    return view


def _make_reader(address: str, dtype: Any) -> Callable[[Any, int], Any]:
    item = np.dtype(dtype)
    return lambda run, place: _at(int(getattr(run, address)) + int(place) * item.itemsize, item, (1,))[0]


def _make_current(address: str, dtype: Any, place: str) -> Callable[[Any], Any]:
    read = _make_reader(address, dtype)
    return lambda run: read(run, getattr(run, place))
