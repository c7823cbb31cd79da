"""AWS IoT jobs become general policies."""

import json

import pytest
from foreign import batches, fidelities, messages, notes, replace_all, roll_out, without_note

from simdeploy import Scenario, simulate
from simdeploy.dialects import read_policy

JOB = """\
{
  "jobId": "update-7",
  "targetSelection": "SNAPSHOT",
  "jobExecutionsRolloutConfig": {
    "maximumPerMinute": 500,
    "exponentialRate": {
      "baseRatePerMinute": 20,
      "incrementFactor": 1.5,
      "rateIncreaseCriteria": {"numberOfNotifiedThings": 300}
    }
  },
  "abortConfig": {
    "criteriaList": [
      {"failureType": "ALL", "action": "CANCEL", "thresholdPercentage": 12.5, "minNumberOfExecutedThings": 40}
    ]
  },
  "timeoutConfig": {"inProgressTimeoutInMinutes": 90},
  "jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 3}]}
}
"""

TEMPLATE = """\
Parameters:
  Rate: {Type: Number, Default: 30}
Resources:
  Job:
    Type: AWS::IoT::JobTemplate
    Properties:
      JobExecutionsRolloutConfig:
        ExponentialRolloutRate:
          BaseRatePerMinute: !Ref Rate
          IncrementFactor: 2
          RateIncreaseCriteria: {NumberOfSucceededThings: 50}
      AbortConfig:
        CriteriaList:
          - {FailureType: FAILED, Action: CANCEL, ThresholdPercentage: 10, MinNumberOfExecutedThings: 5}
      JobExecutionsRetryConfig: {RetryCriteriaList: [{FailureType: FAILED, NumberOfRetries: 1}]}
"""


def criterion(kind, percent, least):
    return {"failureType": kind, "action": "CANCEL", "thresholdPercentage": percent, "minNumberOfExecutedThings": least}


def aborting(*criteria, **sections):
    return read_policy(json.dumps({"abortConfig": {"criteriaList": criteria}, **sections}))


def test_every_field_is_mapped():
    """Rate, abort criteria, timeout and retries are mapped to the general policy. [contract]"""
    imported = read_policy(JOB)
    assert imported.kind == "aws-iot"
    assert imported.policy == {
        "dialect": "general",
        "strategy": "rolling",
        "health_check": {"deadline": "1h30m"},
        "max_failed_nodes_percent": 12.5,
        "retries": 3,
        "no_auto_rollback": True,
        "orchestrator": {
            "pacing": "rate",
            "rate": {"per_minute": 20, "growth": 1.5, "growth_every": 300, "max_per_minute": 500},
            "unreachable_nodes": "wait",
            "limit_comparison": "reaches",
            "failed_percent_of": "resolved",
            "minimum_sample": 40,
            "on_failure": "stop",
        },
    }


def test_every_field_has_a_note():
    """Every field of the sections on rollout, abort, timeout and retries has a note. [contract]"""
    imported = read_policy(JOB)
    for section in json.loads(JOB).keys() - {"jobId"}:
        assert without_note(imported, JOB, section) == []
    assert fidelities(imported)["abortConfig.criteriaList[0].failureType"] == "exact"


def test_defaults_are_those_of_the_service_and_are_noted():
    """The defaults are 1,000 a minute, no abort, no timeout and no retries. [contract]"""
    imported = read_policy('{"jobExecutionsRolloutConfig": {}}')
    assert imported.policy == {
        "dialect": "general",
        "strategy": "rolling",
        "health_check": {"deadline": "168h"},
        "no_auto_rollback": True,
        "orchestrator": {
            "pacing": "rate",
            "rate": {"per_minute": 1000},
            "unreachable_nodes": "wait",
            "on_failure": "continue",
        },
    }
    texts = {note.field: note.text for note in imported.notes if note.line is None}
    assert texts["jobExecutionsRolloutConfig.maximumPerMinute"].startswith("not given: 1,000")
    assert texts["timeoutConfig.inProgressTimeoutInMinutes"].startswith("not given")


