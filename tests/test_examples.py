"""The package's examples, `simdeploy examples`, and `simdeploy new`."""

import re
import shlex
from pathlib import Path

import pytest
from invoking import invoke

import simdeploy
from simdeploy import InputError
from simdeploy.scenario import load
from simdeploy.scenario.examples import copy_examples, example_names

ROOT = Path(__file__).resolve().parents[1]
SCENARIOS = ROOT / "scenarios"


def test_examples_are_the_scenarios():
    """Every scenario is an example, is read by its name, and is listed with its description. [contract]"""
    names = [path.stem for path in sorted(SCENARIOS.glob("*.yaml"))]
    assert example_names() == names
    assert simdeploy.load_example("small-fleet") == simdeploy.read_scenario(SCENARIOS / "small-fleet.yaml")
    listed = " ".join(invoke("examples").stdout.split())
    for name in names:
        described = " ".join(simdeploy.load_example(name).description.split())
        assert f"{name} {described}" in listed


def test_an_unknown_example():
    """An unknown example is refused with the names, and the one that was probably meant. [contract]"""
    with pytest.raises(InputError, match=r"no such example .*small-fleet.*did you mean 'small-fleet'"):
        simdeploy.load_example("smal-fleet")
    (message,) = {
        invoke("new", "--like", "smal-fleet", "f.yaml").stderr,
        invoke("new", "--like=smal-fleet", "g.yaml").stderr,
    }
    assert "did you mean 'small-fleet'?" in message


def test_all_examples_are_copied(tmp_path):
    """Every file is written into the given folder; if one exists, nothing is written. [contract]"""
    there = {path.relative_to(SCENARIOS): path.read_bytes() for path in SCENARIOS.rglob("*") if path.is_file()}
    assert invoke("examples", tmp_path / "all").exit_code == 0
    copied = {path.relative_to(tmp_path / "all"): path for path in (tmp_path / "all").rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in copied.items()} == there
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "zone-breaks.yaml").write_text("mine")
    refused = invoke("examples", tmp_path / "some")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "zone-breaks.yaml: exists already" in refused.stderr
    assert [path.read_text() for path in (tmp_path / "some").iterdir()] == ["mine"]


@pytest.mark.parametrize("words", [["examples"], ["new"], ["new", "--like", "small-fleet"]])
def test_a_full_disk_is_bad_input(tmp_path, monkeypatch, words):
    """A full disk gives a one-line message and the exit code of bad input. [contract]"""

    def fails(path, _write):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("simdeploy.output.write_file", fails)
    monkeypatch.setattr("simdeploy.scenario.examples.write_file", fails)
    refused = invoke(*words, tmp_path / ("all" if words == ["examples"] else "f.yaml"))
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "No space left on device" in refused.stderr


