"""Names, paths and values that attack terminals, XML, mathematics, markup or spreadsheets."""

import json
import re
import unicodedata
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import pandas as pd
import pytest
from invoking import invoke
from refusals import refused

from simdeploy import Scenario
from simdeploy.analysis.gates.comparing import compare_gates
from simdeploy.api import DeploymentSpec, parse_deployment
from simdeploy.cli.app import app
from simdeploy.cli.command import _quote
from simdeploy.cli.files import write_table
from simdeploy.errors import InputError, Problem, is_printable, printable
from simdeploy.experiments import sweep
from simdeploy.scenario import load

# A terminal title, a second line, reversed writing direction, C1, a line separator.
EVIL = "a\x1b]0;T\x07\nerror: forged\u202e\x9b2J\u2028"
# Allowed, and plain text everywhere: mathematics, markup, XML.
ODD = "$\\frac$ [bold]<b>&\"'"
FORMULA = "=1+1"

SCENARIO = {
    "name": ODD,
    "fleet": {
        "nodes": 4,
        "requests_per_second": 10,
        "update_duration": {"exponential": {"mean": "30s"}},
        "start_failure": 0.2,
        "classes": [{"name": ODD, "share": 0.5}],
    },
    "release": {
        ODD: {"probability": 0.5},
        "bad": {"probability": 0.5, "defective": True, "error_rate": 0.4, "affects": {"classes": [ODD]}},
    },
    "costs": {"hour_of_delay": 1, "false_alarm": 5, "escape": 9, "unit": "$x$[b]<i>&\"'"},
    "requirements": [{"of": "makespan_s", "at_most": "1h", "given": ODD}],
    "policies": {
        ODD: {"strategy": "rolling", "max_parallel": 2, "max_failed_nodes": 1, "health_check": {"deadline": "5m"}},
        FORMULA: {"strategy": "immediate"},
    },
}
SEEN = {
    "id": ODD,
    "spec": {**SCENARIO["policies"][ODD], "dialect": "deployment"},
    "status": {
        "state": "in_progress",
        "message": ODD,
        "current_wave": 1,
        "updated_nodes": 1,
        "created_at": "2026-01-05T09:00:00Z",
        "updated_at": "2026-01-05T09:01:20Z",
    },
}
COMMANDS = app.list_commands(click.Context(app))
FEW = ("--replications", "4")
VARIED = ("--vary", "max_failed_nodes=0,1")
IN_WORLDS = ("--vary", f"scenario.release.{ODD}.error_rate=0:0.1")
DRAWN, WRITTEN = ("--plot", "p.svg"), ("--out", "o.csv")
# Options that make a command quick, and write every kind of file that it can.
QUICK = {
    "run": [*DRAWN, *WRITTEN, "--records", EVIL, "--records-form", "csv"],
    "watch": ["--save", "film.html"],
    "serve": ["--port", "0"],
    "compare": [*FEW, "--costs", *DRAWN, "--out", f"o{EVIL}.csv"],
    "timelines": ["--until", "10m", "--every", "1m", *FEW, *DRAWN, *WRITTEN, "--store", EVIL],
    "sweep": [*VARIED, *FEW, *DRAWN, *WRITTEN, "--store", EVIL],
    "tradeoff": [*VARIED, *FEW, *DRAWN, *WRITTEN],
    "tune": [*VARIED, *FEW, "--most", "500", "--engine", "compiled", *DRAWN, *WRITTEN],
    "gates": ["--gate", f"{ODD}=pooled", *FEW, "--sizes", "0.1", *DRAWN, *WRITTEN],
    "switches": ["--no-pairs", *FEW, *DRAWN, *WRITTEN, "--store", EVIL],
    "sensitivity": [*IN_WORLDS, "--size", "4", *FEW, *DRAWN, *WRITTEN, "--store", EVIL],
    "discover": [*IN_WORLDS, "--points", "40", *FEW, *DRAWN, *WRITTEN],
    "check": ["--most", "100", *DRAWN, *WRITTEN, "--junit", "j.xml"],
    "rare": [
        *("--event", f"makespan_s > 1 given {ODD}", "--tilt", "start_failure=2", "--replications", "100"),
        *(*DRAWN, *WRITTEN),
    ],
    "forecast": ["--seen", "seen.json", "--replications", "10", *DRAWN, *WRITTEN],
    "advise": ["--seen", "seen.json", "--replications", "10", *DRAWN, *WRITTEN],
    "validate": [],
}
ON_SCENARIOS = [
    name
    for name in COMMANDS
    if name
    not in ("explore", "new", "examples", "backtest", "calibrate", "score", "verify", "import", "schema", "completion")
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with a bad name, with a scenario and a policy of bad names."""
    folder = tmp_path / EVIL
    folder.mkdir()
    for name in ("s", EVIL):
        (folder / f"{name}.yaml").write_text(json.dumps(SCENARIO), encoding="utf-8")
    (folder / "seen.json").write_text(json.dumps(SEEN), encoding="utf-8")
    (folder / f"{EVIL}.json").write_text('{"strategy": "immediate", "health_check": {"deadline": "5m"}}')
    monkeypatch.chdir(folder)
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)
    return folder


def assert_harmless(text):
    """Assert that a text has only characters allowed in a line for people."""
    acting = {letter for letter in set(text) if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert acting <= {"\n", "\t"}
    assert not any(line.startswith(("error: forged", "forged")) for line in text.splitlines())


def assert_harmless_page(page):
    """Assert that a page has one script, which no name can end, and frames in which names are text."""
    assert page.count("</script") == page.count("<script") == 1
    (frames,) = re.findall(r"^const screens = (.*);$", page, re.MULTILINE)
    assert set(re.findall(r"<(\w+)", "".join(json.loads(frames)))) <= {"span"}


def assert_files_are_whole(folder):
    """Read every written file as the format that it claims."""
    for path in folder.rglob("*"):
        match path.suffix:
            case ".svg" | ".xml":
                ET.parse(path)  # noqa: S314 - our own
            case ".csv":
                assert len(pd.read_csv(path))
            case ".html":
                assert_harmless_page(path.read_text(encoding="utf-8"))
            case ".json":
                json.loads(path.read_text(encoding="utf-8"))
            case _:
                continue
        if path.stem != EVIL:
            assert_harmless(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("command", [name for name in ON_SCENARIOS if name != "report"])
def test_odd_names_are_text_everywhere(folder, command):
    """Mathematics, markup and XML in names are shown unchanged in tables, pictures, reports and JSON. [contract]"""
    engine = [] if command in ("run", "watch", "serve", "validate") else ["--engine", "compiled"]
    result = invoke(command, f"{EVIL}.yaml", *QUICK[command], *engine)
    assert result.exit_code in (0, 1, 3), result.stderr
    assert_harmless(result.stdout + result.stderr)
    assert ODD in result.stdout
    assert_files_are_whole(folder)


@pytest.mark.parametrize("form", ["html", "md"])
def test_odd_names_in_a_report(folder, form):
    """A report has no active character, also in its command; its page is one script and one grid. [contract]"""
    invoke("report", f"{EVIL}.yaml", "-o", f"report.{form}", "--replications", 10, "--engine", "compiled")
    text = Path(f"report.{form}").read_text(encoding="utf-8")
    assert_harmless(text)
    assert text.count("<script") == text.count("</script") == (2 if form == "html" else 0)


@pytest.mark.parametrize(
    "command", [name for name in ON_SCENARIOS if name not in ("watch", "serve", "report", "validate")]
)
def test_odd_names_in_json(folder, command):
    """The output of --json is JSON without active characters. [contract]"""
    words = [word for word in QUICK[command] if word not in ("--plot", "p.svg")]
    result = invoke(command, "s.yaml", *words, "--json", *([] if command == "run" else ["--engine", "compiled"]))
    json.loads(result.stdout)
    assert_harmless(result.stdout + result.stderr)


REFUSED = {
    "evil": EVIL,
    "pair": f"{EVIL}={EVIL}",
    "range": f"max_failed_nodes={EVIL}:1:2",
    "json": f"{EVIL}.json",
    "long": "x" * 5000,
    "zero": "a\0b",
}
# Any folder may be made, and any file with a valid suffix written; quick commands do so.
ANY = ("evil", "pair", "range", "json")
ALLOWED = {"store": ANY, "folder": ANY, "records": ANY, "out": ("json",), "write_policy": ("json",)}


def list_parameters():
    """Yield every argument of every command, and every option that takes a value."""
    for name in COMMANDS:
        for parameter in app.get_command(click.Context(app), name).params:
            if not getattr(parameter, "is_flag", False):
                yield pytest.param(name, parameter, id=f"{name} {parameter.name}")


@pytest.mark.parametrize(("name", "parameter"), list(list_parameters()))
def test_every_option_escapes_what_it_refuses(folder, name, parameter):
    """Any invalid text given to an option ends with exit code 2 and a harmless message. [contract]"""
    for kind in [kind for kind in REFUSED if kind not in ALLOWED.get(parameter.name, ())]:
        value = REFUSED[kind]
        if isinstance(parameter, click.Option):
            required = ["--event", "makespan_s > 1"] if name == "rare" and parameter.name != "event" else []
            result = invoke(name, *(["s.yaml"] if name in ON_SCENARIOS else []), *required, parameter.opts[-1], value)
        else:
            result = invoke(name, value, *(["--event", "escaped"] if name == "rare" else []))
        assert_harmless(result.stdout + result.stderr)
        is_there = name != "new" and parameter.name in ("files", "file") and kind == "json"
        assert result.exit_code == (0 if is_there else 2), kind


def test_unknown_commands_and_options_are_harmless(folder):
    """Unknown commands and options are reported in harmless messages. [contract]"""
    for arguments in ([EVIL], ["run", f"--{EVIL}"], ["run", "s.yaml", EVIL], ["validate", EVIL]):
        result = invoke(*arguments)
        assert_harmless(result.stdout + result.stderr)
        assert result.exit_code == 2


def places():
    """Yield every place of a scenario in which a name may stand."""
    fleet = SCENARIO["fleet"]
    yield "name", {"name": EVIL}
    yield "description", {"description": "a\x1b[2J"}
    yield "fleet.classes[0].name", {"fleet": fleet | {"classes": [{"name": EVIL, "share": 0}]}}
    yield f"release.{printable(EVIL)}", {"release": {EVIL: {"probability": 1}}, "requirements": []}
    yield f"policies.{printable(EVIL)}", {"policies": {EVIL: {"strategy": "immediate"}}}
    for key in ("job_id", "job_type", "namespace"):
        yield f"deployment.{key}", {"deployment": {key: EVIL}}
    for key in ("given", "policy", "of"):
        yield f"requirements[0].{key}", {"requirements": [{"of": "escaped", "at_most": 1} | {key: EVIL}]}


@pytest.mark.parametrize(("path", "change"), [pytest.param(*place, id=printable(place[0])) for place in places()])
def test_names_of_a_scenario(tmp_path, path, change):
    """Every unprintable name in a scenario is refused at its place, in YAML and in Python. [contract]"""
    raw = SCENARIO | change
    file = tmp_path / "s.yaml"
    file.write_text(json.dumps(raw), encoding="utf-8")
    _, errors, _ = load(file)
    error = refused(Scenario.from_dict, raw)
    for problems in (errors, error.problems):
        unprintable = [problem for problem in problems if problem.message == "unprintable character"]
        assert [str(problem).partition(f"{path}: ")[1] for problem in unprintable] == [f"{path}: "]
        assert_harmless("\n".join(map(str, problems)))


@pytest.mark.parametrize(
    "character",
    ["\x00", "\x1b", "\n", "\r", "\x85", "\x9b", "\u200b", "\u2028", "\u202e", "\u2066", "\ud800", "\ufeff"],
)
def test_forbidden_characters_of_names(character):
    """Control characters, line breaks, changes of direction, surrogates and invisible characters are refused. [contract]"""
    assert not is_printable(f"a{character}b")
    assert printable(f"a{character}b") == "a" + ascii(character)[1:-1] + "b"
    with pytest.raises(InputError, match=r"unprintable|surrogate"):
        Scenario.from_dict(SCENARIO | {"name": f"a{character}b"})


@pytest.mark.parametrize(
    "name", ["Kanarienvögel", "カナリア", "قناری\u200cها", "👩\u200d🚀", "a\u00a0b", "[red]", "$5"]
)
def test_allowed_characters_of_names(name):
    """Letters of all scripts with their joiners, signs and emoji are allowed. [contract]"""
    assert Scenario.from_dict(SCENARIO | {"name": name}).name == name


def test_names_given_in_python():
    """Unprintable names in arguments of Python calls are refused in harmless messages. [contract]"""
    scenario = Scenario.from_dict(SCENARIO)
    waves = DeploymentSpec(strategy="rolling", health_check={"deadline": "5m"})
    calls = [
        lambda: scenario.with_values({"name": EVIL}),
        lambda: scenario.with_values({f"release.{EVIL}": {"probability": 0}}),
        lambda: sweep({EVIL: scenario}, "x", vary={"fleet.nodes": [4]}, replications=1),
        lambda: sweep(scenario, {EVIL: waves}, vary={"fleet.nodes": [4]}, replications=1),
        lambda: compare_gates(scenario, waves, gates={EVIL: "pooled"}, replications=1),
        lambda: scenario.policy(EVIL),
    ]
    for call in calls:
        assert_harmless(str(refused(call)))


@pytest.mark.parametrize("key", ["id", "job_id", "job_type", "namespace"])
def test_names_in_json(key):
    """Names of a deployment in JSON have the same rules; its message may have several lines. [contract]"""
    deployment = {"spec": {"strategy": "immediate"}, "status": {"message": "a\nb"}, key: EVIL}
    error = refused(parse_deployment, json.dumps({"deployment": deployment}))
    assert [problem.path for problem in error.problems] == [("deployment", key)]
    assert_harmless(str(error))


def test_unknown_keys_in_json_are_escaped():
    """Unknown keys are kept, written with escapes where a terminal would react, and read back. [property]"""
    text = json.dumps({"deployment": {"spec": {"strategy": "immediate"}, "x": EVIL}})
    written = parse_deployment(text).to_json()
    assert_harmless(written)
    assert json.loads(written) == json.loads(text)


def test_a_problem_is_one_line():
    """A problem is one harmless line, whatever its contents. [property]"""
    problem = Problem(EVIL, (EVIL, 0), EVIL, 1, found=EVIL, allowed=EVIL, hint=EVIL)
    assert_harmless(str(problem))
    assert "\n" not in str(problem)
    assert str(InputError([problem, problem])).count("\n") == 1


def test_the_command_to_resume_can_be_pasted():
    """A word with active characters is quoted such that Bash reads it unchanged. [contract]"""
    assert _quote("a b") == "'a b'"
    assert _quote("a'\\\x1b\n") == r"$'a\'\\\x1b\n'"


def test_formulas_in_csv(tmp_path):
    """In CSV an apostrophe precedes text that begins like a formula; numbers and Parquet are unchanged. [contract]"""
    texts = ["=1+1", "+x", "-x", "@x", "-", "a=1", "", "-5.5"]
    frame = pd.DataFrame({"policy": texts, "kind": pd.Categorical(["=a"] * 8), "value": [-1.5] * 8, "n": range(-8, 0)})
    write_table(frame, tmp_path / "t.csv")
    write_table(frame, tmp_path / "t.parquet")
    read = pd.read_csv(tmp_path / "t.csv", keep_default_na=False)
    assert read["policy"].tolist() == ["'=1+1", "'+x", "'-x", "'@x", "-", "a=1", "", "-5.5"]
    assert read["kind"].tolist() == ["'=a"] * 8
    assert read[["value", "n"]].equals(frame[["value", "n"]])
    assert pd.read_parquet(tmp_path / "t.parquet")["policy"].tolist()[:4] == texts[:4]


def test_formulas_of_a_command(folder):
    """A policy named like a formula is text in a table that a command writes. [contract]"""
    invoke("compare", "s.yaml", "--replications", 2, "--engine", "reference", "--out", "o.csv")
    assert set(pd.read_csv("o.csv")["policy"]) == {ODD, f"'{FORMULA}"}
    assert not re.search(r"(^|,)\"?=", Path("o.csv").read_text(encoding="utf-8"), re.MULTILINE)
