"""``simdeploy switches``: what it prints, writes and refuses, and how it is gone on with."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from simdeploy.analysis.switches.switch_values import list_switch_values
from simdeploy.cli.app import app
from simdeploy.experiments.jobs import Job

SCENARIO = """
name: small
fleet:
  nodes: 10
  requests_per_second: 1
  update_duration: 60
  classes: [{name: broken, share: 0.1, start_failure: 1}]
costs: {failed_request: 0, unavailable_node_hour: 0, hour_of_delay: 1, false_alarm: 100, escape: 0}
policies:
  fast: {strategy: rolling, max_parallel: 5, max_failed_nodes: 1, max_failed_nodes_percent: 99.9, health_check: {deadline: 5m}}
  slow: {strategy: rolling, max_parallel: 2, max_failed_nodes: 5, max_failed_nodes_percent: 99.9, health_check: {deadline: 5m}}
"""
QUICK = ("--engine", "compiled", "--replications", "20")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in a folder with a scenario, with a few of the values."""
    (tmp_path / "s.yaml").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "simdeploy.analysis.switches.varying.list_switch_values", lambda made: list_switch_values(made)[:6]
    )
    return tmp_path


def call(*arguments):
    """Run the command in this process."""
    arguments = [str(argument) for argument in ("switches", "s.yaml", *arguments)]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_the_answer_comes_first():
    """The first line is the answer; what it was computed under and the tables follow. [contract]"""
    result = call(*QUICK, "--full")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith(
        "The choice of fast (least cost) holds under 4 of 6 values of the switches; it flips under"
    )
    assert lines[2] == "small: 20 replications of each policy under each of 21 settings, seed 0, engine compiled"
    assert lines[3] == "orchestrator expanso, no switch changed"
    for title in ("With the switches as they are", "One switch at a time"):
        assert title in lines
    assert any(line.split()[:3] == ["limit_comparison:", "reaches", "exceeds"] and " flips " in line for line in lines)


def test_options_are_followed():
    """Policies, measure, requirements, level and pairs are those that were asked for. [contract]"""
    asked = (
        "--policy",
        "slow",
        "--policy",
        "fast",
        "--of",
        "false_alarm",
        "--require",
        "makespan_s <= 1h",
        "--no-pairs",
    )
    document = json.loads(call(*asked, *QUICK, "--confidence-level", "0.9", "--seed", "3", "--json").stdout)
    assert document["computed_under"]["seed"] == 3
    assert document["computed_under"]["requirements"] == ["makespan_s <= 3600"]
    assert [row["policy"] for row in document["policies"]] == ["slow", "fast"]
    assert document["of"]["of"] == "false_alarm"
    assert (document["confidence_level"], document["pairs"]) == (0.9, [])
    # Equal ones: the first that was named.
    assert document["answer"].startswith("The choice of slow (least false alarms)")
    most = json.loads(call("--of", "makespan_s", "--direction", "max", "--no-pairs", *QUICK, "--json").stdout)
    assert most["answer"].startswith("The choice of slow (most makespan)")


def test_tables_and_pictures_are_written(folder):
    """The table has the rows of values and pairs, the picture is one. [contract]"""
    result = call(*QUICK, "--out", "t.csv", "--plot", "p.svg")
    assert result.exit_code == 0
    frame = pd.read_csv(folder / "t.csv")
    assert len(frame) == 6 + 14
    assert frame["other_switch"].isna().sum() == 6
    assert "limit_comparison: reaches" in (folder / "p.svg").read_text() or (folder / "p.svg").stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--policy", "fast"), 2, "one policy leaves nothing to choose (found fast); name a second policy"),
        (("--policy", "fats", "--policy", "slow"), 2, "did you mean 'fast'?"),
        (("--replications", "1"), 2, "--replications"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_work(monkeypatch, arguments, code, told):
    """Bad arguments end with a message and exit code 2, before anything is simulated. [contract]"""
    monkeypatch.setattr(Job, "run", None)
    result = call(*arguments)
    assert result.exit_code == code
    assert told in result.stderr


def test_without_costs_something_else_has_to_be_said(folder):
    """A scenario without costs needs a measure, and the message shows some. [contract]"""
    text = "\n".join(line for line in SCENARIO.splitlines() if not line.startswith("costs"))
    (folder / "s.yaml").write_text(text)
    result = call(*QUICK)
    assert result.exit_code == 2
    assert 'ask for something else, such as "makespan_s"' in result.stderr
    assert call("--of", "makespan_s", "--no-pairs", *QUICK).exit_code == 0


def test_failed_replications_are_told(monkeypatch):
    """If every replication fails there is nothing to choose, and a message says so. [contract]"""
    monkeypatch.setattr(Job, "run", lambda job, span: job.failed(span, "simulate", "ValueError: broken"))
    result = call(*QUICK)
    assert result.exit_code == 1
    assert "nothing can be chosen: every replication failed" in result.stderr
