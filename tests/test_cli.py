"""The command line: output, files, refusals and exit codes."""

import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from by_hand import script
from invoking import invoke
from rich.cells import cell_len
from rich.console import Console
from small import IMMEDIATE, rolling
from terminals import END, TIMEOUT_S, on_terminal, read_until

import simdeploy
import simdeploy.engines
from simdeploy.analysis.asking.simulating import replicate_kinds
from simdeploy.cli.screen import print_table
from simdeploy.engines.reference.engine import run_reference

SCENARIO = """
name: small
fleet:
  nodes: 40
  requests_per_second: 10
  update_duration: {exponential: {mean: 30s}}
  start_failure: 0.05
release:
  good: {probability: 0.5}
  bad: {probability: 0.5, defective: true, error_rate: 0.4}
orchestrator: {preset: expanso, limit_comparison: reaches}
policies:
  in-tens: {strategy: rolling, max_parallel: 10, max_failed_nodes: 3, health_check: {deadline: 5m}}
  careful: {strategy: canary, canary_count: 2, auto_promote: true, max_parallel: 38, health_check: {deadline: 5m}}
  at-once: {strategy: immediate}
"""
SPEC = rolling(20)
CHECK = {"deadline": "5m", "min_healthy_time": "30s"}
BAD = {"bad": {"probability": 1, "defective": True, "error_rate": 0.5}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with a scenario and a deployment."""
    (tmp_path / "s.yaml").write_text(SCENARIO)
    (tmp_path / "in-twenties.json").write_text(json.dumps(SPEC))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(*arguments, **options):
    """Start the command as a process."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([sys.executable, "-m", "simdeploy", *map(str, arguments)], text=True, **options)


def finish(*arguments, **options):
    """Run the command as a process; return exit code, output and messages."""
    process = start(*arguments, **options)
    out, err = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, out, err


def run_python(code, *arguments, **options):
    """Run a script, which must end well; return its output."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True, **options)
    return done.stdout


# -- run ---------------------------------------------------------------------------------------------------------------


def test_run_reports_the_rollout(folder):
    """A run prints waves, end and rollback, then every response, under a line with its switches. [contract]"""
    result = invoke("run", "s.yaml", "--policy", "in-tens", "--seed", 3)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("A good release completed after ")
    assert lines[2] == "small: policy in-tens, replication 0, seed 3, engine reference"
    assert lines[3] == "orchestrator expanso with limit_comparison: reaches"
    values = simdeploy.simulate(simdeploy.read_scenario("s.yaml"), "in-tens", seed=3).response_values
    assert "        0s  wave 1 of 4: 10 nodes" in lines
    assert sum(": 10 nodes" in line for line in lines) == values["waves"]
    for name in values:
        assert any(line.split()[:1] == [name] for line in lines)


@pytest.mark.parametrize(
    ("starts", "answer"),
    [
        (0, "The rollout completed after "),
        (1, "The rollout was stopped after "),
        (None, "The rollout never ends: it stays in progress (wave 1 of 1; waits for 1 unreachable node)."),
    ],
)
def test_run_says_how_a_rollout_without_a_release_ended(folder, starts, answer):
    """For a restart, which has no verdict, the answer says whether it completed, was stopped, or never ends. [contract]"""
    raw = {
        "name": "again",
        "fleet": {"nodes": 2, "update_duration": 60, "start_failure": starts or 0},
        "policies": {"p": rolling()},
        "deployment": {"type": "restart"},
    }
    if starts is None:
        raw["fleet"]["classes"] = [{"name": "gone", "nodes": [1], "down": True}]
        raw["orchestrator"] = {"unreachable_nodes": "wait"}
    Path("again.json").write_text(json.dumps(raw), encoding="utf-8")
    assert invoke("run", "again.json").stdout.startswith(answer)


def roll(spec, *, replication=0, fleet=None, **sections):
    """Return a rollout of nodes that start within a minute, and the lines of its story."""
    from simdeploy.report.story import tell

    fleet = {"nodes": 12, "update_duration": 60} | (fleet or {})
    scenario = simdeploy.Scenario.from_dict({"name": "t", "fleet": fleet, "policies": {"p": spec}, **sections})
    rollout = simdeploy.simulate(scenario, replication=replication)
    return rollout, [(line.time_s, line.text) for line in tell(rollout, hint=" (--records DIR writes all)")]


def story_of(spec, **how):
    """Return the lines of the story of one rollout."""
    return roll(spec, **how)[1]


def test_a_story_of_waves():
    """Waves are listed in order with sizes, ends and windows, at the model's times. [oracle]"""
    spec = rolling(5, strategy="canary", canary_count=2, auto_promote=True, health_check=CHECK)
    # 60 s of starting and 3 windows of 10 s: a wave takes 90 s.
    assert story_of(spec) == [
        (0, "wave 1 of 3 (canaries): 2 nodes"),
        (90, "wave 1: 2 running; 6 health windows"),
        (90, "canaries promoted"),
        (90, "wave 2 of 3: 5 nodes"),
        (180, "wave 2: 5 running; 15 health windows"),
        (180, "wave 3 of 3: 5 nodes"),
        (270, "wave 3: 5 running; 15 health windows"),
        (270, "completed: 12 nodes updated, 0 failed"),
    ]


def test_a_story_of_a_stop():
    """A stop has its reason, the nodes in flight, and the start and end of the rollback. [oracle]"""
    assert story_of(rolling(4), fleet={"rollback_duration": 20, "start_failure": 1}) == [
        (0, "wave 1 of 3: 4 nodes"),
        (60, "wave 1: 4 failed (4 did not start)"),
        (60, "stopped: 4 of 12 nodes of the fleet failed, which exceeds max_failed_nodes_percent 10"),
        (60, "rollback of 4 nodes begins"),
        (80, "rollback finished: 4 nodes rolled back"),
    ]


def test_a_story_of_a_failed_gate():
    """Nodes that fail with their wave are counted as such. [oracle]"""
    check = {"deadline": "5m", "max_error_rate": 0.05, "gate": {"kind": "pooled"}}
    story = story_of(rolling(4, health_check=check), fleet={"requests_per_second": 20}, release=BAD)
    lines = [text for _, text in story]
    assert any(line.startswith("wave 1: 4 failed (4 in a wave that failed the gate); ") for line in lines)


def test_a_story_of_people():
    """Script, operator and an escape that people notice appear at their times. [oracle]"""
    operator = {"escape_detection": 600, **script((10, "pause"), (100, "resume"), (110, "promote"))}
    assert story_of(IMMEDIATE, release=BAD, operator=operator) == [
        (0, "wave 1 of 1: 12 nodes"),
        (10, "paused: script: pause"),
        (60, "wave 1: 12 running"),
        (100, "resumed: script: resume"),
        (100, "completed: 12 nodes updated, 0 failed"),
        (110, "script: promote has no effect: the deployment is completed"),
        (700, "people notice: rollback of 12 nodes begins"),
        (760, "rollback finished: 12 nodes rolled back"),
    ]


def test_a_story_of_late_verdicts():
    """A node that goes offline is counted once: by its outcome, or as failed if unreported at the deadline. [oracle]"""
    spec = rolling(6, max_failed_nodes=12, max_failed_nodes_percent=100, health_check=CHECK)
    fleet = {"nodes": 60, "connection": {"online": "5m", "offline": {"exponential": {"mean": "3m"}}}}
    lines = story_of(spec, fleet=fleet, orchestrator={"unreachable_nodes": "skip"})
    ends = [text for _, text in lines if re.match(r"wave \d+: ", text)]
    assert len(ends) == 10
    counts = [[int(count) for count in re.findall(r"(\d+) (?:running|skipped|failed|in flight)", end)] for end in ends]
    assert [sum(numbers) for numbers in counts] == [6] * 10
    assert any("not heard of by the deadline" in end for end in ends)
    assert not any("in flight" in end for end in ends)
    # A wave ends when its last verdict is reported, as the next one begins.
    begun = [time_s for time_s, text in lines if re.match(r"wave \d+ of", text)]
    ended = [time_s for time_s, text in lines if re.match(r"wave \d+: ", text)]
    assert begun[1:] == ended[:-1]


def test_a_story_of_many_waves_is_short():
    """Of many waves the first, the last and those with failures are shown, and all other nodes counted. [contract]"""
    spec = rolling(1, max_failed_nodes=40, max_failed_nodes_percent=100)
    texts = [text for _, text in story_of(spec, fleet={"nodes": 40})]
    assert texts == [
        *(
            text
            for number in (1, 2, 3)
            for text in (f"wave {number} of 40: 1 node", f"wave {number}: 1 running; 3 health windows")
        ),
        "... and 36 more waves: 36 nodes, none failed (--records DIR writes all)",
        "wave 40 of 40: 1 node",
        "wave 40: 1 running; 3 health windows",
        "completed: 40 nodes updated, 0 failed",
    ]
    texts = [text for _, text in story_of(spec, fleet={"nodes": 40, "start_failure": 0.1})]
    failed = [text for text in texts if "1 failed" in text and text.startswith("wave ")]
    assert 1 < len(failed) < 10
    assert texts[-1] == f"completed: {40 - len(failed)} nodes updated, {len(failed)} failed"
    assert sum("--records DIR" in text for text in texts) == 1


def test_a_story_of_many_failures_is_short():
    """If most of many waves have events, only some are shown, and all failures counted. [contract]"""
    spec = rolling(2, max_failed_nodes=200, max_failed_nodes_percent=100)
    texts = [text for _, text in story_of(spec, fleet={"nodes": 200, "start_failure": 0.5})]
    assert len(texts) < 50
    counts = [re.search(r"([\d,]+) failed", text) for text in texts if text.startswith(("wave ", "... and"))]
    n_failed = sum(int(count[1]) for count in counts if count)
    assert texts[-1] == f"completed: {200 - n_failed} nodes updated, {n_failed} failed"
    begun = [text for text in texts if re.match(r"wave \d+ of|\.\.\. and", text)]
    assert sum(int(re.search(r"([\d,]+) node", text)[1]) for text in begun) == 200


@pytest.mark.parametrize("switches", [
    {"pacing": "sliding"}, {"pacing": "rate", "rate": {"per_minute": 3}}, {"node_local_rollback": True},
    {"on_failure": "pause"}, {"on_failure": "stop"}, {"on_failure": "continue"}, {"unreachable_nodes": "skip"},
])  # fmt: skip
@pytest.mark.parametrize("kind", ["update", "create", "restart", "stop"])
def test_a_story_has_every_node(switches, kind):
    """Under any pacing, failures and rollback, each dispatched or skipped node is in one wave of the story. [property]"""
    fleet = {
        "nodes": 23,
        "update_duration": {"exponential": {"mean": 60}},
        "start_failure": 0.2,
        "crash": {"up": {"exponential": {"mean": "1h"}}, "repair": {"constant": "10m"}},
    }
    sections = {"fleet": fleet, "orchestrator": switches, "deployment": {"type": kind}}
    for replication in range(3):
        rollout, story = roll(rolling(5), replication=replication, **sections)
        begun = [text for _, text in story if re.match(r"wave \d+ of|\.\.\. and", text)]
        turns = rollout.events["from_status"].eq("pending") & rollout.events["node"].notna()
        assert sum(int(text.split(": ")[1].split()[0]) for text in begun) == turns.sum()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_timeline_is_written(folder, ending):
    """The file holds the rollout's timeline. [contract]"""
    assert invoke("run", "s.yaml", "--out", f"t.{ending}").exit_code == 0
    read = pd.read_csv("t.csv") if ending == "csv" else pd.read_parquet("t.parquet")
    expected = simdeploy.simulate(simdeploy.read_scenario("s.yaml")).timeline
    pd.testing.assert_frame_equal(read, expected)


# -- compare -----------------------------------------------------------------------------------------------------------


def test_compare_prints_a_table_for_a_review(folder):
    """The table has a row per policy with the numbers of `compare`, and states seed, replications and switches. [contract]"""
    asked = ("--policy", "in-tens", "--policy", "at-once", "--full")
    result = invoke("compare", "s.yaml", "--replications", 30, "--seed", 4, *asked)
    assert result.exit_code == 0
    assert "small: 30 replications of each policy (good " in result.stdout
    assert "), seed 4, engine reference" in result.stdout
    assert "orchestrator expanso with limit_comparison: reaches" in result.stdout
    table = replicate_kinds(simdeploy.read_scenario("s.yaml"), policies=["in-tens", "at-once"], replications=30, seed=4)
    good = simdeploy.compare(table).estimates.query("level == 'false_alarm'").set_index("policy")["estimate"]
    tables = result.stdout[result.stdout.index("Estimates") :].splitlines()
    row = next(line for line in tables if line.strip().startswith("in-tens"))
    assert float(row.split()[1]) == pytest.approx(100 * good["in-tens"], abs=0.6)
    assert "careful" not in result.stdout
    assert "Differences from in-tens" in result.stdout


COSTS = "costs: {hour_of_delay: 20, false_alarm: 100, escape: 1000}\n"


def test_compare_answers_first(folder):
    """The first line names the best policy and those not distinguishable from it, by costs or else by mistakes. [contract]"""
    arguments = ("--replications", 40, "--engine", "compiled")
    table = replicate_kinds(simdeploy.read_scenario("s.yaml"), replications=40, engine="compiled")
    first = invoke("compare", "s.yaml", *arguments).stdout.splitlines()[0]
    assert first == simdeploy.compare(table).answer
    assert "false alarms" in first
    (folder / "c.yaml").write_text(SCENARIO + COSTS)
    priced = replicate_kinds(simdeploy.read_scenario("c.yaml"), replications=40, engine="compiled")
    result = invoke("compare", "c.yaml", *arguments, "--full")
    assert result.stdout.splitlines()[0] == simdeploy.compare(priced).answer
    assert "per rollout" in result.stdout.splitlines()[0]
    assert result.stdout.count("95 % CI for all together") == 1
    assert "cost of escapes" not in result.stdout
    one = invoke("compare", "c.yaml", *arguments, "--policy", "careful").stdout
    assert one.startswith("careful: mean cost ")


def test_compare_splits_the_cost(folder):
    """--costs adds a table of the cost by cause; a scenario without costs is refused. [contract]"""
    (folder / "c.yaml").write_text(SCENARIO + COSTS)
    out = invoke("compare", "c.yaml", "--replications", 10, "--costs", "--plot", "all.svg").stdout
    split = out[out.index("Cost per rollout by cause") :]
    assert all(f"{policy} " in split for policy in ("in-tens", "careful", "at-once"))
    invoke("compare", "c.yaml", "--replications", 10, "--costs", "--plot", "one.svg", "--policy", "careful")
    # With one policy, there is no difference to draw.
    assert ["best other policy" in Path(name).read_text() for name in ("all.svg", "one.svg")] == [True, False]
    result = invoke("compare", "s.yaml", "--replications", 10, "--costs")
    assert result.exit_code == 2
    assert "the scenario has no costs" in result.stderr
    assert result.stdout == ""


def test_compare_writes_the_raw_responses(folder):
    """The file has the table of replications, also with two workers. [contract]"""
    assert invoke("compare", "s.yaml", "--replications", 4, "--out", "r.parquet", "--workers", 2).exit_code == 0
    expected = simdeploy.replicate(simdeploy.read_scenario("s.yaml"), replications=4)
    pd.testing.assert_frame_equal(pd.read_parquet("r.parquet"), expected)


def test_compare_says_which_replications_failed(folder, monkeypatch):
    """Failed replications are counted in the table and on standard error, and the exit code is 1. [contract]"""

    def sometimes(scenario, policy, *, replication, **options):
        if replication == 1:
            raise ValueError("broken")
        return run_reference(scenario, policy, replication=replication, **options)

    monkeypatch.setattr("simdeploy.engines.reference.engine.run_reference", sometimes)
    result = invoke("compare", "s.yaml", "--replications", 3)
    assert result.exit_code == 1
    first = "policy in-tens, replication 1, simulate: ValueError: broken"
    assert f"3 of 9 replications failed; the first: {first}" in result.stderr
    assert result.stdout.partition("(continued)")[0].count("1 failed") == 3


def test_a_pipe_gets_whole_lines_without_colour(folder):
    """In a pipe the table is neither wrapped nor coloured, whatever the terminal is. [contract]"""
    code, out, err = finish("compare", "s.yaml", "--replications", 2, env={**os.environ, "COLUMNS": "30"})
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    header = next(line for line in out.splitlines() if line.strip().startswith("policy"))
    assert len(header) > 60


def through_terminal(*arguments, columns):
    """Run the command on a terminal of some width; return exit code and output."""
    command = [sys.executable, "-m", "simdeploy", *arguments]
    with on_terminal(command, columns=columns, stdout=None) as (process, terminal):
        shown = read_until(terminal, END)
        return process.wait(timeout=TIMEOUT_S), shown


def test_a_narrow_terminal_gets_whole_numbers(folder):
    """On 60 columns every line fits, every number is whole, and a progress bar appears. [contract]"""
    code, shown = through_terminal("compare", "s.yaml", "--replications", 3, columns=60)
    assert code == 0
    assert "left" in shown
    table = shown[shown.index("Estimates") :]
    assert "(continued)" in table
    plain = table.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()
    assert max(len(line) for line in plain if "Differences" not in line) <= 60
    assert "…" not in table


@pytest.mark.parametrize("width", [30, 40, 50, 80, 200])
def test_no_word_of_a_table_is_lost(width):
    """At any width, long names, words in later columns and columns of words fit, without losing any. [contract]"""
    console = Console(width=width, file=io.StringIO(), markup=False)
    row = ["everything-at-once", "the limit of false alarms is 5 %", "4.2 %", ""]
    print_table(console, "Title", ["policy", "required", "found in all", ""], [row])
    shown = console.file.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    assert {"required", "limit", "alarms", "5", "found", "4.2"} <= set(shown.split())
    assert (row[1] in shown) == (width >= 50)
    assert "…" not in shown


@pytest.mark.parametrize("width", [80, 100])
def test_long_words_leave_the_first_column_room(width):
    """Sentences in later columns are wrapped before the row's name is. [contract]"""
    console = Console(width=width, file=io.StringIO(), markup=False)
    name, note = (
        "fleet.start_hang",
        "too few rollouts to know how much it varies from one to the next, which is assumed",
    )
    print_table(console, "Notes", ["parameter", "note"], [[name, note]])
    shown = console.file.getvalue()
    assert name in shown
    assert set(note.split()) <= set(shown.split())
    assert max(map(len, shown.splitlines())) <= width


@pytest.mark.parametrize("width", [80, 100])
def test_a_continued_table_repeats_what_identifies_its_rows(width):
    """If it takes two columns to identify a row, both are repeated, even long ones. [contract]"""
    console = Console(width=width, file=io.StringIO(), markup=False)
    header = ["policy", "release", *(f"worst {number}" for number in range(5))]
    long = "a kind of release with a long name"
    rows = [["rolling", kind, *["18 at 12m 55s"] * 5] for kind in ("good", long)] + [["canary", "good", *["1"] * 5]]
    print_table(console, "Title (each; both ways); ~: too narrow", header, rows)
    headings, *parts = zip(*(part.split("\n", 1) for part in console.file.getvalue().split("Title")[1:]), strict=True)
    assert len(parts[0]) > 1
    assert headings[:2] == (" (each; both ways); ~: too narrow", " (each; both ways) (continued)")
    assert max(map(len, console.file.getvalue().splitlines())) <= width
    for part in parts[0]:
        assert (part.count("rolling"), part.count("canary"), part.count("good")) == (2, 1, 2)
        assert set(long.split()) <= set(part.split())


def test_wide_letters_take_two_places():
    """A column has room for letters that take two places on a terminal; control characters are escaped. [contract]"""
    console = Console(width=80, file=io.StringIO(), markup=False)
    rows = [["金丝雀", "不确定的", "1"], ["🚀 rocket", "met", "20"], ["a\tb\x1b[2K", "met", "3"]]
    print_table(console, "Title", ["policy", "verdict", "n"], rows)
    lines = console.file.getvalue().splitlines()[4:7]
    assert [line.split() for line in lines] == [
        ["金丝雀", "不确定的", "1"],
        ["🚀", "rocket", "met", "20"],
        ["a\\tb\\x1b[2K", "met", "3"],
    ]
    assert {cell_len(line) for line in lines} == {cell_len(lines[0])}


@pytest.mark.parametrize("width", [1, 10])
def test_a_terminal_without_room_is_no_error(width):
    """On a terminal too narrow for anything, something is still shown. [contract]"""
    console = Console(width=width, file=io.StringIO(), markup=False)
    print_table(console, "Title", ["policy", "cost"], [["at-once", "12.5"]])
    assert console.file.getvalue()


# -- the other commands ------------------------------------------------------------------------------------------------


def test_validate_lists_the_contents(folder):
    """Valid files are "ok", with a summary of their contents. [contract]"""
    result = invoke("validate", "s.yaml", "in-twenties.json")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "ok: s.yaml: scenario small, 40 nodes, 2 kinds of release, 3 policies (in-tens, careful, at-once)",
        "ok: in-twenties.json: a spec in the deployment dialect, strategy rolling",
    ]


