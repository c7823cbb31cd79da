"""``simdeploy check`` and ``simdeploy verify``: output, files and exit codes."""

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from every_result import make
from invoking import invoke

from simdeploy import Scenario
from simdeploy.analysis.checking.checking import check
from simdeploy.cli.junit import write_junit
from simdeploy.validation import decisions

SCENARIO = """
name: small
fleet:
  nodes: 20
  update_duration: 30s
  start_failure: 0.05
requirements:
- {of: makespan_s, quantile: 0.95, at_most: 5m}
- {policy: strict, of: false_alarm, given: good, at_most: 0.9}
policies:
  strict: {strategy: immediate, max_failed_nodes: 0}
  loose: {strategy: rolling, max_parallel: 10, max_failed_nodes: 5, health_check: {deadline: 5m}}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with a scenario."""
    (tmp_path / "s.yaml").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "answer"),
    [
        ([], 0, "All 3 requirements are met (95 % confidence each)."),
        (["--require", "false_alarm <= 15%"], 1, "1 of 2 requirements is not met (95 % confidence): strict, "),
        (["--require", "in_progress <= 0", "--most", "100"], 3, "Both requirements are undecided after 100 "),
        (["--require", "escaped given defective <= 1%"], 3, "Neither requirement can be decided: "),
        (["--policy", "loose"], 0, "The requirement is met (95 % confidence)."),
        (["--confidence-level", "0.99"], 0, "All 3 requirements are met (99 % confidence each)."),
    ],
)
def test_the_exit_code_is_the_verdict(folder, arguments, code, answer):
    """The exit code is 0 if all requirements are met, 1 if one isn't, 3 if undecided; the first line agrees. [contract]"""
    result = invoke("check", "s.yaml", *arguments)
    assert result.exit_code == code
    assert result.stdout.splitlines()[0].startswith(answer)
    assert "orchestrator expanso" in result.stdout
    assert result.stdout.count(", nothing simulated\n") == answer.startswith("Neither")


def test_a_policy_without_a_requirement_is_named(folder):
    """An unchecked policy is named, in words and in JSON; the others are checked. [contract]"""
    text = SCENARIO.replace("- {of: makespan_s, quantile: 0.95, at_most: 5m}\n", "")
    Path("s.yaml").write_text(text)
    asked = ("check", "s.yaml", "--policy", "strict", "--policy", "loose")
    result = invoke(*asked)
    assert result.exit_code == 0
    assert "loose: not checked, since it has no requirement" in result.stdout.splitlines()
    assert json.loads(invoke(*asked, "--json").stdout)["computed_under"]["without_requirement"] == ["loose"]
    assert "not checked" not in invoke("check", "s.yaml", "--policy", "strict").stdout


def test_not_met_outweighs_undecided(folder):
    """If one requirement is not met and another undecided, the exit code is 1. [contract]"""
    asked = ("check", "s.yaml", "--require", "in_progress <= 0", "--require", "false_alarm <= 10%", "--most", 100)
    result = invoke(*asked, "--json")
    assert result.exit_code == 1
    assert {row["verdict"] for row in json.loads(result.stdout)["verdicts"]} >= {"not met", "undecided"}


def test_a_failed_replication_is_no_success(folder, monkeypatch):
    """A failed replication gives exit code 1 and an error in the report, even if all requirements are met. [contract]"""
    from simdeploy.engines.reference.engine import run_reference

    def failing_once(scenario, policy, *, seed, replication):
        if replication == 5 and policy.name == "loose":
            raise ZeroDivisionError("by <chance>")
        return run_reference(scenario, policy, seed=seed, replication=replication)

    monkeypatch.setattr("simdeploy.engines.reference.engine.run_reference", failing_once)
    result = invoke("check", "s.yaml", "--engine", "reference", "--junit", "r.xml")
    assert result.exit_code == 1
    assert "1 replication failed and is excluded." in result.stdout
    assert "replication 5, simulate: ZeroDivisionError: by <chance>" in result.stderr
    suites = ET.parse("r.xml").getroot()  # noqa: S314 - our own file
    assert suites.attrib["errors"] == "1"
    error = suites.find(".//testcase[@name='every replication ends']/error")
    assert error.attrib["message"] == "1 failed; the first: replication 5, simulate: ZeroDivisionError: by <chance>"


def test_without_requirements_there_is_an_example(folder):
    """Without requirements, the message shows how to state one in the file and on the command line. [contract]"""
    text = re.sub(r"requirements:\n(- .*\n)*", "", SCENARIO)
    Path("none.yaml").write_text(text)
    result = invoke("check", "none.yaml")
    assert result.exit_code == 2
    assert "no requirements" in result.stderr
    # Both examples are valid.
    inside, option = re.search(r'"(requirements: .*?)".*--require "(.*?)"', result.stderr).groups()
    Path("none.yaml").write_text(text + inside + "\n")
    assert invoke("check", "none.yaml").exit_code in (0, 1)
    assert invoke("check", "none.yaml", "--require", option).exit_code in (0, 1)


# -- JUnit -------------------------------------------------------------------------------------------------------------

# The part of the schema of Jenkins' xUnit plugin (junit-10.xsd) for these elements: allowed and required attributes,
# and allowed children.
SCHEMA = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set(), {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time"},
        {"name", "tests", "failures", "errors"},
        {"testcase", "properties", "system-out", "system-err"},
    ),
    "testcase": ({"name", "time", "classname"}, {"name"}, {"skipped", "error", "failure", "system-out", "system-err"}),
    "failure": ({"type", "message"}, set(), set()),
    "error": ({"type", "message"}, set(), set()),
    "system-out": (set(), set(), set()),
}


