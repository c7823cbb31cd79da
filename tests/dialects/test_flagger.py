"""Importing Canaries of Flagger."""

import json

import pytest
from foreign import assert_one_problem, notes, notes_of, refusal

import simdeploy
from simdeploy.dialects import read_policy

CANARY = """\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  provider: istio
  progressDeadlineSeconds: 120
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  service: {port: 80}
  analysis:
    interval: 30s
    threshold: 4
    maxWeight: 50
    stepWeight: 20
    metrics:
    - name: request-success-rate
      thresholdRange: {min: 98}
      interval: 1m
    - name: request-duration
      thresholdRange: {max: 500}
    webhooks:
    - {name: load, url: "http://load/"}
    - {name: ask, type: confirm-promotion, url: "http://ask/"}
"""
PROMOTED = {"until": "100%", "min_healthy_time": "0s", "gate": False}
DEPLOYMENT = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec: {replicas: 10}\n"


def weights(text, **given):
    return [wave["until"] for wave in read_policy(text, **given).policy["waves"]]


def changed(before, after):
    assert before in CANARY
    return CANARY.replace(before, after)


def test_weights_are_waves_and_checks_a_gate():
    """Each weight is a wave observed for an interval; the threshold is the number of failed looks. [contract]"""
    imported = read_policy(CANARY)
    assert (imported.kind, imported.nodes) == ("flagger", None)
    assert imported.policy == {
        "dialect": "general",
        "strategy": "rolling",
        "waves": [{"until": "20%"}, {"until": "40%"}, {"until": "60%"}, PROMOTED],
        "surge": "100%",
        "health_check": {
            "deadline": "1h",
            "interval": "30s",
            "min_healthy_time": "30s",
            "max_error_rate": 0.02,
            "failure_threshold": 4,
            "cumulative_failures": True,
            "gate": {"kind": "pooled", "over": "window", "failures_of": "rollout"},
        },
        "retries": 1000,
        "retry_delay": "10s",
        "progress_deadline": "4m30s",  # and five looks of 30 s
        "orchestrator": imported.orchestrator,
    }
    assert imported.orchestrator == {
        "pacing": "barrier",
        "unreachable_nodes": "wait",
        "on_failure": "rollback",
        "wave_rounding": "nearest",
        "cant_tell": "unhealthy",
        "window_reset": False,
    }
    json.dumps(imported.policy)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("stepWeight: 20", "stepWeight: 25", ["25%", "50%", "100%"]),
        ("stepWeight: 20", "stepWeight: 60", ["60%", "100%"]),  # overshoots maxWeight
        ("    maxWeight: 50\n", "", ["20%", "40%", "60%", "80%", "100%"]),
        ("maxWeight: 50", "maxWeight: 0", ["20%", "40%", "60%", "80%", "100%"]),
        ("stepWeight: 20", "stepWeight: 30", ["30%", "60%", "100%"]),
        ("stepWeight: 20", "stepWeights: [1, 5, 30]", ["1%", "5%", "30%", "100%"]),
        ("stepWeight: 20", "stepWeights: [10, 200]", ["10%", "100%"]),
        ("stepWeight: 20", "stepWeight: 40\n    stepWeights: [10, 50]", ["40%", "80%", "100%"]),
    ],
)
def test_weights_follow_the_controller(old, new, expected):
    """Weights grow in steps up to maxWeight, which they may exceed; stepWeights end with their last value, at most 100. [oracle]"""
    assert weights(changed(old, new)) == expected


def test_weights_beside_iterations_have_no_effect():
    """With iterations the traffic doesn't grow, and notes on weights say so. [contract]"""
    noted = notes(read_policy(changed("stepWeight: 20", "iterations: 3\n    stepWeight: 20\n    stepWeights: [1, 5]")))
    weights = [noted[f"spec.analysis.{key}"] for key in ("stepWeight", "stepWeights", "maxWeight")]
    assert {note[:2] for note in weights} == {("none", "has no effect beside iterations")}


def test_weights_that_add_no_node_last_longer():
    """Of 10 nodes 1, 5 and 14 % are one, so the second and third step are further checks of the first wave. [contract]"""
    text = changed("stepWeight: 20", "stepWeights: [1, 5, 14, 30]")
    policy = read_policy(text, nodes=10).policy
    assert policy["waves"] == [{"until": "1%"}, {"until": "30%", "min_healthy_time": "30s"}, PROMOTED]
    assert policy["health_check"]["min_healthy_time"] == "1m30s"


