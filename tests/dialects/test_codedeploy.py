"""CodeDeploy's deployment configurations become general policies."""

import json

import pytest
from foreign import batches, fidelities, messages, notes_of, refusal, roll_out, without_note

from simdeploy import InputError
from simdeploy.dialects import read_policy

CONFIG = """\
{
  "deploymentConfigName": "by-zone",
  "computePlatform": "Server",
  "minimumHealthyHosts": {"type": "FLEET_PERCENT", "value": 70},
  "zonalConfig": {
    "firstZoneMonitorDurationInSeconds": 900,
    "monitorDurationInSeconds": 300,
    "minimumHealthyHostsPerZone": {"type": "FLEET_PERCENT", "value": 40}
  }
}
"""

TEMPLATE = """\
Parameters:
  Healthy: {Type: Number, Default: 8}
Resources:
  Few:
    Type: AWS::CodeDeploy::DeploymentConfig
    Properties:
      MinimumHealthyHosts: {Type: HOST_COUNT, Value: !Ref Healthy}
  Shift:
    Type: AWS::CodeDeploy::DeploymentConfig
    Properties:
      ComputePlatform: ECS
      TrafficRoutingConfig:
        Type: TimeBasedLinear
        TimeBasedLinear: {LinearPercentage: 20, LinearInterval: 4}
  Group:
    Type: AWS::CodeDeploy::DeploymentGroup
    Properties:
      DeploymentConfigName: !Ref Few
      AutoRollbackConfiguration: {Enabled: true, Events: [DEPLOYMENT_FAILURE, DEPLOYMENT_STOP_ON_ALARM]}
"""

SLOTS = {"failed_node_holds_slot": True, "all_slots_held": "fail"}


def hosts(kind, value):
    return json.dumps({"deploymentConfigName": "own", "minimumHealthyHosts": {"type": kind, "value": value}})


def predefined(name):
    return json.dumps({"deploymentConfigName": f"CodeDeployDefault.{name}"})


def test_a_number_of_hosts_is_pace_and_tolerance():
    """If six of nine hosts must be healthy, three go at a time, and three may fail before the rest is blocked. [contract]"""
    imported = read_policy(hosts("HOST_COUNT", 6), nodes=9)
    assert imported.kind == "codedeploy"
    assert imported.policy == {
        "dialect": "general",
        "strategy": "rolling",
        "max_parallel": 3,
        "max_failed_nodes": 3,
        "health_check": {"deadline": "1h"},
        "no_auto_rollback": True,
        "orchestrator": {"pacing": "sliding", "wave_rounding": "floor", **SLOTS, "on_failure": "stop"},
    }


def test_a_number_of_hosts_needs_the_number_of_nodes():
    """Without the fleet's size, a minimum of healthy hosts is refused. [contract]"""
    assert "pass --nodes N" in refusal(hosts("HOST_COUNT", 6))[0]


@pytest.mark.parametrize("percent", [1, 50, 85, 99])
def test_a_percentage_is_rounded_in_favour_of_health(percent):
    """The minimum is rounded up and so its complement down, for any number of nodes. [contract]"""
    imported = read_policy(hosts("FLEET_PERCENT", percent))
    assert imported.policy["max_parallel"] == f"{100 - percent}%"
    assert imported.policy["max_failed_nodes_percent"] == 100 - percent
    assert imported.orchestrator["wave_rounding"] == "floor"


@pytest.mark.parametrize(
    ("percent", "nodes", "fidelity"),
    [(99, None, "approximate"), (99, 200, "exact"), (51, None, "approximate"), (50, None, "exact")],
)
def test_a_percentage_of_few_hosts_depends_on_rounding(percent, nodes, fidelity):
    """For fewer than 100 hosts 99 % means all: CodeDeploy fails, whereas one at a time goes here. [contract]"""
    imported = read_policy(hosts("FLEET_PERCENT", percent), nodes=nodes)
    (note,) = notes_of(imported, "minimumHealthyHosts.value")
    assert note.fidelity == fidelity
    assert ("fewer than 100 hosts" in note.text) is (percent == 99 and nodes is None)


