"""Expanso's jobs and deployments as policies."""

from __future__ import annotations

import json

import pytest
import yaml
from foreign import notes, refusal

import simdeploy
from simdeploy.dialects import read_policy
from simdeploy.scenario.policies import parse_policy

SPEC = {
    "strategy": "canary",
    "max_parallel": 20,
    "canary_count": 2,
    "auto_promote": True,
    "max_failed_nodes": 3,
    "no_auto_rollback": True,
    "health_check": {"deadline": "5m", "max_error_rate": 0.05},
}
ROLLOUT = {**SPEC, "health_check": {"deadline": 300 * 10**9, "success_threshold": 4}}
STATUS = {"state": "completed", "total_nodes": 50}
BODY = {"deployment": {"id": "d-1", "type": "update", "spec": SPEC, "status": STATUS}}
EXAMPLE = """\
name: collect
type: pipeline
deployment:
  strategy: rolling
  max_parallel: 3
  health_check:
    type: http
    endpoint: /ping
    interval: 30s
  auto_rollback: true
config:
  input: {}
"""


FORMS = [
    ({"name": "j", "deployment": SPEC}, "deployment", SPEC),
    ({"name": "j", "rollout": ROLLOUT}, "rollout", ROLLOUT),
    ({"job": {"name": "j", "rollout": ROLLOUT}}, "rollout", ROLLOUT),
    (BODY, "deployment", SPEC),
    (BODY["deployment"], "deployment", SPEC),
    ({"rollout": {"spec": ROLLOUT}}, "rollout", ROLLOUT),
    (SPEC, "deployment", SPEC),
    ({"dialect": "rollout", "strategy": "immediate"}, "rollout", {"strategy": "immediate"}),
]


@pytest.mark.parametrize(("data", "dialect", "spec"), FORMS)
@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump])
def test_each_form_keeps_its_dialect(data: dict, dialect: str, spec: dict, write) -> None:
    """A job, a GET body, a deployment or a spec gives the policy in its own dialect, for the scenario's switches. [contract]"""
    imported = read_policy(write(data) + "\n\n")
    assert imported.kind == "expanso"
    assert imported.policy == {"dialect": dialect, **spec}
    assert imported.orchestrator == {}


def test_a_body_states_the_number_of_nodes() -> None:
    """`status.total_nodes` is used unless the caller gives a number. [contract]"""
    text = json.dumps(BODY)
    assert (read_policy(text).nodes, read_policy(text, nodes=7).nodes) == (50, 7)
    assert notes(read_policy(text))["deployment.status.total_nodes"][:2] == ("exact", "50 nodes")


def test_the_published_examples_are_translated() -> None:
    """`auto_rollback` is inverted, a probe is noted, and a note states the assumed deadline. [contract]"""
    imported = read_policy(EXAMPLE)
    assert imported.policy == {
        "dialect": "deployment",
        "strategy": "rolling",
        "max_parallel": 3,
        "no_auto_rollback": False,
        "health_check": {"deadline": "5m"},
    }
    found = notes(imported)
    assert found["deployment.auto_rollback"][::2] == ("exact", 10)
    assert found["deployment.health_check.type"][::2] == ("none", 7)
    assert found["deployment.health_check.endpoint"][::2] == ("none", 8)
    assert found["deployment.health_check.interval"][::2] == ("approximate", 9)
    assert found["deployment.health_check.deadline"][::2] == ("approximate", None)
    assert read_policy(EXAMPLE.replace("true", "false")).policy["no_auto_rollback"] is True


def test_fields_and_defaults_have_notes() -> None:
    """Fields have notes with lines, defaults without; unknown fields are noted as ignored. [contract]"""
    imported = read_policy(json.dumps({"name": "j", "deployment": {**SPEC, "surge": 2}}, indent=1))
    found = notes(imported)
    for number, key in enumerate(SPEC):
        if key != "health_check":
            assert found[f"deployment.{key}"][::2] == ("exact", 4 + number)
    assert found["deployment.surge"][0] == "none"
    assert found["deployment.max_failed_nodes_percent"] == ("exact", "not given: 10.0", None)
    assert found["deployment.health_check.min_healthy_time"] == ("exact", "not given: 30s", None)
    assert "surge" not in imported.policy


def test_unknown_fields_are_noted_in_the_order_of_the_file() -> None:
    """Unknown fields have notes in the file's order, not in that of a set. [contract]"""
    unknown = [f"more{number}" for number in range(20)]
    imported = read_policy(json.dumps({"name": "j", "deployment": {**SPEC, **dict.fromkeys(unknown, 1)}}))
    left_out = [note.field for note in imported.notes if note.fidelity == "none"]
    assert left_out == [f"deployment.{key}" for key in unknown]


def test_the_same_number_means_what_its_dialect_says() -> None:
    """20 is a number of nodes in one dialect, a percent in the other; the notes say which. [contract]"""
    meant = {"deployment": "20: nodes in a wave; 0: all at once", "rollout": "20: percent of the nodes in a wave"}
    for key, spec in (("deployment", SPEC), ("rollout", ROLLOUT)):
        assert notes(read_policy(json.dumps({key: spec})))[f"{key}.max_parallel"][1] == meant[key]


def test_another_type_of_deployment_is_left_to_the_scenario() -> None:
    """A note says that the scenario states the type, as a policy can't. [contract]"""
    body = {"deployment": {**BODY["deployment"], "type": "rollback"}}
    assert notes(read_policy(json.dumps(body)))["deployment.type"][0] == "approximate"


