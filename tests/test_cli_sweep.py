"""``simdeploy sweep``: output, files, refusals, and how it resumes."""

import itertools
import json
import re
import shlex
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, strategies as st
from invoking import invoke
from refusals import refused
from small import SMALL, rolling, small
from terminals import END, TIMEOUT_S, on_terminal, read_until

import simdeploy
from simdeploy.analysis import summarize_grid
from simdeploy.analysis.estimates.precision import sweep_to_precision
from simdeploy.cli.vary import read_vary, space_evenly
from simdeploy.errors import InputError
from simdeploy.experiments.batches import read_batches
from simdeploy.experiments.jobs import Job

SCENARIO = json.dumps(SMALL | {"orchestrator": {"preset": "expanso", "limit_comparison": "reaches"}})
QUICK = ("--engine", "reference", "--replications", "4")
GRID = ("--vary", "max_failed_nodes=1:3:3", "--vary", "max_error_rate=0.05,0.5")

# The command in spans of a few replications, which stops before a span of a given number, on any machine.
IN_SMALL_SPANS = """
import os, sys, time
from simdeploy.cli import main
from simdeploy.experiments import working
from simdeploy.experiments.cutting import Piece
from simdeploy.experiments.jobs import Job
working.cut_job = lambda job, replications: tuple(Piece(len(group.policies), 5) for group in job.groups)
working._MOST_ROWS = 20
run, last, calls = Job.run, int(sys.argv.pop(1)), []
def run_some(job, span):
    calls.append(span)
    if len(calls) == last:
        os.write(2, b"standing still")
        while True:  # a signal just before a sleep doesn't end it
            time.sleep(0.01)
    return run(job, span)
Job.run = run_some
main()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with a scenario."""
    (tmp_path / "s.yaml").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments):
    """Run the command in this process."""
    return invoke("sweep", "s.yaml", *arguments)


def swept(policy="waves", **options):
    """Return the sweep that the command makes by default in these tests."""
    vary = {"max_failed_nodes": [1, 2, 3], "max_error_rate": [0.05, 0.5]}
    options = {"vary": vary, "replications": 4, "engine": "reference", **options}
    return simdeploy.sweep(simdeploy.read_scenario("s.yaml"), policy, **options)


# -- what it prints ----------------------------------------------------------------------------------------------------


def test_without_a_policy_the_first_is_swept(folder):
    """Of several policies the first of the file is swept by default. [contract]"""
    assert "small: policy waves, 2 cases" in call("--vary", "max_failed_nodes=1,2", *QUICK).stdout


def test_it_prints_a_line_for_each_case(folder):
    """The question comes first, then the switches, then the estimates of each case as in `summarize_grid`. [contract]"""
    result = call("--policy", "waves", *GRID, *QUICK, "--seed", 3)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert lines[0] == summarize_grid(swept(seed=3)).answer
    assert lines[2:6] == [
        "small: policy waves, 6 cases, 4 replications of each, seed 3, engine reference",
        "orchestrator expanso with limit_comparison: reaches",
        "max_failed_nodes, 3 values: 1, 2, 3",
        "health_check.max_error_rate, 2 values: 0.05, 0.5",
    ]
    (table,) = summarize_grid(swept(seed=3)).summarize()
    for row in table.rows:
        # If the columns need several tables, each begins with the case.
        printed = [re.split(r" {2,}", line) for line in lines if re.match(rf"{row[0]} {{2,}}", line)]
        assert [cell for cells in printed for cell in cells[1:]] == list(row[1:])


def test_a_long_table_is_cut(folder):
    """Of many cases the first are printed, with a hint on how to see the others; --full prints all. [contract]"""
    asked = ("--vary", "max_failed_nodes=1:10:10", "--vary", "max_error_rate=0.05:0.45:5", *QUICK)
    assert call(*asked).stdout.splitlines()[-1] == "10 more rows: use --full, --out FILE or --json"
    full = call(*asked, "--full").stdout
    assert "more rows" not in full
    assert all(re.search(rf"^ *{limit}, 0.45 ", full, re.MULTILINE) for limit in range(1, 11))
    assert len(json.loads(call(*asked, "--json").stdout)["cells"]) == 50


