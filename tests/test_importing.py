"""Importing: recognition, problems, the command, and imported files in place of policy files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from every_result import FLEET_POLICY
from invoking import invoke
from refusals import refused

from simdeploy import InputError, Scenario, read_policy, read_scenario, simulate

SCENARIO = """
name: twenty
fleet: {nodes: 20, update_duration: 30s}
policies:
  theirs: {file: policy.yaml}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(FLEET_POLICY)
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    return tmp_path


def test_text_and_path_mean_the_same(folder: Path) -> None:
    """A text of several lines is contents, anything else names a file. [contract]"""
    by_text, by_path = read_policy(FLEET_POLICY), read_policy(folder / "policy.yaml")
    assert by_text.policy == by_path.policy
    assert (by_text.file, by_path.file) == (None, str(folder / "policy.yaml"))
    assert by_text.kind == "flightctl"


def test_the_policy_carries_its_orchestrator() -> None:
    """An imported policy means the same in any scenario. [contract]"""
    imported = read_policy(FLEET_POLICY)
    assert imported.policy["orchestrator"] == imported.orchestrator
    assert imported.policy["dialect"] == "general"
    assert json.loads(json.dumps(imported.policy)) == imported.policy


def test_an_imported_policy_is_a_policy(folder: Path) -> None:
    """An imported policy can be given as an object, as plain data, or by a file that a scenario names. [contract]"""
    scenario = read_scenario(folder / "scenario.yaml")
    imported = read_policy(FLEET_POLICY)
    waves = [simulate(scenario, policy).responses["waves"] for policy in ("theirs", imported, imported.policy)]
    assert waves == [3, 3, 3]
    assert scenario.orchestrator_of(scenario.policy("theirs")).failed_percent_of == "wave"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Feet\nspec: {}\n", "not a policy in any format that can be imported"),
        ("kind: [Fleet\nspec: {}\n", "not valid YAML"),
        ('{"kind": "Fleet",\n "spec": }', "not valid JSON"),
        ("a: &a [1]\nb: [*a, *c]\n", "an alias (*name) without its anchor (&name)"),
        ("kind: Fleet\nspec:\n\tx: 1\n", "line 3: not valid YAML: a character not allowed here (a tab"),
        ("kind: Fleet\n  spec: {}\n", "line 2: not valid YAML: wrong indentation"),
        ("kind: Fleet\nspec: {}\nspec: {}\n", "duplicate key"),
        ("[" * 200 + "]" * 200 + "\n\n", "nested deeper"),
    ],
)
def test_text_in_no_format(text: str, message: str) -> None:
    """Text that is neither YAML nor JSON is refused with reason and place. [contract]"""
    assert message in str(refused(read_policy, text))


@pytest.mark.parametrize("first", ["{}", "[1]", '{"kind": "Service"}\n---\n{}'])
def test_documents_in_flow_style(first: str) -> None:
    """Documents of YAML may be written as JSON, the first one, too. [contract]"""
    fleet = json.dumps(yaml.safe_load(FLEET_POLICY))
    for text in (f"{first}\n---\n{fleet}\n", f"{fleet}\n--- \n{first}"):
        imported = read_policy(text)
        assert imported.policy == read_policy(FLEET_POLICY).policy
        assert {note.line for note in imported.notes} - {None} == {text[: text.index(fleet)].count("\n") + 1}


def test_aliases_cannot_explode() -> None:
    """Ten levels of ten aliases are counted as 10^10 values without making them. [contract]"""
    levels = ["a0: &a0 [x]"] + [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 11)]
    assert "more than 100,000 values" in str(refused(read_policy, "\n".join(["kind: Fleet", *levels])))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "fligtctl"}, "did you mean 'flightctl'"),
        ({"nodes": 0}, "not a number of nodes"),
        ({"variables": {"batch": 3}}, "no such variable"),
    ],
)
def test_bad_arguments(given: dict, message: str) -> None:
    """Invalid kinds, numbers and variables are refused. [contract]"""
    assert message in str(refused(read_policy, FLEET_POLICY, **given))


