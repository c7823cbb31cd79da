"""`simdeploy tune`: the answer first, files on request, and a way back after Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from test_tuning import LIMITS

from simdeploy.cli.app import app

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


def test_json_has_everything(file):
    """With --json standard output is one object, with the answer, the tables and the specs. [contract]"""
    done = run(file, *FAST, "--json", "--seed", "3")
    told = json.loads(done.stdout)
    assert told["computed_under"]["scenario"] == "limits"
    assert told["computed_under"]["seed"] == 3
    assert told["answer"].startswith("Use waves with max_failed_nodes ")
    assert told["specs"]["deployment"]["spec"]["strategy"] == "rolling"
    assert len(told["candidates"]) == 21


def test_files_are_written(file, tmp_path):
    """--out has a row for each candidate, --plot a picture. [contract]"""
    out, plot = tmp_path / "all.csv", tmp_path / "all.png"
    done = run(file, *FAST, "--out", str(out), "--plot", str(plot))
    assert done.exit_code == 0, done.output
    assert len(pd.read_csv(out)) == 21
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_no_choice_is_an_exit_code(file):
    """If nothing meets the requirements, the command says how near it comes, and exits 1. [contract]"""
    done = run(
        file, *FAST, "--require", "false_alarm given good <= 1%", "--require", "escaped given defective <= 0.01%"
    )
    assert done.exit_code == 1
    assert done.stdout.startswith("None of 21 policies is known to meet the requirements")
    assert "subject to false_alarm given good <= 0.01; escaped given defective <= 0.0001" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--minimize", "costs"], "did you mean 'cost'?"),
        (["--minimize", "cost", "--maximize", "cost"], "both minimize and maximize"),
        (["--require", "false_alarm < 1%"], "not a requirement"),
        (["--policy", "wave"], "did you mean 'waves'?"),
        (["--vary", "max_failed_node=1,2"], "did you mean 'max_failed_nodes'?"),
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


@pytest.mark.slow
def test_after_ctrl_c_it_goes_on(file, tmp_path):
    """Ctrl-C says how to go on, and the same command then finds what an undisturbed one finds. [contract]"""
    store = tmp_path / "s"
    command = [sys.executable, "-m", "simdeploy", "tune", file, "--engine", "compiled", "--candidates", "400",
               "--worlds", "400", "--most-rollouts", "20000", "--json"]  # fmt: skip
    process = subprocess.Popen(
        [*command, "--store", str(store)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 120
    while not list(store.glob("*/parts/*")) and time.monotonic() < end and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    if process.returncode == 0:
        pytest.skip("it was done before it could be interrupted")
    assert process.returncode == 130, err
    assert not out
    assert "To go on:" in err
    assert "Traceback" not in err
    going_on = subprocess.run([*command, "--store", str(store)], capture_output=True, text=True, check=True)
    undisturbed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert going_on.stdout == undisturbed.stdout