@pytest.mark.parametrize(
    ("kind", "value", "nodes"),
    [("FLEET_PERCENT", 95, 10), ("HOST_COUNT", 10, 10), ("FLEET_PERCENT", 100, 5), ("FLEET_PERCENT", 100, None)],
)
def test_a_minimum_that_leaves_no_host_is_refused(kind, value, nodes):
    """CodeDeploy fails such a deployment before it begins, so it is refused. [contract]"""
    assert "CodeDeploy fails at once" in refusal(hosts(kind, value), nodes=nodes)[0]
    read_policy(hosts("FLEET_PERCENT", 90), nodes=10)


@pytest.mark.parametrize("text", [hosts("HOST_COUNT", 0), hosts("FLEET_PERCENT", 0), predefined("AllAtOnce")])
def test_without_minimum_one_host_must_succeed(text):
    """All hosts go at once, and the deployment fails only if all of them fail. [contract]"""
    imported = read_policy(text)
    assert (imported.policy["max_parallel"], imported.policy["max_failed_nodes_percent"]) == (0, 100)
    assert imported.orchestrator["limit_comparison"] == "reaches"


def test_predefined_configurations_for_servers():
    """OneAtATime updates one host at a time, HalfAtATime half of them. [contract]"""
    one = read_policy(predefined("OneAtATime"))
    assert [one.policy[f"max_{name}"] for name in ("parallel", "failed_nodes", "failed_nodes_percent")] == [1, 1, 99]
    assert one.orchestrator == {"pacing": "sliding", **SLOTS, "on_failure": "stop"}
    half = read_policy(predefined("HalfAtATime"))
    assert (half.policy["max_parallel"], half.policy["max_failed_nodes_percent"]) == ("50%", 50)


@pytest.mark.parametrize(
    ("name", "waves"),
    [
        ("LambdaCanary10Percent5Minutes", [{"size": "10%", "bake_time": "5m"}, {"until": "100%"}]),
        ("LambdaLinear10PercentEvery1Minute", [{"size": "10%", "bake_time": "1m"}]),
        ("ECSLinear10PercentEvery3Minutes", [{"size": "10%", "bake_time": "3m"}]),
        ("ECSCanary10percent15Minutes", [{"size": "10%", "bake_time": "15m"}, {"until": "100%"}]),
        ("LambdaAllAtOnce", None),
    ],
)
def test_predefined_shifts_of_traffic(name, waves):
    """The name of a configuration defines the steps; a second set of instances runs beside the old one. [contract]"""
    imported = read_policy(predefined(name))
    assert imported.policy.get("waves") == waves
    assert imported.policy["surge"] == "100%"
    assert fidelities(imported)["deploymentConfigName"] == "approximate"
    assert "max_failed_nodes_percent" not in imported.policy


def test_an_unknown_type_is_the_only_problem():
    """An unknown type is the only problem: no number of nodes is asked for. [contract]"""
    assert messages(hosts("PERCENT", 75)) == [(1, "minimumHealthyHosts.type", "unknown value")]


def test_an_unknown_name_is_refused():
    """A custom configuration that is only named is refused, as its contents are not in the file. [contract]"""
    message = "a custom configuration that the file only names"
    assert messages('{"deploymentConfigName": "mine"}') == [(1, "deploymentConfigName", message)]
    assert refusal(predefined("OneAtTime"))[0].endswith("did you mean 'CodeDeployDefault.OneAtATime'?")


def test_zones_follow_one_another():
    """Each zone is a wave, with the configured time and minimum per zone. [contract]"""
    imported = read_policy(CONFIG)
    policy = imported.policy
    assert policy["zone_by_zone"] is True
    assert policy["waves"] == ["100%"]
    assert (policy["first_zone_bake_time"], policy["zone_bake_time"]) == ("900s", "300s")
    assert policy["max_parallel"] == "30%"
    assert policy["max_parallel_per_zone"] == policy["max_failed_nodes_per_zone"] == "60%"
    assert imported.orchestrator["pacing"] == "barrier"
    assert without_note(imported, CONFIG, "") == []


