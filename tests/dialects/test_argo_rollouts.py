"""Importing Rollouts of Argo Rollouts with their AnalysisTemplates."""

import json

import pytest
from foreign import assert_one_problem, notes_of, refusal, roll_out

import simdeploy
from simdeploy.dialects import read_policy
from simdeploy.dialects.argo_steps import near_weight
from simdeploy.errors import InputError

CANARY = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  replicas: 20
  selector: {matchLabels: {app: shop}}
  template:
    spec:
      containers: [{name: shop, image: "shop:2"}]
  strategy:
    canary:
      maxSurge: 2
      maxUnavailable: 1
      steps:
      - setWeight: 10
      - pause: {}
      - setWeight: 40
      - pause: {duration: 10m}
      - pause: {duration: 30}
      - setWeight: 60
"""
TEMPLATE = """\
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: success}
spec:
  args:
  - {name: service}
  - {name: least, value: "0.95"}
  metrics:
  - name: success-rate
    interval: 2m
    count: 3
    successCondition: result[0] >= {{args.least}}
    failureLimit: 1
    provider:
      prometheus:
        query: sum(rate(requests{service="{{args.service}}",code!~"5.*"}[5m])) / sum(rate(requests[5m]))
"""
INLINE = CANARY.replace(
    "      - pause: {}\n",
    "      - analysis:\n          templates: [{templateName: success}]\n          args: [{name: service, value: shop}]\n",
)
ANALYSIS = "      analysis:\n        templates: [{templateName: success}]\n"
BACKGROUND = CANARY.replace("      steps:", f"{ANALYSIS}      steps:")
BLUE_GREEN = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
spec:
  replicas: 6
  strategy:
    blueGreen: {activeService: shop, previewService: next, autoPromotionSeconds: 90, scaleDownDelaySeconds: 30}
  template: {spec: {}}
"""


def metric(old, new, text=INLINE, **given):
    assert old in TEMPLATE
    return read_policy(text + TEMPLATE.replace(old, new), **given)


def test_steps_are_waves_and_the_first_pause_a_canary():
    """Weights are cumulative, pauses follow their wave, and a pause without a duration awaits promotion. [contract]"""
    imported = read_policy(CANARY)
    assert (imported.kind, imported.nodes) == ("argo-rollouts", 20)
    assert imported.policy == {
        "dialect": "general",
        "strategy": "canary",
        "auto_promote": False,
        "waves": [{"until": 2}, {"until": 8, "bake_time": "10m30s"}, {"until": 12}, {"until": 20}],
        "max_parallel": 3,
        "surge": 2,
        "health_check": {"deadline": "720h", "min_healthy_time": "0s"},
        "retries": 1000,
        "retry_delay": "10s",
        "progress_deadline": "10m",
        "no_auto_rollback": True,
        "orchestrator": imported.orchestrator,
    }
    assert imported.orchestrator == {
        "pacing": "barrier",
        "failed_node_holds_slot": True,
        "unreachable_nodes": "wait",
        "on_failure": "stop",
    }
    json.dumps(imported.policy)


@pytest.mark.parametrize(("nodes", "taken_at"), [(1, 0), (4, 4), (10, 6)])
def test_pauses_after_the_last_nodes_are_left_out(nodes, taken_at):
    """Once a wave has all nodes, notes on later pauses say how much earlier the rollout ends than Argo's. [contract]"""
    pause = "\n      - pause: {duration: 60s}"
    steps = "".join(f"\n      - setWeight: {weight}{pause}" for weight in (10, 50, 90))
    head = CANARY.replace("maxSurge: 2", "maxSurge: 25%").replace("maxUnavailable: 1", "maxUnavailable: 25%")
    text = head[: head.index("      steps:")] + "      steps:" + steps + "\n"
    imported = read_policy(text, nodes=nodes)
    for step in (1, 3, 5):
        (note,) = notes_of(imported, f"spec.strategy.canary.steps[{step}].pause.duration")
        lost = ("none", "left out: the wave has all nodes, so the rollout ends after it, in Argo 1m later")
        kept = ("exact", "1m after the wave's nodes are available")
        assert (note.fidelity, note.text) == (lost if step > taken_at else kept)
    assert [wave.get("bake_time") for wave in imported.policy.get("waves", [])] == {
        1: [],
        4: ["1m", "1m", None],
        10: ["1m", "1m", "1m", None],
    }[nodes]
    fleet = {"nodes": nodes, "update_duration": "30s"}
    scenario = simdeploy.Scenario.from_dict({"name": "pauses", "fleet": fleet, "policies": {"p": imported.policy}})
    argo_s = 30 * (len(imported.policy.get("waves", [0]))) + 3 * 60
    lost_s = 60 * sum(step > taken_at for step in (1, 3, 5))
    assert simdeploy.simulate(scenario).responses["makespan_s"] == argo_s - lost_s
    if taken_at < 6:
        assert "an old pod serves" in notes_of(imported, f"spec.strategy.canary.steps[{taken_at}].setWeight")[0].text


