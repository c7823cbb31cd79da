"""Importing Deployments, DaemonSets and StatefulSets of Kubernetes."""

import json

import pytest
from foreign import assert_one_problem, notes_of, refusal, replace_all, roll_out

import simdeploy
from simdeploy.dialects import read_policy

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 10
  minReadySeconds: 20
  progressDeadlineSeconds: 300
  revisionHistoryLimit: 3
  selector: {matchLabels: {app: shop}}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 3
      maxUnavailable: 20%
  template:
    spec:
      containers: [{name: shop, image: "shop:2"}]
"""
DAEMONS = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  updateStrategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 10%}
  template:
    spec: {}
"""
STATEFUL = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store}
spec:
  replicas: 5
  podManagementPolicy: OrderedReady
  updateStrategy:
    type: RollingUpdate
    rollingUpdate: {partition: 3, maxUnavailable: 50%}
  template:
    spec: {}
"""


def deployment(surge, unavailable, replicas=10):
    names = {"replicas: 10": replicas, "maxSurge: 3": surge, "maxUnavailable: 20%": unavailable}
    return replace_all(DEPLOYMENT, {before: f"{before.partition(':')[0]}: {now}" for before, now in names.items()})


@pytest.mark.parametrize(
    ("surge", "unavailable", "expected"),
    [("200%", 0, (10, 10)), ("100%", "50%", (10, 5)), (3, "100%", (10, None)), (8, 4, (10, 6)), (0, 40, (10, None))],
)
def test_no_more_nodes_are_in_flight_than_there_are(surge, unavailable, expected):
    """Budgets beyond the number of replicas mean all of them; old pods end as far as the budget allows nevertheless. [contract]"""
    imported = read_policy(deployment(surge, unavailable))
    assert (imported.policy["max_parallel"], imported.policy.get("surge")) == expected
    (note,) = notes_of(imported, "spec.strategy.rollingUpdate.maxSurge")
    assert note.text.startswith(f"{expected[1] or 0} of 10 nodes")


def test_a_deployment_is_a_sliding_window():
    """Surge and unavailable pods together are in flight, a failed node keeps its slot, and nothing is rolled back. [contract]"""
    imported = read_policy(DEPLOYMENT)
    assert imported.kind == "kubernetes"
    assert imported.nodes == 10
    assert imported.policy == {
        "dialect": "general",
        "strategy": "rolling",
        "max_parallel": 5,
        "surge": 3,
        "progress_deadline": "5m20s",  # with minReadySeconds
        "health_check": {"deadline": "720h", "interval": "10s", "min_healthy_time": "20s"},
        "retries": 1000,
        "retry_delay": "10s",
        "no_auto_rollback": True,
        "orchestrator": imported.orchestrator,
    }
    switches = {"pacing": "sliding", "failed_node_holds_slot": True, "unreachable_nodes": "wait"}
    assert imported.orchestrator == {**switches, "on_failure": "stop"}
    json.dumps(imported.policy)


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "parallel", "surged"),
    [
        (0, 2, 10, 2, None),
        ("25%", "25%", 10, 5, 3),  # 2.5 up, 2.5 down
        ("25%", "25%", 1, 1, 1),
        ("25%", "25%", 3, 1, 1),
        ("25%", "25%", 4, 2, 1),
        ("0%", "5%", 10, 1, None),  # half a node, and no surge: 1
        ("150%", 0, 4, 4, 4),
        ("1%", "99%", 100, 100, 1),
    ],
)
def test_surge_is_rounded_up_and_unavailable_down(surge, unavailable, replicas, parallel, surged):
    """25 % of 10 replicas are 3 beside and 2 in place; if both are 0, it is 1 in place. [contract]"""
    policy = read_policy(deployment(surge, unavailable, replicas)).policy
    assert (policy["max_parallel"], policy.get("surge")) == (parallel, surged)


def test_defaults_of_a_deployment_are_noted():
    """Each default that matters (25 %, 600 s, one replica) has a note without a line. [contract]"""
    bare = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {}}\n"
    imported = read_policy(bare, nodes=20)
    assert (imported.nodes, imported.policy["max_parallel"], imported.policy["surge"]) == (20, 10, 5)
    assert imported.policy["progress_deadline"] == "10m"
    assert "given by the caller" in notes_of(imported, "spec.replicas")[0].text
    for name in ("strategy.type", "strategy.rollingUpdate.maxSurge", "strategy.rollingUpdate.maxUnavailable"):
        (note,) = notes_of(imported, f"spec.{name}")
        assert note.line is None
        assert "not given" in note.text
    single = read_policy(bare)
    assert single.nodes == 1
    assert "25%; 1 of 1 node at once" in notes_of(single, "spec.strategy.rollingUpdate.maxSurge")[0].text


def test_every_field_of_the_spec_has_a_note_with_its_line():
    """Each field of spec and strategy appears in a note with its line. [contract]"""
    imported = read_policy(DEPLOYMENT)
    lines = {note.field: note.line for note in imported.notes}
    fields = ["minReadySeconds", "progressDeadlineSeconds", "revisionHistoryLimit", "selector"]
    fields += ["strategy.rollingUpdate.maxSurge", "strategy.rollingUpdate.maxUnavailable"]
    assert [lines[f"spec.{field}"] for field in fields] == [6, 7, 8, 9, 13, 14]
    odd = read_policy(DEPLOYMENT.replace("    type: Rolling", "    colour: red\n    type: Rolling"))
    (note,) = notes_of(odd, "spec.strategy.colour")
    assert (note.fidelity, note.line) == ("none", 11)


def test_recreate_replaces_all_at_once():
    """Under Recreate all pods go at once, without surge. [contract]"""
    text = DEPLOYMENT[: DEPLOYMENT.index("    rollingUpdate")].replace("type: RollingUpdate", "type: Recreate")
    imported = read_policy(text)
    assert imported.policy["waves"] == [{"until": "100%"}]
    assert not {"max_parallel", "surge"} & set(imported.policy)
    assert imported.orchestrator["pacing"] == "barrier"
    assert "type: Recreate" in refusal(DEPLOYMENT.replace("type: RollingUpdate", "type: Recreate"))[0]


def test_old_versions_of_the_api_have_defaults_of_their_own():
    """In extensions/v1beta1 both budgets are 1 and there is no deadline; old daemons and sets wait for a person. [contract]"""
    plain = "kind: Deployment\nspec: {replicas: 12}\n"
    for version, parallel, surge, deadline in (
        ("apps/v1", 6, 3, "10m"),
        ("apps/v1beta1", 6, 3, "10m"),
        ("extensions/v1beta1", 2, 1, None),
    ):
        policy = read_policy(f"apiVersion: {version}\n{plain}").policy
        assert (policy["max_parallel"], policy["surge"], policy.get("progress_deadline")) == (parallel, surge, deadline)
    old = f"apiVersion: extensions/v1beta1\n{plain}"
    (note,) = notes_of(read_policy(old), "spec.progressDeadlineSeconds")
    assert (note.fidelity, note.text) == ("exact", "not given: no deadline in this old version of the API")
    given = old.replace("12}", "12, progressDeadlineSeconds: 30}")
    assert read_policy(given).policy["progress_deadline"] == "30s"
    for text, version in ((DAEMONS, "extensions/v1beta1"), (STATEFUL, "apps/v1beta1")):
        unsaid = text.replace("    type: RollingUpdate\n", "").replace("partition: 3, ", "")
        for changed, by_hand in ((unsaid, False), (unsaid.replace("apps/v1", version, 1), True)):
            imported = read_policy(changed)
            assert (imported.policy["max_parallel"] == 1) is by_hand
            (note,) = notes_of(imported, "spec.updateStrategy.type")
            assert note.text.startswith(f"not given: {'OnDelete' if by_hand else 'RollingUpdate'}, ")


def test_the_largest_progress_deadline_means_none():
    """With 2147483647 s a rollout never fails for lack of progress. [contract]"""
    text = DEPLOYMENT.replace("progressDeadlineSeconds: 300", "progressDeadlineSeconds: 2147483647")
    assert "progress_deadline" not in read_policy(text).policy


def test_a_readiness_probe_takes_its_time():
    """A pod is ready after its first successful probes, and available minReadySeconds later. [contract]"""
    probe = 'readinessProbe: {initialDelaySeconds: 15, periodSeconds: 5, httpGet: {path: "/"}}'
    imported = read_policy(DEPLOYMENT.replace('image: "shop:2"', f'image: "shop:2", {probe}'))
    check = {"deadline": "720h", "interval": "8.75s", "min_healthy_time": "35s", "max_error_rate": 0.99}
    assert imported.policy["health_check"] == check
    assert "15s" in notes_of(imported, "spec.template.spec.containers")[0].text
    twice = read_policy(DEPLOYMENT.replace('image: "shop:2"', f'image: "shop:2", {probe[:-1]}, successThreshold: 3}}'))
    assert twice.policy["health_check"]["min_healthy_time"] == "45s"


def test_a_daemon_set_rounds_up_in_any_fleet():
    """A percentage stays one and is rounded up; the default is one node, without a deadline. [contract]"""
    imported = read_policy(DAEMONS)
    assert (imported.nodes, imported.policy["max_parallel"]) == (None, "10%")
    assert imported.orchestrator["wave_rounding"] == "ceil"
    assert "progress_deadline" not in imported.policy
    assert read_policy(DAEMONS.replace("{maxUnavailable: 10%}", "{}")).policy["max_parallel"] == 1


def test_a_daemon_set_with_surge():
    """maxSurge requires maxUnavailable: 0, and starts that many pods beside the old ones. [contract]"""
    policy = read_policy(DAEMONS.replace("maxUnavailable: 10%", "maxUnavailable: 0, maxSurge: 30%")).policy
    assert (policy["max_parallel"], policy["surge"]) == ("30%", "30%")
    assert "not both" in refusal(DAEMONS.replace("maxUnavailable: 10%", "maxSurge: 1"))[0]
    assert "nothing could be updated" in refusal(DAEMONS.replace("10%", "0%"))[0]


def test_a_partition_is_a_canary():
    """Of 5 replicas those from number 3 on are updated, the others wait; maxUnavailable is rounded down. [contract]"""
    imported = read_policy(STATEFUL)
    policy = imported.policy
    assert (policy["strategy"], policy["auto_promote"], policy["max_parallel"]) == ("canary", False, "50%")
    assert policy["waves"] == [{"until": 2}, {"until": 5}]
    assert imported.orchestrator["wave_rounding"] == "floor"
    assert imported.orchestrator["pacing"] == "barrier"
    plain = read_policy(STATEFUL.replace("{partition: 3, maxUnavailable: 50%}", "{}"))
    assert (plain.policy["strategy"], plain.policy["max_parallel"]) == ("rolling", 1)
    assert "none of 5 replicas" in refusal(STATEFUL.replace("partition: 3", "partition: 5"))[0]


@pytest.mark.parametrize("text", [DAEMONS, STATEFUL])
def test_on_delete_is_one_after_the_other_by_hand(text):
    """OnDelete is one node at a time, and a note says that people set the pace. [contract]"""
    imported = read_policy(text.replace("type: RollingUpdate", "type: OnDelete"))
    assert imported.policy["max_parallel"] == 1
    (note,) = notes_of(imported, "spec.updateStrategy.type")
    assert note.fidelity == "approximate"


def test_the_first_of_several_workloads_unless_one_is_named():
    """Of several documents or a List, the first workload is used and noted, or the named one. [contract]"""
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: shop}\n"
    text = f"{service}---\n{DEPLOYMENT}---\n{DAEMONS}"
    first = read_policy(text)
    assert first.policy["max_parallel"] == 5
    assert "DaemonSet/agent" in notes_of(first, "object")[0].text
    assert read_policy(text, variables={"object": "DaemonSet/agent"}).policy["max_parallel"] == "10%"
    assert "object: no such object" in refusal(text, variables={"object": "DaemonSet/agnet"})[0]
    items = {"kind": "List", "apiVersion": "v1", "items": [{"apiVersion": "v1", "kind": "Service"}, as_json(DAEMONS)]}
    listed = read_policy(json.dumps(items, indent=1))
    assert listed.policy["max_parallel"] == "10%"
    assert notes_of(listed, "spec.updateStrategy.rollingUpdate.maxUnavailable")[0].line is not None


def test_a_resource_definition_may_contain_an_equals_sign():
    """A lone equals sign in another document is read as text. [contract]"""
    assert read_policy(f"kind: CustomResourceDefinition\nspec: {{enum: [!!str a, =]}}\n---\n{DEPLOYMENT}").nodes == 10


def as_json(text):
    import yaml

    return yaml.safe_load(text)


@pytest.mark.parametrize(
    ("value", "variables", "nodes"),
    [
        ("${REPLICAS:=6}", {}, 6),
        ("${REPLICAS:=6}", {"REPLICAS": "8"}, 8),
        ("'{{ .Values.replicas }}'", {"Values.replicas": 7}, 7),
        ('"{{ .Values.replicas | default 4 }}"', {}, 4),
        ("${REPLICAS}", {}, 1),
    ],
)
def test_templates_are_evaluated(value, variables, nodes):
    """Variables of envsubst and Helm take the caller's value, else the file's default, else count as unset. [contract]"""
    imported = read_policy(DEPLOYMENT.replace("replicas: 10", f"replicas: {value}"), variables=variables)
    assert imported.nodes == nodes
    assert {note.field for note in imported.unknown} == ({"spec.replicas"} if nodes == 1 else set())


def test_a_template_without_quotes_is_refused_with_a_hint():
    """``{{ .Values.x }}`` without quotes is invalid YAML for Kubernetes; the message says where and how to fix it. [contract]"""
    (problem,) = refusal(DEPLOYMENT.replace("replicas: 10", "replicas: {{ .Values.replicas }}"))
    assert problem.startswith("line 5: ")
    assert "quotes" in problem


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ("maxSurge: 3", "maxSurge: [1]", 13, "not a whole number"),
        ("maxSurge: 3", "maxSurge: -1", 13, "too small"),
        ("maxSurge: 3", 'maxSurge: "25"', 13, 'text such as "25%"'),
        ("maxSurge: 3", "maxSurge: 2.5%", 13, 'text such as "25%"'),
        ("maxUnavailable: 20%", "maxUnavailable: 120%", 14, "at most 100%"),
        ("type: RollingUpdate", "type: Rolling", 11, "RollingUpdate"),
        ("minReadySeconds: 20", "minReadySeconds: soon", 6, "not a whole number"),
        ("minReadySeconds: 20", "minReadySeconds: 300", 7, "more than 300"),
        ("progressDeadlineSeconds: 300", "progressDeadlineSeconds: 0", 7, "too small"),
        ("replicas: 10", "replicas: 0", 5, "nothing to update"),
        (
            "    rollingUpdate:\n      maxSurge: 3\n      maxUnavailable: 20%\n",
            "    rollingUpdate: 3\n",
            12,
            "keys with values",
        ),
    ],
)
def test_bad_values_have_line_and_field(before, after, line, words):
    """A bad value is refused with its line, its field and the allowed values. [contract]"""
    assert before in DEPLOYMENT
    assert_one_problem(DEPLOYMENT.replace(before, after), line, words)


def test_both_zero_is_refused_as_by_the_api_server():
    """maxSurge: 0 and maxUnavailable: 0 would update nothing. [contract]"""
    assert "nothing could be updated" in refusal(deployment(0, "0%"))[0]


@pytest.mark.parametrize("text", [DEPLOYMENT, DAEMONS, STATEFUL])
def test_recognised_by_content(text):
    """A workload is recognised with any further documents; a Service alone is not. [contract]"""
    assert read_policy(text, nodes=4).kind == "kubernetes"
    assert "not a policy" in refusal("apiVersion: v1\nkind: Service\nspec: {}\n")[0]
    assert "nothing of the kind" in refusal("apiVersion: v1\nkind: Service\nspec: {}\n", kind="kubernetes")[0]


def test_a_bad_version_stops_at_the_budget(tmp_path, engine):
    """If no new pod becomes ready, 3 and 2 of 10 nodes are touched, and the progress deadline ends the rollout. [oracle]"""
    path = tmp_path / "stuck.yaml"
    scenario = {
        "name": "stuck",
        "fleet": {"nodes": 10, "update_duration": "30s"},
        "release": {"bad": {"probability": 1, "defective": True, "start_hang": 1}},
        "policies": {"shop": read_policy(DEPLOYMENT).policy},
    }
    path.write_text(json.dumps(scenario), encoding="utf-8")
    rollout = simdeploy.simulate(path, "shop", seed=1, engine=engine)
    assert rollout.nodes["dispatched_at_s"].notna().sum() == 5
    assert rollout.responses["stopped_at_s"] == 320.0


def test_a_ready_pod_is_progress(engine):
    """A pod may take the whole deadline to become ready, and then needs minReadySeconds: 3 times 500 s and 300 s. [oracle]"""
    spec = "spec: {replicas: 3, minReadySeconds: 300, progressDeadlineSeconds: 600}\n"
    imported = read_policy(f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: slow}}\n{spec}")
    rollout = roll_out(imported, 3, engine=engine, update_duration="500s")
    assert (rollout.responses["state"], rollout.responses["makespan_s"]) == ("completed", 2400.0)
    (note,) = notes_of(imported, "spec.progressDeadlineSeconds")
    assert "minReadySeconds are added" in note.text


def test_pods_are_ready_for_no_longer_than_required(engine):
    """Pods one after the other take 30 s to start and 7 s to become available, in a scenario with windows of 10 s. [oracle]"""
    imported = read_policy(
        "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec: {minReadySeconds: 7}\n"
    )
    fleet = {"nodes": 3, "update_duration": "30s"}
    scenario = simdeploy.Scenario.from_dict({"name": "x", "fleet": fleet, "policies": {"agent": imported.policy}})
    assert simdeploy.simulate(scenario, engine=engine).responses["makespan_s"] == 3 * 37


def test_objects_of_the_same_name_are_told_apart_by_their_namespace():
    """Each of two objects of the same kind and name can be chosen. [contract]"""
    spec = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop, namespace: %s}\nspec: {replicas: %d}\n"
    text = "---\n".join((spec % ("east", 4), spec % ("west", 8)))
    assert read_policy(text).nodes == 4
    assert read_policy(text, variables={"object": "Deployment/west/shop"}).nodes == 8
    assert "allowed: Deployment/east/shop, Deployment/west/shop" in refusal(text, variables={"object": "x"})[0]


AUTOSCALER = """\
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: any}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  minReplicas: 4
  maxReplicas: 20
