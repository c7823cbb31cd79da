"""AWS CodeDeploy: a deployment configuration, as the API's JSON or as a resource of a CloudFormation template; or the deployment
preference of a function of AWS SAM.

On servers one number sets both pace and tolerance: the minimum of healthy hosts. CodeDeploy updates as many hosts at once as are
healthy beyond that minimum, and failed hosts are not healthy. So every failure slows the rollout down, and it fails when no
further host may be taken out of service although some remain; after the last host, the minimum is enough. At least one host
must succeed. Zones may follow one another, with time between them. On Lambda and ECS, traffic is shifted in steps.
Sources: awsdocs/aws-codedeploy-user-guide:doc_source/{instances-health.md, deployment-configurations.md}; the API reference
(DeploymentConfigInfo, ZonalConfig, TrafficRoutingConfig); aws/serverless-application-model, samtranslator/model/preferences (SAM).
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from simdeploy.dialects.cloudformation import created, open_part, resource_names, resource_properties
from simdeploy.dialects.reading import Group, Reading, or_else
from simdeploy.dialects.source import Document, Source, Tagged
from simdeploy.dialects.traffic_steps import note_minutes
from simdeploy.errors import listed, nearest, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simdeploy.dialects.imported import PolicyImport

_CONFIG, _GROUP = "AWS::CodeDeploy::DeploymentConfig", "AWS::CodeDeploy::DeploymentGroup"
_FUNCTION = "AWS::Serverless::Function"
_SECTIONS = ("minimumHealthyHosts", "trafficRoutingConfig", "zonalConfig")
_ANSWERS = ("deploymentConfigInfo", "deploymentGroupInfo", "deploymentInfo")
_PREDEFINED = "CodeDeployDefault."
_ON_SERVERS = ("OneAtATime", "HalfAtATime", "AllAtOnce")
_SHIFTED = re.compile(
    r"(?:Lambda|ECS)(?:AllAtOnce|Canary10[Pp]ercent(5|10|15|30)Minutes|Linear10[Pp]ercentEvery(1|2|3|10)Minutes?)"
)
_ALARMS = "alarms and scripts stop a shift of traffic; the closest counterpart is a gate"
_SLOTS = {"failed_node_holds_slot": True, "all_slots_held": "fail"}


def recognises(source: Source) -> bool:
    """Tell whether a text is a deployment configuration, names one, or is a template with one."""
    for document in source.groups:
        places = [document.data, *(document.data.get(answer) for answer in _ANSWERS)]
        has_resources = resource_names(document, _CONFIG, _GROUP) or _find_functions(document)
        if has_resources or any(_is_configuration(place) for place in places):
            return True
    return False


def read(reading: Reading) -> PolicyImport:
    """Read a configuration: in a template the one that the variable `config` names, or the first.

    The variable `group` chooses among the groups that use it. In a template of functions without groups, read the preference
    of the function that the variable `function` names, or of the first, unless `config` chooses a configuration.
    """
    for document in reading.source.groups:
        functions = _find_functions(document)
        if not functions:
            continue
        has_groups, has_configs = (bool(resource_names(document, kind)) for kind in (_GROUP, _CONFIG))
        reads_config = has_groups or (has_configs and reading.variable("config") is not None)
        if reading.variable("function") is not None or not reads_config:
            return _read_function(reading, document, functions)
        if has_groups:
            text = f"the template's groups are read; --var function=NAME reads one of {listed(functions)} instead"
            reading.note("function", "none", text)
    config, group = _find(reading)
    name = _read_name(config)
    shift = _find_shift(name or "")
    routing = config.group("trafficRoutingConfig")
    policy: dict[str, Any] = {"strategy": "rolling"}
    if shift or routing.data:
        policy |= shift or _read_routing(routing)
        nodes, switches = reading.nodes(None), {"pacing": "barrier"}
        reading.note("alarms", "none", _ALARMS)
    else:
        nodes, band, switches = _read_band(config, name)
        policy |= band | _read_zones(config, nodes, switches)
    back = _read_rollback(group)
    config.note_rest()
    group.note_rest()
    policy |= {"health_check": _assume_deadline(reading), "no_auto_rollback": None if back else True}
    return reading.finish(policy, {**switches, "on_failure": "rollback" if back else "stop"}, nodes=nodes)


def _assume_deadline(reading: Reading) -> dict[str, str]:
    deadline = "not given: a script may run for an hour; nothing watches a host after its scripts"
    reading.note("health_check.deadline", "approximate", deadline)
    return {"deadline": "1h"}


def _is_configuration(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    name = value.get("deploymentConfigName")
    return any(isinstance(value.get(section), dict) for section in _SECTIONS) or isinstance(name, str)


def _find(reading: Reading) -> tuple[Group, Group]:
    """Return the configuration, and the part of the file that says what follows a failure."""
    for document in reading.source.groups:
        if resource_names(document, _CONFIG, _GROUP):
            return _choose(reading, document)
        for path in ((), *((answer,) for answer in _ANSWERS)):
            if _is_configuration(document.data.get(path[0]) if path else document.data):
                part = open_part(reading, document, path)
                return part, part
    raise reading.nothing(f"deploymentConfigName, minimumHealthyHosts or trafficRoutingConfig, or an {_CONFIG}")


def _choose(reading: Reading, document: Document) -> tuple[Group, Group]:
    """Return a configuration of a template and a group that uses it; both are a group that only names its configuration."""
    configs, groups = (
        {
            name: resource_properties(reading, document, name)
            for name in created(reading, document, resource_names(document, kind))
        }
        for kind in (_CONFIG, _GROUP)
    )
    used = {name: _find_used(group, "deploymentConfigName", configs) for name, group in groups.items()}
    wanted = reading.variable("group") if groups else None
    names = [*configs, *(name for name in groups if used[name] is None)]
    if wanted is not None and wanted in groups:
        names = [used[wanted] or wanted]
    chosen = reading.choose("config", names)
    users = [name for name in groups if chosen in (name, used[name])]
    config = configs[chosen] if chosen in configs else groups[chosen]
    if not users and wanted is None:
        return config, config
    group = groups[reading.choose("group", users if wanted is None else list(groups))]
    if group is not config:
        group.exact("deploymentConfigName", f"see {chosen}")
    return config, group


def _find_used(group: Group, key: str, configs: Mapping[str, Group]) -> str | None:
    """Return which of a template's configurations a field refers to, or names; None if it is none of them."""
    value = group.data.get(group.spelled(key))
    if isinstance(value, Tagged):
        return next((name for name in configs if value.tag == "!Ref" and name == value.value), None)
    names = {name: config.data.get(config.spelled("deploymentConfigName")) for name, config in configs.items()}
    return next((name for name in configs if value is not None and names[name] == value), None)


