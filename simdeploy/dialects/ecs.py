"""Amazon ECS: a service, as the API's JSON or as a resource of a CloudFormation template.

In a rolling update, ECS starts new tasks while there are no more than `maximumPercent` of the desired count, and stops old ones
while at least `minimumHealthyPercent` of it is healthy. A failed task is started again indefinitely, unless the circuit breaker
is on: it fails the deployment when the number of failed starts reaches its threshold; a task that becomes healthy resets the
count. The other strategies shift traffic in steps. Sources: the API reference of Amazon ECS (DeploymentConfiguration,
DeploymentCircuitBreaker, ThresholdConfiguration, LinearConfiguration, CanaryConfiguration);
awsdocs/amazon-ecs-developer-guide:doc_source/deployment-type-ecs.md, doc_source/service-throttle-logic.md.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from simdeploy.dialects.cloudformation import created, open_part, resource_names, resource_properties
from simdeploy.dialects.reading import NOTHING_SERVED, Group, Reading, or_else
from simdeploy.dialects.source import Document, Source, Tagged
from simdeploy.dialects.traffic_steps import note_minutes
from simdeploy.errors import Path, format_path, plural

if TYPE_CHECKING:
    from simdeploy.dialects.imported import PolicyImport

_RESOURCE = "AWS::ECS::Service"
_TARGETS = "AWS::ElasticLoadBalancingV2::TargetGroup"
_DEADLINE = "3h"  # CloudFormation gives up a service that isn't stable by then
_SHORT_S = 3600  # longest check that fits well into the deadline
_FEWEST, _MOST = 3, 200  # of a bounded threshold
# Without the circuit breaker. So many restarts outlast all but hopeless tasks, and are simulated in little time.
_RESTARTS, _RESTART_DELAY = 100, "10s"


def recognises(source: Source) -> bool:
    """Tell whether a text is a service, or a template with one."""
    return any(_services(document) or resource_names(document, _RESOURCE) for document in source.groups)


def read(reading: Reading) -> PolicyImport:
    """Read the service that the variable `service` names, or the first that says how to deploy."""
    service = _find(reading)
    daemon = _read_scheduling(service)
    n_problems = len(reading.problems)
    desired = service.whole("desiredCount")
    stated = service.data.get(service.spelled("desiredCount"))
    if reading.given_nodes is None and desired == 0:
        service.refuse("desiredCount", "there is nothing to update", allowed="1 or more", hint="pass --nodes N")
    elif reading.given_nodes is None and isinstance(stated, Tagged):
        variables = "".join(f"--var {name}=VALUE " for name in stated.missing[:3])
        hint = f"pass {variables}{'or ' if variables else ''}--nodes N"
        service.refuse("desiredCount", "the number of tasks depends on something outside the file", hint=hint)
    is_bad = len(reading.problems) > n_problems
    if desired is not None:
        service.exact("desiredCount", "the number of nodes, unless the caller gives another")
    nodes = reading.nodes(desired or None, why=None if is_bad else "ECS rounds its percentages to tasks")
    config = service.group("deploymentConfiguration")
    breaker = config.group("deploymentCircuitBreaker")
    breaks = bool(breaker.flag("enable"))
    pace = _read_pace(config, nodes, daemon=daemon, breaks=breaks)
    health = _read_health(service)
    limit, counted, on_failure = _read_breaker(breaker, nodes, breaks=breaks)
    service.note_misspelt()
    text = "nothing watches metrics; the closest counterpart is health_check.max_error_rate or a gate"
    has_alarms = isinstance(config.data.get(config.spelled("alarms")), dict)  # not if they depend on a condition
    if has_alarms and config.group("alarms").flag("enable") is False:
        config.exact("alarms", "off")
    else:
        config.no_counterparts({"alarms": text})
    config.note_rest()
    policy = {
        "strategy": "rolling",
        **pace,
        "health_check": health,
        **({} if breaks else _read_restarts(reading, is_checked="interval" in health)),
        "max_failed_nodes": limit,
        "no_auto_rollback": True if on_failure != "rollback" else None,
    }
    switches: dict[str, Any] = {"pacing": "barrier" if "waves" in pace else "sliding", "on_failure": on_failure}
    if breaks:
        # The next node stands for the restart of a failed task, so the failed one must not be missing any more.
        switches |= {"limit_comparison": "reaches", "failures_counted": counted, "node_local_rollback": True}
    elif "waves" not in pace:
        switches["failed_node_holds_slot"] = True
    return reading.finish(policy, switches, nodes=nodes)


# -- the service -----------------------------------------------------------------------------------


def _services(document: Document) -> dict[str, Path]:
    """Return the paths of services in the API's form: a single one, or those in a response of the API."""
    data = document.data
    several = data.get("services")
    places: list[tuple[Path, Any]] = [((), data), (("service",), data.get("service"))]
    places += [
        (("services", number), service) for number, service in enumerate(several if isinstance(several, list) else ())
    ]
    return {
        str(service.get("serviceName") or format_path(path)): path for path, service in places if _is_service(service)
    }


