"""Mutated files of other orchestrators are recognised by kind, and become a policy or a list of problems."""

import contextlib
import json
import os
import re

import pytest
from dialects import (
    test_ansible,
    test_argo_rollouts,
    test_aws_iot,
    test_codedeploy,
    test_ecs,
    test_expanso,
    test_flagger,
    test_flightctl,
    test_kubernetes,
    test_nomad,
    test_service_fabric,
    test_swarm,
)
from foreign import recognised_as, refusal
from fuzzing.cases import ACCEPTED, REFUSED, run_cases
from fuzzing.guards import limited
from fuzzing.policy_files import PolicyFiles

from simdeploy.dialects import KINDS, read_policy
from simdeploy.errors import InputError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="alarms and limits are those of Unix")

# Fixed, unless `make fuzz` says otherwise.
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
CASES = int(os.environ.get("FUZZ_CASES", "170"))
FILES = {
    "ansible": [test_ansible.PLAY],
    "argo-rollouts": [test_argo_rollouts.INLINE, test_argo_rollouts.BACKGROUND, test_argo_rollouts.BLUE_GREEN],
    "aws-iot": [test_aws_iot.JOB, test_aws_iot.TEMPLATE, test_aws_iot.DEPLOYMENTS],
    "codedeploy": [
        test_codedeploy.CONFIG,
        test_codedeploy.TEMPLATE,
        test_codedeploy.GROUPS,
        test_codedeploy.FUNCTIONS + test_codedeploy.OWN_SHIFT,
        test_codedeploy.predefined("HalfAtATime"),
    ],
    "ecs": [test_ecs.SERVICE, test_ecs.TEMPLATE],
    "expanso": [test_expanso.EXAMPLE, *(json.dumps(form[0]) for form in test_expanso.FORMS)],
    "flagger": [test_flagger.CANARY + test_flagger.DEPLOYMENT],
    "flightctl": [test_flightctl.FLEET],
    "kubernetes": [test_kubernetes.DEPLOYMENT, test_kubernetes.DAEMONS, test_kubernetes.STATEFUL],
    "nomad": [test_nomad.job(test_nomad.FULL), *test_nomad.TWINS],
    "service-fabric": [test_service_fabric.REST, test_service_fabric.ARM, test_service_fabric.parameters()],
    "swarm": [test_swarm.STACK],
}


# A file of each kind, one of its fields, and that field misspelt.
SLIPS = [
    (test_ansible.playbook("max_fail_percentage: 5"), "max_fail_percentage", "max_fail_percent"),
    (test_argo_rollouts.CANARY, "steps", "step"),
    (test_aws_iot.JOB, "abortConfig", "abortConfg"),
    (test_aws_iot.JOB, "maximumPerMinute", "maximumPerMinutes"),
    (test_codedeploy.CONFIG, "monitorDurationInSeconds", "monitorDurationInSecond"),
    (test_ecs.SERVICE, "deploymentConfiguration", "deploymentConfiguraton"),
    (test_ecs.SERVICE, "enable", "enabled"),
    (test_expanso.EXAMPLE, "max_parallel", "max_paralel"),
    (test_flagger.CANARY, "threshold", "treshold"),
    (test_flagger.CANARY, "analysis", "anlysis"),
    (test_flightctl.FLEET, "rolloutPolicy", "rollOutPolicy"),
    (test_flightctl.FLEET, "successThreshold", "succesThreshold"),
    (test_kubernetes.DEPLOYMENT, "rollingUpdate", "rollingupdate"),
    (test_kubernetes.DEPLOYMENT, "minReadySeconds", "minReadySecond"),
    (test_kubernetes.DAEMONS, "updateStrategy", "strategy"),
    (test_nomad.job(test_nomad.FULL), "max_parallel", "max_paralel"),
    (test_nomad.job(test_nomad.FULL), "update", "updat"),
    (test_nomad.job(test_nomad.FULL), "type", "typ"),
    (test_service_fabric.parameters(), "FailureAction", "FailureActon"),
    (test_swarm.STACK, "update_config", "update_confg"),
    (test_swarm.STACK, "parallelism", "paralellism"),
]

FALSE = {"Fn::Equals": ["a", "b"]}  # a condition of CloudFormation

# Near misses.
NO_FILES = [
    {"taskDefinition": "web:2"},
    {"FailureAction": "Rollback"},
    {"services": {"web": {"port": 80}}},
    {"services": ["web"]},
    ["just", "a list"],
    {"dialect": "general", "strategy": "immediate"},
    {"fleet": {"nodes": 3}, "deployment": {"type": "update"}},
    {"apiVersion": "example.org/v1", "kind": "Rollout", "spec": {"strategy": "canary"}},
]


def test_every_kind_is_mutated():
    """There are files of every kind. [contract]"""
    assert set(FILES) == set(KINDS)


@pytest.mark.parametrize("kind", FILES)
def test_files_are_recognised_as_nothing_else(kind):
    """Each file is recognised as its kind, and as no other. [contract]"""
    assert [recognised_as(text) for text in FILES[kind]] == [[kind]] * len(FILES[kind])