def assert_valid(element):
    """Assert that an element conforms to the schema, and that its numbers and counts are correct."""
    allowed, needed, children = SCHEMA[element.tag]
    assert needed <= set(element.attrib) <= allowed
    assert {child.tag for child in element} <= children
    if "tests" in element.attrib:
        tags = {"tests": "testcase", "failures": "failure", "errors": "error"}
        assert {name: element.attrib[name] for name in tags} == {
            name: str(len(list(element.iter(tag)))) for name, tag in tags.items()
        }
    assert element.attrib.get("time", "0") == "0"
    for child in element:
        assert_valid(child)


def test_junit_is_valid_and_has_every_verdict(folder):
    """The report conforms to the schema, with a suite per policy and a case per requirement. [contract]"""
    requirements = ["false_alarm <= 10%", "in_progress <= 0", "completed >= 1%"]
    options = [word for text in requirements for word in ("--require", text)]
    result = invoke("check", "s.yaml", *options, "--most", 100, "--junit", "r.xml")
    assert result.exit_code == 1
    root = ET.parse("r.xml").getroot()  # noqa: S314 - our own file
    assert_valid(root)
    assert [suite.attrib["name"] for suite in root] == ["small.strict", "small.loose"]
    strict = {case.attrib["name"]: case[0] for case in root[0]}
    assert {name: child.tag for name, child in strict.items()} == {
        "false_alarm <= 0.1": "failure",
        "in_progress <= 0": "error",
        "completed >= 0.01": "system-out",
    }
    verdicts = json.loads(invoke("check", "s.yaml", *options, "--most", 100, "--json").stdout)["verdicts"]
    estimate = f"found {100 * verdicts[0]['estimate']:.0f}"
    assert estimate in strict["false_alarm <= 0.1"].attrib["message"]
    assert "no number of rollouts can confirm a rate of exactly 0" in strict["in_progress <= 0"].attrib["message"]
    assert "from 100 observations in 100 rollouts" in strict["completed >= 0.01"].text


def test_junit_survives_any_name():
    """Names with quotes, angle brackets and the end of character data give a readable file. [contract]"""
    kind = "a<b&\"c'"
    scenario = Scenario.from_dict(
        {
            "name": "x]]>y",
            "fleet": {"nodes": 2, "update_duration": "1s"},
            "release": {kind: {"probability": 1}},
            "policies": {"p <&>": {"strategy": "immediate"}},
        }
    )
    text = write_junit(check(scenario, requirements=[f"completed given {kind} >= 0.5"], most=100))
    root = ET.fromstring(text)  # noqa: S314 - our own
    assert_valid(root)
    assert root[0].attrib["name"] == "x]]>y.p <&>"
    assert root[0][0].attrib["name"] == "completed given a<b&\"c' >= 0.5"


# -- verify ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def few_cases(monkeypatch):
    """Verify few cases, because the reference engine is slow."""
    from simdeploy.validation.verification import verifying
    from simdeploy.validation.verification.rules import limits

    monkeypatch.setattr(verifying, "make_cases", lambda: limits()[:4])


def test_verify_prints_every_comparison(few_cases, folder):
    """The answer comes first, then the false alarm probability, then a line per quantity and engine. [contract]"""
    result = invoke("verify", "--replications", 100, "--out", "v.csv")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Both engines agree with the closed forms in all ")
    found = pd.read_csv("v.csv")
    assert len(found) == sum(line.rstrip().endswith(" yes") for line in lines)
    document = json.loads(invoke("verify", "--replications", 100, "--json").stdout, parse_constant=pytest.fail)
    assert len(document["comparisons"]) == len(found)


def test_verify_fails_where_an_engine_does(few_cases, folder, monkeypatch):
    """A wrong engine gives exit code 1 and the failed rows. [contract]"""
    from simdeploy.engines.compiled import engine

    def broken(*_, **__):
        raise RuntimeError("no engine")

    monkeypatch.setattr(engine, "run_compiled", broken)
    result = invoke("verify", "--replications", 100)
    assert result.exit_code == 1
    assert result.stdout.startswith("Verification failed: the compiled engine missed ")
    assert "NO: RuntimeError: no engine" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--replications", "99"],
        ["--seed", "-1"],
        ["--out", "v.txt"],
        ["extra"],
        ["--seeds", "3"],
        ["--workers", "2"],
        ["--cluster", "tcp://127.0.0.1:1"],
        ["--decisions", "--replications", "200"],
        ["--decisions", "--seeds", "0"],
    ],
)
def test_verify_refuses_what_makes_no_sense(folder, arguments):
    """Bad arguments end in exit code 2. [contract]"""
    assert invoke("verify", *arguments).exit_code == 2


@pytest.mark.parametrize("is_ok", [True, False])
def test_verify_decisions_prints_every_problem(folder, monkeypatch, is_ok):
    """The answer comes first, then a line per problem; a refuted claim gives exit code 1. [contract]"""
    found = replace(make("Decisions"), is_ok=is_ok)
    asked = []
    monkeypatch.setattr(decisions, "verify_decisions", lambda **arguments: asked.append(arguments) or found)
    result = invoke("verify", "--decisions", "--seeds", 2, "--seed", 7, "--workers", 2, "--out", "d.csv")
    assert result.exit_code == (0 if is_ok else 1)
    assert result.stdout.startswith(found.answer)
    assert (asked[0]["seeds"], asked[0]["seed"], asked[0]["workers"]) == (2, 7, 2)
    assert pd.read_csv("d.csv")["problem"].tolist() == found.problems["problem"].tolist()