def test_all_problems_at_once_with_lines() -> None:
    """All bad values are reported with line and field. [contract]"""
    text = FLEET_POLICY.replace("BatchSequence", "Batches").replace("50%", "half")
    error = refused(read_policy, text)
    assert [(problem.line, problem.path[-1]) for problem in error.problems] == [(5, "strategy"), (5, "limit")]


def test_the_command_writes_a_scenario(folder: Path) -> None:
    """The written scenario is valid, states its assumptions, and has the given number of nodes. [contract]"""
    out = folder / "made.yaml"
    done = invoke("import", folder / "policy.yaml", "--nodes", "30", "-o", out)
    assert done.exit_code == 0
    assert done.stdout.startswith("A flightctl policy for 30 nodes, strategy rolling.")
    scenario = read_scenario(out)
    assert scenario.fleet.nodes == 30
    assert scenario.policy().spec.to_dict()["waves"][-1] == {"until": "100%"}
    assert "# assumed" in out.read_text()


def test_a_scenario_needs_the_number_of_nodes(folder: Path) -> None:
    """If the file doesn't state it, the message says what to pass. [contract]"""
    done = invoke("import", folder / "policy.yaml", "-o", folder / "made.yaml")
    assert done.exit_code == 2
    assert "pass --nodes N" in done.stderr
    assert not (folder / "made.yaml").exists()


def test_written_scenarios_suit_the_default_windows(folder: Path) -> None:
    """A healthy time that needs shorter windows is refused with the line of the imported file. [contract]"""
    job = "deployment:\n  strategy: rolling\n  health_check:\n    deadline: 35s\n    min_healthy_time: 31s\n"
    (folder / "job.yaml").write_text(job)
    done = invoke("import", folder / "job.yaml", "--nodes", "6", "-o", folder / "made.yaml")
    assert done.exit_code == 2
    assert "job.yaml:4: health_check.deadline: no node can become healthy in time" in done.stderr
    assert not (folder / "made.yaml").exists()


@pytest.mark.parametrize(("given", "zones"), [((), 3), (("--var", "zones=4"), 4)])
def test_zones_that_the_policy_needs_are_written(tmp_path: Path, given: tuple[str, ...], zones: int) -> None:
    """The scenario has the given number of zones, otherwise an assumed one. [contract]"""
    least = {"type": "HOST_COUNT", "value": 1}
    zonal = {"monitorDurationInSeconds": 60, "minimumHealthyHostsPerZone": least}
    config = {"computePlatform": "Server", "minimumHealthyHosts": {**least, "value": 6}, "zonalConfig": zonal}
    (tmp_path / "zonal.json").write_text(json.dumps(config))
    done = invoke("import", tmp_path / "zonal.json", "--nodes", "12", *given, "-o", tmp_path / "made.yaml")
    assert done.exit_code == 0
    fleet = read_scenario(tmp_path / "made.yaml").fleet
    assert (fleet.order, fleet.zones) == ("zone", zones)
    assert ("zones: 3  # assumed" in (tmp_path / "made.yaml").read_text()) == (not given)


@pytest.mark.parametrize("name", [" .yaml", "a\x01b.yaml"])
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_file_with_an_invalid_name(folder: Path, name: str) -> None:
    """If the file's name can't be a scenario's, the scenario is named after the file's kind. [contract]"""
    (folder / "policy.yaml").rename(folder / name)
    assert invoke("import", folder / name, "--nodes", "30", "-o", folder / "made.yaml").exit_code == 0
    assert read_scenario(folder / "made.yaml").name == "flightctl"


def test_validate_names_the_kind(folder: Path) -> None:
    """`validate` names the kind of a foreign file, and how to use it. [contract]"""
    done = invoke("validate", folder / "policy.yaml")
    assert done.exit_code == 0
    assert "A flightctl policy, strategy rolling" in done.stdout
    assert "Use it with --policy" in done.stdout


def test_a_misspelt_field_is_reported_by_every_command(folder: Path) -> None:
    """Commands that simulate, and those that only read, warn about it. [contract]"""
    (folder / "policy.yaml").write_text(f"{FLEET_POLICY}    succesThreshold: 80%\n")
    words = "not a field that this importer knows; did you mean 'successThreshold'?"
    for done in (invoke("validate", folder / "policy.yaml"), invoke("validate", folder / "scenario.yaml")):
        assert done.exit_code == 0
        assert "warning: " in done.stderr
        assert words in done.stderr