def test_a_weight_that_adds_no_node_is_checked(engine):
    """A defect that shows 70 s after the start, during the third check of the only new node, fails all checks from it on. [oracle]"""
    imported = read_policy(changed("stepWeight: 20", "stepWeights: [1, 5, 14, 30]"), nodes=10)
    failed_checks = imported.policy["health_check"]["failure_threshold"]
    scenario = {
        "name": "late",
        "fleet": {"nodes": 10, "update_duration": "30s", "requests_per_second": 50},
        "release": {"bad": {"probability": 1, "defective": True, "error_rate": 0.5, "after": "70s"}},
        "policies": {"shop": imported.policy},
    }
    rollout = simdeploy.simulate(simdeploy.Scenario.from_dict(scenario), engine=engine)
    assert rollout.nodes["dispatched_at_s"].notna().sum() == 1
    assert rollout.responses["stopped_at_s"] == 30 + 30 * (2 + failed_checks)


def test_replicas_of_a_target_in_the_same_file():
    """The number of nodes is the caller's, or else the target's replicas. [contract]"""
    imported = read_policy(CANARY + DEPLOYMENT)
    assert (imported.kind, imported.nodes) == ("flagger", 10)
    assert read_policy(CANARY + DEPLOYMENT, nodes=30).nodes == 30
    assert read_policy(CANARY + DEPLOYMENT.replace("name: shop", "name: other")).nodes is None


def test_a_target_of_the_same_namespace_is_preferred():
    """Of two targets of the same name, that in the Canary's namespace counts, wherever it is in the file. [contract]"""
    east, west = (DEPLOYMENT.replace("shop", f"shop, namespace: {name}") for name in ("east", "west"))
    canary = CANARY.replace("metadata: {name: shop}", "metadata: {name: shop, namespace: west}")
    other = east.replace("10", "4")
    assert read_policy(canary + other + west).nodes == read_policy(canary + west + other).nodes == 10
    assert read_policy(canary + other).nodes == 4


def test_iterations_are_looks_at_one_wave():
    """Blue/green and A/B tests judge all new nodes together, once per iteration. [contract]"""
    imported = read_policy(changed("stepWeight: 20", "iterations: 5"))
    assert imported.policy["waves"] == [{"until": "100%"}]
    assert imported.policy["health_check"]["min_healthy_time"] == "2m30s"
    assert notes_of(imported, "spec.analysis.iterations")[0].fidelity == "approximate"
    plain = read_policy(changed("provider: istio", "provider: kubernetes"))
    assert plain.policy["health_check"]["min_healthy_time"] == "5m"  # 10 iterations
    tested = read_policy(changed("stepWeight: 20", "iterations: 5\n    match: [{headers: {}}]"))
    assert notes_of(tested, "spec.analysis.match")


@pytest.mark.parametrize(
    "text", [changed("  service:", "  skipAnalysis: true\n  service:"), CANARY[: CANARY.index("  analysis:")]]
)
def test_without_analysis_all_nodes_at_once(text):
    """With skipAnalysis or without an analysis, the canary is promoted when it is ready. [contract]"""
    policy = read_policy(text).policy
    assert policy["waves"] == [{"until": "100%"}]
    assert "gate" not in policy["health_check"]
    assert (policy["surge"], policy["progress_deadline"]) == ("100%", "2m")


def test_defaults_are_noted():
    """The defaults of 60 s, threshold 1, maxWeight 100 and 600 s have notes without lines. [contract]"""
    bare = changed("    interval: 30s\n    threshold: 4\n    maxWeight: 50\n", "").replace(
        "  progressDeadlineSeconds: 120\n", ""
    )
    imported = read_policy(bare)
    check = imported.policy["health_check"]
    assert (check["interval"], check["failure_threshold"]) == ("1m", 1)
    assert imported.policy["progress_deadline"] == "12m"
    for name in ("analysis.interval", "analysis.threshold", "analysis.maxWeight", "progressDeadlineSeconds"):
        (note,) = notes_of(imported, f"spec.{name}")
        assert note.line is None
        assert note.text.startswith("not given")
    assert read_policy(changed("interval: 30s", "interval: 5s")).policy["health_check"]["interval"] == "10s"


@pytest.mark.parametrize(
    ("old", "new", "rate"),
    [
        ("thresholdRange: {min: 98}", "thresholdRange: {min: 99.9}", 0.001),
        ("thresholdRange: {min: 98}", "threshold: 95", 0.05),
        ("thresholdRange: {min: 98}", "thresholdRange: {max: 100}", None),
        ("name: request-success-rate", "name: error-rate\n      templateRef: {name: errors}", None),
        ("name: request-success-rate", "name: request-duration", None),
    ],
)
def test_only_the_success_rate_is_judged(old, new, rate):
    """max_error_rate is 1 - thresholdRange.min of request-success-rate; other metrics never fail. [contract]"""
    imported = read_policy(changed(old, new))
    assert imported.policy["health_check"].get("max_error_rate") == rate
    assert ("gate" in imported.policy["health_check"]) is (rate is not None)