def test_a_surge_rounds_weights_even_where_no_pod_has_to_stay():
    """How many pods have the weight depends on `maxSurge`, also if all stable ones may end first. [contract]"""
    steps = "      steps:\n      - setWeight: 60\n      - pause: {duration: 60s}\n"
    head = CANARY[: CANARY.index("      steps:")].replace("maxSurge: 2", "maxSurge: 1")
    stay, end = (read_policy(head.replace("able: 1", f"able: {most}") + steps, nodes=2).policy for most in (0, 2))
    assert (stay["surge"], end.get("surge")) == (1, None)
    assert stay.get("waves") == end.get("waves")


def test_a_background_analysis_keeps_the_last_pause():
    """Under a background analysis the last wave is judged during its pause, so the pause is not lost. [contract]"""
    text = BACKGROUND.replace("setWeight: 60", "setWeight: 100\n      - pause: {duration: 15m}") + TEMPLATE
    imported = read_policy(text)
    assert notes_of(imported, "spec.strategy.canary.steps[6].pause.duration")[0].fidelity == "exact"
    assert imported.policy["health_check"]["min_healthy_time"] == "15m"


def test_one_promotion_ends_all_pauses_of_a_wave():
    """A further pause without a duration after the same wave is left out, and its note says so. [contract]"""
    imported = read_policy(CANARY.replace("setWeight: 40", "setWeight: 40\n      - pause: {}\n      - pause: {}"))
    fidelities = [notes_of(imported, f"spec.strategy.canary.steps[{step}].pause")[0].fidelity for step in (3, 4)]
    assert fidelities == ["exact", "none"]


@pytest.mark.parametrize(
    ("nodes", "weight", "surge", "canaries"),
    [
        (10, 10, 0, 1),
        (10, 5, 0, 1),  # never none
        (10, 94, 0, 9),  # never all
        (10, 95, 0, 0),  # but none if all and all but one are equally near, by Argo's formula
        (10, 15, 0, 2),  # ties up
        (10, 24, 0, 2),
        (10, 26, 0, 3),
        (1, 49, 0, 0),  # a single replica without a surge: nearest
        (1, 50, 0, 1),
        (1, 10, 1, 1),
        (3, 33, 0, 1),
        (3, 60, 2, 2),
        (4, 60, 1, 3),  # 3 of 5 are nearer than 2 of 4
        (7, 0, 0, 0),
        (7, 100, 1, 7),
        (50, 29, 0, 15),
    ],
)
def test_the_number_of_pods_nearest_to_a_weight(nodes, weight, surge, canaries):
    """Without a traffic router the canary has the number of pods whose share is nearest to the weight. [oracle]"""
    assert near_weight(nodes, weight, 100, surge) == canaries


def test_steps_that_add_no_node():
    """A weight with the same number of pods adds its pause to the previous wave; a smaller one does nothing. [contract]"""
    text = CANARY[: CANARY.index("      - setWeight: 10")]
    steps = "      - setWeight: 5\n      - pause: {duration: 1m}\n      - setWeight: 6\n      - pause: {duration: 2m}\n      - setWeight: 1\n"
    imported = read_policy(text + steps, nodes=10)
    assert imported.policy["waves"] == [{"until": 1, "bake_time": "3m"}, {"until": 10}]
    assert imported.policy["strategy"] == "rolling"
    smaller = text + "      - setWeight: 50\n      - setWeight: 20\n"
    (note,) = notes_of(read_policy(smaller), "spec.strategy.canary.steps[1].setWeight")
    assert note.fidelity == "approximate"


def test_a_later_pause_without_duration_awaits_a_promotion():
    """A pause without a duration waits for a person after any wave. [contract]"""
    imported = read_policy(CANARY.replace("pause: {duration: 10m}", "pause: {}"))
    (note,) = notes_of(imported, "spec.strategy.canary.steps[3].pause")
    assert note.fidelity == "exact"
    assert imported.policy["waves"][1] == {"until": 8, "bake_time": "30s", "promotion": True}
    assert imported.policy["auto_promote"] is False


def test_without_steps_it_is_a_sliding_window():
    """A canary without steps is updated like a Deployment, 25 % of both by default. [contract]"""
    text = CANARY[: CANARY.index("      maxSurge")].replace("    canary:", "    canary: {}")
    imported = read_policy(text)
    assert (imported.policy["max_parallel"], imported.policy["surge"]) == (10, 5)
    assert imported.orchestrator["pacing"] == "sliding"
    assert "waves" not in imported.policy