def _read_name(config: Group) -> str | None:
    """Return the name of a predefined configuration, without its prefix, if the file states only its name."""
    name = config.text("deploymentConfigName")
    if any(section in config for section in _SECTIONS):
        return None
    short = (name or "").removeprefix(_PREDEFINED)
    if name is None:
        return "OneAtATime"
    if name.startswith(_PREDEFINED) and short in _ON_SERVERS:
        return short
    if name.startswith(_PREDEFINED) and _find_shift(short):
        config.approximate("deploymentConfigName", "predefined; steps of traffic become steps of nodes")
        return short
    allowed = f"a predefined name such as {_PREDEFINED}OneAtATime, or minimumHealthyHosts beside it"
    hint = nearest(name, [_PREDEFINED + suffix for suffix in _ON_SERVERS], 0.8)
    is_own = not name.startswith(_PREDEFINED)
    message = "a custom configuration that the file only names" if is_own else "no predefined configuration"
    config.refuse("deploymentConfigName", message, allowed=allowed, hint=hint)
    return ""


# -- on servers ------------------------------------------------------------------------------------


def _read_band(config: Group, name: str | None) -> tuple[int | None, dict[str, Any], dict[str, Any]]:
    """Return the number of nodes, how many hosts may be out of service and may fail, and the switches for it."""
    hosts = config.group("minimumHealthyHosts")
    nodes = config.reading.nodes(None)
    if name == "OneAtATime":
        config.exact("deploymentConfigName", "one host at a time (OneAtATime); the last one may fail")
        # With one host, one failure is too many: 100 % exceeds 99.
        limits = {"max_failed_nodes": 1, "max_failed_nodes_percent": 99}
        return nodes, {"max_parallel": 1, **limits}, {"pacing": "sliding", **_SLOTS}
    kind = hosts.text("type", "HOST_COUNT", "FLEET_PERCENT")
    if kind is None and isinstance(hosts.data.get(hosts.spelled("type")), str):
        return nodes, {}, {}
    percent = kind == "FLEET_PERCENT" or name == "HalfAtATime"
    given = hosts.whole("value", 0, 100 if percent else 10_000_000)
    least = {"HalfAtATime": 50, "AllAtOnce": 0}.get(name or "", given)
    place, key = (hosts, "value") if name is None else (config, "deploymentConfigName")
    if name == "":
        return nodes, {}, {}
    if least is None:
        if isinstance(hosts.data.get(hosts.spelled("value")), Tagged | None):
            hosts.refuse("value", "the number of hosts that must stay healthy is missing", allowed="a whole number")
        return nodes, {}, {}
    if least == 0:
        place.exact(key, "all hosts at once; one must succeed")
        switches = {"pacing": "sliding", "limit_comparison": "reaches"}
        return nodes, {"max_parallel": 0, "max_failed_nodes_percent": 100}, switches
    if not percent:
        nodes = config.reading.nodes(None, why="the minimum of healthy hosts is a number")
    most = None if nodes is None else nodes - (math.ceil(Fraction(least * nodes, 100)) if percent else least)
    if (most is not None and most < 1) or (percent and least == 100):
        of = "the hosts" if nodes is None else plural(nodes, "host")
        message = f"CodeDeploy fails at once: none of {of} may be taken out of service"
        place.refuse(key, message, allowed="a lower minimum")
        return nodes, {}, {}
    amount = f"{100 - least}%" if percent else most
    shown = f"{amount} of the hosts, rounded down," if percent else f"{most:,} of {nodes:,} hosts" if most else ""
    text = f"{shown} at a time; each failure takes one of these places, and none left is a failure"
    _note_percent(place, key, text, least if percent and most is None else 0, "hosts")
    if "type" in hosts:
        hosts.exact("type", "a percentage of the hosts, rounded up" if percent else "a number of hosts")
    hosts.note_rest()
    limit = "max_failed_nodes_percent" if percent else "max_failed_nodes"
    band = {"max_parallel": amount, limit: 100 - least if percent else most}
    return nodes, band, {"pacing": "sliding", "wave_rounding": "floor", **_SLOTS}


