"""Service Fabric's upgrade parameters become general policies."""

import json

import pytest
from foreign import batches, fidelities, messages, refusal, replace_all, roll_out, without_note

from simdeploy import Scenario, simulate
from simdeploy.dialects import read_policy

REST = """\
{
  "Name": "fabric:/shop",
  "UpgradeKind": "Rolling",
  "RollingUpgradeMode": "Monitored",
  "ForceRestart": false,
  "MonitoringPolicy": {
    "FailureAction": "Rollback",
    "HealthCheckWaitDurationInMilliseconds": "PT1M",
    "HealthCheckStableDurationInMilliseconds": "90000",
    "HealthCheckRetryTimeoutInMilliseconds": "PT0H8M0S",
    "UpgradeTimeoutInMilliseconds": "PT4H",
    "UpgradeDomainTimeoutInMilliseconds": "PT20M"
  },
  "ApplicationHealthPolicy": {
    "ConsiderWarningAsError": true,
    "MaxPercentUnhealthyDeployedApplications": 10,
    "DefaultServiceTypeHealthPolicy": {"MaxPercentUnhealthyServices": 0}
  }
}
"""

ARM = """\
{
  "parameters": {"stable": {"type": "string", "defaultValue": "00:00:45"}, "retry": {"type": "string"}},
  "resources": [
    {"type": "Microsoft.ServiceFabric/clusters"},
    {
      "type": "Microsoft.ServiceFabric/clusters/applications",
      "properties": {
        "upgradePolicy": {
          "rollingUpgradeMonitoringPolicy": {
            "failureAction": "Manual",
            "healthCheckStableDuration": "[parameters('stable')]",
            "healthCheckRetryTimeout": "[parameters('retry')]",
            "healthCheckWaitDuration": "00:00:15",
            "upgradeTimeout": "1.00:00:00"
          },
          "applicationHealthPolicy": {"maxPercentUnhealthyDeployedApplications": 0}
        }
      }
    }
  ]
}
"""

CLUSTER = """\
{
  "type": "Microsoft.ServiceFabric/clusters",
  "properties": {
    "upgradeMode": "Automatic",
    "upgradeDescription": {
      "healthCheckWaitDuration": "00:00:30",
      "healthCheckStableDuration": "00:01:00",
      "healthCheckRetryTimeout": "00:45:00",
      "upgradeTimeout": "12:00:00",
      "upgradeDomainTimeout": "02:00:00",
      "healthPolicy": {"maxPercentUnhealthyNodes": 20, "maxPercentUnhealthyApplications": 0},
      "deltaHealthPolicy": {"maxPercentDeltaUnhealthyNodes": 10, "maxPercentUpgradeDomainDeltaUnhealthyNodes": 15}
    }
  }
}
"""

PROFILE = """\
<?xml version="1.0" encoding="utf-8"?>
<PublishProfile xmlns="http://schemas.microsoft.com/2015/05/fabrictools">
  <ClusterConnectionParameters ConnectionEndpoint="localhost:19000" />
  <UpgradeDeployment Mode="Monitored" Enabled="true">
    <Parameters FailureAction="Rollback" Force="True"
                HealthCheckStableDurationSec="60" />
  </UpgradeDeployment>
</PublishProfile>
"""


def parameters(**values):
    given = {"UpgradeMode": "Monitored", "FailureAction": "Rollback", "HealthCheckStableDurationSec": 60}
    return json.dumps(given | values)


def test_every_parameter_is_mapped():
    """Upgrade domains are waves, and health check times become those of a node. [contract]"""
    imported = read_policy(REST, nodes=25, variables={"upgrade_domains": "4"})
    assert imported.kind == "service-fabric"
    assert imported.policy == {
        "dialect": "general",
        "strategy": "rolling",
        "waves": [{"until": "25%"}, {"until": "50%"}, {"until": "75%"}, {"until": "100%"}],
        "rollback_parallel": "25%",
        "health_check": {"deadline": "10m30s", "interval": "10s", "max_error_rate": 0.99, "min_healthy_time": "2m30s"},
        "rollout_deadline": "4h",
        "max_failed_nodes": 3,
        "orchestrator": {
            "pacing": "barrier",
            "deadline_starts": "started",
            "limits_judged": "wave_end",
            "on_failure": "rollback",
        },
    }


def test_every_field_has_a_note():
    """Every parameter has a note, wherever it stands. [contract]"""
    imported = read_policy(REST)
    assert without_note(imported, REST, "") == []
    of_services = "ApplicationHealthPolicy.DefaultServiceTypeHealthPolicy.MaxPercentUnhealthyServices"
    assert fidelities(imported)[of_services] == "none"
    lines = {note.line for note in imported.notes if note.field.startswith("MonitoringPolicy")}
    assert lines == set(range(7, 13))


