"""``simdeploy tradeoff``: what it prints, writes and refuses, and how it is gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from simdeploy.analysis.tradeoffs.moving import tradeoff
from simdeploy.cli.app import app
from simdeploy.engines import running
from simdeploy.experiments.jobs import Job
from simdeploy.scenario import read_scenario

SCENARIO = """
name: small
fleet:
  nodes: 12
  requests_per_second: 10
  update_duration: {exponential: {mean: 30s}}
  start_failure: 0.1
release:
  good: {probability: 0.5}
  bad: {probability: 0.5, defective: true, error_rate: 0.4}
policies:
  waves: {strategy: rolling, max_parallel: 5, health_check: {deadline: 5m}}
  careful: {strategy: canary, canary_count: 2, auto_promote: true, max_parallel: 10, health_check: {deadline: 5m}}
"""
SPEC = {"strategy": "rolling", "max_parallel": 3, "health_check": {"deadline": "5m"}}
QUICK = ("--engine", "reference", "--replications", "6")
LIMIT = ("--vary", "max_failed_nodes=0:4:3")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(SCENARIO)
    Path("ours.json").write_text(json.dumps(SPEC))
    return tmp_path


def call(*arguments, scenario="s.yaml"):
    return CliRunner().invoke(app, ["tradeoff", scenario, *map(str, arguments)], catch_exceptions=False)


def found(**arguments):
    arguments = {"replications": 6, "engine": "reference", "vary": {"max_failed_nodes": [0, 2, 4]}} | arguments
    return tradeoff(read_scenario("s.yaml"), "waves", **arguments)


def test_the_answer_comes_first(folder):
    """The first line is the answer that Python gives, then under what it holds, then a table for each key. [contract]"""
    result = call(*QUICK, *LIMIT, "--vary", "max_parallel=2,12")
    assert result.exit_code == 0
    both = {"max_failed_nodes": [0, 2, 4], "max_parallel": [2, 12]}
    lines = result.stdout.splitlines()
    assert lines[0] == found(vary=both).answer
    assert "small: policy waves, 6 replications of each value, seed 0, engine reference" in lines
    titles = [line for line in lines if " band over " in line and not line.endswith("(continued)")]
    assert [title.partition(",")[0] for title in titles] == ["max_failed_nodes", "max_parallel"]
    assert "10 (default)" not in result.stdout
    assert "10 (policy, default)" in result.stdout


def test_the_table_is_that_of_python(folder):
    """`--out` has the curves of the same call in Python. [contract]"""
    result = call(*QUICK, *LIMIT, "--out", "curves.csv")
    assert (result.exit_code, result.stderr) == (0, "wrote curves.csv\n")
    pd.testing.assert_frame_equal(pd.read_csv("curves.csv"), found().curves, check_dtype=False)


def test_a_picture_has_a_panel_for_each_key_and_pair(folder):
    """Each key is drawn over false alarms and escapes, and over makespan and blast radius; chosen axes once. [contract]"""
    asked = (*QUICK, *LIMIT, "--vary", "max_parallel=2,12", "--plot", "x.svg")
    assert call(*asked).exit_code == 0
    assert Path("x.svg").read_text().count("95 % band over") == 4
    assert call(*asked, "--x", "makespan_s", "--y", "p90 blast_radius given defective").exit_code == 0
    text = Path("x.svg").read_text()
    assert text.count("95 % band over") == 2
    assert text.count("p90 of blast radius of defective releases") == 2


@pytest.mark.parametrize(
    ("asked", "axes"), [("--y", ["false_alarm", "makespan_s"]), ("--x", ["makespan_s", "escaped"])]
)
def test_one_axis_may_be_chosen(folder, asked, axes):
    """What isn't chosen is the default of its axis. [contract]"""
    document = json.loads(call(*QUICK, *LIMIT, asked, "makespan_s", "--json").stdout)
    assert [axis["of"] for axis in document["axes"]] == axes


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--vary", "scenario.fleet.nodes=1,2"], "no threshold that can be moved"),
        (["--vary", "deadline=5s"], "no node can ever be healthy in time"),
        (["--x", "cost"], "the scenario has no costs"),
        (["--x", "makespan"], "did you mean 'makespan_s'?"),
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
    result = call(*QUICK, *LIMIT, "--json")
    assert result.exit_code == 1
    assert "4 of 24 replications failed; the first:" in result.stderr
    document = json.loads(result.stdout)
    assert document["n_failed"] == 4
    rows = [row for row in document["curves"] if row["measure"].startswith(("false", "escaped"))]
    assert {here["n"] + there["n"] for here, there in zip(rows[::2], rows[1::2], strict=True)} == {5}