def _read_zones(config: Group, nodes: int | None, switches: dict[str, Any]) -> dict[str, Any]:
    """Return the keys for zones one after the other, where each zone is a wave, and set the pacing in `switches`."""
    zones = config.group("zonalConfig")
    if not zones.data:
        return {}
    switches["pacing"] = "barrier"
    following = or_else(zones.whole("monitorDurationInSeconds"), 0)
    first = or_else(zones.whole("firstZoneMonitorDurationInSeconds"), following)
    zones.exact("monitorDurationInSeconds", f"{following} s after each zone but the last")
    zones.exact("firstZoneMonitorDurationInSeconds", f"{first} s after the first zone")
    policy = {
        "zone_by_zone": True,
        "waves": ["100%"],
        "zone_bake_time": f"{following}s",
        "first_zone_bake_time": f"{first}s",
    }
    least = zones.group("minimumHealthyHostsPerZone")
    most = _read_zone_minimum(least, nodes)
    least.note_rest()
    zones.note_rest()
    return policy if most is None else {**policy, "max_parallel_per_zone": most, "max_failed_nodes_per_zone": most}


def _note_percent(group: Group, key: str, text: str, least: int, of: str) -> None:
    """Note a minimum in percent: CodeDeploy may be unable to take any of a few hosts out of service, here one always may be."""
    enough = math.ceil(Fraction(100, 100 - least))
    if enough <= 2:
        group.exact(key, text)
    else:
        group.approximate(
            key, f"{text}; of fewer than {enough:,} {of} CodeDeploy takes none and fails, here one at a time"
        )


def _read_zone_minimum(hosts: Group, nodes: int | None) -> int | str | None:
    """Return how many hosts of a zone may be out of service or failed; None without a limit."""
    percent = hosts.text("type", "HOST_COUNT", "FLEET_PERCENT") != "HOST_COUNT"
    least = or_else(hosts.whole("value", 0, 99 if percent else 10_000_000), 0)
    if "type" in hosts:
        hosts.exact("type", "a percentage of a zone's hosts" if percent else "a number of hosts in each zone")
    if percent or least == 0:
        text = f"{least} % of a zone's hosts" if least else "no minimum"
        _note_percent(hosts, "value", text, least, "hosts in a zone")
        return f"{100 - least}%" if least else None
    n_zones = hosts.reading.variable("zones")
    if nodes is None or n_zones is None or not n_zones.isdecimal() or int(n_zones) < 1:
        unknown = "depends on the size of a zone: pass --nodes N and --var zones=Z; no minimum is assumed"
        hosts.not_evaluated("value", unknown)
        return None
    size = nodes // int(n_zones)
    if size <= least:
        hosts.refuse("value", f"CodeDeploy fails at once: a zone has {plural(size, 'host')}", allowed="a lower minimum")
        return None
    hosts.exact("value", f"{size - least:,} of {size:,} hosts of a zone may be out of service")
    return size - least


def _read_rollback(group: Group) -> bool:
    """Tell whether the last revision is deployed after a failure; this is a setting of a deployment group."""
    back = group.group("autoRollbackConfiguration")
    on = or_else(back.flag("enabled"), False) and "DEPLOYMENT_FAILURE" in back.items("events")
    text = "the last revision is deployed after a failure" if on else "a failed deployment stays as it is"
    back.exact("enabled", text)
    if "events" in back:
        back.exact("events", "DEPLOYMENT_FAILURE counts; alarms and requests to stop have no counterpart")
    back.note_rest()
    return on


# -- traffic ---------------------------------------------------------------------------------------


