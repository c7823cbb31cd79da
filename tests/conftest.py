"""Settings of hypothesis and pytest, and fixtures for several test files."""

from __future__ import annotations

import copy
import gc
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

# Before numpy is imported: one thread each, because tests run in parallel; and cached bytecode, because they start hundreds of commands.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

import matplotlib as mpl  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

mpl.use("Agg")
gc.disable()  # until all tests are collected
# Waiting for the disk would take minutes, and no test cuts the power.
os.fsync = os.fstat  # type: ignore[assignment]  # also raises for invalid file descriptors
pytest.register_assert_rewrite("engine_contract")  # its tests are in a module not named test_*

settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=int(os.environ.get("FUZZ_CASES", "2000")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure() -> None:
    """Check all indices of compiled code while fuzzing; usually it checks none."""
    if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" and find_spec("numba"):
        from bounds import check_bounds

        check_bounds()


_PLAIN: dict[str, Any] = {
    "name": "plain",
    "fleet": {"nodes": 10, "update_duration": 30},
    "policies": {
        "p": {
            "strategy": "rolling",
            "max_parallel": 4,
            "health_check": {"deadline": "10m", "min_healthy_time": "30s"},
        }
    },
}


def _merge(into: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict) and key not in ("release", "update_duration"):
            _merge(into[key], value)
        else:
            into[key] = value


@pytest.fixture(scope="session")
def make_scenario() -> Callable[..., Any]:
    """Makes a scenario of ten nodes, 30 s each, in waves of four, with three healthy windows; `changes` are merged into it."""
    from simdeploy import Scenario

    def make(**changes: Any) -> Any:
        raw = copy.deepcopy(_PLAIN)
        _merge(raw, changes)
        return Scenario.from_dict(raw)

    return make


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Let processes that tests start react to Ctrl-C, which a shell makes background processes ignore."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(params=["reference", "compiled"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn, for tests that must pass on both."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def interpreted() -> Any:
    """The compiled engine's source, run by Python with counted operations."""
    from interpreted import interpret

    return interpret()


@pytest.fixture(scope="session")
def compiled_engine() -> None:
    """The whole compiled engine, compiled and loaded without the warning that this takes a while."""
    import numpy as np

    from simdeploy.engines.compiled.kernel import load_parts
    from simdeploy.engines.compiled.run import PARTS, RUN

    with warnings.catch_warnings(action="ignore"):
        load_parts(["entry", *PARTS], np.zeros(1, RUN))
    _fill_reused_memory()


def _fill_reused_memory() -> None:
    """Fill the engine's memory with numbers that are no valid node or time, to detect reading before writing."""
    from simdeploy.engines.compiled.scratch import Scratch

    get = Scratch._get_memory

    def get_filled(self: Any, size: int) -> Any:
        memory = get(self, size)
        if size < 50_000_000:  # filling more would take long
            memory[:size].fill(0x7B)  # only the part in use: a larger fleet may have left more memory
            self.is_zero = False
        return memory

    Scratch._get_memory = get_filled  # type: ignore[method-assign]


@lru_cache
def needs_engine(path: Path) -> bool:
    """Whether a file's tests run the compiled engine, perhaps in other processes."""
    text = path.read_text(encoding="utf-8")
    return "compiled" in text or "from commands" in text or re.search(r"def test_.*\bengine\b", text) is not None


def watches(path: Path) -> bool:
    """Whether a file's tests install an audit hook, which stays, and with which deep copies take twice as long."""
    return "import Watch" in path.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def engine_that_is_needed(request: pytest.FixtureRequest) -> None:
    """Compile the whole engine before the first test that needs it, so that no test waits for a part or gets the warning."""
    if needs_engine(request.node.path):
        request.getfixturevalue("compiled_engine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order tests for two processes: the second begins with files that need the compiled engine, so only it compiles, and
    both begin with files that have slow tests, so that neither finishes long before the other. Among these, files that slow
    later tests are last.
    """
    needs = {path for path in {item.path for item in items} if needs_engine(path)}
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    late = {path for path in {item.path for item in items} if watches(path)}
    items.sort(key=lambda item: (item.path in needs, item.path not in slow, item.path in late))
    # Each process gets half of the tests in this order, so files with the engine but without slow tests fill up the first half.
    n_without = sum(item.path not in needs for item in items)
    cut = min(n_without + (len(items) + 1) // 2, len(items))
    while n_without < cut < len(items) and items[cut].path == items[cut - 1].path:
        cut -= 1
    items[n_without:] = items[cut:] + items[n_without:cut]


def pytest_collection_finish() -> None:
    """Exclude objects made by collection from garbage collection, because they live as long as the process."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(200_000, 20, 50)  # rarely, because most objects of tests are freed without it


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Summarise the outcomes of mutated files and stores: by mutator with `make fuzz`, otherwise by target only."""
    counts: dict[tuple[str, str], list[int]] = {}
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, rows in getattr(report, "user_properties", ()):
            for target, mutator, *numbers in rows if name == "fuzzed" and report.when == "call" else ():
                before = counts.setdefault((target, mutator), [0] * len(numbers))
                counts[target, mutator] = [a + b for a, b in zip(before, numbers, strict=True)]
    if not counts:
        return
    terminalreporter.section("mutated")
    line = "{:16}{:38}{:>10}{:>10}{:>10}{:>10}".format
    terminalreporter.write_line(line("target", "mutator", "cases", "accepted", "refused", "failed"))
    for target, group in groupby(sorted(counts), key=lambda pair: pair[0]):
        mutators = list(group)
        if "FUZZ_CASES" in os.environ:
            for pair in (pair for pair in mutators if counts[pair][0]):
                terminalreporter.write_line(line(*pair, *counts[pair]))
        totals = [sum(column) for column in zip(*(counts[pair] for pair in mutators), strict=True)]
        terminalreporter.write_line(line(target, "all", *totals))


@pytest.fixture
def few_worlds_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust intervals of means from fewer worlds than rare rollouts require."""
    monkeypatch.setattr("simdeploy.statistics.combining.FEWEST_WORLDS", 1)
    monkeypatch.setattr("simdeploy.statistics.combining.LARGEST_WEIGHT", 1)
    monkeypatch.setattr("simdeploy.statistics.combining._LARGEST_OF_SOME", 1)


@pytest.fixture
def few_values_suffice(few_worlds_suffice: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust intervals of means from tables small enough to write by hand."""
    monkeypatch.setattr("simdeploy.statistics.combining._FEWEST_VALUES", 1)
    monkeypatch.setattr("simdeploy.statistics.combining._FEWEST_EQUAL", 1)


@pytest.fixture
def few_switch_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use only the first values of some switches, so that there are few pairs."""
    from simdeploy.analysis.switches import switch_values, varying

    first_values = switch_values.list_switch_values
    monkeypatch.setattr(varying, "list_switch_values", lambda scenario: first_values(scenario)[:6])


@pytest.fixture
def students_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use Student's limits of means, whatever the skewness and tails of the values."""
    for user in ("simdeploy.statistics.parts", "simdeploy.analysis.estimates.grid"):
        monkeypatch.setattr(f"{user}.allow_for_tails", lambda part, *_: part)