def test_defaults_are_those_of_service_fabric_and_are_noted():
    """Defaults: 0 s, 120 s, 600 s, no timeouts and no unhealthy node. [contract]"""
    imported = read_policy('{"RollingUpgradeMode": "Monitored", "MonitoringPolicy": {"FailureAction": "Manual"}}')
    assert imported.policy["health_check"] == {
        "deadline": "12m",
        "interval": "10s",
        "max_error_rate": 0.99,
        "min_healthy_time": "2m",
    }
    assert imported.policy["max_failed_nodes_percent"] == 0
    assert "rollout_deadline" not in imported.policy
    assert (imported.orchestrator["on_failure"], imported.policy["no_auto_rollback"]) == ("pause", True)
    given = {note.field for note in imported.notes if note.line is None and note.text.startswith("not given")}
    check = {f"HealthCheck{name}" for name in ("WaitDuration", "StableDuration", "RetryTimeout")}
    assert check | {"UpgradeTimeout"} <= given


def test_the_assumed_number_of_domains_is_noted():
    """Five domains are assumed, and a note names the variable that states their number. [contract]"""
    imported = read_policy(parameters())
    assert [wave["until"] for wave in imported.policy["waves"]] == ["20%", "40%", "60%", "80%", "100%"]
    (unknown,) = imported.unknown
    assert "--var upgrade_domains=N" in unknown.text


@pytest.mark.parametrize("domains", ["0", "101", "many", "-1", "1.5"])
def test_an_impossible_number_of_domains_is_refused(domains):
    """Only 1 to 100 domains are allowed. [contract]"""
    problems = refusal(parameters(), variables={"upgrade_domains": domains})
    assert "upgrade_domains: not a number of domains" in problems[0]


@pytest.mark.parametrize("domains", range(1, 13))
def test_domains_differ_by_one_node_at_most(domains):
    """The percentages of the waves, rounded up, make domains as equal as possible. [property]"""
    policy = read_policy(parameters(), variables={"upgrade_domains": str(domains)}).policy
    shares = [wave["until"] for wave in policy["waves"]]
    for nodes in (1, 7, 12, 100, 9973):
        reached = [-(-nodes * int(float(share[:-1]) * 10**8) // 10**10) for share in shares]
        sizes = [more - less for less, more in zip([0, *reached], reached, strict=False)]
        assert reached[-1] == nodes
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("UpgradeTimeoutSec", 3600, "1h"),
        ("UpgradeTimeoutSec", "90", "1m30s"),
        ("UpgradeTimeoutSec", 4294967295, None),
        ("UpgradeTimeout", "0:02:00", "2m"),
        ("UpgradeTimeout", "2.01:00:00", "49h"),
        ("UpgradeTimeout", "10675199.02:48:05.4775807", None),
        ("UpgradeTimeoutInMilliseconds", "1500", "1.5s"),
        ("UpgradeTimeoutInMilliseconds", "P1DT2H3M4.5S", "26h3m4.5s"),
        ("UpgradeTimeoutInSeconds", "PT2M", "2m"),
        ("upgradeTimeout", "00:00:30", "30s"),
    ],
)
def test_durations_are_read_in_the_forms_of_all_tools(name, value, expected):
    """Numbers with a unit in the name, time spans and ISO 8601 are read; the longest of each means unlimited. [contract]"""
    assert read_policy(parameters(**{name: value})).policy.get("rollout_deadline") == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [("UpgradeTimeout", "30"), ("UpgradeTimeoutSec", "soon"), ("UpgradeTimeoutSec", True), ("UpgradeTimeout", "P")],
)
def test_other_durations_are_refused(name, value):
    """A number without a unit, which would mean days, is refused. [contract]"""
    assert f"{name}: not a duration" in refusal(parameters(**{name: value}))[0]


@pytest.mark.parametrize(("percent", "nodes", "limit"), [(10, 5, 1), (10, 20, 2), (10, 21, 3), (100, 7, 7)])
def test_the_percentage_of_unhealthy_nodes_is_rounded_up(percent, nodes, limit):
    """One node of a few may fail; without the number of nodes nothing is rounded. [contract]"""
    text = parameters(MaxPercentUnhealthyDeployedApplications=percent)
    assert read_policy(text, nodes=nodes).policy["max_failed_nodes"] == limit
    imported = read_policy(text)
    assert imported.policy["max_failed_nodes_percent"] == percent
    assert fidelities(imported)["MaxPercentUnhealthyDeployedApplications"] == "approximate"


