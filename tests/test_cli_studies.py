"""Commands for one analysis each: the same answers as in Python, and their own options."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from invoking import invoke
from test_tuning import LIMITS, LITTLE_TRAFFIC

from simdeploy import (
    compare,
    compare_gates,
    discover,
    estimate_rare,
    estimate_sensitivity,
    read_scenario,
    replicate,
    tradeoff,
    tune,
    vary_switches,
)
from simdeploy.cli.gates import read_gate_options
from simdeploy.experiments import Range
from simdeploy.experiments.jobs import Job
from simdeploy.report.check import describe_requirement
from simdeploy.scenario.policies import read_policy_file

SCENARIO = """
name: small
fleet:
  nodes: 6
  requests_per_second: 5
  update_duration: {exponential: {mean: 30s}}
  start_failure: 0.1
  error_rate: 0.02
release:
  good: {probability: 0.5}
  bad: {probability: 0.5, defective: true, error_rate: 0.4}
costs: {hour_of_delay: 1, false_alarm: 100, escape: 500}
requirements: [{of: false_alarm, given: good, at_most: 0.9}]
policies:
  waves: {strategy: rolling, max_parallel: 3, max_failed_nodes: 1, health_check: {deadline: 5m}}
  careful: {strategy: canary, canary_count: 2, auto_promote: true, max_parallel: 4, health_check: {deadline: 5m}}