def test_designs(folder):
    """A list design pairs its values; a Latin hypercube takes ranges and choices. [contract]"""
    result = call("--vary", "max_failed_nodes=1,2", "--vary", "max_error_rate=0.1:0.2:2", "--design", "list", *QUICK)
    assert "2 cases" in result.stdout
    asked = ("--vary", "max_failed_nodes=1:3", "--vary", "deadline=2m:5m", "--vary", "pacing=barrier,sliding")
    result = call(*asked, "--design", "lhs:6", "--store", "kept", *QUICK)
    table = simdeploy.read_store("kept").to_frame()
    assert len(table) == 24
    assert table["health_check.deadline"].between(120, 300).all()
    assert set(table["max_failed_nodes"]) == {1, 2, 3}
    assert set(table["scenario.orchestrator.pacing"]) == {"barrier", "sliding"}


def test_durations_are_written_as_durations(folder):
    """Printed tables have durations with units; JSON and files have seconds. [contract]"""
    asked = ("--vary", "deadline=2m,10m", "--vary", "max_failed_nodes=1,2", *QUICK)
    lines = call(*asked, "--out", "cells.csv").stdout.splitlines()
    assert "health_check.deadline, 2 values: 2m, 10m" in lines
    assert [line.split("  ")[0].strip() for line in lines if line.startswith((" 2m", " 10m"))][:4] == [
        "2m, 1", "2m, 2", "10m, 1", "10m, 2",
    ]  # fmt: skip
    cells = json.loads(call(*asked, "--json").stdout)["cells"]
    assert [cell["health_check.deadline"] for cell in cells] == [120, 120, 600, 600]
    assert pd.read_csv("cells.csv")["health_check.deadline"].tolist() == [120, 120, 600, 600]


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scenario():
    return small(policies={"waves": rolling()})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max_error_rate=0.01:0.2:20", {"health_check.max_error_rate": [n / 100 for n in range(1, 21)]}),
        ("max_failed_nodes=0:20:21", {"max_failed_nodes": list(range(21))}),
        ("max_failed_nodes = 20:0:3", {"max_failed_nodes": [20, 10, 0]}),
        ("start_failure=0.001,0.01", {"scenario.fleet.start_failure": [0.001, 0.01]}),
        ("deadline=2m:5m:4", {"health_check.deadline": [120.0, 180.0, 240.0, 300.0]}),
        ("deadline=90s,150", {"health_check.deadline": ["90s", 150]}),
        ("max_failed_nodes=5", {"max_failed_nodes": [5]}),
        ("max_failed_nodes=5:5:1", {"max_failed_nodes": [5]}),
        ("max_failed_nodes=null,3", {"max_failed_nodes": [None, 3]}),
        ("no_auto_rollback=true,false", {"no_auto_rollback": [True, False]}),
        ("on_failure=rollback,stop", {"scenario.orchestrator.on_failure": ["rollback", "stop"]}),
        ("created_at=2026-01-01T00:00:00Z", {"scenario.deployment.created_at": ["2026-01-01T00:00:00Z"]}),
    ],
)
def test_values_on_the_command_line(scenario, text, expected):
    """Evenly spaced values include both ends and are short; words are read as in a file. [contract]"""
    found = read_vary([text], scenario, {"waves": "waves"}, has_ranges=False)
    assert found == expected
    assert [type(value) for value in next(iter(found.values()))] == [
        type(value) for value in next(iter(expected.values()))
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_failed_nodes", "--vary: not KEY=VALUES (found 'max_failed_nodes'); allowed: KEY=low:high:count, or"),
        ("=3", "--vary: not KEY=VALUES"),
        ("max_failed_nodes=", "--vary: not KEY=VALUES"),
        ("max_failed_nodes=1,,2", "max_failed_nodes: empty value; allowed: null for the default"),
        (
            "max_failed_nodes=0:20",
            "max_failed_nodes: invalid values (found '0:20'); allowed: low:high:count, or a,b,c",
        ),
        ("max_failed_nodes=0:20:0", "max_failed_nodes: invalid number of values (found '0'); allowed: 1 to 1,000,000"),
        ("max_failed_nodes=0:20:x", "max_failed_nodes: invalid number of values (found 'x')"),
        ("max_failed_nodes=0:2.5:2", "max_failed_nodes: invalid end of a range (found '2.5'); allowed: a whole number"),
        ("max_error_rate=0:x:2", "health_check.max_error_rate: invalid end of a range (found 'x'); allowed: a number"),
        ("deadline=0:5x:2", "health_check.deadline: invalid end of a range (found '5x'); allowed: a duration such as"),
        ("max_error_rate=0:1:1", "health_check.max_error_rate: a count of 1 needs equal ends (found 0:1:1)"),
        (
            "max_failed_nodes=0:10:4",
            (
                "max_failed_nodes: not all whole numbers (found 4 values from 0 to 10: 0, 3.33333, 6.66667, ...); "
                "allowed: a count of 3 or 6"
            ),
        ),
        (
            "max_failed_nodes=0:99999999999999999999:3",
            "max_failed_nodes: end of range too large (found 99999999999999999999); allowed: -9223372036854775808 to",
        ),
        ("max_error_rate=0:1e300:3", "health_check.max_error_rate: end of range too large (found 1e+300)"),
        ("max_failed_nodes=0:9000000000000000001:4", "max_failed_nodes: not all whole numbers (found 4 values"),
        ("max_failed_nodes=0:9:" + "9" * 5000, "max_failed_nodes: invalid number of values (found '99"),
        ("max_eror_rate=0.1", "max_eror_rate: no such key to vary; did you mean 'max_error_rate'?"),
        ("max_error_rate=0x1f", "health_check.max_error_rate: not a decimal number (found '0x1f')"),
    ],
)
def test_invalid_values(scenario, text, message):
    """Anything but a list or a range is reported with its key. [contract]"""
    assert str(refused(read_vary, [text], scenario, {"waves": "waves"}, has_ranges=False)).startswith(message)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ("0.1:0.2:lin", "invalid number of values (found 'lin'); allowed: 1 to 1,000,000, or log"),
        ("0.1:1:2:3", "invalid values (found '0.1:1:2:3'); allowed: low:high, low:high:log, low:high:count, or a,b,c"),
    ],
)
def test_invalid_ranges(scenario, ends, message):
    """An invalid range is reported with the form that ranges have. [contract]"""
    error = refused(read_vary, [f"start_failure={ends}"], scenario, {"waves": "waves"}, has_ranges=True)
    assert str(error).startswith(f"scenario.fleet.start_failure: {message}")