def test_a_timeout_of_a_domain_is_a_deadline_from_its_turn():
    """A domain's timeout is its nodes' deadline if shorter than the time allowed for health; too short a one is refused. [contract]"""
    imported = read_policy(parameters(UpgradeDomainTimeoutSec=300))
    assert imported.policy["health_check"]["deadline"] == "5m"
    assert imported.orchestrator["deadline_starts"] == "dispatch"
    assert "no domain can be healthy in time" in refusal(parameters(UpgradeDomainTimeoutSec=59))[0]


def test_unmonitored_upgrades_watch_nothing():
    """Automatic upgrades run through; manual ones wait for a person. [contract]"""
    automatic = read_policy(parameters(UpgradeMode="UnmonitoredAuto"))
    assert automatic.policy["health_check"] == {"deadline": "24h"}
    assert automatic.policy["strategy"] == "rolling"
    assert automatic.orchestrator["on_failure"] == "continue"
    assert fidelities(automatic)["HealthCheckStableDurationSec"] == "none"
    manual = read_policy(parameters(UpgradeMode="UnmonitoredManual"))
    assert manual.policy["strategy"] == "canary"
    assert manual.orchestrator["canary_gate"] == "limits"


def test_without_a_mode_the_rest_api_monitors_nothing():
    """In the REST API a monitoring policy alone has no effect; other files with one are monitored. [contract]"""
    rest = read_policy(REST.replace('  "RollingUpgradeMode": "Monitored",\n', ""))
    assert rest.orchestrator["on_failure"] == "continue"
    assert fidelities(rest)["MonitoringPolicy.FailureAction"] == "none"
    arm = read_policy(ARM)
    assert arm.orchestrator["on_failure"] == "pause"
    assert fidelities(arm)["resources[1].properties.upgradePolicy.UpgradeMode"] == "approximate"


@pytest.mark.parametrize(("stable_s", "retry_s"), [(1, 1), (15, 600), (0, 0)])
def test_short_durations_are_not_rounded_to_the_scenarios_windows(stable_s, retry_s):
    """Each of two domains takes its start of 30 s and the stable duration, also if both durations are short. [oracle]"""
    times = {"HealthCheckStableDurationSec": stable_s, "HealthCheckRetryTimeoutSec": retry_s}
    text = json.dumps({"UpgradeMode": "Monitored", **times, "FailureAction": "Rollback"})
    policy = read_policy(text, variables={"upgrade_domains": 2}).policy
    raw = {"name": "short", "fleet": {"nodes": 4, "update_duration": "30s"}, "policies": {"p": policy}}
    assert simulate(Scenario.from_dict(raw)).responses["makespan_s"] == 2 * (30 + stable_s)


def test_a_template_is_evaluated():
    """Parameters of a resource manager's template and their defaults are used; missing ones are named. [contract]"""
    imported = read_policy(ARM, variables={"retry": "00:05:00"})
    assert imported.policy["health_check"] == {
        "deadline": "6m",
        "interval": "10s",
        "max_error_rate": 0.99,
        "min_healthy_time": "1m",
    }
    assert imported.policy["rollout_deadline"] == "24h"
    assert imported.orchestrator["on_failure"] == "pause"
    unknown = read_policy(ARM).unknown
    assert any("--var retry=VALUE" in note.text for note in unknown)


def test_all_bad_values_are_reported_with_lines():
    """All problems are reported together, with line, field and reason. [contract]"""
    changes = {'"Rollback"': '"Retry"', '"PT1M"': '"1 min"', ": 10,": ": 110,", '"Monitored"': '"Watched"'}
    assert sorted(messages(replace_all(REST, changes))) == [
        (4, "RollingUpgradeMode", "unknown value"),
        (7, "MonitoringPolicy.FailureAction", "unknown value"),
        (8, "MonitoringPolicy.HealthCheckWaitDurationInMilliseconds", "not a duration"),
        (16, "ApplicationHealthPolicy.MaxPercentUnhealthyDeployedApplications", "too large"),
    ]


def test_domains_are_waves_that_are_judged_at_their_end(engine):
    """Three domains of four nodes start in 30 s and need 90 s of health; one failure in the second stops. [oracle]"""
    text = parameters(HealthCheckWaitDurationSec=30)
    imported = read_policy(text, variables={"upgrade_domains": "3"})
    rollout = roll_out(imported, 12, engine=engine)
    assert batches(rollout) == [4, 4, 4]
    assert rollout.responses["makespan_s"] == 3 * (30 + 30 + 60)
    failed = roll_out(imported, 12, fail=[5], engine=engine)
    assert batches(failed) == [4, 4]
    assert failed.responses["stopped_at_s"] == 240
    assert failed.nodes["rollback_started_at_s"].value_counts().to_dict() == {240: 4, 250: 4}