def test_a_traffic_router_starts_canaries_beside():
    """With a router the pods are the weight rounded up, all beside the stable ones, or those of setCanaryScale. [contract]"""
    routed = CANARY.replace("      steps:", "      trafficRouting: {nginx: {stableIngress: shop}}\n      steps:")
    policy = read_policy(routed.replace("setWeight: 10", "setWeight: 11")).policy
    assert [wave["until"] for wave in policy["waves"]] == [3, 8, 12, 20]
    assert (policy["surge"], policy.get("max_parallel")) == ("100%", None)
    scaled = routed.replace("- pause: {}", "- setCanaryScale: {replicas: 5}")
    assert [wave["until"] for wave in read_policy(scaled).policy["waves"]] == [2, 5, 20]
    matched = scaled.replace("- pause: {duration: 30}", "- setCanaryScale: {matchTrafficWeight: true, weight: 90}")
    assert [wave["until"] for wave in read_policy(matched).policy["waves"]] == [2, 5, 8, 12, 20]
    both = routed.replace("- setWeight: 10", "- setWeight: 10\n        setCanaryScale: {replicas: 7}")
    assert [wave["until"] for wave in read_policy(both).policy["waves"]] == [7, 20]
    for step in (0, 2):  # the weight changes the traffic even if no pod follows
        (note,) = notes_of(read_policy(both), f"spec.strategy.canary.steps[{step}].setWeight")
        assert (note.fidelity, note.text.endswith("traffic is not simulated")) == ("approximate", True)
    least = routed.replace("      steps:", "      minPodsPerReplicaSet: 4\n      steps:")
    assert read_policy(least).policy["waves"][0] == {"until": 4}
    assert "needs a traffic router" in refusal(CANARY.replace("- pause: {}", "- setCanaryScale: {replicas: 5}"))[0]


def test_an_inline_analysis_is_a_gate():
    """The success rate of an inline analysis judges waves; more than failureLimit failed looks stop and roll back the rollout. [contract]"""
    imported = read_policy(INLINE + TEMPLATE)
    policy = imported.policy
    assert policy["health_check"] == {
        "deadline": "1h",
        "interval": "2m",
        "min_healthy_time": "6m",
        "max_error_rate": 0.05,
        "failure_threshold": 2,
        "cumulative_failures": True,
        "gate": {"kind": "pooled", "over": "window"},
    }
    assert policy["no_auto_rollback"] is False
    assert policy["rollback_parallel"] == 3
    assert "progress_deadline" not in policy
    assert imported.orchestrator["on_failure"] == "rollback"
    assert imported.orchestrator["cant_tell"] == "stop"
    aborts = read_policy(INLINE.replace("  replicas: 20", "  replicas: 20\n  progressDeadlineAbort: true") + TEMPLATE)
    assert aborts.policy["progress_deadline"] == "20m"  # and five looks of two minutes


def test_a_ready_pod_is_progress():
    """A pod has to become ready within the progress deadline, and then has minReadySeconds more. [contract]"""
    rollout = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nspec: {minReadySeconds: 300, strategy: {canary: {}}}\n"
    assert read_policy(rollout).policy["progress_deadline"] == "15m"


def test_a_background_analysis_judges_during_the_pauses():
    """A background analysis takes no extra time: each wave is observed during its pause, and at least once. [contract]"""
    imported = read_policy(BACKGROUND + TEMPLATE)
    policy = imported.policy
    once, rest = {"min_healthy_time": "2m"}, {"gate": False, "min_healthy_time": "0s"}
    assert policy["waves"] == [{"until": 2} | once, {"until": 8}, {"until": 12} | once, {"until": 20} | rest]
    assert policy["health_check"]["interval"] == "2m"
    assert policy["health_check"]["min_healthy_time"] == "10m30s"
    assert policy["health_check"]["gate"]["failures_of"] == "rollout"
    (note,) = notes_of(imported, "AnalysisTemplate success.spec.metrics[0].failureLimit")
    assert (note.fidelity, "whole rollout" in note.text) == ("exact", True)
    two = BACKGROUND.replace("      - setWeight: 60\n", "      - setWeight: 60\n      - pause: {duration: 1m}\n")
    policy = read_policy(two + TEMPLATE).policy
    assert policy["waves"][1:3] == [{"until": 8}, {"until": 12, "min_healthy_time": "1m"}]
    assert (policy["health_check"]["interval"], policy["health_check"]["min_healthy_time"]) == ("1m", "10m30s")
    later = BACKGROUND.replace("      analysis:", "      analysis:\n        startingStep: 2", 1)
    judged = [wave.get("gate", True) for wave in read_policy(later + TEMPLATE).policy["waves"]]
    assert judged == [False, True, True, False]


