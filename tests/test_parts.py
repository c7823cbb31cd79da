"""Parts of the compiled engine: which a run needs, who compiles them, and who waits for that."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numba.core import caching

from simdeploy import Scenario, SimdeployWarning, read_scenario
from simdeploy.engines.compiled import engine, kernel, outcomes, parts
from simdeploy.engines.compiled.engine import run_compiled
from simdeploy.engines.compiled.lowering import lower
from simdeploy.engines.compiled.memory import Memory
from simdeploy.engines.compiled.run import RUN
from simdeploy.rules.deployment_types import TYPES

pytestmark = pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning")

SCENARIOS = Path(__file__).parents[1] / "scenarios"
ONE_BY_ONE = {"rollouts", "waves", "outcomes"}


class MadeUp:
    """A function that is said to be compiled at once, unless it is told to fail."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.signatures: tuple[Any, ...] = ()
        self.error = error

    def compile(self, signature: Any) -> None:
        self.signatures += (signature,)
        if self.error is not None:
            raise self.error


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> dict[str, parts.Part]:
    """Parts that are made up, none of which is compiled; no other process is started."""
    seconds = {"entry": 4, "draws": 3, "fates": 5, "bundles": 8, "rollouts": 15}
    known = {name: parts.Part(MadeUp(), (), seconds[name]) for name in seconds}
    monkeypatch.setattr(parts, "_known", known)
    monkeypatch.setattr(parts, "_addresses", {})
    monkeypatch.setattr(parts, "is_cached", lambda *_: False)
    monkeypatch.setattr(parts, "get_address", lambda *_: 7)
    monkeypatch.setattr(parts, "_count_processes", lambda: 1)
    return known


def test_a_word_before_compiling(made_up: dict[str, parts.Part], monkeypatch: pytest.MonkeyPatch):
    """Whoever has to wait for the compiler is told so, and for how long; of what is loaded or on disk nothing is said. [contract]"""
    records = np.zeros(1, RUN)
    with pytest.warns(SimdeployWarning, match=r"compiling .* once for this machine \(about 15 s\)"):
        parts.load_parts(["entry", "bundles"], records)
    assert (records["bundles_part"][0], records["draws_part"][0]) == (7, 0)
    monkeypatch.setattr(parts, "is_cached", lambda function, _: function is made_up["draws"].function)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts.load_parts(["entry", "bundles", "draws"], records)
    assert records["draws_part"][0] == 7
    with pytest.warns(SimdeployWarning, match=r"\(about 5 s\)"):
        parts.load_parts(["bundles", "fates"], records)


@pytest.mark.parametrize(
    ("name", "changes", "needed"),
    [
        ("bench-1000", {}, {"bundles"}),
        ("small-fleet", {}, {"bundles", "brackets"}),
        ("zone-breaks", {}, {*ONE_BY_ONE, "brackets", "downs", "laws"}),
        ("small-fleet", {"orchestrator.pacing": "sliding"}, {*ONE_BY_ONE, "brackets", "slots"}),
        ("subtle-defect", {}, {*ONE_BY_ONE, "gates", "waits", "together", "partners", "undegraded"}),
    ],
)
def test_no_more_is_compiled_than_a_run_needs(name: str, changes: dict[str, Any], needed: set[str]):
    """Rollouts in waves need what follows bundles, others what runs one by one; gates and sliding are for those who have them. [contract]"""
    scenario = read_scenario(SCENARIOS / f"{name}.yaml").with_values(changes)
    policies = list(scenario.policies.values())
    of_run = lower(scenario, policies[-1:], TYPES[policies[-1].identity.type]).scalars
    found = kernel.find_parts(of_run, in_bundles=of_run["all_bundled"], with_notes=False)
    assert found == {"entry", "draws", "fates", "rollbacks"} | needed
    assert kernel.find_parts(of_run, in_bundles=False, with_notes=True) >= {"rollouts", "notes"}


def test_bundles_that_are_not_enough():
    """Where bundles turn out not to be enough, the rest is loaded, and outcomes are those of rollouts one by one. [property]"""
    scenario = read_scenario(SCENARIOS / "zone-breaks.yaml")
    policies = list(scenario.policies.values())
    memory = Memory(lower(scenario, policies, TYPES[policies[0].identity.type]), 3)
    memory.run["all_bundled"] = True
    rows = np.empty((16, outcomes.N_WHOLE), np.int64), np.empty((16, outcomes.N_REAL))
    index = np.empty((8, len(policies)), np.int32)
    assert kernel.run_replications(memory.run, 0, *rows, index, np.zeros(2, np.int64)) == kernel.DONE
    block = run_compiled(scenario, policies, seed=3, first=0, count=8)
    np.testing.assert_array_equal(
        rows[1][index.T, outcomes.EXPOSED], block.numbers["exposed_node_s"][block.index], strict=True
    )


class Helper:
    """A process that is said to have been started."""

    started: ClassVar[list[Helper]] = []

    def __init__(self, arguments: Sequence[str], **_: Any) -> None:
        self.names, self.is_over, self.is_killed = list(arguments[4:]), False, False
        self.started.append(self)

    def wait(self) -> None:
        self.is_over = True

    def kill(self) -> None:
        self.is_killed = not self.is_over


@pytest.fixture
def started(made_up: dict[str, parts.Part], monkeypatch: pytest.MonkeyPatch) -> list[Helper]:
    """Other processes that were started; what they were given is then said to be on disk."""
    monkeypatch.setattr(parts, "_count_processes", lambda: 2)
    monkeypatch.setattr(parts.subprocess, "Popen", Helper)
    monkeypatch.setattr(Helper, "started", [])
    return Helper.started