"""


@pytest.mark.parametrize(
    ("before", "after", "nodes", "fidelity"),
    [
        ("", "", 4, "approximate"),
        ("name: shop}\n  min", "name: other}\n  min", 1, "exact"),
        ("kind: Deployment, ", "kind: StatefulSet, ", 1, "exact"),
        ("{name: any}", "{name: any, namespace: other}", 1, "exact"),
        ("  minReplicas: 4\n", "", 1, "exact"),
    ],
)
def test_an_autoscaler_keeps_a_minimum_of_replicas(before, after, nodes, fidelity):
    """A Deployment without replicas has those that the autoscaler of its name in the same file always keeps. [contract]"""
    imported = read_policy(DEPLOYMENT.replace("  replicas: 10\n", "") + AUTOSCALER.replace(before, after))
    (note,) = notes_of(imported, "spec.replicas")
    assert (imported.nodes, note.fidelity) == (nodes, fidelity)
    assert read_policy(DEPLOYMENT + AUTOSCALER).nodes == 10


def test_a_bad_minimum_of_an_autoscaler_is_refused():
    """The message names line and field of the autoscaler. [contract]"""
    text = DEPLOYMENT.replace("  replicas: 10\n", "") + AUTOSCALER.replace("minReplicas: 4", "minReplicas: few")
    (problem,) = refusal(text)
    assert problem.startswith("line 23: spec.minReplicas: not a whole number")