def test_a_background_analysis_without_steps_judges_nothing():
    """If no wave is judged, the note on the background analysis says so. [contract]"""
    steps = BACKGROUND.index("      steps:")
    for text in (
        BACKGROUND[:steps],
        BACKGROUND.replace("      analysis:", "      analysis:\n        startingStep: 9", 1),
    ):
        imported = read_policy(text + TEMPLATE)
        assert all(wave["gate"] is False for wave in imported.policy["waves"])
        (note,) = notes_of(imported, "spec.strategy.canary.analysis")
        assert (note.fidelity, note.text.partition(":")[0]) == ("none", "judges nothing")


def test_an_analysis_of_a_step_judges_its_wave_alone():
    """Waves of other steps have no gate, and only need to be available. [contract]"""
    waves = read_policy(INLINE + TEMPLATE).policy["waves"]
    assert [wave.get("gate", True) for wave in waves].count(True) == 1
    assert all(wave["min_healthy_time"] == "0s" for wave in waves if not wave.get("gate", True))


def test_templates_of_the_same_namespace_are_preferred():
    """Of two templates of the same name, that in the Rollout's namespace counts, wherever it is in the file. [contract]"""
    west = TEMPLATE.replace("name: success}", "name: success, namespace: west}")
    east = west.replace("west", "east").replace("0.95", "0.7")
    rollout = INLINE.replace("metadata: {name: shop}", "metadata: {name: shop, namespace: west}")
    for text in (rollout + east + west, rollout + west + east):
        assert read_policy(text).policy["health_check"]["max_error_rate"] == pytest.approx(0.05)


def test_a_progress_deadline_that_is_left_out_is_not_longer():
    """If the progress deadline is left out, its note doesn't say that minReadySeconds are added. [contract]"""
    imported = read_policy(ONE_BY_ONE.replace("READY", "15") + TEMPLATE)
    (note,) = notes_of(imported, "spec.progressDeadlineSeconds")
    assert "left out" in note.text
    assert "added" not in note.text


ONE_BY_ONE = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  replicas: 10
  minReadySeconds: READY
  strategy:
    canary:
      maxSurge: 1
      maxUnavailable: 0
      steps:
      - setWeight: 40
      - analysis: {templates: [{templateName: success}]}
      - setWeight: 70
      - pause: {duration: 1m}
"""


@pytest.mark.parametrize("ready_s", [0, 15, 120])
def test_pods_of_a_judged_step_follow_each_other_without_waiting_for_the_analysis(engine, ready_s):
    """A pod starts once the one before is available; the analysis takes its 6 min once, after the last pod. [oracle]"""
    imported = read_policy(ONE_BY_ONE.replace("READY", str(ready_s)) + TEMPLATE)
    rollout = roll_out(imported, 10, engine=engine)
    turn_s = 30 + ready_s
    judged_s = turn_s * 3 + 30 + 360
    paused_s = judged_s + turn_s * 3 + 60
    turns = [turn_s * pod for pod in range(4)]
    turns += [judged_s + turn_s * pod for pod in range(3)] + [paused_s + turn_s * pod for pod in range(3)]
    assert rollout.nodes["dispatched_at_s"].tolist() == turns
    assert rollout.responses["unavailable_node_s"] == 0
    # The analysis' windows of 2 min are too long for the last wave, unless its pods must be ready for as long.
    assert rollout.responses["makespan_s"] == paused_s + turn_s * 3 - (ready_s if ready_s % 120 else 0)
    (note,) = notes_of(imported, "spec.minReadySeconds")
    assert note.fidelity == ("approximate" if ready_s % 120 else "exact")


def test_readiness_probes_of_the_workload_that_a_rollout_refers_to():
    """The pods of a workload in the same file and namespace have their probes; a note says if it isn't there. [contract]"""
    rollout = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {namespace: west}\n"
    rollout += "spec:\n  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: shop}\n  strategy: {canary: {}}\n"
    probe = "{periodSeconds: 20}"
    workload = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop, namespace: west}\n"
    workload += f"spec: {{template: {{spec: {{containers: [{{name: shop, readinessProbe: {probe}}}]}}}}}}\n"
    for text, seconds, fidelity in (
        (rollout + workload, "20s", "exact"),
        (rollout + workload.replace("west", "east"), "0s", "approximate"),
        (rollout, "0s", "approximate"),
    ):
        imported = read_policy(text)
        assert imported.policy["health_check"]["min_healthy_time"] == seconds
        assert [note.fidelity for note in notes_of(imported, "spec.workloadRef")] == [fidelity]


