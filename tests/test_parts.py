"""Parts of the compiled engine: which a run needs, which process compiles them, and who waits."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any, ClassVar, Self

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

SCENARIOS = Path(__file__).parents[1] / "scenarios"
ALWAYS = ("entry", "draws", "words", "fates")
ONE_BY_ONE = {"rollouts", "waves", "verdicts", "outcomes"}
SPELLS = {"first_spells", "walks", "spells", "outlook"}
ZONES = {"affected", "downs"}
TRAFFIC = {"fleet.traffic": {"daily": [["0h", 0.6], ["8h", 1]]}}
GATES = {"gates", "waits", "together", "partners", "levels"}


class MadeUp:
    """A fake function that compiles at once, unless it is told to fail."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.signatures: tuple[Any, ...] = ()
        self.error = error

    def compile(self, signature: Any) -> None:
        self.signatures += (signature,)
        if self.error is not None:
            raise self.error


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> dict[str, parts.Part]:
    """Fake parts, none of them compiled; no other process is started."""
    seconds = {"entry": 4, "draws": 3, "fates": 5, "bundles": 8, "rollouts": 15}
    known = {name: parts.Part(MadeUp(), (), seconds[name]) for name in seconds}
    monkeypatch.setattr(parts, "_known", known)
    monkeypatch.setattr(parts, "_addresses", {})
    monkeypatch.setattr(parts, "is_cached", lambda *_: False)
    monkeypatch.setattr(parts, "get_address", lambda *_: 7)
    monkeypatch.setattr(parts, "_count_others", lambda _: 0)
    return known


def test_a_message_before_compiling(made_up: dict[str, parts.Part], monkeypatch: pytest.MonkeyPatch):
    """A message says that compilation takes a while; there is none if code is loaded or cached. [contract]"""
    records = np.zeros(1, RUN)
    message = r"compiling .* fast engine \(about 15 s\); later runs that need the same"
    with pytest.warns(SimdeployWarning, match=message) as caught:
        parts.load_parts(["entry", "bundles"], records)
    assert caught[0].filename == __file__
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
        ("bench-1000", {}, {"bundles", "health"}),
        ("small-fleet", {}, {"bundles", "brackets", "own_levels", "affected", "health"}),
        (
            "zone-breaks",
            {},
            {*ONE_BY_ONE, *SPELLS, *ZONES, "brackets", "interruptions", "laws", "own_levels", "health"},
        ),
        (
            "small-fleet",
            {"orchestrator.pacing": "sliding"},
            {*ONE_BY_ONE, "brackets", "own_levels", "affected", "slots", "health"},
        ),
        ("subtle-defect", {}, {*ONE_BY_ONE, *SPELLS, *GATES, "interruptions", "own_levels", "undegraded", "health"}),
        (
            "bench-1000",
            {"fleet.start_attempts": 2, "fleet.order": "random"},
            {"bundles", "restarts", "shuffles", "health"},
        ),
        ("shared-service", {}, {"rollouts", "verdicts", "outcomes", "levels", "windows", "pools", "shares", "served"}),
        (
            "bench-1000",
            TRAFFIC,
            {*ONE_BY_ONE, "levels", "met", "met_at_once", "requests", "served", "traffic", "validation"},
        ),
        ("latent-defect", {}, {"bundles", "brackets", "own_levels", "after", "health"}),
        ("latent-defect", {"release.latent.after": "10m"}, {"bundles", "brackets", "own_levels", "health"}),
    ],
)
def test_no_more_is_compiled_than_a_run_needs(name: str, changes: dict[str, Any], needed: set[str]):
    """Rollouts in waves need the part for bundles, others that for single runs; gates and sliding are separate. [contract]"""
    scenario = read_scenario(SCENARIOS / f"{name}.yaml").with_values(changes)
    policies = list(scenario.policies.values())
    of_run = lower(scenario, policies[-1:], TYPES[policies[-1].identity.type]).scalars
    found = kernel.find_parts(of_run, in_bundles=of_run["all_bundled"], with_notes=False)
    assert found == {*ALWAYS, *needed}
    assert kernel.find_parts(of_run, in_bundles=False, with_notes=True) >= {"rollouts", "notes"}
    of_lineages = kernel.find_parts({**of_run, "n_lineages": 2}, in_bundles=False, with_notes=True)
    assert of_lineages >= {"rollouts", "notes", "own_words", "peaks_of_nodes"}