def test_validate_knows_scenarios_in_json(folder):
    """A JSON file with a fleet is validated as a scenario, not as a policy without a strategy. [contract]"""
    policy = {"strategy": "immediate"}
    raw = {"name": "j", "fleet": {"nodes": 2, "update_duration": "1m"}, "policies": {"p": policy}}
    Path("s.json").write_text(json.dumps(raw))
    Path("bad.json").write_text(json.dumps({**raw, "fleet": {"nodes": 2}}))
    result = invoke("validate", "s.json", "bad.json")
    assert result.stdout.startswith("ok: s.json: scenario j, 2 nodes")
    assert result.stderr == "error: bad.json:1: fleet.update_duration: required key is missing\n"


def test_validate_knows_policies_in_yaml(folder):
    """A YAML file with a strategy is validated as a policy, not as a scenario without a fleet. [contract]"""
    policy = "dialect: general\nstrategy: rolling\nhealth_check: {deadline: 5m}\n"
    Path("policy.yaml").write_text(policy)
    Path("typo.yaml").write_text(policy + "orchestrator: {pacing: slidin}\n")
    Path("tuned.yaml").write_text("deployment: {spec: {strategy: rolling, health_check: {deadline: 5m}}}\n")
    result = invoke("validate", "policy.yaml", "typo.yaml", "tuned.yaml")
    assert result.stdout.splitlines() == [
        "ok: policy.yaml: a spec in the general dialect, strategy rolling",
        "ok: tuned.yaml: a deployment in the deployment dialect, strategy rolling",
    ]
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: typo.yaml:4: orchestrator.pacing: unknown value")