"""
TWO_KEYS = ("--vary", "max_failed_nodes=0:4:3", "--vary", "max_parallel=2,6")
IN_WORLDS = ("--vary", "fleet.start_failure=0.01:0.5:log", "--vary", "update_duration=20s:40s")
WORLDS = {"fleet.start_failure": Range(0.01, 0.5, log=True), "update_duration": (20.0, 40.0)}
TILT = {"start_failure": 4.0}
SPLITTING = ("--method", "splitting", "--levels")
SIZES = {"max_parallel": [2, 6]}
TWO_GATES = {"pooled": "pooled", "strict": {"kind": "sprt", "alpha": 0.001}}

# Options, the equivalent call in Python with its arguments, and the line below the answer.
ASKED = {
    "tradeoff": (
        [*TWO_KEYS, "--replications", "6"],
        tradeoff, {"vary": {"max_failed_nodes": [0, 2, 4], "max_parallel": [2, 6]}, "replications": 6},
        "policy waves, 6 replications of each value",
    ),
    "tradeoff --y": (
        ["--vary", "max_parallel=2,6", "--y", "makespan_s", "--replications", "6"],
        tradeoff, {"vary": SIZES, "axes": ["false_alarm given good", "makespan_s"], "replications": 6},
        "policy waves, 6 replications of each value",
    ),
    "tradeoff --x": (
        ["--vary", "max_parallel=2,6", "--x", "makespan_s", "--replications", "6"],
        tradeoff, {"vary": SIZES, "axes": ["makespan_s", "escaped given defective"], "replications": 6},
        "policy waves, 6 replications of each value",
    ),
    "gates": (
        ["--gate", "pooled", "--gate", "strict=sprt,alpha=0.001", "--sizes", "0.05,10%", "--replications", "6"],
        compare_gates, {"gates": TWO_GATES, "sizes": [0.05, 0.1], "replications": 6},
        "policy waves, 6 replications of each gate at each of 3 sizes",
    ),
    "gates, all": (
        ["--sizes", "0.1", "--replications", "3"],
        compare_gates, {"sizes": [0.1], "replications": 3},
        "policy waves, 3 replications of each gate at each of 2 sizes",
    ),
    "switches": (
        ["--replications", "4"],
        vary_switches, {"replications": 4},
        "4 replications of each policy under each of 21 settings",
    ),
    "switches, otherwise": (
        ["--policy", "careful", "--policy", "waves", "--of", "false_alarm", "--direction", "max", "--no-pairs",
         "--require", "makespan_s <= 1h", "--confidence-level", "0.9", "--replications", "4"],
        vary_switches, {"policies": ["careful", "waves"], "of": "false_alarm", "direction": "max", "pairs": False,
                        "requirements": "makespan_s <= 1h", "confidence_level": 0.9, "replications": 4},
        "4 replications of each policy under each of 7 settings",
    ),
    "sensitivity": (
        [*IN_WORLDS, "--of", "makespan_s", "--size", "4", "--replications", "4"],
        estimate_sensitivity, {"vary": WORLDS, "of": "makespan_s", "size": 4, "replications": 4},
        "policy waves, 12 points, 4 replications of each",
    ),
    "sensitivity --method sobol": (
        [*IN_WORLDS, "--of", "makespan_s", "--method", "sobol", "--size", "16", "--replications", "2"],
        estimate_sensitivity, {"vary": WORLDS, "of": "makespan_s", "method": "sobol", "size": 16, "replications": 2},
        "policy waves, 64 points, 2 replications of each",
    ),
    "discover": (
        [*IN_WORLDS, "--points", "40", "--replications", "4"],
        discover, {"vary": WORLDS, "points": 40, "replications": 4},
        "policy waves, 40 worlds, 4 replications in each",
    ),
    "tune": (
        ["--vary", "max_failed_nodes=0:4:3", "--replications", "4", "--most", "50", "--final", "20"],
        tune, {"vary": {"max_failed_nodes": [0, 2, 4]}, "replications": 4, "most": 50, "final": 20},
        "policy waves",
    ),
    "rare": (
        ["--event", "failed_nodes >= 4", "--tilt", "start_failure=4", "--replications", "300"],
        estimate_rare, {"event": "failed_nodes >= 4", "tilt": TILT, "replications": 300},
        "policy waves",
    ),
    "rare --method splitting": (
        ["--event", "failed_nodes >= 3", *SPLITTING, "failed_nodes=1,2", "--replications", "300"],
        estimate_rare, {"event": "failed_nodes >= 3", "method": "splitting", "levels": {"failed_nodes": [1, 2]},
                        "replications": 300},
        "policy waves",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, few_switch_values):
    """Work in a folder with scenarios, with few values of switches."""
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(SCENARIO, encoding="utf-8")
    for raw in (LIMITS, LITTLE_TRAFFIC):
        Path(f"{raw['name']}.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("asked", ASKED)
def test_the_answer_is_that_of_python(asked):
    """First line and document are those of the equivalent call; the question follows. [contract]"""
    options, function, arguments, about = ASKED[asked]
    how = {"seed": 3, "engine": "compiled"}
    expected = function(read_scenario("s.yaml"), **arguments, **how)
    asked = [asked.split()[0].rstrip(","), "s.yaml", *options, "--seed", how["seed"], "--engine", how["engine"]]
    lines = invoke(*asked, "--full").stdout.splitlines()
    assert lines[0] == expected.answer
    assert any(line.startswith(f"small: {about}, ") and f", seed 3, engine {how['engine']}" in line for line in lines)
    for requirement in getattr(expected, "requirements", ()):
        assert any(line.endswith(describe_requirement(requirement)) for line in lines[:6])
    document = json.loads(invoke(*asked, "--json").stdout)
    assert document | {"computed_under": 0} == json.loads(json.dumps(expected.to_dict())) | {"computed_under": 0}


def test_a_picture_has_a_panel_for_each_pair():
    """By default keys are drawn over false alarms and escapes, and over makespan and blast radius. [contract]"""
    asked = ("tradeoff", "s.yaml", *TWO_KEYS, "--engine", "compiled", "--replications", "6", "--plot", "x.svg")
    assert invoke(*asked).exit_code == 0
    assert Path("x.svg").read_text().count("grey: 95 % band") == 2
    assert invoke(*asked, "--x", "makespan_s", "--y", "p90 blast_radius given defective").exit_code == 0
    text = Path("x.svg").read_text()
    assert text.count("grey: 95 % band") == 1
    assert text.count("p90 of blast radius of") == 1
    assert invoke(*asked[:4], *asked[6:]).exit_code == 0
    assert Path("x.svg").read_text().count("95 % band over") == 2


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
    """A gate is a kind, optionally after a name and before keys; without a name its text is the name. [contract]"""
    assert read_gate_options([text]) == gate


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tradeoff", "--x", "makespan"], "did you mean 'makespan_s'?"),
        (["gates", "--gate", "sprt,alpha"], "invalid gate"),
        (["gates", "--gate", "=sprt"], "invalid gate"),
        (["gates", "--gate", "sprt,alpha=0x10"], "not a decimal number"),
        (["gates", "--gate", "a=sprt", "--gate", "a=bayes"], "duplicate gate (found 'a')"),
        (["gates", "--sizes", "a"], "invalid size of a defect (found 'a')"),
        (["gates", "--sizes", "5"], "invalid size of a defect (found 5.0)"),
        (["switches", "--replications", "1"], "--replications"),
        (["sensitivity", "--of", "makespan_s"], "vary: nothing to vary; allowed: keys of the scenario with your range"),
        (["discover"], "vary: nothing to vary; allowed: keys of the scenario with your range"),
        (["rare", "--event", "escaped", *SPLITTING, "failed_nodes=2,x"], "invalid levels (found '2,x')"),
    ],
)
def test_invalid_options_are_refused_before_the_work(folder, monkeypatch, arguments, message):
    """Errors in options that only the command has give exit code 2 at once. [contract]"""
    monkeypatch.setattr(Job, "run", lambda *_: pytest.fail("nothing is to be simulated"))
    before = sorted(folder.iterdir())
    name, *options = arguments
    result = invoke(name, "s.yaml", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("name", ["switches", "tune"])
def test_without_costs_a_measure_is_needed(name):
    """A scenario without costs needs a measure, and the message shows some. [contract]"""
    Path("free.yaml").write_text(SCENARIO.replace("costs:", "# "), encoding="utf-8")
    result = invoke(name, "free.yaml")
    assert result.exit_code == 2
    assert 'use another measure, such as "makespan_s"' in result.stderr


def test_a_tilt_without_a_probability_is_undecided():
    """If no probability can be stated, the exit code is 3. [contract]"""
    asked = ("--event", "failed_nodes >= 6", "--tilt", "start_failure=1.01", "--replications", "100")
    result = invoke("rare", "s.yaml", *asked, "--engine", "compiled")
    assert result.exit_code == 3
    assert "probability unknown" in result.stdout


# -- the policy that a search finds --------------------------------------------------------------------------------------

SEARCH = ("tune", "limits.yaml", "--engine", "compiled", "--vary", "max_failed_nodes=0:19:20")
IMPOSSIBLE = ("--require", "false_alarm given good <= 1%", "--require", "escaped given defective <= 0.01%")


def test_the_choice_is_printed_in_both_dialects():
    """The answer is followed by the objective and the spec in the API's two dialects. [contract]"""
    done = invoke(*SEARCH)
    assert done.stdout.startswith("Use waves with max_failed_nodes ")
    assert "minimise cost" in done.stdout.splitlines()
    specs = [
        part.split("dialect:\n")[1].split("\n\n")[0].split("\nnote:")[0]
        for part in done.stdout.split("Recommended policy in the ")[1:]
    ]
    first, second = map(json.loads, specs)
    assert first["max_failed_nodes"] == second["max_failed_nodes"]
    assert first["health_check"]["deadline"] == "5m"
    assert second["health_check"]["deadline"] == 300 * 10**9


