"""Mutated files and damaged folders: a few fixed cases, or any number of new ones with `make fuzz`."""

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

# The first number and how many cases of each target: fixed, unless `make fuzz` changes them.
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
CASES = int(os.environ.get("FUZZ_CASES", "0"))
FEW = {"scenario": 280, "deployment": 300, "store": 120, "records": 300}
CHUNKS = 4 if CASES else 1

Attack = Callable[[Target, int], None]


@pytest.fixture(scope="session")
def watch() -> Watch:
    """Install the audit hook, which stays for good."""
    return Watch()


@pytest.fixture
def attack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]) -> Attack:
    """Run a target's cases, or a chunk of them, and report failures."""
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
    # In a thread, as the cases use the alarms.
    pytest.mark.timeout(600 + 2 * CASES, method="thread"),
    pytest.mark.parametrize("chunk", range(CHUNKS)),
]


def test_scenarios(chunk: int, attack: Attack, repository: Path, tmp_path: Path, watch: Watch) -> None:
    """A mutated scenario file is refused with printable problems, or both engines simulate it alike. [property]"""
    small = {"name": "x", "fleet": {"nodes": 1, "update_duration": 1}, "policies": {"p": {"strategy": "immediate"}}}
    replicate(Scenario.from_dict(small), replications=1, engine="compiled")  # compiled before memory is measured
    attack(ScenarioFiles(repository / "scenarios", tmp_path, watch), chunk)


def test_deployments(chunk: int, attack: Attack, repository: Path, tmp_path: Path, watch: Watch) -> None:
    """A mutated deployment is refused with printable problems, or written back unchanged. [property]"""
    attack(DeploymentFiles(repository / "scenarios" / "deployment.json", tmp_path, watch), chunk)


def test_stores(chunk: int, attack: Attack, tmp_path: Path, watch: Watch) -> None:
    """A damaged store gives only what was written, the damage is named, and resuming loses nothing sound. [property]"""
    attack(Stores(tmp_path, watch), chunk)


def test_records(chunk: int, attack: Attack, tmp_path: Path, watch: Watch) -> None:
    """Mutated files of records are refused with printable problems, or give valid tables. [property]"""
    attack(RecordFiles(tmp_path, watch), chunk)
