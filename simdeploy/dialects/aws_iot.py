"""AWS IoT Jobs: how a job is rolled out and aborted, as the API's JSON, or as a job template, an OTA update of FreeRTOS or a
deployment of Greengrass in a template of CloudFormation.

Devices are notified at a rate per minute. It may grow by a factor each time a number of further devices were notified or
succeeded, up to a limit. A criterion aborts the job once a minimum of executions has ended and a percentage of those has
failed; this cancels queued executions, and nothing rolls back. A device that takes too long times out, and may be tried again.
Devices that succeeded are not watched. Sources: awsdocs/aws-iot-docs:developerguide/job-rollout-abort.md; the API reference of
AWS IoT (JobExecutionsRolloutConfig, ExponentialRolloutRate, AbortCriteria, TimeoutConfig, JobExecutionsRetryConfig) and of AWS IoT
Greengrass (DeploymentPolicies).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simdeploy.dialects.cloudformation import created, open_part, resource_names, resource_properties
from simdeploy.dialects.reading import Group, Reading, or_else
from simdeploy.errors import Path, listed, plural
from simdeploy.units import NS_PER_S, write_duration

if TYPE_CHECKING:
    from simdeploy.dialects.imported import PolicyImport
    from simdeploy.dialects.source import Document, Source

_DEPLOYMENT = "AWS::GreengrassV2::Deployment"
_RESOURCES = ("AWS::IoT::JobTemplate", "AWS::IoT::OTAUpdate", _DEPLOYMENT)
# AWS's documentation uses both spellings of the first one. Those of OTA updates follow.
_ROLLOUT = ("jobExecutionsRolloutConfig", "jobExecutionRolloutConfig", "awsJobExecutionsRolloutConfig")
_ABORT = ("abortConfig", "awsJobAbortConfig")
_SECTIONS = (*_ROLLOUT, *_ABORT, "jobExecutionsRetryConfig")
_SELECTIONS = ("SNAPSHOT", "CONTINUOUS")  # words of `targetSelection`, by which a job with defaults alone is recognised
_IN_GREENGRASS = "iotJobConfiguration"
_WRAPPERS = ("job", "otaUpdateInfo", _IN_GREENGRASS)  # in responses of the API, and in a Greengrass deployment
_ASIDE = {
    "schedulingConfig": "use the scenario's change windows instead",
    "maintenanceWindows": "use the scenario's change windows instead",
    "targetSelection": "no device joins during a rollout",
}
_FAILURES = ("FAILED", "REJECTED", "TIMED_OUT", "ALL")
_FASTEST = 1000
_LONGEST_MIN = 10_080


def recognises(source: Source) -> bool:
    """Tell whether a text is a job, or a template with a job template, an OTA update or a deployment of Greengrass."""
    return any(_place(document) is not None or resource_names(document, *_RESOURCES) for document in source.groups)


def read(reading: Reading) -> PolicyImport:
    """Read a job; in a template the one that the variable `job` names, or the first."""
    job, deployment = _find(reading)
    rate = _read_rate(_section(job, *_ROLLOUT))
    percent, sample = _read_abort(_section(job, *_ABORT))
    deadline = _read_timeout(_section(job, "timeoutConfig", "awsJobTimeoutConfig"))
    retries = _read_retries(job.group("jobExecutionsRetryConfig"))
    job.no_counterparts(_ASIDE)
    job.note_misspelt()
    reading.note("unreachable_nodes", "exact", "a device that is offline gets its job when it is back")
    reading.note("no_auto_rollback", "exact", "an aborted job leaves devices as they are")
    policy = {
        "strategy": "rolling",
        "health_check": {"deadline": deadline},
        "max_failed_nodes_percent": percent,
        "retries": retries,
        "no_auto_rollback": True,
    }
    switches: dict[str, Any] = {"pacing": "rate", "rate": rate, "unreachable_nodes": "wait"}
    if deployment is not None and _read_failure(deployment):
        switches["node_local_rollback"] = True
    if percent is None:
        return reading.finish(policy, {**switches, "on_failure": "continue"}, nodes=reading.nodes(None))
    limits = {"limit_comparison": "reaches", "failed_percent_of": "resolved", "minimum_sample": sample}
    return reading.finish(policy, {**switches, **limits, "on_failure": "stop"}, nodes=reading.nodes(None))


def _section(job: Group, *names: str) -> Group:
    """Return a section that has one of these names."""
    return job.group(next((name for name in names if name in job), names[0]))


def _place(document: Document) -> Path | None:
    """Return the path of a job in a document."""
    for path in ((), *((wrapper,) for wrapper in _WRAPPERS)):
        place = document.data.get(path[0]) if path else document.data
        if not isinstance(place, dict):
            continue
        has_section = any(isinstance(place.get(section), dict) for section in _SECTIONS)
        if has_section or place.get("targetSelection") in _SELECTIONS or path == (_IN_GREENGRASS,):
            return path
    has_policies = isinstance(document.data.get("deploymentPolicies"), dict) and "targetArn" in document.data
    return (_IN_GREENGRASS,) if has_policies else None


def _find(reading: Reading) -> tuple[Group, Group | None]:
    """Return a job, and the Greengrass deployment around it if there is one."""
    for document in reading.source.groups:
        if names := created(reading, document, resource_names(document, *_RESOURCES)):
            name = reading.choose("job", names)
            resource = resource_properties(reading, document, name)
            if name in resource_names(document, _DEPLOYMENT):
                return resource.group(_IN_GREENGRASS), resource
            return resource, None
        place = _place(document)
        if place is not None:
            deployment = open_part(reading, document, ()) if place == (_IN_GREENGRASS,) else None
            return open_part(reading, document, place), deployment
    raise reading.nothing(f"{listed(_SECTIONS)}, or an {', '.join(_RESOURCES[:-1])} or {_DEPLOYMENT}")


def _read_rate(rollout: Group) -> dict[str, Any]:
    growing = rollout.group(rollout.spelling("exponentialRate", "exponentialRolloutRate", "ExponentialRolloutRate"))
    # One page of the documentation places the limit inside.
    bounded = growing if "maximumPerMinute" not in rollout and "maximumPerMinute" in growing.data else rollout
    most = or_else(bounded.whole("maximumPerMinute", 1, _FASTEST), _FASTEST)
    if not growing.data:
        rollout.exact("maximumPerMinute", f"{plural(most, 'device')} notified each minute")
        rollout.note_rest()
        return {"per_minute": most}
    bounded.exact("maximumPerMinute", f"at most {plural(most, 'device')} a minute")
    base, factor = growing.whole("baseRatePerMinute", 1, _FASTEST), growing.number("incrementFactor", 1, 5)
    for key in ("baseRatePerMinute", "incrementFactor"):
        if key not in growing:
            growing.refuse(key, "required", allowed="a number")
    base, factor = or_else(base, 1), or_else(factor, 1.0)
    growing.exact("baseRatePerMinute", f"{plural(base, 'device')} a minute at first")
    growing.exact("incrementFactor", f"the rate is multiplied by {factor:g} at each step")
    every = _read_step(growing.group("rateIncreaseCriteria"))
    growing.note_rest()
    rollout.note_rest()
    return {"per_minute": base, "growth": factor, "growth_every": every, "max_per_minute": most}


def _read_step(criteria: Group) -> int:
    """Return the number of further devices after which the rate grows."""
    notified_key, succeeded_key = "numberOfNotifiedThings", "numberOfSucceededThings"
    notified, succeeded = criteria.whole(notified_key, 1), criteria.whole(succeeded_key, 1)
    step = min((number for number in (notified, succeeded) if number is not None), default=None)
    if step is not None and step == notified:
        criteria.exact(notified_key, f"the rate grows after every {plural(step, 'device')}")
        criteria.no_counterparts({succeeded_key: "numberOfNotifiedThings is reached first"})
    elif step is not None:
        text = f"the rate grows after {plural(step, 'notified device')}, without waiting for their success"
        criteria.approximate(succeeded_key, text)
        criteria.no_counterparts({notified_key: "numberOfSucceededThings is reached first here"})
    elif not (notified_key in criteria or succeeded_key in criteria):
        criteria.refuse(notified_key, "required", allowed="this, or numberOfSucceededThings")
    criteria.note_rest()
    return or_else(step, 1)


def _read_abort(config: Group) -> tuple[float | None, int]:
    """Return percentage and minimum of the criterion that counts the most kinds of failure; None if none applies."""
    criteria: list[tuple[str, float, int, Group]] = []
    for criterion in config.groups(config.spelling("criteriaList", "abortCriteriaList", "AbortCriteriaList")):
        kind = criterion.text("failureType", *_FAILURES)
        percent = criterion.number("thresholdPercentage", 0, 100)
        least = criterion.whole("minNumberOfExecutedThings", 1)
        criterion.text("action", "CANCEL")
        for key in ("failureType", "thresholdPercentage", "minNumberOfExecutedThings"):
            if key not in criterion:
                criterion.refuse(key, "required")
        if kind and percent is not None and least is not None:
            criteria.append((kind, percent, least, criterion))
    # The kind that is most like a failed node comes first; among equal kinds the strictest.
    order = ("ALL", "FAILED", "TIMED_OUT")
    applying = sorted(
        (entry for entry in criteria if entry[0] in order),
        key=lambda entry: (order.index(entry[0]), entry[1], entry[2]),
    )
    for kind, percent, least, criterion in criteria:
        if not applying or criterion is not applying[0][3]:
            text = "devices don't reject jobs" if kind == "REJECTED" else "one criterion is kept"
            criterion.no_counterpart("failureType", text)
            criterion.note_rest("its criterion is not kept")
            continue
        if kind == "ALL":
            criterion.exact("failureType", "every failed node counts")
        else:
            criterion.approximate("failureType", "every failed node counts, whether it failed or timed out")
        if percent == 0:
            text = "0 %: stops at the first failed node; taken literally, each job stops, whether or not any failed"
            criterion.approximate("thresholdPercentage", text)
        else:
            criterion.exact("thresholdPercentage", f"stops at {percent:g} % of the nodes that are done")
        criterion.exact(
            "minNumberOfExecutedThings", f"not before {plural(least, 'node')} {'is' if least == 1 else 'are'} done"
        )
        criterion.exact("action", "queued executions are canceled, running ones go on")
    if not config.data:
        config.exact("criteriaList", "failures stop nothing")
    config.note_rest()
    return (applying[0][1], applying[0][2]) if applying else (None, 0)


def _read_timeout(config: Group) -> str:
    minutes = config.whole("inProgressTimeoutInMinutes", 1, _LONGEST_MIN)
    if minutes is None:
        config.approximate("inProgressTimeoutInMinutes", "a job may run forever; here for a week, the longest timeout")
    else:
        config.exact("inProgressTimeoutInMinutes", f"a device fails {minutes:,} min after it was notified")
    config.note_rest()
    return write_duration(or_else(minutes, _LONGEST_MIN) * 60 * NS_PER_S)


def _read_failure(deployment: Group) -> bool:
    """Tell whether a device on which a Greengrass deployment fails goes back by itself."""
    policies = deployment.group("deploymentPolicies")
    back = policies.text("failureHandlingPolicy", "ROLLBACK", "DO_NOTHING") != "DO_NOTHING"
    text = "a device that fails goes back by itself" if back else "a device that fails stays as it is"
    policies.exact("failureHandlingPolicy", text, default="ROLLBACK, ")
    policies.note_rest()
    deployment.note_misspelt()
    return back


def _read_retries(config: Group) -> int | None:
    """Return how often a node that fails is tried again: the maximum of all criteria."""
    criteria = config.groups(config.spelling("criteriaList", "RetryCriteriaList"))
    numbers = [criterion.whole("numberOfRetries", 0, 10) or 0 for criterion in criteria]
    most = max(numbers, default=None)
    for criterion, number in zip(criteria, numbers, strict=True):
        if criterion.text("failureType", "FAILED", "TIMED_OUT", "ALL") == "ALL":
            criterion.exact("failureType", "nodes that fail or time out are tried again")
        else:
            criterion.approximate("failureType", "nodes are tried again whether they failed or timed out")
        times = plural(most or 0, "time")
        if number == most:
            criterion.exact("numberOfRetries", times)
        else:
            criterion.approximate("numberOfRetries", f"{times}, the most of all criteria")
        criterion.note_rest()
    config.note_rest()
    return most