def _is_service(value: Any) -> bool:
    beside = ("serviceName", "service", "desiredCount", "launchType", "schedulingStrategy")
    return isinstance(value, dict) and (
        "deploymentConfiguration" in value or ("taskDefinition" in value and any(key in value for key in beside))
    )


def _find(reading: Reading) -> Group:
    for document in reading.source.groups:
        if names := created(reading, document, resource_names(document, _RESOURCE)):
            properties = {name: document.data["Resources"][name].get("Properties") for name in names}
            saying = [
                name for name, has in properties.items() if isinstance(has, dict) and "DeploymentConfiguration" in has
            ]
            return resource_properties(reading, document, reading.choose("service", names, saying))
        if places := _services(document):
            return open_part(reading, document, places[reading.choose("service", list(places))])
    raise reading.nothing(f"a service with deploymentConfiguration, or a template with an {_RESOURCE}")


def _read_scheduling(service: Group) -> bool:
    daemon = service.text("schedulingStrategy", "REPLICA", "DAEMON") == "DAEMON"
    if "schedulingStrategy" in service:
        service.exact("schedulingStrategy", "one task on each instance" if daemon else "the desired number of tasks")
    controller = service.group("deploymentController")
    kind = controller.text("type", "ECS", "CODE_DEPLOY", "EXTERNAL")
    if kind in ("CODE_DEPLOY", "EXTERNAL"):
        controller.no_counterpart("type", f"{kind} rolls out; import its own configuration. Here ECS would do it")
    elif kind is not None:
        controller.exact("type", "ECS itself rolls out")
    return daemon


# -- pace ------------------------------------------------------------------------------------------


def _read_pace(config: Group, nodes: int | None, *, daemon: bool, breaks: bool) -> dict[str, Any]:
    strategy = config.text("strategy", "ROLLING", "BLUE_GREEN", "LINEAR", "CANARY")
    if strategy in (None, "ROLLING"):
        config.exact("strategy", "a rolling update")
        return _read_band(config, nodes, daemon=daemon, breaks=breaks)
    text = "all new tasks start beside the old ones, and traffic is shifted; here nodes are updated"
    config.approximate("strategy", text)
    idle = "without effect except in a rolling update"
    config.no_counterparts({"minimumHealthyPercent": idle, "maximumPercent": idle})
    if strategy == "BLUE_GREEN":
        return {"max_parallel": 0, "surge": "100%"}
    if strategy == "LINEAR":
        step = _read_step(config.group("linearConfiguration"), "step", 3.0, 10.0, 6, nodes)
        return {"waves": [step], "surge": "100%"}
    step = _read_step(config.group("canaryConfiguration"), "canary", 0.1, 5.0, 10, nodes)
    return {"waves": [step, {"until": "100%"}], "surge": "100%"}


def _read_step(
    steps: Group, prefix: str, least: float, percent: float, minutes: int, nodes: int | None
) -> dict[str, Any]:
    """Return the wave for one step of traffic."""
    percent_key, bake_key = f"{prefix}Percent", f"{prefix}BakeTimeInMinutes"
    percent = or_else(steps.number(percent_key, least, 100), percent)
    minutes = or_else(steps.whole(bake_key, 0, 1440), minutes)
    steps.approximate(percent_key, f"{percent:g} % of the nodes instead of the traffic")
    note_minutes(steps, bake_key, minutes, percent, nodes, is_linear=prefix == "step")
    steps.note_rest()
    return {"size": f"{percent:g}%", "bake_time": f"{minutes}m"}


