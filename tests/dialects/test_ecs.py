"""ECS services, from the API and from templates, become general policies."""

import json

import pytest
from foreign import batches, fidelities, messages, notes, notes_of, refusal, roll_out, without_note

from simdeploy import Scenario, simulate
from simdeploy.dialects import read_policy
from simdeploy.errors import InputError

SERVICE = """\
{
  "serviceName": "web",
  "taskDefinition": "web:2",
  "desiredCount": 10,
  "schedulingStrategy": "REPLICA",
  "deploymentController": {"type": "ECS"},
  "deploymentConfiguration": {
    "strategy": "ROLLING",
    "minimumHealthyPercent": 75,
    "maximumPercent": 125,
    "deploymentCircuitBreaker": {
      "enable": true,
      "rollback": true,
      "resetOnHealthyTask": false,
      "thresholdConfiguration": {"type": "COUNT", "value": 4}
    },
    "alarms": {"alarmNames": ["errors"], "enable": true, "rollback": true},
    "bakeTimeInMinutes": 5
  }
}
"""

TEMPLATE = """\
Parameters:
  Tasks: {Type: Number, Default: 8}
  Least: {Type: Number}
  Stage: {Type: String, Default: test}
Mappings:
  ByStage:
    test: {Most: 150}
    live: {Most: 200}
Conditions:
  Live: !Equals [!Ref Stage, live]
  Breaks: !Or [!Condition Live, !Not [!Equals [!Ref Stage, test]]]
Resources:
  Api:
    Type: AWS::ECS::Service
    Properties: {DesiredCount: 3}
  Web:
    Type: AWS::ECS::Service
    Properties:
      DesiredCount: !Ref Tasks
      LoadBalancers:
        - TargetGroupArn: !Ref Targets
      HealthCheckGracePeriodSeconds: 60
      DeploymentConfiguration:
        MinimumHealthyPercent: !Ref Least
        MaximumPercent: !FindInMap [ByStage, !Ref Stage, Most]
        DeploymentCircuitBreaker: !If [Breaks, {Enable: true, Rollback: false}, !Ref AWS::NoValue]
  Targets:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties: {HealthCheckIntervalSeconds: 20, HealthyThresholdCount: 3}
"""


def service(*, desired=10, **config):
    return json.dumps({"serviceName": "web", "desiredCount": desired, "deploymentConfiguration": config})


def test_a_rolling_update_is_mapped():
    """Percentages become numbers of nodes, the circuit breaker a limit. [contract]"""
    imported = read_policy(SERVICE)
    assert imported.kind == "ecs"
    assert imported.nodes == 10
    assert imported.policy == {
        "dialect": "general",
        "strategy": "rolling",
        "max_parallel": 4,
        "surge": 2,
        "health_check": {"deadline": "3h"},
        "max_failed_nodes": 4,
        "orchestrator": {
            "pacing": "sliding",
            "on_failure": "rollback",
            "limit_comparison": "reaches",
            "failures_counted": "cumulative",
            "node_local_rollback": True,
        },
    }


def test_a_bad_number_of_tasks_is_the_only_problem():
    """If the number of tasks is invalid, no other number is asked for. [contract]"""
    (problem,) = refusal(service(desired="ten", maximumPercent=150))
    assert "desiredCount: not a whole number" in problem


def test_a_service_without_tasks_has_nothing_to_update():
    """A desired count of 0 is refused, unless the caller gives the number of nodes. [contract]"""
    empty = '{\n"serviceName": "web",\n"desiredCount": 0,\n"deploymentConfiguration": {}}'
    assert messages(empty) == [(3, "desiredCount", "there is nothing to update")]
    assert read_policy(empty, nodes=4).nodes == 4