@pytest.mark.parametrize("command", ["validate", "run"])
@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("apiVersion: v1\nkind: Service\nspec: {ports: []}\n", "kind: unknown key"),
        ("name: n\nstrategy: rolling\nrelease: {}\n", "fleet: required key is missing"),
    ],
    ids=["a service", "a misplaced strategy"],
)
def test_only_a_policy_is_called_one(folder, command, text, fragment):
    """A file with a foreign spec, or with a scenario's keys beside a strategy, gets the list of a scenario's errors. [contract]"""
    Path("x.yaml").write_text(text)
    result = invoke(command, "x.yaml")
    assert result.exit_code == 2
    assert fragment in result.stderr
    assert "a policy" not in result.stderr


@pytest.fixture
def pipe(request):
    """Return a function that makes a pipe with a text, as ``<(...)`` of a shell does, and returns its path."""

    def make(text):
        reader, writer = os.pipe()
        request.addfinalizer(lambda: os.close(reader))
        os.write(writer, text.encode())
        os.close(writer)
        return f"/dev/fd/{reader}"

    return make


JSON_SPEC = json.dumps({"deployment": {"spec": SPEC}})
YAML_SPEC = "dialect: general\nstrategy: rolling\nhealth_check: {deadline: 5m}\n"


@pytest.mark.parametrize(
    ("text", "description"),
    [
        (SCENARIO, "scenario small, 40 nodes, 2 kinds of release, 3 policies (in-tens, careful, at-once)"),
        (json.dumps(yaml.safe_load(SCENARIO)), "scenario small, 40 nodes, 2 kinds of release, 3 policies (in-tens, careful, at-once)"),
        (JSON_SPEC, "a deployment in the deployment dialect, strategy rolling"),
        (YAML_SPEC, "a spec in the general dialect, strategy rolling"),
    ],
)  # fmt: skip
def test_validate_reads_a_pipe_once(folder, pipe, text, description):
    """A scenario or a policy in a pipe is validated by its contents. [contract]"""
    path = pipe(text)
    result = invoke("validate", path)
    assert (result.stderr, result.stdout) == ("", f"ok: {path}: {description}\n")