def test_what_the_pods_run_is_noted():
    """Beside the probes of its containers, a pod template has a note as that of a Deployment. [contract]"""
    for field in ("spec.template", "spec.template.spec.containers"):
        assert len(notes_of(read_policy(CANARY), field)) == 1


@pytest.mark.parametrize("ready_s", [0, 15])
def test_pods_of_a_judged_step_wait_for_readiness_probes(engine, ready_s):
    """With an analysis, too, a pod starts once the probes of the one before have succeeded for minReadySeconds. [oracle]"""
    probe = "readinessProbe: {initialDelaySeconds: 20, periodSeconds: 5}"
    pods = f"  template: {{spec: {{containers: [{{name: shop, {probe}}}]}}}}\n"
    imported = read_policy(ONE_BY_ONE.replace("READY", str(ready_s)) + pods + TEMPLATE)
    rollout = roll_out(imported, 10, engine=engine)
    turn_s = 30 + 20 + ready_s
    assert rollout.nodes["dispatched_at_s"].tolist()[:4] == [0, turn_s, 2 * turn_s, 3 * turn_s]
    (note,) = notes_of(imported, "spec.template.spec.containers")
    assert "about 20s" in note.text


@pytest.mark.parametrize(
    ("condition", "rate"),
    [
        ("successCondition: result[0] >= 0.99", 0.01),
        ("successCondition: result >= 99.5", 0.005),
        ("successCondition: result[0] > 0.9", 0.1),
        ("failureCondition: result[0] < 0.9", 0.1),
        ("successCondition: 0.97 <= result[0]", 0.03),
        ("successCondition: len(result) == 0 || result[0] >= 0.97", 0.03),
        ("successCondition: default(result, 0) >= 0.97", 0.03),
        ("successCondition: 'all(result, # >= 0.9)'", 0.1),
    ],
)
def test_conditions_on_a_success_rate(condition, rate):
    """A comparison with one number is the lowest allowed success rate, as a fraction or a percentage. [contract]"""
    imported = metric("successCondition: result[0] >= {{args.least}}", condition)
    assert imported.policy["health_check"]["max_error_rate"] == pytest.approx(rate)


@pytest.mark.parametrize(
    ("name", "condition", "query", "rate"),
    [
        ("success-rate", "result[0] >= 1", "requests", 0),
        ("availability", "result[0] >= 100", "requests", 0),
        ("ok", "result[0] >= 99", 'requests{code!~"5.."}', 0.01),
        ("ok", "result[0] >= 95", "100 * sum(rate(served[2m])) / sum(rate(requests[2m]))", 0.05),
        ("up", "result[0] >= 1", "up", None),
        ("ready", "result[0] >= 1", "kube_deployment_status_replicas_available", None),
        ("pods-available", "result[0] >= 1", "kube_deployment_status_replicas_available", None),
        ("request-volume", "result[0] >= 100", "requests", None),
        ("request-volume", "result[0] > 50", "requests", None),
        ("sold", "result[0] >= 0.9", "sum(rate(sold[2m]))", None),
        ("errors", "result[0] < 0.1", "sum(increase(errors[2m]))", None),
        ("errors", "result[0] < 0.1", "sum(rate(errors[2m])) / sum(rate(requests[2m]))", 0.1),
        ("errors", "result[0] < 0.1", "job:errors:ratio", 0.1),
        ("errors", "default(result, 0) < 0.1", "sum:errors{*}.as_rate()", None),
        ("errors", "default(result, 0) < 0.1", "sum:errors{*}.as_count() / sum:hits{*}.as_count()", 0.1),
        ("errors", "result[0] < 0.1", 'sum(rate(errors{path=~"/buy/.*"}[2m]))', None),
        ("bad", "result[0] < 0.1", 'requests{code!~"2.*"} / requests', 0.1),
        ("errors", "result[0] < 0.5", "100 * sum(rate(errors[2m])) / sum(rate(requests[2m]))", 0.005),
        ("errors", "result[0] <= 5", "sum(rate(errors[2m])) / sum(rate(requests[2m])) * 100", 0.05),
        ("errors", "result[0] <= 5", "sum(rate(errors[2m])) / sum(rate(requests[2m]))", None),
    ],
)
def test_limits_that_may_be_of_counts(name, condition, query, rate):
    """Limits of 1 and 100, of percentages and of numbers per second are those of rates only if words say so. [contract]"""
    address = "http://prometheus.monitoring:9090/api"
    provider = f"{{prometheus: {{address: '{address}', query: '{query}'}}}}"
    metrics = f"[{{name: {name}, successCondition: '{condition}', provider: {provider}}}]"
    text = f"{TEMPLATE[: TEMPLATE.index('spec:')]}spec: {{metrics: {metrics}}}\n"
    assert read_policy(INLINE + text).policy["health_check"].get("max_error_rate") == rate


