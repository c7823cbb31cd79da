"""The same numbers for any hash seed, workers, order of work, and other contents of the batch."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from simdeploy import Scenario, replicate, simulate

HEALTH_CHECK = {"deadline": "4m", "max_error_rate": 0.2, "min_healthy_time": "30s"}

# As many random decisions as a scenario can have.
BUSY: dict[str, Any] = {
    "name": "busy",
    "fleet": {
        "nodes": 24,
        "zones": 3,
        "order": "random",
        "requests_per_second": 5,
        "update_duration": {"lognormal": {"median": "40s", "p95": "2m"}},
        "rollback_duration": {"gamma": {"mean": 20, "sd": 10}},
        "rollback_failure": 0.02,
        "slowdown": {"lognormal": {"mean": 1, "sd": 0.3}},
        "start_failure": {"beta": {"mean": 0.05, "sd": 0.05}},
        "start_attempts": 2,
        "start_hang": 0.01,
        "error_rate": {"beta": {"mean": 0.05, "sd": 0.04}},
        "flapping": {"good": "3m", "degraded": "30s", "error_rate": 0.4},
        "crash": {
            "up": {"weibull": {"mean": "40m", "shape": 0.8}},
            "repair": {"lognormal": {"median": "30s", "p95": "3m"}},
            "renewed_by_update": True,
        },
        "zone_outage": {"up": {"exponential": {"mean": "3h"}}, "repair": {"exponential": {"mean": "2m"}}},
        "classes": [{"name": "slow", "share": 0.25, "update_duration": {"exponential": {"mean": "2m"}}}],
    },
    "release": {
        "good": {"probability": 0.5},
        "latent": {
            "probability": 0.5,
            "defective": True,
            "error_rate": 0.4,
            "after": {"exponential": {"mean": "2m"}},
            "affects": {"share": 0.6},
            "crash_rate": 5,
        },
    },
    "operator": {"promote_after": {"exponential": {"mean": "2m"}}, "notices_defect": 0.5, "rejects_good": 0.1},
    "policies": {
        "waves": {"strategy": "rolling", "max_parallel": 6, "max_failed_nodes": 4, "health_check": HEALTH_CHECK},
        "careful": {"strategy": "canary", "canary_count": 3, "max_parallel": 8, "health_check": HEALTH_CHECK},
        "at-once": {"strategy": "immediate"},
    },
}

TABLES = ("events", "timeline", "nodes", "revisions")
KEYS = ["policy", "replication"]


@pytest.fixture(scope="module")
def busy() -> Scenario:
    return Scenario.from_dict(BUSY)


@pytest.fixture(scope="module")
def batch(busy: Scenario) -> pd.DataFrame:
    return replicate(busy, replications=12, seed=5)


def fingerprint(scenario: Scenario) -> str:
    """Return every byte of every record of a few rollouts, and of the table of their replications."""
    digest = hashlib.sha256()
    for policy in scenario.policies:
        for replication in range(3):
            rollout = simulate(scenario, policy, seed=5, replication=replication)
            digest.update(rollout.to_json().encode())
            for name in TABLES:
                digest.update(getattr(rollout, name).to_csv().encode())
    digest.update(replicate(scenario, replications=3, seed=5).to_csv().encode())
    return digest.hexdigest()


@pytest.mark.parametrize("policy", BUSY["policies"])
def test_same_seed_same_records(busy: Scenario, policy: str) -> None:
    """Two runs of one seed and replication are equal in every record. [property]"""
    one, other = (simulate(busy, policy, seed=3, replication=2) for _ in range(2))
    pd.testing.assert_series_equal(one.responses, other.responses, check_exact=True)
    assert one.to_json() == other.to_json()
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), check_exact=True)


def test_seeds_and_replications_differ(busy: Scenario) -> None:
    """Seed 0 is an ordinary seed; seeds and replications each give another world. [property]"""
    places = [(0, 0), (1, 0), (2**64 - 1, 0), (0, 1), (1, 1)]
    durations = [tuple(simulate(busy, seed=s, replication=r).nodes["started_at_s"]) for s, r in places]
    assert len({str(one) for one in durations}) == len(places)
    pd.testing.assert_frame_equal(simulate(busy).nodes, simulate(busy, seed=0, replication=0).nodes)


def test_hash_seed_changes_nothing(busy: Scenario) -> None:
    """Under any PYTHONHASHSEED every byte of the JSON and of all tables is the same. [property]"""
    here = Path(__file__)
    program = (
        "import runpy, warnings; warnings.simplefilter('ignore'); "
        f"test = runpy.run_path({str(here)!r}); "
        "print(test['fingerprint'](test['Scenario'].from_dict(test['BUSY'])))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("0", "1")  # this process usually has a random one
    }
    assert found == {fingerprint(busy)}


def test_workers_change_nothing(busy: Scenario, batch: pd.DataFrame) -> None:
    """More worker processes give the same frame, with rows in the same order, and its attributes. [property]"""
    found = replicate(busy, replications=12, seed=5, workers=3)
    pd.testing.assert_frame_equal(batch, found, check_exact=True)
    assert found.attrs == batch.attrs


def test_order_of_policies_changes_nothing(busy: Scenario, batch: pd.DataFrame) -> None:
    """The requested policies and their order change only the order of rows. [property]"""
    other = replicate(busy, policies=["at-once", "waves"], replications=12, seed=5)
    wanted = batch[batch["policy"] != "careful"]
    pd.testing.assert_frame_equal(
        wanted.sort_values(KEYS).reset_index(drop=True),
        other.sort_values(KEYS).reset_index(drop=True),
        check_exact=True,
    )


def test_replication_alone_is_the_one_of_the_batch(busy: Scenario, batch: pd.DataFrame) -> None:
    """A replication simulated alone, in reverse order, has its responses of the batch. [property]"""
    for row in batch.iloc[::-1].to_dict("records"):
        alone = simulate(busy, row["policy"], seed=5, replication=row["replication"]).responses
        for name, value in alone.items():
            missing = value is None or value != value
            assert pd.isna(row[name]) if missing else row[name] == value, name


def test_policies_meet_the_same_world(busy: Scenario) -> None:
    """Classes of nodes, and the duration of a node's first start, are the same under every policy. [property]"""
    scenario = busy.with_values({"orchestrator.on_failure": "continue"})
    tables = {policy: simulate(scenario, policy, seed=5).nodes for policy in scenario.policies}
    who = ["zone", "class", "position", "affected"]
    first = {}
    for policy, table in tables.items():
        pd.testing.assert_frame_equal(table[who], tables["waves"][who])
        started = table[(table["attempts"] == 1) & table["started_at_s"].notna()]
        first[policy] = started["started_at_s"] - started["dispatched_at_s"]
    both = first["waves"].index.intersection(first["at-once"].index)
    assert len(both) > 10
    assert (first["waves"][both] - first["at-once"][both]).abs().max() < 1e-6