def test_validate_reports_problems_of_a_pipe(folder, pipe):
    """Mistakes in a pipe have their line, as those in a file. [contract]"""
    bad = pipe(SCENARIO.replace("nodes: 40", "nodes: many")), pipe('{"deployment": {"spec":\n{"strategy": "roling"}}}')
    result = invoke("validate", *bad)
    assert result.exit_code == 2
    assert f"error: {bad[0]}:4: fleet.nodes: not a whole number" in result.stderr
    assert f"error: {bad[1]}:2: deployment.spec.strategy" in result.stderr


@pytest.mark.parametrize("text", [JSON_SPEC, YAML_SPEC])
def test_a_policy_may_be_a_pipe(folder, pipe, text):
    """`--policy` takes an existing pipe as a file, and names the policy after it. [contract]"""
    path = pipe(text)
    result = invoke("run", "s.yaml", "--policy", path, "--json")
    assert result.exit_code == 0, result.stderr
    assert Path(path).name in result.stdout


def test_validate_warns_of_requirements_that_nothing_decides(folder):
    """A requirement that `check` finds undecidable by any number of rollouts is a warning, with its line. [contract]"""
    requirements = "requirements:\n- {of: makespan_s, at_most: 1h}\n- {of: min_capacity_ratio, at_least: 1}\n"
    Path("r.yaml").write_text(SCENARIO + requirements)
    result = invoke("validate", "r.yaml")
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith(
        f"warning: r.yaml:{len(SCENARIO.splitlines()) + 3}: requirements[1]: no number of replications"
    )
    assert "only a shared service has a capacity" in line