@pytest.mark.parametrize("name", ["http_server_requests_seconds_count", "http_server_duration_ms_count"])
def test_the_count_of_a_histogram_of_times_counts_requests(name):
    """A share of the requests that such a histogram counts is a success rate; its sum or buckets are times. [contract]"""
    query = 'rate(requests{service="{{args.service}}",code!~"5.*"}'
    counted = metric(query, query.replace("requests", name))
    assert counted.policy["health_check"]["max_error_rate"] == 0.05
    for other in ("sum", "bucket"):
        timed = metric(query, query.replace("requests", name.replace("count", other)))
        assert "gate" not in timed.policy["health_check"]


def test_conditions_on_an_error_rate():
    """A metric that is called an error rate has an upper limit. [contract]"""
    old = "name: success-rate\n    interval: 2m\n    count: 3\n    successCondition: result[0] >= {{args.least}}"
    for name, condition, rate in (
        ("error-rate", "successCondition: result[0] <= 0.02", 0.02),
        ("error-rate", "failureCondition: result[0] > 0.02", 0.02),
        ("error-rate", "failureCondition: result[0] >= 0.02", 0.02),
        ("error-percentage", "successCondition: result < 5", 0.05),
    ):
        new = f"name: {name}\n    interval: 2m\n    count: 3\n    {condition}"
        assert metric(old, new).policy["health_check"]["max_error_rate"] == rate


@pytest.mark.parametrize(
    ("condition", "then"),
    [
        ("successCondition: 'result[0] >= 0.95'", "stop"),
        ("successCondition: 'isNaN(result[0]) || result[0] >= 0.95'", "pass"),
        ("successCondition: 'result[0] >= 0.95 or len(result) == 0'", "pass"),
        ("successCondition: '!isNaN(result[0]) && result[0] >= 0.95'", "stop"),
        ("successCondition: 'default(result, 1) >= 0.95'", "pass"),
        ("successCondition: 'default(result, 0) >= 0.95'", "stop"),
        ("failureCondition: 'default(result, 1) < 0.95'", "pass"),
        ("failureCondition: 'isNaN(result[0]) || result[0] < 0.95'", "stop"),
    ],
)
def test_what_conditions_say_of_measurements_without_data(condition, then):
    """A window without requests is healthy if the condition of its metric says so, also in a file of templates. [contract]"""
    text = TEMPLATE.replace("successCondition: result[0] >= {{args.least}}", condition)
    for each in (INLINE + text, text):
        imported = read_policy(each)
        assert imported.orchestrator["cant_tell"] == then
        (note,) = [note for note in imported.notes if note.field.endswith("consecutiveErrorLimit")]
        assert ("is healthy" in note.text) == (then == "pass")


@pytest.mark.parametrize(
    ("old", "new", "fidelity"),
    [
        ("name: success-rate", "name: latency-p99", "none"),
        ("result[0] >= {{args.least}}", "result[0] <= 0.5", "none"),
        ("result[0] >= {{args.least}}", "result[0] >= 0.9 && result[1] >= 0.5", "not evaluated"),
        ("result[0] >= {{args.least}}", "result.ok", "not evaluated"),
        ("result[0] >= {{args.least}}", "result[0] >= {{args.most}}", "not evaluated"),
        ("successCondition: result[0] >= {{args.least}}", "initialDelay: 1m", "none"),
    ],
)
def test_metrics_that_are_not_rates_are_not_judged(old, new, fidelity):
    """A note says that a metric judges nothing if it isn't a rate of requests, or isn't understood. [contract]"""
    imported = metric(old, new)
    assert "gate" not in imported.policy["health_check"]
    assert imported.orchestrator["on_failure"] == "stop"
    spec = "AnalysisTemplate success.spec.metrics[0]"
    assert fidelity in {note.fidelity for note in imported.notes if note.field.startswith(spec)}
    noted = {note.field.removeprefix(f"{spec}.") for note in imported.notes if note.field.startswith(f"{spec}.")}
    assert {"name", "interval", "count", "failureLimit", "provider"} <= noted


def test_arguments_come_from_step_template_or_caller():
    """The step's value takes precedence over the template's; the caller is asked for missing ones. [contract]"""
    stated = INLINE.replace("args: [{name: service, value: shop}]", 'args: [{name: least, value: "0.8"}]')
    assert read_policy(stated + TEMPLATE).policy["health_check"]["max_error_rate"] == 0.2
    missing = TEMPLATE.replace('  - {name: least, value: "0.95"}\n', "")
    assert "gate" not in read_policy(INLINE + missing).policy["health_check"]
    (note,) = read_policy(INLINE + missing).unknown
    assert "--var least" in note.text
    given = read_policy(INLINE + missing, variables={"least": 0.7})
    assert given.policy["health_check"]["max_error_rate"] == 0.3


