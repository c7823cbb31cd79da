"""How every command ends: refused, failed, interrupted and resumed, or on a full disk."""

import json
import os
import re
import shlex
from pathlib import Path

import pytest
from commands import COMMANDS, OF_SEEN, QUICK, SCENARIOS, WITH_ENGINE, call, make_quick
from invoking import invoke

from simdeploy.analysis.bands.job import TraceJob
from simdeploy.analysis.rare.repetitions import Repetitions
from simdeploy.experiments import read_store
from simdeploy.experiments.cutting import Piece
from simdeploy.experiments.jobs import Job

OPTIONS = {name: {text for option in COMMANDS[name].params for text in option.opts} for name in QUICK}
KEEPING = [name for name in QUICK if "--store" in OPTIONS[name]]
# Others use the same code, and each of these takes seconds to start its workers.
UNBOUNDED = ("tune", "timelines")
ON_WORKERS = ["compare", "sweep", "sensitivity", "discover"]
SPEC = {"strategy": "rolling", "max_parallel": 3, "health_check": {"deadline": "5m"}}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, few_switch_values):
    """Work in a folder with a file in place of a folder, a folder in place of a file, and a policy."""
    Path(tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "ours.json").write_text(json.dumps(SPEC), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def interrupt(*_, **__):
    raise KeyboardInterrupt


def fail(*_):
    pytest.fail("nothing is to be simulated")


def replace_run(monkeypatch, run):
    """Replace the call that executors run."""
    for job in (Job, TraceJob):
        monkeypatch.setattr(job, "run", run)


# -- refused -----------------------------------------------------------------------------------------------------------

REFUSED = [
    ("--policy nosuch", "no such policy"),
    ("--policy nosuch.json", "nosuch.json"),
    ("--seed -1", "--seed"),
    ("--replications 0", "--replications"),
    ("--replications 1000000000", "GB); allowed: "),
    ("--most 0", "--most"),
    ("--confidence-level 95", "such as 0.95"),
    ("--confidence-level x", "'x' is not a number"),
    ("--confidence-level nan", "such as 0.95"),
    ("--engine refrence", "did you mean 'reference'?"),
    ("--workers 2 --cluster tcp://127.0.0.1:1", "--workers can't be combined with --cluster"),
    ("--plot x.gif", "must end with one of .png, .svg, .pdf"),
    ("--plot nowhere/x.png", "no such folder"),
    ("--out x.txt", "must end with one of .csv, .parquet, .json"),
    ("--out nowhere/x.csv", "no such folder"),
    ("--out folder.csv", "is not a file"),
    ("--junit x.txt", "must end with one of .xml"),
    ("--junit nowhere/x.xml", "no such folder"),
    ("--store file", "'file' exists and is not a folder"),
    ("--store file/x", "is not writable"),
    ("--of costs", "did you mean 'cost'?"),
    ("--direction least", "'least' is not one of"),
    ("--require 'false_alrm <= 1%'", "did you mean 'false_alarm'"),
    ("--require 'false_alarm < 1%'", "invalid requirement"),
    ("--require 'completed given bda <= 5%'", "unknown condition"),
    ("--vary max_failed_nods=0:2:3", "no such key to vary; did you mean 'max_failed_nodes'?"),
    ("--vary max_failed_nodes", "not KEY=VALUES"),
]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        pytest.param(name, arguments, message, id=f"{name} {arguments}")
        for name in QUICK
        for arguments, message in REFUSED
        if set(re.findall("--[a-z-]+", arguments)) <= OPTIONS[name]
        # For one release that is a folder of a sweep; a search takes no more than a million, and timelines are counted.
        and (name, arguments)
        not in (("sweep", "--out x.txt"), *((name, "--replications 1000000000") for name in UNBOUNDED))
    ],
)
def test_bad_input_is_refused_before_the_work(folder, monkeypatch, name, arguments, message):
    """Bad input gives a message and exit code 2, without simulation, output or files. [contract]"""
    words = make_quick(name)
    replace_run(monkeypatch, fail)
    # The package caches this finding, so it must find the true one first.
    monkeypatch.setattr("simdeploy.simulate", fail)
    monkeypatch.setattr("simdeploy.engines.simulation.simulate", fail)
    before = sorted(folder.rglob("*"))
    if arguments.startswith("--policy") and "--policy" in words:
        place = words.index("--policy")
        del words[place : place + 2]
    result = invoke(*words, *shlex.split(arguments))
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("scenario", ["missing.yaml", "."])
def test_a_missing_scenario(name, scenario):
    """An unreadable scenario is named, with exit code 2. [contract]"""
    name, _, *words = make_quick(name)
    result = invoke(name, scenario, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {scenario}: ")


# -- policies, pictures, workers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in QUICK if name not in OF_SEEN])  # which is the observed rollout's own
def test_a_policy_may_be_a_file(name):
    """--policy takes a file; the policy is named after the file. [contract]"""
    words = make_quick(name)
    if "--policy" in words:
        words[words.index("--policy") + 1] = "ours.json"
    else:
        words += ["--policy", "ours.json", "--policy", "rolling"][: 4 if name in ("compare", "switches") else 2]
    result = invoke(*words)
    assert result.exit_code in (0, 1, 3), result.stderr
    assert re.search(r"\bours\b", result.stdout)


@pytest.mark.parametrize("name", QUICK)
def test_a_picture_is_drawn(folder, name):
    """--plot writes a picture and says so, and the same command draws the same bytes. [contract]"""
    contents = []
    for picture in ("a.svg", "b.svg"):
        result = call(name, "--plot", picture)
        assert result.stderr == f"wrote {picture}\n"
        contents.append(Path(picture).read_bytes())
    assert contents[0].startswith(b"<?xml")
    assert contents[0] == contents[1]
    assert {path.name for path in folder.iterdir()} == {"a.svg", "b.svg", "file", "folder.csv", "ours.json"}


@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")])
def test_the_ending_determines_the_kind_of_picture(ending, begins):
    """Pictures of every kind are written, with the same bytes each time. [contract]"""
    contents = []
    for name in ("a", "b"):
        call("compare", "--plot", f"{name}.{ending}")
        contents.append(Path(f"{name}.{ending}").read_bytes())
    assert contents[0].startswith(begins)
    assert contents[0] == contents[1]


@pytest.mark.parametrize("name", ON_WORKERS)
def test_workers_change_no_number(name):
    """On two workers the output is identical. [property]"""
    assert call(name, "--workers", 2).stdout == call(name).stdout


# -- failed ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [name for name in WITH_ENGINE if name not in OF_SEEN]
)  # which leave failed replications out
def test_failed_replications_are_reported(monkeypatch, name):
    """Failed replications are counted on standard error; the answer is unknown, and the exit code is 1. [contract]"""
    replace_run(monkeypatch, lambda job, span: job.failed(span, "simulate", "ValueError: broken"))
    result = call(name)
    assert result.exit_code == 1
    assert re.search(r"warning: ([\d,]+) of \1 replications failed", result.stderr)
    # Without a choice there is nothing for switches to change.
    assert result.stdout or (name == "switches" and "error: no policy can be chosen" in result.stderr)
    assert "Traceback" not in result.output