@pytest.mark.parametrize(("text", "field", "slip"), SLIPS, ids=[slip for _, _, slip in SLIPS])
def test_a_misspelt_field_is_a_warning(text, field, slip):
    """A misspelt field's note suggests the correct name, with its line; no correct field is taken for misspelt. [contract]"""
    before = [note for note in read_policy(text, nodes=20).notes if note.warning and "did you mean" in note.warning]
    broken = re.sub(rf"\b{field}\b", slip, text, count=1)
    found = [note for note in read_policy(broken, nodes=20).notes if note.warning and "did you mean" in note.warning]
    (note,) = found
    line = next(number for number, words in enumerate(broken.splitlines(), 1) if re.search(rf"\b{slip}\b", words))
    assert (before, note.field.rpartition(".")[2], note.line) == ([], slip, line)
    assert note.text.endswith(f"did you mean '{field}'?")


def test_one_is_singular():
    """Notes on files whose numbers are all 1, as far as these are valid, use the singular. [contract]"""
    texts = []
    for text in (text for kind in FILES for text in FILES[kind]):
        with contextlib.suppress(InputError):
            one = read_policy(re.sub(r"(?<=[:= ])\d+(?=[,\s}\]])", "1", text), nodes=1)
            texts += [note.text for note in one.notes if re.search(r"(?<![\d,.])1 [a-z]+\b", note.text)]
    assert len(texts) > 20
    assert not [words for words in texts if re.search(r"(?<!of )(?<![\d,.])1 [a-z]+s\b", words)]


@pytest.mark.parametrize("data", NO_FILES, ids=str)
def test_similar_files_are_not_recognised(data):
    """A file that only resembles some kind is recognised as none. [contract]"""
    assert recognised_as(json.dumps(data, indent=1)) == []


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    "text",
    ["{}", '{"a": 1}', "# empty\n# still\n", "---\n---\n", "- 1\n- 2\n", "# 3\n3\n", "[]\n\n"],
)
def test_a_file_of_no_kind_is_refused(kind, text):
    """A file given with a kind that it isn't is refused with what is allowed, or because it is no HCL. [contract]"""
    with pytest.raises(InputError, match=r"^(no |nothing of the kind|line 1: no job).*; allowed: |not valid HCL"):
        read_policy(text, kind)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_cannot_be_parsed_is_refused_with_the_place(kind):
    """A file given with its kind is refused with the syntax error and its line. [contract]"""
    (problem,) = refusal("apiVersion: v1\nkind: Deployment\nspec: {a: [1\n", kind=kind)
    assert problem.startswith("line 1: not valid HCL" if kind == "nomad" else "line 4: not valid YAML")


@pytest.mark.parametrize(
    "spec",
    ["{replicas: " + "9" * 5000 + "}", "{strategy: 2026-13-45}", f"{{{'a.' * 100_000}: 1}}", json.dumps({f"k{n}": n for n in range(20_000)})],
    ids=["digits", "day", "dots", "keys"],
)  # fmt: skip
def test_oversized_values_are_refused_at_once(spec):
    """Numbers with thousands of digits, impossible dates and endless keys take neither time nor memory. [contract]"""
    with limited(10), contextlib.suppress(InputError):
        read_policy(f"apiVersion: apps/v1\nkind: Deployment\nspec: {spec}\n")


@pytest.mark.parametrize(
    ("text", "change"),
    [
        (test_swarm.STACK, ("delay: 10s", f"delay: '{'${a-' * 20_000}'")),
        (test_kubernetes.DEPLOYMENT, ("replicas: 10", f"replicas: '{'${a-' * 20_000}'")),
        (test_codedeploy.TEMPLATE, ("!Ref Healthy", f"!Sub '{'${' * 40_000}'")),
        (test_argo_rollouts.TEMPLATE, ("result[0] >= {{args.least}}", f"'{'1' * 40_000}'")),
        (test_argo_rollouts.TEMPLATE, ("name: success-rate", f"name: {'seconds' * 6_000}")),
    ],
    ids=["swarm", "kubernetes", "codedeploy", "argo-rollouts", "metric"],
)
def test_texts_that_begin_many_times_are_read_at_once(text, change):
    """A text in which the beginning of a variable or number occurs thousands of times takes no time. [contract]"""
    assert change[0] in text
    with limited(10), contextlib.suppress(InputError):
        read_policy(text.replace(*change), nodes=10)


@pytest.mark.parametrize(("n", "times"), [(40, 2), (2000, 1)], ids=["twice", "long chain"])
def test_conditions_of_conditions_are_evaluated_at_once(n, times):
    """Conditions of CloudFormation may contain the one before twice, or make a long chain. [contract]"""
    conditions = {f"C{i}": {"Fn::And": [{"Condition": f"C{i - 1}"}] * times + [FALSE]} for i in range(1, n)}
    count = {"Fn::If": [f"C{n - 1}", 3, 4]}
    service = {"Type": "AWS::ECS::Service", "Properties": {"DesiredCount": count, "DeploymentConfiguration": {}}}
    template = {"Conditions": {"C0": FALSE, **conditions}, "Resources": {"Web": service}}
    with limited(10):
        assert read_policy(json.dumps(template)).nodes == 4


@pytest.mark.parametrize("kind", FILES)
def test_mutated_files_give_problems_or_policies(kind, tmp_path, monkeypatch, record_property):
    """Any content of a field gives a message or a policy that a scenario accepts, never a traceback. [property]"""
    monkeypatch.chdir(tmp_path)
    target = PolicyFiles(kind, FILES[kind], tmp_path)
    tally = run_cases(target, range(FIRST, FIRST + CASES))
    record_property("fuzzed", tally.table(target))
    assert not tally.failures, tally.describe_failures(target)
    if len(target.mutators) < CASES:
        assert min(tally.count(ACCEPTED), tally.count(REFUSED)) > CASES / 10, tally.outcomes
