"""What several test files need: settings of hypothesis, small scenarios."""

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

# Before numpy is imported. Tests run side by side, and start hundreds of commands, which need not translate their modules each time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

import matplotlib as mpl  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

mpl.use("Agg")
gc.disable()  # until all tests are collected
# Nobody cuts the power of these tests, so no file has to be on the disk: they would wait for it for minutes.
os.fsync = os.fstat  # type: ignore[assignment]  # which refuses what is no open file as well
pytest.register_assert_rewrite("engine_contract")  # its tests stand in a module that is not called test_*

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
    """Search with all indices checked, of which compiled code checks none by itself."""
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
    """Make a scenario: ten nodes, 30 s each, in fours, three healthy windows; `changes` are merged into it."""
    from simdeploy import Scenario

    def make(**changes: Any) -> Any:
        raw = copy.deepcopy(_PLAIN)
        _merge(raw, changes)
        return Scenario.from_dict(raw)

    return make


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Processes that tests start can be interrupted, even where a shell runs the tests in the background and has Ctrl-C ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(params=["reference", "compiled"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn, for whatever must hold on both."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def compiled_engine() -> None:
    """The whole compiled engine, loaded, and compiled without the warning that this takes a while."""
    import numpy as np

    from simdeploy.engines.compiled.kernel import load_parts
    from simdeploy.engines.compiled.run import PARTS, RUN

    with warnings.catch_warnings(action="ignore"):
        load_parts(["entry", *PARTS], np.zeros(1, RUN))
    _leave_anything_in_memory()


def _leave_anything_in_memory() -> None:
    """Let numbers that the engine reads before it has written them be no node's, and no time."""
    from simdeploy.engines.compiled.scratch import Scratch

    get = Scratch._get_memory

    def get_anything(self: Any, size: int) -> Any:
        memory = get(self, size)
        if size < 50_000_000:  # more would take long
            memory[:size].fill(0x7B)  # not all that a larger fleet left
            self.is_zero = False
        return memory

    Scratch._get_memory = get_anything  # type: ignore[method-assign]


@lru_cache
def needs_engine(path: Path) -> bool:
    """Whether tests of a file run the compiled engine, perhaps in other processes."""
    text = path.read_text(encoding="utf-8")
    return "compiled" in text or "from commands" in text or re.search(r"def test_.*\bengine\b", text) is not None


@pytest.fixture(autouse=True)
def engine_that_is_needed(request: pytest.FixtureRequest) -> None:
    """Whoever begins with such a file has the whole engine compiled, so that nobody waits for a part of it first, or is told so."""
    if needs_engine(request.node.path):
        request.getfixturevalue("compiled_engine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the second of two processes begin with the files that need the compiled engine, so that only it compiles, and each
    with those that have slow tests, so that neither is left alone with one in the end.
    """
    needs = {path for path in {item.path for item in items} if needs_engine(path)}
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path in needs, item.path not in slow))
    # Every process gets a row of tests, as many as any other: files without slow tests fill up the first row.
    n_without = sum(item.path not in needs for item in items)
    cut = min(n_without + (len(items) + 1) // 2, len(items))
    while n_without < cut < len(items) and items[cut].path == items[cut - 1].path:
        cut -= 1
    items[n_without:] = items[cut:] + items[n_without:cut]


def pytest_collection_finish() -> None:
    """Keep what collecting made out of the garbage collector's way: it lives as long as the process."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(50_000, 20, 50)  # seldom: what tests make is mostly gone without it


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what became of mutated files and stores: each mutator's cases with `make fuzz`, each target's otherwise."""
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
    """Let verdicts on means rest on fewer worlds than show rare rollouts."""
    monkeypatch.setattr("simdeploy.statistics.combining.FEWEST_WORLDS", 1)
    monkeypatch.setattr("simdeploy.statistics.combining.LARGEST_WEIGHT", 1)


@pytest.fixture
def few_values_suffice(few_worlds_suffice: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let verdicts on means rest on tables small enough to be made by hand."""
    monkeypatch.setattr("simdeploy.statistics.combining._FEWEST_VALUES", 1)
    monkeypatch.setattr("simdeploy.statistics.combining._FEWEST_EQUAL", 1)


@pytest.fixture
def few_switch_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave but the first values of some switches, so that there are few pairs."""
    from simdeploy.analysis.switches import switch_values, varying

    first_values = switch_values.list_switch_values
    monkeypatch.setattr(varying, "list_switch_values", lambda scenario: first_values(scenario)[:6])


@pytest.fixture
def students_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the limits of means as Student's, whatever the skewness and the tails of values."""
    for user in ("simdeploy.statistics.parts", "simdeploy.analysis.estimates.grid"):
        monkeypatch.setattr(f"{user}.allow_for_tails", lambda part, *_: part)