def test_it_chooses_among_gates():
    """`--vary gate.kind=...` makes gates candidates, and the printed spec has the gate with a note. [contract]"""
    asked = ("--vary", "gate.kind=threshold,pooled,sprt", "--vary", "gate.alpha=0.2,0.3", "--replications", "50")
    done = invoke("tune", "little-traffic.yaml", "--most", "10000", "--engine", "compiled", "--full", *asked)
    assert done.stdout.startswith("Use waves with gate.kind pooled: mean cost ")
    assert "Search: 4 policies" in done.stdout
    assert '"gate": {\n      "kind": "pooled"\n    }' in done.stdout
    assert "note: gate: the API has no pooled gate, only the threshold; " in done.stdout


def test_no_choice_is_an_exit_code():
    """If nothing meets the requirements, the command reports the closest candidate, writes no policy, and exits 1. [contract]"""
    done = invoke(*SEARCH, *IMPOSSIBLE, "--write-policy", "best.yaml")
    assert done.exit_code == 1
    assert done.stdout.startswith("None of 20 policies meets all requirements")
    assert (
        "subject to false alarms of good releases at most 1 %; escapes of defective releases at most 0.01 %"
        in done.stdout
    )
    assert "best.yaml was not written: no recommended policy" in done.stderr
    assert not Path("best.yaml").exists()


@pytest.mark.parametrize("command", ["compare", "switches"])
def test_that_no_policy_meets_the_requirements_is_an_exit_code(tmp_path, monkeypatch, command):
    """As in `check` and `tune`, it is 1. [contract]"""
    monkeypatch.chdir(tmp_path)
    options = {"compare": (), "switches": ("--no-pairs", "--engine", "compiled")}[command]
    for limit, code in ((0.9, 0), (1e-6, 1)):
        text = SCENARIO.replace("at_most: 0.9", f"at_most: {limit}")
        Path("s.yaml").write_text(text, encoding="utf-8")
        done = invoke(command, "s.yaml", "--replications", "200", *options)
        assert done.exit_code == code
        assert ("No policy meets the requirements" in done.stdout) == (code == 1)