# -- interrupted -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_ENGINE)
def test_ctrl_c_without_a_folder(monkeypatch, name):
    """An interrupted command prints no answer, exits with 130, and says how to make it resumable, if it can be. [contract]"""
    replace_run(monkeypatch, interrupt)
    monkeypatch.setattr("simdeploy.analysis.advice.searching.run_continued", interrupt)
    result = call(name)
    assert (result.exit_code, result.stdout) == (130, "")
    saved = "; nothing was saved. Run with --store DIR to make it resumable." if name in KEEPING else ""
    assert result.stderr.strip() == f"interrupted{saved}"


@pytest.mark.parametrize("name", KEEPING)
def test_interrupted_and_resumed(monkeypatch, name):
    """Ctrl-C keeps finished work and prints how to resume; resuming prints the answer of an undisturbed call. [contract]"""
    run, calls = TraceJob.run if name == "timelines" else Job.run, []
    # After the first part is complete; for `discover` in its second half, unknown before the first is done.
    last = {"gates": 4, "sensitivity": 4, "switches": 10, "discover": 30}.get(name, 1)
    monkeypatch.setattr("simdeploy.analysis.rare.question._FEWEST_PILOTS", 20)  # fewer than correct answers need
    expected = call(name)
    with monkeypatch.context() as patch:
        patch.setattr("simdeploy.experiments.working._MOST_ROWS", 2)
        patch.setattr(
            "simdeploy.experiments.working.cut_job",
            lambda job, replications: tuple(Piece(len(group.policies), 2) for group in job.groups),
        )

        def run_some(job, span):
            calls.append(span)
            return interrupt() if len(calls) > last else run(job, span)

        patch.setattr("simdeploy.analysis.bands.tracing._MOST_PER_SPAN", 2)
        replace_run(patch, run_some)
        stopped = call(name, "--store", "some where")
    assert (stopped.exit_code, stopped.stdout) == (130, "")
    first, second = stopped.stderr.splitlines()[-2:]
    assert re.match(r"interrupted; [1-9]\d* rollouts are saved in some where", first)
    words = shlex.split(second)
    assert words == ["simdeploy", *make_quick(name), "--store", "some where"]
    again = invoke(*words[1:])
    assert (again.exit_code, again.stdout) == (expected.exit_code, expected.stdout)
    assert re.match(r"resuming: .* already in some where", again.stderr)


