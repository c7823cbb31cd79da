"""``simdeploy gates``: what it prints, writes and refuses, and how it is gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from simdeploy import compare_gates, read_scenario
from simdeploy.cli.app import app
from simdeploy.cli.gates import read_gate_options
from simdeploy.engines import running
from simdeploy.experiments.jobs import Job

SCENARIO = """
name: small
fleet: {nodes: 6, requests_per_second: 5, update_duration: 30s, error_rate: 0.02}
release:
  good: {probability: 0.5}
  bad: {probability: 0.5, defective: true, error_rate: 0.1}
policies:
  waves: {strategy: rolling, max_parallel: 3, max_failed_nodes: 1, health_check: {deadline: 2m, max_error_rate: 0.05}}
  at-once: {strategy: immediate}
"""
SPEC = {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}}
QUICK = ("--engine", "reference", "--replications", "6", "--sizes", "0.05,10%")
TWO = ("--gate", "pooled", "--gate", "strict=sprt,alpha=0.001")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(SCENARIO)
    Path("ours.json").write_text(json.dumps(SPEC))
    return tmp_path


def call(*arguments, scenario="s.yaml"):
    return CliRunner().invoke(app, ["gates", scenario, *map(str, arguments)], catch_exceptions=False)


def found(**arguments):
    gates = {"pooled": "pooled", "strict": {"kind": "sprt", "alpha": 0.001}}
    asked = {"replications": 6, "engine": "reference", "sizes": [0.05, 0.1], "gates": gates} | arguments
    return compare_gates(read_scenario("s.yaml"), "waves", **asked)


def test_the_answer_comes_first(folder):
    """The first line is the answer that Python gives, then under what it holds, then the tables. [contract]"""
    result = call(*QUICK, *TWO, "--full")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == found().answer
    assert "small: policy waves, 6 replications of each gate at each of 3 sizes, seed 0, engine reference" in lines
    titles = [table.title for table in found().summarize()]
    assert [line for line in lines if line in titles] == titles
    assert "{kind: sprt, alpha: 0.001}" in result.stdout


def test_by_default_every_gate(folder):
    """Without `--gate` every kind is compared. [contract]"""
    document = json.loads(call(*QUICK, "--json").stdout)
    assert len(document["gates"]) == 10
    assert document["left_out"] == {}


def test_the_table_is_that_of_python(folder):
    """`--out` has the curves of the same call in Python. [contract]"""
    result = call(*QUICK, *TWO, "--out", "curves.csv")
    assert (result.exit_code, result.stderr) == (0, "wrote curves.csv\n")
    pd.testing.assert_frame_equal(pd.read_csv("curves.csv"), found().curves, check_dtype=False)


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("sprt", {"sprt": {"kind": "sprt"}}),
        ("a=sprt", {"a": {"kind": "sprt"}}),
        ("sprt, most = 50", {"sprt, most = 50": {"kind": "sprt", "most": 50}}),
        (
            "a = bayes, confidence=0.99,prior_strength=10",
            {"a": {"kind": "bayes", "confidence": 0.99, "prior_strength": 10}},
        ),
    ],
)
def test_how_a_gate_is_written(text, gate):
    """A kind, perhaps with a name before it and keys behind it; without a name it is called as it is written. [contract]"""
    assert read_gate_options([text]) == gate


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--policy", "at-once"], "immediate has no health check that a gate could be in"),
        (["--gate", "sprtt"], "did you mean 'sprt'?"),
        (["--gate", "sprt,alpha"], "not a gate"),
        (["--gate", "=sprt"], "not a gate"),
        (["--gate", "sprt,alpha=0x10"], "not a decimal number"),
        (["--gate", "sprt,alfa=0.1"], "did you mean 'alpha'?"),
        (["--gate", "sprt,alpha=2"], "alpha: "),
        (["--gate", "a=sprt", "--gate", "a=bayes"], "the same gate twice (found 'a')"),
        (["--gate", "threshold"], "nothing to compare the threshold with"),
        (["--sizes", "a"], "not a size of a defect (found 'a')"),
        (["--sizes", "5"], "not a size of a defect (found 5.0)"),
        (["--sizes", "0"], "no defect to find"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_work(folder, monkeypatch, arguments, told):
    """Unknown names, impossible values and places that can't be written to are refused at once, with exit code 2. [contract]"""
    monkeypatch.setattr(Job, "run", lambda *_: pytest.fail("nothing is to be simulated"))
    result = call(*QUICK, *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["ours.json", "s.yaml"]


def test_failed_replications_are_told(folder, monkeypatch):
    """A replication that failed is warned of, left out, and ends the command with exit code 1. [contract]"""
    original = running.simulate

    def sometimes(scenario, policy, *, replication, **rest):
        if replication == 1:
            raise ValueError("broken")
        return original(scenario, policy, replication=replication, **rest)

    monkeypatch.setattr(running, "simulate", sometimes)
    result = call(*QUICK, *TWO, "--json")
    assert result.exit_code == 1
    assert "12 of 72 replications failed; the first: defect 0, policy " in result.stderr
    assert json.loads(result.stdout)["n_failed"] == 12
