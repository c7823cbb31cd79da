"""`simdeploy tune`: the answer first, files on request, and a way back after Ctrl-C."""

from __future__ import annotations

import json
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from test_tuning import LIMITS, LITTLE_TRAFFIC

from simdeploy.cli.app import app
from simdeploy.scenario.policies import read_policy_file

FAST = ["--engine", "compiled", "--vary", "max_failed_nodes=0:19:20"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "limits.yaml"
    path.write_text(yaml.safe_dump(LIMITS), encoding="utf-8")
    return str(path)


def run(*arguments):
    return CliRunner().invoke(app, ["tune", *arguments])


def test_the_answer_comes_first(file):
    """The first line is the answer; then what it was computed under, the tables, and the spec in both dialects. [contract]"""
    done = run(file, *FAST)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Use waves with max_failed_nodes ")
    assert "limits: policy waves, seed 0, engine compiled" in lines
    assert "minimise cost" in lines
    specs = [
        part.split("dialect:\n")[1].split("\n\n")[0].split("\nnote:")[0]
        for part in done.stdout.split("The choice in the ")[1:]
    ]
    first, second = map(json.loads, specs)
    assert first["max_failed_nodes"] == second["max_failed_nodes"]
    assert first["health_check"]["deadline"] == "5m"
    assert second["health_check"]["deadline"] == 300 * 10**9


def test_it_chooses_among_gates(tmp_path):
    """`--vary gate.kind=...` makes gates candidates, and the spec that is printed has the gate with a note. [contract]"""
    path = tmp_path / "little.yaml"
    path.write_text(yaml.safe_dump(LITTLE_TRAFFIC), encoding="utf-8")
    asked = ["--vary", "gate.kind=threshold,pooled,sprt", "--vary", "gate.alpha=0.2,0.3", "--replications", "50"]
    done = run(str(path), "--engine", "compiled", "--full", *asked)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Use waves with gate.kind pooled: cost ")
    assert "The search: 4 policies" in done.stdout
    assert '"gate": {\n      "kind": "pooled"\n    }' in done.stdout
    assert "note: gate: pooled is beyond the API, which judges every node and window by the threshold; " in done.stdout


def test_json_has_everything(file):
    """With --json standard output is one object, with the answer, the tables and the specs. [contract]"""
    done = run(file, *FAST, "--json", "--seed", "3")
    told = json.loads(done.stdout)
    assert told["computed_under"]["scenario"] == "limits"
    assert told["computed_under"]["seed"] == 3
    assert told["answer"].startswith("Use waves with max_failed_nodes ")
    assert told["specs"]["deployment"]["spec"]["strategy"] == "rolling"
    assert len(told["candidates"]) == 20


def test_files_are_written(file, tmp_path):
    """--out has a row for each candidate, --plot a picture. [contract]"""
    out, plot = tmp_path / "all.csv", tmp_path / "all.png"
    done = run(file, *FAST, "--out", str(out), "--plot", str(plot))
    assert done.exit_code == 0, done.output
    assert len(pd.read_csv(out)) == 20
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_no_choice_is_an_exit_code(file):
    """If nothing meets the requirements, the command says how near it comes, and exits 1. [contract]"""
    done = run(
        file, *FAST, "--require", "false_alarm given good <= 1%", "--require", "escaped given defective <= 0.01%"
    )
    assert done.exit_code == 1
    assert done.stdout.startswith("None of 20 policies is known to meet the requirements")
    assert "subject to false_alarm given good <= 0.01; escaped given defective <= 0.0001" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--indifference", "-1"], "no difference that matters"),
        (["--confidence-level", "0.2"], "not a confidence level"),
    ],
)
def test_what_makes_no_sense_is_refused(file, arguments, message):
    """Bad arguments end the command before any work, with exit code 2 and words. [contract]"""
    done = run(file, *arguments)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert not done.stdout


# The command whose work stands still as soon as a part of it is kept, on any machine.


def test_who_reads_one_line_gets_the_files(file, tmp_path):
    """Piped into a reader of one line, the command still writes its files, and ends well. [contract]"""
    out = tmp_path / "all.csv"
    command = [sys.executable, "-m", "simdeploy", "tune", file, *FAST, "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        error = process.stderr.read()
        assert process.wait(timeout=120) == 0, error
    assert len(pd.read_csv(out)) == 20


@pytest.mark.parametrize("ending", ["json", "yaml"])
@pytest.mark.parametrize("dialect", ["deployment", "rollout"])
def test_the_choice_is_a_policy_file(file, tmp_path, ending, dialect):
    """--write-policy writes the choice in either dialect, and other commands take that file as --policy. [contract]"""
    path = tmp_path / f"best.{ending}"
    done = run(file, *FAST, "--write-policy", str(path), "--dialect", dialect, "--json")
    assert done.exit_code == 0, done.output
    spec = json.loads(done.stdout)["specs"][dialect]["spec"]
    assert read_policy_file(path).spec.to_dict() == spec
    compared = CliRunner().invoke(
        app, ["compare", file, "--policy", str(path), "--policy", "waves", "--replications", "4", "--json"]
    )
    assert json.loads(compared.stdout)["policies"] == ["best", "waves"], compared.stderr
    checked = CliRunner().invoke(
        app, ["check", file, "--policy", str(path), "--require", "makespan_s <= 1h", "--most", "100", "--json"]
    )
    assert [row["policy"] for row in json.loads(checked.stdout)["verdicts"]] == ["best"]


def test_without_a_choice_no_policy_is_written(file, tmp_path):
    """If nothing meets the requirements, no file is written, and a line says so. [contract]"""
    path = tmp_path / "best.yaml"
    impossible = ["--require", "false_alarm given good <= 1%", "--require", "escaped given defective <= 0.01%"]
    done = run(file, *FAST, *impossible, "--write-policy", str(path))
    assert done.exit_code == 1
    assert f"{path} is not written: no policy was chosen" in done.stderr
    assert not path.exists()