def _read_routing(routing: Group) -> dict[str, Any]:
    kind = or_else(routing.text("type", "TimeBasedCanary", "TimeBasedLinear", "AllAtOnce"), "AllAtOnce")
    word = kind.removeprefix("TimeBased")
    routing.approximate("type", "steps of traffic become steps of nodes")
    if word == "AllAtOnce":
        routing.note_rest()
        return _shift(None, 0, 0)
    steps = routing.group(f"timeBased{word}")
    percent_key, minutes_key = f"{word.lower()}Percentage", f"{word.lower()}Interval"
    percent, minutes = steps.whole(percent_key, 1, 100), steps.whole(minutes_key, 0, 2880)
    for key in (percent_key, minutes_key):
        if key not in steps or isinstance(steps.data[steps.spelled(key)], Tagged):
            steps.refuse(key, "not given", allowed="a whole number")
    if percent is None or minutes is None:
        return {}
    steps.approximate(percent_key, f"{percent} % of the nodes instead of the traffic")
    note_minutes(steps, minutes_key, minutes, percent, routing.reading.nodes(None), is_linear=word == "Linear")
    steps.note_rest()
    routing.note_rest()
    return _shift(word, percent, minutes)


def _find_shift(name: str) -> dict[str, Any] | None:
    """Return the waves of a predefined shift of traffic, such as ``LambdaCanary10Percent5Minutes``."""
    match = _SHIFTED.fullmatch(name)
    if match is None:
        return None
    canary, linear = match.groups()
    kind = "Canary" if canary else "Linear" if linear else None
    return _shift(kind, 10, int(canary or linear or 0))


def _shift(kind: str | None, percent: int, minutes: int) -> dict[str, Any]:
    """Return the waves of a shift of traffic to instances beside the old ones."""
    if kind is None:
        return {"max_parallel": 0, "surge": "100%"}
    step = {"size": f"{percent}%", "bake_time": f"{minutes}m"}
    return {"waves": [step] if kind == "Linear" else [step, {"until": "100%"}], "surge": "100%"}


# -- functions of AWS SAM --------------------------------------------------------------------------


def _find_functions(document: Document) -> dict[str, dict[str, Any]]:
    """Return the deployment preferences of functions, by name; `Globals` has the keys that a function leaves out."""
    template, shared = document.data, document.data
    for key in ("Globals", "Function", "DeploymentPreference"):
        shared = shared.get(key) if isinstance(shared, dict) else None
    preferences = {}
    for name in resource_names(document, _FUNCTION):
        properties = template["Resources"][name].get("Properties")
        own = properties.get("DeploymentPreference") if isinstance(properties, dict) else None
        parts = [part for part in (shared, own) if isinstance(part, dict)]
        if parts:
            preferences[name] = {key: value for part in parts for key, value in part.items()}
    return preferences


def _read_function(reading: Reading, document: Document, preferences: dict[str, dict[str, Any]]) -> PolicyImport:
    name = reading.choose("function", created(reading, document, preferences))
    configs = {config: resource_properties(reading, document, config) for config in resource_names(document, _CONFIG)}
    properties = {"DeploymentPreference": preferences[name]}
    function = {"Type": _FUNCTION, "Properties": properties}
    whole = replace(document, data={**document.data, "Resources": {**document.data["Resources"], name: function}})
    preference = resource_properties(reading, whole, name).group("deploymentPreference")
    policy = {"strategy": "rolling", **_read_type(preference, configs)}
    preference.no_counterparts(dict.fromkeys(("alarms", "hooks"), _ALARMS))
    preference.note_rest()
    reading.note("autoRollbackConfiguration", "exact", "not given: SAM deploys the last version again after a failure")
    policy["health_check"] = _assume_deadline(reading)
    return reading.finish(policy, {"pacing": "barrier", "on_failure": "rollback"}, nodes=reading.nodes(None))


def _read_type(preference: Group, configs: Mapping[str, Group]) -> dict[str, Any]:
    if preference.flag("enabled") is False:
        preference.approximate("enabled", "no shift of traffic: the new version serves at once")
        return _shift(None, 0, 0)
    used = _find_used(preference, "type", configs)
    if used is not None:
        preference.exact("type", f"see {used}")
        waves = _read_routing(configs[used].group("trafficRoutingConfig"))
        configs[used].note_rest()
        return waves
    word = preference.text("type")
    shift = _find_shift(f"Lambda{word}")
    if shift:
        preference.approximate("type", "predefined; steps of traffic become steps of nodes")
        return shift
    if isinstance(preference.data.get(preference.spelled("type")), str | Tagged | None):
        allowed = "AllAtOnce, or such as Canary10Percent5Minutes or Linear10PercentEvery1Minute"
        preference.refuse("type", "no predefined shift of traffic", allowed=allowed)
    return {}