@pytest.mark.parametrize("command", ["compare", "switches"])
def test_undecided_requirements_are_an_exit_code(tmp_path, monkeypatch, command):
    """If no policy is known to meet them, but some may, it is 3, as in `check` and `tune`. [contract]"""
    monkeypatch.chdir(tmp_path)
    options = {"compare": (), "switches": ("--no-pairs", "--engine", "compiled")}[command]
    # The mean of ten rollouts is above the limit, its interval around it.
    requirement = "{of: makespan_s, at_most: 180}"
    Path("s.yaml").write_text(
        SCENARIO.replace("{of: false_alarm, given: good, at_most: 0.9}", requirement), encoding="utf-8"
    )
    done = invoke(command, "s.yaml", "--replications", "10", *options)
    assert done.exit_code == 3
    assert "ndecided" in done.stdout.partition("\n")[0]


def test_an_undecided_choice_has_its_own_exit_code():
    """If the budget ends before requirements are decided, or rollouts never end, the command exits 3. [contract]"""
    done = invoke(*SEARCH, "--require", "cost <= 10000", "--most", "2000")
    assert done.stdout.startswith("None of 20 policies is known to meet the requirements. 20 may")
    assert done.exit_code == 3
    paused = LIMITS | {"orchestrator": LIMITS.get("orchestrator", {}) | {"on_failure": "pause"}}
    Path("limits.yaml").write_text(yaml.safe_dump(paused), encoding="utf-8")
    done = invoke(*SEARCH[:-1], "max_failed_nodes=0,1", "--require", "cost <= 10000")
    assert done.stdout.startswith("No recommendation: the mean cost of all 3 policies is unknown")
    assert done.exit_code == 3


@pytest.mark.parametrize(("replications", "code"), [(1, 3), (100, 0)])
def test_undecided_worlds_have_that_exit_code_too(replications, code):
    """If one rollout of each world leaves all of them undecided, the command exits 3, with a hundred 0. [contract]"""
    asked = (
        "--vary",
        "fleet.start_failure=0:0.2",
        "--require",
        "in_progress <= 20%",
        "--points",
        40,
        "--engine",
        "compiled",
    )
    assert invoke("discover", "limits.yaml", *asked, "--replications", replications).exit_code == code


def test_files_are_written_into_a_closed_pipe():
    """If its reader takes one line only, the command still writes its files, and succeeds. [contract]"""
    command = [sys.executable, "-m", "simdeploy", *SEARCH, "--out", "all.csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        error = process.stderr.read()
        assert process.wait(timeout=120) == 0, error
    assert len(pd.read_csv("all.csv")) == 21  # with the API defaults


@pytest.mark.parametrize("ending", ["json", "yaml"])
@pytest.mark.parametrize("dialect", ["deployment", "rollout"])
def test_the_choice_is_a_policy_file(ending, dialect):
    """--write-policy writes the choice in either dialect, and other commands accept that file as --policy. [contract]"""
    file = f"best.{ending}"
    done = invoke(*SEARCH, "--write-policy", file, "--dialect", dialect, "--json")
    assert read_policy_file(file).spec.to_dict() == json.loads(done.stdout)["specs"][dialect]["spec"]
    compared = invoke("compare", "limits.yaml", "--policy", file, "--policy", "waves", "--replications", 4, "--json")
    assert json.loads(compared.stdout)["policies"] == ["best", "waves"], compared.stderr
    in_python = compare(replicate("limits.yaml", [file, "waves"], replications=4))
    assert in_python.policies == ("best", "waves")


@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_the_choice_keeps_its_own_orchestrator(ending):
    """The written policy has its own orchestrator beside the spec, also in a dialect of the API. [contract]"""
    check = {"deadline": "5m", "min_healthy_time": "10s"}
    policy = {"strategy": "rolling", "max_parallel": 4, "health_check": check}
    own = {"pacing": "sliding", "limit_comparison": "reaches"}
    Path("own.json").write_text(json.dumps(policy | {"dialect": "deployment", "orchestrator": own}), encoding="utf-8")
    written = f"best.{ending}"
    done = invoke(*SEARCH, "--policy", "own.json", "--write-policy", written)
    assert done.exit_code == 0, done.stderr
    document = read_policy_file(written)
    assert document.spec.dialect == "deployment"
    assert document.orchestrator.items() >= own.items()