def test_the_first_zone_takes_as_long_as_the_others_unless_stated():
    """Without a minimum per zone there is no limit per zone. [contract]"""
    config = json.loads(CONFIG)
    config["zonalConfig"] = {"monitorDurationInSeconds": 60}
    policy = read_policy(json.dumps(config)).policy
    assert (policy["first_zone_bake_time"], policy["zone_bake_time"]) == ("60s", "60s")
    assert "max_parallel_per_zone" not in policy


def test_a_number_of_hosts_per_zone_needs_the_size_of_zones():
    """A zone's size follows from the nodes and the variable `zones`, without which a note calls the limit unknown. [contract]"""
    text = CONFIG.replace('"FLEET_PERCENT", "value": 40', '"HOST_COUNT", "value": 4')
    known = read_policy(text, nodes=30, variables={"zones": "3"})
    assert known.policy["max_parallel_per_zone"] == 6
    assert fidelities(known)["zonalConfig.minimumHealthyHostsPerZone.type"] == "exact"
    unknown = read_policy(text, nodes=30)
    assert "max_parallel_per_zone" not in unknown.policy
    assert "--var zones=Z" in unknown.unknown[0].text
    assert "a zone has 3 hosts" in refusal(text, nodes=9, variables={"zones": "3"})[0]


def test_a_template_is_evaluated():
    """The first or the named configuration is used, with the rollback setting of the deployment group. [contract]"""
    imported = read_policy(TEMPLATE, nodes=10)
    assert imported.policy["max_parallel"] == 2
    assert imported.orchestrator["on_failure"] == "rollback"
    assert "no_auto_rollback" not in imported.policy
    assert read_policy(TEMPLATE, nodes=10, variables={"Healthy": "5"}).policy["max_parallel"] == 5
    shift = read_policy(TEMPLATE, variables={"config": "Shift"})
    assert shift.policy["waves"] == [{"size": "20%", "bake_time": "4m"}]


GROUPS = """\
Resources:
  Careful:
    Type: AWS::CodeDeploy::DeploymentConfig
    Properties: {MinimumHealthyHosts: {Type: FLEET_PERCENT, Value: 75}}
  Fast:
    Type: AWS::CodeDeploy::DeploymentConfig
    Properties: {DeploymentConfigName: fast, MinimumHealthyHosts: {Type: FLEET_PERCENT, Value: 40}}
  Shop:
    Type: AWS::CodeDeploy::DeploymentGroup
    Properties:
      DeploymentConfigName: fast
      AutoRollbackConfiguration: {Enabled: true, Events: [DEPLOYMENT_FAILURE]}
  Test:
    Type: AWS::CodeDeploy::DeploymentGroup
    Properties: {DeploymentConfigName: !Ref Fast, ServiceRoleArn: role}
  Half:
    Type: AWS::CodeDeploy::DeploymentGroup
    Properties: {DeploymentConfigName: CodeDeployDefault.HalfAtATime}
"""


@pytest.mark.parametrize(
    ("variables", "expected", "choices"),
    [
        ({}, ("25%", False), ["Careful, the first in the file; --var config=NAME chooses one of Careful, Fast, Half"]),
        (
            {"config": "Fast"},
            ("60%", True),
            ["Shop, the first in the file; --var group=NAME chooses one of Shop, Test"],
        ),
        ({"config": "Fast", "group": "Test"}, ("60%", False), []),
        ({"group": "Shop"}, ("60%", True), []),
        ({"config": "Half"}, ("50%", False), []),
        ({"group": "Half"}, ("50%", False), []),
    ],
)
def test_of_several_groups_the_one_with_the_configuration_says_what_follows_a_failure(variables, expected, choices):
    """A group rolls back only its own deployments; a choice that is left open has a note. [contract]"""
    imported = read_policy(GROUPS, variables=variables)
    assert (imported.policy["max_parallel"], imported.orchestrator["on_failure"] == "rollback") == expected
    assert [note.text for note in imported.notes if note.field in ("config", "group")] == choices
    if variables.get("group") == "Test":
        assert fidelities(imported)["Test.DeploymentConfigName"] == "exact"
        assert fidelities(imported)["Test.ServiceRoleArn"] == "none"


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"group": "Shp"}, "group: no such group (found 'Shp'); allowed: Shop, Test, Half; did you mean 'Shop'?"),
        ({"group": "Shop", "config": "Careful"}, "config: no such config (found 'Careful'); allowed: Fast"),
    ],
)
def test_a_group_that_is_not_there_or_uses_another_configuration_is_refused(variables, problem):
    """The message names the groups of the template, or the configuration of the chosen one. [contract]"""
    assert refusal(GROUPS, variables=variables) == [problem]