def test_a_failing_part_must_be_declared(monkeypatch: pytest.MonkeyPatch):
    """Callers don't check parts declared never to fail, so one that may run out of memory is refused. [contract]"""

    def make(run: Any) -> None:
        np.empty(run.nodes)

    # Another function, as machine code of the first one would come from the cache the next time.
    def make_if_possible(run: Any) -> None:
        np.empty(run.nodes)

    monkeypatch.setattr(parts, "_known", {})
    parts.part("changes", seconds=1)(make)
    with parts.shortcuts(), pytest.raises(AssertionError, match="make can fail, which its callers don't expect"):
        parts._known["changes"].load()
    parts.part("changes", seconds=1, can_fail=True)(make_if_possible)
    with parts.shortcuts():
        parts._known["changes"].load()
    assert parts._known["changes"].is_ready


def test_bundles_that_are_not_enough():
    """If bundles turn out not to suffice, the rest is loaded, and outcomes are those of single rollouts. [property]"""
    scenario = read_scenario(SCENARIOS / "zone-breaks.yaml")
    policies = list(scenario.policies.values())
    memory = Memory(lower(scenario, policies, TYPES[policies[0].identity.type]), 3)
    memory.run["all_bundled"] = True
    rows = np.empty(16, outcomes.OUTCOME)
    index = np.empty((8, len(policies)), np.int32)
    assert kernel.run_replications(memory.run, 0, rows, index, np.zeros(2, np.int64)) == kernel.DONE
    block = run_compiled(scenario, policies, seed=3, first=0, count=8)
    np.testing.assert_array_equal(
        rows["exposed_node_s"][index.T], block.numbers["exposed_node_s"][block.index], strict=True
    )


class Helper:
    """A fake process that is ready at once, and compiles what it is asked for."""

    started: ClassVar[list[Helper]] = []

    def __init__(self, _: Sequence[str], **__: Any) -> None:
        self.stdin = self.stdout = self
        self.names: list[str] = []
        self.is_killed, self.is_over = Event(), False
        self.started.append(self)

    def write(self, text: str) -> None:
        self.names += text.split()

    def flush(self) -> None:
        """Read at once what was written."""

    def readline(self) -> str:
        return "\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over = True

    def wait(self) -> None:
        assert self.is_over or self.is_killed.is_set()

    def kill(self) -> None:
        self.is_killed.set()


@pytest.fixture
def started(made_up: dict[str, parts.Part], monkeypatch: pytest.MonkeyPatch) -> list[Helper]:
    """Other processes that were started."""
    monkeypatch.setattr(parts, "_count_others", lambda _: 2)
    monkeypatch.setattr(parts.subprocess, "Popen", Helper)
    monkeypatch.setattr(Helper, "started", [])
    return Helper.started


def test_processes_share_the_compilation(started: list[Helper], made_up: dict[str, parts.Part]):
    """Each part is compiled by one process; all are loaded in the end, and loaded ones start no process. [contract]"""
    with pytest.warns(SimdeployWarning, match=r"\(about 15 s\)"):
        parts.load_parts(made_up, np.zeros(1, RUN))
    elsewhere = [name for helper in started for name in helper.names]
    # A process that compiles a part loads it at once, and everything is loaded in the end.
    here = [name for name, one in made_up.items() if len(one.function.signatures) == 2]
    assert sorted(here + elsewhere) == sorted(made_up)
    assert all(one.function.signatures for one in made_up.values())
    parts.load_parts(made_up, np.zeros(1, RUN))
    assert len(started) == 2


def test_the_longest_part_comes_first(made_up: dict[str, parts.Part]):
    """Two parts that share most of what they call are compiled by one process, unless nothing else is left. [contract]"""
    made_up["downs"] = parts.Part(MadeUp(), (), 4.5, "fates")
    left = parts._Left(parts._find_missing(made_up))
    one, another = left.take(), left.take()
    assert [next(one), next(one), next(another), next(another)] == ["rollouts", "bundles", "fates", "downs"]
    assert (list(one), list(another)) == (["entry", "draws"], [])
    made_up["fates"].function.compile(())
    assert list(parts._Left(parts._find_missing(["entry", "downs"])).take()) == ["downs", "entry"]
    left = parts._Left(["fates", "downs", "draws"])
    one, another = left.take(), left.take()
    assert [next(one), next(another), next(another)] == ["fates", "draws", "downs"]