def test_a_constant_rate():
    """Without growth the maximum is the rate, in both spellings of AWS's documentation. [contract]"""
    for section in ("jobExecutionsRolloutConfig", "jobExecutionRolloutConfig"):
        rate = read_policy(json.dumps({section: {"maximumPerMinute": "50"}})).orchestrator["rate"]
        assert rate == {"per_minute": 50}


def test_a_limit_inside_of_the_exponential_rate_counts():
    """A limit is also read where one page of AWS's documentation puts it. [contract]"""
    job = json.loads(JOB)
    rollout = job["jobExecutionsRolloutConfig"]
    rollout["exponentialRate"]["maximumPerMinute"] = rollout.pop("maximumPerMinute")
    imported = read_policy(json.dumps(job))
    assert imported.orchestrator["rate"]["max_per_minute"] == 500
    assert without_note(imported, json.dumps(job), "jobExecutionsRolloutConfig") == []


@pytest.mark.parametrize(("notified", "succeeded", "first"), [(300, 300, 0), (300, 900, 0), (300, 50, 1)])
def test_the_rate_grows_at_the_criterion_that_is_reached_first(notified, succeeded, first):
    """Of both criteria the smaller number counts; as many successes are never reached earlier than notifications. [contract]"""
    numbers = {"numberOfNotifiedThings": notified, "numberOfSucceededThings": succeeded}
    rate = {"baseRatePerMinute": 10, "incrementFactor": 2, "rateIncreaseCriteria": numbers}
    imported = read_policy(json.dumps({"jobExecutionsRolloutConfig": {"exponentialRate": rate}}))
    assert imported.orchestrator["rate"]["growth_every"] == min(notified, succeeded)
    place = "jobExecutionsRolloutConfig.exponentialRate.rateIncreaseCriteria"
    found = [fidelities(imported)[f"{place}.{name}"] for name in numbers]
    assert found == (["none", "approximate"] if first else ["exact", "none"])


def test_growth_by_successes_is_approximate():
    """Devices that were notified count instead; of both criteria the exact one is kept. [contract]"""
    job = json.loads(JOB)
    rate = job["jobExecutionsRolloutConfig"]["exponentialRate"]
    rate["rateIncreaseCriteria"] = {"numberOfSucceededThings": 70}
    imported = read_policy(json.dumps(job))
    field = "jobExecutionsRolloutConfig.exponentialRate.rateIncreaseCriteria.numberOfSucceededThings"
    assert imported.orchestrator["rate"]["growth_every"] == 70
    assert fidelities(imported)[field] == "approximate"
    rate["rateIncreaseCriteria"]["numberOfNotifiedThings"] = 30
    imported = read_policy(json.dumps(job))
    assert imported.orchestrator["rate"]["growth_every"] == 30
    assert fidelities(imported)[field] == "none"


@pytest.mark.parametrize(
    ("criteria", "kept"),
    [
        ([("FAILED", 20, 100)], (20, 100)),
        ([("FAILED", 20, 100), ("TIMED_OUT", 10, 5)], (20, 100)),
        ([("FAILED", 20, 100), ("ALL", 50, 10)], (50, 10)),
        ([("FAILED", 20, 100), ("FAILED", 10, 200)], (10, 200)),
        ([("REJECTED", 1, 1), ("TIMED_OUT", 30, 3)], (30, 3)),
    ],
)
def test_of_several_criteria_one_is_kept(criteria, kept):
    """The criterion closest to failed nodes is kept, and of those the strictest; the others have a note. [contract]"""
    imported = aborting(*(criterion(*one) for one in criteria))
    assert (imported.policy["max_failed_nodes_percent"], imported.orchestrator["minimum_sample"]) == kept
    kinds = [fidelities(imported)[f"abortConfig.criteriaList[{number}].failureType"] for number in range(len(criteria))]
    assert kinds.count("none") == len(criteria) - 1