def test_a_number_of_tasks_that_depends_on_a_parameter_asks_for_it():
    """If the number of tasks depends on a parameter without a value, the problem names line, field and parameter. [contract]"""
    resource = "  S: {Type: AWS::ECS::Service, Properties: {DesiredCount: !Ref Tasks, DeploymentConfiguration: {}}}\n"
    template = f"Parameters: {{Tasks: {{Type: Number}}}}\nResources:\n{resource}"
    (problem,) = refusal(template)
    assert problem.startswith("line 3: Resources.S.Properties.DesiredCount: ")
    assert problem.endswith("; pass --var Tasks=VALUE or --nodes N")
    (problem,) = refusal(template.replace("!Ref Tasks", "!GetAtt Other.Tasks"))
    assert problem.endswith("; pass --nodes N")
    assert read_policy(template, variables={"Tasks": 5}).nodes == 5


def test_every_field_has_a_note():
    """Every field of the deployment configuration has a note. [contract]"""
    imported = read_policy(SERVICE)
    assert without_note(imported, SERVICE, "deploymentConfiguration") == []
    found = fidelities(imported)
    assert found["deploymentConfiguration.alarms"] == found["deploymentConfiguration.bakeTimeInMinutes"] == "none"
    off = read_policy(SERVICE.replace('"enable": true, "rollback": true}', '"enable": false, "rollback": false}'))
    assert notes(off)["deploymentConfiguration.alarms"][:2] == ("exact", "off")
    breaker = next(note for note in imported.notes if note.field.endswith("enable"))
    assert (breaker.fidelity, breaker.line) == ("approximate", 12)


@pytest.mark.parametrize(
    ("nodes", "least", "most", "in_flight", "surge"),
    [
        (4, 100, 200, 4, 4),
        (5, 80, 100, 1, None),
        (5, 79, 100, 1, None),  # 3.95 tasks are 4
        (5, 50, 100, 2, None),  # 2.5 are 3
        (5, 100, 119, None, None),  # 5.95 are 5, so nothing may be updated
        (5, 100, 120, 1, 1),
        (5, 0, 100, 5, None),
        (3, 67, 150, 1, 1),  # 2.01 are 3; 4.5 are 4
        (7, 50, 150, 6, 3),  # 3.5 are 4; 10.5 are 10
        (1, 100, 200, 1, 1),
        (1000, 99, 101, 20, 10),
    ],
)
def test_the_minimum_is_rounded_up_and_the_maximum_down(nodes, least, most, in_flight, surge):
    """ECS never has fewer tasks than the minimum or more than the maximum. [contract]"""
    text = service(desired=nodes, minimumHealthyPercent=least, maximumPercent=most)
    if in_flight is None:
        with pytest.raises(InputError, match="waits forever"):
            read_policy(text)
        return
    policy = read_policy(text).policy
    assert (policy["max_parallel"], policy.get("surge")) == (in_flight, surge)


def test_defaults_are_those_of_ecs_and_are_noted():
    """100 % and 200 %, also of a single task; without the circuit breaker nothing stops the deployment. [contract]"""
    imported = read_policy(service(desired=6))
    assert (imported.policy["max_parallel"], imported.policy["surge"]) == (6, 6)
    assert imported.orchestrator == {"pacing": "sliding", "on_failure": "continue", "failed_node_holds_slot": True}
    assert "max_failed_nodes" not in imported.policy
    texts = {note.field: note.text for note in imported.notes}
    assert texts["deploymentConfiguration.minimumHealthyPercent"].startswith("not given: 100 %")
    assert texts["deploymentConfiguration.maximumPercent"].endswith("6 tasks may start beside the 6 old ones")
    single = {note.field: note.text for note in read_policy(service(desired=1)).notes}
    assert single["deploymentConfiguration.minimumHealthyPercent"].endswith("0 of 1 task may be missing")
    assert single["deploymentConfiguration.maximumPercent"].endswith("1 task may start beside the old one")


def test_daemons_have_other_defaults():
    """A daemon has one task per instance, 0 % and 100 %, and the caller's number of instances. [contract]"""
    text = '{"serviceName": "agent", "schedulingStrategy": "DAEMON", "taskDefinition": "agent:2"}'
    policy = read_policy(text, nodes=9).policy
    assert (policy["max_parallel"], policy.get("surge")) == (9, None)
    with pytest.raises(InputError, match="pass --nodes N"):
        read_policy(text)