def test_missing_templates_are_named():
    """A template that is not in the file is named in a note, and nothing is judged. [contract]"""
    imported = read_policy(INLINE)
    assert [note.text.split(" ")[0] for note in imported.unknown] == ["success"]
    assert "gate" not in imported.policy["health_check"]
    green = BLUE_GREEN.replace("autoPromotionSeconds: 90", "prePromotionAnalysis: {templates: [{templateName: late}]}")
    experiment = CANARY.replace("- pause: {}", "- experiment: {duration: 5m}")
    for text, fidelity in (
        (INLINE, "approximate"),
        (BACKGROUND, "approximate"),
        (green, "approximate"),
        (experiment, "approximate"),
        (CANARY, "exact"),
    ):
        assert [note.fidelity for note in notes_of(read_policy(text), "analysis")] == [fidelity]
    old = INLINE.replace("templates: [{templateName: success}]", "templateName: success")
    (note,) = notes_of(read_policy(old + TEMPLATE), "spec.strategy.canary.steps[1].analysis.templateName")
    assert note.text.startswith("not a field that this importer knows")


def test_inconclusive_measurements_by_version():
    """A measurement between both conditions pauses a rollout; before 1.8.2 a background analysis ignored it. [contract]"""
    both = "successCondition: result[0] >= 0.95\n    failureCondition: result[0] < 0.8"
    old = "successCondition: result[0] >= {{args.least}}"
    for version, rate in ((None, 0.05), ("v1.8.1", 0.2), ("1.8.2", 0.05), ("1.9", 0.05)):
        imported = metric(old, both, BACKGROUND, variables=version and {"argo_rollouts_version": version})
        assert imported.policy["health_check"]["max_error_rate"] == rate
    assert metric(old, both).policy["health_check"]["max_error_rate"] == 0.05
    with pytest.raises(InputError, match="not a version"):
        metric(old, both, BACKGROUND, variables={"argo_rollouts_version": "new"})


def test_repeated_items_are_noted_once():
    """A template used by two steps, and the limit of inconclusive measurements, have one note each. [contract]"""
    both = "inconclusiveLimit: 1\n    successCondition: result[0] >= 0.95\n    failureCondition: result[0] < 0.8"
    steps = INLINE.replace(
        "- setWeight: 60", "- analysis: {templates: [{templateName: success}]}\n      - setWeight: 60"
    )
    imported = read_policy(steps + TEMPLATE.replace("successCondition: result[0] >= {{args.least}}", both))
    fields = [note.field for note in imported.notes if note.field.startswith("AnalysisTemplate")]
    assert len(fields) == len(set(fields)) > 0


def test_the_strictest_of_several_metrics():
    """The gate has the lowest allowed error rate and the fewest allowed failures. [contract]"""
    second = TEMPLATE[TEMPLATE.index("  - name: success-rate") :].replace("success-rate", "second")
    second = second.replace("{{args.least}}", "0.99").replace("failureLimit: 1", "failureLimit: 4")
    check = read_policy(INLINE + TEMPLATE + second).policy["health_check"]
    assert (check["max_error_rate"], check["failure_threshold"]) == (0.01, 2)
    dry = TEMPLATE.replace("  metrics:", "  dryRun: [{metricName: second}]\n  metrics:")
    assert read_policy(INLINE + dry + second).policy["health_check"]["max_error_rate"] == 0.05


@pytest.mark.parametrize("analysed", [False, True])
def test_a_single_replica_detects_little(analysed):
    """A note says that a canary of one replica detects little, and without an analysis that nothing measures errors. [contract]"""
    text = INLINE + TEMPLATE if analysed else CANARY
    noted = [note.text for note in read_policy(text, nodes=10).notes if "single replica" in note.text]
    assert len(noted) == 1
    assert ("nothing measures" in noted[0]) is not analysed
    assert not [note for note in read_policy(text).notes if "single replica" in note.text]