def test_one_of_several_applications_is_chosen():
    """Applications of a template have names; the first is read unless another is chosen. [contract]"""
    template = json.loads(ARM)
    second = json.loads(json.dumps(template["resources"][1]))
    second["properties"]["upgradePolicy"]["rollingUpgradeMonitoringPolicy"]["healthCheckStableDuration"] = "00:00:05"
    template["resources"] += [{**second, "name": "shop"}]
    given = {"retry": "00:10:00"}
    first = read_policy(json.dumps(template), variables=given)
    assert first.policy == read_policy(ARM, variables=given).policy
    (note,) = (note for note in first.notes if note.field == "application")
    assert note.text.endswith("--var application=NAME chooses one of resources[1].properties.upgradePolicy, shop")
    shop = read_policy(json.dumps(template), variables={**given, "application": "shop"})
    assert shop.policy["health_check"]["min_healthy_time"] == "20s"


@pytest.mark.parametrize(
    ("old", "new", "limit"),
    [
        ("{", "{", 3),
        ('"maxPercentUnhealthyNodes": 20', '"maxPercentUnhealthyNodes": 5', 2),
        ('"maxPercentDeltaUnhealthyNodes": 10, ', "", 5),
        ('"maxPercentUnhealthyNodes": 20, ', "", 3),
    ],
)
def test_upgrades_of_a_cluster_roll_back_and_limit_unhealthy_nodes(old, new, limit):
    """A cluster has no FailureAction: its upgrade rolls back when too many of its nodes are unhealthy. [contract]"""
    imported = read_policy(CLUSTER.replace(old, new), nodes=21)
    assert imported.policy["max_failed_nodes"] == limit
    assert (imported.orchestrator["on_failure"], imported.policy["rollback_parallel"]) == ("rollback", "20%")
    found = fidelities(imported)
    place = "properties.upgradeDescription"
    assert (found[f"{place}.FailureAction"], found[f"{place}.UpgradeMode"]) == ("exact", "exact")
    assert found[f"{place}.deltaHealthPolicy.maxPercentUpgradeDomainDeltaUnhealthyNodes"] == "none"
    assert f"{place}.MaxPercentUnhealthyDeployedApplications" not in found


def test_publish_profiles_of_visual_studio_are_read():
    """The upgrade of a publish profile has the same parameters as attributes, with their lines. [contract]"""
    imported = read_policy(PROFILE, nodes=20)
    expected = read_policy(parameters(HealthCheckStableDurationSec="60"), nodes=20)
    assert (imported.kind, imported.policy) == ("service-fabric", expected.policy)
    lines = {note.field.removeprefix("UpgradeDeployment."): note.line for note in imported.notes}
    assert (lines["Mode"], lines["FailureAction"], lines["HealthCheckStableDurationSec"]) == (4, 5, 5)
    automatic = read_policy(PROFILE.replace("Monitored", "UnmonitoredAuto"))
    assert automatic.orchestrator["on_failure"] == "continue"
    off = fidelities(read_policy(PROFILE.replace('"true"', '"false"')))
    assert (fidelities(imported)["UpgradeDeployment.Enabled"], off["UpgradeDeployment.Enabled"]) == (
        "exact",
        "approximate",
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"60"', '"soon"', "line 5: UpgradeDeployment.HealthCheckStableDurationSec: not a duration"),
        ("</UpgradeDeployment>", "", "line 8: not XML: mismatched tag"),
        ("<PublishProfile", "<!DOCTYPE a [<!ENTITY b 'c'>]><PublishProfile", "line 2: not XML: a DTD is not read"),
        ("UpgradeDeployment", "Deployment", "no UpgradeDeployment in this publish profile"),
    ],
)
def test_bad_profiles_are_refused(old, new, problem):
    """A publish profile with bad values, without an upgrade or with bad XML is refused. [contract]"""
    assert refusal(PROFILE.replace(old, new))[0].startswith(problem)


def test_a_policy_of_services_may_be_text():
    """PowerShell writes the policy of a service type as three numbers. [contract]"""
    imported = read_policy(parameters(DefaultServiceTypeHealthPolicy="5,10,15"))
    assert fidelities(imported)["DefaultServiceTypeHealthPolicy"] == "none"