FUNCTIONS = """\
Globals:
  Function:
    DeploymentPreference: {Enabled: !Ref Shifts, Type: Linear10PercentEvery1Minute}
Parameters:
  Shifts: {Type: String, Default: "true"}
Resources:
  Table: {Type: AWS::Serverless::SimpleTable}
  Usual: {Type: AWS::Serverless::Function}
  Own:
    Type: AWS::Serverless::Function
    Properties:
      DeploymentPreference:
        Type: Canary10Percent5Minutes
        Alarms: [!Ref Errors]
"""


def test_a_function_of_sam_shifts_traffic_as_it_prefers():
    """A function's own preference comes before that of all functions; a failure rolls back. [contract]"""
    usual = read_policy(FUNCTIONS)
    assert (usual.kind, usual.orchestrator["on_failure"]) == ("codedeploy", "rollback")
    assert usual.policy["waves"] == [{"size": "10%", "bake_time": "1m"}]
    own = read_policy(FUNCTIONS, variables={"function": "Own"})
    assert own.policy["waves"] == [{"size": "10%", "bake_time": "5m"}, {"until": "100%"}]
    assert notes_of(own, "Own.DeploymentPreference.Alarms")[0].fidelity == "none"
    at_once = read_policy(FUNCTIONS, variables={"Shifts": "false"})
    assert (at_once.policy["max_parallel"], at_once.policy["surge"]) == (0, "100%")


OWN_SHIFT = """\
  Slow:
    Type: AWS::CodeDeploy::DeploymentConfig
    Properties:
      DeploymentConfigName: ours
      ComputePlatform: Lambda
      TrafficRoutingConfig: {Type: TimeBasedCanary, TimeBasedCanary: {CanaryPercentage: 5, CanaryInterval: 60}}
"""


@pytest.mark.parametrize("reference", ["ours", "!Ref Slow"])
def test_a_function_of_sam_may_use_a_configuration_of_the_template(reference):
    """The function's shift is that of the configuration, and a failure rolls back as with any function. [contract]"""
    template = FUNCTIONS.replace("Canary10Percent5Minutes", reference) + OWN_SHIFT
    own = read_policy(template, variables={"function": "Own"})
    assert own.policy["waves"] == [{"size": "5%", "bake_time": "60m"}, {"until": "100%"}]
    assert own.orchestrator["on_failure"] == "rollback"
    assert read_policy(template).policy["waves"] == [{"size": "10%", "bake_time": "1m"}]
    alone = read_policy(template, variables={"config": "Slow"})
    assert (alone.policy["waves"], alone.orchestrator["on_failure"]) == (own.policy["waves"], "stop")


def test_groups_of_a_template_come_before_its_functions():
    """A note says how to choose a function instead. [contract]"""
    group = "  Hosts: {Type: AWS::CodeDeploy::DeploymentGroup}\n"
    imported = read_policy(FUNCTIONS + group)
    assert imported.policy["max_parallel"] == 1
    assert "--var function=NAME reads one of Usual, Own" in notes_of(imported, "function")[0].text
    assert "waves" in read_policy(FUNCTIONS + group, variables={"function": "Own"}).policy


def test_a_template_of_functions_alone_has_no_configuration_to_choose():
    """A variable that chooses a configuration is refused as any other that the file doesn't have. [contract]"""
    with pytest.raises(InputError, match=r"^config: no such variable; allowed: Shifts, function$"):
        read_policy(FUNCTIONS, variables={"config": "X"})


def test_a_function_of_sam_needs_a_predefined_shift():
    """A configuration that the template only names is refused, with the line. [contract]"""
    (problem,) = refusal(FUNCTIONS.replace("Canary10Percent5Minutes", "Ours"), variables={"function": "Own"})
    assert problem.startswith("line 13: Resources.Own.Properties.DeploymentPreference.Type: no predefined shift")


