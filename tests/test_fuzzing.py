"""Mutated files and damaged folders: a few of them each time, as many and new ones as you like with `make fuzz`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzzing.cases import ACCEPTED, REFUSED, Target, run_cases
from fuzzing.deployment_files import DeploymentFiles
from fuzzing.guards import Watch
from fuzzing.record_files import RecordFiles
from fuzzing.scenario_files import ScenarioFiles
from fuzzing.stores import Stores

from simdeploy import replicate
from simdeploy.scenario import Scenario

# The first number and how many cases of each target: fixed, unless `make fuzz` says otherwise.
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
CASES = int(os.environ.get("FUZZ_CASES", "0"))
FEW = {"scenario": 280, "deployment": 300, "store": 120, "records": 300}
CHUNKS = 4 if CASES else 1

Attack = Callable[[Target, int], None]


@pytest.fixture(scope="session")
def watch() -> Watch:
    """A hook of the interpreter, which stays for good."""
    return Watch()


@pytest.fixture
def attack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]) -> Attack:
    """Run a target's cases, all or one of the chunks, and judge what came out."""
    monkeypatch.chdir(tmp_path)

    def attack(target: Target, chunk: int) -> None:
        total = CASES or FEW[target.name]
        numbers = range(FIRST + total * chunk // CHUNKS, FIRST + total * (chunk + 1) // CHUNKS)
        tally = run_cases(target, numbers)
        record_property("fuzzed", tally.table(target))
        if tally.failures:
            pytest.fail(tally.describe_failures(target), pytrace=False)
        if len(numbers) >= 2 * len(target.mutators):
            n_cases = tally.count("cases")
            assert all(tally.count("cases", mutator) for mutator in target.mutators)
            assert tally.count(ACCEPTED) + tally.count(REFUSED) == n_cases
            assert min(tally.count(ACCEPTED), tally.count(REFUSED)) > n_cases / 20, tally.outcomes

    return attack


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="named pipes, alarms and limits are those of Unix"),
    # By a thread, for the alarms are the cases' own.
    pytest.mark.timeout(600 + 2 * CASES, method="thread"),
    pytest.mark.parametrize("chunk", range(CHUNKS)),
]


def test_scenarios(chunk: int, attack: Attack, repository: Path, tmp_path: Path, watch: Watch) -> None:
    """A mutated scenario file is refused with problems that can be printed, or both engines simulate it alike. [property]"""
    small = {"name": "x", "fleet": {"nodes": 1, "update_duration": 1}, "policies": {"p": {"strategy": "immediate"}}}
    replicate(Scenario.from_dict(small), replications=1, engine="compiled")  # compiled before anybody counts memory
    attack(ScenarioFiles(repository / "scenarios", tmp_path, watch), chunk)


def test_deployments(chunk: int, attack: Attack, repository: Path, tmp_path: Path, watch: Watch) -> None:
    """A mutated deployment is refused with problems that can be printed, or is written again exactly as it was. [property]"""
    attack(DeploymentFiles(repository / "scenarios" / "deployment.json", tmp_path, watch), chunk)


def test_stores(chunk: int, attack: Attack, tmp_path: Path, watch: Watch) -> None:
    """Of a damaged store nothing is read that wasn't written, damage is named, and resuming loses nothing sound. [property]"""
    attack(Stores(tmp_path, watch), chunk)


def test_records(chunk: int, attack: Attack, tmp_path: Path, watch: Watch) -> None:
    """Mutated files of records are refused with problems that can be printed, or give tables as they should be. [property]"""
    attack(RecordFiles(tmp_path, watch), chunk)