def test_a_threshold_of_zero_is_approximate():
    """At 0 % the first failed node stops the job, not every node that is done, and the note says so. [contract]"""
    criterion = {"failureType": "ALL", "action": "CANCEL", "thresholdPercentage": 0, "minNumberOfExecutedThings": 1}
    config = {"jobExecutionsRolloutConfig": {"maximumPerMinute": 1}, "abortConfig": {"criteriaList": [criterion]}}
    imported = read_policy(json.dumps(config))
    assert notes(imported)["abortConfig.criteriaList[0].thresholdPercentage"][0] == "approximate"
    fleet = {"nodes": 4, "update_duration": "30s"}
    raw = {"name": "zero", "fleet": fleet, "policies": {"p": imported.policy}}
    assert simulate(Scenario.from_dict(raw)).responses["state"] == "completed"
    raw["fleet"] = {**fleet, "classes": [{"name": "broken", "nodes": [1], "start_failure": 1}], "order": "index"}
    assert simulate(Scenario.from_dict(raw)).responses["stopped_at_s"] == 60 + 30


def test_devices_reject_nothing():
    """A criterion that counts only rejected executions stops nothing. [contract]"""
    imported = aborting(criterion("REJECTED", 1, 1))
    assert "max_failed_nodes_percent" not in imported.policy
    assert imported.orchestrator["on_failure"] == "continue"


def test_the_most_retries_count():
    """The largest number of retries is used for all failures, as an approximation. [contract]"""
    criteria = [{"failureType": "FAILED", "numberOfRetries": 3}, {"failureType": "TIMED_OUT", "numberOfRetries": 1}]
    imported = aborting(jobExecutionsRetryConfig={"criteriaList": criteria})
    assert imported.policy["retries"] == 3
    found = notes(imported)
    names = [f"jobExecutionsRetryConfig.criteriaList[{number}].numberOfRetries" for number in (0, 1)]
    assert [found[name][:2] for name in names] == [
        ("exact", "3 times"),
        ("approximate", "3 times, the most of all criteria"),
    ]


def test_updates_over_the_air_are_jobs():
    """An OTA update of FreeRTOS has the settings of its job, under names of its own, also in answers and templates. [contract]"""
    criteria = [criterion("FAILED", 10, 5)]
    update = {
        "otaUpdateId": "seven",
        "targetSelection": "SNAPSHOT",
        "awsJobExecutionsRolloutConfig": {"maximumPerMinute": 20},
        "awsJobAbortConfig": {"abortCriteriaList": criteria},
        "awsJobTimeoutConfig": {"inProgressTimeoutInMinutes": 30},
    }
    job = {
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 20},
        "abortConfig": {"criteriaList": criteria},
        "timeoutConfig": {"inProgressTimeoutInMinutes": 30},
    }
    template = """\
Resources:
  Update:
    Type: AWS::IoT::OTAUpdate
    Properties:
      AwsJobExecutionsRolloutConfig: {MaximumPerMinute: 20}
      AwsJobAbortConfig:
        AbortCriteriaList:
          - {FailureType: FAILED, Action: CANCEL, ThresholdPercentage: 10, MinNumberOfExecutedThings: 5}
      AwsJobTimeoutConfig: {InProgressTimeoutInMinutes: 30}
"""
    expected = read_policy(json.dumps(job)).policy
    for text in (json.dumps(update), json.dumps({"otaUpdateInfo": update}), template):
        imported = read_policy(text)
        assert (imported.kind, imported.policy) == ("aws-iot", expected)


def test_a_job_template_is_evaluated():
    """CloudFormation's spellings and parameters are understood. [contract]"""
    imported = read_policy(TEMPLATE, variables={"Rate": "60"})
    rate = {"per_minute": 60, "growth": 2.0, "growth_every": 50, "max_per_minute": 1000}
    assert imported.orchestrator["rate"] == rate
    assert imported.orchestrator["minimum_sample"] == 5
    assert imported.policy["retries"] == 1
    assert read_policy(TEMPLATE).orchestrator["rate"]["per_minute"] == 30


def test_defaults_are_spelled_as_in_the_template():
    """Notes on a missing section use the spelling of the template's other sections. [contract]"""
    properties = "{AbortConfig: {}, TimeoutConfig: {}}"
    template = f"Resources:\n  Job:\n    Type: AWS::IoT::JobTemplate\n    Properties: {properties}\n"
    found = {note.field for note in read_policy(template, nodes=10).notes}
    assert {"Job.JobExecutionsRolloutConfig.MaximumPerMinute", "Job.AbortConfig.CriteriaList"} <= found