def test_two_processes_compile(started: list[Helper], made_up: dict[str, parts.Part]):
    """The parts are divided so that both take about as long; all are loaded when both are done. [contract]"""
    with pytest.warns(SimdeployWarning, match=r"\(about 20 s\)"):
        parts.load_parts(made_up, np.zeros(1, RUN))
    assert [helper.names for helper in started] == [["bundles", "fates", "entry"]]
    assert started[0].is_over
    assert not started[0].is_killed
    assert all(one.function.signatures for one in made_up.values())
    parts.load_parts(made_up, np.zeros(1, RUN))
    assert len(started) == 1


def test_parts_that_share_what_they_call_stay_together(made_up: dict[str, parts.Part]):
    """Whoever compiles one of two parts that share most of what they call compiles the other one, too, if both are missing. [contract]"""
    made_up["downs"] = parts.Part(MadeUp(), (), 1, "fates")
    made_up["laws"] = parts.Part(MadeUp(), (), 1)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(parts, "_count_processes", lambda: 2)
        assert parts._divide(["fates", "entry", "downs", "laws"]) == [["fates", "downs"], ["entry", "laws"]]
        assert parts._divide(["bundles", "entry", "fates", "downs"]) == [["bundles"], ["fates", "entry", "downs"]]
        made_up["fates"].function.compile(())
        assert parts._divide(["entry", "downs"]) == [["entry"], ["downs"]]


def test_more_cores_compile_sooner(made_up: dict[str, parts.Part], monkeypatch: pytest.MonkeyPatch):
    """There are as many processes as cores, up to four; none is started for what this one has done by the time it would begin. [contract]"""
    monkeypatch.setattr(parts, "_count_processes", lambda: 4)
    assert parts._divide(made_up) == [["rollouts"], ["bundles"], ["fates"], ["entry", "draws"]]
    assert parts.expect_seconds() == 15
    made_up["laws"] = parts.Part(MadeUp(), (), 1)
    assert parts._divide(["laws"]) == [["laws"], [], [], []]


def test_the_other_process_ends_with_this_one(started: list[Helper], made_up: dict[str, parts.Part]):
    """Ctrl-C while both compile ends the other process, too. [contract]"""
    made_up["rollouts"].function.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        parts.load_parts(made_up, np.zeros(1, RUN))
    assert started[0].is_killed


def test_no_other_process_can_be_started(started: list[Helper], made_up: dict[str, parts.Part], monkeypatch):
    """Where no process can be started, this one compiles everything; where the disk is full, nothing is kept. [contract]"""

    def refuse(*_: Any, **__: Any) -> None:
        raise BlockingIOError

    monkeypatch.setattr(parts.subprocess, "Popen", refuse)
    made_up["fates"].function.error = OSError("no space left on device")
    parts.load_parts(made_up, np.zeros(1, RUN))
    assert all(one.function.signatures for one in made_up.values())


def test_a_process_compiles_what_it_is_asked_for(made_up: dict[str, parts.Part], monkeypatch: pytest.MonkeyPatch):
    """The other process loads the parts that it is given by name, and no others. [contract]"""
    monkeypatch.setattr(parts.sys, "argv", ["-c", "draws", "fates"])
    parts._compile_as_asked()
    assert {name for name, one in made_up.items() if one.function.signatures} == {"draws", "fates"}


def test_where_no_other_process_helps(monkeypatch: pytest.MonkeyPatch):
    """On one core, in a worker, without a folder for code, and in a program that is not Python's own, this process compiles alone. [contract]"""
    for n_cores, n_processes in ((1, 1), (2, 2), (4, 4), (64, 4)):
        monkeypatch.setattr(parts.os, "sched_getaffinity", lambda _, n=n_cores: set(range(n)), raising=False)
        assert parts._count_processes() == n_processes
    with monkeypatch.context() as changed:
        changed.setattr(parts._known["entry"].function, "_cache", caching.NullCache())
        assert parts._count_processes() == 1
    with monkeypatch.context() as changed:
        changed.setattr(parts.multiprocessing, "parent_process", lambda: "a process")
        assert parts._count_processes() == 1
    monkeypatch.setattr(parts.sys, "executable", "")
    assert parts._count_processes() == 1


def test_what_is_to_be_compiled_depends_on_what_is_asked(monkeypatch: pytest.MonkeyPatch):
    """With what rollouts in waves need on disk, they don't wait, and others wait for the rest; of something unknown it is all. [contract]"""
    monkeypatch.setattr(parts, "_addresses", {})
    there = [parts._known[name].function for name in ("entry", "draws", "fates", "rollbacks", "brackets", "bundles")]
    monkeypatch.setattr(parts.Part, "is_ready", property(lambda one: one.function in there))
    monkeypatch.setattr(parts, "_count_processes", lambda: 1)
    in_waves, other = (read_scenario(SCENARIOS / name) for name in ("small-fleet.yaml", "zone-breaks.yaml"))

    def ask(*scenarios: Scenario, **options: bool) -> float:
        return engine.expect_compiling(((one, list(one.policies.values())) for one in scenarios), **options)

    seconds = {name: one.seconds for name, one in parts._known.items()}
    one_by_one = sum(seconds[name] for name in ONE_BY_ONE)
    breaks = one_by_one + seconds["downs"] + seconds["laws"]
    assert (ask(in_waves), ask(other), ask(in_waves, other)) == (0, breaks, breaks)
    assert ask(in_waves, in_bundles=False) == one_by_one + seconds["notes"]
    assert ask() == sum(one.seconds for one in parts._known.values() if one.function not in there)