@pytest.mark.parametrize(
    "name",
    [
        {"Fn::Sub": ["CodeDeployDefault.Lambda${Shift}", {"Shift": {"Ref": "Usual"}}]},
        {"Fn::Sub": "CodeDeployDefault.Lambda${Usual}"},
        {"Fn::Join": [".", ["CodeDeployDefault", {"Fn::Join": ["", ["Lambda", {"Ref": "Usual"}]]}]]},
    ],
)
def test_names_that_are_put_together_are_read(name):
    """SAM writes the predefined name in parts, in the template that it makes of a function's preference. [contract]"""
    group = {"Type": "AWS::CodeDeploy::DeploymentGroup", "Properties": {"DeploymentConfigName": name}}
    parameters = {"Usual": {"Type": "String", "Default": "Linear10PercentEvery2Minutes"}}
    template = {"Parameters": parameters, "Resources": {"Alias": group}}
    assert read_policy(json.dumps(template)).policy["waves"] == [{"size": "10%", "bake_time": "2m"}]


def test_texts_within_texts_stay_short():
    """A text that doubles at each of twenty levels is not put together. [contract]"""
    name = "x"
    for _ in range(20):
        name = {"Fn::Sub": ["${a}${a}", {"a": name}]}
    group = {"Type": "AWS::CodeDeploy::DeploymentGroup", "Properties": {"DeploymentConfigName": name}}
    (note,) = read_policy(json.dumps({"Resources": {"Group": group}})).unknown
    assert note.field == "Group.DeploymentConfigName"
    assert len(note.text) < 1000


@pytest.mark.parametrize(
    ("section", "back"),
    [
        ({"enabled": True, "events": ["DEPLOYMENT_FAILURE"]}, True),
        ({"enabled": True, "events": ["DEPLOYMENT_STOP_ON_ALARM"]}, False),
        ({"enabled": False, "events": ["DEPLOYMENT_FAILURE"]}, False),
    ],
)
def test_a_rollback_follows_a_failure_if_enabled(section, back):
    """A failure is rolled back if that is enabled for failures, not for alarms alone. [contract]"""
    group = {"deploymentConfigName": "CodeDeployDefault.OneAtATime", "autoRollbackConfiguration": section}
    imported = read_policy(json.dumps({"deploymentGroupInfo": group}))
    assert (imported.orchestrator["on_failure"] == "rollback") is back
    assert ("no_auto_rollback" in imported.policy) is not back


def test_all_bad_values_are_reported_with_lines():
    """All problems are reported together, with line, field and reason. [contract]"""
    text = CONFIG.replace("70", "101").replace("900", "-1").replace('"value": 40', '"value": 100')
    assert messages(text) == [
        (4, "minimumHealthyHosts.value", "too large"),
        (6, "zonalConfig.firstZoneMonitorDurationInSeconds", "too small"),
        (8, "zonalConfig.minimumHealthyHostsPerZone.value", "too large"),
    ]


@pytest.mark.parametrize(
    ("kind", "percent", "nodes", "fidelity"),
    [
        ("Linear", 10, None, "approximate"),
        ("Linear", 10, 20, "exact"),
        ("Linear", 10, 5, "approximate"),
        ("Linear", 50, None, "exact"),
        ("Canary", 10, None, "exact"),
        ("Canary", 10, 1, "approximate"),
        ("Canary", 90, None, "approximate"),
    ],
)
def test_few_nodes_make_fewer_steps(kind, percent, nodes, fidelity):
    """The time between steps is exact only if the nodes make as many waves as there are steps. [contract]"""
    steps = {f"{kind.lower()}Percentage": percent, f"{kind.lower()}Interval": 5}
    routing = {"type": f"TimeBased{kind}", f"timeBased{kind}": steps}
    imported = read_policy(json.dumps({"trafficRoutingConfig": routing}), nodes=nodes)
    note = next(note for note in imported.notes if note.field.endswith("Interval"))
    assert (note.fidelity, note.text.startswith("5 min between steps")) == (fidelity, True)