def test_blue_green_is_one_wave_beside_the_old_one():
    """All nodes start beside the old ones; without autoPromotionEnabled they wait for a promotion. [contract]"""
    policy = read_policy(BLUE_GREEN).policy
    assert policy["waves"] == [{"until": 6}]
    assert (policy["strategy"], policy["surge"]) == ("rolling", "100%")
    waiting = read_policy(BLUE_GREEN.replace("autoPromotionSeconds: 90", "autoPromotionEnabled: false")).policy
    assert (waiting["strategy"], waiting["auto_promote"]) == ("canary", False)
    analysis = "postPromotionAnalysis: {templates: [{templateName: success}]}"
    judged = BLUE_GREEN.replace("autoPromotionSeconds: 90", analysis)
    assert read_policy(judged + TEMPLATE).policy["health_check"]["max_error_rate"] == 0.05


def test_templates_alone_judge_one_wave():
    """A file of AnalysisTemplates is imported as one wave that they judge, with a note that there is no Rollout. [contract]"""
    imported = read_policy(TEMPLATE.removeprefix("---\n"))
    assert imported.kind == "argo-rollouts"
    assert imported.policy["health_check"]["max_error_rate"] == 0.05
    assert notes_of(imported, "strategy")[0].fidelity == "approximate"


def test_every_field_of_the_strategy_has_a_note():
    """Each key of the strategy, its steps and the spec appears in a note. [contract]"""
    more = ("canaryService: c", "antiAffinity: {}", "scaleDownDelaySeconds: 30", "colour: red")
    text = BACKGROUND.replace("      maxSurge", "".join(f"      {field}\n" for field in more) + "      maxSurge")
    text = text.replace("- pause: {}", "- experiment: {duration: 5m, templates: []}")
    imported = read_policy(text + TEMPLATE)
    noted = [note.field for note in imported.notes]
    assert noted.count("spec.strategy.canary.analysis.startingStep") == 1
    for key in (*(field.split(":")[0] for field in more), "maxSurge", "maxUnavailable", "analysis"):
        assert f"spec.strategy.canary.{key}" in noted
    for number in range(6):
        assert any(field.startswith(f"spec.strategy.canary.steps[{number}].") for field in noted)


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ("setWeight: 10", "setWeight: 101", 15, "from 0 to 100"),
        ("setWeight: 10", "setWeight: much", 15, "not a whole number"),
        ("pause: {}", "pause: {duration: soon}", 16, "not a duration"),
        ("pause: {}", "pause: {duration: 9000h}", 16, "at most 8760h"),
        ("pause: {}", "wait: {}", 16, "exactly one step"),
        ("- pause: {}", "- pause: {}\n        setWeight: 20", 17, "exactly one step"),
        ("maxUnavailable: 1", "maxUnavailable: 101%", 13, "at most 100%"),
        ("    canary:\n", "    blueGreen: {}\n    canary:\n", 12, "exactly one strategy"),
        ("    canary:\n", "    canaries:\n", 10, "exactly one strategy"),
        ("      steps:\n", "      steps: 3\n      others:\n", 14, "not a list"),
        ("replicas: 20", "replicas: -1", 5, "too small"),
    ],
)
def test_bad_values_have_line_and_field(before, after, line, words):
    """A bad value is refused with its line, its field and the allowed values. [contract]"""
    assert before in CANARY
    assert_one_problem(CANARY.replace(before, after, 1), line, words)


def test_braces_without_quotes_are_refused():
    """A template without quotes, as in one of the project's examples, is refused with line and hint. [contract]"""
    (problem,) = refusal(TEMPLATE.removeprefix("---\n").replace("interval: 2m", "interval: {{args.interval}}"))
    assert problem.startswith("line 10: ")
    assert "quotes" in problem
    (problem,) = refusal("{{- if .Values.enabled }}\n" + CANARY)
    assert "render templates first" in problem


def test_recognised_before_a_workload():
    """A file with a Rollout and a Deployment is recognised as a Rollout; a Service alone is refused. [contract]"""
    workload = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec: {}\n"
    assert read_policy(CANARY + workload).kind == "argo-rollouts"
    assert "nothing of the kind" in refusal("kind: Service\nspec: {}\n", kind="argo-rollouts")[0]


def test_a_canary_that_fails_its_analysis_is_rolled_back(tmp_path, engine):
    """Two nodes fail one request in ten, and are rolled back after the second look of two minutes. [oracle]"""
    path = tmp_path / "canary.yaml"
    scenario = {
        "name": "canary",
        "fleet": {"nodes": 20, "update_duration": "30s", "requests_per_second": 50},
        "release": {"bad": {"probability": 1, "defective": True, "error_rate": 0.2}},
        "policies": {"shop": read_policy(INLINE + TEMPLATE).policy},
    }
    path.write_text(json.dumps(scenario), encoding="utf-8")
    rollout = simdeploy.simulate(path, "shop", seed=1, engine=engine)
    assert rollout.nodes["dispatched_at_s"].notna().sum() == 2
    assert rollout.responses["stopped_at_s"] == 30 + 2 * 120