def test_an_example_is_no_folder(tmp_path, monkeypatch):
    """Naming an example as the folder shows how to copy it; an existing folder may have any name. [contract]"""
    monkeypatch.chdir(tmp_path)
    refused = invoke("examples", "small-fleet")
    assert (refused.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert "simdeploy new --like small-fleet FILE" in refused.stderr
    Path("small-fleet").mkdir()
    assert invoke("examples", "small-fleet").exit_code == 0


def test_a_missing_example(tmp_path):
    """Naming a shipped scenario that isn't there shows how to get it; other missing files don't. [contract]"""
    assert "simdeploy examples scenarios" in invoke("run", tmp_path / "small-fleet.yaml").stderr
    assert "examples" not in invoke("run", tmp_path / "my-fleet.yaml").stderr


def test_like_an_example(tmp_path):
    """A copy comes with the files that belong to it, and overwrites none. [contract]"""
    assert invoke("new", "--like", "api-response", tmp_path / "mine.yaml").exit_code == 0
    assert (tmp_path / "mine.yaml").read_bytes() == (SCENARIOS / "api-response.yaml").read_bytes()
    assert list(simdeploy.read_scenario(tmp_path / "mine.yaml").policies) == ["as-it-runs", "wider-limits"]
    assert invoke("new", "--like", "night-release", tmp_path / "night.yaml").exit_code == 0
    assert len(list((tmp_path / "night-release").iterdir())) == len(list((SCENARIOS / "night-release").iterdir())) > 0
    (tmp_path / "mine.yaml").unlink()
    refused = invoke("new", "--like", "api-response", tmp_path / "mine.yaml")
    assert (refused.exit_code, "deployment.json: exists already" in refused.stderr) == (2, True)
    assert not (tmp_path / "mine.yaml").exists()
    for option, value, said in (
        ("--nodes", "2,000", "is not a whole number."),
        ("--defective", "5%", "is not a number."),
    ):
        assert f"'{value}' {said}" in invoke("new", option, value, tmp_path / "five.yaml").stderr
    refused = invoke("new", "--like", "small-fleet", "--nodes", 5, tmp_path / "five.yaml")
    assert (refused.exit_code, "--like can't be combined with --nodes" in refused.stderr) == (2, True)


@pytest.mark.parametrize("name", ["fleet", "my fleet", "yes", "1e3", "größe: 3 # x"])
@pytest.mark.parametrize("nodes", [1, 600])
def test_a_new_scenario_has_its_options(tmp_path, name, nodes):
    """Values of options are in the file, which is read without an error or warning, under any name. [contract]"""
    file = tmp_path / f"{name}.yaml"
    assert invoke("new", "--nodes", nodes, "--requests", 0.5, "--defective", 12.5, file).exit_code == 0
    scenario, errors, warnings = load(file)
    assert not errors
    assert not warnings
    assert (scenario.name, scenario.fleet.nodes, scenario.fleet.behaviour.requests_per_second) == (name, nodes, 0.5)
    assert [(kind.name, kind.probability, kind.defective) for kind in scenario.release] == [
        ("good", 0.875, False),
        ("bad", 0.125, True),
    ]
    refused = invoke("new", file)
    assert (refused.exit_code, "exists already" in refused.stderr) == (2, True)


@pytest.mark.parametrize("file", [" .yaml", "a\tb.yaml", "\u202e.yml"])
def test_a_new_scenario_under_an_invalid_name(tmp_path, file):
    """A file whose name can't be a scenario's gets another name inside, and can be read. [contract]"""
    assert invoke("new", "--nodes", 60, tmp_path / file).exit_code == 0
    assert simdeploy.read_scenario(tmp_path / file).name == "scenario"


@pytest.mark.parametrize("file", ["my fleet.yaml", "fleet.yml"])
def test_a_new_scenario_shows_what_to_try(tmp_path, file):
    """The command in the comment of a new scenario names its file, quoted if necessary. [contract]"""
    invoke("new", "--nodes", 60, tmp_path / file)
    [command] = re.findall("simdeploy compare .*", (tmp_path / file).read_text(encoding="utf-8"))
    assert shlex.split(command) == ["simdeploy", "compare", str(tmp_path / file)]


def test_requirements_of_a_new_scenario_can_be_used(tmp_path):
    """Uncommented, they are valid requirements. [contract]"""
    file = tmp_path / "fleet.yaml"
    invoke("new", "--nodes", 60, file)
    before, mark, requirements = file.read_text(encoding="utf-8").partition("# requirements:")
    requirements, _, policies = requirements.partition("\npolicies:")
    file.write_text(f"{before}{(mark + requirements).replace('# ', '')}\npolicies:{policies}", encoding="utf-8")
    assert [str(each) for each in simdeploy.read_scenario(file).requirements] == [
        "false_alarm given good <= 0.02",
        "p95 makespan_s <= 14400",
    ]


@pytest.mark.parametrize("is_terminal", [False, True])
def test_questions(tmp_path, monkeypatch, is_terminal):
    """Missing options are asked for until valid; without a terminal defaults are used. [contract]"""
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: is_terminal)
    asked = invoke("new", "--requests", 3, tmp_path / "f.yaml", input="many\n250\n\n")
    scenario = simdeploy.read_scenario(tmp_path / "f.yaml")
    assert scenario.fleet.nodes == (250 if is_terminal else 100)
    assert float(scenario.release[1].probability) == 0.05
    assert asked.stderr.count("?") == (3 if is_terminal else 0)  # the number of nodes twice
    assert "?" not in asked.stdout  # which with some versions of click includes the input


def test_copies_are_complete(tmp_path):
    """Every copied scenario can be read in its new place. [property]"""
    for path in copy_examples(tmp_path):
        if path.suffix == ".yaml":
            assert not load(path)[1]