def test_a_large_grid_is_refused_before_it_is_made(scenario, monkeypatch):
    """More combinations than fit are refused with their number, without making them. [contract]"""
    monkeypatch.setattr("simdeploy.cli.vary.space_evenly", None)
    texts = ["max_failed_nodes=0:999999:1000000", "max_error_rate=0:1:1000"]
    error = refused(read_vary, texts, scenario, {"waves": "waves"}, has_ranges=False, is_grid=True)
    assert str(error) == "vary: too many cases (found 1,000,000,000); allowed: up to 1,000,000"


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(2, 50))
def test_whole_numbers_stay_whole(low, high, count):
    """Evenly spaced whole numbers are whole, or refused with counts for which they would be. [property]"""
    try:
        values = space_evenly(low, high, count, whole=True)
    except InputError as error:
        for fitting in map(int, re.findall(r"\d+", str(error).rpartition("a count of")[2])):
            assert len(space_evenly(low, high, fitting, whole=True)) == fitting
        return
    assert (values[0], values[-1], len(values)) == (low, high, count)
    assert len({after - before for before, after in itertools.pairwise(values)}) == 1


# -- what it refuses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vary", "scenario.fleet.start_failure=2"], "scenario.fleet.start_failure: too large (found 2)"),
        (["--design", "lhs"], "'lhs' is not grid, list or lhs:N"),
    ],
)
def test_invalid_options_are_refused_before_the_work(folder, monkeypatch, arguments, message):
    """Contradictory options, unknown keys and unwritable places are refused at once. [contract]"""
    monkeypatch.setattr(Job, "run", lambda *_: pytest.fail("nothing is to be simulated"))
    result = call(*GRID, *QUICK, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["s.yaml"]


def test_nothing_to_vary(folder):
    """Without anything to vary, the message names the option. [contract]"""
    result = call(*QUICK)
    assert result.exit_code == 2
    assert result.stderr == "error: --vary: nothing to vary; allowed: KEY=VALUES, or several --policy\n"


def test_a_picture_needs_values(folder):
    """A picture over a key that is not varied is refused before the work. [contract]"""
    for vary in ([], ["--vary", "max_failed_nodes=3"]):
        result = call("--policy", "waves", "--policy", "at-once", *vary, "--plot", "x.png", *QUICK)
        assert result.exit_code == 2
        assert "--plot needs --vary KEY=... with several values" in result.stderr


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_picture_has_rows_for_the_other_keys(folder):
    """Each combination of the keys that are not axes has a row of panels, at most four, and their number is stated. [contract]"""
    asked = ("--vary", "max_failed_nodes=1,2", "--vary", "max_error_rate=0.05,0.5")
    assert call(*asked, "--vary", "start_failure=0,0.1", *QUICK, "--plot", "two.svg").exit_code == 0
    words = " ".join([*re.findall("<!-- (.*?) -->", Path("two.svg").read_text()), ""])
    assert [words.count(f"at scenario.fleet.start_failure {value} ") for value in ("0", "0.1")] == [3, 3]
    result = call(*asked, "--vary", "start_failure=0:0.5:6", *QUICK, "--plot", "six.svg")
    assert result.stderr.splitlines() == [
        "the plot shows 4 of 6 combinations of the other keys",
        "wrote six.svg",
    ]


def test_a_folder_keeps_every_replication(folder):
    """`--store` holds Python's table; the repeated command finds it and prints the same. [contract]"""
    first = call(*GRID, *QUICK, "--store", "kept")
    stored = simdeploy.read_store("kept")
    assert stored.is_complete
    table = stored.to_frame().sort_values(["case", "replication"], ignore_index=True)
    pd.testing.assert_frame_equal(table, swept().to_frame())
    again = call(*GRID, *QUICK, "--store", "kept")
    assert again.stdout == first.stdout
    assert again.stderr == "complete: 24 of 24 rollouts are already in kept\n"


def test_a_folder_by_kind_counts_as_the_user_does(folder):
    """A complete folder with worlds by kind says so, and refuses other replications by the numbers that the user gave. [contract]"""
    asked = (*GRID, "--engine", "compiled", "--store", "kept", "--replications")
    first = call(*asked, "40")
    assert Path("kept/kind-00").is_dir()
    again = call(*asked, "40")
    assert (again.stdout, again.stderr) == (first.stdout, "complete: 240 of 240 rollouts are already in kept\n")
    assert call(*asked, "80").stderr.splitlines() == [
        f"error: kept/kind-00: {text}"
        for text in (
            "this store belongs to another question",
            "replications: 40 in the folder, 80 now",
            "nothing was changed; use another folder",
        )
    ]
    next(Path("kept/kind-01/parts").iterdir()).unlink()
    resumed = call(*asked, "40")
    assert resumed.stdout == first.stdout
    assert re.match(r"resuming: \d+ of 240 rollouts are already in kept\n", resumed.stderr)


# -- how it ends -------------------------------------------------------------------------------------------------------


def in_small_spans(arguments, last=0):
    """Start the command with a terminal for its messages."""
    return on_terminal([sys.executable, "-c", IN_SMALL_SPANS, last, *arguments])


ASKED = ("sweep", "s.yaml", *GRID, "--engine", "compiled", "--replications", "40")


PRECISE = ("sweep", "s.yaml", "--vary", "max_failed_nodes=1,2", "--engine", "compiled", "--most", "200", "--precision")
DRAWN, BY_KIND = (*PRECISE, "makespan_s=10ms"), (*PRECISE, "makespan_s given defective=10ms")


@pytest.mark.parametrize(
    ("asked", "last", "fewest", "most", "already"),
    [
        (ASKED, 7, 1, 240, r"resuming: \d+ of 240 rollouts are already in some where"),
        # In a later batch.
        (DRAWN, 25, 200, 400, r"resuming: [\d,]+ rollouts are already in some where"),
        (BY_KIND, 27, 200, 400, r"resuming: [\d,]+ rollouts are already in some where"),
    ],
)
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_sweep_resumes(folder, asked, last, fewest, most, already, ending):
    """Ctrl-C gives 130 and the command to resume; after it, or a kill, that command completes the table. [contract]"""
    asked = [*asked, "--store", "some where"]
    with in_small_spans(asked, last=last) as (process, terminal):
        shown = read_until(terminal, "standing still")
        process.send_signal(ending)
        shown += read_until(terminal, END)
        process.wait(timeout=TIMEOUT_S)
    if ending is signal.SIGINT:
        assert process.returncode == 130
        assert "Traceback" not in shown
        advice = re.search(
            r"interrupted; ([\d,]+) rollouts are saved in some where. To resume:\s+simdeploy (.*)", shown
        )
        assert fewest <= int(advice[1]) < most
        assert shlex.split(advice[2]) == asked
    again = invoke(*asked)
    assert again.exit_code == (3 if "--precision" in asked else 0)
    assert re.match(rf"{already}\n", again.stderr)
    assert ending is signal.SIGKILL or advice[1] in again.stderr
    if "--precision" in asked:
        assert "2 of 2 estimates are not precise enough after 200 replications per case (limit 200)." in again.stdout
        table = read_batches("some where")
        counts = dict(re.findall(r"(good|bad) (\d+)", again.stdout.split("\n\n")[1]))
        worlds = {"strata": {kind: int(n) for kind, n in counts.items()}} if BY_KIND[-1] in asked else {}
        whole = swept(vary={"max_failed_nodes": [1, 2]}, engine="compiled", **{"replications": 200, **worlds})
    else:
        table, whole = simdeploy.read_store("some where"), swept(replications=40, strata="kinds", engine="compiled")
    rows = table.to_frame().sort_values(["case", "replication"], ignore_index=True)
    pd.testing.assert_frame_equal(rows, whole.to_frame(), check_exact=True)


def test_a_sweep_to_a_precision(folder):
    """The replications used and each case's precision are stated; a fixed number as well is refused. [contract]"""
    asked = ("--precision", "p50 makespan_s=1m", "--vary", "max_parallel=4,6", "--engine", "reference")
    result = call(*asked)
    found = sweep_to_precision(
        simdeploy.read_scenario("s.yaml"),
        "waves",
        targets={"p50 makespan_s": "1m"},
        vary={"max_parallel": [4, 6]},
        engine="reference",
    )
    assert result.exit_code == 0
    assert f"2 cases, {found.n_replications:,} replications of each" in result.stdout
    assert found.answer in result.stdout
    for row in found.summarize()[0].rows:
        assert all(cell in result.stdout for cell in row)
    assert call(*asked, "--replications", 5).exit_code == 2
    assert call(*GRID, *QUICK, "--most", 500).exit_code == 2


def test_a_terminal_sees_rate_and_time_left(folder):
    """A bar counts rollouts with rate and time left; at the end the time per case is stated. [contract]"""
    with in_small_spans(ASKED) as (process, terminal):
        shown = re.sub(r"\x1b\[[\d;]*m", "", read_until(terminal, END))
        process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    assert re.search(r"rollouts .*\d+/240.* [\d,]+/s .*\d:\d\d:\d\d left", shown)
    assert re.search(r"[\d.]+ s, [\d.]+ s per case", shown)