@pytest.mark.parametrize(("percent", "enough"), [(10, 82), (15, 55), (33, 298), (60, 3)])
def test_the_number_of_nodes_that_is_enough_for_all_steps(percent, enough):
    """From it on every fleet makes all steps; the largest one that doesn't has one node less. [oracle]"""
    routing = {
        "type": "TimeBasedLinear",
        "timeBasedLinear": {"linearPercentage": percent, "linearInterval": 5},
    }

    def note(nodes=None):
        imported = read_policy(json.dumps({"trafficRoutingConfig": routing}), nodes=nodes)
        return next(note for note in imported.notes if note.field.endswith("Interval"))

    assert f"fewer than {enough} nodes may make fewer steps" in note().text
    assert note(enough - 1).fidelity == "approximate"
    assert {note(nodes).fidelity for nodes in range(enough, 2 * enough)} == {"exact"}


@pytest.mark.parametrize(
    "name", ["LambdaCanary0Percent5Minutes", "LambdaCanary10Percent7Minutes", "ECSLinear150PercentEvery1Minute"]
)
def test_names_that_are_not_predefined_are_refused(name):
    """AWS has a few predefined shifts of traffic; other numbers need a configuration of their own. [contract]"""
    (problem,) = refusal(predefined(name))
    assert problem.startswith("line 1: deploymentConfigName: no predefined configuration")
    with pytest.raises(InputError, match="no predefined shift"):
        read_policy(
            FUNCTIONS.replace("Canary10Percent5Minutes", name.removeprefix("Lambda")), variables={"function": "Own"}
        )


def test_a_bad_step_of_traffic_is_one_problem():
    """A percentage of 0 is too small, and not also missing. [contract]"""
    steps = {"linearPercentage": 0, "linearInterval": 5}
    (problem,) = refusal(json.dumps({"trafficRoutingConfig": {"type": "TimeBasedLinear", "timeBasedLinear": steps}}))
    assert "too small" in problem


def test_steps_of_traffic_are_required():
    """A canary without a percentage is refused. [contract]"""
    text = '{"trafficRoutingConfig": {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryInterval": 5}}}'
    assert "timeBasedCanary.canaryPercentage: not given" in refusal(text)[0]


@pytest.mark.parametrize(
    ("least", "fail", "expected", "stopped"),
    [
        (9, [], [1] * 10, False),
        (9, [3], [1] * 4, True),
        (9, [9], [1] * 10, False),
        (8, [], [2] * 5, False),
        (8, [0], [2, *[1] * 8], False),
        (8, [0, 3], [2, 1, 1], True),
        (8, [0, 9], [2, *[1] * 8], False),
        (0, list(range(9)), [10], False),
        (0, list(range(10)), [10], True),
    ],
)
def test_ten_hosts_as_in_the_documentation(engine, least, fail, expected, stopped):
    """A failed host keeps its place; without places the deployment fails, unless no host is left; one must succeed. [oracle]"""
    rollout = roll_out(read_policy(hosts("HOST_COUNT", least), nodes=10), 10, fail=fail, engine=engine)
    assert batches(rollout) == expected
    assert (rollout.responses["state"] == "failed") is stopped


def test_half_of_nine_hosts(engine):
    """Four hosts go at a time; after five failures the minimum can't be reached. [oracle]"""
    half = read_policy(predefined("HalfAtATime"))
    assert batches(roll_out(half, 9, engine=engine)) == [4, 4, 1]
    assert roll_out(half, 9, fail=[0, 1, 2, 8], engine=engine).responses["state"] == "completed"
    assert roll_out(half, 9, fail=[0, 1, 2, 3, 8], engine=engine).responses["state"] == "failed"


def test_zones_are_updated_one_after_the_other(engine):
    """Three hosts of a zone go at a time, and failures count towards the next zone's limit, too. [oracle]"""
    minimum = {"type": "HOST_COUNT", "value": 9}
    config = {"minimumHealthyHosts": minimum, "zonalConfig": {"monitorDurationInSeconds": 60}}
    imported = read_policy(json.dumps(config), nodes=12)
    rollout = roll_out(imported, 12, zones=2, order="zone", engine=engine)
    assert sorted(rollout.nodes["dispatched_at_s"].unique()) == [0, 30, 120, 150]
    assert rollout.nodes.sort_values("dispatched_at_s")["zone"].tolist() == [0] * 6 + [1] * 6