def test_answers_of_the_api_are_read():
    """The job inside `job` is imported. [contract]"""
    assert read_policy(json.dumps({"job": json.loads(JOB)})).policy == read_policy(JOB).policy


@pytest.mark.parametrize(("failure", "back"), [(None, True), ("ROLLBACK", True), ("DO_NOTHING", False)])
def test_a_device_goes_back_if_a_greengrass_deployment_fails(failure, back, engine):
    """A deployment is a job; by default a failed device returns to its previous components. [oracle]"""
    job = {"jobExecutionsRolloutConfig": {"maximumPerMinute": 4}}
    deployment = {"iotJobConfiguration": job, "deploymentPolicies": {"failureHandlingPolicy": failure}}
    imported = read_policy(json.dumps(deployment))
    own = {"node_local_rollback": True} if back else {}
    assert imported.orchestrator == {**read_policy(json.dumps(job)).orchestrator, **own}
    assert fidelities(imported)["deploymentPolicies.failureHandlingPolicy"] == "exact"
    nodes = roll_out(imported, 8, fail=[1], engine=engine).nodes
    # The others roll back by hand, when the defect is noticed an hour after the end.
    assert bool(nodes["rollback_ended_at_s"][1] == 40) is back
    assert nodes["rollback_started_at_s"].drop(index=1).min() >= 3600


@pytest.mark.parametrize(
    "job",
    [
        {"targets": ["group"], "targetSelection": "SNAPSHOT", "document": "{}"},
        {"job": {"jobId": "7", "targetSelection": "CONTINUOUS", "timeoutConfig": {}}},
        {"targetArn": "group", "iotJobConfiguration": {}},
        {"targetArn": "group", "deploymentPolicies": {"failureHandlingPolicy": "ROLLBACK"}},
    ],
)
def test_a_job_with_defaults_alone_is_recognised(job):
    """The answer to describe-job or get-deployment may have none of the sections on rollouts. [contract]"""
    imported = read_policy(json.dumps(job))
    assert (imported.kind, imported.orchestrator["rate"]) == ("aws-iot", {"per_minute": 1000})
    assert imported.orchestrator.get("node_local_rollback", False) is ("targetArn" in job)


DEPLOYMENTS = """\
Parameters:
  Most: {Type: Number, Default: 40}
Resources:
  Edge:
    Type: AWS::GreengrassV2::Deployment
    Properties:
      TargetArn: group
      DeploymentPolicies:
        FailureHandlingPolicy: DO_NOTHING
        ComponentUpdatePolicy: {Action: NOTIFY_COMPONENTS, TimeoutInSeconds: 60}
      IotJobConfiguration:
        JobExecutionsRolloutConfig:
          MaximumPerMinute: !Ref Most
          ExponentialRate:
            BaseRatePerMinute: 5
            IncrementFactor: 1
            RateIncreaseCriteria: {NumberOfNotifiedThings: 10}
        AbortConfig:
          CriteriaList:
            - {FailureType: ALL, Action: CANCEL, ThresholdPercentage: 20, MinNumberOfExecutedThings: 10}
        TimeoutConfig: {InProgressTimeoutInMinutes: 60}
  Usual:
    Type: AWS::GreengrassV2::Deployment
    Properties: {TargetArn: group, DeploymentPolicy: {}}
"""


def test_greengrass_deployments_of_a_template_are_read_as_those_of_the_api():
    """A deployment without a job has the defaults; a note says which one of several is read. [contract]"""
    rollout = {"baseRatePerMinute": 5, "incrementFactor": 1, "rateIncreaseCriteria": {"numberOfNotifiedThings": 10}}
    job = {
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 40, "exponentialRate": rollout},
        "abortConfig": {"criteriaList": [criterion("ALL", 20, 10)]},
        "timeoutConfig": {"inProgressTimeoutInMinutes": 60},
    }
    policies = {"failureHandlingPolicy": "DO_NOTHING"}
    edge = read_policy(DEPLOYMENTS)
    assert edge.kind == "aws-iot"
    assert edge.policy == read_policy(json.dumps({"iotJobConfiguration": job, "deploymentPolicies": policies})).policy
    assert notes(edge)["job"][1] == "Edge, the first in the file; --var job=NAME chooses one of Edge, Usual"
    assert fidelities(edge)["Edge.DeploymentPolicies.ComponentUpdatePolicy"] == "none"
    usual = read_policy(DEPLOYMENTS, variables={"job": "Usual"})
    assert usual.orchestrator["rate"] == {"per_minute": 1000}
    assert usual.orchestrator["node_local_rollback"] is True
    assert "did you mean 'DeploymentPolicies'" in notes(usual)["Usual.DeploymentPolicy"][1]