@pytest.mark.parametrize(
    ("nodes", "threshold", "limit"),
    [
        (5, {}, 3),
        (6, {}, 3),
        (7, {}, 4),
        (401, {}, 200),
        (10, {"type": "BOUNDED_PERCENT", "value": 20}, 3),
        (20, {"type": "BOUNDED_PERCENT", "value": 21}, 5),
        (5, {"type": "UNBOUNDED_PERCENT", "value": 20}, 1),
        (1000, {"type": "UNBOUNDED_PERCENT", "value": 50}, 500),
        (1000, {"type": "COUNT", "value": 1}, 1),
    ],
)
def test_the_threshold_of_the_circuit_breaker(nodes, threshold, limit):
    """A percentage is rounded up; a bounded one lies between 3 and 200. [contract]"""
    breaker = {"enable": True, "rollback": False, **({"thresholdConfiguration": threshold} if threshold else {})}
    imported = read_policy(service(desired=nodes, deploymentCircuitBreaker=breaker))
    assert imported.policy["max_failed_nodes"] == limit
    assert imported.orchestrator["limit_comparison"] == "reaches"
    assert imported.orchestrator["failures_counted"] == "consecutive"
    assert imported.orchestrator["on_failure"] == "stop"
    assert imported.policy["no_auto_rollback"] is True


def test_a_circuit_breaker_that_is_off_has_no_effect():
    """A disabled circuit breaker sets no limit, and a note on its rollback says that it is off. [contract]"""
    breaker = {"enable": False, "rollback": True, "thresholdConfiguration": {"type": "COUNT", "value": 1}}
    imported = read_policy(service(deploymentCircuitBreaker=breaker))
    assert "max_failed_nodes" not in imported.policy
    assert "off" in next(note.text for note in imported.notes if note.field.endswith("rollback"))


def test_traffic_in_steps_becomes_waves():
    """Linear and canary strategies become waves, with their defaults; blue/green is one wave beside the old tasks. [contract]"""
    steps = {"stepPercent": 25, "stepBakeTimeInMinutes": 2}
    linear = read_policy(service(strategy="LINEAR", linearConfiguration=steps))
    assert linear.policy["waves"] == [{"size": "25%", "bake_time": "2m"}]
    assert linear.policy["surge"] == "100%"
    assert linear.orchestrator["pacing"] == "barrier"
    assert read_policy(service(strategy="LINEAR")).policy["waves"] == [{"size": "10%", "bake_time": "6m"}]
    canary = read_policy(service(strategy="CANARY")).policy
    assert canary["waves"] == [{"size": "5%", "bake_time": "10m"}, {"until": "100%"}]
    green = read_policy(service(strategy="BLUE_GREEN")).policy
    assert (green["max_parallel"], green["surge"]) == (0, "100%")


@pytest.mark.parametrize(
    ("strategy", "tasks", "words"),
    [
        ("LINEAR", 10, None),
        ("LINEAR", 3, "3 nodes: 3 steps instead of 10"),
        ("LINEAR", 15, "15 nodes: 8 steps instead of 10"),
        ("CANARY", 2, None),
        ("CANARY", 1, "1 node: 1 step instead of 2"),
    ],
)
def test_few_tasks_make_fewer_steps(strategy, tasks, words):
    """The time between steps is exact only if the tasks make as many waves as there are steps of traffic. [oracle]"""
    imported = read_policy(service(strategy=strategy), nodes=tasks)
    note = next(note for note in imported.notes if note.field.endswith("BakeTimeInMinutes"))
    assert (note.fidelity, note.text.endswith(words or "min between steps")) == (
        "approximate" if words else "exact",
        True,
    )
    fleet = {"nodes": tasks, "update_duration": "30s"}
    raw = {"name": "steps", "fleet": fleet, "policies": {"p": imported.policy}}
    waves = {10: 10, 3: 3, 15: 8, 2: 2, 1: 1}[tasks]
    assert simulate(Scenario.from_dict(raw)).responses["waves"] == waves