@pytest.mark.parametrize("workers", [1, 2])
def test_a_clock_that_jumps_back_changes_nothing(
    busy: Scenario, batch: pd.DataFrame, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the system's clock runs backwards, a batch with progress ends with the same rows. [property]"""
    now = iter(range(2_000_000_000, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    monkeypatch.setattr(time, "time_ns", lambda: next(now) * 10**9)
    progress: list[int] = []
    table = replicate(busy, replications=12, seed=5, workers=workers, progress=lambda done, _: progress.append(done))
    pd.testing.assert_frame_equal(batch, table, check_exact=True)
    assert progress == sorted(progress)


def test_only_monotonic_clocks_are_used(repository: Path) -> None:
    """Only the store reads a clock that may jump; durations and waits use a monotonic one. [contract]"""
    jumping = {"time", "time_ns", "now", "utcnow", "today", "localtime", "gmtime", "ctime"}
    may_jump = re.compile(rf"\b(time|datetime|date)\s*\.\s*({'|'.join(jumping)})\b|\bfrom\s+time\b")
    found = []
    for path in sorted((repository / "simdeploy").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.parent.name == "store" or not may_jump.search(text):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                found += [(path.name, alias.name) for alias in node.names if alias.name in jumping]
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                is_clock = node.value.id in ("time", "datetime", "date") and node.attr in jumping
                found += [(path.name, node.attr)] if is_clock else []
    assert found == []