def test_deployments_in_a_scenario_are_read_as_before() -> None:
    """A file that is a deployment keeps its type, ids and versions; a job is imported. [contract]"""
    document = parse_policy(json.dumps(BODY), file="a.json")
    assert document.deployment.id == "d-1"
    assert parse_policy(EXAMPLE, file="job.yaml").kind == "expanso"
    for text in ("strategy: rolling\nhealth_check: {deadline: 5m}\n", "dialect: rollout\nstrategy: immediate\n"):
        assert not hasattr(parse_policy(text, file="a.yaml"), "kind")


def test_an_import_can_be_simulated(tmp_path) -> None:
    """A scenario takes the policy, and the file itself. [contract]"""
    (tmp_path / "job.yaml").write_text(EXAMPLE)
    fleet = "name: s\nfleet: {nodes: 6, update_duration: 30s}\nrelease: {good: {probability: 1}}\n"
    (tmp_path / "fleet.yaml").write_text(fleet + "policies: {mine: {file: job.yaml}}\n")
    scenario = simdeploy.read_scenario(tmp_path / "fleet.yaml")
    for policy in ("mine", read_policy(EXAMPLE).policy):
        assert simdeploy.simulate(scenario, policy).responses["state"] == "completed"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (EXAMPLE.replace("rolling", "roling"), "line 4: deployment.strategy: unknown value (found 'roling')"),
        (EXAMPLE.replace("parallel: 3", "parallel: x"), "line 5: deployment.max_parallel: not a whole number"),
        (EXAMPLE.replace("30s", "soon"), "line 9: deployment.health_check.interval: not a duration"),
        ('{\n "rollout": {"strategy": "rolling"}\n}', "line 2: rollout.health_check: rolling needs a health check"),
        ('{"strategy": "immediate"}', "the dialect is ambiguous"),
        (
            EXAMPLE.replace("interval: 30s", "min_healthy_time: 10m\n    deadline: 1m"),
            "line 10: deployment.health_check.deadline: no node can become healthy in time: min_healthy_time needs 10m",
        ),
        (
            EXAMPLE.replace("interval: 30s", "deadline: 25s"),
            "line 9: deployment.health_check.deadline: no node can become healthy in time: the default min_healthy_time needs 30s",
        ),
        (
            json.dumps({"rollout": {**ROLLOUT, "health_check": {"deadline": 39 * 10**9, "success_threshold": 4}}}),
            "success_threshold needs 40s (found 39000000000); allowed: at least 40000000000 (40s)",
        ),
        ("a: 1\nb: 2\n", "nothing of the kind"),
        ("# nothing\n---\n", "nothing of the kind"),
    ],
)
def test_bad_values_have_a_line_and_a_field(text: str, problem: str) -> None:
    """A bad value is refused with its line, its field and the reason. [contract]"""
    assert any(problem in found for found in refusal(text, kind="expanso"))


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"strategy": "rolling", "health_chek": {"deadline": 10**9}},
            "found 'health_chek': did you mean 'health_check'?",
        ),
        ({"strategy": "rolling", "health_check": {"deadlin": 10**9}}, "found 'deadlin': did you mean 'deadline'?"),
    ],
)
def test_a_misspelt_key_does_not_make_the_dialect_ambiguous(spec: dict, problem: str) -> None:
    """A misspelt key may be the one that determines the dialect. [contract]"""
    for data in (spec, {"spec": spec}, {"rollout": {"spec": spec}}):
        (found,) = refusal(json.dumps(data, indent=1))
        assert found.endswith(problem)


def test_keys_of_both_dialects_are_reported_with_their_places() -> None:
    """Below a wrapper, the key that doesn't belong to its dialect is reported. [contract]"""
    check = {**ROLLOUT["health_check"], "min_healthy_time": "30s"}
    (found,) = refusal(json.dumps({"rollout": {"spec": {**ROLLOUT, "health_check": check}}}, indent=1))
    assert "rollout.spec.health_check.min_healthy_time: keys of both dialects" in found
    assert "write it as the rollout dialect does, or the key around it as 'deployment'" in found


def test_a_deadline_equal_to_the_healthy_time_is_possible() -> None:
    """Windows may be as short as the scenario states; immediate rollouts don't wait for health. [contract]"""
    text = EXAMPLE.replace("interval: 30s", "min_healthy_time: 31s\n    deadline: 31s")
    assert read_policy(text).policy["health_check"] == {"min_healthy_time": "31s", "deadline": "31s"}
    at_once = {"strategy": "immediate", "health_check": {"deadline": "1s"}}
    assert read_policy(json.dumps({"deployment": at_once})).policy["strategy"] == "immediate"


def test_one_of_several_jobs_is_chosen() -> None:
    """The documents of a file are jobs by name, or by number; the first is read unless another is chosen. [contract]"""
    text = yaml.safe_dump_all([{"name": "a", "deployment": SPEC}, {"deployment": {**SPEC, "max_parallel": 7}}])
    first, second = read_policy(text), read_policy(text, variables={"job": "2"})
    assert (first.policy["max_parallel"], second.policy["max_parallel"]) == (20, 7)
    assert notes(first)["job"][1] == "a, the first in the file; --var job=NAME chooses one of a, 2"