def test_a_threshold_above_the_tasks_is_approximate():
    """ECS counts restarts of a task; here two nodes can't fail three times, and the note says so. [contract]"""
    text = service(deploymentCircuitBreaker={"enable": True})
    fidelity = {nodes: fidelities(read_policy(text, nodes=nodes)) for nodes in (2, 3)}
    key = next(name for name in fidelity[2] if name.endswith("thresholdConfiguration.value"))
    assert (fidelity[2][key], fidelity[3][key]) == ("approximate", "exact")


def test_a_template_is_evaluated():
    """Parameters, defaults, conditions and mappings are evaluated, and the service with a deployment configuration is used. [contract]"""
    imported = read_policy(TEMPLATE, variables={"Least": "50"})
    assert imported.nodes == 8
    assert (imported.policy["max_parallel"], imported.policy["surge"]) == (8, 4)
    assert imported.orchestrator["on_failure"] == "continue"
    live = read_policy(TEMPLATE, variables={"Least": "50", "Stage": "live", "Tasks": "6"})
    assert (live.policy["max_parallel"], live.policy["surge"], live.nodes) == (6, 6, 6)
    assert live.policy["max_failed_nodes"] == 3
    assert live.orchestrator["on_failure"] == "stop"
    assert read_policy(TEMPLATE, variables={"service": "Api"}).nodes == 3


TWINS = """\
Parameters:
  Launch: {Type: String, Default: EC2}
Conditions:
  OnFargate: !Equals [!Ref Launch, FARGATE]
  OnHosts: !Not [!Condition OnFargate]
Resources:
  Managed:
    Type: AWS::ECS::Service
    Condition: OnFargate
    Properties: {DesiredCount: 3, DeploymentConfiguration: {}}
  Hosted:
    Type: AWS::ECS::Service
    Condition: OnHosts
    Properties: {DesiredCount: 7, DeploymentConfiguration: {}}
"""


def test_a_service_that_is_not_created_is_not_read():
    """Of services with conditions, the one that is created is read; others only if they are named, or all conditions are unknown. [contract]"""
    hosted, managed = read_policy(TWINS), read_policy(TWINS, variables={"Launch": "FARGATE"})
    assert (hosted.nodes, managed.nodes) == (7, 3)
    assert not notes_of(hosted, "service")
    assert read_policy(TWINS, variables={"service": "Managed"}).nodes == 3
    open_text = TWINS.replace(", Default: EC2", "")
    assert "chooses one of Managed, Hosted" in notes_of(read_policy(open_text), "service")[0].text


def test_a_target_group_in_the_template_checks_health():
    """A target group's interval and thresholds are used, with further failures for the grace period; others have defaults. [contract]"""
    imported = read_policy(TEMPLATE)
    assert imported.policy["health_check"] == {
        "deadline": "3h",
        "interval": "20s",
        "max_error_rate": 0.99,
        "success_threshold": 3,
        "failure_threshold": 5,
    }
    other = read_policy(TEMPLATE.replace("!Ref Targets", "arn"))
    assert other.policy["health_check"]["success_threshold"] == 5
    assert other.policy["health_check"]["interval"] == "30s"


def test_an_unknown_parameter_is_not_guessed():
    """One note names an unknown parameter, and the default that is assumed. [contract]"""
    imported = read_policy(TEMPLATE)
    (note,) = imported.unknown
    assert "!Ref Least" in note.text
    assert "; assumed: 100 %" in note.text
    assert note.line == 24
    assert imported.policy["max_parallel"] == imported.policy["surge"] == 4


def test_a_parameter_that_decides_a_condition_is_named():
    """A parameter inside nested conditions, mappings and texts is named once in each note. [contract]"""
    hidden = read_policy(TEMPLATE.replace("Stage: {Type: String, Default: test}", "Stage: {Type: String}"))
    fields = ("MaximumPercent", "DeploymentCircuitBreaker")
    texts = [note.text for note in hidden.unknown if note.field.endswith(fields)]
    assert len(texts) == len(fields)
    assert all(words.count("give --var Stage=VALUE") == 1 for words in texts)