def test_every_field_has_a_note_with_its_line():
    """Each key of spec and analysis, each metric and each webhook appears in a note. [contract]"""
    text = changed(
        "    threshold: 4", "    threshold: 4\n    mirror: true\n    stepWeightPromotion: 50\n    colour: red"
    )
    imported = read_policy(text)
    lines = {note.field: note.line for note in imported.notes}
    for key in ("provider", "progressDeadlineSeconds", "targetRef", "service"):
        assert lines[f"spec.{key}"] is not None
    for key in ("interval", "threshold", "mirror", "stepWeightPromotion", "colour", "maxWeight", "stepWeight"):
        assert lines[f"spec.analysis.{key}"] is not None
    assert lines["spec.analysis.metrics[0].thresholdRange.min"] == 19
    assert lines["spec.analysis.metrics[1].thresholdRange"] == 22
    assert lines["spec.analysis.webhooks[1]"] == 25
    assert "confirmed" in notes_of(imported, "spec.analysis.webhooks[1]")[0].text


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ("interval: 30s", "interval: 30", 10, "not a duration"),
        ("interval: 30s", "interval: -30s", 10, "too short"),
        ("threshold: 4", "threshold: few", 11, "not a whole number"),
        ("maxWeight: 50", "maxWeight: 150", 12, "from 0 to 100"),
        ("stepWeight: 20", "stepWeights: [10, 5]", 13, "entry 1"),
        ("stepWeight: 20", "stepWeights: [10, half]", 13, "entry 1"),
        ("stepWeight: 20", "stepWeight: 0", 13, "never be promoted"),
        ("{min: 98}", "{min: 101}", 16, "from 0 to 100"),
        ("{min: 98}", "98", 16, "keys with values"),
        ("progressDeadlineSeconds: 120", "progressDeadlineSeconds: no", 6, "not a whole number"),
    ],
)
def test_bad_values_have_line_and_field(before, after, line, words):
    """A bad value is refused with its line, its field and the allowed values. [contract]"""
    assert_one_problem(changed(before, after), line, words)


def test_variables_of_the_text():
    """Values may be envsubst variables, as Flux substitutes them. [contract]"""
    text = changed("stepWeight: 20", "stepWeight: ${STEP:=25}")
    assert weights(text) == ["25%", "50%", "100%"]
    assert weights(text, variables={"STEP": 50}) == ["50%", "100%"]


def test_an_empty_list_of_metrics_is_known():
    """The note on an empty list of metrics calls it empty, not unknown. [contract]"""
    text = CANARY[: CANARY.index("    metrics:")] + "    metrics: []\n"
    assert notes(read_policy(text))["spec.analysis.metrics"][:2] == ("none", "empty")


def test_recognised_before_a_workload():
    """A Canary is recognised in a file with its target; a file without one is refused by name. [contract]"""
    assert read_policy(DEPLOYMENT.removeprefix("---\n") + "---\n" + CANARY).kind == "flagger"
    assert "nothing of the kind" in refusal(DEPLOYMENT, kind="flagger")[0]


def test_a_bad_release_is_rolled_back_at_the_threshold(tmp_path, engine):
    """A fifth of the nodes fail 10 % of requests: all are rolled back after four looks of 30 s. [oracle]"""
    path = tmp_path / "canary.yaml"
    scenario = {
        "name": "canary",
        "fleet": {"nodes": 10, "update_duration": "20s", "requests_per_second": 50},
        "release": {"bad": {"probability": 1, "defective": True, "error_rate": 0.1}},
        "policies": {"shop": read_policy(CANARY).policy},
    }
    path.write_text(json.dumps(scenario), encoding="utf-8")
    rollout = simdeploy.simulate(path, "shop", seed=1, engine=engine)
    assert rollout.nodes["dispatched_at_s"].notna().sum() == 2
    assert rollout.responses["stopped_at_s"] == 20 + 4 * 30


@pytest.mark.parametrize(
    ("traffic", "state", "stopped_at_s"),
    [
        ([["0h", 0], ["6h", 0], ["7h", 1], ["23h", 0]], "failed", 20 + 4 * 30),
        (
            [["0h", 0], ["80s", 0], ["81s", 1], ["23h", 1]],
            "completed",
            None,
        ),  # the first two checks fail, and the canary goes on
    ],
)
def test_an_interval_without_requests_is_a_failed_check(tmp_path, engine, traffic, state, stopped_at_s):
    """Without traffic the fourth check rolls everything back; two checks without traffic only delay the canary. [oracle]"""
    path = tmp_path / "canary.yaml"
    fleet = {"nodes": 10, "update_duration": "20s", "requests_per_second": 50, "traffic": {"daily": traffic}}
    scenario = {"name": "idle", "fleet": fleet, "policies": {"shop": read_policy(CANARY).policy}}
    path.write_text(json.dumps(scenario), encoding="utf-8")
    responses = simdeploy.simulate(path, "shop", seed=1, engine=engine).responses
    assert responses["state"] == state
    assert stopped_at_s is None or responses["stopped_at_s"] == stopped_at_s
