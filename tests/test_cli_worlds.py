"""``simdeploy sensitivity`` and ``simdeploy discover``: what they print, write and refuse, and how they are gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from simdeploy.analysis import discover, estimate_sensitivity
from simdeploy.cli.app import app
from simdeploy.experiments import Range
from simdeploy.experiments.jobs import Job
from simdeploy.scenario import read_scenario

SCENARIO = """
name: small
fleet:
  nodes: 4
  update_duration: 30s
  start_failure: 0.1
policies:
  waves: {strategy: rolling, max_parallel: 1, max_failed_nodes: 0, health_check: {deadline: 5m}}
  at-once: {strategy: immediate}
requirements: [{of: false_alarm, given: good, at_most: 0.4}]
"""
VARY = ("--vary", "fleet.start_failure=0.01:0.5:log", "--vary", "update_duration=20s:40s")
IN_PYTHON = {"fleet.start_failure": Range(0.01, 0.5, log=True), "update_duration": (20.0, 40.0)}
COMMANDS = {
    "sensitivity": ("--of", "makespan_s", "--size", "4", "--replications", "4"),
    "discover": ("--points", "40", "--replications", "4"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(SCENARIO)
    return tmp_path


def call(command, *arguments):
    quick = ("--engine", "reference", *COMMANDS[command])
    return CliRunner().invoke(app, [command, "s.yaml", *quick, *map(str, arguments)], catch_exceptions=False)


def found(command):
    scenario = read_scenario("s.yaml")
    if command == "sensitivity":
        known = {"of": "makespan_s", "size": 4, "replications": 4}
        return estimate_sensitivity(scenario, vary=IN_PYTHON, engine="reference", **known)
    return discover(scenario, vary=IN_PYTHON, points=40, replications=4, engine="reference")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_answer_comes_first(folder, command):
    """The first line is the answer that Python gives, then under what it holds, then the tables. [contract]"""
    result = call(command, *VARY, "--full")
    assert (result.exit_code, result.stderr) == (0, "")
    expected = found(command)
    lines = result.stdout.splitlines()
    assert lines[0] == expected.answer
    told = {
        "sensitivity": "small: policy waves, 12 points, 4 replications of each, seed 0, engine reference",
        "discover": "small: policy waves, 40 worlds, 4 replications in each, seed 0, engine reference",
    }
    assert lines[2] == told[command]
    assert lines[3].startswith("orchestrator expanso")
    assert all(table.title in lines for table in expected.summarize())
    if command == "discover":
        assert "required: false_alarm given good <= 0.4" in lines


@pytest.mark.parametrize("command", COMMANDS)
def test_json_table_and_picture(folder, command):
    """`--json` has everything that Python has, `--out` the table, and `--plot` a picture. [contract]"""
    result = call(command, *VARY, "--json", "--out", "table.csv", "--plot", "picture.png")
    assert result.stderr == "wrote table.csv\nwrote picture.png\n"
    document, expected = json.loads(result.stdout), found(command)
    assert document["answer"] == expected.answer
    assert document["computed_under"]["engine"] == "reference"
    table = pd.read_csv("table.csv", keep_default_na=False)
    rows = expected.indices if command == "sensitivity" else expected.worlds
    assert list(table.columns) == list(rows.columns)
    assert len(table) == len(rows)
    assert Path("picture.png").read_bytes().startswith(b"\x89PNG")


def test_sobol(folder):
    """`--method sobol` gives parts of the variance. [contract]"""
    result = CliRunner().invoke(
        app,
        ["sensitivity", "s.yaml", "--policy", "at-once", "--of", "makespan_s", "--method", "sobol", "--size", "16",
         "--replications", "2", "--engine", "reference", *VARY],
    )  # fmt: skip
    assert result.stdout.startswith("update_duration moves makespan under at-once most: alone it explains ")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "error: vary: nothing to vary; allowed: keys of the scenario with ranges"),
        (("--vary", "start_failur=0:1"), "no such key to vary"),
        (("--vary", "fleet.start_failure=0:0.1:log"), "scenario.fleet.start_failure: not a logarithmic range"),
        (
            ("--vary", "fleet.start_failure=0.1:0.2:lin"),
            "not a number of values (found 'lin'); allowed: 1 to 1,000,000, or log",
        ),
        (("--vary", "fleet.start_failure=0.1:1:2:3"), "allowed: low:high, low:high:log, low:high:count, or a list"),
        (("--vary", "fleet.start_failure=0.1:2"), "start_failure"),
    ],
)
def test_refusals(folder, monkeypatch, command, arguments, message):
    """What can't be meant is refused before anything is simulated, without a traceback, with exit code 2. [contract]"""
    monkeypatch.setattr(Job, "run", lambda *_: pytest.fail("nothing is to be simulated"))
    result = call(command, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