def test_the_other_process_ends_with_this_one(started: list[Helper], made_up: dict[str, parts.Part], monkeypatch):
    """Ctrl-C during compilation ends the other processes, too. [contract]"""
    monkeypatch.setattr(Helper, "readline", lambda one: "" * one.is_killed.wait())
    made_up["rollouts"].function.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        parts.load_parts(made_up, np.zeros(1, RUN))
    assert all(helper.is_killed.is_set() for helper in started)


@pytest.mark.parametrize(
    "why", ["it can't be started", "it ends at once", "it can't be written to", "the disk is full"]
)
def test_no_other_process_helps(why: str, started: list[Helper], made_up: dict[str, parts.Part], monkeypatch):
    """If no process can be started, or it fails, this one compiles everything; on a full disk nothing is cached. [contract]"""

    def refuse(*_: Any, **__: Any) -> None:
        raise BlockingIOError

    if why == "it can't be started":
        monkeypatch.setattr(parts.subprocess, "Popen", refuse)
    elif why == "it ends at once":
        monkeypatch.setattr(Helper, "readline", lambda _: "")
    elif why == "it can't be written to":
        monkeypatch.setattr(Helper, "write", refuse)
    else:
        made_up["fates"].function.error = OSError("no space left on device")
    parts.load_parts(made_up, np.zeros(1, RUN))
    assert all(one.function.signatures for one in made_up.values())


def test_a_process_compiles_requested_parts(made_up: dict[str, parts.Part], monkeypatch, capsys):
    """The other process reports that it is ready, loads the named parts, and reports each. [contract]"""
    monkeypatch.setattr(parts.sys, "stdin", io.StringIO("draws\nfates\n"))
    parts._compile_as_asked()
    assert {name for name, one in made_up.items() if one.function.signatures} == {"draws", "fates"}
    assert capsys.readouterr().out == "\n\n\n"


def test_how_many_processes_compile(monkeypatch: pytest.MonkeyPatch):
    """Up to four cores compile, if that is faster than one; only one does beside workers, or without a cache. [contract]"""
    five, entry = ["rollouts", "bundles", "outcomes", "fates", "entry"], parts._known["entry"].function
    for n_cores, n_others in ((1, 0), (2, 1), (4, 3), (64, 3)):
        monkeypatch.setattr(parts.os, "sched_getaffinity", lambda _, n=n_cores: set(range(n)), raising=False)
        assert parts._count_others(five) == n_others
    assert parts._count_others([]) == parts._count_others(["rollouts"]) == parts._count_others(["lines", "met"]) == 0
    assert parts._count_others(["entry", "fates", "waves"]) == 1
    with monkeypatch.context() as changed:
        changed.setattr(entry, "_cache", caching.NullCache())
        assert parts._count_others(five) == 0
    with monkeypatch.context() as changed:
        changed.setattr(parts.multiprocessing, "parent_process", lambda: "a process")
        assert parts._count_others(five) == 0
    monkeypatch.setattr(parts.sys, "executable", "")
    assert parts._count_others(five) == 0


def test_the_message_depends_on_the_run(monkeypatch: pytest.MonkeyPatch):
    """If the part for waves is cached, rollouts in waves don't wait, and others wait for the rest. [contract]"""
    monkeypatch.setattr(parts, "_addresses", {})
    there = [
        parts._known[name].function for name in (*ALWAYS, "health", "own_levels", "affected", "brackets", "bundles")
    ]
    monkeypatch.setattr(parts.Part, "is_ready", property(lambda one: one.function in there))
    monkeypatch.setattr(parts, "_count_others", lambda _: 0)
    in_waves, other = (read_scenario(SCENARIOS / name) for name in ("small-fleet.yaml", "zone-breaks.yaml"))

    def ask(*scenarios: Scenario, **options: bool) -> float:
        return engine.expect_compiling(((one, list(one.policies.values())) for one in scenarios), **options)

    seconds = {name: one.seconds for name, one in parts._known.items()}
    one_by_one = sum(seconds[name] for name in ONE_BY_ONE)
    breaks = one_by_one + sum(seconds[name] for name in ("downs", "interruptions", "laws", *SPELLS))
    assert (ask(in_waves), ask(other), ask(in_waves, other)) == (0, pytest.approx(breaks), pytest.approx(breaks))
    assert ask(in_waves, in_bundles=False) == one_by_one + seconds["notes"]
    everything_else = sum(one.seconds for one in parts._known.values() if one.function not in there)
    assert ask() == pytest.approx(everything_else)