def test_resuming_counts_the_rollouts_of_all_folders():
    """Also if only some of the folders are those of kinds of release. [contract]"""
    assert call("gates", "--replications", "60", "--store", "kept").exit_code == 0
    n_rows = [len(read_store(manifest.parent)) for manifest in Path("kept").glob("*/manifest.json")]
    assert len(n_rows) > 3
    again = call("gates", "--replications", "60", "--store", "kept")
    assert again.stderr == f"resuming: {sum(n_rows):,} rollouts are already in kept\n"


def test_resuming_counts_the_rollouts_of_splitting(monkeypatch):
    """Those of pilots and finished repetitions, though the store has one row per stage; a new folder has none. [contract]"""
    monkeypatch.setattr("simdeploy.analysis.rare.question._FEWEST_PILOTS", 30)
    scenario = str(SCENARIOS / "small-fleet.yaml")
    asked = [
        "rare",
        scenario,
        "--policy",
        "rolling",
        "--event",
        "failed_nodes >= 3 given good",
        "--method",
        "splitting",
    ]
    asked += ["--replications", "500", "--engine", "compiled", "--store", "kept"]
    run, calls = Repetitions.run, []

    def run_some(job, span):
        calls.append(run(job, span) if len(calls) < 4 else interrupt())
        return calls[-1]

    with monkeypatch.context() as patch:
        patch.setattr(Repetitions, "run", run_some)
        stopped = invoke(*asked)
    assert "resuming" not in stopped.stderr
    n_saved = int(re.search(r"interrupted; ([\d,]+) rollouts are saved in kept", stopped.stderr)[1].replace(",", ""))
    resumed, again = invoke(*asked), invoke(*asked)
    numbers = re.search(r"([\d,]+), plus ([\d,]+) of pilots", resumed.stdout).groups()
    n, n_pilot = (int(number.replace(",", "")) for number in numbers)
    assert n_saved == n_pilot + sum(stage.n for stages in calls for stage in stages)
    assert re.match(rf"resuming: {n_saved:,} of [\d,]+ rollouts are already in kept\n", resumed.stderr)
    assert again.stderr == f"complete: {n + n_pilot:,} of {n + n_pilot:,} rollouts are already in kept\n"
    assert again.stdout == resumed.stdout


# -- without room ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "option"),
    [(name, "--out o.csv") for name in QUICK] + [("compare", "--plot p.png"), ("check", "--junit j.xml")],
)
def test_a_file_on_a_full_disk(folder, monkeypatch, name, option):
    """If a file can't be written, the old one is kept, and the exit code is 2, whatever the answer is. [contract]"""

    def full(_):
        raise OSError(28, "No space left on device")

    file = Path(option.split()[1])
    file.write_text("old", encoding="utf-8")
    before = sorted(folder.rglob("*"))
    monkeypatch.setattr(os, "fsync", full)
    result = call(name, *option.split())
    assert result.exit_code == 2
    assert f"error: {file}: No space left on device" in result.stderr
    assert file.read_text(encoding="utf-8") == "old"
    assert sorted(folder.rglob("*")) == before