def _read_band(config: Group, nodes: int | None, *, daemon: bool, breaks: bool) -> dict[str, Any]:
    """Return how many tasks may be in flight: the number that may start beside old ones, and the number that may be missing."""
    low, high = "minimumHealthyPercent", "maximumPercent"
    least = or_else(config.whole(low, 0, 100), 0 if daemon else 100)
    most = or_else(config.whole(high, 0, 10_000), 100 if daemon else 200)
    if nodes is None:
        return {}
    missing = nodes - math.ceil(Fraction(least * nodes, 100))
    beside = max(most * nodes // 100 - nodes, 0)
    text = f"{least} %, rounded up: {missing:,} of {plural(nodes, 'task')} may be missing"
    if breaks and missing:
        config.approximate(low, f"{text}; here also nodes that go back after a failure")
    else:
        config.exact(low, text)
    old = "old one" if nodes == 1 else f"{nodes:,} old ones"
    config.exact(high, f"{most} %, rounded down: {plural(beside, 'task')} may start beside the {old}")
    if missing + beside == 0:
        message = f"with {plural(nodes, 'task')} ECS may neither stop an old one nor start a new one, and waits forever"
        config.refuse(low, message, allowed="a lower minimumHealthyPercent or a higher maximumPercent")
    return {"max_parallel": min(missing + beside, nodes), "surge": beside or None}


# -- health and limit ------------------------------------------------------------------------------


def _read_health(service: Group) -> dict[str, Any]:
    """Return the health check; with a load balancer, tasks must pass the check of its target group."""
    text = f"ECS waits forever, CloudFormation for {_DEADLINE}; here {_DEADLINE}"
    service.reading.note("health_check.deadline", "approximate", text)
    grace_key = "healthCheckGracePeriodSeconds"
    grace = or_else(service.whole(grace_key), 0)
    if not service.data.get(service.spelled("loadBalancers")):
        service.no_counterparts({grace_key: "without a load balancer there is no check to ignore"})
        text = "a task that runs is healthy: its container's check isn't read"
        service.reading.note("health_check", "approximate", text)
        return {"deadline": _DEADLINE}
    interval, healthy, unhealthy = _read_targets(service)
    if grace_key in service:
        service.approximate(grace_key, "a task fails only after as many more unhealthy checks as fit into it")
    return {
        "deadline": _DEADLINE if interval * healthy < _SHORT_S else f"{2 * interval * healthy}s",
        "interval": f"{interval}s",
        "max_error_rate": NOTHING_SERVED,
        "success_threshold": healthy,
        "failure_threshold": unhealthy + math.ceil(grace / interval),
    }


def _read_restarts(reading: Reading, *, is_checked: bool) -> dict[str, Any]:
    """Return the restarts of failed tasks; `is_checked` tells whether a load balancer checks them."""
    text = (
        f"a failed task is started again {_RESTART_DELAY} later, up to {_RESTARTS} times; "
        "ECS never gives up, and waits longer, up to 27m, for tasks that don't get as far as running"
    )
    reading.note("retries", "approximate", text)
    return {"retries": _RESTARTS, "retry_delay": _RESTART_DELAY, "retry_unhealthy": True if is_checked else None}


def _read_targets(service: Group) -> tuple[int, int, int]:
    """Return interval and thresholds of the first target group if it is in the same template, else the defaults."""
    templates = service.document.source.groups
    first = next(iter(service.groups("loadBalancers")), None)
    arn = None if first is None else first.data.get(first.spelled("targetGroupArn"))
    target = str(arn.value) if isinstance(arn, Tagged) and arn.tag == "!Ref" else ""
    template = next((candidate for candidate in templates if target in resource_names(candidate, _TARGETS)), None)
    values, where = [30, 5, 2], "a target group's defaults"
    if template is not None:
        targets, where = resource_properties(service.reading, template, target), f"from {target}"
        keys = ("HealthCheckIntervalSeconds", "HealthyThresholdCount", "UnhealthyThresholdCount")
        values = [or_else(targets.whole(key, 1, 1000), default) for key, default in zip(keys, values, strict=True)]
    interval, healthy, unhealthy = values
    text = f"{healthy} checks passed make a task healthy, {unhealthy} failed in a row kill it, every {interval} s ({where})"
    service.approximate("loadBalancers", text)
    return interval, healthy, unhealthy


def _read_breaker(breaker: Group, nodes: int | None, *, breaks: bool) -> tuple[int | None, str, str]:
    """Return the number of failures at which the deployment fails, how they are counted, and what follows."""
    back = breaker.flag("rollback")
    reset = or_else(breaker.flag("resetOnHealthyTask"), True)
    if not breaks:
        breaker.exact("enable", "failures stop nothing: ECS goes on forever")
        breaker.note_rest("without effect: the circuit breaker is off")
        return None, "", "continue"
    text = "failed nodes are counted and go back, and the next one stands for the restart; ECS counts each failed start"
    breaker.approximate("enable", text)
    breaker.exact("rollback", "rolls back to the last version" if back else "a failed deployment stays as it is")
    text = "a node that becomes healthy resets the count" if reset else "failures add up"
    breaker.exact("resetOnHealthyTask", text)
    limit = _read_threshold(breaker.group("thresholdConfiguration"), nodes)
    breaker.note_rest()
    return limit, "consecutive" if reset else "cumulative", "rollback" if back else "stop"


def _read_threshold(config: Group, nodes: int | None) -> int | None:
    kind = or_else(config.text("type", "BOUNDED_PERCENT", "UNBOUNDED_PERCENT", "COUNT"), "BOUNDED_PERCENT")
    value = or_else(config.whole("value", 1), 50)
    if nodes is None:
        return None
    limit = value if kind == "COUNT" else math.ceil(Fraction(value * nodes, 100))
    if kind == "BOUNDED_PERCENT":
        limit = min(max(limit, _FEWEST), _MOST)
        config.exact("type", f"a percentage of the tasks, rounded up, from {_FEWEST} to {_MOST}")
    else:
        config.exact("type", "a number of tasks" if kind == "COUNT" else "a percentage of the tasks, rounded up")
    text = f"the deployment fails at failure {limit:,}"
    if limit > nodes:
        of_tasks = "there are more failures than tasks only in ECS, which counts each restart: here it never fails"
        config.approximate("value", f"{text}; {of_tasks}")
    else:
        config.exact("value", text)
    return limit