def test_validate_reports_every_problem(folder):
    """Every problem of every file is one line with file and line; valid files are still "ok". [contract]"""
    Path("bad.yaml").write_text(SCENARIO.replace("nodes: 40", "nodes: -1").replace("zones", "zone") + "extra: 1\n")
    Path("bad.json").write_text('{"strategy": "rolling"}')
    result = invoke("validate", "bad.yaml", "s.yaml", "bad.json", "missing.yaml")
    assert result.exit_code == 2
    assert result.stdout.startswith("ok: s.yaml")
    lines = result.stderr.splitlines()
    assert all(line.startswith("error: ") for line in lines)
    for name, n_problems in (("bad.yaml", 2), ("bad.json", 2), ("missing.yaml", 1)):
        assert sum(f"error: {name}" in line for line in lines) == n_problems
    assert any(line.startswith("error: bad.yaml:4: fleet.nodes:") for line in lines)


def test_warnings_are_lines_on_standard_error(folder):
    """A suspicious value gives one line on standard error and none on standard output. [contract]"""
    Path("w.yaml").write_text(SCENARIO.replace("max_failed_nodes: 3", "max_failed_nodes: 400"))
    quiet = invoke("run", "s.yaml", "--json")
    result = invoke("run", "w.yaml", "--json")
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("warning: w.yaml:")
    assert json.loads(result.stdout).keys() == json.loads(quiet.stdout).keys()
    Path("kept.json").write_text(json.dumps({**SPEC, "extra": 1}))
    result = invoke("run", "s.yaml", "--policy", "kept.json")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == ["warning: kept.json:1: extra: unknown key"]