def test_functions_as_json_mean_the_same():
    """JSON templates, which write functions as mappings, give the same policy. [contract]"""
    body = {"Type": "AWS::ECS::Service", "Properties": {"DesiredCount": {"Ref": "Tasks"}, "DeploymentConfiguration": {
        "MaximumPercent": {"Fn::If": ["Big", 150, 100]}, "MinimumHealthyPercent": {"Fn::Sub": "${Least}"}}}}  # fmt: skip
    template = {
        "Parameters": {"Tasks": {"Default": 4}, "Least": {"Default": 50}},
        "Conditions": {"Big": {"Fn::Equals": [{"Ref": "Tasks"}, "4"]}},
        "Resources": {"Web": body},
    }
    policy = read_policy(json.dumps(template)).policy
    assert (policy["max_parallel"], policy["surge"]) == (4, 2)
    policy = read_policy(json.dumps(template), variables={"Tasks": "6"}).policy
    assert (policy["max_parallel"], policy.get("surge")) == (3, None)


def test_circular_conditions_end():
    """Circular conditions are treated as unknown, like missing ones. [contract]"""
    text = TEMPLATE.replace("!Equals [!Ref Stage, live]", "!Not [!Condition Breaks]")
    imported = read_policy(text)
    assert any("!If Breaks" in note.text for note in imported.unknown)
    place = "DeploymentConfiguration"
    alarmed = text.replace(
        f"{place}:\n", f"{place}:\n        Alarms: !If [Breaks, {{Enable: false}}, !Ref AWS::NoValue]\n"
    )
    assert [note.fidelity for note in notes_of(read_policy(alarmed), f"Web.{place}.Alarms")] == ["none"]


def test_answers_of_the_api_are_read():
    """A service is read alone or from a list, from which it is chosen by name. [contract]"""
    one, two = json.loads(service(desired=4)), json.loads(service(desired=6))
    two["serviceName"] = "api"
    assert read_policy(json.dumps({"service": one})).nodes == 4
    assert read_policy(json.dumps({"services": [one, two]})).nodes == 4
    assert read_policy(json.dumps({"services": [one, two]}), variables={"service": "api"}).nodes == 6


def test_all_bad_values_are_reported_with_lines():
    """All problems are reported together, with line, field and reason. [contract]"""
    text = SERVICE.replace("75", "101").replace('"COUNT"', '"NUMBER"')
    text = text.replace('"enable": true,\n', '"enable": "yes",\n')
    assert messages(text) == [
        (12, "deploymentConfiguration.deploymentCircuitBreaker.enable", "not a boolean"),
        (9, "deploymentConfiguration.minimumHealthyPercent", "too large"),
    ]


@pytest.mark.parametrize(
    ("fail", "reset", "touched", "stopped"),
    [
        ([0, 1, 2], True, 3, True),
        ([0, 1, 3, 4], True, 5, False),
        ([0, 1, 3, 4], False, 4, True),
        ([0, 1], False, 5, False),
    ],
)
def test_the_circuit_breaker_of_five_tasks(engine, fail, reset, touched, stopped):
    """Tasks go one at a time; three failures in a row, or in total, stop the deployment. [oracle]"""
    breaker = {"enable": True, "rollback": False, "resetOnHealthyTask": reset}
    text = service(desired=5, minimumHealthyPercent=80, maximumPercent=100, deploymentCircuitBreaker=breaker)
    rollout = roll_out(read_policy(text), 5, fail=fail, engine=engine)
    assert batches(rollout) == [1] * touched
    assert (rollout.responses["state"] == "failed") is stopped


@pytest.mark.parametrize(
    ("nodes", "least", "most", "touched", "serving"),
    [(40, 50, 100, 20, 20), (40, 90, 110, 8, 36), (40, 75, 125, 20, 30), (10, 80, 100, 2, 8)],
)
@pytest.mark.parametrize("checked", [False, True])
def test_a_version_that_never_starts_leaves_the_minimum(engine, nodes, least, most, touched, serving, checked):
    """Without a circuit breaker, the update freezes at the minimum and never ends. [oracle]"""
    text = service(desired=nodes, minimumHealthyPercent=least, maximumPercent=most)
    if checked:
        text = text.replace("{", '{"loadBalancers": [{}], ', 1)
    rollout = roll_out(read_policy(text), nodes, fail=range(nodes), engine=engine)
    assert batches(rollout) == [touched]
    assert rollout.responses["state"] == "in_progress"
    assert rollout.timeline["in_service"].min() == serving


