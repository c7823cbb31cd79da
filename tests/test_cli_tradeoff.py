"""``simdeploy tradeoff``: what it prints, writes and refuses, and how it is gone on with."""

from __future__ import annotations

import json
import shlex
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


def test_json_has_everything(folder):
    """`--json` prints one object with under what it was computed, the answer and all rows. [contract]"""
    document = json.loads(call(*QUICK, *LIMIT, "--json").stdout)
    assert document["answer"] == found().answer
    assert document["computed_under"]["engine"] == "reference"
    assert len(document["curves"]) == len(found().curves)


def test_the_table_is_that_of_python(folder):
    """`--out` has the curves of the same call in Python. [contract]"""
    result = call(*QUICK, *LIMIT, "--out", "curves.csv")
    assert (result.exit_code, result.stderr) == (0, "wrote curves.csv\n")
    pd.testing.assert_frame_equal(pd.read_csv("curves.csv"), found().curves, check_dtype=False)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_pictures(folder, ending):
    """A picture is in the format that its ending says, and the same command draws the same bytes. [contract]"""
    contents = []
    for name in ("a", "b"):
        assert call(*QUICK, *LIMIT, "--plot", f"{name}.{ending}").exit_code == 0
        contents.append(Path(f"{name}.{ending}").read_bytes())
    assert contents[0].startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])
    assert contents[0] == contents[1]


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


def test_a_deployment_as_json(folder):
    """`--policy` takes a file of the API, called like the file. [contract]"""
    result = call(*QUICK, *LIMIT, "--policy", "ours.json")
    assert result.stdout.startswith("ours stands at ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--policy", "wave"], "no such policy (found 'wave')"),
        (["--vary", "max_failed_nods=1,2"], "no such key to vary; did you mean 'max_failed_nodes'?"),
        (["--vary", "max_failed_nodes"], "no key with values"),
        (["--vary", "scenario.fleet.nodes=1,2"], "no threshold that can be moved"),
        (["--vary", "deadline=5s"], "no node can ever be healthy in time"),
        (["--x", "cost"], "the scenario has no costs"),
        (["--x", "makespan"], "did you mean 'makespan_s'?"),
        (["--confidence-level", "95"], "not a confidence level (found 95.0)"),
        (["--engine", "refrence"], "did you mean 'reference'?"),
        (["--store", "s.yaml"], "'s.yaml' is there already and is not a folder"),
        (["--plot", "x.gif"], "must end with one of .png, .svg, .pdf"),
        (["--out", "no/x.csv"], "there is no folder 'no'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_work(folder, monkeypatch, arguments, told):
    """Unknown names, impossible values and places that can't be written to are refused at once, with exit code 2. [contract]"""
    monkeypatch.setattr(Job, "run", lambda *_: pytest.fail("nothing is to be simulated"))
    result = call(*QUICK, *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["ours.json", "s.yaml"]


def test_what_was_interrupted_is_gone_on_with(folder, monkeypatch):
    """Ctrl-C ends with 130 and the command to go on, which finishes the table and prints what it would have. [contract]"""
    run, calls = Job.run, []

    def interrupt(self, span):
        calls.append(span)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return run(self, span)

    expected = call(*QUICK, "--vary", "max_failed_nodes=0:4:3").stdout
    asked = (*QUICK, "--vary", "max_failed_nodes=0:4:3", "--store", "some where")
    with monkeypatch.context() as patch:
        patch.setattr(Job, "run", interrupt)
        patch.setattr("simdeploy.experiments.working.cut_job", small_pieces)
        patch.setattr("simdeploy.experiments.parts._MOST_ROWS", 2)
        stopped = call(*asked)
    assert stopped.exit_code == 130
    first, second = stopped.stderr.splitlines()[-2:]
    assert first.startswith("interrupted; some where has ")
    arguments = shlex.split(second)
    assert arguments[:2] == ["simdeploy", "tradeoff"]
    again = CliRunner().invoke(app, arguments[1:], catch_exceptions=False)
    assert again.exit_code == 0
    assert "going on with the rest" in again.stderr
    assert again.stdout == expected


def small_pieces(job, replications):
    from simdeploy.experiments.cutting import Piece

    return tuple(Piece(len(group.policies), 2) for group in job.groups)


def test_ctrl_c_without_a_folder(folder, monkeypatch):
    """Without a folder nothing is kept, and the message says what would have kept it. [contract]"""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Job, "run", interrupt)
    result = call(*QUICK, *LIMIT)
    assert result.exit_code == 130
    assert result.stderr == "interrupted; nothing was saved. Run with --store DIR to make it resumable.\n"


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