def test_only_used_policies_are_warned_about(folder):
    """A command warns only of the policies it simulates, whether named or by default. [contract]"""
    raw = yaml.safe_load(SCENARIO)
    raw["policies"] = {name: rolling(2, max_failed_nodes=400) for name in ("first", "second")}
    Path("w.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))

    def warned(*arguments):
        lines = invoke(*arguments).stderr.splitlines()
        return [name for name in raw["policies"] if any(f"policies.{name}.max_failed_nodes" in line for line in lines)]

    assert warned("run", "w.yaml") == ["first"]
    assert warned("run", "w.yaml", "--policy", "second") == ["second"]
    assert warned("compare", "w.yaml", "--replications", "1") == ["first", "second"]
    assert warned("compare", "w.yaml", "--replications", "1", "--policy", "second") == ["second"]
    assert warned("validate", "w.yaml") == ["first", "second"]


def test_other_policies_may_use_what_the_own_ones_do_not(folder):
    """What has no effect on any policy of the scenario may have one on a policy file, or with the gates of `gates`. [contract]"""
    raw = yaml.safe_load(SCENARIO)
    raw["fleet"]["requests_per_second"] = 10
    raw["orchestrator"] = {"cant_tell": "stop"}
    raw["policies"] = {"plain": rolling(2)}
    Path("w.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    gated = rolling(2, health_check={"deadline": "5m", "max_error_rate": 0.02, "gate": {"kind": "pooled"}})
    Path("gated.json").write_text(json.dumps({"dialect": "deployment", **gated}))

    def warns(*arguments):
        done = invoke(*arguments)
        assert done.exit_code == 0, done.stderr
        return "cant_tell: no effect" in done.stderr

    assert warns("run", "w.yaml")
    assert warns("run", "w.yaml", "--policy", "plain")
    assert not warns("run", "w.yaml", "--policy", "gated.json")
    assert not warns("gates", "w.yaml", "--gate", "pooled", "--sizes", "0.05", "--replications", "2")


def test_schema_is_the_schema(folder):
    """The schema of a scenario is printed as JSON, and so is that of a result. [contract]"""
    assert json.loads(invoke("schema").stdout) == simdeploy.scenario_schema()
    assert json.loads(invoke("schema", "--result", "Check").stdout) == simdeploy.result_schema("Check")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell):
    """The script is for the asked shell, and what it calls completes commands. [contract]"""
    script = invoke("completion", shell).stdout
    assert f"_SIMDEPLOY_COMPLETE={shell}_complete" in script
    env = {**os.environ, "_SIMDEPLOY_COMPLETE": f"{shell}_complete", "COMP_WORDS": "simdeploy co"}
    env["COMP_CWORD"] = "co" if shell == "fish" else "1"
    found = run_python("from simdeploy.cli import main; main()", env=env)
    assert "compare" in found
    assert "completion" in found
    assert "validate" not in found


def test_without_a_command():
    """Without a command, the help is printed on standard error, line by line, and the exit code is 2. [contract]"""
    result = invoke()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == invoke("--help").stdout


def test_help_and_version_are_quick():
    """Neither --help nor --version imports anything heavy. [contract]"""
    code = (
        "import sys\nfrom simdeploy.cli import main\n"
        "try:\n    main()\nfinally:\n    print([m for m in ('numpy', 'pandas', 'scipy', 'pydantic', 'rich', 'yaml') if m in sys.modules])"
    )
    for argument in ("--help", "--version"):
        assert run_python(code, argument).splitlines()[-1] == "[]"
    assert invoke("--version").stdout.split()[-1] == simdeploy.__version__


# -- bad input and bad luck --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "s.yaml", "--policy", "in-ten"], "did you mean 'in-tens'"),
        (["compare", "s.yaml", "--baseline", "in-ten"], "did you mean 'in-tens'"),
        (["compare", "s.yaml", "--policy", "careful", "--policy", "in-ten"], "did you mean 'in-tens'"),
        (["completion", "tcsh"], "tcsh"),
        (["tune", "dir.csv"], "dir.csv: a folder, not a scenario; `simdeploy report` shows the folder of a sweep"),
    ],
)  # fmt: skip
def test_bad_input_is_an_error_in_words(folder, arguments, message):
    """Bad input gives a message on standard error and exit code 2, without output or files. [contract]"""
    Path("dir.csv").mkdir()
    before = sorted(folder.rglob("*"))
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert sorted(folder.rglob("*")) == before