def test_failed_tasks_are_started_again(engine):
    """Without a circuit breaker, every task that starts now and then is healthy in the end. [property]"""
    imported = read_policy(service(desired=20, minimumHealthyPercent=90, maximumPercent=100))
    rollout = roll_out(imported, 20, engine=engine, start_failure=0.5)
    assert rollout.responses["updated_nodes"] == 20
    assert rollout.nodes["attempts"].max() > 1


def test_unhealthy_tasks_are_started_again():
    """A task that fails the checks of a load balancer is replaced, too; without one, there are no checks. [contract]"""
    # As `describe-services` prints a service that has none.
    assert read_policy(service().replace("{", '{"loadBalancers": [], ', 1)).policy == read_policy(service()).policy
    checked = read_policy(service().replace("{", '{"loadBalancers": [{}], ', 1)).policy
    assert (checked["retries"], checked["retry_unhealthy"]) == (100, True)
    assert "retry_unhealthy" not in read_policy(service()).policy


@pytest.mark.parametrize(
    ("nodes", "least", "most", "touched", "serving"),
    [(100, 90, 100, 50, 90), (40, 90, 110, 24, 36), (40, 50, 100, 20, 20)],
)
def test_failed_nodes_go_back_under_a_circuit_breaker(engine, nodes, least, most, touched, serving):
    """If going back takes no time, a version that never starts takes out no more tasks than the minimum allows. [oracle]"""
    text = service(
        desired=nodes, minimumHealthyPercent=least, maximumPercent=most, deploymentCircuitBreaker={"enable": True}
    )
    imported = read_policy(text)
    rollout = roll_out(imported, nodes, fail=range(nodes), engine=engine, rollback_duration="0s")
    assert rollout.responses["state"] == "failed"
    assert rollout.responses["touched_nodes"] == touched
    assert rollout.timeline["in_service"].min() == serving


@pytest.mark.parametrize(
    ("breaker", "least", "fidelity"), [(False, 75, "exact"), (True, 75, "approximate"), (True, 100, "exact")]
)
def test_the_minimum_is_approximate_if_failed_nodes_go_back(breaker, least, fidelity):
    """While a failed node goes back, it is missing besides the nodes that start. [contract]"""
    text = service(minimumHealthyPercent=least, maximumPercent=150, deploymentCircuitBreaker={"enable": breaker})
    assert fidelities(read_policy(text))["deploymentConfiguration.minimumHealthyPercent"] == fidelity


def test_tasks_beside_the_old_ones_take_none_out_of_service(engine):
    """At 100 and 200 % four tasks start at once, and all old ones serve until then. [oracle]"""
    rollout = roll_out(read_policy(service(desired=4)), 4, engine=engine)
    assert batches(rollout) == [4]
    assert rollout.responses["min_in_service_fraction"] == 1


@pytest.mark.parametrize(
    ("config", "field", "fidelity"),
    [
        ({"deploymentController": {"type": "CODE_DEPLOY"}}, "deploymentController.type", "none"),
        ({"deploymentController": {"type": "ECS"}}, "deploymentController.type", "exact"),
        ({"schedulingStrategy": "REPLICA"}, "schedulingStrategy", "exact"),
        ({"healthCheckGracePeriodSeconds": 30}, "healthCheckGracePeriodSeconds", "none"),
        ({"healthCheckGracePeriodSeconds": 30, "loadBalancers": [{}]}, "healthCheckGracePeriodSeconds", "approximate"),
    ],
)
def test_fields_beside_the_configuration_are_noted(config, field, fidelity):
    """Notes say whether and how other fields affect a rollout. [contract]"""
    imported = read_policy(json.dumps({**json.loads(service()), **config}))
    assert fidelities(imported)[field] == fidelity