def test_a_missing_variable_is_given_to_import(folder: Path) -> None:
    """Commands without --var say that it is an option of import. [contract]"""
    job = 'job "a" {\n  group "g" {\n    count = 4\n    update {\n      max_parallel = var.p\n    }\n  }\n}\n'
    (folder / "policy.yaml").write_text(job)
    for file in ("policy.yaml", "scenario.yaml"):
        output = invoke("validate", folder / file).stderr
        assert "policy.yaml:5: group.g.update.max_parallel: not evaluated: " in output
        assert output.rstrip().endswith("; --var is an option of simdeploy import")


def test_names_in_a_file_forge_no_line(folder: Path) -> None:
    """Names can't forge lines on the terminal or in the written scenario. [contract]"""
    names = r'"a\nerror: fake": {image: a, deploy: {update_config: {"\e[2J": 1}}}, "b\e]0;T\a": {image: b}'
    (folder / "stack.yaml").write_text(f"services: {{{names}}}\n")
    done = invoke("import", folder / "stack.yaml", "--nodes", "3", "-o", folder / "made.yaml")
    assert done.exit_code == 0
    for text in (done.stdout, done.stderr, (folder / "made.yaml").read_text()):
        assert "\nerror: fake" not in text
        assert "\x1b" not in text
    assert r"a\nerror: fake" in done.stdout


def test_a_variable_has_a_name_and_a_value(folder: Path) -> None:
    """A variable without a value is a usage error. [contract]"""
    done = invoke("import", folder / "policy.yaml", "--var", "batch")
    assert done.exit_code == 2
    assert "name=value" in done.stderr


def test_problems_of_a_named_file_are_those_of_the_scenario(folder: Path) -> None:
    """A problem in a policy's file that a scenario names has that file's name and line. [contract]"""
    (folder / "policy.yaml").write_text(FLEET_POLICY.replace("50%", "half"))
    with pytest.raises(InputError, match=r"policy\.yaml:5: .*limit"):
        read_scenario(folder / "scenario.yaml")


def test_a_scenario_overrides_the_orchestrator_of_a_file(folder: Path) -> None:
    """A key beside the file's name overrides it. [contract]"""
    text = SCENARIO.replace("{file: policy.yaml}", "{file: policy.yaml, orchestrator: expanso}")
    (folder / "scenario.yaml").write_text(text)
    scenario: Scenario = read_scenario(folder / "scenario.yaml")
    assert scenario.orchestrator_of(scenario.policy()).failed_percent_of == "fleet"


def test_the_imported_file_is_not_overwritten(tmp_path: Path) -> None:
    """Writing the scenario over the imported file is refused. [contract]"""
    file = tmp_path / "deployment.yaml"
    text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 4, template: {}}\n"
    file.write_text(text)
    done = invoke("import", file, "-o", tmp_path / "." / "deployment.yaml")
    assert done.exit_code == 2
    assert "would overwrite the file that is imported" in done.stderr
    assert file.read_text() == text


def test_simdeploys_own_policies_need_no_import() -> None:
    """A policy in simdeploy's own form is refused with the option to use instead. [contract]"""
    error = refused(read_policy, "dialect: general\nstrategy: immediate\n")
    assert "needs no import: use it with --policy" in str(error)


def test_values_of_a_helm_chart_are_refused() -> None:
    """The values of a chart, also those of a Rollout, are refused with the command that makes a manifest of them. [contract]"""
    canary = "{canary: {steps: [{setWeight: 20}]}}"
    for text in (
        "replicaCount: 3\nimage: {}\n",
        f"a: 1\nstrategy: {canary}\n",
        f"a: 1\nrollout: {{strategy: {canary}}}\n",
    ):
        assert "import what helm template prints" in str(refused(read_policy, text))
    assert "helm" not in str(refused(read_policy, f"kind: Rollout\nspec: {{strategy: {canary}}}\n"))