def test_ctrl_c_ends_quietly(folder):
    """Interrupted during work on workers, the command says so, exits with 130 and leaves no half-written file. [contract]"""
    Path("big.yaml").write_text(SCENARIO.replace("nodes: 40", "nodes: 2000"))
    # Half an hour of work, in spans; the first is done soon.
    in_short_spans = (
        "from simdeploy.cli import main; from simdeploy.experiments import cutting; cutting._SPAN_S = 0.1; main()"
    )
    how = ("--engine", "reference", "--replications", 100_000, "--workers", 2)
    command = [sys.executable, "-c", in_short_spans, "compare", "big.yaml", *how, "--out", "r.csv"]
    with on_terminal(command) as (process, terminal):
        shown = read_until(terminal, r"[1-9]\d*/300000")
        os.killpg(process.pid, signal.SIGINT)
        shown += read_until(terminal, END)
        out, _ = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, out) == (130, "")
    assert "interrupted; nothing was saved." in shown.splitlines()[-1]
    assert "Traceback" not in shown
    assert {path.name for path in folder.iterdir()} == {"big.yaml", "s.yaml", "in-twenties.json"}


def test_a_closed_pipe_is_no_error(folder):
    """If its reader closes the pipe, the command stops silently, with the code of bad output. [contract]"""
    process = start("schema")
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=TIMEOUT_S) == 2
    command = ["sh", "-c", f"exec {sys.executable} -m simdeploy run s.yaml >&-"]
    closed = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (closed.returncode, closed.stderr) == (0, "")