def test_a_bad_failure_policy_of_greengrass_is_refused():
    """The message has line, field and the allowed words. [contract]"""
    deployment = {"iotJobConfiguration": json.loads(JOB), "deploymentPolicies": {"failureHandlingPolicy": "STOP"}}
    (problem,) = messages(json.dumps(deployment, indent=2))
    assert problem[1:] == ("deploymentPolicies.failureHandlingPolicy", "unknown value")


def test_all_bad_values_are_reported_with_lines():
    """All problems are reported together, with line, field and reason. [contract]"""
    text = replace_all(JOB, {"500": "5000", "1.5": "9", "300": "0", "12.5": "120", "90": '"soon"'})
    rate = "jobExecutionsRolloutConfig.exponentialRate"
    assert messages(text) == [
        (5, "jobExecutionsRolloutConfig.maximumPerMinute", "too large"),
        (8, f"{rate}.incrementFactor", "too large"),
        (9, f"{rate}.rateIncreaseCriteria.numberOfNotifiedThings", "too small"),
        (14, "abortConfig.criteriaList[0].thresholdPercentage", "too large"),
        (17, "timeoutConfig.inProgressTimeoutInMinutes", "not a whole number"),
    ]


def test_missing_required_fields_are_reported():
    """An exponential rate needs a base, a factor and a criterion; an abort criterion needs all of its fields. [contract]"""
    text = '{"jobExecutionsRolloutConfig": {"exponentialRate": {"x": 1}}, "abortConfig": {"criteriaList": [{"failureType": "ALL"}]}}'
    rate = {"baseRatePerMinute", "incrementFactor", "numberOfNotifiedThings"}
    criteria = {"thresholdPercentage", "minNumberOfExecutedThings"}
    assert {field.rpartition(".")[2] for _, field, _ in messages(text)} == rate | criteria


def test_the_rate_grows_with_the_devices_notified(engine):
    """The rate is 10 a minute, 20 after 50 devices, then 30, the maximum, after 100. [oracle]"""
    rate = {"baseRatePerMinute": 10, "incrementFactor": 2, "rateIncreaseCriteria": {"numberOfNotifiedThings": 50}}
    text = json.dumps({"jobExecutionsRolloutConfig": {"maximumPerMinute": 30, "exponentialRate": rate}})
    rollout = roll_out(read_policy(text), 190, engine=engine)
    assert batches(rollout) == [10] * 5 + [20] * 3 + [30] * 2 + [20]
    assert rollout.nodes["dispatched_at_s"].max() == 600


def test_a_job_is_aborted_once_enough_executions_have_ended(engine):
    """With 2 of 20 a minute failing, the job is aborted at 10 % with the third batch, above the minimum of 50. [oracle]"""
    imported = aborting(criterion("ALL", 10, 50), jobExecutionsRolloutConfig={"maximumPerMinute": 20})
    failing = [0, 1, 20, 21, 40, 41]
    rollout = roll_out(imported, 200, fail=failing, engine=engine)
    assert batches(rollout) == [20, 20, 20]
    assert rollout.responses["stopped_at_s"] == 150
    assert roll_out(imported, 200, fail=failing[:5], engine=engine).responses["state"] == "completed"


def test_schedules_are_noted():
    """A note on a schedule refers to change windows. [contract]"""
    job = {**json.loads(JOB), "schedulingConfig": {"startTime": "2026-01-01T00:00"}}
    assert fidelities(read_policy(json.dumps(job)))["schedulingConfig"] == "none"