def test_a_picture_without_a_writable_home(folder):
    """Without a folder for Matplotlib's cache, pictures are written without messages of Matplotlib. [contract]"""
    env = {**os.environ, "HOME": "/dev/null", "MPLCONFIGDIR": "/dev/null/matplotlib"}
    report = ("report", "s.yaml", "-o", "p.html", "--replications", 10)
    for file, *arguments in (("p.png", "run", "s.yaml", "--plot", "p.png"), ("p.html", *report)):
        code, _, err = finish(*arguments, env=env)
        assert (code, err) == (0, f"wrote {file}\n")


@pytest.mark.parametrize("redirection", ["<&-", "0>/dev/null"])
def test_standard_input_that_cannot_be_read(folder, redirection):
    """If standard input is closed or not readable, nothing is asked, and a file read from it is refused in words. [contract]"""
    for code, message, *arguments in (
        (0, "wrote new.yaml", "new", "new.yaml"),
        (2, "error: standard input: ", "advise", "s.yaml", "--seen", "-"),
    ):
        command = ["sh", "-c", f"exec {sys.executable} -m simdeploy {' '.join(arguments)} {redirection}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        (line,) = done.stderr.splitlines()
        assert (done.returncode, line.startswith(message)) == (code, True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [["schema"], ["run", "s.yaml"], ["validate", "s.yaml"], ["--help"]])
def test_a_full_disk_behind_standard_output(folder, arguments):
    """Output to a full disk gives a message and exit code 2, because 1 would be a requirement that is not met. [contract]"""
    with open("/dev/full", "w") as full:  # noqa: PTH123
        code, _, err = finish(*arguments, stdout=full)
    assert code == 2
    assert err == "error: cannot write: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(("redirection", "code"), [("2>&1 | true", 0), (">/dev/full", 2), ("2>/dev/full", 0)])
def test_files_are_written_whoever_reads(folder, redirection, code):
    """All files are written if nobody reads the output and the messages, or if these can't be written. [contract]"""
    run = f"{sys.executable} -m simdeploy run s.yaml -o t.csv --plot p.png --prometheus m.prom"
    command = f"(sleep 0.1; exec {run}) {redirection}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == code
    assert all(Path(name).stat().st_size for name in ("t.csv", "p.png", "m.prom"))


@pytest.mark.parametrize("option", [["--out", "r.csv"], ["--out", "r.parquet"], ["--plot", "p.png"]])
def test_a_file_on_a_full_disk(folder, option, monkeypatch):
    """If a file can't be written completely, the old one is kept, and the exit code is 2. [contract]"""
    name = option[1]
    Path(name).write_text("old")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # which would be cut short for all later imports
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        result = invoke("compare", "s.yaml", "--replications", 20, "--engine", "compiled", *option)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert f"{name}: " in result.stderr
    assert "File too large" in result.stderr
    assert Path(name).read_text() == "old"
    assert {path.name for path in folder.iterdir()} == {"s.yaml", "in-twenties.json", name}


def test_names_with_odd_characters(folder):
    """Names that look like markup are printed unchanged, and an ASCII terminal causes no failure. [contract]"""
    Path("odd.yaml").write_text(SCENARIO.replace("name: small", "name: '[bold]größe :smile: $x$'"), encoding="utf-8")
    assert "[bold]größe :smile: $x$" in invoke("run", "odd.yaml").stdout
    code, out, err = finish("run", "odd.yaml", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (code, err) == (0, "")
    assert "[bold]gr\\xf6\\xdfe" in out
